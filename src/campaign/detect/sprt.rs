//! Wald's sequential probability ratio test on yes/no flags, such as "asks for reasoning".
//!
//! Wald 1947, Sequential Analysis, chapter 3 (boundaries, sample number) and chapter 5 (binomial). With
//! k flags among n requests the log-likelihood ratio is k ln(p1/p0) + (n-k) ln((1-p1)/(1-p0)); the
//! test alarms at A = ln((1-beta)/alpha) and clears at B = ln(beta/(1-alpha)). The error rates hold
//! up to the overshoot of the last request.

use libm::{log, log1p};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::error::{Error, Result};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Share of flagged requests in benign traffic, in (0, 1).
    pub p0: f64,
    /// Share of flagged requests to detect, in (p0, 1).
    pub p1: f64,
    /// False-alarm probability of one test.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// Probability of clearing an attacker in one test.
    #[serde(default = "default_beta")]
    pub beta: f64,
    /// After a clearance the test starts again; without it a cleared account stays cleared.
    #[serde(default = "default_restart")]
    pub restart: bool,
}

const fn default_alpha() -> f64 {
    1e-4
}

const fn default_beta() -> f64 {
    0.05
}

const fn default_restart() -> bool {
    true
}

/// The test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sprt {
    p0: f64,
    p1: f64,
    alpha: f64,
    beta: f64,
    restart: bool,
    /// The boundaries, nats: an alarm from the upper one up, a clearance from the lower one down.
    upper: f64,
    lower: f64,
    /// Log-likelihood ratio of a flagged request, nats.
    flagged: f64,
    /// And of one that is not.
    plain: f64,
}

/// One account's evidence since the last restart: counts, so neither order nor merging matters to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SprtState {
    /// Requests seen.
    pub seen: u64,
    /// Flagged ones among them.
    pub flagged: u64,
}

impl SprtState {
    /// Adds the evidence of another state.
    pub const fn merge(&mut self, other: Self) {
        self.seen += other.seen;
        self.flagged += other.flagged;
    }
}

impl Params {
    /// Checks the ranges.
    pub fn build(&self) -> Result<Sprt> {
        let Self { p0, p1, alpha, beta, restart } = *self;
        if !(p0 > 0.0 && p0 < 1.0) {
            return Err(Error::config("p0", p0.to_string(), "above 0, below 1"));
        }
        if !(p1 > p0 && p1 < 1.0) {
            return Err(Error::config("p1", p1.to_string(), "above p0, below 1"));
        }
        if !(alpha > 0.0 && alpha < 0.5) {
            return Err(Error::config("alpha", alpha.to_string(), "above 0, below 0.5"));
        }
        if !(beta > 0.0 && beta < 0.5) {
            return Err(Error::config("beta", beta.to_string(), "above 0, below 0.5"));
        }
        Ok(Sprt {
            p0,
            p1,
            alpha,
            beta,
            restart,
            upper: log((1.0 - beta) / alpha),
            lower: log(beta / (1.0 - alpha)),
            flagged: log(p1 / p0),
            plain: log1p(-p1) - log1p(-p0),
        })
    }
}

impl Sprt {
    /// The boundaries A, positive, and B, negative, nats.
    pub const fn boundaries(&self) -> (f64, f64) {
        (self.upper, self.lower)
    }

    /// The log-likelihood ratio of attack over benign, nats.
    pub fn log_ratio(&self, state: &SprtState) -> f64 {
        state.flagged as f64 * self.flagged + (state.seen - state.flagged) as f64 * self.plain
    }

    /// What the counts say.
    pub fn verdict(&self, state: &SprtState) -> Verdict {
        let ratio = self.log_ratio(state);
        if ratio >= self.upper {
            Verdict::Alarm
        } else if ratio <= self.lower {
            Verdict::Clear
        } else {
            Verdict::Undecided
        }
    }

    /// Takes one request. Past a boundary a test without restart is over: it repeats its verdict.
    pub fn observe(&self, state: &mut SprtState, flagged: bool) -> Verdict {
        if !self.restart && self.verdict(state) != Verdict::Undecided {
            return self.verdict(state);
        }
        state.merge(SprtState { seen: 1, flagged: u64::from(flagged) });
        let verdict = self.verdict(state);
        if verdict == Verdict::Clear && self.restart {
            *state = SprtState::default();
        }
        verdict
    }

    /// Wald's expected number of requests to a verdict, on attack and on benign traffic.
    pub fn sample_numbers(&self) -> (f64, f64) {
        let (a, b) = self.boundaries();
        let drift = |p: f64| p * self.flagged + (1.0 - p) * self.plain; // KL(p1||p0), -KL(p0||p1)
        let attack = ((1.0 - self.beta) * a + self.beta * b) / drift(self.p1);
        let benign = ((1.0 - self.alpha) * b + self.alpha * a) / drift(self.p0);
        (attack, benign)
    }
}

/// Share of flagged requests in an account that mixes a share `phi` of attack traffic, flagged with
/// `pa`, into benign traffic, flagged with `p0`.
pub fn mixed(p0: f64, pa: f64, phi: f64) -> f64 {
    p0 + phi * (pa - p0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{cases, close, number, numbers};
    use super::*;

    fn params(p0: f64, p1: f64, alpha: f64, beta: f64) -> Params {
        Params { p0, p1, alpha, beta, restart: false }
    }

    #[test]
    fn every_reference_stream_is_matched() {
        for case in cases("sprt", 6) {
            let (i, e) = (&case["input"], &case["expected"]);
            let [p0, p1, alpha, beta] = ["p0", "p1", "alpha", "beta"].map(|k| number(&i[k]));
            let test = params(p0, p1, alpha, beta).build().unwrap();
            close(&case, test.boundaries().0, &e["A"]);
            close(&case, test.boundaries().1, &e["B"]);
            let (mut all, mut stopped) = (SprtState::default(), SprtState::default());
            let (mut stop, mut decision) = (None, Verdict::Undecided);
            for (t, x) in numbers(&i["x"]).iter().enumerate() {
                all.merge(SprtState { seen: 1, flagged: *x as u64 });
                close(&case, test.log_ratio(&all), &e["llr"][t]);
                decision = test.observe(&mut stopped, *x == 1.0);
                stop = stop.or((decision != Verdict::Undecided).then_some(t as u64 + 1));
            }
            assert_eq!(stop, e["stop_t"].as_u64(), "{}", case["id"]);
            let word = match decision {
                Verdict::Alarm => "attack",
                Verdict::Clear => "benign",
                Verdict::Undecided => "continue",
            };
            assert_eq!(word, e["decision"], "{}", case["id"]);
        }
    }

    #[test]
    fn diluting_the_attack_costs_the_test_as_many_requests_as_the_reference_says() {
        for case in cases("sprt_asn", 5) {
            let (i, e) = (&case["input"], &case["expected"]);
            let [p0, pa, phi] = ["p0", "pa", "phi"].map(|k| number(&i[k]));
            let p1 = mixed(p0, pa, phi);
            close(&case, p1, &e["p1"]);
            let test = params(p0, p1, number(&i["alpha"]), number(&i["beta"])).build().unwrap();
            let (attack, benign) = test.sample_numbers();
            close(&case, attack, &e["asn_attack"]);
            close(&case, benign, &e["asn_benign"]);
        }
    }

    #[test]
    fn a_cleared_account_is_tested_again() {
        let test = Params { restart: true, ..params(0.1, 0.5, 0.01, 0.01) }.build().unwrap();
        let mut state = SprtState::default();
        let verdicts: Vec<Verdict> = (0..8).map(|_| test.observe(&mut state, false)).collect();
        assert_eq!(verdicts[7], Verdict::Clear);
        assert_eq!(state, SprtState::default());
        let verdicts: Vec<Verdict> = (0..3).map(|_| test.observe(&mut state, true)).collect();
        assert_eq!(verdicts[2], Verdict::Alarm);
    }

    #[test]
    fn rates_outside_their_ranges_are_refused() {
        assert!(params(0.0, 0.3, 0.1, 0.1).build().is_err());
        assert!(params(0.3, 0.3, 0.1, 0.1).build().is_err());
        assert!(params(0.1, 0.3, 0.0, 0.1).build().is_err());
        assert!(params(0.1, 0.3, 0.1, f64::NAN).build().is_err());
    }
}
