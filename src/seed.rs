//! Named random streams. A stream is a child of the run's seed by name; adding a component never
//! shifts another's stream, and the values are the same on every machine.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// A node in the tree of streams: 256 bits from which children and generators are derived.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The root stream of a run.
    pub fn new(root: u64) -> Self {
        Self(blake3::derive_key("retort 2026 seed root", &root.to_le_bytes()))
    }

    /// The child stream called `name`. Different names give independent streams.
    pub fn child(&self, name: &str) -> Self {
        Self(*blake3::keyed_hash(&self.0, name.as_bytes()).as_bytes())
    }

    /// The `i`-th child stream of `name`.
    pub fn nth(&self, name: &str, i: u64) -> Self {
        self.child(&format!("{name}/{i}"))
    }

    /// The child keyed by raw bytes, such as a canonical input row.
    pub fn keyed(&self, bytes: &[u8]) -> Self {
        Self(*blake3::keyed_hash(&self.0, bytes).as_bytes())
    }

    /// A generator at the start of this stream.
    pub fn rng(&self) -> ChaCha8Rng {
        ChaCha8Rng::from_seed(self.0)
    }
}

/// A standard normal draw (Box and Muller 1958), with `libm` so that every machine agrees.
pub fn normal(rng: &mut impl rand::Rng) -> f64 {
    let u1 = 1.0 - uniform(rng); // (0, 1]
    let u2 = uniform(rng);
    libm::sqrt(-2.0 * libm::log(u1)) * libm::cos(std::f64::consts::TAU * u2)
}

/// A uniform draw in [0, 1) with 53 random bits.
pub fn uniform(rng: &mut impl rand::Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// A uniform whole number in `0..n` (Lemire 2019, without bias). `n` must be positive.
pub fn below(rng: &mut impl rand::Rng, n: usize) -> usize {
    let n = n as u64;
    assert!(n > 0, "below needs a positive bound");
    loop {
        let wide = u128::from(rng.next_u64()) * u128::from(n);
        let low = wide as u64;
        if low >= n || low >= n.wrapping_neg() % n {
            return (wide >> 64) as usize;
        }
    }
}

/// A random order of `0..n` (Fisher and Yates).
pub fn permutation(rng: &mut impl rand::Rng, n: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    shuffle(rng, &mut order);
    order
}

/// Brings items into a random order (Fisher and Yates).
pub fn shuffle<T>(rng: &mut impl rand::Rng, items: &mut [T]) {
    for i in (1..items.len()).rev() {
        items.swap(i, below(rng, i + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_depend_on_parent_and_name_only() {
        let a = Seed::new(7);
        assert_eq!(a.child("order"), Seed::new(7).child("order"));
        assert_ne!(a.child("order"), a.child("noise"));
        assert_ne!(a.child("order"), Seed::new(8).child("order"));
    }

    #[test]
    fn a_permutation_holds_each_number_once() {
        let mut order = permutation(&mut Seed::new(1).rng(), 100);
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn normal_draws_have_mean_zero_and_variance_one() {
        let mut rng = Seed::new(3).rng();
        let draws: Vec<f64> = (0..20_000).map(|_| normal(&mut rng)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 19_999.0;
        assert!(
            mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05,
            "mean {mean}, variance {variance}"
        );
    }
}
