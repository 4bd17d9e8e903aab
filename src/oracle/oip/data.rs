//! The elements of a tensor, read from JSON that may nest them.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

use super::Datatype;
use crate::error::{Error, Result};

/// Deepest nesting of arrays that is read.
const DEEPEST: usize = 8;

/// Elements, flat and row-major, however they were nested.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Data {
    /// One number an element.
    pub values: Vec<f64>,
    /// Written as whole numbers.
    pub whole: bool,
    /// Lengths of the nested arrays, outermost first; one entry for flat data.
    nest: Vec<usize>,
    /// What was met instead of a number or a regular nesting.
    odd: Option<&'static str>,
}

impl Data {
    /// Flat floats.
    pub fn new(values: Vec<f64>) -> Self {
        Self { nest: vec![values.len()], values, whole: false, odd: None }
    }

    /// Flat whole numbers, exact up to 2^53.
    pub fn whole(values: impl IntoIterator<Item = usize>) -> Self {
        Self { whole: true, ..Self::new(values.into_iter().map(|v| v as f64).collect()) }
    }

    /// True if JSON can carry every value.
    pub fn all_finite(&self) -> bool {
        self.values.iter().all(|v| v.is_finite())
    }

    /// Refuses anything but as many numbers of this type as the shape says.
    pub fn check(&self, name: &str, shape: &[usize], datatype: Datatype) -> Result<()> {
        let wrong = |found: String, expected: &str| {
            Err(Error::input(format!("tensor {name:?}"), found, expected))
        };
        if let Some(odd) = self.odd {
            return wrong(odd.into(), "numbers, flat or nested as the shape says");
        }
        let size = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        if size != Some(self.values.len()) || (self.nest.len() > 1 && self.nest != shape) {
            let found = format!("{} numbers nested as {:?}", self.values.len(), self.nest);
            return wrong(found, &format!("as many as shape {shape:?} holds, flat or so nested"));
        }
        match self.values.iter().find(|&&v| !datatype.admits(v)) {
            Some(v) => wrong(v.to_string(), &format!("finite values of {}", datatype.name())),
            None => Ok(()),
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, to: S) -> std::result::Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.values.len()))?;
        for v in &self.values {
            if self.whole {
                list.serialize_element(&(*v as i64))?;
            } else {
                list.serialize_element(v)?;
            }
        }
        list.end()
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        let mut walk = Walk::default();
        Element { walk: &mut walk, depth: 0 }.deserialize(from)?;
        let Walk { values, nest, odd, .. } = walk;
        Ok(Self { values, nest, odd, whole: false })
    }
}

#[derive(Default)]
struct Walk {
    values: Vec<f64>,
    nest: Vec<usize>,
    closed: Vec<bool>,
    leaf: Option<usize>,
    odd: Option<&'static str>,
}

struct Element<'a> {
    walk: &'a mut Walk,
    depth: usize,
}

impl Element<'_> {
    fn odd(self, what: &'static str) {
        self.walk.odd.get_or_insert(what);
    }

    fn number(self, v: f64) {
        if *self.walk.leaf.get_or_insert(self.depth) != self.depth || self.depth == 0 {
            self.walk.odd.get_or_insert("numbers at different depths");
        }
        self.walk.values.push(v);
    }

    fn close(&mut self, length: usize) {
        let Walk { nest, closed, odd, .. } = &mut *self.walk;
        if !std::mem::replace(&mut closed[self.depth], true) {
            nest[self.depth] = length;
        } else if nest[self.depth] != length {
            odd.get_or_insert("rows of different lengths");
        }
    }
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("numbers, flat or nested")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> std::result::Result<(), A::Error> {
        if self.depth >= DEEPEST {
            return Err(serde::de::Error::custom("data nested deeper than 8 arrays"));
        }
        if self.walk.nest.len() <= self.depth {
            self.walk.nest.push(0);
            self.walk.closed.push(false);
        }
        let mut length = 0;
        while list
            .next_element_seed(Element { walk: &mut *self.walk, depth: self.depth + 1 })?
            .is_some()
        {
            length += 1;
        }
        self.close(length);
        Ok(())
    }

    fn visit_f64<E>(self, v: f64) -> std::result::Result<(), E> {
        self.number(v);
        Ok(())
    }

    fn visit_i64<E>(self, v: i64) -> std::result::Result<(), E> {
        self.number(v as f64);
        Ok(())
    }

    fn visit_u64<E>(self, v: u64) -> std::result::Result<(), E> {
        self.number(v as f64);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<(), E> {
        self.odd("true or false");
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<(), E> {
        self.odd("text");
        Ok(())
    }

    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        self.odd("null");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.odd("an object");
        Ok(())
    }
}
