//! Where a server's time comes from.

use std::time::Instant;

use axum::http::HeaderMap;
use subtle::ConstantTimeEq;

use super::refuse::Refusal;
use crate::ledger::Tick;

/// Header with the time of a request in microseconds, for a run's own server.
pub const AT: &str = "x-retort-at";

/// Header with the token that allows to say the time.
pub const TOKEN: &str = "x-retort-clock";

/// Where the time of a request comes from.
pub enum Clock {
    /// Microseconds since the server started.
    Real,
    /// The request says it and proves with the token that it may.
    Virtual {
        /// Shared with the loop that owns the server.
        token: String,
    },
}

/// A clock that has started.
pub struct Started {
    clock: Clock,
    start: Instant,
}

impl Started {
    pub fn new(clock: Clock) -> Self {
        Self { clock, start: now() }
    }

    /// The time that a request brings, where it has to bring one. With a real clock, bringing one
    /// is refused.
    pub fn told(&self, headers: &HeaderMap) -> std::result::Result<Option<Tick>, Refusal> {
        let at = headers.get(AT);
        let Clock::Virtual { token } = &self.clock else {
            return match at {
                Some(_) => Err(Refusal::forbidden("this server keeps its own time")),
                None => Ok(None),
            };
        };
        let given = headers.get(TOKEN).map_or(&b""[..], |t| t.as_bytes());
        // Hashes have one length, so the comparison does not depend on the token's.
        let same = blake3::hash(given).as_bytes().ct_eq(blake3::hash(token.as_bytes()).as_bytes());
        if !bool::from(same) {
            return Err(Refusal::forbidden("the clock token is missing or wrong"));
        }
        let tick = at.and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok()).map(Tick);
        tick.map(Some).ok_or_else(|| Refusal::bad(format!("{AT}: expected whole microseconds")))
    }

    /// The time of a request that is about to be answered; never before `last` on a real clock.
    pub fn read(&self, told: Option<Tick>, last: Tick) -> Tick {
        #[expect(
            clippy::disallowed_methods,
            reason = "a server of its own feeds real time into the limits"
        )]
        let micros = || u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        told.unwrap_or_else(|| Tick(micros()).max(last))
    }
}

/// The machine's monotone clock.
#[allow(clippy::disallowed_methods)] // a server started by hand feeds real time into the limiters
fn now() -> Instant {
    Instant::now()
}
