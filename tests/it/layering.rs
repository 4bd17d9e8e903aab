//! The arrows between rooms, held. A room may name only the rooms listed for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Room -> rooms it may name. Root modules `error` and `seed` are open to all.
fn allowed() -> BTreeMap<&'static str, &'static [&'static str]> {
    BTreeMap::from([
        ("ledger", &[][..]),
        ("model", &["oracle"][..]),
        ("data", &["model"][..]),
        ("oracle", &["ledger", "model", "data"][..]),
        ("detect", &["metric"][..]),
        ("defense", &["model", "oracle", "detect"][..]),
        ("student", &["model", "oracle"][..]),
        ("metric", &[][..]),
        ("gateway", &["ledger", "oracle", "defense"][..]),
        (
            "campaign",
            &[
                "data", "model", "ledger", "oracle", "detect", "defense", "student", "metric",
                "gateway",
            ][..],
        ),
        (
            "experiment",
            &[
                "campaign", "data", "model", "ledger", "oracle", "detect", "defense", "student",
                "metric", "gateway",
            ][..],
        ),
        ("serve", &["gateway", "oracle", "ledger"][..]),
        (
            "report",
            &[
                "experiment::record",
                "experiment::campaign::record",
                "experiment::language::record",
                "metric",
            ][..],
        ),
    ])
}

/// External crates that only these rooms, folders or files may name.
const OWNED: [(&str, &[&str]); 9] = [
    ("candle_core", &["model/reference", "model/device.rs"]),
    ("tokenizers", &["model/llama"]),
    ("rayon", &["model/llama"]),
    ("axum", &["serve"]),
    ("tokio", &["serve"]),
    ("ureq", &["oracle", "serve"]),
    ("nalgebra", &["student/linear.rs"]),
    ("plotters", &["report"]),
    ("indicatif", &["cli"]),
];

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("src is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

/// Code of a file without comments and without its test module.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("a source file");
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
    lines.join("\n")
}

/// A file of tests only, which may name any room, as test modules may.
fn is_test(path: &Path) -> bool {
    let name = path.to_string_lossy();
    name.ends_with("tests.rs") || name.contains("/tests/")
}

fn room_of(path: &Path) -> Option<String> {
    let inside = path.strip_prefix(super::root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_string_lossy().into_owned();
    (inside.components().count() > 1).then_some(first)
}

#[test]
fn rooms_name_only_the_rooms_they_may() {
    let mut files = Vec::new();
    sources(&super::root().join("src"), &mut files);
    let rules = allowed();
    let mut broken = Vec::new();
    for file in files.into_iter().filter(|file| !is_test(file)) {
        let Some(room) = room_of(&file) else { continue };
        let Some(may) = rules.get(room.as_str()) else { continue };
        let code = code(&file);
        for other in rules.keys().filter(|r| **r != room) {
            let named = code.matches(&format!("crate::{other}::")).count()
                + code.matches(&format!("crate::{other};")).count();
            let by_exception: usize = may
                .iter()
                .filter(|m| m.starts_with(&format!("{other}::")))
                .map(|m| code.matches(&format!("crate::{m}")).count())
                .sum();
            if named > by_exception && !may.contains(other) {
                broken.push(format!("{} names {other}", file.display()));
            }
        }
        for (owned, owners) in OWNED {
            let inside = file.strip_prefix(super::root().join("src")).expect("a source file");
            if code.contains(&format!("{owned}::")) && !owners.iter().any(|o| inside.starts_with(o))
            {
                broken.push(format!("{} names {owned}", file.display()));
            }
        }
    }
    assert!(broken.is_empty(), "arrows that go the wrong way:\n{}", broken.join("\n"));
}

#[test]
fn every_room_says_what_it_is_for() {
    for room in allowed().keys() {
        let path = super::root().join("src").join(room).join("mod.rs");
        let text = std::fs::read_to_string(&path).expect("a room has a mod.rs");
        let told = text.starts_with("//! ") || text.starts_with("#![doc = include_str!(");
        assert!(told, "{} starts without a word", path.display());
    }
}

#[test]
fn only_the_command_line_prints() {
    let mut files = Vec::new();
    sources(&super::root().join("src"), &mut files);
    let inside = |f: &&PathBuf| room_of(f).is_some_and(|r| r != "cli");
    for file in files.iter().filter(inside).filter(|f| !is_test(f)) {
        let code = code(file);
        for word in ["println!(", "print!(", "dbg!("] {
            assert!(!code.contains(word), "{} prints", file.display());
        }
    }
}

#[test]
fn the_architecture_page_names_every_room_and_only_real_tests() {
    let page = std::fs::read_to_string(super::root().join("ARCHITECTURE.md")).expect("the page");
    for room in allowed().keys() {
        assert!(page.contains(&format!("`{room}/`")), "ARCHITECTURE.md does not name {room}/");
    }
    let mut files = Vec::new();
    sources(&super::root().join("src"), &mut files);
    sources(&super::root().join("tests"), &mut files);
    let all: String =
        files.iter().map(|f| std::fs::read_to_string(f).expect("a source file")).collect();
    for line in page.lines().filter(|l| l.contains("Test: ")) {
        for name in line.split("Test: ").skip(1).filter_map(|t| t.split('`').nth(1)) {
            assert!(all.contains(&format!("fn {name}(")), "no test is called {name}");
        }
    }
}
