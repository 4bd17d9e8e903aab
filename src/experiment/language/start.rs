//! What a student starts from, if not from fresh weights: a model from disk with its own tokens, to be fine-tuned.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CONTEXT;
use super::spec::StudentSpec;
use crate::error::{Error, Result};
use crate::model::llama::Tunable;

/// Most tokens of a text in tokens that are not bytes: no more than it has bytes, and a few that tables put around.
pub const ROOM: usize = CONTEXT + 8;

/// Weights that a student starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "kebab-case")]
pub enum Start {
    /// A model of the Llama family in a folder: `config.json`, `tokenizer.json` and `model.safetensors` (or its
    /// pieces). Training of a model that knows something wants a lower `training.lr` than that of a fresh one.
    Llama {
        path: String,
        /// Where trained students are written, a folder of the same form for each cell, named after it; nowhere if
        /// not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<String>,
    },
}

impl Start {
    /// Where the model lies.
    pub fn path(&self) -> &Path {
        let Self::Llama { path, .. } = self;
        Path::new(path)
    }

    /// Name of the folder.
    pub fn label(&self) -> String {
        let path = self.path();
        path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
    }

    /// Reads the model; keys of errors are relative to this.
    pub fn load(&self) -> Result<Tunable> {
        Tunable::load(self.path(), ROOM).map_err(|e| {
            let expected = "a folder with the files of a Llama: \
                `config.json`, `tokenizer.json` and `model.safetensors`";
            Error::config("path", e.to_string(), expected)
        })
    }

    /// Writes what a cell trained of the model that was loaded, if it is to be kept.
    pub fn keep(&self, trained: &Tunable, cell: &str) -> Result<()> {
        let Self::Llama { keep, .. } = self;
        keep.as_ref().map_or(Ok(()), |dir| trained.save(&Path::new(dir).join(cell)))
    }
}

/// Refuses students that start from different things of one name, by which records know them.
pub fn check_names(students: &[StudentSpec]) -> Result<()> {
    let mut known: BTreeMap<String, Option<&Path>> = BTreeMap::new();
    for (i, student) in students.iter().enumerate() {
        let path = student.start.as_ref().map(Start::path);
        if *known.entry(student.kin()).or_insert(path) != path {
            let (key, found) = (format!("student[{i}].start.path"), student.kin());
            let expected = "folders of different names, which are no sizes of fresh students";
            return Err(Error::config(key, format!("a second `{found}`"), expected));
        }
    }
    Ok(())
}
