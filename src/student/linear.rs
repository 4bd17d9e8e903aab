//! Linear algebra that recovery by equations needs: singular values, least squares, factors of Cholesky.

use nalgebra::{Cholesky, DMatrix, Dyn};
use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result, expect_shape};

/// Sweeps after which a decomposition is given up; those that end need far fewer.
const SWEEPS: usize = 10_000;
/// Singular values below this share of the largest count as zero.
pub(super) const NEGLIGIBLE: f64 = 1e-12;

/// A `[n, m]` = U S V^T with singular values in falling order.
pub(super) struct Svd {
    /// `[min(n, m)]`, falling.
    pub values: Vec<f64>,
    /// `[n, min(n, m)]`, a column for each value.
    pub left: Array2<f64>,
    /// `[m, min(n, m)]`, a column for each value.
    pub right: Array2<f64>,
}

/// Singular values `[min(n, m)]` of a matrix `[n, m]`, falling.
pub(super) fn singular_values(a: ArrayView2<'_, f64>) -> Result<Vec<f64>> {
    let svd =
        dense(a)?.try_svd_unordered(false, false, f64::EPSILON, SWEEPS).ok_or_else(endless)?;
    let mut values: Vec<f64> = svd.singular_values.iter().copied().collect();
    values.sort_by(|a, b| b.total_cmp(a));
    Ok(values)
}

/// The whole decomposition.
pub(super) fn svd(a: ArrayView2<'_, f64>) -> Result<Svd> {
    let svd = dense(a)?.try_svd(true, true, f64::EPSILON, SWEEPS).ok_or_else(endless)?;
    let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return Err(endless()) };
    Ok(Svd {
        values: svd.singular_values.iter().copied().collect(),
        left: Array2::from_shape_fn(u.shape(), |at| u[at]),
        right: Array2::from_shape_fn((v_t.ncols(), v_t.nrows()), |(i, j)| v_t[(j, i)]),
    })
}

/// The X `[m, k]` of least norm among those with the least |A X - B|, for A `[n, m]` and B `[n, k]`.
pub fn least_squares(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Result<Array2<f64>> {
    expect_shape("right side of equations", b.shape(), &[a.nrows(), b.ncols()])?;
    finite("right side of equations", b)?;
    let Svd { values, left, right } = svd(a)?;
    let least = NEGLIGIBLE * values[0];
    let mut parts = left.t().dot(&b); // [min(n, m), k]
    for (mut part, &value) in parts.rows_mut().into_iter().zip(&values) {
        part.mapv_inplace(|x| if value > least { x / value } else { 0.0 });
    }
    Ok(right.dot(&parts))
}

/// The factor of a positive definite matrix.
pub(super) struct Factor(Cholesky<f64, Dyn>);

impl Factor {
    /// Of A `[n, n]`, whose lower half is read; none if A is not positive definite to rounding, or not finite.
    pub(super) fn of(a: &Array2<f64>) -> Option<Self> {
        Cholesky::new(DMatrix::from_fn(a.nrows(), a.ncols(), |i, j| a[[i, j]])).map(Self)
    }

    /// The X `[n, k]` with A X = B, for B `[n, k]`.
    pub(super) fn solve(&self, b: &Array2<f64>) -> Array2<f64> {
        let found = self.0.solve(&DMatrix::from_fn(b.nrows(), b.ncols(), |i, j| b[[i, j]]));
        Array2::from_shape_fn(b.dim(), |at| found[at])
    }
}

fn dense(a: ArrayView2<'_, f64>) -> Result<DMatrix<f64>> {
    if a.is_empty() {
        return Err(Error::input(
            "matrix",
            format!("{:?}", a.dim()),
            "a row and a column at least",
        ));
    }
    finite("matrix", a)?;
    Ok(DMatrix::from_fn(a.nrows(), a.ncols(), |i, j| a[[i, j]]))
}

/// Refuses numbers that are not finite, by their place.
pub(super) fn finite(what: &str, a: ArrayView2<'_, f64>) -> Result<()> {
    match a.indexed_iter().find(|(_, x)| !x.is_finite()) {
        Some(((row, column), x)) => {
            Err(Error::input(format!("{what}, row {row}, column {column}"), x, "a finite number"))
        }
        None => Ok(()),
    }
}

fn endless() -> Error {
    Error::Internal("a singular value decomposition did not come to an end".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn a_matrix_is_its_parts() {
        // By hand: A^T A has eigenvalues 45 and 5.
        let a = array![[3.0, 0.0], [4.0, 5.0]];
        let Svd { values, left, right } = svd(a.view()).unwrap();
        assert!((values[0] - libm::sqrt(45.0)).abs() < 1e-12);
        assert!((values[1] - libm::sqrt(5.0)).abs() < 1e-12);
        assert_eq!(singular_values(a.view()).unwrap().len(), 2);
        let back = (&left * &ndarray::Array1::from(values)).dot(&right.t());
        assert!((back - a).iter().all(|d| d.abs() < 1e-12));
    }

    #[test]
    fn equations_are_solved_in_the_least_squares_and_with_the_least_norm() {
        // The line through (0, 1), (1, 2), (2, 2): slope 1/2, height 7/6.
        let x = array![[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]];
        let line = least_squares(x.view(), array![[1.0], [2.0], [2.0]].view()).unwrap();
        assert!((line[[0, 0]] - 0.5).abs() < 1e-12 && (line[[1, 0]] - 7.0 / 6.0).abs() < 1e-12);
        // One equation for two: x + y = 2 has its least solution in the middle.
        let least = least_squares(array![[1.0, 1.0]].view(), array![[2.0]].view()).unwrap();
        assert!(least.iter().all(|x| (x - 1.0).abs() < 1e-12));
        // Equations that say the same twice.
        let twice = array![[1.0, 1.0], [2.0, 2.0], [1.0, 1.0]];
        let least = least_squares(twice.view(), array![[2.0], [4.0], [2.0]].view()).unwrap();
        assert!(least.iter().all(|x| (x - 1.0).abs() < 1e-12));
    }

    #[test]
    fn a_positive_definite_matrix_is_factored_and_no_other() {
        // By hand: 4 x + 2 y = 2 and 2 x + 3 y = 5 have x = -1/2, y = 2.
        let factor = Factor::of(&array![[4.0, 2.0], [2.0, 3.0]]).unwrap();
        let found = factor.solve(&array![[2.0, 4.0], [5.0, 2.0]]) - array![[-0.5, 1.0], [2.0, 0.0]];
        assert!(found.iter().all(|d: &f64| d.abs() < 1e-12), "{found}");
        assert!(Factor::of(&array![[1.0, 2.0], [2.0, 1.0]]).is_none());
        assert!(Factor::of(&array![[1.0, 1.0], [1.0, 1.0]]).is_none());
        assert!(Factor::of(&array![[f64::NAN]]).is_none());
    }

    #[test]
    fn what_cannot_be_decomposed_is_refused() {
        let error = singular_values(array![[1.0, f64::NAN]].view()).unwrap_err().to_string();
        assert!(error.contains("row 0, column 1: found NaN"), "{error}");
        assert!(singular_values(Array2::zeros((0, 3)).view()).is_err());
        assert!(least_squares(array![[1.0]].view(), array![[1.0], [2.0]].view()).is_err());
    }
}
