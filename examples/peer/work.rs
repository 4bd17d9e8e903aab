//! What each work is: its network, its rows, the order they are seen in. `export` writes all of it.

use std::fs;
use std::path::Path;

use ndarray::{Array2, ArrayView2};
use retort::data::digits;
use retort::model::{
    Arch, Device, InputShape, Lesson, Loss, Model, Optimizer, Recipe, Schedule, Targets, fit,
};
use retort::seed::{Seed, normal, permutation};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::array::{read, write};
use crate::{Outcome, Request};

/// Rows of the made-up data sets.
const SYNTHETIC_ROWS: usize = 8192;
/// Rows of an inference work: one batch of the largest size.
const INFER_ROWS: usize = 4096;
/// Steps of training before an inference work, so that its probabilities are not all alike.
const INFER_STEPS: usize = 300;
pub const CLASSES: usize = 10;
pub const MNIST: InputShape = InputShape::Image { c: 1, h: 28, w: 28 };

/// A work as `work.json` tells it to both sides.
#[derive(Serialize, Deserialize)]
pub struct Work {
    pub work: String,
    pub arch: Arch,
    pub shape: InputShape,
    pub classes: usize,
    /// Rows of a training step, or of an inference call.
    pub batch: usize,
    pub steps: usize,
    pub lr: f64,
    pub weight_decay: f64,
    pub seed: u64,
}

impl Work {
    /// The work called `name`, with its own number of steps.
    pub fn new(name: &str) -> Outcome<Self> {
        let mlp = |hidden: &[usize]| Arch::Mlp { hidden: hidden.to_vec() };
        let small = InputShape::Image { c: 1, h: 8, w: 8 };
        let (arch, shape, batch, steps) = match name.split_once('-') {
            Some(("mlp", "small")) => (mlp(&[64]), small, 64, 2000),
            Some(("mlp", "wide")) => (mlp(&[1200, 1200]), MNIST, 128, 100),
            Some(("infer", batch)) => (mlp(&[64]), small, batch.parse()?, INFER_STEPS),
            Some(("knockoff", _)) => (lenet(), MNIST, crate::knockoff::BATCH, 0),
            None if name == "lenet" => (lenet(), MNIST, 64, 200),
            _ => return Err(format!("no work `{name}`").into()),
        };
        let (work, classes, seed) = (name.to_string(), CLASSES, 0);
        Ok(Self { work, arch, shape, classes, batch, steps, lr: 1e-3, weight_decay: 1e-2, seed })
    }

    /// What an earlier export wrote.
    pub fn load(dir: &Path) -> Outcome<Self> {
        let path = dir.join("work.json");
        let text = fs::read_to_string(&path).map_err(|why| format!("{}: {why}", path.display()))?;
        Ok(serde_json::from_str(&text)?)
    }

    pub fn save(&self, dir: &Path) -> Outcome<()> {
        Ok(fs::write(dir.join("work.json"), serde_json::to_string_pretty(self)?)?)
    }

    /// Fresh weights of the stream of this seed.
    pub fn init(&self, seed: u64) -> Outcome<Model> {
        Ok(Model::init(&self.arch, self.shape, self.classes, Device::Cpu, Seed::new(seed))?)
    }

    /// The weights in a folder of arrays.
    pub fn model(&self, folder: &Path) -> Outcome<Model> {
        let mut tensors = Vec::new();
        for entry in fs::read_dir(folder).map_err(|why| format!("{}: {why}", folder.display()))? {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let (shape, values) = read(&path)?;
            tensors.push((name, shape, values));
        }
        Ok(Model::from_tensors(&self.arch, self.shape, self.classes, Device::Cpu, tensors)?)
    }

    /// AdamW at a constant rate on every row.
    pub fn recipe(&self, steps: usize) -> Recipe {
        Recipe {
            optimizer: Optimizer::adamw(self.lr, self.weight_decay),
            schedule: Schedule::Constant,
            batch: self.batch,
            steps,
            validation: 0.0,
            patience: 0,
            check_every: steps,
            ..Recipe::default()
        }
    }
}

fn lenet() -> Arch {
    Arch::Lenet { filters: [8, 16], hidden: 64 }
}

/// Writes everything that both sides read.
pub fn export(request: &Request) -> Outcome<Value> {
    let mut work = Work::new(&request.work)?;
    (work.steps, work.seed) = (request.steps.unwrap_or(work.steps), request.seed);
    let dir = &request.dir;
    fs::create_dir_all(dir)?;
    let (inputs, labels) = rows(&work)?;
    let mut model = work.init(work.seed)?;
    if work.work.starts_with("infer") {
        let targets = Targets::Labels(labels.clone());
        let lesson = Lesson { inputs: inputs.clone(), targets };
        let recipe = Recipe { batch: 64, ..work.recipe(work.steps) };
        model = fit(model, &lesson, Loss::HardLabel, &recipe, Seed::new(work.seed))?.last;
    } else {
        let order = order(labels.len(), work.steps * work.batch, Seed::new(work.seed));
        write(&dir.join("order.npy"), &[work.steps, work.batch], &order)?;
    }
    save_rows(&dir.join("inputs.npy"), inputs.view())?;
    write(&dir.join("labels.npy"), &[labels.len()], &labels)?;
    save_weights(&model, &dir.join("weights"))?;
    work.save(dir)?;
    Ok(json!({ "rows": labels.len() }))
}

/// Rows and labels of a work that needs no file.
fn rows(work: &Work) -> Outcome<(Array2<f32>, Vec<usize>)> {
    if work.shape.len() != 64 {
        return Ok(synthetic(work.shape.len()));
    }
    let set = digits()?;
    if !work.work.starts_with("infer") {
        return Ok((set.inputs, set.labels));
    }
    let index: Vec<usize> = (0..INFER_ROWS).map(|i| i % set.labels.len()).collect();
    let labels = index.iter().map(|&i| set.labels[i]).collect();
    Ok((set.inputs.select(ndarray::Axis(0), &index), labels))
}

/// Normal rows, labelled by the largest output of a fixed random linear map.
fn synthetic(features: usize) -> (Array2<f32>, Vec<usize>) {
    let draw = |name: &str, n: usize, d: usize| {
        let mut rng = Seed::new(0).child(name).rng();
        Array2::from_shape_fn((n, d), |_| normal(&mut rng) as f32)
    };
    let inputs = draw("rows", SYNTHETIC_ROWS, features);
    let scores = inputs.dot(&draw("map", features, CLASSES));
    let labels = scores.rows().into_iter().map(largest).collect();
    (inputs, labels)
}

/// Place of the largest value of a row.
pub fn largest<T: PartialOrd + Copy>(row: ndarray::ArrayView1<'_, T>) -> usize {
    (0..row.len()).fold(0, |best, i| if row[i] > row[best] { i } else { best })
}

/// The first `count` rows that training sees of `n`: a permutation an epoch, taken from its end,
/// as [`fit`] draws them from the same seed.
pub fn order(n: usize, count: usize, seed: Seed) -> Vec<usize> {
    let epochs = (0..)
        .flat_map(|epoch| permutation(&mut seed.nth("order", epoch).rng(), n).into_iter().rev());
    epochs.take(count).collect()
}

pub fn save_rows(path: &Path, rows: ArrayView2<'_, f32>) -> Outcome<()> {
    let values: Vec<f32> = rows.iter().copied().collect();
    write(path, &[rows.nrows(), rows.ncols()], &values)
}

pub fn load_rows(path: &Path) -> Outcome<Array2<f32>> {
    let (shape, values) = read(path)?;
    let columns = shape.iter().skip(1).product();
    Ok(Array2::from_shape_vec((shape[0], columns), values)?)
}

/// One array a parameter, in a folder made anew.
pub fn save_weights(model: &Model, folder: &Path) -> Outcome<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    for (name, shape, values) in model.weights()? {
        write(&folder.join(format!("{name}.npy")), &shape, &values)?;
    }
    Ok(())
}
