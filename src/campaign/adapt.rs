//! An actor that knows what watches it: of some ways to run its accounts it takes the cheapest that still
//! collects its target, by trials of its own on other random streams.
//!
//! First every mix of cover with every way to pay and connect; from the best of these one more thing at a time:
//! more accounts that each ask more slowly, more templates where content is watched, no common signal where
//! synchrony is.

use serde::{Deserialize, Serialize};

use super::calibrate::Limit;
use super::outcome::simulate;
use super::rules::Reads;
use super::spec::{ArmSpec, LearningSpec, Scenario};
use crate::error::Result;

/// How an actor runs its accounts, and what its trials promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// Name of the actor.
    pub actor: String,
    /// Accounts at the start: more of them each ask more slowly.
    pub accounts: u32,
    /// Share of its accounts' requests that are its own.
    pub mix_share: f64,
    pub cards_per_account: f64,
    pub ips_per_account: f64,
    pub device_reuse: f64,
    pub templates: u32,
    /// Longest delay after a common signal; as long as the time between two, there is none.
    pub sync_jitter_s: f64,
    /// Share of its target that it collected in trials.
    pub collected: f64,
    /// Dollars for a thousand useful exchanges there.
    pub usd_per_1000: f64,
}

/// Shares of cover that it tries beside its own.
const MIXES: [f64; 3] = [0.5, 0.25, 0.1];
/// Cards and addresses for each account that it tries beside its own; devices are then never shared.
const LINKS: [f64; 2] = [0.5, 1.0];
/// Times as many accounts.
const PACES: [u32; 2] = [2, 4];
/// Times as many templates.
const TEMPLATES: [u32; 2] = [10, 100];
/// Accounts of a trial: all pools shrink with them.
const ACCOUNTS: u32 = 500;
/// Honest accounts beside them.
const PEOPLE: u32 = 500;
/// Trials have streams of their own, far from any replicate.
const STREAM: u32 = 1 << 30;
/// Collected by a way that counts as reaching the target.
const ENOUGH: f64 = 0.95;

/// The way that each actor takes under an arm with these limits.
pub fn choose(scenario: &Scenario, arm: &ArmSpec, limits: &[Limit]) -> Result<Vec<Choice>> {
    let search = Search { scenario, arm, limits };
    (0..scenario.actor.len()).map(|actor| search.cheapest(actor)).collect()
}

/// The scenario with actors that have chosen.
#[must_use]
pub fn adapted(scenario: &Scenario, choices: &[Choice]) -> Scenario {
    let mut scenario = scenario.clone();
    for (actor, choice) in scenario.actor.iter_mut().zip(choices) {
        // More accounts at the start are no more accounts after bans.
        actor.cost.replace_budget = Some(actor.replacements());
        actor.accounts = choice.accounts;
        actor.mix_share = choice.mix_share;
        actor.linkage.cards_per_account = choice.cards_per_account;
        actor.linkage.ips_per_account = choice.ips_per_account;
        actor.linkage.device_reuse = choice.device_reuse;
        actor.templates = choice.templates;
        actor.sync_jitter_s = choice.sync_jitter_s;
    }
    scenario
}

/// Who looks for a way, before what.
struct Search<'a> {
    scenario: &'a Scenario,
    arm: &'a ArmSpec,
    limits: &'a [Limit],
}

impl Search<'_> {
    fn cheapest(&self, actor: usize) -> Result<Choice> {
        let reads = Reads::of_arm(self.scenario, self.arm);
        let spec = &self.scenario.actor[actor];
        let mut tried = Vec::new();
        for way in self.mixes_and_links(actor) {
            tried.push(self.trial(actor, way)?);
        }
        let paces = PACES.map(|times| -> Change { Box::new(move |way| way.accounts *= times) });
        let templates = TEMPLATES.map(|times| -> Change {
            Box::new(move |way| way.templates = way.templates.saturating_mul(times).min(1_000_000))
        });
        let mut steps: Vec<Vec<Change>> = vec![paces.into()];
        if reads.topics {
            steps.push(templates.into());
        }
        if reads.synchrony {
            let quiet = spec.sync_every_s;
            steps.push(vec![Box::new(move |way| way.sync_jitter_s = quiet)]);
        }
        for step in steps {
            let from = best(&tried);
            for change in step {
                let mut way = from.clone();
                change(&mut way);
                tried.push(self.trial(actor, way)?);
            }
        }
        Ok(best(&tried))
    }

    /// What it may do with cover, cards, addresses and devices, its own way first.
    fn mixes_and_links(&self, actor: usize) -> Vec<Choice> {
        let spec = &self.scenario.actor[actor];
        let link = &spec.linkage;
        let own = [link.cards_per_account, link.ips_per_account, link.device_reuse];
        let links = std::iter::once(own).chain(LINKS.map(|each| [each, each, 0.0]));
        let mixes = || {
            let fewer = MIXES.into_iter().filter(|&m| m < spec.mix_share);
            std::iter::once(spec.mix_share).chain(fewer)
        };
        links
            .flat_map(|link| mixes().map(move |mix| (link, mix)))
            .map(|([cards_per_account, ips_per_account, device_reuse], mix_share)| Choice {
                actor: spec.name.clone(),
                accounts: spec.accounts,
                mix_share,
                cards_per_account,
                ips_per_account,
                device_reuse,
                templates: spec.templates,
                sync_jitter_s: spec.sync_jitter_s,
                collected: 0.0,
                usd_per_1000: f64::MAX,
            })
            .collect()
    }

    /// A smaller campaign of this actor alone, run this way.
    fn trial(&self, actor: usize, way: Choice) -> Result<Choice> {
        let mut small = adapted(
            &Scenario {
                actor: vec![self.scenario.actor[actor].clone()],
                learning: LearningSpec { replicates: 0, ..self.scenario.learning.clone() },
                ..self.scenario.clone()
            },
            std::slice::from_ref(&way),
        );
        small.benign.accounts = small.benign.accounts.min(PEOPLE);
        let spec = &mut small.actor[0];
        let accounts = spec.accounts.min(ACCOUNTS);
        let part = f64::from(accounts) / f64::from(spec.accounts);
        spec.exchanges = (spec.exchanges as f64 * part).ceil() as u64;
        spec.cost.replace_budget = Some((f64::from(spec.replacements()) * part).ceil() as u32);
        spec.cost.template_usd *= part;
        spec.linkage.groups = spec.linkage.groups.min(accounts);
        spec.accounts = accounts;
        let wanted = spec.exchanges;
        let outcome = simulate(&small, self.arm, self.limits, STREAM, 1, || Ok(()))?;
        let end = outcome.actors[0].points.last();
        let (attack, useful, usd) =
            end.map_or((0, 0, 0.0), |p| (p.sums.attack, p.sums.useful, p.usd.total()));
        Ok(Choice {
            collected: attack as f64 / wanted as f64,
            usd_per_1000: usd * 1e3 / useful.max(1) as f64,
            ..way
        })
    }
}

/// One thing done otherwise.
type Change = Box<dyn Fn(&mut Choice)>;

/// The cheapest of those that reach the target. Where none does, those that come near the one that collected
/// most are compared by price.
fn best(tried: &[Choice]) -> Choice {
    let most = tried.iter().map(|c| c.collected).fold(0.0, f64::max);
    let enough = ENOUGH.min(ENOUGH * most);
    let good = tried.iter().filter(|c| c.collected >= enough);
    let best = good.min_by(|a, b| a.usd_per_1000.total_cmp(&b.usd_per_1000));
    best.expect("the one that collected most comes near itself").clone()
}
