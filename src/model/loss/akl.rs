//! Adaptive KL: forward where the student is wrong about the likely classes, reverse where it is wrong about the
//! others (Wu et al. 2024, arXiv:2404.02657, section 4).

use super::divergence::{Known, forward, reverse};

/// Divergence of one row, given log softmax and softmax; the gradient in place of the former. The weight of the
/// two directions is a number of this row, with no gradient of its own.
pub(super) fn row(z: &mut [f64], q: &[f64], known: Known<'_>, mu: f64) -> f64 {
    let w = weight(q, known.p, mu);
    let mut backward = z.to_vec();
    let loss = w * forward(z, q, known) + (1.0 - w) * reverse(&mut backward, q, known);
    z.iter_mut().zip(&backward).for_each(|(f, b)| *f = w * *f + (1.0 - w) * b);
    loss
}

/// Share of sum |p - q| on the head: the fewest classes, by falling p and then by number, that hold `mu` of p.
pub(super) fn weight(q: &[f64], p: &[f64], mu: f64) -> f64 {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[b].total_cmp(&p[a]));
    let (mut mass, mut gaps) = (0.0, [0.0, 0.0]);
    for id in order {
        gaps[usize::from(mass >= mu)] += (p[id] - q[id]).abs();
        mass += p[id];
    }
    let [head, tail] = gaps;
    if head + tail > 0.0 { head / (head + tail) } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_has_its_share_of_the_gaps_and_half_where_there_are_none() {
        let p = [0.25, 0.5, 0.125, 0.125];
        assert_eq!(weight(&p, &p, 0.5), 0.5);
        // All that is wrong is in the head, then nothing is, then a third.
        assert_eq!(weight(&[0.5, 0.25, 0.125, 0.125], &p, 0.75), 1.0);
        assert_eq!(weight(&[0.375, 0.5, 0.0625, 0.0625], &p, 0.5), 0.0);
        assert_eq!(weight(&[0.375, 0.375, 0.25, 0.0], &p, 0.5), 0.25);
    }
}
