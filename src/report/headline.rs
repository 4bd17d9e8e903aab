//! The line of each arm at its largest budget: the worst case over students, and what the defense takes
//! from it. The strongest student is chosen on other seeds than it is scored on, for `none` too.

use super::aggregate::{
    BySeed, adjust, by_seed, difference, mean, p_value, paired, pick, ratio, strongest,
};
use super::gather::Group;
use super::rows::{honest, over_cells, recovered_agreement};
use super::summary::{Arm, Estimate, Ratios, Row, Why};
use crate::experiment::record::Record;

/// A line per arm, in the order of the group.
pub(super) fn arms(group: &Group<'_>, rows: &[Row]) -> Vec<Arm> {
    let mut out: Vec<Arm> = group.arms.iter().filter_map(|arm| line(group, rows, arm)).collect();
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
    let (mine, none) = (Strongest::of(group, arm, budget), Strongest::of(group, "none", budget));
    let missing = missing(arm, &here);
    Some(Arm {
        slice: group.slice.clone(),
        name: arm.into(),
        stack: stack.map(|r| r.stack.clone()).unwrap_or_default(),
        budget,
        worst_student: worst.map(|r| r.student.clone()),
        worst: worst.map_or(Estimate::absent(0, Why::NotIdentified), |r| r.recovered),
        strongest: few(&mine.recovered).unwrap_or_else(|| mean(&mine.recovered)),
        drop: drop(arm, &none.recovered, &mine.recovered),
        p: if arm == "none" { None } else { p_value(&none.recovered, &mine.recovered) },
        recovered_agreement: few(&mine.gain)
            .unwrap_or_else(|| recovered_agreement(group, &mine.agreement)),
        de: de(arm, group, &none, &mine),
        dc: dc(group, &cells),
        honest: honest(&cells),
        complete: missing.is_empty(),
        missing,
        strengths: None,
    })
}

/// Defended over undefended accuracy of the strongest student (DistillGuard's effectiveness).
fn de(arm: &str, group: &Group<'_>, none: &Strongest, mine: &Strongest) -> Ratios {
    if arm == "none" {
        let absent = Estimate::absent(0, Why::NoBaseline);
        return Ratios { plain: absent, over_floor: absent };
    }
    if let Some(few) = few(&mine.gain).or(few(&none.gain)) {
        return Ratios { plain: few, over_floor: few };
    }
    let below_zero = group.floors().scaled(-1.0);
    let accuracy = |s: &Strongest| difference(&s.gain, &below_zero);
    Ratios {
        plain: ratio(&accuracy(mine), &accuracy(none)),
        over_floor: ratio(&mine.gain, &none.gain),
    }
}

/// Relative loss of the teacher, as honest users see it (DistillGuard's cost). The floor is the best
/// constant answer on the test set.
fn dc(group: &Group<'_>, cells: &[Vec<&Record>]) -> Ratios {
    let teacher = over_cells(cells, "honest_teacher_accuracy");
    let loss = difference(&teacher, &over_cells(cells, "honest_accuracy"));
    Ratios {
        plain: ratio(&loss, &teacher),
        over_floor: ratio(&loss, &difference(&teacher, &group.floors())),
    }
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

/// The strongest student of an arm, per seed chosen on the other seeds. Empty with fewer than three.
pub(super) struct Strongest {
    /// Accuracy over the floor of its seed.
    gain: BySeed,
    agreement: BySeed,
    /// Gain divided by the mean gap of teacher and floor, so that its mean is a ratio of seed means.
    pub recovered: BySeed,
}

impl Strongest {
    pub fn of(group: &Group<'_>, arm: &str, budget: u64) -> Self {
        let (teachers, floors) = (group.teachers(), group.floors());
        let gaps = difference(&teachers, &floors);
        let gap = gaps.values().sum::<f64>() / gaps.len() as f64;
        let asked = |s: &&&str| gap > 0.0 && !group.all(arm, s, budget).is_empty();
        let students: Vec<&str> = group.students.iter().filter(asked).copied().collect();
        let scores = |metric: &str| -> Vec<BySeed> {
            students.iter().map(|s| by_seed(&group.finished(arm, s, budget), metric)).collect()
        };
        let gains: Vec<BySeed> =
            scores("accuracy").iter().map(|accuracy| difference(accuracy, &floors)).collect();
        let chosen = strongest(&gains);
        let gain = pick(&chosen, &gains);
        Self {
            recovered: gain.scaled(1.0 / gap),
            agreement: pick(&chosen, &scores("agreement")),
            gain,
        }
    }
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

#[cfg(test)]
mod tests {
    use crate::report::summary::{Summary, Why};
    use crate::report::synthetic::{example, records};

    #[test]
    fn the_worst_case_of_a_defense_is_its_counter() {
        let summary = Summary::of(&example());
        let mad = summary.arms.iter().find(|a| a.name == "mad-1.5").unwrap();
        assert_eq!(mad.worst_student.as_deref(), Some("adaptive"));
        assert!(mad.complete && mad.strengths == Some(2));
        assert!(mad.drop.mean.unwrap() > 0.05 && mad.p.unwrap() < 0.05);
    }

    #[test]
    fn a_row_without_its_counter_is_incomplete_and_few_strengths_are_not_comparable() {
        let summary = Summary::of(&example());
        let noise = summary.arms.iter().find(|a| a.name == "noise").unwrap();
        assert_eq!(noise.missing, vec!["counter of its defense"]);
        assert!(!noise.complete && !noise.comparable());
        let none = &summary.arms[0];
        assert!(none.complete && none.comparable() && none.p.is_none());
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

    #[test]
    fn de_and_dc_are_ratios_of_what_the_other_columns_show() {
        let summary = Summary::of(&records(6, 5));
        let (none, mad) = (&summary.arms[0], &summary.arms[5]);
        let expected = mad.strongest.mean.unwrap() / none.strongest.mean.unwrap();
        assert!((mad.de.over_floor.mean.unwrap() - expected).abs() < 1e-12);
        assert!(mad.de.plain.mean.unwrap() > expected); // the floor stays
        let dc = mad.honest.loss.mean.unwrap() / 0.95;
        assert!((mad.dc.plain.mean.unwrap() - dc).abs() < 1e-12);
        assert!(mad.dc.over_floor.mean.unwrap() > dc);
        assert_eq!(none.de.plain.why, Some(Why::NoBaseline));
        assert_eq!((none.dc.plain.mean, none.dc.plain.interval), (Some(0.0), None));
    }

    #[test]
    fn recovered_agreement_is_that_of_the_student_chosen_by_accuracy() {
        let summary = Summary::of(&records(1, 5));
        let agreement = summary.arms[0].recovered_agreement;
        let row = summary.slice("").row("none", "adaptive", 400).unwrap().clone();
        assert_eq!(row.recovered_agreement, agreement);
        let accuracy = row.agreement.mean.unwrap();
        assert!((agreement.mean.unwrap() - (accuracy - 0.12) / (1.0 - 0.12)).abs() < 1e-12);
    }
}
