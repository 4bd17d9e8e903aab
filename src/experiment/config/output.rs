//! A spec written out again: as TOML, as dotted leaves, and its schema for editors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use super::path::{Path, Seg};

/// The spec as TOML with every default visible, in the order of its fields. Reading it gives it back.
///
/// Keys that are absent (`None`) stay absent: TOML has no null.
///
/// # Panics
/// If `spec` holds what TOML cannot say, such as an integer above 2^63 - 1; none that was read does.
pub fn resolved<T: Serialize>(spec: &T) -> String {
    toml::to_string(spec).expect("a spec read from TOML can be written as TOML")
}

/// The leaves of a spec by dotted key: `student[0].model.kind`. Lists without tables are one leaf.
pub fn leaves<T: Serialize>(spec: &T) -> BTreeMap<String, Json> {
    let json = serde_json::to_value(spec).expect("a spec read from TOML can be written as JSON");
    let mut out = BTreeMap::new();
    collect(&json, &Path::default(), &mut out);
    out
}

fn collect(json: &Json, path: &Path, out: &mut BTreeMap<String, Json>) {
    match json {
        Json::Object(map) => {
            for (key, value) in map {
                collect(value, &path.child(key), out);
            }
        }
        Json::Array(list) if list.iter().any(Json::is_object) => {
            for (i, value) in list.iter().enumerate() {
                collect(value, &path.join(Seg::Index(i)), out);
            }
        }
        leaf => {
            out.insert(path.to_string(), leaf.clone());
        }
    }
}

/// The JSON Schema of a spec, for editors.
pub fn schema<T: JsonSchema>() -> String {
    format!("{:#}", schemars::schema_for!(T).to_value())
}
