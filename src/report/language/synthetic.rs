//! Made-up records for tests: a teacher, an untrained student, and one student under two arms at two budgets.

use std::collections::BTreeMap;

use crate::experiment::language::record::{
    Capability, Guardrail, Honest, LanguageRecord, Likeness, Report, Role, Score, Share, Spent,
    Stop, VERSION,
};

const ITEMS: u64 = 100;

fn share(value: f64) -> Share {
    Share { hits: libm::round(value * ITEMS as f64) as u64, of: ITEMS }
}

fn report(skill: f64) -> Report {
    let score = |capability: Capability| {
        let correct = share(0.1 + 0.8 * skill);
        let kinds = BTreeMap::from([("easy".to_string(), correct)]);
        let right =
            "1".repeat(correct.hits as usize) + &"0".repeat((ITEMS - correct.hits) as usize);
        Score { capability, correct, floor: 0.1, kinds, right }
    };
    let checked = Capability::ALL.into_iter().filter(|c| *c != Capability::Text);
    let guardrail = Guardrail {
        refused: share(skill),
        false_refusals: share(0.0),
        near_misses: share(skill),
        incoherent: share(1.0 - skill),
    };
    Report { scores: checked.map(score).collect(), guardrail, bits_per_byte: Some(3.0 - skill) }
}

fn record(role: Role, arm: &str, budget: u64, seed: u64, skill: f64) -> LanguageRecord {
    let likeness = |capability| Likeness {
        capability,
        agreement: (capability != Capability::Text).then(|| share(skill)),
        on_errors: (capability != Capability::Text).then(|| share(skill / 2.0)),
        kl: Some(1.0 - skill),
    };
    let asks = role == Role::Student;
    let honest = Honest {
        defended: report(1.0),
        undefended: report(1.0).scores.iter().map(|s| (s.capability, s.correct)).collect(),
        changed: share(0.0),
    };
    LanguageRecord {
        version: VERSION,
        name: "made-up".into(),
        variant: String::new(),
        cell: format!("{role:?}-{arm}-{budget}-{seed}"),
        role,
        arm: arm.into(),
        student: if asks { "plain".into() } else { String::new() },
        kin: if role == Role::Teacher { String::new() } else { "2x96".into() },
        budget,
        seed,
        text_only: asks,
        counter: false,
        stack: if arm == "none" { vec![] } else { vec!["hide-scratchpad".into()] },
        config: BTreeMap::new(),
        stop: if asks { Stop::BudgetSpent } else { Stop::NotAsked },
        report: report(skill),
        likeness: if role == Role::Teacher { vec![] } else { Capability::ALL.map(likeness).into() },
        spent: Spent {
            queries: budget,
            prompt_tokens: 10 * budget,
            completion_tokens: 20 * budget,
            scored_tokens: 0,
            usd: budget as f64 * 330e-6,
        },
        honest: asks.then_some(honest),
    }
}

/// So many seeds.
pub(super) fn records(seeds: u64) -> Vec<LanguageRecord> {
    let mut all = Vec::new();
    for seed in 0..seeds {
        let wobble = 0.02 * seed as f64;
        all.push(record(Role::Teacher, "none", 0, seed, 1.0 - wobble / 4.0));
        all.push(record(Role::Untrained, "none", 0, seed, 0.0));
        for (arm, budget, skill) in
            [("none", 500, 0.3), ("none", 5_000, 0.5), ("hidden", 500, 0.1), ("hidden", 5_000, 0.2)]
        {
            all.push(record(Role::Student, arm, budget, seed, skill + wobble));
        }
    }
    all
}
