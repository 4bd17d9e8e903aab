//! The commands as a person types them: determinism, resume, sweeps, verify, report.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::{Sandbox, TINY, text};

/// Every record and the tidy table, by path.
fn results(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for cell in std::fs::read_dir(dir.join("cells")).expect("cells/").flatten() {
        let file = cell.path().join("record.json");
        if let Ok(bytes) = std::fs::read(&file) {
            found.insert(cell.file_name().to_string_lossy().into_owned(), bytes);
        }
    }
    for name in ["records.csv", "records.parquet", "report.html"] {
        found.insert(name.into(), std::fs::read(dir.join(name)).unwrap_or_default());
    }
    found
}

#[test]
fn records_are_equal_at_any_number_of_jobs() {
    let sandbox = Sandbox::new("jobs");
    sandbox.write("tiny.toml", TINY);
    let a = sandbox.retort(&["run", "tiny.toml", "--out", "a", "--jobs", "2"]);
    assert!(a.status.success(), "{}", text(&a.stderr));
    let b = sandbox
        .command()
        .env("RETORT_CACHE", sandbox.path("other-cache"))
        .env("RAYON_NUM_THREADS", "1")
        .args(["run", "tiny.toml", "--out", "b", "--jobs", "1", "--quiet"])
        .output()
        .expect("it starts");
    assert!(b.status.success(), "{}", text(&b.stderr));
    let (first, second) = (results(&sandbox.path("a")), results(&sandbox.path("b")));
    assert!(first.len() > 20, "{} files", first.len());
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    for (name, bytes) in &first {
        assert!(!bytes.is_empty() && bytes == &second[name], "{name} differs");
    }
    assert_eq!(text(&a.stdout), text(&b.stdout));
}

#[test]
fn a_killed_run_resumes_to_the_same_bytes() {
    let sandbox = Sandbox::new("kill");
    sandbox.write(
        "tiny.toml",
        &TINY.replace("steps = 60", "steps = 400").replace("seeds = 2", "seeds = 3"),
    );
    let whole = sandbox.retort(&["run", "tiny.toml", "--out", "whole", "--quiet"]);
    assert!(whole.status.success(), "{}", text(&whole.stderr));

    let mut child = sandbox
        .command()
        .args(["run", "tiny.toml", "--out", "cut", "--jobs", "1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let done = || {
        std::fs::read_dir(sandbox.path("cut/cells"))
            .map_or(0, |d| d.flatten().filter(|e| e.path().join("record.json").exists()).count())
    };
    for _ in 0..2000 {
        if done() >= 8 {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    let before = done();
    assert!(
        before >= 8 && !sandbox.path("cut/records.csv").exists(),
        "killed too late: {before} cells"
    );

    let again = sandbox.retort(&["run", "tiny.toml", "--out", "cut"]);
    assert!(again.status.success(), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains(&format!("{before} of")), "{}", text(&again.stderr));
    assert!(text(&again.stderr).contains(&format!("{before} skipped")), "{}", text(&again.stderr));
    let (first, second) = (results(&sandbox.path("whole")), results(&sandbox.path("cut")));
    for (name, bytes) in first.iter().filter(|(n, _)| *n != "report.html") {
        assert!(bytes == &second[name], "{name} differs");
    }
}

#[test]
fn without_out_the_newest_unfinished_run_goes_on() {
    let sandbox = Sandbox::new("newest");
    sandbox.write("tiny.toml", TINY);
    let first = sandbox.retort(&["run", "tiny.toml"]);
    assert!(first.status.success(), "{}", text(&first.stderr));
    let second = sandbox.retort(&["run", "tiny.toml"]);
    assert!(
        text(&second.stderr).contains("0 skipped"),
        "a finished run is not resumed: {}",
        text(&second.stderr)
    );
    let runs = |s: &Sandbox| {
        let days = std::fs::read_dir(s.path("runs/tiny")).expect("runs/tiny").flatten();
        days.flat_map(|d| std::fs::read_dir(d.path()).expect("a day").flatten()).count()
    };
    assert_eq!(runs(&sandbox), 2);
}

#[test]
fn verify_finds_a_changed_record() {
    let sandbox = Sandbox::new("verify");
    sandbox.write("tiny.toml", TINY);
    assert!(sandbox.retort(&["run", "tiny.toml", "--out", "r", "-q"]).status.success());
    let good = sandbox.retort(&["verify", "r", "--cells", "4"]);
    assert_eq!(good.status.code(), Some(0), "{}{}", text(&good.stdout), text(&good.stderr));
    for cell in std::fs::read_dir(sandbox.path("r/cells")).expect("cells").flatten() {
        let file = cell.path().join("record.json");
        let changed = std::fs::read_to_string(&file).expect("a record").replacen(
            "\"value\": 0.",
            "\"value\": 0.9",
            1,
        );
        std::fs::write(&file, changed).expect("written");
    }
    let bad = sandbox.retort(&["verify", "r", "--cells", "4"]);
    assert_eq!(bad.status.code(), Some(5), "{}", text(&bad.stdout));
    assert!(text(&bad.stdout).contains("DIFFERENT"));
}

#[test]
fn a_grid_runs_every_combination_and_never_mixes_them() {
    let sandbox = Sandbox::new("grid");
    sandbox.write("tiny.toml", TINY);
    let out = sandbox.retort(&[
        "run",
        "-m",
        "tiny.toml",
        "training.steps=20,40",
        "seed=range(0,2)",
        "--out",
        "g",
        "-q",
    ]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let csv = std::fs::read_to_string(sandbox.path("g/records.csv")).expect("records");
    assert!(csv.lines().next().is_some_and(|head| head.contains("cfg.training.steps")));
    assert!(text(&out.stdout).contains("training.steps=20"), "{}", text(&out.stdout));
    let refused = sandbox.retort(&["run", "tiny.toml", "training.steps=20,40", "--out", "h"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("-m"), "{}", text(&refused.stderr));
    assert!(!sandbox.path("h").exists());
}

#[test]
fn stdout_is_data_and_plain_lines_replace_the_bar() {
    let sandbox = Sandbox::new("plain");
    sandbox.write("tiny.toml", TINY);
    let out = sandbox.retort(&["run", "tiny.toml", "--out", "r", "--format", "csv"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(
        !out.stderr.contains(&0x1b) && !out.stdout.contains(&0x1b),
        "control characters off a terminal"
    );
    assert!(
        text(&out.stdout).lines().next().is_some_and(|l| l.contains("arm,")),
        "{}",
        text(&out.stdout)
    );
    let page = std::fs::read_to_string(sandbox.path("r/report.html")).expect("report");
    for outside in ["src=\"http", "href=\"http", "url(http", "@import"] {
        assert!(!page.contains(outside), "the report reaches out: {outside}");
    }
    let status = sandbox.retort(&["status", "r"]);
    assert!(text(&status.stdout).contains("done"));
    let again = sandbox.retort(&["report", "r", "--format", "json"]);
    assert!(
        serde_json::from_slice::<serde_json::Value>(&again.stdout).is_ok(),
        "{}",
        text(&again.stderr)
    );
}

#[test]
fn no_record_spends_more_than_its_budget() {
    let sandbox = Sandbox::new("budget");
    let tight = TINY
        .replace("name = \"soft\"", "name = \"soft\"\nrecovery = { kind = \"average\", n = 3 }");
    sandbox.write("tiny.toml", &tight);
    assert!(sandbox.retort(&["run", "tiny.toml", "--out", "r", "-q"]).status.success());
    let mut checked = 0;
    for cell in std::fs::read_dir(sandbox.path("r/cells")).expect("cells").flatten() {
        let bytes = std::fs::read(cell.path().join("record.json")).expect("a record");
        let record: retort::experiment::record::Record =
            serde_json::from_slice(&bytes).expect("it reads");
        if let Some(spent) = record.get("queries_spent") {
            let answered: u64 =
                record.accounts.iter().filter(|a| a.actor == "student").map(|a| a.answered).sum();
            assert!(
                spent <= record.budget as f64,
                "{} spent {spent} of {}",
                record.cell,
                record.budget
            );
            assert_eq!(spent, answered as f64, "the ledger says otherwise");
            checked += 1;
        }
    }
    assert!(checked >= 20, "{checked} cells asked");
}

#[test]
fn a_diverging_cell_is_marked_and_the_others_go_on() {
    let sandbox = Sandbox::new("diverge");
    let wild = TINY.replace("[training]", "[training]\noptimizer = { kind = \"sgd\", lr = 1e30 }");
    sandbox.write("tiny.toml", &wild);
    let out = sandbox.retort(&["run", "tiny.toml", "--out", "r", "-q"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let csv = std::fs::read_to_string(sandbox.path("r/records.csv")).expect("records");
    assert!(csv.contains("diverged_at_step"), "no cell is marked");
    assert!(
        !csv.lines().any(|l| l.contains(",student,") && l.contains(",accuracy,")),
        "accuracy of a diverged cell"
    );
}
