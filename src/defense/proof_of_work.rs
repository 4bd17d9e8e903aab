//! Calibrated proof of work (Dziedzic, Kaleem, Lu and Papernot 2022, "Increasing the cost of model
//! extraction with calibrated proof of work"): before each answer an account must solve
//! a puzzle, whose length grows with how much its queries have told beyond what honest ones tell.
//!
//! An account's cost is the sum of the entropies of the teacher's answers, nats, which stands for the
//! paper's PATE privacy cost: both are large where the teacher is unsure. The line of honest cost is that of
//! the teacher's twin on rows that it has not seen. A puzzle takes
//! `seconds` x base^(cost - honest cost of as many queries), between 1/most and most times `seconds`, so that
//! an honest account waits as long again as an answer takes: twice in all. The paper's hashcash bits are the
//! binary logarithm of that factor; here the work is virtual time, as one machine does it.
//!
//! A row is denied as throttled until its puzzle's end and passes then. An account solves one puzzle at a
//! time, and one for each answered row.

use std::sync::Arc;

use ndarray::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::respond::of_account;
use super::strangeness::entropy;
use super::workshop::Outline;
use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::oracle::{Batch, Card, Denial, Reply, Tick};
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Time of an honest account's puzzle, as long as an answer takes; above 0 and at most 86,400 seconds.
    #[serde(default = "usual_seconds")]
    pub seconds: f64,
    /// Factor of a puzzle's time per nat beyond the honest line, above 1 and at most 10.
    #[serde(default = "usual_base")]
    pub base: f64,
    /// Largest factor, above 1 and at most 1,000,000.
    #[serde(default = "usual_most")]
    pub most: f64,
}

const fn usual_seconds() -> f64 {
    1.0
}

const fn usual_base() -> f64 {
    1.0075
}

const fn usual_most() -> f64 {
    100.0
}

/// The layer.
pub struct ProofOfWork {
    teacher: Arc<Model>,
    price: Price,
    states: Vec<Account>,
}

/// What a puzzle takes.
#[derive(Clone, Copy, Debug)]
struct Price {
    seconds: f64,
    base: f64,
    most: f64,
    /// Nats that an honest query tells.
    honest: f64,
}

/// One account.
#[derive(Clone, Copy, Debug, Default)]
struct Account {
    /// Nats told so far.
    cost: f64,
    /// Rows that passed.
    queries: u64,
    /// End of the puzzle that it is at.
    ready: Option<Tick>,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "proof-of-work"
    }

    fn paper(&self) -> &'static str {
        "Dziedzic et al. 2022, calibrated proof of work; entropy for PATE cost"
    }

    fn check(&self) -> Result<()> {
        let in_range = |key: &str, value: f64, low: f64, high: f64| {
            if value > low && value <= high {
                return Ok(());
            }
            Err(Error::config(key, value.to_string(), format!("above {low} and at most {high}")))
        };
        in_range("seconds", self.seconds, 0.0, 86_400.0)?;
        in_range("base", self.base, 1.0, 10.0)?;
        in_range("most", self.most, 1.0, 1e6)
    }

    fn card(&self, below: Card) -> Result<Card> {
        Ok(below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_model(self.kind())
    }

    fn promise(&self) -> Promise {
        Promise { l1_bound: 0.0, stateful: true, refuses: true, ..Promise::BASE }
    }

    fn counter(&self) -> Counter {
        Counter::MoreAccounts
    }

    fn waits(&self) -> bool {
        true
    }

    fn build(&self, _key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let honest = shop.once("proof-of-work", |_| {
            let twin = shop.twin()?;
            let unseen = shop.inputs.select(Axis(0), &twin.unseen);
            let told: f64 = entropies(&twin.model, &unseen)?.iter().sum();
            Ok(told / twin.unseen.len().max(1) as f64)
        })?;
        let Self { seconds, base, most } = *self;
        Ok(Box::new(ProofOfWork {
            teacher: Arc::clone(shop.teacher()?),
            price: Price { seconds, base, most, honest: *honest },
            states: Vec::new(),
        }))
    }
}

/// Entropy of the model's answer to each row, nats.
fn entropies(model: &Model, inputs: &ndarray::Array2<f32>) -> Result<Vec<f64>> {
    let probs = model.probs(inputs.view())?;
    Ok(probs.rows().into_iter().map(|row| entropy(&row.to_vec())).collect())
}

impl Price {
    /// Microseconds of the next puzzle of an account.
    fn puzzle_us(&self, account: &Account) -> u64 {
        let beyond = account.cost - self.honest * account.queries as f64;
        let factor = libm::pow(self.base, beyond).clamp(1.0 / self.most, self.most);
        libm::ceil(1e6 * self.seconds * factor) as u64
    }

    /// Lets a row that tells `nats` pass at `at` if its puzzle is solved by then.
    fn admit(&self, account: &mut Account, at: Tick, nats: f64) -> std::result::Result<(), Denial> {
        let end = Tick(at.0.saturating_add(self.puzzle_us(account)));
        let ready = *account.ready.get_or_insert(end);
        if at < ready {
            return Err(Denial::Throttled { retry_at: ready });
        }
        *account = Account { cost: account.cost + nats, queries: account.queries + 1, ready: None };
        Ok(())
    }
}

impl Defense for ProofOfWork {
    fn name(&self) -> &'static str {
        "proof-of-work"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let told = entropies(&self.teacher, &batch.inputs)?;
        let Self { price, states, .. } = self;
        rows::pass(batch, next, |row| {
            price.admit(of_account(states, batch.account[row]), batch.at[row], told[row])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::workshop::testing::small;
    use super::*;

    const PRICE: Price = Price { seconds: 2.0, base: 1.5, most: 100.0, honest: 0.2 };

    /// Time that n queries of an account take, each telling `nats`, seconds.
    fn time(n: usize, nats: f64) -> f64 {
        let (mut account, mut now) = (Account::default(), Tick::ZERO);
        for _ in 0..n {
            let Err(Denial::Throttled { retry_at }) = PRICE.admit(&mut account, now, nats) else {
                panic!("a puzzle comes first")
            };
            now = retry_at;
            assert_eq!(PRICE.admit(&mut account, now, nats), Ok(()));
        }
        now.0 as f64 / 1e6
    }

    #[test]
    fn an_honest_account_waits_the_same_for_each_answer() {
        assert!((time(50, 0.2) - 100.0).abs() < 1e-3);
    }

    #[test]
    fn what_is_told_beyond_the_honest_line_grows_the_work_by_the_power() {
        // Each query tells one nat more: puzzles of 2, 2 x 1.5, 2 x 1.5^2, ...
        let by_hand: f64 = (0..8).map(|i| 2.0 * 1.5_f64.powi(i)).sum();
        assert!((time(8, 1.2) - by_hand).abs() < 1e-4);
        // Who tells less works less, down to a part in `most`.
        let by_hand: f64 = (0..60).map(|i| 2.0 * 1.5_f64.powf(-0.2 * f64::from(i)).max(0.01)).sum();
        assert!((time(60, 0.0) - by_hand).abs() < 1e-3);
        // No puzzle is longer than `most` times the honest one.
        assert!((time(101, 100.0) - (2.0 + 100.0 * 200.0)).abs() < 1e-3);
    }

    #[test]
    fn who_asks_too_early_is_told_the_same_time_again() {
        let mut account = Account::default();
        let first = PRICE.admit(&mut account, Tick::ms(0), 0.2);
        assert_eq!(first, Err(Denial::Throttled { retry_at: Tick::ms(2000) }));
        assert_eq!(PRICE.admit(&mut account, Tick::ms(1999), 0.2), first);
        assert_eq!(account.queries, 0);
    }

    #[test]
    fn the_honest_line_is_that_of_rows_that_a_twin_has_not_seen() {
        let shop = small();
        let params = Params { seconds: 1.0, base: 1.0075, most: 100.0 };
        params.build(Seed::new(1), shop).unwrap();
        let honest = *shop.once::<f64>("proof-of-work", |_| panic!("made by `build`")).unwrap();
        assert!(honest > 0.0 && honest < libm::log(5.0), "{honest}");
    }
}
