//! What happens between epochs, on one thread and in the order of account numbers: closed accounts are
//! replaced, demand is spread anew, the global limit learns, accounts are linked and clusters judged.

use std::collections::VecDeque;

use super::calendar::DAY;
use super::engine::Engine;
use super::population;
use super::rules::{Actor, Rules};
use super::spec::ScopeKey;
use crate::error::Result;
use crate::ledger::Tick;

/// Where an actor's plan stands.
#[derive(Clone, Debug)]
pub struct Camp {
    /// Accounts that are open.
    pub open: u32,
    /// Accounts opened so far.
    pub opened: u32,
    /// Accounts that it may still open.
    pub replacements: u32,
    /// When closed accounts are replaced, first due first.
    pub due: VecDeque<Tick>,
}

impl Camp {
    pub(super) fn new(actor: &Actor) -> Self {
        let replacements = actor.spec.replacements();
        Self { open: 0, opened: 0, replacements, due: VecDeque::new() }
    }
}

impl Engine<'_> {
    /// Opens an account of an actor.
    pub(super) fn open(&mut self, actor: usize, born: Tick) {
        let camp = &mut self.camps[actor];
        let account = population::opened(self.rules, actor, self.next_id, camp.opened, born);
        camp.opened += 1;
        camp.open += 1;
        self.next_id += 1;
        self.days.of(born, actor + 1).opened += 1;
        self.admit(account);
    }

    /// The barrier before the epoch to come: its rates of each actor's accounts.
    pub(super) fn meet(&mut self) -> Result<Vec<f64>> {
        let now = Tick(u64::from(self.epoch) * self.rules.epoch_us);
        let new_day = now.0.is_multiple_of(DAY);
        if self.epoch > 0 && new_day && self.rules.links() {
            self.look_at_clusters(now)?;
        }
        if self.epoch > 0 && new_day && self.rules.reads.synchrony {
            self.look_at_synchrony(now);
        }
        let known = self.next_id;
        self.replace(now);
        if self.rules.shares() && (new_day || self.next_id > known) {
            self.regroup(now);
        }
        self.learn_global();
        Ok(self.rates(now))
    }

    /// Closed accounts leave; the next ones come when they are due.
    fn replace(&mut self, now: Tick) {
        while let Some(closing) = self.closings.pop_if(|c| c.at <= now) {
            let Some(actor) = usize::from(closing.party).checked_sub(1) else { continue };
            let camp = &mut self.camps[actor];
            camp.open -= 1;
            if camp.replacements > 0 {
                camp.replacements -= 1;
                camp.due.push_back(closing.at.after(self.rules.actors[actor].replace_us));
            }
        }
        for actor in 0..self.camps.len() {
            while self.camps[actor].due.front().is_some_and(|at| *at <= now) {
                self.camps[actor].due.pop_front();
                self.open(actor, now);
            }
        }
    }

    /// The share of requests that the global limit lets through, by what the epoch before asked for.
    fn learn_global(&mut self) {
        let limits = self.rules.scopes.iter().zip(self.asked);
        let shares = limits
            .filter(|(scope, asked)| scope.key == ScopeKey::Global && *asked > scope.per_epoch)
            .map(|(scope, asked)| (u128::from(scope.per_epoch) << 32) / u128::from(asked));
        self.admitted = shares.min().map_or(1 << 32, |share| share as u64);
    }

    /// Requests of an account in a microsecond, for each actor.
    fn rates(&self, now: Tick) -> Vec<f64> {
        let rules = self.rules;
        let each = rules.actors.iter().enumerate().map(|(i, actor)| {
            let camp = &self.camps[i];
            let able = camp.open.saturating_sub(self.stuck[i]);
            let done: u64 = self.days.of_party(i + 1).map(|t| t.attack).sum();
            let wanted = wanted(rules, actor, now, done);
            let over = if actor.even { actor.spec.accounts } else { able };
            let rhythm = if actor.diurnal { rules.calendar.factor(now) } else { 1.0 };
            match over {
                0 => 0.0,
                n => wanted * rhythm / rules.epoch_us as f64 / f64::from(n) / actor.spec.mix_share,
            }
        });
        each.collect()
    }
}

/// Exchanges of its own that an actor wants from the epoch at `now`.
fn wanted(rules: &Rules, actor: &Actor, now: Tick, done: u64) -> f64 {
    let end = now.0 + rules.epoch_us;
    if end <= actor.start_us || done >= actor.spec.exchanges {
        return 0.0;
    }
    let deadline = actor.deadline(rules.end).max(end);
    let now = now.0.max(actor.start_us);
    let whole = if actor.even { actor.start_us } else { now };
    let left = if actor.even { actor.spec.exchanges } else { actor.spec.exchanges - done };
    left as f64 * pace(actor, now, end) / pace(actor, whole, deadline)
}

/// Effort from `a` to `b`: it grows in a straight line to 1 over the ramp. Microseconds.
fn pace(actor: &Actor, a: u64, b: u64) -> f64 {
    let ramp = actor.ramp_us as f64;
    let so_far = |at: u64| {
        let t = at.saturating_sub(actor.start_us) as f64;
        if t < ramp { t * t / (2.0 * ramp) } else { t - ramp / 2.0 }
    };
    (so_far(b) - so_far(a)).max(f64::MIN_POSITIVE)
}
