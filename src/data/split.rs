//! Parts of a data set, each used for one purpose only, so that no number is measured on rows that
//! somebody learned from. A split is drawn from the run's seed; it knows nothing of who uses it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Dataset;
use crate::error::{Error, Result};
use crate::seed::{Seed, permutation};

/// Sizes of the parts, in rows. The defaults use every row of the embedded digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SplitSpec {
    /// Rows the teacher learns from.
    pub teacher: usize,
    /// Rows students may ask.
    pub pool: usize,
    /// Rows with true labels that everyone has.
    pub public: usize,
    /// Rows honest users ask.
    pub traffic: usize,
    /// Rows everyone is measured on.
    pub test: usize,
}

impl Default for SplitSpec {
    fn default() -> Self {
        Self { teacher: 800, pool: 400, public: 100, traffic: 137, test: 360 }
    }
}

impl SplitSpec {
    /// Rows of all parts together; `None` if the sum is beyond any data set.
    pub fn total(&self) -> Option<usize> {
        [self.teacher, self.pool, self.public, self.traffic, self.test]
            .into_iter()
            .try_fold(0usize, usize::checked_add)
    }
}

/// Row numbers of a data set, each used for one purpose only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// What the teacher learns from.
    pub teacher: Vec<usize>,
    /// What students may ask.
    pub pool: Vec<usize>,
    /// Rows with true labels that everyone has: seeds, and the `public` reference.
    pub public: Vec<usize>,
    /// What honest users ask.
    pub traffic: Vec<usize>,
    /// What everyone is measured on.
    pub test: Vec<usize>,
}

impl Split {
    /// Cuts one random order of the rows into the parts of `spec`. Rows left over belong to none.
    pub fn draw(spec: &SplitSpec, data: &Dataset, seed: Seed) -> Result<Self> {
        let rows = data.labels.len();
        if spec.total().is_none_or(|total| total > rows) {
            let total = spec.total().map_or("too many".to_string(), |t| t.to_string());
            let found = format!(
                "{total} rows (teacher {}, pool {}, public {}, traffic {}, test {})",
                spec.teacher, spec.pool, spec.public, spec.traffic, spec.test
            );
            let expected = format!("at most {rows}, the rows of `{}`", data.name);
            return Err(Error::config("split", found, expected));
        }
        let mut rest = permutation(&mut seed.child("split").rng(), rows).into_iter();
        let mut take = |n: usize| rest.by_ref().take(n).collect::<Vec<usize>>();
        Ok(Self {
            teacher: take(spec.teacher),
            pool: take(spec.pool),
            public: take(spec.public),
            traffic: take(spec.traffic),
            test: take(spec.test),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::digits;

    fn rows(split: &Split) -> Vec<usize> {
        let Split { teacher, pool, public, traffic, test } = split;
        [teacher, pool, public, traffic, test].into_iter().flatten().copied().collect()
    }

    #[test]
    fn parts_share_no_row_and_the_default_covers_the_digits() {
        let data = digits().unwrap();
        for seed in 0..50 {
            let split = Split::draw(&SplitSpec::default(), &data, Seed::new(seed)).unwrap();
            let sizes = [&split.teacher, &split.pool, &split.public, &split.traffic, &split.test];
            assert_eq!(sizes.map(Vec::len), [800, 400, 100, 137, 360]);
            let mut all = rows(&split);
            all.sort_unstable();
            assert_eq!(all, (0..1797).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_seed_alone_decides() {
        let data = digits().unwrap();
        let draw = |s| Split::draw(&SplitSpec::default(), &data, Seed::new(s)).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1).test, draw(2).test);
    }

    #[test]
    fn every_class_is_found_in_every_default_part() {
        let data = digits().unwrap();
        let split = Split::draw(&SplitSpec::default(), &data, Seed::new(0)).unwrap();
        for part in [&split.teacher, &split.pool, &split.public, &split.traffic, &split.test] {
            let mut seen = [false; 10];
            part.iter().for_each(|&row| seen[data.labels[row]] = true);
            assert!(seen.iter().all(|s| *s));
        }
    }

    #[test]
    fn more_rows_than_the_set_has_are_refused() {
        let data = digits().unwrap();
        for test in [361, usize::MAX] {
            let spec = SplitSpec { test, ..SplitSpec::default() };
            let error = Split::draw(&spec, &data, Seed::new(0)).unwrap_err();
            let Error::Config(config) = error else { panic!("{error}") };
            assert_eq!(config.key, "split");
            assert!(config.expected.contains("1797"), "{config}");
        }
    }

    #[test]
    fn a_misspelt_part_is_refused() {
        assert!(toml::from_str::<SplitSpec>("poool = 3").is_err());
        assert_eq!(toml::from_str::<SplitSpec>("pool = 3").unwrap().pool, 3);
    }
}
