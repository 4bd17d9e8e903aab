//! What actors get and what honest people lose, in the order of their tables.

use super::measure::Unit::{Count, Days, Hours, Price, Seconds, Share, Times, Usd};
use super::measure::{Case, Measure, measure};
use super::spread::Value;
use crate::experiment::campaign::record::{Outcome, Party, Point, Refusal, Tally};
use crate::metric::Better::{Higher, Lower, Neither};

/// What an arm let through to an actor.
pub const CATCH: [Measure; 5] = [
    measure("collected", "target collected, %", Share, Higher, collected),
    measure("useful", "useful exchanges", Count, Higher, |c| sum(c, |t| t.useful)),
    measure("opened", "accounts opened", Count, Neither, |c| sum(c, |t| t.opened)),
    measure("closed", "accounts closed", Count, Lower, |c| sum(c, |t| t.closed)),
    measure("days_to_half", "days to half the target", Days, Lower, |c| {
        Value::plain(days_to_half(c.party, c.settings.wanted(&c.party.name)?))
    }),
];

/// How soon an actor was met.
pub const MET: [Measure; 5] = [
    measure("leak_before_ban_mean", "leak before ban, mean", Count, Higher, |c| leak(c, 0)),
    measure("leak_before_ban_median", "median", Count, Higher, |c| leak(c, 1)),
    measure("leak_before_ban_p90", "p90", Count, Higher, |c| leak(c, 2)),
    measure("hours_to_detection", "hours to detection", Hours, Higher, |c| {
        Value::plain(c.party.hours_to_detection.unwrap_or(f64::INFINITY))
    }),
    measure("hours_to_alarm", "hours to an account's alarm", Hours, Higher, |c| {
        Value::plain(c.party.hours_to_alarm?)
    }),
];

/// Share of a target from which it counts as collected.
pub const REACHED: f64 = 0.95;

/// What that cost it.
pub const PRICE: [Measure; 4] = [
    measure("usd_to_target", "$ to the target", Price, Lower, |c| {
        Value::plain(usd_to_target(c.party, c.settings.wanted(&c.party.name)?))
    }),
    measure("usd", "$ in all", Usd, Lower, |c| Value::plain(c.last()?.usd.total())),
    measure("usd_per_1000", "$ per 1,000 useful", Usd, Lower, |c| {
        Value::plain(usd_per_thousand(c)?)
    }),
    measure("cost_multiplier", "cost multiplier", Times, Lower, |c| {
        Value::plain(usd_per_thousand(c)? / usd_per_thousand(&c.before()?).filter(|v| *v > 0.0)?)
    }),
];

/// What honest people lose.
pub const HARM: [Measure; 5] = [
    measure("requests_lost", "requests lost, %", Share, Lower, |c| {
        let t = tally(c)?;
        Value::rate(t.lost() as f64, t.wanted as f64, 1.0)
    }),
    measure("requests_lost_closed", "to closed accounts, %", Share, Lower, |c| {
        let t = tally(c)?;
        Value::rate(t.refused[Refusal::Closed as usize] as f64, t.wanted as f64, 1.0)
    }),
    measure("perturbed", "volume perturbed, %", Share, Lower, |c| {
        let t = tally(c)?;
        Value::rate(t.perturbed as f64, t.answered as f64, 1.0)
    }),
    measure("wait_p95", "wait p95, s", Seconds, Lower, |c| Value::plain(c.last()?.wait_p95_s)),
    measure("never_closed", "accounts never closed, %", Share, Higher, |c| {
        Value::rest(tally(c)?.closed as f64, c.party.accounts as f64)
    }),
];

/// Honest accounts that were closed.
pub const BANS: [Measure; 5] = [
    measure("wrong_bans", "wrong bans", Count, Lower, |c| {
        wrong_bans(c, c.party.accounts as f64 * c.settings.weight)
    }),
    measure("wrong_bans_per_100k", "per 100,000 accounts", Count, Lower, |c| wrong_bans(c, 1e5)),
    measure("wrong_bans_per_day", "per day", Count, Lower, |c| {
        let days = f64::from(c.last()?.day);
        wrong_bans(c, c.party.accounts as f64 * c.settings.weight / days)
    }),
    measure("reopened", "reopened after appeal", Count, Higher, |c| {
        let t = tally(c).filter(|t| t.closed > 0)?;
        Value::plain(t.reopened as f64 * c.settings.weight)
    }),
    measure("reopened_share", "of bans, %", Share, Higher, |c| {
        let t = tally(c)?;
        Value::rate(t.reopened as f64, t.closed as f64, 1.0)
    }),
];

/// Its sums at the end.
pub fn tally<'a>(c: &Case<'a>) -> Option<&'a Tally> {
    c.last().map(|p| &p.sums)
}

fn sum(c: &Case<'_>, of: fn(&Tally) -> u64) -> Option<Value> {
    Value::plain(of(tally(c)?) as f64)
}

fn collected(c: &Case<'_>) -> Option<Value> {
    Value::plain(tally(c)?.attack as f64 / c.settings.wanted(&c.party.name)?)
}

/// Days at which half of `wanted` was there.
pub fn days_to_half(party: &Party, wanted: f64) -> f64 {
    at_count(party, wanted / 2.0, |point| f64::from(point.day))
}

/// Dollars paid by the time the target was collected.
fn usd_to_target(party: &Party, wanted: f64) -> f64 {
    at_count(party, REACHED * wanted, |point| point.usd.total())
}

/// A number at the moment when so many exchanges were there: linear between days of the grid; infinite where
/// they never were.
fn at_count(party: &Party, count: f64, of: fn(&Point) -> f64) -> f64 {
    let mut from = (0.0, 0.0);
    for point in &party.points {
        let to = (of(point), point.sums.attack as f64);
        if to.1 >= count {
            let share = if to.1 > from.1 { (count - from.1) / (to.1 - from.1) } else { 0.0 };
            return from.0 + share * (to.0 - from.0);
        }
        from = to;
    }
    f64::INFINITY
}

fn leak(c: &Case<'_>, which: usize) -> Option<Value> {
    Value::plain(c.party.leak_before_ban?[which])
}

fn usd_per_thousand(c: &Case<'_>) -> Option<f64> {
    let point = c.last()?;
    let useful = point.sums.useful as f64;
    (useful > 0.0).then(|| 1_000.0 * point.usd.total() / useful)
}

fn wrong_bans(c: &Case<'_>, scale: f64) -> Option<Value> {
    Value::rate(tally(c)?.closed as f64, c.party.accounts as f64, scale)
}

/// A sum over actors at the end.
pub fn sum_of_actors(outcome: &Outcome, of: fn(&Tally) -> u64) -> f64 {
    outcome.actors.iter().filter_map(|p| p.points.last()).map(|p| of(&p.sums) as f64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::synthetic::spread;

    #[test]
    fn a_catch_is_a_share_of_what_was_wanted() {
        let open = spread(&CATCH, "collected", 0, Some("mm"));
        assert_eq!((open.n, open.median, open.ends), (3, Some(1.001), Some((1.0, 1.002))));
        assert_eq!(spread(&CATCH, "collected", 2, Some("ds")).median, Some(0.255));
        assert_eq!(spread(&CATCH, "closed", 0, Some("mm")).median, Some(0.0));
        // 500 of 1,000 at day 10; 52 of 200 at the end.
        assert_eq!(spread(&CATCH, "days_to_half", 0, Some("mm")).median, Some(10.0));
        assert_eq!(spread(&CATCH, "days_to_half", 2, Some("ds")).median, Some(f64::INFINITY));
    }

    #[test]
    fn a_dearer_exchange_is_a_multiple_of_the_first_arms() {
        assert_eq!(spread(&PRICE, "cost_multiplier", 0, Some("mm")).median, Some(1.0));
        let open = spread(&PRICE, "usd_per_1000", 0, Some("ds")).median.unwrap();
        let bans = spread(&PRICE, "usd_per_1000", 2, Some("ds")).median.unwrap();
        let times = spread(&PRICE, "cost_multiplier", 2, Some("ds")).median.unwrap();
        assert!((times - bans / open).abs() < 0.05 && times > 1.0, "{times} {bans} {open}");
        assert_eq!(spread(&PRICE, "usd_to_target", 2, Some("ds")).median, Some(f64::INFINITY));
        let to_target = spread(&PRICE, "usd_to_target", 0, Some("mm")).median.unwrap();
        let in_all = spread(&PRICE, "usd", 0, Some("mm")).median.unwrap();
        assert!(to_target > 0.9 * in_all && to_target < in_all, "{to_target} of {in_all}");
        assert_eq!(spread(&MET, "hours_to_detection", 0, Some("mm")).median, Some(f64::INFINITY));
        assert_eq!(spread(&MET, "leak_before_ban_p90", 2, Some("mm")).median, Some(90.0));
    }

    #[test]
    fn no_wrong_ban_is_a_bound_and_weights_count() {
        let none = spread(&BANS, "wrong_bans", 0, None);
        let bound = none.bound.unwrap();
        // Three replicates of 2,000 accounts, each for two: 4,000 (1 - 0.05^(1/6000)).
        assert!((bound.at - 1.9967).abs() < 1e-3 && bound.units == 6_000.0, "{bound:?}");
        let some = spread(&BANS, "wrong_bans", 2, None);
        assert_eq!((some.median, some.bound), (Some(8.0), None));
        assert_eq!(spread(&BANS, "wrong_bans_per_100k", 2, None).median, Some(200.0));
        assert_eq!(spread(&BANS, "wrong_bans_per_day", 2, None).median, Some(0.4));
        assert_eq!(spread(&BANS, "reopened_share", 2, None).median, Some(0.25));
        assert_eq!(spread(&HARM, "never_closed", 2, None).median, Some(0.998));
        assert!(spread(&HARM, "never_closed", 0, None).bound.unwrap().above);
    }
}
