//! A scenario under one arm, in the whole numbers that the engine counts with.

use super::calendar::{Calendar, DAY, MINUTE, MONTH, SECOND};
use super::calibrate::Limit;
use super::content::Content;
use super::draw::{Draws, threshold};
use super::exchange::{MOST_SCOPES, Request};
use super::quantile::Quantiles;
use super::replay::Replay;
use super::spec::{
    Action, ActorSpec, ArmSpec, BenignSpec, DetectorKind, DetectorSpec, LinkWith, RateShape,
    Reserve, Scenario, Scope, ScopeKey, ScopeLimit, TierSpec, Unit,
};
use super::watch::Watcher;
use crate::error::Result;
use crate::ledger::{Bucket, Gcra, Oversize, Window};

/// Billionths of a dollar: the smallest coin here, so that a token of any price is a whole number of it.
pub const NANO: f64 = 1e9;

/// What holds for every exchange of a replicate.
pub struct Rules {
    pub draws: Draws,
    pub exponential: Quantiles,
    pub calendar: Calendar,
    /// Whether tiers and scopes bind.
    pub limits: bool,
    pub tiers: Vec<Tier>,
    pub scopes: Vec<SharedLimit>,
    pub reserve: Reserve,
    pub latency_us: u64,
    /// Price of a token, billionths of a dollar.
    pub price: [u64; 2],
    /// Mean price of an honest request, billionths of a dollar.
    pub usual_cost: f64,
    pub end: u64,
    pub epoch_us: u64,
    pub honest: Honest,
    pub actors: Vec<Actor>,
    pub content: Content,
    /// Detectors that look at each exchange.
    pub watchers: Vec<Watcher>,
    /// Accounts are linked by so many shared resources.
    pub link_by: u32,
    pub link_with: LinkWith,
    /// Detectors that look at clusters.
    pub pooled: Vec<Watcher>,
    pub reads: Reads,
    pub response: Response,
}

/// What detectors read of an exchange beyond its counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reads {
    /// Its topic.
    pub topics: bool,
    /// Its vector.
    pub vectors: bool,
    /// All that a cluster asked in a day, one by one.
    pub logs: bool,
    /// Who asked alike at the same times.
    pub synchrony: bool,
}

impl Reads {
    /// What the detectors of an arm read.
    pub fn of_arm(scenario: &Scenario, arm: &ArmSpec) -> Self {
        Self::of(&watching(scenario, arm))
    }

    fn of(detectors: &[&DetectorSpec]) -> Self {
        use DetectorKind as Kind;
        let any = |what: fn(&Kind) -> bool| detectors.iter().any(|d| what(&d.test));
        let synchrony = any(|kind| matches!(kind, Kind::Synchrotrap { .. }));
        let of_vectors =
            |kind: &Kind| matches!(kind, Kind::Prada { .. } | Kind::Seat { .. } | Kind::Mmd { .. });
        let of_content = |kind: &Kind| of_vectors(kind) || matches!(kind, Kind::Entropy { .. });
        Self {
            topics: synchrony || detectors.iter().any(|d| of_content(&d.test)),
            vectors: synchrony || detectors.iter().any(|d| of_vectors(&d.test)),
            logs: detectors.iter().any(|d| d.scope == Scope::Cluster && of_content(&d.test)),
            synchrony,
        }
    }
}

/// One step of the ladder.
#[derive(Clone, Copy, Debug)]
pub struct Tier {
    /// Purchase from which it is reached, billionths of a dollar.
    pub from: u64,
    pub from_age_us: u64,
    pub requests: Option<Gcra>,
    pub input: Option<Bucket>,
    pub output: Option<Bucket>,
    pub daily: Option<Window>,
    pub monthly: Option<Window>,
    /// Billionths of a dollar in ten minutes.
    pub spend: Option<Bucket>,
    pub concurrency: usize,
}

/// A limit that accounts share.
#[derive(Clone, Copy, Debug)]
pub struct SharedLimit {
    pub key: ScopeKey,
    pub unit: Unit,
    pub bucket: Bucket,
    /// For the global key: units of an epoch.
    pub per_epoch: u64,
}

/// Lengths and flags of one kind of request.
pub struct Kind {
    pub input: Quantiles,
    pub output: Quantiles,
    pub max_tokens: u32,
    /// Thresholds for a word.
    pub elicit: u64,
}

/// Honest people.
pub struct Honest {
    pub spec: BenignSpec,
    pub kind: Kind,
    /// Microseconds within a session.
    pub gap: Quantiles,
    /// Requests a day.
    pub rate: Quantiles,
    pub patience_us: u64,
    /// Mean lengths of times with and without sessions, microseconds.
    pub active_us: f64,
    pub idle_us: f64,
    pub focus: u64,
    /// Chance that a session has at most 1, 2, ... requests, as thresholds.
    pub turns: Vec<u64>,
    /// Recorded traffic in place of drawn one.
    pub replay: Option<Replay>,
}

/// One actor.
pub struct Actor {
    pub spec: ActorSpec,
    pub kind: Kind,
    pub own: u64,
    pub repeat: u64,
    /// Cumulative thresholds of the capability areas.
    pub areas: Vec<u64>,
    pub max_tier: usize,
    pub start_us: u64,
    pub ramp_us: u64,
    /// Microseconds between signals and the longest delay after one; none if never quiet in between.
    pub sync: Option<[u64; 2]>,
    pub sms: u64,
    pub deposit: u64,
    pub replace_us: u64,
    pub even: bool,
    pub diurnal: bool,
}

/// What follows an alarm.
pub struct Response {
    pub action: Action,
    /// Units that a throttled account pays for one.
    pub throttle: u64,
    pub appeal: f64,
    pub appeal_us: u64,
    pub pass_benign: f64,
    pub pass_attack: f64,
    /// Hashes of a request, and what they take an honest machine.
    pub pow_hashes: u64,
    pub pow_us: u64,
}

impl Rules {
    /// The rules of a replicate. The scenario is valid.
    pub fn new(scenario: &Scenario, arm: &ArmSpec, replicate: u32) -> Result<Self> {
        let clock = &scenario.scenario;
        let epoch_us = u64::from(clock.epoch_minutes) * MINUTE;
        let seen = watching(scenario, arm);
        let content = Content::new(scenario);
        let in_scope = |scope| -> Result<Vec<Watcher>> {
            let chosen = seen.iter().filter(|d| d.scope == scope);
            chosen.map(|d| Watcher::new(d, scenario, &content)).collect()
        };
        let price = |usd: f64| (usd * 1e3).round() as u64;
        let t = &scenario.teacher;
        let shared = scenario.limits.scope.iter();
        let honest = Honest::new(&scenario.benign);
        let watchers = in_scope(Scope::Account)?;
        let price = [price(t.price_in_usd_per_mtok), price(t.price_out_usd_per_mtok)];
        Ok(Self {
            draws: Draws::new(clock.seed, replicate),
            exponential: Quantiles::exponential(),
            calendar: Calendar::new(&scenario.benign, clock.start_weekday),
            limits: arm.limits,
            tiers: scenario.tier.iter().map(|t| Tier::new(t, scenario.limits.burst_s)).collect(),
            scopes: shared
                .map(|s| SharedLimit::new(s, scenario.limits.burst_s, epoch_us))
                .collect(),
            reserve: scenario.limits.reserve,
            latency_us: seconds(t.latency_s),
            price,
            usual_cost: usual_cost(&scenario.benign, price),
            end: u64::from(clock.days) * DAY,
            epoch_us,
            honest,
            actors: scenario.actor.iter().map(|a| Actor::new(a, scenario)).collect(),
            link_by: arm.link_by,
            link_with: arm.link_with,
            watchers,
            pooled: in_scope(Scope::Cluster)?,
            reads: Reads::of(&seen),
            content,
            response: Response::new(scenario),
        })
    }

    /// Sets the limits that a separate population gave.
    pub fn set_limits(&mut self, limits: &[Limit]) {
        for watcher in self.watchers.iter_mut().chain(&mut self.pooled) {
            let found = limits.iter().find(|limit| limit.detector == watcher.name);
            watcher.limit = found.map_or(watcher.limit, |limit| limit.value);
        }
    }

    /// Counts a request for the limits that all share.
    #[inline]
    pub fn count_for_all(&self, asked: &mut [u64; MOST_SCOPES], request: &Request) {
        for (scope, asked) in self.scopes.iter().zip(asked) {
            if scope.key == ScopeKey::Global {
                *asked += request.units(scope.unit);
            }
        }
    }

    /// Whether accounts meet within an epoch, at a limit that they share.
    pub fn shares(&self) -> bool {
        let met = |s: &SharedLimit| !matches!(s.key, ScopeKey::Account | ScopeKey::Global);
        self.limits && self.scopes.iter().any(met)
    }

    /// Whether accounts are linked at all.
    pub fn links(&self) -> bool {
        let by_cluster = |s: &SharedLimit| s.key == ScopeKey::Cluster;
        !self.pooled.is_empty() || (self.limits && self.scopes.iter().any(by_cluster))
    }
}

/// The detectors of an arm.
fn watching<'a>(scenario: &'a Scenario, arm: &ArmSpec) -> Vec<&'a DetectorSpec> {
    scenario.detector.iter().filter(|d| arm.detectors.contains(&d.name)).collect()
}

impl Tier {
    fn new(t: &TierSpec, burst_s: u64) -> Self {
        let bucket = |per_minute: u64| {
            let burst = (per_minute * burst_s).div_ceil(60).max(1);
            (per_minute > 0).then(|| Bucket::new(per_minute, MINUTE, burst))
        };
        let requests = |rpm: u64| {
            let burst = (rpm * burst_s).div_ceil(60).max(1);
            (rpm > 0).then(|| Gcra::new(MINUTE.div_ceil(rpm), burst, Oversize::WhenFull))
        };
        let spend = nano(t.spend_per_10min_usd);
        Self {
            from: nano(t.min_spend_usd),
            from_age_us: (t.min_age_days * DAY as f64) as u64,
            requests: requests(t.rpm),
            input: bucket(t.itpm),
            output: bucket(t.otpm),
            daily: (t.rpd > 0).then(|| Window::new(t.rpd, DAY)),
            monthly: (t.monthly_cap_usd > 0.0).then(|| Window::new(nano(t.monthly_cap_usd), MONTH)),
            // In millionths here: a level is coins x microseconds, and must stay a whole number.
            spend: (spend > 0).then(|| Bucket::new(spend / 1_000, 10 * MINUTE, spend / 1_000)),
            concurrency: t.concurrency as usize,
        }
    }
}

impl SharedLimit {
    fn new(s: &ScopeLimit, burst_s: u64, epoch_us: u64) -> Self {
        let period_us = s.per_s * SECOND;
        let burst = (s.count * burst_s.min(s.per_s)).div_ceil(s.per_s).max(1);
        let per_epoch = u128::from(s.count) * u128::from(epoch_us) / u128::from(period_us);
        // What all share has no level: it is counted epoch by epoch.
        let [count, burst] = if s.key == ScopeKey::Global { [1, 1] } else { [s.count, burst] };
        Self {
            key: s.key,
            unit: s.unit,
            bucket: Bucket::new(count, period_us, burst),
            per_epoch: per_epoch as u64,
        }
    }
}

impl Honest {
    fn new(spec: &BenignSpec) -> Self {
        let active_us = spec.active_hours * 3600e6;
        Self {
            kind: Kind {
                input: Quantiles::lognormal(spec.in_lognormal[0], spec.in_lognormal[1]),
                output: Quantiles::lognormal(spec.out_lognormal[0], spec.out_lognormal[1]),
                max_tokens: spec.max_tokens,
                elicit: threshold(spec.elicit_p),
            },
            gap: Quantiles::gamma(spec.gap_gamma_shape, spec.gap_mean_s * 1e6),
            rate: Quantiles::lognormal(libm::log(spec.rate_median_per_day), spec.rate_log_sigma),
            patience_us: seconds(spec.patience_s),
            active_us,
            idle_us: active_us * (1.0 - spec.active_share) / spec.active_share,
            focus: threshold(spec.topic_focus_share),
            turns: turns(spec.turns_mean),
            replay: spec.recorded.as_ref().map(|t| Replay::new(t, spec.accounts)),
            spec: spec.clone(),
        }
    }
}

impl Actor {
    fn new(a: &ActorSpec, scenario: &Scenario) -> Self {
        let areas = scenario.learning.area.len();
        let weights =
            if a.area_weights.is_empty() { vec![1.0; areas] } else { a.area_weights.clone() };
        let sum: f64 = weights.iter().sum();
        let mut so_far = 0.0;
        let areas = weights.iter().map(|w| {
            so_far += w / sum;
            threshold(so_far)
        });
        let by_name = |name: &String| scenario.tier.iter().position(|t| t.name == *name);
        let sync = [seconds(a.sync_every_s), seconds(a.sync_jitter_s)];
        Self {
            kind: Kind {
                input: Quantiles::lognormal(a.in_lognormal[0], a.in_lognormal[1]),
                output: Quantiles::lognormal(a.out_lognormal[0], a.out_lognormal[1]),
                max_tokens: a.max_tokens,
                elicit: threshold(a.elicit_p),
            },
            own: threshold(a.mix_share),
            repeat: threshold(a.repeat_share),
            areas: areas.collect(),
            max_tier: a.max_tier.as_ref().and_then(by_name).unwrap_or(scenario.tier.len() - 1),
            start_us: (a.start_day * DAY as f64) as u64,
            ramp_us: (a.ramp_days * DAY as f64) as u64,
            sync: (sync[1] < sync[0]).then_some(sync),
            sms: nano(a.cost.sms_usd),
            deposit: nano(a.cost.deposit_usd),
            replace_us: hours(a.cost.replace_delay_h),
            even: a.rate_shape == RateShape::Even,
            diurnal: a.rate_shape == RateShape::FollowDiurnal,
            spec: a.clone(),
        }
    }

    /// When it wants to be done.
    pub fn deadline(&self, end: u64) -> u64 {
        match self.spec.pace_days > 0.0 {
            true => end.min(self.start_us + (self.spec.pace_days * DAY as f64) as u64),
            false => end,
        }
    }
}

impl Response {
    fn new(scenario: &Scenario) -> Self {
        let r = &scenario.response;
        let hashes = libm::exp2(f64::from(r.pow_bits));
        Self {
            action: r.action,
            throttle: (1.0 / r.throttle_factor).round() as u64,
            appeal: r.appeal_rate * r.appeal_success_if_benign,
            appeal_us: (r.appeal_days * DAY as f64) as u64,
            pass_benign: r.step_up_pass_if_benign,
            pass_attack: r.step_up_pass_if_attack,
            pow_hashes: hashes as u64,
            pow_us: seconds(hashes / r.pow_hashes_per_s),
        }
    }
}

/// A geometric number of at least 1 with this mean: the chances of at most 1, 2, ..., until the rest is less
/// than a draw can tell.
fn turns(mean: f64) -> Vec<u64> {
    let (mut rest, mut at_most) = (1.0, Vec::new());
    while rest * 4_294_967_296.0 >= 0.5 && at_most.len() < 4_096 {
        rest *= 1.0 - 1.0 / mean;
        at_most.push(threshold(1.0 - rest));
    }
    at_most
}

/// Means of two lognormal lengths, at their prices.
fn usual_cost(spec: &BenignSpec, price: [u64; 2]) -> f64 {
    let mean = |[mu, sigma]: [f64; 2]| libm::exp(mu + sigma * sigma / 2.0);
    mean(spec.in_lognormal) * price[0] as f64 + mean(spec.out_lognormal) * price[1] as f64
}

fn seconds(s: f64) -> u64 {
    (s * 1e6).round() as u64
}

fn hours(h: f64) -> u64 {
    seconds(h * 3600.0)
}

fn nano(usd: f64) -> u64 {
    (usd * NANO).round() as u64
}
