//! The gradient of a decoder's own loss, and small steps along a direction of its weights.

use std::sync::Arc;

use super::{Corpus, Language};
use crate::error::{Error, Result, expect_shape};
use crate::model::cpu;
use crate::model::layer::Pass;
use crate::model::loss::soften;

/// Texts of one pass.
const PIECE: usize = 16;

impl Language {
    /// Gradient of the mean cross-entropy over the tokens that count, in the order of the parameters; nothing is
    /// dropped. Computed on the processor.
    pub fn gradient(&self, corpus: &Corpus) -> Result<Vec<f32>> {
        self.check_lessons(corpus)?;
        let (texts, vocabulary) = (corpus.tokens.nrows(), self.plan.vocabulary);
        let counted = corpus.next.iter().filter(|next| **next >= 0).count().max(1) as f64;
        let mut runner = cpu::Runner::of_fixed(&self.network);
        let mut part = vec![0.0_f32; self.params.len()];
        let mut sum = vec![0.0_f64; self.params.len()];
        for first in (0..texts).step_by(PIECE) {
            let piece = first..(first + PIECE).min(texts);
            let rows = piece.clone().flat_map(|text| corpus.tokens.row(text));
            let x: Vec<f32> = rows.map(|&token| f32::from(token)).collect();
            let next = piece.clone().flat_map(|text| corpus.next.row(text));
            let learn = |logits: &[f32], grad: &mut [f32]| {
                let mut z: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
                soften(&mut z, vocabulary);
                grad.fill(0.0);
                let rows = z.chunks_exact_mut(vocabulary).zip(grad.chunks_exact_mut(vocabulary));
                for ((q, grad), &next) in rows.zip(next) {
                    // Softmax less the token that is to follow; nothing where none is.
                    let Ok(next) = usize::try_from(next) else { continue };
                    q[next] -= 1.0;
                    grad.iter_mut().zip(q).for_each(|(g, q)| *g = (*q / counted) as f32);
                }
            };
            runner.learn(&self.params, &x, piece.len(), Pass::Trace, learn, &mut part);
            sum.iter_mut().zip(&part).for_each(|(sum, &g)| *sum += f64::from(g));
        }
        Ok(sum.into_iter().map(|g| g as f32).collect())
    }

    /// The same decoder with weights w + by * direction.
    pub fn moved(&self, direction: &[f32], by: f64) -> Result<Self> {
        expect_shape("direction of weights", &[direction.len()], &[self.params.len()])?;
        let step = |(&w, &d): (&f32, &f32)| (f64::from(w) + by * f64::from(d)) as f32;
        let params: Vec<f32> = self.params.iter().zip(direction).map(step).collect();
        if !params.iter().all(|w| w.is_finite()) {
            return Err(Error::input("step along a direction of weights", by, "finite weights"));
        }
        Ok(Self { params: Arc::new(params), ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::Decoder;
    use super::*;
    use crate::Seed;
    use crate::model::Device;

    /// Mean cross-entropy over the tokens that count, from whole logits.
    fn loss(model: &Language, corpus: &Corpus) -> f64 {
        let logits = model.logits(corpus.tokens.view()).unwrap();
        let (mut sum, mut count) = (0.0, 0.0);
        for (row, &next) in logits.rows().into_iter().zip(&corpus.next) {
            let Ok(next) = usize::try_from(next) else { continue };
            let mass: f64 = row.iter().map(|&z| libm::exp(f64::from(z))).sum();
            sum += libm::log(mass) - f64::from(row[next]);
            count += 1.0;
        }
        sum / count
    }

    #[test]
    fn a_step_along_the_gradient_changes_the_loss_by_its_square() {
        let plan = r#"{ "vocabulary": 11, "context": 12, "layers": 2, "heads": 2, "width": 16,
            "dropout": 0.2, "fresh": "fan-in" }"#;
        let plan: Decoder = serde_json::from_str(plan).unwrap();
        let model = Language::init(&plan, Device::Cpu, Seed::new(1)).unwrap();
        let tokens = Array2::from_shape_fn((37, 12), |(i, at)| ((3 * i + at * at) % 11) as u16);
        let next = Array2::from_shape_fn((37, 12), |(i, at)| match (i + at) % 3 {
            0 => -1,
            _ => ((i + 2 * at) % 11) as i32,
        });
        let corpus = Corpus { tokens, next };
        let gradient = model.gradient(&corpus).unwrap();
        let square: f64 = gradient.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
        let at = |by| loss(&model.moved(&gradient, by).unwrap(), &corpus);
        let step = 1e-3 / square.sqrt();
        let slope = (at(step) - at(-step)) / (2.0 * step);
        assert!((slope / square - 1.0).abs() < 1e-2, "{slope} {square}");
        assert!(model.moved(&gradient[1..], 1.0).is_err());
        assert!(model.moved(&gradient, f64::INFINITY).is_err());
    }
}
