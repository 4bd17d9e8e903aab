//! What detectors remember.

use crate::campaign::detect::cusum::CusumState;
use crate::campaign::detect::entropy::EntropyState;
use crate::campaign::detect::mmd_features::FeatureSum;
use crate::campaign::detect::mmd_table::MmdTableState;
use crate::campaign::detect::prada::PradaState;
use crate::campaign::detect::seat::SeatState;
use crate::campaign::detect::sprt::SprtState;
use crate::campaign::detect::synchrotrap::Acts;
use crate::campaign::detect::velocity::VelocityState;

/// What one detector remembers of one account or cluster.
#[derive(Clone, Debug)]
pub struct Memory {
    /// Highest score so far; negative infinity before the first.
    pub peak: f64,
    pub(super) state: State,
}

#[derive(Clone, Debug)]
pub(super) enum State {
    Velocity(VelocityState),
    Sprt(SprtState),
    Cusum { sum: CusumState, group: SprtState },
    Entropy(EntropyState),
    MmdTable { window: MmdTableState, windows: u32 },
    Prada(Box<PradaState>),
    Seat(Box<SeatState>),
    Mmd(FeatureSum),
    Acts(Acts),
    Nothing,
}

impl Memory {
    pub(super) const fn new(state: State) -> Self {
        Self { peak: f64::NEG_INFINITY, state }
    }

    /// What an account did since the last look, for a detector of synchrony.
    pub const fn acts(&mut self) -> Option<&mut Acts> {
        match &mut self.state {
            State::Acts(acts) => Some(acts),
            _ => None,
        }
    }

    /// Adds what is remembered to a hash of the state. Of vectors their number: scores depend on them, and the
    /// highest is here.
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) {
        let mut put = |words: &[u64]| {
            for word in words {
                hasher.update(&word.to_le_bytes());
            }
        };
        put(&[self.peak.to_bits()]);
        match &self.state {
            State::Velocity(state) => put(&state.words()),
            State::Sprt(state) => put(&[state.seen, state.flagged]),
            State::Cusum { sum, group } => put(&[sum.sum.to_bits(), group.seen, group.flagged]),
            State::Entropy(state) => state.words().for_each(|word| put(&[word])),
            State::MmdTable { window, windows } => {
                put(&[window.queries, window.attack, u64::from(*windows)]);
            }
            State::Prada(state) => put(&[state.set_size() as u64]),
            State::Seat(state) => put(&[state.queries, state.count]),
            State::Mmd(state) => put(&[state.queries]),
            State::Acts(acts) => put(&[acts.len() as u64]),
            State::Nothing => {}
        }
    }
}
