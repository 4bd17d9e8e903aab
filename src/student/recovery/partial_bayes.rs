//! Partial Bayes (Tang et al. 2024, ModelGuard, section 7.1): clean rows are drawn around the answers received and
//! defended by the known defense; an answer is restored as the mean of the clean rows whose defended form is within
//! `radius` of it in L1, or as near as any is. Where the defense kept the most likely class of every row drawn, only
//! rows of the answer's own class count. The `inverse-table` asks the same of rows drawn before any answer is known.

use ndarray::{Array1, Array2};

use super::simulated::Pairs;
use crate::oracle::argmax;
use crate::student::objective::normalised;

/// Rows `[n, classes]` as they may have been.
pub(super) fn restored(pairs: &Pairs, answers: &Array2<f64>, radius: f64) -> Array2<f64> {
    let kept = pairs.keep_top1();
    let class: Vec<usize> = pairs.clean.iter().map(argmax).collect();
    let mut out = Array2::zeros(answers.dim());
    for (answer, mut row) in answers.rows().into_iter().zip(out.rows_mut()) {
        let answer = answer.to_vec();
        let own = argmax(&answer);
        let counts = |i: &usize| !kept || class[*i] == own;
        let rows: Vec<usize> = (0..class.len()).filter(counts).collect();
        let far: Vec<f64> = rows.iter().map(|&i| distance(&pairs.defended[i], &answer)).collect();
        let least = far.iter().copied().fold(f64::INFINITY, f64::min);
        let (mut mean, mut count) = (vec![0.0; answer.len()], 0);
        for (&i, far) in rows.iter().zip(far) {
            if far <= least.max(radius) {
                mean.iter_mut().zip(&pairs.clean[i]).for_each(|(m, p)| *m += p);
                count += 1;
            }
        }
        // No row drawn has the answer's class: the answer stays as it is.
        let restored = if count > 0 { mean } else { answer };
        row.assign(&Array1::from(restored));
    }
    normalised(&out)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn pairs(rows: &[([f64; 2], [f64; 2])]) -> Pairs {
        let (clean, defended) = rows.iter().map(|(c, d)| (c.to_vec(), d.to_vec())).unzip();
        Pairs { clean, defended }
    }

    #[test]
    fn the_mean_of_the_rows_within_the_radius_is_the_answer() {
        let table = pairs(&[
            ([0.9, 0.1], [0.7, 0.3]),
            ([0.8, 0.2], [0.704, 0.296]),
            ([0.6, 0.4], [0.55, 0.45]),
        ]);
        let of = |answer, radius| restored(&table, &array![answer], radius);
        let near = |a: Array2<f64>, b: f64| (a[[0, 0]] - b).abs() < 1e-12;
        assert!(near(of([0.7, 0.3], 0.01), 0.85), "both rows within 0.008");
        assert!(near(of([0.7, 0.3], 0.001), 0.9));
        assert!(near(of([0.56, 0.44], 0.001), 0.6), "nothing within: the nearest");
    }

    #[test]
    fn the_class_counts_only_where_the_defense_keeps_it() {
        let kept = pairs(&[([0.45, 0.55], [0.49, 0.51]), ([0.9, 0.1], [0.6, 0.4])]);
        assert_eq!(restored(&kept, &array![[0.505, 0.495]], 0.01), array![[0.9, 0.1]]);
        let turned = pairs(&[([0.45, 0.55], [0.51, 0.49]), ([0.9, 0.1], [0.6, 0.4])]);
        assert_eq!(restored(&turned, &array![[0.505, 0.495]], 0.01), array![[0.45, 0.55]]);
        let other = pairs(&[([0.9, 0.1], [0.6, 0.4])]);
        assert_eq!(restored(&other, &array![[0.25, 0.75]], 0.01), array![[0.25, 0.75]]);
    }
}
