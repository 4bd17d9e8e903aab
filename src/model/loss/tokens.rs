//! Cross-entropy to the next token at each position that counts. Divided by the number of those, so
//! that no text weighs more for being cut otherwise.

use ndarray::Array2;

use crate::model::layer::texts::Stretch;

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

    /// Tokens of a text up to the last that counts; those beyond it change nothing. At least one.
    pub(in crate::model) fn len(&self, text: usize) -> usize {
        let counted = self.targets.row(text).iter().rposition(|t| *t >= 0);
        counted.map_or(1, |last| last + 1)
    }

    /// (text, position) of the tokens of a batch of the texts at `index`, in order.
    pub(super) fn places<'a>(
        &'a self,
        index: &'a [usize],
        lying: &'a [Stretch],
    ) -> impl Iterator<Item = (usize, usize)> + 'a {
        let whole = if lying.is_empty() { index } else { &[] };
        let whole = whole.iter().map(|&text| (text, self.positions()));
        let laid = index.iter().zip(lying).map(|(&text, stretch)| (text, stretch.len));
        laid.chain(whole).flat_map(|(text, len)| (0..len).map(move |position| (text, position)))
    }

    /// Loss of the token at this (text, position), given log softmax and softmax; the gradient in place of the
    /// former. Nothing where nothing is learnt, or where no text lies.
    pub(super) fn row(&self, z: &mut [f64], q: &[f64], place: Option<(usize, usize)>) -> f64 {
        let target = place.and_then(|place| usize::try_from(self.targets[place]).ok());
        match target {
            Some(target) => super::hard_label::row(z, q, target),
            None => {
                z.fill(0.0);
                0.0
            }
        }
    }
}
