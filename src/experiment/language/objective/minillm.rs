//! MiniLLM (Gu et al. 2024, arXiv:2306.08543): reverse KL over whole texts by policy gradient, with three stabilisers
//! (section 2.2, equations 3 to 7). Each batch of texts is learnt from once, so that the ratio of new to old policy,
//! which the released code clips, is 1; its pre-training loss is left out, because there is no such corpus here.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Material, Tutor, check_share};
use crate::error::{Error, Result};
use crate::model::language::{Language, Lesson, Tell, Weights};
use crate::model::loss::Divergence;
use crate::model::{Order, Recipe};
use crate::seed::Seed;

/// How a student learns. The defaults switch every stabiliser on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Minillm {
    /// The reward of a token itself enters by its exact mean over the vocabulary, and only those of later tokens by
    /// what was drawn.
    pub single_step: bool,
    /// Share of the teacher in the mixture that texts are drawn from, 0 up to, but not, 1. Each token then weighs
    /// by q over the mixture.
    pub teacher_share: f64,
    /// Later rewards enter by their mean, not their sum, which favours short texts.
    pub length_normalised: bool,
}

impl Default for Minillm {
    fn default() -> Self {
        Self { single_step: true, teacher_share: 0.2, length_normalised: true }
    }
}

impl Minillm {
    pub(super) fn check(&self) -> Result<()> {
        check_share("teacher-share", self.teacher_share)?;
        match self.teacher_share < 1.0 {
            true => Ok(()),
            false => Err(Error::config("teacher-share", "1", "0 up to, but not, 1")),
        }
    }

    pub(super) fn learn(
        &self,
        student: &Language,
        tutor: &mut Tutor<'_>,
        material: &Material,
        recipe: &Recipe,
        seed: Seed,
    ) -> Result<Language> {
        if tutor.tell() != Tell::Full {
            let found = format!("`{:?}`", tutor.tell());
            return Err(Error::input("what a teacher tells MiniLLM", found, "full distributions"));
        }
        let n = material.prompts.len();
        let mut order = Order::new((0..n).collect(), seed);
        let mut taken = Vec::new();
        student.learn(recipe, seed, |student, step| {
            order.take(recipe.batch.min(n), &mut taken);
            let (prompts, seed) = (material.some(&taken), seed.nth("own", step as u64));
            let lesson =
                tutor.write_along(student, self.teacher_share, material, &prompts, seed)?;
            self.lesson(student, lesson)
        })
    }

    /// Texts with the weights that turn their loss into the policy gradient's surrogate.
    fn lesson(&self, student: &Language, mut lesson: Lesson) -> Result<Lesson> {
        let Some(soft) = &mut lesson.soft else { return Ok(lesson) };
        soft.divergence = Divergence::ReverseKl {};
        let log_q = student.log_probs(&lesson.corpus)?;
        let tokens = lesson.corpus.next.iter().filter_map(|&next| u16::try_from(next).ok());
        let log_p: Vec<f64> = tokens
            .enumerate()
            .map(|(row, token)| soft.probs.log_prob(row, token).unwrap_or(f64::NEG_INFINITY))
            .collect();
        let mut weights = Weights::default();
        for text in lesson.corpus.rows() {
            let some = self.weights(&log_p[text.clone()], &log_q[text]);
            weights.soft.extend(some.soft);
            weights.hard.extend(some.hard);
        }
        lesson.weights = Some(weights);
        Ok(lesson)
    }

    /// Weights of a text's tokens, given log p and log q of each. Weighed so, the gradient of reverse KL plus
    /// cross-entropy to the drawn tokens is, in the mean over texts drawn from q, that of KL(q || p) of whole texts
    /// (equation 2, whose constant 1 has mean zero and is left out); under a mixture or with means it is the paper's
    /// approximation of it.
    fn weights(&self, log_p: &[f64], log_q: &[f64]) -> Weights {
        let n = log_p.len();
        let mut weights = Weights { soft: vec![0.0; n], hard: vec![0.0; n] };
        let mut later = 0.0;
        for t in (0..n).rev() {
            let reward = log_p[t] - log_q[t];
            let importance =
                1.0 / (self.teacher_share * libm::exp(reward) + (1.0 - self.teacher_share));
            let (rewards, terms) = match self.single_step {
                true => (later, n - 1 - t),
                false => (later + reward, n - t),
            };
            let terms = if self.length_normalised { terms.max(1) as f64 } else { 1.0 };
            weights.soft[t] = if self.single_step { importance } else { 0.0 };
            weights.hard[t] = importance * rewards / terms;
            later += reward;
        }
        weights
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, Axis, arr1};

    use super::*;
    use crate::model::loss::{hard_label, softmax};

    /// A language of two tokens and texts of two: logits of the first token, and of the second after either first.
    struct Toy {
        first: Array1<f64>,
        second: [Array1<f64>; 2],
    }

    fn student() -> Toy {
        Toy { first: arr1(&[0.3, -0.4]), second: [arr1(&[1.1, 0.2]), arr1(&[-0.6, 0.9])] }
    }

    fn teacher() -> Toy {
        Toy { first: arr1(&[-0.5, 0.8]), second: [arr1(&[0.0, 1.5]), arr1(&[0.7, -0.2])] }
    }

    fn probs(logits: &Array1<f64>) -> Array1<f64> {
        softmax(logits.view().insert_axis(Axis(0))).row(0).to_owned()
    }

    /// Gradient of soft * KL(q || p) + hard * cross-entropy to the token in the logits of q.
    fn slope(z: &Array1<f64>, v: &Array1<f64>, token: usize, soft: f64, hard: f64) -> Array1<f64> {
        let rows = |a: &Array1<f64>| -> Array2<f64> { a.clone().insert_axis(Axis(0)) };
        let kl = Divergence::ReverseKl {};
        let (_, kl) = kl.loss(rows(z).view(), rows(v).view(), &[true], 1.0).unwrap();
        let (_, ce) = hard_label::loss(rows(z).view(), &[token]);
        kl.row(0).to_owned() * soft + ce.row(0).to_owned() * hard
    }

    /// Mean over every text, drawn from the student, of the gradient that the weights give.
    fn mean_gradient(spec: &Minillm) -> [Array1<f64>; 3] {
        let (q, p) = (student(), teacher());
        let mut sums = [Array1::zeros(2), Array1::zeros(2), Array1::zeros(2)];
        for a in 0..2 {
            for b in 0..2 {
                let qs = [probs(&q.first)[a], probs(&q.second[a])[b]];
                let ps = [probs(&p.first)[a], probs(&p.second[a])[b]];
                let w = spec.weights(&ps.map(libm::log), &qs.map(libm::log));
                let chance = qs[0] * qs[1];
                let one = slope(&q.first, &p.first, a, w.soft[0], w.hard[0]);
                let two = slope(&q.second[a], &p.second[a], b, w.soft[1], w.hard[1]);
                sums[0] += &(one * chance);
                sums[1 + a] += &(two * chance);
            }
        }
        sums
    }

    /// The gradient of KL(q || p) over whole texts, differentiated by hand: q1 (log q1/p1 + KL2) through the softmax.
    fn exact() -> [Array1<f64>; 3] {
        let (q, p) = (student(), teacher());
        let (q1, p1) = (probs(&q.first), probs(&p.first));
        let rest = |a: usize| -> f64 {
            let (q2, p2) = (probs(&q.second[a]), probs(&p.second[a]));
            q2.iter().zip(&p2).map(|(q, p)| q * libm::log(q / p)).sum()
        };
        let cost = [0, 1].map(|a| libm::log(q1[a] / p1[a]) + rest(a));
        let mean = q1[0] * cost[0] + q1[1] * cost[1];
        let first = arr1(&[q1[0] * (cost[0] - mean), q1[1] * (cost[1] - mean)]);
        let second = |a: usize| slope(&q.second[a], &p.second[a], 0, 1.0, 0.0) * q1[a];
        [first, second(0), second(1)]
    }

    #[test]
    fn the_mean_gradient_is_that_of_reverse_kl_over_whole_texts() {
        for single_step in [true, false] {
            let spec = Minillm { single_step, teacher_share: 0.0, length_normalised: false };
            for (found, expected) in mean_gradient(&spec).iter().zip(exact()) {
                let apart = (found - &expected).iter().fold(0.0_f64, |a, g| a.max(g.abs()));
                assert!(apart < 1e-14, "single step {single_step}: {found} {expected}");
            }
        }
    }

    #[test]
    fn a_teacher_that_draws_along_does_not_change_the_mean_of_one_token() {
        let (q, p) = (student(), teacher());
        let (qs, ps) = (probs(&q.first), probs(&p.first));
        let expected = slope(&q.first, &p.first, 0, 1.0, 0.0);
        for (single_step, share) in [(true, 0.2), (false, 0.2), (false, 0.7)] {
            let spec = Minillm { single_step, teacher_share: share, length_normalised: true };
            let mut mean = Array1::zeros(2);
            for a in 0..2 {
                let w = spec.weights(&[libm::log(ps[a])], &[libm::log(qs[a])]);
                let chance = share * ps[a] + (1.0 - share) * qs[a];
                mean += &(slope(&q.first, &p.first, a, w.soft[0], w.hard[0]) * chance);
            }
            assert!((&mean - &expected).iter().all(|g| g.abs() < 1e-14), "{mean} {expected}");
        }
    }

    #[test]
    fn later_rewards_enter_by_their_mean() {
        let spec = Minillm { teacher_share: 0.0, ..Minillm::default() };
        let w = spec.weights(&[-1.0, -2.0, -4.0], &[-1.5, -1.0, -1.0]);
        // Rewards .5, -1 and -3: after the first token -4 / 2, after the second -3.
        assert_eq!(w.hard, [-2.0, -3.0, 0.0]);
        assert_eq!(w.soft, [1.0; 3]);
        let sums = Minillm { length_normalised: false, ..spec };
        assert_eq!(sums.weights(&[-1.0, -2.0, -4.0], &[-1.5, -1.0, -1.0]).hard, [-4.0, -3.0, 0.0]);
    }
}
