//! Scores of green-list watermarks (Kirchenbauer et al. 2023, arXiv:2301.10226), and of whoever has learnt
//! from watermarked text (Sander et al. 2024, arXiv:2402.14904).
//!
//! A token is green or not, depending on the `context` tokens before it. Without a watermark the share of
//! green tokens is gamma, if no pair of context and token is counted twice: text repeats itself, and what
//! repeats proves nothing.

use std::collections::BTreeSet;

use libm::{exp, sqrt};

use super::binomial::{Tail, binomial_tail};

/// (k - gamma T) / sqrt(T gamma (1 - gamma)): green tokens among all, in deviations from what is expected
/// without a watermark (Kirchenbauer et al. 2023, equation 3). NaN without tokens.
pub fn z_score(green: u64, tokens: u64, gamma: f64) -> f64 {
    let n = tokens as f64;
    (green as f64 - gamma * n) / sqrt(n * gamma * (1.0 - gamma))
}

/// P(z or more) of a standard normal.
pub fn z_p(z: f64) -> f64 {
    0.5 * libm::erfc(z / std::f64::consts::SQRT_2)
}

/// Green share of tokens drawn from a flat distribution under a watermark:
/// gamma alpha / (1 + (alpha - 1) gamma), alpha = e^delta.
pub fn flat_green_share(gamma: f64, delta: f64) -> f64 {
    let alpha = exp(delta);
    gamma * alpha / (1.0 + (alpha - 1.0) * gamma)
}

/// Modulus of [`spike_entropy`]: (1 - gamma)(alpha - 1) / (1 + (alpha - 1) gamma).
pub fn spike_modulus(gamma: f64, delta: f64) -> f64 {
    let alpha = exp(delta);
    (1.0 - gamma) * (alpha - 1.0) / (1.0 + (alpha - 1.0) * gamma)
}

/// sum_k p_k / (1 + zeta p_k) of softmax(logits), zeta the modulus: how much room a distribution leaves for a
/// watermark (Kirchenbauer et al. 2023, definition 4.1). T tokens have at least
/// [`flat_green_share`] x T x (mean of this) green ones in expectation (theorem 4.2).
pub fn spike_entropy(logits: &[f64], gamma: f64, delta: f64) -> f64 {
    let zeta = spike_modulus(gamma, delta);
    let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|z| exp(z - most)).sum();
    logits.iter().map(|z| exp(z - most) / sum).map(|p| p / (1.0 + zeta * p)).sum()
}

/// Fewest tokens with which this share of green ones reaches z; none if the share is not above gamma.
pub fn tokens_needed(share: f64, gamma: f64, z: f64) -> Option<u64> {
    let over = share - gamma;
    (over > 0.0).then(|| (z * z * gamma * (1.0 - gamma) / (over * over)).ceil() as u64)
}

/// Pairs of context and token, each counted once over everything that is added.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// Pairs added, repeated ones too.
    windows: u64,
    met: BTreeSet<(Vec<u16>, u16)>,
}

/// What a set of pairs comes to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Green {
    /// Pairs looked at, repeated ones too.
    pub windows: u64,
    /// Different pairs.
    pub distinct: u64,
    /// Different pairs that count.
    pub scored: u64,
    /// Green ones among these.
    pub green: u64,
    /// Deviations from the share gamma.
    pub z: f64,
    /// How likely so many green ones are without a watermark, exactly.
    pub p: Tail,
}

impl Pairs {
    /// A token that follows a context.
    pub fn add(&mut self, context: &[u16], token: u16) {
        self.windows += 1;
        self.met.insert((context.to_vec(), token));
    }

    /// Every token of a text that has `context` tokens before it.
    pub fn add_text(&mut self, text: &[u16], context: usize) {
        for window in text.windows(context + 1) {
            self.add(&window[..context], window[context]);
        }
    }

    /// The score of the pairs whose context `counts`, given which are green.
    pub fn score(
        &self,
        gamma: f64,
        counts: impl Fn(&[u16]) -> bool,
        mut is_green: impl FnMut(&[u16], u16) -> bool,
    ) -> Green {
        let (mut scored, mut green) = (0, 0);
        for (context, token) in self.met.iter().filter(|(context, _)| counts(context)) {
            scored += 1;
            green += u64::from(is_green(context, *token));
        }
        Green {
            windows: self.windows,
            distinct: self.met.len() as u64,
            scored,
            green,
            z: z_score(green, scored, gamma),
            p: binomial_tail(green, scored, gamma),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::tests::{close, number, numbers};
    use super::*;

    fn cases(method: &str, expected: usize) -> Vec<Value> {
        let text =
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/watermark.json"));
        let file: Value = serde_json::from_str(text).unwrap();
        let all = file["cases"].as_array().unwrap();
        let all: Vec<Value> = all.iter().filter(|c| c["method"] == method).cloned().collect();
        assert_eq!(all.len(), expected, "{method}");
        all
    }

    fn count(v: &Value) -> u64 {
        v.as_u64().unwrap()
    }

    #[test]
    fn z_scores_match() {
        for c in cases("z_score", 13) {
            let i = &c["input"];
            let z = z_score(count(&i["k"]), count(&i["T"]), number(&i["gamma"]));
            close(&c, z, &c["expected"]["z"]);
            close(&c, z_p(z), &c["expected"]["p_normal"]);
        }
    }

    #[test]
    fn exact_p_values_match_from_one_down_to_1e_31() {
        for c in cases("binomial_p", 13) {
            let i = &c["input"];
            let tail = binomial_tail(count(&i["k"]), count(&i["T"]), number(&i["gamma"]));
            close(&c, tail.p, &c["expected"]["p"]);
            close(&c, tail.log10, &c["expected"]["log10_p"]);
        }
    }

    #[test]
    fn the_published_radioactivity_example_is_met() {
        // Sander et al. 2024: a green share of .25881 of 248,200 tokens, printed log10 p = -23.6.
        let tail = binomial_tail(64_237, 248_200, 0.25);
        assert!((tail.log10 + 23.545).abs() < 1e-3 && (tail.p / 2.848e-24 - 1.0).abs() < 1e-3);
        assert!((z_score(64_237, 248_200, 0.25) - 10.138).abs() < 1e-3);
    }

    #[test]
    fn scores_count_each_pair_once_over_all_texts_and_drop_contexts() {
        let tokens = |v: &Value| -> Vec<u16> { numbers(v).into_iter().map(|t| t as u16).collect() };
        for c in cases("dedup_score", 4) {
            let i = &c["input"];
            let list = |key: &str| -> Vec<Vec<u16>> {
                i[key].as_array().into_iter().flatten().map(tokens).collect()
            };
            let context = count(&i["context"]) as usize;
            let green = i["green"].as_array().unwrap();
            let green: Vec<(Vec<u16>, u16)> =
                green.iter().map(|pair| (tokens(&pair[0]), number(&pair[1]) as u16)).collect();
            let mut pairs = Pairs::default();
            list("sequences").iter().for_each(|text| pairs.add_text(text, context));
            let (out, only) = (list("exclude_contexts"), list("filter_contexts"));
            let all = i["filter_contexts"].is_null();
            let counts = |context: &[u16]| {
                !out.contains(&context.to_vec()) && (all || only.contains(&context.to_vec()))
            };
            let is_green = |context: &[u16], token| green.contains(&(context.to_vec(), token));
            let score = pairs.score(number(&i["gamma"]), counts, is_green);
            let e = &c["expected"];
            let found = [score.windows, score.distinct, score.scored, score.green];
            let expected = ["windows", "distinct", "scored", "green"].map(|key| count(&e[key]));
            assert_eq!(found, expected, "{}", c["id"]);
            close(&c, score.p.p, &e["p"]);
        }
    }

    #[test]
    fn spike_entropies_match() {
        for c in cases("spike_entropy", 6) {
            let i = &c["input"];
            let (gamma, delta) = (number(&i["gamma"]), number(&i["delta"]));
            close(&c, spike_modulus(gamma, delta), &c["expected"]["zeta"]);
            close(&c, flat_green_share(gamma, delta), &c["expected"]["gl_coef"]);
            let spike = spike_entropy(&numbers(&i["logits"]), gamma, delta);
            close(&c, spike, &c["expected"]["spike_entropy"]);
        }
    }

    #[test]
    fn numbers_of_tokens_needed_match() {
        for c in cases("green_tokens_needed", 6) {
            let i = &c["input"];
            let [share, gamma, z] = ["share", "gamma", "z"].map(|key| number(&i[key]));
            close(&c, tokens_needed(share, gamma, z).unwrap() as f64, &c["expected"]["T"]);
        }
        assert_eq!(tokens_needed(0.25, 0.25, 4.0), None);
    }

    #[test]
    fn nothing_added_proves_nothing() {
        let none = Pairs::default().score(0.25, |_| true, |_, _| true);
        assert_eq!((none.scored, none.p.p), (0, 1.0));
        assert!(none.z.is_nan());
    }
}
