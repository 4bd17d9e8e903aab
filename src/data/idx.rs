//! IDX files, the format of MNIST (LeCun, Cortes and Burges 1998): a magic number, big-endian
//! sizes, one byte a pixel. Rows run top to bottom, pixels left to right.
//!
//! Packing is told from a file's first two bytes, never from its name. A size in a header is a
//! claim: it is held against the file before any memory is asked for.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;
use ndarray::Array2;

use crate::error::{Error, Result};

/// First two bytes of a gzip file.
pub(super) const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Deflate never unpacks a byte to more than this many.
const MAX_RATIO: u64 = 1032;

/// Images as they are on file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    /// `[n, height * width]`, 0 to 255.
    pub pixels: Array2<u8>,
    /// Pixel rows of an image.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
}

/// Reads `n` images from an `idx3` file, packed or plain.
pub fn read_images(path: &Path) -> Result<Images> {
    let ([n, height, width], bytes) = read(path)?;
    let pixels = Array2::from_shape_vec((n, height * width), bytes)
        .map_err(|why| Error::Internal(format!("{}: {why}", path.display())))?;
    Ok(Images { pixels, height, width })
}

/// Reads the labels of an `idx1` file, packed or plain.
pub fn read_labels(path: &Path) -> Result<Vec<u8>> {
    read::<1>(path).map(|(_, labels)| labels)
}

/// Finds a file in `dir` under any usual spelling: `train-images-idx3-ubyte` or
/// `train-images.idx3-ubyte` for the stem `train-images` and 3 dimensions, with or without `.gz`.
pub fn find(dir: &Path, stem: &str, dimensions: u8) -> Result<PathBuf> {
    let names = ["-", "."].map(|dot| format!("{stem}{dot}idx{dimensions}-ubyte"));
    let names: Vec<String> = names.into_iter().flat_map(|n| [format!("{n}.gz"), n]).collect();
    match names.iter().map(|name| dir.join(name)).find(|path| path.is_file()) {
        Some(path) => Ok(path),
        None => Err(Error::data(
            dir,
            "files",
            "none of the usual names",
            format!("one of {}", names.join(", ")),
        )),
    }
}

/// Sizes and bytes of an unsigned-byte array of D dimensions.
fn read<const D: usize>(path: &Path) -> Result<([usize; D], Vec<u8>)> {
    let file = std::fs::read(path).map_err(Error::io(path))?;
    let packed = file.starts_with(&GZIP);
    let at = |offset: usize| match packed {
        true => format!("byte {offset} of the unpacked data"),
        false => format!("byte {offset}"),
    };
    let unpack = |limit: u64| match packed {
        true => gunzip(path, &file, limit),
        false => Ok(file[..file.len().min(usize::try_from(limit).unwrap_or(usize::MAX))].to_vec()),
    };

    let head_len = 4 + 4 * D;
    let head = unpack(head_len as u64)?;
    if head.len() < head_len {
        let found = format!("{} bytes", head.len());
        return Err(Error::data(path, at(0), found, format!("a header of {head_len} bytes")));
    }
    let word = |i: usize| u32::from_be_bytes([head[i], head[i + 1], head[i + 2], head[i + 3]]);
    let magic = 0x0800 + D as u32;
    if word(0) != magic {
        let found = format!("magic number {:#010x}", word(0));
        let expected = format!("{magic:#010x} (unsigned bytes, {D} dimensions)");
        return Err(Error::data(path, at(0), found, expected));
    }
    let sizes: [u32; D] = std::array::from_fn(|i| word(4 + 4 * i));
    if let Some(zero) = sizes.iter().position(|&s| s == 0) {
        return Err(Error::data(path, at(4 + 4 * zero), "a size of 0", "at least 1"));
    }
    let body = sizes.iter().try_fold(1u64, |product, &s| product.checked_mul(u64::from(s)));
    let total = body.and_then(|b| b.checked_add(head_len as u64));
    let room = if packed { file.len() as u64 * MAX_RATIO } else { file.len() as u64 };
    let Some(total) = total.filter(|t| *t <= room) else {
        let held = if packed { "packed bytes" } else { "bytes" };
        let found = format!("sizes {sizes:?} in a file of {} {held}", file.len());
        return Err(Error::data(path, at(4), found, "sizes that the file can hold"));
    };

    let mut bytes = unpack(total.saturating_add(1))?;
    if bytes.len() as u64 != total {
        let (place, found) = match bytes.len() as u64 > total {
            true => (at(total as usize), "more bytes".to_string()),
            false => (at(bytes.len()), "the end of the data".to_string()),
        };
        return Err(Error::data(path, place, found, format!("{total} bytes for sizes {sizes:?}")));
    }
    bytes.drain(..head_len);
    Ok((sizes.map(|s| s as usize), bytes))
}

/// Unpacks at most `limit` bytes. Members may follow one another, and zeros may pad the end; both
/// are looked at only if the data ends before the limit.
pub(super) fn gunzip(path: &Path, file: &[u8], limit: u64) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = file;
    loop {
        let start = file.len() - rest.len();
        let left = limit - out.len() as u64;
        let mut member = GzDecoder::new(rest);
        if let Err(why) = member.by_ref().take(left).read_to_end(&mut out) {
            let place = format!("byte {}", file.len() - member.get_ref().len());
            if why.kind() == std::io::ErrorKind::UnexpectedEof {
                let expected = format!("the rest of the gzip member that starts at byte {start}");
                return Err(Error::data(path, place, "the end of the file", expected));
            }
            return Err(Error::data(path, place, why.to_string(), "sound gzip data"));
        }
        if out.len() as u64 >= limit {
            return Ok(out);
        }
        rest = member.into_inner();
        if rest.iter().all(|&b| b == 0) {
            return Ok(out);
        }
        if !rest.starts_with(&GZIP) {
            let place = format!("byte {}", file.len() - rest.len());
            let found = format!("{} bytes after the packed data", rest.len());
            return Err(Error::data(path, place, found, "the end of the file, or zeros"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::tests::folder;
    use std::io::Write;

    /// Two images of 2x3 pixels, 0 to 11.
    fn images() -> Vec<u8> {
        let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3];
        bytes.extend(0..12);
        bytes
    }

    fn gz(bytes: &[u8]) -> Vec<u8> {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn refusal(name: &str, bytes: &[u8]) -> String {
        let path = folder(name).join("f");
        std::fs::write(&path, bytes).unwrap();
        read_images(&path).unwrap_err().to_string()
    }

    #[test]
    fn packing_is_told_from_the_bytes_and_not_from_the_name() {
        let dir = folder("idx-packing");
        for (name, bytes) in [("plain", images()), ("packed", gz(&images())), ("a.gz", images())] {
            let path = dir.join(name);
            std::fs::write(&path, bytes).unwrap();
            let read = read_images(&path).unwrap();
            assert_eq!((read.pixels.dim(), read.height, read.width), ((2, 6), 2, 3));
            assert_eq!(read.pixels[[1, 0]], 6);
        }
    }

    #[test]
    fn both_spellings_are_found_and_a_missing_file_lists_them_all() {
        let dir = folder("idx-names");
        let message = find(&dir, "train-images", 3).unwrap_err().to_string();
        for name in ["train-images-idx3-ubyte", "train-images.idx3-ubyte"] {
            assert!(message.contains(&format!("{name}.gz, {name}")), "{message}");
            for name in [name.to_string(), format!("{name}.gz")] {
                std::fs::write(dir.join(&name), images()).unwrap();
                assert_eq!(find(&dir, "train-images", 3).unwrap(), dir.join(&name));
                std::fs::remove_file(dir.join(&name)).unwrap();
            }
        }
    }

    #[test]
    fn a_wrong_magic_number_is_refused() {
        let mut bytes = images();
        bytes[3] = 1;
        let message = refusal("idx-magic", &bytes);
        assert!(message.contains("byte 0: found magic number 0x00000801"), "{message}");
        assert!(refusal("idx-twice", &gz(&gz(&images()))).contains("0x1f8b"));
    }

    #[test]
    fn a_file_cut_anywhere_is_refused() {
        for (name, whole) in [("idx-cut", images()), ("idx-cut-gz", gz(&images()))] {
            for n in 0..whole.len() {
                assert!(!refusal(name, &whole[..n]).is_empty());
            }
        }
    }

    #[test]
    fn bytes_after_the_data_are_refused_with_their_offset() {
        let mut bytes = images();
        bytes.push(0);
        assert!(refusal("idx-extra", &bytes).contains("byte 28: found more bytes"));
        let packed = refusal("idx-extra-gz", &gz(&bytes));
        assert!(packed.contains("byte 28 of the unpacked data: found more bytes"), "{packed}");
    }

    #[test]
    fn a_header_that_promises_more_than_the_file_holds_is_refused_before_memory_is_asked_for() {
        let mut bytes = images();
        bytes[4..16].fill(0xff);
        for (name, bytes) in [("idx-lie", bytes.clone()), ("idx-lie-gz", gz(&bytes))] {
            assert!(refusal(name, &bytes).contains("expected sizes that the file can hold"));
        }
        bytes[4..16].copy_from_slice(&[0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 3]);
        let message = refusal("idx-short-gz", &gz(&bytes));
        assert!(message.contains("byte 28 of the unpacked data: found the end"), "{message}");
    }

    #[test]
    fn junk_after_the_packed_data_is_named_and_zeros_are_accepted() {
        let path = folder("idx-junk").join("f");
        let packed = gz(&images());
        std::fs::write(&path, [&packed[..], &[0; 512]].concat()).unwrap();
        assert!(read_images(&path).is_ok());
        let message = refusal("idx-junk", &[&packed[..], b"junk"].concat());
        let expected = format!("byte {}: found 4 bytes after the packed data", packed.len());
        assert!(message.contains(&expected), "{message}");
    }

    #[test]
    fn members_may_follow_one_another() {
        let path = folder("idx-members").join("f");
        let (a, b) = (gz(&images()[..7]), gz(&images()[7..]));
        std::fs::write(&path, [a, b].concat()).unwrap();
        assert_eq!(read_images(&path).unwrap().pixels.len(), 12);
    }

    #[test]
    fn a_flipped_byte_of_packed_data_is_refused() {
        let mut packed = gz(&images());
        let at = packed.len() - 6; // within the checksum
        packed[at] ^= 1;
        assert!(refusal("idx-flip", &packed).contains("expected sound gzip data"));
    }
}
