//! Does the quickstart say sensible things? Its own arms at its largest budget, over its five seeds.

use super::{Sandbox, root, text};
use retort::experiment::record::{Record, Role};
use retort::metric;

/// Scores of a student in an arm at the largest budget, by seed.
fn scores(records: &[Record], arm: &str, student: &str, name: &str) -> Vec<f64> {
    let mut rows: Vec<&Record> = records
        .iter()
        .filter(|r| {
            r.role == Role::Student && r.arm == arm && r.student == student && r.budget == 400
        })
        .collect();
    rows.sort_by_key(|r| r.seed);
    rows.iter().filter_map(|r| r.get(name)).collect()
}

/// n_test / n_train of the default split: intervals over resampled splits allow for it.
const OVERLAP: f64 = 360.0 / 800.0;

/// Paired loss over seeds.
fn loss(clean: &[f64], hidden: &[f64]) -> metric::Estimate {
    let differences: Vec<f64> = clean.iter().zip(hidden).map(|(a, b)| a - b).collect();
    metric::resampled_ci(&differences, OVERLAP, 0.95)
}

#[test]
fn the_quickstart_makes_sense() {
    let sandbox = Sandbox::new("sense");
    let config = root().join("configs/quickstart.toml").to_string_lossy().into_owned();
    let run = sandbox.retort(&["run", &config, "budget.queries=[400]", "--out", "r", "-q"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let records: Vec<Record> =
        retort::experiment::folder::read_records(&sandbox.path("r")).expect("records");

    let teachers: Vec<&Record> = records.iter().filter(|r| r.role == Role::Teacher).collect();
    assert_eq!(teachers.len(), 5);
    for teacher in &teachers {
        let accuracy = teacher.get("accuracy").expect("accuracy");
        assert!(accuracy >= 0.95, "teacher of seed {}: {accuracy}", teacher.seed);
    }

    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let best = ["random-soft", "random-argmax", "entropy-soft", "informed"]
        .into_iter()
        .max_by(|a, b| {
            let of = |s| mean(&scores(&records, "none", s, "agreement"));
            of(*a).total_cmp(&of(*b))
        })
        .expect("students");
    let agreement = mean(&scores(&records, "none", best, "agreement"));
    assert!(agreement >= 0.92, "{best} agrees {agreement}");
    let accuracy = scores(&records, "none", best, "accuracy");
    let triples: Vec<(f64, f64, f64)> = teachers
        .iter()
        .zip(accuracy)
        .map(|(t, s)| {
            (s, t.get("accuracy").expect("accuracy"), t.get("floor_accuracy").expect("floor"))
        })
        .collect();
    let recovered = metric::recovered(&triples, OVERLAP);
    assert!(recovered.low.is_some_and(|low| low > 0.8), "{recovered:?}");

    let clean = scores(&records, "none", "random-soft", "agreement");
    let hidden = scores(&records, "reverse-sigmoid", "random-soft", "agreement");
    let lost = loss(&clean, &hidden);
    assert!(
        lost.mean >= 0.05 && lost.low.is_some_and(|l| l > 0.0),
        "soft labels under reverse sigmoid: {lost:?}"
    );
    let clean = scores(&records, "none", "random-argmax", "agreement");
    let hidden = scores(&records, "reverse-sigmoid", "random-argmax", "agreement");
    let lost = loss(&clean, &hidden);
    assert!(lost.mean <= 0.02, "argmax under reverse sigmoid: {lost:?}");

    for record in records.iter().filter(|r| r.role == Role::Student) {
        for name in ["honest_accuracy", "distortion_l1_mean", "honest_refused"] {
            assert!(record.get(name).is_some(), "{name} of {} x {}", record.arm, record.student);
        }
    }
}
