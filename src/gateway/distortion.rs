//! How much each layer changes answers: the gateway measures, no defense grades itself.

use ndarray::Array1;

use crate::defense::StageWatch;
use crate::oracle::{Answers, Reply, argmax};

/// What one layer changed over all rows that passed it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stage {
    /// Its kind.
    pub layer: String,
    /// Rows compared.
    pub rows: u64,
    /// Mean L1 distance between what it got and what it gave.
    pub l1_mean: f64,
    /// Largest such distance.
    pub l1_max: f64,
    /// Rows whose most likely class it changed.
    pub top1_changed: u64,
}

/// Sums per layer.
pub(super) struct Meter {
    stages: Vec<Stage>,
    sums: Vec<f64>,
    classes: usize,
}

impl Meter {
    pub(super) fn new(layers: &[&'static str], classes: usize) -> Self {
        let stages = layers.iter().map(|l| Stage { layer: (*l).to_string(), ..Stage::default() });
        Self { stages: stages.collect(), sums: vec![0.0; layers.len()], classes }
    }

    pub(super) fn stages(&self) -> Vec<Stage> {
        let mut stages = self.stages.clone();
        for (stage, sum) in stages.iter_mut().zip(&self.sums) {
            stage.l1_mean = if stage.rows > 0 { sum / stage.rows as f64 } else { 0.0 };
        }
        stages
    }
}

impl StageWatch for Meter {
    fn stage(&mut self, stage: usize, inner: &Reply, outer: &Reply) {
        // A layer that asks several times per row has no one-to-one rows to compare.
        if inner.answers.len() != outer.answers.len() || inner.answers.is_empty() {
            return;
        }
        let (inner_top, outer_top) = (inner.answers.top1(), outer.answers.top1());
        for i in 0..inner.answers.len() {
            let l1 = distance(&inner.answers, &outer.answers, i, self.classes);
            let entry = &mut self.stages[stage];
            entry.rows += 1;
            entry.l1_max = entry.l1_max.max(l1);
            entry.top1_changed += u64::from(inner_top[i] != outer_top[i]);
            self.sums[stage] += l1;
        }
    }
}

fn distance(inner: &Answers, outer: &Answers, i: usize, classes: usize) -> f64 {
    if let (Answers::Probs(a), Answers::Probs(b)) = (inner, outer) {
        return a.row(i).iter().zip(b.row(i)).map(|(x, y)| (x - y).abs()).sum();
    }
    (reading(inner, i, classes) - reading(outer, i, classes)).mapv(f64::abs).sum()
}

/// Answer `i` read as a distribution over classes: a label as certainty, the k largest with the rest
/// spread evenly, logits through the softmax, probabilities as they are.
pub fn reading(answers: &Answers, i: usize, classes: usize) -> Array1<f64> {
    match answers {
        Answers::Probs(p) => p.row(i).to_owned(),
        Answers::Labels(l) => Array1::from_shape_fn(classes, |c| f64::from(u8::from(c == l[i]))),
        Answers::Logits(z) => {
            let row = z.row(i);
            let top = row[argmax(row)];
            let exp = row.mapv(|v| libm::exp(v - top));
            let sum = exp.sum();
            exp / sum
        }
        Answers::TopK(t) => {
            let known: f64 = t.probs.row(i).sum();
            let missing = t.classes - t.ids.ncols();
            let rest = if missing > 0 { (1.0 - known).max(0.0) / missing as f64 } else { 0.0 };
            let mut row = Array1::from_elem(classes, rest);
            for (&id, &p) in t.ids.row(i).iter().zip(t.probs.row(i)) {
                row[id] = p;
            }
            row
        }
    }
}
