//! Students that live elsewhere: they spend a budget through `retort serve`, and their predictions
//! become a record like any other, with its ledger.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::measure::Judged;
use super::plan::{self, Cell, short_hash};
use super::record::{AccountTotals, Record, Role, StageDistortion, Stop, VERSION};
use super::run;
use super::spec::Spec;
use super::world::Ground;
use crate::defense::Stack;
use crate::error::{Error, Result};
use crate::gateway::Gateway;
use crate::ledger::{Budget, Ledger};
use crate::metric::Score;
use crate::oracle::AccountId;
use crate::seed::Seed;

/// What `serve` was asked to do, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// Seed of split and teacher.
    pub seed: u64,
    /// Arm whose defenses stood in front.
    pub arm: String,
    /// Query budget of the student.
    pub queries: u64,
    /// Counters of its accounts, once the server stopped.
    pub totals: Vec<AccountTotals>,
    /// Distortion by layer, once the server stopped.
    pub stages: Vec<StageDistortion>,
}

/// Accounts that a served student gets.
const ACCOUNTS: usize = 4;

/// The gateway of a session, and the student's accounts.
pub fn gateway(
    spec: &Spec,
    ground: &Ground,
    session: &Session,
) -> Result<(Gateway, Vec<AccountId>)> {
    let arm = spec.arm(&session.arm)?;
    let mut ledger = Ledger::new();
    let actor = ledger.open_actor("student", Budget { queries: Some(session.queries) });
    let accounts = (0..ACCOUNTS).map(|_| ledger.open_account(actor)).collect();
    let oracle = ground.oracle(spec, &arm.stack)?;
    let seed = Seed::new(session.seed).child("defense");
    let stack = Stack::build(&arm.stack, seed, oracle.card(), &ground.workshop)?;
    Ok((Gateway::new(ledger, stack, oracle), accounts))
}

impl Session {
    /// The session with what the gateway counted.
    pub fn closed(mut self, gateway: &Gateway) -> Self {
        self.totals = run::account_totals(gateway);
        self.stages = run::stage_distortions(gateway);
        self
    }

    fn answered(&self) -> u64 {
        self.totals.iter().map(|t| t.answered).sum()
    }
}

/// The record of a student called `name` that predicts `probs` `[n, classes]` on the test inputs.
pub fn score(
    spec: &Spec,
    ground: &Ground,
    session: &Session,
    name: &str,
    probs: Array2<f64>,
) -> Result<Record> {
    let arm = spec.arm(&session.arm)?;
    let expected = [ground.truth.labels.len(), ground.truth.probs.ncols()];
    crate::error::expect_shape("predictions", probs.shape(), &expected)?;
    if let Some(((row, column), value)) = probs.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(Error::input(
            "predictions",
            format!("{value} at row {row}, column {column}"),
            "finite numbers",
        ));
    }
    let id = short_hash(&format!(
        "external/{name}/{}/{}/{:?}",
        session.arm,
        session.seed,
        probs.as_slice()
    ));
    let cell = Cell {
        id: id.clone(),
        variant: 0,
        role: Role::Teacher,
        arm: session.arm.clone(),
        student: String::new(),
        budget: session.queries,
        seed: session.seed,
    };
    let judged = Judged::probs(probs, ground);
    let mut scores = judged.scores();
    scores.push(Score::of("queries_spent", Some(session.answered() as f64)));
    Ok(Record {
        version: VERSION,
        name: spec.name.clone(),
        variant: String::new(),
        cell: id,
        role: Role::Student,
        arm: session.arm.clone(),
        student: name.to_string(),
        kin: "external".into(),
        budget: session.queries,
        seed: session.seed,
        label_only: false,
        counter: false,
        stack: plan::stack_labels(&arm),
        config: plan::cell_leaves(spec, &cell)?,
        stop: if session.answered() >= session.queries {
            Stop::BudgetSpent
        } else {
            Stop::StudentDone
        },
        scores,
        right: judged.right(),
        accounts: session.totals.clone(),
        stages: session.stages.clone(),
    })
}
