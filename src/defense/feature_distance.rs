//! Distance of an account's queries to what the teacher learned, in the teacher's features: windows of its queries
//! are compared with a reference of the defender's rows (`windows`), and one that is too far flags the account's
//! rows until its next window passes.
//!
//! This is of the class of FDINet (2023: distances in the victim's features), and no port: its anchors and its
//! classifier are not built. `var-detect` compares windows in the codes of an autoencoder instead. The threshold is
//! the one that a share of honest windows exceed: windows of rows that the teacher's twin has not seen against
//! references that it has, in its features.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::respond::Response;
use super::windows::{Judge, Sizes, Windows};
use super::workshop::Outline;
use super::{Counter, Defense, Method, Promise, Workshop, windows};
use crate::error::Result;
use crate::model::Model;
use crate::oracle::Card;
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// Queries of a window, 10 to 500. Windows of an account follow one another without overlap.
    #[serde(default = "windows::usual_window")]
    #[schemars(range(min = 10, max = 500))]
    pub window: usize,
    /// Rows of the defender that a window is compared with, 10 to 1000; at most half of them all.
    #[serde(default = "windows::usual_reference")]
    #[schemars(range(min = 10, max = 1000))]
    pub reference: usize,
    /// Share of honest windows that are flagged, above 0 and at most 0.5.
    #[serde(default = "windows::usual_rate")]
    pub false_rate: f64,
    /// What a flagged row gets.
    #[serde(default)]
    pub response: Response,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "feature-distance"
    }

    fn paper(&self) -> &'static str {
        "class of FDINet 2023; MMD of Gretton et al. 2012"
    }

    fn check(&self) -> Result<()> {
        self.sizes().check()
    }

    fn card(&self, below: Card) -> Result<Card> {
        self.response.card(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_network(self.kind())?;
        self.sizes().fits(outline.rows)
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
        // One stream for all rates, so that strengths differ by their strength alone.
        let seed = shop.seed.child(self.kind());
        let name = format!("feature-distance/{window}/{reference}/{false_rate}");
        let judge = shop.once(&name, |_| self.judge(shop, seed))?;
        let teacher = Arc::clone(shop.teacher()?);
        let see =
            Box::new(move |rows: ArrayView2<'_, f32>| Ok(teacher.features(rows)?.mapv(f64::from)));
        Ok(Box::new(Windows::new(self.kind(), see, judge, window, response, key)))
    }
}

impl Params {
    const fn sizes(&self) -> Sizes {
        let Self { window, reference, false_rate, .. } = *self;
        Sizes { window, reference, false_rate }
    }

    fn judge(&self, shop: &Workshop, seed: Seed) -> Result<Judge> {
        let twin = shop.twin()?;
        let features = |model: &Model, index: &[usize]| -> Result<Array2<f64>> {
            Ok(model.features(shop.inputs.select(Axis(0), index).view())?.mapv(f64::from))
        };
        let (seen, unseen) =
            (features(&twin.model, &twin.seen)?, features(&twin.model, &twin.unseen)?);
        let all = features(shop.teacher()?, &shop.all())?;
        Judge::calibrated(self.sizes(), &seen, &unseen, &all, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::workshop::testing::small;
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Batch, Tick};

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
