//! A token bucket with an exact level, and two-phase accounting: reserve at admission, settle at the end.
//!
//! The level is a whole number of (token x microsecond of the period), so that any rate is exact. Vendors
//! set the bound of an answer aside when a request arrives and give back what it did not use.

use super::Tick;

/// `count` tokens in each period of `period_us`, `burst` at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    count: u64,
    period_us: u64,
    burst: u64,
}

/// One account's level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BucketState {
    /// What is missing from a full bucket, in tokens x `period_us`; negative never.
    missing: u64,
    last: Tick,
}

impl Bucket {
    /// All positive.
    pub const fn new(count: u64, period_us: u64, burst: u64) -> Self {
        Self { count, period_us, burst }
    }

    /// Most tokens at once.
    pub const fn burst(&self) -> u64 {
        self.burst
    }

    fn refill(&self, state: &mut BucketState, now: Tick) {
        let passed = now.0.saturating_sub(state.last.0);
        state.missing = state.missing.saturating_sub(passed.saturating_mul(self.count));
        state.last = now;
    }

    /// Sets `need` tokens aside, or says when they would be there; `None` is never.
    pub fn admit(&self, state: &mut BucketState, now: Tick, need: u64) -> Result<(), Option<Tick>> {
        if need > self.burst {
            return Err(None);
        }
        self.refill(state, now);
        let missing = state.missing + need * self.period_us;
        let full = self.burst * self.period_us;
        if missing > full {
            return Err(Some(now.after((missing - full).div_ceil(self.count))));
        }
        state.missing = missing;
        Ok(())
    }

    /// The answer took `used` of the `reserved` tokens: the rest comes back. More than was reserved is a
    /// debt that later requests wait for.
    pub fn settle(&self, state: &mut BucketState, now: Tick, reserved: u64, used: u64) {
        self.refill(state, now);
        let with = state.missing + used * self.period_us;
        state.missing = with.saturating_sub(reserved * self.period_us);
    }

    /// The level as a fraction of tokens: numerator over `period_us`.
    pub fn level(&self, state: &BucketState) -> (i64, u64) {
        ((self.burst * self.period_us) as i64 - state.missing as i64, self.period_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn number(v: &Value) -> u64 {
        v.as_u64().expect("a whole number")
    }

    fn cases(method: &str) -> Vec<Value> {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/limits.json"));
        let file: Value = serde_json::from_str(text).unwrap();
        let cases = file["cases"].as_array().unwrap().iter();
        cases.filter(|c| c["method"] == method).cloned().collect()
    }

    fn bucket(input: &Value) -> Bucket {
        let at = |key: &str| number(&input[key]);
        Bucket::new(at("count"), at("period_us"), at("burst"))
    }

    /// Whether a level is numerator / denominator, exactly.
    fn level_is(
        bucket: &Bucket,
        state: &BucketState,
        numerator: &Value,
        denominator: &Value,
    ) -> bool {
        let (n, d) = bucket.level(state);
        let (num, den) = (numerator.as_i64().unwrap(), number(denominator));
        i128::from(n) * i128::from(den) == i128::from(num) * i128::from(d)
    }

    #[test]
    fn every_bucket_of_the_vectors_is_matched() {
        let cases = cases("token_bucket");
        for case in &cases {
            let bucket = bucket(&case["input"]);
            let mut state = BucketState::default();
            let requests = case["input"]["requests_t_cost"].as_array().unwrap();
            let wanted = case["expected"]["admit_retry_levelnum_levelden"].as_array().unwrap();
            for (request, want) in requests.iter().zip(wanted) {
                let now = Tick(number(&request[0]));
                let got = bucket.admit(&mut state, now, number(&request[1]));
                let retry = got.err().flatten().map(|t| t.0 - now.0);
                let id = &case["id"];
                assert_eq!(
                    (u64::from(got.is_ok()), retry),
                    (number(&want[0]), want[1].as_u64()),
                    "{id}"
                );
                assert!(level_is(&bucket, &state, &want[2], &want[3]), "{id} at {now:?}");
            }
        }
        assert_eq!(cases.len(), 4);
    }

    #[test]
    fn every_reservation_of_the_vectors_is_matched() {
        let cases = cases("reserve_settle");
        for case in &cases {
            let bucket = bucket(&case["input"]);
            let mut state = BucketState::default();
            let mut reserved = std::collections::BTreeMap::new();
            let events = case["input"]["events"].as_array().unwrap();
            for (event, want) in events.iter().zip(case["expected"]["result"].as_array().unwrap()) {
                let (now, kind) = (Tick(number(&event[0])), event[1].as_str().unwrap());
                let (id, input, output) = (number(&event[2]), number(&event[3]), number(&event[4]));
                if kind == "admit" {
                    let need = input + output;
                    let got = bucket.admit(&mut state, now, need);
                    if got.is_ok() {
                        reserved.insert(id, need);
                    }
                    let retry = got.err().flatten().map(|t| t.0 - now.0);
                    assert_eq!(
                        (u64::from(got.is_ok()), retry),
                        (number(&want[0]), want[1].as_u64())
                    );
                } else if let Some(need) = reserved.remove(&id) {
                    let used = if kind == "settle" { input + output } else { 0 };
                    bucket.settle(&mut state, now, need, used);
                } else {
                    bucket.refill(&mut state, now);
                }
                assert!(level_is(&bucket, &state, &want[2], &want[3]), "{} at {now:?}", case["id"]);
            }
        }
        assert_eq!(cases.len(), 3);
    }
}
