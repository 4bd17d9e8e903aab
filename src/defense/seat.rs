//! SEAT as a layer (Zhang et al. 2021, "SEAT: similarity encoder by adversarial training for detecting
//! model extraction attack queries"): an account that asks too many pairs of near-duplicates is flagged,
//! and stays flagged.
//!
//! The paper trains an encoder that draws augmented inputs together and adversarial ones apart. Here the
//! teacher's last hidden features stand for it, scaled to length 1, so this is the class of SEAT and no
//! port. Two queries are similar if their cosine is one that only `pair-rate` of pairs of the defender's
//! rows exceed, judged by the teacher's twin on rows that it has not seen. Pairs are counted by
//! `detect::seat`, one state per account, over its last `cap` queries.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use ndarray::{ArrayView2, Axis};

use super::respond::{Flags, Response, Watch};
use super::workshop::Outline;
use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::detect::vector::dot;
use crate::detect::{Threshold, Verdict, seat};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::oracle::{Batch, Card, Reply};
use crate::seed::Seed;
use std::sync::Arc;

/// Rows of the defender whose pairs are compared.
const MOST_ROWS: usize = 1000;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// Share of pairs of rows like the teacher's own that count as similar, above 0 and at most 0.5.
    #[serde(default = "usual_rate")]
    pub pair_rate: f64,
    /// Similar pairs that pass; one more flags the account. n honest queries make about
    /// pair-rate x n (n - 1) / 2 of them.
    #[serde(default = "usual_pairs")]
    pub max_pairs: u64,
    /// Queries remembered of an account, 1 to 100,000.
    #[serde(default = "usual_cap")]
    #[schemars(range(min = 1, max = 100_000))]
    pub cap: usize,
    /// What a flagged row gets.
    #[serde(default)]
    pub response: Response,
}

const fn usual_rate() -> f64 {
    1e-4
}

const fn usual_pairs() -> u64 {
    50
}

const fn usual_cap() -> usize {
    2_000
}

/// The layer.
pub struct Seat {
    teacher: Arc<Model>,
    pairs: seat::Pairs,
    watch: Watch<seat::SeatState>,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "seat"
    }

    fn paper(&self) -> &'static str {
        "Zhang et al. 2021, SEAT; teacher's features for its encoder"
    }

    fn check(&self) -> Result<()> {
        if !(1..=100_000).contains(&self.cap) {
            return Err(Error::config("cap", self.cap.to_string(), "1 to 100000 queries"));
        }
        rows::check_rate("pair-rate", self.pair_rate)
    }

    fn card(&self, below: Card) -> Result<Card> {
        self.response.card(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_network(self.kind())?;
        if outline.rows >= 4 {
            return Ok(());
        }
        let found = format!("`seat` with {} rows of the teacher", outline.rows);
        Err(Error::config("kind", found, "at least 4 rows, of whose pairs half calibrate it"))
    }

    fn promise(&self) -> Promise {
        Promise { deterministic: false, stateful: true, ..self.response.promise() }
    }

    fn detects(&self) -> bool {
        true
    }

    fn counter(&self) -> Counter {
        Counter::MoreAccounts
    }

    fn build(&self, key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let threshold = shop.once(&format!("seat/{}", self.pair_rate), |_| {
            let twin = shop.twin()?;
            let index = &twin.unseen[..twin.unseen.len().min(MOST_ROWS)];
            let embedded = embed(&twin.model, shop.inputs.select(Axis(0), index).view())?;
            let pairs = (0..embedded.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
            let cosines: Vec<f64> = pairs.map(|(i, j)| dot(&embedded[i], &embedded[j])).collect();
            let threshold = Threshold::above(&cosines, self.pair_rate)
                .ok_or_else(|| Error::Internal("a threshold of no pairs".into()))?;
            // Similar is from the threshold on; what lies at it is one of the honest pairs.
            Ok(threshold.value.next_up().min(1.0))
        })?;
        let pairs =
            seat::PairsParams { threshold: *threshold, max_pairs: self.max_pairs, cap: self.cap };
        Ok(Box::new(Seat {
            teacher: Arc::clone(shop.teacher()?),
            pairs: pairs.build()?,
            watch: Watch::new(self.response, key),
        }))
    }
}

/// Features of each row, scaled to length 1.
fn embed(model: &Model, inputs: ArrayView2<'_, f32>) -> Result<Vec<Vec<f64>>> {
    let features = model.features(inputs)?;
    Ok(features.rows().into_iter().map(|row| unit(row.iter().map(|&x| f64::from(x)))).collect())
}

/// Scaled to length 1; nothing stays nothing.
fn unit(row: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut row: Vec<f64> = row.collect();
    let length = libm::sqrt(dot(&row, &row));
    if length > 0.0 {
        row.iter_mut().for_each(|x| *x /= length);
    }
    row
}

impl Defense for Seat {
    fn name(&self) -> &'static str {
        "seat"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let reply = next.run(batch)?;
        let embedded = embed(&self.teacher, batch.inputs.view())?;
        let name = self.name();
        self.watch.judge(name, batch, reply, |state, row, _| {
            Ok(self.pairs.observe(state, &embedded[row]) == Verdict::Alarm)
        })
    }

    fn flags(&self) -> Option<&Flags> {
        Some(self.watch.flags())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::workshop::testing::small;
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Tick};

    #[test]
    fn features_have_length_one_where_there_are_any() {
        assert_eq!(unit([3.0, 0.0, -4.0].into_iter()), [0.6, 0.0, -0.8]);
        assert_eq!(unit([0.0; 3].into_iter()), [0.0; 3]);
    }

    #[test]
    fn an_account_of_small_variations_is_flagged_and_one_of_other_rows_is_not() {
        let params =
            Params { pair_rate: 0.001, max_pairs: 200, cap: 100, response: Response::Warn };
        let spec = DefenseSpec::Seat(params);
        let mut stack = Stack::new(vec![spec.build(Seed::new(1), small()).unwrap()]);
        // Account 0 asks one row over and over with tiny moves, account 1 the teacher's own rows.
        let inputs = Array2::from_shape_fn((120, 2), |(i, j)| match i % 2 {
            0 => 0.3 + 1e-4 * i as f32,
            _ => small().inputs[[i, j]],
        });
        let mut batch = Batch::classify(AccountId(0), Tick::ZERO, inputs);
        batch.account = (0..120).map(|i| AccountId(i % 2)).collect();
        stack.run(&batch, &mut Scripted::constant(2, vec![0.2; 5]), &mut Unwatched).unwrap();
        let flags = stack.flags()[0].1;
        let walker = flags.of(AccountId(0));
        assert_eq!(flags.of(AccountId(1)).flagged, 0);
        // Once over, always over; pairs grow as n (n - 1) / 2, so 200 pairs are over at the 21st query.
        assert_eq!(walker.first, Some(21));
        assert_eq!(walker.flagged, 40);
    }
}
