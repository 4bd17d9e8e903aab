//! The generic cell rate algorithm on whole microseconds: a token bucket in one number.
//!
//! The state is the theoretical arrival time (TAT) of ITU-T I.371 (1996), annex A; limits are as in
//! the virtual scheduling form there. With emission interval T and burst b, tolerance tau = b T.

use serde::{Deserialize, Serialize};

use super::Tick;

/// A limit of `burst` units at once and one more every `emission_us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gcra {
    emission_us: u64,
    burst: u64,
    oversize: Oversize,
}

/// What happens to a request of more units than the burst.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Oversize {
    /// It never passes.
    #[default]
    RejectForever,
    /// It passes when the bucket is full, and the debt is waited out afterwards.
    WhenFull,
}

/// One account's state: owned by the account, 8 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcraState {
    tat_us: u64,
}

impl Gcra {
    /// One unit every `emission_us` microseconds, `burst` units at once. Both positive.
    pub const fn new(emission_us: u64, burst: u64, oversize: Oversize) -> Self {
        Self { emission_us, burst, oversize }
    }

    /// `units` units in each `period_us`, spread evenly; the interval is rounded up to a whole
    /// microsecond, so that the limit is never exceeded.
    pub const fn per(units: u64, period_us: u64, burst: u64) -> Self {
        Self::new(period_us.div_ceil(units), burst, Oversize::RejectForever)
    }

    /// Takes `cost` units at `now`, or says when the same request would pass; `None` is never.
    pub fn admit(&self, state: &mut GcraState, now: Tick, cost: u64) -> Result<(), Option<Tick>> {
        let start = state.tat_us.max(now.0);
        let after = start.saturating_add(cost.saturating_mul(self.emission_us));
        if cost > self.burst {
            return match self.oversize {
                Oversize::RejectForever => Err(None),
                Oversize::WhenFull if state.tat_us <= now.0 => {
                    state.tat_us = after;
                    Ok(())
                }
                Oversize::WhenFull => Err(Some(Tick(state.tat_us))),
            };
        }
        let tolerance = self.burst.saturating_mul(self.emission_us);
        let ahead = after - now.0;
        if ahead <= tolerance {
            state.tat_us = after;
            return Ok(());
        }
        Err(Some(now.after(ahead - tolerance)))
    }

    /// Units that would pass at `now`; negative while an oversize request is waited out.
    pub fn remaining(&self, state: &GcraState, now: Tick) -> i64 {
        let tolerance = i128::from(self.burst) * i128::from(self.emission_us);
        let used = i128::from(state.tat_us.max(now.0) - now.0);
        (tolerance - used).div_euclid(i128::from(self.emission_us)) as i64
    }
}

impl GcraState {
    /// The theoretical arrival time, microseconds.
    pub const fn tat_us(&self) -> u64 {
        self.tat_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn number(v: &Value) -> u64 {
        v.as_u64().expect("a whole number")
    }

    #[test]
    fn every_reference_stream_is_matched() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/limits.json"));
        let file: Value = serde_json::from_str(text).unwrap();
        let mut seen = 0;
        for case in file["cases"].as_array().unwrap().iter().filter(|c| c["method"] == "gcra") {
            let input = &case["input"];
            let oversize = match input["oversize"].as_str().unwrap() {
                "when_full" => Oversize::WhenFull,
                _ => Oversize::RejectForever,
            };
            let limit = Gcra::new(number(&input["T_us"]), number(&input["burst"]), oversize);
            let mut state = GcraState::default();
            let requests = input["requests_t_cost"].as_array().unwrap();
            let expected = case["expected"]["admit_retry_remaining"].as_array().unwrap();
            for (request, want) in requests.iter().zip(expected) {
                let now = Tick(number(&request[0]));
                let cost = request[1]
                    .as_u64()
                    .unwrap_or_else(|| panic!("{}: cost {}", case["id"], request[1]));
                let got = limit.admit(&mut state, now, cost);
                let retry = got.err().flatten().map(|t| t.0 - now.0);
                let remaining = limit.remaining(&state, now);
                assert_eq!(
                    (u64::from(got.is_ok()), retry, remaining),
                    (number(&want[0]), want[1].as_u64(), want[2].as_i64().unwrap()),
                    "{} at {now:?}",
                    case["id"]
                );
            }
            assert_eq!(state.tat_us(), number(&case["expected"]["final_tat_us"]), "{}", case["id"]);
            seen += 1;
        }
        assert_eq!(seen, 9);
    }

    #[test]
    fn twenty_a_second_takes_five_seconds_for_the_hundred_after_the_burst() {
        let limit = Gcra::per(20, 1_000_000, 5);
        let mut state = GcraState::default();
        let mut now = Tick::ZERO;
        let mut at_once = 0;
        for _ in 0..105 {
            while let Err(retry) = limit.admit(&mut state, now, 1) {
                now = retry.expect("one unit passes some day");
            }
            at_once += u64::from(now == Tick::ZERO);
        }
        assert_eq!((at_once, now), (5, Tick::ms(5_000)));
    }

    /// Mean wait in service times of a queue in front of a limit of burst 1, with exponential gaps.
    fn mean_wait(rho: f64, service: impl Fn(&mut rand_chacha::ChaCha8Rng) -> f64) -> f64 {
        const UNIT: u64 = 1_000;
        let limit = Gcra::new(1, 1, Oversize::WhenFull);
        let mut rng = crate::Seed::new(4).rng();
        let (mut state, mut arrived, mut sum) = (GcraState::default(), 0.0, 0);
        let n = 400_000;
        for _ in 0..n {
            arrived -= libm::log(1.0 - crate::seed::uniform(&mut rng)) / rho * UNIT as f64;
            let came = Tick(arrived as u64);
            let cost = ((service(&mut rng) * UNIT as f64) as u64).max(2);
            let mut now = came;
            while let Err(retry) = limit.admit(&mut state, now, cost) {
                now = retry.expect("it passes when the bucket is full");
            }
            sum += now.0 - came.0;
        }
        sum as f64 / n as f64 / UNIT as f64
    }

    #[test]
    fn waits_are_those_of_queues_with_constant_and_exponential_service() {
        let rho = 0.6;
        // Pollaczek and Khinchine: rho (1 + c^2) / (2 (1 - rho)).
        let constant = mean_wait(rho, |_| 1.0);
        assert!((constant / (rho / (2.0 * (1.0 - rho))) - 1.0).abs() < 0.03, "{constant}");
        let exponential = mean_wait(rho, |rng| -libm::log(1.0 - crate::seed::uniform(rng)));
        assert!((exponential / (rho / (1.0 - rho)) - 1.0).abs() < 0.03, "{exponential}");
    }

    #[test]
    fn a_spent_bucket_names_its_refill_time() {
        let limit = Gcra::per(2, 1_000_000, 2);
        let mut state = GcraState::default();
        assert_eq!(limit.admit(&mut state, Tick::ms(0), 2), Ok(()));
        assert_eq!(limit.admit(&mut state, Tick::ms(1), 1), Err(Some(Tick::ms(500))));
        assert_eq!(limit.admit(&mut state, Tick::ms(500), 1), Ok(()));
    }
}
