//! Language experiments from the outside: on one and two cores, killed and resumed; and slips in configs.

use std::process::Stdio;
use std::time::Duration;

use super::{Sandbox, records, text};

const SMALL: &str = r#"
kind = "language"
name = "small"
seeds = 2

[suite]
items = 8

[budget]
queries = [20, 40]

[training]
steps = 12

[reference]
public = 30
insider = true

[[defense]]
name = "hidden"
stack = [{ kind = "hide-scratchpad" }]

[[defense]]
name = "poisoned"
stack = [{ kind = "poison", share = 0.5 }]

[[student]]
name = "plain"
model = { layers = 1, heads = 2, width = 16 }

[[student]]
name = "inverts"
model = { layers = 1, heads = 2, width = 16 }
knows = { worked = 30, invert = true }

[[student]]
name = "unsure"
model = { layers = 1, heads = 2, width = 16 }
prompts = { kind = "uncertainty", rounds = 2, candidates = 2 }
"#;

/// Cells: teachers, three references, and arms x students x budgets, for each seed.
const CELLS: usize = 2 * (1 + 3 + 3 * 3 * 2);

#[test]
fn a_language_run_is_the_same_on_one_and_two_cores_and_after_kill_and_resume() {
    let sandbox = Sandbox::new("language");
    sandbox.write("small.toml", SMALL);
    let whole = sandbox.retort(&["run", "small.toml", "--out", "whole", "--jobs", "1"]);
    assert!(whole.status.success(), "{}", text(&whole.stderr));
    let first = records(&sandbox.path("whole"));
    assert_eq!(first.len(), CELLS);
    for file in ["report.html", "records.csv", "records.parquet", "figures/capabilities.svg"] {
        assert!(sandbox.path("whole").join(file).is_file(), "{file}");
    }
    let table = text(&whole.stdout);
    for part in ["recovered at 40 exchanges", "guardrail at 40 exchanges", "usd"] {
        assert!(table.contains(part), "{part}: {table}");
    }

    let run = ["run", "small.toml", "--out", "killed", "--jobs", "2"];
    let mut killed = sandbox
        .command()
        .args(run)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary starts");
    while records(&sandbox.path("killed")).len() < 8 {
        std::thread::sleep(Duration::from_millis(20));
        assert!(killed.try_wait().expect("a child").is_none(), "ended before it could be killed");
    }
    killed.kill().expect("a child can be killed");
    killed.wait().expect("a child ends");
    let there = records(&sandbox.path("killed")).len();
    assert!((8..CELLS).contains(&there));
    let resumed = sandbox.retort(&run);
    assert!(resumed.status.success(), "{}", text(&resumed.stderr));
    assert!(text(&resumed.stderr).contains("are there already"), "{}", text(&resumed.stderr));
    assert_eq!(records(&sandbox.path("killed")), first);

    let checked = sandbox.retort(&["verify", "whole", "--cells", "6"]);
    assert!(text(&checked.stdout).contains("6 of 6 cells equal"), "{}", text(&checked.stdout));
    let again = sandbox.retort(&["report", "whole", "--out", "again"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let figure = |run: &str| std::fs::read(sandbox.path(run).join("records.csv")).expect("a file");
    assert_eq!(figure("whole"), figure("again"));
}

#[test]
fn slips_in_language_configs_are_refused_with_place_and_hint() {
    let sandbox = Sandbox::new("language-slips");
    for (from, to, parts) in [
        ("\"language\"", "\"langauge\"", &["small.toml:2:8", "`langauge`", "language"][..]),
        ("queries", "querys", &["small.toml:10", "`querys`", "did you mean `queries`"][..]),
        ("\"poison\"", "\"poisen\"", &["`poisen`", "did you mean `poison`"][..]),
        ("share = 0.5", "share = 1.5", &["defense[1].stack[0]", "1.5"][..]),
        ("items = 8", "items = 0", &["small.toml:7:9", "suite.items", "1 to 2000"][..]),
        ("heads = 2", "heads = 3", &["student[0]", "3 heads for a width of 16"][..]),
        ("worked = 30", "worked = 0", &["knows.worked", "1 or more"][..]),
        ("steps = 12", "steps = 0", &["training.steps", "1 to"][..]),
        ("seeds = 2", "seeds = 0", &["seeds", "at least one seed"][..]),
        ("rounds = 2", "rounds = 1", &["prompts.rounds", "2 to 50"][..]),
        ("candidates = 2 }", "candidates = 2 }\nvotes = 3", &["student[2].votes", "1, where"][..]),
    ] {
        assert!(SMALL.contains(from), "{from}");
        sandbox.write("small.toml", &SMALL.replacen(from, to, 1));
        let out = sandbox.retort(&["run", "small.toml", "--out", "never"]);
        let said = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{to}: {said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{to}: {said}");
        assert!(!sandbox.path("never").exists(), "{to}");
    }
    let missing = format!("{SMALL}\n[teacher]\nkind = \"file\"\npath = \"no.safetensors\"\n");
    sandbox.write("small.toml", &missing);
    let out = sandbox.retort(&["run", "small.toml", "--out", "never"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("no.safetensors"), "{}", text(&out.stderr));
    assert!(!sandbox.path("never").exists());
}
