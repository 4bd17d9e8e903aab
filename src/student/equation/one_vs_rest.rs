//! One regression a class, each against the rest, whose probabilities are brought to a sum of one:
//! p_k = s(z_k) / sum_j s(z_j) with s the logistic function and z = W x + b. The sum is a different number for
//! every row and is not told, so the equations are not linear; they are solved by damped least squares on
//! log p_k - log p_0 (Levenberg 1944, Marquardt 1963), where the paper minimises cross-entropy (Tramer et al. 2016,
//! section 4.1).
//!
//! A step solves (J^T J + damping) step = J^T off, block by block: a class's unknowns meet those of class 0 and no
//! others.

use nalgebra::{Cholesky, DMatrix, DVector};
use ndarray::{Array1, Array2, ArrayView2};

use super::logistic::{Classes, log_ratios, usable, with_one};
use crate::error::{Error, Result};
use crate::student::linear::finite;

/// Steps after which what was found so far has to do.
const STEPS: usize = 200;
/// A sum of squares so small is the end, as is this share of that at zero, below which rounding lets none come.
const NOTHING: f64 = 1e-26;
const ROUNDING: f64 = 1e-30;
/// Damping of the first step.
const FIRST: f64 = 1e-3;
/// Damping beyond which no step helps.
const STUCK: f64 = 1e12;

/// The classes' regressions from rows `[n, d]` and probabilities `[n, classes]`. Each row gives classes - 1
/// equations for classes x (d + 1) unknowns, so n >= classes (d + 1) / (classes - 1).
pub fn one_vs_rest(rows: ArrayView2<'_, f64>, p: ArrayView2<'_, f64>) -> Result<Classes> {
    let unknown = p.ncols() * (rows.ncols() + 1);
    solved(rows, p, unknown.div_ceil(p.ncols().saturating_sub(1).max(1)))
}

/// As [`one_vs_rest()`], from one usable row on: of all solutions one near zero, where the steps begin.
pub fn near_zero(rows: ArrayView2<'_, f64>, p: ArrayView2<'_, f64>) -> Result<Classes> {
    solved(rows, p, 1)
}

fn solved(rows: ArrayView2<'_, f64>, p: ArrayView2<'_, f64>, needed: usize) -> Result<Classes> {
    if p.ncols() < 2 {
        return Err(Error::input("classes", p.ncols(), "2 or more"));
    }
    finite("rows of equations", rows)?;
    let (rows, p, dropped) = usable(rows, p, needed)?;
    let equations = Equations::new(&with_one(rows.view()), &log_ratios(&p));
    let mut theta = DMatrix::zeros(rows.ncols() + 1, p.ncols());
    let mut off = equations.misfit(&theta);
    let enough = NOTHING.max(ROUNDING * off.norm_squared());
    let mut damping = FIRST;
    for _ in 0..STEPS {
        let square = off.norm_squared();
        if square <= enough || damping > STUCK {
            break;
        }
        let next = equations.step(&theta, &off, damping).map(|step| &theta - step);
        let next = next.map(|next| (equations.misfit(&next), next));
        match next.filter(|(then, _)| then.norm_squared() < square) {
            Some(next) => ((off, theta), damping) = (next, damping / 10.0),
            None => damping *= 10.0,
        }
    }
    let (d, classes) = (rows.ncols(), p.ncols());
    let weights = Array2::from_shape_fn((classes, d), |(class, i)| theta[(i, class)]);
    let bias = Array1::from_shape_fn(classes, |class| theta[(d, class)]);
    Ok(Classes { weights, bias, dropped })
}

struct Equations {
    /// `[n, d + 1]` rows with a 1 after each.
    x: DMatrix<f64>,
    /// Its transpose.
    across: DMatrix<f64>,
    /// log p_k - log p_0 `[n, classes]`
    told: DMatrix<f64>,
}

impl Equations {
    fn new(x: &Array2<f64>, told: &Array2<f64>) -> Self {
        let dense = |a: &Array2<f64>| DMatrix::from_fn(a.nrows(), a.ncols(), |i, j| a[[i, j]]);
        let x = dense(x);
        Self { across: x.transpose(), x, told: dense(told) }
    }

    /// What theta `[d + 1, classes]` gives less what was told `[n, classes]`; nothing in the column of class 0.
    fn misfit(&self, theta: &DMatrix<f64>) -> DMatrix<f64> {
        // log s(z) = -log(1 + e^-z), without overflow.
        let logs = (&self.x * theta).map(|z| z.min(0.0) - libm::log1p(libm::exp(-z.abs())));
        let first = logs.column(0).into_owned();
        let mut off = logs - &self.told;
        off.column_iter_mut().for_each(|mut column| column -= &first);
        off
    }

    /// What to take off theta; none where the equations' matrix is not positive definite to rounding.
    fn step(&self, theta: &DMatrix<f64>, off: &DMatrix<f64>, damping: f64) -> Option<DMatrix<f64>> {
        let (wide, classes) = theta.shape();
        // Of log s(z): s(-z).
        let slope = (&self.x * theta).map(|z| 1.0 / (1.0 + libm::exp(z)));
        let slope: Vec<DVector<f64>> = slope.column_iter().map(|s| s.into_owned()).collect();
        let ridge = DMatrix::from_diagonal_element(wide, wide, damping);
        // Class 0 is in all equations, with the other sign.
        let mut corner = self.gram(&slope[0], &slope[0]) * (classes - 1) as f64 + &ridge;
        let mut right = -&self.across * slope[0].component_mul(&off.column_sum());
        let mut others = Vec::new();
        for k in 1..classes {
            let own = Cholesky::new(self.gram(&slope[k], &slope[k]) + &ridge)?;
            let shared = -self.gram(&slope[0], &slope[k]);
            let alone = own.solve(&(&self.across * slope[k].component_mul(&off.column(k))));
            let carried = own.solve(&shared);
            corner -= &shared * &carried;
            right -= &shared * &alone;
            others.push((alone, carried));
        }
        let first = Cholesky::new(corner)?.solve(&right);
        let others = others.into_iter().map(|(alone, carried)| alone - carried * &first);
        let columns: Vec<DVector<f64>> = std::iter::once(first.clone()).chain(others).collect();
        Some(DMatrix::from_columns(&columns))
    }

    /// Sum over rows of a_i b_i x_i x_i^T `[d + 1, d + 1]`.
    fn gram(&self, a: &DVector<f64>, b: &DVector<f64>) -> DMatrix<f64> {
        let mut weighted = self.x.clone();
        for mut column in weighted.column_iter_mut() {
            column.component_mul_assign(a);
            column.component_mul_assign(b);
        }
        &self.across * weighted
    }
}
