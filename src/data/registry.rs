//! The named data sets, what is known of each, and the user's own files.
//!
//! `digits` is built in. The others lie in a folder each under one root, put there by the user;
//! nothing here fetches anything.

use std::path::{Path, PathBuf};

use ndarray::{Array2, Axis, concatenate};
use serde::Serialize;

use super::csv::{Header, Label, Options, Table};
use super::{Dataset, InputShape, csv, digits, idx, npy, observed_range};
use crate::error::{ConfigError, Error, Result, nearest};

/// What is known of a named data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Card {
    /// Name in configs.
    pub name: &'static str,
    /// Its folder under the root.
    pub folder: &'static str,
    /// Rows, of all its files together.
    pub rows: usize,
    /// Features of a row, as loaded.
    pub features: usize,
    /// Classes.
    pub classes: usize,
    /// How a row lies in memory, and the units of its values.
    pub layout: &'static str,
    /// Where the user finds it.
    pub source: &'static str,
    /// Terms of use.
    pub licence: &'static str,
    /// The work to cite.
    pub citation: &'static str,
    /// Files looked for, in order of reading; none for a built-in set. IDX files are found under
    /// both usual spellings, packed or not.
    pub files: &'static [&'static str],
}

const IDX_FILES: &[&str] = &[
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];
const IMAGE_LAYOUT: &str = "28x28 grey, rows top to bottom, upright, 0 to 255 as 0 to 1";
const DIGIT_LAYOUT: &str = "8x8 grey, rows top to bottom, upright, 0 to 16 as 0 to 1";
const DIGIT_CITATION: &str = "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten \
    Digits, UCI Machine Learning Repository, 1998";

const CARDS: &[Card] = &[
    Card {
        name: "digits",
        folder: "digits",
        rows: 1797,
        features: 64,
        classes: 10,
        layout: DIGIT_LAYOUT,
        source: "built in; the test part of UCI Optical Recognition of Handwritten Digits",
        licence: "CC BY 4.0",
        citation: DIGIT_CITATION,
        files: &[],
    },
    Card {
        name: "optdigits",
        folder: "optdigits",
        rows: 5620,
        features: 64,
        classes: 10,
        layout: DIGIT_LAYOUT,
        source: "https://archive.ics.uci.edu/dataset/80",
        licence: "CC BY 4.0",
        citation: DIGIT_CITATION,
        files: &["optdigits.tra", "optdigits.tes"],
    },
    Card {
        name: "mnist",
        folder: "mnist",
        rows: 70_000,
        features: 784,
        classes: 10,
        layout: IMAGE_LAYOUT,
        source: "http://yann.lecun.com/exdb/mnist",
        licence: "copyright Y. LeCun and C. Cortes; commonly distributed as CC BY-SA 3.0",
        citation: "Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied \
            to document recognition, Proceedings of the IEEE 86(11), 1998",
        files: IDX_FILES,
    },
    Card {
        name: "fashion-mnist",
        folder: "fashion-mnist",
        rows: 70_000,
        features: 784,
        classes: 10,
        layout: IMAGE_LAYOUT,
        source: "https://github.com/zalandoresearch/fashion-mnist",
        licence: "MIT (Zalando SE)",
        citation: "H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST, arXiv:1708.07747, 2017",
        files: IDX_FILES,
    },
    Card {
        name: "adult",
        folder: "adult",
        rows: 32_561,
        features: 108,
        classes: 2,
        layout: "6 numbers and 8 one-hot groups, in file order; each column scaled to 0 to 1",
        source: "https://archive.ics.uci.edu/dataset/2 (training part)",
        licence: "CC BY 4.0",
        citation: "B. Becker and R. Kohavi, Adult, UCI Machine Learning Repository, 1996",
        files: &["aws_adult.csv", "adult.data"],
    },
    Card {
        name: "adult-race",
        folder: "adult",
        rows: 32_561,
        features: 105,
        classes: 5,
        layout: "as `adult`, with race as the class and income among the features",
        source: "https://archive.ics.uci.edu/dataset/2 (training part)",
        licence: "CC BY 4.0",
        citation: "B. Becker and R. Kohavi, Adult, UCI Machine Learning Repository, 1996",
        files: &["aws_adult.csv", "adult.data"],
    },
];

/// Where Adult has race.
const ADULT_RACE: usize = 8;

/// Columns of Adult, for files without a header.
const ADULT_COLUMNS: usize = 15;

/// Every named data set, the built-in one first.
pub fn cards() -> Vec<Card> {
    CARDS.to_vec()
}

/// Loads a named data set from `<root>/<name>/`; `digits` needs no root.
pub fn load(name: &str, root: Option<&Path>) -> Result<Dataset> {
    let card = card(name)?;
    if card.files.is_empty() {
        return digits();
    }
    let files = files(card, root)?;
    let set = match card.name {
        "adult" => adult(name, &files[0], ADULT_COLUMNS - 1)?,
        "adult-race" => adult(name, &files[0], ADULT_RACE)?,
        "optdigits" => optdigits(&files)?,
        _ => idx_pairs(card.name, &files)?,
    };
    let found = [set.len(), set.shape.len(), set.classes];
    let expected = [card.rows, card.features, card.classes];
    if found != expected {
        let words = |[rows, d, k]: [usize; 3]| format!("{rows} rows, {d} features, {k} classes");
        let dir = files[0].parent().unwrap_or(&files[0]);
        return Err(Error::data(dir, format!("`{name}`"), words(found), words(expected)));
    }
    Ok(set)
}

/// Name, blake3 in hex and size in bytes of each file of a named data set; for the built-in one,
/// the hash that [`Dataset`] carries and the bytes of its values.
pub fn check(name: &str, root: Option<&Path>) -> Result<Vec<(String, String, u64)>> {
    let card = card(name)?;
    if card.files.is_empty() {
        let set = digits()?;
        return Ok(vec![("built in".to_string(), set.hash, 4 * set.inputs.len() as u64)]);
    }
    files(card, root)?
        .iter()
        .map(|path| {
            let bytes = std::fs::read(path).map_err(Error::io(path))?;
            let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((file, blake3::hash(&bytes).to_hex().to_string(), bytes.len() as u64))
        })
        .collect()
}

/// The user's arrays: `inputs` `[n, ...]` (flattened to rows, values as they are) and whole-number
/// `labels` `[n]`.
pub fn load_npy(inputs: &Path, labels: &Path) -> Result<Dataset> {
    let values = npy::read(inputs)?.rows()?.mapv(|v| v as f32);
    let classes = npy::read(labels)?;
    let mut numbers = Vec::with_capacity(classes.data.len());
    for (row, &label) in classes.data.iter().enumerate() {
        if !(label.fract() == 0.0 && (0.0..65_536.0).contains(&label)) {
            let place = format!("row {row}");
            return Err(Error::data(labels, place, label.to_string(), "a class: 0, 1, 2, ..."));
        }
        numbers.push(label as usize);
    }
    own(inputs, values, numbers, 0)
}

/// The user's table, numbers as they are. `label` names the label column or gives its number from
/// 0; without it the column `label`, else the last, is taken.
pub fn load_csv(path: &Path, label: Option<&str>) -> Result<Dataset> {
    let label = match label.map(|l| (l, l.parse::<usize>())) {
        None => Label::Auto,
        Some((_, Ok(index))) => Label::Index(index),
        Some((name, Err(_))) => Label::Name(name.to_string()),
    };
    let table = csv::read(path, &Options { label, ..Options::default() })?;
    own(path, table.inputs, table.labels, table.classes.len())
}

/// The user's images, 0 to 255 as 0 to 1.
pub fn load_idx(images: &Path, labels: &Path) -> Result<Dataset> {
    idx_pairs(&stem(images), &[images.to_path_buf(), labels.to_path_buf()])
}

fn card(name: &str) -> Result<&'static Card> {
    CARDS.iter().find(|card| card.name == name).ok_or_else(|| {
        let names: Vec<&str> = CARDS.iter().map(|card| card.name).collect();
        Error::Config(Box::new(ConfigError {
            key: "teacher.dataset".to_string(),
            found: format!("`{name}`"),
            expected: format!("one of {}", names.join(", ")),
            nearest: nearest(name, names),
            ..ConfigError::default()
        }))
    })
}

/// Paths of a set's files in order of reading.
fn files(card: &Card, root: Option<&Path>) -> Result<Vec<PathBuf>> {
    let Some(root) = root else {
        let expected = format!(
            "a folder that holds `{}/`, from `data.root` in the config, RETORT_DATA or --data",
            card.folder
        );
        return Err(Error::config("data.root", "no data folder", expected));
    };
    let dir = root.join(card.folder);
    match card.folder {
        "mnist" | "fashion-mnist" => ["train", "t10k"]
            .iter()
            .flat_map(|part| [(part, "images", 3), (part, "labels", 1)])
            .map(|(part, what, dimensions)| idx::find(&dir, &format!("{part}-{what}"), dimensions))
            .collect(),
        "adult" => {
            let found = card.files.iter().map(|file| dir.join(file)).find(|path| path.is_file());
            found.map(|path| vec![path]).ok_or_else(|| missing(&dir, card.files))
        }
        _ => {
            let paths: Vec<PathBuf> = card.files.iter().map(|file| dir.join(file)).collect();
            match paths.iter().all(|path| path.is_file()) {
                true => Ok(paths),
                false => Err(missing(&dir, card.files)),
            }
        }
    }
}

fn missing(dir: &Path, names: &[&str]) -> Error {
    Error::data(dir, "files", "not all that are needed", names.join(", "))
}

/// Pairs of image and label files, one after the other, as one set.
fn idx_pairs(name: &str, files: &[PathBuf]) -> Result<Dataset> {
    let mut parts = Vec::new();
    let mut labels = Vec::new();
    let mut size = None;
    for pair in files.chunks_exact(2) {
        let images = idx::read_images(&pair[0])?;
        let classes = idx::read_labels(&pair[1])?;
        let found = (images.height, images.width);
        let (h, w) = *size.get_or_insert(found);
        if found != (h, w) {
            let text = format!("images of {}x{}", found.0, found.1);
            return Err(Error::data(&pair[0], "byte 8", text, format!("{h}x{w}, as before")));
        }
        if images.pixels.nrows() != classes.len() {
            let text = format!("{} labels", classes.len());
            let expected = format!("{}, one for each image", images.pixels.nrows());
            return Err(Error::data(&pair[1], "byte 4", text, expected));
        }
        parts.push(images.pixels.mapv(|p| f32::from(p) / 255.0));
        labels.extend(classes.into_iter().map(usize::from));
    }
    let (h, w) = size.unwrap_or_default();
    let classes = labels.iter().max().map_or(0, |top| top + 1);
    let shape = InputShape::Image { c: 1, h, w };
    let set = Dataset::new(name, stack(&parts)?, labels, classes, shape, (0.0, 1.0))?;
    Ok(if parts.len() > 1 { set.with_test_part(parts[0].nrows()) } else { set })
}

fn optdigits(files: &[PathBuf]) -> Result<Dataset> {
    let mut parts = Vec::new();
    let mut labels = Vec::new();
    for path in files {
        let table = csv::read(path, &Options { label: Label::Index(64), ..Options::default() })?;
        for ((row, column), &v) in table.inputs.indexed_iter() {
            if !(0.0..=digits::FULL).contains(&v) {
                let place = format!("row {row}, column {column}");
                return Err(Error::data(path, place, v.to_string(), "an ink level from 0 to 16"));
            }
        }
        parts.push(table.inputs / digits::FULL);
        labels.extend(table.labels);
    }
    let classes = labels.iter().max().map_or(0, |top| top + 1);
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let set = Dataset::new("optdigits", stack(&parts)?, labels, classes, shape, (0.0, 1.0))?;
    Ok(set.with_test_part(parts[0].nrows()))
}

/// Adult with one of its columns as the label, text one-hot, and every column scaled to [0, 1].
fn adult(name: &str, path: &Path, label: usize) -> Result<Dataset> {
    let label = Label::Index(label);
    let options = Options { header: Header::Detect, label, one_hot: true };
    let Table { mut inputs, labels, classes, .. } = csv::read(path, &options)?;
    for mut column in inputs.columns_mut() {
        let low = column.iter().copied().fold(f32::INFINITY, f32::min);
        let span = column.iter().copied().fold(f32::NEG_INFINITY, f32::max) - low;
        column.mapv_inplace(|v| if span > 0.0 { (v - low) / span } else { 0.0 });
    }
    let shape = InputShape::Flat(inputs.ncols());
    Dataset::new(name, inputs, labels, classes.len(), shape, (0.0, 1.0))
}

/// A set from the user's values: flat rows, the observed range, classes up to the largest label.
fn own(path: &Path, inputs: Array2<f32>, labels: Vec<usize>, classes: usize) -> Result<Dataset> {
    let classes = labels.iter().max().map_or(0, |top| top + 1).max(classes);
    let shape = InputShape::Flat(inputs.ncols());
    let range = observed_range(&inputs);
    Dataset::new(stem(path), inputs, labels, classes, shape, range)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

fn stack(parts: &[Array2<f32>]) -> Result<Array2<f32>> {
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    concatenate(Axis(0), &views).map_err(|why| Error::Internal(why.to_string()))
}

#[cfg(test)]
mod tests;
