//! Layers in order, and the path of a batch through them.

use super::{Defense, DefenseSpec, Flags, Marks, Ownership, Workshop};
use crate::error::Result;
use crate::oracle::{Batch, Card, Oracle, Reply};
use crate::seed::Seed;

/// Layers, outermost first.
#[derive(Default)]
pub struct Stack {
    layers: Vec<Box<dyn Defense>>,
}

/// Sees what each layer gave for what it got; the gateway measures distortion with it.
pub trait StageWatch {
    /// Layer `stage` (0 is outermost) turned `inner`, what it last received, into `outer`.
    fn stage(&mut self, stage: usize, inner: &Reply, outer: &Reply);
}

/// Watches nothing.
pub struct Unwatched;

impl StageWatch for Unwatched {
    fn stage(&mut self, _stage: usize, _inner: &Reply, _outer: &Reply) {}
}

/// The rest of the stack below a layer, down to the oracle.
pub struct Next<'a> {
    layers: &'a mut [Box<dyn Defense>],
    oracle: &'a mut dyn Oracle,
    watch: &'a mut dyn StageWatch,
    depth: usize,
    last: Option<Reply>,
}

impl Stack {
    /// Layers built elsewhere, outermost first.
    pub fn new(layers: Vec<Box<dyn Defense>>) -> Self {
        Self { layers }
    }

    /// Builds a config's stack in front of an oracle with this card, from what the defender owns. Layer i
    /// draws from the stream `i/kind` of `seed`. Behind a last layer that trains a teacher anew the others are made
    /// from that teacher, and it from the one that the defender had.
    pub fn build(specs: &[DefenseSpec], seed: Seed, card: Card, shop: &Workshop) -> Result<Self> {
        DefenseSpec::check_stack(specs, card, &shop.outline())?;
        let owned = DefenseSpec::owned_behind(specs, shop)?;
        let layer = |(i, spec): (usize, &DefenseSpec)| {
            let behind = owned.as_deref().filter(|_| i + 1 < specs.len());
            spec.build(seed.child(&format!("{i}/{}", spec.kind())), behind.unwrap_or(shop))
        };
        let layers = specs.iter().enumerate().map(layer).collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// Names of the layers, outermost first.
    pub fn names(&self) -> Vec<&'static str> {
        self.layers.iter().map(|l| l.name()).collect()
    }

    /// Gates and detectors, outermost first, with whom they have flagged.
    pub fn flags(&self) -> Vec<(&'static str, &Flags)> {
        self.layers.iter().filter_map(|l| l.flags().map(|flags| (l.name(), flags))).collect()
    }

    /// What the outermost watermark has planted.
    pub fn marks(&self) -> Option<&Marks> {
        self.layers.iter().find_map(|l| l.marks())
    }

    /// The outermost test of ownership.
    pub fn ownership(&self) -> Option<&Ownership> {
        self.layers.iter().find_map(|l| l.ownership())
    }

    /// Sends a batch through all layers to the oracle and back.
    pub fn run(
        &mut self,
        batch: &Batch,
        oracle: &mut dyn Oracle,
        watch: &mut dyn StageWatch,
    ) -> Result<Reply> {
        Next { layers: &mut self.layers, oracle, watch, depth: 0, last: None }.run(batch)
    }
}

impl Next<'_> {
    /// Asks the rest of the stack.
    pub fn run(&mut self, batch: &Batch) -> Result<Reply> {
        let reply = match self.layers.split_first_mut() {
            None => self.oracle.answer(batch)?,
            Some((layer, rest)) => {
                let mut next = Next {
                    layers: rest,
                    oracle: &mut *self.oracle,
                    watch: &mut *self.watch,
                    depth: self.depth + 1,
                    last: None,
                };
                let outer = layer.handle(batch, &mut next)?;
                if let Some(inner) = next.last.take() {
                    self.watch.stage(self.depth, &inner, &outer);
                }
                outer
            }
        };
        if self.depth > 0 {
            self.last = Some(reply.clone());
        }
        Ok(reply)
    }
}
