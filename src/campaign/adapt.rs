//! An actor that knows what watches it: of some ways to run its accounts it takes the cheapest that still
//! collects its target, by trials of its own on other random streams.

use serde::{Deserialize, Serialize};

use super::outcome::simulate;
use super::spec::{ArmSpec, LearningSpec, Scenario};
use crate::error::Result;

/// How an actor runs its accounts, and what its trials promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Name of the actor.
    pub actor: String,
    /// Share of its accounts' requests that are its own.
    pub mix_share: f64,
    pub cards_per_account: f64,
    pub ips_per_account: f64,
    pub device_reuse: f64,
    /// Share of its target that it collected in trials.
    pub collected: f64,
    /// Dollars for a thousand useful exchanges there.
    pub usd_per_1000: f64,
}

/// Shares of cover that it tries beside its own.
const MIXES: [f64; 3] = [0.5, 0.25, 0.1];
/// Cards and addresses for each account that it tries beside its own; devices are then never shared.
const LINKS: [f64; 2] = [0.5, 1.0];
/// Accounts of a trial: all pools shrink with them.
const ACCOUNTS: u32 = 500;
/// Honest accounts beside them.
const PEOPLE: u32 = 500;
/// Trials have streams of their own, far from any replicate.
const STREAM: u32 = 1 << 30;
/// Collected by a way that counts as reaching the target.
const ENOUGH: f64 = 0.95;

/// The way that each actor takes under an arm.
pub fn choose(scenario: &Scenario, arm: &ArmSpec) -> Result<Vec<Choice>> {
    (0..scenario.actor.len()).map(|actor| cheapest(scenario, arm, actor)).collect()
}

/// The scenario with actors that have chosen.
#[must_use]
pub fn adapted(scenario: &Scenario, choices: &[Choice]) -> Scenario {
    let mut scenario = scenario.clone();
    for (actor, choice) in scenario.actor.iter_mut().zip(choices) {
        actor.mix_share = choice.mix_share;
        actor.linkage.cards_per_account = choice.cards_per_account;
        actor.linkage.ips_per_account = choice.ips_per_account;
        actor.linkage.device_reuse = choice.device_reuse;
    }
    scenario
}

fn cheapest(scenario: &Scenario, arm: &ArmSpec, actor: usize) -> Result<Choice> {
    let ways = ways(scenario, actor);
    let mut tried = Vec::new();
    for way in ways {
        tried.push(trial(scenario, arm, actor, way)?);
    }
    let most = tried.iter().map(|c| c.collected).fold(0.0, f64::max);
    // Where no way reaches the target, those that come near the best of them are compared by price.
    let enough = ENOUGH.min(ENOUGH * most);
    let good = tried.into_iter().filter(|c| c.collected >= enough);
    let best = good.min_by(|a, b| a.usd_per_1000.total_cmp(&b.usd_per_1000));
    Ok(best.expect("the best of them comes near itself"))
}

/// What it may do, its own way first.
fn ways(scenario: &Scenario, actor: usize) -> Vec<Choice> {
    let spec = &scenario.actor[actor];
    let link = &spec.linkage;
    let own = [link.cards_per_account, link.ips_per_account, link.device_reuse];
    let links = std::iter::once(own).chain(LINKS.map(|each| [each, each, 0.0]));
    let mixes =
        || std::iter::once(spec.mix_share).chain(MIXES.into_iter().filter(|&m| m < spec.mix_share));
    links
        .flat_map(|link| mixes().map(move |mix| (link, mix)))
        .map(|([cards_per_account, ips_per_account, device_reuse], mix_share)| Choice {
            actor: spec.name.clone(),
            mix_share,
            cards_per_account,
            ips_per_account,
            device_reuse,
            collected: 0.0,
            usd_per_1000: f64::MAX,
        })
        .collect()
}

/// A smaller campaign of this actor alone, run this way.
fn trial(scenario: &Scenario, arm: &ArmSpec, actor: usize, way: Choice) -> Result<Choice> {
    let mut small = adapted(
        &Scenario {
            actor: vec![scenario.actor[actor].clone()],
            learning: LearningSpec { replicates: 0, ..scenario.learning.clone() },
            ..scenario.clone()
        },
        std::slice::from_ref(&way),
    );
    small.benign.accounts = small.benign.accounts.min(PEOPLE);
    let spec = &mut small.actor[0];
    let accounts = spec.accounts.min(ACCOUNTS);
    let part = f64::from(accounts) / f64::from(spec.accounts);
    spec.exchanges = (spec.exchanges as f64 * part).ceil() as u64;
    spec.cost.replace_budget = Some((f64::from(spec.replacements()) * part).ceil() as u32);
    spec.linkage.groups = spec.linkage.groups.min(accounts);
    spec.accounts = accounts;
    let wanted = spec.exchanges;
    let outcome = simulate(&small, arm, STREAM, 1, || Ok(()))?;
    let end = outcome.actors[0].points.last();
    let (attack, useful, usd) =
        end.map_or((0, 0, 0.0), |p| (p.sums.attack, p.sums.useful, p.usd.total()));
    Ok(Choice {
        collected: attack as f64 / wanted as f64,
        usd_per_1000: usd * 1e3 / useful.max(1) as f64,
        ..way
    })
}
