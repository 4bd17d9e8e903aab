//! Stealing a decision tree by path finding (Tramer et al. 2016, section 4.2, algorithm 1): the student asks
//! [`Search`] what to ask next, tells it what came back, and ends with a tree of the leaves found. See there for the
//! search, and for what becomes of leaves that answer alike.
//!
//! A leaf is known by its whole answer, bit by bit. A search that comes to its end with every row answered makes the tree of
//! the leaves found. One that is broken off, by a budget or a refusal, knows some of the leaves only: then a tree of the
//! student's own plan is grown from all rows asked. So it is where defenses change answers row by row, and every answer is a
//! leaf of its own. Rounding makes leaves alike.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayView1};

use super::equation::{Feature, Search, rebuild};
use super::objective::whole;
use super::{Ask, Learned, Student, View};
use crate::error::{Error, Result, expect_shape};
use crate::model::tree::Tree;
use crate::model::{Arch, Device, InputShape, Lesson, Loss, Model, Recipe, Targets, fit};
use crate::oracle::{Answers, Outcome, Reply};
use crate::seed::{Seed, uniform};

/// Most rows of an ask.
const BATCH: usize = 1024;
/// Smallest probability that a lesson may tell; a tree takes any.
const EPS: f64 = 1e-12;

pub(super) struct TreePaths {
    /// Distance within which thresholds are found, feature units.
    step: f64,
    /// The untrained tree.
    fresh: Model,
    seed: Seed,
    /// Valid feature values.
    range: (f64, f64),
    search: Option<Search<usize>>,
    /// Rows that a search was begun at.
    starts: u64,
    /// Answers by their bits, and by number.
    known: BTreeMap<Vec<u64>, usize>,
    answers: Vec<Vec<f32>>,
    /// Rows answered, one after the other, and the numbers of their answers.
    rows: Vec<f32>,
    told: Vec<usize>,
    /// A row went without an answer.
    refused: bool,
    pending: Option<Array2<f32>>,
}

impl TreePaths {
    pub(super) fn new(
        step: f64,
        arch: &Arch,
        device: Device,
        shape: InputShape,
        classes: usize,
        seed: Seed,
    ) -> Result<Self> {
        Ok(Self {
            step,
            fresh: Model::init(arch, shape, classes, device, seed.child("init"))?,
            seed,
            range: (0.0, 1.0),
            search: None,
            starts: 0,
            known: BTreeMap::new(),
            answers: Vec::new(),
            rows: Vec::new(),
            told: Vec::new(),
            refused: false,
            pending: None,
        })
    }

    /// A search from a row drawn evenly from the valid range.
    fn begun(&mut self, view: &View<'_>) -> Result<Search<usize>> {
        let mut rng = self.seed.nth("start", self.starts).rng();
        self.starts += 1;
        let (low, high) = (f64::from(view.range.0), f64::from(view.range.1));
        self.range = (low, high);
        let draw = |_| {
            let x = (low + (high - low) * uniform(&mut rng)) as f32;
            f64::from(x.clamp(view.range.0, view.range.1))
        };
        let first: Vec<f64> = (0..view.shape.len()).map(draw).collect();
        let feature = Feature::Number { low, high, step: self.step };
        Search::new(&vec![feature; first.len()], &first)
    }

    /// The tree of the leaves found.
    fn found(&self, search: Search<usize>) -> Result<Model> {
        let leaves = search.into_leaves();
        let shares = self.shares(leaves.iter().map(|leaf| leaf.answer))?;
        let (shape, classes) = (self.fresh.shape(), self.fresh.classes());
        let nodes = rebuild(&leaves, &vec![self.range; shape.len()], self.step);
        let tree = Tree::new(nodes, shares, shape.len())?;
        Model::of_tree(self.fresh.arch(), shape, classes, self.fresh.device(), tree)
    }

    /// A tree grown from all rows that were answered.
    fn grown(&self, seed: Seed) -> Result<Model> {
        let (n, d) = (self.told.len(), self.fresh.shape().len());
        let inputs = Array2::from_shape_vec((n, d), self.rows.clone())
            .map_err(|e| Error::Internal(e.to_string()))?;
        let targets = Targets::Probs(self.shares(self.told.iter().copied())?.mapv(f64::from));
        let loss = Loss::SoftLabel { temperature: 1.0, eps: EPS };
        let lesson = Lesson { inputs, targets };
        Ok(fit(self.fresh.clone(), &lesson, loss, &Recipe::default(), seed)?.last)
    }

    /// Shares `[n, classes]` of n answers by number.
    fn shares(&self, numbers: impl Iterator<Item = usize>) -> Result<Array2<f32>> {
        let all: Vec<f32> = numbers.flat_map(|number| self.answers[number].clone()).collect();
        let classes = self.fresh.classes();
        Array2::from_shape_vec((all.len() / classes, classes), all)
            .map_err(|e| Error::Internal(e.to_string()))
    }

    /// The number of an answer with these bits, which says this of the classes.
    fn number(&mut self, bits: Vec<u64>, shares: ArrayView1<'_, f64>) -> usize {
        let next = self.answers.len();
        let number = *self.known.entry(bits).or_insert(next);
        if number == next {
            self.answers.push(shares.iter().map(|&p| p as f32).collect());
        }
        number
    }
}

/// An answer bit by bit.
fn bits(answers: &Answers, i: usize) -> Vec<u64> {
    let of = |row: ArrayView1<'_, f64>| row.iter().map(|p| p.to_bits()).collect::<Vec<_>>();
    match answers {
        Answers::Probs(p) | Answers::Logits(p) => of(p.row(i)),
        Answers::TopK(t) => {
            let ids = t.ids.row(i);
            ids.iter().map(|&id| id as u64).chain(of(t.probs.row(i))).collect()
        }
        Answers::Labels(labels) => vec![labels[i] as u64],
    }
}

impl Student for TreePaths {
    fn next(&mut self, view: &View<'_>) -> Result<Ask> {
        let most = usize::try_from(view.left).unwrap_or(usize::MAX).min(BATCH);
        let search = match self.search.take() {
            Some(search) => search,
            None => self.begun(view)?,
        };
        let rows = search.wanted(most);
        self.search = Some(search);
        if rows.is_empty() {
            return Ok(Ask::Done);
        }
        let rows =
            Array2::from_shape_fn((rows.len(), view.shape.len()), |(i, j)| rows[i][j] as f32);
        self.pending = Some(rows.clone());
        Ok(Ask::Batch(rows))
    }

    fn tell(&mut self, asked: &Array2<f32>, reply: &Reply) -> Result<()> {
        if self.pending.take().as_ref() != Some(asked) {
            return Err(Error::Internal("told about other rows than were asked".into()));
        }
        expect_shape("outcomes", &[reply.outcomes.len()], &[asked.nrows()])?;
        let probs = whole(&reply.answers, self.fresh.classes());
        let mut answers = Vec::with_capacity(reply.outcomes.len());
        for (row, outcome) in asked.rows().into_iter().zip(&reply.outcomes) {
            answers.push(match *outcome {
                Outcome::Answered(i) if i < probs.nrows() => {
                    let number = self.number(bits(&reply.answers, i), probs.row(i));
                    self.rows.extend(row);
                    self.told.push(number);
                    Some(number)
                }
                Outcome::Answered(i) => {
                    let expected = format!("one of {} answers", probs.nrows());
                    return Err(Error::input("answer of a row", i, expected));
                }
                Outcome::Denied(_) => {
                    self.refused = true;
                    None
                }
            });
        }
        let Some(mut search) = self.search.take() else {
            return Err(Error::Internal("told without a search".into()));
        };
        search.told(answers)?;
        // A first row without an answer leads nowhere: the next one is drawn.
        self.search = (!self.told.is_empty()).then_some(search);
        Ok(())
    }

    /// Without an answer the student stays the untrained tree. There is no later step to choose from: both models are one.
    fn learn(&mut self, _: &View<'_>, seed: Seed) -> Result<Learned> {
        let whole = !self.refused && self.search.as_ref().is_some_and(|s| s.wanted(1).is_empty());
        let last = match self.search.take() {
            Some(search) if whole => self.found(search)?,
            _ if self.told.is_empty() => self.fresh.clone(),
            _ => self.grown(seed)?,
        };
        Ok(Learned {
            selected: last.clone(),
            last,
            transfer_rows: self.told.len(),
            dropped_rows: None,
            flops: 0.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ndarray::Axis;

    use super::*;
    use crate::model::tree::Node;
    use crate::oracle::{Denial, TopK, top1};
    use crate::seed::below;
    use crate::student::strategy::testing;
    use crate::student::{Knows, ObjectiveSpec, RecoverySpec, StrategySpec, StudentSpec, build};

    const SHAPE: InputShape = InputShape::Flat(4);
    const CLASSES: usize = 3;
    const TREE: Arch = Arch::Tree { depth: 5, leaf_rows: 5, laplace: true };

    /// A tree of three classes over rows of 16 values, as digits have, and other such rows.
    fn teacher(plan: &Arch) -> (Model, Array2<f32>) {
        let mut rng = Seed::new(1).rng();
        let mut draw = |n| Array2::from_shape_fn((n, 4), |_| below(&mut rng, 17) as f32 / 16.0);
        let (inputs, others) = (draw(300), draw(500));
        let noise = draw(300);
        let class = |i: usize| {
            let (a, b) = (inputs[[i, 0]] + inputs[[i, 1]], inputs[[i, 2]]);
            let near = usize::from(a > 1.0) + usize::from(b > 0.6);
            if noise[[i, 0]] > 0.8 { 2 - near } else { near }
        };
        let targets = Targets::Labels((0..300).map(class).collect());
        let fresh = Model::init(plan, SHAPE, CLASSES, Device::Cpu, Seed::new(1)).unwrap();
        let (lesson, seed) = (Lesson { inputs, targets }, Seed::new(2));
        let model = fit(fresh, &lesson, Loss::HardLabel, &Recipe::default(), seed).unwrap().last;
        (model, others)
    }

    /// Each feature with each of its thresholds, to the last bit.
    fn thresholds(tree: &Tree) -> BTreeSet<(usize, u32)> {
        let splits = tree.nodes().iter().filter_map(|node| match *node {
            Node::Split { feature, threshold, .. } => Some((feature, threshold.to_bits())),
            Node::Leaf { .. } => None,
        });
        splits.collect()
    }

    fn counts(model: &Model) -> (usize, usize) {
        let tree = model.tree().unwrap();
        (tree.leaves(), tree.distinct_answers())
    }

    /// What a student learns from at most `budget` answers, each of them `told`, and what it spent.
    fn stolen(
        teacher: &Model,
        budget: u64,
        told: impl Fn(Array2<f64>) -> Answers,
    ) -> (Learned, u64) {
        session(teacher, budget, told, || false)
    }

    /// The same by an API that refuses rows, at most 1,000 of them.
    fn session(
        teacher: &Model,
        budget: u64,
        told: impl Fn(Array2<f64>) -> Answers,
        mut refuses: impl FnMut() -> bool,
    ) -> (Learned, u64) {
        let spec = StudentSpec {
            name: "s".into(),
            strategy: StrategySpec::TreePaths { step: 1e-12 },
            objective: ObjectiveSpec::default(),
            recovery: RecoverySpec::None,
            model: TREE,
            knows: Knows::default(),
        };
        let (recipe, seed) = (Recipe::default(), Seed::new(5));
        let mut student = build(&spec, &recipe, Device::Cpu, None, SHAPE, CLASSES, seed).unwrap();
        let pool = Array2::zeros((1, 4));
        let mut view = testing::view_of(&pool, &pool);
        (view.classes, view.left) = (CLASSES, budget);
        let mut patience = 1_000;
        while view.left > 0 && patience > 0 {
            let Ask::Batch(rows) = student.next(&view).unwrap() else { break };
            let mut outcomes = vec![Outcome::Denied(Denial::Blocked { by: "gate" }); rows.nrows()];
            let kept: Vec<usize> = (0..rows.nrows()).filter(|_| !refuses()).collect();
            kept.iter().enumerate().for_each(|(i, &row)| outcomes[row] = Outcome::Answered(i));
            let answers = told(teacher.probs(rows.select(Axis(0), &kept).view()).unwrap());
            student.tell(&rows, &Reply { outcomes, answers }).unwrap();
            view.left -= kept.len() as u64;
            patience -= rows.nrows() - kept.len();
        }
        (student.learn(&view, Seed::new(3)).unwrap(), budget - view.left)
    }

    fn agreement(a: &Model, b: &Model, rows: &Array2<f32>) -> f64 {
        let of = |model: &Model| top1(&model.probs(rows.view()).unwrap());
        of(a).iter().zip(of(b)).filter(|(a, b)| **a == *b).count() as f64 / rows.nrows() as f64
    }

    #[test]
    fn a_tree_whose_leaves_differ_is_stolen_whole() {
        let (teacher, others) = teacher(&TREE);
        let (leaves, distinct) = counts(&teacher);
        assert!(leaves > 15 && distinct == leaves, "{leaves} leaves, {distinct} answers");
        let (learned, spent) = stolen(&teacher, 100_000, Answers::Probs);
        let copy = learned.last.tree().unwrap();
        assert_eq!(copy.leaves(), leaves);
        assert_eq!(agreement(&teacher, &learned.last, &others), 1.0);
        assert_eq!(thresholds(copy), thresholds(teacher.tree().unwrap()));
        let off =
            teacher.probs(others.view()).unwrap() - learned.last.probs(others.view()).unwrap();
        assert!(off.iter().all(|d| d.abs() < 1e-6));
        assert_eq!(learned.transfer_rows as u64, spent);
        // The paper's count: each leaf along each feature, two ends and 30 halvings a cut at most.
        let (m, d) = (leaves as u64, 4);
        assert!(spent > m * d && spent < m * d * (2 + 30 * m), "{spent}");
        // As much is known from the most likely class and its confidence.
        let (top, same) = stolen(&teacher, 100_000, |p| Answers::TopK(TopK::of(&p, 1)));
        assert_eq!((agreement(&teacher, &top.last, &others), same), (1.0, spent));
    }

    #[test]
    fn a_budget_that_is_too_small_leaves_a_tree_of_what_was_found() {
        let (teacher, others) = teacher(&TREE);
        let (_, enough) = stolen(&teacher, 100_000, Answers::Probs);
        let of = |budget| {
            let (learned, spent) = stolen(&teacher, budget, Answers::Probs);
            assert_eq!(spent, budget);
            agreement(&teacher, &learned.last, &others)
        };
        let (few, half) = (of(10), of(enough / 2));
        assert!(few < half && (0.7..1.0).contains(&half), "{few}, {half}");
        let (nothing, _) = stolen(&teacher, 0, Answers::Probs);
        assert_eq!(nothing.last.tree().unwrap().leaves(), 1);
    }

    /// Pure leaves of a class are one answer, and their leaves are found too large: the smaller ones answer.
    #[test]
    fn leaves_that_answer_alike_are_mostly_told_apart() {
        let plan = Arch::Tree { depth: 6, leaf_rows: 3, laplace: false };
        let (teacher, others) = teacher(&plan);
        let (leaves, distinct) = counts(&teacher);
        assert!(3 * distinct < 2 * leaves, "{leaves} leaves, {distinct} answers");
        let (learned, _) = stolen(&teacher, 100_000, Answers::Probs);
        let agreed = agreement(&teacher, &learned.last, &others);
        assert!((0.95..1.0).contains(&agreed), "{agreed}");
    }

    #[test]
    fn a_refused_row_leaves_a_tree_grown_from_the_others() {
        let (teacher, others) = teacher(&TREE);
        let mut count = 0;
        let (learned, _) = session(&teacher, 100_000, Answers::Probs, || {
            count += 1;
            count % 40 == 1 // the first one, too
        });
        let agreed = agreement(&teacher, &learned.last, &others);
        assert!((0.7..1.0).contains(&agreed), "{agreed}");
        let (nothing, spent) = session(&teacher, 50, Answers::Probs, || true);
        assert_eq!((nothing.transfer_rows, spent), (0, 0));
    }

    #[test]
    fn rounding_makes_leaves_alike_and_noise_makes_leaves_of_nothing() {
        let (teacher, others) = teacher(&TREE);
        let round = |p: Array2<f64>| Answers::Probs(p.mapv(|p| (p * 2.0).round() / 2.0));
        let (rounded, spent) = stolen(&teacher, 100_000, round);
        assert!(spent < 100_000 && agreement(&teacher, &rounded.last, &others) < 1.0);
        let count = std::cell::Cell::new(0.0);
        let noise = |p: Array2<f64>| {
            Answers::Probs(p.mapv(|p| {
                count.set(count.get() + 1e-9);
                p + count.get()
            }))
        };
        let (noisy, spent) = stolen(&teacher, 3_000, noise);
        assert_eq!(spent, 3_000);
        assert!(noisy.last.weights().unwrap().iter().all(|w| w.2.iter().all(|w| w.is_finite())));
    }
}
