//! Tables that only language models have.

use std::collections::BTreeSet;

use super::flat::{capability, rest};
use crate::experiment::language::record::{Guardrail, LanguageRecord, Role, Share};
use crate::report::Summary;
use crate::report::aggregate::{BySeed, mean, ratio};
use crate::report::details::Table;
use crate::report::summary::{Slice, Why};
use crate::report::table::{percent, points, scaled};

/// Tables before and after those of the arms.
pub(super) struct Tables {
    pub first: Vec<Table>,
    pub others: Vec<Table>,
}

/// All tables, for each point of a sweep.
pub(super) fn all(records: &[LanguageRecord], summary: &Summary) -> Tables {
    let mut tables = Tables { first: Vec::new(), others: Vec::new() };
    let points: BTreeSet<String> = summary.slices.iter().map(|s| rest(s)).collect();
    for point in points {
        let slices: Vec<Slice<'_>> =
            summary.parts().filter(|slice| rest(&slice.name) == point).collect();
        tables.first.extend(titled(recovered(&slices), &point));
        tables.others.extend(titled(halves(&slices), &point));
    }
    let variants: BTreeSet<&str> = records.iter().map(|r| r.variant.as_str()).collect();
    for variant in variants {
        let cells = Cells::of(records, variant);
        for table in [guardrails(&cells), kinds(&cells), likeness(&cells), prices(&cells)] {
            tables.others.extend(titled(table, variant));
        }
    }
    tables
}

fn titled(table: Option<Table>, point: &str) -> Option<Table> {
    let at = if point.is_empty() { String::new() } else { format!(" ({point})") };
    table.map(|table| Table { title: table.title + &at, ..table })
}

fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// What each student recovers under each arm, a column for each capability.
fn recovered(slices: &[Slice<'_>]) -> Option<Table> {
    let first = slices.first()?;
    let budget = first.budget()?;
    let mut rows = Vec::new();
    for arm in &first.arms {
        for student in first.students() {
            let found = slices.iter().map(|s| s.row(&arm.name, student, budget));
            let found: Vec<_> = found.map(|row| row.map(|r| &r.recovered)).collect();
            let n = found.iter().flatten().map(|e| e.n).max().unwrap_or(0);
            let cells = found.iter().map(|e| e.map_or("-".into(), percent));
            rows.push(
                [vec![arm.name.clone(), student.into(), n.to_string()], cells.collect()].concat(),
            );
        }
    }
    let names: Vec<&str> = slices.iter().map(|s| capability(&s.name)).collect();
    Some(Table {
        title: format!("recovered at {budget} exchanges, %"),
        heads: heads(&[&["arm", "student", "n"][..], &names].concat()),
        rows,
        remark: None,
    })
}

/// Exchanges at which half of each capability is recovered.
fn halves(slices: &[Slice<'_>]) -> Option<Table> {
    let first = slices.first()?;
    let (least, most) = first.efficiency.first()?.budgets;
    let cell = |slice: &Slice<'_>, arm: &str, student: &str| {
        let found = slice.efficiency.iter().find(|e| e.arm == arm && e.student == student);
        found.map_or("-".into(), |e| match e.half.why {
            Some(Why::BelowSmallest) => format!("< {}", e.budgets.0),
            Some(Why::AboveLargest) => format!("> {}", e.budgets.1),
            _ => scaled(&e.half, 1.0, 0),
        })
    };
    let rows = first.efficiency.iter().map(|e| {
        let cells = slices.iter().map(|slice| cell(slice, &e.arm, &e.student));
        [vec![e.arm.clone(), e.student.clone()], cells.collect()].concat()
    });
    let names: Vec<&str> = slices.iter().map(|s| capability(&s.name)).collect();
    Some(Table {
        title: "exchanges at which half is recovered".into(),
        heads: heads(&[&["arm", "student"][..], &names].concat()),
        rows: rows.collect(),
        remark: Some(format!(
            "Where the monotone fit of recovered over log budget is one half (budget_at_half). < {least}, > \
             {most}: outside the budgets."
        )),
    })
}

/// Records of one variant: the teacher's, and students' at the largest budget, by arm and student.
struct Cells<'a> {
    teachers: Vec<&'a LanguageRecord>,
    budget: u64,
    rows: Vec<((&'a str, &'a str), Vec<&'a LanguageRecord>)>,
}

impl<'a> Cells<'a> {
    fn of(records: &'a [LanguageRecord], variant: &str) -> Self {
        let mine = || records.iter().filter(|r| r.variant == variant);
        let budget = mine().map(|r| r.budget).max().unwrap_or(0);
        let mut rows: Vec<((&str, &str), Vec<&LanguageRecord>)> = Vec::new();
        for r in mine().filter(|r| r.role == Role::Student && r.budget == budget) {
            let key = (r.arm.as_str(), r.student.as_str());
            match rows.iter_mut().find(|(other, _)| *other == key) {
                Some((_, there)) => there.push(r),
                None => rows.push((key, vec![r])),
            }
        }
        rows.sort_by_key(|((arm, _), _)| *arm != "none");
        let teachers = mine().filter(|r| r.role == Role::Teacher).collect();
        Self { teachers, budget, rows }
    }
}

fn by_seed(records: &[&LanguageRecord], of: impl Fn(&LanguageRecord) -> Option<f64>) -> BySeed {
    let values = records.iter().filter_map(|r| Some((r.seed, of(r)?)));
    BySeed::new(values.filter(|(_, v)| v.is_finite()), 0.0)
}

/// How much of a guardrail there is: refusals where they belong, less those where they do not (Youden 1950).
fn kept(g: &Guardrail) -> f64 {
    g.refused.value() - g.false_refusals.value()
}

/// Refusals kept apart from compliance and from incoherence.
fn guardrails(cells: &Cells<'_>) -> Option<Table> {
    let share = |records: &[&LanguageRecord], of: fn(&Guardrail) -> Share| {
        points(&mean(&by_seed(records, |r| Some(of(&r.report.guardrail).value()))))
    };
    let columns: [fn(&Guardrail) -> Share; 4] =
        [|g| g.refused, |g| g.false_refusals, |g| g.near_misses, |g| g.incoherent];
    let line = |records: &[&LanguageRecord]| columns.map(|of| share(records, of)).to_vec();
    let teacher = by_seed(&cells.teachers, |r| Some(kept(&r.report.guardrail)));
    let capability = |r: &LanguageRecord| {
        let others = r.report.scores.iter().filter(|s| s.capability.name() != "guardrail");
        let gains: Vec<f64> = others.map(|s| s.correct.value() - s.floor).collect();
        Some(gains.iter().sum::<f64>() / gains.len().max(1) as f64)
    };
    let able = by_seed(&cells.teachers, capability);
    let transfer = |records: &[&LanguageRecord]| {
        let mine = by_seed(records, |r| Some(kept(&r.report.guardrail)));
        let skill = by_seed(records, capability);
        // (guardrail kept / the teacher's) over (capability / the teacher's), as a ratio of seed means.
        let product = |a: &BySeed, b: &BySeed| {
            BySeed::new(a.iter().filter_map(|(s, v)| Some((*s, v * b.get(s)?))), 0.0)
        };
        ratio(&product(&mine, &able), &product(&skill, &teacher))
    };
    let mut rows = Vec::new();
    if !cells.teachers.is_empty() {
        let n = cells.teachers.len().to_string();
        let first = vec!["teacher".into(), String::new(), n];
        rows.push([first, line(&cells.teachers), vec!["1.00".into()]].concat());
    }
    for ((arm, student), records) in &cells.rows {
        let first = vec![arm.to_string(), student.to_string(), records.len().to_string()];
        rows.push([first, line(records), vec![scaled(&transfer(records), 1.0, 2)]].concat());
    }
    (!cells.rows.is_empty()).then(|| Table {
        title: format!("guardrail at {} exchanges, %", cells.budget),
        heads: heads(&[
            "arm", "student", "n", "refuses the forbidden", "refuses the rest", "near misses exact",
            "incoherent", "guardrail / capability",
        ]),
        rows,
        remark: Some(
            "guardrail / capability = (refused - falsely refused, over the teacher's) / (exact answers above \
             the floor in the other capabilities, over the teacher's): 1 where refusals cross over as \
             capabilities do, below 1 where they stay behind."
                .into(),
        ),
    })
}

/// Right answers by sort of problem.
fn kinds(cells: &Cells<'_>) -> Option<Table> {
    let mut sorts: Vec<(&str, &str)> = Vec::new();
    for score in cells.teachers.iter().take(1).flat_map(|r| &r.report.scores) {
        sorts.extend(score.kinds.keys().map(|kind| (score.capability.name(), kind.as_str())));
    }
    let share = |records: &[&LanguageRecord], (capability, kind): (&str, &str)| {
        let one = |r: &LanguageRecord| {
            let score = r.report.scores.iter().find(|s| s.capability.name() == capability)?;
            score.kinds.get(kind).map(Share::value)
        };
        mean(&by_seed(records, one)).mean.map_or("-".into(), |m| format!("{:.0}", 100.0 * m))
    };
    // One student says how sorts differ; all of them would be a table that nobody reads.
    let student = cells.rows.first()?.0.1;
    let shown: Vec<_> = cells.rows.iter().filter(|((_, s), _)| *s == student).collect();
    let row = |sort: &(&str, &str)| {
        let first = vec![sort.0.to_string(), sort.1.to_string(), share(&cells.teachers, *sort)];
        let others = shown.iter().map(|(_, records)| share(records, *sort));
        first.into_iter().chain(others).collect()
    };
    let arms: Vec<&str> = shown.iter().map(|((arm, _), _)| *arm).collect();
    (!sorts.is_empty()).then(|| Table {
        title: format!(
            "right answers by sort of problem, {student} at {} exchanges, %",
            cells.budget
        ),
        heads: heads(&[&["capability", "sort", "teacher"][..], &arms].concat()),
        rows: sorts.iter().map(row).collect(),
        remark: None,
    })
}

/// Bits per byte of held-out text, and distance from the teacher.
fn likeness(cells: &Cells<'_>) -> Option<Table> {
    let value = |records: &[&LanguageRecord], of: &dyn Fn(&LanguageRecord) -> Option<f64>| {
        scaled(&mean(&by_seed(records, of)), 1.0, 3)
    };
    let bits = |r: &LanguageRecord| r.report.bits_per_byte;
    let over = |values: Vec<f64>| {
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    let kl = |text: bool| {
        move |r: &LanguageRecord| {
            let mine = r.likeness.iter().filter(|l| (l.capability.name() == "text") == text);
            over(mine.filter_map(|l| l.kl).collect())
        }
    };
    let agreement = |errors: bool| {
        move |r: &LanguageRecord| {
            let shares =
                r.likeness.iter().filter_map(|l| if errors { l.on_errors } else { l.agreement });
            let sum = shares.fold((0, 0), |(h, n), s| (h + s.hits, n + s.of));
            (sum.1 > 0).then(|| 100.0 * sum.0 as f64 / sum.1 as f64)
        }
    };
    let mut rows = Vec::new();
    if !cells.teachers.is_empty() {
        let n = cells.teachers.len().to_string();
        let dash = || "-".to_string();
        let first = vec!["teacher".into(), String::new(), n, value(&cells.teachers, &bits)];
        rows.push([first, vec![dash(), dash(), dash(), dash()]].concat());
    }
    for ((arm, student), records) in &cells.rows {
        let percent = |of: &dyn Fn(&LanguageRecord) -> Option<f64>| {
            scaled(&mean(&by_seed(records, of)), 1.0, 1)
        };
        rows.push(vec![
            arm.to_string(),
            student.to_string(),
            records.len().to_string(),
            value(records, &bits),
            value(records, &kl(true)),
            value(records, &kl(false)),
            percent(&agreement(false)),
            percent(&agreement(true)),
        ]);
    }
    let mut likeness = cells.rows.iter().flat_map(|(_, records)| records).flat_map(|r| &r.likeness);
    let apart = match likeness.any(|l| l.kl.is_none()) {
        true => " Where tokens differ from the teacher's there is none.",
        false => "",
    };
    (!cells.rows.is_empty()).then(|| Table {
        title: format!("likeness to the undefended teacher at {} exchanges", cells.budget),
        heads: heads(&[
            "arm", "student", "n", "text, bits/byte", "KL in text", "KL elsewhere", "same result, %",
            "same where the teacher is wrong, %",
        ]),
        rows,
        remark: Some(format!(
            "KL(teacher || student) of the next byte along right answers, nats; elsewhere: mean over the \
             checked capabilities.{apart} Results are compared without scratchpads."
        )),
    })
}

/// What was paid.
fn prices(cells: &Cells<'_>) -> Option<Table> {
    let value = |records: &[&LanguageRecord], of: fn(&LanguageRecord) -> f64, digits: usize| {
        let mean = mean(&by_seed(records, |r| Some(of(r)))).mean;
        mean.map_or("-".into(), |m| format!("{m:.digits$}"))
    };
    let row = |((arm, student), records): &((&str, &str), Vec<&LanguageRecord>)| {
        vec![
            arm.to_string(),
            student.to_string(),
            records.len().to_string(),
            value(records, |r| r.spent.queries as f64, 0),
            value(records, |r| r.spent.prompt_tokens as f64, 0),
            value(records, |r| r.spent.completion_tokens as f64, 0),
            value(records, |r| r.spent.scored_tokens as f64, 0),
            value(records, |r| r.spent.usd, 2),
        ]
    };
    (!cells.rows.is_empty()).then(|| Table {
        title: format!("spent at {} exchanges, mean over seeds", cells.budget),
        heads: heads(&[
            "arm",
            "student",
            "n",
            "queries",
            "prompt tokens",
            "completion tokens",
            "scored tokens",
            "usd",
        ]),
        rows: cells.rows.iter().map(row).collect(),
        remark: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::language::flat;
    use crate::report::language::synthetic::records;

    fn tables(n: u64) -> Tables {
        let given = records(n);
        all(&given, &Summary::of(&flat::records(&given)))
    }

    #[test]
    fn the_first_table_has_a_column_for_each_capability() {
        let Tables { first, .. } = tables(3);
        let [table] = &first[..] else { panic!("{first:?}") };
        assert_eq!(
            table.heads[3..],
            ["all", "reasoning", "run", "write", "tools", "format", "guardrail"]
        );
        assert_eq!(table.rows.len(), 2);
        assert!(table.rows[0][4].contains('['), "{table:?}");
    }

    #[test]
    fn a_guardrail_that_crosses_over_as_capabilities_do_has_a_ratio_of_one() {
        // Students of the synthetic run refuse half as well as the teacher and are half as able.
        let Tables { others, .. } = tables(3);
        let table = others.iter().find(|t| t.title.starts_with("guardrail")).unwrap();
        let ratio: f64 = table.rows[1][7].split(' ').next().unwrap().parse().unwrap();
        assert!((ratio - 1.0).abs() < 0.15, "{table:?}");
    }

    #[test]
    fn one_seed_and_no_records_give_tables_without_intervals() {
        let Tables { first, others } = tables(1);
        let cells = first.iter().chain(&others).flat_map(|t| t.rows.iter().flatten());
        assert!(cells.clone().count() > 20 && cells.clone().all(|c| !c.contains('[')));
        let none = all(&[], &Summary::of(&[]));
        assert!(none.first.iter().all(|t| t.rows.is_empty()) && none.others.is_empty());
    }
}
