//! Every kind of classifier defense in one run: each is planned, built from what the defender owns, asked by a
//! student and by honest users, and recorded.

use std::collections::BTreeMap;

use retort::defense::DefenseSpec;
use retort::experiment::record::{Record, Role};

use super::Sandbox;

/// An arm for each kind's example, named `kind-i`.
fn arms() -> Vec<(String, DefenseSpec)> {
    let examples = DefenseSpec::examples().into_iter().enumerate();
    examples.map(|(i, spec)| (format!("{}-{i}", spec.kind()), spec)).collect()
}

fn config() -> String {
    let mut text = String::from(
        r#"
name = "defenses"
seeds = 1
[teacher]
dataset = "digits"
model = { kind = "mlp", hidden = [32] }
training = { steps = 300 }
[split]
teacher = 500
pool = 150
public = 50
traffic = 60
test = 200
[budget]
queries = [120]
days = 2
[traffic]
accounts = 4
[training]
steps = 150
[measure]
uniform-rows = 10
boundary-rows = 10
[[student]]
name = "counter"
model = { kind = "mlp", hidden = [32] }
strategy = { kind = "random" }
objective = { kind = "hard-label" }
recovery = { kind = "counter" }
knows = { defense = "parameters" }
"#,
    );
    for (name, spec) in arms() {
        let table = toml::Value::try_from(&spec).expect("a spec is a table");
        text += &format!("[[defense]]\nname = \"{name}\"\nstack = [{table}]\n");
    }
    text
}

fn records(sandbox: &Sandbox) -> BTreeMap<String, Record> {
    all_records(sandbox).into_iter().map(|r| (r.arm.clone(), r)).collect()
}

/// Of all cells that asked.
fn all_records(sandbox: &Sandbox) -> Vec<Record> {
    let cells = std::fs::read_dir(sandbox.path("out/cells")).expect("cells").flatten();
    let read = |dir: std::fs::DirEntry| -> Record {
        let text = std::fs::read_to_string(dir.path().join("record.json")).expect("a record");
        serde_json::from_str(&text).expect("a record")
    };
    cells.map(read).filter(|r| r.role == Role::Student).collect()
}

#[test]
fn every_defense_stands_in_a_run_and_its_counter_learns_something() {
    let sandbox = Sandbox::new("defenses");
    sandbox.write("all.toml", &config());
    let output = sandbox.retort(&["run", "all.toml", "--out", "out"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let records = records(&sandbox);
    assert_eq!(records.len(), arms().len() + 1, "an arm for each and `none`");
    for (name, spec) in arms() {
        let record = &records[&name];
        assert!(record.get("accuracy").expect("an accuracy") > 0.2, "{name}");
        assert!(record.get("queries_spent").expect("queries") > 50.0, "{name}");
        let detects = ["ood-gate", "prada", "seat", "feature-distance"].contains(&spec.kind());
        assert_eq!(record.get("flagged").is_some(), detects, "{name}");
        let marks = record.scores.iter().any(|s| s.metric == "watermark_p");
        assert_eq!(marks, spec.kind() == "dawn", "{name}");
    }
    let wait = |arm: &str| {
        let found = records.iter().find(|(name, _)| name.starts_with(arm)).expect("an arm");
        found.1.get("honest_wait_p95").expect("a wait")
    };
    assert!((0.5..10.0).contains(&wait("proof-of-work")), "{} seconds", wait("proof-of-work"));
    assert_eq!(wait("none"), 0.0);
    let accuracy = |arm: &str| {
        let found = records.iter().find(|(name, _)| name.starts_with(arm)).expect("an arm");
        found.1.get("honest_accuracy").expect("an accuracy")
    };
    // Teachers of their own are still right.
    assert!(accuracy("outlier-exposure") > 0.7 && accuracy("nasty") > 0.7);
}

#[test]
fn a_watermark_is_found_in_a_student_that_learned_it_by_heart_and_not_in_its_counter() {
    let sandbox = Sandbox::new("defenses-watermark");
    let head = config();
    let head = head
        .split("[[defense]]")
        .next()
        .expect("a head")
        .replace("[training]\nsteps = 150", "[training]\nsteps = 2500\nvalidation = 0.0")
        .replace("pool = 150", "pool = 300")
        .replace("queries = [120]", "queries = [300]");
    let by_heart = "[[student]]\nname = \"by-heart\"\nmodel = { kind = \"mlp\", hidden = [128] }\n\
                    strategy = { kind = \"random\" }\nobjective = { kind = \"hard-label\" }\n";
    let stack = "[[defense]]\nname = \"dawn\"\nstack = [{ kind = \"dawn\", share = 0.1 }]\n";
    sandbox.write("dawn.toml", &format!("{head}{by_heart}{stack}"));
    let output = sandbox.retort(&["run", "dawn.toml", "--out", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let records = all_records(&sandbox);
    let p = |student: &str| {
        let of = |r: &&Record| r.arm == "dawn" && r.student == student;
        records.iter().find(of).and_then(|r| r.get("watermark_p")).expect("a probability")
    };
    assert!(p("by-heart") < 0.01, "{}", p("by-heart"));
    assert!(p("counter") > 0.05, "{}", p("counter"));
}

#[test]
fn a_defense_that_needs_the_teachers_model_is_refused_for_a_teacher_that_is_only_asked() {
    let sandbox = Sandbox::new("defenses-loopback");
    let text = config().replace(
        "training = { steps = 300 }\n[split]",
        "kind = \"loopback\"\nurl = \"http://127.0.0.1:9\"\n[split]",
    );
    let stack = "[[defense]]\nname = \"gate\"\nstack = [{ kind = \"ood-gate\" }]\n";
    let text = format!("{}{stack}", text.split("[[defense]]").next().expect("a head"));
    sandbox.write("gate.toml", &text);
    let output = sandbox.retort(&["check", "gate.toml"]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("defense[0].stack[0]") && told.contains("ood-gate"), "{told}");
    assert!(told.contains("trained"), "{told}");
}
