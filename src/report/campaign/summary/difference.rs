//! Each arm against the first, paired by replicate: arms share their draws.

use std::collections::BTreeMap;

use super::gather::{Arm, Slice};
use super::learning;
use super::settings::Settings;
use super::sides::sum_of_actors;
use crate::experiment::campaign::record::Outcome;
use crate::metric::{holm, paired_ci};

/// A mean difference.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Paired {
    /// Replicates that both arms have.
    pub n: usize,
    pub mean: Option<f64>,
    /// Ends of the 90 % interval (Student t).
    pub ends: Option<(f64, f64)>,
    /// Two-sided p-value of no difference.
    pub p: Option<f64>,
}

/// An arm minus the first arm.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub arm: String,
    /// Of the share of all targets that was collected.
    pub collected: Paired,
    /// Of what students recovered by the last day, mean over actors and areas.
    pub recovered: Paired,
    /// Of the share of honest requests that was lost.
    pub lost: Paired,
    /// p of the headline score, adjusted over all arms (Holm 1979).
    pub p: Option<f64>,
}

/// The headline score: with students what they recovered, else what was collected.
pub fn headline(slice: &Slice<'_>) -> &'static str {
    if slice.taught() { "recovered" } else { "collected" }
}

/// All arms but the first. The family is exactly these, on the headline score of the last day.
pub fn differences(slice: &Slice<'_>, settings: &Settings) -> Vec<Difference> {
    let Some((first, others)) = slice.arms.split_first() else { return Vec::new() };
    let score = |arm: &Arm<'_>| (collected(arm, settings), learning::of_replicates(arm), lost(arm));
    let base = score(first);
    let each = others.iter().map(|arm| {
        let own = score(arm);
        Difference {
            arm: arm.name.to_string(),
            collected: paired(&own.0, &base.0),
            recovered: paired(&own.1, &base.1),
            lost: paired(&own.2, &base.2),
            p: None,
        }
    });
    let mut all: Vec<Difference> = each.collect();
    let taught = slice.taught();
    let p = |d: &Difference| if taught { d.recovered.p } else { d.collected.p };
    // An arm that cannot be tested still counts: the family is all arms.
    let adjusted = holm(&all.iter().map(|d| p(d).unwrap_or(1.0)).collect::<Vec<_>>());
    all.iter_mut().zip(adjusted).for_each(|(d, adjusted)| d.p = p(d).map(|_| adjusted));
    all
}

/// Per replicate, exchanges of all campaigns over all that was wanted.
pub fn collected(arm: &Arm<'_>, settings: &Settings) -> Vec<(u32, f64)> {
    let share = |(replicate, outcome): (&u32, &&Outcome)| {
        let wanted: Option<Vec<f64>> =
            outcome.actors.iter().map(|p| settings.wanted(&p.name)).collect();
        let wanted: f64 = wanted?.iter().sum();
        (wanted > 0.0).then(|| (*replicate, sum_of_actors(outcome, |t| t.attack) / wanted))
    };
    arm.outcomes.iter().filter_map(share).collect()
}

/// Per replicate, the share of honest requests that was lost.
pub fn lost(arm: &Arm<'_>) -> Vec<(u32, f64)> {
    let share = |(replicate, outcome): (&u32, &&Outcome)| {
        let sums = &outcome.honest.points.last()?.sums;
        (sums.wanted > 0).then(|| (*replicate, sums.lost() as f64 / sums.wanted as f64))
    };
    arm.outcomes.iter().filter_map(share).collect()
}

fn paired(own: &[(u32, f64)], base: &[(u32, f64)]) -> Paired {
    let base: BTreeMap<u32, f64> = base.iter().copied().collect();
    let (a, b): (Vec<f64>, Vec<f64>) =
        own.iter().filter_map(|(r, v)| Some((*v, *base.get(r)?))).unzip();
    if a.is_empty() {
        return Paired::default();
    }
    let e = paired_ci(&a, &b, 0.90);
    let spread = e.sd.is_some_and(|s| s > 0.0);
    Paired {
        n: e.n,
        mean: Some(e.mean),
        ends: e.low.zip(e.high).filter(|_| spread),
        p: e.p.filter(|_| spread),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::summary::gather::slices;
    use crate::report::campaign::synthetic::{assumptions, records};

    #[test]
    fn replicates_are_paired_by_number() {
        let pair = paired(&[(0, 1.0), (2, 5.0), (7, 9.0)], &[(2, 4.0), (0, 3.0)]);
        // Differences -2 and 1: mean -0.5, sd 2.1213, t(0.95, 1) 6.3138, half 9.4706.
        assert_eq!((pair.n, pair.mean), (2, Some(-0.5)));
        let (low, high) = pair.ends.unwrap();
        assert!((low + 9.9706).abs() < 1e-3 && (high - 8.9706).abs() < 1e-3, "{low} {high}");
        assert_eq!(paired(&[(0, 1.0)], &[(1, 1.0)]), Paired::default());
        let one = paired(&[(0, 1.0)], &[(0, 0.5)]);
        assert_eq!((one.n, one.mean, one.ends, one.p), (1, Some(0.5), None, None));
    }

    #[test]
    fn the_headline_is_what_students_recovered_where_there_are_any() {
        let mut given = records(3, 3);
        for r in given.iter_mut().filter(|r| r.arm != "open") {
            r.learnt.iter_mut().flat_map(|a| &mut a.rows).for_each(|row| {
                row.recovered += 1e-3 * f64::from(r.replicate * r.replicate);
            });
        }
        let all = slices(&given);
        let settings = Settings::of(&assumptions(), &all[0]);
        let [limits, bans] = &differences(&all[0], &settings)[..] else { panic!() };
        assert_eq!(headline(&all[0]), "recovered");
        assert!((bans.recovered.mean.unwrap() - (-0.75 + 0.005 / 3.0)).abs() < 1e-9);
        assert!(limits.p.is_some() && limits.p >= limits.recovered.p);
        // 100 of 10,000 are lost, in every replicate: no test without a spread.
        assert_eq!((bans.lost.mean, bans.lost.p, bans.lost.ends), (Some(0.01), None, None));
        given.retain(|r| r.learnt.is_empty());
        let all = slices(&given);
        assert_eq!(headline(&all[0]), "collected");
        assert_eq!(differences(&all[0], &settings)[0].recovered, Paired::default());
    }
}
