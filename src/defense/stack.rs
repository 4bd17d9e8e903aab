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

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::super::workshop::testing::{CARD, small};
    use super::super::{
        dataset_inference, ood_gate, outlier_exposure, round, strangeness, temperature,
    };
    use super::*;
    use crate::defense::Response;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, AnswerKind, Answers, Tick};

    /// Stages with the first number that a layer got and gave.
    #[derive(Default)]
    struct Seen(Vec<(usize, f64, f64)>);

    impl StageWatch for Seen {
        fn stage(&mut self, stage: usize, inner: &Reply, outer: &Reply) {
            let first = |reply: &Reply| match &reply.answers {
                Answers::Probs(p) => p[[0, 0]],
                other => panic!("{other:?}"),
            };
            self.0.push((stage, first(inner), first(outer)));
        }
    }

    #[test]
    fn every_layer_is_seen_with_what_it_got_and_gave_the_innermost_first() {
        let card = Card { inputs: 1, classes: 2, answers: AnswerKind::Probs };
        let specs = [
            DefenseSpec::Round(round::Params { digits: 1 }),
            DefenseSpec::Temperature(temperature::Params { t: 2.0 }),
        ];
        let mut stack = Stack::build(&specs, Seed::new(1), card, &Workshop::empty(card)).unwrap();
        assert_eq!(stack.names(), ["round", "temperature"]);
        assert!(stack.ownership().is_none() && stack.marks().is_none());
        let (mut oracle, mut seen) = (Scripted::new(card, |_| vec![0.8, 0.2]), Seen::default());
        let batch = Batch::classify(AccountId(0), Tick::ZERO, arr2(&[[0.0_f32]]));
        stack.run(&batch, &mut oracle, &mut seen).unwrap();
        // At temperature 2 odds of 4 become odds of 2.
        let close = |a: (usize, f64, f64), b: (usize, f64, f64)| {
            a.0 == b.0 && (a.1 - b.1).abs() < 1e-12 && (a.2 - b.2).abs() < 1e-12
        };
        let [inner, outer] = seen.0[..] else { panic!("{:?}", seen.0) };
        assert!(close(inner, (1, 0.8, 2.0 / 3.0)) && close(outer, (0, 2.0 / 3.0, 0.7)));
    }

    #[test]
    fn a_gate_is_made_from_the_teacher_that_stands_behind_it() {
        let gate = DefenseSpec::OodGate(ood_gate::Params {
            score: strangeness::Score::Energy,
            false_rate: 0.1,
            response: Response::Refuse,
        });
        let exposure = DefenseSpec::OutlierExposure(outlier_exposure::Params { weight: 1.0 });
        let refused = |specs: &[DefenseSpec]| {
            let mut stack = Stack::build(specs, Seed::new(3), CARD, small()).unwrap();
            let mut oracle = Scripted::new(CARD, |_| vec![0.2; 5]);
            let batch = Batch::classify(AccountId(0), Tick::ZERO, small().inputs.clone());
            stack.run(&batch, &mut oracle, &mut Unwatched).unwrap().outcomes
        };
        assert_ne!(refused(std::slice::from_ref(&gate)), refused(&[gate, exposure]));
    }

    #[test]
    fn a_test_of_ownership_is_found_behind_other_layers() {
        let params = dataset_inference::Params { rows: 30, directions: 2, steps: 20, step: 0.02 };
        let owns = DefenseSpec::DatasetInference(params);
        let round = DefenseSpec::Round(round::Params { digits: 1 });
        let built =
            |specs: &[DefenseSpec]| Stack::build(specs, Seed::new(1), CARD, small()).unwrap();
        assert!(built(&[round.clone(), owns]).ownership().is_some());
        assert!(built(&[round]).ownership().is_none());
    }
}
