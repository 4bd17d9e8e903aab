//! What a student does to perturbed answers before it learns from them.
//!
//! A student that knows the defense gets it as a plain function ([`Simulator`]); it never sees the
//! defender's key.

use std::sync::{Arc, OnceLock};

use ndarray::{Array2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::objective::normalised;
use crate::error::{Error, Result};
use crate::oracle::{AnswerKind, Answers};
use crate::seed::{Seed, normal, uniform};

/// The known defense, on one row of probabilities.
pub type Simulator = Arc<dyn Fn(&[f64], &mut [f64]) + Send + Sync>;

/// Rows of an inverse table unless a config says otherwise.
pub const TABLE_ROWS: usize = 4000;

/// A recovery, as configs write it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum RecoverySpec {
    /// Takes answers as they come.
    #[default]
    None,
    /// Asks every row n times, pays n times, and averages.
    Average {
        /// Times each row is asked, 2 to 100.
        n: usize,
    },
    /// Whatever the arm's defense declares as its counter; the experiment puts it in place.
    Counter,
    /// Looks answers up in a table of simulated defended rows (partial Bayes: the mean of the clean
    /// rows whose defended form is nearest; Tang et al. 2024, ModelGuard, section 4).
    InverseTable {
        /// Simulated rows, 100 to 1000000.
        #[serde(default = "table_rows")]
        rows: usize,
    },
    /// Asks about n slightly moved copies of every row, pays n times, and averages.
    Jitter {
        /// Copies of each row, 2 to 100.
        n: usize,
        /// Standard deviation of the moves, as a share of the feature range.
        scale: f64,
    },
    /// Undoes a known temperature exactly.
    MatchedTemperature {
        /// The defense's temperature.
        t: f64,
    },
    /// Keeps the most likely class only.
    Top1,
}

const fn table_rows() -> usize {
    TABLE_ROWS
}

impl RecoverySpec {
    /// One value per kind.
    pub fn examples() -> Vec<Self> {
        vec![
            Self::Average { n: 4 },
            Self::Counter,
            Self::InverseTable { rows: TABLE_ROWS },
            Self::Jitter { n: 4, scale: 0.02 },
            Self::MatchedTemperature { t: 3.0 },
            Self::None,
            Self::Top1,
        ]
    }

    /// Range checks; keys are relative to the recovery.
    pub fn validate(&self) -> Result<()> {
        match *self {
            Self::Average { n } | Self::Jitter { n, .. } if !(2..=100).contains(&n) => {
                Err(Error::config("n", n.to_string(), "2 to 100"))
            }
            Self::Jitter { scale, .. } if !(scale > 0.0 && scale <= 1.0) => {
                Err(Error::config("scale", scale.to_string(), "above 0 and at most 1"))
            }
            Self::InverseTable { rows } if !(100..=1_000_000).contains(&rows) => {
                Err(Error::config("rows", rows.to_string(), "100 to 1000000"))
            }
            Self::MatchedTemperature { t } if !(t > 0.0 && t <= 1000.0) => {
                Err(Error::config("t", t.to_string(), "above 0 and at most 1000"))
            }
            _ => Ok(()),
        }
    }

    /// Times each row is asked.
    pub const fn repeats(&self) -> usize {
        match self {
            Self::Average { n } | Self::Jitter { n, .. } => *n,
            _ => 1,
        }
    }

    /// True if both are of one kind, whatever their settings.
    pub fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Refuses a recovery that cannot work on answers of this kind.
    pub fn fits(&self, answers: AnswerKind) -> Result<()> {
        let needs_rows =
            matches!(self, Self::InverseTable { .. } | Self::MatchedTemperature { .. });
        if needs_rows && answers != AnswerKind::Probs {
            return Err(Error::config(
                "kind",
                format!(
                    "a recovery of probability rows where answers are of kind {}",
                    answers.name()
                ),
                "whole probability rows; `counter` chooses what fits each arm",
            ));
        }
        Ok(())
    }
}

/// A recovery at work.
pub(super) struct Recovery {
    spec: RecoverySpec,
    simulator: Option<Simulator>,
    classes: usize,
    seed: Seed,
    table: OnceLock<Table>,
}

impl Recovery {
    pub(super) fn new(
        spec: &RecoverySpec,
        simulator: Option<Simulator>,
        classes: usize,
        seed: Seed,
    ) -> Result<Self> {
        if matches!(spec, RecoverySpec::Counter) {
            return Err(Error::Internal("a counter is resolved before a student is built".into()));
        }
        Ok(Self { spec: spec.clone(), simulator, classes, seed, table: OnceLock::new() })
    }

    /// Rows to ask for these rows: repeats stand next to each other.
    pub(super) fn spread(&self, rows: &Array2<f32>, range: (f32, f32), asked: u64) -> Array2<f32> {
        let n = self.spec.repeats();
        if n == 1 {
            return rows.clone();
        }
        let index: Vec<usize> = (0..rows.nrows() * n).map(|i| i / n).collect();
        let mut copies = rows.select(Axis(0), &index);
        if let RecoverySpec::Jitter { scale, .. } = self.spec {
            let mut rng = self.seed.nth("jitter", asked).rng();
            let sd = scale * f64::from(range.1 - range.0);
            for (i, mut row) in copies.rows_mut().into_iter().enumerate() {
                if i % n > 0 {
                    row.mapv_inplace(|x| {
                        (x + (sd * normal(&mut rng)) as f32).clamp(range.0, range.1)
                    });
                }
            }
        }
        copies
    }

    /// One answer for each group of repeats, recovered. `groups[i]` lists the answers of row i, at
    /// least one.
    pub(super) fn recover(&self, answers: &Answers, groups: &[Vec<usize>]) -> Answers {
        let joined = if groups.iter().all(|g| g.len() == 1) {
            answers.select(&groups.iter().map(|g| g[0]).collect::<Vec<_>>())
        } else {
            averaged(answers, groups, self.classes)
        };
        match (&self.spec, joined) {
            (RecoverySpec::Top1, joined) => Answers::Labels(joined.top1()),
            (RecoverySpec::MatchedTemperature { t }, Answers::Probs(p)) => {
                Answers::Probs(sharpened(&p, *t))
            }
            (RecoverySpec::InverseTable { rows }, Answers::Probs(p)) => match &self.simulator {
                Some(simulator) => {
                    let table = self
                        .table
                        .get_or_init(|| Table::draw(*rows, self.classes, simulator, self.seed));
                    Answers::Probs(table.invert(&p))
                }
                None => Answers::Probs(p), // nothing row-wise stands in the way
            },
            (_, joined) => joined,
        }
    }
}

/// Mean of each group; labels and top-k answers vote with what they tell.
fn averaged(answers: &Answers, groups: &[Vec<usize>], classes: usize) -> Answers {
    if let Answers::Probs(p) = answers {
        let mut means = Array2::zeros((groups.len(), p.ncols()));
        for (group, mut mean) in groups.iter().zip(means.rows_mut()) {
            group.iter().for_each(|&i| mean += &p.row(i));
            mean /= group.len() as f64;
        }
        return Answers::Probs(means);
    }
    let top = answers.top1();
    let votes = groups.iter().map(|group| {
        let mut counts = vec![0_usize; classes];
        group.iter().for_each(|&i| counts[top[i]] += 1);
        crate::oracle::argmax(&counts)
    });
    Answers::Labels(votes.collect())
}

/// p^t over its sum, the exact inverse of temperature t.
fn sharpened(probs: &Array2<f64>, t: f64) -> Array2<f64> {
    let mut rows = probs.clone();
    for mut row in rows.rows_mut() {
        let top = row.fold(0.0, |a: f64, &b| a.max(b));
        if top > 0.0 {
            row.mapv_inplace(|p| if p > 0.0 { libm::exp(t * libm::log(p / top)) } else { 0.0 });
        }
    }
    normalised(&rows)
}

/// Simulated (defended, clean) rows. Row-wise defenses treat all classes alike, so rows are kept with
/// classes in descending defended order: one small table serves every order of classes.
struct Table {
    /// `[m, classes]` defended rows, sorted by their largest entry.
    defended: Array2<f64>,
    clean: Array2<f64>,
}

/// Defended rows this near in L1 count as the same answer.
const NEAR: f64 = 0.01;

impl Table {
    fn draw(rows: usize, classes: usize, simulator: &Simulator, seed: Seed) -> Self {
        let mut rng = seed.child("table").rng();
        let mut pairs: Vec<(Vec<f64>, Vec<f64>)> = (0..rows)
            .map(|_| {
                let clean = plausible(classes, &mut rng);
                let mut defended = vec![0.0; classes];
                simulator(&clean, &mut defended);
                let order = descending(&defended);
                (
                    order.iter().map(|&c| defended[c]).collect(),
                    order.iter().map(|&c| clean[c]).collect(),
                )
            })
            .collect();
        pairs.sort_by(|a, b| {
            a.0.iter()
                .zip(&b.0)
                .map(|(x, y)| x.total_cmp(y))
                .find(|o| o.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        type Pair = (Vec<f64>, Vec<f64>);
        let gather = |pick: fn(&Pair) -> &Vec<f64>| {
            Array2::from_shape_fn((rows, classes), |(i, j)| pick(&pairs[i])[j])
        };
        Self { defended: gather(|p| &p.0), clean: gather(|p| &p.1) }
    }

    fn invert(&self, answers: &Array2<f64>) -> Array2<f64> {
        let mut out = Array2::zeros(answers.dim());
        for (answer, mut row) in answers.rows().into_iter().zip(out.rows_mut()) {
            let answer = answer.to_vec();
            let order = descending(&answer);
            let sorted: Vec<f64> = order.iter().map(|&c| answer[c]).collect();
            let mean = self.mean_near(&sorted);
            order.iter().zip(mean).for_each(|(&c, p)| row[c] = p);
        }
        out
    }

    /// Mean of the clean rows whose defended form is within max(NEAR, least distance) of `answer`.
    fn mean_near(&self, answer: &[f64]) -> Vec<f64> {
        let m = self.defended.nrows();
        let start = self.defended.column(0).to_slice_or_search(answer[0]);
        // A row whose first entry differs by d is at least d away: walk outwards until none can win.
        let (mut best, mut found): (f64, Vec<(usize, f64)>) = (f64::INFINITY, Vec::new());
        let (mut down, mut up) = (start, start);
        loop {
            let gap_down =
                if down > 0 { answer[0] - self.defended[[down - 1, 0]] } else { f64::INFINITY };
            let gap_up = if up < m { self.defended[[up, 0]] - answer[0] } else { f64::INFINITY };
            if gap_down.min(gap_up) > best.max(NEAR) || (down == 0 && up == m) {
                break;
            }
            let i = if gap_down <= gap_up {
                down -= 1;
                down
            } else {
                up += 1;
                up - 1
            };
            let far: f64 =
                self.defended.row(i).iter().zip(answer).map(|(a, b)| (a - b).abs()).sum();
            if far <= best.max(NEAR) {
                found.push((i, far));
                best = best.min(far);
            }
        }
        let within = best.max(NEAR);
        let mut near: Vec<usize> =
            found.into_iter().filter(|(_, far)| *far <= within).map(|(i, _)| i).collect();
        near.sort_unstable(); // sums in a fixed order
        let mut mean = vec![0.0; answer.len()];
        for &i in &near {
            mean.iter_mut().zip(self.clean.row(i)).for_each(|(m, p)| *m += p);
        }
        mean.iter_mut().for_each(|v| *v /= near.len().max(1) as f64);
        mean
    }
}

/// Where a value would stand in an ascending column.
trait Search {
    fn to_slice_or_search(&self, value: f64) -> usize;
}

impl Search for ndarray::ArrayView1<'_, f64> {
    fn to_slice_or_search(&self, value: f64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if self[middle] < value { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// Classes from largest to smallest value, ties by lower class.
fn descending(row: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|&a, &b| row[b].total_cmp(&row[a]).then(a.cmp(&b)));
    order
}

/// A clean row as a trained classifier gives it: softmax of normal logits whose scale is drawn
/// log-uniformly from 0.5 to 12, so that both flat and saturated rows occur.
fn plausible(classes: usize, rng: &mut impl rand::Rng) -> Vec<f64> {
    let scale = 0.5 * libm::exp(uniform(rng) * libm::log(24.0));
    let logits: Vec<f64> = (0..classes).map(|_| scale * normal(rng)).collect();
    let top = logits.iter().copied().fold(f64::MIN, f64::max);
    let mut row: Vec<f64> = logits.iter().map(|z| libm::exp(z - top)).collect();
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|p| *p /= sum);
    row
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn recovery(spec: RecoverySpec, simulator: Option<Simulator>) -> Recovery {
        Recovery::new(&spec, simulator, 4, Seed::new(1)).unwrap()
    }

    #[test]
    fn a_matched_temperature_is_an_exact_inverse() {
        let clean = array![[0.7, 0.2, 0.06, 0.04]];
        let warm = sharpened(&clean, 1.0 / 3.0);
        let back = recovery(RecoverySpec::MatchedTemperature { t: 3.0 }, None)
            .recover(&Answers::Probs(warm), &[vec![0]]);
        let Answers::Probs(back) = back else { panic!("{back:?}") };
        assert!((back - clean).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn repeats_stand_side_by_side_and_are_averaged() {
        let r = recovery(RecoverySpec::Average { n: 3 }, None);
        let rows = r.spread(&array![[0.1_f32], [0.2]], (0.0, 1.0), 0);
        assert_eq!(rows, array![[0.1], [0.1], [0.1], [0.2], [0.2], [0.2]]);
        let answers = Answers::Probs(array![[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]);
        let mean = r.recover(&answers, &[vec![0, 1, 2]]);
        assert_eq!(mean, Answers::Probs(array![[0.5, 0.5]]));
    }

    #[test]
    fn a_table_brings_rounded_rows_nearer_to_the_truth() {
        let round: Simulator = Arc::new(|clean, out| {
            out.iter_mut().zip(clean).for_each(|(o, p)| *o = (p * 10.0).round_ties_even() / 10.0);
        });
        let r = recovery(RecoverySpec::InverseTable { rows: 4000 }, Some(Arc::clone(&round)));
        let mut rng = Seed::new(9).rng();
        let (mut plain, mut inverted) = (0.0, 0.0);
        for _ in 0..200 {
            let clean = plausible(4, &mut rng);
            let mut defended = vec![0.0; 4];
            round(&clean, &mut defended);
            let defended = Array2::from_shape_vec((1, 4), defended).unwrap();
            let Answers::Probs(back) = r.recover(&Answers::Probs(defended.clone()), &[vec![0]])
            else {
                panic!()
            };
            let squared = |row: &Array2<f64>| {
                row.iter().zip(&clean).map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
            };
            plain += squared(&defended);
            inverted += squared(&back);
        }
        assert!(inverted < 0.8 * plain, "{inverted} against {plain}");
    }
}
