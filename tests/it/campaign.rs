//! Campaigns from the outside: twice, on one and two cores, killed and resumed; and slips in scenarios.

use std::process::Stdio;
use std::time::Duration;

use super::{Sandbox, records, text};

const SMALL: &str = r#"
[scenario]
name = "small"
schema = 1
seed = 1
days = 8
replicates = 4

[benign]
accounts = 1_500
rate-median-per-day = 8

[[actor]]
name = "a"
exchanges = 40_000
accounts = 60
mix-share = 0.5
ramp-days = 1

[[detector]]
name = "windows"
test = { kind = "mmd-table", window = 500 }
review-delay-h = 6

[[detector]]
name = "pooled"
scope = "cluster"
test = { kind = "mmd-table", window = 500 }

[[arm]]
name = "open"
limits = false

[[arm]]
name = "all"
detectors = ["windows", "pooled"]
link-by = 1

[[arm]]
name = "known"
detectors = ["windows", "pooled"]
link-by = 1
adaptive = true

[learning]
replicates = 1
exchanges-per-example = 100
teacher-rows = 1_000
teacher-steps = 100
steps = 50
test = 50
"#;

#[test]
fn a_campaign_is_the_same_on_one_and_two_cores_and_after_kill_and_resume() {
    let sandbox = Sandbox::new("campaign");
    sandbox.write("small.toml", SMALL);
    let whole = sandbox.retort(&["run", "small.toml", "--out", "whole", "--jobs", "1"]);
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    let first = records(&sandbox.path("whole"));
    assert_eq!(first.len(), 3 * 4 + 3, "simulations and students");

    let mut child = sandbox
        .command()
        .args(["run", "small.toml", "--out", "cut", "--jobs", "2"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    for _ in 0..4000 {
        if records(&sandbox.path("cut")).len() >= 3 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    let before = records(&sandbox.path("cut")).len();
    assert!((3..15).contains(&before), "killed too late: {before} cells");

    let again = sandbox.retort(&["run", "small.toml", "--out", "cut", "--jobs", "2"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains(&format!("{before} skipped")), "{}", text(&again.stderr));
    assert_eq!(records(&sandbox.path("cut")), first);
    for file in ["records.csv", "records.parquet", "figures/survival.svg"] {
        let of = |run: &str| std::fs::read(sandbox.path(run).join(file)).expect(file);
        assert!(of("whole") == of("cut"), "{file} differs");
    }
    let verify = sandbox.retort(&["verify", "cut", "--cells", "15"]);
    assert!(verify.status.success(), "{}", text(&verify.stdout));
    assert_eq!(text(&again.stdout), text(&whole.stdout));
}

#[test]
fn slips_in_scenarios_are_refused_with_place_and_hint() {
    let sandbox = Sandbox::new("scenario");
    let refused = |from: &str, to: &str, words: &[&str]| {
        assert!(SMALL.contains(from), "{from}");
        sandbox.write("bad.toml", &SMALL.replacen(from, to, 1));
        let out = sandbox.retort(&["run", "bad.toml", "--out", "r"]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(!sandbox.path("r").exists(), "nothing is written");
        for word in words {
            assert!(said.contains(word), "no `{word}` in {said}");
        }
    };
    refused("mix-share", "mix-shaer", &["bad.toml:17:", "did you mean `mix-share`"]);
    refused("schema = 1", "schema = 2", &["bad.toml:4:", "found 2", "expected 1"]);
    refused("mix-share = 0.5", "mix-share = 1.5", &["actor[0].mix-share", "found 1.5", "to 1"]);
    refused(
        "\"windows\", \"pooled\"]",
        "\"window\", \"pooled\"]",
        &["arm[1].detectors[0]", "did you mean `windows`?"],
    );
    refused("window = 500 }", "window = 50 }", &["detector[0].test.window", "100 to 1500"]);
    refused("days = 8", "days = 8\nepoch-minutes = 77", &["epoch-minutes", "divide a day"]);
    refused("accounts = 60", "accounts = 0", &["actor[0].accounts", "found 0"]);
    refused("name = \"a\"", "name = \"a/b\"", &["actor[0].name", "letters"]);
    refused("kind = \"mmd-table\"", "kind = \"mmd-tabel\"", &["`mmd-table`"]);
}

#[test]
fn every_default_is_shown_with_its_evidence() {
    let sandbox = Sandbox::new("evidence");
    sandbox.write("small.toml", SMALL);
    let first = sandbox.retort(&["check", "small.toml", "--resolved"]);
    let shown = text(&first.stdout);
    assert!(first.status.success(), "{}", text(&first.stderr));
    for tag in ["# S: ", "# M: ", "# A"] {
        assert!(shown.contains(tag), "no {tag} in {shown}");
    }
    sandbox.write("again.toml", &shown);
    let second = sandbox.retort(&["check", "again.toml", "--resolved"]);
    assert_eq!(shown, text(&second.stdout));
}
