//! Values per seed to estimates. The only file of the room that calls statistics; it adds the rules
//! of honesty: one seed gives no interval, and neither do seeds that change nothing.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::summary::{Estimate, Why};
use crate::experiment::record::Record;
use crate::metric;

/// One value per seed, and how much the seeds' splits overlap.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BySeed {
    values: BTreeMap<u64, f64>,
    /// n_test / n_train of splits that each seed draws anew; 0 where the split is fixed.
    pub overlap: f64,
}

impl Deref for BySeed {
    type Target = BTreeMap<u64, f64>;

    fn deref(&self) -> &Self::Target {
        &self.values
    }
}

impl BySeed {
    /// Values of seeds whose splits overlap so much.
    pub fn new(values: impl IntoIterator<Item = (u64, f64)>, overlap: f64) -> Self {
        Self { values: values.into_iter().collect(), overlap }
    }

    /// Every value times `by`.
    pub fn scaled(&self, by: f64) -> Self {
        Self::new(self.iter().map(|(seed, v)| (*seed, v * by)), self.overlap)
    }
}

/// The score `metric` of each record, by seed.
pub(super) fn by_seed(records: &[&Record], metric: &str) -> BySeed {
    let values = records.iter().filter_map(|r| Some((r.seed, r.get(metric)?)));
    BySeed::new(values, records.first().map_or(0.0, |r| overlap(r)))
}

/// n_test / n_train of a record's split: every seed draws its own, so training sets overlap and plain
/// variances are too small. n_train is the teacher's, whose skill all scores are about.
pub(super) fn overlap(record: &Record) -> f64 {
    let rows = |key: &str| record.config.get(key).and_then(serde_json::Value::as_f64);
    match (rows("split.test"), rows("split.teacher")) {
        (Some(test), Some(train)) if train > 0.0 => test / train,
        _ => 0.0,
    }
}

/// Mean over seeds with its 95 % interval: Student t with the variance of Nadeau and Bengio 2003.
pub(super) fn mean(values: &BySeed) -> Estimate {
    let x: Vec<f64> = values.values().copied().collect();
    let n = x.len();
    match n {
        0 => Estimate::absent(0, Why::Missing),
        1 => Estimate::bare(1, x[0], Why::OneSeed),
        _ if constant(&x) => Estimate::bare(n, x[0], Why::NoSpread),
        _ => {
            let e = metric::resampled_ci(&x, values.overlap, 0.95);
            Estimate { n, mean: Some(e.mean), interval: e.low.zip(e.high), why: None }
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
    let triple = |(seed, s): (&u64, &f64)| Some((*s, *teacher.get(seed)?, *floor.get(seed)?));
    let seeds: Vec<(f64, f64, f64)> = student.iter().filter_map(triple).collect();
    let n = seeds.len();
    if n == 0 {
        return Estimate::absent(0, Why::Missing);
    }
    let overlap = student.overlap.max(teacher.overlap);
    let r = metric::recovered(&seeds, overlap);
    let Some(value) = r.value.filter(|_| r.identified) else {
        return Estimate::absent(n, Why::NotIdentified);
    };
    if n == 1 {
        return Estimate::bare(1, value, Why::OneSeed);
    }
    if seeds.windows(2).all(|w| w[0] == w[1]) {
        return Estimate::bare(n, value, Why::NoSpread);
    }
    match r.low.zip(r.high) {
        Some(interval) => Estimate { n, mean: Some(value), interval: Some(interval), why: None },
        None => Estimate::absent(n, Why::NotIdentified),
    }
}

/// Per seed, the score of the student that is strongest on the other seeds. Only seeds that every
/// student has; needs three of them.
pub(super) fn strongest(students: &[BySeed]) -> BySeed {
    let Some(first) = students.first() else { return BySeed::default() };
    let shared = |s: &&u64| students.iter().all(|v| v.contains_key(s));
    let seeds: Vec<u64> = first.keys().filter(shared).copied().collect();
    if seeds.len() < 3 {
        return BySeed::default();
    }
    let table: Vec<Vec<f64>> =
        students.iter().map(|v| seeds.iter().map(|s| v[s]).collect()).collect();
    let fit = metric::cross_fitted(&table).map(|fit| fit.per_seed);
    BySeed::new(seeds.into_iter().zip(fit.unwrap_or_default()), first.overlap)
}

/// Two-sided p of `mean(a - b) = 0`, paired by seed; none without a spread.
pub(super) fn p_value(a: &BySeed, b: &BySeed) -> Option<f64> {
    let d = difference(a, b);
    let x: Vec<f64> = d.values().copied().collect();
    if constant(&x) { None } else { metric::resampled_ci(&x, d.overlap, 0.95).p }
}

/// Holm's adjusted p, in place; arms without a p are no part of the family.
pub(super) fn adjust(p: &mut [&mut Option<f64>]) {
    let known: Vec<f64> = p.iter().filter_map(|p| **p).collect();
    let mut adjusted = metric::holm(&known).into_iter();
    for p in p.iter_mut().filter(|p| p.is_some()) {
        **p = adjusted.next();
    }
}

/// `a - b` where both are there.
pub(super) fn difference(a: &BySeed, b: &BySeed) -> BySeed {
    let both = a.iter().filter_map(|(s, x)| Some((*s, x - b.get(s)?)));
    BySeed::new(both, a.overlap.max(b.overlap))
}

/// Mean per seed over several columns.
pub(super) fn mean_by_seed(columns: &[BySeed]) -> BySeed {
    let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
    let overlap = columns.iter().map(|c| c.overlap).fold(0.0, f64::max);
    for (seed, value) in columns.iter().flat_map(|c| c.iter()) {
        let at = sums.entry(*seed).or_default();
        *at = (at.0 + value, at.1 + 1.0);
    }
    BySeed::new(sums.into_iter().map(|(seed, (sum, n))| (seed, sum / n)), overlap)
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
        BySeed::new(values.iter().enumerate().map(|(i, v)| (i as u64, *v)), 0.0)
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
    fn splits_that_overlap_widen_every_interval() {
        let width = |e: Estimate| e.interval.map(|(low, high)| high - low).unwrap();
        let plain = seeds(&[0.5, 0.6, 0.7]);
        let again = BySeed { overlap: 0.45, ..plain.clone() };
        let factor = (1.0_f64 + 3.0 * 0.45).sqrt();
        assert!((width(mean(&again)) / width(mean(&plain)) - factor).abs() < 1e-12);
        let other = seeds(&[0.4, 0.45, 0.7]);
        let ratio = width(paired(&again, &other)) / width(paired(&plain, &other));
        assert!((ratio - factor).abs() < 1e-12);
        assert!(p_value(&again, &other) > p_value(&plain, &other));
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
        assert_eq!(chosen.values().copied().collect::<Vec<_>>(), vec![0.4, 0.0, 0.0]);
        assert!(strongest(&[seeds(&[1.0, 0.0])]).is_empty());
    }

    #[test]
    fn holm_leaves_out_what_has_no_p() {
        let (mut a, mut b, mut c) = (Some(0.01), None, Some(0.04));
        adjust(&mut [&mut a, &mut b, &mut c]);
        assert_eq!((a, b, c), (Some(0.02), None, Some(0.04)));
    }
}
