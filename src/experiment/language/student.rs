//! A student of text alone: it asks training problems, keeps what the teacher answered, and learns to write the
//! same (sequence-level distillation, Kim and Rush 2016).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CONTEXT, bytes, decoder, lesson, tokens};
use crate::data::suite::{END, Mix, Problem, Suite};
use crate::error::Result;
use crate::model::language::{Language, Sampling};
use crate::model::{Decay, Device, Optimizer, Recipe, Schedule};
use crate::seed::Seed;

/// Texts that the teacher continues together.
const BATCH: usize = 64;

/// What an API shows of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scratchpad {
    /// All of it.
    #[default]
    Shown,
    /// Only what follows the last `=`, where the capability has a scratchpad.
    Hidden,
}

/// How a student is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct StudentSpec {
    /// Blocks, heads of each, and their width.
    pub layers: usize,
    pub heads: usize,
    pub width: usize,
    /// Highest learning rate.
    pub lr: f64,
    /// Exchanges of a step.
    pub batch: usize,
    /// Steps, whatever the budget: students of several budgets then differ in data alone.
    pub steps: usize,
    /// How it has the teacher choose its words.
    pub sampling: Sampling,
}

impl Default for StudentSpec {
    fn default() -> Self {
        Self {
            layers: 2,
            heads: 4,
            width: 96,
            lr: 2e-3,
            batch: 20,
            steps: 4_000,
            sampling: Sampling::default(),
        }
    }
}

/// A prompt and what came back for it, [`END`] included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub prompt: Vec<u8>,
    pub completion: Vec<u8>,
}

/// The first `budget` exchanges of an actor with this seed. Whoever has a smaller budget holds the first of
/// whoever has a larger one.
pub fn transfer_set(
    teacher: &Language,
    suite: &Suite,
    mix: &Mix,
    sampling: &Sampling,
    budget: usize,
    seed: Seed,
) -> Result<Vec<(Problem, Exchange)>> {
    let problems = lesson::problems(suite, mix, budget, seed.child("questions"));
    let mut all = Vec::with_capacity(budget);
    for batch in problems.chunks(BATCH) {
        let prompts: Vec<Vec<u16>> = batch.iter().map(|p| tokens(&p.prompt)).collect();
        let first = all.len() as u64;
        let streams: Vec<Seed> =
            (first..).take(batch.len()).map(|i| seed.nth("answer", i)).collect();
        let answers =
            teacher.sample(&prompts, CONTEXT, Some(u16::from(END)), sampling, &streams)?;
        for (problem, answer) in batch.iter().zip(answers) {
            let exchange = Exchange { prompt: problem.prompt.clone(), completion: bytes(&answer) };
            all.push((problem.clone(), exchange));
        }
    }
    Ok(all)
}

/// What is left of exchanges behind an API that shows so much of them.
pub fn shown(exchanges: &[(Problem, Exchange)], scratchpad: Scratchpad) -> Vec<Exchange> {
    let each = exchanges.iter().map(|(problem, exchange)| match scratchpad {
        Scratchpad::Shown => exchange.clone(),
        Scratchpad::Hidden => {
            let rest = problem.capability.without_scratchpad(&exchange.completion);
            let ended = exchange.completion.contains(&END);
            let end: &[u8] = if ended { &[END] } else { &[] };
            Exchange { completion: [rest, end].concat(), ..exchange.clone() }
        }
    });
    each.filter(|exchange| !exchange.completion.is_empty()).collect()
}

impl StudentSpec {
    /// Trains a fresh student on what it holds.
    pub fn learn(&self, held: &[Exchange], seed: Seed) -> Result<Language> {
        let plan = decoder(self.layers, self.heads, self.width);
        let recipe = Recipe {
            optimizer: Optimizer::AdamW { lr: self.lr, weight_decay: 0.05, betas: [0.9, 0.99] },
            decay: Decay::Matrices,
            schedule: Schedule::WarmCosine { steps: (self.steps / 20).max(1), floor: 0.05 },
            clip: 1.0,
            batch: self.batch,
            steps: self.steps,
            // A student that has seen everything many times stops where it would memorise.
            validation: 0.05,
            check_every: 200,
            ..Recipe::default()
        };
        let pairs = held.iter().map(|e| (&e.prompt[..], &e.completion[..]));
        let corpus = lesson::corpus(pairs, CONTEXT)?;
        let fresh = Language::init(&plan, Device::Cpu, seed.child("init"))?;
        Ok(fresh.fit(&corpus, &recipe, seed.child("fit"))?.selected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::suite::{Capability, Ranges};

    fn teacher() -> Language {
        Language::init(&decoder(1, 1, 8), Device::Cpu, Seed::new(1)).unwrap()
    }

    #[test]
    fn whoever_holds_fewer_exchanges_holds_the_first() {
        let suite = Suite::new(Ranges::default()).unwrap();
        let ask = |budget| {
            let (mix, sampling) = (Mix::default(), Sampling::default());
            transfer_set(&teacher(), &suite, &mix, &sampling, budget, Seed::new(2)).unwrap()
        };
        let (few, many) = (ask(30), ask(100));
        assert_eq!(few[..], many[..30]);
        assert!(many.iter().all(|(p, e)| p.prompt == e.prompt && !e.completion.is_empty()));
    }

    #[test]
    fn a_hidden_scratchpad_leaves_the_result_and_other_answers_alone() {
        let of = |capability: Capability, completion: &[u8]| {
            let suite = Suite::new(Ranges::default()).unwrap();
            let mut rng = Seed::new(3).rng();
            let problem = suite.draw(capability, crate::data::suite::Split::Train, &mut rng);
            let exchange =
                Exchange { prompt: problem.prompt.clone(), completion: completion.to_vec() };
            shown(&[(problem, exchange)], Scratchpad::Hidden)
                .pop()
                .map(|e| String::from_utf8(e.completion).unwrap())
        };
        assert_eq!(of(Capability::Reasoning, b"37.0,80c9=1490\0").unwrap(), "=1490\0");
        assert_eq!(of(Capability::Run, b"+7=13-2=11").unwrap(), "=11");
        assert_eq!(of(Capability::Reasoning, b"no result"), None);
        assert_eq!(of(Capability::Format, b"a=b\0").unwrap(), "a=b\0");
    }

    #[test]
    fn a_student_learns_what_it_holds() {
        let exchange = |i: u8| Exchange {
            prompt: vec![b'F', b'a' + i % 20, b'>'],
            completion: vec![b'a' + i % 20, END],
        };
        let held: Vec<Exchange> = (0..100).map(exchange).collect();
        let spec = StudentSpec { layers: 1, heads: 2, width: 16, steps: 300, ..Default::default() };
        let student = spec.learn(&held, Seed::new(4)).unwrap();
        let prompts = [vec![u16::from(b'F'), u16::from(b'd'), u16::from(b'>')]];
        let answer = student.greedy(&prompts, 5, Some(0)).unwrap();
        assert_eq!(answer[0], [u16::from(b'd'), 0]);
    }
}
