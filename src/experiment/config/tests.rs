//! Messages in full, on a spec with the forms that specs use.

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
fn one_wrong_letter_in_a_key_is_found_at_its_place() {
    check(
        "digits = 1",
        "digit = 1",
        "exp.toml:11:21: defense[0].stack[0].digit: found unknown key `digit`, expected one of \
         `kind`, `digits`; did you mean `digits`?
 11 |   { kind = \"round\", digit = 1 },
    |                     ^^^^^",
    );
    check(
        "kind = \"mlp\"",
        "knid = \"mlp\"",
        "exp.toml:6:11: teacher.model.knid: found unknown key `knid`, expected `kind`; did you mean \
         `kind`?
 6 | model = { knid = \"mlp\", hidden = [64, 64] }
   |           ^^^^",
    );
}

#[test]
fn a_key_in_the_wrong_table_is_told_where_it_belongs() {
    check(
        "dataset = \"digits\"",
        "dataset = \"digits\"\nseeds = 5",
        "exp.toml:6:1: teacher.seeds: found unknown key `seeds` (it belongs to the top level), \
         expected one of `dataset`, `model`, `accuracy`
 6 | seeds = 5
   | ^^^^^",
    );
    check(
        "digits = 1",
        "digits = 1, sigma = 0.1",
        "exp.toml:11:33: defense[0].stack[0].sigma: found unknown key `sigma` (it belongs to \
         `defense.stack` with kind `gaussian-noise`), expected one of `kind`, `digits`
 11 |   { kind = \"round\", digits = 1, sigma = 0.1 },
    |                                 ^^^^^",
    );
    check(
        "seeds = 5",
        "seeds = 5\nhidden = [64]",
        "exp.toml:3:1: hidden: found unknown key `hidden` (it belongs to `teacher.model` with kind \
         `mlp` and `student.model` with kind `mlp`), expected one of `name`, `seeds`, `teacher`, \
         `api`, `defense`, `student`, `sweep`
 3 | hidden = [64]
   | ^^^^^^",
    );
}

#[test]
fn an_unknown_table_is_marked_in_its_header() {
    check(
        "[[defense]]",
        "[[defence]]",
        "exp.toml:8:3: defence: found unknown table `defence`, expected one of `name`, `seeds`, \
         `teacher`, `api`, `defense`, `student`, `sweep`; did you mean `defense`?
 8 | [[defence]]
   |   ^^^^^^^",
    );
}

#[test]
fn an_unknown_kind_lists_the_kinds() {
    check(
        "\"round\"",
        "\"rond\"",
        "exp.toml:11:12: defense[0].stack[0].kind: found unknown kind `rond`, expected one of \
         `round`, `gaussian-noise`; did you mean `round`?
 11 |   { kind = \"rond\", digits = 1 },
    |            ^^^^^^",
    );
    check(
        "kind = \"round\", ",
        "",
        "exp.toml:11:3: defense[0].stack[0].kind: found no `kind`, expected one of `round`, \
         `gaussian-noise`
 11 |   { digits = 1 },
    |   ^^^^^^^^^^^^^^",
    );
    check(
        "[teacher]",
        "[api]\nreveal = \"prob\"\n[teacher]",
        "exp.toml:5:10: api.reveal: found unknown reveal `prob`, expected one of `top-k`, `label`, \
         `probs`; did you mean `probs`?
 5 | reveal = \"prob\"
   |          ^^^^^^",
    );
}

#[test]
fn a_missing_key_is_placed_at_its_table() {
    check(
        "name = \"random-soft\"\n",
        "",
        "exp.toml:14:1: student[0].name: found no `name`, expected a string
 14 | [[student]]
    | ^^^^^^^^^^^",
    );
    check("name = \"quick\"\n", "", "exp.toml: name: found no `name`, expected a string");
}

#[test]
fn a_wrong_type_says_both_types() {
    check(
        "\"digits\"",
        "3",
        "exp.toml:5:11: teacher.dataset: found the integer 3, expected a string
 5 | dataset = 3
   |           ^",
    );
    check(
        "seeds = 5",
        "seeds = \"five\"",
        "exp.toml:2:9: seeds: found the string \"five\", expected an integer or a list of integers
 2 | seeds = \"five\"
   |         ^^^^^^",
    );
    check(
        "[64, 64]",
        "[64, \"x\"]",
        "exp.toml:6:39: teacher.model.hidden[1]: found the string \"x\", expected an integer
 6 | model = { kind = \"mlp\", hidden = [64, \"x\"] }
   |                                       ^^^",
    );
    check(
        "[[student]]",
        "[student]",
        "exp.toml:14:1: student: found a table, expected a list of tables, written `[[student]]` or \
         `student = [...]`
 14 | [student]
    | ^^^^^^^^^",
    );
    check(
        "[teacher]",
        "[[teacher]]",
        "exp.toml:4:1: teacher: found a list of tables, expected a table, written `[teacher]` or \
         `teacher = {...}`
 4 | [[teacher]]
   | ^^^^^^^^^^^",
    );
}

#[test]
fn a_number_out_of_range_says_the_range() {
    check(
        "digits = 1",
        "digits = 300",
        "exp.toml:11:30: defense[0].stack[0].digits: found the integer 300, expected an integer \
         from 0 to 255
 11 |   { kind = \"round\", digits = 300 },
    |                              ^^^",
    );
    check(
        "seeds = 5",
        "seeds = -5",
        "exp.toml:2:9: seeds: found the integer -5, expected an integer from 0 to 4294967295
 2 | seeds = -5
   |         ^^",
    );
}

#[test]
fn what_only_serde_refuses_has_a_place_too() {
    check(
        "digits = 1",
        "digits = 12",
        "exp.toml:11:3: defense[0].stack[0]: found digits 12, expected at most 9
 11 |   { kind = \"round\", digits = 12 },
    |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    );
}

#[test]
fn broken_toml_is_placed() {
    check(
        "\"digits\"",
        "digits",
        "exp.toml:5:11: syntax: found `digits`, expected a value, strings in quotes; did you mean \
         `\"digits\"`?
 5 | dataset = digits
   |           ^^^^^^",
    );
    check(
        "seeds = 5",
        "seeds = True",
        "exp.toml:2:9: syntax: found `True`, expected `true` or `false`; did you mean `true`?
 2 | seeds = True
   |         ^^^^",
    );
    check(
        "seeds = 5",
        "seeds = 5\nseeds = 6",
        "exp.toml:3:1: syntax: found `seeds` a second time, expected each key once
 3 | seeds = 6
   | ^^^^^",
    );
    check(
        "[teacher]",
        "[teacher",
        "exp.toml:4:9: syntax: found the end of the line, expected valid TOML (unclosed table, \
         expected `]`)
 4 | [teacher
   |         ^",
    );
}

#[test]
fn columns_count_characters_and_tabs_keep_the_caret_in_line() {
    check(
        "seeds = 5",
        "seeds = 5 # é\r\n\tsweep = { \"é\" = [], b = 1 }",
        "exp.toml:3:26: sweep.b: found the integer 1, expected a list
 3 |  sweep = { \"é\" = [], b = 1 }
   |                          ^",
    );
}

#[test]
fn overrides_set_add_and_delete() {
    let spec = with(&[
        "teacher.dataset=mnist",
        "teacher.model.hidden=[8]",
        "student[random-soft].warm=true",
        "api.reveal=top-k",
        "+teacher.accuracy=0.5",
        "++seeds=[7, 8]",
        "defense.0.stack[0].digits=3",
        "+defense[1]={name = none, stack = []}",
    ])
    .unwrap();
    assert_eq!(spec.teacher.dataset, "mnist");
    assert_eq!(spec.teacher.model, Model::Mlp { hidden: vec![8] });
    assert_eq!(spec.teacher.accuracy, Some(0.5));
    assert_eq!(spec.seeds, Seeds::List(vec![7, 8]));
    assert_eq!(spec.api.reveal, Reveal::TopK);
    assert!(spec.student[0].warm);
    assert_eq!(spec.defense[0].stack, [Defense::Round(Round { digits: 3 })]);
    assert_eq!(spec.defense[1].name, "none");
    assert_eq!(with(&["~defense[0]"]).unwrap().defense, []);
    assert_eq!(with(&["~seeds"]).unwrap().seeds, one());
}

#[test]
fn refused_overrides_name_themselves() {
    let table = [
        (
            "defense[0].stack[0].digit=2",
            "defense[0].stack[0].digit: found unknown key `digit` in `defense[0].stack[0].digit=2`, \
             expected one of `kind`, `digits`; did you mean `digits`?",
        ),
        (
            "teacher.model={kind=mpl}",
            "teacher.model.kind: found unknown kind `mpl` in `teacher.model={kind=mpl}`, expected \
             one of `logistic`, `mlp`; did you mean `mlp`?",
        ),
        (
            "seeds=five",
            "seeds: found the string \"five\" in `seeds=five`, expected an integer or a list of integers",
        ),
        (
            "student[random-sof].warm=true",
            "student: found no entry `random-sof` in `student[random-sof].warm=true`, expected \
             `random-soft` or a position such as `[0]`; did you mean `random-soft`?",
        ),
        (
            "student[2].warm=true",
            "student: found position 2 in `student[2].warm=true`, expected a position below 1",
        ),
        (
            "seeds=1,2",
            "seeds: found several values in `seeds=1,2`, expected one value, or `-m` to run a grid",
        ),
        (
            "+seeds=1",
            "seeds: found a key that is already there in `+seeds=1`, expected a new key; `++` sets either",
        ),
        (
            "~seed",
            "seed: found nothing to delete in `~seed`, expected a key of the file; did you mean `seeds`?",
        ),
        ("~seeds=5", "seeds: found a value in `~seeds=5`, expected only the key to delete"),
        ("seeds.x=1", "seeds: found the integer 5 in `seeds.x=1`, expected a table or a list"),
        ("seeds", "seeds: found no value in `seeds`, expected `key=value`"),
        (
            "seeds=[1",
            "seeds: found a value that cannot be read in `seeds=[1`, expected a TOML value or a bare word",
        ),
    ];
    for (text, expected) in table {
        refused(&[text], &format!("command line: {expected}"));
    }
}

#[test]
fn later_errors_get_their_place() {
    let mut source = read(GOOD);
    let at = |source: &Source, key: &str| {
        source.locate(Error::config(key, "9", "at most 6")).to_string()
    };
    assert_eq!(
        at(&source, "defense[0].stack[0].digits"),
        "exp.toml:11:30: defense[0].stack[0].digits: found 9, expected at most 6
 11 |   { kind = \"round\", digits = 1 },
    |                              ^"
    );
    assert_eq!(
        at(&source, "student[0].model.depth"),
        "exp.toml:16:9: student[0].model.depth: found 9, expected at most 6
 16 | model = { kind = \"logistic\" }
    |         ^^^^^^^^^^^^^^^^^^^^^"
    );
    assert_eq!(at(&source, "budget.days"), "exp.toml: budget.days: found 9, expected at most 6");
    source.apply("defense[round-1].stack[0].digits=9").unwrap();
    assert_eq!(
        at(&source, "defense[0].stack[0].digits"),
        "command line: defense[0].stack[0].digits: found 9 in \
         `defense[round-1].stack[0].digits=9`, expected at most 6"
    );
}

#[test]
fn a_sweep_sets_keys_and_its_errors_point_into_it() {
    let text = format!(
        "{GOOD}\n[sweep]\nteacher.dataset = [\"a\", \"b\"]\n\"student[0].warn\" = [true]\n"
    );
    let mut source = read(&text);
    let axes = source.sweep().unwrap();
    assert_eq!(axes[0].0, "teacher.dataset");
    source.apply_swept(&axes[0].0, &axes[0].1[1]).unwrap();
    assert_eq!(source.parse::<Spec>().unwrap().teacher.dataset, "b");
    source.apply_swept(&axes[1].0, &axes[1].1[0]).unwrap();
    assert_eq!(
        source.parse::<Spec>().unwrap_err().to_string(),
        "exp.toml:20:1: student[0].warn: found unknown key `warn`, expected one of `name`, `model`, \
         `warm`; did you mean `warm`?
 20 | \"student[0].warn\" = [true]
    | ^^^^^^^^^^^^^^^^^"
    );
    let err = source.apply_swept("student[0].warn.x", &1.into()).unwrap_err();
    assert!(
        err.to_string().starts_with("exp.toml:18:1: sweep.\"student[0].warn.x\": found true"),
        "{err}"
    );
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
