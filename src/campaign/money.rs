//! Dollars on both sides.

use serde::{Deserialize, Serialize};

use super::calendar::DAY;
use super::engine::Engine;
use super::rules::{Actor, NANO};
use super::spec::Scenario;
use super::tally::Tally;

/// What a side has paid, dollars.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    /// Answers at list price.
    pub answers: f64,
    /// Paid ahead and not used yet, or lost with closed accounts.
    pub credit: f64,
    /// Phone verification of its accounts, and step-up checks.
    pub accounts: f64,
    /// Cards of its pools.
    pub cards: f64,
    /// Addresses of its pools, and traffic through them.
    pub network: f64,
    /// Writing its templates.
    #[serde(default)]
    pub templates: f64,
    /// Proof of work, at the price of a processor's hour.
    pub work: f64,
}

impl Costs {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.answers
            + self.credit
            + self.accounts
            + self.cards
            + self.network
            + self.templates
            + self.work
    }
}

/// Price of an hour of one core that does a million hashes a second: an assumption.
const CORE_HOUR_USD: f64 = 0.03;
const HASHES_PER_CORE_HOUR: f64 = 3600e6;

/// For each party, what its accounts have paid ahead and not used, billionths of a dollar.
pub(super) fn credit(engine: &Engine<'_>) -> Vec<u64> {
    let mut credit = vec![0; engine.camps().len() + 1];
    for account in engine.every_account() {
        let party = usize::from(account.party);
        if party > 0 && account.born.0 < engine.now() {
            credit[party] += account.deposit.saturating_sub(account.spend);
        }
    }
    credit
}

/// What a party has paid by the end of a day. Honest people pay for answers only.
pub(super) fn costs(
    scenario: &Scenario,
    actor: Option<&Actor>,
    sums: &Tally,
    credit: u64,
    day: u32,
) -> Costs {
    let answers = sums.spend as f64 / NANO;
    let work = sums.hashes as f64 / HASHES_PER_CORE_HOUR * CORE_HOUR_USD;
    let Some(actor) = actor else { return Costs { answers, work, ..Costs::default() } };
    let (spec, link) = (&actor.spec, &actor.spec.linkage);
    let months = (f64::from(day) - actor.start_us as f64 / DAY as f64).max(0.0) / 30.0;
    let pool = |each: f64| (f64::from(spec.accounts) * each).ceil();
    let gigabytes = sums.answered as f64 * spec.cost.kb_per_exchange / 1e6;
    let network = pool(link.ips_per_account) * months * spec.cost.ip_usd_per_month
        + gigabytes * spec.cost.proxy_usd_per_gb;
    Costs {
        answers,
        credit: credit as f64 / NANO,
        accounts: sums.opened as f64 * spec.cost.sms_usd
            + sums.checks as f64 * scenario.response.step_up_usd,
        cards: pool(link.cards_per_account) * spec.cost.card_usd,
        network,
        templates: f64::from(spec.templates) * spec.cost.template_usd,
        work,
    }
}
