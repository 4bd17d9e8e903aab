//! The one door: afford -> defenses -> teacher -> charge -> log.
//!
//! The gateway joins a ledger, a stack of defenses and an oracle. It never sees a student. `serve`,
//! `campaign` and `experiment` all come through here.

mod distortion;

use ndarray::Array2;

pub use distortion::{Stage, reading};

use crate::defense::Stack;
use crate::error::{Result, expect_shape};
use crate::ledger::{Code, Ledger, Log};
use crate::oracle::{AnswerKind, Answers, Batch, Card, Denial, Oracle, Outcome, Reply};
use distortion::Meter;

/// Anything a student's loop can ask through: the gateway itself, or a socket that leads to one.
pub trait Door: Send {
    /// Features and classes behind the door.
    fn card(&self) -> Card;

    /// Asks. Every row gets an outcome.
    fn ask(&mut self, batch: &Batch) -> Result<Reply>;

    /// Ends the session and gives the gateway back, with its ledger and measurements.
    fn close(self: Box<Self>) -> Result<Gateway>;
}

/// Ledger, defenses and oracle behind one call.
pub struct Gateway {
    ledger: Ledger,
    stack: Stack,
    oracle: Box<dyn Oracle>,
    meter: Meter,
    log: Option<Log>,
}

impl Gateway {
    /// Joins the three.
    pub fn new(ledger: Ledger, stack: Stack, oracle: Box<dyn Oracle>) -> Self {
        let meter = Meter::new(&stack.names(), oracle.card().classes);
        Self { ledger, stack, oracle, meter, log: None }
    }

    /// Keeps a log of the newest `capacity` rows from here on.
    pub fn keep_log(&mut self, capacity: usize) {
        self.log = Some(Log::new(capacity));
    }

    /// The exchange log, if one is kept.
    pub fn log(&self) -> Option<&Log> {
        self.log.as_ref()
    }

    fn write_log(&mut self, batch: &Batch, outcomes: &[Outcome]) {
        let Some(log) = &mut self.log else { return };
        for (i, outcome) in outcomes.iter().enumerate() {
            let bytes: Vec<u8> = batch.inputs.row(i).iter().flat_map(|x| x.to_le_bytes()).collect();
            let hash = blake3::hash(&bytes);
            let first = hash.as_bytes().first_chunk().expect("a hash has 32 bytes");
            let code = match outcome {
                Outcome::Answered(_) => Code::Answered,
                Outcome::Denied(Denial::OverBudget { .. }) => Code::OverBudget,
                Outcome::Denied(Denial::Throttled { .. }) => Code::Throttled,
                Outcome::Denied(Denial::Blocked { .. }) => Code::Blocked,
                Outcome::Denied(Denial::WorkRequired { .. }) => Code::WorkRequired,
            };
            log.push(batch.account[i], batch.at[i], u64::from_le_bytes(*first), code);
        }
    }

    /// Who spent what.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Its layers.
    pub const fn stack(&self) -> &Stack {
        &self.stack
    }

    /// What each layer changed so far, outermost first.
    pub fn stages(&self) -> Vec<Stage> {
        self.meter.stages()
    }

    /// Sets one unit aside for each row that is affordable; the others stay for later or are denied.
    fn afford(
        &mut self,
        batch: &Batch,
        rows: &[usize],
        outcomes: &mut [Option<Outcome>],
    ) -> Result<(Vec<usize>, Vec<usize>)> {
        let (mut affordable, mut over) = (Vec::with_capacity(rows.len()), Vec::new());
        for &row in rows {
            match self.ledger.reserve(batch.account[row])? {
                Ok(()) => affordable.push(row),
                Err(denial) => {
                    outcomes[row] = Some(Outcome::Denied(denial));
                    over.push(row);
                }
            }
        }
        Ok((affordable, over))
    }

    /// Sends affordable rows through the stack and settles each. True if a refusal gave units back.
    fn pass(
        &mut self,
        batch: &Batch,
        rows: &[usize],
        outcomes: &mut [Option<Outcome>],
        parts: &mut Parts,
    ) -> Result<bool> {
        if rows.is_empty() {
            return Ok(false);
        }
        let asked = if rows.len() == batch.len() {
            self.stack.run(batch, self.oracle.as_mut(), &mut self.meter)
        } else {
            self.stack.run(&batch.select(rows), self.oracle.as_mut(), &mut self.meter)
        };
        let reply = match asked {
            Ok(reply) => reply,
            Err(error) => {
                for &row in rows {
                    self.ledger.break_off(batch.account[row])?;
                }
                return Err(error);
            }
        };
        let mut freed = false;
        for (&row, outcome) in rows.iter().zip(&reply.outcomes) {
            let account = batch.account[row];
            match *outcome {
                Outcome::Answered(i) => {
                    self.ledger.settle(account)?;
                    outcomes[row] = Some(Outcome::Answered(parts.total + i));
                }
                Outcome::Denied(denial) => {
                    self.ledger.release(account, denial)?;
                    freed = true;
                    outcomes[row] = Some(Outcome::Denied(denial));
                }
            }
        }
        parts.total += reply.answers.len();
        parts.answers.push(reply.answers);
        Ok(freed)
    }
}

/// Answers of several passes.
#[derive(Default)]
struct Parts {
    answers: Vec<Answers>,
    total: usize,
}

impl Door for Gateway {
    fn card(&self) -> Card {
        self.oracle.card()
    }

    /// Results equal those of asking the rows one by one: a unit that a refusal gives back is offered
    /// to the next row that could not pay.
    fn ask(&mut self, batch: &Batch) -> Result<Reply> {
        expect_shape("inputs", batch.inputs.shape(), &[batch.len(), self.oracle.card().inputs])?;
        for (account, at) in batch.account.iter().zip(&batch.at) {
            self.ledger.attempt(*account, *at)?;
        }
        let mut outcomes = vec![None; batch.len()];
        let mut parts = Parts::default();
        let mut waiting: Vec<usize> = (0..batch.len()).collect();
        loop {
            let (affordable, over) = self.afford(batch, &waiting, &mut outcomes)?;
            let freed = self.pass(batch, &affordable, &mut outcomes, &mut parts)?;
            waiting = over;
            if !freed || waiting.is_empty() {
                break;
            }
        }
        for &row in &waiting {
            let left = self.ledger.left(batch.account[row]);
            self.ledger.deny(batch.account[row], Denial::OverBudget { left })?;
        }
        let outcomes: Vec<Outcome> = outcomes
            .into_iter()
            .map(|o| o.unwrap_or(Outcome::Denied(Denial::OverBudget { left: 0 })))
            .collect();
        self.write_log(batch, &outcomes);
        let several = parts.answers.len() > 1;
        let answers = if parts.answers.is_empty() {
            empty_answers(self.oracle.card())
        } else {
            Answers::concat(parts.answers)?
        };
        Ok(if several { in_row_order(outcomes, &answers) } else { Reply { outcomes, answers } })
    }

    fn close(self: Box<Self>) -> Result<Gateway> {
        Ok(*self)
    }
}

fn empty_answers(card: Card) -> Answers {
    match card.answers {
        AnswerKind::Labels => Answers::Labels(Vec::new()),
        AnswerKind::Logits => Answers::Logits(Array2::zeros((0, card.classes))),
        AnswerKind::Probs | AnswerKind::TopK { .. } => {
            Answers::Probs(Array2::zeros((0, card.classes)))
        }
    }
}

/// Answers of several passes, put in the order of the rows.
fn in_row_order(mut outcomes: Vec<Outcome>, answers: &Answers) -> Reply {
    let mut order = Vec::with_capacity(answers.len());
    for outcome in &mut outcomes {
        if let Outcome::Answered(i) = outcome {
            order.push(*i);
            *i = order.len() - 1;
        }
    }
    Reply { answers: answers.select(&order), outcomes }
}

#[cfg(test)]
mod tests;
