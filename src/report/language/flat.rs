//! A record for each capability, in the form that classifiers have.

use crate::experiment::language::record::{Capability, LanguageRecord, Score as Marks, Share};
use crate::experiment::record::{self, Record, Role};
use crate::metric::{Better, Score};

/// Name of the mean over capabilities.
pub(super) const ALL: &str = "all";
/// The config key that tells slices apart.
const KEY: &str = "capability";

/// The capability of a slice.
pub(super) fn capability(slice: &str) -> &str {
    slice.split(", ").find_map(|part| part.strip_prefix("capability=")).unwrap_or_default()
}

/// A slice's other swept values.
pub(super) fn rest(slice: &str) -> String {
    let others = slice.split(", ").filter(|part| !part.starts_with("capability="));
    others.collect::<Vec<_>>().join(", ")
}

/// The mean first, then every capability that is checked exactly.
pub(super) fn records(all: &[LanguageRecord]) -> Vec<Record> {
    let mean = all.iter().map(mean);
    let each = all.iter().flat_map(|r| r.report.scores.iter().map(|marks| one(r, marks)));
    mean.chain(each).collect()
}

/// Shares of one capability, or their means.
struct Side {
    capability: &'static str,
    accuracy: f64,
    floor: f64,
    agreement: Option<f64>,
    on_errors: Option<f64>,
    kl: Option<f64>,
    honest: Option<f64>,
    undefended: Option<f64>,
    right: String,
    more: Vec<Score>,
}

fn one(r: &LanguageRecord, marks: &Marks) -> Record {
    let capability = marks.capability;
    let likeness = r.likeness.iter().find(|l| l.capability == capability);
    let share = |s: Share| (s.of > 0).then(|| s.value());
    let honest = r.honest.as_ref();
    let mut more: Vec<Score> = marks.kinds.iter().map(|(kind, s)| by_kind(kind, *s)).collect();
    if capability == Capability::Guardrail {
        let g = &r.report.guardrail;
        more.extend([
            Score::of("refuse_recall", share(g.refused)),
            Score::of("false_refusal", share(g.false_refusals)),
            Score::of("near_miss_accuracy", share(g.near_misses)),
            Score::of("incoherent", share(g.incoherent)),
        ]);
    }
    flat(
        r,
        Side {
            capability: capability.name(),
            accuracy: marks.correct.value(),
            floor: marks.floor,
            agreement: likeness.and_then(|l| share(l.agreement?)),
            on_errors: likeness.and_then(|l| share(l.on_errors?)),
            kl: likeness.and_then(|l| l.kl),
            honest: honest.and_then(|h| share(h.defended.score(capability)?.correct)),
            undefended: honest.and_then(|h| share(undefended(h, capability)?)),
            right: marks.right.clone(),
            more,
        },
    )
}

fn undefended(
    honest: &crate::experiment::language::record::Honest,
    capability: Capability,
) -> Option<Share> {
    honest.undefended.iter().find(|(c, _)| *c == capability).map(|(_, share)| *share)
}

fn by_kind(kind: &str, share: Share) -> Score {
    Score {
        metric: format!("accuracy_{kind}"),
        value: (share.of > 0).then(|| share.value()),
        unit: "fraction".into(),
        better: Better::Higher,
    }
}

fn mean(r: &LanguageRecord) -> Record {
    let scores = &r.report.scores;
    let over = |values: Vec<f64>| {
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let likeness = |of: &dyn Fn(&crate::experiment::language::record::Likeness) -> Option<f64>| {
        over(r.likeness.iter().filter_map(of).collect())
    };
    let honest = r.honest.as_ref();
    let text = r.likeness.iter().find(|l| l.capability == Capability::Text);
    let more = vec![
        Score::of("bits_per_byte", r.report.bits_per_byte),
        Score::of("kl_text", text.and_then(|l| l.kl)),
    ];
    flat(
        r,
        Side {
            capability: ALL,
            accuracy: over(scores.iter().map(|s| s.correct.value()).collect()).unwrap_or(f64::NAN),
            floor: over(scores.iter().map(|s| s.floor).collect()).unwrap_or(f64::NAN),
            agreement: likeness(&|l| Some(l.agreement?.value())),
            on_errors: None,
            kl: likeness(&|l| l.kl),
            honest: honest
                .and_then(|h| over(h.defended.scores.iter().map(|s| s.correct.value()).collect())),
            undefended: honest
                .and_then(|h| over(h.undefended.iter().map(|(_, s)| s.value()).collect())),
            right: scores.iter().map(|s| s.right.as_str()).collect(),
            more,
        },
    )
}

fn flat(r: &LanguageRecord, side: Side) -> Record {
    let mut scores = vec![
        Score::of("accuracy", Some(side.accuracy)),
        Score::of("floor_accuracy", Some(side.floor)),
        Score::of("agreement", side.agreement),
        Score::of("agreement_on_errors", side.on_errors),
        Score::of("kl_teacher_student", side.kl),
    ];
    if r.role == Role::Student {
        scores.extend([
            Score::of("queries_spent", Some(r.spent.queries as f64)),
            Score::of("tokens_spent", Some(r.spent.completion_tokens as f64)),
            Score::of("tokens_scored", Some(r.spent.scored_tokens as f64)),
            Score::of("usd_spent", Some(r.spent.usd)),
            Score::of("honest_accuracy", side.honest),
            Score::of("honest_teacher_accuracy", side.undefended),
            Score::of("honest_changed", r.honest.as_ref().map(|h| h.changed.value())),
        ]);
    }
    scores.extend(side.more);
    scores.retain(|score| score.value.is_some());
    let mut config = r.config.clone();
    config.insert(KEY.into(), side.capability.into());
    Record {
        version: record::VERSION,
        name: r.name.clone(),
        variant: r.variant.clone(),
        cell: r.cell.clone(),
        role: r.role,
        arm: r.arm.clone(),
        student: r.student.clone(),
        kin: r.kin.clone(),
        budget: r.budget,
        seed: r.seed,
        label_only: r.text_only,
        counter: r.counter,
        stack: r.stack.clone(),
        config,
        stop: r.stop,
        scores,
        right: side.right,
        accounts: Vec::new(),
        stages: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Summary;
    use crate::report::language::synthetic::records as made;

    #[test]
    fn every_capability_and_their_mean_is_a_slice_of_its_own() {
        let given = made(3);
        let summary = Summary::of(&records(&given));
        let names: Vec<&str> = summary.slices.iter().map(|s| capability(s)).collect();
        assert_eq!(names, ["all", "reasoning", "run", "write", "tools", "format", "guardrail"]);
        let of = |name: &str| summary.slice(&format!("capability={name}"));
        let accuracy =
            |name: &str| of(name).row("none", "plain", 500).unwrap().accuracy.mean.unwrap();
        let six: f64 = names[1..].iter().map(|n| accuracy(n)).sum::<f64>() / 6.0;
        assert!((accuracy("all") - six).abs() < 1e-12);
    }

    #[test]
    fn a_slice_is_told_by_its_capability_and_the_rest() {
        assert_eq!(capability("capability=run, suite.items=50"), "run");
        assert_eq!(rest("capability=run, suite.items=50"), "suite.items=50");
        assert_eq!((capability(""), rest("capability=all")), ("", String::new()));
    }
}
