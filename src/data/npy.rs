//! NPY files, one array each (NumPy enhancement proposal 1, format versions 1 to 3): numbers in,
//! numbers out. Pickled objects are refused: reading them would run what is in the file.

use std::io::Write;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2};

use crate::error::{Error, Result};

/// First bytes of every NPY file.
const MAGIC: &[u8] = b"\x93NUMPY";
/// What a file may hold, as NumPy writes it.
const TYPES: &str = "b1, i1, u1, i2, u2, i4, u4, i8, u8, f4 or f8";

/// An array as it is on file, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Npy {
    /// Size of each dimension; empty for a single number.
    pub shape: Vec<usize>,
    /// The values, last dimension fastest. Booleans are 0 and 1.
    pub data: Vec<f64>,
}

impl Npy {
    /// The array as `[n, d]`: the first dimension counts rows, the others are flattened.
    pub fn rows(self) -> Result<Array2<f64>> {
        let n = self.shape.first().copied().unwrap_or(1);
        let d = self.shape.iter().skip(1).product();
        let shape = self.shape;
        Array2::from_shape_vec((n, d), self.data).map_err(|_| Error::Shape {
            what: "npy array",
            expected: vec![n, d],
            found: shape,
        })
    }
}

/// Reads an array of numbers. The header's sizes are held against the file before memory is asked
/// for; whole numbers that 64-bit floats cannot hold are refused.
pub fn read(path: &Path) -> Result<Npy> {
    let file = std::fs::read(path).map_err(Error::io(path))?;
    let (head, start) = header(path, &file)?;
    let kind = Kind::parse(&head.descr).map_err(|found| {
        Error::data(path, "header, `descr`", found, format!("numbers: {TYPES}"))
    })?;
    let body = &file[start..];
    let count = head.shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
    let bytes = count.and_then(|n| n.checked_mul(kind.size));
    if bytes != Some(body.len()) {
        let expected = match bytes {
            Some(bytes) => format!("{bytes} for shape {:?} of `{}`", head.shape, head.descr),
            None => format!("a shape that a file can hold, not {:?}", head.shape),
        };
        let place = format!("byte {start}");
        return Err(Error::data(path, place, format!("{} bytes of data", body.len()), expected));
    }
    let mut data = Vec::with_capacity(body.len() / kind.size);
    for (i, raw) in body.chunks_exact(kind.size).enumerate() {
        data.push(kind.value(raw).map_err(|found| {
            let place = format!("byte {}", start + i * kind.size);
            Error::data(path, place, found, "a number that a 64-bit float holds exactly")
        })?);
    }
    if head.fortran && head.shape.len() > 1 {
        data = row_major(&data, &head.shape);
    }
    Ok(Npy { shape: head.shape, data })
}

/// Writes `[n, d]` values as `<f4`. The file appears whole or not at all.
pub fn write_f32(path: &Path, values: ArrayView2<'_, f32>) -> Result<()> {
    write(path, &bytes_f32(values)?)
}

/// The file of `[n, d]` values as `<f4`.
pub fn bytes_f32(values: ArrayView2<'_, f32>) -> Result<Vec<u8>> {
    let shape = format!("({}, {})", values.nrows(), values.ncols());
    let body = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    whole_file("<f4", &shape, &body)
}

/// Writes class numbers `[n]` as `<i8`. The file appears whole or not at all.
pub fn write_labels(path: &Path, labels: &[usize]) -> Result<()> {
    write(path, &bytes_labels(labels)?)
}

/// The file of class numbers `[n]` as `<i8`.
pub fn bytes_labels(labels: &[usize]) -> Result<Vec<u8>> {
    let body = labels.iter().flat_map(|&l| (l as u64).to_le_bytes()).collect::<Vec<u8>>();
    whole_file("<i8", &format!("({},)", labels.len()), &body)
}

fn whole_file(descr: &str, shape: &str, body: &[u8]) -> Result<Vec<u8>> {
    let mut head = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version, length, text and newline fill a multiple of 64 bytes.
    let pad = 63 - (MAGIC.len() + 4 + head.len()) % 64;
    head.push_str(&" ".repeat(pad));
    head.push('\n');
    let length = u16::try_from(head.len())
        .map_err(|_| Error::Internal(format!("npy header of {} bytes", head.len())))?;
    Ok([MAGIC, &[1, 0], &length.to_le_bytes(), head.as_bytes(), body].concat())
}

fn write(path: &Path, whole: &[u8]) -> Result<()> {
    let mut temp = path.as_os_str().to_owned();
    temp.push(format!(".{}.part", std::process::id()));
    let temp = PathBuf::from(temp);
    let written = std::fs::File::create(&temp)
        .and_then(|mut file| file.write_all(whole).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temp, path));
    written.map_err(|why| {
        let _ = std::fs::remove_file(&temp);
        Error::io(path)(why)
    })
}

/// What a header says.
struct Head {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

/// The header, and the byte at which the data starts.
fn header(path: &Path, file: &[u8]) -> Result<(Head, usize)> {
    let refuse = |at: usize, found: String, expected: &str| {
        Err(Error::data(path, format!("byte {at}"), found, expected))
    };
    if !file.starts_with(MAGIC) {
        let found = format!("{:?}", String::from_utf8_lossy(&file[..file.len().min(6)]));
        return refuse(0, found, "the magic bytes of an NPY file, \\x93NUMPY");
    }
    let field = |from: usize, n: usize| file.get(from..from + n);
    let (start, length): (usize, usize) = match (file.get(6), field(8, 2), field(8, 4)) {
        (Some(1), Some(two), _) => (10, usize::from(u16::from_le_bytes([two[0], two[1]]))),
        (Some(2 | 3), _, Some(b)) => (12, u32::from_le_bytes([b[0], b[1], b[2], b[3]]) as usize),
        (Some(1..=3) | None, ..) => {
            return refuse(file.len(), "the end of the file".into(), "a header");
        }
        (Some(version), ..) => {
            return refuse(6, format!("version {version}"), "version 1, 2 or 3");
        }
    };
    let Some(text) = start.checked_add(length).and_then(|end| file.get(start..end)) else {
        let found = format!("{} bytes of header", file.len() - start);
        return refuse(start, found, &format!("{length}"));
    };
    match parse_header(&String::from_utf8_lossy(text)) {
        Some(head) => Ok((head, start + length)),
        None => {
            let found = String::from_utf8_lossy(text).trim().chars().take(80).collect();
            refuse(start, found, "a dictionary with descr, fortran_order and shape")
        }
    }
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` in any order of keys.
fn parse_header(text: &str) -> Option<Head> {
    let value = |key: &str| {
        let (_, rest) =
            ["'", "\""].iter().find_map(|q| text.split_once(&format!("{q}{key}{q}")))?;
        rest.trim_start().strip_prefix(':').map(str::trim_start)
    };
    let descr = value("descr")?;
    let descr = match descr.chars().next()? {
        quote @ ('\'' | '"') => descr[1..].split_once(quote)?.0.to_string(),
        _ => descr.to_string(), // a list: fields of a structure
    };
    let fortran = value("fortran_order")?;
    let fortran = match (fortran.starts_with("True"), fortran.starts_with("False")) {
        (true, _) => true,
        (_, true) => false,
        _ => return None,
    };
    let inside = value("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let shape = inside.split(',').map(str::trim).filter(|s| !s.is_empty());
    let shape = shape.map(|s| s.trim_end_matches('L').parse().ok()).collect::<Option<Vec<_>>>()?;
    Some(Head { descr, fortran, shape })
}

/// One type of number.
struct Kind {
    letter: u8,
    size: usize,
    big_endian: bool,
}

impl Kind {
    /// Reads `<f4` and the like; the error is what was found instead.
    fn parse(descr: &str) -> std::result::Result<Self, String> {
        let bytes = descr.as_bytes();
        let (order, rest) = match bytes.first() {
            Some(b'<' | b'>' | b'=' | b'|') => (bytes[0], &bytes[1..]),
            _ => (b'=', bytes),
        };
        let (letter, size) = match rest {
            b"b1" | b"?" => (b'u', 1),
            [letter @ (b'i' | b'u'), size @ (b'1' | b'2' | b'4' | b'8')] => (*letter, size - b'0'),
            [b'f', size @ (b'4' | b'8')] => (b'f', size - b'0'),
            [b'O', ..] => return Err(format!("`{descr}`, pickled objects")),
            [b'[', ..] => return Err("a structure of fields".to_string()),
            _ => return Err(format!("`{descr}`")),
        };
        // `|` says that order has no meaning, which is true of single bytes only.
        if order == b'|' && size > 1 {
            return Err(format!("`{descr}`, without a byte order"));
        }
        let native_big = order == b'=' && cfg!(target_endian = "big");
        Ok(Self { letter, size: usize::from(size), big_endian: order == b'>' || native_big })
    }

    /// The number in `size` raw bytes.
    fn value(&self, raw: &[u8]) -> std::result::Result<f64, String> {
        // Little-endian, in the low bytes of a word.
        let mut word = [0u8; 8];
        word[..self.size].copy_from_slice(raw);
        if self.big_endian {
            word[..self.size].reverse();
        }
        let bits = u64::from_le_bytes(word);
        let shift = 64 - 8 * self.size as u32;
        match (self.letter, self.size) {
            (b'f', 4) => Ok(f64::from(f32::from_bits(bits as u32))),
            (b'f', _) => Ok(f64::from_bits(bits)),
            (b'i', _) => {
                let whole = ((bits << shift) as i64) >> shift;
                exact(whole.unsigned_abs(), whole as f64, whole)
            }
            _ => exact(bits, bits as f64, bits),
        }
    }
}

/// The value, if its magnitude is at most 2^53.
fn exact(size: u64, value: f64, text: impl ToString) -> std::result::Result<f64, String> {
    if size <= 1 << 53 { Ok(value) } else { Err(text.to_string()) }
}

/// Values whose first index runs fastest, put so that the last does.
fn row_major(data: &[f64], shape: &[usize]) -> Vec<f64> {
    let mut index = vec![0usize; shape.len()];
    let mut out = Vec::with_capacity(data.len());
    for _ in 0..data.len() {
        let at = index.iter().zip(shape).rev().fold(0, |at, (i, size)| at * size + i);
        out.push(data[at]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests;
