//! Inverse table: a student that knows the defense draws clean rows, defends them itself and looks up
//! which clean rows would have given the answer it got (partial Bayes; Tang et al. 2024, ModelGuard:
//! the mean of y with |D(y) - answer|_1 <= max(0.01, least distance) and the same top-1).
//!
//! Most row-wise defenses treat all classes alike. Then rows are kept with classes in descending
//! defended order, so that one small table serves every order of classes; classes that a rounded
//! answer shows as equal are told apart by nothing and get their common mean. A defense that favours
//! some classes is noticed, and gets a part of the table for each top class.

use ndarray::{Array1, Array2};

use super::Simulator;
use crate::oracle::argmax;
use crate::seed::{Seed, normal, permutation, uniform};
use crate::student::objective::normalised;

/// Defended rows this near in L1 count as the same answer.
const NEAR: f64 = 0.01;

/// Simulated (clean, defended) rows.
pub(super) struct Table {
    /// Classes stand in descending defended order, in one part; else one part per top class.
    sorted: bool,
    parts: Vec<Part>,
}

/// Rows in ascending order of their largest defended entry, which is at `key`.
#[derive(Default)]
struct Part {
    key: usize,
    defended: Vec<Vec<f64>>,
    clean: Vec<Vec<f64>>,
}

impl Table {
    /// Draws `rows` clean rows over `classes` and defends them.
    pub(super) fn draw(rows: usize, classes: usize, defend: &Simulator, seed: Seed) -> Self {
        let sorted = treats_classes_alike(classes, defend, seed.child("symmetry"));
        let mut rng = seed.child("rows").rng();
        let count = if sorted { 1 } else { classes };
        let mut pairs: Vec<Vec<(Vec<f64>, Vec<f64>)>> = vec![Vec::new(); count];
        for _ in 0..rows {
            let clean = plausible(classes, &mut rng);
            let defended = defended(defend, &clean);
            if sorted {
                let order = descending(&defended);
                pairs[0].push((reordered(&defended, &order), reordered(&clean, &order)));
            } else {
                pairs[argmax(&defended)].push((defended, clean));
            }
        }
        let parts = pairs.into_iter().enumerate().map(|(key, pairs)| Part::new(key, pairs));
        Self { sorted, parts: parts.collect() }
    }

    /// Recovered rows `[n, classes]` of answers `[n, classes]`.
    pub(super) fn invert(&self, answers: &Array2<f64>) -> Array2<f64> {
        let mut out = Array2::zeros(answers.dim());
        for (answer, mut row) in answers.rows().into_iter().zip(out.rows_mut()) {
            let answer: Vec<f64> =
                answer.iter().map(|p| if p.is_finite() { *p } else { 0.0 }).collect();
            row.assign(&Array1::from(self.invert_row(&answer)));
        }
        normalised(&out)
    }

    fn invert_row(&self, answer: &[f64]) -> Vec<f64> {
        if !self.sorted {
            // A top class that no simulated row has: the answer stays as it is.
            return self.parts[argmax(answer)].mean_near(answer).unwrap_or_else(|| answer.to_vec());
        }
        let order = descending(answer);
        let shown = reordered(answer, &order);
        let Some(mut mean) = self.parts[0].mean_near(&shown) else { return answer.to_vec() };
        share_ties(&shown, &mut mean);
        let mut row = vec![0.0; answer.len()];
        order.iter().zip(mean).for_each(|(&class, p)| row[class] = p);
        row
    }
}

impl Part {
    fn new(key: usize, mut pairs: Vec<(Vec<f64>, Vec<f64>)>) -> Self {
        pairs.sort_by(|a, b| a.0[key].total_cmp(&b.0[key]));
        let (defended, clean) = pairs.into_iter().unzip();
        Self { key, defended, clean }
    }

    /// Mean of the clean rows whose defended form is within max(NEAR, least distance) of `answer`.
    fn mean_near(&self, answer: &[f64]) -> Option<Vec<f64>> {
        let found = self.near(answer);
        let best = found.iter().map(|f| f.1).fold(f64::INFINITY, f64::min);
        let mut index: Vec<usize> =
            found.iter().filter(|f| f.1 <= best.max(NEAR)).map(|f| f.0).collect();
        index.sort_unstable(); // sums in a fixed order
        let mut mean = vec![0.0; answer.len()];
        for &i in &index {
            mean.iter_mut().zip(&self.clean[i]).for_each(|(m, p)| *m += p);
        }
        mean.iter_mut().for_each(|m| *m /= index.len() as f64);
        (!index.is_empty()).then_some(mean)
    }

    /// (row, distance) of all rows that may count. A row whose largest entry differs by d is at least
    /// d away, so the search walks outwards from the answer's largest entry until none can win.
    fn near(&self, answer: &[f64]) -> Vec<(usize, f64)> {
        let top = answer[self.key];
        let gap =
            |i: usize| self.defended.get(i).map_or(f64::INFINITY, |r| (r[self.key] - top).abs());
        let mut up = self.defended.partition_point(|r| r[self.key] < top);
        let mut down = up;
        let (mut best, mut found) = (f64::INFINITY, Vec::new());
        loop {
            let below = down.checked_sub(1).map_or(f64::INFINITY, gap);
            let above = gap(up);
            if below.min(above) > f64::max(best, NEAR) || below.min(above) == f64::INFINITY {
                return found;
            }
            let i = if below <= above {
                down -= 1;
                down
            } else {
                up += 1;
                up - 1
            };
            let far = distance(&self.defended[i], answer);
            if far <= f64::max(best, NEAR) {
                found.push((i, far));
                best = best.min(far);
            }
        }
    }
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).sum()
}

fn defended(defend: &Simulator, clean: &[f64]) -> Vec<f64> {
    let mut out = vec![0.0; clean.len()];
    defend(clean, &mut out);
    out
}

/// True if renaming classes before the defense is the same as renaming them after it, on a few rows.
fn treats_classes_alike(classes: usize, defend: &Simulator, seed: Seed) -> bool {
    let mut rng = seed.rng();
    (0..8).all(|_| {
        let clean = plausible(classes, &mut rng);
        let order = permutation(&mut rng, classes);
        let after = reordered(&defended(defend, &clean), &order);
        distance(&after, &defended(defend, &reordered(&clean, &order))) < 1e-9
    })
}

/// Classes from largest to smallest value, ties by lower class.
fn descending(row: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    order
}

fn reordered(row: &[f64], order: &[usize]) -> Vec<f64> {
    order.iter().map(|&class| row[class]).collect()
}

/// Entries that are equal in `shown`, which is in descending order, get the mean of theirs in `row`.
fn share_ties(shown: &[f64], row: &mut [f64]) {
    let mut rest = row;
    for run in shown.chunk_by(|a, b| a == b) {
        let (tied, others) = rest.split_at_mut(run.len());
        let mean = tied.iter().sum::<f64>() / tied.len() as f64;
        tied.fill(mean);
        rest = others;
    }
}

/// A clean row as a trained classifier gives it: softmax of normal logits whose scale is drawn
/// log-uniformly from 0.5 to 12, so that both flat and saturated rows occur.
fn plausible(classes: usize, rng: &mut impl rand::Rng) -> Vec<f64> {
    let scale = 0.5 * libm::exp(uniform(rng) * libm::log(24.0));
    let logits: Vec<f64> = (0..classes).map(|_| scale * normal(rng)).collect();
    let top = logits.iter().copied().fold(f64::MIN, f64::max);
    let mut row: Vec<f64> = logits.iter().map(|z| libm::exp(z - top)).collect();
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|p| *p /= sum);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn round(digits: i32) -> Simulator {
        let unit = 10_f64.powi(digits);
        Arc::new(move |clean, out| {
            out.iter_mut().zip(clean).for_each(|(o, p)| *o = (p * unit).round_ties_even() / unit);
        })
    }

    /// Mean squared error of defended rows, and of rows recovered from them.
    fn errors(defend: &Simulator, classes: usize) -> (f64, f64) {
        let table = Table::draw(4000, classes, defend, Seed::new(1));
        let mut rng = Seed::new(9).rng();
        let (mut plain, mut recovered) = (0.0, 0.0);
        for _ in 0..300 {
            let clean = plausible(classes, &mut rng);
            let answer = defended(defend, &clean);
            let back = table.invert_row(&answer);
            let squared =
                |row: &[f64]| row.iter().zip(&clean).map(|(a, b)| (a - b) * (a - b)).sum::<f64>();
            plain += squared(&answer);
            recovered += squared(&back);
        }
        (plain / 300.0, recovered / 300.0)
    }

    #[test]
    fn rounded_rows_come_nearer_to_the_truth() {
        let (plain, recovered) = errors(&round(1), 4);
        assert!(recovered < 0.8 * plain, "{recovered} against {plain}");
    }

    #[test]
    fn a_smooth_monotone_defense_is_almost_undone() {
        let flatten: Simulator = Arc::new(|clean, out| {
            let sum: f64 = clean.iter().map(|p| p.sqrt()).sum();
            out.iter_mut().zip(clean).for_each(|(o, p)| *o = p.sqrt() / sum);
        });
        let (plain, recovered) = errors(&flatten, 3);
        assert!(recovered < 0.05 * plain, "{recovered} against {plain}");
    }

    #[test]
    fn a_defense_that_favours_a_class_gets_a_part_for_each_top_class() {
        let favour: Simulator = Arc::new(|clean, out| {
            out.copy_from_slice(clean);
            out.iter_mut().for_each(|p| *p *= 0.9);
            out[0] += 0.1;
        });
        let table = Table::draw(4000, 3, &favour, Seed::new(1));
        assert!(!table.sorted && table.parts.len() == 3);
        let (plain, recovered) = errors(&favour, 3);
        assert!(recovered < 0.2 * plain, "{recovered} against {plain}");
    }

    #[test]
    fn classes_shown_as_equal_are_recovered_as_equal_whatever_their_number() {
        let table = Table::draw(2000, 5, &round(1), Seed::new(3));
        let row = table.invert_row(&[0.0, 0.1, 0.9, 0.0, 0.0]);
        assert!(row[0] == row[3] && row[3] == row[4] && row[0] > 0.0, "{row:?}");
        assert_eq!(argmax(&row), 2);
        let turned = table.invert_row(&[0.9, 0.0, 0.0, 0.1, 0.0]);
        assert!((turned[0] - row[2]).abs() < 1e-15 && (turned[3] - row[1]).abs() < 1e-15);
    }

    #[test]
    fn the_walk_outwards_finds_what_a_full_search_finds() {
        let table = Table::draw(1000, 4, &round(2), Seed::new(5));
        let part = &table.parts[0];
        let mut rng = Seed::new(6).rng();
        for _ in 0..50 {
            let mut answer = plausible(4, &mut rng);
            answer.sort_by(|a, b| b.total_cmp(a));
            let all: Vec<f64> = part.defended.iter().map(|r| distance(r, &answer)).collect();
            let least = all.iter().copied().fold(f64::INFINITY, f64::min);
            let want = all.iter().filter(|far| **far <= least.max(NEAR)).count();
            let got = part.near(&answer);
            assert_eq!(got.iter().filter(|f| f.1 <= least.max(NEAR)).count(), want);
        }
    }
}
