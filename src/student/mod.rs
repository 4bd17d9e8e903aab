//! Who asks, and how they learn from what they got.
//!
//! A student never holds the oracle, never names a teacher or a defense, and never sees a test label.
//! It says what it wants to ask ([`Student::next`]) and is told what came back ([`Student::tell`]).
//! Its default implementation, [`Standard`], is strategy x objective x architecture x recovery.

mod cards;
mod cluster;
#[cfg(test)]
mod conformance;
mod data_free;
pub mod equation;
mod equations;
pub mod honest;
mod linear;
mod objective;
pub mod projection;
mod recovery;
mod spec;
mod standard;
mod strategy;
mod tree_paths;

use ndarray::Array2;

use crate::error::Result;
use crate::model::{Device, InputShape, Model, Recipe};
use crate::oracle::Reply;
use crate::seed::Seed;

use data_free::DataFree;
use tree_paths::TreePaths;

pub use cards::{Card, objective_cards, recovery_cards, strategy_cards};
pub use data_free::Settings as DataFreeSettings;
pub use linear::least_squares;
pub use objective::{Completion, ObjectiveSpec};
pub use recovery::{RecoverySpec, Simulator, TABLE_ROWS};
pub use spec::{DefenseKnown, Knows, PoolKnown, SameOrOther, StudentSpec};
pub use standard::Standard;
pub use strategy::{Baseline, Grouping, Measure, Own, Reward, Strategy, StrategySpec, Told};

/// The threat model as a type: all that a student may know when it decides what to ask.
pub struct View<'a> {
    /// `[n, d]` unlabelled rows it may ask.
    pub pool: &'a Array2<f32>,
    /// `[m, d]` public rows.
    pub public: &'a Array2<f32>,
    /// True labels of the first public rows, as many as it knows.
    pub public_labels: Option<&'a [usize]>,
    /// Rows it can still pay for.
    pub left: u64,
    /// Its whole query budget.
    pub budget: u64,
    /// Classes of the teacher.
    pub classes: usize,
    /// How a row is laid out.
    pub shape: InputShape,
    /// Valid feature values.
    pub range: (f32, f32),
}

/// What a student wants next.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    /// Answers for these rows `[n, d]`.
    Batch(Array2<f32>),
    /// Nothing more.
    Done,
}

/// Someone who asks and learns.
pub trait Student: Send {
    /// What to ask now.
    fn next(&mut self, view: &View<'_>) -> Result<Ask>;

    /// What came back for the rows of the last ask, one outcome a row. Rows that were waited for in
    /// vain arrive as denied.
    fn tell(&mut self, asked: &Array2<f32>, reply: &Reply) -> Result<()>;

    /// Trains the final model on everything it was told.
    fn learn(&mut self, view: &View<'_>, seed: Seed) -> Result<Learned>;
}

/// What a student ends with.
pub struct Learned {
    /// After the last step.
    pub last: Model,
    /// Chosen on its own validation part of the charged answers.
    pub selected: Model,
    /// Rows of its transfer set.
    pub transfer_rows: usize,
    /// Answers that said nothing, for students that solve equations.
    pub dropped_rows: Option<usize>,
    /// Floating-point operations of all its training.
    pub flops: f64,
}

/// The student of a config. Its `recovery` is no counter any more, `seed` is shared by every arm and budget of a seed,
/// and `simulator` is the known defense, for recoveries that use it.
pub fn build(
    spec: &StudentSpec,
    recipe: &Recipe,
    device: Device,
    simulator: Option<Simulator>,
    shape: InputShape,
    classes: usize,
    seed: Seed,
) -> Result<Box<dyn Student>> {
    if let StrategySpec::DataFree(settings) = &spec.strategy {
        let student = DataFree::new(spec, *settings, recipe, device, shape, classes, seed)?;
        return Ok(Box::new(student));
    }
    if let StrategySpec::TreePaths { step } = spec.strategy {
        let student = TreePaths::new(step, &spec.model, device, shape, classes, seed)?;
        return Ok(Box::new(student));
    }
    let standard = Standard::new(spec, recipe, device, simulator, shape, classes, seed)?;
    Ok(match spec.strategy {
        StrategySpec::Equations { iterations, gtol } => {
            Box::new(equations::Equations::new(standard, iterations, gtol))
        }
        _ => Box::new(standard),
    })
}
