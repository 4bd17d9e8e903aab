//! DAWN, a dynamic adversarial watermark of neural networks (Szyller, Atli, Marchal and Asokan 2021): a keyed
//! share of inputs gets a keyed wrong class, always the same one, and the layer remembers for whom. A student
//! that learns its answers by heart learns these too; the share of remembered rows on which a suspect gives the
//! planted class is the evidence.
//!
//! What is keyed is the input on a grid, so that near-duplicates meet the same fate (across a step of the grid
//! they do not). The answer's probabilities of the true and the planted class change places. At most `kept`
//! marked buckets are remembered of an account, the first ones; later ones are still answered wrongly, so that
//! answers never depend on what was asked before. Verification is `metric::canary_test` against the chance
//! 1 / (classes - 1) at most, at which a model that met no mark gives a class drawn from all but the top one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, Defense, Marks, Method, Next, Promise, Workshop, rows};
use crate::error::{Error, Result};
use crate::oracle::{Batch, Card, Reply, argmax};
use crate::seed::{Seed, below, uniform};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Share of inputs that get a wrong class, above 0 and at most 0.5.
    #[serde(default = "usual_share")]
    pub share: f64,
    /// Steps that the range of each feature is cut into, 1 to 1000.
    #[serde(default = "usual_levels")]
    #[schemars(range(min = 1, max = 1000))]
    pub levels: u32,
    /// Marked rows remembered of an account, 1 to 100,000.
    #[serde(default = "usual_kept")]
    #[schemars(range(min = 1, max = 100_000))]
    pub kept: usize,
}

const fn usual_share() -> f64 {
    0.01
}

const fn usual_levels() -> u32 {
    4
}

const fn usual_kept() -> usize {
    1000
}

/// The layer.
pub struct Dawn {
    share: f64,
    kept: usize,
    grid: rows::Grid,
    /// Secret of the defender.
    key: Seed,
    marks: Marks,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "dawn"
    }

    fn paper(&self) -> &'static str {
        "Szyller et al. 2021, DAWN"
    }

    fn check(&self) -> Result<()> {
        if !(1..=100_000).contains(&self.kept) {
            return Err(Error::config("kept", self.kept.to_string(), "1 to 100000"));
        }
        rows::check_levels(self.levels)?;
        rows::check_rate("share", self.share)
    }

    fn card(&self, below: Card) -> Result<Card> {
        if below.classes < 3 {
            let found = format!("`dawn` for {} classes", below.classes);
            let expected =
                "at least 3 classes: of two, any other model's error would be the planted class";
            return Err(Error::config("kind", found, expected));
        }
        rows::needs_probs(self.kind(), below)
    }

    fn promise(&self) -> Promise {
        Promise { keeps_top1: false, ..Promise::BASE }
    }

    /// Copies moved across the grid are not marked alike.
    fn counter(&self) -> Counter {
        Counter::Jitter
    }

    fn build(&self, key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let grid = rows::Grid { range: shop.range, levels: self.levels };
        Ok(Box::new(Dawn {
            share: self.share,
            kept: self.kept,
            grid,
            key,
            marks: Marks::new(1.0 / (shop.classes.max(3) - 1) as f64),
        }))
    }
}

impl Dawn {
    /// The planted class of an input in this bucket, if it gets one; `top` is its true one.
    fn planted(&self, bucket: &[u8], top: usize, classes: usize) -> Option<usize> {
        let mut rng = self.key.keyed(bucket).rng();
        let marked = uniform(&mut rng) < self.share;
        // Any class but the top one, each with the same chance.
        let other = below(&mut rng, classes - 1);
        marked.then_some(if other < top { other } else { other + 1 })
    }
}

impl Defense for Dawn {
    fn name(&self) -> &'static str {
        "dawn"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let mut planted = Vec::new();
        let reply = rows::change_probs(batch, next, |row, mut answer| {
            let input = batch.inputs.row(row);
            let bucket = self.grid.bucket(input);
            let top = argmax(&answer);
            if let Some(class) = self.planted(&bucket, top, answer.len()) {
                answer.swap(top, class);
                planted.push((row, bucket, class));
            }
        })?;
        for (row, bucket, class) in planted {
            let (account, input) = (batch.account[row], batch.inputs.row(row).to_vec());
            self.marks.keep(account, self.kept, &bucket, &input, class);
        }
        Ok(reply)
    }

    fn marks(&self) -> Option<&Marks> {
        Some(&self.marks)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::workshop::testing::{CARD, small};
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Answers, Tick, top1};

    fn stack(kept: usize) -> Stack {
        let spec = DefenseSpec::Dawn(Params { share: 0.1, levels: 1000, kept });
        Stack::build(&[spec], Seed::new(8), CARD, small()).unwrap()
    }

    fn batch(n: usize) -> Batch {
        let inputs = Array2::from_shape_fn((n, 2), |(i, j)| {
            (i * (1 + 30 * j) % 1000) as f32 / 1000.0 + 0.0004
        });
        Batch::classify(AccountId(0), Tick::ZERO, inputs)
    }

    fn ask(stack: &mut Stack, batch: &Batch) -> Vec<usize> {
        let mut oracle = Scripted::constant(2, vec![0.1, 0.6, 0.1, 0.1, 0.1]);
        match stack.run(batch, &mut oracle, &mut Unwatched).unwrap().answers {
            Answers::Probs(p) => top1(&p),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_share_of_rows_is_wrong_in_every_other_class_and_is_remembered() {
        let mut stack = stack(1000);
        let classes = ask(&mut stack, &batch(1000));
        let wrong: Vec<usize> = classes.iter().copied().filter(|&c| c != 1).collect();
        assert!((70..135).contains(&wrong.len()), "{}", wrong.len());
        assert!([0, 2, 3, 4].iter().all(|c| wrong.iter().filter(|w| *w == c).count() > 5));
        let (inputs, planted) = stack.marks().unwrap().of(&[AccountId(0)]);
        assert_eq!(planted, wrong);
        assert_eq!(inputs.nrows(), wrong.len());
        assert_eq!(stack.marks().unwrap().of(&[AccountId(1)]).1.len(), 0);
    }

    #[test]
    fn near_duplicates_share_their_fate_and_count_once() {
        let mut stack = stack(1000);
        let first = ask(&mut stack, &batch(500));
        let mut moved = batch(500);
        moved.inputs.mapv_inplace(|x| x + 0.0003);
        assert_eq!(ask(&mut stack, &moved), first);
        let planted = stack.marks().unwrap().of(&[AccountId(0)]).1;
        assert_eq!(planted.len(), first.iter().filter(|c| **c != 1).count());
    }

    #[test]
    fn what_is_remembered_is_bounded_and_answers_do_not_depend_on_it() {
        let (mut small, mut large) = (stack(5), stack(1000));
        assert_eq!(ask(&mut small, &batch(1000)), ask(&mut large, &batch(1000)));
        assert_eq!(small.marks().unwrap().of(&[AccountId(0)]).1.len(), 5);
    }
}
