//! Reading GGUF files (version 2 and 3, little endian; ggml's docs/gguf.md). A file is hostile until read: every length
//! in it is held against the bytes that are there before anything of that length is made.

use std::collections::BTreeMap;
use std::path::Path;

use super::quant::{Format, KNOWN};
use crate::error::{Error, Result};

/// What a file says about itself.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Whole(i64),
    Real(f64),
    Truth(bool),
    Text(String),
    Wholes(Vec<i64>),
    Texts(Vec<String>),
    /// Of a type that no model here asks for.
    Other,
}

/// A tensor's place. Dimensions as in the file: the first is that of adjacent numbers.
#[derive(Clone, Debug)]
pub(super) struct Entry<'a> {
    pub dimensions: Vec<usize>,
    pub format: Format,
    pub bytes: &'a [u8],
}

/// A file's contents.
pub(super) struct Gguf<'a> {
    pub file: &'a Path,
    pub values: BTreeMap<String, Value>,
    pub tensors: BTreeMap<String, Entry<'a>>,
}

/// Bytes of the shortest description of a value, and of a tensor.
const LEAST_VALUE: usize = 8 + 1 + 4 + 1;
const LEAST_TENSOR: usize = 8 + 1 + 4 + 8 + 4 + 8;

impl<'a> Gguf<'a> {
    /// Reads descriptions; tensors stay where they lie.
    pub(super) fn read(file: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let mut cursor = Cursor { file, bytes, at: 0 };
        if cursor.take(4)? != b"GGUF" {
            return Err(Error::data(file, "byte 0", "another beginning", "`GGUF`"));
        }
        let version = cursor.u32()?;
        if !(2..=3).contains(&version) {
            let found = match version.swap_bytes() {
                2 | 3 => "a big-endian file".into(),
                _ => format!("version {version}"),
            };
            return Err(Error::data(file, "byte 4", found, "version 2 or 3, little endian"));
        }
        let tensors = cursor.count("tensors", LEAST_TENSOR)?;
        let values = cursor.count("values", LEAST_VALUE)?;
        let values = cursor.values(values)?;
        let described = cursor.described(tensors)?;
        let alignment = match values.get("general.alignment") {
            None => 32,
            Some(&Value::Whole(n)) if n > 0 && n <= 1 << 20 && n & (n - 1) == 0 => n as usize,
            Some(other) => {
                let found = format!("{other:?}");
                return Err(Error::data(file, "general.alignment", found, "a power of 2"));
            }
        };
        let start = cursor.at.next_multiple_of(alignment).min(bytes.len());
        let data = &bytes[start..];
        let mut tensors = BTreeMap::new();
        for (name, dimensions, format, offset) in described {
            let refuse = |found: String, expected: &str| {
                Error::data(file, format!("tensor `{}`", name.escape_debug()), found, expected)
            };
            let (unit, size) = format.unit();
            let numbers = dimensions.iter().try_fold(1usize, |all, &d| all.checked_mul(d));
            let row = dimensions.first().copied().unwrap_or(0);
            if !row.is_multiple_of(unit) {
                return Err(refuse(format!("rows of {row}"), &format!("a multiple of {unit}")));
            }
            let held = numbers.and_then(|n| (n / unit).checked_mul(size)).and_then(|len| {
                let from =
                    usize::try_from(offset).ok().filter(|from| from.is_multiple_of(alignment))?;
                data.get(from..from.checked_add(len)?)
            });
            let Some(bytes) = held else {
                let found = format!("{dimensions:?} {format:?} from byte {offset} of the data");
                let expected =
                    format!("inside the {} bytes, at a multiple of {alignment}", data.len());
                return Err(refuse(found, &expected));
            };
            let entry = Entry { dimensions, format, bytes };
            if tensors.insert(name.clone(), entry).is_some() {
                return Err(refuse("a second one".into(), "each name once"));
            }
        }
        Ok(Self { file, values, tensors })
    }

    fn refuse(&self, key: &str, found: Option<&Value>, expected: &str) -> Error {
        let found = match found {
            None => "nothing".into(),
            Some(value) => {
                let text = format!("{value:?}");
                text.chars().take(80).collect::<String>()
            }
        };
        Error::data(self.file, key, found, expected)
    }

    /// A whole number, not negative, up to `most`.
    pub(super) fn whole(&self, key: &str, most: usize) -> Result<Option<usize>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(&Value::Whole(n)) if n >= 0 && n as u64 <= most as u64 => Ok(Some(n as usize)),
            other => Err(self.refuse(key, other, &format!("a whole number up to {most}"))),
        }
    }

    /// The same, from 1, where the file must say it.
    pub(super) fn size(&self, key: &str, most: usize) -> Result<usize> {
        match self.whole(key, most)? {
            Some(n) if n > 0 => Ok(n),
            _ => {
                Err(self.refuse(key, self.values.get(key), &format!("a whole number, 1 to {most}")))
            }
        }
    }

    pub(super) fn real(&self, key: &str) -> Result<Option<f64>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(&Value::Real(x)) if x.is_finite() => Ok(Some(x)),
            other => Err(self.refuse(key, other, "a finite number")),
        }
    }

    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(&Value::Truth(truth)) => Ok(Some(truth)),
            other => Err(self.refuse(key, other, "true or false")),
        }
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            other => Err(self.refuse(key, other, "a text")),
        }
    }

    pub(super) fn texts(&self, key: &str) -> Result<&[String]> {
        match self.values.get(key) {
            Some(Value::Texts(texts)) => Ok(texts),
            other => Err(self.refuse(key, other, "a list of texts")),
        }
    }

    pub(super) fn wholes(&self, key: &str) -> Result<Option<&[i64]>> {
        match self.values.get(key) {
            None => Ok(None),
            Some(Value::Wholes(numbers)) => Ok(Some(numbers)),
            other => Err(self.refuse(key, other, "a list of whole numbers")),
        }
    }
}

/// A tensor as described: name, dimensions, format, offset.
type Described = (String, Vec<usize>, Format, u64);

/// A place in the bytes.
struct Cursor<'a> {
    file: &'a Path,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn refuse(&self, found: impl Into<String>, expected: impl Into<String>) -> Error {
        Error::data(self.file, format!("byte {}", self.at), found, expected)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let left = self.bytes.len() - self.at;
        if len > left {
            return Err(self.refuse(format!("{left} more bytes"), format!("{len}")));
        }
        self.at += len;
        Ok(&self.bytes[self.at - len..self.at])
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A number of things that take at least so many bytes each.
    fn count(&mut self, what: &str, least: usize) -> Result<usize> {
        let left = (self.bytes.len() - self.at) / least;
        let count = self.u64()?;
        if count > left as u64 {
            return Err(self
                .refuse(format!("{count} {what}"), format!("at most {left}, as bytes are left")));
        }
        Ok(count as usize)
    }

    fn text(&mut self) -> Result<String> {
        let len = self.count("bytes of text", 1)?;
        let bytes = self.take(len)?;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(text.into()),
            Err(_) => Err(self.refuse("bytes that are no UTF-8", "a text before here")),
        }
    }

    fn values(&mut self, count: usize) -> Result<BTreeMap<String, Value>> {
        let mut values = BTreeMap::new();
        for _ in 0..count {
            let key = self.text()?;
            let kind = self.u32()?;
            let value = self.value(kind)?;
            if values.insert(key.clone(), value).is_some() {
                let found = format!("a second `{}`", key.escape_debug());
                return Err(self.refuse(found, "each key once"));
            }
        }
        Ok(values)
    }

    fn value(&mut self, kind: u32) -> Result<Value> {
        Ok(match kind {
            6 => Value::Real(f64::from(f32::from_le_bytes(self.array()?))),
            7 => match self.array::<1>()? {
                [0] => Value::Truth(false),
                [1] => Value::Truth(true),
                [other] => return Err(self.refuse(format!("{other} for a truth"), "0 or 1")),
            },
            8 => Value::Text(self.text()?),
            9 => self.list()?,
            12 => Value::Real(f64::from_le_bytes(self.array()?)),
            _ => Value::Whole(self.whole(kind)?),
        })
    }

    fn whole(&mut self, kind: u32) -> Result<i64> {
        Ok(match kind {
            0 => i64::from(u8::from_le_bytes(self.array()?)),
            1 => i64::from(i8::from_le_bytes(self.array()?)),
            2 => i64::from(u16::from_le_bytes(self.array()?)),
            3 => i64::from(i16::from_le_bytes(self.array()?)),
            4 => i64::from(self.u32()?),
            5 => i64::from(i32::from_le_bytes(self.array()?)),
            10 => i64::try_from(self.u64()?).unwrap_or(i64::MAX),
            11 => i64::from_le_bytes(self.array()?),
            other => return Err(self.refuse(format!("type {other} of a value"), "0 to 12")),
        })
    }

    fn list(&mut self) -> Result<Value> {
        let kind = self.u32()?;
        let least = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            8 | 10..=12 => 8,
            4..=6 => 4,
            other => {
                return Err(self.refuse(format!("a list of type {other}"), "0 to 8, or 10 to 12"));
            }
        };
        let count = self.count("items of a list", least)?;
        Ok(match kind {
            8 => Value::Texts((0..count).map(|_| self.text()).collect::<Result<_>>()?),
            6 | 7 | 12 => {
                self.take(count * least)?;
                Value::Other
            }
            _ => Value::Wholes((0..count).map(|_| self.whole(kind)).collect::<Result<_>>()?),
        })
    }

    fn described(&mut self, count: usize) -> Result<Vec<Described>> {
        (0..count)
            .map(|_| {
                let name = self.text()?;
                let dimensions = match self.u32()? {
                    count @ 1..=4 => (0..count).map(|_| self.u64()).collect::<Result<Vec<_>>>()?,
                    other => return Err(self.refuse(format!("{other} dimensions"), "1 to 4")),
                };
                // What is too large for this machine is too large for the file.
                let dimensions = dimensions
                    .into_iter()
                    .map(|d| usize::try_from(d).unwrap_or(usize::MAX))
                    .collect();
                let format = self.u32()?;
                let Some(format) = Format::of(format) else {
                    let found = format!("format {format} of tensor `{}`", name.escape_debug());
                    return Err(self.refuse(found, KNOWN));
                };
                Ok((name, dimensions, format, self.u64()?))
            })
            .collect()
    }
}
