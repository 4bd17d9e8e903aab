//! Made-up records with numbers that can be checked by hand, for the tests of this folder.

use super::summary::gather::slices;
use super::summary::measure::Measure;
use super::summary::settings::Settings;
use super::summary::spread::Spread;
use crate::experiment::campaign::record::{
    ActorLearnt, Assumption, CampaignRecord, Cap, Costs, Learnt, Outcome, Part, Party, Point, Roc,
    Scope, Tally, VERSION,
};

/// Arms: name, share of targets that is left, honest accounts closed.
const ARMS: [(&str, f64, u64); 3] = [("open", 1.0, 0), ("limits", 0.9, 0), ("bans", 0.25, 4)];
/// Actors and what they want.
const ACTORS: [(&str, u64); 2] = [("mm", 1_000), ("ds", 200)];
const DAYS: [u32; 2] = [10, 20];

/// Both parts of each arm and replicate.
pub(super) fn records(arms: usize, replicates: u32) -> Vec<CampaignRecord> {
    let mut out = Vec::new();
    for part in [Part::Simulation, Part::Learning] {
        for arm in 0..arms {
            out.extend((0..replicates).map(|r| record(arm, r, part)));
        }
    }
    out
}

/// What the report must know of the scenario; each honest account stands for two.
pub(super) fn assumptions() -> Vec<Assumption> {
    let each = [
        ("actor[0].exchanges", "1_000", ""),
        ("actor[0].name", "\"mm\"", ""),
        ("actor[1].exchanges", "200", ""),
        ("actor[1].name", "\"ds\"", ""),
        ("benign.weight", "2.0", "A"),
        ("detector[0].cost-usd-per-alert", "5.0", "A"),
        ("learning.exchanges-per-example", "10.0", "A: printed on the figure"),
    ];
    let assumption = |(key, value, evidence): (&str, &str, &str)| Assumption {
        key: key.into(),
        value: value.into(),
        evidence: evidence.into(),
        usual: evidence.is_empty(),
    };
    each.into_iter().map(assumption).collect()
}

fn record(arm: usize, replicate: u32, part: Part) -> CampaignRecord {
    let actors: Vec<Party> =
        ACTORS.iter().map(|(name, wanted)| actor(name, *wanted, arm, replicate)).collect();
    let learnt = |p: &Party| ActorLearnt {
        actor: p.name.clone(),
        points: p.points.clone(),
        rows: rows(p, arm, replicate),
    };
    let learnt: Vec<ActorLearnt> = actors.iter().map(learnt).collect();
    CampaignRecord {
        version: VERSION,
        name: "made-up".into(),
        variant: String::new(),
        cell: format!("{:016x}", arm * 1_000 + 2 * replicate as usize + part as usize),
        arm: ARMS[arm].0.into(),
        replicate,
        part,
        outcome: (part == Part::Simulation).then(|| outcome(actors, arm)),
        learnt: if part == Part::Learning { learnt } else { Vec::new() },
    }
}

fn outcome(actors: Vec<Party>, arm: usize) -> Outcome {
    let roc = |scope, top| Roc {
        scope,
        attack: 60,
        honest: 2_000,
        auc: top,
        points: vec![[0.0, 0.1], [1e-4, 0.1], [0.01, 0.5], [0.1, top], [1.0, 1.0]],
    };
    let cap = |per_day, honest_requests, attack_left| Cap {
        per_day,
        honest_requests,
        honest_accounts: honest_requests / 2.0,
        attack_left,
        accounts_needed: 1.0,
    };
    Outcome {
        chosen: Vec::new(),
        calibrated: Vec::new(),
        state_hash: "0".into(),
        honest: honest(arm),
        actors,
        roc: vec![roc(Scope::Account, 0.6), roc(Scope::Cluster, 0.95)],
        caps: vec![cap(1, 0.9, 0.1), cap(26, 0.4, 0.8), cap(1_000, 0.0, 1.0)],
    }
}

fn honest(arm: usize) -> Party {
    let closed = ARMS[arm].2;
    let lost = 25 * closed;
    let point = |day: u32| {
        let share = u64::from(day / 10);
        let mut sums = Tally {
            wanted: 5_000 * share,
            answered: 5_000 * share - lost,
            closed,
            reopened: closed / 4,
            alarms: closed,
            ..Tally::default()
        };
        sums.refused[9] = lost;
        let usd = Costs { answers: sums.answered as f64 / 200.0, ..Costs::default() };
        Point { day, sums, usd, flop: 0.0, wait_p95_s: 0.0 }
    };
    Party {
        hours_to_detection: None,
        accounts: 2_000,
        points: DAYS.map(point).to_vec(),
        survival: vec![1.0; 21],
        ..party("honest", arm)
    }
}

fn actor(name: &str, wanted: u64, arm: usize, replicate: u32) -> Party {
    let banned = ARMS[arm].2 > 0;
    let point = |day: u32| {
        let attack = (wanted as f64 * ARMS[arm].1 * f64::from(day) / 20.0) as u64;
        let attack = attack + if day == 20 { u64::from(replicate) } else { 0 };
        let sums = Tally {
            wanted: 2 * wanted,
            answered: 2 * attack,
            attack,
            useful: attack,
            areas: vec![attack / 2, attack - attack / 2],
            opened: 30,
            closed: if banned { 15 } else { 0 },
            alarms: if banned { 15 } else { 0 },
            ..Tally::default()
        };
        let usd = Costs { answers: attack as f64 / 10.0, accounts: 30.0, ..Costs::default() };
        Point { day, sums, usd, flop: 1e18 * f64::from(day), wait_p95_s: 0.0 }
    };
    Party { points: DAYS.map(point).to_vec(), ..party(name, arm) }
}

fn party(name: &str, arm: usize) -> Party {
    let banned = ARMS[arm].2 > 0;
    Party {
        name: name.into(),
        points: Vec::new(),
        survival: (0..21).map(|d| if banned { 1.0 - 0.025 * f64::from(d) } else { 1.0 }).collect(),
        median_life_days: None,
        closed: if banned { 15 } else { 0 },
        leak_before_ban: banned.then_some([40.0, 30.0, 90.0]),
        hours_to_alarm: banned.then_some(30.0),
        hours_to_detection: banned.then_some(12.0),
        accounts: 30,
    }
}

/// Recovered is the share that was collected, a little less in the second area.
fn rows(party: &Party, arm: usize, replicate: u32) -> Vec<Learnt> {
    let row = |point: &Point, area: usize| {
        let examples = point.sums.areas[area] / 10;
        let recovered = ARMS[arm].1 * f64::from(point.day) / 20.0 - 0.1 * area as f64;
        Learnt {
            day: point.day,
            area: ["tools", "coding"][area].into(),
            examples,
            processed: 10 * examples,
            flop: 1e17 * f64::from(point.day),
            accuracy: 0.5,
            agreement: 0.5,
            recovered: recovered + 0.01 * f64::from(replicate),
            teacher: 0.9,
            floor: 0.25,
            refuse_recall: 0.0,
            false_refusal: 0.0,
        }
    };
    party.points.iter().flat_map(|p| [row(p, 0), row(p, 1)]).collect()
}

/// A measure over three replicates of an arm.
pub(super) fn spread(measures: &[Measure], name: &str, arm: usize, actor: Option<&str>) -> Spread {
    let records = records(3, 3);
    let slices = slices(&records);
    let settings = Settings::of(&assumptions(), &slices[0]);
    let measure = measures.iter().find(|m| m.name == name).expect("a measure of this name");
    measure.spread(&slices[0], &settings, &slices[0].arms[arm], actor)
}
