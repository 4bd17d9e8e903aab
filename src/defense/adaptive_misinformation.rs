//! Adaptive misinformation (Kariyappa and Qureshi 2020, "Defending against model stealing attacks with
//! adaptive misinformation"): the less sure the teacher is, the more of its answer is
//! replaced by that of a model trained to be wrong, a = sigmoid(nu (tau - max p)),
//! answer = (1 - a) p + a m.
//!
//! The misinformation model m has the teacher's architecture and recipe and learns the defender's rows
//! with the loss -log(1 - m_true). The paper also trains the teacher with outlier exposure, so that it is
//! unsure where it should be; a stack adds `outlier-exposure` for that.

use std::sync::Arc;

use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workshop::{Outline, name_of};
use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::error::{Error, Result};
use crate::model::{Arch, Loss, Model};
use crate::oracle::{Batch, Card, Reply};
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Largest probability below which answers are replaced, 0 to 1.
    pub tau: f64,
    /// Steepness of the change at tau, above 0 and at most 1,000,000.
    #[serde(default = "usual")]
    pub nu: f64,
    /// Architecture of the misinformation model; the teacher's own where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<Arch>,
}

const fn usual() -> f64 {
    1000.0
}

/// The layer.
pub struct AdaptiveMisinformation {
    tau: f64,
    nu: f64,
    wrong: Arc<Model>,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "adaptive-misinformation"
    }

    fn paper(&self) -> &'static str {
        "Kariyappa and Qureshi 2020, Adaptive Misinformation"
    }

    fn check(&self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.tau) {
            return Err(Error::config("tau", self.tau.to_string(), "0 to 1"));
        }
        if self.nu > 0.0 && self.nu <= 1e6 {
            return Ok(());
        }
        Err(Error::config("nu", self.nu.to_string(), "above 0 and at most 1000000"))
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_rows(self.kind())?;
        outline.needs_arch("model", self.model.as_ref())
    }

    fn promise(&self) -> Promise {
        Promise { keeps_top1: false, ..Promise::BASE }
    }

    /// Nothing can be simulated without the input: what is mixed in depends on it through a model that
    /// learned the defender's labels. Rows of which the teacher is sure pass untouched.
    fn counter(&self) -> Counter {
        Counter::InDistribution
    }

    fn build(&self, _key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let arch = self.model.as_ref().unwrap_or(&shop.arch);
        let key = format!("adaptive-misinformation/{}", name_of(arch));
        let learn = |seed| shop.learned(arch, &shop.all(), Loss::Misinformation, seed);
        let wrong = shop.trained(&key, learn)?;
        Ok(Box::new(AdaptiveMisinformation { tau: self.tau, nu: self.nu, wrong }))
    }
}

/// Mixes into the row `p` the misinformation `m`; gives the share of the latter.
fn mix(tau: f64, nu: f64, m: &[f64], p: &mut [f64]) -> f64 {
    let most = p.iter().copied().fold(0.0, f64::max);
    let share = 1.0 / (1.0 + libm::exp(nu * (most - tau)));
    p.iter_mut().zip(m).for_each(|(p, m)| *p = (1.0 - share) * *p + share * m);
    share
}

impl Defense for AdaptiveMisinformation {
    fn name(&self) -> &'static str {
        "adaptive-misinformation"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let beside = |inputs: &Array2<f32>| self.wrong.probs(inputs.view());
        rows::change_beside(batch, next, beside, |m, p| {
            mix(self.tau, self.nu, m, p);
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::super::workshop::testing::small;
    use super::*;

    #[test]
    fn the_reference_rows_are_matched() {
        let all = cases("adaptive_misinformation");
        assert_eq!(all.len(), 12);
        for case in all {
            let i = &case["input"];
            let mut p = numbers(&i["probs"]);
            let (tau, nu) = (i["tau"].as_f64().unwrap(), i["nu"].as_f64().unwrap());
            let share = mix(tau, nu, &numbers(&i["misinfo"]), &mut p);
            assert_close(&case, &[share], &[case["expected"]["alpha"].as_f64().unwrap()]);
            assert_close(&case, &p, &numbers(&case["expected"]["answer"]));
        }
    }

    #[test]
    fn the_misinformation_model_is_wrong_about_the_rows_it_learned() {
        let shop = small();
        let params = Params { tau: 0.5, nu: 1000.0, model: None };
        params.build(Seed::new(1), shop).unwrap();
        let key = format!("adaptive-misinformation/{}", name_of(&shop.arch));
        let wrong = shop.once::<Model>(&key, |_| panic!("made by `build`")).unwrap();
        let probs = wrong.probs(shop.inputs.view()).unwrap();
        let right = shop.labels.iter().enumerate().map(|(i, &label)| probs[[i, label]]);
        let mean = right.sum::<f64>() / shop.labels.len() as f64;
        assert!(mean < 0.1, "{mean}, where chance is 0.2");
    }
}
