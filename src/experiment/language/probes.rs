//! Places at which models are compared with the undefended teacher, distribution beside distribution.

use super::exam::Exam;
use super::lesson;
use crate::data::suite::{Capability, Problem};
use crate::error::Result;
use crate::model::language::{Corpus, Language, Tell, TokenTargets};
use crate::seed::Seed;

/// Problems of each capability whose right answers are gone along.
const PROBLEMS: usize = 50;

/// The teacher's distribution at every place of right answers.
pub struct Probes {
    /// Of each text.
    capabilities: Vec<Capability>,
    corpus: Corpus,
    told: TokenTargets,
}

impl Probes {
    /// Of the first problems of each capability.
    pub fn of(exam: &Exam, teacher: &Language) -> Result<Self> {
        let problems: Vec<&Problem> =
            exam.problems().flat_map(|(_, p)| p.iter().take(PROBLEMS)).collect();
        let completions: Vec<Vec<u8>> = problems.iter().map(|p| p.completion()).collect();
        let pairs = problems.iter().zip(&completions).map(|(p, c)| (&p.prompt[..], &c[..]));
        let corpus = lesson::corpus(pairs, super::CONTEXT)?;
        let capabilities = problems.iter().map(|problem| problem.capability).collect();
        let told = told(teacher, &corpus)?;
        Ok(Self { capabilities, corpus, told })
    }

    /// Mean KL(teacher || model) over the places of each capability, in nats.
    pub fn kl(&self, model: &Language) -> Result<Vec<(Capability, f64)>> {
        let own = told(model, &self.corpus)?;
        let mut sums = Capability::ALL.map(|_| (0.0, 0_usize));
        for (places, capability) in self.corpus.rows().into_iter().zip(&self.capabilities) {
            let sum = &mut sums[*capability as usize];
            for place in places {
                *sum = (sum.0 + self.told.kl(&own, place)?, sum.1 + 1);
            }
        }
        let mean = |c: &Capability| (*c, sums[*c as usize].0 / sums[*c as usize].1.max(1) as f64);
        Ok(Capability::ALL.iter().map(mean).collect())
    }
}

/// Whole distributions; nothing is drawn.
fn told(model: &Language, corpus: &Corpus) -> Result<TokenTargets> {
    model.score(corpus, Tell::Full, Seed::new(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::suite::{Ranges, Suite};
    use crate::model::Device;

    #[test]
    fn a_model_is_at_no_distance_from_itself_and_at_some_from_others() {
        let suite = Suite::new(Ranges::default()).unwrap();
        let exam = Exam::set(&suite, 3, Seed::new(1)).unwrap();
        let model = |seed| {
            let plan = super::super::decoder(1, 2, 16);
            Language::init(&plan, Device::Cpu, Seed::new(seed)).unwrap()
        };
        let (teacher, other) = (model(1), model(2));
        let probes = Probes::of(&exam, &teacher).unwrap();
        let own = probes.kl(&teacher).unwrap();
        assert!(own.len() == 7 && own.iter().all(|(_, kl)| kl.abs() < 1e-6), "{own:?}");
        assert!(probes.kl(&other).unwrap().iter().all(|(_, kl)| *kl > 1e-3));
    }
}
