//! What texts teach at each position that counts: the next token, or a teacher's distribution over it. Divided by
//! the number of those positions, so that no text weighs more for being cut otherwise.

use std::sync::Arc;

use ndarray::Array2;

use super::soft_tokens::{Desk, Soft};
use super::uld::Sorted;
use crate::error::{Error, Result, expect_shape};
use crate::model::layer::texts::Stretch;

/// Next tokens of texts, and which of them count.
#[derive(Clone, Debug)]
pub(in crate::model) struct Texts {
    /// `[n, positions]`; -1 where nothing is learnt.
    pub targets: Array2<i32>,
    /// None where next tokens are all that is learnt.
    pub taught: Option<Taught>,
}

/// What positions learn beside or instead of their token.
#[derive(Clone, Debug)]
pub(in crate::model) struct Taught {
    told: Told,
    /// `[n, positions]` the how-manieth a position is of those that count.
    rows: Array2<u32>,
}

#[derive(Clone, Debug)]
enum Told {
    /// Of the student's own tokens.
    Shared { soft: Option<Soft>, weights: Option<Weights> },
    /// Of whatever tokens.
    Sorted(Arc<Sorted>),
}

/// How much each position that counts weighs, text after text, in place of the shares of [`Soft`]. Weights may be
/// negative; the sum is still divided by the number of positions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// Of the divergence from the teacher's distribution.
    pub soft: Vec<f64>,
    /// Of the cross-entropy to the token itself.
    pub hard: Vec<f64>,
}

impl Taught {
    /// Refuses what does not fit the positions that count in `targets`.
    pub(in crate::model) fn new(
        targets: &Array2<i32>,
        soft: Option<Soft>,
        weights: Option<Weights>,
        vocabulary: usize,
    ) -> Result<Self> {
        let (rows, counted) = numbered(targets);
        if let Some(soft) = &soft {
            soft.check(counted, vocabulary)?;
        }
        for (what, weights) in weights
            .iter()
            .flat_map(|w| [("weights of divergences", &w.soft), ("weights of tokens", &w.hard)])
        {
            expect_shape(what, &[weights.len()], &[counted])?;
            if let Some((row, w)) = weights.iter().enumerate().find(|(_, w)| !w.is_finite()) {
                return Err(Error::input(format!("{what}, {row}"), w, "a finite number"));
            }
        }
        Ok(Self { told: Told::Shared { soft, weights }, rows })
    }

    /// The same for what is compared without its tokens.
    pub(in crate::model) fn sorted(targets: &Array2<i32>, sorted: Arc<Sorted>) -> Result<Self> {
        let (rows, counted) = numbered(targets);
        expect_shape("sorted targets of positions that count", &[sorted.len()], &[counted])?;
        Ok(Self { told: Told::Sorted(sorted), rows })
    }

    fn row(
        &self,
        z: &mut [f64],
        q: &[f64],
        place: (usize, usize),
        token: usize,
        desk: &mut Desk,
    ) -> f64 {
        let row = self.rows[place] as usize;
        let (targets, weights) = match &self.told {
            Told::Shared { soft, weights } => (soft, weights),
            Told::Sorted(sorted) => return sorted.row(z, q, (row, token), &mut desk.order),
        };
        let [soft, hard] = match (weights, targets) {
            (Some(weights), _) => [weights.soft[row], weights.hard[row]],
            (None, Some(soft)) => [1.0 - soft.hard, soft.hard],
            (None, None) => [0.0, 1.0],
        };
        match targets {
            Some(targets) => targets.row(z, q, (row, token), [soft, hard], desk),
            None => {
                let loss = super::hard_label::row(z, q, token);
                z.iter_mut().for_each(|z| *z *= hard);
                hard * loss
            }
        }
    }
}

/// The how-manieth each position is of those that count, and how many these are.
fn numbered(targets: &Array2<i32>) -> (Array2<u32>, usize) {
    let mut counted = 0_u32;
    let rows = Array2::from_shape_fn(targets.dim(), |place| {
        counted += u32::from(targets[place] >= 0);
        counted.saturating_sub(1)
    });
    (rows, counted as usize)
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
    pub(super) fn row(
        &self,
        z: &mut [f64],
        q: &[f64],
        place: Option<(usize, usize)>,
        desk: &mut Desk,
    ) -> f64 {
        let target = |place| usize::try_from(self.targets[place]).ok().map(|token| (place, token));
        match (place.and_then(target), &self.taught) {
            (Some((_, token)), None) => super::hard_label::row(z, q, token),
            (Some((place, token)), Some(taught)) => taught.row(z, q, place, token, desk),
            (None, _) => {
                z.fill(0.0);
                0.0
            }
        }
    }
}
