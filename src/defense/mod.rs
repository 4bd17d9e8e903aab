//! Layers around an oracle, one file each.
//!
//! A defense may refuse, alter, observe or ask twice: [`Defense::handle`] gets the batch and the
//! [`Next`] layer. The first layer of a config is the outermost: it sees the request first and the
//! reply last. No defense sees a student, a budget or a test label; none reads a clock.
//!
//! Adding one: a file here, the `mod` line, the spec variant and the `build` arm.

use crate::error::Result;
use crate::oracle::{Batch, Oracle, Reply};

/// What a defense promises. The conformance tests hold it to every word.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    /// The most likely class is never changed.
    pub keeps_top1: bool,
    /// Upper bound of the L1 distance between clean and defended probabilities of a row; at most 2.
    pub l1_bound: f64,
    /// The same input always gets the same answer.
    pub deterministic: bool,
    /// Answers depend on what was asked before.
    pub stateful: bool,
    /// Some rows may be denied.
    pub refuses: bool,
}

/// A layer around an oracle.
pub trait Defense: Send {
    /// Its `kind` in a config, such as `round`.
    fn name(&self) -> &'static str;

    /// What it guarantees.
    fn promise(&self) -> Promise;

    /// Handles rows as if they came one by one in order: results do not depend on how a batch is cut.
    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply>;
}

/// The rest of the stack below a layer, down to the oracle.
pub struct Next<'a> {
    layers: &'a mut [Box<dyn Defense>],
    oracle: &'a mut dyn Oracle,
    watch: &'a mut dyn StageWatch,
    depth: usize,
}

/// Sees what each layer gave for what it got; the gateway measures distortion with it.
pub trait StageWatch {
    /// Layer `stage` (0 is outermost) turned `inner` into `outer`, both replies to `batch`'s rows
    /// that it passed on. `inner` is what the layer last received.
    fn stage(&mut self, stage: usize, inner: &Reply, outer: &Reply);
}

impl Next<'_> {
    /// Asks the rest of the stack.
    pub fn run(&mut self, batch: &Batch) -> Result<Reply> {
        let _ = (&self.layers, &self.oracle, &self.watch, self.depth, batch);
        unimplemented!("written with the gateway")
    }
}
