//! Trained models kept by the hash of what they were trained from.
//!
//! The cache never answers wrongly: a file that cannot be read, or that was made for another key, is
//! as good as absent and gets written again.

use std::path::{Path, PathBuf};

use super::save::Provenance;
use super::{Device, Model};
use crate::error::{Error, Result};

/// Where a file says which key it was made for.
const KEY: &str = "cache-key";

/// A folder of models by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// A cache in this folder, made when first written to.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// A cache in `preferred`, else in [`Cache::usual_dir`], else in `fallback`. The second part is
    /// a warning, given when a folder was there to choose but cannot be written to.
    pub fn open(preferred: Option<PathBuf>, fallback: PathBuf) -> (Self, Option<String>) {
        let Some(dir) = preferred.or_else(Self::usual_dir) else {
            return (Self::at(fallback), None);
        };
        match writable(&dir) {
            Ok(()) => (Self::at(dir), None),
            Err(e) => {
                let (dir, instead) = (dir.display(), fallback.display());
                let warning = format!("cannot write to the cache {dir} ({e}); using {instead}");
                (Self::at(fallback), Some(warning))
            }
        }
    }

    /// `RETORT_CACHE`, or `~/.cache/retort`; none if neither is set.
    pub fn usual_dir() -> Option<PathBuf> {
        let set = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        set("RETORT_CACHE").or_else(|| set("HOME").map(|home| home.join(".cache/retort")))
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The model kept under `key` and its provenance, if there is one that can be used.
    pub fn get(&self, key: &str, device: Device) -> Option<(Model, Provenance)> {
        let (model, mut provenance) = Model::load(&self.file(key), device).ok()?;
        let made_for = provenance.remove(KEY)?;
        (made_for == key).then_some((model, provenance))
    }

    /// Keeps a model under `key`.
    pub fn put(&self, key: &str, model: &Model, provenance: &Provenance) -> Result<()> {
        std::fs::create_dir_all(&self.dir).map_err(Error::io(&self.dir))?;
        let mut provenance = provenance.clone();
        provenance.insert(KEY.into(), key.into());
        model.save(&self.file(key), &provenance)
    }

    /// Keys become file names through a hash, so any text is a key.
    pub fn file(&self, key: &str) -> PathBuf {
        let name = blake3::hash(key.as_bytes()).to_hex();
        self.dir.join(format!("{}.safetensors", &name[..32]))
    }
}

/// Tries to make the folder and a file in it.
fn writable(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let probe = dir.join(format!(".probe.{}", std::process::id()));
    std::fs::write(&probe, b"")?;
    // Another process may have been quicker with the same name; gone is gone.
    let _ = std::fs::remove_file(&probe);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use crate::model::{Arch, InputShape};

    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("retort-cache-{name}-{}", std::process::id()))
    }

    fn model(seed: u64) -> Model {
        let shape = InputShape::Flat(2);
        Model::init(&Arch::Logistic {}, shape, 2, Device::Cpu, Seed::new(seed)).unwrap()
    }

    #[test]
    fn a_model_comes_back_under_its_key_only() {
        let dir = scratch("key");
        let cache = Cache::at(&dir);
        assert!(cache.get("a", Device::Cpu).is_none());
        let provenance = Provenance::from([("accuracy".into(), "0.97".into())]);
        cache.put("a", &model(1), &provenance).unwrap();
        let (found, told) = cache.get("a", Device::Cpu).unwrap();
        assert_eq!(found.weights().unwrap(), model(1).weights().unwrap());
        assert_eq!(told, provenance);
        std::fs::rename(cache.file("a"), cache.file("b")).unwrap();
        assert!(cache.get("b", Device::Cpu).is_none(), "made for another key");
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_corrupt_file_is_ignored_and_rewritten() {
        let dir = scratch("corrupt");
        let cache = Cache::at(&dir);
        cache.put("a", &model(1), &Provenance::new()).unwrap();
        let bytes = std::fs::read(cache.file("a")).unwrap();
        std::fs::write(cache.file("a"), &bytes[..bytes.len() - 1]).unwrap();
        assert!(cache.get("a", Device::Cpu).is_none());
        cache.put("a", &model(2), &Provenance::new()).unwrap();
        assert!(cache.get("a", Device::Cpu).is_some());
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_written_falls_back_with_a_warning() {
        let dir = scratch("blocked");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("file"), b"").unwrap();
        let (cache, warning) = Cache::open(Some(dir.join("file/cache")), dir.join("own"));
        assert_eq!(cache.dir(), dir.join("own"));
        assert!(warning.unwrap().contains("using"));
        let (cache, warning) = Cache::open(Some(dir.join("good")), dir.join("own"));
        assert_eq!((cache.dir(), warning), (&*dir.join("good"), None));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
