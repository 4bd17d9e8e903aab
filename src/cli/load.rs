//! From a config file and overrides to a plan with its data: everything wrong is found here, before
//! anything is computed or written.

use std::path::{Path, PathBuf};

use retort::experiment::config::{self, Source};
use retort::experiment::plan::{self, Plan, Variant};
use retort::experiment::rows::Rows;
use retort::experiment::spec::{Spec, TeacherKind, Transport};
use retort::experiment::world::Rim;
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
    pub data: Vec<Rows>,
    /// Folders and device.
    pub rim: Rim,
    /// Things worth a line on stderr.
    pub warnings: Vec<String>,
}

/// Reads, overrides, checks and plans.
pub fn load(args: &Config, common: &Common) -> Result<Loaded> {
    from_source(source(args)?, common)
}

/// A config file under its overrides.
pub fn source(args: &Config) -> Result<Source> {
    let text = std::fs::read_to_string(&args.config).map_err(Error::io(&args.config))?;
    read(&args.config.display().to_string(), &text, &args.overrides, args.multirun)
}

/// The config that a run folder keeps.
pub fn source_of_run(run: &Path) -> Result<Source> {
    source_of(&run.join("sweep.toml"))
}

/// A config file as it is.
pub fn source_of(path: &Path) -> Result<Source> {
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    Source::read(&path.display().to_string(), &text)
}

/// Points of a config's sweep: their label and the config there.
pub fn points(source: &Source) -> Result<Vec<(String, Source)>> {
    let each = config::product(&source.sweep()?)?.into_iter().map(|point| {
        let mut at = source.clone();
        let mut label = Vec::new();
        for (key, value) in &point {
            at.apply_swept(key, value)?;
            label.push(format!("{key}={}", value.to_string().trim_matches('"')));
        }
        Ok((label.join(", "), at))
    });
    each.collect()
}

fn read(file: &str, text: &str, overrides: &[String], multirun: bool) -> Result<Source> {
    let mut source = Source::read(file, text)?;
    for item in overrides {
        let item = item
            .strip_prefix("seed=")
            .map_or_else(|| item.clone(), |v| format!("seeds={}", seed_list(v)));
        if multirun && config::is_sweep(&item) {
            let (key, values) = swept(&item)?;
            source.apply(&format!("++sweep.\"{key}\"=[{}]", values.join(", ")))?;
        } else {
            source.apply(&item)?;
        }
    }
    Ok(source)
}

/// Seeds are averaged, not swept: `seed=0,1,2` and `seed=range(0,5)` become a list of seeds.
fn seed_list(values: &str) -> String {
    let rows = config::expand(&[format!("seed={values}")]).unwrap_or_default();
    let seeds: Vec<&str> = rows.iter().filter_map(|r| r[0].strip_prefix("seed=")).collect();
    format!("[{}]", seeds.join(", "))
}

/// Key and values of a swept override, as TOML literals.
fn swept(item: &str) -> Result<(String, Vec<String>)> {
    let mut key = String::new();
    let mut values = Vec::new();
    for row in config::expand(&[item.to_string()])? {
        let Some((name, value)) = row[0].split_once('=') else { continue };
        key = name.trim_start_matches('+').to_string();
        let literal = format!("x = {value}").parse::<toml::Table>().is_ok();
        values.push(if literal { value.to_string() } else { format!("{value:?}") });
    }
    Ok((key, values))
}

/// Checks and plans the experiment of a config.
pub fn from_source(source: Source, common: &Common) -> Result<Loaded> {
    let base: Spec = source.parse()?;
    let mut variants = Vec::new();
    for (label, at) in points(&source)? {
        let mut spec: Spec = at.parse()?;
        spec.sweep.clear();
        spec.validate().map_err(|e| at.locate(e))?;
        variants.push((Variant { label, spec }, at));
    }
    let mut warnings = Vec::new();
    let rim = rim(&base, common, &mut warnings)?;
    let (mut data, mut outside) = (Vec::new(), Vec::new());
    for (variant, point) in &variants {
        let rows = Rows::load(&variant.spec, &rim).map_err(|e| point.locate(e))?;
        let set = &rows.set;
        let card =
            Card { inputs: set.shape.len(), classes: set.classes, answers: AnswerKind::Probs };
        plan::check_fit(&variant.spec, card, set.shape, rows.unseen)
            .map_err(|e| point.locate(e))?;
        outside.push(rows.identity(&variant.spec).map_err(|e| point.locate(e))?);
        data.push(rows);
    }
    let name = base.name.clone();
    let variants = variants.into_iter().map(|(v, _)| v).collect();
    let plan = Plan::of(variants, &outside).map_err(|e| source.locate(e))?;
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
    let (cache, warning) =
        Cache::open(Cache::usual_dir(), std::env::temp_dir().join("retort-cache"));
    warnings.extend(warning);
    if spec.teacher.kind == TeacherKind::Loopback {
        warnings.push("a loopback teacher is not part of the build: `verify` can only compare with what that server answers now".into());
    }
    let http = spec.transport == Transport::Http;
    let open = move |gateway: Gateway| -> Result<Box<dyn Door>> {
        let accounts = gateway.ledger().totals().len();
        let door: Box<dyn Door> = Box::new(gateway);
        if http { serve::open_http_door(door, accounts) } else { Ok(door) }
    };
    Ok(Rim { data_root, cache, device, threads: 1, open: Box::new(open) })
}
