//! Every failure is `{"error": "text"}` with a fitting status.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::error::Error;
use crate::ledger::{Denial, Tick};
use crate::oracle::{Outcome, oip};

/// A request that is not answered, and what the caller is told.
pub struct Refusal {
    status: StatusCode,
    body: Value,
    headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, body: json!({ "error": text.into() }), headers: Vec::new() }
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    pub fn unauthorized() -> Self {
        let mut refusal = Self::new(StatusCode::UNAUTHORIZED, "the API key is missing or unknown");
        refusal.headers.push(("www-authenticate", "Bearer".into()));
        refusal
    }

    /// The caller's mistakes by name; everything else stays inside.
    pub fn from_error(error: &Error) -> Self {
        match error {
            Error::Input { .. } | Error::Shape { .. } => Self::bad(error.to_string()),
            _ => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed to answer"),
        }
    }

    /// No row is answered: 403 if all are blocked, else 429 with when to come back, if ever.
    pub fn denied(outcomes: &[Outcome], at: Tick) -> Self {
        let denials = || {
            outcomes.iter().filter_map(|o| match o {
                Outcome::Denied(d) => Some(*d),
                Outcome::Answered(_) => None,
            })
        };
        let retry_at = denials().filter_map(|d| match d {
            Denial::Throttled { retry_at } => Some(retry_at),
            _ => None,
        });
        let mut refusal = if denials().all(|d| matches!(d, Denial::Blocked { .. })) {
            Self::forbidden("blocked")
        } else if let Some(retry_at) = retry_at.min() {
            let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate limit reached");
            let us = retry_at.0.saturating_sub(at.0);
            refusal.headers.push(("retry-after", us.div_ceil(1_000_000).to_string()));
            refusal.headers.push(("retry-after-ms", us.div_ceil(1_000).to_string()));
            refusal
        } else {
            let over = denials().any(|d| matches!(d, Denial::OverBudget { .. }));
            let text = if over { "the query budget is spent" } else { "proof of work required" };
            let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, text);
            refusal.headers.push(("x-should-retry", "false".into()));
            refusal
        };
        refusal.body[oip::OUTCOMES] = oip::outcomes_to(outcomes);
        refusal.body[oip::AT] = at.0.into();
        refusal
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
        response
    }
}
