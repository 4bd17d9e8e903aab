//! Training of a decoder's output layer alone, towards its texts and away from another model.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1};

use super::{Corpus, Language};
use crate::error::{Error, Result, expect_shape};
use crate::model::cpu;
use crate::model::decay::Decay;
use crate::model::layer::{Dense, Layer, Pass};
use crate::model::loss::soften;
use crate::model::network::Network;
use crate::model::optim::{Optimizer, Updater};
use crate::model::train::Order;
use crate::seed::Seed;

/// What an output layer is trained for: the mean cross-entropy of the tokens that count, less `weight` times the
/// mean over `places` of KL(p || q), p this model and q the other, both at `temperature`.
#[derive(Clone, Copy, Debug)]
pub struct Away<'a> {
    pub other: &'a Language,
    pub weight: f64,
    pub temperature: f64,
    /// `[n, context]` the positions of the corpus, of those that count, at which the models are to differ.
    pub places: &'a Array2<bool>,
}

/// How it is trained: AdamW without decay, at one rate.
#[derive(Clone, Copy, Debug)]
pub struct HeadRecipe {
    pub lr: f64,
    pub steps: usize,
    /// Texts of a step.
    pub batch: usize,
}

impl Language {
    /// The same decoder with another output layer. All other weights stay.
    pub fn with_head_away(
        &self,
        corpus: &Corpus,
        away: &Away<'_>,
        recipe: &HeadRecipe,
        seed: Seed,
    ) -> Result<Self> {
        self.check_lessons(corpus)?;
        away.other.check_tokens(corpus.tokens.view())?;
        expect_shape("places of texts", away.places.shape(), corpus.tokens.shape())?;
        let (own, other) = (self.plan.vocabulary, away.other.plan.vocabulary);
        if own != other {
            return Err(Error::input("tokens of the other model", other, format!("{own}")));
        }
        let optimizer = Optimizer::adamw(recipe.lr, 0.0);
        optimizer.check()?;
        let (body, head) = self.split_head()?;
        let network = Network::new(vec![Layer::Dense(head)]);
        let mut params = self.params[self.params.len() - network.parameters()..].to_vec();
        let mut updater = Updater::new(&optimizer, Decay::All.spans(network.slots()));
        let mut grads = vec![0.0; params.len()];
        let mut readers = Readers {
            body: cpu::Runner::of_fixed(&self.network),
            layers: body,
            other: cpu::Runner::of_fixed(&away.other.network),
        };
        let mut runner = cpu::Runner::new(&network);
        let texts = corpus.tokens.nrows();
        let mut order = Order::new((0..texts).collect(), seed.child("head"));
        let mut taken = Vec::new();
        for step in 1..=recipe.steps {
            order.take(recipe.batch.clamp(1, texts), &mut taken);
            let batch = readers.read(self, corpus, away, &taken);
            let rows = batch.next.len();
            if rows == 0 {
                continue;
            }
            let pull = |logits: &[f32], grad: &mut [f32]| batch.pull(logits, grad, away, own);
            let loss = runner.learn(&params, &batch.hidden, rows, Pass::Trace, pull, &mut grads);
            if !(loss.is_finite() && grads.iter().all(|g| g.is_finite())) {
                return Err(Error::Diverged { step, last_loss: None });
            }
            updater.update(&mut params, &grads, 1.0);
        }
        let mut all = self.params.to_vec();
        let start = all.len() - params.len();
        all[start..].copy_from_slice(&params);
        Ok(Self { params: Arc::new(all), ..self.clone() })
    }

    /// Number of the layers below the output layer, and the latter with its parameters at the beginning.
    fn split_head(&self) -> Result<(usize, Dense)> {
        match self.network.layers() {
            [body @ .., Layer::Dense(head)] => {
                Ok((body.len(), Dense { times: 1, at: 0, ..head.clone() }))
            }
            _ => {
                let expected = "one that shares no rows with the embedding";
                Err(Error::input("output layer that is to learn", "a tied one", expected))
            }
        }
    }
}

/// The models below the layer that learns.
struct Readers {
    body: cpu::Runner<f32>,
    layers: usize,
    other: cpu::Runner<f32>,
}

/// The positions of a batch that count.
#[derive(Default)]
struct Batch {
    /// `[rows, width]` what the output layer gets.
    hidden: Vec<f32>,
    /// `[rows]` the token that is to follow.
    next: Vec<usize>,
    /// `[rows]` the other model's logits, where the models are to differ.
    other: Vec<Option<Vec<f64>>>,
}

impl Readers {
    fn read(
        &mut self,
        model: &Language,
        corpus: &Corpus,
        away: &Away<'_>,
        taken: &[usize],
    ) -> Batch {
        let (width, vocabulary) = (model.plan.width, model.plan.vocabulary);
        let numbers = |text: usize| -> Vec<f32> {
            corpus.tokens.row(text).iter().map(|&token| f32::from(token)).collect()
        };
        let mut batch = Batch::default();
        for &text in taken {
            let x = numbers(text);
            let hidden = self.body.answer(&model.params, &x, 1, self.layers);
            let places: ArrayView1<'_, bool> = away.places.row(text);
            let layers = away.other.network.layers().len();
            let differs = places.iter().any(|place| *place);
            let other = match differs {
                true => Some(self.other.answer(&away.other.params, &x, 1, layers)),
                false => None,
            };
            for (at, next) in corpus.next.row(text).iter().enumerate() {
                let Ok(next) = usize::try_from(*next) else { continue };
                batch.hidden.extend_from_slice(&hidden[at * width..][..width]);
                batch.next.push(next);
                let row = other.filter(|_| places[at]).map(|other| {
                    let row = &other[at * vocabulary..][..vocabulary];
                    row.iter().map(|&z| f64::from(z)).collect()
                });
                batch.other.push(row);
            }
        }
        batch
    }
}

impl Batch {
    /// The loss of these rows of logits; its gradient into `grad`.
    fn pull(&self, logits: &[f32], grad: &mut [f32], away: &Away<'_>, vocabulary: usize) -> f64 {
        let rows = self.next.len() as f64;
        let apart = self.other.iter().flatten().count().max(1) as f64;
        let mut loss = 0.0;
        let each = logits.chunks_exact(vocabulary).zip(grad.chunks_exact_mut(vocabulary));
        for ((z, grad), (&next, other)) in each.zip(self.next.iter().zip(&self.other)) {
            let z: Vec<f64> = z.iter().map(|&z| f64::from(z)).collect();
            let mut q = z.clone();
            soften(&mut q, vocabulary);
            loss -= libm::log(q[next].max(f64::MIN_POSITIVE)) / rows;
            q[next] -= 1.0;
            q.iter_mut().for_each(|q| *q /= rows);
            if let Some(other) = other {
                let (kl, pull) = divergence(&z, other, away.temperature);
                loss -= away.weight * kl / apart;
                q.iter_mut().zip(pull).for_each(|(q, g)| *q -= away.weight * g / apart);
            }
            grad.iter_mut().zip(q).for_each(|(g, q)| *g = q as f32);
        }
        loss
    }
}

/// KL(p || q) of two rows of logits at a temperature, and its gradient by the first:
/// p_k (log p_k - log q_k - KL) / temperature.
fn divergence(z: &[f64], other: &[f64], temperature: f64) -> (f64, Vec<f64>) {
    let log_softmax = |z: &[f64]| -> Vec<f64> {
        let most = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = z.iter().map(|z| libm::exp((z - most) / temperature)).sum();
        z.iter().map(|z| (z - most) / temperature - libm::log(sum)).collect()
    };
    let (p, q) = (log_softmax(z), log_softmax(other));
    let terms: Vec<(f64, f64)> = p.iter().zip(&q).map(|(p, q)| (libm::exp(*p), p - q)).collect();
    let kl = terms.iter().map(|(p, ratio)| p * ratio).sum::<f64>();
    (kl, terms.iter().map(|(p, ratio)| p * (ratio - kl) / temperature).collect())
}

#[cfg(test)]
mod tests {
    use super::super::Decoder;
    use super::*;
    use crate::model::Device;

    fn decoder(width: usize, seed: u64) -> Language {
        let plan = format!(
            r#"{{ "vocabulary": 11, "context": 12, "layers": 1, "heads": 2, "width": {width},
                "fresh": "fan-in" }}"#
        );
        let plan: Decoder = serde_json::from_str(&plan).unwrap();
        Language::init(&plan, Device::Cpu, Seed::new(seed)).unwrap()
    }

    fn counting() -> Corpus {
        let tokens = Array2::from_shape_fn((30, 12), |(i, at)| ((i + at) % 11) as u16);
        let next = tokens.mapv(|t| i32::from((t + 1) % 11));
        Corpus { tokens, next }
    }

    #[test]
    fn the_divergence_and_its_gradient_agree_with_a_case_by_hand_and_with_differences() {
        // At temperature 2 odds of 4 become 2: p = (2/3, 1/3) against q = (1/2, 1/2).
        let (kl, _) = divergence(&[4_f64.ln(), 0.0], &[1.0, 1.0], 2.0);
        let expected = 2.0 / 3.0 * (4.0_f64 / 3.0).ln() + 1.0 / 3.0 * (2.0_f64 / 3.0).ln();
        assert!((kl - expected).abs() < 1e-12, "{kl}");
        let (z, other) = ([0.3, -1.2, 0.8], [1.0, 0.1, -0.4]);
        let (_, pull) = divergence(&z, &other, 2.0);
        for (k, pull) in pull.into_iter().enumerate() {
            let at = |by: f64| {
                let mut z = z;
                z[k] += by;
                divergence(&z, &other, 2.0).0
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((slope - pull).abs() < 1e-9, "{slope} {pull}");
        }
    }

    #[test]
    fn the_gradient_of_a_batch_agrees_with_differences_of_its_loss() {
        let other = decoder(8, 2);
        let places = Array2::from_elem((1, 12), true);
        let away = Away { other: &other, weight: 0.7, temperature: 2.0, places: &places };
        let rows = [Some(vec![0.1, 0.9, -0.3]), None, Some(vec![-1.0, 0.2, 0.4])].to_vec();
        let batch = Batch { hidden: vec![], next: vec![2, 0, 1], other: rows };
        let logits = [0.5_f32, -0.25, 1.0, 0.125, 0.75, -0.5, 1.5, 0.25, -1.0];
        let mut grad = [0.0; 9];
        batch.pull(&logits, &mut grad, &away, 3);
        for (k, grad) in grad.into_iter().enumerate() {
            let at = |by: f32| {
                let mut logits = logits;
                logits[k] += by;
                batch.pull(&logits, &mut [0.0; 9], &away, 3)
            };
            let step = 1.0 / 256.0;
            let slope = (at(step) - at(-step)) / (2.0 * f64::from(step));
            assert!((slope - f64::from(grad)).abs() < 1e-5, "{slope} {grad}");
        }
    }

    #[test]
    fn only_the_output_layer_learns_and_it_moves_away_where_it_is_to() {
        let (model, other, corpus) = (decoder(16, 1), decoder(8, 2), counting());
        let places = Array2::from_shape_fn((30, 12), |(_, at)| at < 6);
        let train = |weight| {
            let away = Away { other: &other, weight, temperature: 2.0, places: &places };
            let recipe = HeadRecipe { lr: 1e-2, steps: 150, batch: 10 };
            model.with_head_away(&corpus, &away, &recipe, Seed::new(4)).unwrap()
        };
        let (near, far) = (train(0.0), train(0.5));
        for ((name, _, old), (_, _, new)) in model.weights().into_iter().zip(far.weights()) {
            assert_eq!(old != new, name.starts_with("output."), "{name}");
        }
        let kl = |model: &Language, early: bool| {
            let rows = |model: &Language| model.logits(corpus.tokens.view()).unwrap();
            let (own, other) = (rows(model), rows(&other));
            let mut sum = 0.0;
            for (i, (a, b)) in own.rows().into_iter().zip(other.rows()).enumerate() {
                if (i % 12 < 6) == early {
                    let [a, b] = [a, b].map(|z| z.mapv(f64::from).to_vec());
                    sum += divergence(&a, &b, 2.0).0 / 180.0;
                }
            }
            sum
        };
        assert!(kl(&far, true) > kl(&near, true) + 0.02, "{} {}", kl(&far, true), kl(&near, true));
        let learnt = |model: &Language| {
            let logits = model.logits(corpus.tokens.view()).unwrap();
            let rows = logits.rows().into_iter().zip(&corpus.next);
            rows.filter(|(z, next)| crate::oracle::argmax(z.iter()) as i32 == **next).count()
        };
        assert!(learnt(&near) > learnt(&model), "the texts are learnt");
        assert_eq!(train(0.5).weights(), far.weights());
    }

    #[test]
    fn models_that_do_not_go_together_are_refused() {
        let (model, corpus) = (decoder(16, 1), counting());
        let other: Decoder = serde_json::from_str(
            r#"{ "vocabulary": 12, "context": 12, "layers": 1, "heads": 1, "width": 8 }"#,
        )
        .unwrap();
        let other = Language::init(&other, Device::Cpu, Seed::new(1)).unwrap();
        let recipe = HeadRecipe { lr: 1e-2, steps: 1, batch: 10 };
        let train = |other: &Language, n| {
            let places = Array2::from_elem((n, 12), true);
            let away = Away { other, weight: 1.0, temperature: 2.0, places: &places };
            model.with_head_away(&corpus, &away, &recipe, Seed::new(4)).unwrap_err().to_string()
        };
        assert!(train(&other, 30).contains("tokens of the other model: found 12, expected 11"));
        assert!(train(&decoder(8, 2), 29).contains("places of texts"));
    }
}
