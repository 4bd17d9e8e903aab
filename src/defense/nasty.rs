//! Nasty teacher (Ma et al. 2021, "Undistillable: making a nasty teacher that cannot teach students"): the
//! defender trains another teacher that is right, and whose softened answers are as far as possible from those
//! of a normal one: CE - weight T^2 KL(normal_T || nasty_T).
//!
//! The normal network is the teacher, frozen. The nasty one has the same architecture with fresh weights and
//! learns the same rows by the same recipe. The divergence has no upper bound: a weight too large gives a teacher
//! that is wrong, which shows in honest accuracy (`configs/other-teachers.toml` tries four). Authors' code takes
//! the mean of the divergence over rows and classes, this one over rows: their weight w at K classes is w / K
//! here.
//!
//! It is a defense at the `train` hook: the arm's oracle is the nasty teacher, so nothing stands below it.
//! Students are still measured against the undefended one.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workshop::Outline;
use super::{Counter, Defense, Method, Promise, Workshop};
use crate::error::{Error, Result};
use crate::model::{Lesson, Loss, Model, Targets};
use crate::oracle::Card;
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Weight of the divergence, above 0 and at most 10.
    #[serde(default = "usual_weight")]
    pub weight: f64,
    /// Temperature of the divergence, above 0 and at most 100.
    #[serde(default = "usual_temperature")]
    pub temperature: f64,
}

const fn usual_weight() -> f64 {
    0.1
}

const fn usual_temperature() -> f64 {
    4.0
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "nasty"
    }

    fn paper(&self) -> &'static str {
        "Ma et al. 2021, Nasty Teacher"
    }

    fn check(&self) -> Result<()> {
        if !(self.weight > 0.0 && self.weight <= 10.0) {
            return Err(Error::config("weight", self.weight.to_string(), "above 0 and at most 10"));
        }
        if self.temperature > 0.0 && self.temperature <= 100.0 {
            return Ok(());
        }
        Err(Error::config("temperature", self.temperature.to_string(), "above 0 and at most 100"))
    }

    fn card(&self, below: Card) -> Result<Card> {
        Ok(below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_network(self.kind())
    }

    /// Of the layer: the teacher behind it is another one, which may answer anything.
    fn promise(&self) -> Promise {
        Promise { l1_bound: 0.0, ..Promise::BASE }
    }

    /// What it does is done to soft answers; the class stays right.
    fn counter(&self) -> Counter {
        Counter::LabelOnly
    }

    fn innermost(&self) -> bool {
        true
    }

    fn retrain(&self, shop: &Workshop) -> Result<Option<Arc<Model>>> {
        let normal = shop.teacher()?;
        let Self { weight, temperature } = *self;
        let key = format!("nasty/{weight}/{temperature}/{}", normal.weights_hash()?);
        // One stream for all weights, so that strengths differ by their strength alone.
        let seed = shop.seed.child("nasty");
        let learn = |_| {
            let targets = Targets::Away {
                labels: shop.labels.clone(),
                from: normal.probs(shop.inputs.view())?,
            };
            let lesson = Lesson { inputs: shop.inputs.clone(), targets };
            shop.taught(normal.arch(), &lesson, Loss::Nasty { temperature, weight }, seed)
        };
        shop.trained(&key, learn).map(Some)
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(super::Untouched { name: self.kind() }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::digits;
    use super::*;
    use crate::oracle::top1;

    #[test]
    fn a_nasty_teacher_is_right_and_softly_unlike_the_normal_one() {
        let shop = digits();
        let soft = |p: &ndarray::Array2<f64>, i: usize| {
            let tempered: Vec<f64> = p.row(i).iter().map(|p| p.max(1e-6).powf(0.25)).collect();
            let sum: f64 = tempered.iter().sum();
            tempered.into_iter().map(|p| p / sum).collect::<Vec<_>>()
        };
        let normal = shop.teacher().unwrap().probs(shop.inputs.view()).unwrap();
        let measure = |weight: f64| {
            let nasty = Params { weight, temperature: 4.0 }.retrain(shop).unwrap().unwrap();
            let probs = nasty.probs(shop.inputs.view()).unwrap();
            let right = top1(&probs).iter().zip(&shop.labels).filter(|(a, b)| a == b).count();
            let away: f64 = (0..500)
                .map(|i| {
                    let pairs = soft(&normal, i).into_iter().zip(soft(&probs, i));
                    pairs.map(|(p, q)| p * (p / q).ln()).sum::<f64>()
                })
                .sum();
            (right, away / 500.0)
        };
        let (mild, strong) = (measure(1e-6), measure(0.1));
        assert!(strong.0 + 15 > mild.0, "{} and {} of 500 right", mild.0, strong.0);
        assert!(strong.1 > 2.0 * mild.1, "{} and {}", mild.1, strong.1);
    }
}
