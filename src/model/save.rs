//! Models on disk: safetensors files whose header names the network and where it came from.
//!
//! A file appears whole or not at all (write aside, flush, rename). A file is refused with what is
//! wrong before anything of a promised size is allocated.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorInfo, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::network::Network;
use super::tree::Tree;
use super::{Arch, Device, InputShape, Model, Parameter};
use crate::error::{Error, Result};

/// Where a model came from: config, seed, data hash, accuracy; whatever the writer wants to keep.
pub type Provenance = BTreeMap<String, String>;

/// A kind of file.
pub(super) struct Kind {
    /// Key of our part of the header.
    pub key: &'static str,
    /// Version of the header's layout.
    pub format: u32,
    /// What such a file is, for those who have another.
    pub what: &'static str,
}

/// How numbers are written. Both are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Storage {
    /// 32 bits.
    Full,
    /// Rounded to 16.
    Half,
}

const KEY: &str = "retort";
const FORMAT: u32 = 2;
const KIND: Kind = Kind { key: KEY, format: FORMAT, what: "a model saved by retort" };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    arch: Arch,
    shape: InputShape,
    classes: usize,
    provenance: Provenance,
}

impl Model {
    /// Writes the model to `path`, replacing what was there. Equal models give equal bytes.
    pub fn save(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        write_whole(path, &self.to_bytes(provenance)?)
    }

    /// Reads a model and its provenance.
    pub fn load(path: &Path, device: Device) -> Result<(Self, Provenance)> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let (header, tensors) = read(&bytes, path, &KIND)?;
        let Header { arch, shape, classes, provenance, .. } = header;
        let model = Self::made_of(&arch, shape, classes, device, tensors)?.map_err(|found| {
            Error::data(path, "tensors", found, "exactly the tensors of its plan")
        })?;
        Ok((model, provenance))
    }

    /// A model of these parameters; names and shapes must be exactly those of the plan.
    pub fn from_tensors(
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        tensors: Vec<Parameter>,
    ) -> Result<Self> {
        Self::made_of(arch, shape, classes, device, tensors)?.map_err(|found| {
            let expected = format!("exactly the tensors of `{}`", arch.kind());
            Error::input("parameters of a model", found, expected)
        })
    }

    /// The model of these parameters, or how they differ from what its plan needs.
    fn made_of(
        arch: &Arch,
        shape: InputShape,
        classes: usize,
        device: Device,
        tensors: Vec<Parameter>,
    ) -> Result<std::result::Result<Self, String>> {
        arch.check(shape, classes)?;
        if matches!(arch, Arch::Tree { .. }) {
            return match Tree::from_named(tensors, shape.len(), classes) {
                Ok(tree) => Self::of_tree(arch, shape, classes, device, tree).map(Ok),
                Err(found) => Ok(Err(found)),
            };
        }
        // Weights that are no numbers would give one-vs-rest answers that are none.
        if let (Arch::OneVsRest {}, Some(found)) = (arch, not_finite(&tensors)) {
            return Ok(Err(found));
        }
        match in_order(&arch.network(shape, classes)?, tensors) {
            Ok(values) => Self::assemble(arch, shape, classes, device, values).map(Ok),
            Err(found) => Ok(Err(found)),
        }
    }

    fn to_bytes(&self, provenance: &Provenance) -> Result<Vec<u8>> {
        let header = Header {
            format: FORMAT,
            arch: self.arch.clone(),
            shape: self.shape,
            classes: self.classes,
            provenance: provenance.clone(),
        };
        to_bytes(&KIND, &header, &self.weights()?, Storage::Full)
    }
}

/// Bytes of a file of these parameters. Equal ones give equal bytes.
pub(super) fn to_bytes(
    kind: &Kind,
    header: &impl Serialize,
    weights: &[Parameter],
    storage: Storage,
) -> Result<Vec<u8>> {
    let internal = |e: String| Error::Internal(format!("writing a model: {e}"));
    let header = serde_json::to_string(header).map_err(|e| internal(e.to_string()))?;
    let dtype = match storage {
        Storage::Full => Dtype::F32,
        Storage::Half => Dtype::F16,
    };
    let bytes = weights.iter().map(|(_, _, v)| written(v, storage)).collect::<Result<Vec<_>>>()?;
    let mut views = Vec::new();
    for ((name, shape, _), bytes) in weights.iter().zip(&bytes) {
        let view = TensorView::new(dtype, shape.clone(), bytes);
        views.push((name, view.map_err(|e| internal(e.to_string()))?));
    }
    // One entry, so that the order of a hash map cannot show.
    let metadata = Some([(kind.key.to_string(), header)].into_iter().collect());
    safetensors::serialize(views, metadata).map_err(|e| internal(e.to_string()))
}

fn written(values: &[f32], storage: Storage) -> Result<Vec<u8>> {
    if storage == Storage::Full {
        return Ok(values.iter().flat_map(|v| v.to_le_bytes()).collect());
    }
    let halves: Vec<f16> = values.iter().map(|&v| f16::from_f32(v)).collect();
    match values.iter().zip(&halves).find(|(v, half)| v.is_finite() && half.is_infinite()) {
        Some((v, _)) => Err(Error::input("a weight to be written in 16 bits", v, "up to 65504")),
        None => Ok(halves.iter().flat_map(|half| half.to_le_bytes()).collect()),
    }
}

/// Header and tensors of a file of this kind, the latter by name.
pub(super) fn read<H: DeserializeOwned>(
    bytes: &[u8],
    path: &Path,
    kind: &Kind,
) -> Result<(H, Vec<Parameter>)> {
    let refuse =
        |place: String, found: String, expected: &str| Error::data(path, place, found, expected);
    check_layout(bytes).map_err(|(place, found)| refuse(place, found, "a safetensors file"))?;
    let file = SafeTensors::deserialize(bytes)
        .map_err(|e| refuse("header".into(), e.to_string(), "a safetensors file"))?;
    let header =
        read_header(bytes, kind).map_err(|found| refuse("header".into(), found, kind.what))?;
    let mut tensors = Vec::new();
    let mut views = file.tensors();
    views.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, view) in views {
        let values =
            numbers(&view).map_err(|found| refuse(format!("tensor `{name}`"), found, FLOATS))?;
        tensors.push((name, view.shape().to_vec(), values));
    }
    Ok((header, tensors))
}

/// The numbers of these tensors in the network's order, or how they differ from what it needs.
pub(super) fn in_order(
    network: &Network,
    tensors: Vec<Parameter>,
) -> std::result::Result<Vec<f32>, String> {
    if let Some(found) = differences(network, &tensors) {
        return Err(found);
    }
    let mut by_name: BTreeMap<String, Vec<f32>> =
        tensors.into_iter().map(|(name, _, values)| (name, values)).collect();
    let order = network.slots().iter();
    Ok(order.filter_map(|slot| by_name.remove(&slot.name)).flatten().collect())
}

/// Writes a file so that readers see all of it or nothing.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        Error::input("file name of a model", path.display(), "a path that ends in a name")
    })?;
    let aside = format!(
        ".{}.{}.{}",
        name.to_string_lossy(),
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let aside: PathBuf = path.with_file_name(aside);
    let write = || {
        let mut file = File::create(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&aside, path)
    };
    write().map_err(|e| {
        // The first failure is what matters; a leftover is harmless.
        let _ = std::fs::remove_file(&aside);
        Error::io(path)(e)
    })
}

/// The parts of the raw file: the header's text and the data.
fn parts(bytes: &[u8]) -> std::result::Result<(&[u8], &[u8]), String> {
    let (size, rest) =
        bytes.split_first_chunk::<8>().ok_or_else(|| format!("{} bytes", bytes.len()))?;
    let size = usize::try_from(u64::from_le_bytes(*size)).unwrap_or(usize::MAX);
    if size > rest.len() {
        return Err(format!("a header of {size} bytes in a file of {}", bytes.len()));
    }
    Ok(rest.split_at(size))
}

/// Checks that the tensors fill the data without gap or overlap, each with the bytes its shape
/// needs. Gives (place, found) of the first that does not.
fn check_layout(bytes: &[u8]) -> std::result::Result<(), (String, String)> {
    let header = |found: String| ("header".to_string(), found);
    let (text, data) = parts(bytes).map_err(header)?;
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(text).map_err(|e| header(e.to_string()))?;
    let mut spans = Vec::new();
    for (name, entry) in entries.into_iter().filter(|(name, _)| name != "__metadata__") {
        let place = format!("tensor `{name}`");
        let info: TensorInfo =
            serde_json::from_value(entry).map_err(|e| (place.clone(), e.to_string()))?;
        let (start, end) = info.data_offsets;
        let numbers = info.shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let needed = numbers.and_then(|n| n.checked_mul(info.dtype.bitsize())).map(|b| b / 8);
        let given = end.checked_sub(start);
        if needed.is_none() || needed != given {
            let given = given.map_or(format!("offsets {start} to {end}"), |g| format!("{g} bytes"));
            let needed = needed.map_or("more than memory".into(), |n| format!("{n} bytes"));
            let found =
                format!("{given} for {} {:?}, which needs {needed}", info.dtype, info.shape);
            return Err((place, found));
        }
        spans.push((start, end, place));
    }
    spans.sort();
    let mut at = 0;
    for (start, end, place) in spans {
        if start != at {
            let found = format!("data from byte {start}, after data that ends at byte {at}");
            return Err((place, found));
        }
        if end > data.len() {
            return Err((place, format!("data up to byte {end} of {}", data.len())));
        }
        at = end;
    }
    match at == data.len() {
        true => Ok(()),
        false => Err(header(format!("{at} bytes of tensors in {} bytes of data", data.len()))),
    }
}

fn read_header<H: DeserializeOwned>(bytes: &[u8], kind: &Kind) -> std::result::Result<H, String> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|e| e.to_string())?;
    let text = metadata.metadata().as_ref().and_then(|m| m.get(kind.key));
    let text = text.ok_or_else(|| format!("no `{}` entry", kind.key))?;
    let Version { format } = serde_json::from_str(text).map_err(|e| e.to_string())?;
    if format != kind.format {
        return Err(format!("format {format}, this version reads {}", kind.format));
    }
    serde_json::from_str(text).map_err(|e| e.to_string())
}

/// Element types that [`numbers`] reads.
const FLOATS: &str = "F32, BF16 or F16, or F64 of values that F32 can hold";

/// Values of a tensor as 32-bit floats, exactly, or what stands in the way.
fn numbers(view: &TensorView<'_>) -> std::result::Result<Vec<f32>, String> {
    let data = view.data();
    let halves = || data.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
    match view.dtype() {
        Dtype::F32 => {
            Ok(data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
        }
        Dtype::BF16 => Ok(halves().map(|h| f32::from_bits(u32::from(h) << 16)).collect()),
        Dtype::F16 => Ok(halves().map(|h| f16::from_bits(h).to_f32()).collect()),
        Dtype::F64 => data.chunks_exact(8).map(narrow).collect(),
        other => Err(format!("elements of type {other}")),
    }
}

fn narrow(bytes: &[u8]) -> std::result::Result<f32, String> {
    let mut eight = [0; 8];
    eight.copy_from_slice(bytes);
    let value = f64::from_le_bytes(eight);
    match f64::from(value as f32) == value || value.is_nan() {
        true => Ok(value as f32),
        false => Err(format!("F64 value {value:e}")),
    }
}

/// The first tensor with a number that is not finite, and the number.
fn not_finite(tensors: &[Parameter]) -> Option<String> {
    tensors.iter().find_map(|(name, _, values)| {
        let value = values.iter().find(|value| !value.is_finite())?;
        Some(format!("{value} in `{name}`"))
    })
}

/// How tensors differ from what a network needs: missing, extra, of another shape.
fn differences(network: &Network, tensors: &[Parameter]) -> Option<String> {
    let slots = network.slots().iter();
    let needed: BTreeMap<String, Vec<usize>> =
        slots.map(|slot| (slot.name.clone(), slot.shape.clone())).collect();
    let found: BTreeMap<&str, &[usize]> =
        tensors.iter().map(|(name, shape, _)| (name.as_str(), &shape[..])).collect();
    let missing: Vec<&str> =
        needed.keys().map(String::as_str).filter(|name| !found.contains_key(name)).collect();
    let extra: Vec<&str> = found.keys().copied().filter(|n| !needed.contains_key(*n)).collect();
    let fits = |(name, shape, values): &&Parameter| {
        needed
            .get(name)
            .is_none_or(|n| n == shape && shape.iter().product::<usize>() == values.len())
    };
    let other: Vec<String> = tensors
        .iter()
        .filter(|t| !fits(t))
        .map(|(name, shape, _)| format!("{name} {shape:?} for {:?}", needed[name]))
        .collect();
    let twice = tensors.len() != found.len();
    if missing.is_empty() && extra.is_empty() && other.is_empty() && !twice {
        return None;
    }
    let list = |names: &[&str]| if names.is_empty() { "none".into() } else { names.join(", ") };
    let other: Vec<&str> = other.iter().map(String::as_str).collect();
    let twice = if twice { "; a name twice" } else { "" };
    Some(format!(
        "missing: {}; extra: {}; of another shape: {}{twice}",
        list(&missing),
        list(&extra),
        list(&other)
    ))
}

#[cfg(test)]
mod tests;
