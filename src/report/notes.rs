//! Sentences that a reader must not miss, drawn from the summary.

use std::collections::{BTreeMap, BTreeSet};

use super::summary::{FEWEST_STRENGTHS, Summary, Why};
use super::tidy::not_comparable;

/// Appends what holds of this summary.
pub(super) fn add(summary: &mut Summary) {
    let mut notes = Vec::new();
    seeds(summary, &mut notes);
    cells(summary, &mut notes);
    arms(summary, &mut notes);
    summary.notes.extend(notes);
}

fn seeds(summary: &Summary, notes: &mut Vec<String>) {
    let n: BTreeSet<usize> = summary.rows.iter().map(|r| r.seeds).collect();
    let Some((least, most)) = n.first().zip(n.last()) else { return };
    match (least, most) {
        (_, 0) => notes.push("No cell finished.".into()),
        (1, 1) => notes.push("One seed: no interval is given, and no difference is known.".into()),
        (a, b) if a == b && *a < 3 => {
            notes.push(format!("{a} seeds: too few for a headline, which needs 3."));
        }
        (a, b) if a == b && *a < 10 => {
            notes.push(format!("{a} seeds: a committed table has at least 10."));
        }
        (a, b) if a != b => notes.push(format!("Rows have between {a} and {b} seeds.")),
        _ => {}
    }
}

fn cells(summary: &Summary, notes: &mut Vec<String>) {
    let diverged: usize = summary.rows.iter().map(|r| r.diverged).sum();
    if diverged > 0 {
        notes.push(format!(
            "{}; diverged cells enter no mean.",
            count(diverged, "cell diverged", "cells diverged")
        ));
    }
    let flat: Vec<_> =
        summary.rows.iter().filter(|r| r.accuracy.why == Some(Why::SeedHadNoEffect)).collect();
    if let Some(first) = flat.first() {
        notes.push(format!(
            "The seed had no effect in {} (first: arm {}, student {}, budget {}): nothing \
             random depends on it, so no interval is given.",
            count(flat.len(), "row", "rows"),
            first.arm,
            first.student,
            first.budget
        ));
    }
}

fn arms(summary: &Summary, notes: &mut Vec<String>) {
    let several = summary.slices.len() > 1;
    for arm in &summary.arms {
        let at = if several { format!(" ({})", arm.slice) } else { String::new() };
        if !arm.complete {
            notes.push(format!(
                "Arm {}{at} is incomplete: without the {}, its worst case may be too low.",
                arm.name,
                arm.missing.join(" and the ")
            ));
        }
    }
    other_students(summary, notes);
    few_strengths(summary, notes);
}

/// Defenses without enough strengths, by how many they have.
fn few_strengths(summary: &Summary, notes: &mut Vec<String>) {
    let mut few: BTreeMap<usize, BTreeSet<&str>> = BTreeMap::new();
    for family in summary.families.iter().filter(|f| f.arms.len() < FEWEST_STRENGTHS) {
        few.entry(family.arms.len()).or_default().insert(&family.name);
    }
    let list = |(n, names): (&usize, &BTreeSet<&str>)| {
        let names: Vec<&str> = names.iter().copied().collect();
        format!("{}: {}", not_comparable(*n), names.join(", "))
    };
    if !few.is_empty() {
        notes.push(format!(
            "Defenses are compared at matched honest cost, which needs {FEWEST_STRENGTHS} strengths of \
             each; {}.",
            few.iter().map(list).collect::<Vec<_>>().join("; ")
        ));
    }
}

/// A maximum over other students is not the same maximum.
fn other_students(summary: &Summary, notes: &mut Vec<String>) {
    for slice in summary.parts() {
        let of = |arm: &str, budget: u64| -> BTreeSet<&str> {
            let here = slice.rows.iter().filter(|r| r.arm == arm && r.budget == budget);
            here.map(|r| r.student.as_str()).collect()
        };
        for arm in slice.arms.iter().filter(|a| a.name != "none") {
            let (mine, none) = (of(&arm.name, arm.budget), of("none", arm.budget));
            if !none.is_empty() && mine != none {
                notes.push(format!(
                    "Arm {} and `none` were asked by different students: their maxima are over different \
                     candidates.",
                    arm.name
                ));
            }
        }
    }
}

fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use crate::report::Summary;
    use crate::report::synthetic::{example, ladder};

    #[test]
    fn defenses_with_few_strengths_are_named_and_ladders_are_not() {
        let notes = Summary::of(&example()).notes.join(" ");
        assert!(
            notes.contains("not comparable (1 strength): noise, prada; not comparable (2 strengths): mad, round."),
            "{notes}"
        );
        assert!(!Summary::of(&ladder(5)).notes.join(" ").contains("not comparable"));
    }
}
