//! Top-k: the k largest probabilities; what is left out is absent, not zero, and nothing is
//! renormalised (as `truncate_output` of Orekondy et al. 2019, without its zeros).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::error::{Error, Result};
use crate::oracle::{AnswerKind, Answers, Batch, Card, Reply, TopK};
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Entries kept, 1 to the number of classes.
    #[schemars(range(min = 1))]
    pub k: usize,
}

/// The layer.
pub struct KeepTopK {
    k: usize,
}

impl Params {
    /// Checks the range.
    pub fn build(&self) -> Result<KeepTopK> {
        if self.k == 0 {
            return Err(Error::config(
                "k",
                "0",
                "at least 1; to give labels alone there is `label-only`",
            ));
        }
        Ok(KeepTopK { k: self.k })
    }
}

impl Defense for KeepTopK {
    fn name(&self) -> &'static str {
        "top-k"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let reply = next.run(batch)?;
        let answers = match reply.answers {
            Answers::Probs(p) => Answers::TopK(TopK::of(&p, self.k)),
            Answers::TopK(t) => {
                let columns: Vec<usize> = (0..self.k.min(t.ids.ncols())).collect();
                let (ids, probs) = (
                    t.ids.select(ndarray::Axis(1), &columns),
                    t.probs.select(ndarray::Axis(1), &columns),
                );
                Answers::TopK(TopK { classes: t.classes, ids, probs })
            }
            _ => {
                return Err(Error::Internal(
                    "top-k in front of answers without probabilities".into(),
                ));
            }
        };
        Ok(Reply { answers, outcomes: reply.outcomes })
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "top-k"
    }

    fn paper(&self) -> &'static str {
        "Orekondy et al. 2019, section 5"
    }

    fn check(&self) -> Result<()> {
        Self::build(self).map(|_| ())
    }

    fn card(&self, below: Card) -> Result<Card> {
        let most = match below.answers {
            AnswerKind::Probs => below.classes,
            AnswerKind::TopK { k } => k,
            _ => return rows::needs_probs("top-k", below),
        };
        if self.k > most {
            let what = if most == below.classes { "classes" } else { "entries that arrive" };
            let expected = format!("at most {most}, the number of {what}");
            return Err(Error::config("k", self.k.to_string(), expected));
        }
        Ok(Card { answers: AnswerKind::TopK { k: self.k }, ..below })
    }

    fn promise(&self) -> Promise {
        Promise::BASE
    }

    fn counter(&self) -> Counter {
        Counter::LabelOnly
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(Self::build(self)?))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr2};

    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::super::workshop::testing::{CARD, small};
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Tick};

    #[test]
    fn fewer_of_the_largest_are_kept_and_no_more_than_arrive() {
        let stack = |ks: &[usize]| {
            let specs: Vec<_> = ks.iter().map(|&k| DefenseSpec::TopK(Params { k })).collect();
            Stack::build(&specs, Seed::new(1), CARD, small())
        };
        let mut oracle = Scripted::new(CARD, |_| vec![0.1, 0.4, 0.05, 0.3, 0.15]);
        let batch = Batch::classify(AccountId(0), Tick::ZERO, arr2(&[[0.0_f32, 0.0]]));
        let reply = stack(&[2, 3]).unwrap().run(&batch, &mut oracle, &mut Unwatched).unwrap();
        let Answers::TopK(kept) = reply.answers else { panic!("entries") };
        assert_eq!((kept.ids.len(), kept.probs), (2, arr2(&[[0.4, 0.3]])));
        assert!(stack(&[3, 3]).is_ok() && stack(&[5]).is_ok());
        let told = |ks: &[usize]| stack(ks).err().unwrap().to_string();
        assert!(told(&[4, 3]).contains("at most 3, the number of entries that arrive"));
        assert!(told(&[6]).contains("at most 5, the number of classes"));
    }

    #[test]
    fn the_reference_entries_are_matched() {
        let all = cases("top_k");
        assert_eq!(all.len(), 11);
        for case in all {
            let probs = numbers(&case["input"]["probs"]);
            let n = probs.len();
            let probs = Array2::from_shape_vec((1, n), probs).unwrap();
            let kept = TopK::of(&probs, case["input"]["k"].as_u64().unwrap() as usize);
            let want = case["expected"]["kept"].as_array().unwrap();
            let ids: Vec<u64> = want.iter().map(|e| e[0].as_u64().unwrap()).collect();
            let values: Vec<f64> = want.iter().map(|e| e[1].as_f64().unwrap()).collect();
            assert_eq!(
                kept.ids.iter().map(|&i| i as u64).collect::<Vec<_>>(),
                ids,
                "{}",
                case["id"]
            );
            assert_close(&case, &kept.probs.iter().copied().collect::<Vec<_>>(), &values);
        }
    }
}
