//! What detectors and marks tell the defender of each student: who is flagged, how soon, at what price in flags
//! of honest users, and in how many seeds a test of ownership is sure.

use super::aggregate::{by_seed, mean};
use super::details::{Table, heads};
use super::summary::{Signs, Slice, Test};
use super::table::{percent, points, scaled};
use crate::experiment::record::Record;

/// Tests of ownership: the score that shows an effect, and its p.
const TESTS: [(&str, &str); 2] =
    [("watermark_match", "watermark_p"), ("ownership_effect", "ownership_p")];
/// A p below this is sure.
const SURE: f64 = 0.01;

/// The signs in the records of one arm, student and budget.
pub(super) fn signs(records: &[&Record]) -> Signs {
    let of = |metric: &str| mean(&by_seed(records, metric));
    let test = |(effect, p): (&'static str, &'static str)| {
        let ps = by_seed(records, p);
        let sure = ps.values().filter(|p| **p < SURE).count();
        Test { effect_name: effect, effect: of(effect), p_name: p, p: mean(&ps), sure }
    };
    Signs {
        flagged: of("flagged"),
        until: of("queries_until_detection"),
        honest_flagged: of("honest_flagged"),
        honest_accounts_flagged: of("honest_accounts_flagged"),
        tests: TESTS.into_iter().map(test).filter(|t| t.p.n > 0).collect(),
    }
}

/// Whom detectors flag, an arm per row.
pub(super) fn flags(slice: &Slice<'_>) -> Option<Table> {
    let budget = slice.budget()?;
    let students = slice.students();
    let mut rows = Vec::new();
    for arm in &slice.arms {
        let found = |s: &&str| slice.row(&arm.name, s, budget).map(|r| &r.signs);
        let Some(first) = students.iter().filter_map(found).find(|s| s.flagged.n > 0) else {
            continue;
        };
        let mut row = vec![arm.name.clone(), first.flagged.n.to_string()];
        row.push(points(&first.honest_flagged));
        row.push(percent(&first.honest_accounts_flagged));
        row.extend(students.iter().map(|s| found(s).map_or("-".into(), flag)));
        rows.push(row);
    }
    if rows.is_empty() {
        return None;
    }
    Some(Table {
        title: format!("what detectors flag, {budget} queries, %"),
        heads: heads(&[&["arm", "n", "honest rows", "honest accounts"][..], &students].concat()),
        rows,
        remark: Some(
            "Of each student: share of its judged rows that were flagged; after how many rows of one account \
             the first flag came, mean over the seeds that have one. Honest accounts: flagged at least once."
                .into(),
        ),
    })
}

fn flag(signs: &Signs) -> String {
    let Signs { flagged, until, .. } = signs;
    match until.n {
        0 => percent(flagged),
        n if n == flagged.n => {
            format!("{} after {}", percent(flagged), scaled(&until.bared(), 1.0, 0))
        }
        n => format!(
            "{} after {} ({n} of {} seeds)",
            percent(flagged),
            scaled(&until.bared(), 1.0, 0),
            flagged.n
        ),
    }
}

/// What tests of ownership say, an arm and test per row.
pub(super) fn marks(slice: &Slice<'_>) -> Option<Table> {
    let budget = slice.budget()?;
    let students = slice.students();
    let mut rows = Vec::new();
    for (effect, _) in TESTS {
        for arm in &slice.arms {
            let found = |s: &&str| {
                let row = slice.row(&arm.name, s, budget)?;
                row.signs.tests.iter().find(|t| t.effect_name == effect)
            };
            let Some(first) = students.iter().find_map(found) else { continue };
            let mut row = vec![arm.name.clone(), first.p.n.to_string(), effect.to_string()];
            row.extend(students.iter().map(|s| found(s).map_or("-".into(), mark)));
            rows.push(row);
        }
    }
    if rows.is_empty() {
        return None;
    }
    Some(Table {
        title: format!("what marks tell of each student, {budget} queries"),
        heads: heads(&[&["arm", "n", "score"][..], &students].concat()),
        rows,
        remark: Some(format!(
            "The score of a student, and in how many seeds its p is below {SURE}."
        )),
    })
}

fn mark(test: &Test) -> String {
    format!("{}, sure in {}", scaled(&test.effect, 1.0, 2), test.sure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::record::Role;
    use crate::metric::Score;
    use crate::report::Summary;
    use crate::report::synthetic::records;

    /// Three seeds: `scores` of each record of a student by its seed.
    fn slice_of(scores: impl Fn(u64) -> Vec<(&'static str, f64)>) -> Summary {
        let mut all = records(2, 3);
        for record in all.iter_mut().filter(|r| r.arm != "none" && r.role == Role::Student) {
            record.scores.extend(
                scores(record.seed).into_iter().map(|(name, value)| Score::of(name, Some(value))),
            );
        }
        Summary::of(&all)
    }

    #[test]
    fn without_detectors_and_marks_there_is_no_table() {
        let summary = slice_of(|_| Vec::new());
        assert_eq!((flags(&summary.slice("")), marks(&summary.slice(""))), (None, None));
    }

    #[test]
    fn flags_stand_beside_those_of_honest_users() {
        let summary = slice_of(|seed| {
            let mut scores =
                vec![("flagged", 0.5), ("honest_flagged", 0.01), ("honest_accounts_flagged", 0.25)];
            // The first seed of the three was never flagged.
            scores.extend((seed > 0).then_some(("queries_until_detection", 40.0)));
            scores
        });
        let table = flags(&summary.slice("")).unwrap();
        for row in &table.rows {
            assert_eq!(row[1..4], ["3", "1.0", "25"], "{row:?}");
            assert_eq!(row[4], "50 after 40 (2 of 3 seeds)");
        }
        assert!(!table.rows.is_empty() && table.rows.iter().all(|row| row[0] != "none"));
    }

    #[test]
    fn a_test_counts_the_seeds_in_which_it_is_sure() {
        let p = |seed| if seed == 0 { 0.2 } else { 0.001 };
        let summary = slice_of(|seed| vec![("watermark_match", 0.75), ("watermark_p", p(seed))]);
        let table = marks(&summary.slice("")).unwrap();
        for row in &table.rows {
            assert_eq!(row[1..4], ["3", "watermark_match", "0.75, sure in 2"], "{row:?}");
        }
        assert!(!table.rows.is_empty());
    }
}
