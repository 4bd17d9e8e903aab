//! Decoders on disk: files like those of classifiers, with the plan in the header.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Decoder, Language};
use crate::error::{Error, Result};
use crate::model::save::{self, Kind, Storage};
use crate::model::{Device, Provenance};

const KIND: Kind = Kind { key: "retort-decoder", format: 1, what: "a decoder saved by retort" };

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    plan: Decoder,
    provenance: Provenance,
}

impl Language {
    /// Writes the decoder to `path`, replacing what was there. Equal decoders give equal bytes.
    pub fn save(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        save::write_whole(path, &self.to_bytes(provenance, Storage::Full)?)
    }

    /// The same in half the space: weights are rounded to the nearest 16-bit floats.
    pub fn save_half(&self, path: &Path, provenance: &Provenance) -> Result<()> {
        save::write_whole(path, &self.to_bytes(provenance, Storage::Half)?)
    }

    /// Reads a decoder, for the processor, and its provenance.
    pub fn load(path: &Path) -> Result<(Self, Provenance)> {
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        Self::read(&bytes, path)
    }

    /// The same from the bytes of a file, such as those of `include_bytes!`; `name` stands in errors.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<(Self, Provenance)> {
        Self::read(bytes, Path::new(name))
    }

    fn to_bytes(&self, provenance: &Provenance, storage: Storage) -> Result<Vec<u8>> {
        let (plan, provenance) = (self.plan.clone(), provenance.clone());
        let header = Header { format: KIND.format, plan, provenance };
        save::to_bytes(&KIND, &header, &self.weights(), storage)
    }

    fn read(bytes: &[u8], file: &Path) -> Result<(Self, Provenance)> {
        let (Header { plan, provenance, .. }, tensors) = save::read(bytes, file, &KIND)?;
        plan.check().map_err(|e| match e {
            Error::Config(e) => {
                Error::data(file, "header: ".to_owned() + &e.key, e.found, e.expected)
            }
            other => other,
        })?;
        let refuse = |found: String, expected: &str| Error::data(file, "tensors", found, expected);
        // A plan takes room as soon as it is built.
        let (found, needed) = (tensors.iter().map(|t| t.2.len()).sum::<usize>(), plan.numbers());
        if found != needed {
            return Err(refuse(format!("{found} numbers"), &format!("the {needed} of the plan")));
        }
        let network = plan.network()?;
        let params = save::in_order(&network, tensors)
            .map_err(|found| refuse(found, "exactly the tensors of the plan"))?;
        let params = Arc::new(params);
        Ok((Self { plan, device: Device::Cpu, network, params }, provenance))
    }
}

#[cfg(test)]
mod tests;
