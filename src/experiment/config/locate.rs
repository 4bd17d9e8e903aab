//! From a path to a place: line, column, caret, or the override that said so.

use std::ops::Range;

use super::Source;
use super::path::{Path, Seg};
use super::tree::{Node, Place};
use crate::error::{ConfigError, Error};

/// Name of the file in messages about overrides.
pub const COMMAND_LINE: &str = "command line";

/// Something wrong at a path, before it has a line and a column.
#[derive(Clone, Debug)]
pub struct Fault {
    /// Where; may lead to a key that is missing.
    pub path: Path,
    /// True if the caret belongs under the key, not under the value.
    pub at_key: bool,
    pub found: String,
    pub expected: String,
    pub nearest: Option<String>,
}

impl Fault {
    /// A fault whose caret goes under the value.
    pub fn at_value(path: Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        let (found, expected) = (found.into(), expected.into());
        Self { path, at_key: false, found, expected, nearest: None }
    }
}

impl Source {
    /// Adds file, line, column and caret to a config error that only knows its dotted key.
    ///
    /// A key that is not in the file is placed at the innermost table that is. Errors that already
    /// have a file, and errors of other kinds, pass unchanged.
    pub fn locate(&self, err: Error) -> Error {
        match err {
            Error::Config(e) if e.file.is_empty() => {
                let Some(path) = Path::parse(&e.key) else {
                    return Error::Config(Box::new(ConfigError { file: self.file.clone(), ..*e }));
                };
                let mut placed = self.place(&path, false, *e);
                placed.key = path.to_string();
                Error::Config(Box::new(placed))
            }
            other => other,
        }
    }

    /// A fault as an error.
    pub(super) fn report(&self, fault: Fault) -> Error {
        let error = ConfigError {
            key: match fault.path.0.is_empty() {
                true => "top level".to_string(),
                false => fault.path.to_string(),
            },
            found: fault.found,
            expected: fault.expected,
            nearest: fault.nearest,
            ..ConfigError::default()
        };
        Error::Config(Box::new(self.place(&fault.path, fault.at_key, error)))
    }

    fn place(&self, path: &Path, at_key: bool, error: ConfigError) -> ConfigError {
        let (node, whole) = self.deepest(&path.0);
        match &node.place {
            Place::Override(text) => ConfigError {
                file: COMMAND_LINE.to_string(),
                found: format!("{} in `{text}`", error.found),
                ..error
            },
            Place::File { key, value } => {
                let span =
                    if at_key && whole { key.as_ref().or(value.as_ref()) } else { value.as_ref() };
                self.mark(span.or(key.as_ref()).cloned(), error)
            }
        }
    }

    /// The node of the longest existing prefix, and whether that is the whole path.
    fn deepest(&self, path: &[Seg]) -> (&Node, bool) {
        let mut node = &self.root;
        for seg in path {
            match node.step(seg) {
                Some(next) => node = next,
                None => return (node, false),
            }
        }
        (node, true)
    }

    /// Fills in file, line, column, source line and width of a byte range; the first line of it only.
    fn mark(&self, span: Option<Range<usize>>, error: ConfigError) -> ConfigError {
        let file = self.file.clone();
        let Some(span) = span.filter(|s| s.start <= self.text.len()) else {
            return ConfigError { file, ..error };
        };
        let before = &self.text[..span.start];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[span.start..].find('\n').map_or(self.text.len(), |n| span.start + n);
        let line = self.text[start..end].trim_end_matches('\r');
        let marked = &self.text[span.start..span.end.clamp(span.start, end)];
        ConfigError {
            file,
            place: Some((
                before.matches('\n').count() + 1,
                self.text[start..span.start].chars().count() + 1,
            )),
            line_text: Some(line.replace('\t', " ")),
            width: marked.trim_end().chars().count().max(1),
            ..error
        }
    }

    /// A parse error of the file.
    pub(super) fn syntax(&self, err: &toml_edit::TomlError) -> Error {
        let span = err.span().unwrap_or(0..0);
        let word = self.text.get(span.clone()).unwrap_or("").trim();
        let (mut found, mut nearest) = (format!("`{word}`"), None);
        if word.is_empty() || word.contains('\n') {
            found = "the end of the line".to_string();
        }
        let message = err.message();
        let mut expected = format!("valid TOML ({message})");
        if message == "duplicate key" {
            (found, expected) = (format!("`{word}` a second time"), "each key once".to_string());
        } else if let boolean @ ("true" | "false") = word.to_ascii_lowercase().as_str() {
            (expected, nearest) = ("`true` or `false`".to_string(), Some(boolean.to_string()));
        } else if message.starts_with("string values must be quoted") {
            expected = "a value, strings in quotes".to_string();
            nearest = (!word.is_empty()).then(|| format!("\"{word}\""));
        }
        let key = "syntax".to_string();
        let error = ConfigError { key, found, expected, nearest, ..ConfigError::default() };
        Error::Config(Box::new(self.mark(Some(span), error)))
    }
}
