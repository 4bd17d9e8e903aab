//! The config reader: a TOML file and command-line overrides in, one typed spec out.
//!
//! Reading has three steps. [`Source::read`] parses the file and keeps the place of every key and
//! value. [`Source::apply`] lays overrides over it. [`Source::parse`] walks the result against the
//! JSON Schema of the spec, so that a slip is reported at its line and column with the nearest name,
//! and only then deserialises. [`Source::locate`] adds the place to errors found later by range checks.
//!
//! The reader is generic over the spec: it names no dataset, model, defense or student.

mod de;
mod evidence;
mod grid;
mod hint;
mod locate;
mod output;
mod overrides;
mod path;
mod shape;
mod tree;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use evidence::{Setting, annotated, settings};
pub use grid::{expand, is_sweep, product};
pub use output::{leaves, resolved, schema};

use crate::error::Result;
use locate::Fault;
use path::Path;
use shape::Schema;
use tree::Node;

/// One config: a file with the overrides laid over it.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name shown in messages.
    file: String,
    /// The file as it was read, for carets.
    text: String,
    /// What the file says, changed by overrides.
    root: Node,
}

impl Source {
    /// Parses TOML `text`. `file_name` is only shown in messages; nothing is opened.
    pub fn read(file_name: &str, text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut source =
            Self { file: file_name.to_string(), text: text.to_string(), root: Node::default() };
        let document = toml_edit::Document::parse(text).map_err(|e| source.syntax(&e))?;
        source.root = Node::from_table(document.as_table(), tree::Place::default());
        source.flatten_sweep();
        Ok(source)
    }

    /// Whether the file has this top-level key.
    pub fn has(&self, key: &str) -> bool {
        self.root.get(&[path::Seg::Key(key.to_string())]).is_some()
    }

    /// Checks everything against the schema of `T`, then builds a `T`.
    pub fn parse<T: DeserializeOwned + Serialize + JsonSchema>(&self) -> Result<T> {
        let schema = Schema::of::<T>();
        walk::check(&schema, &self.root).map_err(|fault| self.report(fault))?;
        de::build(&self.root).map_err(|e| {
            let node = self.root.get(&e.path).unwrap_or(&self.root);
            let (found, expected) = match e.message.split_once(", expected ") {
                Some((found, expected)) => (found.to_string(), expected.to_string()),
                None => (node.value.describe(), e.message),
            };
            self.report(Fault::at_value(Path(e.path), found, expected))
        })
    }
}
