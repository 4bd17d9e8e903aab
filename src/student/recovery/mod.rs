//! What a student does to perturbed answers before it learns from them: one file per idea.
//!
//! A student that knows the defense gets it as a plain function ([`Simulator`]); it never sees the
//! defender's key. Whatever a recovery asks more than once, it pays for more than once.

mod average;
mod inverse_table;
mod partial_bayes;
mod restorer;
mod simulated;
mod spec;
mod temperature;

use std::sync::{Arc, OnceLock};

use ndarray::{Array2, Axis};

use super::objective::{normalised, softmax};
use crate::error::{Error, Result};
use crate::oracle::Answers;
use crate::seed::{Seed, permutation};
use inverse_table::Table;
use restorer::Restorer;
use simulated::{Pairs, around};
pub use spec::{RecoverySpec, TABLE_ROWS};

/// The known defense, on one row of probabilities.
pub type Simulator = Arc<dyn Fn(&[f64], &mut [f64]) + Send + Sync>;

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

    /// Rows to ask for these rows `[n, d]`: repeats `[n * repeats, d]` stand next to each other.
    /// `asked` is the number of rows asked before, which names the stream of the moves.
    pub(super) fn spread(&self, rows: &Array2<f32>, range: (f32, f32), asked: u64) -> Array2<f32> {
        let n = self.spec.repeats();
        let index: Vec<usize> = (0..rows.nrows() * n).map(|i| i / n).collect();
        let mut copies = rows.select(Axis(0), &index);
        if let RecoverySpec::Jitter { scale, .. } = self.spec {
            let sd = scale * f64::from(range.1 - range.0);
            average::move_copies(&mut copies, n, sd, range, self.seed.nth("jitter", asked));
        }
        copies
    }

    /// One answer for each group of repeats, recovered. `groups[i]` lists the answers of row i, at
    /// least one.
    pub(super) fn recover(&self, answers: &Answers, groups: &[Vec<usize>]) -> Result<Answers> {
        let joined = if self.spec.repeats() > 1 {
            average::mean(answers, groups, self.classes)
        } else {
            answers.select(&groups.iter().map(|g| g[0]).collect::<Vec<_>>())
        };
        Ok(match self.spec {
            RecoverySpec::Top1 => Answers::Labels(joined.top1()),
            RecoverySpec::MatchedTemperature { t } => {
                Answers::Probs(temperature::undone(&self.rows(joined)?, t))
            }
            // Without a simulator nothing row-wise stands in the way.
            RecoverySpec::InverseTable { rows } => match &self.simulator {
                Some(simulator) => {
                    let table = self.table.get_or_init(|| {
                        Table::draw(rows, self.classes, simulator, self.seed.child("table"))
                    });
                    Answers::Probs(table.invert(&self.rows(joined)?))
                }
                None => joined,
            },
            _ => joined,
        })
    }

    /// All answers so far, as they may have been before the known defense: what some recoveries can only do with
    /// all answers at hand. `shadow` gives answers of shadow models, as many as it is told, at least one row. Also
    /// gives the floating-point operations that this took.
    pub(super) fn settle(
        &self,
        answers: Answers,
        shadow: impl FnOnce(usize) -> Result<(Array2<f64>, f64)>,
    ) -> Result<(Answers, f64)> {
        let Some(defend) = self.simulator.as_ref().filter(|_| !answers.is_empty()) else {
            return Ok((answers, 0.0));
        };
        let seed = self.seed.child("pairs");
        let train = |clean: Vec<Vec<f64>>, steps: usize| {
            Restorer::train(&Pairs::of(clean, defend), steps, self.seed.child("restorer"))
        };
        match self.spec {
            RecoverySpec::DDae { rows, steps, shadows } => {
                let told = normalised(&self.rows(answers)?);
                let (own, flops) = shadow(shadows)?;
                let mut order = permutation(&mut seed.rng(), own.nrows());
                order.truncate(rows);
                let clean = order.into_iter().map(|i| own.row(i).to_vec()).collect();
                let restorer = train(clean, steps)?;
                Ok((Answers::Probs(restorer.restored(&told)?), flops + restorer.flops))
            }
            RecoverySpec::DDaePlus { rows, steps, concentration } => {
                let told = normalised(&self.rows(answers)?);
                let restorer = train(around(&told, rows, concentration, seed), steps)?;
                Ok((Answers::Probs(restorer.restored(&told)?), restorer.flops))
            }
            RecoverySpec::PartialBayes { rows, radius, concentration } => {
                let told = self.rows(answers)?;
                let clean = around(&normalised(&told), rows, concentration, seed);
                let pairs = Pairs::of(clean, defend);
                Ok((Answers::Probs(partial_bayes::restored(&pairs, &told, radius)), 0.0))
            }
            _ => Ok((answers, 0.0)),
        }
    }

    /// Whole probability rows of these answers.
    fn rows(&self, answers: Answers) -> Result<Array2<f64>> {
        match answers {
            Answers::Probs(p) => Ok(p),
            Answers::Logits(z) => Ok(softmax(&z)),
            other => Err(Error::input(
                format!("answers for the recovery `{}`", self.spec.kind()),
                other.kind().name(),
                "whole probability rows",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::AnswerKind;
    use ndarray::array;

    fn recovery(spec: RecoverySpec) -> Recovery {
        Recovery::new(&spec, None, 2, Seed::new(1)).unwrap()
    }

    #[test]
    fn repeats_stand_side_by_side_and_are_averaged() {
        let r = recovery(RecoverySpec::Average { n: 3 });
        let rows = r.spread(&array![[0.1_f32], [0.2]], (0.0, 1.0), 0);
        assert_eq!(rows, array![[0.1], [0.1], [0.1], [0.2], [0.2], [0.2]]);
        let answers = Answers::Probs(array![[0.0, 1.0], [1.0, 0.0], [0.5, 0.5]]);
        let mean = r.recover(&answers, &[vec![0, 1, 2]]).unwrap();
        assert_eq!(mean, Answers::Probs(array![[0.5, 0.5]]));
    }

    #[test]
    fn moved_copies_start_with_the_row_itself_and_stay_in_range() {
        let r = recovery(RecoverySpec::Jitter { n: 3, scale: 0.5 });
        let rows = r.spread(&array![[0.0_f32, 1.0], [0.5, 0.5]], (0.0, 1.0), 0);
        assert_eq!(rows.row(0), array![0.0, 1.0].view());
        assert_eq!(rows.row(3), array![0.5, 0.5].view());
        assert_ne!(rows.row(4), rows.row(3));
        assert!(rows.iter().all(|x| (0.0..=1.0).contains(x)));
        assert_eq!(rows, r.spread(&array![[0.0_f32, 1.0], [0.5, 0.5]], (0.0, 1.0), 0));
    }

    #[test]
    fn top1_keeps_the_class_only() {
        let r = recovery(RecoverySpec::Top1);
        let got = r.recover(&Answers::Probs(array![[0.2, 0.8]]), &[vec![0]]).unwrap();
        assert_eq!(got, Answers::Labels(vec![1]));
    }

    #[test]
    fn what_comes_out_is_of_the_kind_announced() {
        let rows = array![[0.2, 0.8]];
        for spec in RecoverySpec::examples() {
            if spec == RecoverySpec::Counter {
                continue;
            }
            for answers in [Answers::Probs(rows.clone()), Answers::Logits(rows.clone())] {
                let got = recovery(spec.clone()).recover(&answers, &[vec![0]]).unwrap();
                // Those that need a simulator leave answers alone without one.
                if spec.kind() == "matched-temperature" || !spec.informed() {
                    assert_eq!(got.kind(), spec.gives(answers.kind()), "{spec:?}");
                }
            }
        }
    }

    #[test]
    fn recoveries_that_simulate_need_a_simulator_to_change_anything() {
        let halved: Simulator = Arc::new(|clean, out| {
            out.iter_mut().zip(clean).for_each(|(o, p)| *o = 0.25 + 0.5 * p);
        });
        let shown = Answers::Probs(array![[0.7, 0.3], [0.45, 0.55], [0.3, 0.7], [0.5, 0.5]]);
        let shadow = |_| Ok((array![[0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.5, 0.5]], 1.0));
        for spec in RecoverySpec::examples().into_iter().filter(RecoverySpec::simulates) {
            let spec = match spec {
                RecoverySpec::DDae { .. } => {
                    RecoverySpec::DDae { rows: 100, steps: 300, shadows: 1 }
                }
                RecoverySpec::DDaePlus { .. } => {
                    RecoverySpec::DDaePlus { rows: 500, steps: 300, concentration: 2.0 }
                }
                RecoverySpec::PartialBayes { .. } => {
                    RecoverySpec::PartialBayes { rows: 500, radius: 0.01, concentration: 2.0 }
                }
                other => other,
            };
            let groups: Vec<Vec<usize>> = (0..4).map(|i| vec![i]).collect();
            let of = |simulator: Option<Simulator>| {
                let recovery = Recovery::new(&spec, simulator, 2, Seed::new(1)).unwrap();
                let told = recovery.recover(&shown, &groups).unwrap();
                recovery.settle(told, shadow).unwrap().0
            };
            assert_eq!(of(None), shown, "{spec:?}");
            let Answers::Probs(back) = of(Some(halved.clone())) else { panic!("{spec:?}") };
            // Shown as 0.7 from 0.9, and as 0.3 from 0.1.
            assert!((back[[0, 0]] - 0.9).abs() < 0.06, "{spec:?} {back}");
            assert!((back[[2, 0]] - 0.1).abs() < 0.06, "{spec:?} {back}");
        }
    }

    #[test]
    fn a_counter_that_nobody_resolved_is_refused() {
        let built = Recovery::new(&RecoverySpec::Counter, None, 2, Seed::new(1));
        assert!(matches!(built, Err(Error::Internal(_))));
    }

    #[test]
    fn a_recovery_of_rows_refuses_labels() {
        let matched = RecoverySpec::MatchedTemperature { t: 2.0 };
        assert!(matched.fits(AnswerKind::Labels).is_err());
        assert!(matched.fits(AnswerKind::Probs).is_ok());
        let got = recovery(matched).recover(&Answers::Labels(vec![0]), &[vec![0]]);
        assert!(matches!(got, Err(Error::Input { .. })));
    }

    /// The config reader refuses what the schema does not know, also where serde would not mind.
    #[test]
    fn keys_of_other_kinds_are_refused_by_the_schema() {
        let schema = schemars::schema_for!(RecoverySpec).to_value();
        for kind in schema["oneOf"].as_array().unwrap() {
            assert_eq!(kind["additionalProperties"], false, "{kind}");
        }
        for example in RecoverySpec::examples() {
            let json = serde_json::to_value(&example).unwrap();
            assert_eq!(json["kind"], example.kind());
            assert!(example.validate().is_ok());
        }
    }
}
