//! Who is there at the start, and what they share.

use super::account::{Account, Resources};
use super::calendar::DAY;
use super::demand;
use super::draw::{Purpose, below, happens};
use super::rules::{NANO, Rules};
use super::watch::{Memory, Watcher};
use crate::ledger::Tick;

/// Kinds of resources, in the upper bits of their numbers.
const CARD: u64 = 1 << 60;
const DEVICE: u64 = 2 << 60;
const ADDRESS: u64 = 3 << 60;

/// Number `n` of a party's resources of a kind.
const fn resource(kind: u64, party: u16, group: u32, n: u64) -> u64 {
    kind | (party as u64) << 44 | (group as u64 & 0xFFF) << 32 | n
}

/// An honest account: its rate, its habits, what it shares and how long it has been there.
pub fn person(rules: &Rules, id: u32) -> Account {
    let spec = &rules.honest.spec;
    let [rate, power, net, card] = rules.draws.words(id, Purpose::Person, 0, 0);
    let [age, ..] = rules.draws.words(id, Purpose::Person, 0, 1);
    let own = u64::from(id);
    let behind = if happens(net, spec.nat_share) { own / u64::from(spec.nat_size) } else { own };
    let nat = behind != own;
    let family = happens(card, spec.shared_card_share);
    let payer = if family { own ^ 1 } else { own };
    let shared = Resources {
        card: resource(CARD, 0, 0, payer),
        device: resource(DEVICE, 0, 0, own),
        ip: resource(ADDRESS, 0, u32::from(nat), behind),
        ip_pool: 1,
        rotation_us: 0,
        cluster: id,
    };
    let mut account = Account::new(id, 0, Tick::ZERO, shared, memories(rules));
    account.power_user = happens(power, spec.power_users_share);
    let per_day = f64::from(rules.honest.rate.at(rate)).min(spec.rate_cap_per_day);
    account.sessions_per_us = per_day / spec.turns_mean / spec.active_share / DAY as f64;
    let days = f64::from(rules.exponential.at(age)) * spec.age_mean_days;
    account.age_us = (days * DAY as f64) as u64;
    // What it has bought before: its rate for as long as it has been there.
    let cost = rules.usual_cost;
    account.deposit = ((per_day * days * cost).max(5.0 * NANO)) as u64;
    start_tier(rules, &mut account, rules.tiers.len() - 1);
    // Whether it is in a time of sessions at the start: by the share of such times.
    let [in_session, left, ..] = rules.draws.words(id, Purpose::Person, 0, 2);
    if happens(in_session, spec.active_share) {
        account.active_until =
            Tick((f64::from(rules.exponential.at(left)) * rules.honest.active_us) as u64);
    }
    account.nth = u32::MAX;
    account.next = demand::next_of_person(rules, &mut account, Tick::ZERO);
    account.wanted = account.next;
    account.nth = 0;
    account
}

/// The `nth` account of an actor, opened at `born`.
pub fn opened(rules: &Rules, actor: usize, id: u32, nth: u32, born: Tick) -> Account {
    let a = &rules.actors[actor];
    let link = &a.spec.linkage;
    let party = actor as u16 + 1;
    let [card, device, _, _] = rules.draws.words(id, Purpose::Person, 0, 0);
    let group = nth % link.groups;
    let in_group = (f64::from(a.spec.accounts) / f64::from(link.groups)).max(1.0);
    let pool = |per_account: f64| (in_group * per_account).ceil().max(1.0) as u32;
    let cards = pool(link.cards_per_account);
    let shares = happens(device, link.device_reuse);
    let shared = Resources {
        card: resource(CARD, party, group, u64::from(below(card, cards))),
        // A device of its own, or that of the account before.
        device: resource(DEVICE, party, 0, u64::from(if shares { nth ^ 1 } else { nth })),
        ip: resource(ADDRESS, party, group, 0),
        ip_pool: pool(link.ips_per_account),
        rotation_us: u64::from(link.ip_rotation_h) * super::calendar::HOUR,
        cluster: id,
    };
    let mut account = Account::new(id, party, born, shared, memories(rules));
    account.deposit = a.deposit;
    start_tier(rules, &mut account, a.max_tier);
    if account.shared.rotation_us == 0 {
        let [_, _, at, _] = rules.draws.words(id, Purpose::Person, 0, 0);
        account.shared.ip += u64::from(below(at, account.shared.ip_pool));
    }
    account
}

/// The highest tier that purchases and age reach.
fn start_tier(rules: &Rules, account: &mut Account, most: usize) {
    for (i, tier) in rules.tiers.iter().enumerate().take(most + 1) {
        if account.deposit >= tier.from && account.age_us >= tier.from_age_us {
            account.tier = i as u8;
        }
    }
}

fn memories(rules: &Rules) -> Box<[Memory]> {
    rules.watchers.iter().map(Watcher::memory).collect()
}
