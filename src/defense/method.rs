//! What every kind of defense tells of itself: the registry asks through this trait, so that all there
//! is to know of a kind stands in its own file.

use std::sync::Arc;

use ndarray::Array2;

use super::workshop::{Outline, Workshop};
use super::{Counter, Defense, Promise};
use crate::error::Result;
use crate::model::{Arch, Device, InputShape, Model};
use crate::oracle::Card;
use crate::seed::Seed;

/// Changes one clean row into a defended one.
pub type RowMap = Box<dyn Fn(&[f64], &mut [f64]) + Send + Sync>;

/// What a student that simulates a defense has for it: everything but the key.
pub struct Known<'a> {
    /// Rows that it may ask `[n, d]`.
    pub pool: &'a Array2<f32>,
    /// How a row is laid out.
    pub shape: InputShape,
    /// Classes of the teacher.
    pub classes: usize,
    /// The teacher's architecture, which stands where the defense's settings name none.
    pub arch: &'a Arch,
    /// Where its models run.
    pub device: Device,
    /// The student's own stream.
    pub seed: Seed,
}

/// One kind of defense, with its settings.
pub trait Method {
    /// Its `kind` in a config.
    fn kind(&self) -> &'static str;

    /// Where it comes from.
    fn paper(&self) -> &'static str;

    /// Refuses settings out of their ranges; keys are relative to the layer.
    fn check(&self) -> Result<()>;

    /// The card above this layer in front of `below`; refuses answers that it cannot work on.
    fn card(&self, below: Card) -> Result<Card>;

    /// Refuses a defender who lacks what the layer is made from. Nothing is built yet.
    fn fits(&self, _outline: &Outline<'_>) -> Result<()> {
        Ok(())
    }

    /// What it guarantees.
    fn promise(&self) -> Promise;

    /// The student that undoes it best.
    fn counter(&self) -> Counter;

    /// What that student can run on rows of its own.
    fn simulate(&self, _known: &Known<'_>) -> Option<RowMap> {
        None
    }

    /// True for a layer that judges accounts by what they have asked.
    fn detects(&self) -> bool {
        false
    }

    /// True for a layer whose only cost to a student is time: without days in the budget it does nothing.
    fn waits(&self) -> bool {
        false
    }

    /// True for a layer that takes the place of the teacher's own answers: nothing may stand below it.
    fn innermost(&self) -> bool {
        false
    }

    /// The teacher that takes the place of the defender's own, for defenses at the `train` hook.
    fn retrain(&self, _shop: &Workshop) -> Result<Option<Arc<Model>>> {
        Ok(None)
    }

    /// The layer. `key` is the defender's own stream; settings are in range and fit.
    fn build(&self, key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>>;
}
