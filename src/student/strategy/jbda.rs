//! Jacobian-based dataset augmentation (Papernot et al. 2017, algorithm 1; CleverHans): ask the public
//! seed rows, train, move a copy of every row along the sign of the gradient of its class's logit, ask
//! the copies, and so on. The set doubles each round; the last round is cut to what is left to pay.

use ndarray::{Array2, Axis, Zip, concatenate};

use super::{Own, Strategy};
use crate::error::{Error, Result};
use crate::seed::{Seed, permutation};
use crate::student::View;

pub(super) struct Jbda {
    step: f64,
    tau: usize,
    round: usize,
    reservoir: Seed,
    /// Rows answered so far and the teacher's class of each.
    rows: Option<Array2<f32>>,
    classes: Vec<usize>,
}

impl Jbda {
    pub(super) fn new(step: f64, tau: usize, reservoir: Seed) -> Self {
        Self { step, tau, round: 0, reservoir, rows: None, classes: Vec::new() }
    }
}

/// (-1)^floor(round / tau).
pub(super) fn sign_of_round(round: usize, tau: usize) -> f64 {
    if (round / tau).is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// x + step sign(gradient), clipped to the valid range; sign(0) = 0.
pub(super) fn moved(
    x: &Array2<f32>,
    gradient: &Array2<f32>,
    step: f64,
    range: (f32, f32),
) -> Array2<f32> {
    Zip::from(x).and(gradient).map_collect(|&x, &g| {
        let sign = if g > 0.0 {
            1.0
        } else if g < 0.0 {
            -1.0
        } else {
            0.0
        };
        ((f64::from(x) + step * sign) as f32).clamp(range.0, range.1)
    })
}

impl Strategy for Jbda {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        let (Some(known), Some(own)) = (&self.rows, own) else {
            // Half of the budget at most goes to seeds, so that there is something to augment with.
            let seeds = view.public.nrows().min(rows.div_ceil(2));
            return Ok(view.public.slice(ndarray::s![..seeds, ..]).to_owned());
        };
        let mut chosen: Vec<usize> = (0..known.nrows()).collect();
        if chosen.len() > rows {
            let stream = self.reservoir.nth("round", self.round as u64);
            chosen = permutation(&mut stream.rng(), chosen.len());
            chosen.truncate(rows);
            chosen.sort_unstable();
        }
        let from = known.select(Axis(0), &chosen);
        let classes: Vec<usize> = chosen.iter().map(|&i| self.classes[i]).collect();
        let gradient = own.input_grad(from.view(), &classes)?;
        let step = self.step * sign_of_round(self.round, self.tau);
        self.round += 1;
        Ok(moved(&from, &gradient, step, view.range))
    }

    fn wants_model(&self) -> bool {
        self.rows.is_some()
    }

    fn told(&mut self, inputs: &Array2<f32>, classes: &[usize]) -> Result<()> {
        if inputs.nrows() == 0 {
            return Ok(());
        }
        self.classes.extend(classes);
        self.rows = Some(match self.rows.take() {
            None => inputs.clone(),
            Some(rows) => concatenate(Axis(0), &[rows.view(), inputs.view()])
                .map_err(|e| Error::Internal(e.to_string()))?,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{matrix, vectors};
    use super::*;

    #[test]
    fn reference_steps_are_matched() {
        let cases = vectors("jbda_step");
        assert_eq!(cases.len(), 4);
        for case in cases {
            let input = &case["input"];
            let x = matrix(&input["x"]).mapv(|v| v as f32);
            let gradient = matrix(&case["expected"]["grad_logit"]).mapv(|v| v as f32);
            let range =
                (input["lo"].as_f64().unwrap() as f32, input["hi"].as_f64().unwrap() as f32);
            let got = moved(&x, &gradient, input["lambda"].as_f64().unwrap(), range);
            for (g, w) in got.iter().zip(&matrix(&case["expected"]["x_new"])) {
                assert!((f64::from(*g) - w).abs() < 1e-5, "{}: {g} {w}", case["id"]);
            }
        }
    }

    #[test]
    fn the_step_changes_sign_every_tau_rounds() {
        for case in vectors("jbda_growth") {
            let input = |k: &str| case["input"][k].as_u64().unwrap() as usize;
            let signs: Vec<i64> =
                (0..input("rounds")).map(|r| sign_of_round(r, input("tau")) as i64).collect();
            let want: Vec<i64> = case["expected"]["signs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|v| v.as_i64().unwrap())
                .collect();
            assert_eq!(signs, want, "{}", case["id"]);
        }
    }
}
