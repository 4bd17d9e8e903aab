//! What the report must know of the scenario beside its records.

use std::collections::BTreeMap;

use super::gather::{Slice, last};
use crate::experiment::campaign::record::Assumption;

/// Settings of one variant.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Honest accounts that each simulated one stands for.
    pub weight: f64,
    /// Exchanges of the campaign behind one example of a student.
    pub exchanges_per_example: Option<f64>,
    /// Price of a review, where all detectors share it.
    pub usd_per_alert: Option<f64>,
    /// Exchanges that each actor wants.
    wanted: BTreeMap<String, f64>,
    /// Whether any of them was taken from what actors got.
    pub wanted_is_seen: bool,
}

impl Settings {
    /// Of the assumptions, with what this variant sweeps in their place.
    pub fn of(assumptions: &[Assumption], slice: &Slice<'_>) -> Self {
        let settings = Lookup { assumptions, variant: slice.variant };
        let mut wanted = BTreeMap::new();
        let mut seen = false;
        for actor in slice.actors() {
            let told = settings.of_actor(actor, "exchanges");
            seen |= told.is_none();
            wanted.extend(told.or_else(|| most(slice, actor)).map(|w| (actor.to_string(), w)));
        }
        let ratio = settings.number("learning.exchanges-per-example");
        Self {
            weight: settings.number("benign.weight").unwrap_or(1.0),
            exchanges_per_example: ratio.or_else(|| examples(slice)),
            usd_per_alert: settings.shared("cost-usd-per-alert"),
            wanted,
            wanted_is_seen: seen,
        }
    }

    /// Exchanges that an actor wants; none where it is not known or nothing.
    pub fn wanted(&self, actor: &str) -> Option<f64> {
        self.wanted.get(actor).copied().filter(|w| *w > 0.0)
    }
}

struct Lookup<'a> {
    assumptions: &'a [Assumption],
    variant: &'a str,
}

impl Lookup<'_> {
    fn number(&self, key: &str) -> Option<f64> {
        let swept = self.variant.split(", ").find_map(|p| p.strip_prefix(key)?.strip_prefix('='));
        let told = || self.assumptions.iter().find(|a| a.key == key).map(|a| a.value.as_str());
        swept.or_else(told)?.replace('_', "").parse().ok()
    }

    /// `actor[i].field` of the actor of this name.
    fn of_actor(&self, name: &str, field: &str) -> Option<f64> {
        let is = |a: &&Assumption| {
            a.key.starts_with("actor[")
                && a.key.ends_with("].name")
                && a.value.trim_matches('"') == name
        };
        let key = &self.assumptions.iter().find(is)?.key;
        self.number(&format!("{}{field}", key.strip_suffix("name")?))
    }

    /// The value of a field of detectors, where all have the same.
    fn shared(&self, field: &str) -> Option<f64> {
        let of = |a: &&Assumption| a.key.starts_with("detector[") && a.key.ends_with(field);
        let keys = self.assumptions.iter().filter(of).map(|a| a.key.as_str());
        let values: Option<Vec<f64>> = keys.map(|k| self.number(k)).collect();
        let values = values?;
        let first = values.first().copied()?;
        values.iter().all(|v| *v == first).then_some(first)
    }
}

/// The most that an actor got of its own under any arm.
fn most(slice: &Slice<'_>, actor: &str) -> Option<f64> {
    let all = slice.arms.iter().flat_map(|a| a.outcomes.values());
    let of = all.flat_map(|o| o.actors.iter()).filter(|p| p.name == actor);
    of.filter_map(|p| Some(last(p)?.sums.attack as f64)).reduce(f64::max)
}

/// Useful exchanges over examples, from what students were given.
fn examples(slice: &Slice<'_>) -> Option<f64> {
    let all = slice.arms.iter().flat_map(|a| a.learnt.values()).flat_map(|l| l.iter());
    let rows = all.flat_map(|a| &a.rows);
    let (from, to) = rows.fold((0, 0), |(p, e), r| (p + r.processed, e + r.examples));
    (to > 0).then(|| from as f64 / to as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::summary::gather::slices;
    use crate::report::campaign::synthetic::{assumptions, records};

    #[test]
    fn settings_come_from_assumptions_and_the_sweep_overrules_them() {
        let mut given = records(1, 1);
        for r in &mut given {
            r.variant = "actor[1].exchanges=500, benign.weight=3".into();
        }
        let slices = slices(&given);
        let settings = Settings::of(&assumptions(), &slices[0]);
        assert_eq!(settings.wanted("mm"), Some(1_000.0));
        assert_eq!(settings.wanted("ds"), Some(500.0));
        assert_eq!((settings.weight, settings.exchanges_per_example), (3.0, Some(10.0)));
        assert_eq!(settings.usd_per_alert, Some(5.0));
        assert!(!settings.wanted_is_seen);
    }

    #[test]
    fn without_assumptions_the_largest_catch_is_what_was_wanted() {
        let given = records(3, 2);
        let slices = slices(&given);
        let settings = Settings::of(&[], &slices[0]);
        assert_eq!((settings.wanted("mm"), settings.weight), (Some(1_001.0), 1.0));
        assert!(settings.wanted_is_seen);
        assert_eq!(settings.usd_per_alert, None);
    }
}
