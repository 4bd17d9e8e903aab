//! The one door: afford -> defenses -> teacher -> charge -> log.
//!
//! The gateway joins a ledger, a stack of defenses and an oracle. It never sees a student. `serve`,
//! `campaign` and `experiment` all come through here.

use crate::error::Result;
use crate::oracle::{Batch, Card, Reply};

/// Anything a student's loop can ask through: the gateway itself, or a socket that leads to one.
pub trait Door: Send {
    /// What the door takes and gives, defenses included.
    fn card(&self) -> Card;

    /// Asks. Every row gets an outcome.
    fn ask(&mut self, batch: &Batch) -> Result<Reply>;

    /// Ends the session and gives the gateway back, with its ledger and measurements.
    fn close(self: Box<Self>) -> Result<Gateway>;
}

/// Ledger, defenses and oracle behind one call.
pub struct Gateway {
    _todo: (),
}
