//! The tree as a serde deserializer whose errors carry the path they happened at.

use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, forward_to_deserialize_any};

use super::path::Seg;
use super::tree::{Node, Value};

/// A message of serde and where it arose.
#[derive(Debug)]
pub struct BuildError {
    pub message: String,
    pub path: Vec<Seg>,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BuildError {}

impl de::Error for BuildError {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Self { message: message.to_string(), path: Vec::new() }
    }
}

impl BuildError {
    fn under(mut self, seg: Seg) -> Self {
        self.path.insert(0, seg);
        self
    }
}

/// Builds a `T` from the tree.
pub fn build<T: DeserializeOwned>(root: &Node) -> Result<T, BuildError> {
    T::deserialize(Reader(root))
}

#[derive(Clone, Copy)]
struct Reader<'a>(&'a Node);

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = BuildError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BuildError> {
        match &self.0.value {
            Value::Table(entries) => visitor.visit_map(Table { entries, next: 0 }),
            Value::List(list) => visitor.visit_seq(List { list, next: 0 }),
            Value::String(s) | Value::Datetime(s) => visitor.visit_borrowed_str(s),
            Value::Integer(i) => visitor.visit_i64(*i),
            Value::Float(x) => visitor.visit_f64(*x),
            Value::Boolean(b) => visitor.visit_bool(*b),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BuildError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, BuildError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BuildError> {
        match &self.0.value {
            Value::String(s) => visitor.visit_enum(BorrowedStrDeserializer::new(s)),
            Value::Table(entries) => {
                let table = Table { entries, next: 0 };
                MapAccessDeserializer::new(table).deserialize_enum(name, variants, visitor)
            }
            _ => self.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Table<'a> {
    entries: &'a [(String, Node)],
    next: usize,
}

impl<'a> MapAccess<'a> for Table<'a> {
    type Error = BuildError;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, BuildError> {
        let Some((key, _)) = self.entries.get(self.next) else { return Ok(None) };
        let read = seed.deserialize(BorrowedStrDeserializer::<BuildError>::new(key));
        read.map(Some).map_err(|e| e.under(Seg::Key(key.clone())))
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, BuildError> {
        let (key, node) = &self.entries[self.next];
        self.next += 1;
        seed.deserialize(Reader(node)).map_err(|e| e.under(Seg::Key(key.clone())))
    }
}

struct List<'a> {
    list: &'a [Node],
    next: usize,
}

impl<'a> SeqAccess<'a> for List<'a> {
    type Error = BuildError;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, BuildError> {
        let Some(node) = self.list.get(self.next) else { return Ok(None) };
        self.next += 1;
        let at = self.next - 1;
        seed.deserialize(Reader(node)).map(Some).map_err(|e| e.under(Seg::Index(at)))
    }
}
