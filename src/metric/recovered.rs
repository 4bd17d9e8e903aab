//! The share of a teacher's skill above a floor that a student recovered: R = (S - B) / (T - B).

use super::interval::variance;
use super::special::t_quantile;

/// Shape of a Fieller set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fieller {
    /// All values between the two.
    Interval { low: f64, high: f64 },
    /// All values but those between the two.
    Complement { low: f64, high: f64 },
    /// Every value: the data say nothing.
    All,
}

/// A recovered share over seeds.
#[derive(Clone, Debug, PartialEq)]
pub struct Recovered {
    /// Number of seeds.
    pub n: usize,
    /// Ratio of seed means; none where teacher and floor are equal.
    pub value: Option<f64>,
    /// Lower end of the Fieller interval, if it is one.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// The teacher is at least four standard errors above the floor.
    pub identified: bool,
}

/// Fieller's set (Fieller 1954) for S' / T' with variances and covariance of the two means, at
/// quantile `q`: all rho with (s - rho t)^2 <= q^2 (vs - 2 rho c + rho^2 vt).
fn fieller(s: f64, t: f64, vs: f64, vt: f64, c: f64, q: f64) -> Fieller {
    let q2 = q * q;
    let (a, b, d) = (t * t - q2 * vt, s * t - q2 * c, s * s - q2 * vs);
    let under = b * b - a * d;
    // Without a spread the root is zero but for rounding.
    let under = if under.abs() < 1e-14 * b * b { 0.0 } else { under };
    if a > 0.0 {
        let root = under.max(0.0).sqrt();
        return Fieller::Interval { low: (b - root) / a, high: (b + root) / a };
    }
    if under <= 0.0 || a == 0.0 {
        return Fieller::All;
    }
    let root = under.sqrt();
    Fieller::Complement { low: (b + root) / a, high: (b - root) / a }
}

/// Value, variance by the delta method, Fieller set and identification from three independent means
/// with standard errors, at normal quantile `z`.
pub fn recovered_independent(
    s: (f64, f64),
    t: (f64, f64),
    b: (f64, f64),
    z: f64,
) -> (f64, f64, Fieller, bool) {
    let gap = t.0 - b.0;
    let r = (s.0 - b.0) / gap;
    let (vs, vt, vb) = (s.1 * s.1, t.1 * t.1, b.1 * b.1);
    let delta = (vs + r * r * vt + (1.0 - r) * (1.0 - r) * vb) / (gap * gap);
    let set = fieller(s.0 - b.0, gap, vs + vb, vt + vb, vb, z);
    (r, delta, set, gap.abs() >= 4.0 * (vt + vb).sqrt())
}

/// Ratio of seed means with the Fieller interval of the joint per-seed covariance and t quantiles, at
/// 95 %. Each triple is (student, teacher, floor) of one seed. Where seeds resample the split, `overlap`
/// is n_test/n_train, and variances are those of [`super::resampled_ci`]; 0 otherwise.
pub fn recovered(seeds: &[(f64, f64, f64)], overlap: f64) -> Recovered {
    let n = seeds.len();
    let tops: Vec<f64> = seeds.iter().map(|(s, _, b)| s - b).collect();
    let gaps: Vec<f64> = seeds.iter().map(|(_, t, b)| t - b).collect();
    let share = 1.0 / n.max(1) as f64;
    let (top, gap) = (tops.iter().sum::<f64>() * share, gaps.iter().sum::<f64>() * share);
    let scale = share + overlap;
    let value = (n > 0 && gap != 0.0).then(|| top / gap);
    if n < 2 {
        return Recovered { n, value, low: None, high: None, identified: value.is_some() };
    }
    let covariance =
        tops.iter().zip(&gaps).map(|(a, b)| (a - top) * (b - gap)).sum::<f64>() / (n - 1) as f64;
    let (vs, vt) = (variance(&tops) * scale, variance(&gaps) * scale);
    let identified = gap >= 4.0 * vt.sqrt() && gap > 0.0;
    let q = t_quantile(0.975, (n - 1) as f64);
    match fieller(top, gap, vs, vt, covariance * scale, q) {
        Fieller::Interval { low, high } if identified => {
            Recovered { n, value, low: Some(low), high: Some(high), identified }
        }
        _ => Recovered { n, value, low: None, high: None, identified },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEDS: [(f64, f64, f64); 3] =
        [(0.80, 0.95, 0.10), (0.70, 0.97, 0.13), (0.76, 0.93, 0.08)];

    /// At an end rho of the interval the seeds' S - B - rho (T - B) have a t statistic that is just significant.
    #[test]
    fn ends_of_the_interval_are_where_a_t_test_of_the_seeds_turns() {
        // scipy 1.17.1: t.ppf(0.975, 2).
        let q = 4.302652729749462;
        for overlap in [0.0, 0.25] {
            let found = recovered(&SEEDS, overlap);
            let gaps = SEEDS.map(|(_, t, b)| t - b);
            let tops = SEEDS.map(|(s, _, b)| s - b);
            let ratio = tops.iter().sum::<f64>() / gaps.iter().sum::<f64>();
            assert!((found.value.unwrap() - ratio).abs() < 1e-12 && found.identified);
            let (low, high) = (found.low.unwrap(), found.high.unwrap());
            assert!(low < ratio && ratio < high);
            for rho in [low, high] {
                let rest = [0, 1, 2].map(|i| tops[i] - rho * gaps[i]);
                let mean = rest.iter().sum::<f64>() / 3.0;
                let spread = rest.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / 2.0;
                let t = mean / (spread * (1.0 / 3.0 + overlap)).sqrt();
                assert!((t.abs() - q).abs() < 1e-6, "overlap {overlap}, end {rho}: t {t}");
            }
        }
        assert!(recovered(&[(0.5, 0.9, 0.1), (0.5, 0.91, 0.1)], 0.0).low.is_some());
    }

    #[test]
    fn a_teacher_hardly_above_its_floor_has_a_value_and_no_interval() {
        // Gaps of mean 3 and standard error 1 over ten seeds: Fieller's set is an interval all the same.
        let gap = |i: usize| if i.is_multiple_of(2) { 6.0 } else { 0.0 };
        let seeds: Vec<_> = (0..10).map(|i| (0.5 * gap(i), gap(i), 0.0)).collect();
        let found = recovered(&seeds, 0.0);
        assert_eq!(
            (found.value, found.low, found.high, found.identified),
            (Some(0.5), None, None, false)
        );
        let none = recovered(&[(0.5, 0.1, 0.1); 2], 0.0);
        assert_eq!((none.value, none.low, none.identified), (None, None, false));
        assert_eq!(fieller(1.0, 0.0, 0.1, 0.0, 0.0, 2.0), Fieller::All);
    }
}
