//! The run folder and its files. Every file appears by write-to-temp, fsync and rename.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::provenance;
use crate::error::{Error, Result};

/// Where a sweep lives.
pub struct RunFolder {
    dir: PathBuf,
    log: Mutex<()>,
}

impl RunFolder {
    /// Opens or makes the folder of a sweep. A folder that holds another sweep is refused.
    pub fn open(dir: &Path, config: &str, manifest: &str) -> Result<Self> {
        let held = dir.join("manifest.jsonl");
        if let Ok(there) = std::fs::read_to_string(&held) {
            if there != manifest {
                return Err(Error::input(
                    format!("{}", dir.display()),
                    "a run of another sweep or another build",
                    "an empty folder, or one that holds this very sweep",
                ));
            }
            return Ok(Self { dir: dir.to_path_buf(), log: Mutex::new(()) });
        }
        std::fs::create_dir_all(dir.join("cells")).map_err(Error::io(dir))?;
        write_atomic(&dir.join("sweep.toml"), config.as_bytes())?;
        write_atomic(&held, manifest.as_bytes())?;
        let folder = Self { dir: dir.to_path_buf(), log: Mutex::new(()) };
        folder.append("provenance.jsonl", &provenance::header().to_string())?;
        Ok(folder)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    fn record_path(&self, cell: &str) -> PathBuf {
        self.dir.join("cells").join(cell).join("record.json")
    }

    /// The record of a finished cell, by its id; none if it is missing or unreadable.
    pub fn read<R: DeserializeOwned>(&self, cell: &str) -> Option<R> {
        let text = std::fs::read(self.record_path(cell)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Commits a record, and its wall time beside it.
    pub fn write<R: Serialize>(&self, cell: &str, record: &R, seconds: f64) -> Result<()> {
        let path = self.record_path(cell);
        let parent = path.parent().expect("a record has a folder");
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        write_atomic(&path, &record_bytes(record)?)?;
        self.append("provenance.jsonl", &json!({"cell": cell, "seconds": seconds}).to_string())
    }

    /// Appends one line.
    fn append(&self, name: &str, line: &str) -> Result<()> {
        let path = self.dir.join(name);
        let _one_at_a_time = self.log.lock();
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(Error::io(&path))?;
        writeln!(file, "{line}").map_err(Error::io(&path))
    }
}

/// Writes the files of a report below `dir`, by their names.
pub fn write_files(dir: &Path, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    for (name, bytes) in files {
        let path = dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        }
        write_atomic(&path, bytes)?;
    }
    Ok(())
}

/// The bytes of `record.json`.
pub fn record_bytes<R: Serialize>(record: &R) -> Result<Vec<u8>> {
    let mut bytes =
        serde_json::to_vec_pretty(record).map_err(|e| Error::Internal(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// All records of a run folder, in manifest order.
pub fn read_records<R: DeserializeOwned>(dir: &Path) -> Result<Vec<R>> {
    let path = dir.join("manifest.jsonl");
    let served = dir.join("session.json").exists();
    let manifest = match std::fs::read_to_string(&path) {
        Err(_) if served => String::new(),
        other => other.map_err(Error::io(&path))?,
    };
    let mut records = Vec::new();
    for (i, line) in manifest.lines().enumerate() {
        let cell = id_of(&path, i, line)?;
        let file = dir.join("cells").join(&cell).join("record.json");
        let Ok(bytes) = std::fs::read(&file) else { continue };
        let record = serde_json::from_slice(&bytes).map_err(|e| {
            Error::data(
                &file,
                format!("line {}", e.line()),
                e.to_string(),
                "a record of this version",
            )
        })?;
        records.push(record);
    }
    // Records scored from outside have no line in the manifest.
    records.extend(read_external(dir)?);
    Ok(records)
}

fn read_external<R: DeserializeOwned>(dir: &Path) -> Result<Vec<R>> {
    let folder = dir.join("external");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.path()).collect();
    files.sort();
    files
        .into_iter()
        .filter(|f| f.extension().is_some_and(|e| e == "json"))
        .map(|file| {
            let bytes = std::fs::read(&file).map_err(Error::io(&file))?;
            serde_json::from_slice(&bytes).map_err(|e| {
                Error::data(
                    &file,
                    format!("line {}", e.line()),
                    e.to_string(),
                    "a record of this version",
                )
            })
        })
        .collect()
}

/// Position and fields of every cell, one JSON object a line: what `manifest.jsonl` holds.
pub fn manifest<C: Serialize>(cells: &[C]) -> String {
    let mut text = String::new();
    for (index, cell) in cells.iter().enumerate() {
        let mut line = json!({ "index": index });
        if let (Value::Object(line), Ok(Value::Object(fields))) =
            (&mut line, serde_json::to_value(cell))
        {
            line.extend(fields);
        }
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}

/// Ids of the cells of a run folder.
pub fn read_manifest(dir: &Path) -> Result<Vec<String>> {
    let path = dir.join("manifest.jsonl");
    let manifest = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    manifest.lines().enumerate().map(|(i, line)| id_of(&path, i, line)).collect()
}

fn id_of(path: &Path, i: usize, line: &str) -> Result<String> {
    let cell: Option<Value> = serde_json::from_str(line).ok();
    let id = cell.as_ref().and_then(|cell| cell.get("id")).and_then(Value::as_str);
    id.map(str::to_string).ok_or_else(|| {
        let expected = "one cell as a JSON object with an `id`";
        Error::data(path, format!("line {}", i + 1), line, expected)
    })
}

/// Write to a temporary name, flush to disk, rename.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(&temporary, path)
    };
    write().map_err(|source| {
        let _ = std::fs::remove_file(&temporary);
        Error::Io { path: path.to_path_buf(), source }
    })
}
