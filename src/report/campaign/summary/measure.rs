//! Measures of one party under one arm: each a function of one replicate, summed up over replicates.

use super::gather::{Arm, Slice, last, party};
use super::settings::Settings;
use super::spread::{Spread, Value};
use crate::experiment::campaign::record::{Outcome, Party, Point};
use crate::metric::Better;

/// What a number is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A fraction, printed in percent.
    Share,
    Count,
    Usd,
    /// Dollars for something that may never be reached.
    Price,
    Days,
    Hours,
    Seconds,
    /// A ratio.
    Times,
}

impl Unit {
    /// Its name in tidy tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Share => "fraction",
            Self::Count => "count",
            Self::Usd | Self::Price => "usd",
            Self::Days => "days",
            Self::Hours => "hours",
            Self::Seconds => "s",
            Self::Times => "ratio",
        }
    }
}

/// A measure.
pub struct Measure {
    /// Name in tidy tables.
    pub name: &'static str,
    /// Head of its column.
    pub head: &'static str,
    pub unit: Unit,
    /// For the party that it describes.
    pub better: Better,
    pub of: fn(&Case<'_>) -> Option<Value>,
}

/// A measure; a table of them is a constant.
pub const fn measure(
    name: &'static str,
    head: &'static str,
    unit: Unit,
    better: Better,
    of: fn(&Case<'_>) -> Option<Value>,
) -> Measure {
    Measure { name, head, unit, better, of }
}

/// One party in one replicate of an arm.
pub struct Case<'a> {
    pub settings: &'a Settings,
    pub outcome: &'a Outcome,
    pub party: &'a Party,
    /// The first arm's same replicate.
    pub first: Option<&'a Outcome>,
}

impl<'a> Case<'a> {
    /// Where the party stands at the end.
    pub fn last(&self) -> Option<&'a Point> {
        last(self.party)
    }

    /// Whether this is the first arm itself.
    pub fn is_first(&self) -> bool {
        self.first.is_some_and(|first| std::ptr::eq(first, self.outcome))
    }

    /// The same party under the first arm.
    pub fn before(&self) -> Option<Case<'a>> {
        let outcome = self.first?;
        let actor = (self.party.name != self.outcome.honest.name).then_some(&*self.party.name);
        let party = party(outcome, actor)?;
        Some(Case { settings: self.settings, outcome, party, first: self.first })
    }
}

impl Measure {
    /// Values by replicate.
    pub fn values(
        &self,
        slice: &Slice<'_>,
        settings: &Settings,
        arm: &Arm<'_>,
        actor: Option<&str>,
    ) -> Vec<(u32, Value)> {
        let first = slice.arms.first().map(|a| &a.outcomes);
        let value = |(replicate, outcome): (&u32, &&Outcome)| {
            let party = party(outcome, actor)?;
            let first = first.and_then(|f| f.get(replicate).copied());
            let case = Case { settings, outcome, party, first };
            Some((*replicate, (self.of)(&case)?))
        };
        arm.outcomes.iter().filter_map(value).collect()
    }

    /// Over all replicates of an arm.
    pub fn spread(
        &self,
        slice: &Slice<'_>,
        settings: &Settings,
        arm: &Arm<'_>,
        actor: Option<&str>,
    ) -> Spread {
        Spread::of(self.values(slice, settings, arm, actor).into_iter().map(|v| v.1))
    }
}
