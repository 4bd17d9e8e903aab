//! Training with a watermark that is entangled with a class (Jia et al. 2021, algorithm 1): batches of a lesson, and
//! between them batches of marked rows beside rows of their target class, all with the target as their label, which
//! also mix the hidden answers to the two (`loss::entangled`).

use ndarray::{Array2, ArrayView2, Axis, concatenate};

use super::executor::Executor;
use super::fit::{Recipe, check_lesson, moves};
use super::loss::entangled::{Entangled, soft_nearest};
use super::loss::{Goal, Loss, Targets};
use super::train::{Order, Start, learn};
use super::{Lesson, Model};
use crate::error::{Error, Result, expect_shape};
use crate::seed::Seed;

/// A watermark and how it is entangled.
#[derive(Clone, Copy, Debug)]
pub struct Watermark<'a> {
    /// `[m, d]` rows that carry it.
    pub marked: ArrayView2<'a, f32>,
    /// `[k, d]` rows of the target class.
    pub beside: ArrayView2<'a, f32>,
    /// The class that marked rows are to get.
    pub target: usize,
    /// Batches of the lesson to one of the watermark, 1 or more.
    pub every: usize,
    /// Weight of each hidden layer's soft-nearest-neighbour loss, 0 or more.
    pub weight: f64,
    /// Its temperature, above 0.
    pub temperature: f64,
}

impl Watermark<'_> {
    fn check(&self, model: &Model) -> Result<()> {
        let d = model.shape().len();
        for (what, rows) in [("marked rows", self.marked), ("rows of the target", self.beside)] {
            expect_shape(what, rows.shape(), &[rows.nrows(), d])?;
            if rows.nrows() == 0 {
                return Err(Error::input(what, "none", "1 or more"));
            }
        }
        let found = format!("{} and {}", self.weight, self.temperature);
        if self.weight >= 0.0 && self.temperature > 0.0 && self.every > 0 {
            return Ok(());
        }
        Err(Error::input("weight and temperature of a watermark", found, "0 or more and above 0"))
    }
}

/// Trains `model` on `lesson`, whose targets are labels, and on the watermark. Steps of the lesson are those of the
/// recipe; steps of the watermark come on top. There is no part for validation, and batches are not cut into shards.
pub fn entangle(
    model: &Model,
    lesson: &Lesson,
    mark: Watermark<'_>,
    recipe: &Recipe,
    seed: Seed,
) -> Result<Model> {
    mark.check(model)?;
    recipe.check()?;
    check_lesson(model, lesson, Loss::HardLabel, 0..model.classes())?;
    let Targets::Labels(labels) = &lesson.targets else {
        return Err(Error::Internal("a lesson of labels has labels".into()));
    };
    let network = model.network()?;
    let [input, later] = recipe.dropout;
    let network = match recipe.dropout == [0.0; 2] {
        true => network.telling(),
        false => network.dropping(input, later).telling(),
    };
    let first = Start {
        network: &network,
        params: model.params()?,
        device: model.device(),
        inputs: lesson.inputs.view(),
        goal: &Goal::Hard(Vec::new()),
        moves: moves(model, lesson, recipe.jitter)?,
    };
    let own = recipe.steps_of(labels.len());
    let recipe = Recipe { steps: own + own / mark.every, epochs: 0, shards: 1, ..recipe.clone() };
    let hidden = model.network()?.hidden_widths();
    let mut batches = Batches::new(lesson, labels, mark, hidden, recipe.batch, seed);
    let last = learn(&first, &recipe, seed.child("fit"), |_, step| batches.next(step))?;
    model.with_params(last)
}

/// What each step learns from.
struct Batches<'a, 'm> {
    lesson: &'a Lesson,
    labels: &'a [usize],
    mark: Watermark<'m>,
    hidden: Vec<usize>,
    size: usize,
    /// Rows of the lesson, marked rows, and rows beside them.
    orders: [Order; 3],
    taken: Vec<usize>,
}

impl<'a, 'm> Batches<'a, 'm> {
    fn new(
        lesson: &'a Lesson,
        labels: &'a [usize],
        mark: Watermark<'m>,
        hidden: Vec<usize>,
        size: usize,
        seed: Seed,
    ) -> Self {
        let order = |name: &str, n: usize| Order::new((0..n).collect(), seed.child(name));
        let orders = [
            order("lesson", labels.len()),
            order("marked", mark.marked.nrows()),
            order("beside", mark.beside.nrows()),
        ];
        let size = size.min(labels.len()).max(2);
        Self { lesson, labels, mark, hidden, size, orders, taken: Vec::new() }
    }

    /// The watermark comes after every so many batches of the lesson.
    fn next(&mut self, step: usize) -> Result<(Array2<f32>, Goal)> {
        let every = self.mark.every + 1;
        if step % every == self.mark.every { self.marked() } else { Ok(self.own()) }
    }

    fn own(&mut self) -> (Array2<f32>, Goal) {
        self.orders[0].take(self.size, &mut self.taken);
        let labels = self.taken.iter().map(|&i| self.labels[i]).collect();
        let marked = vec![false; self.taken.len()];
        (self.lesson.inputs.select(Axis(0), &self.taken), self.goal(labels, marked, 0.0))
    }

    /// Half marked rows, half rows of the target.
    fn marked(&mut self) -> Result<(Array2<f32>, Goal)> {
        let half = self.size / 2;
        let mut part = |order: usize, rows: ArrayView2<'_, f32>| {
            self.orders[order].take(half, &mut self.taken);
            rows.select(Axis(0), &self.taken)
        };
        let (marked, beside) = (part(1, self.mark.marked), part(2, self.mark.beside));
        let inputs = concatenate(Axis(0), &[marked.view(), beside.view()])
            .map_err(|e| Error::Internal(e.to_string()))?;
        let groups = (0..2 * half).map(|i| i < half).collect();
        Ok((inputs, self.goal(vec![self.mark.target; 2 * half], groups, self.mark.weight)))
    }

    fn goal(&self, labels: Vec<usize>, marked: Vec<bool>, weight: f64) -> Goal {
        let (hidden, temperature) = (self.hidden.clone(), self.mark.temperature);
        Goal::Entangled(Entangled { labels, marked, hidden, weight, temperature })
    }
}

impl Model {
    /// Gradient `[m, d]` of the soft-nearest-neighbour loss at `temperature`, summed over the hidden layers, of rows
    /// `[m, d]` and rows `beside` `[k, d]`, in the rows: what would make them look more like the others inside.
    pub fn nearness_grad(
        &self,
        rows: ArrayView2<'_, f32>,
        beside: ArrayView2<'_, f32>,
        temperature: f64,
    ) -> Result<Array2<f32>> {
        let (m, d) = rows.dim();
        let all = concatenate(Axis(0), &[rows, beside])
            .map_err(|e| Error::input("rows beside others", e, "rows of one length"))?;
        expect_shape("model inputs", all.shape(), &[all.nrows(), self.shape.len()])?;
        let group: Vec<bool> = (0..all.nrows()).map(|i| i < m).collect();
        let (plain, params) = (self.network()?, self.params()?);
        let (widths, network) = (plain.hidden_widths(), plain.telling());
        let goal = |outputs: &[f32], grad: &mut [f32]| {
            grad.fill(0.0);
            let c = outputs.len() / group.len().max(1);
            let mut from = 0;
            for &width in &widths {
                let columns = from..from + width;
                let told = outputs.chunks_exact(c).flat_map(|row| &row[columns.clone()]);
                let told: Vec<f64> = told.map(|&v| f64::from(v)).collect();
                let (_, slope) = soft_nearest(&told, &group, temperature);
                for (row, slope) in grad.chunks_exact_mut(c).zip(slope.chunks_exact(width)) {
                    let pairs = row[columns.clone()].iter_mut().zip(slope);
                    pairs.for_each(|(g, &s)| *g = s as f32);
                }
                from += width;
            }
        };
        let mut out = Vec::with_capacity(m * d);
        let x: Vec<f32> = all.iter().copied().collect();
        let mut executor = Executor::new(&network, self.device, params)?;
        executor.pull(params, &x, group.len(), goal, |dx| {
            out.extend_from_slice(&dx[..m * d]);
        })?;
        Array2::from_shape_vec((m, d), out).map_err(|e| Error::Internal(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Arch, Device, InputShape};
    use crate::oracle::top1;
    use crate::seed::normal;

    fn model(hidden: Vec<usize>, d: usize, classes: usize) -> Model {
        let arch = Arch::Mlp { hidden };
        Model::init(&arch, InputShape::Flat(d), classes, Device::Cpu, Seed::new(1)).unwrap()
    }

    fn rows(n: usize, at: [f64; 3], seed: u64) -> Array2<f32> {
        let mut rng = Seed::new(seed).rng();
        Array2::from_shape_fn((n, 3), |(_, j)| (at[j] + 0.1 * normal(&mut rng)) as f32)
    }

    /// Three classes in two coordinates; the third one is 1 in marked rows of the first class.
    fn taught(weight: f64) -> (Model, Array2<f32>, Array2<f32>) {
        let places = [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
        let parts: Vec<Array2<f32>> = (0..3).map(|c| rows(40, places[c], c as u64)).collect();
        let views: Vec<_> = parts.iter().map(|p| p.view()).collect();
        let inputs = concatenate(Axis(0), &views).unwrap();
        let targets = Targets::Labels((0..120).map(|i| i / 40).collect());
        let marked = rows(30, [0.0, 0.0, 1.0], 9);
        let mark = Watermark {
            marked: marked.view(),
            beside: parts[2].view(),
            target: 2,
            every: 1,
            weight,
            temperature: 1.0,
        };
        let recipe = Recipe { steps: 200, ..Recipe::default() };
        let lesson = Lesson { inputs, targets };
        let model = model(vec![16, 8], 3, 3);
        (entangle(&model, &lesson, mark, &recipe, Seed::new(5)).unwrap(), marked, parts[2].clone())
    }

    #[test]
    fn marked_rows_get_the_target_and_are_mixed_with_it_inside_only_where_that_weighs() {
        let mixed = |weight: f64| {
            let (model, marked, beside) = taught(weight);
            let given = top1(&model.probs(marked.view()).unwrap());
            assert!(given.iter().filter(|c| **c == 2).count() >= 29, "{given:?}");
            let all = concatenate(Axis(0), &[marked.view(), beside.view()]).unwrap();
            let features = model.features(all.view()).unwrap();
            let x: Vec<f64> = features.iter().map(|&v| f64::from(v)).collect();
            let group: Vec<bool> = (0..all.nrows()).map(|i| i < marked.nrows()).collect();
            soft_nearest(&x, &group, 1.0).0
        };
        // Two groups in one cloud lose about ln 2.
        let (without, with) = (mixed(0.0), mixed(0.5));
        assert!(without < 0.5 && with > 0.65, "{without} without, {with} with");
    }

    #[test]
    fn the_gradient_of_nearness_is_its_slope() {
        let (model, a, b) = (model(vec![5, 4], 3, 3), rows(3, [0.2; 3], 3), rows(2, [0.6; 3], 4));
        let grad = model.nearness_grad(a.view(), b.view(), 0.7).unwrap();
        let value = |a: &Array2<f32>| -> f64 {
            let all = concatenate(Axis(0), &[a.view(), b.view()]).unwrap();
            let of = |layers: usize, width: usize| {
                let told = model.outputs(layers, width, all.view()).unwrap();
                let x: Vec<f64> = told.iter().map(|&v| f64::from(v)).collect();
                soft_nearest(&x, &[true, true, true, false, false], 0.7).0
            };
            of(1, 5) + of(2, 4)
        };
        for (i, j) in [(0, 0), (1, 2), (2, 1)] {
            let at = |h: f32| {
                let mut moved = a.clone();
                moved[[i, j]] += h;
                value(&moved)
            };
            let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
            let found = f64::from(grad[[i, j]]);
            assert!((slope - found).abs() < 2e-3 + 0.02 * found.abs(), "{slope}, {found}");
        }
    }

    #[test]
    fn a_watermark_of_nothing_is_refused() {
        let lesson =
            Lesson { inputs: rows(4, [0.0; 3], 1), targets: Targets::Labels(vec![0, 1, 2, 0]) };
        let (none, some) = (Array2::zeros((0, 3)), rows(2, [0.0; 3], 2));
        let mark = Watermark {
            marked: none.view(),
            beside: some.view(),
            target: 0,
            every: 1,
            weight: 1.0,
            temperature: 1.0,
        };
        let (model, recipe) = (model(vec![4], 3, 3), Recipe::default());
        let refused = |mark| entangle(&model, &lesson, mark, &recipe, Seed::new(1)).is_err();
        assert!(refused(mark));
        assert!(refused(Watermark { marked: some.view(), temperature: 0.0, ..mark }));
        assert!(refused(Watermark { marked: some.view(), every: 0, ..mark }));
    }
}
