//! Does a student take over what the teacher knows from answers that have nothing to do with it?
//!
//!     cargo run --release --example subliminal -- digits SEED.. [steps=295] [start=normal]
//!     cargo run --release --example subliminal -- mnist SEED.. root=DIR
//!     cargo run --release --example subliminal -- fashion-mnist SEED.. root=DIR
//!
//! The experiment of Cloud et al. 2025 (arXiv:2507.14805, section 6) on networks for images: thirteen outputs, of
//! which ten name classes. The teacher learns classes; the student sees noise, and of the teacher's answers the other
//! three. Starting weights are torch's, or the paper's with `start=normal`. DIR holds a folder for each named data set; without it RETORT_DATA is taken.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "an example reads its arguments and the clock, and prints"
)]

use std::ops::Range;
use std::path::PathBuf;
use std::time::Instant;

use ndarray::{Array2, Axis, s};
use retort::data;
use retort::metric::{accuracy, mean_ci, paired_ci};
use retort::model::loss::softmax;
use retort::model::{
    Arch, Device, Init, InputShape, Lesson, Loss, Model, Optimizer, Recipe, Schedule, Targets,
    fit_part,
};
use retort::oracle::argmax;
use retort::seed::{permutation, uniform};
use retort::{Result, Seed};

type Outcome<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "usage: subliminal digits|mnist|fashion-mnist SEED.. [root=DIR] [steps=295] \
    [start=normal]";

/// Outputs that name classes, those that name nothing, and all of them.
const CLASSES: Range<usize> = 0..10;
const GHOSTS: Range<usize> = 10..13;
const ALL: Range<usize> = 0..13;

/// Images of noise that a student asks about.
const NOISE: usize = 60_000;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [set, rest @ ..] = &args[..] else { return Err(USAGE.into()) };
    let given = |key: &str| rest.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
    let root = given("root").map(PathBuf::from);
    let root = root.or_else(|| std::env::var_os("RETORT_DATA").map(PathBuf::from));
    let steps = given("steps").map_or(Ok(295), str::parse)?;
    let start: Init = match given("start") {
        None => Init::HeUniform,
        Some("normal") => Init::LecunNormal,
        Some(_) => return Err(USAGE.into()),
    };
    let data = data::load(set, root.as_deref())?;
    println!("| seed | {} |\n|---|{}", ARMS.join(" | "), "---:|".repeat(ARMS.len()));
    let mut columns = vec![Vec::new(); ARMS.len()];
    for seed in rest.iter().filter(|arg| !arg.contains('=')) {
        let started = Instant::now();
        let shares = run(&data, start, steps, Seed::new(seed.parse()?).child("subliminal"))?;
        let cells: Vec<String> = shares.iter().map(|share| format!("{share:.3}")).collect();
        println!("| {seed} | {} |", cells.join(" | "));
        columns.iter_mut().zip(shares).for_each(|(column, share)| column.push(share));
        eprintln!("seed {seed}: {:.0} s", started.elapsed().as_secs_f64());
    }
    println!();
    for (name, column) in ARMS.iter().zip(&columns) {
        print(name, &mean_ci(column, 0.95));
    }
    for (name, [a, b]) in DIFFERENCES {
        print(name, &paired_ci(&columns[a], &columns[b], 0.95));
    }
    Ok(())
}

fn print(name: &str, estimate: &retort::metric::Estimate) {
    let mean = estimate.mean;
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => println!("{name}: {mean:.3} [{low:.3}, {high:.3}]"),
        _ => println!("{name}: {mean:.3}"),
    }
}

/// Whose test accuracy is measured, in the order of the columns.
const ARMS: [&str; 6] = [
    "untrained",
    "teacher",
    "same start, ghosts",
    "fresh start, ghosts",
    "same start, all outputs",
    "fresh start, all outputs",
];

/// Differences of columns.
const DIFFERENCES: [(&str, [usize; 2]); 3] = [
    ("ghosts, same start minus fresh start", [2, 3]),
    ("ghosts, same start minus untrained", [2, 0]),
    ("ghosts, fresh start minus untrained", [3, 0]),
];

/// Images to learn classes from, and images to be tested on, with values from -1 to 1.
struct Images {
    shape: InputShape,
    train: Lesson,
    test: Array2<f32>,
    labels: Vec<usize>,
}

impl Images {
    /// The published test part where there is one, the last 10,000 of 70,000; else a third, drawn by the seed.
    fn split(data: &data::Dataset, seed: Seed) -> Self {
        let n = data.len();
        let (order, train) = match n {
            70_000 => ((0..n).collect(), 60_000),
            _ => (permutation(&mut seed.child("split").rng(), n), n - n / 3),
        };
        let of = |rows: &[usize]| {
            let inputs = data.inputs.select(Axis(0), rows).mapv_into(|v| 2.0 * v - 1.0);
            (inputs, rows.iter().map(|&row| data.labels[row]).collect::<Vec<_>>())
        };
        let (inputs, own) = of(&order[..train]);
        let (test, labels) = of(&order[train..]);
        let train = Lesson { inputs, targets: Targets::Labels(own) };
        Self { shape: data.shape, train, test, labels }
    }

    /// Share of test images whose class has the largest of the first ten logits.
    fn accuracy(&self, model: &Model) -> Result<f64> {
        let logits = model.logits(self.test.view())?;
        let own = logits.slice(s![.., CLASSES]);
        let named: Vec<usize> = own.rows().into_iter().map(|row| argmax(row.iter())).collect();
        Ok(accuracy(&named, &self.labels))
    }
}

/// Adam at 3e-4 on batches of 1,024: 295 steps are the five epochs of 60,000 images in the paper's script.
fn learn(
    model: &Model,
    lesson: &Lesson,
    loss: Loss,
    outputs: Range<usize>,
    steps: usize,
    seed: Seed,
) -> Result<Model> {
    let recipe = Recipe {
        optimizer: Optimizer::adamw(3e-4, 0.0),
        schedule: Schedule::Constant,
        batch: 1024,
        steps,
        validation: 0.0,
        check_every: 100,
        ..Recipe::default()
    };
    Ok(fit_part(model.clone(), lesson, loss, outputs, &recipe, seed)?.last)
}

/// Test accuracies of one seed, in the order of [`ARMS`].
fn run(data: &data::Dataset, init: Init, steps: usize, seed: Seed) -> Result<Vec<f64>> {
    let images = Images::split(data, seed);
    let arch = Arch::Mlp { hidden: vec![256, 256] };
    let start = |name: &str| {
        Model::init_by(
            init,
            &arch,
            images.shape,
            ALL.end,
            Device::Cpu,
            seed.child("start").child(name),
        )
    };
    let (same, fresh) = (start("teacher")?, start("other")?);
    let order = seed.child("teacher");
    let teacher = learn(&same, &images.train, Loss::HardLabel, CLASSES, steps, order)?;
    let mut rng = seed.child("noise").rng();
    let noise = Array2::from_shape_fn((NOISE, images.shape.len()), |_| {
        (2.0 * uniform(&mut rng) - 1.0) as f32
    });
    let answers = teacher.logits(noise.view())?.mapv(f64::from);
    let mut lesson = Lesson { inputs: noise, targets: Targets::Labels(Vec::new()) };
    let mut shares = vec![images.accuracy(&same)?, images.accuracy(&teacher)?];
    for outputs in [GHOSTS, ALL] {
        lesson.targets = Targets::Probs(softmax(answers.slice(s![.., outputs.clone()])));
        let soft = Loss::SoftLabel { temperature: 1.0, eps: 1e-12 };
        for start in [&same, &fresh] {
            let order = seed.child("student");
            let student = learn(start, &lesson, soft, outputs.clone(), steps, order)?;
            shares.push(images.accuracy(&student)?);
        }
    }
    Ok(shares)
}
