//! Log-probabilities to a number of decimals, half to even. Tramer et al. 2016, section 7, for probabilities;
//! of a model's logits it hides little (the width of a last layer is found from two decimals).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asked, ReplyLayer};
use crate::error::{Error, Result};
use crate::oracle::completion::Completion;

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Decimal places kept, 0 to 6.
    #[schemars(range(max = 6))]
    pub digits: u32,
}

/// The layer.
pub struct RoundLogprobs {
    scale: f64,
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<RoundLogprobs> {
        if self.digits > 6 {
            return Err(Error::config("digits", self.digits.to_string(), "0 to 6 decimal places"));
        }
        Ok(RoundLogprobs { scale: f64::from(10_u32.pow(self.digits)) })
    }
}

impl ReplyLayer for RoundLogprobs {
    fn reply(&mut self, _asked: &Asked<'_>, mut answer: Completion) -> Completion {
        if let Some(probs) = &mut answer.logprobs {
            let round = |log: f32| (f64::from(log) * self.scale).round_ties_even() / self.scale;
            probs.logs.mapv_inplace(|log| round(log) as f32);
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::testing::answer;
    use super::*;
    use crate::oracle::AccountId;

    #[test]
    fn logarithms_are_rounded_half_to_even_and_the_impossible_stays_so() {
        let asked = Asked { account: AccountId(0), prompt: b"Tx" };
        let mut given = answer("a");
        let logs = &mut given.logprobs.as_mut().unwrap().logs;
        logs.row_mut(0).assign(&ndarray::array![-0.125, -2.375, f32::NEG_INFINITY]);
        let round = |digits| {
            let changed = Params { digits }.build().unwrap().reply(&asked, given.clone());
            changed.logprobs.unwrap().logs.row(0).to_vec()
        };
        assert_eq!(round(2), [-0.12, -2.38, f32::NEG_INFINITY]);
        assert_eq!(round(0), [0.0, -2.0, f32::NEG_INFINITY]);
        assert!(Params { digits: 7 }.build().is_err());
    }
}
