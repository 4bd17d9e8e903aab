//! Maximising angular deviation, MAD (Orekondy, Schiele and Fritz 2020, "Prediction poisoning: towards
//! defenses against DNN model stealing attacks"): the answer is moved, by at most eps
//! in L1, towards the row y* that turns the gradient of a student's last layer furthest from where the
//! true answer would send it.
//!
//! The objective is the paper's, normalised: |G^T v / |G^T v| - G^T y / |G^T y||^2, where row k of G is
//! the gradient of -log q_k of a surrogate network with fresh weights. For a last layer G^T v is
//! (q sum(v) - v) times the same features for every v, so that only rows of length K matter and the
//! features' norm cancels: one-hot rows are compared in O(K), subsets in O(K 2^K). Authors' code leaves
//! out the normalisation unless asked; `normalised = false` does so too.
//!
//! Where the surrogate's answer equals the true one, G^T y is 0 and the normalised objective is 0/0. There
//! is no direction to turn away from, and the answer stays as it is.

use std::sync::Arc;

use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::simulate::Bank;
use super::workshop::{Outline, name_of};
use super::{Counter, Defense, Known, Method, Next, Promise, RowMap, Workshop, project, rows};
use crate::error::{Error, Result};
use crate::model::{Arch, Model};
use crate::oracle::{Batch, Card, Reply, argmax};
use crate::seed::Seed;

/// Most classes of which all subsets are tried.
const MOST_CLASSES: usize = 16;
/// What the top class of a subset gets above the others, so that it stays the top class.
const AHEAD: f64 = 1e-5;
/// A gradient this short, in units of the features' norm, has no direction.
const NO_DIRECTION: f64 = 1e-12;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Most that an answer is moved, in L1, 0 to 2.
    pub eps: f64,
    /// Which rows may be y*.
    #[serde(default)]
    pub oracle: Rows,
    /// Compare directions of gradients, as the paper does, or the gradients themselves.
    #[serde(default = "yes")]
    pub normalised: bool,
    /// Architecture of the surrogate; the teacher's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surrogate: Option<Arch>,
}

const fn yes() -> bool {
    true
}

/// Rows that may be y*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rows {
    /// One class alone, any of them.
    #[default]
    Extreme,
    /// Equal shares of some classes with the top one among them: the top class stays. At most 16 classes.
    Argmax,
}

/// What is done to a row, given the surrogate's answer.
#[derive(Clone, Copy, Debug)]
struct Turn {
    eps: f64,
    rows: Rows,
    normalised: bool,
}

/// The layer.
pub struct Mad {
    turn: Turn,
    /// Its weights are the defender's secret.
    surrogate: Arc<Model>,
}

impl Params {
    const fn turn(&self) -> Turn {
        Turn { eps: self.eps, rows: self.oracle, normalised: self.normalised }
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "mad"
    }

    fn paper(&self) -> &'static str {
        "Orekondy et al. 2020"
    }

    fn check(&self) -> Result<()> {
        rows::check_eps(self.eps)
    }

    fn card(&self, below: Card) -> Result<Card> {
        if self.oracle == Rows::Argmax && below.classes > MOST_CLASSES {
            let found = format!("`argmax` for {} classes", below.classes);
            let expected =
                format!("`extreme`, or at most {MOST_CLASSES} classes: every subset is tried");
            return Err(Error::config("oracle", found, expected));
        }
        rows::needs_probs(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_arch("surrogate", self.surrogate.as_ref())
    }

    fn promise(&self) -> Promise {
        let keeps_top1 = self.oracle == Rows::Argmax;
        Promise { keeps_top1, l1_bound: self.eps.min(2.0), ..Promise::BASE }
    }

    fn counter(&self) -> Counter {
        Counter::InverseTable
    }

    /// The key is the surrogate's weights: the student turns away from a surrogate of its own.
    fn simulate(&self, known: &Known<'_>) -> Option<RowMap> {
        let arch = self.surrogate.as_ref().unwrap_or(known.arch);
        let seed = known.seed.child("mad");
        let own = Model::init(arch, known.shape, known.classes, known.device, seed).ok()?;
        let bank = Bank::of(own.probs(Bank::inputs(known)).ok()?, seed)?;
        let turn = self.turn();
        Some(Box::new(move |clean, out| {
            out.copy_from_slice(clean);
            turn.row(bank.beside(clean), out);
        }))
    }

    fn build(&self, _key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let arch = self.surrogate.as_ref().unwrap_or(&shop.arch);
        let surrogate =
            shop.once(&format!("mad/{}", name_of(arch)), |seed| shop.fresh(arch, seed))?;
        Ok(Box::new(Mad { turn: self.turn(), surrogate }))
    }
}

impl Turn {
    /// Moves the row `y` `[k]` towards its y*, given the surrogate's answer `q` `[k]`.
    fn row(self, q: &[f64], y: &mut [f64]) {
        let Some((_, target)) = self.target(q, y) else { return };
        let far = project::distance(&target, y);
        let part = if far > self.eps { self.eps / far } else { 1.0 };
        y.iter_mut().zip(&target).for_each(|(y, t)| *y = (1.0 - part) * *y + part * t);
    }

    /// The objective (over the squared norm of the features where it is not normalised) and y* `[k]`;
    /// none where no row has one.
    fn target(self, q: &[f64], y: &[f64]) -> Option<(f64, Vec<f64>)> {
        match self.rows {
            Rows::Extreme => self.extreme(q, y),
            Rows::Argmax => self.argmax(q, y),
        }
    }

    fn extreme(self, q: &[f64], y: &[f64]) -> Option<(f64, Vec<f64>)> {
        let asked = Asked::of(q, y);
        let mut best: Option<(f64, usize)> = None;
        for (k, (&along_q, &along_turned)) in q.iter().zip(&asked.turned).enumerate() {
            let value = asked.objective(self.normalised, along_q, along_turned, 1.0);
            if value > best.map(|b| b.0) {
                best = value.map(|v| (v, k));
            }
        }
        let (value, k) = best?;
        let mut target = vec![0.0; q.len()];
        target[k] = 1.0;
        Some((value, target))
    }

    fn argmax(self, q: &[f64], y: &[f64]) -> Option<(f64, Vec<f64>)> {
        let asked = Asked::of(q, y);
        let top = argmax(y);
        let others: Vec<usize> = (0..q.len()).filter(|&k| k != top).collect();
        let mut best: Option<(f64, u32)> = None;
        for subset in 0..1_u32 << others.len() {
            let members = others.iter().enumerate().filter(|(bit, _)| subset >> bit & 1 == 1);
            let (mut count, mut in_q, mut in_turned) = (1.0, q[top], asked.turned[top]);
            for (_, &k) in members {
                count += 1.0;
                in_q += q[k];
                in_turned += asked.turned[k];
            }
            let over = 1.0 / (count + AHEAD);
            let along_q = over * (in_q + AHEAD * q[top]);
            let along_turned = over * (in_turned + AHEAD * asked.turned[top]);
            let square = over * over * (count - 1.0 + (1.0 + AHEAD) * (1.0 + AHEAD));
            let value = asked.objective(self.normalised, along_q, along_turned, square);
            if value > best.map(|b| b.0) {
                best = value.map(|v| (v, subset));
            }
        }
        let (value, subset) = best?;
        let mut target = vec![0.0; q.len()];
        target[top] = 1.0 + AHEAD;
        for (bit, &k) in others.iter().enumerate() {
            target[k] = f64::from(subset >> bit & 1);
        }
        let sum: f64 = target.iter().sum();
        target.iter_mut().for_each(|t| *t /= sum);
        Some((value, target))
    }
}

/// The true answer's gradient, in units of the features.
struct Asked {
    /// `[k]` q sum(y) - y.
    turned: Vec<f64>,
    norm: f64,
    /// q . turned
    along_q: f64,
    /// q . q
    square_q: f64,
}

impl Asked {
    fn of(q: &[f64], y: &[f64]) -> Self {
        let sum: f64 = y.iter().sum();
        let turned: Vec<f64> = q.iter().zip(y).map(|(q, y)| q * sum - y).collect();
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        Self {
            norm: libm::sqrt(dot(&turned, &turned)),
            along_q: dot(q, &turned),
            square_q: dot(q, q),
            turned,
        }
    }

    /// The objective of a row v that sums to 1, from v . q, v . turned and v . v; none where a gradient
    /// has no direction.
    fn objective(
        &self,
        normalised: bool,
        along_q: f64,
        along_turned: f64,
        square: f64,
    ) -> Option<f64> {
        let cross = self.along_q - along_turned; // (q - v) . turned
        let own = (self.square_q - 2.0 * along_q + square).max(0.0); // |q - v|^2
        if !normalised {
            return Some(own - 2.0 * cross + self.norm * self.norm);
        }
        let norm = libm::sqrt(own);
        let directed = norm > NO_DIRECTION && self.norm > NO_DIRECTION;
        directed.then(|| 2.0 - 2.0 * cross / (norm * self.norm))
    }
}

impl Defense for Mad {
    fn name(&self) -> &'static str {
        "mad"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let surrogate = &self.surrogate;
        let beside = |inputs: &Array2<f32>| surrogate.probs(inputs.view());
        rows::change_beside(batch, next, beside, |q, y| self.turn.row(q, y))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::*;
    use crate::oracle::AnswerKind;

    fn float(value: &Value) -> f64 {
        value.as_f64().unwrap()
    }

    #[test]
    fn of_equal_classes_the_first_is_turned_to() {
        let turn = Turn { eps: 1.0, rows: Rows::Extreme, normalised: true };
        let (_, target) = turn.target(&[0.25; 4], &[0.4, 0.2, 0.2, 0.2]).unwrap();
        assert_eq!(target, [0.0, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn subsets_of_many_classes_are_refused_and_single_classes_are_not() {
        let card = |oracle, classes| {
            let params = Params { eps: 1.0, oracle, normalised: true, surrogate: None };
            params.card(Card { inputs: 2, classes, answers: AnswerKind::Probs })
        };
        assert!(card(Rows::Argmax, 16).is_ok() && card(Rows::Extreme, 17).is_ok());
        let told = card(Rows::Argmax, 17).unwrap_err().to_string();
        assert!(told.contains("17 classes") && told.contains("at most 16"), "{told}");
    }

    #[test]
    fn the_reference_targets_and_answers_are_matched() {
        let all = cases("mad");
        assert_eq!(all.len(), 8);
        let mut compared = 0;
        for case in all {
            let (y, q) = (numbers(&case["input"]["y"]), numbers(&case["expected"]["q"]));
            let features: f64 = numbers(&case["input"]["h"]).iter().map(|h| h * h).sum();
            for (name, rows, normalised) in [
                ("extreme", Rows::Extreme, true),
                ("argmax", Rows::Argmax, true),
                ("unnormalised_extreme", Rows::Extreme, false),
                ("unnormalised_argmax", Rows::Argmax, false),
            ] {
                let want = &case["expected"][name];
                if want.is_null() {
                    continue;
                }
                let turn = |eps| Turn { eps, rows, normalised };
                let (value, target) = turn(1.0).target(&q, &y).unwrap();
                let value = if normalised { value } else { value * features };
                assert_close(&case, &[value], &[float(&want["objective"])]);
                if want["y_star_unique"] == true {
                    assert_close(&case, &target, &numbers(&want["y_star"]));
                }
                for answer in want["answers"].as_array().into_iter().flatten() {
                    let mut got = y.clone();
                    turn(float(&answer["eps"])).row(&q, &mut got);
                    assert_close(&case, &got, &numbers(&answer["answer"]));
                    compared += 1;
                }
            }
        }
        assert!(compared >= 24, "{compared}");
    }

    #[test]
    fn the_surrogate_of_the_reference_is_a_softmax_of_its_last_layer() {
        // q is what the layer gets from its model; here it is computed from the case's own weights.
        for case in cases("mad") {
            let h = numbers(&case["input"]["h"]);
            let weights = case["input"]["W"].as_array().unwrap();
            let logits: Vec<f64> = weights
                .iter()
                .zip(numbers(&case["input"]["b"]))
                .map(|(w, b)| b + numbers(w).iter().zip(&h).map(|(w, h)| w * h).sum::<f64>())
                .collect();
            let sum: f64 = logits.iter().map(|z| z.exp()).sum();
            let q: Vec<f64> = logits.iter().map(|z| z.exp() / sum).collect();
            assert_close(&case, &q, &numbers(&case["expected"]["q"]));
        }
    }

    #[test]
    fn an_answer_that_the_surrogate_gives_too_stays_as_it_is() {
        let q = [0.25; 4];
        for rows in [Rows::Extreme, Rows::Argmax] {
            let mut y = q;
            Turn { eps: 0.5, rows, normalised: true }.row(&q, &mut y);
            assert_eq!(y, q);
        }
    }

    #[test]
    fn another_seed_of_the_defender_turns_answers_elsewhere() {
        let params = Params { eps: 1.0, oracle: Rows::Extreme, normalised: true, surrogate: None };
        let surrogate = |shop: &Workshop| {
            let key = format!("mad/{}", name_of(&shop.arch));
            params.build(Seed::new(1), shop).unwrap();
            let made = shop.once::<Model>(&key, |_| panic!("made by `build`")).unwrap();
            made.weights_hash().unwrap()
        };
        let made = super::super::workshop::testing::made;
        assert_eq!(surrogate(&made(1)), surrogate(&made(1)));
        assert_ne!(surrogate(&made(1)), surrogate(&made(2)));
    }
}
