//! One account: who it belongs to, what it has used of its limits, and what detectors remember of it.

use std::collections::VecDeque;

use super::draw::{below, philox};
use super::exchange::MOST_SCOPES;
use super::watch::{Log, Memory};
use crate::ledger::{BucketState, GcraState, Tick, WindowState};

/// Addresses move alike in all replicates: they are no part of what is drawn.
const ADDRESS: u32 = 0x6164_6472;

/// The end of time: no event is due.
pub const NEVER: Tick = Tick(u64::MAX);

/// One account.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: u32,
    /// 0 for honest people, i + 1 for actor i.
    pub party: u16,
    pub tier: u8,
    /// An honest account that is easily taken for an actor's.
    pub power_user: bool,
    /// Its owner proved who they are: later alarms are dropped.
    pub cleared: bool,
    /// When it next asks, or asks again.
    pub next: Tick,
    /// When the request at hand was wanted, and whether it was tried yet.
    pub wanted: Tick,
    pub tried: bool,
    /// Address of the request at hand among the account's draws.
    pub epoch: u32,
    pub nth: u32,
    /// Times that a shared limit has sent this request back.
    pub tries: u32,
    /// Actors: how far the process of their requests has run.
    pub drawn: Tick,
    /// Honest: requests left of a session, when the time of sessions ends, sessions a microsecond then.
    pub turns_left: u32,
    pub active_until: Tick,
    pub sessions_per_us: f64,
    pub born: Tick,
    /// Age at time zero, microseconds.
    pub age_us: u64,
    /// Purchases so far, billionths of a dollar; `deposit` of them were paid ahead.
    pub spend: u64,
    pub deposit: u64,
    pub limits: Limits,
    /// Limits beside the tier that are the account's own, by their place in `limits.scope`.
    pub own: [BucketState; MOST_SCOPES],
    /// Reservations to settle, first due first.
    pub in_flight: VecDeque<Reservation>,
    pub watch: Box<[Memory]>,
    /// What it asked since the last look at clusters, if a detector reads that.
    pub log: Option<Box<Log>>,
    /// From then on the response holds.
    pub response_at: Tick,
    /// Closed from then on, until `reopens_at`.
    pub closes_at: Tick,
    pub reopens_at: Tick,
    pub seen: Seen,
    pub shared: Resources,
    /// Where the levels of shared limits lie in its group.
    pub place: Place,
}

/// For each entry of `limits.scope` a level of the group; `u32::MAX` is none.
pub type Place = [u32; MOST_SCOPES];

/// Used parts of an account's own limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub requests: GcraState,
    pub input: BucketState,
    pub output: BucketState,
    pub daily: WindowState,
    pub monthly: WindowState,
    pub spend: BucketState,
}

/// Output tokens set aside until an answer ends.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    pub ends: Tick,
    pub reserved: u32,
    pub used: u32,
}

/// What others can be told about an account.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub answered: u64,
    /// Answers of a campaign.
    pub attack: u64,
    /// Answers that look like a campaign's to a test of content.
    pub alike: u64,
    /// Requests for visible reasoning.
    pub elicited: u64,
    /// `answered`, `alike` and `elicited` at the last look of cluster detectors.
    pub before: [u64; 3],
    /// First exchange of a campaign, and first alarm.
    pub first_attack: Option<Tick>,
    pub first_alarm: Option<Tick>,
}

/// What an account shares with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    pub card: u64,
    pub device: u64,
    /// Its address where it never moves; else the pool, as first address and size.
    pub ip: u64,
    pub ip_pool: u32,
    pub rotation_us: u64,
    /// Cluster at the last look; its own id if alone.
    pub cluster: u32,
}

impl Account {
    /// A new account of a party, that has done nothing.
    pub fn new(id: u32, party: u16, born: Tick, shared: Resources, watch: Box<[Memory]>) -> Self {
        Self {
            id,
            party,
            tier: 0,
            power_user: false,
            cleared: false,
            next: NEVER,
            wanted: NEVER,
            tried: false,
            epoch: 0,
            nth: 0,
            tries: 0,
            drawn: Tick::ZERO,
            turns_left: 0,
            active_until: Tick::ZERO,
            sessions_per_us: 0.0,
            born,
            age_us: 0,
            spend: 0,
            deposit: 0,
            limits: Limits::default(),
            own: Default::default(),
            in_flight: VecDeque::new(),
            watch,
            log: None,
            response_at: NEVER,
            closes_at: NEVER,
            reopens_at: NEVER,
            seen: Seen::default(),
            shared,
            place: [u32::MAX; MOST_SCOPES],
        }
    }

    /// Whether it is closed at a time.
    pub fn closed(&self, at: Tick) -> bool {
        self.closes_at <= at && at < self.reopens_at
    }

    /// What it has bought so far, or paid ahead if that is more; billionths of a dollar.
    pub fn purchased(&self) -> u64 {
        self.spend.max(self.deposit)
    }

    /// How old it is.
    pub const fn age(&self, at: Tick) -> u64 {
        self.age_us + at.0.saturating_sub(self.born.0)
    }

    /// Its address at a time.
    pub fn ip_at(&self, at: Tick) -> u64 {
        let r = &self.shared;
        if r.rotation_us == 0 {
            return r.ip;
        }
        let turn = at.0 / r.rotation_us;
        let [word, ..] = philox([turn as u32, 0, self.id, ADDRESS], [0, 0]);
        r.ip + u64::from(below(word, r.ip_pool))
    }

    /// Adds all that counts to a hash of the state.
    pub fn hash_into(&self, hasher: &mut blake3::Hasher) {
        let l = &self.limits;
        let words = [
            u64::from(self.id),
            u64::from(self.party),
            u64::from(self.tier),
            u64::from(self.cleared),
            self.next.0,
            self.wanted.0,
            u64::from(self.epoch),
            u64::from(self.nth),
            u64::from(self.turns_left),
            self.spend,
            l.requests.tat_us(),
            l.daily.used(),
            l.monthly.used(),
            self.in_flight.len() as u64,
            self.response_at.0,
            self.closes_at.0,
            self.reopens_at.0,
            self.seen.answered,
            self.seen.attack,
            self.seen.elicited,
            self.seen.first_alarm.map_or(u64::MAX, |t| t.0),
            u64::from(self.shared.cluster),
            self.log.as_ref().map_or(0, |log| log.len() as u64),
        ];
        for word in words {
            hasher.update(&word.to_le_bytes());
        }
        for memory in &self.watch {
            memory.hash_into(hasher);
        }
    }
}
