//! Exponentials for loops: no branches and no tables, so that compilers make vectors of them. They give
//! the same bits on every machine.

use pulp::Arch;

/// Runs `f`, and all that is inlined into it, with the widest vectors of this machine. Every sum in it
/// keeps the order it is written in.
#[inline(always)]
pub(in crate::model) fn vectors<R>(f: impl FnOnce() -> R) -> R {
    Arch::new().dispatch(f)
}

/// e^x within 2 units in the last place; 0 below -87.3, infinite above 88.3, NaN for NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, then Taylor's polynomial of degree 7 and 2^n by its bits.
#[inline(always)]
pub(in crate::model) fn exp32(x: f32) -> f32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to a whole number
    let clamped = x.clamp(-88.0, 89.0);
    let shifted = clamped * std::f32::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = clamped - n * 0.693_359_4; // ln 2 in two parts, the first of few bits
    let r = r + n * 2.121_944_4e-4;
    let p = 1.0 / 5040.0;
    let p = p * r + 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = p * (r * r) + r + 1.0;
    // The low bits of `shifted` hold n.
    let n = shifted.to_bits().wrapping_sub(SHIFT.to_bits());
    let e = p * f32::from_bits(n.wrapping_add(127) << 23);
    let e = if x < -87.33 { 0.0 } else { e };
    let e = if x > 88.37 { f32::INFINITY } else { e };
    if x.is_nan() { x } else { e }
}

/// e^x within 2 units in the last place; 0 below -708.3, infinite above 709.4, NaN for NaN.
#[inline(always)]
pub(in crate::model) fn exp64(x: f64) -> f64 {
    const SHIFT: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
    let clamped = x.clamp(-709.0, 710.0);
    let shifted = clamped * std::f64::consts::LOG2_E + SHIFT;
    let n = shifted - SHIFT;
    let r = clamped - n * 0.693_147_180_369_123_8;
    let r = r - n * 1.908_214_929_270_587_7e-10;
    // Taylor to degree 13: the next term is below 4e-18.
    let mut p = 1.0 / 6_227_020_800.0;
    for k in [
        479_001_600.0,
        39_916_800.0,
        3_628_800.0,
        362_880.0,
        40_320.0,
        5_040.0,
        720.0,
        120.0,
        24.0,
        6.0,
        2.0,
    ] {
        p = p * r + 1.0 / k;
    }
    let p = p * (r * r) + r + 1.0;
    // The low bits of `shifted` hold n.
    let n = shifted.to_bits().wrapping_sub(SHIFT.to_bits());
    let e = p * f64::from_bits(n.wrapping_add(1023) << 52);
    let e = if x < -708.39 { 0.0 } else { e };
    let e = if x > 709.43 { f64::INFINITY } else { e };
    if x.is_nan() { x } else { e }
}

/// Lanes that maxima and sums run in.
const LANES: usize = 16;

/// Folds f over map(x) of numbers x in lanes, then over the lanes: the same order on every machine.
#[inline(always)]
pub(in crate::model) fn fold<T: Copy, U: Copy>(
    row: &[T],
    start: U,
    map: impl Fn(T) -> U,
    f: impl Fn(U, U) -> U,
) -> U {
    let mut lanes = [start; LANES];
    let chunks = row.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(l, &x)| *l = f(*l, map(x)));
    }
    lanes.iter_mut().zip(rest).for_each(|(l, &x)| *l = f(*l, map(x)));
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] = f(lanes[i], lanes[i + half]);
        }
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_reach_every_number_once() {
        for n in [0, 1, 15, 16, 17, 40] {
            let row: Vec<u32> = (1..=n).collect();
            assert_eq!(fold(&row, 0, |x| 2 * x, |a, b| a + b), n * (n + 1));
        }
    }

    #[test]
    fn exponentials_agree_with_the_library() {
        for i in -8700..8830 {
            let x = f64::from(i) / 100.0 + 0.003_7;
            let expected = libm::exp(x);
            assert!((exp64(x) / expected - 1.0).abs() < 5e-16, "{x}");
            let x32 = x as f32;
            let expected = libm::exp(f64::from(x32));
            assert!((f64::from(exp32(x32)) / expected - 1.0).abs() < 2.5e-7, "{x32}");
        }
    }

    #[test]
    fn exponentials_of_the_extremes() {
        assert_eq!((exp32(0.0), exp64(0.0)), (1.0, 1.0));
        assert_eq!((exp32(-1e9), exp64(-1e9)), (0.0, 0.0));
        assert_eq!((exp32(f32::NEG_INFINITY), exp64(f64::NEG_INFINITY)), (0.0, 0.0));
        assert_eq!((exp32(1e9), exp64(1e9)), (f32::INFINITY, f64::INFINITY));
        assert!(exp32(f32::NAN).is_nan() && exp64(f64::NAN).is_nan());
        assert!(exp32(88.3).is_finite() && exp64(709.4).is_finite());
    }
}
