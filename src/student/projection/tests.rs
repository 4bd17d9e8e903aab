//! Reference vectors, and a scripted API over known logits.

use ndarray::{Array2, Axis, array};
use serde_json::Value;

use super::*;
use crate::error::Error;
use crate::student::linear::least_squares;

fn vectors() -> Value {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/extraction.json"));
    serde_json::from_str(text).unwrap()
}

fn cases<'a>(all: &'a Value, method: &'a str) -> impl Iterator<Item = &'a Value> {
    let cases = all["cases"].as_array().unwrap().iter();
    cases.filter(move |case| case["method"] == method)
}

fn matrix(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

/// Last layer `[V, h]` and hidden states `[n, h]` of a case, or those that all share.
fn factors(all: &Value, case: &Value) -> (Array2<f64>, Array2<f64>) {
    let own = &case["input"];
    let from = if own["W"].is_array() { own } else { &all["params"]["hidden_dim_svd"] };
    (matrix(&from["W"]), matrix(&from["H"]))
}

fn log_probabilities(logits: &Array2<f64>) -> Array2<f64> {
    let mut rows = logits.clone();
    for mut row in rows.rows_mut() {
        let sum: f64 = row.iter().map(|&x| libm::exp(x)).sum();
        row -= libm::log(sum);
    }
    rows
}

/// Layer norm without bias, or root-mean-square norm, neither with an epsilon.
fn normed(hidden: &Array2<f64>, shift: bool) -> Array2<f64> {
    let mut rows = hidden.clone();
    for mut row in rows.rows_mut() {
        let mean = if shift { row.sum() / row.len() as f64 } else { 0.0 };
        row -= mean;
        let size = libm::sqrt(row.dot(&row) / row.len() as f64);
        row /= size;
    }
    rows
}

fn answers(kind: &str, w: &Array2<f64>, h: &Array2<f64>) -> Array2<f64> {
    let logits = h.dot(&w.t());
    match kind {
        "logits" => logits,
        "logprobs" => log_probabilities(&logits),
        "logprobs_centred" => centred(&log_probabilities(&logits)),
        "logits_layernorm" => normed(h, true).dot(&w.t()),
        "logits_rmsnorm" => normed(h, false).dot(&w.t()),
        other => panic!("no kind {other}"),
    }
}

fn centred(rows: &Array2<f64>) -> Array2<f64> {
    Answers::new(rows.clone()).centred().rows().clone()
}

fn width_of(answers: &Answers) -> usize {
    answers.spectrum().unwrap().width().unwrap().numbers
}

fn check_values(found: &Spectrum, case: &Value) {
    let of = |key: &str| case["tolerance"][key].as_f64().unwrap();
    let expected: Vec<f64> =
        serde_json::from_value(case["expected"]["leading_singular_values"].clone()).unwrap();
    for (&found, &expected) in found.values().iter().zip(&expected) {
        let off = (found - expected).abs();
        assert!(off <= of("abs") + of("rel") * expected, "{}: {found}, {expected}", case["id"]);
    }
}

#[test]
fn widths_match_the_reference_vectors() {
    let all = vectors();
    let mut seen = 0;
    for case in cases(&all, "hidden_dim_svd") {
        let (w, h) = factors(&all, case);
        let kind = case["input"]["kind"].as_str().unwrap();
        let spectrum = Answers::new(answers(kind, &w, &h)).spectrum().unwrap();
        let (width, expected) = (spectrum.width().unwrap(), &case["expected"]);
        if expected["recoverable"] == false {
            assert_eq!(spectrum.rank() as u64, expected["rank"].as_u64().unwrap());
            assert!(!width.is_clear(), "nothing falls off where the vocabulary ends: {width:?}");
        } else {
            assert_eq!(width.numbers as u64, expected["h_hat"].as_u64().unwrap(), "{kind}");
            assert!(width.is_clear() && spectrum.rank() == width.numbers, "{kind}: {width:?}");
            check_values(&spectrum, case);
        }
        seen += 1;
    }
    assert_eq!(seen, 6);
}

#[test]
fn widths_of_rounded_logits_match_the_reference_vectors() {
    let all = vectors();
    let mut seen = 0;
    for case in cases(&all, "hidden_dim_rounded") {
        let (w, h) = factors(&all, case);
        let scale = 10_f64.powi(case["input"]["decimals"].as_i64().unwrap() as i32);
        let logits = h.dot(&w.t()).mapv(|z| (z * scale).round() / scale);
        let spectrum = Answers::new(logits).spectrum().unwrap();
        let width = spectrum.width().unwrap();
        assert_eq!(width.numbers as u64, case["expected"]["h_hat"].as_u64().unwrap());
        let gap = case["expected"]["log_gap"].as_f64().unwrap();
        // The gap moves by the relative error of the small value: up to 1e-6 over 2.4e-4.
        assert!((width.log_gap - gap).abs() < 5e-3 && width.is_clear(), "{width:?}, {gap}");
        check_values(&spectrum, case);
        seen += 1;
    }
    assert_eq!(seen, 4);
}

/// Whether a bias changes log-probabilities too, or only what is sampled.
#[derive(Clone, Copy, PartialEq)]
enum Bias {
    Shown,
    Sampled,
}

/// Answers prompt `[i]` from row i of logits.
struct Rows {
    logits: Array2<f64>,
    card: Card,
    bias: Bias,
    asked: u64,
}

impl Rows {
    fn new(logits: Array2<f64>, top: usize, most_bias: f64) -> Self {
        let card = Card { vocabulary: logits.ncols(), whole: false, top, most_bias };
        Self { logits, card, bias: Bias::Shown, asked: 0 }
    }

    fn prompts(&self) -> Vec<Vec<u16>> {
        (0..self.logits.nrows()).map(|row| vec![row as u16]).collect()
    }

    fn row(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Array2<f64> {
        self.asked += 1;
        let row = usize::from(prompt[0]);
        let mut logits = self.logits.select(Axis(0), &[row]);
        bias.iter().for_each(|&(token, by)| logits[[0, usize::from(token)]] += by);
        logits
    }
}

impl NextToken for Rows {
    fn card(&self) -> Card {
        self.card
    }

    fn whole(&mut self, prompt: &[u16]) -> Result<Vec<f64>> {
        match self.card.whole {
            true => Ok(log_probabilities(&self.row(prompt, &[])).into_iter().collect()),
            false => Err(Error::input("whole answers", "a request", "none")),
        }
    }

    fn top(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<Vec<(u16, f64)>> {
        let bias = if self.bias == Bias::Shown { bias } else { &[] };
        let row = log_probabilities(&self.row(prompt, bias));
        let mut all: Vec<(u16, f64)> = (0..).zip(row).collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1));
        all.truncate(self.card.top);
        Ok(all)
    }

    fn first(&mut self, prompt: &[u16], bias: &[(u16, f64)]) -> Result<u16> {
        Ok(crate::oracle::argmax(&self.row(prompt, bias)) as u16)
    }
}

/// Logits of the vectors' model, in `[20, 40]`.
fn logits() -> Array2<f64> {
    let all = vectors();
    let (w, h) = factors(&all, &Value::Null);
    h.dot(&w.t())
}

fn close(a: &Array2<f64>, b: &Array2<f64>, within: f64) {
    let off = (&centred(a) - &centred(b)).iter().fold(0.0, |m: f64, d| m.max(d.abs()));
    assert!(off <= within, "{off} apart");
}

#[test]
fn every_way_reads_the_logits_and_counts_what_it_asks() {
    let truth = logits();
    let (n, v) = (20, 40);
    let mut api = Rows::new(truth.clone(), 0, 0.0);
    api.card.whole = true;
    let prompts = api.prompts();
    let run = |mut api: Rows, way: Way, within: f64, queries: u64| {
        let mut asker = Asker::new(&mut api);
        let reading = read(&mut asker, &prompts, 1e-4).unwrap().unwrap();
        assert_eq!((reading.way, asker.queries()), (way, queries));
        assert_eq!(api.asked, queries);
        close(&reading.logits, &truth, within);
        assert_eq!(width_of(&Answers::new(reading.logits).centred()), 6);
    };
    run(api, Way::Whole, 1e-9, n);
    run(Rows::new(truth.clone(), 5, 100.0), Way::Biased, 1e-9, biased_queries(n, v, 5));
    let by_flips = n * (1 + (v - 1) * (1 + 20)); // 100 / 1e-4 is a little below 2^20
    assert_eq!(flip_queries(n, v, 100.0, 1e-4), by_flips);
    // Half a step each way, and as much for the mean of the row.
    run(Rows::new(truth.clone(), 0, 100.0), Way::Flips, 1e-4, by_flips);
    // The bias that does not show costs the one question that finds it out.
    let hidden = Rows { bias: Bias::Sampled, ..Rows::new(truth.clone(), 5, 100.0) };
    run(hidden, Way::Flips, 1e-4, by_flips + 1);
}

#[test]
fn query_counts_match_the_reference_vectors() {
    let all = vectors();
    let mut asked = 0;
    for case in cases(&all, "logit_bias_queries") {
        let of = |key: &str| case["input"][key].as_u64().unwrap();
        let expected = case["expected"]["queries"].as_u64().unwrap();
        let (n, v, k) = (of("prompts"), of("vocab"), of("top_k"));
        assert_eq!(biased_queries(n, v, k), expected);
        if n * v < 10_000 {
            let logits = Array2::from_shape_fn((n as usize, v as usize), |(i, j)| {
                ((i * 7 + j * 13) % 11) as f64
            });
            let mut api = Rows::new(logits, k as usize, 100.0);
            let prompts = api.prompts();
            let mut asker = Asker::new(&mut api);
            biased(&mut asker, &prompts).unwrap().unwrap();
            assert_eq!(asker.queries(), expected);
            asked += 1;
        }
    }
    assert_eq!(asked, 3);
}

#[test]
fn without_a_bias_only_common_tokens_can_be_read() {
    // Tokens 0 and 2 are in the first three of rows 0, 1 and 3; token 3 of two of these.
    let logits = array![
        [4.0, 0.0, 3.0, 2.0, 1.0],
        [2.0, 0.0, 4.0, 3.0, 1.0],
        [0.0, 4.0, 1.0, 2.0, 3.0],
        [3.0, 2.0, 4.0, 0.0, 1.0],
    ];
    let mut api = Rows::new(logits.clone(), 3, 0.0);
    let prompts = api.prompts();
    let reading = read(&mut Asker::new(&mut api), &prompts, 1e-3).unwrap().unwrap();
    assert_eq!((reading.way, api.asked), (Way::Told, 4));
    assert_eq!(reading.tokens, [0, 2], "told thrice each, as token 3 is; lower numbers first");
    let rows = log_probabilities(&logits);
    for (found, row) in reading.logits.rows().into_iter().zip([0, 1, 3]) {
        assert!((found[0] - rows[[row, 0]]).abs() + (found[1] - rows[[row, 2]]).abs() < 1e-12);
    }
    let mut silent = Rows::new(logits, 0, 0.0);
    assert_eq!(read(&mut Asker::new(&mut silent), &prompts, 1e-3).unwrap(), None);
}

#[test]
fn a_bias_too_small_to_lift_a_token_is_noticed() {
    let mut api = Rows::new(array![[9.0, 0.0, 1.0]], 2, 5.0);
    let prompts = api.prompts();
    let mut asker = Asker::new(&mut api);
    assert_eq!(flips(&mut asker, &prompts, 1e-3).unwrap(), None);
    assert_eq!(asker.queries(), 2);
    assert!(flips(&mut asker, &prompts, 0.0).is_err());
}

/// Root mean square of what is left of `truth` when it is fitted by `found`, relative to the truth's own.
fn misfit(found: &Array2<f64>, truth: &Array2<f64>) -> f64 {
    let turn = least_squares(found.view(), truth.view()).unwrap();
    let left = truth - &found.dot(&turn);
    libm::sqrt(left.mapv(|x| x * x).sum() / truth.mapv(|x| x * x).sum())
}

#[test]
fn the_last_layer_is_found_up_to_a_square_matrix() {
    let (w, h) = factors(&vectors(), &Value::Null);
    let layer = Answers::new(h.dot(&w.t())).last_layer(6).unwrap();
    assert_eq!(layer.dim(), (40, 6));
    assert!(misfit(&layer, &w) < 1e-12);
    // Log-probabilities know it less its mean over tokens, and nothing of that mean.
    let told = Answers::new(log_probabilities(&h.dot(&w.t()))).centred();
    let layer = told.last_layer(6).unwrap();
    let mean = w.sum_axis(Axis(0)) / 40.0;
    assert!(misfit(&layer, &(&w - &mean)) < 1e-12);
    assert!(misfit(&layer, &w) > 0.01);
    assert!(told.last_layer(21).is_err() && told.last_layer(0).is_err());
}

#[test]
fn a_constant_in_every_answer_widens_them_by_one_until_it_is_taken_out() {
    let (w, h) = factors(&vectors(), &Value::Null);
    let constant = ndarray::Array1::from_shape_fn(40, |i| (i * i % 7) as f64);
    for (hidden, width) in [(h.clone(), 6), (normed(&h, true), 5)] {
        let answers = Answers::new(hidden.dot(&w.t()) + &constant).centred();
        assert_eq!(width_of(&answers), width + 1);
        assert_eq!(width_of(&answers.without_constant()), width);
    }
}

#[test]
fn what_was_taken_out_makes_no_fall() {
    // Rounding fills every dimension but those that were taken out, which are exactly empty.
    let (w, h) = factors(&vectors(), &Value::Null);
    let (few, hidden) = (w.slice(ndarray::s![..12, ..3]), h.slice(ndarray::s![.., ..3]));
    let rounded = hidden.dot(&few.t()).mapv(|z| (z * 100.0).round() / 100.0); // [20, 12] of rank 3
    let answers = Answers::new(rounded).centred();
    assert_eq!(answers.spectrum().unwrap().values().len(), 11);
    assert_eq!(width_of(&answers), 3);
    let wide = Answers::new(answers.rows().t().to_owned()).without_constant();
    assert_eq!(wide.spectrum().unwrap().values().len(), 11);
    assert_eq!(width_of(&wide), 3);
}

#[test]
fn values_that_say_nothing_are_refused() {
    assert!(Answers::new(Array2::zeros((3, 3))).spectrum().unwrap().width().is_err());
    assert!(Answers::new(array![[1.0], [2.0]]).spectrum().unwrap().width().is_err());
    assert!(Answers::new(array![[1.0], [2.0]]).centred().spectrum().unwrap().width().is_err());
    assert!(Answers::new(array![[1.0, f64::NEG_INFINITY]]).spectrum().is_err());
}
