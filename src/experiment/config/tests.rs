//! Messages in full, on a spec with the forms that specs use.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Source, leaves, resolved, schema};
use crate::error::{ConfigError, Error};

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
fn one_wrong_letter_is_found_at_its_place() {
    check("digits = 1", "digit = 1", "");
    check("name = \"quick\"", "nam = \"quick\"", "");
    check("kind = \"mlp\"", "knid = \"mlp\"", "");
}
#[test]
fn a2() {
    check("seeds = 5", "seeds = 5\nhidden = [64]", "");
}
#[test]
fn a3() {
    check("dataset = \"digits\"", "dataset = \"digits\"\nseeds = 5", "");
}
#[test]
fn a4() {
    check("digits = 1", "digits = 1, sigma = 0.1", "");
}
#[test]
fn a5() {
    check("[teacher]", "[techer]", "");
}
#[test]
fn a6() {
    check("[[defense]]", "[[defence]]", "");
}
#[test]
fn a7() {
    check("\"round\"", "\"rond\"", "");
}
#[test]
fn a8() {
    check("kind = \"round\", ", "", "");
}
#[test]
fn a9() {
    check("name = \"random-soft\"\n", "", "");
}
#[test]
fn b1() {
    check("name = \"quick\"\n", "", "");
}
#[test]
fn b2() {
    check("\"digits\"", "3", "");
}
#[test]
fn b3() {
    check("seeds = 5", "seeds = \"five\"", "");
}
#[test]
fn b4() {
    check("seeds = 5", "seeds = -5", "");
}
#[test]
fn b5() {
    check("[64, 64]", "[64, \"x\"]", "");
}
#[test]
fn b6() {
    check("[[student]]", "[student]", "");
}
#[test]
fn b7() {
    check("[teacher]", "[[teacher]]", "");
}
#[test]
fn b8() {
    check("digits = 1", "digits = 300", "");
}
#[test]
fn b9() {
    check("digits = 1", "digits = 12", "");
}
#[test]
fn c1() {
    check("[teacher]", "[api]\nreveal = \"prob\"\n[teacher]", "");
}
#[test]
fn c2() {
    check("\"digits\"", "digits", "");
}
#[test]
fn c3() {
    check("seeds = 5", "seeds = ", "");
}
#[test]
fn c4() {
    check("seeds = 5", "seeds = 5\nseeds = 6", "");
}
#[test]
fn c5() {
    check("[teacher]", "[teacher", "");
}
#[test]
fn c6() {
    check("seeds = 5", "seeds = True", "");
}
#[test]
fn c7() {
    check("dataset = \"digits\"", "dataset = \"digits\"\naccuracy = true", "");
}
#[test]
fn c8() {
    check(
        "digits = 1 }",
        "digits = 1 },\n { kind = \"gaussian-noise\", sigma = \"é\", fresh = 1 }",
        "",
    );
}
#[test]
fn c9() {
    check("[64, 64]", "64", "");
}
#[test]
fn d0() {
    check("seeds = 5", "seeds = 5\nbudget = 3", "");
}
#[test]
fn d1() {
    refused(&["defense[0].stack[0].digit=2"], "");
}
#[test]
fn d2() {
    refused(&["student[random-sof].warm=true"], "");
}
#[test]
fn d3() {
    refused(&["student[2].warm=true"], "");
}
#[test]
fn d4() {
    refused(&["seeds=1,2"], "");
}
#[test]
fn d5() {
    refused(&["+seeds=1"], "");
}
#[test]
fn d6() {
    refused(&["~seed"], "");
}
#[test]
fn d7() {
    refused(&["~teacher.dataset"], "");
}
#[test]
fn d8() {
    refused(&["teacher.model={kind=mpl}"], "");
}
#[test]
fn d9() {
    refused(&["seeds.x=1"], "");
}
#[test]
fn e0() {
    refused(&["defense[0].stack[0].digits=99"], "");
}
#[test]
fn e1() {
    refused(&["student.warm=true"], "");
}
#[test]
fn e2() {
    refused(&["seeds"], "");
}
#[test]
fn e3() {
    println!(
        "{}\n{:#?}\n{}",
        resolved(&with(&[]).unwrap()),
        leaves(&with(&[]).unwrap()),
        schema::<Spec>().len()
    );
    panic!();
}
