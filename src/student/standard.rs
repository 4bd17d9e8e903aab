//! The default student: strategy x objective x architecture x recovery.
//!
//! Between rounds an active student trains a fresh network from the same first weights, so a round
//! never continues an earlier fit; the final network is fresh, too.

use ndarray::{Array2, Axis, concatenate};

use super::recovery::Recovery;
use super::{Ask, Learned, Own, Simulator, Strategy, Student, StudentSpec, View};
use crate::error::{Error, Result};
use crate::model::{Arch, Device, Fitted, InputShape, Lesson, Loss, Model, Recipe, Targets, fit};
use crate::oracle::{Answers, Outcome, Reply};
use crate::seed::Seed;

/// Optimiser steps of a network that only chooses the next rows: enough to rank them, a third of a
/// usual final training.
const ROUND_STEPS: usize = 100;

/// See the module's head.
pub struct Standard {
    spec: StudentSpec,
    recipe: Recipe,
    device: Device,
    shape: InputShape,
    classes: usize,
    seed: Seed,
    strategy: Option<Box<dyn Strategy>>,
    recovery: Recovery,
    inputs: Vec<Array2<f32>>,
    answers: Vec<Answers>,
    asked: u64,
    /// Rows of the last ask, before repeats.
    pending: Array2<f32>,
    flops: f64,
}

impl Standard {
    /// A student that has asked nothing. `seed` is shared by every arm and budget of a seed.
    pub fn new(
        spec: &StudentSpec,
        recipe: &Recipe,
        device: Device,
        simulator: Option<Simulator>,
        shape: InputShape,
        classes: usize,
        seed: Seed,
    ) -> Result<Self> {
        Ok(Self {
            recovery: Recovery::new(&spec.recovery, simulator, classes, seed.child("recovery"))?,
            spec: spec.clone(),
            recipe: recipe.clone(),
            device,
            shape,
            classes,
            seed,
            strategy: None,
            inputs: Vec::new(),
            answers: Vec::new(),
            asked: 0,
            pending: Array2::zeros((0, shape.len())),
            flops: 0.0,
        })
    }

    fn fresh(&self) -> Result<Model> {
        let arch: &Arch = &self.spec.model;
        Model::init(arch, self.shape, self.classes, self.device, self.seed.child("init"))
    }

    /// Everything told so far as one lesson; none without rows.
    fn lesson(&self, view: &View<'_>) -> Result<Option<(Lesson, Loss)>> {
        let told = Answers::concat(self.answers.clone())?;
        let shown = view.public_labels.unwrap_or_default();
        if told.is_empty() && shown.is_empty() {
            return Ok(None);
        }
        let mut parts: Vec<_> = self.inputs.iter().map(|rows| rows.view()).collect();
        let public = view.public.slice(ndarray::s![..shown.len(), ..]);
        parts.push(public);
        let inputs = concatenate(Axis(0), &parts).map_err(|e| Error::Internal(e.to_string()))?;
        let (targets, loss) = if told.is_empty() {
            (Targets::Labels(shown.to_vec()), Loss::HardLabel)
        } else {
            let (targets, loss) = self.spec.objective.targets(&told);
            (with_labels(targets, shown, self.classes), loss)
        };
        Ok(Some((Lesson { inputs, targets }, loss)))
    }

    fn train(&mut self, view: &View<'_>, recipe: &Recipe, seed: Seed) -> Result<Option<Fitted>> {
        let Some((lesson, loss)) = self.lesson(view)? else { return Ok(None) };
        let fitted = fit(self.fresh()?, &lesson, loss, recipe, seed)?;
        self.flops += fitted.flops;
        Ok(Some(fitted))
    }
}

/// Public rows join with their true labels, as certain answers of the same kind.
fn with_labels(targets: Targets, labels: &[usize], classes: usize) -> Targets {
    if labels.is_empty() {
        return targets;
    }
    let certain = Array2::from_shape_fn((labels.len(), classes), |(i, c)| {
        f64::from(u8::from(labels[i] == c))
    });
    match targets {
        Targets::Labels(mut l) => {
            l.extend(labels);
            Targets::Labels(l)
        }
        Targets::Probs(p) => Targets::Probs(stacked(&p, &certain)),
        Targets::Bucket(mut t) => {
            let known = crate::oracle::TopK::of(&certain, t.ids.ncols());
            t.ids =
                concatenate(Axis(0), &[t.ids.view(), known.ids.view()]).expect("both are [n, k]");
            t.probs = stacked(&t.probs, &known.probs);
            Targets::Bucket(t)
        }
    }
}

fn stacked(a: &Array2<f64>, b: &Array2<f64>) -> Array2<f64> {
    concatenate(Axis(0), &[a.view(), b.view()]).expect("both have the same columns")
}

impl Student for Standard {
    fn next(&mut self, view: &View<'_>) -> Result<Ask> {
        let repeats = self.spec.recovery.repeats() as u64;
        let rows = usize::try_from(view.left / repeats).unwrap_or(usize::MAX);
        if rows == 0 {
            return Ok(Ask::Done); // what is left does not pay for one whole row
        }
        let seed = self.seed.child("strategy");
        let mut strategy = self
            .strategy
            .take()
            .unwrap_or_else(|| self.spec.strategy.build(view.pool.nrows(), seed));
        let own = if strategy.wants_model() {
            let recipe =
                Recipe { steps: self.recipe.steps.min(ROUND_STEPS), ..self.recipe.clone() };
            self.train(view, &recipe, self.seed.nth("round", self.asked))?
        } else {
            None
        };
        let own = own.as_ref().map(|f| &f.last as &dyn Own);
        let picked = strategy.pick(view, rows, own)?;
        self.strategy = Some(strategy);
        if picked.nrows() == 0 {
            return Ok(Ask::Done);
        }
        let asked = self.recovery.spread(&picked, view.range, self.asked);
        self.asked += asked.nrows() as u64;
        self.pending = picked;
        Ok(Ask::Batch(asked))
    }

    fn tell(&mut self, asked: &Array2<f32>, reply: &Reply) -> Result<()> {
        let repeats = self.spec.recovery.repeats();
        crate::error::expect_shape(
            "told rows",
            &[asked.nrows()],
            &[self.pending.nrows() * repeats],
        )?;
        let (mut rows, mut groups) = (Vec::new(), Vec::new());
        for (row, outcomes) in reply.outcomes.chunks(repeats).enumerate() {
            let group: Vec<usize> = outcomes
                .iter()
                .filter_map(|o| match o {
                    Outcome::Answered(i) => Some(*i),
                    Outcome::Denied(_) => None,
                })
                .collect();
            if !group.is_empty() {
                rows.push(row);
                groups.push(group);
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let answers = self.recovery.recover(&reply.answers, &groups);
        let inputs = self.pending.select(Axis(0), &rows);
        if let Some(strategy) = &mut self.strategy {
            strategy.told(&inputs, &answers.top1())?;
        }
        self.inputs.push(inputs);
        self.answers.push(answers);
        Ok(())
    }

    fn learn(&mut self, view: &View<'_>, seed: Seed) -> Result<Learned> {
        let transfer_rows = self.inputs.iter().map(Array2::nrows).sum();
        let recipe = self.recipe.clone();
        let (last, selected) = match self.train(view, &recipe, seed)? {
            Some(fitted) => (fitted.last, fitted.selected),
            None => (self.fresh()?, self.fresh()?), // told nothing: the untrained network
        };
        Ok(Learned { last, selected, transfer_rows, flops: self.flops })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Denial;
    use crate::student::RecoverySpec;
    use ndarray::array;

    fn student(recovery: RecoverySpec) -> Standard {
        let spec = StudentSpec {
            name: "s".into(),
            strategy: crate::student::StrategySpec::Random {},
            objective: crate::student::ObjectiveSpec::default(),
            recovery,
            model: Arch::Logistic {},
            knows: crate::student::Knows::default(),
        };
        let recipe = Recipe { steps: 20, ..Recipe::default() };
        Standard::new(&spec, &recipe, Device::Cpu, None, InputShape::Flat(1), 2, Seed::new(1))
            .unwrap()
    }

    fn view<'a>(pool: &'a Array2<f32>, public: &'a Array2<f32>, left: u64) -> View<'a> {
        View {
            pool,
            public,
            public_labels: None,
            left,
            budget: left,
            classes: 2,
            shape: InputShape::Flat(1),
            range: (0.0, 1.0),
        }
    }

    #[test]
    fn an_averaging_student_pays_for_every_repeat() {
        let pool = Array2::from_shape_fn((10, 1), |(i, _)| i as f32 / 10.0);
        let public = Array2::zeros((0, 1));
        let mut s = student(RecoverySpec::Average { n: 3 });
        let Ask::Batch(rows) = s.next(&view(&pool, &public, 11)).unwrap() else { panic!() };
        assert_eq!(rows.nrows(), 9); // three rows three times; the last two units pay for no whole row
        assert_eq!(
            student(RecoverySpec::Average { n: 3 }).next(&view(&pool, &public, 2)).unwrap(),
            Ask::Done
        );
    }

    #[test]
    fn every_answer_stays_with_its_own_input() {
        let pool = Array2::from_shape_fn((6, 1), |(i, _)| i as f32 / 8.0);
        let public = Array2::zeros((0, 1));
        let mut s = student(RecoverySpec::None);
        let Ask::Batch(rows) = s.next(&view(&pool, &public, 6)).unwrap() else { panic!() };
        // Rows 1 and 4 are denied; the others answer with their own input as probability.
        let kept: Vec<usize> = vec![0, 2, 3, 5];
        let probs = Array2::from_shape_fn((4, 2), |(i, c)| {
            let p = f64::from(rows[[kept[i], 0]]);
            if c == 0 { p } else { 1.0 - p }
        });
        let mut outcomes = vec![Outcome::Denied(Denial::OverBudget { left: 0 }); 6];
        kept.iter().enumerate().for_each(|(i, &row)| outcomes[row] = Outcome::Answered(i));
        s.tell(&rows, &Reply { outcomes, answers: Answers::Probs(probs) }).unwrap();
        let (lesson, _) = s.lesson(&view(&pool, &public, 0)).unwrap().unwrap();
        let Targets::Probs(targets) = lesson.targets else { panic!() };
        for (x, t) in lesson.inputs.column(0).iter().zip(targets.column(0)) {
            assert!((f64::from(*x) - t).abs() < 1e-12);
        }
        assert_eq!(lesson.inputs.nrows(), 4);
    }

    #[test]
    fn a_student_that_was_told_nothing_stays_untrained() {
        let pool = array![[0.5_f32]];
        let public = Array2::zeros((0, 1));
        let mut s = student(RecoverySpec::None);
        let learned = s.learn(&view(&pool, &public, 0), Seed::new(2)).unwrap();
        assert_eq!(learned.transfer_rows, 0);
        assert_eq!(
            learned.last.weights_hash().unwrap(),
            s.fresh().unwrap().weights_hash().unwrap()
        );
    }

    #[test]
    fn the_same_seed_asks_a_prefix_of_what_a_larger_budget_asks() {
        let pool = Array2::from_shape_fn((50, 1), |(i, _)| i as f32 / 50.0);
        let public = Array2::zeros((0, 1));
        let ask = |n| match student(RecoverySpec::None).next(&view(&pool, &public, n)).unwrap() {
            Ask::Batch(rows) => rows,
            Ask::Done => panic!("rows are left"),
        };
        assert_eq!(ask(10), ask(40).slice(ndarray::s![..10, ..]));
    }
}
