//! Outlier exposure (Hendrycks, Mazeika and Dietterich 2019, "Deep anomaly detection with outlier exposure"):
//! the defender trains its teacher anew on its rows and, beside them, on rows of nothing, which are to get the
//! same probability for each class. Adaptive misinformation, which goes by how sure an answer is, then knows
//! strange rows.
//!
//! The paper's rows of nothing are another data set. Here half are drawn uniformly from the valid range, and
//! half are rows of the defender's with their features in one of four fixed other orders: what single features
//! look like stays, what they are together goes. `weight`, the paper's lambda, is the number of such rows to
//! one row of the defender's.
//!
//! A defense at the `train` hook: the arm's oracle is the new teacher, so nothing stands below it. Gates above it
//! are made from the new teacher, and calibrated by a twin that was exposed too.

use std::sync::Arc;

use ndarray::{Array2, Axis, concatenate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workshop::{Outline, name_of};
use super::{Counter, Defense, Method, Promise, Workshop};
use crate::error::{Error, Result};
use crate::model::{Lesson, Loss, Model, Targets};
use crate::oracle::Card;
use crate::seed::{Seed, permutation, uniform};

/// Orders of features in which the defender's rows become others.
const ORDERS: u64 = 4;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Rows of nothing to one row of the defender's, above 0 and at most 4.
    #[serde(default = "usual")]
    pub weight: f64,
}

const fn usual() -> f64 {
    1.0
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "outlier-exposure"
    }

    fn paper(&self) -> &'static str {
        "Hendrycks et al. 2019, Outlier Exposure"
    }

    fn check(&self) -> Result<()> {
        if self.weight > 0.0 && self.weight <= 4.0 {
            return Ok(());
        }
        Err(Error::config("weight", self.weight.to_string(), "above 0 and at most 4"))
    }

    fn card(&self, below: Card) -> Result<Card> {
        Ok(below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_model(self.kind())
    }

    /// Of the layer: the teacher behind it is another one, which may answer anything.
    fn promise(&self) -> Promise {
        Promise { l1_bound: 0.0, ..Promise::BASE }
    }

    fn counter(&self) -> Counter {
        Counter::InDistribution
    }

    fn innermost(&self) -> bool {
        true
    }

    fn retrain(&self, shop: &Workshop) -> Result<Option<Arc<Model>>> {
        let arch = shop.teacher()?.arch();
        // One stream for all weights, so that strengths differ by their strength alone.
        let seed = shop.seed.child("outlier-exposure");
        let learn = |_| {
            let lesson = self.lesson(shop, seed.child("outliers"))?;
            shop.taught(arch, &lesson, Loss::SoftLabel { temperature: 1.0, eps: 1e-9 }, seed)
        };
        let key = format!("outlier-exposure/{}/{}", self.weight, name_of(arch));
        shop.trained(&key, learn).map(Some)
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(super::Untouched { name: self.kind() }))
    }
}

impl Params {
    /// The defender's rows with their classes, then rows of nothing with all classes alike.
    fn lesson(&self, shop: &Workshop, seed: Seed) -> Result<Lesson> {
        let n = shop.labels.len();
        let extra = libm::ceil(self.weight * n as f64) as usize;
        let others = outliers(shop, extra, seed);
        let inputs = concatenate(Axis(0), &[shop.inputs.view(), others.view()])
            .map_err(|e| Error::Internal(e.to_string()))?;
        let even = 1.0 / shop.classes as f64;
        let targets = Array2::from_shape_fn((n + extra, shop.classes), |(i, class)| {
            shop.labels.get(i).map_or(even, |&label| f64::from(u8::from(label == class)))
        });
        Ok(Lesson { inputs, targets: Targets::Probs(targets) })
    }
}

/// `count` rows of nothing: uniform noise and reordered rows in turn.
fn outliers(shop: &Workshop, count: usize, seed: Seed) -> Array2<f32> {
    let (n, d) = shop.inputs.dim();
    let (low, high) = (f64::from(shop.range.0), f64::from(shop.range.1));
    let orders: Vec<Vec<usize>> =
        (0..ORDERS).map(|i| permutation(&mut seed.nth("order", i).rng(), d)).collect();
    let mut rng = seed.child("noise").rng();
    let mut rows = Array2::zeros((count, d));
    for (i, mut row) in rows.rows_mut().into_iter().enumerate() {
        let order = &orders[i / 2 % orders.len()];
        for (j, x) in row.iter_mut().enumerate() {
            *x = match i % 2 {
                0 => (low + (high - low) * uniform(&mut rng)) as f32,
                _ => shop.inputs[[i % n.max(1), order[j]]],
            };
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::DefenseSpec;
    use super::super::strangeness::entropy;
    use super::super::workshop::testing::small;
    use super::*;
    use crate::oracle::top1;

    #[test]
    fn an_exposed_teacher_is_unsure_of_noise_and_right_about_its_rows() {
        let shop = small();
        let exposed = Params { weight: 1.0 }.retrain(shop).unwrap().unwrap();
        let noise = Array2::from_shape_fn((100, 2), |(i, j)| {
            0.45 + 0.1 * ((i * (3 + j)) % 10) as f32 / 10.0
        });
        let unsure = |model: &Model| {
            let probs = model.probs(noise.view()).unwrap();
            probs.rows().into_iter().map(|r| entropy(&r.to_vec())).sum::<f64>() / 100.0
        };
        let (before, after) = (unsure(shop.teacher().unwrap()), unsure(&exposed));
        assert!(after > before, "{before} and {after} nats in the middle of all classes");
        let right = top1(&exposed.probs(shop.inputs.view()).unwrap());
        assert!(right.iter().zip(&shop.labels).filter(|(a, b)| a == b).count() > 255);
    }

    #[test]
    fn a_gate_above_it_goes_by_the_exposed_teacher_and_by_an_exposed_twin() {
        let shop = small();
        let exposure = DefenseSpec::OutlierExposure(Params { weight: 1.0 });
        let gate = DefenseSpec::OodGate(crate::defense::ood_gate::Params {
            score: crate::defense::strangeness::Score::Msp,
            false_rate: 0.1,
            response: crate::defense::Response::Refuse,
        });
        let hash = |model: &Model| model.weights_hash().unwrap();
        let owned = DefenseSpec::owned_behind(&[gate.clone(), exposure.clone()], shop).unwrap();
        let owned = owned.expect("a gate needs the model");
        let exposed = exposure.retrain(shop).unwrap().unwrap();
        assert_eq!(hash(owned.teacher().unwrap()), hash(&exposed));
        let (own, usual) = (owned.twin().unwrap(), shop.twin().unwrap());
        assert_eq!(own.unseen, usual.unseen);
        assert_ne!(hash(&own.model), hash(&usual.model));
        // Layers that only change answers need nothing of the kind, nor do teachers as they are.
        let stingy = DefenseSpec::Stingy(crate::defense::stingy::Params { share: 0.5 });
        assert!(DefenseSpec::owned_behind(&[stingy.clone(), exposure], shop).unwrap().is_none());
        assert!(DefenseSpec::owned_behind(&[gate, stingy], shop).unwrap().is_none());
    }

    #[test]
    fn outliers_are_noise_over_the_whole_range_and_rows_in_another_order_in_turn() {
        let mut shop =
            small().other("wide", &small().all(), Arc::clone(small().teacher().unwrap()));
        shop.range = (2.0, 4.0);
        let rows = outliers(&shop, 400, Seed::new(1));
        let noise: Vec<f32> = rows.rows().into_iter().step_by(2).flat_map(|r| r.to_vec()).collect();
        assert!(noise.iter().all(|x| (2.0..=4.0).contains(x)));
        let quarters = [2.5, 3.0, 3.5].map(|x| noise.iter().filter(|y| **y < x).count());
        assert!(quarters.iter().zip([100, 200, 300]).all(|(a, b)| a.abs_diff(b) < 40));
        let sorted = |mut row: Vec<f32>| {
            row.sort_by(f32::total_cmp);
            row
        };
        let same = |i: usize| {
            let (row, own) = (rows.row(i).to_vec(), shop.inputs.row(i % 300).to_vec());
            assert_eq!(sorted(row.clone()), sorted(own.clone()));
            row == own
        };
        let kept = (1..400).step_by(2).filter(|&i| same(i)).count();
        assert!((40..160).contains(&kept), "{kept} of 200 in the order that they had");
    }

    #[test]
    fn targets_are_classes_for_own_rows_and_even_for_others() {
        let lesson = Params { weight: 0.5 }.lesson(small(), Seed::new(1)).unwrap();
        let Targets::Probs(targets) = lesson.targets else { panic!("probabilities") };
        assert_eq!(targets.nrows(), 450);
        assert_eq!(targets[[7, small().labels[7]]], 1.0);
        assert!(targets.row(449).iter().all(|p| (p - 0.2).abs() < 1e-15));
        assert!(lesson.inputs.iter().all(|x| (0.0..=1.0).contains(x)));
    }
}
