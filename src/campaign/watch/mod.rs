//! Detectors inside the engine. Each turns what it sees into a score, the larger the more suspicious, and alarms
//! above a limit: its own, or one that a separate honest population has set ([`super::calibrate`]). The tests
//! themselves are in [`super::detect`].

mod log;
mod memory;
mod reference;

pub use log::{Act, Log};
pub use memory::Memory;

use memory::State;

use super::content::Content;
use super::detect::cusum::Cusum;
use super::detect::entropy::Entropy;
use super::detect::mmd_features::MmdWindow;
use super::detect::mmd_table::{FalsePositives, MmdTable, MmdTableState};
use super::detect::prada::Prada;
use super::detect::seat::Pairs;
use super::detect::sprt::{Sprt, SprtState};
use super::detect::synchrotrap::SynchroTrap;
use super::detect::velocity::{SpendToAge, Velocity};
use super::detect::{Verdict, cusum, entropy, mmd_table, prada, seat, sprt, synchrotrap, velocity};
use super::draw::{Draws, Purpose, happens, unit};
use super::spec::{DetectorKind, DetectorSpec, Scenario};
use crate::error::Result;

/// A detector with its settings in place.
#[derive(Clone, Debug)]
pub struct Watcher {
    /// Name in the scenario.
    pub name: String,
    pub review_us: u64,
    /// Scores above it alarm.
    pub limit: f64,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    Velocity(Velocity),
    SpendToAge(SpendToAge),
    Sprt(Sprt),
    Cusum { rule: Cusum, mean: f64, group: u64 },
    Entropy(Entropy),
    MmdTable { window: u64, table: MmdTable },
    Prada(Prada),
    Seat(Pairs),
    Mmd(Box<MmdWindow>),
    Synchrotrap { trap: SynchroTrap, min_size: usize },
    Graph,
}

/// What a cluster has asked since the last look.
pub struct Pooled<'a> {
    /// Exchanges; those that look like a campaign's; those that ask for visible reasoning.
    pub sums: [u64; 3],
    pub accounts: u64,
    /// In the order of time; empty unless a detector reads it.
    pub log: &'a Log,
}

/// Whose evidence it is, for draws of a detector's own.
#[derive(Clone, Copy)]
pub struct Address<'a> {
    pub draws: &'a Draws,
    /// Account, or the lowest of a cluster.
    pub who: u32,
    /// Place among the detectors.
    pub place: usize,
}

impl Watcher {
    /// The detector in the world of a scenario. One that is to be calibrated never alarms before that.
    pub fn new(spec: &DetectorSpec, scenario: &Scenario, content: &Content) -> Result<Self> {
        let calibrated = spec.calibrate.is_some();
        let (test, own) = Test::new(spec, scenario, content, calibrated)?;
        Ok(Self {
            name: spec.name.clone(),
            review_us: (spec.review_delay_h * 3600e6) as u64,
            limit: if calibrated { f64::INFINITY } else { own },
            test,
        })
    }

    /// Nothing seen yet.
    pub fn memory(&self) -> Memory {
        Memory::new(match self.test {
            Test::Velocity(_) => State::Velocity(Default::default()),
            Test::Sprt(_) => State::Sprt(Default::default()),
            Test::Cusum { .. } => {
                State::Cusum { sum: Default::default(), group: Default::default() }
            }
            Test::Entropy(_) => State::Entropy(Default::default()),
            Test::MmdTable { .. } => State::MmdTable { window: Default::default(), windows: 0 },
            Test::Prada(_) => State::Prada(Default::default()),
            Test::Seat(_) => State::Seat(Default::default()),
            Test::Mmd(_) => State::Mmd(Default::default()),
            Test::Synchrotrap { .. } => State::Acts(Default::default()),
            Test::SpendToAge(_) | Test::Graph => State::Nothing,
        })
    }

    /// Whether this exchange makes it alarm.
    #[inline]
    pub fn observe(
        &self,
        memory: &mut Memory,
        act: &Act,
        vector: &[f64],
        address: Address<'_>,
    ) -> bool {
        match self.test.score(&mut memory.state, act, vector, address) {
            Some(score) => self.judge(memory, score),
            None => false,
        }
    }

    /// Whether exchanges of a whole cluster since the last look make it alarm.
    pub fn observe_pooled(
        &self,
        memory: &mut Memory,
        seen: &Pooled<'_>,
        address: Address<'_>,
    ) -> bool {
        match self.test.pooled_score(&mut memory.state, seen, address) {
            Some(score) => self.judge(memory, score),
            None => false,
        }
    }

    /// Whether a score alarms; the memory keeps the highest.
    pub fn judge(&self, memory: &mut Memory, score: f64) -> bool {
        memory.peak = memory.peak.max(score);
        score > self.limit
    }

    /// The detector of synchrony that this is, and the accounts of its smallest group.
    pub const fn synchrotrap(&self) -> Option<usize> {
        match self.test {
            Test::Synchrotrap { min_size, .. } => Some(min_size),
            _ => None,
        }
    }
}

impl Test {
    /// The test, and the limit that its own settings mean.
    fn new(
        spec: &DetectorSpec,
        scenario: &Scenario,
        content: &Content,
        calibrated: bool,
    ) -> Result<(Self, f64)> {
        Ok(match spec.test {
            DetectorKind::Velocity { per_day } => {
                let limit = u64::from(per_day);
                let rule = velocity::Params { limit, window_h: 24 }.build()?;
                (Self::Velocity(rule), f64::from(per_day))
            }
            DetectorKind::SpendToAge { usd_per_day } => {
                let rule = velocity::SpendParams { min_age_h: 24 }.build()?;
                (Self::SpendToAge(rule), usd_per_day)
            }
            DetectorKind::Sprt { p_benign, p_attack, alpha, beta } => {
                let rule = sprt::Params { p0: p_benign, p1: p_attack, alpha, beta, restart: true };
                let rule = rule.build()?;
                // Wald's test alarms at the boundary itself.
                let limit = rule.boundaries().0.next_down();
                (Self::Sprt(rule), limit)
            }
            DetectorKind::Cusum { p_benign, group, k, h } => {
                let (rule, group) = (cusum::Params { k, h }.build()?, u64::from(group));
                (Self::Cusum { rule, mean: p_benign, group }, h)
            }
            DetectorKind::Entropy { window, below } => {
                let cells = u32::from(scenario.benign.topics);
                let rule = entropy::Params { window, cells, threshold_nats: below }.build()?;
                (Self::Entropy(rule), -below)
            }
            DetectorKind::MmdTable { window } => {
                let window = u64::from(window);
                let false_positives = FalsePositives::Upper;
                let table = mmd_table::Params { window, false_positives }.build()?;
                (Self::MmdTable { window, table }, 0.5)
            }
            DetectorKind::Prada { delta, cap } => {
                (Self::Prada(prada::Params { delta, cap: cap as usize }.build()?), -delta)
            }
            DetectorKind::Seat { cosine, max_pairs, cap } => {
                let max = u64::from(max_pairs);
                let rule =
                    seat::PairsParams { threshold: cosine, max_pairs: max, cap: cap as usize };
                (Self::Seat(rule.build()?), max as f64)
            }
            DetectorKind::Mmd { window, frequencies, null_share } => {
                let share = (!calibrated).then_some(null_share);
                let seed = scenario.scenario.seed;
                let test =
                    reference::mmd(content, seed, window as usize, frequencies as usize, share)?;
                let limit = test.threshold;
                (Self::Mmd(Box::new(test)), limit)
            }
            DetectorKind::Synchrotrap { bucket_minutes, similarity, min_size } => {
                let bucket_s = u64::from(bucket_minutes) * 60;
                let trap = synchrotrap::Params { bucket_s, cap: 2_000 }.build()?;
                (Self::Synchrotrap { trap, min_size: min_size as usize }, similarity)
            }
            DetectorKind::Graph { min_size } => (Self::Graph, f64::from(min_size) - 1.0),
        })
    }

    /// The score after one exchange, if there is one to judge.
    #[inline]
    fn score(
        &self,
        state: &mut State,
        act: &Act,
        vector: &[f64],
        address: Address<'_>,
    ) -> Option<f64> {
        match (self, state) {
            (Self::Velocity(rule), State::Velocity(state)) => {
                rule.observe(state, act.at, 1);
                Some(state.count() as f64)
            }
            (Self::SpendToAge(rule), _) => Some(rule.usd_per_day(act.purchased_usd, act.age_us)),
            (Self::Sprt(rule), State::Sprt(state)) => {
                state.merge(SprtState { seen: 1, flagged: u64::from(act.elicits) });
                Some(ratio(rule, state))
            }
            (Self::Cusum { rule, mean, group }, State::Cusum { sum, group: held }) => {
                held.merge(SprtState { seen: 1, flagged: u64::from(act.elicits) });
                if held.seen < *group {
                    return None;
                }
                rule.observe(sum, standardised(std::mem::take(held), *mean, *group));
                Some(sum.sum)
            }
            (Self::Entropy(rule), State::Entropy(state)) => {
                rule.of_full_window(state, u32::from(act.subject.topic)).map(|nats| -nats)
            }
            (Self::MmdTable { window, table }, State::MmdTable { window: held, windows }) => {
                held.merge(MmdTableState { queries: 1, attack: u64::from(act.alike) });
                if held.queries < *window {
                    return None;
                }
                let word = address.word(u32::MAX, *windows);
                *windows += 1;
                Some(f64::from(table.verdict(held, unit(word)) == Verdict::Alarm))
            }
            (Self::Prada(rule), State::Prada(state)) => {
                let before = state.last_check();
                rule.observe(state, u32::from(act.subject.topic), vector);
                state.last_check().filter(|now| Some(*now) != before).map(|check| -check.w)
            }
            (Self::Seat(rule), State::Seat(state)) => {
                rule.observe(state, vector);
                Some(state.count as f64)
            }
            (Self::Mmd(rule), State::Mmd(state)) => rule.of_full_window(state, vector.into()),
            (Self::Synchrotrap { trap, .. }, State::Acts(acts)) => {
                trap.observe(acts, act.subject.cell, act.at);
                None // judged once a day, beside others
            }
            _ => unreachable!("a memory is made by its watcher"),
        }
    }

    /// The highest score over what a cluster has asked in a day.
    fn pooled_score(
        &self,
        state: &mut State,
        seen: &Pooled<'_>,
        address: Address<'_>,
    ) -> Option<f64> {
        let [n, alike, elicited] = seen.sums;
        match (self, state) {
            (Self::Graph, _) => Some(seen.accounts as f64),
            (Self::Velocity(_), _) => Some(n as f64 / seen.accounts as f64),
            (Self::Sprt(rule), State::Sprt(state)) => {
                state.merge(SprtState { seen: n, flagged: elicited });
                Some(ratio(rule, state))
            }
            (Self::Cusum { rule, mean, group }, State::Cusum { sum, group: held }) => {
                held.merge(SprtState { seen: n, flagged: elicited });
                // The order within the day is not kept: flags are spread evenly.
                let z = standardised(*held, *mean, *group);
                let groups = held.seen / group;
                if groups > 0 {
                    let rest = held.seen % group;
                    held.flagged = held.flagged * rest / held.seen;
                    held.seen = rest;
                }
                let sums = (0..groups).map(|_| {
                    rule.observe(sum, z);
                    sum.sum
                });
                sums.reduce(f64::max)
            }
            (Self::MmdTable { window, table }, State::MmdTable { window: held, windows }) => {
                held.merge(MmdTableState { queries: n, attack: alike });
                let full = held.queries / window;
                if full == 0 {
                    return None;
                }
                let share = held.attack as f64 / held.queries as f64;
                let power = table.probability(share);
                let alarm = (0..full).any(|_| {
                    let word = address.word(u32::MAX - 1, *windows);
                    *windows += 1;
                    happens(word, power)
                });
                held.queries %= window;
                held.attack = (held.queries as f64 * share).round() as u64;
                Some(f64::from(alarm))
            }
            (_, state) => {
                let scores = seen
                    .log
                    .acts()
                    .filter_map(|(act, vector)| self.score(state, act, vector, address));
                scores.reduce(f64::max)
            }
        }
    }
}

impl Address<'_> {
    fn word(&self, epoch: u32, nth: u32) -> u32 {
        self.draws.words_at(self.who, Purpose::Detector, self.place as u32, epoch, nth)[0]
    }
}

/// The evidence of a sequential test that begins anew whenever it would clear.
fn ratio(rule: &Sprt, state: &mut SprtState) -> f64 {
    let ratio = rule.log_ratio(state);
    if ratio <= rule.boundaries().1 {
        *state = SprtState::default();
    }
    ratio
}

/// How far the share of flags lies above `mean`, in standard deviations of a group of so many.
fn standardised(counts: SprtState, mean: f64, group: u64) -> f64 {
    let share = counts.flagged as f64 / counts.seen.max(1) as f64;
    (share - mean) * libm::sqrt(group as f64 / (mean * (1.0 - mean)))
}
