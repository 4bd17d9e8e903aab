//! What became of each asked row, as JSON: null for answered, else the refusal.

use std::collections::BTreeSet;
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::oracle::{Denial, Outcome, Tick};

/// A refusal on the wire. Times are whole microseconds of the server's clock.
#[derive(Serialize, Deserialize)]
#[serde(tag = "denied", rename_all = "kebab-case")]
enum Refusal {
    OverBudget { left: u64 },
    Throttled { retry_at_us: u64 },
    Blocked { by: String },
    WorkRequired { bits: u32 },
}

/// One JSON value per asked row, `[n]`.
pub fn outcomes_to(outcomes: &[Outcome]) -> Value {
    let one = |o: &Outcome| match *o {
        Outcome::Answered(_) => None,
        Outcome::Denied(d) => Some(Refusal::from(d)),
    };
    let rows: Vec<Option<Refusal>> = outcomes.iter().map(one).collect();
    serde_json::to_value(rows).expect("plain structs with string keys are always JSON")
}

/// The outcomes of `asked` rows; all answered where the server says nothing.
pub fn outcomes_from(value: Option<&Value>, asked: usize) -> Result<Vec<Outcome>> {
    let Some(value) = value else { return Ok((0..asked).map(Outcome::Answered).collect()) };
    let wrong = |found: String| Error::input(super::OUTCOMES, found, format!("{asked} outcomes"));
    let rows = Vec::<Option<Refusal>>::deserialize(value).map_err(|e| wrong(e.to_string()))?;
    if rows.len() != asked {
        return Err(wrong(rows.len().to_string()));
    }
    let mut answered = 0..;
    Ok(rows
        .into_iter()
        .map(|row| match row {
            Some(refusal) => Outcome::Denied(refusal.into()),
            None => Outcome::Answered(answered.next().unwrap_or_default()),
        })
        .collect())
}

/// True if there are rows and none is answered.
pub fn all_denied(outcomes: &[Outcome]) -> bool {
    !outcomes.is_empty() && outcomes.iter().all(|o| matches!(o, Outcome::Denied(_)))
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        match denial {
            Denial::OverBudget { left } => Self::OverBudget { left },
            Denial::Throttled { retry_at } => Self::Throttled { retry_at_us: retry_at.0 },
            Denial::Blocked { by } => Self::Blocked { by: by.into() },
            Denial::WorkRequired { bits } => Self::WorkRequired { bits },
        }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::OverBudget { left } => Self::OverBudget { left },
            Refusal::Throttled { retry_at_us } => Self::Throttled { retry_at: Tick(retry_at_us) },
            Refusal::Blocked { by } => Self::Blocked { by: name(&by) },
            Refusal::WorkRequired { bits } => Self::WorkRequired { bits },
        }
    }
}

/// The layer's name for the rest of the process. Names are few; a server that sends many or long
/// ones gets `another layer`, so that it cannot fill the memory.
fn name(by: &str) -> &'static str {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(known) = names.get(by) {
        return known;
    }
    if by.len() > 64 || names.len() >= 256 {
        return "another layer";
    }
    let kept: &'static str = Box::leak(by.to_string().into_boxed_str());
    names.insert(kept);
    kept
}
