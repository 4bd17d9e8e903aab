//! Anything that answers a request.
//!
//! The wire types here are plain arrays, as if they had crossed a socket: a [`Batch`] has per-row
//! columns, a [`Reply`] has one outcome per row and typed answers for the answered rows only. An
//! [`Oracle`] may be a model in this process, a script, a table, or a server on a loopback address.
//! No oracle knows who pays, and none knows the defenses in front of it.

pub mod completion;
pub mod http;
pub mod oip;
pub mod scripted;
pub mod table;
pub mod teacher;

use ndarray::Array2;

use crate::error::{Error, Result};
pub use crate::ledger::{AccountId, Denial, Gcra, GcraState, Tick};

/// What is wanted of every row of a batch. Language requests join here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Want {
    /// Class probabilities, or whatever part of them the API reveals.
    #[default]
    Classify,
}

/// Rows to be answered, each with the account that asks and the time at which it does.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[n]` the asking account of each row.
    pub account: Vec<AccountId>,
    /// `[n]` the time of each row; never decreasing.
    pub at: Vec<Tick>,
    /// `[n, d]` features, in the units of the data set.
    pub inputs: Array2<f32>,
    /// The detail wanted.
    pub want: Want,
}

/// What became of one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, as row `.0` of the answers.
    Answered(usize),
    /// Refused, and why.
    Denied(Denial),
}

/// One outcome per asked row; answers for the answered rows only, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// `[n]` one per asked row.
    pub outcomes: Vec<Outcome>,
    /// `[m, ..]` typed answers, m answered rows.
    pub answers: Answers,
}

/// Answers of one kind. Never zero-filled, never a stand-in for what the API does not tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Answers {
    /// `[m, classes]`, as the API gives them: rounding may leave rows that do not sum to 1.
    Probs(Array2<f64>),
    /// The k largest probabilities of each row.
    TopK(TopK),
    /// `[m]` class numbers.
    Labels(Vec<usize>),
    /// `[m, classes]` before the softmax.
    Logits(Array2<f64>),
}

/// The `k` largest probabilities, largest first, ties by lower class number.
#[derive(Clone, Debug, PartialEq)]
pub struct TopK {
    /// Number of classes of the teacher, of which only k are told.
    pub classes: usize,
    /// `[m, k]` class numbers.
    pub ids: Array2<usize>,
    /// `[m, k]` probabilities as the API gives them.
    pub probs: Array2<f64>,
}

/// The kind of answer, for checks before anything is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    Probs,
    TopK { k: usize },
    Labels,
    Logits,
}

/// What an oracle takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// Features of an input row.
    pub inputs: usize,
    /// Classes.
    pub classes: usize,
    /// Kind of its answers.
    pub answers: AnswerKind,
}

/// Anything that answers a request.
pub trait Oracle: Send {
    /// What it takes and gives.
    fn card(&self) -> Card;

    /// Answers every row it can. Rows it refuses are outcomes, not errors.
    fn answer(&mut self, batch: &Batch) -> Result<Reply>;
}

impl Batch {
    /// All rows from one account at one time.
    pub fn classify(account: AccountId, at: Tick, inputs: Array2<f32>) -> Self {
        let n = inputs.nrows();
        Self { account: vec![account; n], at: vec![at; n], inputs, want: Want::Classify }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.account.len()
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.account.is_empty()
    }

    /// The rows at `index`, in that order.
    pub fn select(&self, index: &[usize]) -> Self {
        Self {
            account: index.iter().map(|&i| self.account[i]).collect(),
            at: index.iter().map(|&i| self.at[i]).collect(),
            inputs: self.inputs.select(ndarray::Axis(0), index),
            want: self.want,
        }
    }
}

impl Answers {
    /// Number of answered rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Probs(p) | Self::Logits(p) => p.nrows(),
            Self::TopK(t) => t.ids.nrows(),
            Self::Labels(l) => l.len(),
        }
    }

    /// True without rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The kind of these answers.
    pub fn kind(&self) -> AnswerKind {
        match self {
            Self::Probs(_) => AnswerKind::Probs,
            Self::Logits(_) => AnswerKind::Logits,
            Self::TopK(t) => AnswerKind::TopK { k: t.ids.ncols() },
            Self::Labels(_) => AnswerKind::Labels,
        }
    }

    /// The most likely class of each row, ties to the lowest number.
    pub fn top1(&self) -> Vec<usize> {
        match self {
            Self::Probs(p) | Self::Logits(p) => top1(p),
            Self::TopK(t) => t.ids.column(0).to_vec(),
            Self::Labels(l) => l.clone(),
        }
    }

    /// Parts of one kind, one after another; empty parts of any kind are passed over.
    pub fn concat(parts: Vec<Self>) -> Result<Self> {
        let join = |a: &Array2<f64>, b: &Array2<f64>| {
            ndarray::concatenate(ndarray::Axis(0), &[a.view(), b.view()])
                .map_err(|e| Error::Internal(e.to_string()))
        };
        let mut parts = parts.into_iter();
        let mut whole = parts.next().unwrap_or(Self::Labels(Vec::new()));
        for part in parts {
            whole = match (whole, part) {
                (whole, part) if part.is_empty() => whole,
                (whole, part) if whole.is_empty() => part,
                (Self::Probs(a), Self::Probs(b)) => Self::Probs(join(&a, &b)?),
                (Self::Logits(a), Self::Logits(b)) => Self::Logits(join(&a, &b)?),
                (Self::Labels(mut a), Self::Labels(b)) => {
                    a.extend(b);
                    Self::Labels(a)
                }
                (Self::TopK(a), Self::TopK(b)) if a.ids.ncols() == b.ids.ncols() => {
                    Self::TopK(TopK {
                        classes: a.classes,
                        ids: ndarray::concatenate(ndarray::Axis(0), &[a.ids.view(), b.ids.view()])
                            .map_err(|e| Error::Internal(e.to_string()))?,
                        probs: join(&a.probs, &b.probs)?,
                    })
                }
                (a, b) => {
                    return Err(Error::input(
                        "answers",
                        b.kind().name(),
                        format!("{} as before", a.kind().name()),
                    ));
                }
            };
        }
        Ok(whole)
    }

    /// The rows at `index`, in that order.
    pub fn select(&self, index: &[usize]) -> Self {
        let rows = ndarray::Axis(0);
        match self {
            Self::Probs(p) => Self::Probs(p.select(rows, index)),
            Self::Logits(p) => Self::Logits(p.select(rows, index)),
            Self::Labels(l) => Self::Labels(index.iter().map(|&i| l[i]).collect()),
            Self::TopK(t) => Self::TopK(TopK {
                classes: t.classes,
                ids: t.ids.select(rows, index),
                probs: t.probs.select(rows, index),
            }),
        }
    }
}

impl AnswerKind {
    /// One word for messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Probs => "probs",
            Self::TopK { .. } => "top-k",
            Self::Labels => "label",
            Self::Logits => "logits",
        }
    }
}

impl TopK {
    /// The `k` largest entries of every row `[n, classes]`, largest first, ties by lower class.
    pub fn of(probs: &Array2<f64>, k: usize) -> Self {
        let (n, classes) = probs.dim();
        let k = k.min(classes);
        let mut kept = Self { classes, ids: Array2::zeros((n, k)), probs: Array2::zeros((n, k)) };
        for (i, row) in probs.rows().into_iter().enumerate() {
            let mut order: Vec<usize> = (0..classes).collect();
            order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
            for (j, &id) in order.iter().take(k).enumerate() {
                kept.ids[[i, j]] = id;
                kept.probs[[i, j]] = row[id];
            }
        }
        kept
    }
}

impl Reply {
    /// Every row answered, in order.
    pub fn all(answers: Answers) -> Self {
        Self { outcomes: (0..answers.len()).map(Outcome::Answered).collect(), answers }
    }

    /// The answered rows, in order: (number of the asked row, number of its answer).
    pub fn answered(&self) -> Vec<(usize, usize)> {
        let rows = self.outcomes.iter().enumerate();
        rows.filter_map(|(row, outcome)| match outcome {
            Outcome::Answered(i) => Some((row, *i)),
            Outcome::Denied(_) => None,
        })
        .collect()
    }
}

/// The most likely class of each row `[n, classes]`, ties to the lowest number.
pub fn top1(probs: &Array2<f64>) -> Vec<usize> {
    probs.rows().into_iter().map(|row| argmax(row.iter())).collect()
}

/// Index of the largest value, ties to the lowest index; 0 for an empty row.
pub fn argmax<'a, T: PartialOrd + Copy + 'a>(values: impl IntoIterator<Item = &'a T>) -> usize {
    let mut values = values.into_iter().copied().enumerate();
    let Some(mut best) = values.next() else { return 0 };
    // A choice of values, not of ways: which class wins cannot be foretold.
    for (i, v) in values {
        best = if v > best.1 { (i, v) } else { best };
    }
    best.0
}
