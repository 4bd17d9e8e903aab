//! When an account asks next.
//!
//! Honest people: sessions as a Poisson process in the rhythm of the week, within times of activity that
//! come and go; turns of a session a geometric number, gaps between them gamma (after ServeGen, arXiv
//! 2505.09999, whose clients are bursty and idle most of the time). Actors: a Poisson process at the rate
//! that the barrier sets for the epoch, moved to a common signal.

use super::account::{Account, NEVER};
use super::draw::{Purpose, happens, unit};
use super::exchange::Desk;
use super::rules::Rules;
use crate::ledger::Tick;

/// Sets the next event after the request wanted at `account.wanted` ended at `now`.
#[inline]
pub fn next(rules: &Rules, account: &mut Account, now: Tick, desk: &Desk) {
    account.tried = false;
    if account.party == 0 {
        account.wanted = next_of_person(rules, account, account.wanted);
        account.nth += 1;
        // Whoever still waited for an answer asks on afterwards.
        account.next = account.wanted.max(now.after(1));
        return;
    }
    if account.epoch == desk.epoch {
        account.nth += 1;
    } else {
        (account.epoch, account.nth) = (desk.epoch, 0);
    }
    account.next = next_of_actor(rules, account, now, desk);
    account.wanted = account.next;
}

/// When a person asks after having asked at `from`.
pub fn next_of_person(rules: &Rules, account: &mut Account, from: Tick) -> Tick {
    let honest = &rules.honest;
    if let Some(replay) = &honest.replay {
        let at = replay.time(account.id, account.nth.wrapping_add(1));
        return at.filter(|at| at.0 < rules.end).unwrap_or(NEVER);
    }
    if account.turns_left > 0 {
        account.turns_left -= 1;
        let [word, ..] = rules.draws.words(account.id, Purpose::Arrival, 0, account.nth);
        return from.after(honest.gap.at(word) as u64 + 1);
    }
    let exponential = |word| f64::from(rules.exponential.at(word));
    let most = account.sessions_per_us * rules.calendar.most();
    let mut at = from;
    for trial in 1.. {
        let words = rules.draws.words(account.id, Purpose::Arrival, trial, account.nth);
        let candidate = at.after((exponential(words[0]) / most).min(1e18) as u64 + 1);
        if candidate > account.active_until {
            // The time of sessions ends first: on to the next one. Waiting has no memory.
            let idle = exponential(words[1]) * honest.idle_us;
            let active = exponential(words[2]) * honest.active_us;
            at = account.active_until.max(at).after(idle as u64);
            account.active_until = at.after(active as u64 + 1);
            if at.0 >= rules.end {
                return NEVER;
            }
            continue;
        }
        at = candidate;
        if at.0 >= rules.end {
            return NEVER;
        }
        if happens(words[1], rules.calendar.factor(at) / rules.calendar.most()) {
            account.turns_left =
                honest.turns.iter().take_while(|&&t| u64::from(words[3]) >= t).count() as u32;
            return at;
        }
    }
    NEVER
}

/// Wakes an actor's account at the start of an epoch.
pub fn wake(rules: &Rules, account: &mut Account, from: Tick, desk: &Desk) {
    (account.epoch, account.nth) = (desk.epoch, 0);
    account.next = next_of_actor(rules, account, from, desk);
    account.wanted = account.next;
}

/// The next request of an actor's account, not before `now`, or [`NEVER`] if none falls into this epoch.
fn next_of_actor(rules: &Rules, account: &mut Account, now: Tick, desk: &Desk) -> Tick {
    let party = usize::from(account.party) - 1;
    let rate = desk.rates[party];
    let start = Tick(u64::from(desk.epoch) * rules.epoch_us);
    let barrier = start.after(rules.epoch_us);
    if rate <= 0.0 {
        return NEVER;
    }
    let words = rules.draws.words(account.id, Purpose::Arrival, account.epoch, account.nth);
    let gap = (f64::from(rules.exponential.at(words[0])) / rate).min(1e18) as u64 + 1;
    // The process runs on its own times: those that a signal or a limit moves must not hurry it.
    let at = account.drawn.max(start).after(gap);
    account.drawn = at.min(barrier);
    if at >= barrier {
        return NEVER;
    }
    let moved = match rules.actors[party].sync {
        None => at,
        // The signal before, and a delay of the account's own.
        Some([every, jitter]) => {
            Tick((at.0 / every) * every + (unit(words[1]) * jitter as f64) as u64)
        }
    };
    moved.max(now.after(1))
}
