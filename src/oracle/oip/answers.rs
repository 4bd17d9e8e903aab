//! Typed answers as named tensors, and back.

use ndarray::{Array2, ArrayView2, Axis};

use super::{Data, Datatype, Tensor};
use crate::error::{Error, Result};
use crate::oracle::{AnswerKind, Answers, Card, Outcome, Reply, TopK};

/// The outputs that carry these answers, m rows: `probs` or `logits` FP64 `[m, classes]`, `label`
/// INT64 `[m]`, or `topk_ids` INT64 `[m, k]` and `topk_probs` FP64 `[m, k]`.
pub fn tensors(answers: &Answers) -> Vec<Tensor> {
    match answers {
        Answers::Probs(p) => vec![floats("probs", p)],
        Answers::Logits(p) => vec![floats("logits", p)],
        Answers::Labels(l) => vec![whole("label", vec![l.len()], l.iter().copied())],
        Answers::TopK(t) => vec![
            whole("topk_ids", t.ids.shape().to_vec(), t.ids.iter().copied()),
            floats("topk_probs", &t.probs),
        ],
    }
}

fn floats(name: &str, values: &Array2<f64>) -> Tensor {
    let flat = values.iter().copied().collect(); // row-major, whatever the memory order
    Tensor::floats(name, Datatype::Fp64, values.shape().to_vec(), flat)
}

fn whole(name: &str, shape: Vec<usize>, ids: impl Iterator<Item = usize>) -> Tensor {
    Tensor {
        name: name.into(),
        shape,
        datatype: "INT64".into(),
        parameters: None,
        data: Some(Data::whole(ids)),
    }
}

/// How to read a server's outputs as answers.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What they are.
    pub kind: AnswerKind,
    /// Classes of the teacher.
    pub classes: usize,
    /// The output that holds them; the class numbers for top-k.
    pub output: String,
    /// The output with the probabilities of top-k.
    pub probs: Option<String>,
}

impl Reading {
    /// How to read our own servers.
    pub fn of(card: Card) -> Self {
        let (output, probs) = match card.answers {
            AnswerKind::Probs => ("probs", None),
            AnswerKind::Logits => ("logits", None),
            AnswerKind::Labels => ("label", None),
            AnswerKind::TopK { .. } => ("topk_ids", Some("topk_probs".to_string())),
        };
        Self { kind: card.answers, classes: card.classes, output: output.into(), probs }
    }

    /// Names of the outputs to ask for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.output.as_str()).chain(self.probs.as_deref())
    }

    /// The answers of `rows` rows.
    pub fn read(&self, outputs: &[Tensor], rows: usize) -> Result<Answers> {
        let classes = self.classes;
        Ok(match self.kind {
            AnswerKind::Probs => {
                Answers::Probs(self.table(outputs, &self.output, rows, classes)?)
            }
            AnswerKind::Logits => {
                Answers::Logits(self.table(outputs, &self.output, rows, classes)?)
            }
            AnswerKind::Labels => {
                Answers::Labels(self.ids(outputs, rows, 1)?.into_raw_vec_and_offset().0)
            }
            AnswerKind::TopK { k } => Answers::TopK(TopK {
                classes,
                ids: self.ids(outputs, rows, k)?,
                probs: self.table(outputs, self.probs.as_deref().unwrap_or_default(), rows, k)?,
            }),
        })
    }

    /// Answers of no rows, of the right kind and width.
    pub fn none(&self) -> Answers {
        let empty = |width| Array2::zeros((0, width));
        match self.kind {
            AnswerKind::Probs => Answers::Probs(empty(self.classes)),
            AnswerKind::Logits => Answers::Logits(empty(self.classes)),
            AnswerKind::Labels => Answers::Labels(Vec::new()),
            AnswerKind::TopK { k } => Answers::TopK(TopK {
                classes: self.classes,
                ids: Array2::zeros((0, k)),
                probs: empty(k),
            }),
        }
    }

    fn ids(&self, outputs: &[Tensor], rows: usize, width: usize) -> Result<Array2<usize>> {
        let table = self.table(outputs, &self.output, rows, width)?;
        let classes = self.classes as f64;
        if let Some(v) = table.iter().find(|&&v| !(v >= 0.0 && v < classes && v.trunc() == v)) {
            let what = format!("output {:?}", self.output);
            return Err(Error::input(what, v, format!("class numbers below {classes}")));
        }
        Ok(table.mapv(|v| v as usize))
    }

    fn table(&self, all: &[Tensor], name: &str, rows: usize, width: usize) -> Result<Array2<f64>> {
        let what = || format!("output {name:?}");
        let tensor = all
            .iter()
            .find(|t| t.name == name)
            .ok_or_else(|| Error::input(what(), "no such output", "one of that name"))?;
        let column = width == 1 && tensor.shape == [rows];
        if tensor.shape != [rows, width] && !column {
            let expected = format!("shape [{rows}, {width}]");
            return Err(Error::input(what(), format!("shape {:?}", tensor.shape), expected));
        }
        Array2::from_shape_vec((rows, width), tensor.values()?.to_vec())
            .map_err(|e| Error::Internal(e.to_string()))
    }
}

/// One reply from the replies to consecutive parts of a batch.
pub fn joined(parts: Vec<Reply>, reading: &Reading) -> Result<Reply> {
    let kind = |a: &Answers| a.kind() == reading.kind;
    if let Some(odd) = parts.iter().find(|p| !kind(&p.answers)) {
        let found = format!("{:?}", odd.answers.kind());
        return Err(Error::input("answers", found, format!("{:?}", reading.kind)));
    }
    let mut next = 0..;
    let mut outcomes: Vec<Outcome> = parts.iter().flat_map(|p| p.outcomes.clone()).collect();
    for outcome in &mut outcomes {
        if let Outcome::Answered(row) = outcome {
            *row = next.next().unwrap_or_default();
        }
    }
    let parts: Vec<Answers> = parts.into_iter().map(|p| p.answers).collect();
    Ok(Reply { outcomes, answers: stacked(&parts, reading)? })
}

fn stacked(parts: &[Answers], reading: &Reading) -> Result<Answers> {
    if parts.is_empty() {
        return Ok(reading.none());
    }
    let probs = rows(parts, |a| match a {
        Answers::Probs(p) | Answers::Logits(p) => Some(p.view()),
        Answers::TopK(t) => Some(t.probs.view()),
        Answers::Labels(_) => None,
    })?;
    let ids = rows(parts, |a| match a {
        Answers::TopK(t) => Some(t.ids.view()),
        _ => None,
    })?;
    Ok(match reading.kind {
        AnswerKind::Probs => Answers::Probs(probs),
        AnswerKind::Logits => Answers::Logits(probs),
        AnswerKind::TopK { .. } => Answers::TopK(TopK { classes: reading.classes, ids, probs }),
        AnswerKind::Labels => Answers::Labels(parts.iter().flat_map(Answers::top1).collect()),
    })
}

fn rows<T: Clone + Default>(
    parts: &[Answers],
    of: impl Fn(&Answers) -> Option<ArrayView2<'_, T>>,
) -> Result<Array2<T>> {
    let views: Vec<_> = parts.iter().filter_map(of).collect();
    if views.is_empty() {
        return Ok(Array2::default((0, 0)));
    }
    ndarray::concatenate(Axis(0), &views).map_err(|e| Error::Internal(e.to_string()))
}
