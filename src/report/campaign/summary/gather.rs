//! Records by variant of the sweep, arm and replicate.

use std::collections::BTreeMap;

use crate::experiment::campaign::record::{ActorLearnt, CampaignRecord, Outcome, Party, Point};

/// One variant of the sweep.
#[derive(Clone, Debug)]
pub struct Slice<'a> {
    /// Swept keys and values; empty without a sweep.
    pub variant: &'a str,
    /// In the order of the records: the first is what others are compared with.
    pub arms: Vec<Arm<'a>>,
}

/// One arm of a variant, by replicate.
#[derive(Clone, Debug)]
pub struct Arm<'a> {
    pub name: &'a str,
    pub outcomes: BTreeMap<u32, &'a Outcome>,
    pub learnt: BTreeMap<u32, &'a [ActorLearnt]>,
}

/// All variants, in the order of the records.
pub fn slices(records: &[CampaignRecord]) -> Vec<Slice<'_>> {
    let mut slices: Vec<Slice<'_>> = Vec::new();
    for record in records {
        let slice = found(
            &mut slices,
            |s| s.variant == record.variant,
            || Slice { variant: &record.variant, arms: Vec::new() },
        );
        let arm = found(
            &mut slice.arms,
            |a| a.name == record.arm,
            || Arm { name: &record.arm, outcomes: BTreeMap::new(), learnt: BTreeMap::new() },
        );
        arm.outcomes.extend(record.outcome.iter().map(|o| (record.replicate, o)));
        if !record.learnt.is_empty() {
            arm.learnt.insert(record.replicate, &record.learnt);
        }
    }
    slices
}

/// The one that is there, or a new one at the end.
fn found<T>(all: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let at = all.iter().position(is).unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    });
    &mut all[at]
}

impl<'a> Slice<'a> {
    /// Whether anything was simulated.
    pub fn simulated(&self) -> bool {
        self.arms.iter().any(|a| !a.outcomes.is_empty())
    }

    /// Whether any student learnt.
    pub fn taught(&self) -> bool {
        self.arms.iter().any(|a| !a.learnt.is_empty())
    }

    /// Names of the actors, in order.
    pub fn actors(&self) -> Vec<&'a str> {
        let simulated = self.arms.iter().flat_map(|a| a.outcomes.values());
        let simulated = simulated.flat_map(|o| o.actors.iter().map(|p| p.name.as_str()));
        let taught = self.arms.iter().flat_map(|a| a.learnt.values());
        unique(simulated.chain(taught.flat_map(|l| l.iter().map(|a| a.actor.as_str()))))
    }

    /// Names of the capability areas, in order.
    pub fn areas(&self) -> Vec<&'a str> {
        let taught = self.arms.iter().flat_map(|a| a.learnt.values());
        unique(taught.flat_map(|l| l.iter().flat_map(|a| a.rows.iter().map(|r| r.area.as_str()))))
    }

    /// Names of the arms.
    pub fn names(&self) -> Vec<&'a str> {
        self.arms.iter().map(|a| a.name).collect()
    }

    /// The title with the variant behind it.
    pub fn titled(&self, title: &str) -> String {
        if self.variant.is_empty() { title.into() } else { format!("{title} ({})", self.variant) }
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut out: Vec<&str> = Vec::new();
    for name in names {
        if !out.contains(&name) {
            out.push(name);
        }
    }
    out
}

/// A party of an outcome by its name; honest people have none.
pub fn party<'a>(outcome: &'a Outcome, actor: Option<&str>) -> Option<&'a Party> {
    match actor {
        None => Some(&outcome.honest),
        Some(name) => outcome.actors.iter().find(|p| p.name == name),
    }
}

/// Where a party stands at the end.
pub fn last(party: &Party) -> Option<&Point> {
    party.points.last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::campaign::synthetic::records;

    #[test]
    fn arms_keep_their_order_and_replicates_find_both_parts() {
        let records = records(3, 2);
        let slices = slices(&records);
        let [slice] = &slices[..] else { panic!() };
        assert_eq!(slice.names(), ["open", "limits", "bans"]);
        assert_eq!(slice.actors(), ["mm", "ds"]);
        assert_eq!(slice.areas(), ["tools", "coding"]);
        assert!(slice.arms.iter().all(|a| a.outcomes.len() == 2 && a.learnt.len() == 2));
        assert!(slice.simulated() && slice.taught());
    }
}
