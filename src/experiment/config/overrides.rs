//! Overrides in the grammar of Hydra: `a.b=v` sets, `+a.b=v` adds, `++a.b=v` does either, `~a.b` deletes.
//!
//! Entries of lists are chosen by position (`student[0].lr`, `student.0.lr`) or by their `name`
//! (`student[random-soft].lr`). A value replaces what was there, tables included. Whether the key
//! exists at all is the schema's business: [`Source::parse`] refuses unknown ones.

use std::sync::Arc;

use super::locate::COMMAND_LINE;
use super::path::{Path, Seg};
use super::tree::{Node, Place, Value};
use super::value::{self, split_once_top};
use super::{Source, grid};
use crate::error::{ConfigError, Error, Result, nearest};

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Set,
    Add,
    Put,
    Delete,
}

impl Source {
    /// Lays one override over the file.
    pub fn apply(&mut self, text: &str) -> Result<()> {
        let (op, key, value) = split(text)?;
        let path = Path::parse(key).ok_or_else(|| {
            refuse(text, key, "a key that cannot be read", "a dotted key such as `a.b[0].c`")
        })?;
        let path = self.concrete(&path, op, text)?;
        let there = self.root.get(&path.0).is_some();
        match (op, value) {
            (Op::Delete, None) => return self.delete(&path, text),
            (Op::Delete, Some(_)) => {
                return Err(refuse(text, key, "a value", "only the key to delete"));
            }
            (_, None) => return Err(refuse(text, key, "no value", "`key=value`")),
            (Op::Add, Some(_)) if there => {
                return Err(refuse(
                    text,
                    key,
                    "a key that is already there",
                    "a new key; `++` sets either",
                ));
            }
            _ => {}
        }
        let value = value.unwrap_or_default();
        if grid::is_sweep(text) {
            return Err(refuse(text, key, "several values", "one value, or `-m` to run a grid"));
        }
        let node = value::read(value, &Place::Override(Arc::from(text))).ok_or_else(|| {
            refuse(text, key, "a value that cannot be read", "a TOML value or a bare word")
        })?;
        self.set(&path, node);
        Ok(())
    }

    /// The `[sweep]` table: dotted keys and the values each takes, in the order of the file.
    pub fn sweep(&self) -> Result<Vec<(String, Vec<toml::Value>)>> {
        let Some(Value::Table(entries)) = self.root.get(&sweep_path()).map(|n| &n.value) else {
            return Ok(Vec::new());
        };
        let mut axes = Vec::new();
        for (key, node) in entries {
            match &node.value {
                Value::List(list) if !list.is_empty() => {
                    axes.push((key.clone(), list.iter().map(Node::to_toml).collect()));
                }
                other => {
                    let path = Path(sweep_path()).child(key);
                    let err = Error::config(path.to_string(), other.describe(), "a list of values");
                    return Err(self.locate(err));
                }
            }
        }
        Ok(axes)
    }

    /// Sets one key of a `[sweep]` to one of its values. Errors about it point into `[sweep]`.
    pub fn apply_swept(&mut self, key: &str, value: &toml::Value) -> Result<()> {
        let entry = Path(sweep_path()).child(key);
        let place = self.root.get(&entry.0).map(|n| n.place.clone()).unwrap_or_default();
        let fault = |e: Error| match e {
            Error::Config(e) => self.locate(Error::Config(Box::new(ConfigError {
                file: String::new(),
                key: entry.to_string(),
                ..*e
            }))),
            other => other,
        };
        let path = Path::parse(key)
            .ok_or_else(|| fault(refuse(key, key, "a key that cannot be read", "a dotted key")))?;
        let path = self.concrete(&path, Op::Put, key).map_err(fault)?;
        self.set(&path, Node::from_toml(value, &place));
        Ok(())
    }

    /// Dotted keys of `[sweep]` may be written bare: `student.lr = [..]` is kept as one key.
    pub(super) fn flatten_sweep(&mut self) {
        let Some(sweep) = self.root.step_mut(&Seg::Key("sweep".to_string())) else { return };
        if let Value::Table(entries) = &mut sweep.value {
            let mut flat = Vec::new();
            flatten("", std::mem::take(entries), &mut flat);
            *entries = flat;
        }
    }

    /// Names and numeric keys turned into list positions.
    fn concrete(&self, path: &Path, op: Op, text: &str) -> Result<Path> {
        let mut done = Path::default();
        for (i, seg) in path.0.iter().enumerate() {
            let last = i + 1 == path.0.len();
            let seg = match (self.root.get(&done.0), seg) {
                (Some(node), seg) => step(node, seg, last && op != Op::Set).map_err(
                    |(found, expected, nearest)| wrong(text, &done, found, expected, nearest),
                )?,
                (None, Seg::Key(key)) => Seg::Key(key.clone()),
                (None, _) => {
                    return Err(refuse(text, &done.to_string(), "no list", "a list that exists"));
                }
            };
            done.0.push(seg);
        }
        Ok(done)
    }

    fn set(&mut self, path: &Path, new: Node) {
        let place = new.place.clone();
        let mut node = &mut self.root;
        for seg in &path.0 {
            if node.step(seg).is_none() {
                let empty = Node { place: place.clone(), value: Value::Table(Vec::new()) };
                match (&mut node.value, seg) {
                    (Value::Table(entries), Seg::Key(key)) => entries.push((key.clone(), empty)),
                    (Value::List(list), _) => list.push(empty),
                    _ => return,
                }
            }
            node = node.step_mut(seg).expect("the step was just made");
        }
        *node = new;
    }

    fn delete(&mut self, path: &Path, text: &str) -> Result<()> {
        let Some((last, above)) = path.0.split_last() else { return Ok(()) };
        let mut node = Some(&mut self.root);
        for seg in above {
            node = node.and_then(|n| n.step_mut(seg));
        }
        match (node.map(|n| &mut n.value), last) {
            (Some(Value::Table(entries)), Seg::Key(key))
                if entries.iter().any(|(k, _)| k == key) =>
            {
                entries.retain(|(k, _)| k != key);
                Ok(())
            }
            (Some(Value::List(list)), Seg::Index(at)) if *at < list.len() => {
                list.remove(*at);
                Ok(())
            }
            (there, last) => {
                let near = match (there, last) {
                    (Some(Value::Table(t)), Seg::Key(k)) => {
                        nearest(k, t.iter().map(|(k, _)| k.as_str()))
                    }
                    _ => None,
                };
                Err(wrong(text, path, "nothing to delete".into(), "a key of the file".into(), near))
            }
        }
    }
}

/// The step `seg` from `node`, with names and numbers resolved. `append` allows the position after
/// the last entry.
fn step(node: &Node, seg: &Seg, append: bool) -> std::result::Result<Seg, Wrong> {
    let Value::List(list) = &node.value else {
        return match (&node.value, seg) {
            (Value::Table(_), Seg::Key(_)) => Ok(seg.clone()),
            (Value::Table(_), Seg::Index(i)) => Ok(Seg::Key(i.to_string())),
            (Value::Table(_), Seg::Name(name)) => Ok(Seg::Key(name.clone())),
            (other, _) => Err((other.describe(), "a table or a list".into(), None)),
        };
    };
    let names: Vec<&str> = list.iter().filter_map(Node::name).collect();
    let index = match seg {
        Seg::Index(i) => Some(*i),
        Seg::Key(key) => key.parse().ok(),
        Seg::Name(_) => None,
    };
    let (Seg::Key(name) | Seg::Name(name)) = seg else { return bounded(index, list.len(), append) };
    match list.iter().position(|n| n.name() == Some(name)) {
        Some(at) => Ok(Seg::Index(at)),
        None if index.is_some() => bounded(index, list.len(), append),
        None if names.is_empty() => {
            Err((format!("a list without `{name}`"), "a position such as `[0]`".into(), None))
        }
        None => {
            let expected = format!("{} or a position such as `[0]`", super::hint::one_of(&names));
            Err((format!("no entry `{name}`"), expected, nearest(name, names)))
        }
    }
}

fn bounded(index: Option<usize>, len: usize, append: bool) -> std::result::Result<Seg, Wrong> {
    match index {
        Some(i) if i < len || (append && i == len) => Ok(Seg::Index(i)),
        Some(i) => Err((format!("position {i}"), format!("a position below {len}"), None)),
        None => Err(("no position".into(), format!("a position below {len}"), None)),
    }
}

/// Found, expected, nearest.
type Wrong = (String, String, Option<String>);

fn split(text: &str) -> Result<(Op, &str, Option<&str>)> {
    let (head, value) = match split_once_top(text, '=') {
        Some((head, value)) => (head.trim(), Some(value.trim())),
        None => (text.trim(), None),
    };
    let (op, key) = match head.strip_prefix("++") {
        Some(key) => (Op::Put, key),
        None => match (head.strip_prefix('+'), head.strip_prefix('~')) {
            (Some(key), _) => (Op::Add, key),
            (_, Some(key)) => (Op::Delete, key),
            _ => (Op::Set, head),
        },
    };
    if value == Some("") {
        return Err(refuse(
            text,
            key,
            "no value",
            "`key=value`, or `key=\"\"` for an empty string",
        ));
    }
    Ok((op, key, value))
}

fn flatten(prefix: &str, entries: Vec<(String, Node)>, flat: &mut Vec<(String, Node)>) {
    for (key, node) in entries {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match node.value {
            Value::Table(inner) => flatten(&key, inner, flat),
            _ => flat.push((key, node)),
        }
    }
}

fn sweep_path() -> Vec<Seg> {
    vec![Seg::Key("sweep".to_string())]
}

fn wrong(
    text: &str,
    path: &Path,
    found: String,
    expected: String,
    nearest: Option<String>,
) -> Error {
    Error::Config(Box::new(ConfigError {
        file: COMMAND_LINE.to_string(),
        key: path.to_string(),
        found: format!("{found} in `{text}`"),
        expected,
        nearest,
        ..ConfigError::default()
    }))
}

/// An error about an override that cannot be used as written.
pub(super) fn refuse(text: &str, key: &str, found: &str, expected: &str) -> Error {
    let path = Path(vec![Seg::Key(key.to_string())]);
    let path = Path::parse(key).unwrap_or(path);
    wrong(text, &path, found.to_string(), expected.to_string(), None)
}
