//! PRADA as a layer (Juuti, Szyller, Marchal and Asokan 2019): an account's queries are honest
//! while the distances between those of one predicted class look normal; Shapiro and Wilk's W below
//! `delta` flags the account's rows until a check passes again.
//!
//! The statistic is `detect::prada`, one state per account. The class is that of the answer as it comes
//! from below, so the teacher is asked first; a refused row gets nothing of it. At most classes x cap
//! queries are remembered of an account.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::respond::{Flags, Response, Watch};
use super::{Counter, Defense, Method, Next, Promise, Workshop};
use crate::detect::{Verdict, prada};
use crate::error::Result;
use crate::oracle::{Batch, Card, Reply};
use crate::seed::Seed;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// W below this flags, above 0 and at most 1.
    #[serde(default = "usual_delta")]
    pub delta: f64,
    /// Queries remembered of a class, 100 to 100,000.
    #[serde(default = "usual_cap")]
    #[schemars(range(min = 100, max = 100_000))]
    pub cap: usize,
    /// What a flagged row gets.
    #[serde(default)]
    pub response: Response,
}

const fn usual_delta() -> f64 {
    0.9
}

const fn usual_cap() -> usize {
    2_000
}

/// The layer.
pub struct PradaLayer {
    detector: prada::Prada,
    watch: Watch<prada::PradaState>,
}

impl Params {
    fn detector(&self) -> Result<prada::Prada> {
        prada::Params { delta: self.delta, cap: self.cap }.build()
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "prada"
    }

    fn paper(&self) -> &'static str {
        "Juuti et al. 2019, PRADA"
    }

    fn check(&self) -> Result<()> {
        self.detector().map(|_| ())
    }

    fn card(&self, below: Card) -> Result<Card> {
        self.response.card(self.kind(), below)
    }

    fn promise(&self) -> Promise {
        Promise { deterministic: false, stateful: true, ..self.response.promise() }
    }

    fn detects(&self) -> bool {
        true
    }

    fn counter(&self) -> Counter {
        Counter::MoreAccounts
    }

    fn build(&self, key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(PradaLayer {
            detector: self.detector()?,
            watch: Watch::new(self.response, key),
        }))
    }
}

impl Defense for PradaLayer {
    fn name(&self) -> &'static str {
        "prada"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let reply = next.run(batch)?;
        let (top, name) = (reply.answers.top1(), self.name());
        self.watch.judge(name, batch, reply, |state, row, i| {
            let query: Vec<f64> = batch.inputs.row(row).iter().map(|&x| f64::from(x)).collect();
            Ok(self.detector.observe(state, top[i] as u32, &query) == Verdict::Alarm)
        })
    }

    fn flags(&self) -> Option<&Flags> {
        Some(self.watch.flags())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ndarray::Array2;

    use super::super::workshop::testing::{CARD, small};
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::detect::testing::{cases, numbers};
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Answers, Tick};
    use crate::seed::normal;

    /// Accounts whose rows are flagged: one walks in small steps, the other asks normal rows.
    fn flagged(interleaved: bool) -> [u64; 2] {
        let spec = DefenseSpec::Prada(Params { response: Response::Warn, ..usual() });
        let mut rng = Seed::new(2).rng();
        let rows = |account: usize, rng: &mut _| {
            let mut rows = Array2::zeros((400, 2));
            for i in 0..400 {
                let step = if i % 2 == 0 { normal(rng) } else { 0.0 };
                rows[[i, 0]] = if account == 0 { step as f32 } else { normal(rng) as f32 };
                rows[[i, 1]] = if account == 0 { 0.001 * i as f32 } else { normal(rng) as f32 };
            }
            rows
        };
        let asked = [rows(0, &mut rng), rows(1, &mut rng)];
        let order: Vec<(usize, usize)> = if interleaved {
            (0..400).flat_map(|i| [(0, i), (1, i)]).collect()
        } else {
            (0..2).flat_map(|a| (0..400).map(move |i| (a, i))).collect()
        };
        let inputs = Array2::from_shape_fn((800, 2), |(n, j)| asked[order[n].0][[order[n].1, j]]);
        let mut batch = Batch::classify(AccountId(0), Tick::ZERO, inputs);
        batch.account = order.iter().map(|&(a, _)| AccountId(a as u32)).collect();
        let mut stack = Stack::new(vec![spec.build(Seed::new(1), small()).unwrap()]);
        stack.run(&batch, &mut Scripted::constant(2, vec![0.2; 5]), &mut Unwatched).unwrap();
        let flags = stack.flags();
        [0, 1].map(|a| flags[0].1.of(AccountId(a)).flagged)
    }

    fn usual() -> Params {
        toml::from_str("").unwrap()
    }

    #[test]
    fn interleaved_accounts_are_judged_as_if_each_were_alone() {
        let (apart, together) = (flagged(false), flagged(true));
        assert_eq!(apart, together);
        assert!(apart[0] > 0, "{apart:?}");
    }

    #[test]
    fn a_reference_stream_through_the_layer_is_flagged_where_the_detector_alarms() {
        let case =
            cases("prada", 9).into_iter().find(|c| c["id"] == "prada-03-flag-flips").unwrap();
        let queries: Vec<Vec<f64>> =
            case["input"]["queries"].as_array().unwrap().iter().map(numbers).collect();
        let classes: Vec<usize> = case["input"]["classes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c.as_u64().unwrap() as usize)
            .collect();
        let d = queries[0].len();
        let delta = case["input"]["delta"].as_f64().unwrap();
        let detector = prada::Params { delta, cap: 2000 }.build().unwrap();
        let mut state = prada::PradaState::default();
        // Inputs cross the wire in 32 bits: the detector alone gets the same.
        let inputs = Array2::from_shape_fn((queries.len(), d), |(i, j)| queries[i][j] as f32);
        let want = (0..queries.len())
            .filter(|&i| {
                let query: Vec<f64> = inputs.row(i).iter().map(|&x| f64::from(x)).collect();
                detector.observe(&mut state, classes[i] as u32, &query) == Verdict::Alarm
            })
            .count() as u64;
        let spec = DefenseSpec::Prada(Params { delta, cap: 2000, response: Response::Warn });
        let most = classes.iter().max().unwrap() + 1;
        let turn = AtomicUsize::new(0);
        let mut oracle = Scripted::new(Card { inputs: d, classes: most, ..CARD }, move |_| {
            let told = classes[turn.fetch_add(1, Ordering::SeqCst)];
            (0..most).map(|k| f64::from(u8::from(k == told))).collect()
        });
        let batch = Batch::classify(AccountId(0), Tick::ZERO, inputs);
        let mut stack = Stack::new(vec![spec.build(Seed::new(1), small()).unwrap()]);
        let reply = stack.run(&batch, &mut oracle, &mut Unwatched).unwrap();
        assert!(matches!(reply.answers, Answers::Probs(_)));
        let flagged = stack.flags()[0].1.of(AccountId(0));
        assert_eq!((flagged.flagged, flagged.first), (want, Some(111)));
    }
}
