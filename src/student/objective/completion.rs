//! Rows made whole: what an API does not tell is completed by a named rule, never by zeros.
//!
//! Rows that do not sum to 1 (rounding) are divided by their sum; an all-zero row tells nothing and
//! becomes uniform. Entries that are negative or not finite count as 0.

use ndarray::{Array2, ArrayViewMut1};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::oracle::{Answers, TopK};

/// Rules for the mass that a top-k answer leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Completion {
    /// One more outcome, "any other class", on both sides; temperature 1.
    #[default]
    Bucket,
    /// The k kept divided by their sum.
    Renormalise,
    /// The rest spread evenly over the other classes.
    Spread,
}

fn valid(p: f64) -> f64 {
    if p.is_finite() { p.max(0.0) } else { 0.0 }
}

fn divide(mut row: ArrayViewMut1<'_, f64>) {
    let sum: f64 = row.iter().sum();
    let even = 1.0 / row.len() as f64;
    if sum > 0.0 { row.mapv_inplace(|p| p / sum) } else { row.fill(even) }
}

/// Rows `[n, classes]` divided by their sums.
pub(in crate::student) fn normalised(probs: &Array2<f64>) -> Array2<f64> {
    let mut rows = probs.mapv(valid);
    rows.rows_mut().into_iter().for_each(divide);
    rows
}

/// Softmax of every row `[n, classes]`.
pub(in crate::student) fn softmax(logits: &Array2<f64>) -> Array2<f64> {
    let mut rows = logits.clone();
    for mut row in rows.rows_mut() {
        let top = row.fold(f64::NEG_INFINITY, |a, &b| a.max(b));
        row.mapv_inplace(|z| valid(libm::exp(z - top)));
        divide(row);
    }
    rows
}

/// Answers of any kind as rows `[n, classes]`, for rules that look at answers rather than learn from them: what a
/// top-k answer leaves out is spread, a label is certain.
pub(in crate::student) fn whole(answers: &Answers, classes: usize) -> Array2<f64> {
    match answers {
        Answers::Probs(p) => normalised(p),
        Answers::Logits(z) => softmax(z),
        Answers::TopK(t) => spread(t),
        Answers::Labels(labels) => Array2::from_shape_fn((labels.len(), classes), |(i, class)| {
            f64::from(u8::from(labels[i] == class))
        }),
    }
}

/// Rows `[n, classes]` of the k kept, divided by their sum.
pub(super) fn renormalised(t: &TopK) -> Array2<f64> {
    let mut rows = Array2::zeros((t.ids.nrows(), t.classes));
    for ((i, j), &id) in t.ids.indexed_iter() {
        rows[[i, id]] = t.probs[[i, j]];
    }
    normalised(&rows)
}

/// Rows `[n, classes]` with what the k kept leave of 1 spread evenly over the other classes.
pub(super) fn spread(t: &TopK) -> Array2<f64> {
    let others = t.classes.saturating_sub(t.ids.ncols());
    let mut rows = Array2::zeros((t.ids.nrows(), t.classes));
    for (i, mut row) in rows.rows_mut().into_iter().enumerate() {
        let known = t.probs.row(i).mapv(valid);
        if others > 0 {
            row.fill((1.0 - known.sum()).max(0.0) / others as f64);
        }
        t.ids.row(i).iter().zip(known).for_each(|(&id, p)| row[id] = p);
    }
    normalised(&rows)
}

/// The same top-k answers with valid entries; a row of zeros says that the k kept are as likely as
/// any class.
pub(super) fn bucketed(t: &TopK) -> TopK {
    let mut probs = t.probs.mapv(valid);
    for mut row in probs.rows_mut() {
        if row.sum() <= 0.0 {
            row.fill(1.0 / t.classes as f64);
        }
    }
    TopK { classes: t.classes, ids: t.ids.clone(), probs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::loss::bucket;
    use crate::student::strategy::testing::{matrix, vectors_of};
    use ndarray::array;

    fn kept() -> TopK {
        TopK { classes: 4, ids: array![[2, 0]], probs: array![[0.5, 0.3]] }
    }

    fn near(got: f64, want: &serde_json::Value, tolerance: &serde_json::Value) -> bool {
        let (want, t) = (want.as_f64().unwrap(), |k: &str| tolerance[k].as_f64().unwrap());
        (got - want).abs() <= t("abs") + t("rel") * want.abs()
    }

    /// Batch mean of KL(targets || softmax(logits)).
    fn kl(targets: &Array2<f64>, logits: &Array2<f64>) -> f64 {
        let q = softmax(logits);
        let sum: f64 = targets
            .iter()
            .zip(&q)
            .filter(|(p, _)| **p > 0.0)
            .map(|(p, q)| p * (libm::log(*p) - libm::log(*q)))
            .sum();
        sum / targets.nrows() as f64
    }

    #[test]
    fn each_completion_rule_does_what_its_name_says() {
        let close = |a: Array2<f64>, b: Array2<f64>| (a - b).iter().all(|d| d.abs() < 1e-12);
        assert!(close(renormalised(&kept()), array![[0.375, 0.0, 0.625, 0.0]]));
        assert!(close(spread(&kept()), array![[0.3, 0.1, 0.5, 0.1]]));
        assert_eq!(bucketed(&kept()), kept());
    }

    #[test]
    fn rows_that_do_not_sum_to_one_are_divided_by_their_sum() {
        let rows = normalised(&array![[0.4, 0.4], [0.0, 0.0], [f64::NAN, 0.2]]);
        assert_eq!(rows, array![[0.5, 0.5], [0.5, 0.5], [0.0, 1.0]]);
        let zeros = TopK { probs: array![[0.0, 0.0]], ..kept() };
        assert_eq!(bucketed(&zeros).probs, array![[0.25, 0.25]]);
    }

    #[test]
    fn reference_tails_are_matched() {
        let cases = vectors_of("losses", "topk_tail");
        assert!(cases.len() >= 7);
        for case in cases {
            let (input, expected) = (&case["input"], &case["expected"]);
            let logits = matrix(&input["student_logits"]);
            let top = TopK {
                classes: logits.ncols(),
                ids: matrix(&input["ids"]).mapv(|v| v as usize),
                probs: matrix(&input["logprobs"]).mapv(libm::exp),
            };
            let (in_bucket, _) = bucket::loss(logits.view(), &bucketed(&top));
            let kept_only = kl(&renormalised(&top), &logits);
            for (got, name) in [(in_bucket, "bucket"), (kept_only, "teacher_renormalised")] {
                let want = &expected[name]["loss"];
                assert!(near(got, want, &case["tolerance"]), "{} {name}: {got} {want}", case["id"]);
            }
        }
    }

    #[test]
    fn spread_rows_temper_as_the_reference_does() {
        for case in vectors_of("losses", "topk_retemper") {
            let input = &case["input"];
            let probs = matrix(&serde_json::json!([input["logprobs"]])).mapv(libm::exp);
            let k = probs.ncols();
            let classes = k + input["missing_tokens"].as_u64().unwrap() as usize;
            let ids = Array2::from_shape_fn((1, k), |(_, j)| j);
            let power = input["T_generation"].as_f64().unwrap() / input["T_loss"].as_f64().unwrap();
            let whole = spread(&TopK { classes, ids, probs }).mapv(|p| libm::pow(p, power));
            let got = normalised(&whole);
            for (j, want) in case["expected"]["spread"].as_array().unwrap().iter().enumerate() {
                assert!(near(got[[0, j]], want, &case["tolerance"]), "{}", case["id"]);
            }
        }
    }
}
