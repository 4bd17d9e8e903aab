//! An oracle answers students through defenses, on a ledger, over data and models; metrics score
//! the exchange, experiments run it, reports show it, serve puts it on a port.
//!
//! | room | what it is for |
//! |---|---|
//! | [`data`] | what may be asked and what counts as right |
//! | [`model`] | networks and how they learn; the only room that knows candle |
//! | [`ledger`] | accounts, budgets, virtual time, limits, the exchange log |
//! | [`oracle`] | anything that answers a request, and the wire types |
//! | [`detect`] | statistics over what an account has asked |
//! | [`defense`] | layers around an oracle |
//! | [`student`] | who asks and how they learn |
//! | [`metric`] | pure scores with unit, direction and uncertainty |
//! | [`gateway`] | the one door: afford, defend, answer, charge, log |
//! | [`campaign`] | many accounts on one virtual clock: populations, linkage, detectors |
//! | [`experiment`] | spec, plan, run, record, sweep, resume |
//! | [`serve`] | the gateway behind HTTP on loopback |
//! | [`report`] | records to tables, figures, one page |
//!
//! A gateway with a budget of three rows and one defense, asked for five:
//!
//! ```
//! use ndarray::Array2;
//! use retort::defense::{DefenseSpec, Stack, Workshop, round};
//! use retort::gateway::{Door, Gateway};
//! use retort::ledger::{Budget, Ledger};
//! use retort::oracle::{Answers, Batch, Denial, Oracle, Outcome, Tick, scripted::Scripted};
//!
//! let teacher = Scripted::constant(4, vec![0.62, 0.3, 0.08]);
//! let stack = [DefenseSpec::Round(round::Params { digits: 1 })];
//! let stack = Stack::build(&stack, retort::Seed::new(1), teacher.card(), &Workshop::empty(teacher.card()))?;
//! let mut ledger = Ledger::new();
//! let student = ledger.open_actor("student", Budget { queries: Some(3) });
//! let account = ledger.open_account(student);
//!
//! let mut gateway = Gateway::new(ledger, stack, Box::new(teacher));
//! let reply = gateway.ask(&Batch::classify(account, Tick::ZERO, Array2::zeros((5, 4))))?;
//!
//! assert_eq!(reply.outcomes[4], Outcome::Denied(Denial::OverBudget { left: 0 }));
//! let Answers::Probs(rows) = reply.answers else { unreachable!() };
//! assert_eq!(rows.row(0).to_vec(), [0.6, 0.3, 0.1]);
//! assert_eq!(gateway.ledger().totals()[0].answered, 3);
//! # Ok::<(), retort::Error>(())
//! ```

#![deny(unsafe_code)]

pub mod campaign;
pub mod data;
pub mod defense;
pub mod detect;
pub mod error;
pub mod experiment;
pub mod gateway;
pub mod ledger;
pub mod metric;
pub mod model;
pub mod oracle;
pub mod report;
pub mod seed;
pub mod serve;
pub mod student;

pub use error::{Error, Result};
pub use seed::Seed;
