//! How far problems reach. Accuracy beyond what a model was trained on says little, because it falls to
//! the floor; so headroom comes from wide ranges in training.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Longest operand, in digits: sums stay far from the end of a machine word.
const MAX_DIGITS: usize = 9;
/// Longest program to run.
const MAX_OPERATIONS: usize = 16;

/// Sizes of problems, and whether some programs are kept for the test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Ranges {
    /// How often an operand of a sum has 1, 2, .. digits; up to 9 weights, not all zero.
    pub digit_weights: Vec<u32>,
    /// Fewest operations of a program to run, 1 or more.
    pub min_operations: usize,
    /// Most operations of a program to run, up to 16.
    pub max_operations: usize,
    /// Whether four of the 16 programs of two operations are kept for the test.
    pub hold_out: bool,
}

impl Default for Ranges {
    fn default() -> Self {
        let digit_weights = vec![8, 17, 30, 45];
        Self { digit_weights, min_operations: 2, max_operations: 7, hold_out: true }
    }
}

impl Ranges {
    /// Narrow ranges, which small models master: up to 3 digits, 2 to 5 operations, and every program
    /// to write occurs in training.
    pub fn prototype() -> Self {
        let digit_weights = vec![15, 30, 55];
        Self { digit_weights, min_operations: 2, max_operations: 5, hold_out: false }
    }

    /// Refuses ranges that hold no problem.
    pub fn check(&self) -> Result<()> {
        let Self { digit_weights, min_operations, max_operations, .. } = self;
        if digit_weights.len() > MAX_DIGITS || digit_weights.iter().all(|w| *w == 0) {
            let found = format!("{digit_weights:?}");
            let expected = format!("up to {MAX_DIGITS} weights, not all 0");
            return Err(Error::config("ranges.digit-weights", found, expected));
        }
        if *min_operations == 0 || min_operations > max_operations {
            let expected = format!("1 to {max_operations}, the most operations");
            return Err(Error::config(
                "ranges.min-operations",
                min_operations.to_string(),
                expected,
            ));
        }
        if *max_operations > MAX_OPERATIONS {
            let expected = format!("up to {MAX_OPERATIONS}");
            return Err(Error::config(
                "ranges.max-operations",
                max_operations.to_string(),
                expected,
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_hold_no_problem_are_refused() {
        let ranges = [
            Ranges { digit_weights: vec![], ..Ranges::default() },
            Ranges { digit_weights: vec![0, 0], ..Ranges::default() },
            Ranges { digit_weights: vec![1; 10], ..Ranges::default() },
            Ranges { min_operations: 0, ..Ranges::default() },
            Ranges { min_operations: 8, ..Ranges::default() },
            Ranges { max_operations: 17, ..Ranges::default() },
        ];
        for ranges in ranges {
            assert!(matches!(ranges.check(), Err(Error::Config(_))), "{ranges:?}");
        }
        assert!(Ranges::default().check().is_ok() && Ranges::prototype().check().is_ok());
    }

    #[test]
    fn a_file_names_what_differs_from_the_default() {
        let ranges: Ranges = toml::from_str("max-operations = 9").unwrap();
        assert_eq!(ranges, Ranges { max_operations: 9, ..Ranges::default() });
        assert!(toml::from_str::<Ranges>("operations = 9").is_err());
    }
}
