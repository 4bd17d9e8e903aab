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
/// variances are too small. n_train is the teacher's, whose skill all scores are about. 0 where all are measured
/// on a published test part.
pub(super) fn overlap(record: &Record) -> f64 {
    if record.config.get("split.test-from").is_some_and(|part| part == "official") {
        return 0.0;
    }
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
    let always = |holds: fn(&(f64, f64, f64)) -> bool| seeds.iter().all(holds);
    let same = always(|(s, _, b)| s == b) || always(|(s, t, _)| s == t);
    if same || seeds.windows(2).all(|w| w[0] == w[1]) {
        return Estimate::bare(n, value, Why::NoSpread);
    }
    match r.low.zip(r.high) {
        Some(interval) => Estimate { n, mean: Some(value), interval: Some(interval), why: None },
        None => Estimate::absent(n, Why::NotIdentified),
    }
}

/// Ratio of seed means, with Fieller's interval.
pub(super) fn ratio(top: &BySeed, bottom: &BySeed) -> Estimate {
    recovered(top, bottom, &bottom.scaled(0.0))
}

/// Scores at several budgets, ascending: the seeds that have all of them.
pub(super) struct Curve {
    budgets: Vec<f64>,
    seeds: BTreeMap<u64, Vec<f64>>,
    overlap: f64,
}

impl Curve {
    pub fn new(points: &[(u64, BySeed)]) -> Self {
        let at = |seed: &u64| -> Option<Vec<f64>> {
            points.iter().map(|(_, v)| v.get(seed).copied()).collect()
        };
        let first = points.first().map(|(_, v)| v.clone()).unwrap_or_default();
        let seeds = first.keys().filter_map(|s| Some((*s, at(s)?))).collect();
        let budgets = points.iter().map(|(b, _)| *b as f64).collect();
        Self { budgets, seeds, overlap: first.overlap }
    }

    /// Area under `recovered` over log budget. It is linear in the scores, so it is what the area under
    /// each seed's scores recovers.
    pub fn area(&self, teacher: &BySeed, floor: &BySeed) -> Estimate {
        let area =
            |(s, v): (&u64, &Vec<f64>)| Some((*s, metric::auc_log_budget(&self.budgets, v)?));
        let areas = BySeed::new(self.seeds.iter().filter_map(area), self.overlap);
        recovered(&areas, teacher, floor)
    }

    /// Budget at which monotone-fitted `recovered` is one half. The interval is the jackknife's, in log
    /// budget: a seed's pseudo-value says how the result moves without it (Quenouille 1956).
    pub fn half(&self, teacher: &BySeed, floor: &BySeed) -> Estimate {
        let known = |s: &&u64| teacher.contains_key(s) && floor.contains_key(s);
        let seeds: Vec<u64> = self.seeds.keys().filter(known).copied().collect();
        let n = seeds.len();
        let log_half = |out: Option<u64>| {
            let kept: Vec<u64> = seeds.iter().copied().filter(|s| Some(*s) != out).collect();
            let sum = |of: &dyn Fn(&u64) -> f64| kept.iter().map(of).sum::<f64>();
            let gap = sum(&|s| teacher[s] - floor[s]);
            let share = |b: usize| sum(&|s| self.seeds[s][b] - floor[s]) / gap;
            let scores: Vec<f64> = (0..self.budgets.len()).map(share).collect();
            match metric::budget_at_half(&self.budgets, &scores) {
                Some(metric::Reached::At(budget)) => Ok(libm::log(budget)),
                Some(metric::Reached::Below(_)) => Err(Why::BelowSmallest),
                Some(metric::Reached::Above(_)) => Err(Why::AboveLargest),
                None => Err(Why::Missing),
            }
        };
        if n == 0 {
            return Estimate::absent(0, Why::Missing);
        }
        if self.area(teacher, floor).why == Some(Why::NotIdentified) {
            return Estimate::absent(n, Why::NotIdentified);
        }
        let all = match log_half(None) {
            Ok(all) => all,
            Err(why) => return Estimate::absent(n, why),
        };
        if n == 1 {
            return Estimate::bare(1, libm::exp(all), Why::OneSeed);
        }
        let pseudo = |s: &u64| Some(n as f64 * all - (n - 1) as f64 * log_half(Some(*s)).ok()?);
        match seeds.iter().map(pseudo).collect::<Option<Vec<f64>>>() {
            None => Estimate::bare(n, libm::exp(all), Why::NotEverySeed),
            Some(x) if constant(&x) => Estimate::bare(n, libm::exp(all), Why::NoSpread),
            Some(x) => {
                let e = metric::resampled_ci(&x, self.overlap.max(teacher.overlap), 0.95);
                let wide = e.high.map_or(0.0, |high| high - e.mean);
                let ends = (libm::exp(all - wide), libm::exp(all + wide));
                Estimate { n, mean: Some(libm::exp(all)), interval: Some(ends), why: None }
            }
        }
    }
}

/// What is recovered where honest users lose `level`, from the loss and the recovered share of each
/// strength, `none` among them. Only seeds that every strength has.
pub(super) fn at_matched_cost(strengths: &[(BySeed, BySeed)], level: f64) -> Estimate {
    let Some((_, first)) = strengths.first() else { return Estimate::absent(0, Why::Missing) };
    let shared = |s: &&u64| strengths.iter().all(|(c, r)| c.contains_key(s) && r.contains_key(s));
    let seeds: Vec<u64> = first.keys().filter(shared).copied().collect();
    let n = seeds.len();
    if n < 3 {
        return Estimate::absent(n, Why::TooFewSeeds);
    }
    let column = |v: &BySeed| seeds.iter().map(|s| v[s]).collect::<Vec<f64>>();
    let (cost, recovered): (Vec<_>, Vec<_>) =
        strengths.iter().map(|(c, r)| (column(c), column(r))).unzip();
    match metric::at_matched_cost(&cost, &recovered, level) {
        metric::Matched::NotReached => Estimate::absent(n, Why::NotReached),
        metric::Matched::Mean(value) => Estimate::bare(n, value, Why::NotEverySeed),
        metric::Matched::PerSeed(x) => mean(&BySeed::new(seeds.into_iter().zip(x), first.overlap)),
    }
}

/// Per seed, the number of the student that is strongest on the other seeds. Only seeds that every
/// student has; needs three of them.
pub(super) fn strongest(students: &[BySeed]) -> BTreeMap<u64, usize> {
    let Some(first) = students.first() else { return BTreeMap::new() };
    let shared = |s: &&u64| students.iter().all(|v| v.contains_key(s));
    let seeds: Vec<u64> = first.keys().filter(shared).copied().collect();
    if seeds.len() < 3 {
        return BTreeMap::new();
    }
    let table: Vec<Vec<f64>> =
        students.iter().map(|v| seeds.iter().map(|s| v[s]).collect()).collect();
    let chosen = metric::cross_fitted(&table).map(|fit| fit.chosen);
    seeds.into_iter().zip(chosen.unwrap_or_default()).collect()
}

/// Per seed, the value of the student chosen for it.
pub(super) fn pick(chosen: &BTreeMap<u64, usize>, students: &[BySeed]) -> BySeed {
    let value = |(seed, student): (&u64, &usize)| Some((*seed, *students[*student].get(seed)?));
    let overlap = students.first().map_or(0.0, |s| s.overlap);
    BySeed::new(chosen.iter().filter_map(value), overlap)
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
    fn a_student_that_equals_teacher_or_floor_on_every_seed_has_no_spread() {
        let (teacher, floor) = (seeds(&[0.9, 0.95, 0.92]), seeds(&[0.1, 0.12, 0.1]));
        let all = recovered(&teacher, &teacher, &floor);
        assert_eq!((all.mean, all.interval, all.why), (Some(1.0), None, Some(Why::NoSpread)));
        let nothing = recovered(&floor, &teacher, &floor);
        assert_eq!((nothing.mean, nothing.interval), (Some(0.0), None));
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
        let students = [seeds(&[1.0, 0.0, 0.0]), seeds(&[0.4, 0.4, 0.4])];
        let scores = pick(&strongest(&students), &students);
        assert_eq!(scores.values().copied().collect::<Vec<_>>(), vec![0.4, 0.0, 0.0]);
        assert!(strongest(&[seeds(&[1.0, 0.0])]).is_empty());
    }

    #[test]
    fn a_curve_has_its_area_and_the_budget_of_its_half() {
        // recovered: 0.2, 0.6 at 10, 100 queries; half lies at 3/4 of the way in log budget.
        let points = [(10, seeds(&[0.2, 0.1, 0.3])), (100, seeds(&[0.6, 0.6, 0.6]))];
        let (one, zero) = (seeds(&[1.0; 3]), seeds(&[0.0; 3]));
        let curve = Curve::new(&points);
        assert!((curve.area(&one, &zero).mean.unwrap() - 0.4).abs() < 1e-12);
        let half = curve.half(&one, &zero);
        assert!((half.mean.unwrap() - 10.0 * 10.0_f64.powf(0.75)).abs() < 1e-9);
        let (low, high) = half.interval.unwrap();
        assert!((low * high).sqrt() - half.mean.unwrap() < 1e-9 && low > 30.0 && high < 100.0);
    }

    #[test]
    fn a_half_outside_the_budgets_is_censored() {
        let (one, zero) = (seeds(&[1.0; 3]), seeds(&[0.0; 3]));
        let at = |a: f64, b: f64| Curve::new(&[(10, seeds(&[a; 3])), (100, seeds(&[b; 3]))]);
        assert_eq!(at(0.6, 0.7).half(&one, &zero).why, Some(Why::BelowSmallest));
        assert_eq!(at(0.1, 0.2).half(&one, &zero).why, Some(Why::AboveLargest));
        assert_eq!(at(0.4, 0.6).half(&one, &zero).why, Some(Why::NoSpread));
    }

    #[test]
    fn a_cost_that_no_strength_reaches_has_no_value() {
        let none = (seeds(&[0.0; 3]), seeds(&[0.9, 0.8, 1.0]));
        let strong = (seeds(&[0.02; 3]), seeds(&[0.5, 0.6, 0.4]));
        let ladder = [none, strong];
        let half = at_matched_cost(&ladder, 0.01);
        assert!((half.mean.unwrap() - 0.7).abs() < 1e-12 && half.n == 3);
        assert_eq!(at_matched_cost(&ladder, 0.05).why, Some(Why::NotReached));
        assert!(at_matched_cost(&ladder, 0.0).interval.is_some());
    }

    #[test]
    fn holm_leaves_out_what_has_no_p() {
        let (mut a, mut b, mut c) = (Some(0.01), None, Some(0.04));
        adjust(&mut [&mut a, &mut b, &mut c]);
        assert_eq!((a, b, c), (Some(0.02), None, Some(0.04)));
    }
}
