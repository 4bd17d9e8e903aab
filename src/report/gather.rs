//! Records to a [`Summary`]: which records belong together, and which must not be averaged.

use std::collections::{BTreeMap, BTreeSet};

use super::aggregate::{BySeed, by_seed};
use super::efficiency;
use super::family;
use super::headline;
use super::records::plain;
use super::rows;
use super::summary::Summary;
use crate::experiment::record::{Record, Role, Stop};

impl Summary {
    /// Aggregates records. Arms, students and slices keep the order in which they first appear.
    ///
    /// Seeds are averaged, nothing else: config values that vary while arm, student, budget and seed
    /// stay the same make separate slices. Diverged cells are counted and enter no mean.
    pub fn of(records: &[Record]) -> Self {
        let mut out = Self {
            name: records.first().map(|r| r.name.clone()).unwrap_or_default(),
            ..Self::default()
        };
        let keys = swept_keys(records);
        for label in slice_labels(records, &keys) {
            let group = Group::of(records, &keys, &label, &mut out.notes);
            out.references.extend(rows::references(&group));
            out.floors.push((label.clone(), super::aggregate::mean(&group.floors())));
            let rows = rows::rows(&group);
            let mut arms = headline::arms(&group, &rows);
            out.families.extend(family::families(&group, &mut arms));
            out.efficiency.extend(efficiency::efficiency(&group));
            out.arms.extend(arms);
            out.rows.extend(rows);
            out.slices.push(label);
        }
        super::notes::add(&mut out);
        out
    }
}

/// The records of one slice, ready for look-up.
pub(super) struct Group<'a> {
    pub slice: String,
    pub arms: Vec<&'a str>,
    pub students: Vec<&'a str>,
    pub budgets: Vec<u64>,
    /// Students' records, by arm, student and budget; at most one per seed.
    cells: BTreeMap<(&'a str, &'a str, u64), Vec<&'a Record>>,
    /// References by role and kin; at most one per seed.
    pub references: BTreeMap<(Role, &'a str), Vec<&'a Record>>,
}

impl<'a> Group<'a> {
    fn of(records: &'a [Record], keys: &[&str], label: &str, notes: &mut Vec<String>) -> Self {
        let mut group = Self {
            slice: label.to_string(),
            arms: vec![],
            students: vec![],
            budgets: vec![],
            cells: BTreeMap::new(),
            references: BTreeMap::new(),
        };
        let mut repeated = 0;
        for r in records.iter().filter(|r| belongs(r, keys, label)) {
            let place = if r.role == Role::Student {
                push_new(&mut group.arms, r.arm.as_str());
                push_new(&mut group.students, r.student.as_str());
                push_new(&mut group.budgets, r.budget);
                group.cells.entry((&r.arm, &r.student, r.budget)).or_default()
            } else {
                group.references.entry((r.role, &r.kin)).or_default()
            };
            if place.iter().any(|other| other.seed == r.seed) {
                repeated += usize::from(r.role == Role::Student);
            } else {
                place.push(r);
            }
        }
        group.arms.sort_by_key(|a| *a != "none");
        group.budgets.sort_unstable();
        if repeated > 0 {
            notes.push(format!(
                "{repeated} records repeat the arm, student, budget and seed of an earlier one with an \
                 equal config; only the first of each is used."
            ));
        }
        group
    }

    /// All records of a cell, diverged ones too.
    pub fn all(&self, arm: &str, student: &str, budget: u64) -> &[&'a Record] {
        let found = self.cells.iter().find(|((a, s, b), _)| (*a, *s, *b) == (arm, student, budget));
        found.map_or(&[], |(_, records)| records.as_slice())
    }

    /// Records of a cell that finished, by seed.
    pub fn finished(&self, arm: &str, student: &str, budget: u64) -> Vec<&'a Record> {
        let all = self.all(arm, student, budget).iter().copied();
        let mut out: Vec<_> = all.filter(|r| r.stop != Stop::Diverged).collect();
        out.sort_by_key(|r| r.seed);
        out
    }

    /// Scores of a reference, by seed.
    pub fn reference(&self, role: Role, kin: &str, metric: &str) -> BySeed {
        let records = self.references.get(&(role, kin)).map_or(&[][..], Vec::as_slice);
        let finished: Vec<_> =
            records.iter().copied().filter(|r| r.stop != Stop::Diverged).collect();
        by_seed(&finished, metric)
    }

    /// Accuracy of the undefended teacher per seed; where its record is absent, what students report.
    pub fn teachers(&self) -> BySeed {
        self.fixed("accuracy", "teacher_accuracy")
    }

    /// Accuracy of the best constant answer per seed.
    pub fn floors(&self) -> BySeed {
        self.fixed("floor_accuracy", "floor_accuracy")
    }

    /// Agreement of the best constant answer with the teacher per seed.
    pub fn agreement_floors(&self) -> BySeed {
        self.fixed("floor_agreement", "floor_agreement")
    }

    fn fixed(&self, of_teacher: &str, of_student: &str) -> BySeed {
        let mut values = BTreeMap::new();
        let mut overlap: f64 = 0.0;
        for r in self.cells.values().flatten() {
            overlap = overlap.max(super::aggregate::overlap(r));
            if let Some(value) = r.get(of_student) {
                values.entry(r.seed).or_insert(value);
            }
        }
        for (_, kin) in self.references.keys().filter(|(role, _)| *role == Role::Teacher) {
            let own = self.reference(Role::Teacher, kin, of_teacher);
            overlap = overlap.max(own.overlap);
            values.extend(own.iter().map(|(seed, value)| (*seed, *value)));
        }
        BySeed::new(values, overlap)
    }
}

/// Config keys that vary among records of equal arm, student, budget and seed.
fn swept_keys(records: &[Record]) -> Vec<&str> {
    let mut first: BTreeMap<(&str, &str, u64, u64), &Record> = BTreeMap::new();
    let mut keys = BTreeSet::new();
    for r in records.iter().filter(|r| r.role == Role::Student) {
        let other = *first.entry((&r.arm, &r.student, r.budget, r.seed)).or_insert(r);
        let both = r.config.keys().chain(other.config.keys());
        keys.extend(both.filter(|k| r.config.get(*k) != other.config.get(*k)).map(String::as_str));
    }
    keys.into_iter().collect()
}

fn slice_labels(records: &[Record], keys: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    for r in records.iter().filter(|r| r.role == Role::Student) {
        push_new(&mut out, label(r, keys));
    }
    if out.is_empty() {
        out.push(String::new());
    }
    out
}

fn label(r: &Record, keys: &[&str]) -> String {
    let part = |k: &&str| format!("{k}={}", r.config.get(*k).map(plain).unwrap_or_default());
    keys.iter().map(part).collect::<Vec<_>>().join(", ")
}

/// Students belong to the slice of their values; a reference to every slice that it does not contradict.
fn belongs(r: &Record, keys: &[&str], slice: &str) -> bool {
    if r.role == Role::Student {
        return label(r, keys) == slice;
    }
    let known: Vec<&str> = keys.iter().copied().filter(|k| r.config.contains_key(*k)).collect();
    let parts: Vec<&str> = slice.split(", ").collect();
    known.iter().all(|k| parts.contains(&label(r, &[k]).as_str()))
}

fn push_new<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::summary::Why;
    use crate::report::synthetic::{example, record, records};

    #[test]
    fn a_typical_run_has_a_row_per_arm_student_and_budget() {
        let summary = Summary::of(&example());
        assert_eq!(summary.slices, vec![""]);
        assert_eq!(summary.rows.len(), 8 * 5 * 4);
        assert_eq!(summary.arms.len(), 8);
        assert_eq!(summary.references.len(), 1 + 3 * 2);
        assert!(summary.rows.iter().all(|r| r.seeds == 5 && r.diverged == 0));
    }

    #[test]
    fn swept_values_are_never_averaged() {
        let mut given = records(2, 3);
        let mut other = given.clone();
        for r in &mut given {
            r.config.insert("teacher.dataset".into(), "digits".into());
        }
        for r in &mut other {
            r.config.insert("teacher.dataset".into(), "mnist".into());
        }
        let alone = Summary::of(&given);
        let both = Summary::of(&[given, other].concat());
        assert_eq!(both.slices, vec!["teacher.dataset=digits", "teacher.dataset=mnist"]);
        assert_eq!(both.rows.len(), 2 * alone.rows.len());
        assert_eq!(both.rows[0].accuracy, alone.rows[0].accuracy);
        assert_eq!(both.references.len(), 2 * alone.references.len());
    }

    #[test]
    fn diverged_cells_are_counted_and_enter_no_mean() {
        let mut given = records(1, 4);
        let at = given.iter().position(|r| r.role == Role::Student && r.seed == 2).unwrap();
        given[at].stop = Stop::Diverged;
        let student = given[at].student.clone();
        let summary = Summary::of(&given);
        let row = summary.slice("").row("none", &student, 400).unwrap().clone();
        assert_eq!((row.seeds, row.diverged, row.accuracy.n), (3, 1, 3));
        assert!(summary.notes.iter().any(|n| n.contains("diverged")));
    }

    #[test]
    fn seeds_that_change_nothing_give_no_interval() {
        let scores = [
            ("accuracy", 0.6),
            ("agreement", 0.7),
            ("teacher_accuracy", 0.9),
            ("floor_accuracy", 0.1),
        ];
        let mut given: Vec<Record> =
            (0..3).map(|s| record(Role::Student, "none", "a", "k", 10, s, &scores)).collect();
        given.iter_mut().for_each(|r| r.right = "0110".into());
        let summary = Summary::of(&given);
        assert_eq!(summary.rows[0].accuracy.why, Some(Why::SeedHadNoEffect));
        assert_eq!(summary.rows[0].recovered.interval, None);
        assert!(summary.notes.iter().any(|n| n.contains("seed had no effect")));
    }

    #[test]
    fn a_repeated_record_counts_once() {
        let given = records(1, 2);
        let summary = Summary::of(&[given.clone(), given].concat());
        assert!(summary.rows.iter().all(|r| r.seeds == 2));
        assert!(summary.notes.iter().any(|n| n.contains("repeat")));
    }

    #[test]
    fn no_records_give_an_empty_summary() {
        assert!(Summary::of(&[]).rows.is_empty());
    }
}
