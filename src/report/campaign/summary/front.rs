//! Which arms no other arm beats on both sides at once.

use super::difference::{collected, lost};
use super::gather::Slice;
use super::learning;
use super::settings::Settings;
use super::spread::Spread;

/// An arm by what honest people lose and what actors get: lower is better for the defender in both.
#[derive(Clone, Debug, PartialEq)]
pub struct Trade {
    pub arm: String,
    /// Share of honest requests lost.
    pub lost: Spread,
    /// Recovered by the last day where there are students, else the share of targets collected.
    pub got: Spread,
    /// Whether no other arm is better in one and as good in the other.
    pub best: bool,
}

/// Arms with both numbers.
pub fn trades(slice: &Slice<'_>, settings: &Settings) -> Vec<Trade> {
    let taught = slice.taught();
    let each = slice.arms.iter().filter_map(|arm| {
        let got = if taught { learning::of_replicates(arm) } else { collected(arm, settings) };
        let over = |values: Vec<(u32, f64)>| Spread::plain(values.into_iter().map(|v| v.1));
        let (lost, got) = (over(lost(arm)), over(got));
        let known = lost.finite().is_some() && got.finite().is_some();
        known.then(|| Trade { arm: arm.name.to_string(), lost, got, best: true })
    });
    let mut all: Vec<Trade> = each.collect();
    let places: Vec<(f64, f64)> =
        all.iter().filter_map(|t| Some((t.lost.finite()?, t.got.finite()?))).collect();
    for (trade, own) in all.iter_mut().zip(&places) {
        trade.best = !places.iter().any(|other| beats(*other, *own));
    }
    all
}

fn beats(other: (f64, f64), own: (f64, f64)) -> bool {
    other.0 <= own.0 && other.1 <= own.1 && other != own
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::summary::gather::slices;
    use crate::report::campaign::synthetic::{assumptions, records};

    #[test]
    fn an_arm_that_another_beats_is_not_on_the_front() {
        let records = records(3, 2);
        let slices = slices(&records);
        let trades = trades(&slices[0], &Settings::of(&assumptions(), &slices[0]));
        // Limits lose nothing and let less through than the open door; bans lose, and let least through.
        let best: Vec<bool> = trades.iter().map(|t| t.best).collect();
        assert_eq!(best, [false, true, true]);
        assert!(!beats((1.0, 1.0), (1.0, 1.0)));
    }
}
