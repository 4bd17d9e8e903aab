//! How long accounts live: survival where some are still alive at the end.

/// One step of a survival curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Time, in the unit of the times given.
    pub time: f64,
    /// Subjects alive just before it.
    pub at_risk: usize,
    /// Deaths at it.
    pub events: usize,
    /// Share alive after it.
    pub survival: f64,
    /// Greenwood's standard error of that share; 0 where nobody is left.
    pub se: f64,
}

/// A survival curve: 1 before its first step, flat between steps.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survival {
    /// One step per distinct time of death, ascending.
    pub steps: Vec<Step>,
}

/// The product-limit estimate (Kaplan and Meier 1958) with Greenwood's variance S^2 sum
/// d/(n (n - d)). `time` is of death where `event`, else of the last sight; at equal times deaths come
/// first. Values beyond the shorter list are left out.
pub fn kaplan_meier(time: &[f64], event: &[bool]) -> Survival {
    let mut order: Vec<(f64, bool)> = time.iter().copied().zip(event.iter().copied()).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut survival, mut greenwood, mut at_risk) = (1.0, 0.0, order.len());
    let mut steps = Vec::new();
    for tied in order.chunk_by(|a, b| a.0 == b.0) {
        let events = tied.iter().filter(|t| t.1).count();
        if events > 0 {
            let left = (at_risk - events) as f64;
            survival *= left / at_risk as f64;
            greenwood += events as f64 / (at_risk as f64 * left);
            let se = if left > 0.0 { survival * libm::sqrt(greenwood) } else { 0.0 };
            steps.push(Step { time: tied[0].0, at_risk, events, survival, se });
        }
        at_risk -= tied.len();
    }
    Survival { steps }
}

impl Survival {
    /// Share alive after `time`.
    pub fn at(&self, time: f64) -> f64 {
        let past = self.steps.partition_point(|s| s.time <= time);
        past.checked_sub(1).map_or(1.0, |i| self.steps[i].survival)
    }

    /// The smallest time by which half are dead; none where more than half outlive the observation.
    pub fn median(&self) -> Option<f64> {
        // A product of fractions that is one half may be off by its last digits.
        self.steps.iter().find(|s| s.survival <= 0.5 + 1e-12).map(|s| s.time)
    }
}
