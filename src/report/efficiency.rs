//! What students make of their budgets: a line per arm and student that has two or more.

use super::aggregate::{BySeed, Curve, by_seed};
use super::gather::Group;
use super::summary::Efficiency;

/// A line per arm and student with two or more budgets.
pub(super) fn efficiency(group: &Group<'_>) -> Vec<Efficiency> {
    let pairs = group.arms.iter().flat_map(|arm| group.students.iter().map(move |s| (*arm, *s)));
    pairs.filter_map(|(arm, student)| line(group, arm, student)).collect()
}

fn line(group: &Group<'_>, arm: &str, student: &str) -> Option<Efficiency> {
    let asked =
        group.budgets.iter().filter(|b| **b > 0 && !group.all(arm, student, **b).is_empty());
    let points: Vec<(u64, BySeed)> =
        asked.map(|b| (*b, by_seed(&group.finished(arm, student, *b), "accuracy"))).collect();
    let (first, rest) = points.split_first()?;
    let last = rest.last()?;
    let (teachers, floors) = (group.teachers(), group.floors());
    let curve = Curve::new(&points);
    Some(Efficiency {
        slice: group.slice.clone(),
        arm: arm.into(),
        student: student.into(),
        budgets: (first.0, last.0),
        auc: curve.area(&teachers, &floors),
        half: curve.half(&teachers, &floors),
    })
}

#[cfg(test)]
mod tests {
    use crate::report::summary::Summary;
    use crate::report::synthetic::{example, records};

    #[test]
    fn the_area_is_between_the_ends_of_the_curve_and_needs_two_budgets() {
        let summary = Summary::of(&example());
        assert_eq!(summary.efficiency.len(), 8 * 5);
        let slice = summary.slice("");
        for line in &slice.efficiency {
            let curve = slice.curve(&line.arm, &line.student);
            let (low, high) = (curve[0].recovered.mean, curve[3].recovered.mean);
            assert!(low < line.auc.mean && line.auc.mean < high, "{line:?}");
            assert_eq!(line.budgets, (50, 400));
        }
        assert!(Summary::of(&records(2, 3)).efficiency.is_empty());
    }
}
