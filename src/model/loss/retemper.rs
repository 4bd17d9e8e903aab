//! Known probabilities of a teacher at another temperature than the one it answered at. Exactly this is possible
//! only with the whole distribution: p^a over its sum, a = generation temperature / loss temperature.

/// What the leftover of k known probabilities is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// One token that holds all of it, as DistillKit does: exact only at a = 1.
    OneToken,
    /// As many tokens as are missing, each with the same share of it: leftover^a m^(1 - a).
    Spread,
}

/// Probabilities `[k]` to the power `a`, scaled so that they and the leftover of `missing` tokens sum to 1.
pub fn retemper(probs: &[f64], missing: usize, a: f64, leftover: Leftover) -> Vec<f64> {
    let rest = (1.0 - probs.iter().sum::<f64>()).max(0.0);
    let powers = probs.iter().map(|&p| libm::pow(p, a));
    let spread = match leftover {
        _ if missing == 0 || rest == 0.0 => 0.0,
        Leftover::OneToken => libm::pow(rest, a),
        Leftover::Spread => libm::pow(rest, a) * libm::pow(missing as f64, 1.0 - a),
    };
    let sum: f64 = powers.clone().sum::<f64>() + spread;
    powers.map(|p| p / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As 32 bits leave it: what rounding took is no token's.
    #[test]
    fn a_whole_distribution_has_no_leftover_whatever_rounding_took() {
        for leftover in [Leftover::OneToken, Leftover::Spread] {
            let probs = retemper(&[0.64 - 1e-6, 0.36], 0, 0.5, leftover);
            assert!((probs.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{leftover:?}: {probs:?}");
            assert!((probs[0] - 0.8 / 1.4).abs() < 1e-6, "{leftover:?}: {probs:?}");
        }
    }
}
