//! A spec with the forms that specs use, and what reading it gives. Messages are asserted in full.

mod forms;
mod messages;
mod overriding;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Source, leaves, resolved, schema};
use crate::error::Error;

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Spec {
    name: String,
    #[serde(default = "one")]
    seeds: Seeds,
    teacher: Teacher,
    #[serde(default)]
    api: Api,
    #[serde(default)]
    defense: Vec<Arm>,
    #[serde(default)]
    student: Vec<Student>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sweep: BTreeMap<String, Vec<serde_json::Value>>,
}

fn one() -> Seeds {
    Seeds::Count(1)
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Seeds {
    Count(u32),
    List(Vec<u64>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Teacher {
    dataset: String,
    model: Model,
    #[serde(default)]
    accuracy: Option<f64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Model {
    /// A linear model.
    Logistic,
    /// A perceptron.
    Mlp { hidden: Vec<u32> },
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Api {
    #[serde(default)]
    reveal: Reveal,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Reveal {
    /// All of it.
    #[default]
    Probs,
    TopK,
    Label,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arm {
    name: String,
    stack: Vec<Defense>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Defense {
    Round(Round),
    GaussianNoise {
        sigma: f64,
        #[serde(default)]
        fresh: bool,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, try_from = "u8_round::Loose")]
#[schemars(with = "u8_round::Loose")]
struct Round {
    digits: u8,
}

/// A range check that only serde knows of.
mod u8_round {
    #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
    #[serde(deny_unknown_fields)]
    pub struct Loose {
        digits: u8,
    }

    impl TryFrom<Loose> for super::Round {
        type Error = String;

        fn try_from(loose: Loose) -> Result<Self, String> {
            match loose.digits {
                digits @ 0..=9 => Ok(Self { digits }),
                digits => Err(format!("digits {digits}, expected at most 9")),
            }
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Student {
    name: String,
    model: Model,
    #[serde(default)]
    warm: bool,
}

const GOOD: &str = r#"name = "quick"
seeds = 5

[teacher]
dataset = "digits"
model = { kind = "mlp", hidden = [64, 64] }

[[defense]]
name = "round-1"
stack = [
  { kind = "round", digits = 1 },
]

[[student]]
name = "random-soft"
model = { kind = "logistic" }
"#;

fn read(text: &str) -> Source {
    Source::read("exp.toml", text).unwrap()
}

/// The message that a file gives once `from` is written as `to`.
fn check(from: &str, to: &str, expected: &str) {
    assert!(GOOD.contains(from), "{from}");
    let text = GOOD.replacen(from, to, 1);
    let err = match Source::read("exp.toml", &text).and_then(|s| s.parse::<Spec>()) {
        Ok(spec) => panic!("{to} is read as {spec:?}"),
        Err(e) => e,
    };
    assert_eq!(err.to_string(), expected, "{to}");
    assert_eq!(err.exit_code(), 2);
}

/// What a spec becomes, or the message, after overrides.
fn with(overrides: &[&str]) -> Result<Spec, String> {
    let mut source = read(GOOD);
    let lay = |source: &mut Source| overrides.iter().try_for_each(|o| source.apply(o));
    lay(&mut source).and_then(|()| source.parse()).map_err(|e: Error| e.to_string())
}

fn refused(overrides: &[&str], expected: &str) {
    assert_eq!(with(overrides).unwrap_err(), expected);
}

#[test]
fn a_good_file_is_read() {
    let spec: Spec = read(GOOD).parse().unwrap();
    assert_eq!(spec.seeds, Seeds::Count(5));
    assert_eq!(spec.teacher.model, Model::Mlp { hidden: vec![64, 64] });
    assert_eq!(spec.defense[0].stack, [Defense::Round(Round { digits: 1 })]);
    assert_eq!(spec.api.reveal, Reveal::Probs);
    let listed: Spec = read(&GOOD.replace("= 5", "= [3, 4]")).parse().unwrap();
    assert_eq!(listed.seeds, Seeds::List(vec![3, 4]));
}

#[test]
fn a_resolved_spec_shows_defaults_and_reads_back() {
    let spec: Spec = read(GOOD).parse().unwrap();
    let text = resolved(&spec);
    assert!(text.contains("reveal = \"probs\"") && text.contains("warm = false"), "{text}");
    assert_eq!(read(&text).parse::<Spec>().unwrap(), spec);
}

#[test]
fn leaves_are_dotted_and_lists_of_values_stay_whole() {
    let leaves = leaves(&read(GOOD).parse::<Spec>().unwrap());
    assert_eq!(leaves["student[0].model.kind"], "logistic");
    assert_eq!(leaves["teacher.model.hidden"], serde_json::json!([64, 64]));
    assert_eq!(leaves["defense[0].stack[0].digits"], 1);
}

#[test]
fn the_schema_is_json_and_closed() {
    let schema: serde_json::Value = serde_json::from_str(&schema::<Spec>()).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["title"], "Spec");
}
