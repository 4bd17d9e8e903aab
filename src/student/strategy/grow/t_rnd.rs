//! T-RND (Juuti et al. 2019, PRADA, section IV; `jbtr3` of Tang et al. 2024, ModelGuard): each row gets a copy towards
//! each of k random classes other than the teacher's.

use ndarray::Array2;

use super::pgd::{Pgd, repeated};
use super::{Move, Round};
use crate::error::Result;
use crate::seed::{Seed, shuffle};

#[derive(Debug)]
pub(in crate::student::strategy) struct TRnd {
    /// Random classes of each row.
    pub k: usize,
    pub pgd: Pgd,
}

impl TRnd {
    /// The step of the paper's code: the box's half width, travelled 1.85 times in all.
    pub(in crate::student::strategy) fn new(k: usize, eps: f64, iterations: usize) -> Self {
        let alpha = eps * 1.85 / iterations as f64;
        Self { k, pgd: Pgd { eps, alpha, iterations } }
    }
}

/// k random classes below `of` for each row, none the row's own and none twice.
pub(super) fn random_wrong(classes: &[usize], of: usize, k: usize, seed: Seed) -> Vec<usize> {
    let mut rng = seed.rng();
    let draw = |&class: &usize| {
        let mut others: Vec<usize> = (0..of).filter(|&c| c != class).collect();
        shuffle(&mut rng, &mut others);
        others.truncate(k);
        others
    };
    classes.iter().flat_map(draw).collect()
}

impl Move for TRnd {
    fn kind(&self) -> &'static str {
        "t-rnd"
    }

    fn copies(&self, classes: usize) -> usize {
        self.k.min(classes.saturating_sub(1))
    }

    fn moved(&self, round: &Round<'_>) -> Result<Array2<f32>> {
        let copies = self.copies(round.of);
        let targets = random_wrong(round.classes, round.of, copies, round.seed);
        self.pgd.towards(&repeated(round.rows, copies), &targets, round.own, round.range)
    }
}
