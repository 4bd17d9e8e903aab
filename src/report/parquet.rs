//! The tidy table as one Parquet file, without arrow: columns are written by hand, uncompressed.
//!
//! A `cfg.` column is INT64, DOUBLE or BOOLEAN where all its values are, else text. Key-value metadata
//! `retort.record_version` names the layout of the records. Equal records give equal bytes.

use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, Type as Physical};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::records::{better, config_keys, plain, rows};
use crate::error::{Error, Result};
use crate::experiment::record::{Record, VERSION};
use crate::metric::Score;

/// Values of one column, absent ones as `None`.
pub(super) enum Column {
    Text(Vec<Option<ByteArray>>),
    Whole(Vec<Option<i64>>),
    Real(Vec<Option<f64>>),
    Truth(Vec<Option<bool>>),
}

/// Writes the tidy table as Parquet.
pub fn write_parquet(records: &[Record], out: &mut (dyn std::io::Write + Send)) -> Result<()> {
    file(&columns(records)?, VERSION, out)
}

/// Writes these columns: name, whether a value is always there, and the values. `version` is that of the
/// records.
pub(super) fn file(
    columns: &[(String, bool, Column)],
    version: u32,
    out: &mut (dyn std::io::Write + Send),
) -> Result<()> {
    write(columns, version, out).map_err(|e| Error::Internal(format!("records.parquet: {e}")))
}

/// [`write_parquet`] into memory.
pub fn records_parquet(records: &[Record]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write_parquet(records, &mut out)?;
    Ok(out)
}

/// Name, whether a value is always there, and the values.
fn columns(records: &[Record]) -> Result<Vec<(String, bool, Column)>> {
    let rows: Vec<(&Record, &Score)> = rows(records).collect();
    let text = |f: fn(&Record, &Score) -> String| {
        Column::Text(rows.iter().map(|(r, s)| Some(bytes(f(r, s)))).collect())
    };
    let mut out = vec![
        ("cell".into(), true, text(|r, _| r.cell.clone())),
        ("role".into(), true, text(|r, _| r.role.name().into())),
        ("arm".into(), true, text(|r, _| r.arm.clone())),
        ("student".into(), true, text(|r, _| r.student.clone())),
        ("budget".into(), true, whole("budget", rows.iter().map(|(r, _)| r.budget))?),
        ("seed".into(), true, whole("seed", rows.iter().map(|(r, _)| r.seed))?),
        ("metric".into(), true, text(|_, s| s.metric.clone())),
        ("value".into(), false, Column::Real(rows.iter().map(|(_, s)| s.value).collect())),
        ("unit".into(), true, text(|_, s| s.unit.clone())),
        ("better".into(), true, text(|_, s| better(s.better).into())),
    ];
    for key in config_keys(records) {
        let values: Vec<Option<&Value>> =
            rows.iter().map(|(r, _)| r.config.get(key).filter(|v| !v.is_null())).collect();
        out.push((format!("cfg.{key}"), false, typed(&values)));
    }
    Ok(out)
}

pub(super) fn whole(name: &str, values: impl Iterator<Item = u64>) -> Result<Column> {
    let convert = |v: u64| {
        i64::try_from(v)
            .map(Some)
            .map_err(|_| Error::input(name, v, format!("at most {}", i64::MAX)))
    };
    Ok(Column::Whole(values.map(convert).collect::<Result<_>>()?))
}

/// The narrowest type that holds every value.
fn typed(values: &[Option<&Value>]) -> Column {
    let all = |test: fn(&Value) -> bool| values.iter().flatten().all(|v| test(v));
    if all(Value::is_i64) {
        return Column::Whole(values.iter().map(|v| v.and_then(Value::as_i64)).collect());
    }
    if all(Value::is_number) {
        return Column::Real(values.iter().map(|v| v.and_then(Value::as_f64)).collect());
    }
    if all(Value::is_boolean) {
        return Column::Truth(values.iter().map(|v| v.and_then(Value::as_bool)).collect());
    }
    Column::Text(values.iter().map(|v| v.map(|v| bytes(plain(v)))).collect())
}

pub(super) fn bytes(text: String) -> ByteArray {
    ByteArray::from(text.into_bytes())
}

fn schema(columns: &[(String, bool, Column)]) -> std::result::Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(|(name, required, column)| {
        let (physical, logical) = match column {
            Column::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Column::Whole(_) => (Physical::INT64, None),
            Column::Real(_) => (Physical::DOUBLE, None),
            Column::Truth(_) => (Physical::BOOLEAN, None),
        };
        let repetition = if *required { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .build()
            .map(Arc::new)
    });
    let fields = fields.collect::<std::result::Result<Vec<_>, _>>()?;
    Type::group_type_builder("records").with_fields(fields).build().map(Arc::new)
}

fn write(
    columns: &[(String, bool, Column)],
    version: u32,
    out: &mut (dyn std::io::Write + Send),
) -> std::result::Result<(), ParquetError> {
    let version = KeyValue::new("retort.record_version".to_string(), version.to_string());
    let properties = WriterProperties::builder()
        .set_created_by("retort".into())
        .set_key_value_metadata(Some(vec![version]))
        .build();
    let mut file = SerializedFileWriter::new(out, schema(columns)?, Arc::new(properties))?;
    let mut group = file.next_row_group()?;
    for (_, required, column) in columns {
        let mut writer = group.next_column()?.expect("the schema has a column for each");
        let levels = column.levels();
        let levels = if *required { None } else { Some(levels.as_slice()) };
        match column {
            Column::Text(v) => writer.typed::<ByteArrayType>().write_batch(&there(v), levels, None),
            Column::Whole(v) => writer.typed::<Int64Type>().write_batch(&there(v), levels, None),
            Column::Real(v) => writer.typed::<DoubleType>().write_batch(&there(v), levels, None),
            Column::Truth(v) => writer.typed::<BoolType>().write_batch(&there(v), levels, None),
        }?;
        writer.close()?;
    }
    group.close()?;
    file.close()?;
    Ok(())
}

/// The values that are there.
fn there<T: Clone>(values: &[Option<T>]) -> Vec<T> {
    values.iter().flatten().cloned().collect()
}

impl Column {
    /// Definition levels: 1 where a value is there.
    fn levels(&self) -> Vec<i16> {
        fn of<T>(values: &[Option<T>]) -> Vec<i16> {
            values.iter().map(|v| i16::from(v.is_some())).collect()
        }
        match self {
            Self::Text(v) => of(v),
            Self::Whole(v) => of(v),
            Self::Real(v) => of(v),
            Self::Truth(v) => of(v),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::synthetic::records;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    fn find<'a>(row: &'a parquet::record::Row, name: &str) -> &'a Field {
        row.get_column_iter().find(|(n, _)| *n == name).unwrap().1
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut given = records(2, 2);
        given[3].scores[0].value = None;
        let file = bytes_reader(&given);
        let version = file.metadata().file_metadata().key_value_metadata().unwrap();
        assert_eq!(version[0].key, "retort.record_version");
        assert_eq!(version[0].value, Some(VERSION.to_string()));
        let read: Vec<_> = file.get_row_iter(None).unwrap().map(|r| r.unwrap()).collect();
        assert_eq!(read.len(), rows(&given).count());
        for (row, (record, score)) in read.iter().zip(rows(&given)) {
            assert_eq!(find(row, "cell"), &Field::Str(record.cell.clone()));
            assert_eq!(find(row, "seed"), &Field::Long(record.seed as i64));
            let value = score.value.map_or(Field::Null, Field::Double);
            assert_eq!(find(row, "value"), &value);
        }
    }

    fn bytes_reader(given: &[Record]) -> SerializedFileReader<std::fs::File> {
        let path = std::env::temp_dir().join(format!("retort-parquet-{}", std::process::id()));
        std::fs::write(&path, records_parquet(given).unwrap()).unwrap();
        let file = SerializedFileReader::new(std::fs::File::open(&path).unwrap()).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }

    #[test]
    fn equal_records_give_equal_bytes_in_any_order() {
        let mut given = records(2, 2);
        let first = records_parquet(&given).unwrap();
        given.reverse();
        assert_eq!(records_parquet(&given).unwrap(), first);
    }

    #[test]
    fn a_config_column_has_the_narrowest_type() {
        let one = Value::from(1);
        let half = Value::from(0.5);
        let word = Value::from("x");
        let yes = Value::from(true);
        assert!(matches!(typed(&[Some(&one), None]), Column::Whole(_)));
        assert!(matches!(typed(&[Some(&one), Some(&half)]), Column::Real(_)));
        assert!(matches!(typed(&[Some(&yes)]), Column::Truth(_)));
        assert!(matches!(typed(&[Some(&word), Some(&one)]), Column::Text(_)));
    }

    #[test]
    fn no_records_give_a_file_without_rows() {
        let file = bytes_reader(&[]);
        assert_eq!(file.metadata().file_metadata().num_rows(), 0);
    }
}
