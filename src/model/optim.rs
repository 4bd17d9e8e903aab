//! Update rules on plain slices, in the arithmetic of torch's 32-bit optimisers.
//!
//! SGD with momentum: Sutskever et al. 2013 in torch's form. AdamW: Loshchilov and Hutter 2019.

use serde::{Deserialize, Serialize};

use super::cpu::vectors;
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
    /// Loshchilov and Hutter 2019, betas .9 and .999, eps 1e-8.
    #[serde(rename = "adamw")]
    AdamW {
        lr: f64,
        #[serde(default)]
        weight_decay: f64,
    },
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPS: f64 = 1e-8;

impl Optimizer {
    /// Refuses values outside their ranges.
    pub(super) fn check(&self) -> Result<()> {
        let (lr, momentum, decay) = match *self {
            Self::Sgd { lr, momentum, weight_decay } => (lr, momentum, weight_decay),
            Self::AdamW { lr, weight_decay } => (lr, 0.0, weight_decay),
        };
        let checks = [
            ("lr", lr, lr.is_finite() && lr > 0.0, "a positive number"),
            ("momentum", momentum, (0.0..1.0).contains(&momentum), "0 up to, but not, 1"),
            ("weight_decay", decay, decay.is_finite() && decay >= 0.0, "0 or more"),
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
    /// Momentum, or first moments.
    first: Vec<f32>,
    /// Second moments; empty for SGD.
    second: Vec<f32>,
    steps: i32,
}

impl Updater {
    /// For so many parameters.
    pub(super) fn new(rule: &Optimizer, parameters: usize) -> Self {
        let second = match rule {
            Optimizer::Sgd { .. } => Vec::new(),
            Optimizer::AdamW { .. } => vec![0.0; parameters],
        };
        Self { rule: rule.clone(), first: vec![0.0; parameters], second, steps: 0 }
    }

    /// One step: moves the parameters against their gradient. `factor` is the schedule's.
    pub(super) fn update(&mut self, params: &mut [f32], grad: &[f32], factor: f64) {
        self.steps += 1;
        match self.rule {
            Optimizer::Sgd { lr, momentum, weight_decay } => {
                let rates = [lr * factor, momentum, weight_decay].map(|v| v as f32);
                vectors(
                    #[inline(always)]
                    || sgd(params, grad, &mut self.first, rates),
                );
            }
            Optimizer::AdamW { lr, weight_decay } => {
                let lr = lr * factor;
                let bias1 = 1.0 - libm::pow(BETA1, f64::from(self.steps));
                let bias2 = libm::sqrt(1.0 - libm::pow(BETA2, f64::from(self.steps)));
                // lr mhat / (sqrt(vhat) + eps), with the corrections of both moments taken out.
                let rates = [1.0 - lr * weight_decay, lr * bias2 / bias1, EPS * bias2];
                let rates = rates.map(|v| v as f32);
                vectors(
                    #[inline(always)]
                    || adamw(params, grad, &mut self.first, &mut self.second, rates),
                );
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
fn adamw(params: &mut [f32], grad: &[f32], m: &mut [f32], v: &mut [f32], rates: [f32; 3]) {
    let [keep, rate, eps] = rates;
    let (b1, b2) = (BETA1 as f32, BETA2 as f32);
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

    fn run(rule: Optimizer, grads: &[f32]) -> f32 {
        let mut updater = Updater::new(&rule, 1);
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
        let rule = Optimizer::AdamW { lr: 0.1, weight_decay: 0.5 };
        // decay .95, then lr * sign(g)
        assert!((run(rule, &[2.0]) - 0.85).abs() < 1e-6);
    }

    #[test]
    fn adamw_corrects_the_bias_of_both_moments() {
        let rule = Optimizer::AdamW { lr: 0.1, weight_decay: 0.0 };
        // m = .2, .08 -> mhat = .08 / .19; v = .004, .004996 -> vhat = .004996 / .001999
        let (m_hat, v_hat) = (0.08 / 0.19, 0.004_996 / 0.001_999_f64);
        let expected = 0.9 - 0.1 * m_hat / v_hat.sqrt();
        assert!((f64::from(run(rule, &[2.0, -1.0])) - expected).abs() < 1e-5);
    }

    #[test]
    fn values_out_of_range_name_their_key() {
        for (rule, key) in [
            (Optimizer::AdamW { lr: 0.0, weight_decay: 0.0 }, "optimizer.lr"),
            (Optimizer::AdamW { lr: 1.0, weight_decay: -1.0 }, "optimizer.weight_decay"),
            (Optimizer::Sgd { lr: 1.0, momentum: 1.0, weight_decay: 0.0 }, "optimizer.momentum"),
        ] {
            assert!(rule.check().unwrap_err().to_string().contains(key));
        }
    }
}
