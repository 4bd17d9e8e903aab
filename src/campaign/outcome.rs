//! What a replicate of a campaign ends with: who got what by which day, at what price, and what it cost
//! honest people.

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::adapt::Choice;
use super::calendar::DAY;
use super::calibrate::Limit;
use super::detection::{self, Roc};
use super::engine::{Engine, Way};
use super::money;
use super::rules::Rules;
use super::spec::{ArmSpec, Scenario};
use super::tally::{Days, Tally};
use crate::error::Result;
use crate::metric::kaplan_meier;

/// One arm of one replicate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Hash over all accounts and sums at the end.
    pub state_hash: String,
    /// Honest people.
    pub honest: Party,
    /// Actors, in the order of the scenario.
    pub actors: Vec<Party>,
    /// How well accounts, and linked accounts, can be told apart at the end.
    pub roc: Vec<Roc>,
    /// How actors that know their arm chose to run their accounts; empty if none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chosen: Vec<Choice>,
    /// Limits that a separate honest population gave the arm's detectors; empty if none is calibrated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibrated: Vec<Limit>,
    /// What a daily cap on each account would take from either side; from the rates of this replicate.
    pub caps: Vec<Cap>,
}

/// One side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// `honest`, or the actor's name.
    pub name: String,
    /// By the end of each day of the grid.
    pub points: Vec<Point>,
    /// Share of its accounts that are open at an age in days (Kaplan and Meier 1958), at each age from 0.
    pub survival: Vec<f64>,
    /// Median age at closing, days; none if half of them live on.
    pub median_life_days: Option<f64>,
    /// Accounts that were closed for good.
    pub closed: u64,
    /// Exchanges of its own that a closed account had got: mean, median and 90th percentile.
    pub leak_before_ban: Option<[f64; 3]>,
    /// Hours from an account's first exchange to its first alarm, mean over accounts with both.
    pub hours_to_alarm: Option<f64>,
    /// Hours from its first exchange to its first alarm on any account.
    pub hours_to_detection: Option<f64>,
    /// Accounts that it ever had.
    pub accounts: u64,
}

/// Where a party stands at the end of a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    pub day: u32,
    /// Sums from the start.
    pub sums: Tally,
    /// Dollars spent so far, by what for; chips not included.
    pub usd: money::Costs,
    /// Operations that its chips could have spent on the student so far.
    pub flop: f64,
    /// 95th percentile of the wait of answered requests, seconds; the upper end of its power of two.
    pub wait_p95_s: f64,
}

/// A daily cap of `per_day` requests on each account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    pub per_day: u64,
    /// Share of honest requests above it.
    pub honest_requests: f64,
    /// Share of honest accounts above it.
    pub honest_accounts: f64,
    /// Share of the actors' requests that remain.
    pub attack_left: f64,
    /// Accounts that keep all actors at their rate under it, over those they have.
    pub accounts_needed: f64,
}

/// Runs one arm of one replicate on so many threads, its detectors with these limits.
pub fn simulate(
    scenario: &Scenario,
    arm: &ArmSpec,
    limits: &[Limit],
    replicate: u32,
    threads: usize,
    mut go_on: impl FnMut() -> Result<()>,
) -> Result<Outcome> {
    let mut rules = Rules::new(scenario, arm, replicate)?;
    rules.set_limits(limits);
    let mut engine = Engine::new(&rules);
    let mut points: Vec<Vec<Point>> = vec![Vec::new(); rules.actors.len() + 1];
    for day in scenario.day_grid() {
        while !engine.done() && engine.now() < u64::from(day) * DAY {
            engine.advance(Way::Accounts { threads })?;
            go_on()?;
        }
        let spent = money::credit(&engine);
        for (party, points) in points.iter_mut().enumerate() {
            points.push(point(scenario, &rules, engine.days(), party, day, spent[party]));
        }
    }
    let accounts = engine.accounts();
    let mut parties = points.into_iter().enumerate().map(|(party, points)| {
        let own: Vec<&Account> =
            accounts.iter().copied().filter(|a| usize::from(a.party) == party).collect();
        let name = match party {
            0 => "honest".to_string(),
            i => scenario.actor[i - 1].name.clone(),
        };
        summed(name, points, &own, rules.end)
    });
    let honest = parties.next().expect("honest people come first");
    let actors = parties.collect();
    Ok(Outcome {
        state_hash: engine.state_hash(),
        honest,
        actors,
        roc: detection::roc(&rules, &accounts)?,
        chosen: Vec::new(),
        calibrated: limits.to_vec(),
        caps: caps(&accounts, rules.end),
    })
}

fn point(
    scenario: &Scenario,
    rules: &Rules,
    days: &Days,
    party: usize,
    day: u32,
    credit: u64,
) -> Point {
    let mut sums = Tally::default();
    days.of_party(party).take(day as usize).for_each(|t| sums.add(t));
    // One number for each area, whether or not anything of it leaked.
    sums.areas.resize(scenario.learning.area.len(), 0);
    let actor = party.checked_sub(1).map(|i| &rules.actors[i]);
    let flop = actor.map_or(0.0, |a| {
        let training = f64::from(day) - a.start_us as f64 / DAY as f64;
        a.spec.training.flop_per_day() * training.max(0.0)
    });
    let usd = money::costs(scenario, actor, &sums, credit, day);
    let wait_p95_s = wait_p95(&sums);
    Point { day, sums, usd, flop, wait_p95_s }
}

/// The upper end of the power of two that holds the 95th percentile, seconds; 0 if it did not wait.
fn wait_p95(sums: &Tally) -> f64 {
    let mut above = sums.answered / 20;
    for (power, &count) in sums.waits.iter().enumerate().rev() {
        if count > above {
            return libm::exp2(power as f64) / 1e6;
        }
        above -= count;
    }
    0.0
}

fn summed(name: String, points: Vec<Point>, accounts: &[&Account], end: u64) -> Party {
    let days = (end / DAY) as usize;
    let (lives, closed): (Vec<f64>, Vec<bool>) = accounts
        .iter()
        .map(|a| {
            let over = a.closes_at.0 < end;
            let until = a.closes_at.0.min(end);
            (until.saturating_sub(a.born.0) as f64 / DAY as f64, over)
        })
        .unzip();
    let life = kaplan_meier(&lives, &closed);
    let mut leaks: Vec<f64> =
        accounts.iter().filter(|a| a.closes_at.0 < end).map(|a| a.seen.attack as f64).collect();
    leaks.sort_by(f64::total_cmp);
    let hours = |us: u64| us as f64 / 3600e6;
    let first = |at: Option<crate::ledger::Tick>| at.map(|t| t.0);
    let to_alarm: Vec<f64> = accounts
        .iter()
        .filter_map(|a| {
            let (start, alarm) = (a.seen.first_attack?, a.seen.first_alarm?);
            Some(hours(alarm.0.saturating_sub(start.0)))
        })
        .collect();
    let start = accounts.iter().filter_map(|a| first(a.seen.first_attack)).min();
    let alarm = accounts.iter().filter_map(|a| first(a.seen.first_alarm)).min();
    Party {
        name,
        points,
        survival: (0..=days).map(|age| life.at(age as f64)).collect(),
        median_life_days: life.median(),
        closed: accounts.iter().filter(|a| a.closes_at.0 < end && a.reopens_at.0 >= end).count()
            as u64,
        leak_before_ban: quantiles(&leaks),
        hours_to_alarm: (!to_alarm.is_empty())
            .then(|| to_alarm.iter().sum::<f64>() / to_alarm.len() as f64),
        hours_to_detection: start.zip(alarm).map(|(s, a)| hours(a.saturating_sub(s))),
        accounts: accounts.len() as u64,
    }
}

/// Mean, median and 90th percentile of sorted numbers.
fn quantiles(sorted: &[f64]) -> Option<[f64; 3]> {
    let at = |q: f64| sorted[((sorted.len() - 1) as f64 * q).round() as usize];
    (!sorted.is_empty())
        .then(|| [sorted.iter().sum::<f64>() / sorted.len() as f64, at(0.5), at(0.9)])
}

/// Daily caps from 1 to the lowest published limit of a minute, all day long.
const CAPS: [u64; 10] = [1, 3, 10, 26, 100, 300, 1_000, 3_000, 10_000, 72_000];

fn caps(accounts: &[&Account], end: u64) -> Vec<Cap> {
    let days = end as f64 / DAY as f64;
    let rates = |honest: bool| -> Vec<f64> {
        let side = accounts.iter().filter(|a| (a.party == 0) == honest);
        side.map(|a| a.seen.answered as f64 / days).collect()
    };
    let (honest, attack) = (rates(true), rates(false));
    let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
    let above = |rates: &[f64], q: f64| rates.iter().map(|r| (r - q).max(0.0)).sum::<f64>();
    let (all_honest, all_attack) = (honest.iter().sum(), attack.iter().sum::<f64>());
    let each = CAPS.iter().map(|&per_day| {
        let q = per_day as f64;
        let busy = honest.iter().filter(|&&r| r > q).count() as f64;
        Cap {
            per_day,
            honest_requests: share(above(&honest, q), all_honest),
            honest_accounts: share(busy, honest.len() as f64),
            attack_left: 1.0 - share(above(&attack, q), all_attack),
            accounts_needed: share(all_attack / q, attack.len() as f64).max(1.0),
        }
    });
    each.collect()
}
