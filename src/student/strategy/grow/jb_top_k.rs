//! JB-topk (Juuti et al. 2019, PRADA; Orekondy et al. 2020, Prediction Poisoning, section 5.1): each row gets a copy
//! towards each of the k classes that the student's own model thinks most likely after the teacher's class.

use ndarray::Array2;

use super::pgd::{Pgd, repeated};
use super::{Move, Round};
use crate::error::Result;

#[derive(Debug)]
pub(in crate::student::strategy) struct JbTopK {
    /// Wrong classes of each row.
    pub k: usize,
    pub pgd: Pgd,
}

/// The k best classes of a row of probabilities without `class`, ties to the lowest number.
pub(super) fn best_wrong(probs: &[f64], class: usize, k: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probs.len()).filter(|&c| c != class).collect();
    order.sort_by(|&a, &b| probs[b].total_cmp(&probs[a]).then(a.cmp(&b)));
    order.truncate(k);
    order
}

impl Move for JbTopK {
    fn kind(&self) -> &'static str {
        "jb-topk"
    }

    fn copies(&self, classes: usize) -> usize {
        self.k.min(classes.saturating_sub(1))
    }

    fn moved(&self, round: &Round<'_>) -> Result<Array2<f32>> {
        let copies = self.copies(round.of);
        let probs = round.own.probs(round.rows.view())?;
        let rows = probs.rows().into_iter().zip(round.classes);
        let targets: Vec<usize> =
            rows.flat_map(|(p, &class)| best_wrong(&p.to_vec(), class, copies)).collect();
        self.pgd.towards(&repeated(round.rows, copies), &targets, round.own, round.range)
    }
}
