//! VarDetect (Pal, Gupta, Kanade and Shevade 2021, "Stateful detection of model extraction attacks",
//! arXiv:2107.05166): windows of an account's queries are compared with the teacher's rows in the codes of a
//! variational autoencoder that was trained on such rows, by maximum mean discrepancy (`windows`), and one that is
//! too far flags the account's rows until its next window passes.
//!
//! The autoencoder is a plain one (Kingma and Welling 2014, `model::Vae`): dense networks of one hidden layer, a
//! code for a query being the means of its posterior. The paper modifies its autoencoder, so as to tell several
//! kinds of attackers' rows apart; that is not built, since nothing here has rows of attackers to train it on. It
//! learns from one half of the defender's rows; the threshold is the one that a share of windows of the other half
//! exceed. So it needs no model of the teacher's: rows are enough.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::respond::Response;
use super::windows::{Judge, Sizes, Windows};
use super::workshop::Outline;
use super::{Counter, Defense, Method, Promise, Workshop, windows};
use crate::error::{Error, Result};
use crate::model::{Model, Recipe, Vae};
use crate::oracle::Card;
use crate::seed::{Seed, permutation};

/// Units of the autoencoder's hidden layers, and steps of its training.
const HIDDEN: usize = 64;
const STEPS: usize = 1000;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Params {
    /// Numbers of a code, 1 to 64.
    #[serde(default = "usual_code")]
    #[schemars(range(min = 1, max = 64))]
    pub code: usize,
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

const fn usual_code() -> usize {
    8
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "var-detect"
    }

    fn paper(&self) -> &'static str {
        "Pal et al. 2021, VarDetect; plain autoencoder"
    }

    fn check(&self) -> Result<()> {
        if !(1..=64).contains(&self.code) {
            return Err(Error::config("code", self.code.to_string(), "1 to 64 numbers"));
        }
        self.sizes().check()
    }

    fn card(&self, below: Card) -> Result<Card> {
        self.response.card(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_rows(self.kind())?;
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
        let Self { code, window, reference, false_rate, response } = *self;
        let encoder = self.encoder(shop)?;
        let name = format!("var-detect/{code}/{window}/{reference}/{false_rate}");
        // One stream for all rates, so that strengths differ by their strength alone.
        let seed = shop.seed.child(self.kind());
        let judge = shop.once(&name, |_| {
            let [seen, unseen] = halves(shop);
            let codes = |index: &[usize]| -> Result<Array2<f64>> {
                encoder.codes(shop.inputs.select(Axis(0), index).view())
            };
            let (seen, unseen) = (codes(&seen)?, codes(&unseen)?);
            Judge::calibrated(self.sizes(), &seen, &unseen, &seen, seed)
        })?;
        let see = Box::new(move |rows: ArrayView2<'_, f32>| encoder.codes(rows));
        Ok(Box::new(Windows::new(self.kind(), see, judge, window, response, key)))
    }
}

/// Rows that the autoencoder learns from, and the others.
fn halves(shop: &Workshop) -> [Vec<usize>; 2] {
    let seed = shop.seed.child("var-detect/rows");
    let mut seen = permutation(&mut seed.rng(), shop.labels.len());
    let unseen = seen.split_off(seen.len().div_ceil(2));
    [seen, unseen]
}

impl Params {
    const fn sizes(&self) -> Sizes {
        let Self { window, reference, false_rate, .. } = *self;
        Sizes { window, reference, false_rate }
    }

    /// The encoder of an autoencoder of one half of the rows.
    fn encoder(&self, shop: &Workshop) -> Result<Arc<Model>> {
        let vae = Vae { hidden: HIDDEN, code: self.code };
        shop.trained(&format!("var-detect/{}/encoder", self.code), |seed| {
            let [seen, _] = halves(shop);
            let rows = shop.inputs.select(Axis(0), &seen);
            let recipe = Recipe { steps: STEPS, threads: shop.recipe.threads, ..Recipe::default() };
            vae.encoder(rows.view(), shop.shape, shop.device, &recipe, seed)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::workshop::testing::{rows, small};
    use super::super::{DefenseSpec, Flagged, Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Batch, Tick};

    const PARAMS: Params =
        Params { code: 2, window: 25, reference: 100, false_rate: 0.1, response: Response::Warn };

    /// What became of the accounts that asked these rows in turn.
    fn flagged(asked: &[Array2<f32>]) -> Vec<Flagged> {
        let spec = DefenseSpec::VarDetect(PARAMS);
        let mut stack = Stack::new(vec![spec.build(Seed::new(1), small()).unwrap()]);
        let (n, k) = (asked[0].nrows(), asked.len());
        let inputs = Array2::from_shape_fn((n * k, 2), |(i, j)| asked[i % k][[i / k, j]]);
        let mut batch = Batch::classify(AccountId(0), Tick::ZERO, inputs);
        batch.account = (0..n * k).map(|i| AccountId((i % k) as u32)).collect();
        stack.run(&batch, &mut Scripted::constant(2, vec![0.2; 5]), &mut Unwatched).unwrap();
        let flags = stack.flags()[0].1;
        (0..k).map(|i| flags.of(AccountId(i as u32))).collect()
    }

    /// Rows of the five classes, drawn as honest windows are: in no order.
    fn honest(n: usize, seed: u64) -> Array2<f32> {
        let order = permutation(&mut Seed::new(seed).child("order").rng(), n);
        rows(n, Seed::new(seed)).0.select(Axis(0), &order)
    }

    /// Rows between the classes.
    fn elsewhere(n: usize) -> Array2<f32> {
        let mut rng = Seed::new(8).rng();
        Array2::from_shape_fn((n, 2), |_| 0.4 + 0.2 * crate::seed::uniform(&mut rng) as f32)
    }

    #[test]
    fn rows_from_elsewhere_are_flagged_and_honest_windows_at_about_the_stated_rate() {
        let found = flagged(&[honest(2500, 77), elsewhere(2500)]);
        // A hundred windows at one in ten; the last of them is not acted upon.
        let share = found[0].flagged as f64 / found[0].rows as f64;
        assert!((0.02..0.2).contains(&share), "{share} of honest rows");
        let strange = Flagged { rows: 2500, flagged: 2476, first: Some(25) };
        assert_eq!(found[1], strange, "from the end of the first window");
    }

    #[test]
    fn accounts_are_judged_apart() {
        let (honest, strange) = (honest(200, 78), elsewhere(200));
        let together = flagged(&[honest.clone(), strange.clone()]);
        let apart = [flagged(&[honest]), flagged(&[strange])].concat();
        assert_eq!(together, apart);
    }

    #[test]
    fn rows_are_enough_to_make_it_from() {
        let outline = Outline { model: false, ..small().outline() };
        assert!(PARAMS.fits(&outline).is_ok());
        assert!(PARAMS.fits(&Outline { rows: 0, ..outline }).is_err());
        assert!(PARAMS.fits(&Outline { rows: 100, ..outline }).is_err());
        assert!(Params { code: 0, ..PARAMS }.check().is_err());
    }
}
