//! NPY files of the two types that travel between the programs. Values are read straight into the
//! type they are used in, so that peak memory is that of the work, not of the reading.

use std::path::Path;

use crate::Outcome;

/// A value that is stored in four or eight bytes.
pub trait Element: Copy {
    /// NumPy's name of the type.
    const DESCR: &'static str;
    const SIZE: usize;
    fn put(self, out: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Self;
}

impl Element for f32 {
    const DESCR: &'static str = "<f4";
    const SIZE: usize = 4;
    fn put(self, out: &mut Vec<u8>) {
        out.extend(self.to_le_bytes());
    }
    fn get(bytes: &[u8]) -> Self {
        Self::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }
}

/// Class and row numbers.
impl Element for usize {
    const DESCR: &'static str = "<i8";
    const SIZE: usize = 8;
    fn put(self, out: &mut Vec<u8>) {
        out.extend((self as u64).to_le_bytes());
    }
    fn get(bytes: &[u8]) -> Self {
        bytes.iter().rev().fold(0, |n, &b| n << 8 | Self::from(b))
    }
}

/// Writes `values` in row-major order.
pub fn write<T: Element>(path: &Path, shape: &[usize], values: &[T]) -> Outcome<()> {
    assert_eq!(shape.iter().product::<usize>(), values.len(), "{}", path.display());
    let sizes: String = shape.iter().map(|n| format!("{n},")).collect();
    let descr = T::DESCR;
    let text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    // Magic, version, length, text and newline fill a multiple of 64 bytes.
    let width = text.len() + (64 - (text.len() + 11) % 64) % 64;
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend(u16::try_from(width + 1)?.to_le_bytes());
    file.extend(format!("{text:width$}\n").as_bytes());
    values.iter().for_each(|v| v.put(&mut file));
    std::fs::write(path, file).map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(())
}

/// Reads what [`write`] or NumPy wrote: the shape and the values.
pub fn read<T: Element>(path: &Path) -> Outcome<(Vec<usize>, Vec<T>)> {
    let file = std::fs::read(path).map_err(|why| format!("{}: {why}", path.display()))?;
    let refuse = || format!("{}: not an NPY file of {} values", path.display(), T::DESCR);
    let length = file.get(8..10).ok_or_else(refuse)?;
    let start = 10 + usize::from(u16::from_le_bytes([length[0], length[1]]));
    let text = String::from_utf8_lossy(file.get(10..start).ok_or_else(refuse)?);
    let sizes = text.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')'));
    let (sizes, _) = sizes.filter(|_| text.contains(T::DESCR)).ok_or_else(refuse)?;
    let sizes = sizes.split(',').map(str::trim).filter(|s| !s.is_empty());
    let shape = sizes.map(str::parse).collect::<Result<Vec<usize>, _>>()?;
    let values: Vec<T> = file[start..].chunks_exact(T::SIZE).map(T::get).collect();
    if shape.iter().product::<usize>() != values.len() {
        return Err(refuse().into());
    }
    Ok((shape, values))
}
