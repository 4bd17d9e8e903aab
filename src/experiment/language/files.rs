//! Files that a config points at. Other contents under the same name make another cell.

use std::path::{Path, PathBuf};

use super::master::Disk;
use super::spec::{LanguageSpec, Teacher};
use super::teacher;
use crate::error::{Error, Result};

/// Hash of all that a spec points at; empty where it points at nothing. A file that will not do is found here, before
/// anything is computed or written.
pub fn outside(spec: &LanguageSpec) -> Result<String> {
    let mut all = of_teacher(spec)?;
    for (i, student) in spec.student.iter().enumerate() {
        let Some(start) = &student.start else { continue };
        let under = |e: Error| e.under(&format!("student[{i}].start"));
        start.load().map_err(under)?;
        all += &of_folder(start.path()).map_err(under)?;
    }
    Ok(all)
}

fn of_teacher(spec: &LanguageSpec) -> Result<String> {
    let path = match &spec.teacher {
        Teacher::File { path } | Teacher::Llama { path } => Path::new(path),
        Teacher::Shipped | Teacher::Trained { .. } => return Ok(String::new()),
    };
    if let Teacher::Llama { .. } = &spec.teacher {
        Disk::open(path, spec.api.top_logprobs > 0).map_err(|e| e.under("teacher"))?;
        if path.is_dir() {
            return of_folder(path);
        }
    }
    let bytes = std::fs::read(path).map_err(|e| {
        let found = format!("`{}`: {e}", path.display());
        Error::config("teacher.path", found, "a file that can be read")
    })?;
    if let Teacher::File { .. } = &spec.teacher {
        teacher::of_file(path)?;
    }
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// Of the files of a model in a folder, by name.
fn of_folder(dir: &Path) -> Result<String> {
    let read = std::fs::read_dir(dir).map_err(Error::io(dir))?;
    let entries = read.collect::<std::io::Result<Vec<_>>>().map_err(Error::io(dir))?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.retain(|file| {
        let kind = file.extension().and_then(|kind| kind.to_str());
        file.is_file() && matches!(kind, Some("json" | "safetensors"))
    });
    files.sort();
    let mut hash = blake3::Hasher::new();
    for file in files {
        let bytes = std::fs::read(&file).map_err(Error::io(&file))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        hash.update(format!("{name} {} ", bytes.len()).as_bytes());
        hash.update(&bytes);
    }
    Ok(hash.finalize().to_hex().to_string())
}
