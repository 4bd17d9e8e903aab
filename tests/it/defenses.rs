//! Every kind of classifier defense in one run: each is planned, built from what the defender owns, asked by a
//! student and by honest users, and recorded.

use std::collections::BTreeMap;

use retort::defense::DefenseSpec;
use retort::experiment::config::Source;
use retort::experiment::plan::check_fit;
use retort::experiment::record::{Record, Role, Stop};
use retort::experiment::spec::Spec;
use retort::model::InputShape;
use retort::oracle::{AnswerKind, Card};
use retort::student::{ObjectiveSpec, RecoverySpec, StrategySpec};

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
        let table = table(&spec);
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
        let detects = ["ood-gate", "prada", "seat", "feature-distance", "var-detect"];
        let detects = detects.contains(&spec.kind());
        assert_eq!(record.get("flagged").is_some(), detects, "{name}");
        let marks = record.scores.iter().any(|s| s.metric == "watermark_p");
        assert_eq!(marks, ["dawn", "ewe"].contains(&spec.kind()), "{name}");
        let tested = record.get("ownership_p").is_some();
        assert_eq!(tested, spec.kind() == "dataset-inference", "{name}");
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
    assert!(["outlier-exposure", "nasty", "ewe"].iter().all(|arm| accuracy(arm) > 0.7));
}

/// A student for each kind of strategy, objective and recovery, the rest of it as usual.
fn students() -> Vec<String> {
    let mut all = Vec::new();
    let mut add = |part: &str, kind: &str, table: toml::Value, rest: &str| {
        let name = format!("{part}-{kind}-{}", all.len());
        let paths = kind == "tree-paths";
        let model = if paths { "{ kind = \"tree\" }" } else { "{ kind = \"mlp\", hidden = [16] }" };
        all.push(format!(
            "[[student]]\nname = \"{name}\"\nmodel = {model}\n{part} = {table}\n{rest}"
        ));
    };
    for spec in StrategySpec::examples() {
        let labels = "objective = { kind = \"hard-label\" }\n";
        let rest = if spec.kind() == "copycat" { labels } else { "" };
        add("strategy", spec.kind(), table(&spec), rest);
    }
    for spec in ObjectiveSpec::examples() {
        add("objective", spec.kind(), table(&spec), "");
    }
    for spec in RecoverySpec::examples() {
        let rest = if spec.informed() { "knows = { defense = \"parameters\" }\n" } else { "" };
        add("recovery", spec.kind(), table(&spec), rest);
    }
    all
}

/// A spec as a table of TOML.
fn table(spec: &impl serde::Serialize) -> toml::Value {
    toml::Value::try_from(spec).expect("a spec is a table")
}

#[test]
fn every_student_that_fits_ends_its_cell_behind_every_defense() {
    let head = config();
    let head = head.split("[[student]]").next().expect("a head");
    let head =
        head.replace("queries = [120]", "queries = [60]").replace("steps = 150", "steps = 40");
    let card = Card { inputs: 64, classes: 10, answers: AnswerKind::Probs };
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let (mut met, mut refused) = (0, 0);
    for (i, student) in students().into_iter().enumerate() {
        let mut stacks = String::new();
        for (name, spec) in arms() {
            let table = table(&spec);
            let stack = format!("[[defense]]\nname = \"{name}\"\nstack = [{table}]\n");
            let source =
                Source::read("pair.toml", &format!("{head}{student}{stack}")).expect("TOML");
            let pair: Spec = source.parse().unwrap_or_else(|e| panic!("{e}"));
            pair.validate().unwrap_or_else(|e| panic!("{student}: {e}"));
            match check_fit(&pair, card, shape, 837) {
                Ok(()) => stacks += &stack,
                Err(_) => refused += 1,
            }
        }
        let sandbox = Sandbox::new(&format!("pairs-{i}"));
        sandbox.write("all.toml", &format!("{head}{student}{stacks}"));
        let output = sandbox.retort(&["run", "all.toml", "--out", "out"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{student}: {told}");
        for record in all_records(&sandbox) {
            let spent = record.get("queries_spent").expect("queries");
            assert!(spent <= 60.0, "{} behind {}: {spent}", record.student, record.arm);
            assert_ne!(record.stop, Stop::Diverged, "{} behind {}", record.student, record.arm);
            met += 1;
        }
    }
    // Most pairs fit; those that need whole rows do not where only labels come.
    assert!(met > 500 && refused < met / 4, "{met} pairs met, {refused} refused");
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
fn an_entangled_watermark_is_found_in_a_student_and_not_in_one_that_never_asked() {
    let sandbox = Sandbox::new("defenses-entangled");
    let head = config();
    let head =
        head.split("[[student]]").next().expect("a head").replace("pool = 150", "pool = 300");
    let rest = "[[student]]\nname = \"soft\"\nmodel = { kind = \"mlp\", hidden = [32] }\n\
                strategy = { kind = \"random\" }\n[[defense]]\nname = \"ewe\"\n\
                stack = [{ kind = \"ewe\", weight = 4.0 }]\n";
    let head = head.replace("queries = [120]", "queries = [300]");
    sandbox.write("ewe.toml", &format!("{head}{rest}"));
    let output = sandbox.retort(&["run", "ewe.toml", "--out", "out"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let record = &records(&sandbox)["ewe"];
    let of = |metric: &str| record.get(metric).expect("a score");
    let found = [of("watermark_match"), of("watermark_p"), of("watermark_p_public")];
    assert!(found[1] < 0.001 && found[2] > 0.05, "{found:?}");
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
