//! Groups of rows that a student can make by itself: k-means (Lloyd 1982) from spread-out centres (k-means++, Arthur
//! and Vassilvitskii 2007, section 2.2).

use ndarray::{Array2, ArrayView1, ArrayView2};

use crate::seed::{Seed, permutation, uniform};

/// Rows that centres are found on; all rows are assigned to them.
const SAMPLE: usize = 2000;
/// Rounds of moving centres; they settle long before on such samples.
const ROUNDS: usize = 25;

/// The group, below `k`, of each of the rows `[n, d]`. Fewer different rows than `k` make fewer groups.
pub(super) fn k_means(rows: ArrayView2<'_, f32>, k: usize, seed: Seed) -> Vec<usize> {
    if k < 2 || rows.nrows() < 2 {
        return vec![0; rows.nrows()];
    }
    let mut rng = seed.rng();
    let mut sample = permutation(&mut rng, rows.nrows());
    sample.truncate(SAMPLE);
    let sample = rows.select(ndarray::Axis(0), &sample).mapv(f64::from); // [s, d]
    let mut centres = spread_out(&sample, k, &mut rng);
    for _ in 0..ROUNDS {
        let of: Vec<usize> =
            sample.rows().into_iter().map(|row| nearest(row, &centres).0).collect();
        let moved = means(&sample, &of, &centres);
        if moved == centres {
            break;
        }
        centres = moved;
    }
    let wide = |row: ArrayView1<'_, f32>| row.mapv(f64::from);
    rows.rows().into_iter().map(|row| nearest(wide(row).view(), &centres).0).collect()
}

/// Rows drawn in proportion to their squared distance from those drawn before.
fn spread_out(rows: &Array2<f64>, k: usize, rng: &mut impl rand::Rng) -> Array2<f64> {
    let mut picked = vec![0];
    let mut gap: Vec<f64> = vec![f64::INFINITY; rows.nrows()];
    while picked.len() < k {
        let newest = rows.row(picked[picked.len() - 1]);
        let rows = rows.rows().into_iter();
        gap.iter_mut().zip(rows).for_each(|(gap, row)| *gap = gap.min(squared(row, newest)));
        let total: f64 = gap.iter().sum();
        if total <= 0.0 {
            break; // every row is a centre already
        }
        let mut left = uniform(rng) * total;
        let drawn = gap.iter().position(|g| {
            left -= g;
            left < 0.0 && *g > 0.0
        });
        picked.push(drawn.unwrap_or_else(|| crate::oracle::argmax(&gap)));
    }
    rows.select(ndarray::Axis(0), &picked)
}

/// The nearest centre, ties to the lowest, and its squared distance.
fn nearest(row: ArrayView1<'_, f64>, centres: &Array2<f64>) -> (usize, f64) {
    let far = centres.rows().into_iter().map(|centre| squared(row, centre)).enumerate();
    far.fold((0, f64::INFINITY), |best, next| if next.1 < best.1 { next } else { best })
}

fn squared(a: ArrayView1<'_, f64>, b: ArrayView1<'_, f64>) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y) * (x - y)).sum()
}

/// Means of the groups; one without rows stays where it was.
fn means(rows: &Array2<f64>, of: &[usize], centres: &Array2<f64>) -> Array2<f64> {
    let mut sums = Array2::<f64>::zeros(centres.dim());
    let mut counts = vec![0_usize; centres.nrows()];
    for (row, &group) in rows.rows().into_iter().zip(of) {
        let mut sum = sums.row_mut(group);
        sum += &row;
        counts[group] += 1;
    }
    for ((mut sum, count), centre) in sums.rows_mut().into_iter().zip(counts).zip(centres.rows()) {
        if count == 0 { sum.assign(&centre) } else { sum /= count as f64 }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn heaps_that_lie_apart_become_groups() {
        let rows = Array2::from_shape_fn((60, 2), |(i, j)| {
            (i % 3) as f32 * 10.0 + (i / 3) as f32 * 0.01 * (j + 1) as f32
        });
        let of = k_means(rows.view(), 3, Seed::new(1));
        assert!((0..60).all(|i| of[i] == of[i % 3]), "{of:?}");
        assert!(of[0] != of[1] && of[1] != of[2] && of[0] != of[2]);
        assert_eq!(of, k_means(rows.view(), 3, Seed::new(1)));
    }

    #[test]
    fn equal_rows_and_single_rows_are_one_group() {
        let equal = Array2::from_elem((9, 3), 0.5_f32);
        assert_eq!(k_means(equal.view(), 4, Seed::new(1)), [0; 9]);
        assert_eq!(k_means(array![[1.0_f32]].view(), 4, Seed::new(1)), [0]);
        let none = Array2::<f32>::zeros((0, 3));
        assert!(k_means(none.view(), 4, Seed::new(1)).is_empty());
    }
}
