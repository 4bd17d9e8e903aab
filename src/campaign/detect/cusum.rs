//! One-sided cumulative sum: finds the moment from which an account's traffic has shifted upwards.
//!
//! Page 1954, Biometrika 41. S_0 = 0, S_t = max(0, S_(t-1) + z_t - k), alarm at the first S_t > h. It is
//! the SPRT that starts again whenever it would clear. z is a score standardised on benign traffic
//! (mean 0, deviation 1); k is half the shift to detect. How h sets the time between false alarms is
//! in [`super::arl`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::error::{Error, Result};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Allowance per observation, benign standard deviations, at least 0.
    #[serde(default = "default_k")]
    pub k: f64,
    /// Threshold, benign standard deviations, above 0. At k = 0.5, h = 8 gives one false alarm in
    /// 19,000 observations.
    #[serde(default = "default_h")]
    pub h: f64,
}

const fn default_k() -> f64 {
    0.5
}

const fn default_h() -> f64 {
    8.0
}

/// The detector.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cusum {
    k: f64,
    h: f64,
}

/// One account's sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CusumState {
    /// S_t, benign standard deviations, at least 0.
    pub sum: f64,
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self) -> Result<Cusum> {
        if !(self.k >= 0.0 && self.k.is_finite()) {
            return Err(Error::config("k", self.k.to_string(), "a number from 0 up"));
        }
        if !(self.h > 0.0 && self.h.is_finite()) {
            return Err(Error::config("h", self.h.to_string(), "a number above 0"));
        }
        Ok(Cusum { k: self.k, h: self.h })
    }
}

impl Cusum {
    /// Takes one standardised score. The sum goes on after an alarm; it never clears.
    pub fn observe(&self, state: &mut CusumState, z: f64) -> Verdict {
        state.sum = (state.sum + z - self.k).max(0.0);
        Verdict::alarm_if(state.sum > self.h)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cases, close, number, numbers};
    use super::*;

    #[test]
    fn every_reference_path_is_matched() {
        for case in cases("cusum", 5) {
            let (i, e) = (&case["input"], &case["expected"]);
            let cusum = Params { k: number(&i["k"]), h: number(&i["h"]) }.build().unwrap();
            let mut state = CusumState::default();
            let mut alarm = None;
            for (t, z) in numbers(&i["z"]).iter().enumerate() {
                let verdict = cusum.observe(&mut state, *z);
                close(&case, state.sum, &e["path"][t]);
                alarm = alarm.or((verdict == Verdict::Alarm).then_some(t as u64 + 1));
            }
            assert_eq!(alarm, e["alarm_t"].as_u64(), "{}", case["id"]);
        }
    }

    #[test]
    fn settings_outside_their_ranges_are_refused() {
        assert!(Params { k: -0.1, h: 5.0 }.build().is_err());
        assert!(Params { k: 0.5, h: 0.0 }.build().is_err());
        assert!(Params { k: 0.5, h: f64::NAN }.build().is_err());
    }
}
