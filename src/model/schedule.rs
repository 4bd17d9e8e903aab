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
        }
    }

    /// Refuses values outside their ranges.
    pub(super) fn check(&self) -> Result<()> {
        let Self::Step { every, factor } = self else { return Ok(()) };
        if *every == 0 {
            return Err(Error::config("training.schedule.every", "0", "1 or more"));
        }
        if !(factor.is_finite() && *factor > 0.0) {
            let key = "training.schedule.factor";
            return Err(Error::config(key, factor.to_string(), "a positive number"));
        }
        Ok(())
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
}
