//! Divergences of a student's distribution q from a teacher's p, row by row, by name. None has a factor T^2.

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{akl, by_row, log_softmax};
use crate::error::{Error, Result, expect_shape};

/// How far q is from p. Every kind is zero where they are equal and never negative.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "kind",
    rename_all = "kebab-case",
    rename_all_fields = "kebab-case",
    deny_unknown_fields
)]
pub enum Divergence {
    /// KL(p || q), which makes q cover all that p does.
    ForwardKl {},
    /// KL(q || p), which makes q leave out what p does not do.
    ReverseKl {},
    /// beta KL(p || m) + (1 - beta) KL(q || m) with m = beta p + (1 - beta) q (Agarwal et al. 2024,
    /// arXiv:2306.13649, equation 1). That formula is 0 at both ends; there 0 means KL(p || q) and 1 means
    /// KL(q || p), its limits after division by beta and by 1 - beta.
    Jsd {
        /// The teacher's share of the mixture, 0 to 1.
        #[serde(default = "half")]
        beta: f64,
    },
    /// KL(p || alpha p + (1 - alpha) q) (Ko et al. 2024, arXiv:2402.03898, section 3.1).
    SkewKl {
        /// The teacher's share of the mixture, 0 up to, but not, 1.
        #[serde(default = "tenth")]
        alpha: f64,
    },
    /// KL(q || (1 - alpha) p + alpha q) (the same).
    SkewReverseKl {
        /// The student's share of the mixture, 0 up to, but not, 1.
        #[serde(default = "tenth")]
        alpha: f64,
    },
    /// Half the sum of |p - q|.
    TotalVariation {},
    /// w KL(p || q) + (1 - w) KL(q || p): w is the share of sum |p - q| that lies on the teacher's most likely
    /// classes (Wu et al. 2024, arXiv:2404.02657, section 4).
    Akl {
        /// Those are the fewest that hold this share of p, above 0 and below 1.
        #[serde(default = "half")]
        mu: f64,
    },
}

const fn half() -> f64 {
    0.5
}

const fn tenth() -> f64 {
    0.1
}

impl Default for Divergence {
    fn default() -> Self {
        Self::ForwardKl {}
    }
}

/// A teacher's distribution over the classes of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'a> {
    pub p: &'a [f64],
    /// log p; minus infinity where p is 0.
    pub logs: &'a [f64],
}

impl Divergence {
    /// One value per kind.
    #[cfg(test)]
    pub(in crate::model) fn examples() -> Vec<Self> {
        vec![
            Self::ForwardKl {},
            Self::ReverseKl {},
            Self::Jsd { beta: half() },
            Self::SkewKl { alpha: tenth() },
            Self::SkewReverseKl { alpha: tenth() },
            Self::TotalVariation {},
            Self::Akl { mu: half() },
        ]
    }

    /// Refuses values outside their ranges; keys are relative to the divergence.
    pub fn check(self) -> Result<()> {
        let (key, value, fits, expected) = match self {
            Self::ForwardKl {} | Self::ReverseKl {} | Self::TotalVariation {} => return Ok(()),
            Self::Jsd { beta } => ("beta", beta, (0.0..=1.0).contains(&beta), "0 to 1"),
            Self::SkewKl { alpha } | Self::SkewReverseKl { alpha } => {
                ("alpha", alpha, (0.0..1.0).contains(&alpha), "0 up to, but not, 1")
            }
            Self::Akl { mu } => ("mu", mu, mu > 0.0 && mu < 1.0, "above 0 and below 1"),
        };
        match fits {
            true => Ok(()),
            false => Err(Error::config(key, value.to_string(), expected)),
        }
    }

    /// True where the divergence is infinite as soon as the teacher holds a class for impossible.
    pub fn needs_support(self) -> bool {
        match self {
            Self::ForwardKl {} | Self::SkewKl { .. } | Self::TotalVariation {} => false,
            Self::ReverseKl {} | Self::Akl { .. } => true,
            Self::Jsd { beta } => beta >= 1.0,
            Self::SkewReverseKl { alpha } => alpha <= 0.0,
        }
    }

    /// Mean over the rows whose `mask` is true, and its gradient, for the student's logits `[n, c]` and the
    /// teacher's logits or log-probabilities `[n, c]`, both divided by `temperature`.
    pub fn loss(
        self,
        logits: ArrayView2<'_, f64>,
        teacher: ArrayView2<'_, f64>,
        mask: &[bool],
        temperature: f64,
    ) -> Result<(f64, Array2<f64>)> {
        self.check()?;
        expect_shape("teacher logits", teacher.shape(), logits.shape())?;
        expect_shape("mask of rows", &[mask.len()], &[logits.nrows()])?;
        check_temperature(temperature)?;
        let counted = mask.iter().filter(|counts| **counts).count().max(1);
        let weight = mask.len() as f64 / counted as f64;
        let tempered = logits.mapv(|z| z / temperature);
        let (loss, grad) = by_row(tempered.view(), |row, z, q| {
            if !mask[row] {
                z.fill(0.0);
                return 0.0;
            }
            let mut logs: Vec<f64> = teacher.row(row).iter().map(|z| z / temperature).collect();
            log_softmax(&mut logs);
            let p: Vec<f64> = logs.iter().map(|&l| libm::exp(l)).collect();
            self.row(z, q, Known { p: &p, logs: &logs })
        });
        Ok((loss * weight, grad * (weight / temperature)))
    }

    /// Divergence of one row, given log softmax and softmax of the student; the gradient in place of the
    /// former.
    pub(super) fn row(self, z: &mut [f64], q: &[f64], known: Known<'_>) -> f64 {
        match self {
            Self::ForwardKl {} => forward(z, q, known),
            Self::ReverseKl {} => reverse(z, q, known),
            Self::Jsd { beta } if beta <= 0.0 => forward(z, q, known),
            Self::Jsd { beta } if beta >= 1.0 => reverse(z, q, known),
            Self::Jsd { beta } => softmaxed(z, q, known, |log_q, q, log_p, p| {
                let log_m = libm::log(beta * p + (1.0 - beta) * q);
                let to_m = times(p, log_p - log_m) * beta;
                (to_m + times(q, log_q - log_m) * (1.0 - beta), (1.0 - beta) * (log_q - log_m))
            }),
            Self::SkewKl { alpha } if alpha <= 0.0 => forward(z, q, known),
            Self::SkewKl { alpha } => softmaxed(z, q, known, |_, q, log_p, p| {
                let m = alpha * p + (1.0 - alpha) * q;
                (times(p, log_p - libm::log(m)), -(1.0 - alpha) * p / m)
            }),
            Self::SkewReverseKl { alpha } if alpha <= 0.0 => reverse(z, q, known),
            Self::SkewReverseKl { alpha } => softmaxed(z, q, known, |log_q, q, _, p| {
                let m = (1.0 - alpha) * p + alpha * q;
                let ratio = log_q - libm::log(m);
                (times(q, ratio), ratio - alpha * q / m)
            }),
            Self::TotalVariation {} => softmaxed(z, q, known, |_, q, _, p| {
                let slope = if q == p { 0.0 } else { 0.5_f64.copysign(q - p) };
                (0.5 * (p - q).abs(), slope)
            }),
            Self::Akl { mu } => akl::row(z, q, known, mu),
        }
    }
}

/// Refuses a temperature that nothing can be divided by.
pub(super) fn check_temperature(temperature: f64) -> Result<()> {
    match temperature.is_finite() && temperature > 0.0 {
        true => Ok(()),
        false => Err(Error::input("temperature of a loss", temperature, "a positive number")),
    }
}

/// KL(p || q).
pub(super) fn forward(z: &mut [f64], q: &[f64], known: Known<'_>) -> f64 {
    let mass: f64 = known.p.iter().sum();
    let mut loss = 0.0;
    for ((z, &q), (&p, &log_p)) in z.iter_mut().zip(q).zip(known.p.iter().zip(known.logs)) {
        loss += times(p, log_p - *z);
        *z = mass * q - p;
    }
    loss
}

/// KL(q || p).
pub(super) fn reverse(z: &mut [f64], q: &[f64], known: Known<'_>) -> f64 {
    softmaxed(z, q, known, |log_q, q, log_p, _| (times(q, log_q - log_p), log_q - log_p))
}

/// The sum of a term over classes, and its gradient. `f(log q, q, log p, p)` gives the term and the sum's slope
/// in q, up to a number that is the same for every class, which the softmax takes away.
fn softmaxed(
    z: &mut [f64],
    q: &[f64],
    known: Known<'_>,
    f: impl Fn(f64, f64, f64, f64) -> (f64, f64),
) -> f64 {
    let (mut sum, mut mean) = (0.0, 0.0);
    for ((z, &q), (&p, &log_p)) in z.iter_mut().zip(q).zip(known.p.iter().zip(known.logs)) {
        let (term, slope) = f(*z, q, log_p, p);
        sum += term;
        // A slope is at worst logarithmic in q: without q nothing is left of it.
        *z = if q == 0.0 { 0.0 } else { slope };
        mean += q * *z;
    }
    z.iter_mut().zip(q).for_each(|(z, &q)| *z = q * (*z - mean));
    sum
}

/// A share times a logarithm, 0 without a share.
fn times(share: f64, log: f64) -> f64 {
    if share == 0.0 { 0.0 } else { share * log }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: [(Divergence, bool); 7] = [
        (Divergence::Jsd { beta: 0.0 }, false),
        (Divergence::Jsd { beta: 1.0 }, true),
        (Divergence::Jsd { beta: 0.5 }, false),
        (Divergence::SkewKl { alpha: 0.0 }, false),
        (Divergence::SkewReverseKl { alpha: 0.0 }, true),
        (Divergence::SkewReverseKl { alpha: 0.1 }, false),
        (Divergence::Akl { mu: 0.5 }, true),
    ];

    #[test]
    fn a_divergence_needs_support_where_an_impossible_class_makes_it_infinite() {
        for (divergence, needs) in ENDS {
            assert!(divergence.check().is_ok(), "{divergence:?}");
            assert_eq!(divergence.needs_support(), needs, "{divergence:?}");
            let (p, logs) = ([1.0, 0.0], [0.0, f64::NEG_INFINITY]);
            let half = libm::log(0.5);
            let mut z = [half, half];
            let value = divergence.row(&mut z, &[0.5, 0.5], Known { p: &p, logs: &logs });
            assert_eq!(value.is_infinite(), needs, "{divergence:?}: {value}");
        }
    }
}
