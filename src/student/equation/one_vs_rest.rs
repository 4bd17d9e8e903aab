//! One regression a class, each against the rest, whose probabilities are brought to a sum of one:
//! p_k = s(z_k) / sum_j s(z_j) with s the logistic function and z = W x + b. The sum is a different number for
//! every row and is not told, so the equations are not linear; they are solved by damped least squares on
//! log p_k - log p_0 (Levenberg 1944, Marquardt 1963), where the paper minimises cross-entropy (Tramer et al. 2016,
//! section 4.1).

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate, s};

use super::logistic::{Classes, log_ratios, usable, with_one};
use crate::error::{Error, Result};
use crate::student::linear::least_squares;

/// Steps after which what was found so far has to do.
const STEPS: usize = 200;
/// A sum of squares so small is the end.
const NOTHING: f64 = 1e-26;
/// Damping beyond which no step helps.
const STUCK: f64 = 1e12;

/// The classes' regressions from rows `[n, d]` and probabilities `[n, classes]`. Each row gives classes - 1
/// equations for classes x (d + 1) unknowns, so n >= classes (d + 1) / (classes - 1).
pub fn one_vs_rest(rows: ArrayView2<'_, f64>, p: ArrayView2<'_, f64>) -> Result<Classes> {
    let classes = p.ncols();
    if classes < 2 {
        return Err(Error::input("classes", classes, "2 or more"));
    }
    let unknown = classes * (rows.ncols() + 1);
    let (rows, p, dropped) = usable(rows, p, unknown.div_ceil(classes - 1))?;
    let (x, told) = (with_one(rows.view()), log_ratios(&p));
    let mut theta = Array2::<f64>::zeros((classes, x.ncols()));
    let mut damping = 1e-3;
    let mut off = misfit(&x, &theta, &told);
    for _ in 0..STEPS {
        let square = off.dot(&off);
        if square <= NOTHING || damping > STUCK {
            break;
        }
        let jacobian = slopes(&x, &theta);
        let ridge = Array2::from_diag_elem(unknown, libm::sqrt(damping));
        let left = stacked(&[jacobian.view(), ridge.view()])?;
        let right =
            stacked(&[off.view().insert_axis(Axis(1)), Array2::zeros((unknown, 1)).view()])?;
        let step = least_squares(left.view(), right.view())?;
        let step = step.into_shape_with_order(theta.dim());
        let next = &theta - &step.map_err(|e| Error::Internal(e.to_string()))?;
        let then = misfit(&x, &next, &told);
        if then.dot(&then) < square {
            (theta, off, damping) = (next, then, damping / 10.0);
        } else {
            damping *= 10.0;
        }
    }
    let d = rows.ncols();
    let weights = theta.slice(s![.., ..d]).to_owned();
    Ok(Classes { weights, bias: theta.column(d).to_owned(), dropped })
}

/// Logs of the ratios that theta `[classes, d + 1]` gives, less those told: `[n (classes - 1)]`.
fn misfit(x: &Array2<f64>, theta: &Array2<f64>, told: &Array2<f64>) -> Array1<f64> {
    // log s(z) = -log(1 + e^-z), without overflow.
    let log = |z: f64| z.min(0.0) - libm::log1p(libm::exp(-z.abs()));
    let logs = x.dot(&theta.t()).mapv(log); // [n, classes]
    let off = &logs - &logs.slice(s![.., ..1]) - told;
    off.slice(s![.., 1..]).iter().copied().collect()
}

/// Derivatives of these by theta: `[n (classes - 1), classes (d + 1)]`.
fn slopes(x: &Array2<f64>, theta: &Array2<f64>) -> Array2<f64> {
    let (classes, wide) = theta.dim();
    let slope = x.dot(&theta.t()).mapv(|z| 1.0 / (1.0 + libm::exp(z))); // of log s(z): s(-z)
    let mut all = Array2::zeros((x.nrows() * (classes - 1), classes * wide));
    for (i, row) in x.rows().into_iter().enumerate() {
        for k in 1..classes {
            let mut equation = all.row_mut(i * (classes - 1) + k - 1);
            equation.slice_mut(s![..wide]).assign(&(&row * -slope[[i, 0]]));
            equation.slice_mut(s![k * wide..(k + 1) * wide]).assign(&(&row * slope[[i, k]]));
        }
    }
    all
}

fn stacked(parts: &[ArrayView2<'_, f64>]) -> Result<Array2<f64>> {
    concatenate(Axis(0), parts).map_err(|e| Error::Internal(e.to_string()))
}
