//! Euclidean projections onto what a perturbed answer may be.
//!
//! The simplex and the L1 ball by sorting (Duchi, Shalev-Shwartz, Singer and Chandra 2008, figures 1 and
//! 2). Both at once by the two multipliers of the problem's optimality conditions: the projection of v
//! onto {w in the simplex, |w - y|_1 <= eps} is max(0, y + soft(v - y - nu, mu)), where soft moves a
//! number mu nearer to 0, nu makes the row sum to 1, and mu >= 0 is the smallest that keeps the bound.

/// Halvings of an interval: more than a float's 53 bits, so that nothing is left to halve.
const HALVINGS: usize = 64;

/// The nearest point to `v` whose entries are 0 or more and sum to `s` (above 0), in place.
pub fn onto_simplex(v: &mut [f64], s: f64) {
    let mut sorted = v.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (i, &x) in sorted.iter().enumerate() {
        sum += x;
        let candidate = (sum - s) / (i + 1) as f64;
        if x <= candidate {
            break;
        }
        shift = candidate;
    }
    v.iter_mut().for_each(|x| *x = (*x - shift).max(0.0));
}

/// The nearest point to `v` with an L1 norm of at most `s` (above 0), in place.
pub fn onto_l1_ball(v: &mut [f64], s: f64) {
    if v.iter().map(|x| x.abs()).sum::<f64>() <= s {
        return;
    }
    let mut sizes: Vec<f64> = v.iter().map(|x| x.abs()).collect();
    onto_simplex(&mut sizes, s);
    v.iter_mut().zip(sizes).for_each(|(x, size)| *x = size.copysign(*x));
}

/// The nearest point to `v` in the simplex that is no further than `eps` from `y` in L1, in place.
/// `y` is in the simplex.
pub fn onto_simplex_near(v: &mut [f64], y: &[f64], eps: f64) {
    let mut w = v.to_vec();
    onto_simplex(&mut w, 1.0);
    if distance(&w, y) > eps {
        let moves: Vec<f64> = v.iter().zip(y).map(|(v, y)| v - y).collect();
        let reach = moves.iter().fold(0.0, |a: f64, m| a.max(m.abs()));
        // At 2 reach + 2 every move is cut to nothing, so the bound holds at the upper end.
        let (mut low, mut high) = (0.0, 2.0 * reach + 2.0);
        for _ in 0..HALVINGS {
            let mu = 0.5 * (low + high);
            balanced(&moves, y, mu, &mut w);
            if distance(&w, y) > eps { low = mu } else { high = mu }
        }
        balanced(&moves, y, high, &mut w);
    }
    v.copy_from_slice(&w);
}

/// max(0, y + soft(moves - nu, mu)) with the nu for which it sums to 1.
fn balanced(moves: &[f64], y: &[f64], mu: f64, w: &mut [f64]) {
    let set = |nu: f64, w: &mut [f64]| -> f64 {
        let entries = moves.iter().zip(y).zip(w);
        entries.fold(0.0, |sum, ((m, y), w)| {
            *w = (y + soft(m - nu, mu)).max(0.0);
            sum + *w
        })
    };
    let reach = moves.iter().fold(0.0, |a: f64, m| a.max(m.abs()));
    let (mut low, mut high) = (-reach - mu - 1.0, reach + mu + 1.0);
    for _ in 0..HALVINGS {
        let nu = 0.5 * (low + high);
        if set(nu, w) > 1.0 { low = nu } else { high = nu }
    }
    set(high, w);
}

/// `x`, moved by `by` towards 0.
fn soft(x: f64, by: f64) -> f64 {
    (x.abs() - by).max(0.0).copysign(x)
}

/// L1 distance.
pub fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::*;

    #[test]
    fn the_reference_projections_are_matched() {
        for (method, count) in [("project_simplex", 6), ("project_l1_ball", 5)] {
            let all = cases(method);
            assert_eq!(all.len(), count);
            for case in all {
                let mut v = numbers(&case["input"]["v"]);
                let s = case["input"]["s"].as_f64().unwrap();
                if method == "project_simplex" {
                    onto_simplex(&mut v, s)
                } else {
                    onto_l1_ball(&mut v, s)
                }
                assert_close(&case, &v, &numbers(&case["expected"]["w"]));
            }
        }
    }

    #[test]
    fn the_reference_projections_onto_both_are_matched() {
        let all = cases("project_simplex_l1");
        assert_eq!(all.len(), 7);
        for case in all {
            let (mut v, y) = (numbers(&case["input"]["v"]), numbers(&case["input"]["y"]));
            onto_simplex_near(&mut v, &y, case["input"]["eps"].as_f64().unwrap());
            assert_close(&case, &v, &numbers(&case["expected"]["w"]));
            assert_close(&case, &[distance(&v, &y)], &[case["expected"]["l1"].as_f64().unwrap()]);
        }
    }

    proptest! {
        #[test]
        fn no_feasible_point_is_nearer(
            v in prop::collection::vec(-2.0f64..2.0, 4),
            y in prop::collection::vec(0.01f64..1.0, 4),
            other in prop::collection::vec(0.0f64..1.0, 4),
            eps in 0.01f64..2.0,
        ) {
            let scaled = |x: &[f64]| {
                let sum: f64 = x.iter().sum();
                x.iter().map(|x| x / sum).collect::<Vec<_>>()
            };
            let (y, other) = (scaled(&y), scaled(&[other, vec![1e-9; 4]].concat()[..4]));
            let mut w = v.clone();
            onto_simplex_near(&mut w, &y, eps);
            prop_assert!((w.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!(w.iter().all(|x| *x >= 0.0) && distance(&w, &y) <= eps + 1e-9);
            // Any point of the simplex, drawn towards y until it is near enough.
            let part = (eps / distance(&other, &y)).min(1.0);
            let near: Vec<f64> = y.iter().zip(&other).map(|(y, o)| y + part * (o - y)).collect();
            let square = |a: &[f64]| a.iter().zip(&v).map(|(a, v)| (a - v) * (a - v)).sum::<f64>();
            prop_assert!(square(&w) <= square(&near) + 1e-9);
        }
    }
}
