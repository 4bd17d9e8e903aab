//! How much of what has leaked an actor's chips have processed by a day.
//!
//! Compute accrues from the actor's first day and cannot be saved up: with nothing left to process, chips
//! idle. Between two days of the grid leaking is taken as even, for which the recursion below is exact:
//! over an interval either the chips never idle, or they end it with nothing left.
//!
//! processed(d) = min(leaked(d), processed(d') + (d - d') x FLOP a day / FLOP an exchange)

use super::Leak;
use crate::campaign::spec::ActorSpec;

/// What was processed by a day.
#[derive(Clone, Debug, PartialEq)]
pub struct Processed {
    /// Exchanges of each area, in proportion to what had leaked.
    pub areas: Vec<u64>,
    /// Operations that went into the declared student so far, overhead not counted.
    pub flop: f64,
}

/// What `actor` had processed at each of these days, which rise.
pub fn processed(actor: &ActorSpec, leaks: &[Leak]) -> Vec<Processed> {
    let per_day = actor.training.flop_per_day();
    let (mut since, mut done, mut flop) = (actor.start_day, 0.0_f64, 0.0);
    let mut out = Vec::with_capacity(leaks.len());
    for leak in leaks {
        let total: u64 = leak.areas.iter().sum();
        let day = f64::from(leak.day).max(since);
        let tokens = leak.tokens as f64 / total.max(1) as f64;
        let each = (actor.training.flop_per_token() * tokens).max(1.0);
        let now = (total as f64).min(done + (day - since) * per_day / each).max(done);
        flop += (now - done) * each;
        out.push(Processed { areas: shares(&leak.areas, now, total), flop });
        (since, done) = (day, now);
    }
    out
}

/// Each area's part of `done` among `total` exchanges, rounded down.
fn shares(areas: &[u64], done: f64, total: u64) -> Vec<u64> {
    if done >= total as f64 {
        return areas.to_vec();
    }
    areas.iter().map(|&n| (n as f64 * (done / total as f64)) as u64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chips that process `exchanges` of 100 tokens a day.
    fn actor(exchanges: f64, start_day: f64) -> ActorSpec {
        let mut actor: ActorSpec =
            toml::from_str("name = \"a\"\nexchanges = 1\naccounts = 1").unwrap();
        actor.start_day = start_day;
        let t = &mut actor.training;
        t.overhead_kappa = 2.0;
        t.chip_cap_flop_per_day = Some(2.0 * exchanges * 100.0 * 6.0 * t.student_params_b * 1e9);
        actor
    }

    fn leaks(days: &[(u32, u64)]) -> Vec<Leak> {
        let leak = |&(day, n)| Leak { day, areas: vec![n, 3 * n], tokens: 400 * n };
        days.iter().map(leak).collect()
    }

    fn firsts(actor: &ActorSpec, days: &[(u32, u64)]) -> Vec<u64> {
        processed(actor, &leaks(days)).iter().map(|p| p.areas[0]).collect()
    }

    #[test]
    fn with_chips_to_spare_all_that_leaked_is_processed() {
        let days = [(1, 10), (3, 25), (7, 25)];
        let got = processed(&actor(1e6, 0.0), &leaks(&days));
        assert_eq!(
            got.iter().map(|p| p.areas.clone()).collect::<Vec<_>>(),
            [[10, 30], [25, 75], [25, 75]]
        );
        let flop_per_exchange = 100.0 * 6.0 * 7e9;
        assert!((got[2].flop / (100.0 * flop_per_exchange) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn short_of_chips_progress_is_days_times_rate() {
        assert_eq!(firsts(&actor(40.0, 0.0), &[(1, 1_000), (3, 9_000), (7, 9_000)]), [10, 30, 70]);
    }

    #[test]
    fn chips_that_idled_do_not_catch_up_at_once() {
        // Day 2: 20 of 20. Then 1,000 leak; 40 exchanges a day are 10 of the first area.
        assert_eq!(firsts(&actor(40.0, 0.0), &[(2, 5), (3, 1_000), (10, 1_000)]), [5, 15, 85]);
        // A backlog that is worked off.
        assert_eq!(firsts(&actor(40.0, 0.0), &[(1, 30), (2, 30), (5, 30)]), [10, 20, 30]);
    }

    #[test]
    fn compute_starts_with_the_campaign() {
        assert_eq!(firsts(&actor(40.0, 2.5), &[(1, 0), (3, 100), (4, 100)]), [0, 5, 15]);
    }

    #[test]
    fn nothing_leaked_is_nothing_processed() {
        let got = processed(&actor(40.0, 0.0), &leaks(&[(1, 0), (2, 0)]));
        assert_eq!(got[1], Processed { areas: vec![0, 0], flop: 0.0 });
    }
}
