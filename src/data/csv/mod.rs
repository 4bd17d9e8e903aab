//! CSV tables with a label column, as UCI and spreadsheets write them.
//!
//! Features are numbers; text columns become one column a category if asked (one-hot, categories in
//! sorted order). A header line is detected and reported, never assumed.

mod rows;

use std::collections::BTreeMap;
use std::path::Path;

use ::csv::StringRecord;
use ndarray::Array2;

use crate::error::{Error, Result, nearest};
use rows::is_number;

/// A table has fewer classes than this, and a text column fewer categories.
const MAX_CATEGORIES: usize = 4096;

/// Whether the first line names the columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// It does if it holds the label's name, or no number above the numbers of the next line.
    #[default]
    Detect,
    /// It does.
    Present,
    /// It does not.
    Absent,
}

/// Which column is the label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Label {
    /// The column called `label`, else the last.
    #[default]
    Auto,
    /// The column of this name.
    Name(String),
    /// The column of this number, from 0.
    Index(usize),
}

/// How a table is to be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether the first line names the columns.
    pub header: Header,
    /// Which column is the label.
    pub label: Label,
    /// Text columns become one column a category; without it they are refused.
    pub one_hot: bool,
}

/// A table as numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// True if the first line was a header.
    pub header: bool,
    /// Name of the label column; `column N` (from 0) without a header.
    pub label: String,
    /// Names of the d feature columns; `name=category` for one-hot columns.
    pub columns: Vec<String>,
    /// `[n, d]` as written in the file.
    pub inputs: Array2<f32>,
    /// `[n]` class numbers.
    pub labels: Vec<usize>,
    /// Class names: the label texts in sorted order, or `0` to the largest number.
    pub classes: Vec<String>,
}

/// Reads a table. Empty lines are skipped; spaces around cells are dropped.
pub fn read(path: &Path, options: &Options) -> Result<Table> {
    let named = match &options.label {
        Label::Name(name) => Some(name.as_str()),
        Label::Auto | Label::Index(_) => None,
    };
    let rows = rows::read(path, options.header, named)?;
    let width = rows.rows[0].1.len();
    let names: Vec<String> = match &rows.header {
        Some(cells) => cells.iter().map(String::from).collect(),
        None => (0..width).map(|i| format!("column {i}")).collect(),
    };
    let sheet = Sheet { path, names, rows: rows.rows };
    let label = sheet.label_column(&options.label, rows.header.is_some())?;
    let (labels, classes) = sheet.labels(label)?;

    let mut columns = Vec::new();
    let mut values = Vec::new();
    for column in (0..width).filter(|&c| c != label) {
        if options.one_hot && !is_number(sheet.cell(0, column)) {
            sheet.one_hot(column, &mut columns, &mut values)?;
        } else {
            values.extend(sheet.numbers(column)?);
            columns.push(sheet.names[column].clone());
        }
    }
    // Values stand column after column; the rows of the result are contiguous again.
    let inputs = Array2::from_shape_vec((columns.len(), labels.len()), values)
        .map_err(|why| Error::Internal(format!("{}: {why}", path.display())))?
        .t()
        .as_standard_layout()
        .into_owned();
    let label = sheet.names[label].clone();
    Ok(Table { header: rows.header.is_some(), label, columns, inputs, labels, classes })
}

/// Rows of cells with column names.
struct Sheet<'a> {
    path: &'a Path,
    names: Vec<String>,
    rows: Vec<(u64, StringRecord)>,
}

impl Sheet<'_> {
    fn cell(&self, row: usize, column: usize) -> &str {
        &self.rows[row].1[column]
    }

    fn refuse<T>(&self, row: usize, column: usize, expected: impl Into<String>) -> Result<T> {
        let place = format!("line {}, column `{}`", self.rows[row].0, self.names[column]);
        let found = match self.cell(row, column) {
            "" => "an empty cell".to_string(),
            cell => format!("`{cell}`"),
        };
        Err(Error::data(self.path, place, found, expected))
    }

    fn label_column(&self, label: &Label, header: bool) -> Result<usize> {
        let last = self.names.len() - 1;
        match label {
            Label::Auto => {
                let found = self.names.iter().position(|n| n.eq_ignore_ascii_case("label"));
                Ok(found.filter(|_| header).unwrap_or(last))
            }
            Label::Index(i) if *i <= last => Ok(*i),
            Label::Index(i) => {
                let expected = format!("0 to {last}");
                Err(Error::data(self.path, "label column", i.to_string(), expected))
            }
            Label::Name(name) => match self.names.iter().position(|n| n == name) {
                Some(column) => Ok(column),
                None => {
                    let near = nearest(name, self.names.iter().map(String::as_str))
                        .map_or(String::new(), |n| format!(" (nearest: `{n}`)"));
                    let expected = match header {
                        true => format!("one of {}{near}", self.names.join(", ")),
                        false => "a header line that holds it, or a column number".to_string(),
                    };
                    Err(Error::data(self.path, "label column", format!("`{name}`"), expected))
                }
            },
        }
    }

    /// The class of each row, and the class names. The first label decides: number or text.
    fn labels(&self, column: usize) -> Result<(Vec<usize>, Vec<String>)> {
        if !is_number(self.cell(0, column)) {
            return self.categories(column);
        }
        let mut labels = Vec::with_capacity(self.rows.len());
        for row in 0..self.rows.len() {
            match self.cell(row, column).parse::<f64>() {
                Ok(l) if l.fract() == 0.0 && (0.0..MAX_CATEGORIES as f64).contains(&l) => {
                    labels.push(l as usize);
                }
                _ => {
                    let expected = format!("a class: a whole number below {MAX_CATEGORIES}");
                    return self.refuse(row, column, expected);
                }
            }
        }
        let classes = labels.iter().max().map_or(0, |top| top + 1);
        Ok((labels, (0..classes).map(|c| c.to_string()).collect()))
    }

    /// The category of each row, as a number in the sorted order of the category names.
    fn categories(&self, column: usize) -> Result<(Vec<usize>, Vec<String>)> {
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        for row in 0..self.rows.len() {
            let cell = self.cell(row, column);
            if cell.is_empty() {
                return self.refuse(row, column, "a name");
            }
            numbers.insert(cell, 0);
            if numbers.len() > MAX_CATEGORIES {
                return self.refuse(row, column, format!("at most {MAX_CATEGORIES} names"));
            }
        }
        numbers.values_mut().enumerate().for_each(|(i, n)| *n = i);
        let codes = (0..self.rows.len()).map(|row| numbers[self.cell(row, column)]).collect();
        Ok((codes, numbers.keys().map(ToString::to_string).collect()))
    }

    /// Appends one 0-or-1 column for each category of a text column.
    fn one_hot(&self, column: usize, names: &mut Vec<String>, values: &mut Vec<f32>) -> Result<()> {
        let (codes, categories) = self.categories(column)?;
        for (number, category) in categories.iter().enumerate() {
            names.push(format!("{}={category}", self.names[column]));
            values.extend(codes.iter().map(|&c| if c == number { 1.0 } else { 0.0 }));
        }
        Ok(())
    }

    fn numbers(&self, column: usize) -> Result<Vec<f32>> {
        (0..self.rows.len())
            .map(|row| match self.cell(row, column).parse::<f32>() {
                Ok(v) if v.is_finite() => Ok(v),
                _ => self.refuse(row, column, "a finite number"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
