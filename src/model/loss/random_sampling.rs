//! Random-sampling distillation: a few drawn tokens stand for a distribution, and their mean is the distribution
//! itself, which the mean of a cut one is not (Anshumann et al. 2025, arXiv:2503.16870, section 4).

use crate::seed::uniform;

/// Target of one position: tokens in rising order, and weights that sum to 1 on average (always, at power 1).
/// `draws` tokens are drawn with replacement, in proportion to `p` to `power`.
pub(super) fn target(
    p: &[f64],
    draws: usize,
    power: f64,
    rng: &mut impl rand::Rng,
) -> Vec<(usize, f64)> {
    let proposal = proposal(p, power);
    let draw = |_| {
        let mut left = uniform(rng);
        let drawn = proposal.iter().position(|&p| {
            left -= p;
            left < 0.0
        });
        drawn.unwrap_or_else(|| crate::oracle::argmax(&proposal))
    };
    let drawn: Vec<usize> = (0..draws).map(draw).collect();
    weighed(p, &proposal, drawn)
}

/// Chance of each token to be drawn.
fn proposal(p: &[f64], power: f64) -> Vec<f64> {
    let powers: Vec<f64> = p.iter().map(|&p| libm::pow(p, power)).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|p| p / sum).collect()
}

/// Each drawn token with (times drawn / draws) (p / chance to be drawn).
fn weighed(p: &[f64], proposal: &[f64], mut drawn: Vec<usize>) -> Vec<(usize, f64)> {
    let each = 1.0 / drawn.len() as f64;
    drawn.sort_unstable();
    let groups = drawn.chunk_by(|a, b| a == b);
    groups.map(|g| (g[0], g.len() as f64 * each * p[g[0]] / proposal[g[0]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    const P: [f64; 4] = [0.55, 0.3, 0.1, 0.05];

    /// Calls `f` with every sequence of `n` tokens and its chance.
    fn every(proposal: &[f64], n: u32, mut f: impl FnMut(Vec<usize>, f64)) {
        let v = proposal.len();
        for code in 0..v.pow(n) {
            let drawn: Vec<usize> = (0..n).map(|i| code / v.pow(i) % v).collect();
            let chance = drawn.iter().map(|&token| proposal[token]).product();
            f(drawn, chance);
        }
    }

    #[test]
    fn the_mean_over_all_draws_is_the_distribution_and_so_is_its_gradient() {
        let q = [0.25, 0.25, 0.4, 0.1];
        for power in [0.0, 0.5, 0.8, 1.0] {
            let proposal = proposal(&P, power);
            let (mut mean, mut gradient) = ([0.0; 4], [0.0; 4]);
            every(&proposal, 3, |drawn, chance| {
                let target = weighed(&P, &proposal, drawn);
                let mass: f64 = target.iter().map(|(_, p)| p).sum();
                assert!(power < 1.0 || (mass - 1.0).abs() < 1e-12);
                gradient.iter_mut().zip(q).for_each(|(g, q)| *g += chance * mass * q);
                for (token, p) in target {
                    mean[token] += chance * p;
                    gradient[token] -= chance * p;
                }
            });
            for token in 0..4 {
                assert!((mean[token] - P[token]).abs() < 1e-12, "power {power}: {mean:?}");
                assert!((gradient[token] - (q[token] - P[token])).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_cut_distribution_scaled_to_one_is_not_the_distribution_on_average() {
        // It has one value, so it is its own mean: .3 / .85 where the teacher says .3.
        let top = crate::oracle::TopK::of(&ndarray::arr2(&[P]), 2);
        let q = ndarray::arr2(&[P.map(libm::log)]);
        let tail = super::super::Tail::TeacherRenormalised;
        let (_, grad) = tail.loss(q.view(), &top, super::super::Divergence::ForwardKl {}).unwrap();
        let expected = [0.55 - 0.55 / 0.85, 0.3 - 0.3 / 0.85, 0.1, 0.05];
        // A student that is right already is pushed away from it.
        grad.iter().zip(expected).for_each(|(g, e)| assert!((g - e).abs() < 1e-12, "{grad}"));
    }

    #[test]
    fn tokens_are_drawn_as_often_as_proposed() {
        for power in [0.5, 1.0] {
            let (proposal, mut rng) = (proposal(&P, power), Seed::new(3).rng());
            let drawn = target(&P, 40_000, power, &mut rng);
            for (token, weight) in drawn {
                let share = weight * proposal[token] / P[token];
                // Five standard deviations of a share of a half.
                assert!((share - proposal[token]).abs() < 0.0125, "{token}: {share}");
            }
        }
    }
}
