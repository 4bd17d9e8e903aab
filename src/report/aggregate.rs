//! Values per seed to estimates. The only file of the room that calls statistics; it adds the rules
//! of honesty: one seed gives no interval, and neither do seeds that change nothing.

use std::collections::BTreeMap;

use super::interim as stat;
use super::summary::{Estimate, Why};
use crate::experiment::record::Record;

/// One value per seed.
pub(super) type BySeed = BTreeMap<u64, f64>;

/// The score `metric` of each record, by seed.
pub(super) fn by_seed(records: &[&Record], metric: &str) -> BySeed {
    records.iter().filter_map(|r| Some((r.seed, r.get(metric)?))).collect()
}

/// Mean over seeds with its 95 % Student t interval.
pub(super) fn mean(values: &BySeed) -> Estimate {
    let x: Vec<f64> = values.values().copied().collect();
    let n = x.len();
    match n {
        0 => Estimate::absent(0, Why::Missing),
        1 => Estimate::bare(1, x[0], Why::OneSeed),
        _ if constant(&x) => Estimate::bare(n, x[0], Why::NoSpread),
        _ => {
            let (mean, half) = stat::mean_ci(&x);
            Estimate { n, mean: Some(mean), interval: Some((mean - half, mean + half)), why: None }
        }
    }
}

/// Mean of `a - b` over the seeds that have both.
pub(super) fn paired(a: &BySeed, b: &BySeed) -> Estimate {
    mean(&difference(a, b))
}

/// Ratio of the seed means of `(student - floor)` and `(teacher - floor)`, with Fieller's interval from
/// the joint covariance over seeds.
pub(super) fn recovered(student: &BySeed, teacher: &BySeed, floor: &BySeed) -> Estimate {
    let (gain, gap) = (difference(student, floor), difference(teacher, floor));
    let seeds: Vec<u64> = gain.keys().filter(|s| gap.contains_key(s)).copied().collect();
    let gain: Vec<f64> = seeds.iter().map(|s| gain[s]).collect();
    let gap: Vec<f64> = seeds.iter().map(|s| gap[s]).collect();
    let n = seeds.len();
    if n == 0 {
        return Estimate::absent(0, Why::Missing);
    }
    let ratio = gain.iter().sum::<f64>() / gap.iter().sum::<f64>();
    if !ratio.is_finite() {
        return Estimate::absent(n, Why::NotIdentified);
    }
    if n == 1 {
        return Estimate::bare(1, ratio, Why::OneSeed);
    }
    let (mean_gap, se) = stat::mean_se(&gap);
    if mean_gap.abs() < 4.0 * se {
        return Estimate::absent(n, Why::NotIdentified);
    }
    if constant(&gain) && constant(&gap) {
        return Estimate::bare(n, ratio, Why::NoSpread);
    }
    match stat::fieller(&gain, &gap) {
        Some(interval) => Estimate { n, mean: Some(ratio), interval: Some(interval), why: None },
        None => Estimate::absent(n, Why::NotIdentified),
    }
}

/// Per seed, the score of the student that is strongest on the other seeds. Only seeds that every
/// student has; needs three of them.
pub(super) fn strongest(students: &[BySeed]) -> BySeed {
    let Some(first) = students.first() else { return BySeed::new() };
    let shared = |s: &&u64| students.iter().all(|v| v.contains_key(s));
    let seeds: Vec<u64> = first.keys().filter(shared).copied().collect();
    if seeds.len() < 3 {
        return BySeed::new();
    }
    let table: Vec<Vec<f64>> =
        students.iter().map(|v| seeds.iter().map(|s| v[s]).collect()).collect();
    seeds.into_iter().zip(stat::cross_fitted(&table)).collect()
}

/// Two-sided p of `mean(a - b) = 0`, paired by seed; none without a spread.
pub(super) fn p_value(a: &BySeed, b: &BySeed) -> Option<f64> {
    let x: Vec<f64> = difference(a, b).into_values().collect();
    (x.len() > 1 && !constant(&x)).then(|| stat::p_zero(&x))
}

/// Holm's adjusted p, in place; arms without a p are no part of the family.
pub(super) fn adjust(p: &mut [&mut Option<f64>]) {
    let known: Vec<f64> = p.iter().filter_map(|p| **p).collect();
    let mut adjusted = stat::holm(&known).into_iter();
    for p in p.iter_mut().filter(|p| p.is_some()) {
        **p = adjusted.next();
    }
}

/// `a - b` where both are there.
pub(super) fn difference(a: &BySeed, b: &BySeed) -> BySeed {
    a.iter().filter_map(|(s, x)| Some((*s, x - b.get(s)?))).collect()
}

/// Mean per seed over several columns.
pub(super) fn mean_by_seed(columns: &[BySeed]) -> BySeed {
    let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    for (seed, value) in columns.iter().flatten() {
        let at = sums.entry(*seed).or_default();
        *at = (at.0 + value, at.1 + 1.0);
    }
    sums.into_iter().map(|(seed, (sum, n))| (seed, sum / n)).collect()
}

/// True where several seeds gave equal scores and equal right answers: the seed had no effect.
pub(super) fn seed_had_no_effect(records: &[&Record]) -> bool {
    records.len() > 1
        && records.windows(2).all(|w| w[0].scores == w[1].scores && w[0].right == w[1].right)
}

fn constant(x: &[f64]) -> bool {
    x.windows(2).all(|w| w[0] == w[1])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(values: &[f64]) -> BySeed {
        values.iter().enumerate().map(|(i, v)| (i as u64, *v)).collect()
    }

    #[test]
    fn one_seed_has_a_mean_and_no_interval() {
        let one = mean(&seeds(&[0.5]));
        assert_eq!((one.mean, one.interval, one.why), (Some(0.5), None, Some(Why::OneSeed)));
    }

    #[test]
    fn the_interval_of_a_mean_uses_students_t() {
        // scipy.stats.t.interval(0.95, 2, loc=2, scale=1/sqrt(3))
        let (low, high) = mean(&seeds(&[1.0, 2.0, 3.0])).interval.unwrap();
        assert!((low + 0.484138).abs() < 1e-5 && (high - 4.484138).abs() < 1e-5);
    }

    #[test]
    fn recovered_is_the_ratio_of_seed_means() {
        let r = recovered(&seeds(&[0.6, 0.72]), &seeds(&[0.9, 0.95]), &seeds(&[0.1, 0.12]));
        assert!((r.mean.unwrap() - (0.5 + 0.6) / (0.8 + 0.83)).abs() < 1e-12);
        let (low, high) = r.interval.unwrap();
        assert!(low < r.mean.unwrap() && r.mean.unwrap() < high);
    }

    #[test]
    fn a_teacher_near_the_floor_identifies_nothing() {
        let r = recovered(&seeds(&[0.2, 0.3]), &seeds(&[0.1, 0.3]), &seeds(&[0.2, 0.1]));
        assert_eq!(r.why, Some(Why::NotIdentified));
    }

    #[test]
    fn differences_are_paired_by_seed() {
        let d = paired(&seeds(&[0.5, 0.9, 0.7]), &seeds(&[0.4, 0.8, 0.6]));
        assert_eq!(d.n, 3);
        assert!((d.mean.unwrap() - 0.1).abs() < 1e-12);
    }

    #[test]
    fn the_strongest_student_is_scored_on_seeds_that_did_not_choose_it() {
        let chosen = strongest(&[seeds(&[1.0, 0.0, 0.0]), seeds(&[0.4, 0.4, 0.4])]);
        assert_eq!(chosen.into_values().collect::<Vec<_>>(), vec![0.4, 0.0, 0.0]);
        assert!(strongest(&[seeds(&[1.0, 0.0])]).is_empty());
    }

    #[test]
    fn holm_leaves_out_what_has_no_p() {
        let (mut a, mut b, mut c) = (Some(0.01), None, Some(0.04));
        adjust(&mut [&mut a, &mut b, &mut c]);
        assert_eq!((a, b, c), (Some(0.02), None, Some(0.04)));
    }
}
