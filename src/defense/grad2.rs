//! Gradient redirection, GRAD2 (Mazeika, Li and Forsyth 2022, "How to steer your adversary: targeted and
//! efficient model stealing defenses with gradient redirection"): of all rows within eps of the
//! true answer in L1, the one whose gradient points furthest along a chosen direction of the weights,
//! max sum_k g_k v_k with g_k = <d log q_k / dw, d>, d all ones.
//!
//! The exact solution gives up to eps / 2 of mass to the class with the largest g and takes it from the
//! smallest g upward. The surrogate q learns the defender's rows. The direction runs through the whole
//! network: along the last layer alone all g are equal, and a network without hidden layers is refused.
//! Maximising is the paper's convention; the authors' code has the opposite sign.
//!
//! g_k is the derivative of logit k along d less a number that is the same for all classes, and only the
//! order of g matters: the layer sorts derivatives of logits.

use std::sync::Arc;

use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::simulate::Bank;
use super::workshop::{Outline, name_of};
use super::{Counter, Defense, Known, Method, Next, Promise, RowMap, Workshop, rows};
use crate::error::{Error, Result};
use crate::model::{Arch, Loss, Model};
use crate::oracle::{Batch, Card, Reply};
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Most that an answer is moved, in L1, 0 to 2.
    pub eps: f64,
    /// Architecture of the surrogate, with at least one hidden layer; the teacher's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surrogate: Option<Arch>,
}

/// The layer.
pub struct Grad2 {
    eps: f64,
    surrogate: Arc<Model>,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "grad2"
    }

    fn paper(&self) -> &'static str {
        "Mazeika et al. 2022, GRAD2, all-ones direction"
    }

    fn check(&self) -> Result<()> {
        rows::check_eps(self.eps)
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        if matches!(self.surrogate.as_ref().unwrap_or(outline.arch), Arch::Logistic {}) {
            let expected = "a surrogate with a hidden layer: along the last layer alone no class differs from another";
            return Err(Error::config("surrogate", "`logistic`", expected));
        }
        outline.needs_rows(self.kind())?;
        outline.needs_arch("surrogate", self.surrogate.as_ref())
    }

    fn promise(&self) -> Promise {
        Promise { keeps_top1: false, l1_bound: self.eps.min(2.0), ..Promise::BASE }
    }

    fn counter(&self) -> Counter {
        Counter::InverseTable
    }

    /// The student has no labels of the defender, so its surrogate is a fresh one.
    fn simulate(&self, known: &Known<'_>) -> Option<RowMap> {
        let arch = self.surrogate.as_ref().unwrap_or(known.arch);
        let seed = known.seed.child("grad2");
        let own = Model::init(arch, known.shape, known.classes, known.device, seed).ok()?;
        let bank = Bank::of(own.logits_along_ones(Bank::inputs(known)).ok()?, seed)?;
        let eps = self.eps;
        Some(Box::new(move |clean, out| {
            out.copy_from_slice(clean);
            redirect(eps, bank.beside(clean), out);
        }))
    }

    fn build(&self, _key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let arch = self.surrogate.as_ref().unwrap_or(&shop.arch);
        let learn = |seed| shop.learned(arch, &shop.all(), Loss::HardLabel, seed);
        let surrogate = shop.trained(&format!("grad2/{}", name_of(arch)), learn)?;
        Ok(Box::new(Grad2 { eps: self.eps, surrogate }))
    }
}

/// Moves up to `eps` / 2 of the row `y` to the class with the largest `g` (of equal ones the first), from
/// the smallest `g` upward. Where all are equal nothing is to be gained and the row stays.
fn redirect(eps: f64, g: &[f64], y: &mut [f64]) {
    let mut order: Vec<usize> = (0..y.len()).collect();
    order.sort_by(|&a, &b| g[a].total_cmp(&g[b]).then(b.cmp(&a)));
    let Some((&receiver, donors)) = order.split_last() else { return };
    let mut left = 0.5 * eps;
    for &donor in donors {
        if left <= 0.0 || g[donor] >= g[receiver] {
            break;
        }
        let moved = left.min(y[donor]);
        y[donor] -= moved;
        y[receiver] += moved;
        left -= moved;
    }
}

impl Defense for Grad2 {
    fn name(&self) -> &'static str {
        "grad2"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let surrogate = &self.surrogate;
        let beside = |inputs: &Array2<f32>| surrogate.logits_along_ones(inputs.view());
        rows::change_beside(batch, next, beside, |g, y| redirect(self.eps, g, y))
    }
}

#[cfg(test)]
mod tests {
    use super::super::project::distance;
    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::super::workshop::testing::small;
    use super::*;

    #[test]
    fn the_reference_rows_are_matched() {
        let all = cases("grad2");
        assert_eq!(all.len(), 13);
        for case in all {
            let (i, want) = (&case["input"], &case["expected"]);
            let (clean, g) = (numbers(&i["y"]), numbers(&i["g"]));
            let eps = i["eps"].as_f64().unwrap();
            let mut y = clean.clone();
            redirect(eps, &g, &mut y);
            let objective: f64 = g.iter().zip(&y).map(|(g, y)| g * y).sum();
            assert_close(&case, &[objective], &[want["objective"].as_f64().unwrap()]);
            assert!(distance(&y, &clean) <= eps + 1e-12, "{}", case["id"]);
            if !want["answer"].is_null() {
                assert_close(&case, &y, &numbers(&want["answer"]));
                assert_close(&case, &[distance(&y, &clean)], &[want["l1"].as_f64().unwrap()]);
            }
        }
    }

    #[test]
    fn nothing_moves_between_classes_that_are_worth_the_same() {
        let mut y = [0.5, 0.25, 0.25];
        redirect(1.0, &[2.0, 2.0, 2.0], &mut y);
        assert_eq!(y, [0.5, 0.25, 0.25]);
        redirect(0.5, &[2.0, 1.0, 2.0], &mut y);
        assert_eq!(y, [0.75, 0.0, 0.25]);
    }

    #[test]
    fn a_network_without_hidden_layers_is_refused() {
        let logistic = Params { eps: 1.0, surrogate: Some(Arch::Logistic {}) };
        let told = logistic.fits(&small().outline()).unwrap_err().to_string();
        assert!(told.contains("surrogate") && told.contains("hidden"), "{told}");
        assert!(Params { eps: 1.0, surrogate: None }.fits(&small().outline()).is_ok());
    }
}
