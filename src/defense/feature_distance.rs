//! Distance of an account's queries to what the teacher learned, in the teacher's features: each full
//! window of an account's queries is compared with a reference of the defender's rows by maximum mean
//! discrepancy (Gretton et al. 2012, `detect::mmd`), and one beyond the threshold flags the account's rows
//! until its next window passes.
//!
//! This is the class of VarDetect (Pal et al. 2021: MMD between latents of a user's window and of training
//! data) and FDINet (2023: distances in the victim's features), and a port of neither: their
//! encoders and classifiers are not built. The threshold is the one that a share of honest windows exceed:
//! windows of rows that the teacher's twin has not seen against references that it has, in its features.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::respond::{Flags, Response, Watch};
use super::workshop::Outline;
use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::detect::Threshold;
use crate::detect::mmd::{MULTIPLIERS, median_bandwidth, mmd2_u};
use crate::error::{Error, Result};
use crate::model::Model;
use crate::oracle::{Batch, Card, Reply};
use crate::seed::{Seed, permutation};

/// Honest windows drawn for the threshold.
const DRAWS: usize = 200;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// Queries of a window, 10 to 500. Windows of an account follow one another without overlap.
    #[serde(default = "usual_window")]
    #[schemars(range(min = 10, max = 500))]
    pub window: usize,
    /// Rows of the defender that a window is compared with, 10 to 1000; at most half of them all.
    #[serde(default = "usual_reference")]
    #[schemars(range(min = 10, max = 1000))]
    pub reference: usize,
    /// Share of honest windows that are flagged, above 0 and at most 0.5.
    #[serde(default = "usual_rate")]
    pub false_rate: f64,
    /// What a flagged row gets.
    #[serde(default)]
    pub response: Response,
}

const fn usual_window() -> usize {
    50
}

const fn usual_reference() -> usize {
    100
}

const fn usual_rate() -> f64 {
    0.01
}

/// The layer.
pub struct FeatureDistance {
    teacher: Arc<Model>,
    judge: Arc<Judge>,
    window: usize,
    watch: Watch<Window>,
}

/// A reference and how far from it honest windows are.
struct Judge {
    /// `[reference, h]` features.
    reference: Array2<f64>,
    bandwidth: f64,
    threshold: f64,
}

/// An account's unfinished window, at most `window` x h numbers, and the verdict on its last full one.
#[derive(Clone, Debug, Default)]
struct Window {
    /// `[queries, h]`, one after the other.
    features: Vec<f64>,
    far: bool,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "feature-distance"
    }

    fn paper(&self) -> &'static str {
        "class of VarDetect 2021 and FDINet 2023; MMD of Gretton et al. 2012"
    }

    fn check(&self) -> Result<()> {
        if !(10..=500).contains(&self.window) {
            return Err(Error::config("window", self.window.to_string(), "10 to 500 queries"));
        }
        if !(10..=1000).contains(&self.reference) {
            return Err(Error::config("reference", self.reference.to_string(), "10 to 1000 rows"));
        }
        rows::check_rate("false-rate", self.false_rate)
    }

    fn card(&self, below: Card) -> Result<Card> {
        self.response.card(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_network(self.kind())?;
        let half = outline.rows / 2;
        for (key, rows) in [("window", self.window), ("reference", self.reference)] {
            if rows > half {
                let expected = format!("at most {half}: half of the teacher's rows calibrate it");
                return Err(Error::config(key, rows.to_string(), expected));
            }
        }
        Ok(())
    }

    fn promise(&self) -> Promise {
        Promise { deterministic: false, stateful: true, ..self.response.promise() }
    }

    fn detects(&self) -> bool {
        true
    }

    fn counter(&self) -> Counter {
        Counter::InDistribution
    }

    fn build(&self, key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let Self { window, reference, false_rate, response } = *self;
        let judge = shop
            .once(&format!("feature-distance/{window}/{reference}/{false_rate}"), |seed| {
                self.judge(shop, seed)
            })?;
        Ok(Box::new(FeatureDistance {
            teacher: Arc::clone(shop.teacher()?),
            judge,
            window,
            watch: Watch::new(response, key),
        }))
    }
}

impl Params {
    fn judge(&self, shop: &Workshop, seed: Seed) -> Result<Judge> {
        let twin = shop.twin()?;
        let features = |model: &Model, index: &[usize]| -> Result<Array2<f64>> {
            Ok(model.features(shop.inputs.select(Axis(0), index).view())?.mapv(f64::from))
        };
        let (seen, unseen) =
            (features(&twin.model, &twin.seen)?, features(&twin.model, &twin.unseen)?);
        let mut rng = seed.rng();
        let mut draw = |from: &Array2<f64>, count: usize| {
            let order = permutation(&mut rng, from.nrows());
            from.select(Axis(0), &order[..count])
        };
        let mut scores = Vec::with_capacity(DRAWS);
        for _ in 0..DRAWS {
            let (honest, reference) = (draw(&unseen, self.window), draw(&seen, self.reference));
            scores.push(distance(honest.view(), reference.view(), bandwidth(reference.view())));
        }
        let threshold = Threshold::above(&scores, self.false_rate)
            .ok_or_else(|| Error::Internal("a threshold of no windows".into()))?;
        let all = features(shop.teacher()?, &shop.all())?;
        let reference = draw(&all, self.reference);
        let bandwidth = bandwidth(reference.view());
        Ok(Judge { reference, bandwidth, threshold: threshold.value })
    }
}

/// The width of the kernels; any where all rows are equal.
fn bandwidth(reference: ArrayView2<'_, f64>) -> f64 {
    median_bandwidth(reference, false).unwrap_or(1.0)
}

fn distance(window: ArrayView2<'_, f64>, reference: ArrayView2<'_, f64>, bandwidth: f64) -> f64 {
    mmd2_u(window, reference, bandwidth, &MULTIPLIERS)
}

impl Judge {
    /// True if a full window `[window, h]` is further away than honest ones.
    fn far(&self, features: &[f64]) -> Result<bool> {
        let h = self.reference.ncols();
        let window = ArrayView2::from_shape((features.len() / h.max(1), h), features)
            .map_err(|e| Error::Internal(e.to_string()))?;
        Ok(distance(window, self.reference.view(), self.bandwidth) > self.threshold)
    }
}

impl Defense for FeatureDistance {
    fn name(&self) -> &'static str {
        "feature-distance"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let reply = next.run(batch)?;
        let features = self.teacher.features(batch.inputs.view())?;
        let name = self.name();
        self.watch.judge(name, batch, reply, |state, row, _| {
            state.features.extend(features.row(row).iter().map(|&x| f64::from(x)));
            if state.features.len() == self.window * features.ncols() {
                state.far = self.judge.far(&state.features)?;
                state.features.clear();
            }
            Ok(state.far)
        })
    }

    fn flags(&self) -> Option<&Flags> {
        Some(self.watch.flags())
    }
}

#[cfg(test)]
mod tests {
    use super::super::workshop::testing::small;
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Tick};

    #[test]
    fn windows_of_a_narrow_region_are_flagged_and_windows_of_rows_like_the_teachers_seldom() {
        let spec = DefenseSpec::FeatureDistance(Params {
            window: 20,
            reference: 60,
            false_rate: 0.05,
            response: Response::Warn,
        });
        let mut stack = Stack::new(vec![spec.build(Seed::new(1), small()).unwrap()]);
        let inputs = Array2::from_shape_fn((600, 2), |(i, j)| match i % 2 {
            0 => 0.5 + 0.001 * (i % 40) as f32,
            _ => small().inputs[[i / 2, j]],
        });
        let mut batch = Batch::classify(AccountId(0), Tick::ZERO, inputs);
        batch.account = (0..600).map(|i| AccountId(i % 2)).collect();
        stack.run(&batch, &mut Scripted::constant(2, vec![0.2; 5]), &mut Unwatched).unwrap();
        let flags = stack.flags()[0].1;
        let (narrow, like) = (flags.of(AccountId(0)), flags.of(AccountId(1)));
        assert_eq!(
            (narrow.first, narrow.flagged),
            (Some(20), 281),
            "from the end of its first window"
        );
        assert!(like.flagged <= 60, "{like:?}");
    }
}
