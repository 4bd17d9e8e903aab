//! What a core gives at best: multiply-adds of vectors that never leave the registers.

use std::hint::black_box;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};
use serde_json::{Value, json};

use crate::Outcome;

/// Independent chains: enough to keep every unit busy.
const CHAINS: usize = 24;
const ROUNDS: usize = 100_000;
const REPEATS: usize = 20;

struct Chains;

impl WithSimd for Chains {
    /// Lanes of a vector.
    type Output = usize;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> usize {
        let [start, a, b] = [1.0, 0.999, 0.001].map(|v| simd.splat_f32s(black_box(v)));
        let mut chains = [start; CHAINS];
        for _ in 0..ROUNDS {
            for chain in &mut chains {
                *chain = simd.mul_add_e_f32s(*chain, a, b);
            }
        }
        let sum = chains.into_iter().fold(start, |sum, chain| simd.add_f32s(sum, chain));
        black_box(simd.reduce_sum_f32s(sum));
        S::F32_LANES
    }
}

/// The best of some repeats: whoever shares the core takes from the others.
pub fn peak() -> Outcome<Value> {
    let mut best = 0.0_f64;
    for _ in 0..REPEATS {
        let clock = Instant::now();
        let lanes = Arch::new().dispatch(Chains);
        let operations = (2 * lanes * CHAINS * ROUNDS) as f64;
        best = best.max(operations / clock.elapsed().as_secs_f64());
    }
    Ok(json!({ "gflops": best / 1e9 }))
}
