//! A summary as long rows: one per estimate, for pandas, polars and R.

use serde::Serialize;

use super::summary::{
    Arm, Efficiency, Estimate, FEWEST_STRENGTHS, Family, Honest, MATCHED_LOSSES, Reference, Row,
    Signs, Summary,
};

/// One estimate and what it is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Line<'a> {
    /// `cell`: an arm, student and budget. `arm`: an arm at its largest budget, over its students.
    /// `curve`: an arm and student over all budgets. `family`: a defense at several strengths.
    /// Else a reference: `teacher`, `insider`, `public`, `untrained`, `floor`.
    pub what: &'static str,
    pub slice: &'a str,
    /// Arm; of a family the kinds of its layers.
    pub arm: &'a str,
    /// Student; for references the kin.
    pub student: &'a str,
    pub budget: Option<u64>,
    pub metric: &'static str,
    /// Loss of honest accuracy at which `recovered_at_matched_cost` is read, fraction.
    pub loss: Option<f64>,
    pub n: usize,
    pub mean: Option<f64>,
    pub low: Option<f64>,
    pub high: Option<f64>,
    /// Holm-adjusted p; only of `drop`.
    pub p: Option<f64>,
    /// Why there is no interval or value, or what an arm lacks.
    pub note: String,
}

/// All estimates: cells, arms, curves, families, references, floors.
pub fn lines(summary: &Summary) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    summary.rows.iter().for_each(|r| cell(&mut out, r));
    summary.arms.iter().for_each(|a| arm(&mut out, a));
    summary.efficiency.iter().for_each(|e| curve(&mut out, e));
    summary.families.iter().for_each(|f| family(&mut out, f));
    summary.references.iter().for_each(|r| reference(&mut out, r));
    for (slice, floor) in &summary.floors {
        out.push(Line { what: "floor", slice, metric: "accuracy", ..line(floor) });
    }
    out
}

fn cell<'a>(out: &mut Vec<Line<'a>>, r: &'a Row) {
    let scores = [
        ("recovered", r.recovered),
        ("recovered_over_public", r.recovered_over_public),
        ("recovered_agreement", r.recovered_agreement),
        ("accuracy", r.accuracy),
        ("agreement", r.agreement),
        ("agreement_gain", r.agreement_gain),
        ("queries_spent", r.queries_spent),
        ("days", r.days),
    ];
    let diverged = if r.diverged > 0 { format!("diverged: {}", r.diverged) } else { String::new() };
    let scores = scores.into_iter().chain(signs(&r.signs));
    for (metric, e) in scores.chain(honest(&r.honest, r.seeds)) {
        let mut line = Line {
            what: "cell",
            slice: &r.slice,
            arm: &r.arm,
            student: &r.student,
            budget: Some(r.budget),
            metric,
            ..line(&e)
        };
        add(&mut line.note, &diverged);
        out.push(line);
    }
}

/// Those that the arm has.
fn signs(signs: &Signs) -> Vec<(&'static str, Estimate)> {
    let mut all = vec![
        ("flagged", signs.flagged),
        ("queries_until_detection", signs.until),
        ("honest_flagged", signs.honest_flagged),
        ("honest_accounts_flagged", signs.honest_accounts_flagged),
    ];
    all.retain(|(_, e)| e.n > 0);
    all.extend(signs.tests.iter().flat_map(|t| [(t.effect_name, t.effect), (t.p_name, t.p)]));
    all
}

fn arm<'a>(out: &mut Vec<Line<'a>>, a: &'a Arm) {
    let mut marks = String::new();
    if !a.complete {
        add(&mut marks, &format!("incomplete: no {}", a.missing.join(", no ")));
    }
    if let Some(n) = a.strengths.filter(|_| !a.comparable()) {
        add(&mut marks, &not_comparable(n));
    }
    let scores = [
        ("worst_recovered", a.worst),
        ("strongest_recovered", a.strongest),
        ("drop", a.drop),
        ("recovered_agreement", a.recovered_agreement),
        ("de", a.de.plain),
        ("de_over_floor", a.de.over_floor),
        ("dc", a.dc.plain),
        ("dc_over_floor", a.dc.over_floor),
    ];
    for (metric, e) in scores.into_iter().chain(honest(&a.honest, a.honest.accuracy.n)) {
        let mut line = Line {
            what: "arm",
            slice: &a.slice,
            arm: &a.name,
            budget: Some(a.budget),
            metric,
            ..line(&e)
        };
        match metric {
            "worst_recovered" => line.student = a.worst_student.as_deref().unwrap_or_default(),
            "drop" => line.p = a.p,
            _ => {}
        }
        add(&mut line.note, &marks);
        out.push(line);
    }
}

fn curve<'a>(out: &mut Vec<Line<'a>>, e: &'a Efficiency) {
    for (metric, estimate) in [("auc_log_budget", e.auc), ("budget_at_half", e.half)] {
        let (slice, arm, student) = (&e.slice, &e.arm, &e.student);
        out.push(Line { what: "curve", slice, arm, student, metric, ..line(&estimate) });
    }
}

fn family<'a>(out: &mut Vec<Line<'a>>, f: &'a Family) {
    for (loss, estimate) in MATCHED_LOSSES.into_iter().zip(&f.at) {
        let mut line = Line {
            what: "family",
            slice: &f.slice,
            arm: &f.name,
            budget: Some(f.budget),
            metric: "recovered_at_matched_cost",
            loss: Some(loss),
            ..line(estimate)
        };
        if f.arms.len() < FEWEST_STRENGTHS {
            line.note = not_comparable(f.arms.len());
        }
        out.push(line);
    }
}

/// `not comparable (1 strength)`.
pub(super) fn not_comparable(strengths: usize) -> String {
    format!("not comparable ({strengths} strength{})", if strengths == 1 { "" } else { "s" })
}

fn reference<'a>(out: &mut Vec<Line<'a>>, r: &'a Reference) {
    for (metric, e) in [("accuracy", r.accuracy), ("agreement", r.agreement)] {
        if e.n > 0 {
            let what = r.role.name();
            out.push(Line { what, slice: &r.slice, student: &r.kin, metric, ..line(&e) });
        }
    }
}

/// The honest side; the largest distortion is a maximum over `seeds`, not a mean.
fn honest(h: &Honest, seeds: usize) -> Vec<(&'static str, Estimate)> {
    let max = Estimate { n: seeds, mean: h.distortion_max, interval: None, why: None };
    vec![
        ("honest_accuracy", h.accuracy),
        ("honest_loss", h.loss),
        ("distortion_l1_mean", h.distortion_mean),
        ("distortion_l1_max", max),
        ("honest_refused", h.refused),
        ("honest_wait_p95", h.wait_p95),
    ]
}

fn line(e: &Estimate) -> Line<'static> {
    Line {
        n: e.n,
        mean: e.mean,
        low: e.interval.map(|i| i.0),
        high: e.interval.map(|i| i.1),
        note: e.why.map(|w| w.name().to_string()).unwrap_or_default(),
        ..Line::default()
    }
}

fn add(note: &mut String, more: &str) {
    if !note.is_empty() && !more.is_empty() {
        note.push_str("; ");
    }
    note.push_str(more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::CATALOG;
    use crate::report::synthetic::example;

    #[test]
    fn cells_arms_and_references_are_all_there() {
        let summary = Summary::of(&example());
        let lines = lines(&summary);
        let count = |what: &str| lines.iter().filter(|l| l.what == what).count();
        assert_eq!((count("cell"), count("arm")), (160 * 14, 8 * 14));
        assert_eq!((count("curve"), count("family")), (40 * 2, 4 * 3));
        assert_eq!((count("teacher"), count("insider"), count("floor")), (1, 4, 1));
        let drop = lines.iter().find(|l| l.arm == "noise" && l.metric == "drop").unwrap();
        assert!(drop.p.is_some() && drop.note.starts_with("incomplete: no counter"));
        let family = lines.iter().find(|l| l.what == "family" && l.arm == "mad").unwrap();
        assert_eq!(family.note, "not comparable (2 strengths)");
    }

    #[test]
    fn every_metric_of_a_line_is_in_the_catalog_or_names_a_column_of_the_report() {
        let own =
            ["worst_recovered", "strongest_recovered", "drop", "agreement_gain", "honest_loss"];
        let known = |m: &str| own.contains(&m) || CATALOG.iter().any(|c| c.name == m);
        let summary = Summary::of(&example());
        let lines = lines(&summary);
        let unknown: Vec<&str> = lines.iter().map(|l| l.metric).filter(|m| !known(m)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
