//! Learning what a teacher thinks comes next, at every position that counts (word-level distillation, Kim and Rush
//! 2016, section 3.1), by any divergence, with a share of cross-entropy to the token itself.

use std::sync::Arc;

use super::divergence::{Known, check_temperature};
use super::retemper::{Leftover, retemper};
use super::tail::{Outcomes, sparse_forward};
use super::token_targets::Row;
use super::{Divergence, Tail, Tell, TokenTargets, log_softmax};
use crate::error::{Error, Result, expect_shape};
use crate::model::cpu::{exp64, vectors};

/// A rest of known probabilities below this is what 32 bits leave of nothing, where nothing would be infinitely far.
const LEAST_REST: f64 = 1e-7;

/// Soft targets of texts.
#[derive(Clone, Debug)]
pub struct Soft {
    /// A row for each position that counts, text after text; shared by all who learn from them.
    pub probs: Arc<TokenTargets>,
    /// How the student's distribution is compared. Drawn targets go with forward KL alone.
    pub divergence: Divergence,
    /// What becomes of tokens that a top-k row leaves out.
    pub tail: Tail,
    /// Both sides' temperature, above 0; without a factor T^2. Known top-k probabilities are tempered with the rest
    /// spread evenly.
    pub temperature: f64,
    /// Share of the cross-entropy to the token itself, 0 to 1; the divergence has the rest.
    pub hard: f64,
}

impl Soft {
    /// Forward KL to these, a bucket for what is not told, at temperature 1, and nothing else.
    pub fn new(probs: TokenTargets) -> Self {
        let (divergence, tail) = (Divergence::default(), Tail::default());
        Self { probs: Arc::new(probs), divergence, tail, temperature: 1.0, hard: 0.0 }
    }

    /// Refuses targets that are not for `counted` positions and `vocabulary` tokens, and pairs that cannot work.
    pub(in crate::model) fn check(&self, counted: usize, vocabulary: usize) -> Result<()> {
        let Self { probs, divergence, tail, temperature, hard } = self;
        divergence.check()?;
        check_temperature(*temperature)?;
        expect_shape("soft targets of positions that count", &[probs.len()], &[counted])?;
        expect_shape("tokens of soft targets", &[probs.vocabulary()], &[vocabulary])?;
        if !(0.0..=1.0).contains(hard) {
            return Err(Error::config("hard", hard.to_string(), "0 to 1"));
        }
        match probs.tell() {
            Tell::Full => Ok(()),
            Tell::TopK { .. } => tail.fits(*divergence),
            Tell::Sampled { .. }
                if *divergence != (Divergence::ForwardKl {}) || *temperature != 1.0 =>
            {
                let found = format!("`{divergence:?}` at temperature {temperature}");
                let expected = "forward-kl at temperature 1, as drawn targets are unbiased for";
                Err(Error::config("divergence", found, expected))
            }
            Tell::Sampled { .. } => Ok(()),
        }
    }

    /// `parts[0]` times the divergence of one row and `parts[1]` times -log q of the token, given log softmax and
    /// softmax; the gradient in place of the former.
    pub(super) fn row(
        &self,
        z: &mut [f64],
        q: &[f64],
        (row, token): (usize, usize),
        parts: [f64; 2],
        desk: &mut Desk,
    ) -> f64 {
        let surprise = -z[token];
        let t = self.temperature;
        let Desk { tempered, outcomes, p, logs, .. } = desk;
        let q_t = if t == 1.0 {
            q
        } else {
            z.iter_mut().for_each(|z| *z /= t);
            log_softmax(z);
            tempered.clear();
            tempered.extend(z.iter().map(|&z| libm::exp(z)));
            &tempered[..]
        };
        let apart = match self.probs.row(row) {
            Row::Full(told) => {
                spread(told, t, p, logs);
                self.divergence.row(z, q_t, Known { p, logs })
            }
            Row::Few(tokens, probs) => {
                let ids = tokens.iter().map(|&t| usize::from(t));
                let probs = probs.iter().map(|&p| f64::from(p));
                match self.probs.tell() {
                    Tell::Sampled { .. } => sparse_forward(z, q_t, ids.zip(probs)),
                    _ => {
                        p.clear();
                        p.extend(probs);
                        if t != 1.0 {
                            *p = retemper(p, q.len() - p.len(), 1.0 / t, Leftover::Spread);
                        }
                        let known = ids.zip(p.iter().copied());
                        let least = if self.divergence.needs_support() { LEAST_REST } else { 0.0 };
                        outcomes.row(self.tail, self.divergence, z, q_t, known, least)
                    }
                }
            }
        };
        let [soft, hard] = parts;
        z.iter_mut().zip(q).for_each(|(z, &q)| *z = soft / t * *z + hard * q);
        z[token] -= hard;
        soft * apart + hard * surprise
    }
}

/// Buffers of a row.
#[derive(Debug, Default)]
pub(super) struct Desk {
    tempered: Vec<f64>,
    outcomes: Outcomes,
    p: Vec<f64>,
    logs: Vec<f64>,
    /// Tokens by falling probability.
    pub order: Vec<usize>,
}

/// Log-probabilities of 32 bits at temperature t, and their probabilities, which sum to 1.
fn spread(told: &[f32], t: f64, p: &mut Vec<f64>, logs: &mut Vec<f64>) {
    logs.clear();
    logs.extend(told.iter().map(|&l| f64::from(l) / t));
    p.clear();
    p.extend_from_slice(logs);
    vectors(
        #[inline(always)]
        || p.iter_mut().for_each(|p| *p = exp64(*p)),
    );
    let sum: f64 = p.iter().sum();
    let (over, shift) = (1.0 / sum, libm::log(sum));
    p.iter_mut().for_each(|p| *p *= over);
    logs.iter_mut().for_each(|l| *l -= shift);
}
