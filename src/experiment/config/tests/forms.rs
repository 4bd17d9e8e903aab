//! Rarer forms of specs: recursion, tuples, maps, flattened structs, data-carrying plain enums.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Source;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Rare {
    inner: Option<Box<Rare>>,
    pair: Option<(u8, String)>,
    limits: BTreeMap<String, f64>,
    either: Option<Either>,
    shape: Option<Outside>,
    choice: Option<Plain>,
    flat: Option<Flat>,
    free: Option<serde_json::Value>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Either {
    Named { name: String, size: u32 },
    Listed(Vec<Plain>),
    Word(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Outside {
    Plain,
    Square { side: f32 },
    Scaled(f64),
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum Plain {
    Left,
    Right,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Flat {
    own: bool,
    #[serde(flatten)]
    kind: Tagged,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Tagged {
    A { x: i64 },
    B { y: i64 },
}

fn read(text: &str) -> Result<Rare, String> {
    Source::read("r.toml", text).and_then(|s| s.parse()).map_err(|e| e.to_string())
}

#[test]
fn every_form_is_read() {
    let rare = read(
        "pair = [1, 'a']\nlimits = { x = 1, y = 0.5 }\neither = ['left', 'right']\nshape = 'plain'\n\
         choice = 'left'\nflat = { own = true, kind = 'b', y = 2 }\nfree = { a = [1, { b = 2 }] }\n\
         [inner.inner]\neither = { name = 'n', size = 3 }\nshape = { square = { side = 2 } }\n",
    )
    .unwrap();
    assert_eq!(rare.pair, Some((1, "a".to_string())));
    assert_eq!(rare.limits["x"], 1.0);
    assert_eq!(rare.either, Some(Either::Listed(vec![Plain::Left, Plain::Right])));
    assert_eq!(rare.flat, Some(Flat { own: true, kind: Tagged::B { y: 2 } }));
    let inner = rare.inner.unwrap().inner.unwrap();
    assert_eq!(inner.either, Some(Either::Named { name: "n".into(), size: 3 }));
    assert_eq!(inner.shape, Some(Outside::Square { side: 2.0 }));
    assert_eq!(read("shape.scaled = 2").unwrap().shape, Some(Outside::Scaled(2.0)));
    assert_eq!(read("either = 'w'").unwrap().either, Some(Either::Word("w".into())));
}

#[test]
fn every_form_has_its_message() {
    let table = [
        ("pair = [1]", "r.toml:1:8: pair: found a list of length 1, expected length 2"),
        ("pair = ['a', 'b']", "r.toml:1:9: pair[0]: found the string \"a\", expected an integer"),
        (
            "limits = { x = 'a' }",
            "r.toml:1:16: limits.x: found the string \"a\", expected a number",
        ),
        ("choice = 3", "r.toml:1:10: choice: found the integer 3, expected one of `left`, `right`"),
        (
            "choice = 'lift'",
            "r.toml:1:10: choice: found unknown choice `lift`, expected one of `left`, `right`; did \
             you mean `left`?",
        ),
        (
            "either = ['left', 'righ']",
            "r.toml:1:19: either[1]: found unknown entry `righ`, expected one of `left`, `right`; \
             did you mean `right`?",
        ),
        (
            "either = 3",
            "r.toml:1:10: either: found the integer 3, expected a table or a list of strings or a string",
        ),
        (
            "shape = { squar = { side = 1 } }",
            "r.toml:1:11: shape.squar: found unknown table `squar`, expected `square`; did you mean \
             `square`?",
        ),
        (
            "flat = { own = true, kind = 'a', y = 1 }",
            "r.toml:1:34: flat.y: found unknown key `y` (it belongs to `flat` with kind `b` and \
             `inner.flat` with kind `b`), \
             expected one of `own`, `kind`, `x`",
        ),
        (
            "[inner.inner]\npair = 1",
            "r.toml:2:8: inner.inner.pair: found the integer 1, expected a list",
        ),
        (
            "[inner.innr]\npair = 1",
            "r.toml:1:8: inner.innr: found unknown table `innr`, expected one of `inner`, `pair`, \
             `limits`, `either`, `shape`, `choice`, `flat`, `free`; did you mean `inner`?",
        ),
    ];
    for (text, expected) in table {
        let message = read(text).unwrap_err();
        assert_eq!(message.lines().next(), Some(expected), "{text}");
    }
}
