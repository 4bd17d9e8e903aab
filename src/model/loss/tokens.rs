//! Cross-entropy to the next token at each position that counts. Divided by the number of those, so
//! that no text weighs more for being cut otherwise.

use ndarray::Array2;

/// Next tokens of texts, and which of them count.
#[derive(Clone, Debug)]
pub(in crate::model) struct Texts {
    /// `[n, positions]`; -1 where nothing is learnt.
    pub targets: Array2<i32>,
}

impl Texts {
    /// Positions of a text.
    pub(in crate::model) fn positions(&self) -> usize {
        self.targets.ncols()
    }

    /// Tokens that count in the texts at `index`.
    pub(in crate::model) fn counted(&self, index: &[usize]) -> usize {
        let counts = |&i: &usize| self.targets.row(i).iter().filter(|t| **t >= 0).count();
        index.iter().map(counts).sum()
    }

    /// Loss of one position, given log softmax and softmax; the gradient in place of the former.
    pub(super) fn row(&self, z: &mut [f64], q: &[f64], text: usize, position: usize) -> f64 {
        match usize::try_from(self.targets[[text, position]]) {
            Ok(target) => super::hard_label::row(z, q, target),
            Err(_) => {
                z.fill(0.0);
                0.0
            }
        }
    }
}
