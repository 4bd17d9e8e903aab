//! A data set as configs write it: a registry name, or a table that names the user's own files.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::{Dataset, load, load_csv, load_idx, load_npy};
use crate::error::{Error, Result};

/// `"digits"`, or `{ csv = "t.csv", label = "y" }`, `{ npy = "x.npy", labels = "y.npy" }`,
/// `{ idx = "images", labels = "labels" }`.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, JsonSchema)]
#[serde(untagged)]
pub enum DatasetSpec {
    /// A name that `retort list datasets` shows.
    Name(String),
    /// The user's own files.
    Files(Files),
}

/// Files of the user: exactly one of `csv`, `npy` and `idx`.
#[derive(
    Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, JsonSchema,
)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// A table of numbers with a label column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csv: Option<PathBuf>,
    /// Name or number (from 0) of the label column of `csv`; by default `label`, else the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// An array of inputs, one row an item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub npy: Option<PathBuf>,
    /// Images of unsigned bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idx: Option<PathBuf>,
    /// The labels that go with `npy` or `idx`, in the same format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
}

impl Default for DatasetSpec {
    fn default() -> Self {
        Self::Name("digits".to_string())
    }
}

impl DatasetSpec {
    /// Loads the rows. `root` holds the folders of the named sets.
    pub fn load(&self, root: Option<&Path>) -> Result<Dataset> {
        let files = match self {
            Self::Name(name) => return load(name, root),
            Self::Files(files) => files,
        };
        match files {
            Files { csv: Some(table), label, npy: None, idx: None, labels: None } => {
                load_csv(table, label.as_deref())
            }
            Files { npy: Some(x), labels: Some(y), csv: None, idx: None, label: None } => {
                load_npy(x, y)
            }
            Files { idx: Some(x), labels: Some(y), csv: None, npy: None, label: None } => {
                load_idx(x, y)
            }
            _ => Err(Error::config(
                "teacher.dataset",
                format!("the keys {}", files.keys().join(", ")),
                "csv (and label), or npy and labels, or idx and labels",
            )),
        }
    }
}

impl Files {
    /// Names of the keys that are set.
    fn keys(&self) -> Vec<&'static str> {
        let set = [
            ("csv", self.csv.is_some()),
            ("label", self.label.is_some()),
            ("npy", self.npy.is_some()),
            ("idx", self.idx.is_some()),
            ("labels", self.labels.is_some()),
        ];
        set.into_iter().filter(|(_, is_set)| *is_set).map(|(key, _)| key).collect()
    }
}

/// By hand, so that a wrong key inside the table is named instead of "no variant matches".
impl<'de> Deserialize<'de> for DatasetSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct NameOrFiles;
        impl<'de> Visitor<'de> for NameOrFiles {
            type Value = DatasetSpec;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("the name of a data set, or a table of files")
            }

            fn visit_str<E>(self, name: &str) -> std::result::Result<DatasetSpec, E> {
                Ok(DatasetSpec::Name(name.to_string()))
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                map: A,
            ) -> std::result::Result<DatasetSpec, A::Error> {
                Files::deserialize(MapAccessDeserializer::new(map)).map(DatasetSpec::Files)
            }
        }
        deserializer.deserialize_any(NameOrFiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Config {
        dataset: DatasetSpec,
    }

    fn parse(text: &str) -> std::result::Result<DatasetSpec, toml::de::Error> {
        toml::from_str::<Config>(text).map(|config| config.dataset)
    }

    #[test]
    fn a_name_and_a_table_are_read_and_written_alike() {
        assert_eq!(parse("dataset = 'digits'").unwrap(), DatasetSpec::default());
        let own = parse("dataset = { csv = 't.csv', label = 'y' }").unwrap();
        let text = serde_json::to_string(&own).unwrap();
        assert_eq!(text, r#"{"csv":"t.csv","label":"y"}"#);
        assert_eq!(serde_json::from_str::<DatasetSpec>(&text).unwrap(), own);
    }

    #[test]
    fn a_wrong_key_or_type_is_named() {
        let message = parse("dataset = { cvs = 't.csv' }").unwrap_err().to_string();
        assert!(message.contains("unknown field `cvs`"), "{message}");
        let message = parse("dataset = 3").unwrap_err().to_string();
        assert!(message.contains("the name of a data set, or a table of files"), "{message}");
    }

    #[test]
    fn keys_that_do_not_go_together_are_refused() {
        for table in ["csv = 'a', npy = 'b'", "npy = 'a'", "idx = 'a', labels = 'b', label = 'c'"] {
            let spec = parse(&format!("dataset = {{ {table} }}")).unwrap();
            let message = spec.load(None).unwrap_err().to_string();
            assert!(message.contains("expected csv (and label), or npy and labels"), "{message}");
        }
    }

    #[test]
    fn the_default_loads_without_a_root() {
        assert_eq!(DatasetSpec::default().load(None).unwrap().name, "digits");
    }
}
