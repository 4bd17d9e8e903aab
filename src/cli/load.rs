//! From a config file and overrides to a plan with its data: everything wrong is found here, before
//! anything is computed or written.

use std::path::{Path, PathBuf};

use retort::data::Dataset;
use retort::experiment::config::{self, Source};
use retort::experiment::plan::{self, Plan, Variant};
use retort::experiment::spec::{Spec, TeacherKind, Transport};
use retort::experiment::world::{self, Rim};
use retort::gateway::{Door, Gateway};
use retort::model::{Cache, Device};
use retort::oracle::{AnswerKind, Card};
use retort::{Error, Result, serve};

use super::args::{Common, Config};

/// A checked experiment.
pub struct Loaded {
    /// Its name.
    pub name: String,
    /// The config with every default and the sweep, fit to be run again.
    pub resolved: String,
    /// Cells.
    pub plan: Plan,
    /// Data of each variant.
    pub data: Vec<Dataset>,
    /// Folders and device.
    pub rim: Rim,
    /// Things worth a line on stderr.
    pub warnings: Vec<String>,
}

/// Reads, overrides, checks and plans.
pub fn load(args: &Config, common: &Common) -> Result<Loaded> {
    let text = std::fs::read_to_string(&args.config).map_err(Error::io(&args.config))?;
    let source = read(&args.config.display().to_string(), &text, &args.overrides, args.multirun)?;
    from_source(source, common)
}

/// The experiment of a run folder, from its own `sweep.toml`.
pub fn from_run(run: &Path, common: &Common) -> Result<Loaded> {
    let path = run.join("sweep.toml");
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    from_source(Source::read(&path.display().to_string(), &text)?, common)
}

fn read(file: &str, text: &str, overrides: &[String], multirun: bool) -> Result<Source> {
    let mut source = Source::read(file, text)?;
    for item in overrides {
        if !config::is_sweep(item) {
            source.apply(item)?;
        } else if multirun {
            source.add_sweep(item)?;
        } else {
            return Err(Error::config(item.clone(), "several values", "one value, or `-m` to run a grid"));
        }
    }
    Ok(source)
}

fn from_source(source: Source, common: &Common) -> Result<Loaded> {
    let base: Spec = source.parse()?;
    let mut variants = Vec::new();
    for (label, point) in source.points(&base.sweep)? {
        let mut spec: Spec = point.parse()?;
        spec.sweep.clear();
        spec.validate().map_err(|e| point.locate(e))?;
        variants.push((Variant { label, spec }, point));
    }
    let mut warnings = Vec::new();
    let rim = rim(&base, common, &mut warnings)?;
    let mut data = Vec::new();
    for (variant, point) in &variants {
        let set = world::load_data(&variant.spec, &rim).map_err(|e| point.locate(e))?;
        let card = Card { inputs: set.shape.len(), classes: set.classes, answers: AnswerKind::Probs };
        plan::check_fit(&variant.spec, card, set.shape).map_err(|e| point.locate(e))?;
        data.push(set);
    }
    let hashes: Vec<String> = data.iter().map(|d| d.hash.clone()).collect();
    let name = base.name.clone();
    let variants = variants.into_iter().map(|(v, _)| v).collect();
    let plan = Plan::of(variants, &hashes).map_err(|e| source.locate(e))?;
    Ok(Loaded { name, resolved: config::resolved(&base), plan, data, rim, warnings })
}

/// Folders and device, from options, environment and config, in this order.
fn rim(spec: &Spec, common: &Common, warnings: &mut Vec<String>) -> Result<Rim> {
    let (device, warning) = Device::parse(&spec.device)?;
    warnings.extend(warning);
    let data_root = common
        .data
        .clone()
        .or_else(|| std::env::var_os("RETORT_DATA").map(PathBuf::from))
        .or_else(|| spec.data.root.as_ref().map(PathBuf::from));
    let (cache, warning) = Cache::open(cache_dir(), std::env::temp_dir().join("retort-cache"));
    warnings.extend(warning);
    if spec.teacher.kind == TeacherKind::Loopback {
        warnings.push("a loopback teacher is not part of the build: `verify` can only compare with what that server answers now".into());
    }
    let http = spec.transport == Transport::Http;
    let open = move |gateway: Gateway| -> Result<Box<dyn Door>> {
        let door: Box<dyn Door> = Box::new(gateway);
        if http { serve::open_http_door(door) } else { Ok(door) }
    };
    Ok(Rim { data_root, cache, device, open: Box::new(open) })
}

fn cache_dir() -> Option<PathBuf> {
    std::env::var_os("RETORT_CACHE")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache/retort")))
}
