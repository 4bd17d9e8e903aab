//! Families of arms: one defense at several strengths, compared at matched cost to honest users.

use std::collections::BTreeMap;

use super::aggregate::{BySeed, at_matched_cost, difference, mean};
use super::gather::Group;
use super::headline::Strongest;
use super::rows::over_cells;
use super::summary::{Arm, Estimate, FEWEST_STRENGTHS, Family, MATCHED_LOSSES, Why};

/// A family per tunable defense, in the order of the arms; tells each arm how many strengths it has.
pub(super) fn families(group: &Group<'_>, arms: &mut [Arm]) -> Vec<Family> {
    let mut members: Vec<(String, BTreeMap<Vec<String>, usize>)> = Vec::new();
    for (i, arm) in arms.iter().enumerate() {
        let Some(name) = family_of(&arm.stack) else { continue };
        let at = members.iter().position(|(known, _)| *known == name).unwrap_or(members.len());
        if at == members.len() {
            members.push((name, BTreeMap::new()));
        }
        members[at].1.entry(arm.stack.clone()).or_insert(i);
    }
    for arm in arms.iter_mut() {
        let name = family_of(&arm.stack);
        arm.strengths = members.iter().find(|(n, _)| Some(n) == name.as_ref()).map(|m| m.1.len());
    }
    let family = |(name, strengths): (String, BTreeMap<Vec<String>, usize>)| {
        let mut order: Vec<usize> = strengths.into_values().collect();
        order.sort_unstable();
        family(group, name, &order.iter().map(|i| &arms[*i]).collect::<Vec<_>>())
    };
    members.into_iter().map(family).collect()
}

fn family(group: &Group<'_>, name: String, arms: &[&Arm]) -> Family {
    let budget = arms.iter().map(|a| a.budget).max().unwrap_or(0);
    let none = Strongest::of(group, "none", budget).recovered;
    let mut strengths = vec![(none.scaled(0.0), none.clone())];
    strengths.extend(arms.iter().map(|a| strength(group, &a.name, budget)));
    let losses = strengths.iter().filter_map(|(loss, _)| mean(loss).mean);
    let at = MATCHED_LOSSES.map(|level| {
        if arms.len() < FEWEST_STRENGTHS {
            Estimate::absent(0, Why::FewStrengths)
        } else if !group.arms.contains(&"none") {
            Estimate::absent(0, Why::NoBaseline)
        } else {
            at_matched_cost(&strengths, level)
        }
    });
    Family {
        slice: group.slice.clone(),
        name,
        arms: arms.iter().map(|a| a.name.clone()).collect(),
        budget,
        most_loss: losses.reduce(f64::max),
        at,
    }
}

/// What honest users lose and what the strongest student recovers, per seed.
fn strength(group: &Group<'_>, arm: &str, budget: u64) -> (BySeed, BySeed) {
    let cells: Vec<_> = group.students.iter().map(|s| group.finished(arm, s, budget)).collect();
    let teacher = over_cells(&cells, "honest_teacher_accuracy");
    let loss = difference(&teacher, &over_cells(&cells, "honest_accuracy"));
    (loss, Strongest::of(group, arm, budget).recovered)
}

/// The kinds of a stack and their settings that are no numbers; none without a number to tune.
fn family_of(stack: &[String]) -> Option<String> {
    let layers: Vec<(String, bool)> = stack.iter().map(|label| untuned(label)).collect();
    let tunable = layers.iter().any(|(_, tunable)| *tunable);
    let names: Vec<&str> = layers.iter().map(|(name, _)| name.as_str()).collect();
    tunable.then(|| names.join(" > "))
}

/// A layer's label without numbers and switches that are off, and whether it had a number.
fn untuned(label: &str) -> (String, bool) {
    let Some((kind, settings)) = label.strip_suffix(')').and_then(|l| l.split_once('(')) else {
        return (label.to_string(), false);
    };
    let value = |s: &str| s.split_once('=').map_or(s, |(_, value)| value).to_string();
    let number = |s: &str| value(s).parse::<f64>().is_ok();
    let tunable = settings.split(',').any(number);
    let kept: Vec<&str> =
        settings.split(',').filter(|s| !number(s) && value(s) != "false").collect();
    let name = if kept.is_empty() { kind.into() } else { format!("{kind}({})", kept.join(",")) };
    (name, tunable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::Summary;
    use crate::report::synthetic::{example, ladder};

    #[test]
    fn strengths_of_a_family_differ_in_numbers_only() {
        let of =
            |labels: &[&str]| family_of(&labels.iter().map(|l| l.to_string()).collect::<Vec<_>>());
        assert_eq!(of(&["round(digits=1)"]), of(&["round(digits=3)"]));
        assert_eq!(of(&["noise(fresh=false,sigma=0.2)"]).as_deref(), Some("noise"));
        assert_eq!(of(&["noise(fresh=true,sigma=0.2)"]).as_deref(), Some("noise(fresh=true)"));
        assert_eq!(of(&["label-only", "top-k(k=3)"]).as_deref(), Some("label-only > top-k"));
        assert_eq!(of(&["label-only"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_ladder_is_read_at_matched_losses_and_not_beyond() {
        let summary = Summary::of(&ladder(5));
        let [family] = &summary.families[..] else { panic!("{:?}", summary.families) };
        assert_eq!((family.name.as_str(), family.arms.len()), ("noise", 4));
        assert!((family.most_loss.unwrap() - 0.04).abs() < 1e-12);
        let strongest = |i: usize| summary.arms[i].strongest.mean.unwrap();
        let [free, one, five] = family.at;
        assert!((free.mean.unwrap() - strongest(1).min(strongest(0))).abs() < 1e-12);
        assert!(free.interval.is_some() && one.interval.is_some());
        // One point lies a third of the way from 0.5 to 2.
        let expected = strongest(2) + (strongest(3) - strongest(2)) / 3.0;
        assert!((one.mean.unwrap() - expected).abs() < 1e-12);
        assert_eq!(five.why, Some(Why::NotReached));
        assert!(summary.arms.iter().all(Arm::comparable));
    }

    #[test]
    fn fewer_than_four_strengths_are_not_comparable() {
        let summary = Summary::of(&example());
        let names: Vec<(&str, usize)> =
            summary.families.iter().map(|f| (f.name.as_str(), f.arms.len())).collect();
        assert_eq!(names, [("round", 2), ("mad", 2), ("prada", 1), ("noise", 1)]);
        assert!(summary.families.iter().all(|f| f.at[0].why == Some(Why::FewStrengths)));
        let few = Summary::of(&ladder(2));
        assert!(few.families[0].at.iter().all(|e| e.why == Some(Why::TooFewSeeds)));
    }
}
