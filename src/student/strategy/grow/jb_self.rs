//! JB-self (Juuti et al. 2019, PRADA, section IV; Orekondy et al. 2020, Prediction Poisoning, section 5.1): a row moves
//! against the sign of the gradient of its loss, deeper into its own class. The row asked is the row kept.

use ndarray::Array2;

use super::{Move, Round, signed_step};
use crate::error::Result;

#[derive(Debug)]
pub(in crate::student::strategy) struct JbSelf {
    /// In feature units.
    pub step: f64,
}

impl Move for JbSelf {
    fn kind(&self) -> &'static str {
        "jb-self"
    }

    fn moved(&self, round: &Round<'_>) -> Result<Array2<f32>> {
        let gradient = round.own.loss_input_grad(round.rows.view(), round.classes)?;
        Ok(signed_step(round.rows, &gradient, -self.step, round.range))
    }
}
