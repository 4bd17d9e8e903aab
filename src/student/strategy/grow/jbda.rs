//! Jacobian-based dataset augmentation (Papernot et al. 2017, algorithm 1; CleverHans): a row moves along the sign of
//! the gradient of its class's logit. The set doubles each round. With a reservoir (their section 4.3) it doubles for
//! the first rounds only, and then grows by the same number of rows each round.

use ndarray::Array2;

use super::{Move, Round, signed_step};
use crate::error::Result;

#[derive(Debug)]
pub(in crate::student::strategy) struct Jbda {
    /// In feature units.
    pub step: f64,
    /// Rounds after which the step changes sign.
    pub tau: usize,
    /// Rounds that move every row.
    pub sigma: usize,
    /// Rows that later rounds move; all of them where there is none.
    pub kappa: Option<usize>,
}

/// (-1)^floor(round / tau).
pub(super) fn sign_of_round(round: usize, tau: usize) -> f64 {
    if (round / tau).is_multiple_of(2) { 1.0 } else { -1.0 }
}

impl Move for Jbda {
    fn kind(&self) -> &'static str {
        "jbda"
    }

    fn at_most(&self, number: usize) -> usize {
        match self.kappa {
            Some(kappa) if number >= self.sigma => kappa,
            _ => usize::MAX,
        }
    }

    fn moved(&self, round: &Round<'_>) -> Result<Array2<f32>> {
        let gradient = round.own.input_grad(round.rows.view(), round.classes)?;
        let step = self.step * sign_of_round(round.number, self.tau);
        Ok(signed_step(round.rows, &gradient, step, round.range))
    }
}
