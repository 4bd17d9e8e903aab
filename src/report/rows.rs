//! Rows and references of a summary.

use super::aggregate::{
    BySeed, by_seed, mean, mean_by_seed, paired, recovered, seed_had_no_effect,
};
use super::gather::Group;
use super::signs::signs;
use super::summary::{Estimate, Honest, Reference, Row, Why};
use crate::experiment::record::{Record, Role};

/// A row per arm, student and budget that has records.
pub(super) fn rows(group: &Group<'_>) -> Vec<Row> {
    let mut out = Vec::new();
    for arm in &group.arms {
        for student in &group.students {
            for &budget in &group.budgets {
                if let Some(first) = group.all(arm, student, budget).first() {
                    out.push(row(group, first));
                }
            }
        }
    }
    out
}

fn row(group: &Group<'_>, first: &Record) -> Row {
    let (arm, student, budget) = (first.arm.as_str(), first.student.as_str(), first.budget);
    let records = group.finished(arm, student, budget);
    let flat = seed_had_no_effect(&records);
    let over = |e: Estimate| if flat { without_interval(e) } else { e };
    let of = |metric: &str| by_seed(&records, metric);
    let public = group.reference(Role::Public, &first.kin, "accuracy");
    let teachers = group.teachers();
    Row {
        slice: group.slice.clone(),
        arm: arm.into(),
        student: student.into(),
        kin: first.kin.clone(),
        budget,
        seeds: records.len(),
        diverged: group.all(arm, student, budget).len() - records.len(),
        label_only: first.label_only,
        counter: first.counter,
        accuracy: over(mean(&of("accuracy"))),
        agreement: over(mean(&of("agreement"))),
        agreement_gain: over(agreement_gain(group, first, &of("agreement"))),
        recovered: over(recovered(&of("accuracy"), &teachers, &group.floors())),
        recovered_agreement: over(recovered_agreement(group, &of("agreement"))),
        recovered_over_public: over(recovered(&of("accuracy"), &teachers, &public)),
        queries_spent: over(mean(&of("queries_spent"))),
        days: over(mean(&of("days"))),
        signs: signs(&records),
        honest: honest(&[records]),
    }
}

/// Recovered of agreement: the undefended teacher agrees with itself everywhere.
pub(super) fn recovered_agreement(group: &Group<'_>, agreement: &BySeed) -> Estimate {
    let floors = group.agreement_floors();
    let teachers = BySeed::new(floors.keys().map(|seed| (*seed, 1.0)), floors.overlap);
    recovered(agreement, &teachers, &floors)
}

fn agreement_gain(group: &Group<'_>, first: &Record, agreement: &BySeed) -> Estimate {
    if first.arm == "none" {
        return Estimate::absent(0, Why::NoBaseline);
    }
    let base = by_seed(&group.finished("none", &first.student, first.budget), "agreement");
    if base.is_empty() { Estimate::absent(0, Why::NoBaseline) } else { paired(agreement, &base) }
}

/// A score per seed: its mean over several cells of one arm.
pub(super) fn over_cells(cells: &[Vec<&Record>], metric: &str) -> BySeed {
    let columns: Vec<BySeed> = cells.iter().map(|records| by_seed(records, metric)).collect();
    mean_by_seed(&columns)
}

/// Honest side of several cells of one arm: per seed the mean over cells, then over seeds.
pub(super) fn honest(cells: &[Vec<&Record>]) -> Honest {
    let of = |metric: &str| over_cells(cells, metric);
    let accuracy = of("honest_accuracy");
    let max = cells.iter().flatten().filter_map(|r| r.get("distortion_l1_max")).reduce(f64::max);
    Honest {
        loss: paired(&of("honest_teacher_accuracy"), &accuracy),
        accuracy: mean(&accuracy),
        distortion_mean: mean(&of("distortion_l1_mean")),
        distortion_max: max,
        refused: mean(&of("honest_refused")),
        wait_p95: mean(&of("honest_wait_p95")),
    }
}

/// A reference per role and kin: teacher, insider, public, untrained.
pub(super) fn references(group: &Group<'_>) -> Vec<Reference> {
    let order = [Role::Teacher, Role::Insider, Role::Public, Role::Untrained];
    let mut out = Vec::new();
    for role in order {
        for (_, kin) in group.references.keys().filter(|(r, _)| *r == role) {
            out.push(Reference {
                slice: group.slice.clone(),
                role,
                kin: kin.to_string(),
                accuracy: mean(&group.reference(role, kin, "accuracy")),
                agreement: mean(&group.reference(role, kin, "agreement")),
            });
        }
    }
    out
}

fn without_interval(e: Estimate) -> Estimate {
    match e.mean {
        Some(mean) => Estimate::bare(e.n, mean, Why::SeedHadNoEffect),
        None => e,
    }
}

#[cfg(test)]
mod tests {
    use crate::report::summary::{Summary, Why};
    use crate::report::synthetic::records;

    #[test]
    fn recovered_over_public_has_the_public_student_as_floor() {
        let summary = Summary::of(&records(2, 5));
        let row = summary.slice("").row("none", "adaptive", 400).unwrap().clone();
        let (a, b) = (row.recovered.mean.unwrap(), row.recovered_over_public.mean.unwrap());
        assert!(b < a && b > 0.5, "{a} {b}");
    }

    #[test]
    fn agreement_is_compared_with_none_of_the_same_seed() {
        let summary = Summary::of(&records(6, 5));
        let slice = summary.slice("");
        let none = slice.row("none", "margin-soft", 400).unwrap();
        assert_eq!(none.agreement_gain.why, Some(Why::NoBaseline));
        let mad = slice.row("mad-1.5", "margin-soft", 400).unwrap();
        let gain = mad.agreement.mean.unwrap() - none.agreement.mean.unwrap();
        assert!((mad.agreement_gain.mean.unwrap() - gain).abs() < 1e-12);
    }

    #[test]
    fn honest_loss_is_the_undefended_minus_the_defended_accuracy() {
        let summary = Summary::of(&records(6, 5));
        let loss = summary.slice("").row("mad-1.5", "jacobian", 400).unwrap().honest.loss;
        assert!((loss.mean.unwrap() - 0.041).abs() < 0.003);
    }
}
