//! A door that leads through a socket: the run's own server and its client in one.
//!
//! What comes back is what the inner door gives when asked directly, bit for bit. Floats travel as
//! bytes, time and account as headers.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::time::Duration;

use ndarray::{Axis, Slice};
use rand::Rng;

use super::{BODY_LIMIT, Clock, Options, Running, Server, clock};
use crate::error::{Error, Result, expect_shape};
use crate::gateway::{Door, Gateway};
use crate::ledger::AccountId;
use crate::oracle::http::{Client, Response};
use crate::oracle::oip::{self, Asked, Datatype, InferReply, InferRequest, Reading, Tensor};
use crate::oracle::{Batch, Card, Outcome, Reply};
use crate::seed::Seed;

/// Largest request in bytes of numbers; batches are cut to it.
const BYTES: usize = BODY_LIMIT / 4;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Puts the door behind a server on 127.0.0.1 with virtual time, and gives a door that asks it over
/// HTTP for accounts `0..accounts`.
pub fn open_http_door(door: Box<dyn Door>, accounts: usize) -> Result<Box<dyn Door>> {
    if accounts == 0 {
        return Err(Error::input("accounts", 0, "1 or more"));
    }
    let card = door.card();
    let secret = Secret::new();
    let keys: Vec<String> = (0..accounts as u64).map(|i| secret.word("key", i)).collect();
    let token = secret.word("clock", 0);
    let options = Options {
        addr: ([127, 0, 0, 1], 0).into(),
        keys: (0..).map(AccountId).zip(&keys).map(|(a, k)| (k.clone(), a)).collect(),
        clock: Clock::Virtual { token: token.clone() },
        model_name: "teacher".into(),
        files: BTreeMap::new(),
        body_limit: BODY_LIMIT,
    };
    let running = Server::start(door, options)?;
    let client = Client::connect(&format!("http://{}", running.addr()), PATIENCE)?;
    Ok(Box::new(HttpDoor { running, client, card, reading: Reading::of(card), keys, token }))
}

struct HttpDoor {
    running: Running,
    client: Client,
    card: Card,
    reading: Reading,
    keys: Vec<String>,
    token: String,
}

impl Door for HttpDoor {
    fn card(&self) -> Card {
        self.card
    }

    /// Consecutive rows of one account at one time go as one request.
    fn ask(&mut self, batch: &Batch) -> Result<Reply> {
        expect_shape("batch inputs", batch.inputs.shape(), &[batch.len(), self.card.inputs])?;
        let most = (BYTES / (4 * self.card.inputs + 16 * self.card.classes + 1)).max(1);
        let parts = pieces(batch, most).into_iter().map(|p| self.part(batch, p));
        oip::joined(parts.collect::<Result<_>>()?, &self.reading)
    }

    fn close(self: Box<Self>) -> Result<Gateway> {
        self.running.stop()?.close()
    }
}

impl HttpDoor {
    fn part(&self, batch: &Batch, rows: Range<usize>) -> Result<Reply> {
        let (account, at, n) = (batch.account[rows.start], batch.at[rows.start], rows.len());
        let key = self.keys.get(account.0 as usize).ok_or_else(|| {
            Error::input("account", account.0, format!("an account below {}", self.keys.len()))
        })?;
        let inputs = batch.inputs.slice_axis(Axis(0), Slice::from(rows));
        let (body, head) = self.request(inputs)?;
        let (bearer, at, head) = (format!("Bearer {key}"), at.0.to_string(), head.to_string());
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", "application/octet-stream"),
            (clock::AT, &at),
            (clock::TOKEN, &self.token),
            (oip::HEADER_LENGTH, &head),
        ];
        let path = "/v2/models/teacher/infer";
        self.read(path, n, &self.client.post(path, &headers, &body)?)
    }

    fn request(&self, inputs: ndarray::ArrayView2<'_, f32>) -> Result<(Vec<u8>, usize)> {
        let values = inputs.iter().map(|&v| f64::from(v)).collect();
        let input = Tensor::floats("input", Datatype::Fp32, inputs.shape().to_vec(), values);
        let binary = serde_json::json!({ "binary_data": true }).as_object().cloned();
        let asked = |name: &str| Asked { name: name.into(), parameters: binary.clone() };
        let outputs = self.reading.names().map(asked).collect();
        InferRequest { inputs: vec![input], outputs, ..Default::default() }.to_binary()
    }

    fn read(&self, path: &str, n: usize, response: &Response) -> Result<Reply> {
        if response.status == 200 {
            let reply = InferReply::from_bytes(&response.body, response.head())?;
            let told = reply.parameters.as_ref().and_then(|p| p.get(oip::OUTCOMES));
            let outcomes = oip::outcomes_from(told, n)?;
            let answered = outcomes.iter().filter(|o| matches!(o, Outcome::Answered(_))).count();
            return Ok(Reply { answers: self.reading.read(&reply.outputs, answered)?, outcomes });
        }
        let json = response.json();
        match json.get(oip::OUTCOMES) {
            Some(told) => {
                let outcomes = oip::outcomes_from(Some(told), n)?;
                Ok(Reply { outcomes, answers: self.reading.none() })
            }
            None => Err(self.client.wrong(path, response.complaint(), "an answer")),
        }
    }
}

/// Runs of equal account and time, none longer than `most` rows.
fn pieces(batch: &Batch, most: usize) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    for i in 0..batch.len() {
        match pieces.last_mut() {
            Some(p)
                if batch.account[p.start] == batch.account[i]
                    && batch.at[p.start] == batch.at[i]
                    && p.len() < most =>
            {
                p.end = i + 1;
            }
            _ => pieces.push(i..i + 1),
        }
    }
    pieces
}

/// Keys that another program on this machine cannot guess. They never reach a result.
struct Secret(Seed);

impl Secret {
    fn new() -> Self {
        // The standard library keys its hashers from the system's random source.
        let word = || RandomState::new().build_hasher().finish();
        Self(Seed::new(word()).keyed(&word().to_le_bytes()).child("serve"))
    }

    fn word(&self, name: &str, i: u64) -> String {
        let mut rng = self.0.nth(name, i).rng();
        (0..4).map(|_| format!("{:016x}", rng.next_u64())).collect()
    }
}
