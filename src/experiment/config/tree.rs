//! The document as a plain tree in which every node knows where it came from.

use std::ops::Range;
use std::sync::Arc;

use toml_edit::{Item, Table};

use super::path::Seg;

/// Where a node came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Byte ranges in the file of the key and of the value (of the header, for a table).
    File { key: Option<Range<usize>>, value: Option<Range<usize>> },
    /// An override, as written on the command line.
    Override(Arc<str>),
}

impl Default for Place {
    fn default() -> Self {
        Self::File { key: None, value: None }
    }
}

/// What a node holds. Tables keep the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Table(Vec<(String, Node)>),
    List(Vec<Node>),
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Datetime(String),
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub place: Place,
    pub value: Value,
}

impl Default for Node {
    fn default() -> Self {
        Self { place: Place::default(), value: Value::Table(Vec::new()) }
    }
}

impl Node {
    /// A table written with a header, or the whole document.
    pub fn from_table(table: &Table, place: Place) -> Self {
        let entries = table.iter().map(|(name, item)| {
            let key = table.key(name).and_then(|k| k.span());
            (name.to_string(), Self::from_item(item, key))
        });
        Self { place, value: Value::Table(entries.collect()) }
    }

    fn from_item(item: &Item, key: Option<Range<usize>>) -> Self {
        let place = Place::File { key: key.clone(), value: item.span() };
        match item {
            Item::None => Self { place, value: Value::Table(Vec::new()) },
            Item::Value(value) => Self::from_value(value, key, None),
            Item::Table(table) => Self::from_table(table, place),
            Item::ArrayOfTables(tables) => {
                let entry = |t: &Table| {
                    let place = Place::File { key: key.clone(), value: t.span() };
                    Self::from_table(t, place)
                };
                Self { place, value: Value::List(tables.iter().map(entry).collect()) }
            }
        }
    }

    /// A value behind an equals sign; all of it at `place`, where one is given.
    pub fn from_value(
        value: &toml_edit::Value,
        key: Option<Range<usize>>,
        place: Option<&Place>,
    ) -> Self {
        use toml_edit::Value as V;
        let held = match value {
            V::String(s) => Value::String(s.value().clone()),
            V::Integer(i) => Value::Integer(*i.value()),
            V::Float(x) => Value::Float(*x.value()),
            V::Boolean(b) => Value::Boolean(*b.value()),
            V::Datetime(d) => Value::Datetime(d.value().to_string()),
            V::Array(list) => {
                Value::List(list.iter().map(|v| Self::from_value(v, None, place)).collect())
            }
            V::InlineTable(table) => {
                let entry = |(name, v): (&str, &V)| {
                    let key = table.key(name).and_then(|k| k.span());
                    (name.to_string(), Self::from_value(v, key, place))
                };
                Value::Table(table.iter().map(entry).collect())
            }
        };
        let own = || Place::File { key, value: value.span() };
        Self { place: place.cloned().unwrap_or_else(own), value: held }
    }

    /// A value from a sweep, all of it at `place`.
    pub fn from_toml(value: &toml::Value, place: &Place) -> Self {
        use toml::Value as V;
        let held = match value {
            V::String(s) => Value::String(s.clone()),
            V::Integer(i) => Value::Integer(*i),
            V::Float(x) => Value::Float(*x),
            V::Boolean(b) => Value::Boolean(*b),
            V::Datetime(d) => Value::Datetime(d.to_string()),
            V::Array(list) => Value::List(list.iter().map(|v| Self::from_toml(v, place)).collect()),
            V::Table(table) => Value::Table(
                table.iter().map(|(k, v)| (k.clone(), Self::from_toml(v, place))).collect(),
            ),
        };
        Self { place: place.clone(), value: held }
    }

    /// The plain value, without places.
    pub fn to_toml(&self) -> toml::Value {
        use toml::Value as V;
        match &self.value {
            Value::String(s) | Value::Datetime(s) => V::String(s.clone()),
            Value::Integer(i) => V::Integer(*i),
            Value::Float(x) => V::Float(*x),
            Value::Boolean(b) => V::Boolean(*b),
            Value::List(list) => V::Array(list.iter().map(Self::to_toml).collect()),
            Value::Table(t) => V::Table(t.iter().map(|(k, n)| (k.clone(), n.to_toml())).collect()),
        }
    }

    /// The node one step down.
    pub fn step(&self, seg: &Seg) -> Option<&Self> {
        match (&self.value, seg) {
            (Value::Table(t), Seg::Key(k)) => t.iter().find(|(name, _)| name == k).map(|(_, n)| n),
            (Value::List(l), Seg::Index(i)) => l.get(*i),
            (Value::List(l), Seg::Name(name)) => l.iter().find(|n| n.name() == Some(name)),
            _ => None,
        }
    }

    /// The node one step down, to change it.
    pub fn step_mut(&mut self, seg: &Seg) -> Option<&mut Self> {
        match (&mut self.value, seg) {
            (Value::Table(t), Seg::Key(k)) => {
                t.iter_mut().find(|(name, _)| name == k).map(|(_, n)| n)
            }
            (Value::List(l), Seg::Index(i)) => l.get_mut(*i),
            (Value::List(l), Seg::Name(name)) => l.iter_mut().find(|n| n.name() == Some(name)),
            _ => None,
        }
    }

    /// The node at the end of a path.
    pub fn get(&self, path: &[Seg]) -> Option<&Self> {
        path.iter().try_fold(self, |node, seg| node.step(seg))
    }

    /// The `name` of a table, for lists whose entries are named.
    pub fn name(&self) -> Option<&str> {
        match &self.step(&Seg::Key("name".to_string()))?.value {
            Value::String(s) => Some(s),
            _ => None,
        }
    }
}

impl Value {
    /// `the string "two"`, `the integer 3`, `a table`: what was found, short.
    pub fn describe(&self) -> String {
        match self {
            Self::Table(_) => "a table".into(),
            Self::List(_) if self.is_tables() => "a list of tables".into(),
            Self::List(_) => "a list".into(),
            Self::String(s) if s.chars().count() > 40 => "a long string".into(),
            Self::String(s) => format!("the string \"{s}\""),
            Self::Integer(i) => format!("the integer {i}"),
            Self::Float(x) => format!("the number {x:?}"),
            Self::Boolean(b) => format!("{b}"),
            Self::Datetime(d) => format!("the date {d}"),
        }
    }

    /// True for a list that holds tables only.
    pub fn is_tables(&self) -> bool {
        match self {
            Self::List(l) => !l.is_empty() && l.iter().all(|n| matches!(n.value, Self::Table(_))),
            _ => false,
        }
    }
}
