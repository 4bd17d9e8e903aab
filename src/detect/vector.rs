//! Sums over two vectors, in eight lanes so that they take several numbers at a time. The order of additions is
//! fixed, so results are the same on every machine.

const LANES: usize = 8;

/// The scalar product of two vectors of one length.
#[inline]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    over(a, b, |x, y| x * y)
}

/// The squared distance between two points.
#[inline]
pub(crate) fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    over(a, b, |x, y| (x - y) * (x - y))
}

#[inline(always)]
fn over(a: &[f64], b: &[f64], term: impl Fn(f64, f64) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a.iter().zip(b) {
        for lane in 0..LANES {
            lanes[lane] += term(x[lane], y[lane]);
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| term(*x, *y)).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_and_rest_are_all_counted() {
        let a: Vec<f64> = (0..19).map(f64::from).collect();
        let b: Vec<f64> = (0..19).map(|i| f64::from(i) + 2.0).collect();
        let products: f64 = (0..19).map(|i| f64::from(i * (i + 2))).sum();
        assert_eq!(dot(&a, &b), products);
        assert_eq!(squared_distance(&a, &b), 19.0 * 4.0);
        assert_eq!(dot(&[], &[]), 0.0);
    }
}
