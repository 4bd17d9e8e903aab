//! How the learning rate moves over the steps.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Learning-rate schedules, as a factor on the optimiser's `lr`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// Factor 1 throughout.
    #[default]
    Constant,
    /// Half a cosine from 1 to 0 over the steps.
    Cosine,
    /// Times `factor` after every `every` steps.
    Step { every: usize, factor: f64 },
    /// A line from 0 up to 1 over the first `steps` steps, then half a cosine from 1 down to `floor`, a
    /// share of the peak from 0 to 1, at the last step. A shorter training ends on the line.
    WarmCosine { steps: usize, floor: f64 },
}

impl Schedule {
    /// Factor of step `step` of `steps`, counted from 0.
    pub fn factor(&self, step: usize, steps: usize) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Cosine => {
                let done = step as f64 / steps.max(1) as f64;
                0.5 * (1.0 + libm::cos(std::f64::consts::PI * done))
            }
            Self::Step { every, factor } => libm::pow(*factor, (step / every) as f64),
            Self::WarmCosine { steps: warm, .. } if step < *warm => {
                (step + 1) as f64 / *warm as f64
            }
            Self::WarmCosine { steps: warm, floor } => {
                let last = steps.saturating_sub(warm + 1).max(1);
                let done = (step - warm) as f64 / last as f64;
                floor + (1.0 - floor) * 0.5 * (1.0 + libm::cos(std::f64::consts::PI * done))
            }
        }
    }

    /// Refuses values outside their ranges.
    pub(super) fn check(&self) -> Result<()> {
        let refuse = |key: &str, found: String, expected: &str| {
            Err(Error::config(format!("training.schedule.{key}"), found, expected))
        };
        match *self {
            Self::Step { every: 0, .. } => refuse("every", "0".into(), "1 or more"),
            Self::Step { factor, .. } if !(factor.is_finite() && factor > 0.0) => {
                refuse("factor", factor.to_string(), "a positive number")
            }
            Self::WarmCosine { steps: 0, .. } => refuse("steps", "0".into(), "1 or more"),
            Self::WarmCosine { floor, .. } if !(0.0..=1.0).contains(&floor) => {
                refuse("floor", floor.to_string(), "0 to 1")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schedule_starts_at_one_and_moves_as_it_says() {
        let step = Schedule::Step { every: 10, factor: 0.5 };
        let cases = [
            (Schedule::Constant, 99, 1.0),
            (Schedule::Cosine, 0, 1.0),
            (Schedule::Cosine, 50, 0.5),
            (Schedule::Cosine, 100, 0.0),
            (step.clone(), 9, 1.0),
            (step.clone(), 10, 0.5),
            (step, 29, 0.25),
        ];
        for (schedule, at, expected) in cases {
            let found = schedule.factor(at, 100);
            assert!((found - expected).abs() < 1e-12, "{schedule:?} at {at}: {found}");
        }
    }

    #[test]
    fn a_step_of_zero_is_refused() {
        assert!(Schedule::Step { every: 0, factor: 0.5 }.check().is_err());
        assert!(Schedule::Step { every: 1, factor: f64::NAN }.check().is_err());
    }

    #[test]
    fn a_warm_cosine_rises_along_a_line_and_falls_to_its_floor_at_the_last_step() {
        let warm = Schedule::WarmCosine { steps: 20, floor: 0.05 };
        // Steps 20 to 100 are the cosine; 40 and 60 are a quarter and half of the way.
        let quarter = 0.05 + 0.95 * (2.0 + 2.0_f64.sqrt()) / 4.0;
        let cases =
            [(0, 0.05), (9, 0.5), (19, 1.0), (20, 1.0), (40, quarter), (60, 0.525), (100, 0.05)];
        for (at, expected) in cases {
            let found = warm.factor(at, 101);
            assert!((found - expected).abs() < 1e-12, "{at}: {found}");
        }
        assert_eq!(warm.factor(4, 5), 0.25, "a shorter training ends on the line");
        assert_eq!(warm.factor(20, 21), 1.0, "a single step after the line is its first");
    }

    #[test]
    fn a_warm_cosine_out_of_range_names_its_key() {
        let check = |steps, floor| Schedule::WarmCosine { steps, floor }.check();
        let message = |steps, floor| check(steps, floor).unwrap_err().to_string();
        assert!(check(1, 0.0).is_ok() && check(200, 1.0).is_ok());
        assert!(message(0, 0.1).contains("training.schedule.steps: found 0"));
        assert!(message(1, -0.1).contains("training.schedule.floor: found -0.1"));
        assert!(message(1, 1.1).contains("training.schedule.floor: found 1.1"));
        assert!(message(1, f64::NAN).contains("training.schedule.floor: found NaN"));
    }
}
