//! A classifier behind the Open Inference Protocol on this machine. The only room that knows ureq.
//!
//! The server may be anyone's, but only at a loopback address: this is a laboratory, and a teacher
//! elsewhere is refused before anything is connected. The oracle holds one API key; the accounts of
//! a batch are not told to the server. There is one set of retries, here: 429 waits as long as the
//! server says, and whatever is still refused then is an outcome.

mod client;
mod url;

use std::time::Duration;

use serde_json::Value;

pub use client::{Client, Response};

use super::oip::{self, InferReply, InferRequest, ModelMetadata, Reading, Tensor, TensorMetadata};
use super::{AnswerKind, Batch, Card, Denial, Oracle, Outcome, Reply, Tick};
use crate::error::{Error, Result, expect_shape};

/// Longest wait for one answer of the server.
const PATIENCE: Duration = Duration::from_secs(600);

/// Times a throttled request is sent.
const TRIES: usize = 3;

/// Longest wait between tries; a server that wants more gets its refusal passed on.
const LONGEST_WAIT: Duration = Duration::from_secs(120);

/// Wait between tries where the server names none.
const USUAL_WAIT: Duration = Duration::from_secs(1);

/// Largest request in numbers, and in rows.
const NUMBERS: usize = 1 << 18;
const ROWS: usize = 1024;

/// A model on a server on this machine.
pub struct HttpOracle {
    client: Client,
    path: String,
    key: Option<String>,
    card: Card,
    input: TensorMetadata,
    reading: Reading,
}

/// Refuses an address that is not on this machine.
pub fn check_loopback(url: &str) -> Result<()> {
    url::loopback(url).map(|_| ())
}

impl HttpOracle {
    /// Reads the model's metadata. Without `model`, the server is asked for its model's name, which
    /// ours tell. If the names of the outputs do not say what they are, one row of zeros is asked
    /// to see whether answers sum to 1.
    pub fn connect(url: &str, model: Option<&str>, key: Option<String>) -> Result<Self> {
        let client = Client::connect(url, PATIENCE)?;
        let model = match model {
            Some(model) => model.to_string(),
            None => sole_model(&client)?,
        };
        if model.is_empty()
            || !model.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            let expected = "a name of letters, digits, `-`, `_` and `.`";
            return Err(Error::config("teacher.model", model, expected));
        }
        let path = format!("/v2/models/{model}");
        let about = metadata(&client, &path, key.as_deref())?;
        let [input] = about.inputs.as_slice() else {
            return Err(client.wrong(&path, format!("{} inputs", about.inputs.len()), "one input"));
        };
        let width = width(&input.shape)
            .ok_or_else(|| client.wrong(&path, format!("{:?}", input.shape), "[-1, features]"))?;
        oip::Datatype::parse(&input.datatype)?;
        let reading = guess(&about);
        let known = reading.clone().unwrap_or_else(|| unnamed(&about, 0));
        let card = Card { inputs: width, classes: known.classes, answers: known.kind };
        let input = input.clone();
        let mut oracle = Self { client, path, key, card, input, reading: known };
        if reading.is_none() {
            oracle.probe()?;
        }
        if oracle.card.classes < 2 {
            let found = format!("{} classes", oracle.card.classes);
            return Err(oracle.client.wrong(
                &oracle.path,
                found,
                "metadata with 2 or more classes",
            ));
        }
        Ok(oracle)
    }

    /// Decides by one answer whether a float output holds probabilities.
    fn probe(&mut self) -> Result<()> {
        let zeros = ndarray::Array2::zeros((1, self.card.inputs));
        let response = self.send(&self.request(zeros.view())?)?;
        if response.status != 200 {
            return Err(self.wrong(&response));
        }
        let reply = InferReply::from_bytes(&response.body, response.head())?;
        let name = &self.reading.output;
        let tensor = reply.outputs.iter().find(|t| t.name == *name);
        let row = tensor.ok_or_else(|| self.wrong(&response))?.values()?;
        let sum: f64 = row.iter().sum();
        let probs = (sum - 1.0).abs() < 1e-3 && row.iter().all(|p| (0.0..=1.0).contains(p));
        self.reading.kind = if probs { AnswerKind::Probs } else { AnswerKind::Logits };
        self.reading.classes = row.len();
        (self.card.answers, self.card.classes) = (self.reading.kind, row.len());
        Ok(())
    }

    fn request(&self, rows: ndarray::ArrayView2<'_, f32>) -> Result<Vec<u8>> {
        // A float is written as the double it equals, so that every reader gets the same one back.
        let values = rows.iter().map(|&v| f64::from(v)).collect();
        let datatype = oip::Datatype::parse(&self.input.datatype)?;
        let features = self.input.shape.iter().skip(1).map(|&d| d.max(1) as usize);
        let shape: Vec<usize> = std::iter::once(rows.nrows()).chain(features).collect();
        let mut input = Tensor::floats(&self.input.name, datatype, shape, values);
        input.values()?;
        if let Some(data) = &mut input.data {
            data.whole = !datatype.is_float();
        }
        let asked = |name: &str| oip::Asked { name: name.into(), parameters: None };
        let outputs = self.reading.names().map(asked).collect();
        let request = InferRequest { inputs: vec![input], outputs, ..Default::default() };
        serde_json::to_vec(&request).map_err(|e| Error::Internal(e.to_string()))
    }

    /// Sends a request until it is not throttled, a few times at most.
    fn send(&self, body: &[u8]) -> Result<Response> {
        let path = format!("{}/infer", self.path);
        let bearer = bearer(self.key.as_deref());
        let headers: Vec<(&str, &str)> = bearer
            .iter()
            .map(|b| ("authorization", b.as_str()))
            .chain([("content-type", "application/json")])
            .collect();
        let mut tries = 1;
        loop {
            let response = self.client.post(&path, &headers, body)?;
            let wait = pause(&response);
            if response.status != 429 || spent(&response) || tries == TRIES || wait > LONGEST_WAIT {
                return Ok(response);
            }
            std::thread::sleep(wait);
            tries += 1;
        }
    }

    /// One request's worth of rows.
    fn part(&self, rows: ndarray::ArrayView2<'_, f32>, at: Tick) -> Result<Reply> {
        let n = rows.nrows();
        let response = self.send(&self.request(rows)?)?;
        if response.status == 200 {
            let reply = InferReply::from_bytes(&response.body, response.head())?;
            return read(&self.reading, &reply, n, at);
        }
        let json = response.json();
        let outcomes = match (json.get(oip::OUTCOMES), response.status) {
            (Some(told), 403 | 429) => {
                let mut outcomes = oip::outcomes_from(Some(told), n)?;
                shift(&mut outcomes, json.get(oip::AT), at);
                outcomes
            }
            (None, 429) if spent(&response) => {
                vec![Outcome::Denied(Denial::OverBudget { left: 0 }); n]
            }
            (None, 429) => {
                let us = u64::try_from(pause(&response).as_micros()).unwrap_or(u64::MAX);
                vec![Outcome::Denied(Denial::Throttled { retry_at: at.after(us) }); n]
            }
            _ => return Err(self.wrong(&response)),
        };
        if !oip::all_denied(&outcomes) {
            return Err(self.wrong(&response));
        }
        Ok(Reply { outcomes, answers: self.reading.none() })
    }

    fn wrong(&self, response: &Response) -> Error {
        let mut found = response.complaint();
        if self.key.as_deref().is_some_and(|k| !k.is_empty() && found.contains(k)) {
            found = format!("status {}", response.status);
        }
        self.client.wrong(&format!("{}/infer", self.path), found, "answers")
    }
}

impl Oracle for HttpOracle {
    fn card(&self) -> Card {
        self.card
    }

    fn answer(&mut self, batch: &Batch) -> Result<Reply> {
        expect_shape("batch inputs", batch.inputs.shape(), &[batch.len(), self.card.inputs])?;
        let rows = (NUMBERS / self.card.inputs.max(1)).clamp(1, ROWS);
        let mut parts = Vec::new();
        for (i, chunk) in batch.inputs.axis_chunks_iter(ndarray::Axis(0), rows).enumerate() {
            parts.push(self.part(chunk, batch.at[i * rows])?);
        }
        oip::joined(parts, &self.reading)
    }
}

/// Reads a reply to `n` rows, some of them refused; times become those of the caller, where `at` is
/// now.
fn read(reading: &Reading, reply: &InferReply, n: usize, at: Tick) -> Result<Reply> {
    let told = |key| reply.parameters.as_ref().and_then(|p| p.get(key));
    let mut outcomes = oip::outcomes_from(told(oip::OUTCOMES), n)?;
    shift(&mut outcomes, told(oip::AT), at);
    let answered = outcomes.iter().filter(|o| matches!(o, Outcome::Answered(_))).count();
    Ok(Reply { answers: reading.read(&reply.outputs, answered)?, outcomes })
}

/// Moves retry times from the server's clock, which shows `theirs`, to ours, which shows `at`.
fn shift(outcomes: &mut [Outcome], theirs: Option<&Value>, at: Tick) {
    let Some(theirs) = theirs.and_then(Value::as_u64) else { return };
    for outcome in outcomes {
        if let Outcome::Denied(Denial::Throttled { retry_at }) = outcome {
            *retry_at = at.after(retry_at.0.saturating_sub(theirs));
        }
    }
}

fn bearer(key: Option<&str>) -> Option<String> {
    key.map(|k| format!("Bearer {k}"))
}

/// True if the server says that waiting does not help.
fn spent(response: &Response) -> bool {
    response.header("x-should-retry") == Some("false")
}

/// How long the server wants us to wait; milliseconds win over seconds.
fn pause(response: &Response) -> Duration {
    let number = |name| response.header(name).and_then(|v| v.trim().parse::<f64>().ok());
    number("retry-after-ms")
        .map(|ms| ms / 1e3)
        .or_else(|| number("retry-after"))
        .and_then(|s| Duration::try_from_secs_f64(s).ok())
        .unwrap_or(USUAL_WAIT)
}

fn sole_model(client: &Client) -> Result<String> {
    let json = client.get("/v2", &[])?.json();
    let name = json["parameters"]["retort_model"].as_str();
    let expected = "the model's name, which this server does not tell";
    name.map(String::from).ok_or_else(|| Error::config("teacher.model", "nothing", expected))
}

fn metadata(client: &Client, path: &str, key: Option<&str>) -> Result<ModelMetadata> {
    let bearer = bearer(key);
    let headers: Vec<_> = bearer.iter().map(|b| ("authorization", b.as_str())).collect();
    let response = client.get(path, &headers)?;
    let expected = "the model's metadata";
    if response.status != 200 {
        return Err(client.wrong(path, format!("status {}", response.status), expected));
    }
    serde_json::from_slice(&response.body).map_err(|e| client.wrong(path, e, expected))
}

/// Features of a row: every length but the first.
fn width(shape: &[i64]) -> Option<usize> {
    let (_, rest) = shape.split_first()?;
    let mut sizes = rest.iter().map(|&d| usize::try_from(d).ok().filter(|&d| d > 0));
    let product = sizes.try_fold(1usize, |n, d| n.checked_mul(d?))?;
    (!rest.is_empty()).then_some(product)
}

/// What the outputs are, by their names.
fn guess(about: &ModelMetadata) -> Option<Reading> {
    let find = |names: &[&str]| {
        about.outputs.iter().find(|o| names.iter().any(|n| o.name.eq_ignore_ascii_case(n)))
    };
    let told = about.parameters.as_ref().and_then(|p| p.get("retort_classes"));
    let told = told.and_then(Value::as_u64).and_then(|c| usize::try_from(c).ok());
    let last = |o: &TensorMetadata| width(&o.shape);
    let reading = |kind, classes, o: &TensorMetadata, probs: Option<&TensorMetadata>| {
        let probs = probs.map(|p| p.name.clone());
        Some(Reading { kind, classes, output: o.name.clone(), probs })
    };
    if let Some(o) = find(&["probs", "probabilities", "predict_proba"]) {
        return reading(AnswerKind::Probs, last(o)?, o, None);
    }
    if let Some(o) = find(&["logits"]) {
        return reading(AnswerKind::Logits, last(o)?, o, None);
    }
    if let (Some(ids), Some(probs)) = (find(&["topk_ids"]), find(&["topk_probs"])) {
        return reading(AnswerKind::TopK { k: last(ids)? }, told?, ids, Some(probs));
    }
    let label = find(&["label", "labels", "predict"])?;
    reading(AnswerKind::Labels, told?, label, None)
}

/// The first float output, to be looked at.
fn unnamed(about: &ModelMetadata, classes: usize) -> Reading {
    let float = |o: &&TensorMetadata| oip::Datatype::parse(&o.datatype).is_ok_and(|d| d.is_float());
    let output = about.outputs.iter().find(float).map(|o| o.name.clone()).unwrap_or_default();
    Reading { kind: AnswerKind::Logits, classes, output, probs: None }
}

#[cfg(test)]
mod tests;
