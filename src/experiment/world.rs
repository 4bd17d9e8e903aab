//! What all cells of a variant share: data, and per seed the split, the teacher and the truth that
//! students are measured against. Built before any cell runs; evaluation never counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ndarray::{Array2, Axis};

use super::honest::Request;
use super::rows::{Rows, unseen};
use super::spec::{Spec, TeacherKind};
use crate::data::{Dataset, Split};
use crate::defense::DefenseSpec;
use crate::defense::workshop::{Shelf, Workshop};
use crate::error::{Error, Result};
use crate::model::{Cache, Device, Lesson, Loss, Model, Recipe, Targets, fit};
use crate::oracle::http::HttpOracle;
use crate::oracle::table::Table;
use crate::oracle::teacher::Teacher;
use crate::oracle::{Answers, Batch, Oracle, top1};
use crate::seed::{Seed, uniform};
use crate::student::honest;
use crate::{metric, oracle};

/// Outside things a run needs: folders and the device. Nothing here reaches a record.
pub struct Rim {
    /// Folder of data sets.
    pub data_root: Option<PathBuf>,
    /// Trained teachers.
    pub cache: Cache,
    /// Where models run.
    pub device: Device,
    /// Threads of a teacher's training that is cut into shards.
    pub threads: usize,
    /// Wraps a gateway in the door that students use.
    pub open:
        Box<dyn Fn(crate::gateway::Gateway) -> Result<Box<dyn crate::gateway::Door>> + Send + Sync>,
}

/// The undefended teacher of one seed.
#[derive(Clone)]
enum Source {
    Model(Arc<Model>),
    Loopback { url: String, served_name: Option<String> },
    Table(Arc<Table>),
}

/// One seed: who learned from what, and what is true.
pub struct Ground {
    /// The seed.
    pub seed: u64,
    /// Rows per purpose.
    pub split: Split,
    source: Source,
    /// What the defender owns; what arms make from it is made once for all of them.
    pub workshop: Workshop,
    /// What students are measured against.
    pub truth: Truth,
    /// Pool rows `[n, d]`.
    pub pool: Array2<f32>,
    /// Public rows `[m, d]` and labels.
    pub public: Array2<f32>,
    /// `[m]`
    pub public_labels: Vec<usize>,
    /// Valid feature values.
    pub range: (f32, f32),
    /// What honest users ask.
    pub traffic: Traffic,
    /// Students that never met the teacher, by architecture, for whoever accuses one.
    pub innocents: Shelf,
}

/// Honest requests of a seed: the same for every arm, student and budget.
pub struct Traffic {
    /// `[t, d]` what is asked.
    pub inputs: Array2<f32>,
    /// `[t]` true classes.
    pub truth: Vec<usize>,
    /// `[t, classes]` undefended answers.
    pub clean: Array2<f64>,
    /// Who asks which row, and when.
    pub requests: Vec<Request>,
}

/// Inputs on which students are measured, and the undefended teacher's answers there.
pub struct Truth {
    /// `[n, d]` test inputs.
    pub inputs: Array2<f32>,
    /// `[n]` true classes.
    pub labels: Vec<usize>,
    /// `[n, classes]` the teacher's probabilities.
    pub probs: Array2<f64>,
    /// `[n]` the teacher's classes.
    pub top1: Vec<usize>,
    /// Accuracy of the best constant answer.
    pub floor: f64,
    /// Agreement of the best constant answer with the teacher.
    pub floor_agreement: f64,
    /// Inputs drawn uniformly from the valid range, and the teacher's classes.
    pub uniform: (Array2<f32>, Vec<usize>),
    /// Inputs next to the teacher's decision boundary, and the teacher's classes.
    pub boundary: (Array2<f32>, Vec<usize>),
}

impl Ground {
    /// Splits, trains or opens the teacher of `seed`, and measures what is true.
    pub fn lay(spec: &Spec, rows: &Rows, seed: u64, key: &str, rim: &Rim) -> Result<Self> {
        let root = Seed::new(seed);
        let Rows { set: data, strangers, .. } = rows;
        let split = Split::draw(&spec.split, data, strangers.as_ref(), root.child("split"))?;
        let asked = strangers.as_ref().unwrap_or(data);
        let source = open_source(spec, data, &split, root, key, rim)?;
        let rows = |index: &[usize]| data.inputs.select(Axis(0), index);
        let labels = |index: &[usize]| index.iter().map(|&i| data.labels[i]).collect::<Vec<_>>();
        let truth = Truth::measure(spec, data, &split, &source, root.child("measure"))?;
        let (honest, known) = (rows(&split.traffic), labels(&split.traffic));
        let traffic = Traffic::draw(spec, &honest, &known, &source, root.child("traffic"))?;
        let workshop = workshop(spec, data, &split, &source, key, rim, root.child("workshop"));
        Ok(Self {
            seed,
            source,
            workshop,
            truth,
            pool: asked.inputs.select(Axis(0), &split.pool),
            public: rows(&split.public),
            public_labels: labels(&split.public),
            traffic,
            range: data.range,
            innocents: Shelf::default(),
            split,
        })
    }

    /// A fresh oracle behind `stack` that reveals what the API reveals. It answers as the undefended
    /// teacher, unless a defense of the stack trains a teacher of its own.
    pub fn oracle(&self, spec: &Spec, stack: &[DefenseSpec]) -> Result<Box<dyn Oracle>> {
        for layer in stack {
            if let Some(model) = layer.retrain(&self.workshop)? {
                return Source::Model(model).oracle(spec.api.reveal());
            }
        }
        self.source.oracle(spec.api.reveal())
    }

    /// Undefended probabilities `[n, classes]`, uncharged.
    pub fn clean(&self, inputs: &Array2<f32>) -> Result<Array2<f64>> {
        self.source.probs(inputs)
    }

    /// Undefended classes `[n]`, uncharged.
    pub fn clean_top1(&self, inputs: &Array2<f32>) -> Result<Vec<usize>> {
        Ok(top1(&self.clean(inputs)?))
    }
}

impl Traffic {
    /// Requests over rows `[n, d]` of the traffic split with true classes `known`.
    fn draw(
        spec: &Spec,
        rows: &Array2<f32>,
        known: &[usize],
        source: &Source,
        seed: Seed,
    ) -> Result<Self> {
        let table = matches!(source, Source::Table(_));
        let users = if table { honest::User::PLAIN } else { honest::User::ALL };
        let arrivals =
            honest::Population::draw(rows, users, spec.traffic.accounts, spec.horizon_days(), seed);
        let mut inputs = Array2::zeros((arrivals.len(), rows.ncols()));
        for (arrival, mut input) in arrivals.iter().zip(inputs.rows_mut()) {
            input.assign(&arrival.input);
        }
        let requests = arrivals.iter().enumerate();
        let requests = requests.map(|(row, a)| Request { account: a.account, at: a.at, row });
        Ok(Self {
            clean: source.probs(&inputs)?,
            truth: arrivals.iter().map(|a| known[a.source]).collect(),
            requests: requests.collect(),
            inputs,
        })
    }
}

impl Source {
    fn oracle(&self, reveal: oracle::teacher::Reveal) -> Result<Box<dyn Oracle>> {
        Ok(match self {
            Self::Model(model) => Box::new(Teacher::new(Arc::clone(model), reveal)),
            Self::Table(table) => {
                Box::new(oracle::teacher::Revealed::new(Box::new(table.as_ref().clone()), reveal))
            }
            Self::Loopback { url, served_name } => {
                let remote = HttpOracle::connect(url, served_name.as_deref(), None)?;
                Box::new(oracle::teacher::Revealed::new(Box::new(remote), reveal))
            }
        })
    }

    fn probs(&self, inputs: &Array2<f32>) -> Result<Array2<f64>> {
        if let Self::Model(model) = self {
            return model.probs(inputs.view());
        }
        let mut oracle = self.oracle(oracle::teacher::Reveal::Probs)?;
        let mut parts = Vec::new();
        for start in (0..inputs.nrows()).step_by(512) {
            let end = (start + 512).min(inputs.nrows());
            let rows = inputs.slice(ndarray::s![start..end, ..]).to_owned();
            let batch = Batch::classify(oracle::AccountId(0), oracle::Tick::ZERO, rows);
            parts.push(oracle.answer(&batch)?.answers);
        }
        match Answers::concat(parts)? {
            Answers::Probs(p) => Ok(p),
            other => Err(Error::input("teacher", format!("{:?}", other.kind()), "probabilities")),
        }
    }
}

/// What the defender of this ground owns.
fn workshop(
    spec: &Spec,
    data: &Dataset,
    split: &Split,
    source: &Source,
    key: &str,
    rim: &Rim,
    seed: Seed,
) -> Workshop {
    let teacher = match source {
        Source::Model(model) => Some(Arc::clone(model)),
        _ => None,
    };
    // Without a defense there is nothing to make from a copy of the rows.
    let rows = if spec.defense.is_empty() { &[] } else { &split.teacher[..] };
    let unseen = if spec.defense.is_empty() { &[] } else { unseen(split) };
    Workshop {
        inputs: data.inputs.select(Axis(0), rows),
        labels: rows.iter().map(|&i| data.labels[i]).collect(),
        unseen: data.inputs.select(Axis(0), unseen),
        unseen_labels: unseen.iter().map(|&i| data.labels[i]).collect(),
        shape: data.shape,
        classes: data.classes,
        range: data.range,
        device: rim.device,
        arch: teacher.as_ref().map_or_else(|| spec.teacher.model.clone(), |t| t.arch().clone()),
        teacher,
        recipe: Recipe { threads: rim.threads, ..spec.teacher.training.clone() },
        seed,
        cache: Some((rim.cache.clone(), key.to_string())),
        own_twin: None,
        shelf: Shelf::default(),
    }
}

fn open_source(
    spec: &Spec,
    data: &Dataset,
    split: &Split,
    root: Seed,
    key: &str,
    rim: &Rim,
) -> Result<Source> {
    let t = &spec.teacher;
    let path = || {
        t.path
            .as_deref()
            .map(Path::new)
            .ok_or_else(|| Error::config("teacher.path", "nothing", "a file"))
    };
    let source = match t.kind {
        TeacherKind::Trained => {
            Source::Model(Arc::new(trained(spec, data, split, root, key, rim)?))
        }
        TeacherKind::Safetensors => {
            let (model, _) = Model::load(path()?, rim.device)?;
            Source::Model(Arc::new(model))
        }
        TeacherKind::Answers => {
            Source::Table(Arc::new(Table::read(path()?, &data.inputs, data.classes)?))
        }
        TeacherKind::Loopback => {
            let url = t
                .url
                .clone()
                .ok_or_else(|| Error::config("teacher.url", "nothing", "an address"))?;
            Source::Loopback { url, served_name: t.served_name.clone() }
        }
    };
    let card = source.oracle(spec.api.reveal())?.card();
    if card.inputs != data.shape.len() || card.classes != data.classes {
        return Err(Error::config(
            "teacher",
            format!("a model of {} inputs and {} classes", card.inputs, card.classes),
            format!(
                "{} inputs and {} classes, as data set `{}` has",
                data.shape.len(),
                data.classes,
                data.name
            ),
        ));
    }
    Ok(source)
}

fn trained(
    spec: &Spec,
    data: &Dataset,
    split: &Split,
    root: Seed,
    key: &str,
    rim: &Rim,
) -> Result<Model> {
    if let Some((model, _)) = rim.cache.get(key, rim.device) {
        return Ok(model);
    }
    let seed = root.child("teacher");
    let (init, start) = (spec.teacher.training.init, seed.child("init"));
    let arch = &spec.teacher.model;
    let fresh = Model::init_by(init, arch, data.shape, data.classes, rim.device, start)
        .map_err(|e| e.under("teacher"))?;
    let lesson = Lesson {
        inputs: data.inputs.select(Axis(0), &split.teacher),
        targets: Targets::Labels(split.teacher.iter().map(|&i| data.labels[i]).collect()),
    };
    let recipe = Recipe { threads: rim.threads, ..spec.teacher.training.clone() };
    let fitted = fit(fresh, &lesson, Loss::HardLabel, &recipe, seed.child("fit"))?;
    let header = [
        ("teacher-key", key.to_string()),
        ("data", data.hash.clone()),
        ("seed", format!("{root:?}")),
    ]
    .map(|(k, v)| (k.to_string(), v))
    .into();
    // A cache that cannot be written costs time later, not the result.
    let _ = rim.cache.put(key, &fitted.selected, &header);
    Ok(fitted.selected)
}

impl Truth {
    fn measure(
        spec: &Spec,
        data: &Dataset,
        split: &Split,
        source: &Source,
        seed: Seed,
    ) -> Result<Self> {
        let inputs = data.inputs.select(Axis(0), &split.test);
        let labels: Vec<usize> = split.test.iter().map(|&i| data.labels[i]).collect();
        let probs = source.probs(&inputs)?;
        let teacher = top1(&probs);
        let table = matches!(source, Source::Table(_));
        let (uniform_rows, boundary_rows) =
            if table { (0, 0) } else { (spec.measure.uniform_rows, spec.measure.boundary_rows) };
        let uniform = uniform_inputs(uniform_rows, data, seed.child("uniform"));
        let uniform_top1 =
            if uniform_rows == 0 { Vec::new() } else { top1(&source.probs(&uniform)?) };
        let boundary =
            boundary_inputs(boundary_rows, &inputs, &teacher, source, seed.child("boundary"))?;
        let boundary_top1 =
            if boundary.nrows() == 0 { Vec::new() } else { top1(&source.probs(&boundary)?) };
        Ok(Self {
            floor: metric::floor_accuracy(&labels, data.classes),
            floor_agreement: metric::floor_agreement(&teacher, data.classes),
            top1: teacher,
            uniform: (uniform, uniform_top1),
            boundary: (boundary, boundary_top1),
            inputs,
            labels,
            probs,
        })
    }
}

fn uniform_inputs(n: usize, data: &Dataset, seed: Seed) -> Array2<f32> {
    let mut rng = seed.rng();
    let (low, high) = (f64::from(data.range.0), f64::from(data.range.1));
    Array2::from_shape_fn((n, data.shape.len()), |_| {
        (low + (high - low) * uniform(&mut rng)) as f32
    })
}

/// Points where the teacher changes its mind, by bisection between test rows to which it gives
/// different classes (the line search of Tramer et al. 2016, section 4.2, run by the laboratory).
fn boundary_inputs(
    n: usize,
    inputs: &Array2<f32>,
    top1: &[usize],
    source: &Source,
    seed: Seed,
) -> Result<Array2<f32>> {
    let d = inputs.ncols();
    if n == 0 || top1.iter().all(|&c| c == top1[0]) {
        return Ok(Array2::zeros((0, d)));
    }
    let mut rng = seed.rng();
    let mut pairs = Vec::with_capacity(n);
    while pairs.len() < n {
        let a = crate::seed::below(&mut rng, top1.len());
        let b = crate::seed::below(&mut rng, top1.len());
        if top1[a] != top1[b] {
            pairs.push((a, b));
        }
    }
    let mut low = vec![0.0_f32; n];
    let mut high = vec![1.0_f32; n];
    let at = |share: &[f32]| {
        Array2::from_shape_fn((n, d), |(i, j)| {
            let (a, b) = pairs[i];
            inputs[[a, j]] + share[i] * (inputs[[b, j]] - inputs[[a, j]])
        })
    };
    for _ in 0..12 {
        let middle: Vec<f32> = low.iter().zip(&high).map(|(l, h)| (l + h) / 2.0).collect();
        let classes = oracle::top1(&source.probs(&at(&middle))?);
        for i in 0..n {
            if classes[i] == top1[pairs[i].0] { low[i] = middle[i] } else { high[i] = middle[i] }
        }
    }
    // Alternate sides, so that a constant answer cannot look good.
    let share: Vec<f32> = (0..n).map(|i| if i % 2 == 0 { low[i] } else { high[i] }).collect();
    Ok(at(&share))
}
