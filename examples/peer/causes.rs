//! Why two programs with one architecture and as many steps may end points of agreement apart: what the
//! students of an extraction start from, and whether rows are drawn twice. Ten students each, the same
//! teacher, everything else equal.

use ndarray::Axis;
use retort::metric;
use retort::model::Model;
use retort::seed::{Seed, below, normal};
use serde_json::{Value, json};

use crate::knockoff::{STUDENTS, budget, choices, learn, queries, share};
use crate::work::{Work, load_rows};
use crate::{Outcome, Request};

/// Agreement, mean and 95 % interval over students, for each cause and both.
pub fn causes(request: &Request) -> Outcome<Value> {
    let work = Work::load(&request.dir)?;
    let budget = budget(&work)?;
    let pool = load_rows(&request.dir.join("inputs.npy"))?;
    let test = load_rows(&request.dir.join("test.npy"))?;
    let teacher = work.model(&request.dir.join("weights"))?;
    let truth = choices(&teacher, test.view())?;
    let recipe = work.recipe(request.steps.unwrap_or(work.steps));
    let run = |seed: u64, repeats: bool, wide: bool| -> Outcome<f64> {
        let fresh = work.init(seed)?;
        let student = if wide { widened(&work, &fresh, seed)? } else { fresh };
        let rows = match repeats {
            true => {
                let mut rng = Seed::new(seed).child("repeats").rng();
                (0..budget).map(|_| below(&mut rng, pool.nrows())).collect()
            }
            false => queries(seed, budget),
        };
        let inputs = pool.select(Axis(0), &rows);
        let student = learn(student, &teacher, inputs, &recipe, seed)?;
        Ok(share(&choices(&student, test.view())?, &truth))
    };
    let mut report = json!({});
    for (name, repeats, wide) in [
        ("torch's start, distinct rows", false, false),
        ("torch's start, rows drawn with replacement", true, false),
        ("candle-nn's start, distinct rows", false, true),
        ("candle-nn's start, rows drawn with replacement", true, true),
    ] {
        let all: Vec<f64> = (0..STUDENTS).map(|s| run(s, repeats, wide)).collect::<Outcome<_>>()?;
        let e = metric::mean_ci(&all, 0.95);
        report[name] = json!({ "agreement": e.mean, "low": e.low, "high": e.high });
    }
    Ok(report)
}

/// Weights as candle-nn 0.11 draws them unasked: normal with deviation sqrt(2 / fan in), which is 2.4
/// times as wide as torch's. Biases stay.
fn widened(work: &Work, fresh: &Model, seed: u64) -> Outcome<Model> {
    let mut tensors = fresh.weights()?;
    for (name, shape, values) in tensors.iter_mut().filter(|t| t.0.ends_with("weight")) {
        let mut rng = Seed::new(seed).child("wide").child(name).rng();
        let deviation = (2.0 / shape[0] as f64).sqrt();
        values.iter_mut().for_each(|v| *v = (normal(&mut rng) * deviation) as f32);
    }
    Ok(Model::from_tensors(&work.arch, work.shape, work.classes, fresh.device(), tensors)?)
}
