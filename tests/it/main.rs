//! One binary for all integration tests, so that the second build is small.

mod alloc;
mod bad_input;
mod campaign;
mod cli;
mod configs;
mod defenses;
mod language;
mod layering;
mod one_vs_rest;
mod reproduce;
mod sense;
mod served;
mod trees;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use retort::experiment::record::Record;

/// A fresh folder for a test, with caches of its own.
pub struct Sandbox {
    pub dir: PathBuf,
}

impl Sandbox {
    pub fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("retort-it-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        Self { dir }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("inside the sandbox")).expect("a folder");
        std::fs::write(&path, text).expect("a file in a temporary folder");
        path
    }

    /// A `retort` command in this folder.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retort"));
        command
            .current_dir(&self.dir)
            .env("RETORT_CACHE", self.path("cache"))
            .env_remove("RETORT_DATA")
            .env_remove("HOME");
        command
    }

    pub fn retort(&self, args: &[&str]) -> Output {
        self.command().args(args).output().expect("the binary starts")
    }

    /// Runs a config into `out`, which must work, and gives its records.
    pub fn run(&self, config: &str) -> Vec<Record> {
        self.write("run.toml", config);
        let out = self.retort(&["run", "run.toml", "--out", "out"]);
        assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
        let records = records(&self.path("out"));
        records.values().map(|bytes| serde_json::from_slice(bytes).expect("a record")).collect()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Records of a run folder, by cell.
pub fn records(run: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let cells = std::fs::read_dir(run.join("cells")).into_iter().flatten().flatten();
    let record = |cell: std::fs::DirEntry| {
        let bytes = std::fs::read(cell.path().join("record.json")).ok()?;
        Some((cell.file_name().to_string_lossy().into_owned(), bytes))
    };
    cells.filter_map(record).collect()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A config whose cells take milliseconds.
pub const TINY: &str = r#"
name = "tiny"
seeds = 2
[teacher]
model = { kind = "mlp", hidden = [32] }
training = { steps = 200 }
[budget]
queries = [20, 40]
[training]
steps = 60
[measure]
uniform-rows = 50
boundary-rows = 20
[[defense]]
name = "round-1"
stack = [{ kind = "round", digits = 1 }]
[[defense]]
name = "noise"
stack = [{ kind = "gaussian-noise", sigma = 0.2 }]
[[student]]
name = "soft"
model = { kind = "mlp", hidden = [16] }
objective = { kind = "soft-labels" }
[[student]]
name = "argmax"
model = { kind = "mlp", hidden = [16] }
objective = { kind = "hard-label" }
"#;
