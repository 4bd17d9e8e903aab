//! How the next token is chosen from its distribution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::seed::uniform;

/// How the next token is chosen: the distribution is first flattened or sharpened, then cut to its most
/// likely tokens, then to the fewest of these that hold a share of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Sampling {
    /// Divides the logits; 0 takes the most likely token, whatever else is set.
    pub temperature: f64,
    /// Most likely tokens to choose from; 0 is all (Fan, Lewis and Dauphin 2018).
    pub top_k: usize,
    /// Share that the tokens to choose from hold together, above 0, up to 1 (Holtzman et al. 2020).
    pub top_p: f64,
}

impl Default for Sampling {
    /// The model's own distribution.
    fn default() -> Self {
        Self { temperature: 1.0, top_k: 0, top_p: 1.0 }
    }
}

impl Sampling {
    /// Refuses values outside their ranges.
    pub fn check(&self) -> Result<()> {
        let Self { temperature, top_p, .. } = *self;
        if !(0.0..=100.0).contains(&temperature) {
            let found = temperature.to_string();
            return Err(Error::config("sampling.temperature", found, "0 to 100"));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::config("sampling.top-p", top_p.to_string(), "above 0, up to 1"));
        }
        Ok(())
    }
}

/// The distribution that a token is drawn from; its room is used again.
#[derive(Default)]
pub(in crate::model) struct Chooser {
    /// Tokens by falling probability, ties by number.
    order: Vec<(f64, u32)>,
}

impl Chooser {
    /// A token. Logits that are not numbers count as the least likely.
    pub(in crate::model) fn choose(
        &mut self,
        logits: &[f32],
        sampling: &Sampling,
        rng: &mut impl rand::Rng,
    ) -> u32 {
        let draw = uniform(rng);
        if sampling.temperature == 0.0 {
            return crate::oracle::argmax(logits.iter()) as u32;
        }
        self.rank(logits, sampling.temperature, sampling.top_k);
        let total: f64 = self.order.iter().map(|(p, _)| p).sum();
        let (mut mass, mut nucleus) = (0.0, 0);
        for (p, _) in &self.order {
            (mass, nucleus) = (mass + p, nucleus + 1);
            if mass >= sampling.top_p * total {
                break;
            }
        }
        self.order.truncate(nucleus);
        let mut left = draw * mass;
        for &(p, token) in &self.order {
            left -= p;
            if left < 0.0 {
                return token;
            }
        }
        self.order.last().map_or(0, |(_, token)| *token)
    }

    /// The `top_k` most likely tokens (0: all) with exp((logit - largest) / temperature).
    fn rank(&mut self, logits: &[f32], temperature: f64, top_k: usize) {
        let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weight = |&logit: &f32| {
            let weight = libm::exp((f64::from(logit) - f64::from(most)) / temperature);
            if weight.is_nan() { 0.0 } else { weight }
        };
        self.order.clear();
        self.order.extend(logits.iter().map(weight).zip(0..));
        // No two are equal, so that neither step depends on the order before.
        let falling = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if (1..self.order.len()).contains(&top_k) {
            self.order.select_nth_unstable_by(top_k - 1, falling);
            self.order.truncate(top_k);
        }
        self.order.sort_unstable_by(falling);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    /// Probabilities at temperature 1, not in order.
    const SHARES: [f32; 4] = [0.15, 0.5, 0.05, 0.3];

    fn shares(sampling: Sampling) -> [f64; 4] {
        let (mut chooser, mut rng) = (Chooser::default(), Seed::new(3).rng());
        let logits = SHARES.map(libm::logf);
        let mut counts = [0.0; 4];
        for _ in 0..40_000 {
            counts[chooser.choose(&logits, &sampling, &mut rng) as usize] += 1.0 / 40_000.0;
        }
        counts
    }

    fn close(sampling: Sampling, expected: [f64; 4]) {
        let found = shares(sampling);
        for (f, e) in found.iter().zip(expected) {
            // Five standard deviations of a share of a half.
            assert!((f - e).abs() < 0.0125 && (e > 0.0 || *f == 0.0), "{sampling:?}: {found:?}");
        }
    }

    #[test]
    fn tokens_come_as_often_as_the_cut_distribution_says() {
        let usual = Sampling::default();
        close(usual, [0.15, 0.5, 0.05, 0.3]);
        close(Sampling { top_k: 2, ..usual }, [0.0, 0.625, 0.0, 0.375]);
        // .5 and .3 hold less than .85; the third goes beyond it.
        close(Sampling { top_p: 0.85, ..usual }, [0.157_9, 0.526_3, 0.0, 0.315_8]);
        // Of .625 and .375 the first alone holds .6.
        close(Sampling { top_k: 2, top_p: 0.6, ..usual }, [0.0, 1.0, 0.0, 0.0]);
        // Squares: .25, .09, .0225, .0025 over .365.
        close(Sampling { temperature: 0.5, ..usual }, [0.061_6, 0.684_9, 0.006_8, 0.246_6]);
        close(Sampling { temperature: 0.0, ..usual }, [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn logits_that_are_not_numbers_do_no_harm() {
        let mut chooser = Chooser::default();
        let mut choose =
            |logits: &[f32]| chooser.choose(logits, &Sampling::default(), &mut Seed::new(1).rng());
        assert_eq!(choose(&[f32::NEG_INFINITY, 0.0, f32::NAN]), 1);
        assert!(choose(&[f32::NAN; 3]) < 3);
    }

    #[test]
    fn values_outside_their_ranges_name_their_key() {
        let usual = Sampling::default();
        for (sampling, key) in [
            (Sampling { temperature: -1.0, ..usual }, "sampling.temperature"),
            (Sampling { temperature: f64::NAN, ..usual }, "sampling.temperature"),
            (Sampling { top_p: 0.0, ..usual }, "sampling.top-p"),
        ] {
            assert!(sampling.check().unwrap_err().to_string().contains(key));
        }
        assert!(usual.check().is_ok());
    }
}
