//! Places at which models are compared with the undefended teacher, distribution beside distribution.

use ndarray::{Array2, Axis};

use super::exam::Exam;
use super::lesson;
use crate::data::suite::Capability;
use crate::error::Result;
use crate::model::language::{Corpus, Language};

/// Problems of each capability whose right answers are gone along.
const PROBLEMS: usize = 50;

/// The teacher's distribution at every place of right answers.
pub struct Probes {
    /// Of each text.
    capabilities: Vec<Capability>,
    corpus: Corpus,
    /// `[places that are learnt, vocabulary]` natural logarithms, text after text.
    logs: Array2<f32>,
}

impl Probes {
    /// Of the first problems of each capability.
    pub fn of(exam: &Exam, teacher: &Language) -> Result<Self> {
        let problems = || exam.problems().flat_map(|(_, p)| p.iter().take(PROBLEMS));
        let completions: Vec<Vec<u8>> = problems().map(|p| p.completion()).collect();
        let pairs = problems().zip(&completions).map(|(p, c)| (&p.prompt[..], &c[..]));
        let corpus = lesson::corpus(pairs.collect::<Vec<_>>().into_iter(), super::CONTEXT)?;
        let capabilities = problems().map(|problem| problem.capability).collect();
        let mut logs = Vec::new();
        for text in 0..corpus.tokens.nrows() {
            let rows = log_rows(teacher, &corpus, text)?;
            rows.iter().for_each(|row| logs.extend(row.iter().map(|&v| v as f32)));
        }
        let vocabulary = teacher.plan().vocabulary;
        let places = logs.len() / vocabulary;
        let logs = Array2::from_shape_vec((places, vocabulary), logs).expect("whole rows");
        Ok(Self { capabilities, corpus, logs })
    }

    /// Mean KL(teacher || model) over the places of each capability, in nats.
    pub fn kl(&self, model: &Language) -> Result<Vec<(Capability, f64)>> {
        let mut sums = Capability::ALL.map(|_| (0.0, 0_usize));
        let mut place = 0;
        for (text, capability) in self.capabilities.iter().enumerate() {
            for row in log_rows(model, &self.corpus, text)? {
                let teacher = self.logs.row(place);
                let kl = |(&p, q): (&f32, f64)| {
                    let p = f64::from(p);
                    libm::exp(p) * (p - q)
                };
                let sum = &mut sums[*capability as usize];
                *sum = (sum.0 + teacher.iter().zip(row).map(kl).sum::<f64>(), sum.1 + 1);
                place += 1;
            }
        }
        let mean = |c: &Capability| (*c, sums[*c as usize].0 / sums[*c as usize].1.max(1) as f64);
        Ok(Capability::ALL.iter().map(mean).collect())
    }
}

/// Log softmax at the places of a text that are learnt.
fn log_rows(model: &Language, corpus: &Corpus, text: usize) -> Result<Vec<Vec<f64>>> {
    let tokens = corpus.tokens.row(text).insert_axis(Axis(0));
    let logits = model.logits(tokens)?;
    let learnt = logits.rows().into_iter().zip(corpus.next.row(text)).filter(|(_, t)| **t >= 0);
    let each = learnt.map(|(row, _)| {
        let most = f64::from(row.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b)));
        let mass: f64 = row.iter().map(|&z| libm::exp(f64::from(z) - most)).sum();
        let shift = most + libm::log(mass);
        row.iter().map(|&z| f64::from(z) - shift).collect()
    });
    Ok(each.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::suite::{Ranges, Suite};
    use crate::model::Device;
    use crate::seed::Seed;

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
