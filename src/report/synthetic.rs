//! Made-up records with a known shape, for the tests of this room.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::Seed;
use crate::experiment::record::{Record, Role, Stop, VERSION};
use crate::metric::{Better, Score};
use crate::seed::{normal, uniform};

/// Arms of the example: name, stack, how much of a student's gain it leaves, honest loss, distortion.
const ARMS: [(&str, &str, f64, f64, f64); 8] = [
    ("none", "", 1.0, 0.0, 0.0),
    ("round-1", "round(digits=1)", 0.97, 0.0, 0.08),
    ("round-0", "round(digits=0)", 0.9, 0.0, 0.31),
    ("label-only", "label-only", 0.86, 0.0, 0.42),
    ("mad-0.5", "mad(epsilon=0.5)", 0.8, 0.004, 0.5),
    ("mad-1.5", "mad(epsilon=1.5)", 0.55, 0.041, 1.38),
    ("prada", "prada(delta=0.9)", 0.62, 0.018, 0.2),
    ("noise", "noise(scale=0.2)", 0.93, 0.009, 0.27),
];

/// Students of the example: name, kin, label-only, counter, efficiency.
const STUDENTS: [(&str, &str, bool, bool, f64); 5] = [
    ("random-soft", "mlp-64", false, false, 0.9),
    ("random-label", "mlp-64", true, false, 0.8),
    ("margin-soft", "mlp-64", false, false, 0.95),
    ("jacobian", "cnn", false, false, 0.72),
    ("adaptive", "cnn", false, true, 1.0),
];

const BUDGETS: [u64; 4] = [50, 100, 200, 400];

/// The full example: 8 arms, 5 students, 4 budgets, 5 seeds and their references.
pub(crate) fn example() -> Vec<Record> {
    make(8, 5, 4, 5)
}

/// A small run: one budget, 400; the given numbers of arms and seeds, and the last two students.
pub(crate) fn records(arms: usize, seeds: u64) -> Vec<Record> {
    make(arms, 5, 4, seeds)
        .into_iter()
        .filter(|r| r.role != Role::Student || r.budget == 400)
        .collect()
}

fn make(arms: usize, students: usize, budgets: usize, seeds: u64) -> Vec<Record> {
    let mut out = Vec::new();
    for seed in 0..seeds {
        let mut rng = Seed::new(seed).rng();
        let teacher = 0.955 + 0.006 * normal(&mut rng);
        let floor = 0.11 + 0.004 * uniform(&mut rng);
        out.push(record(
            Role::Teacher,
            "none",
            "",
            "",
            0,
            seed,
            &[("accuracy", teacher), ("floor_accuracy", floor), ("floor_agreement", 0.12)],
        ));
        for kin in ["mlp-64", "cnn"] {
            for (role, level) in
                [(Role::Untrained, 0.1), (Role::Public, 0.62), (Role::Insider, 0.94)]
            {
                let accuracy = level + 0.01 * normal(&mut rng);
                let scores = [("accuracy", accuracy), ("agreement", accuracy * 0.99)];
                out.push(record(role, "none", kin, kin, 0, seed, &scores));
            }
        }
        for arm in &ARMS[..arms] {
            for student in &STUDENTS[..students] {
                for &budget in &BUDGETS[..budgets] {
                    let mut rng =
                        Seed::new(seed).child(&format!("{}/{}/{budget}", arm.0, student.0)).rng();
                    let reach = (libm::log(budget as f64 / 12.0) / libm::log(40.0)).min(1.0);
                    let kept = if student.3 { 0.5 + 0.5 * arm.2 } else { arm.2 };
                    let kept = if student.2 { kept.max(0.86) } else { kept };
                    let gain = (reach * student.4 * kept).min(1.0);
                    let accuracy =
                        (floor + (teacher - floor) * gain + 0.01 * normal(&mut rng)).min(1.0);
                    let honest = 0.95 - arm.3 + 0.001 * normal(&mut rng);
                    let scores = [
                        ("accuracy", accuracy),
                        ("agreement", accuracy + 0.01),
                        ("agreement_on_errors", 0.4 * gain),
                        ("kl_teacher_student", 1.0 - 0.8 * gain),
                        ("ece", 0.05),
                        ("floor_accuracy", floor),
                        ("teacher_accuracy", teacher),
                        ("queries_spent", budget as f64),
                        ("days", 0.0),
                        ("student_flops", 2.5e9),
                        ("honest_accuracy", if arm.3 == 0.0 { 0.95 } else { honest }),
                        ("honest_teacher_accuracy", 0.95),
                        ("distortion_l1_mean", arm.4),
                        ("distortion_l1_max", (arm.4 * 2.5).min(2.0)),
                        ("honest_refused", if arm.0 == "prada" { 0.013 } else { 0.0 }),
                        ("honest_wait_p95", 0.0),
                    ];
                    let mut r =
                        record(Role::Student, arm.0, student.0, student.1, budget, seed, &scores);
                    r.label_only = student.2;
                    r.counter = student.3 && arm.0 != "noise";
                    r.stack = if arm.1.is_empty() { vec![] } else { vec![arm.1.into()] };
                    out.push(r);
                }
            }
        }
    }
    out
}

/// The small run of four strengths of noise and `none`: honest users lose 0, 0.5, 2 and 4 points.
pub(crate) fn ladder(seeds: u64) -> Vec<Record> {
    let strengths = [("none", ""), ("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
    let mut out = records(5, seeds);
    for r in out.iter_mut().filter(|r| r.role == Role::Student) {
        let at = ARMS.iter().position(|arm| arm.0 == r.arm).unwrap_or(0);
        r.arm = strengths[at].0.into();
        r.stack = if at == 0 { vec![] } else { vec![format!("noise(scale={})", strengths[at].1)] };
        let lost = [0.0, 0.0, 0.005, 0.02, 0.04][at];
        for s in r.scores.iter_mut().filter(|s| s.metric == "honest_accuracy") {
            s.value = Some(0.95 - lost);
        }
    }
    out
}

/// One record.
pub(crate) fn record(
    role: Role,
    arm: &str,
    student: &str,
    kin: &str,
    budget: u64,
    seed: u64,
    scores: &[(&str, f64)],
) -> Record {
    let name = format!("{role:?}/{arm}/{student}/{budget}/{seed}");
    let score = |&(metric, value): &(&str, f64)| Score {
        metric: metric.into(),
        value: Some(value),
        unit: "fraction".into(),
        better: Better::Higher,
    };
    Record {
        version: VERSION,
        name: "example".into(),
        variant: String::new(),
        cell: blake3::hash(name.as_bytes()).to_hex()[..16].to_string(),
        role,
        arm: arm.into(),
        student: student.into(),
        kin: kin.into(),
        budget,
        seed,
        label_only: false,
        counter: false,
        stack: vec![],
        config: BTreeMap::from([
            ("teacher.dataset".to_string(), Value::from("digits")),
            ("budget.queries".to_string(), Value::from(budget)),
        ]),
        stop: if role == Role::Student { Stop::BudgetSpent } else { Stop::NotAsked },
        scores: scores.iter().map(score).collect(),
        right: format!("{seed:b}0110"),
        accounts: vec![],
        stages: vec![],
    }
}
