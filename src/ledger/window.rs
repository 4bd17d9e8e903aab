//! A fixed window: so many units in each period of the clock, such as a day or a month of 30 days.
//!
//! It lets twice its limit through around a boundary, as daily quotas and monthly caps do.

use super::Tick;

/// Units of the current window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WindowState {
    used: u64,
    window: u32,
}

/// At most `limit` units in each window of `period_us`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    limit: u64,
    period_us: u64,
}

impl Window {
    /// Both positive.
    pub const fn new(limit: u64, period_us: u64) -> Self {
        Self { limit, period_us }
    }

    /// Whether `cost` more fit, or when the next window begins.
    pub fn fits(&self, state: &mut WindowState, now: Tick, cost: u64) -> Result<(), Tick> {
        let window = (now.0 / self.period_us) as u32;
        if window != state.window {
            *state = WindowState { used: 0, window };
        }
        if state.used + cost <= self.limit {
            return Ok(());
        }
        Err(Tick((u64::from(window) + 1).saturating_mul(self.period_us)))
    }
}

impl WindowState {
    /// Counts units that [`Window::fits`] has let through.
    pub const fn take(&mut self, cost: u64) {
        self.used += cost;
    }

    /// Units of the current window.
    pub const fn used(&self) -> u64 {
        self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn every_fixed_window_of_the_vectors_is_matched() {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/limits.json"));
        let file: Value = serde_json::from_str(text).unwrap();
        let mut seen = 0;
        for case in file["cases"].as_array().unwrap().iter().filter(|c| c["method"] == "windows") {
            let number = |v: &Value| v.as_u64().unwrap();
            let input = &case["input"];
            let window = Window::new(number(&input["limit"]), number(&input["window_us"]));
            let mut state = WindowState::default();
            let wanted = case["expected"]["fixed"].as_array().unwrap();
            for (at, want) in input["times_us"].as_array().unwrap().iter().zip(wanted) {
                let fits = window.fits(&mut state, Tick(number(at)), 1).is_ok();
                if fits {
                    state.take(1);
                }
                assert_eq!(u64::from(fits), number(want), "{} at {at}", case["id"]);
            }
            seen += 1;
        }
        assert_eq!(seen, 4);
    }
}
