//! `retort list`: what configs can name, from the registries themselves.

use clap::ValueEnum as _;
use clap::builder::PossibleValue;
use retort::model::Arch;
use retort::{Error, Result};
use serde_json::{Value, json};

use super::args::{Format, Kind, List};
use super::put;

/// One line of a listing: an example as a config writes it, and what it is.
struct Row {
    example: String,
    what: String,
}

/// Prints one registry.
pub fn list(args: &List) -> Result<u8> {
    let rows = rows(args.kind)?;
    match args.format {
        Format::Md => {
            let kind = args.kind.to_possible_value();
            let kind = kind.as_ref().map_or("kind", PossibleValue::get_name);
            put(&format!("| {kind} | what it is |\n|---|---|"));
            rows.iter().for_each(|r| put(&format!("| `{}` | {} |", r.example, r.what)));
        }
        Format::Csv => {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            put("example,what");
            rows.iter().for_each(|r| put(&format!("{},{}", quoted(&r.example), quoted(&r.what))));
        }
        Format::Json => {
            let all: Vec<Value> =
                rows.iter().map(|r| json!({"example": r.example, "what": r.what})).collect();
            put(&serde_json::to_string_pretty(&all).map_err(|e| Error::Internal(e.to_string()))?);
        }
    }
    Ok(0)
}

fn rows(kind: Kind) -> Result<Vec<Row>> {
    let student = |cards: Vec<retort::student::Card>| {
        let row = |c: retort::student::Card| Row {
            example: inline(&c.example),
            what: format!("{}; needs {}; {}", c.what, c.needs, c.paper),
        };
        cards.into_iter().map(row).collect()
    };
    Ok(match kind {
        Kind::Datasets => retort::data::cards()
            .into_iter()
            .map(|c| Row {
                example: c.name.into(),
                what: format!(
                    "{} rows, {} features, {} classes; {}; {}",
                    c.rows, c.features, c.classes, c.layout, c.licence
                ),
            })
            .collect(),
        Kind::Models => Arch::examples()
            .into_iter()
            .map(|a| {
                let what = match a {
                    Arch::Tree { .. } => "grown split by split; no gradients",
                    Arch::OneVsRest {} => {
                        "a regression a class, trained with SGD or AdamW; no gradients"
                    }
                    _ => "trained with SGD or AdamW",
                };
                Ok(Row { example: inline(&to_value(&a)?), what: what.into() })
            })
            .collect::<Result<_>>()?,
        Kind::Strategies => student(retort::student::strategy_cards()),
        Kind::Objectives => student(retort::student::objective_cards()),
        Kind::Recoveries => student(retort::student::recovery_cards()),
        Kind::Defenses => retort::defense::cards().iter().map(defense).collect::<Result<_>>()?,
        Kind::Detectors => {
            let layers = retort::defense::cards().into_iter().filter(|c| c.detects);
            let layers = layers.map(|c| defense(&c));
            let campaigns = retort::campaign::spec::DetectorKind::examples().into_iter();
            let campaigns = campaigns.map(|(kind, what)| {
                let what = format!("in campaigns: {what}");
                Ok(Row { example: inline(&to_value(&kind)?), what })
            });
            layers.chain(campaigns).collect::<Result<_>>()?
        }
        Kind::Metrics => retort::metric::CATALOG
            .iter()
            .map(|m| Row {
                example: m.name.into(),
                what: format!("{} ({}, {:?} is better)", m.what, m.unit, m.better),
            })
            .collect(),
        Kind::TextDefenses => retort::defense::text::cards()
            .into_iter()
            .map(|c| {
                let hook = format!("{:?}", c.hook).to_lowercase();
                let what = format!("{hook} hook; {}", c.paper);
                Ok(Row { example: inline(&to_value(&c.example)?), what })
            })
            .collect::<Result<_>>()?,
        Kind::TextObjectives => retort::experiment::language::objective::Objective::examples()
            .into_iter()
            .map(|o| {
                let what = format!("needs {}; {}", o.needs(), o.paper());
                Ok(Row { example: inline(&to_value(&o)?), what })
            })
            .collect::<Result<_>>()?,
    })
}

/// A layer in front of a classifier.
fn defense(card: &retort::defense::DefenseCard) -> Result<Row> {
    Ok(Row {
        example: inline(&to_value(&card.example)?),
        what: format!(
            "{}; on {}; its defender owns {}; counter: {}",
            card.paper,
            card.takes.join(", "),
            card.owns,
            card.example.counter()
        ),
    })
}

fn to_value<T: serde::Serialize>(value: &T) -> Result<Value> {
    serde_json::to_value(value).map_err(|e| Error::Internal(e.to_string()))
}

/// A JSON object as a TOML inline table.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let items: Vec<String> =
                map.iter().map(|(k, v)| format!("{k} = {}", inline(v))).collect();
            format!("{{ {} }}", items.join(", "))
        }
        other => other.to_string(),
    }
}
