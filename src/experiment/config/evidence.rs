//! Where defaults come from: the `x-evidence` of a spec's schema beside its resolved values.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use super::output::{leaves, resolved};
use super::path::{Path, Seg};
use super::shape::Schema;

/// One setting.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its value as TOML.
    pub value: String,
    /// What the schema says of its default; empty if nothing.
    pub evidence: String,
    /// Whether the value is that default.
    pub usual: bool,
}

/// Every setting of a spec by its dotted key, as `actor[0].linkage.groups`.
pub fn settings<T: Serialize + JsonSchema>(spec: &T) -> BTreeMap<String, Setting> {
    let schema = Schema::of::<T>();
    let each = leaves(spec).into_iter().map(|(key, value)| {
        let path = Path::parse(&key).unwrap_or_default();
        let told = places(&schema, &path.0).into_iter().find(|s| s.get("x-evidence").is_some());
        let text = |key: &str| told.and_then(|s| s.get(key)).and_then(Json::as_str);
        let usual = told.and_then(|s| s.get("default")).is_some_and(|d| *d == value);
        let evidence = text("x-evidence").unwrap_or_default().to_string();
        (key, Setting { value: toml_of(&value), evidence, usual })
    });
    each.collect()
}

/// The spec as TOML with every default visible, and the evidence behind each as a comment. Reading it gives
/// the spec back.
pub fn annotated<T: Serialize + JsonSchema>(spec: &T) -> String {
    let settings = settings(spec);
    let mut text = String::new();
    let mut table = String::new();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in resolved(spec).lines() {
        if let Some(name) = line.strip_prefix("[[").and_then(|l| l.strip_suffix("]]")) {
            let name = numbered(name, &counts);
            let count = counts.entry(name.clone()).or_default();
            table = format!("{name}[{count}]");
            *count += 1;
        } else if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            table = numbered(name, &counts);
        }
        let key = line.split_once(" = ").map(|(key, _)| {
            if table.is_empty() { key.to_string() } else { format!("{table}.{key}") }
        });
        let told = key.and_then(|key| settings.get(&key)).filter(|s| s.usual);
        let _ = match told {
            Some(setting) => writeln!(text, "{line} # {}", setting.evidence),
            None => writeln!(text, "{line}"),
        };
    }
    text
}

/// A header with the number of the entry of each list that it is in.
fn numbered(header: &str, counts: &BTreeMap<String, usize>) -> String {
    let mut name = String::new();
    for part in header.split('.') {
        if let Some(count) = counts.get(&name).filter(|c| **c > 0) {
            let _ = write!(name, "[{}]", count - 1);
        }
        if !name.is_empty() {
            name.push('.');
        }
        name.push_str(part);
    }
    name
}

/// All schemas that describe the value at a path, before references are followed.
fn places<'s>(schema: &'s Schema, path: &[Seg]) -> Vec<&'s Json> {
    path.iter().fold(vec![schema.root()], |places, seg| {
        let shapes = places.into_iter().flat_map(|place| schema.shapes(place));
        let inner = shapes.flat_map(|shape| match seg {
            Seg::Key(key) => {
                shape.properties.iter().filter(|(k, _)| k == key).map(|(_, s)| *s).collect()
            }
            Seg::Index(_) | Seg::Name(_) => shape.items.into_iter().collect::<Vec<_>>(),
        });
        inner.collect()
    })
}

fn toml_of(value: &Json) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::spec::Scenario;

    const TEXT: &str = r#"
        [scenario]
        name = "x"
        schema = 1
        seed = 1
        days = 3
        [[actor]]
        name = "a"
        exchanges = 10
        accounts = 2
        [[actor]]
        name = "b"
        exchanges = 10
        accounts = 2
        linkage = { groups = 2 }
    "#;

    #[test]
    fn defaults_carry_their_evidence_and_own_values_do_not() {
        let scenario: Scenario = toml::from_str(TEXT).unwrap();
        let settings = settings(&scenario);
        let epoch = &settings["scenario.epoch-minutes"];
        assert!(epoch.usual && epoch.evidence.starts_with("A: "), "{epoch:?}");
        assert!(!settings["scenario.days"].usual);
        assert!(settings["actor[0].linkage.groups"].usual);
        assert!(!settings["actor[1].linkage.groups"].usual);
        let text = annotated(&scenario);
        assert!(text.contains("sms-usd = 0.26 # S: "), "{text}");
        assert_eq!(toml::from_str::<Scenario>(&text).unwrap(), scenario);
    }
}
