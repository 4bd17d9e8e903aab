//! One regression a class, each against the rest, whose probabilities are brought to a sum of one:
//! p_k = s(z_k) / sum_j s(z_j) with s the logistic function and z = W x + b. The sum is a different number for
//! every row and is not told, so the equations are not linear; they are solved by damped least squares on
//! log p_k - log p_0 (Levenberg 1944, Marquardt 1963), where the paper minimises cross-entropy (Tramer et al. 2016,
//! section 4.1).
//!
//! A step solves (J^T J + damping) step = J^T off, block by block: a class's unknowns meet those of class 0 and no
//! others.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, s};

use super::logistic::{Classes, log_ratios, usable, with_one};
use crate::error::{Error, Result};
use crate::student::linear::{Factor, finite};

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
/// equations for classes x (d + 1) unknowns, so n >= classes (d + 1) / (classes - 1). With
/// hardly more rows the steps may end in a flat valley: the equations nearly hold, and the weights are wrong.
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
    let equations = Equations { x: with_one(rows.view()), told: log_ratios(&p) };
    let mut theta = Array2::zeros((p.ncols(), rows.ncols() + 1));
    let mut off = equations.misfit(&theta);
    let enough = NOTHING.max(ROUNDING * square(&off));
    let mut damping = FIRST;
    for _ in 0..STEPS {
        if square(&off) <= enough || damping > STUCK {
            break;
        }
        let next = equations.step(&theta, &off, damping).map(|step| &theta - step);
        let next = next.map(|next| (equations.misfit(&next), next));
        match next.filter(|(then, _)| square(then) < square(&off)) {
            Some(next) => ((off, theta), damping) = (next, damping / 10.0),
            None => damping *= 10.0,
        }
    }
    let d = rows.ncols();
    let weights = theta.slice(s![.., ..d]).to_owned();
    Ok(Classes { weights, bias: theta.column(d).to_owned(), dropped })
}

fn square(off: &Array2<f64>) -> f64 {
    off.iter().map(|off| off * off).sum()
}

struct Equations {
    /// `[n, d + 1]` rows with a 1 after each.
    x: Array2<f64>,
    /// log p_k - log p_0 `[n, classes]`
    told: Array2<f64>,
}

impl Equations {
    /// What theta `[classes, d + 1]` gives less what was told `[n, classes]`; nothing in the column of class 0.
    fn misfit(&self, theta: &Array2<f64>) -> Array2<f64> {
        // log s(z) = -log(1 + e^-z), without overflow.
        let log = |z: f64| z.min(0.0) - libm::log1p(libm::exp(-z.abs()));
        let logs = self.x.dot(&theta.t()).mapv(log); // [n, classes]
        &logs - &logs.slice(s![.., ..1]) - &self.told
    }

    /// What to take off theta; none where the equations' matrix is not positive definite to rounding.
    fn step(&self, theta: &Array2<f64>, off: &Array2<f64>, damping: f64) -> Option<Array2<f64>> {
        let (classes, wide) = theta.dim();
        let slope = self.x.dot(&theta.t()).mapv(|z| 1.0 / (1.0 + libm::exp(z))); // of log s(z): s(-z)
        let first = slope.column(0);
        let ridge = Array2::from_diag_elem(wide, damping);
        // Class 0 is in all equations, with the other sign.
        let mut corner = self.gram(first, first) * (classes - 1) as f64 + &ridge;
        let mut right = -self.right(first, off.sum_axis(Axis(1)).view());
        let mut others = Vec::new();
        for (slope, off) in slope.columns().into_iter().zip(off.columns()).skip(1) {
            let own = Factor::of(&(self.gram(slope, slope) + &ridge))?;
            let shared = -self.gram(first, slope);
            let alone = own.solve(&self.right(slope, off));
            let carried = own.solve(&shared);
            corner -= &shared.dot(&carried);
            right -= &shared.dot(&alone);
            others.push((alone, carried));
        }
        let first = Factor::of(&corner)?.solve(&right);
        let mut step = Array2::zeros(theta.dim());
        step.row_mut(0).assign(&first.column(0));
        for (mut row, (alone, carried)) in step.rows_mut().into_iter().skip(1).zip(others) {
            row.assign(&(alone - carried.dot(&first)).column(0));
        }
        Some(step)
    }

    /// Sum over rows of a_i b_i x_i x_i^T `[d + 1, d + 1]`.
    fn gram(&self, a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> Array2<f64> {
        let weight: Array1<f64> = &a * &b;
        self.x.t().dot(&(&self.x * &weight.insert_axis(Axis(1))))
    }

    /// Sum over rows of a_i off_i x_i `[d + 1, 1]`.
    fn right(&self, a: ArrayView1<'_, f64>, off: ArrayView1<'_, f64>) -> Array2<f64> {
        let weight: Array1<f64> = &a * &off;
        self.x.t().dot(&weight.insert_axis(Axis(1)))
    }
}
