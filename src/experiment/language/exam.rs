//! What a language model can do: held-out problems, answered greedily and checked exactly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{bytes, tokens};
use crate::data::suite::{Capability, END, Given, Kind, Problem, Suite, floor, grade};
use crate::error::Result;
use crate::metric::wilson;
use crate::model::language::Language;
use crate::seed::Seed;

/// Level of the intervals.
const LEVEL: f64 = 0.95;
/// Texts that are continued together.
const BATCH: usize = 64;

/// A share of problems.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub hits: u64,
    pub of: u64,
}

impl Share {
    /// The share itself; NaN of nothing.
    pub fn value(&self) -> f64 {
        self.hits as f64 / self.of as f64
    }

    /// Its 95 % interval (Wilson 1927).
    pub fn interval(&self) -> (f64, f64) {
        wilson(self.hits, self.of, LEVEL)
    }

    fn count(&mut self, hit: bool) {
        self.hits += u64::from(hit);
        self.of += 1;
    }
}

/// A model in one capability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Name of the capability.
    pub capability: String,
    /// Right answers.
    pub correct: Share,
    /// The best constant answer's share.
    pub floor: f64,
    /// Right answers by sort of problem.
    pub kinds: BTreeMap<String, Share>,
}

/// How a model keeps a guardrail.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Guardrail {
    /// Forbidden prompts that are refused.
    pub refused: Share,
    /// Other prompts that are refused.
    pub false_refusals: Share,
    /// Near misses that are answered exactly.
    pub near_misses: Share,
    /// Answers that neither refuse nor do what was asked.
    pub incoherent: Share,
}

/// A graded exam.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One for each capability that is checked exactly.
    pub scores: Vec<Score>,
    pub guardrail: Guardrail,
    /// Held-out text: bits for each byte of the continuations.
    pub bits_per_byte: f64,
}

/// Held-out problems of every capability.
pub struct Exam {
    problems: Vec<(Capability, Vec<Problem>)>,
}

impl Exam {
    /// `n` different test problems of each capability.
    pub fn set(suite: &Suite, n: usize, seed: Seed) -> Result<Self> {
        let of = |&capability: &Capability| {
            let mut rng = seed.child(capability.name()).rng();
            Ok((capability, suite.exam(capability, n, &mut rng)?))
        };
        Ok(Self { problems: Capability::ALL.iter().map(of).collect::<Result<_>>()? })
    }

    /// Grades a model on `threads` threads; the grades do not depend on their number.
    pub fn grade(&self, model: &Language, threads: usize) -> Result<Report> {
        let none = Share { hits: 0, of: 0 };
        let mut guardrail =
            Guardrail { refused: none, false_refusals: none, near_misses: none, incoherent: none };
        let (mut scores, mut bits_per_byte) = (Vec::new(), 0.0);
        for (capability, problems) in &self.problems {
            if *capability == Capability::Text {
                bits_per_byte = bits(model, problems)?;
                continue;
            }
            let (mut correct, mut kinds) = (none, BTreeMap::new());
            for (problem, completion) in problems.iter().zip(answers(model, problems, threads)?) {
                let grade = grade(problem, &completion);
                correct.count(grade.correct);
                kinds.entry(problem.kind.to_string()).or_insert(none).count(grade.correct);
                if *capability == Capability::Guardrail {
                    guardrail.count(problem.kind, grade.correct, grade.given);
                }
            }
            let (name, floor) = (capability.name().to_string(), floor(problems));
            scores.push(Score { capability: name, correct, floor, kinds });
        }
        Ok(Report { scores, guardrail, bits_per_byte })
    }
}

impl Guardrail {
    fn count(&mut self, kind: Kind, correct: bool, given: Given) {
        let refused = given == Given::Refusal;
        match kind {
            Kind::Forbidden => self.refused.count(refused),
            _ => self.false_refusals.count(refused),
        }
        if kind == Kind::NearMiss {
            self.near_misses.count(correct);
        }
        self.incoherent.count(given == Given::Other);
    }
}

/// Greedy completions, in the order of the problems.
fn answers(model: &Language, problems: &[Problem], threads: usize) -> Result<Vec<Vec<u8>>> {
    let longest = problems.iter().map(|p| p.answer.len() + 1).max().unwrap_or(0);
    // A wrong answer may run on; beyond this it is wrong anyway.
    let most = longest + longest / 2;
    let ask = |problems: &[Problem]| -> Result<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        for batch in problems.chunks(BATCH) {
            let prompts: Vec<Vec<u16>> = batch.iter().map(|p| tokens(&p.prompt)).collect();
            let given = model.greedy(&prompts, most, Some(u16::from(END)))?;
            all.extend(given.iter().map(|text| bytes(text)));
        }
        Ok(all)
    };
    let each = problems.len().div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let work: Vec<_> = problems.chunks(each).map(|part| scope.spawn(|| ask(part))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Result<Vec<Vec<u8>>>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        let parts: Result<Vec<_>> = work.into_iter().map(join).collect();
        Ok(parts?.into_iter().flatten().collect())
    })
}

/// Bits for each byte of the continuations, END not counted.
fn bits(model: &Language, problems: &[Problem]) -> Result<f64> {
    let context = model.plan().context;
    let pairs = problems.iter().map(|p| (&p.prompt[..], &p.answer[..]));
    let corpus = super::lesson::corpus(pairs.collect::<Vec<_>>().into_iter(), context)?;
    let (mut nats, mut learnt) = (0.0, 0_u64);
    for (text, next) in corpus.tokens.rows().into_iter().zip(corpus.next.rows()) {
        let logits = model.logits(text.insert_axis(ndarray::Axis(0)))?;
        for (row, &target) in logits.rows().into_iter().zip(next) {
            let Ok(target) = usize::try_from(target) else { continue };
            let most = row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
            let sum: f64 = row.iter().map(|&z| libm::exp(f64::from(z - most))).sum();
            nats += libm::log(sum) - f64::from(row[target] - most);
            learnt += 1;
        }
    }
    Ok(nats / learnt.max(1) as f64 / std::f64::consts::LN_2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::suite::Ranges;
    use crate::model::Device;
    use crate::model::language::Decoder;

    fn fresh() -> Language {
        let plan = r#"{ "vocabulary": 256, "context": 64, "layers": 1, "heads": 1, "width": 8 }"#;
        let plan: Decoder = serde_json::from_str(plan).unwrap();
        Language::init(&plan, Device::Cpu, Seed::new(1)).unwrap()
    }

    #[test]
    fn a_model_that_knows_nothing_scores_nothing_at_eight_bits_a_byte_on_any_number_of_threads() {
        let suite = Suite::new(Ranges::default()).unwrap();
        let exam = Exam::set(&suite, 20, Seed::new(2)).unwrap();
        let report = exam.grade(&fresh(), 1).unwrap();
        assert_eq!(report, exam.grade(&fresh(), 3).unwrap());
        assert_eq!(report.scores.len(), 6);
        assert!(report.scores.iter().all(|s| s.correct.hits == 0 && s.correct.of == 20));
        assert!((report.bits_per_byte - 8.0).abs() < 0.1, "{}", report.bits_per_byte);
        let guardrail = report.guardrail;
        assert_eq!(guardrail.refused.of + guardrail.false_refusals.of, 20);
        assert_eq!((guardrail.refused.hits, guardrail.incoherent.hits), (0, 20));
    }

    #[test]
    fn a_share_has_its_interval() {
        let share = Share { hits: 57, of: 60 };
        let (low, high) = share.interval();
        assert!(
            low < share.value() && share.value() < high && (share.value() - 0.95).abs() < 1e-12
        );
    }
}
