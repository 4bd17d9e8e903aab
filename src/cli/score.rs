//! `retort score`: predictions made elsewhere become a record like any other.

use ndarray::Array2;
use retort::data::npy;
use retort::experiment::external::{self, Session};
use retort::experiment::folder::{record_bytes, write_atomic};
use retort::experiment::plan;
use retort::experiment::world::Ground;
use retort::{Error, Result};

use super::args::{Common, Format, Score};
use super::{load, put};

/// Scores `predictions` on the test inputs of a served session.
pub fn score(args: &Score, common: &Common) -> Result<u8> {
    let path = args.run.join("session.json");
    let text = std::fs::read(&path).map_err(Error::io(&path))?;
    let session: Session = serde_json::from_slice(&text).map_err(|e| {
        Error::data(
            &path,
            format!("line {}", e.line()),
            e.to_string(),
            "the ledger that `retort serve` writes when it stops",
        )
    })?;
    let loaded = load::from_source(load::source_of_run(&args.run)?, common)?;
    let spec = &loaded.plan.variants[0].spec;
    let key = plan::teacher_key(spec, &loaded.data[0].set.hash, session.seed);
    let ground = Ground::lay(spec, &loaded.data[0], session.seed, &key, &loaded.rim)?;
    let probs = predictions(args, loaded.data[0].set.classes, ground.truth.labels.len())?;
    let record = external::score(spec, &ground, &session, &args.name, probs)?;
    let folder = args.run.join("external");
    std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
    let file = folder.join(format!("{}.json", record.cell));
    write_atomic(&file, &record_bytes(&record)?)?;
    match args.format {
        Format::Json => put(&String::from_utf8_lossy(&record_bytes(&record)?)),
        format => {
            let (open, sep, close) =
                if format == Format::Csv { ("", ",", "") } else { ("| ", " | ", " |") };
            put(&format!("{open}metric{sep}value{sep}unit{close}"));
            if format == Format::Md {
                put("|---|---:|---|");
            }
            for s in &record.scores {
                let value = s.value.map_or("-".to_string(), |v| format!("{v:.4}"));
                put(&format!("{open}{}{sep}{value}{sep}{}{close}", s.metric, s.unit));
            }
        }
    }
    if !common.quiet {
        eprintln!("record {}", file.display());
    }
    Ok(0)
}

/// `[n, classes]` probabilities, or `[n]` class numbers read as certain.
fn predictions(args: &Score, classes: usize, rows: usize) -> Result<Array2<f64>> {
    let file = npy::read(&args.predictions)?;
    let wrong = |found: String| {
        Err(Error::data(
            &args.predictions,
            "shape",
            found,
            format!("[{rows}, {classes}] probabilities or [{rows}] class numbers"),
        ))
    };
    match *file.shape.as_slice() {
        [n] if n == rows => {
            let mut probs = Array2::zeros((rows, classes));
            for (i, &class) in file.data.iter().enumerate() {
                if class < 0.0 || class.fract() != 0.0 || class >= classes as f64 {
                    return Err(Error::data(
                        &args.predictions,
                        format!("row {i}"),
                        class.to_string(),
                        format!("a class number below {classes}"),
                    ));
                }
                probs[[i, class as usize]] = 1.0;
            }
            Ok(probs)
        }
        [n, k] if n == rows && k == classes => Array2::from_shape_vec((rows, classes), file.data)
            .map_err(|e| Error::Internal(e.to_string())),
        ref other => wrong(format!("{other:?}")),
    }
}
