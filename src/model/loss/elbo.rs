//! What a variational autoencoder minimises (Kingma and Welling 2014, equation 10 with one draw): for a row x, codes
//! with means m and logarithms l of variances, and what a draw of them is decoded to, y,
//!
//!   |x - y|^2 / (2 noise) + 1/2 sum (m^2 + e^l - 1 - l),
//!
//! the negative evidence lower bound of a decoder with normal noise of variance `noise`, less a constant; mean over
//! rows.

use ndarray::Array2;

/// Rows to be given back, read beside the outputs [m, l, y] of a network.
#[derive(Clone, Debug)]
pub(in crate::model) struct Elbo {
    /// `[n, d]`
    pub rows: Array2<f32>,
    /// Numbers of a code.
    pub code: usize,
    /// Above 0.
    pub noise: f64,
}

impl Elbo {
    /// As [`super::Goal::loss`], for rows of 2 `code` + d outputs.
    pub(super) fn loss(&self, index: &[usize], z: &mut [f64], c: usize, scale: f64) -> f64 {
        let mut sum = 0.0;
        for (z, &row) in z.chunks_exact_mut(c).zip(index) {
            let (codes, decoded) = z.split_at_mut(2 * self.code);
            let (means, logs) = codes.split_at_mut(self.code);
            for m in means {
                sum += 0.5 * *m * *m;
                *m *= scale;
            }
            for l in logs {
                let variance = libm::exp(*l);
                sum += 0.5 * (variance - 1.0 - *l);
                *l = 0.5 * scale * (variance - 1.0);
            }
            for (y, &x) in decoded.iter_mut().zip(self.rows.row(row)) {
                let off = *y - f64::from(x);
                sum += off * off / (2.0 * self.noise);
                *y = scale * off / self.noise;
            }
        }
        sum * scale
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    fn elbo() -> Elbo {
        Elbo { rows: arr2(&[[0.5, -1.0], [0.25, 2.0]]), code: 1, noise: 0.1 }
    }

    #[test]
    fn it_is_the_error_over_the_noise_and_the_divergence_from_a_standard_normal() {
        // Codes of N(1, e^0): KL 1/2; off by 0.5 and 1: (0.25 + 1) / 0.2.
        let loss = elbo().loss(&[0], &mut [1.0, 0.0, 1.0, 0.0], 4, 1.0);
        assert!((loss - (0.5 + 6.25)).abs() < 1e-12, "{loss}");
        // Codes of N(0, 4), row 1 given back exactly: KL 1/2 (4 - 1 - ln 4).
        let loss = elbo().loss(&[1], &mut [0.0, libm::log(4.0), 0.25, 2.0], 4, 1.0);
        assert!((loss - 0.5 * (3.0 - libm::log(4.0))).abs() < 1e-12, "{loss}");
    }

    #[test]
    fn a_code_has_all_of_its_means_before_its_variances() {
        // Codes of N(1, 1) and N(2, 4), given back exactly.
        let goal = Elbo { code: 2, ..elbo() };
        let mut z = [1.0, 2.0, 0.0, libm::log(4.0), 0.5, -1.0];
        let loss = goal.loss(&[0], &mut z, 6, 1.0);
        assert!((loss - 0.5 * (1.0 + 4.0 + 3.0 - libm::log(4.0))).abs() < 1e-12, "{loss}");
        let expected = [1.0, 2.0, 0.0, 1.5, 0.0, 0.0];
        assert!(z.iter().zip(expected).all(|(z, e)| (z - e).abs() < 1e-12), "{z:?}");
    }

    #[test]
    fn its_gradient_is_its_slope() {
        let z = [0.3, -0.7, 0.9, 0.1, -1.2, 0.4, 0.0, 1.5];
        let of = |z: [f64; 8]| {
            let mut z = z;
            (elbo().loss(&[1, 0], &mut z, 4, 0.5), z)
        };
        let grad = of(z).1;
        for k in 0..8 {
            let at = |h: f64| {
                let mut moved = z;
                moved[k] += h;
                of(moved).0
            };
            let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
            assert!((slope - grad[k]).abs() < 1e-7, "{k}: {slope}, {}", grad[k]);
        }
    }
}
