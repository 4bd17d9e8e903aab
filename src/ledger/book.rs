//! Accounts, actors and what they spent. Reserve before answering, settle after; a refusal releases.

use std::collections::BTreeMap;

use super::{AccountId, ActorId, Denial, Tick};
use crate::error::{Error, Result};

/// What an actor may spend; `None` is without bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Answered rows, repeats included.
    pub queries: Option<u64>,
}

#[derive(Clone, Debug)]
struct Actor {
    name: String,
    budget: Budget,
    charged: u64,
    reserved: u64,
}

#[derive(Clone, Debug)]
struct Account {
    actor: ActorId,
    last: Tick,
    attempted: u64,
    answered: u64,
    broken_off: u64,
    denied: BTreeMap<&'static str, u64>,
}

/// Counters of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// The account.
    pub account: AccountId,
    /// Name of its actor.
    pub actor: String,
    /// Rows asked.
    pub attempted: u64,
    /// Rows answered; each is one unit of the budget.
    pub answered: u64,
    /// Rows refused, by reason.
    pub denied: BTreeMap<String, u64>,
    /// Rows that the teacher began to answer and did not finish; charged.
    pub broken_off: u64,
}

/// All accounts of a gateway.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    actors: Vec<Actor>,
    accounts: Vec<Account>,
}

impl Ledger {
    /// No actors yet. Denials that depend on the input are charged.
    pub fn new() -> Self {
        Self::default()
    }

    /// A new actor.
    pub fn open_actor(&mut self, name: &str, budget: Budget) -> ActorId {
        self.actors.push(Actor { name: name.to_string(), budget, charged: 0, reserved: 0 });
        ActorId(self.actors.len() as u32 - 1)
    }

    /// A new account of `actor`, which must be of this ledger.
    pub fn open_account(&mut self, actor: ActorId) -> AccountId {
        assert!((actor.0 as usize) < self.actors.len(), "an actor of this ledger");
        self.accounts.push(Account {
            actor,
            last: Tick::ZERO,
            attempted: 0,
            answered: 0,
            broken_off: 0,
            denied: BTreeMap::new(),
        });
        AccountId(self.accounts.len() as u32 - 1)
    }

    /// Notes that `account` asks a row at `at`. Time never goes back for an account.
    pub fn attempt(&mut self, account: AccountId, at: Tick) -> Result<()> {
        let entry = self.account_mut(account)?;
        if at < entry.last {
            return Err(Error::input(
                format!("time of account {}", account.0),
                format!("{} us", at.0),
                format!("at least {} us, when it last asked", entry.last.0),
            ));
        }
        entry.last = at;
        entry.attempted += 1;
        Ok(())
    }

    /// Sets one unit aside, or says how much is left.
    pub fn reserve(&mut self, account: AccountId) -> Result<std::result::Result<(), Denial>> {
        let actor = self.account_mut(account)?.actor;
        let actor = &mut self.actors[actor.0 as usize];
        let left = actor.left();
        if left == 0 {
            return Ok(Err(Denial::OverBudget { left }));
        }
        actor.reserved += 1;
        Ok(Ok(()))
    }

    /// The reserved row was answered: it is charged.
    pub fn settle(&mut self, account: AccountId) -> Result<()> {
        self.account_mut(account)?.answered += 1;
        self.charge(account)
    }

    /// The teacher broke off within the reserved row: it is charged all the same.
    pub fn break_off(&mut self, account: AccountId) -> Result<()> {
        self.account_mut(account)?.broken_off += 1;
        self.charge(account)
    }

    /// The reserved row was refused by a layer. It is free if the refusal says nothing about the input
    /// (a limit), and charged if it does (a block).
    pub fn release(&mut self, account: AccountId, denial: Denial) -> Result<()> {
        let tells = matches!(denial, Denial::Blocked { .. });
        self.deny(account, denial)?;
        if tells {
            return self.charge(account);
        }
        let actor = self.actor_mut(account)?;
        actor.reserved = actor.reserved.checked_sub(1).expect("a released row was reserved");
        Ok(())
    }

    /// Counts a refusal that reserved nothing.
    pub fn deny(&mut self, account: AccountId, denial: Denial) -> Result<()> {
        *self.account_mut(account)?.denied.entry(denial.reason()).or_default() += 1;
        Ok(())
    }

    fn charge(&mut self, account: AccountId) -> Result<()> {
        let actor = self.actor_mut(account)?;
        actor.reserved = actor.reserved.checked_sub(1).expect("a charged row was reserved");
        actor.charged += 1;
        Ok(())
    }

    /// Units that `account`'s actor can still reserve.
    pub fn left(&self, account: AccountId) -> u64 {
        let actor = self.accounts.get(account.0 as usize).map(|a| a.actor);
        actor.map_or(0, |a| self.actors[a.0 as usize].left())
    }

    /// Units charged to `actor`.
    pub fn charged(&self, actor: ActorId) -> u64 {
        self.actors.get(actor.0 as usize).map_or(0, |a| a.charged)
    }

    /// Counters of all accounts, in order.
    pub fn totals(&self) -> Vec<Totals> {
        let rows = self.accounts.iter().enumerate();
        rows.map(|(i, a)| Totals {
            account: AccountId(i as u32),
            actor: self.actors[a.actor.0 as usize].name.clone(),
            attempted: a.attempted,
            answered: a.answered,
            denied: a.denied.iter().map(|(k, v)| ((*k).to_string(), *v)).collect(),
            broken_off: a.broken_off,
        })
        .collect()
    }

    fn account_mut(&mut self, account: AccountId) -> Result<&mut Account> {
        let known = self.accounts.len();
        self.accounts.get_mut(account.0 as usize).ok_or_else(|| {
            Error::input(
                "account",
                account.0,
                format!("an account below {known}: no path is without an identity"),
            )
        })
    }

    fn actor_mut(&mut self, account: AccountId) -> Result<&mut Actor> {
        let actor = self.account_mut(account)?.actor;
        Ok(&mut self.actors[actor.0 as usize])
    }
}

impl Actor {
    fn left(&self) -> u64 {
        let taken = self.charged.saturating_add(self.reserved);
        self.budget.queries.map_or(u64::MAX, |q| q.saturating_sub(taken))
    }
}

impl Denial {
    /// One word for counters.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::OverBudget { .. } => "over-budget",
            Self::Throttled { .. } => "throttled",
            Self::Blocked { .. } => "blocked",
            Self::WorkRequired { .. } => "work-required",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_ledger_never_overspends_and_its_sums_agree(
            budget in 0u64..40,
            steps in prop::collection::vec((0u32..3, 0u8..4, 0u64..50), 0..200),
        ) {
            let mut ledger = Ledger::new();
            let actor = ledger.open_actor("a", Budget { queries: Some(budget) });
            for _ in 0..3 {
                ledger.open_account(actor);
            }
            let mut now = [0u64; 3];
            let mut free = 0;
            for (account, what, dt) in steps {
                now[account as usize] += dt;
                let id = AccountId(account);
                ledger.attempt(id, Tick(now[account as usize])).unwrap();
                match ledger.reserve(id).unwrap() {
                    Err(denial) => ledger.deny(id, denial).unwrap(),
                    Ok(()) => match what {
                        0 => ledger.settle(id).unwrap(),
                        1 => ledger.break_off(id).unwrap(),
                        2 => ledger.release(id, Denial::Throttled { retry_at: Tick(1) }).unwrap(),
                        _ => {
                            free += 1;
                            ledger.release(id, Denial::Blocked { by: "test" }).unwrap();
                        }
                    },
                }
                prop_assert!(ledger.charged(actor) <= budget);
                prop_assert_eq!(ledger.left(id), budget - ledger.charged(actor));
            }
            let totals = ledger.totals();
            let answered: u64 = totals.iter().map(|t| t.answered + t.broken_off).sum();
            prop_assert_eq!(answered + free, ledger.charged(actor));
            for t in &totals {
                prop_assert_eq!(t.attempted, t.answered + t.broken_off + t.denied.values().sum::<u64>());
            }
        }

        #[test]
        fn time_never_goes_back(a in 1u64..1000, b in 0u64..1000) {
            let mut ledger = Ledger::new();
            let actor = ledger.open_actor("a", Budget::default());
            let id = ledger.open_account(actor);
            ledger.attempt(id, Tick(a)).unwrap();
            prop_assert_eq!(ledger.attempt(id, Tick(b)).is_ok(), b >= a);
        }
    }

    #[test]
    fn an_unknown_account_is_an_error_and_not_a_free_pass() {
        let mut ledger = Ledger::new();
        assert!(ledger.attempt(AccountId(0), Tick::ZERO).is_err());
        assert!(ledger.reserve(AccountId(7)).is_err());
    }
}
