//! ModelGuard-W (Tang et al. 2024, USENIX Security): of all answers that keep the top class
//! and are within eps of the true one in L1, the one that is worth least to a student,
//!
//! min_v sum_k log(y_k + 1e-6) v_k, v in the simplex, |v - y|_1 <= eps, v_top >= v_k + 1e-4 for all k.
//!
//! The linear programme is solved exactly, without a solver. For a given t = v_top the others have a
//! ceiling t - 1e-4 and the rest is greedy: what is above the ceiling must go, the rest of the bound moves
//! mass from the likeliest to the least likely class while that gains anything. The least cost is a convex
//! function of t on an interval, and is found by golden section.
//!
//! A programme without any solution is one whose top class cannot be put ahead within eps, such as a tie at
//! eps 0. Then the answer stays as it is. Rows that do not sum to 1 are scaled first.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, Defense, Known, Method, Next, Promise, RowMap, Workshop, rows};
use crate::error::Result;
use crate::oracle::{Batch, Card, Reply, argmax};
use crate::seed::Seed;

/// How far the top class stays ahead.
const MARGIN: f64 = 1e-4;
/// What is added to probabilities before the logarithm.
const FLOOR: f64 = 1e-6;
/// What rounding may add to the bound.
const SLACK: f64 = 1e-12;
/// Steps of a search: each leaves 0.62 of the interval, and no float is finer than the last.
const STEPS: usize = 80;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Most that an answer is moved, in L1, 0 to 2.
    pub eps: f64,
}

/// The layer.
#[derive(Clone, Copy, Debug)]
pub struct ModelGuardW {
    eps: f64,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "modelguard-w"
    }

    fn paper(&self) -> &'static str {
        "Tang et al. 2024, ModelGuard"
    }

    fn check(&self) -> Result<()> {
        rows::check_eps(self.eps)
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn promise(&self) -> Promise {
        Promise { l1_bound: self.eps.min(2.0), ..Promise::BASE }
    }

    fn counter(&self) -> Counter {
        Counter::InverseTable
    }

    fn simulate(&self, _known: &Known<'_>) -> Option<RowMap> {
        let layer = ModelGuardW { eps: self.eps };
        Some(Box::new(move |clean, out| {
            out.copy_from_slice(clean);
            layer.row(out);
        }))
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(ModelGuardW { eps: self.eps }))
    }
}

impl ModelGuardW {
    /// Changes one row `[k]`.
    fn row(self, y: &mut [f64]) {
        let sum: f64 = y.iter().sum();
        if sum > 0.0 && (sum - 1.0).abs() > 1e-9 {
            y.iter_mut().for_each(|p| *p /= sum);
        }
        if let Some(v) = Programme::new(y, self.eps).solution() {
            y.copy_from_slice(&v);
        }
    }
}

/// The programme of one row.
struct Programme<'a> {
    y: &'a [f64],
    eps: f64,
    top: usize,
    /// Classes but the top one, least likely first.
    order: Vec<usize>,
    /// `[k]` log(y_k + 1e-6)
    cost: Vec<f64>,
}

impl<'a> Programme<'a> {
    fn new(y: &'a [f64], eps: f64) -> Self {
        let top = argmax(y);
        let mut order: Vec<usize> = (0..y.len()).filter(|&k| k != top).collect();
        order.sort_by(|&a, &b| y[a].total_cmp(&y[b]).then(a.cmp(&b)));
        Self { y, eps, top, order, cost: y.iter().map(|p| libm::log(p + FLOOR)).collect() }
    }

    /// The best row; none if no row is allowed.
    fn solution(&self) -> Option<Vec<f64>> {
        let at = self.least_moved();
        if !self.allowed(at) {
            return None;
        }
        let ends = [self.edge(at, MARGIN.max(at - self.eps)), self.edge(at, 1.0)];
        let [mut low, mut high] = ends;
        let mut v = vec![0.0; self.y.len()];
        let ratio = 0.5 * (libm::sqrt(5.0) - 1.0);
        for _ in 0..STEPS {
            let (a, b) = (high - ratio * (high - low), low + ratio * (high - low));
            if self.fill(a, &mut v) <= self.fill(b, &mut v) { high = b } else { low = a }
        }
        // The ends of the interval are never inner points of the search.
        let best = [ends[0], 0.5 * (low + high), ends[1]];
        let cost = |t: f64, v: &mut [f64]| self.fill(t, v);
        let t = best
            .into_iter()
            .min_by(|&a, &b| cost(a, &mut v.clone()).total_cmp(&cost(b, &mut v.clone())))?;
        self.fill(t, &mut v);
        Some(v)
    }

    /// The v_top for which an allowed row is nearest: the true one, or, where that is not far enough ahead,
    /// the one at which the top class gains exactly what the others lose.
    fn least_moved(&self) -> f64 {
        let own = self.y[self.top];
        let (mut low, mut high) = (own, 1.0_f64.max(own));
        let short = |t: f64| self.above(t - MARGIN) - (t - own);
        if short(low) <= 0.0 {
            return low;
        }
        for _ in 0..STEPS {
            let middle = 0.5 * (low + high);
            if short(middle) > 0.0 { low = middle } else { high = middle }
        }
        high
    }

    /// The allowed v_top furthest from the allowed `from` towards `to`.
    fn edge(&self, from: f64, to: f64) -> f64 {
        if self.allowed(to) {
            return to;
        }
        let (mut good, mut bad) = (from, to);
        for _ in 0..STEPS {
            let middle = 0.5 * (good + bad);
            if self.allowed(middle) { good = middle } else { bad = middle }
        }
        good
    }

    /// Mass of the others above a ceiling.
    fn above(&self, ceiling: f64) -> f64 {
        self.order.iter().map(|&k| (self.y[k] - ceiling).max(0.0)).sum()
    }

    /// Mass that the others must gain when v_top is t, after what is above the ceiling is gone.
    fn wanting(&self, t: f64) -> f64 {
        let others: f64 = self.order.iter().map(|&k| self.y[k].min(t - MARGIN)).sum();
        1.0 - t - others
    }

    /// True if some row with v_top = t is allowed.
    fn allowed(&self, t: f64) -> bool {
        let ceiling = t - MARGIN;
        let room = self.order.len() as f64 * ceiling;
        let least = (t - self.y[self.top]).abs() + self.above(ceiling) + self.wanting(t).abs();
        let fits = ceiling >= 0.0 && t <= 1.0 && room >= 1.0 - t - SLACK;
        fits && least <= self.eps + SLACK
    }

    /// The best row with v_top = t into `v`, and its cost. `t` must be allowed.
    fn fill(&self, t: f64, v: &mut [f64]) -> f64 {
        let ceiling = t - MARGIN;
        let wanting = self.wanting(t);
        self.order.iter().for_each(|&k| v[k] = self.y[k].min(ceiling));
        v[self.top] = t;
        let spent = (t - self.y[self.top]).abs() + self.above(ceiling) + wanting.abs();
        // Mass that may still go from one class to another, at twice its size.
        let mut spare = 0.5 * (self.eps - spent).max(0.0);
        let (mut gain, mut loss) = (wanting.max(0.0), (-wanting).max(0.0));
        let (mut low, mut high) = (0, self.order.len());
        // What must be gained or lost first, then pairs.
        while low < high {
            let (a, b) = (self.order[low], self.order[high - 1]);
            if gain > 0.0 {
                let moved = gain.min(ceiling - v[a]);
                v[a] += moved;
                gain -= moved;
                if gain > 0.0 {
                    low += 1;
                }
                continue;
            }
            if loss > 0.0 {
                let moved = loss.min(v[b]);
                v[b] -= moved;
                loss -= moved;
                if loss > 0.0 {
                    high -= 1;
                }
                continue;
            }
            if a == b || self.cost[a] >= self.cost[b] || spare <= 0.0 {
                break;
            }
            // A class is full or empty by what was moved: sums are rounded, and may say neither.
            let (room, there) = ((ceiling - v[a]).max(0.0), v[b]);
            let moved = spare.min(room).min(there);
            v[a] += moved;
            v[b] -= moved;
            spare -= moved;
            low += usize::from(moved >= room);
            high -= usize::from(moved >= there);
        }
        self.cost.iter().zip(&*v).map(|(c, v)| c * v).sum()
    }
}

impl Defense for ModelGuardW {
    fn name(&self) -> &'static str {
        "modelguard-w"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        rows::map_probs(batch, next, |clean, out| {
            out.copy_from_slice(clean);
            self.row(out);
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::project;
    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::*;
    use crate::seed::uniform;

    fn objective(y: &[f64], v: &[f64]) -> f64 {
        y.iter().zip(v).map(|(y, v)| (y + FLOOR).ln() * v).sum()
    }

    fn allowed(y: &[f64], v: &[f64], eps: f64) -> bool {
        let top = argmax(y);
        let ahead = (0..y.len()).all(|k| k == top || v[top] >= v[k] + MARGIN - 1e-9);
        let simplex = v.iter().all(|p| *p >= -1e-12) && (v.iter().sum::<f64>() - 1.0).abs() < 1e-9;
        ahead && simplex && project::distance(y, v) <= eps + 1e-9
    }

    #[test]
    fn the_reference_programmes_are_solved() {
        let all = cases("modelguard_w");
        assert_eq!(all.len(), 17);
        for case in all {
            let y = numbers(&case["input"]["y"]);
            let eps = case["input"]["eps"].as_f64().unwrap();
            let want = &case["expected"];
            let got = Programme::new(&y, eps).solution();
            assert_eq!(got.is_some(), want["feasible"] == true, "{}", case["id"]);
            let Some(v) = got else { continue };
            assert!(allowed(&y, &v, eps), "{}: {v:?}", case["id"]);
            assert_close(&case, &[objective(&y, &v)], &[want["objective"].as_f64().unwrap()]);
            if want["answer_unique"] == true {
                assert_close(&case, &v, &numbers(&want["answer"]));
            }
        }
    }

    #[test]
    fn a_programme_without_a_solution_leaves_the_row() {
        let mut y = [0.25; 4];
        ModelGuardW { eps: 1e-6 }.row(&mut y);
        assert_eq!(y, [0.25; 4]);
    }

    #[test]
    fn a_row_is_scaled_to_one_before_it_is_changed() {
        let layer = ModelGuardW { eps: 0.5 };
        let whole = [0.5, 0.3, 0.125, 0.075];
        let best = Programme::new(&whole, 0.5).solution().unwrap();
        for scale in [0.25, 1.0, 3.0] {
            let mut row = whole.map(|p| p * scale);
            layer.row(&mut row);
            for (found, expected) in row.iter().zip(&best) {
                assert!((found - expected).abs() < 1e-9, "{scale}: {row:?} for {best:?}");
            }
        }
        let mut nothing = [0.0; 3];
        layer.row(&mut nothing);
        assert!(nothing.iter().all(|p| p.is_finite()), "{nothing:?}");
    }

    #[test]
    fn an_even_row_is_whole_and_has_a_top_class_afterwards() {
        for eps in [0.001, 0.1, 1.0] {
            let v = Programme::new(&[0.1; 10], eps).solution().unwrap();
            assert!(allowed(&[0.1; 10], &v, eps), "{eps}: {v:?}");
        }
    }

    /// Three of four equal classes lose a quarter of the margin each: 1.5 margins in all, and less is not enough.
    #[test]
    fn the_top_class_gets_ahead_by_the_least_that_suffices() {
        let solution = |eps| Programme::new(&[0.25; 4], eps).solution();
        assert!(solution(1.6 * MARGIN).is_some());
        assert!(solution(1.4 * MARGIN).is_none());
    }

    #[test]
    fn a_thousand_classes_are_no_obstacle() {
        let mut rng = Seed::new(1).rng();
        let mut y: Vec<f64> = (0..1000).map(|_| uniform(&mut rng).powi(8)).collect();
        let sum: f64 = y.iter().sum();
        y.iter_mut().for_each(|p| *p /= sum);
        let v = Programme::new(&y, 1.0).solution().unwrap();
        assert!(allowed(&y, &v, 1.0));
        assert!(objective(&y, &v) < objective(&y, &y) - 1.0);
    }

    /// Counts that are scaled to rows, bounds, and optima of the linear programme by HiGHS, through
    /// `scipy.optimize.linprog` of scipy 1.17.1.
    fn assert_optima<const K: usize>(cases: &[([f64; K], f64, f64)]) {
        for &(counts, eps, optimum) in cases {
            let sum: f64 = counts.iter().sum();
            let y = counts.map(|count| count / sum);
            let v = Programme::new(&y, eps).solution().unwrap();
            assert!(allowed(&y, &v, eps), "{counts:?}: {v:?}");
            assert!((objective(&y, &v) - optimum).abs() < 1e-8, "{counts:?}: {v:?}");
        }
    }

    /// On these rows an exchange that is over when sums say so, and not when a class is full or empty by what was moved,
    /// ends too early.
    #[test]
    fn rounding_does_not_end_the_exchange() {
        assert_optima(&[
            ([346.0, 709.0, 267.0, 460.0, 446.0, 695.0], 0.5, -1.944795479),
            ([293.0, 514.0, 13.0, 184.0, 32.0, 654.0], 1.0, -3.004665585),
            ([22.0, 719.0, 201.0, 34.0, 640.0, 336.0], 1.5, -3.177920766),
            ([700.0, 3.0, 835.0, 914.0, 696.0, 3.0], 0.5, -2.805003072),
            ([239.0, 236.0, 19.0, 967.0, 793.0, 59.0], 1.0, -2.946957693),
            ([352.0, 721.0, 1.0, 1.0, 975.0, 1.0], 1.5, -5.903420160),
        ]);
    }

    /// Here the top class ends below its own share and above the least that is allowed.
    #[test]
    fn the_best_share_of_the_top_class_may_lie_between_the_allowed_ends() {
        assert_optima(&[
            ([859.0, 3.0, 854.0, 31.0], 1.5, -3.702353045),
            ([435.0, 876.0, 954.0, 855.0], 0.25, -1.439172133),
            ([464.0, 149.0, 229.0, 1.0], 1.5, -3.666295499),
        ]);
        assert_optima(&[
            ([265.0, 56.0, 56.0, 128.0, 1.0, 121.0], 0.5, -2.784863694),
            ([511.0, 145.0, 718.0, 277.0, 135.0, 46.0], 0.5, -2.135942988),
            ([687.0, 917.0, 784.0, 626.0, 971.0, 294.0], 0.25, -1.880541041),
        ]);
    }

    proptest! {
        #[test]
        fn no_allowed_row_costs_less(
            y in prop::collection::vec(0.001f64..1.0, 4),
            other in prop::collection::vec(0.0f64..1.0, 4),
            eps in 0.05f64..2.0,
        ) {
            let scaled = |x: &[f64]| {
                let sum: f64 = x.iter().sum::<f64>() + 1e-9;
                x.iter().map(|x| (x + 2.5e-10) / sum).collect::<Vec<_>>()
            };
            let (y, mut other) = (scaled(&y), scaled(&other));
            let (a, b) = (argmax(&other), argmax(&y));
            other.swap(a, b);
            if let Some(best) = Programme::new(&y, eps).solution() {
                prop_assert!(allowed(&y, &best, eps));
                let part = (eps / project::distance(&other, &y)).min(1.0);
                let near: Vec<f64> = y.iter().zip(&other).map(|(y, o)| y + part * (o - y)).collect();
                if allowed(&y, &near, eps) {
                    prop_assert!(objective(&y, &best) <= objective(&y, &near) + 1e-9);
                }
            }
        }
    }
}
