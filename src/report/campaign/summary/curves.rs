//! Curves over replicates: survival, detection, daily caps, and sums day by day.

use super::gather::{Arm, party};
use super::spread::Spread;
use crate::experiment::campaign::record::{Outcome, Point, Roc, Scope};

/// Share of a party's accounts that are open at each age in days, mean over replicates.
pub fn survival(arm: &Arm<'_>, actor: Option<&str>) -> Vec<f64> {
    let all: Vec<&[f64]> =
        arm.outcomes.values().filter_map(|o| Some(party(o, actor)?.survival.as_slice())).collect();
    let ages = all.iter().map(|s| s.len()).min().unwrap_or(0);
    let mean = |age: usize| all.iter().map(|s| s[age]).sum::<f64>() / all.len() as f64;
    (0..ages).map(mean).collect()
}

/// True positives at each false-positive share that honest units can show, over replicates.
pub fn roc(arm: &Arm<'_>, scope: Scope) -> Vec<(f64, Spread)> {
    let all: Vec<&Roc> =
        arm.outcomes.values().flat_map(|o| &o.roc).filter(|r| r.scope == scope).collect();
    let Some(first) = all.first() else { return Vec::new() };
    // A share finer than one honest unit says only that none was flagged.
    let finest = all.iter().map(|r| 1.0 / r.honest.max(1) as f64).fold(0.0, f64::max);
    let shares = first.points.iter().map(|p| p[0]).filter(|&share| share >= finest);
    let at = |share: f64| {
        let of = |r: &&Roc| r.points.iter().find(|p| p[0] == share).map(|p| p[1]);
        (share, Spread::plain(all.iter().filter_map(of)))
    };
    shares.map(at).collect()
}

/// The area under that curve.
pub fn auc(arm: &Arm<'_>, scope: Scope) -> Spread {
    let all = arm.outcomes.values().flat_map(|o| &o.roc);
    Spread::plain(all.filter(|r| r.scope == scope).map(|r| r.auc))
}

/// What a daily cap would take from either side.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CapAt {
    pub per_day: u64,
    pub honest_requests: Spread,
    pub attack_left: Spread,
}

/// Every cap, over the replicates of an arm.
pub fn caps(arm: &Arm<'_>) -> Vec<CapAt> {
    let Some(first) = arm.outcomes.values().next() else { return Vec::new() };
    let at = |per_day: u64| {
        let all = arm.outcomes.values().flat_map(|o| &o.caps).filter(move |c| c.per_day == per_day);
        CapAt {
            per_day,
            honest_requests: Spread::plain(all.clone().map(|c| c.honest_requests)),
            attack_left: Spread::plain(all.map(|c| c.attack_left)),
        }
    };
    first.caps.iter().map(|c| at(c.per_day)).collect()
}

/// The arm whose rates say what caps would do: one where no request was refused or sent back, else the
/// first.
pub fn unlimited<'a, 'b>(arms: &'b [Arm<'a>]) -> Option<&'b Arm<'a>> {
    let free = |o: &&Outcome| {
        let parties = std::iter::once(&o.honest).chain(&o.actors);
        parties.filter_map(|p| p.points.last()).all(|p| p.sums.lost() + p.sums.throttled == 0)
    };
    let simulated = || arms.iter().filter(|a| !a.outcomes.is_empty());
    simulated().find(|a| a.outcomes.values().all(free)).or_else(|| simulated().next())
}

/// Days that are recorded.
pub fn days(arms: &[Arm<'_>]) -> Vec<u32> {
    let outcomes = arms.iter().flat_map(|a| a.outcomes.values());
    let mut days: Vec<u32> = outcomes.flat_map(|o| o.honest.points.iter().map(|p| p.day)).collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// A number of a party by the end of a day, over replicates.
pub fn by_day(arm: &Arm<'_>, actor: Option<&str>, day: u32, of: fn(&Point) -> f64) -> Spread {
    let points = arm.outcomes.values().filter_map(|o| {
        let point = party(o, actor)?.points.iter().find(|p| p.day == day)?;
        Some(of(point))
    });
    Spread::plain(points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::summary::gather::slices;
    use crate::report::campaign::synthetic::records;

    #[test]
    fn curves_are_means_and_shares_finer_than_one_honest_unit_are_left_out() {
        let records = records(3, 2);
        let slices = slices(&records);
        let arms = &slices[0].arms;
        let open = survival(&arms[2], Some("mm"));
        assert_eq!((open.len(), open[0], open[20]), (21, 1.0, 0.5));
        let shares: Vec<f64> = roc(&arms[0], Scope::Account).iter().map(|p| p.0).collect();
        assert_eq!(shares, [0.01, 0.1, 1.0]);
        assert_eq!(auc(&arms[0], Scope::Cluster).median, Some(0.95));
        assert!(survival(&arms[0], Some("nobody")).is_empty());
    }

    #[test]
    fn caps_are_read_where_nothing_was_refused() {
        let records = records(3, 2);
        let slices = slices(&records);
        let arms = &slices[0].arms;
        assert_eq!(unlimited(arms).unwrap().name, "open");
        assert_eq!(unlimited(&arms[2..]).unwrap().name, "bans");
        let caps = caps(&arms[0]);
        assert_eq!((caps[1].per_day, caps[1].attack_left.median), (26, Some(0.8)));
        assert_eq!(days(arms), [10, 20]);
        let useful = by_day(&arms[2], Some("mm"), 10, |p| p.sums.useful as f64);
        assert_eq!((useful.n, useful.median), (2, Some(125.0)));
    }
}
