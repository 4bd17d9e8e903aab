//! The line of each arm at its largest budget: the worst case over students, and what the defense takes
//! from it. The strongest student is chosen on other seeds than it is scored on, for `none` too.

use super::aggregate::{BySeed, adjust, by_seed, difference, mean, p_value, paired, strongest};
use super::gather::Group;
use super::rows::honest;
use super::summary::{Arm, Estimate, Row, Why};

/// A line per arm, in the order of the group.
pub(super) fn arms(group: &Group<'_>, rows: &[Row]) -> Vec<Arm> {
    let mut out: Vec<Arm> = group.arms.iter().filter_map(|arm| line(group, rows, arm)).collect();
    mark_single_strengths(&mut out);
    let mut family: Vec<&mut Option<f64>> = out.iter_mut().map(|a| &mut a.p).collect();
    adjust(&mut family);
    out
}

fn line(group: &Group<'_>, rows: &[Row], arm: &str) -> Option<Arm> {
    let budget = rows.iter().filter(|r| r.arm == arm).map(|r| r.budget).max()?;
    let here: Vec<&Row> = rows.iter().filter(|r| r.arm == arm && r.budget == budget).collect();
    let cells: Vec<_> = here.iter().map(|r| group.finished(arm, &r.student, budget)).collect();
    let stack = here.iter().find_map(|r| group.all(arm, &r.student, budget).first());
    let worst = here
        .iter()
        .filter(|r| r.recovered.mean.is_some())
        .max_by(|a, b| a.recovered.mean.partial_cmp(&b.recovered.mean).expect("means are numbers"));
    let mine = strongest_of(group, arm, budget);
    let none = strongest_of(group, "none", budget);
    let missing = missing(arm, &here);
    Some(Arm {
        slice: group.slice.clone(),
        name: arm.into(),
        stack: stack.map(|r| r.stack.clone()).unwrap_or_default(),
        budget,
        worst_student: worst.map(|r| r.student.clone()),
        worst: worst.map_or(Estimate::absent(0, Why::NotIdentified), |r| r.recovered),
        strongest: few(&mine).unwrap_or_else(|| mean(&mine)),
        drop: drop(arm, &none, &mine),
        p: if arm == "none" { None } else { p_value(&none, &mine) },
        honest: honest(&cells),
        complete: missing.is_empty(),
        missing,
        single_strength: false,
    })
}

fn drop(arm: &str, none: &BySeed, mine: &BySeed) -> Estimate {
    if arm == "none" {
        return Estimate::absent(0, Why::NoBaseline);
    }
    few(mine).or(few(none)).unwrap_or_else(|| paired(none, mine))
}

fn few(values: &BySeed) -> Option<Estimate> {
    values.is_empty().then(|| Estimate::absent(0, Why::TooFewSeeds))
}

/// Cross-fitted score of the strongest student per seed, in units of `recovered`: the student's gain over
/// the floor of its seed, divided by the mean gap, so that its mean is a ratio of seed means.
fn strongest_of(group: &Group<'_>, arm: &str, budget: u64) -> BySeed {
    let (teachers, floors) = (group.teachers(), group.floors());
    let gaps = difference(&teachers, &floors);
    let gap = gaps.values().sum::<f64>() / gaps.len() as f64;
    if !(gap.is_finite() && gap > 0.0) {
        return BySeed::default();
    }
    let students: Vec<BySeed> = group
        .students
        .iter()
        .filter(|s| !group.all(arm, s, budget).is_empty())
        .map(|s| difference(&by_seed(&group.finished(arm, s, budget), "accuracy"), &floors))
        .map(|gains| gains.scaled(1.0 / gap))
        .collect();
    strongest(&students)
}

/// What a defense row lacks; `none` lacks nothing.
fn missing(arm: &str, here: &[&Row]) -> Vec<String> {
    let has = |test: fn(&Row) -> bool| here.iter().any(|r| r.seeds > 0 && test(r));
    let mut out = Vec::new();
    if arm != "none" && !has(|r| r.label_only) {
        out.push("label-only control".to_string());
    }
    if arm != "none" && !has(|r| r.counter) {
        out.push("counter of its defense".to_string());
    }
    out
}

/// Marks tunable defenses whose kinds appear at one strength only.
fn mark_single_strengths(arms: &mut [Arm]) {
    let kinds = |stack: &[String]| -> Vec<String> {
        stack.iter().map(|s| s.split('(').next().unwrap_or(s).to_string()).collect()
    };
    let all: Vec<Vec<String>> = arms.iter().map(|a| kinds(&a.stack)).collect();
    for arm in arms.iter_mut() {
        let mine = kinds(&arm.stack);
        let tunable = arm.stack.iter().any(|s| s.contains('(') && !s.ends_with("()"));
        arm.single_strength = tunable && all.iter().filter(|k| **k == mine).count() == 1;
    }
}

#[cfg(test)]
mod tests {
    use crate::report::summary::{Summary, Why};
    use crate::report::synthetic::{example, records};

    #[test]
    fn the_worst_case_of_a_defense_is_its_counter() {
        let summary = Summary::of(&example());
        let mad = summary.arms.iter().find(|a| a.name == "mad-1.5").unwrap();
        assert_eq!(mad.worst_student.as_deref(), Some("adaptive"));
        assert!(mad.complete && !mad.single_strength);
        assert!(mad.drop.mean.unwrap() > 0.05 && mad.p.unwrap() < 0.05);
    }

    #[test]
    fn a_row_without_its_counter_is_incomplete_and_one_strength_is_not_comparable() {
        let summary = Summary::of(&example());
        let noise = summary.arms.iter().find(|a| a.name == "noise").unwrap();
        assert_eq!(noise.missing, vec!["counter of its defense"]);
        assert!(!noise.complete && noise.single_strength);
        let none = &summary.arms[0];
        assert!(none.complete && !none.single_strength && none.p.is_none());
    }

    #[test]
    fn two_seeds_give_no_headline() {
        let summary = Summary::of(&records(3, 2));
        assert!(summary.arms.iter().skip(1).all(|a| a.drop.why == Some(Why::TooFewSeeds)));
    }

    #[test]
    fn the_drop_is_the_paired_difference_of_cross_fitted_scores() {
        let summary = Summary::of(&records(6, 5));
        let (none, mad) = (&summary.arms[0], &summary.arms[5]);
        let expected = none.strongest.mean.unwrap() - mad.strongest.mean.unwrap();
        assert!((mad.drop.mean.unwrap() - expected).abs() < 1e-12);
    }
}
