//! Sets that grow from a few seed rows: ask the public rows, train, make copies of the rows answered so far that are
//! moved by the student's own gradient, ask the copies, and so on (Papernot et al. 2017, algorithm 1, and its kin).
//! One file per way of moving; this one has what they share.
//!
//! Seeds are asked and paid for like any row, and a row is asked once: its answer is never asked for again. Every
//! round trains a fresh network. A round that costs more than is left moves a random part of the set.

mod jb_self;
mod jb_top_k;
mod jbda;
mod pgd;
mod t_rnd;

use ndarray::{Array2, Axis, Slice, Zip, concatenate};

pub(super) use jb_self::JbSelf;
pub(super) use jb_top_k::JbTopK;
pub(super) use jbda::Jbda;
pub(super) use pgd::Pgd;
pub(super) use t_rnd::TRnd;

use super::{Own, Strategy, Told};
use crate::error::{Error, Result};
use crate::seed::{Seed, permutation};
use crate::student::View;

/// What a way of moving gets: rows that were answered, the teacher's class of each, and the student's model.
pub(super) struct Round<'a> {
    /// 0 for the first copies.
    pub number: usize,
    /// `[n, d]`
    pub rows: &'a Array2<f32>,
    /// `[n]`
    pub classes: &'a [usize],
    /// Classes of the teacher.
    pub of: usize,
    pub own: &'a dyn Own,
    /// Valid feature values.
    pub range: (f32, f32),
    /// For random choices of this round.
    pub seed: Seed,
}

/// A way of moving rows.
pub(super) trait Move: Send {
    /// Its `kind` in a config.
    fn kind(&self) -> &'static str;

    /// Copies of each row, when the teacher has `classes` classes.
    fn copies(&self, classes: usize) -> usize {
        let _ = classes;
        1
    }

    /// Moved copies `[n * copies, d]` of the rows, those of a row side by side.
    fn moved(&self, round: &Round<'_>) -> Result<Array2<f32>>;

    /// Most rows that round `number` may move.
    fn at_most(&self, number: usize) -> usize {
        let _ = number;
        usize::MAX
    }
}

/// A set that grows.
pub(super) struct Grow<M> {
    how: M,
    reservoir: Seed,
    /// Rounds of copies done; none before the seeds are asked.
    round: Option<usize>,
    /// Rows answered so far `[n, d]` and the teacher's class of each.
    rows: Option<Array2<f32>>,
    classes: Vec<usize>,
    /// Rows answered when the last copies were made.
    used: usize,
}

impl<M: Move> Grow<M> {
    pub(super) const fn new(how: M, reservoir: Seed) -> Self {
        Self { how, reservoir, round: None, rows: None, classes: Vec::new(), used: 0 }
    }

    /// Rows to move: all that were answered, or a random part.
    fn chosen(&self, most: usize, round: usize) -> Vec<usize> {
        let n = self.classes.len();
        if n <= most {
            return (0..n).collect();
        }
        let mut part = permutation(&mut self.reservoir.nth("round", round as u64).rng(), n);
        part.truncate(most);
        part.sort_unstable();
        part
    }

    /// The first public rows: half of the budget at most, so that there is something to augment with.
    fn seeds(&self, view: &View<'_>, rows: usize) -> Result<Array2<f32>> {
        if view.public.nrows() == 0 {
            let expected = format!("at least one seed row for `{}`", self.how.kind());
            return Err(Error::input("public rows", 0, expected));
        }
        let n = view.public.nrows().min(rows.div_ceil(2));
        Ok(view.public.slice_axis(Axis(0), Slice::from(..n)).to_owned())
    }
}

impl<M: Move> Strategy for Grow<M> {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        let Some(number) = self.round else {
            self.round = Some(0);
            return self.seeds(view, rows);
        };
        let nothing = Array2::zeros((0, view.pool.ncols()));
        let (Some(known), Some(own)) = (&self.rows, own) else {
            return Ok(nothing); // no seed was answered
        };
        if self.classes.len() == self.used {
            return Ok(nothing); // the last copies were all refused
        }
        let copies = self.how.copies(view.classes);
        if copies == 0 {
            return Ok(nothing);
        }
        let most = rows.div_ceil(copies).min(self.how.at_most(number));
        let chosen = self.chosen(most, number);
        let from = known.select(Axis(0), &chosen);
        let classes: Vec<usize> = chosen.iter().map(|&i| self.classes[i]).collect();
        let moved = self.how.moved(&Round {
            number,
            rows: &from,
            classes: &classes,
            of: view.classes,
            own,
            range: view.range,
            seed: self.reservoir.nth("moves", number as u64),
        })?;
        self.round = Some(number + 1);
        self.used = self.classes.len();
        let n = moved.nrows().min(rows);
        Ok(moved.slice_axis(Axis(0), Slice::from(..n)).to_owned())
    }

    fn wants_model(&self) -> bool {
        self.classes.len() > self.used
    }

    fn told(&mut self, told: &Told<'_>) -> Result<()> {
        if told.inputs.nrows() == 0 {
            return Ok(());
        }
        self.classes.extend(told.answers.top1());
        self.rows = Some(match self.rows.take() {
            None => told.inputs.clone(),
            Some(rows) => concatenate(Axis(0), &[rows.view(), told.inputs.view()])
                .map_err(|e| Error::Internal(e.to_string()))?,
        });
        Ok(())
    }
}

/// x + step sign(direction), clipped to the valid range; sign(0) = 0. `[n, d]`
fn signed_step(
    x: &Array2<f32>,
    direction: &Array2<f32>,
    step: f64,
    range: (f32, f32),
) -> Array2<f32> {
    Zip::from(x).and(direction).map_collect(|&x, &g| {
        let sign = f64::from(i8::from(g > 0.0) - i8::from(g < 0.0));
        ((f64::from(x) + step * sign) as f32).clamp(range.0, range.1)
    })
}

#[cfg(test)]
mod tests;
