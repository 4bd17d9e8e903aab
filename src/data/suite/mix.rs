//! How often each capability is practised.

use rand::Rng;

use super::{Capability, words};
use crate::error::{Error, Result};

/// Weights of the capabilities, counted in samples. Samples differ in length: writing programs has the
/// largest weight here and yet one of the smallest shares of the bytes that a model learns from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix([u32; 7]);

impl Default for Mix {
    fn default() -> Self {
        Self([16, 16, 22, 14, 16, 12, 4])
    }
}

impl Mix {
    /// Weights in the order of [`Capability::ALL`]. Refused if all are zero.
    pub fn new(weights: [u32; 7]) -> Result<Self> {
        if weights == [0; 7] {
            return Err(Error::config("mix", "only zeros", "at least one capability above 0"));
        }
        Ok(Self(weights))
    }

    /// The weight of one capability.
    pub const fn weight(&self, capability: Capability) -> u32 {
        self.0[capability as usize]
    }

    /// A capability, as often as its weight says.
    pub fn sample(&self, rng: &mut impl Rng) -> Capability {
        Capability::ALL[words::weighted(rng, &self.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn capabilities_come_as_often_as_their_weights_say() {
        let (mix, mut rng) = (Mix::default(), Seed::new(1).rng());
        let mut counts = [0; 7];
        (0..20_000).for_each(|_| counts[mix.sample(&mut rng) as usize] += 1);
        for capability in Capability::ALL {
            let share = f64::from(counts[capability as usize]) / 20_000.0;
            assert!((share - f64::from(mix.weight(capability)) / 100.0).abs() < 0.01, "{counts:?}");
        }
    }

    #[test]
    fn a_mix_of_nothing_is_refused_and_one_capability_is_enough() {
        assert!(Mix::new([0; 7]).is_err());
        let mix = Mix::new([0, 0, 0, 0, 0, 0, u32::MAX]).unwrap();
        assert_eq!(mix.sample(&mut Seed::new(1).rng()), Capability::Text);
    }
}
