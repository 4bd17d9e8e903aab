//! What an API gives away of a language model's last layer, form by form (`experiments/21_hidden_width`).
//!
//!     cargo run --release --example hidden_width -- [prompts=512] [seeds=5]
//!
//! Models are the teacher of the suite and fresh decoders; a seed draws the prompts, and the weights of what is fresh.

#![allow(clippy::disallowed_macros, reason = "an example prints")]

use ndarray::{Array2, Axis};
use retort::Seed;
use retort::experiment::language::api::{BiasRule, LanguageApi, Reveal};
use retort::experiment::language::teacher::shipped;
use retort::model::Device;
use retort::model::language::{Decoder, Fresh, Language, NormRule};
use retort::seed::below;
use retort::student::least_squares;
use retort::student::projection::{Answers, Asker, read};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Different tokens of every model here.
const VOCABULARY: usize = 256;
/// Longest prompt.
const LONGEST: usize = 16;
/// How finely the bias that flips the first token is searched for.
const STEP: f64 = 1e-3;

/// What an API reveals, and what the row is called.
fn forms() -> Vec<(String, Reveal)> {
    let whole = |decimals| Reveal { whole: true, decimals, ..Reveal::TEXT };
    let top = |top, bias, decimals| Reveal { top, bias, decimals, ..Reveal::TEXT };
    let mut forms = vec![("all".to_string(), whole(None))];
    forms.extend((2..=6).rev().map(|d| (format!("all, {d} decimals"), whole(Some(d)))));
    let rest = [
        ("all, 1 decimal", whole(Some(1))),
        ("top 20, bias", top(20, BiasRule::Shown, None)),
        ("top 5, bias", top(5, BiasRule::Shown, None)),
        ("top 20, bias, 2 decimals", top(20, BiasRule::Shown, Some(2))),
        ("top 20, bias, 1 decimal", top(20, BiasRule::Shown, Some(1))),
        ("top 20, bias on samples only", top(20, BiasRule::Sampling, None)),
        ("text, bias", top(0, BiasRule::Shown, None)),
        ("top 20, no bias", top(20, BiasRule::Off, None)),
        ("top 128, no bias", top(128, BiasRule::Off, None)),
        ("text, no bias", Reveal::TEXT),
    ];
    forms.extend(rest.map(|(name, reveal)| (name.to_string(), reveal)));
    forms
}

/// A column of the tables.
struct Column {
    name: String,
    /// A fresh decoder of this width and norm; the teacher of the suite without.
    fresh: Option<(usize, NormRule)>,
    /// Whether the mean answer is taken out first.
    without_constant: bool,
    /// What answers can show: one less than the width behind a layer norm, and one more with a constant.
    visible: usize,
}

fn columns() -> Vec<Column> {
    let teacher = |name: &str, without_constant, visible| Column {
        name: name.into(),
        fresh: None,
        without_constant,
        visible,
    };
    let mut columns =
        vec![teacher("teacher", false, 128), teacher("teacher less its mean answer", true, 127)];
    for width in [32, 64, 96, 128] {
        for (norm, name, visible) in
            [(NormRule::Layer, "layer", width - 1), (NormRule::Rms, "RMS", width)]
        {
            let (name, fresh) = (format!("{width} {name}"), Some((width, norm)));
            columns.push(Column { name, fresh, without_constant: false, visible });
        }
    }
    columns
}

fn model(fresh: Option<(usize, NormRule)>, seed: Seed) -> retort::Result<Language> {
    let Some((width, norm)) = fresh else { return shipped() };
    let plan = Decoder {
        vocabulary: VOCABULARY,
        context: LONGEST,
        layers: 2,
        heads: 4,
        width,
        norm,
        positions: Default::default(),
        bend: Default::default(),
        dropout: 0.0,
        fresh: Fresh::FanIn,
        llama: None,
    };
    Language::init(&plan, Device::Cpu, seed)
}

/// Random bytes, 1 to 16 of them.
fn prompts(n: usize, seed: Seed) -> Vec<Vec<u16>> {
    let mut rng = seed.rng();
    let mut prompt = || {
        let len = 1 + below(&mut rng, LONGEST);
        (0..len).map(|_| below(&mut rng, VOCABULARY) as u16).collect()
    };
    (0..n).map(|_| prompt()).collect()
}

/// The last layer `[tokens, width]` as far as log-probabilities can know it: times the gain of the norm before
/// it, less its mean over tokens and, behind a layer norm, over the width.
fn truth(model: &Language) -> Outcome<Array2<f64>> {
    let weights = model.weights();
    let named = |name: &str| {
        let found = weights.iter().find(|(n, ..)| n == name);
        found.ok_or_else(|| format!("no parameter `{name}`"))
    };
    let (_, shape, output) = named("output.weight")?;
    let (_, _, gain) = named("norm.weight")?;
    let at = |i: usize, k: usize| f64::from(output[k * shape[1] + i]) * f64::from(gain[k]);
    let mut layer = Array2::from_shape_fn((shape[1], shape[0]), |(i, k)| at(i, k));
    layer = &layer - &(layer.sum_axis(Axis(0)) / shape[1] as f64);
    Ok(match model.plan().norm {
        NormRule::Layer => Answers::new(layer).centred().rows().clone(),
        NormRule::Rms => layer,
    })
}

/// What a student ends with at one form and one seed.
struct Found {
    queries: u64,
    /// Width, how many times smaller the next singular value is, and whether that is clear.
    width: Option<(usize, f64, bool)>,
    /// Root mean square of what the last layer lacks, relative to the true one's.
    lacks: Option<f64>,
}

fn steal(
    api: &mut LanguageApi<'_>,
    prompts: &[Vec<u16>],
    column: &Column,
    truth: &Array2<f64>,
) -> Outcome<Found> {
    let mut asker = Asker::new(api);
    let reading = read(&mut asker, prompts, STEP)?;
    let queries = asker.queries();
    let Some(reading) = reading else { return Ok(Found { queries, width: None, lacks: None }) };
    let mut answers = Answers::new(reading.logits).centred();
    if column.without_constant {
        answers = answers.without_constant();
    }
    let width = answers.spectrum()?.width()?;
    let found = Some((width.numbers, libm::exp(width.log_gap), width.is_clear()));
    if reading.tokens.len() < VOCABULARY {
        return Ok(Found { queries, width: found, lacks: None });
    }
    let layer = answers.last_layer(width.numbers)?;
    let left = truth - &layer.dot(&least_squares(layer.view(), truth.view())?);
    let size = |a: &Array2<f64>| libm::sqrt(a.iter().map(|x| x * x).sum());
    Ok(Found { queries, width: found, lacks: Some(size(&left) / size(truth)) })
}

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |key: &str, usual: usize| -> Outcome<usize> {
        let given = args.iter().find_map(|arg| arg.strip_prefix(key)?.strip_prefix('='));
        Ok(given.map_or(Ok(usual), str::parse)?)
    };
    let (n, seeds) = (number("prompts", 512)?, number("seeds", 5)?);
    let (forms, columns) = (forms(), columns());
    // [column][form][seed]
    let mut found: Vec<Vec<Vec<Found>>> = Vec::new();
    for column in &columns {
        let mut of_column: Vec<Vec<Found>> = forms.iter().map(|_| Vec::new()).collect();
        for seed in (1..=seeds as u64).map(|s| Seed::new(s).child("hidden-width")) {
            let model = model(column.fresh, seed.child(&column.name))?;
            let (prompts, truth) = (prompts(n, seed.child("prompts")), truth(&model)?);
            let mut api = LanguageApi::new(&model, Reveal::TEXT);
            for ((_, reveal), of_form) in forms.iter().zip(&mut of_column) {
                api = api.revealing(*reveal);
                of_form.push(steal(&mut api, &prompts, column, &truth)?);
            }
        }
        found.push(of_column);
    }

    println!("{n} prompts of 1 to {LONGEST} random bytes, {seeds} seeds.");
    let table = |title: &str, cell: &dyn Fn(&Column, &[Found]) -> String| {
        println!("\n### {title}\n");
        let names: Vec<&str> = columns.iter().map(|c| &c.name[..]).collect();
        println!("| the API tells | {} |", names.join(" | "));
        println!("|---|{}", "---:|".repeat(names.len()));
        for (i, (name, _)) in forms.iter().enumerate() {
            let cells: Vec<String> =
                columns.iter().zip(&found).map(|(c, f)| cell(c, &f[i])).collect();
            println!("| {name} | {} |", cells.join(" | "));
        }
    };
    table("Width: right answers of all seeds, and wrong ones that looked clear", &right);
    table("Widths found", &widths);
    table("The singular value before the fall over the one after it, median", &|_, found| {
        median(found.iter().filter_map(|f| f.width.map(|w| w.1)))
    });
    table("What the last layer lacks, relative, median", &|_, found| {
        median(found.iter().filter_map(|f| f.lacks))
    });
    table("Queries", &|_, found| {
        let mut queries: Vec<u64> = found.iter().map(|f| f.queries).collect();
        queries.dedup();
        queries.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
    });
    Ok(())
}

fn right(column: &Column, found: &[Found]) -> String {
    let right = |f: &&Found| f.width.is_some_and(|w| w.0 == column.visible);
    let wrong = |f: &&Found| f.width.is_some_and(|w| w.0 != column.visible && w.2);
    let (right, wrong) = (found.iter().filter(right).count(), found.iter().filter(wrong).count());
    let claims = if wrong == 0 { String::new() } else { format!(", {wrong} wrong") };
    format!("{right}/{}{claims}", found.len())
}

fn widths(_: &Column, found: &[Found]) -> String {
    let mut widths: Vec<usize> = found.iter().filter_map(|f| f.width.map(|w| w.0)).collect();
    widths.sort_unstable();
    match (widths.first(), widths.last()) {
        (Some(first), Some(last)) if first == last => first.to_string(),
        (Some(first), Some(last)) => format!("{first} to {last}"),
        _ => "-".into(),
    }
}

fn median(values: impl Iterator<Item = f64>) -> String {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => "-".into(),
        n => format!("{:.1e}", (values[(n - 1) / 2] + values[n / 2]) / 2.0),
    }
}
