//! What a watermark has planted, for the account that met it or for everybody, and how likely a model that met none
//! of it gives a planted class.

use std::collections::BTreeSet;

use ndarray::Array2;

use super::respond::of_account;
use crate::oracle::AccountId;

/// Planted rows with their classes.
#[derive(Clone, Debug)]
pub struct Marks {
    chance: f64,
    everybody: Planted,
    accounts: Vec<Planted>,
}

#[derive(Clone, Debug, Default)]
struct Planted {
    seen: BTreeSet<[u8; 16]>,
    inputs: Vec<Vec<f32>>,
    classes: Vec<usize>,
}

impl Marks {
    /// Nothing planted yet. A model that met no mark gives a planted class with this chance at most, in (0, 1).
    pub fn new(chance: f64) -> Self {
        Self { chance, everybody: Planted::default(), accounts: Vec::new() }
    }

    /// Rows `[m, d]` that whoever distils the teacher meets, all of them with the class `class`.
    pub fn of_all(chance: f64, rows: &Array2<f32>, class: usize) -> Self {
        let mut marks = Self::new(chance);
        marks.everybody.inputs = rows.rows().into_iter().map(|row| row.to_vec()).collect();
        marks.everybody.classes = vec![class; rows.nrows()];
        marks
    }

    /// Remembers a row that an account met, unless there are `most` of it or one of the same name.
    pub fn keep(
        &mut self,
        account: AccountId,
        most: usize,
        name: &[u8],
        input: &[f32],
        class: usize,
    ) {
        let planted = of_account(&mut self.accounts, account);
        let hash = blake3::hash(name);
        let name = *hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
        if planted.inputs.len() < most && planted.seen.insert(name) {
            planted.inputs.push(input.to_vec());
            planted.classes.push(class);
        }
    }

    /// What whoever asked with `accounts` has met: inputs `[m, d]` and planted classes `[m]`.
    pub fn of(&self, accounts: &[AccountId]) -> (Array2<f32>, Vec<usize>) {
        let known = accounts.iter().filter_map(|a| self.accounts.get(a.0 as usize));
        let (mut inputs, mut classes) = (Vec::new(), Vec::new());
        for planted in std::iter::once(&self.everybody).chain(known) {
            inputs.extend_from_slice(&planted.inputs);
            classes.extend_from_slice(&planted.classes);
        }
        let d = inputs.first().map_or(0, Vec::len);
        let rows = Array2::from_shape_fn((inputs.len(), d), |(i, j)| inputs[i][j]);
        (rows, classes)
    }

    /// The chance at which a model that met no mark gives a planted class, at most.
    pub const fn chance(&self) -> f64 {
        self.chance
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    #[test]
    fn rows_of_all_come_before_an_accounts_own_which_are_kept_once_and_up_to_a_number() {
        let mut marks = Marks::of_all(0.1, &arr2(&[[1.0, 2.0], [3.0, 4.0]]), 7);
        for (name, x) in [("a", 5.0), ("a", 6.0), ("b", 7.0), ("c", 8.0)] {
            marks.keep(AccountId(2), 2, name.as_bytes(), &[x, x], 3);
        }
        let (rows, classes) = marks.of(&[AccountId(2), AccountId(9)]);
        assert_eq!(rows, arr2(&[[1.0, 2.0], [3.0, 4.0], [5.0, 5.0], [7.0, 7.0]]));
        assert_eq!(classes, [7, 7, 3, 3]);
        assert_eq!(marks.of(&[AccountId(0)]).1, [7, 7]);
    }
}
