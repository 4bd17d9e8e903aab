//! The default student: strategy x objective x architecture x recovery.
//!
//! Between rounds an active student trains a fresh network from the same first weights, so a round
//! never continues an earlier fit; the final network is fresh, too. Repeats are paid for: with n
//! repeats a budget of B rows buys B / n distinct rows, and what does not pay for a whole row is left.

use ndarray::{Array2, ArrayView2, Axis, Slice, concatenate};

use super::recovery::Recovery;
use super::{Ask, Learned, Own, Simulator, Strategy, Student, StudentSpec, Told, View};
use crate::error::{Error, Result, expect_shape};
use crate::model::{Device, Fitted, InputShape, Lesson, Loss, Model, Recipe, Targets, fit};
use crate::oracle::{Answers, Outcome, Reply, TopK};
use crate::seed::{Seed, permutation};

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
    /// Answered rows and their recovered answers, one part for each ask.
    inputs: Vec<Array2<f32>>,
    answers: Vec<Answers>,
    /// Rows asked so far, repeats included.
    asked: u64,
    pending: Option<Pending>,
    flops: f64,
}

/// The last ask, until it is answered.
struct Pending {
    /// `[n, d]` before repeats.
    rows: Array2<f32>,
    /// `[n * repeats, d]` as asked.
    sent: Array2<f32>,
}

impl Standard {
    /// A student that has asked nothing. `seed` is shared by every arm and budget of a seed; its
    /// child `init` gives the first weights of every network. `simulator` is the known defense, for
    /// recoveries that use it.
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
            pending: None,
            flops: 0.0,
        })
    }

    /// The network before it has learnt anything.
    pub(super) fn fresh(&self) -> Result<Model> {
        let seed = self.seed.child("init");
        Model::init_by(
            self.recipe.init,
            &self.spec.model,
            self.shape,
            self.classes,
            self.device,
            seed,
        )
    }

    /// Rows `[n, d]` that were answered so far, and their n recovered answers.
    pub(super) fn told(&mut self, view: &View<'_>) -> Result<(Array2<f32>, Answers)> {
        let answers = self.settled(view)?;
        let parts: Vec<_> = self.inputs.iter().map(|rows| rows.view()).collect();
        let rows = match parts.is_empty() {
            true => Array2::zeros((0, self.shape.len())),
            false => stacked(&parts)?,
        };
        Ok((rows, answers))
    }

    /// All answers so far, recovered; what needs all of them at once is done here.
    fn settled(&mut self, view: &View<'_>) -> Result<Answers> {
        let answers = Answers::concat(self.answers.clone())?;
        let classes = answers.top1();
        let (answers, flops) = self
            .recovery
            .settle(answers, |shadows| self.shadow_answers(view, &classes, shadows))?;
        self.flops += flops;
        Ok(answers)
    }

    /// Answers `[m, classes]` of shadow models at pool rows, and what their training took: networks of the student's own
    /// plan, each trained on the classes of a random half of the answers.
    fn shadow_answers(
        &self,
        view: &View<'_>,
        classes: &[usize],
        shadows: usize,
    ) -> Result<(Array2<f64>, f64)> {
        let parts: Vec<_> = self.inputs.iter().map(|rows| rows.view()).collect();
        let rows = stacked(&parts)?;
        let (mut all, mut flops) = (Vec::new(), 0.0);
        for shadow in 0..shadows {
            let seed = self.seed.nth("shadow", shadow as u64);
            let mut half = permutation(&mut seed.child("half").rng(), rows.nrows());
            half.truncate(rows.nrows().div_ceil(2));
            let labels = half.iter().map(|&i| classes[i]).collect();
            let lesson =
                Lesson { inputs: rows.select(Axis(0), &half), targets: Targets::Labels(labels) };
            let fresh = Model::init_by(
                self.recipe.init,
                &self.spec.model,
                self.shape,
                self.classes,
                self.device,
                seed.child("init"),
            )?;
            let recipe = Recipe { validation: 0.0, ..self.recipe.clone() };
            let fitted = fit(fresh, &lesson, Loss::HardLabel, &recipe, seed.child("fit"))?;
            flops += fitted.flops;
            all.push(fitted.last.probs(view.pool.view())?);
            all.push(fitted.last.probs(rows.view())?); // there is an answer, though the pool be empty
        }
        let parts: Vec<_> = all.iter().map(|rows| rows.view()).collect();
        Ok((stacked(&parts)?, flops))
    }

    /// Everything told so far, then the public rows whose labels it knows, as one lesson; none
    /// without rows.
    fn lesson(&mut self, view: &View<'_>) -> Result<Option<(Lesson, Loss)>> {
        let told = self.settled(view)?;
        let shown = view.public_labels.unwrap_or_default();
        if told.is_empty() && shown.is_empty() {
            return Ok(None);
        }
        if shown.len() > view.public.nrows() {
            let expected = format!("at most {}", view.public.nrows());
            return Err(Error::input("labels of public rows", shown.len(), expected));
        }
        let mut parts: Vec<_> = self.inputs.iter().map(|rows| rows.view()).collect();
        parts.push(view.public.slice_axis(Axis(0), Slice::from(..shown.len())));
        let inputs = stacked(&parts)?;
        let (targets, loss) = if told.is_empty() {
            (Targets::Labels(shown.to_vec()), Loss::HardLabel)
        } else {
            let (targets, loss) = self.spec.objective.targets(&told)?;
            (with_labels(targets, shown, self.classes)?, loss)
        };
        let lesson = Lesson { inputs, targets };
        Ok(Some((self.with_unlabelled(lesson, view)?, loss)))
    }

    /// The lesson, and the pool rows that the objective learns from without an answer: of a larger budget the same and
    /// more.
    fn with_unlabelled(&self, lesson: Lesson, view: &View<'_>) -> Result<Lesson> {
        let Some((ratio, weight)) = self.spec.objective.unlabelled() else { return Ok(lesson) };
        let mut rng = self.seed.child("unlabelled").rng();
        let mut rows = permutation(&mut rng, view.pool.nrows());
        rows.truncate((ratio * lesson.inputs.nrows() as f64).round() as usize);
        let more = view.pool.select(Axis(0), &rows);
        Ok(Lesson {
            inputs: stacked(&[lesson.inputs.view(), more.view()])?,
            targets: Targets::Partly {
                known: Box::new(lesson.targets),
                unknown: rows.len(),
                weight,
            },
        })
    }

    fn train(&mut self, view: &View<'_>, recipe: &Recipe, seed: Seed) -> Result<Option<Fitted>> {
        let Some((lesson, loss)) = self.lesson(view)? else { return Ok(None) };
        let fitted = fit(self.fresh()?, &lesson, loss, recipe, seed)?;
        self.flops += fitted.flops;
        Ok(Some(fitted))
    }

    /// A network that chooses the next rows; it learns from every answer, none is kept for validation.
    fn round_model(&mut self, view: &View<'_>) -> Result<Option<Model>> {
        let steps = self.recipe.steps.min(ROUND_STEPS);
        let recipe = Recipe { steps, epochs: 0, validation: 0.0, ..self.recipe.clone() };
        let seed = self.seed.nth("round", self.asked);
        Ok(self.train(view, &recipe, seed)?.map(|fitted| fitted.last))
    }

    /// Rows of the ask with at least one answer, and the answers of each.
    fn answered(&self, reply: &Reply) -> Result<(Vec<usize>, Vec<Vec<usize>>)> {
        let count = reply.answers.len();
        let (mut rows, mut groups) = (Vec::new(), Vec::new());
        for (row, outcomes) in reply.outcomes.chunks(self.spec.recovery.repeats()).enumerate() {
            let group: Vec<usize> = outcomes
                .iter()
                .filter_map(|outcome| match outcome {
                    Outcome::Answered(i) => Some(*i),
                    Outcome::Denied(_) => None,
                })
                .collect();
            if let Some(i) = group.iter().find(|i| **i >= count) {
                return Err(Error::input("answer of a row", i, format!("one of {count} answers")));
            }
            if !group.is_empty() {
                rows.push(row);
                groups.push(group);
            }
        }
        Ok((rows, groups))
    }
}

/// Public rows join with their true labels, as certain answers of the same kind.
fn with_labels(targets: Targets, labels: &[usize], classes: usize) -> Result<Targets> {
    let certain = Array2::from_shape_fn((labels.len(), classes), |(i, class)| {
        f64::from(u8::from(labels[i] == class))
    });
    Ok(match targets {
        Targets::Labels(mut all) => {
            all.extend(labels);
            Targets::Labels(all)
        }
        Targets::Probs(p) => Targets::Probs(stacked(&[p.view(), certain.view()])?),
        Targets::Bucket(t) => {
            let known = TopK::of(&certain, t.ids.ncols());
            Targets::Bucket(TopK {
                classes: t.classes,
                ids: stacked(&[t.ids.view(), known.ids.view()])?,
                probs: stacked(&[t.probs.view(), known.probs.view()])?,
            })
        }
        Targets::Away { .. } => {
            return Err(Error::Internal("no student learns to be away from a model".into()));
        }
        Targets::Partly { known, unknown, weight } => {
            let known = Box::new(with_labels(*known, labels, classes)?);
            Targets::Partly { known, unknown, weight }
        }
    })
}

fn stacked<T: Clone>(parts: &[ArrayView2<'_, T>]) -> Result<Array2<T>> {
    concatenate(Axis(0), parts).map_err(|e| Error::Internal(e.to_string()))
}

impl Student for Standard {
    fn next(&mut self, view: &View<'_>) -> Result<Ask> {
        let repeats = self.spec.recovery.repeats() as u64;
        let rows = usize::try_from(view.left / repeats).unwrap_or(usize::MAX);
        if rows == 0 {
            return Ok(Ask::Done); // what is left does not pay for one whole row
        }
        let mut strategy = match self.strategy.take() {
            Some(strategy) => strategy,
            None => self.spec.strategy.build(view.pool.nrows(), self.seed.child("strategy"))?,
        };
        let own = if strategy.wants_model() { self.round_model(view)? } else { None };
        let own = own.as_ref().map(|model| model as &dyn Own);
        let picked = strategy.pick(view, rows, own)?;
        self.strategy = Some(strategy);
        if picked.nrows() == 0 {
            return Ok(Ask::Done);
        }
        let sent = self.recovery.spread(&picked, view.range, self.asked);
        self.asked += sent.nrows() as u64;
        self.pending = Some(Pending { rows: picked, sent: sent.clone() });
        Ok(Ask::Batch(sent))
    }

    fn tell(&mut self, asked: &Array2<f32>, reply: &Reply) -> Result<()> {
        let Some(pending) = self.pending.take() else {
            return Err(Error::Internal("told about rows that were not asked".into()));
        };
        if *asked != pending.sent {
            return Err(Error::Internal("told about other rows than were asked".into()));
        }
        expect_shape("outcomes", &[reply.outcomes.len()], &[asked.nrows()])?;
        let (rows, groups) = self.answered(reply)?;
        let inputs = pending.rows.select(Axis(0), &rows);
        let answers = match rows.is_empty() {
            true => Answers::Labels(Vec::new()),
            false => self.recovery.recover(&reply.answers, &groups)?,
        };
        if let Some(strategy) = &mut self.strategy {
            strategy.told(&Told { places: &rows, inputs: &inputs, answers: &answers })?;
        }
        if rows.is_empty() {
            return Ok(());
        }
        self.inputs.push(inputs);
        self.answers.push(answers);
        Ok(())
    }

    /// A student that was told nothing, and knows no label, stays the untrained network.
    fn learn(&mut self, view: &View<'_>, seed: Seed) -> Result<Learned> {
        let transfer_rows = self.inputs.iter().map(Array2::nrows).sum();
        let recipe = self.recipe.clone();
        let (last, selected) = match self.train(view, &recipe, seed)? {
            Some(fitted) => (fitted.last, fitted.selected),
            None => (self.fresh()?, self.fresh()?),
        };
        Ok(Learned { last, selected, transfer_rows, dropped_rows: None, flops: self.flops })
    }
}

#[cfg(test)]
mod tests;
