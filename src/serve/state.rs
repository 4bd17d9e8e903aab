//! What the routes share: the door under its lock, the keys, the clock, and counters per account.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use ndarray::Array2;
use serde::Serialize;
use tokio::sync::{Mutex as Lock, Semaphore};
use tokio::time::timeout;

use super::clock::Started;
use super::keys::Keys;
use super::refuse::Refusal;
use super::{Options, clock};
use crate::error::{Error, Result};
use crate::gateway::Door;
use crate::ledger::{AccountId, Denial, Tick};
use crate::oracle::{Batch, Card, Outcome, Reply};

/// How long a request may take to arrive, and how long it may wait for its turn.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Requests whose bodies are held at one time; more wait.
const IN_FLIGHT: usize = 16;

/// One server's state.
pub struct App {
    held: Arc<Lock<Held>>,
    pub card: Card,
    pub keys: Keys,
    pub clock: clock::Started,
    pub model: String,
    pub files: BTreeMap<String, Bytes>,
    pub body_limit: usize,
    pub permits: Semaphore,
    counters: Mutex<BTreeMap<AccountId, Counters>>,
}

/// The door and the time of its last question. The door is gone after a panic inside it.
struct Held {
    door: Option<Box<dyn Door>>,
    last: Tick,
}

/// Rows of one account as this server saw them.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counters {
    attempted: u64,
    answered: u64,
    denied: BTreeMap<&'static str, u64>,
}

impl App {
    pub fn new(door: Box<dyn Door>, options: Options) -> Result<Self> {
        let name = options.model_name;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || !name.bytes().all(plain) {
            let expected = "letters, digits, `-`, `_` and `.`";
            return Err(Error::config("serve.model_name", name, expected));
        }
        if options.body_limit == 0 {
            return Err(Error::config("serve.body_limit", "0", "a positive number of bytes"));
        }
        let card = door.card();
        Ok(Self {
            held: Arc::new(Lock::new(Held { door: Some(door), last: Tick::ZERO })),
            card,
            keys: Keys::new(&options.keys)?,
            clock: Started::new(options.clock),
            model: name,
            files: options.files.into_iter().map(|(k, v)| (k, v.into())).collect(),
            body_limit: options.body_limit,
            permits: Semaphore::new(IN_FLIGHT),
            counters: Mutex::default(),
        })
    }

    /// Asks the door, one request at a time in order of arrival. Once a question has reached the
    /// door it is finished, even if the caller has left.
    pub async fn ask(
        self: Arc<Self>,
        account: AccountId,
        told: Option<Tick>,
        rows: Array2<f32>,
    ) -> std::result::Result<(Tick, Reply), Refusal> {
        let busy = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is busy");
        let gone = || Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is not ready");
        let wait = timeout(PATIENCE, Arc::clone(&self.held).lock_owned());
        let mut held = wait.await.map_err(|_| busy())?;
        let asked = tokio::task::spawn_blocking(move || {
            let mut door = held.door.take().ok_or_else(gone)?;
            let at = self.clock.read(told, held.last);
            held.last = at.max(held.last);
            let reply = door.ask(&Batch::classify(account, at, rows));
            held.door = Some(door);
            let reply = reply.map_err(|e| Refusal::from_error(&e))?;
            self.count(account, &reply);
            Ok((at, reply))
        });
        let panicked = Error::Internal("the door panicked".into());
        asked.await.unwrap_or_else(|_| Err(Refusal::from_error(&panicked)))
    }

    /// True while questions can be answered; a question in progress counts as ready.
    pub fn ready(&self) -> bool {
        self.held.try_lock().map_or(true, |held| held.door.is_some())
    }

    /// Takes the door out, after which nothing is answered.
    pub fn take_door(&self) -> Result<Box<dyn Door>> {
        let mut held = self.held.try_lock().map_err(|_| {
            Error::Internal("a request was still being answered when the server stopped".into())
        })?;
        held.door.take().ok_or_else(|| Error::Internal("the door was lost to a panic".into()))
    }

    /// The counters of one account.
    pub fn counters(&self, account: AccountId) -> Counters {
        let counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.get(&account).cloned().unwrap_or_default()
    }

    fn count(&self, account: AccountId, reply: &Reply) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = counters.entry(account).or_default();
        for outcome in &reply.outcomes {
            mine.attempted += 1;
            match outcome {
                Outcome::Answered(_) => mine.answered += 1,
                Outcome::Denied(denial) => *mine.denied.entry(name(*denial)).or_default() += 1,
            }
        }
    }
}

const fn name(denial: Denial) -> &'static str {
    match denial {
        Denial::OverBudget { .. } => "over-budget",
        Denial::Throttled { .. } => "throttled",
        Denial::Blocked { .. } => "blocked",
        Denial::WorkRequired { .. } => "work-required",
    }
}
