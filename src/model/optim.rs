//! Update rules on plain slices, in the arithmetic of torch's 32-bit optimisers.
//!
//! SGD with momentum: Sutskever et al. 2013 in torch's form. AdamW: Loshchilov and Hutter 2019.

use serde::{Deserialize, Serialize};

use super::cpu::vectors;
use super::decay::Span;
use crate::error::{Error, Result};

/// Update rules.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Stochastic gradient descent with momentum, as torch defines it (no dampening, no Nesterov).
    Sgd {
        lr: f64,
        #[serde(default)]
        momentum: f64,
        #[serde(default)]
        weight_decay: f64,
    },
    /// Loshchilov and Hutter 2019, eps 1e-8.
    #[serde(rename = "adamw")]
    AdamW {
        lr: f64,
        #[serde(default)]
        weight_decay: f64,
        /// What a step keeps of the first and of the second moments, each 0 up to, but not, 1.
        #[serde(default = "usual", skip_serializing_if = "is_usual")]
        betas: [f64; 2],
    },
}

const BETAS: [f64; 2] = [0.9, 0.999];
const EPS: f64 = 1e-8;

const fn usual() -> [f64; 2] {
    BETAS
}

fn is_usual(betas: &[f64; 2]) -> bool {
    *betas == BETAS
}

impl Optimizer {
    /// AdamW with the usual betas, .9 and .999.
    pub const fn adamw(lr: f64, weight_decay: f64) -> Self {
        Self::AdamW { lr, weight_decay, betas: BETAS }
    }

    /// Refuses values outside their ranges.
    pub(super) fn check(&self) -> Result<()> {
        let (lr, decay, kept) = match *self {
            Self::Sgd { lr, momentum, weight_decay } => {
                (lr, weight_decay, [("momentum", momentum); 2])
            }
            Self::AdamW { lr, weight_decay, betas } => {
                (lr, weight_decay, betas.map(|beta| ("betas", beta)))
            }
        };
        let share = |(key, kept)| (key, kept, (0.0..1.0).contains(&kept), "0 up to, but not, 1");
        let checks = [
            ("lr", lr, lr.is_finite() && lr > 0.0, "a positive number"),
            ("weight_decay", decay, decay.is_finite() && decay >= 0.0, "0 or more"),
            share(kept[0]),
            share(kept[1]),
        ];
        for (key, found, ok, expected) in checks {
            if !ok {
                let key = format!("training.optimizer.{key}");
                return Err(Error::config(key, found.to_string(), expected));
            }
        }
        Ok(())
    }
}

/// An update rule with its memory of one set of parameters.
pub(super) struct Updater {
    rule: Optimizer,
    /// Without gaps, all parameters.
    spans: Vec<Span>,
    /// Momentum, or first moments.
    first: Vec<f32>,
    /// Second moments; empty for SGD.
    second: Vec<f32>,
    steps: i32,
}

impl Updater {
    /// For the parameters of these spans.
    pub(super) fn new(rule: &Optimizer, spans: Vec<Span>) -> Self {
        let parameters = spans.last().map_or(0, |span| span.part.end);
        let second = match rule {
            Optimizer::Sgd { .. } => Vec::new(),
            Optimizer::AdamW { .. } => vec![0.0; parameters],
        };
        Self { rule: rule.clone(), spans, first: vec![0.0; parameters], second, steps: 0 }
    }

    /// One step: moves the parameters against their gradient. `factor` is the schedule's.
    pub(super) fn update(&mut self, params: &mut [f32], grad: &[f32], factor: f64) {
        self.steps += 1;
        for Span { part, decay } in &self.spans {
            let part = part.clone();
            let (params, grad) = (&mut params[part.clone()], &grad[part.clone()]);
            let first = &mut self.first[part.clone()];
            match self.rule {
                Optimizer::Sgd { lr, momentum, weight_decay } => {
                    let rates = [lr * factor, momentum, weight_decay * decay].map(|v| v as f32);
                    vectors(
                        #[inline(always)]
                        || sgd(params, grad, first, rates),
                    );
                }
                Optimizer::AdamW { lr, weight_decay, betas: [b1, b2] } => {
                    let lr = lr * factor;
                    let bias1 = 1.0 - libm::pow(b1, f64::from(self.steps));
                    let bias2 = libm::sqrt(1.0 - libm::pow(b2, f64::from(self.steps)));
                    // lr mhat / (sqrt(vhat) + eps), with the corrections of both moments taken out.
                    let keep = 1.0 - lr * (weight_decay * decay);
                    let rates = [keep, lr * bias2 / bias1, EPS * bias2, b1, b2].map(|v| v as f32);
                    let second = &mut self.second[part];
                    vectors(
                        #[inline(always)]
                        || adamw(params, grad, first, second, rates),
                    );
                }
            }
        }
    }
}

/// Below these, gradients and moments count as zero: they move no weight by a bit that it has, and
/// numbers near the smallest of 32 bits would slow every step a hundredfold.
const GRADIENT: f32 = 1e-15;
const MOMENT: f32 = 1e-30;

/// Zero for numbers nearer to zero than `least`.
#[inline(always)]
fn at_least(least: f32, x: f32) -> f32 {
    if x.abs() < least { 0.0 } else { x }
}

#[inline(always)]
fn sgd(params: &mut [f32], grad: &[f32], memory: &mut [f32], rates: [f32; 3]) {
    let [lr, momentum, decay] = rates;
    for ((w, &g), m) in params.iter_mut().zip(grad).zip(memory) {
        *m = at_least(MOMENT, momentum * *m + (g + decay * *w));
        *w -= lr * *m;
    }
}

#[inline(always)]
fn adamw(params: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], rates: [f32; 5]) {
    let [keep, rate, eps, b1, b2] = rates;
    for (((w, &g), m), v) in params.iter_mut().zip(grad).zip(m).zip(v) {
        let g = at_least(GRADIENT, g);
        *m = at_least(MOMENT, *m + (1.0 - b1) * (g - *m));
        *v = at_least(MOMENT, b2 * *v + (1.0 - b2) * (g * g));
        *w = *w * keep - rate * *m / (v.sqrt() + eps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::clip::clip;

    fn run(rule: Optimizer, grads: &[f32]) -> f32 {
        let mut updater = Updater::new(&rule, vec![Span { part: 0..1, decay: 1.0 }]);
        let mut weights = [1.0];
        for &g in grads {
            updater.update(&mut weights, &[g], 1.0);
        }
        weights[0]
    }

    #[test]
    fn sgd_keeps_momentum_and_decays_through_the_gradient() {
        let rule = Optimizer::Sgd { lr: 0.1, momentum: 0.9, weight_decay: 0.5 };
        // m1 = 2 + .5 = 2.5, w1 = .75; m2 = 2.25 + 1 + .375 = 3.625, w2 = .3875
        assert!((run(rule, &[2.0, 1.0]) - 0.3875).abs() < 1e-6);
    }

    #[test]
    fn adamw_takes_a_first_step_of_the_learning_rate() {
        let rule = Optimizer::adamw(0.1, 0.5);
        // decay .95, then lr * sign(g)
        assert!((run(rule, &[2.0]) - 0.85).abs() < 1e-6);
    }

    #[test]
    fn adamw_corrects_the_bias_of_both_moments() {
        let rule = Optimizer::adamw(0.1, 0.0);
        // m = .2, .08 -> mhat = .08 / .19; v = .004, .004996 -> vhat = .004996 / .001999
        let (m_hat, v_hat) = (0.08 / 0.19, 0.004_996 / 0.001_999_f64);
        let expected = 0.9 - 0.1 * m_hat / v_hat.sqrt();
        assert!((f64::from(run(rule, &[2.0, -1.0])) - expected).abs() < 1e-5);
    }

    #[test]
    fn values_out_of_range_name_their_key() {
        for (rule, key) in [
            (Optimizer::adamw(0.0, 0.0), "optimizer.lr"),
            (Optimizer::adamw(1.0, -1.0), "optimizer.weight_decay"),
            (Optimizer::Sgd { lr: 1.0, momentum: 1.0, weight_decay: 0.0 }, "optimizer.momentum"),
            (betas(1.0, 0.9), "optimizer.betas: found 1,"),
            (betas(0.9, -0.1), "optimizer.betas: found -0.1,"),
            (betas(0.9, f64::NAN), "optimizer.betas: found NaN,"),
        ] {
            assert!(rule.check().unwrap_err().to_string().contains(key));
        }
    }

    fn betas(first: f64, second: f64) -> Optimizer {
        Optimizer::AdamW { lr: 0.01, weight_decay: 0.05, betas: [first, second] }
    }

    #[test]
    fn betas_are_written_only_where_they_are_not_the_usual_ones() {
        let text = |rule| serde_json::to_string(&rule).unwrap();
        let short = r#"{"kind":"adamw","lr":0.01,"weight_decay":0.05}"#;
        let long = r#"{"kind":"adamw","lr":0.01,"weight_decay":0.05,"betas":[0.9,0.99]}"#;
        assert_eq!(text(Optimizer::adamw(0.01, 0.05)), short);
        assert_eq!(text(betas(0.9, 0.99)), long);
        let read = |text| serde_json::from_str::<Optimizer>(text).unwrap();
        assert_eq!((read(short), read(long)), (Optimizer::adamw(0.01, 0.05), betas(0.9, 0.99)));
    }

    /// A matrix `[2, 3]`, then a bias `[3]`, after each of three steps of torch 2.15:
    /// `torch.optim.AdamW([{"params": [w], "weight_decay": .05}, {"params": [b], "weight_decay": 0}],
    /// lr=.01, betas=(.9, .99))`, each after `clip_grad_norm_([w, b], 1.0)`. The second gradient is short
    /// enough to stay.
    #[test]
    fn three_steps_with_clipping_betas_and_decay_of_matrices_are_those_of_torch() {
        let start = [0.5, -1.0, 0.25, 1.5, 0.75, -0.5, 0.1, -0.2, 0.3];
        let grads = [
            [0.3, -0.2, 0.1, 0.4, -0.5, 0.6, 2.0, -1.0, 0.5],
            [-0.1, 0.2, 0.05, 0.3, 0.1, -0.2, 0.15, 0.25, -0.3],
            [1.0, 3.0, -2.0, 0.5, 0.0, -1.5, 0.7, -0.4, 2.5],
        ];
        #[rustfmt::skip]
        let torch: [[f64; 9]; 3] = [
            [0.489_75, -0.989_499_9, 0.239_874_99, 1.489_249_94, 0.759_624_96, -0.509_750_01,
                0.09, -0.19, 0.290_000_02],
            [0.489_088_06, -0.993_397_65, 0.229_761_44, 1.478_791_48, 0.761_940_18, -0.509_912_19,
                0.082_033_4, -0.188_230_19, 0.292_442_41],
            [0.483_568_52, -1.000_023_13, 0.234_751_45, 1.468_996_88, 0.763_647_2, -0.505_397_8,
                0.074_840_75, -0.185_778_01, 0.288_298_99],
        ];
        let spans = vec![Span { part: 0..6, decay: 1.0 }, Span { part: 6..9, decay: 0.0 }];
        let (mut updater, mut weights) = (Updater::new(&betas(0.9, 0.99), spans), start);
        for (mut grad, expected) in grads.into_iter().zip(torch) {
            clip(&mut grad, 1.0);
            updater.update(&mut weights, &grad, 1.0);
            for (found, expected) in weights.iter().zip(expected) {
                let far = (f64::from(*found) - expected).abs();
                assert!(far < 3e-7, "{found}, torch {expected}");
            }
        }
    }
}
