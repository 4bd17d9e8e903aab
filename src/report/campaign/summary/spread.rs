//! A number over replicates: median and 90 % interval.

use crate::metric::upper_bound;

/// Replicates from which the interval is taken from quantiles.
pub const ENOUGH: usize = 20;

/// How intervals are made, for readers.
pub const ESTIMATOR: &str = "Numbers are medians over n replicates. [ ] are 90 % intervals: the \
    empirical 5 % and 95 % quantiles (linear between order statistics) from 20 replicates on, with \
    fewer the smallest and the largest value; none where all replicates agree or there is one. `<` \
    and `>` are one-sided 95 % bounds (Clopper and Pearson 1934) over all replicates, where not one \
    of the units in brackets was hit: they take units as independent.";

/// A value of one replicate, as a rate where it is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Value {
    /// The value; infinite for what did not happen in the time simulated.
    pub value: f64,
    /// Hits, units, and the value of a rate of one: `value` is offset + scale * hits / units.
    rate: Option<(f64, f64, f64, f64)>,
}

impl Value {
    /// A number that is no rate; none where it is not a number.
    pub fn plain(value: f64) -> Option<Self> {
        (!value.is_nan()).then_some(Self { value, rate: None })
    }

    /// `hits` of `units`, times `scale`; none without units.
    pub fn rate(hits: f64, units: f64, scale: f64) -> Option<Self> {
        let rate = Some((hits, units, scale, 0.0));
        (units > 0.0).then(|| Self { value: scale * hits / units, rate })
    }

    /// The share of `units` that were not hit.
    pub fn rest(hits: f64, units: f64) -> Option<Self> {
        let rate = Some((hits, units, -1.0, 1.0));
        (units > 0.0).then(|| Self { value: (1.0 - hits / units).max(0.0), rate })
    }
}

/// A limit on a rate of which no hit was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bound {
    /// The limit, in the unit of the value.
    pub at: f64,
    /// Whether the value is above it.
    pub above: bool,
    /// Units that were looked at, over all replicates.
    pub units: f64,
}

/// A number over replicates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spread {
    /// Replicates with a value.
    pub n: usize,
    /// Median; infinite where it was not reached.
    pub median: Option<f64>,
    /// Ends of the interval, in order; none where there is no spread.
    pub ends: Option<(f64, f64)>,
    /// Instead of a zero.
    pub bound: Option<Bound>,
}

impl Spread {
    /// Of the values of replicates.
    pub fn of(values: impl IntoIterator<Item = Value>) -> Self {
        let values: Vec<Value> = values.into_iter().collect();
        let mut sorted: Vec<f64> = values.iter().map(|v| v.value).collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
            return Self::default();
        };
        let ends = match n {
            n if n >= ENOUGH => (quantile(&sorted, 0.05), quantile(&sorted, 0.95)),
            _ => (least, most),
        };
        Self {
            n,
            median: Some(quantile(&sorted, 0.5)),
            ends: (n > 1 && ends.0 < ends.1).then_some(ends),
            bound: bound(&values),
        }
    }

    /// Of plain numbers.
    pub fn plain(values: impl IntoIterator<Item = f64>) -> Self {
        Self::of(values.into_iter().filter_map(Value::plain))
    }

    /// The median where it is finite.
    pub fn finite(&self) -> Option<f64> {
        self.median.filter(|m| m.is_finite())
    }

    /// Both ends, or the median twice; only finite ones.
    pub fn reach(&self) -> Option<(f64, f64)> {
        let median = self.finite()?;
        Some(self.ends.filter(|e| e.0.is_finite() && e.1.is_finite()).unwrap_or((median, median)))
    }
}

/// Linear between order statistics (type 7 of Hyndman and Fan 1996); infinite beyond a finite one.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let at = q * (sorted.len() - 1) as f64;
    let below = sorted[at as usize];
    let share = at - at.floor();
    let above = sorted[(at.ceil() as usize).min(sorted.len() - 1)];
    if share == 0.0 || below == above { below } else { below + share * (above - below) }
}

/// A bound where all values are rates without a hit.
fn bound(values: &[Value]) -> Option<Bound> {
    let rates: Option<Vec<_>> = values.iter().map(|v| v.rate).collect();
    let rates = rates.filter(|r| !r.is_empty() && r.iter().all(|r| r.0 == 0.0))?;
    let units: f64 = rates.iter().map(|r| r.1).sum();
    // Scales of replicates differ where their units do; a mean scale keeps the value's unit.
    let scale = rates.iter().map(|r| r.2).sum::<f64>() / rates.len() as f64;
    let at = rates[0].3 + scale * upper_bound(0.0, units, 0.95);
    Some(Bound { at, above: scale < 0.0, units })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_replicates_give_their_extremes_and_many_their_quantiles() {
        let few = Spread::plain([3.0, 1.0, 2.0]);
        assert_eq!((few.n, few.median, few.ends), (3, Some(2.0), Some((1.0, 3.0))));
        let many = Spread::plain((0..21).map(f64::from));
        assert_eq!((many.median, many.ends), (Some(10.0), Some((1.0, 19.0))));
    }

    #[test]
    fn nothing_one_and_equal_values_have_no_interval() {
        assert_eq!(Spread::plain([]), Spread::default());
        let one = Spread::plain([4.0]);
        assert_eq!((one.median, one.ends), (Some(4.0), None));
        assert_eq!(Spread::plain([4.0, 4.0]).ends, None);
        assert_eq!(Spread::plain([f64::NAN]).n, 0);
    }

    #[test]
    fn what_was_not_reached_sorts_last_and_never_becomes_a_nan() {
        let some = Spread::plain([1.0, f64::INFINITY, f64::INFINITY, 2.0]);
        assert_eq!(some.median, Some(f64::INFINITY));
        assert_eq!(some.finite(), None);
        assert_eq!(Spread::plain([1.0, 2.0, f64::INFINITY]).reach(), Some((2.0, 2.0)));
        assert_eq!(Spread::plain([f64::INFINITY; 4]).median, Some(f64::INFINITY));
    }

    #[test]
    fn no_hit_in_any_replicate_is_a_bound() {
        // 1 - 0.05^(1/200)
        let none = Spread::of(
            [Value::rate(0.0, 100.0, 1e5), Value::rate(0.0, 100.0, 1e5)].map(Option::unwrap),
        );
        let bound = none.bound.unwrap();
        assert!((bound.at - 1e5 * 0.014_867).abs() < 1.0 && !bound.above, "{bound:?}");
        assert_eq!(bound.units, 200.0);
        let rest = Spread::of(Value::rest(0.0, 200.0)).bound.unwrap();
        assert!(rest.above && (rest.at - (1.0 - 0.014_867)).abs() < 1e-5);
        assert_eq!(Spread::of([Value::rate(1.0, 9.0, 1.0).unwrap()]).bound, None);
        assert_eq!(Value::rate(0.0, 0.0, 1.0), None);
    }
}
