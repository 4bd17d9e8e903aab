//! Exact one-sided binomial tests, down to probabilities that no float holds.

use libm::{exp, lgamma, log, log1p};

/// A probability and its decimal logarithm; the latter is right where the former underflows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tail {
    pub p: f64,
    pub log10: f64,
}

/// P(Binom(n, share) >= k), which is the regularised incomplete beta I_share(k, n - k + 1); 1 for k = 0.
///
/// Terms are added from the largest of the shorter tail on, each from the one before, so that nothing is
/// lost to cancellation; relative error near 1e-9 at a million trials. `share` must be in (0, 1).
pub fn binomial_tail(k: u64, n: u64, share: f64) -> Tail {
    if k == 0 {
        return Tail { p: 1.0, log10: 0.0 };
    }
    if k > n {
        return Tail { p: 0.0, log10: f64::NEG_INFINITY };
    }
    let ln = if k as f64 > n as f64 * share {
        ln_upper(k, n, share)
    } else {
        // The opposite of fewer than k hits, which are at least n - k + 1 misses.
        log1p(-exp(ln_upper(n - k + 1, n, 1.0 - share)))
    };
    Tail { p: exp(ln), log10: ln / std::f64::consts::LN_10 }
}

/// ln P(Binom(n, share) >= k) for k above the mean.
fn ln_upper(k: u64, n: u64, share: f64) -> f64 {
    if k > n {
        return f64::NEG_INFINITY;
    }
    let (kf, nf) = (k as f64, n as f64);
    let choose = lgamma(nf + 1.0) - lgamma(kf + 1.0) - lgamma(nf - kf + 1.0);
    let first = choose + kf * log(share) + (nf - kf) * log1p(-share);
    let odds = share / (1.0 - share);
    let (mut term, mut sum, mut j) = (1.0, 1.0, kf);
    while j < nf {
        term *= (nf - j) / (j + 1.0) * odds;
        sum += term;
        j += 1.0;
        if term < sum * 1e-17 {
            break;
        }
    }
    first + log(sum)
}

/// How likely it is that a model that has never met m planted answers gives k or more of them, if it hits one
/// with the chance `base_rate` (in (0, 1)), as models do that are known to be innocent.
pub fn canary_test(hits: u64, planted: u64, base_rate: f64) -> Tail {
    binomial_tail(hits, planted, base_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_trials_agree_with_sums_by_hand() {
        // P(Binom(3, 1/4) >= 2) = 3 * 3/64 + 1/64, and from the other end.
        assert!((binomial_tail(2, 3, 0.25).p - 10.0 / 64.0).abs() < 1e-15);
        assert!((binomial_tail(1, 3, 0.75).p - 63.0 / 64.0).abs() < 1e-15);
        assert_eq!(binomial_tail(4, 3, 0.5).p, 0.0);
        let all = binomial_tail(4_000, 4_000, 0.25);
        assert_eq!(all.p, 0.0, "no float is as small");
        assert!((all.log10 - 4_000.0 * libm::log10(0.25)).abs() < 1e-6);
    }

    #[test]
    fn three_of_twenty_planted_answers_are_no_chance() {
        // 1140 q^3 (1-q)^17 + 4845 q^4 (1-q)^16 + ..., q = 1/256.
        let test = canary_test(3, 20, 1.0 / 256.0);
        assert!((test.p - 6.464_834_5e-5).abs() < 1e-11, "{}", test.p);
        assert_eq!(canary_test(0, 20, 1.0 / 256.0).p, 1.0);
    }
}
