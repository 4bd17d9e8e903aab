//! Detectors inside the engine: what each remembers of an account or a cluster, and what it says to the next
//! exchange. The tests themselves are in [`super::detect`].

use super::detect::cusum::{Cusum, CusumState};
use super::detect::entropy::{Entropy, EntropyState};
use super::detect::mmd_table::{FalsePositives, MmdTable, MmdTableState};
use super::detect::sprt::{Sprt, SprtState};
use super::detect::velocity::{Velocity, VelocityState};
use super::detect::{Verdict, cusum, entropy, mmd_table, sprt, velocity};
use super::draw::{Draws, happens, unit};
use super::spec::{DetectorKind, DetectorSpec};
use crate::error::Result;
use crate::ledger::Tick;

/// What a detector sees of an answered exchange.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    pub at: Tick,
    /// Asks for visible reasoning.
    pub elicits: bool,
    /// Looks like a campaign's, to a test of content whose power was measured elsewhere.
    pub alike: bool,
    pub topic: u8,
}

/// A detector with its settings in place.
#[derive(Clone, Debug)]
pub struct Watcher {
    pub review_us: u64,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Velocity { rule: Velocity, per_day: u64 },
    Sprt(Sprt),
    Cusum { rule: Cusum, mean: f64, group: u64 },
    Entropy(Entropy),
    Mmd { window: u64, table: MmdTable },
}

/// What a detector remembers of one account or cluster.
#[derive(Clone, Debug)]
pub enum Memory {
    Velocity(VelocityState),
    Sprt(SprtState),
    Cusum { sum: CusumState, group: SprtState },
    Entropy(EntropyState),
    Mmd { window: MmdTableState, windows: u32 },
}

impl Watcher {
    /// The detector, unless it looks at the graph alone. `topics` are those of the world.
    pub fn new(spec: &DetectorSpec, topics: u16) -> Result<Option<Self>> {
        let test = match spec.test {
            DetectorKind::Velocity { per_day } => {
                let per_day = u64::from(per_day);
                let rule = velocity::Params { limit: per_day, window_h: 24 }.build()?;
                Test::Velocity { rule, per_day }
            }
            DetectorKind::Sprt { p_benign, p_attack, alpha, beta } => {
                let rule = sprt::Params { p0: p_benign, p1: p_attack, alpha, beta, restart: true };
                Test::Sprt(rule.build()?)
            }
            DetectorKind::Cusum { p_benign, group, k, h } => Test::Cusum {
                rule: cusum::Params { k, h }.build()?,
                mean: p_benign,
                group: u64::from(group),
            },
            DetectorKind::Entropy { window, below } => {
                let cells = u32::from(topics);
                Test::Entropy(entropy::Params { window, cells, threshold_nats: below }.build()?)
            }
            DetectorKind::MmdTable { window } => {
                let window = u64::from(window);
                let false_positives = FalsePositives::Upper;
                Test::Mmd { window, table: mmd_table::Params { window, false_positives }.build()? }
            }
            DetectorKind::Graph { .. } => return Ok(None),
        };
        Ok(Some(Self { review_us: (spec.review_delay_h * 3600e6) as u64, test }))
    }

    /// Whether it looks at what is asked about.
    pub const fn reads_topics(&self) -> bool {
        matches!(self.test, Test::Entropy(_))
    }

    /// Nothing seen yet.
    pub fn memory(&self) -> Memory {
        match self.test {
            Test::Velocity { .. } => Memory::Velocity(VelocityState::default()),
            Test::Sprt(_) => Memory::Sprt(SprtState::default()),
            Test::Cusum { .. } => {
                Memory::Cusum { sum: CusumState::default(), group: SprtState::default() }
            }
            Test::Entropy(_) => Memory::Entropy(EntropyState::default()),
            Test::Mmd { .. } => Memory::Mmd { window: MmdTableState::default(), windows: 0 },
        }
    }

    /// Whether this exchange makes it alarm. `who` and `place` address its own draws.
    #[inline]
    pub fn observe(
        &self,
        memory: &mut Memory,
        seen: &Observation,
        draws: &Draws,
        who: u32,
        place: usize,
    ) -> bool {
        match (&self.test, memory) {
            (Test::Velocity { rule, .. }, Memory::Velocity(state)) => {
                rule.observe(state, seen.at, 1) == Verdict::Alarm
            }
            (Test::Sprt(rule), Memory::Sprt(state)) => {
                rule.observe(state, seen.elicits) == Verdict::Alarm
            }
            (Test::Cusum { rule, mean, group }, Memory::Cusum { sum, group: held }) => {
                held.merge(SprtState { seen: 1, flagged: u64::from(seen.elicits) });
                if held.seen < *group {
                    return false;
                }
                let z = score(std::mem::take(held), *mean, *group);
                rule.observe(sum, z) == Verdict::Alarm
            }
            (Test::Entropy(rule), Memory::Entropy(state)) => {
                rule.observe(state, u32::from(seen.topic)) == Verdict::Alarm
            }
            (Test::Mmd { window, table }, Memory::Mmd { window: held, windows }) => {
                held.merge(MmdTableState { queries: 1, attack: u64::from(seen.alike) });
                if held.queries < *window {
                    return false;
                }
                let [word, ..] = draws.words_of(who, place, u32::MAX, *windows);
                *windows += 1;
                table.verdict(held, unit(word)) == Verdict::Alarm
            }
            _ => unreachable!("a memory is made by its watcher"),
        }
    }

    /// Whether exchanges of a whole cluster since the last look make it alarm: `n` of them, `alike` of which
    /// look like a campaign's and `elicited` ask for visible reasoning, in a day.
    pub fn observe_pooled(
        &self,
        memory: &mut Memory,
        sums: [u64; 3],
        accounts: u64,
        draws: &Draws,
        who: u32,
        place: usize,
    ) -> bool {
        let [n, alike, elicited] = sums;
        match (&self.test, memory) {
            (Test::Velocity { per_day, .. }, _) => n > per_day * accounts,
            (Test::Sprt(rule), Memory::Sprt(state)) => {
                state.merge(SprtState { seen: n, flagged: elicited });
                let verdict = rule.verdict(state);
                if verdict == Verdict::Clear {
                    *state = SprtState::default();
                }
                verdict == Verdict::Alarm
            }
            (Test::Cusum { rule, mean, group }, Memory::Cusum { sum, group: held }) => {
                held.merge(SprtState { seen: n, flagged: elicited });
                // The order within the day is not kept: flags are spread evenly.
                let z = score(*held, *mean, *group);
                let groups = held.seen / group;
                if groups > 0 {
                    let rest = held.seen % group;
                    held.flagged = held.flagged * rest / held.seen;
                    held.seen = rest;
                }
                (0..groups).any(|_| rule.observe(sum, z) == Verdict::Alarm)
            }
            (Test::Mmd { window, table }, Memory::Mmd { window: held, windows }) => {
                held.merge(MmdTableState { queries: n, attack: alike });
                let full = held.queries / window;
                if full == 0 {
                    return false;
                }
                let share = held.attack as f64 / held.queries as f64;
                let power = table.probability(share);
                let alarm = (0..full).any(|_| {
                    let [word, ..] = draws.words_of(who, place, u32::MAX - 1, *windows);
                    *windows += 1;
                    happens(word, power)
                });
                held.queries %= window;
                held.attack = (held.queries as f64 * share).round() as u64;
                alarm
            }
            _ => false,
        }
    }
}

/// How far the share of flags lies above `mean`, in standard deviations of a group of so many.
fn score(counts: SprtState, mean: f64, group: u64) -> f64 {
    let share = counts.flagged as f64 / counts.seen.max(1) as f64;
    (share - mean) * libm::sqrt(group as f64 / (mean * (1.0 - mean)))
}

impl Memory {
    /// Adds what is remembered to a hash of the state.
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) {
        let mut put = |words: &[u64]| {
            for word in words {
                hasher.update(&word.to_le_bytes());
            }
        };
        match self {
            Self::Velocity(state) => put(&state.words()),
            Self::Sprt(state) => put(&[state.seen, state.flagged]),
            Self::Cusum { sum, group } => put(&[sum.sum.to_bits(), group.seen, group.flagged]),
            Self::Entropy(state) => state.words().for_each(|word| put(&[word])),
            Self::Mmd { window, windows } => {
                put(&[window.queries, window.attack, u64::from(*windows)]);
            }
        }
    }
}
