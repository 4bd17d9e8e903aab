//! A row of a table for each token.

use super::texts::{self, Stretch};
use super::{Cell, Pass, Room, Slot, Wanted, sized};
use crate::model::cpu::Real;
use crate::model::init::Draw;

/// `[positions]` token numbers -> `[positions, width]`, plus a row for the place if places are learnt.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::model) struct Embed {
    /// Stem of its parameters' names.
    pub name: String,
    pub positions: usize,
    pub vocabulary: usize,
    pub width: usize,
    /// True for a learnt row per position.
    pub places: bool,
    /// True if the output layer shares the rows: on the way back its part of their gradient is there already.
    pub tied: bool,
    pub draw: Draw,
    /// First place of its parameters: tokens `[vocabulary, width]`, then places `[positions, width]`.
    pub at: usize,
}

impl Embed {
    pub(super) const fn inputs(&self) -> usize {
        self.positions
    }

    pub(super) const fn outputs(&self) -> usize {
        self.positions * self.width
    }

    /// Looking up multiplies nothing.
    pub(super) const fn multiply_adds(&self) -> usize {
        0
    }

    pub(super) fn slots(&self) -> Vec<Slot> {
        let slot = |name: &str, rows: usize, at: usize| Slot {
            name: format!("{}.{name}", self.name),
            shape: vec![rows, self.width],
            at,
            draw: self.draw,
        };
        let tokens = slot("weight", self.vocabulary, self.at);
        let places = slot("places", self.positions, self.at + self.vocabulary * self.width);
        if self.places { vec![tokens, places] } else { vec![tokens] }
    }

    fn split<'a, T>(&self, params: &'a [T]) -> (&'a [T], &'a [T]) {
        let (tokens, rest) = params[self.at..].split_at(self.vocabulary * self.width);
        (tokens, &rest[..if self.places { self.positions * self.width } else { 0 }])
    }

    /// The row of `token` at `place` into y `[width]`.
    pub(in crate::model) fn look_up<T: Real>(
        &self,
        params: &[T],
        token: T,
        place: usize,
        y: &mut [T],
    ) {
        let (tokens, places) = self.split(params);
        let row = index(token) * self.width;
        y.copy_from_slice(&tokens[row..row + self.width]);
        if self.places {
            let place = &places[place * self.width..][..self.width];
            y.iter_mut().zip(place).for_each(|(y, &p)| *y += p);
        }
    }

    pub(super) fn forward<T: Real>(
        &self,
        n: usize,
        params: &[T],
        x: &[T],
        cell: &mut Cell<T>,
        room: &mut Room<T>,
        _pass: Pass,
    ) {
        let y = sized(&mut cell.y, n * self.outputs());
        let mut end = 0;
        for Stretch { at, len } in texts::lying(&room.texts, n, self.positions) {
            end = at + len;
            let rows = y[at * self.width..end * self.width].chunks_exact_mut(self.width);
            for (place, (&token, y)) in x[at..end].iter().zip(rows).enumerate() {
                self.look_up(params, token, place, y);
            }
        }
        y[end * self.width..].fill(T::zero());
    }

    /// Token numbers have no gradient: that of the input is zero.
    pub(super) fn backward<T: Real>(
        &self,
        n: usize,
        _params: &[T],
        x: &[T],
        _cell: &mut Cell<T>,
        dy: &mut [T],
        room: &mut Room<T>,
        wanted: Wanted<'_, T>,
    ) {
        if let Some(dx) = wanted.input {
            dx.fill(T::zero());
        }
        let Some(grads) = wanted.params else { return };
        let (tokens, rest) = grads[self.at..].split_at_mut(self.vocabulary * self.width);
        let places = &mut rest[..if self.places { self.positions * self.width } else { 0 }];
        if !self.tied {
            tokens.fill(T::zero());
        }
        places.fill(T::zero());
        for Stretch { at, len } in texts::lying(&room.texts, n, self.positions) {
            let rows = dy[at * self.width..][..len * self.width].chunks_exact(self.width);
            for (place, (&token, dy)) in x[at..at + len].iter().zip(rows).enumerate() {
                let row = &mut tokens[index(token) * self.width..][..self.width];
                row.iter_mut().zip(dy).for_each(|(g, &dy)| *g += dy);
                if self.places {
                    let row = &mut places[place * self.width..][..self.width];
                    row.iter_mut().zip(dy).for_each(|(g, &dy)| *g += dy);
                }
            }
        }
    }
}

/// Token numbers are whole and small, exact in every type.
fn index<T: Real>(token: T) -> usize {
    token.wide() as usize
}
