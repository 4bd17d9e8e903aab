//! The document against the schema: the first thing that is wrong, where, and what would be right.
//!
//! Tables are checked from the outside in: first the tag that chooses an alternative, then unknown
//! keys, then missing keys, then what the keys hold.

use std::cmp::Reverse;

use serde_json::Value as Json;

use super::hint;
use super::locate::Fault;
use super::path::{Path, Seg};
use super::shape::{Extra, Schema, Shape};
use super::tree::{Node, Value};
use crate::error::nearest;

type Check = Result<(), Fault>;
type Entries = [(String, Node)];

/// Checks the whole document.
pub fn check(schema: &Schema, root: &Node) -> Check {
    Walk { schema }.node(schema.root(), root, &Path::default())
}

struct Walk<'s> {
    schema: &'s Schema,
}

impl<'s> Walk<'s> {
    fn node(&self, schema: &'s Json, node: &Node, path: &Path) -> Check {
        let all = self.schema.shapes(schema);
        let fitting: Vec<Shape<'s>> = all.iter().filter(|s| s.fits(&node.value)).cloned().collect();
        if fitting.is_empty() {
            return Err(self.wrong_type(&all, node, path));
        }
        match &node.value {
            Value::Table(entries) => self.table(fitting, entries, path),
            Value::List(list) => self.best(&fitting, |shape| self.list(shape, list, path)),
            value => self.scalar(&fitting, value, path),
        }
    }

    fn wrong_type(&self, shapes: &[Shape<'s>], node: &Node, path: &Path) -> Fault {
        let mut expected = hint::describe(self.schema, shapes);
        let wants = |name: &str| shapes.iter().any(|s| s.types == [name]);
        match (&node.value, path.0.last()) {
            (Value::Table(_), Some(Seg::Key(key))) if wants("array") => {
                expected += &format!(", written `[[{key}]]` or `{key} = [...]`");
            }
            (list, Some(Seg::Key(key))) if list.is_tables() && wants("object") => {
                expected += &format!(", written `[{key}]` or `{key} = {{...}}`");
            }
            _ => {}
        }
        Fault::at_value(path.clone(), node.value.describe(), expected)
    }

    /// Passes if one alternative passes; else the error of the one that got furthest.
    fn best(&self, shapes: &[Shape<'s>], check: impl Fn(&Shape<'s>) -> Check) -> Check {
        let mut faults = Vec::new();
        for shape in shapes {
            match check(shape) {
                Ok(()) => return Ok(()),
                Err(fault) => faults.push(fault),
            }
        }
        faults.sort_by_key(|f| Reverse(f.path.0.len()));
        faults.into_iter().next().map_or(Ok(()), Err)
    }

    fn scalar(&self, shapes: &[Shape<'s>], value: &Value, path: &Path) -> Check {
        let mut words: Vec<&str> = Vec::new();
        let mut outside = None;
        for shape in shapes {
            match &shape.choices {
                Some(choices) if choices.iter().any(|c| equal(c, value)) => return Ok(()),
                Some(choices) => words.extend(choices.iter().filter_map(|c| c.as_str())),
                None if in_range(shape, value) => return Ok(()),
                None => outside = outside.or(Some(shape)),
            }
        }
        let fault = |found, expected| Fault::at_value(path.clone(), found, expected);
        match (value, outside) {
            (Value::String(word), _) if !words.is_empty() => {
                let what = match path.0.last() {
                    Some(Seg::Key(key)) => key,
                    _ => "entry",
                };
                let found = format!("unknown {what} `{word}`");
                let nearest = nearest(word, words.iter().copied());
                Err(Fault { nearest, ..fault(found, hint::one_of(&words)) })
            }
            (Value::Integer(_), Some(shape)) if shape.types.contains(&"integer") => {
                Err(fault(value.describe(), format!("an integer{}", hint::range(shape))))
            }
            (_, Some(shape)) => {
                Err(fault(value.describe(), format!("a number{}", hint::range(shape))))
            }
            (_, None) => Err(fault(value.describe(), hint::describe(self.schema, shapes))),
        }
    }

    fn list(&self, shape: &Shape<'s>, list: &[Node], path: &Path) -> Check {
        let count = list.len() as u64;
        let (least, most) = shape.length;
        let expected = match (least, most) {
            (Some(least), Some(most)) if least == most && count != least => format!("{least}"),
            (Some(least), _) if count < least => format!("at least {least}"),
            (_, Some(most)) if count > most => format!("at most {most}"),
            _ => String::new(),
        };
        if !expected.is_empty() {
            let found = format!("a list of length {count}");
            return Err(Fault::at_value(path.clone(), found, format!("length {expected}")));
        }
        for (i, node) in list.iter().enumerate() {
            if let Some(schema) = shape.prefix.get(i).copied().or(shape.items) {
                self.node(schema, node, &path.join(Seg::Index(i)))?;
            }
        }
        Ok(())
    }

    /// Chooses the alternative by its tag, where the alternatives have one.
    fn table(&self, shapes: Vec<Shape<'s>>, entries: &Entries, path: &Path) -> Check {
        let Some(tag) = tag_of(&shapes) else {
            return self.best(&shapes, |shape| self.object(shape, entries, path));
        };
        let mut kinds: Vec<&str> = shapes.iter().filter_map(|s| s.constant(tag)).collect();
        kinds.dedup();
        let key = path.child(tag);
        let Some((_, node)) = entries.iter().find(|(k, _)| k == tag) else {
            return Err(missing_tag(&shapes, tag, &kinds, entries, path));
        };
        let Value::String(kind) = &node.value else {
            return Err(Fault::at_value(key, node.value.describe(), hint::one_of(&kinds)));
        };
        let chosen: Vec<Shape<'s>> =
            shapes.iter().filter(|s| s.constant(tag) == Some(kind)).cloned().collect();
        if chosen.is_empty() {
            let found = format!("unknown {tag} `{kind}`");
            let nearest = nearest(kind, kinds.iter().copied());
            return Err(Fault { nearest, ..Fault::at_value(key, found, hint::one_of(&kinds)) });
        }
        self.table(chosen, entries, path)
    }

    fn object(&self, shape: &Shape<'s>, entries: &Entries, path: &Path) -> Check {
        if shape.is_open() {
            return Ok(());
        }
        if let Extra::Closed = shape.extra
            && let Some((key, node)) = entries.iter().find(|(k, _)| shape.property(k).is_none())
        {
            return Err(self.unknown(shape, key, node, entries, path));
        }
        for key in &shape.required {
            if !entries.iter().any(|(k, _)| k == key) {
                let schema = shape.property(key).map_or_else(Vec::new, |s| self.schema.shapes(s));
                let expected = hint::describe(self.schema, &schema);
                return Err(Fault::at_value(path.child(key), format!("no `{key}`"), expected));
            }
        }
        for (key, node) in entries {
            match (shape.property(key), shape.extra) {
                (Some(schema), _) | (None, Extra::Each(schema)) => {
                    self.node(schema, node, &path.child(key))?;
                }
                (None, Extra::Closed) => {}
            }
        }
        Ok(())
    }

    fn unknown(
        &self,
        shape: &Shape<'s>,
        key: &str,
        node: &Node,
        entries: &Entries,
        path: &Path,
    ) -> Fault {
        let is_table = matches!(node.value, Value::Table(_)) || node.value.is_tables();
        let what = if is_table { "table" } else { "key" };
        let known: Vec<&str> = shape.properties.iter().map(|(k, _)| *k).collect();
        let free = known.iter().copied().filter(|k| !entries.iter().any(|(e, _)| e == k));
        let mut nearest = nearest(key, free).or_else(|| nearest(key, known.iter().copied()));
        let mut found = format!("unknown {what} `{key}`");
        if let Some(place) = hint::belongs(self.schema, key, &path.keys()) {
            found += &format!(" (it belongs to {place})");
            nearest = nearest.filter(|n| n.len() > 2 && strsim::damerau_levenshtein(n, key) == 1);
        }
        let expected = hint::keys(&known);
        Fault { path: path.child(key), at_key: true, found, expected, nearest }
    }
}

/// A key whose constant tells the alternatives apart.
fn tag_of<'s>(shapes: &[Shape<'s>]) -> Option<&'s str> {
    let (first, others) = shapes.split_first()?;
    first.properties.iter().map(|(k, _)| *k).find(|key| {
        first.constant(key).is_some()
            && others.iter().all(|s| s.constant(key).is_some())
            && others.iter().any(|s| s.constant(key) != first.constant(key))
    })
}

/// No tag: a misspelt one if there is a key like it that no alternative knows.
fn missing_tag(
    shapes: &[Shape<'_>],
    tag: &str,
    kinds: &[&str],
    entries: &Entries,
    path: &Path,
) -> Fault {
    let stranger = |key: &&String| shapes.iter().all(|s| s.property(key).is_none());
    let slip = entries.iter().map(|(k, _)| k).filter(stranger);
    match slip.into_iter().find(|k| nearest(k, [tag]).is_some()) {
        Some(key) => Fault {
            path: path.child(key),
            at_key: true,
            found: format!("unknown key `{key}`"),
            expected: format!("`{tag}`"),
            nearest: Some(tag.to_string()),
        },
        None => Fault::at_value(path.child(tag), format!("no `{tag}`"), hint::one_of(kinds)),
    }
}

fn equal(choice: &Json, value: &Value) -> bool {
    match value {
        Value::String(s) => choice.as_str() == Some(s),
        Value::Integer(i) => choice.as_i64() == Some(*i),
        Value::Float(x) => choice.as_f64() == Some(*x),
        Value::Boolean(b) => choice.as_bool() == Some(*b),
        _ => false,
    }
}

/// True for everything that is not a number out of bounds; a NaN is outside of any bound.
fn in_range(shape: &Shape<'_>, value: &Value) -> bool {
    let x = match value {
        Value::Integer(i) => *i as f64,
        Value::Float(x) => *x,
        _ => return true,
    };
    shape.low.is_none_or(|(low, open)| x > low || (!open && x == low))
        && shape.high.is_none_or(|(high, open)| x < high || (!open && x == high))
}
