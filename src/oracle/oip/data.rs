//! The elements of a tensor and the number types of the protocol.

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};

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

/// Number types. BOOL and BYTES are not numbers and are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype {
    Fp16,
    Fp32,
    Fp64,
    Int { bytes: usize },
    Uint { bytes: usize },
}

impl Datatype {
    /// By its name on the wire.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "FP16" => Self::Fp16,
            "FP32" => Self::Fp32,
            "FP64" => Self::Fp64,
            "INT8" => Self::Int { bytes: 1 },
            "INT16" => Self::Int { bytes: 2 },
            "INT32" => Self::Int { bytes: 4 },
            "INT64" => Self::Int { bytes: 8 },
            "UINT8" => Self::Uint { bytes: 1 },
            "UINT16" => Self::Uint { bytes: 2 },
            "UINT32" => Self::Uint { bytes: 4 },
            "UINT64" => Self::Uint { bytes: 8 },
            other => {
                let found = other.chars().take(20).collect::<String>();
                return Err(Error::input("datatype", found, "FP16/32/64, INT8..64 or UINT8..64"));
            }
        })
    }

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Int { bytes: 1 } => "INT8",
            Self::Int { bytes: 2 } => "INT16",
            Self::Int { bytes: 4 } => "INT32",
            Self::Int { .. } => "INT64",
            Self::Uint { bytes: 1 } => "UINT8",
            Self::Uint { bytes: 2 } => "UINT16",
            Self::Uint { bytes: 4 } => "UINT32",
            Self::Uint { .. } => "UINT64",
        }
    }

    /// True for floats.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::Fp16 | Self::Fp32 | Self::Fp64)
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Fp16 => 2,
            Self::Fp32 => 4,
            Self::Fp64 => 8,
            Self::Int { bytes } | Self::Uint { bytes } => bytes,
        }
    }

    /// True if the type holds `v`; floats also have to be finite in single precision on the way in.
    pub fn admits(self, v: f64) -> bool {
        let whole = v.is_finite() && v.trunc() == v;
        match self {
            Self::Fp16 => v.abs() < 65_520.0,
            Self::Fp32 => (v as f32).is_finite(),
            Self::Fp64 => v.is_finite(),
            Self::Int { bytes } => {
                let half = (1u128 << (8 * bytes - 1)) as f64;
                whole && v >= -half && v < half
            }
            Self::Uint { bytes } => whole && v >= 0.0 && v < (1u128 << (8 * bytes)) as f64,
        }
    }

    /// Numbers from little-endian bytes.
    pub fn read(self, bytes: &[u8]) -> Result<Vec<f64>> {
        let size = self.bytes();
        if !bytes.len().is_multiple_of(size) {
            let expected = format!("a multiple of {size} bytes for {}", self.name());
            return Err(Error::input("binary_data_size", bytes.len(), expected));
        }
        Ok(bytes.chunks_exact(size).map(|c| self.read_one(c)).collect())
    }

    fn read_one(self, chunk: &[u8]) -> f64 {
        let mut wide = [0u8; 8];
        wide[..chunk.len()].copy_from_slice(chunk);
        let raw = u64::from_le_bytes(wide);
        match self {
            Self::Fp16 => half(raw as u16),
            Self::Fp32 => f64::from(f32::from_bits(raw as u32)),
            Self::Fp64 => f64::from_bits(raw),
            Self::Int { bytes } => {
                let shift = 64 - 8 * bytes;
                ((raw << shift) as i64 >> shift) as f64
            }
            Self::Uint { .. } => raw as f64,
        }
    }

    /// Numbers as little-endian bytes.
    pub fn write(self, values: &[f64]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(values.len() * self.bytes());
        for &v in values {
            match self {
                Self::Fp16 => return Err(Error::input("datatype", "FP16", "a type we write")),
                Self::Fp32 => bytes.extend((v as f32).to_le_bytes()),
                Self::Fp64 => bytes.extend(v.to_le_bytes()),
                Self::Int { bytes: n } => bytes.extend(&(v as i64).to_le_bytes()[..n]),
                Self::Uint { bytes: n } => bytes.extend(&(v as u64).to_le_bytes()[..n]),
            }
        }
        Ok(bytes)
    }
}

/// The value of a half-precision number (IEEE 754 binary16), exact.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => libm::ldexp(fraction, -24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => libm::ldexp(1024.0 + fraction, e - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}
