//! What follows when a gate or a detector flags a row, and who was flagged how often.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Next, Promise, rows};
use crate::error::Result;
use crate::oracle::{AccountId, Answers, Batch, Card, Denial, Outcome, Reply, argmax};
use crate::seed::{Seed, below};

/// What a flagged row gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// The answer; the flag is counted.
    Warn,
    /// Nothing: the row is blocked, and charged, because a block tells something of the input.
    #[default]
    Refuse,
    /// Certainty of the most likely class.
    Label,
    /// The three largest probabilities in another order, keyed by the input: the top class is wrong.
    Perturb,
}

impl Response {
    /// The card above a layer with this response.
    pub fn card(self, kind: &str, below: Card) -> Result<Card> {
        match self {
            Self::Warn | Self::Refuse => Ok(below),
            Self::Label | Self::Perturb => rows::needs_probs(kind, below),
        }
    }

    /// Of a layer with this response.
    pub const fn promise(self) -> Promise {
        let changes = matches!(self, Self::Label | Self::Perturb);
        Promise {
            keeps_top1: !matches!(self, Self::Perturb),
            l1_bound: if changes { 2.0 } else { 0.0 },
            refuses: matches!(self, Self::Refuse),
            ..Promise::BASE
        }
    }
}

/// Gives each row of `reply` that is `flagged` (`[n]`, by asked row) the response. `by` is the layer.
pub fn respond(
    response: Response,
    by: &'static str,
    key: Seed,
    batch: &Batch,
    mut reply: Reply,
    flagged: &[bool],
) -> Result<Reply> {
    let answered = reply.answered();
    let hit = answered.iter().copied().filter(|&(row, _)| flagged[row]);
    match response {
        Response::Warn => {}
        Response::Refuse => {
            let kept: Vec<(usize, usize)> =
                answered.iter().copied().filter(|&(row, _)| !flagged[row]).collect();
            hit.for_each(|(row, _)| reply.outcomes[row] = Outcome::Denied(Denial::Blocked { by }));
            let index: Vec<usize> = kept.iter().map(|&(_, i)| i).collect();
            for (place, &(row, _)) in kept.iter().enumerate() {
                reply.outcomes[row] = Outcome::Answered(place);
            }
            reply.answers = reply.answers.select(&index);
        }
        Response::Label | Response::Perturb => {
            let Answers::Probs(probs) = &mut reply.answers else { return Err(rows::not_probs()) };
            for (row, i) in hit {
                let mut answer = probs.row_mut(i);
                let answer = answer.as_slice_mut().expect("rows of a fresh array are contiguous");
                if response == Response::Label {
                    let top = argmax(&*answer);
                    answer.fill(0.0);
                    answer[top] = 1.0;
                } else {
                    reorder(answer, key.keyed(&rows::bytes(batch.inputs.row(row))));
                }
            }
        }
    }
    Ok(reply)
}

/// Turns the three largest probabilities (two of two classes) around by one or two places.
fn reorder(answer: &mut [f64], key: Seed) {
    let mut order: Vec<usize> = (0..answer.len()).collect();
    order.sort_by(|&a, &b| answer[b].total_cmp(&answer[a]).then(a.cmp(&b)));
    order.truncate(3);
    if order.len() < 2 {
        return;
    }
    let by = 1 + below(&mut key.rng(), order.len() - 1);
    let values: Vec<f64> = order.iter().map(|&k| answer[k]).collect();
    for (place, &class) in order.iter().enumerate() {
        answer[class] = values[(place + by) % values.len()];
    }
}

/// As [`respond`] for a gate, which knows its flags before anything is answered: rows that it refuses
/// never reach the layers below.
pub fn gate(
    response: Response,
    by: &'static str,
    key: Seed,
    batch: &Batch,
    next: &mut Next<'_>,
    flagged: &[bool],
) -> Result<Reply> {
    if response != Response::Refuse {
        let reply = next.run(batch)?;
        return respond(response, by, key, batch, reply, flagged);
    }
    rows::pass(batch, next, |row| match flagged[row] {
        true => Err(Denial::Blocked { by }),
        false => Ok(()),
    })
}

/// What every detector does: a state for each account, a verdict on each answered row in order, a response
/// to flagged ones.
pub struct Watch<S> {
    states: Vec<S>,
    response: Response,
    key: Seed,
    flags: Flags,
}

impl<S: Clone + Default> Watch<S> {
    /// Nobody has asked yet.
    pub fn new(response: Response, key: Seed) -> Self {
        Self { states: Vec::new(), response, key, flags: Flags::default() }
    }

    /// Judges the answered rows of `reply`: `flag(state of the account, asked row, answer)`. `by` is the layer.
    pub fn judge(
        &mut self,
        by: &'static str,
        batch: &Batch,
        reply: Reply,
        mut flag: impl FnMut(&mut S, usize, usize) -> Result<bool>,
    ) -> Result<Reply> {
        let mut flagged = vec![false; batch.len()];
        for (row, answer) in reply.answered() {
            let account = batch.account[row];
            flagged[row] = flag(of_account(&mut self.states, account), row, answer)?;
            self.flags.note(account, flagged[row]);
        }
        respond(self.response, by, self.key, batch, reply, &flagged)
    }

    /// Whom it has flagged.
    pub const fn flags(&self) -> &Flags {
        &self.flags
    }
}

/// How often accounts were flagged.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// By account number.
    accounts: Vec<Flagged>,
}

/// One account's rows before a detector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flagged {
    /// Rows judged.
    pub rows: u64,
    /// Rows flagged.
    pub flagged: u64,
    /// Number of the first flagged row, from 1.
    pub first: Option<u64>,
}

impl Flags {
    /// Notes the verdict on one row of `account`.
    pub fn note(&mut self, account: AccountId, flagged: bool) {
        let entry = of_account(&mut self.accounts, account);
        entry.rows += 1;
        entry.flagged += u64::from(flagged);
        if flagged && entry.first.is_none() {
            entry.first = Some(entry.rows);
        }
    }

    /// What is known of `account`.
    pub fn of(&self, account: AccountId) -> Flagged {
        self.accounts.get(account.0 as usize).copied().unwrap_or_default()
    }
}

/// The state of `account`, fresh at its first row.
pub fn of_account<T: Clone + Default>(states: &mut Vec<T>, account: AccountId) -> &mut T {
    let place = account.0 as usize;
    if states.len() <= place {
        states.resize(place + 1, T::default());
    }
    &mut states[place]
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr2};

    use super::*;
    use crate::oracle::Tick;

    fn asked() -> (Batch, Reply) {
        let inputs = Array2::from_shape_fn((3, 1), |(i, _)| i as f32);
        let probs = arr2(&[[0.6, 0.3, 0.08, 0.02], [0.1, 0.7, 0.15, 0.05], [0.4, 0.3, 0.2, 0.1]]);
        (Batch::classify(AccountId(0), Tick::ZERO, inputs), Reply::all(Answers::Probs(probs)))
    }

    fn respond_to(response: Response) -> Reply {
        let (batch, reply) = asked();
        respond(response, "test", Seed::new(1), &batch, reply, &[true, false, true]).unwrap()
    }

    fn rows_of(reply: &Reply) -> Vec<Vec<f64>> {
        let Answers::Probs(p) = &reply.answers else { panic!("probabilities") };
        p.rows().into_iter().map(|r| r.to_vec()).collect()
    }

    #[test]
    fn a_warning_changes_nothing_and_a_refusal_blocks_flagged_rows_only() {
        assert_eq!(respond_to(Response::Warn), asked().1);
        let refused = respond_to(Response::Refuse);
        let blocked = Outcome::Denied(Denial::Blocked { by: "test" });
        assert_eq!(refused.outcomes, [blocked, Outcome::Answered(0), blocked]);
        assert_eq!(rows_of(&refused), [vec![0.1, 0.7, 0.15, 0.05]]);
    }

    #[test]
    fn a_label_is_certain_and_a_perturbed_row_has_another_top_class() {
        let label = rows_of(&respond_to(Response::Label));
        assert_eq!(
            label,
            [vec![1.0, 0.0, 0.0, 0.0], vec![0.1, 0.7, 0.15, 0.05], vec![1.0, 0.0, 0.0, 0.0]]
        );
        let perturbed = rows_of(&respond_to(Response::Perturb));
        assert_eq!(perturbed[1], [0.1, 0.7, 0.15, 0.05]);
        for (row, clean) in [(0, [0.6, 0.3, 0.08, 0.02]), (2, [0.4, 0.3, 0.2, 0.1])] {
            assert_ne!(argmax(&perturbed[row]), 0);
            let mut sorted = perturbed[row].clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            assert_eq!(sorted, clean);
            assert_eq!(perturbed[row][3], clean[3]);
        }
    }

    #[test]
    fn a_perturbed_row_is_turned_by_one_place_or_by_two() {
        let turned = |row: &[f64]| {
            let of = |key| {
                let mut row = row.to_vec();
                reorder(&mut row, Seed::new(key));
                row
            };
            let mut all: Vec<Vec<f64>> = (0..50).map(of).collect();
            all.sort_by(|a, b| a[0].total_cmp(&b[0]));
            all.dedup();
            all
        };
        assert_eq!(turned(&[0.5, 0.3, 0.2]), [[0.2, 0.5, 0.3], [0.3, 0.2, 0.5]]);
        assert_eq!(turned(&[0.7, 0.3]), [[0.3, 0.7]]);
        assert_eq!(turned(&[1.0]), [[1.0]]);
    }

    #[test]
    fn flags_are_counted_by_account() {
        let mut flags = Flags::default();
        for (account, flagged) in [(2, false), (2, true), (0, true), (2, true)] {
            flags.note(AccountId(account), flagged);
        }
        assert_eq!(flags.of(AccountId(2)), Flagged { rows: 3, flagged: 2, first: Some(2) });
        assert_eq!(flags.of(AccountId(0)), Flagged { rows: 1, flagged: 1, first: Some(1) });
        assert_eq!(flags.of(AccountId(9)), Flagged::default());
    }
}
