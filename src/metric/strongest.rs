//! The strongest student, chosen on some seeds and scored on others: the maximum of noisy means is
//! biased upwards, and cross-fitting takes that bias away.

use super::interval::{Estimate, paired_ci};

/// A cross-fitted strongest student.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossFit {
    /// Score on each seed of the student chosen without that seed.
    pub per_seed: Vec<f64>,
    /// Which student was chosen for each seed.
    pub chosen: Vec<usize>,
}

/// `scores[student][seed]`; leaves one seed out at a time. None with fewer than three seeds.
pub fn cross_fitted(scores: &[Vec<f64>]) -> Option<CrossFit> {
    let seeds = scores.first()?.len();
    if seeds < 3 || scores.iter().any(|s| s.len() != seeds) {
        return None;
    }
    let chosen: Vec<usize> = (0..seeds).map(|out| best_without(scores, out)).collect();
    let per_seed = chosen.iter().enumerate().map(|(seed, &s)| scores[s][seed]).collect();
    Some(CrossFit { per_seed, chosen })
}

fn best_without(scores: &[Vec<f64>], out: usize) -> usize {
    let total =
        |s: &[f64]| s.iter().enumerate().filter(|(i, _)| *i != out).map(|(_, v)| v).sum::<f64>();
    let mut best = 0;
    for s in 1..scores.len() {
        if total(&scores[s]) > total(&scores[best]) {
            best = s;
        }
    }
    best
}

/// What a defense takes from the strongest student: max-student(none) - max-student(arm), each
/// cross-fitted, paired by seed.
pub fn headline(none: &[Vec<f64>], arm: &[Vec<f64>]) -> Option<Estimate> {
    let (none, arm) = (cross_fitted(none)?, cross_fitted(arm)?);
    (none.per_seed.len() == arm.per_seed.len())
        .then(|| paired_ci(&none.per_seed, &arm.per_seed, 0.95))
}

/// Defense effectiveness as DistillGuard has it: defended over undefended student score; lower is a
/// stronger defense.
pub fn de(defended: f64, undefended: f64) -> Option<f64> {
    (undefended != 0.0).then(|| defended / undefended)
}

/// Defense cost as DistillGuard has it: relative loss of the teacher.
pub fn dc(defended: f64, undefended: f64) -> Option<f64> {
    (undefended != 0.0).then(|| (undefended - defended) / undefended)
}
