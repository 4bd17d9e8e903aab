//! The baseline of every defense that perturbs what is written: more chance, for everybody.
//!
//! A request for a lower temperature gets this one. A request to choose among the most likely tokens only
//! gets all of them, because with one token to choose from no temperature would matter.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DecodeLayer;
use crate::error::{Error, Result};
use crate::model::language::{Sampling, Steer};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Lowest temperature, above 0, up to 100.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub t: f64,
}

/// The layer.
pub struct TemperatureFloor {
    t: f64,
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<TemperatureFloor> {
        if self.t > 0.0 && self.t <= 100.0 {
            return Ok(TemperatureFloor { t: self.t });
        }
        Err(Error::config("t", self.t.to_string(), "above 0, up to 100"))
    }
}

impl DecodeLayer for TemperatureFloor {
    fn sampling(&self, asked: Sampling) -> Sampling {
        Sampling { temperature: asked.temperature.max(self.t), ..Sampling::default() }
    }

    fn steer(&self, _sampling: &Sampling) -> Option<Box<dyn Steer + '_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_chance_than_the_floor_cannot_be_asked_for() {
        let floor = Params { t: 0.8 }.build().unwrap();
        let asked = |temperature, top_k| {
            floor.sampling(Sampling { temperature, top_k, ..Sampling::default() })
        };
        let at = |temperature| Sampling { temperature, ..Sampling::default() };
        assert_eq!([asked(0.0, 0), asked(0.5, 1), asked(1.2, 1)], [at(0.8), at(0.8), at(1.2)]);
        for t in [0.0, -1.0, f64::NAN, 101.0] {
            assert!(Params { t }.build().is_err(), "{t}");
        }
    }
}
