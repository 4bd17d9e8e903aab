//! One event of one account: the request at hand meets its account's standing, limits, the teacher and
//! the detectors, and the account learns when to ask next.

use super::account::{Account, NEVER, Reservation};
use super::content::{self, Subject};
use super::demand;
use super::draw::Purpose;
use super::rules::{Kind, NANO, Rules, SharedLimit};
use super::spec::{Action, Reserve, ScopeKey, Unit};
use super::tally::{Refusal, Tally};
use super::watch::{Act, Address};
use crate::ledger::{BucketState, Tick};

/// What leaves an account for the barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Closing {
    pub at: Tick,
    pub id: u32,
    pub party: u16,
}

/// Where a worker writes. An epoch lies within a day.
pub struct Desk {
    /// Sums of the epoch by party.
    pub sums: Vec<Tally>,
    pub closings: Vec<Closing>,
    /// When honest accounts will be open again.
    pub reopenings: Vec<Tick>,
    /// Units of the epoch that limits shared by all count, by their place in `limits.scope`.
    pub asked: [u64; MOST_SCOPES],
    /// Share of requests that the global limit lets through, as a threshold.
    pub admitted: u64,
    /// Requests of an actor's account in a microsecond, this epoch.
    pub rates: Vec<f64>,
    pub epoch: u32,
    /// Accounts of each actor that wait for a limit beyond the next epoch.
    pub stuck: Vec<u32>,
    /// The vector of the request at hand, as it is made and as it is read.
    pub vector: (Vec<f32>, Vec<f64>),
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Part of a campaign, not cover.
    pub attack: bool,
    pub repeat: bool,
    pub elicits: bool,
    pub area: u8,
    pub input: u32,
    pub output: u32,
    pub max_tokens: u32,
    /// Billionths of a dollar.
    pub cost: u64,
}

impl Desk {
    /// An empty desk for an epoch in which actors ask nothing.
    pub fn new(rules: &Rules, epoch: u32) -> Self {
        Self {
            sums: vec![Tally::default(); rules.actors.len() + 1],
            closings: Vec::new(),
            reopenings: Vec::new(),
            asked: [0; MOST_SCOPES],
            admitted: 1 << 32,
            rates: vec![0.0; rules.actors.len()],
            epoch,
            stuck: vec![0; rules.actors.len()],
            vector: Default::default(),
        }
    }
}

impl Request {
    /// What a shared limit counts of it.
    pub fn units(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Requests => 1,
            Unit::Tokens => u64::from(self.input) + u64::from(self.output),
            Unit::MicroUsd => self.cost / 1_000,
        }
    }
}

enum Answer {
    Given { perturbed: bool },
    Wait(Tick, Refusal),
    Refused(Refusal),
}

/// Handles the event that is due at `account.next`.
#[inline]
pub fn step(rules: &Rules, account: &mut Account, shared: &mut [BucketState], desk: &mut Desk) {
    let at = account.next;
    let party = usize::from(account.party);
    if party > 0 && account.closed(at) {
        account.next = NEVER;
        return;
    }
    let request = request(rules, account);
    let answer = match account.closed(at) {
        true => Answer::Refused(Refusal::Closed),
        false => ask(rules, account, shared, desk, &request, at),
    };
    let tally = &mut desk.sums[party];
    tally.wanted += u64::from(!account.tried);
    account.tried = true;
    match answer {
        Answer::Wait(retry, why) => {
            tally.throttled += 1;
            let patience = if party == 0 { rules.honest.patience_us } else { u64::MAX };
            let retry = backed_off(rules, account, at, retry, why);
            if retry.0 - account.wanted.0 <= patience {
                account.next = retry;
                return;
            }
            tally.refused[why as usize] += 1;
        }
        Answer::Refused(why) => tally.refused[why as usize] += 1,
        Answer::Given { perturbed } => {
            book(account, &request, perturbed, at, tally);
            observe(rules, account, &request, at, desk);
        }
    }
    account.tries = 0;
    demand::next(rules, account, at, desk);
}

/// When a request that was sent back comes again. Whoever shares a limit was told the same time as others:
/// clients that come all at once and are sent back again wait longer each time, by chance.
fn backed_off(rules: &Rules, account: &mut Account, at: Tick, retry: Tick, why: Refusal) -> Tick {
    if why != Refusal::Shared {
        return retry;
    }
    account.tries = (account.tries + 1).min(12);
    let address = account.nth ^ (account.tries << 27);
    let [word, ..] = rules.draws.words(account.id, Purpose::Backoff, account.epoch, address);
    let most = (retry.0 - at.0).saturating_mul((1 << account.tries) - 1);
    retry.after((super::draw::unit(word) * most as f64) as u64)
}

/// What the account asks now; the same at each try.
#[inline]
fn request(rules: &Rules, account: &Account) -> Request {
    let [who, what, input, output] =
        rules.draws.words(account.id, Purpose::Request, account.epoch, account.nth);
    let of = |kind: &Kind, attack, area, repeat| {
        let length = |table: &super::quantile::Quantiles, word| table.at(word).max(1.0) as u32;
        let (input, output) = (length(&kind.input, input), length(&kind.output, output));
        let output = output.min(kind.max_tokens);
        let cost = u64::from(input) * rules.price[0] + u64::from(output) * rules.price[1];
        let elicits = u64::from(what) < kind.elicit;
        Request { attack, repeat, elicits, area, input, output, max_tokens: kind.max_tokens, cost }
    };
    let Some(party) = usize::from(account.party).checked_sub(1) else {
        let request = of(&rules.honest.kind, false, 0, false);
        let recorded = rules.honest.replay.as_ref().map(|r| r.lengths(account.id, account.nth));
        return recorded.map_or(request, |(input, output)| {
            let cost = u64::from(input) * rules.price[0] + u64::from(output) * rules.price[1];
            Request { input, output, cost, ..request }
        });
    };
    let actor = &rules.actors[party];
    if u64::from(who) >= actor.own {
        return of(&rules.honest.kind, false, 0, false);
    }
    let [area, again, _, _] =
        rules.draws.words(account.id, Purpose::Content, account.epoch, account.nth);
    let area = actor.areas.iter().position(|&up_to| u64::from(area) < up_to).unwrap_or(0);
    of(&actor.kind, true, area as u8, u64::from(again) < actor.repeat)
}

fn ask(
    rules: &Rules,
    account: &mut Account,
    shared: &mut [BucketState],
    desk: &mut Desk,
    request: &Request,
    at: Tick,
) -> Answer {
    let response = &rules.response;
    let suspect = account.response_at <= at;
    if rules.limits {
        rules.count_for_all(&mut desk.asked, request);
        if desk.admitted < 1 << 32 {
            let [lot, ..] = rules.draws.words(account.id, Purpose::Lot, account.epoch, account.nth);
            if u64::from(lot) >= desk.admitted {
                return Answer::Refused(Refusal::Global);
            }
        }
        let weight = match suspect && response.action == Action::Throttle {
            true => response.throttle,
            false => 1,
        };
        if let Err((retry, why)) = admit(rules, account, shared, request, at, weight) {
            return retry.map_or(Answer::Refused(why), |retry| Answer::Wait(retry, why));
        }
    }
    Answer::Given { perturbed: suspect && response.action == Action::Perturb }
}

type Verdict = Result<(), (Option<Tick>, Refusal)>;

/// All limits or none: what one has taken is given back if another refuses.
fn admit(
    rules: &Rules,
    account: &mut Account,
    shared: &mut [BucketState],
    request: &Request,
    at: Tick,
    weight: u64,
) -> Verdict {
    settle(rules, account, at);
    climb(rules, account, at);
    let before = account.limits;
    let verdict = own_limits(rules, account, request, at, weight)
        .and_then(|()| shared_limits(rules, account, shared, request, at, weight));
    if verdict.is_err() {
        account.limits = before;
        return verdict;
    }
    let reserved = reserved(rules, account, request, weight);
    let tier = &rules.tiers[usize::from(account.tier)];
    if tier.concurrency > 0 || (rules.reserve == Reserve::MaxTokens && tier.output.is_some()) {
        let ends = at.after(rules.latency_us);
        let used = request.output;
        account.in_flight.push_back(Reservation { ends, reserved: reserved as u32, used });
    }
    Ok(())
}

/// Gives back what ended answers did not use.
fn settle(rules: &Rules, account: &mut Account, at: Tick) {
    let output = rules.tiers[usize::from(account.tier)].output;
    while let Some(first) = account.in_flight.front().copied().filter(|r| r.ends <= at) {
        account.in_flight.pop_front();
        if let (Some(bucket), Reserve::MaxTokens) = (&output, rules.reserve) {
            let (reserved, used) = (u64::from(first.reserved), u64::from(first.used));
            bucket.settle(&mut account.limits.output, first.ends, reserved, used);
        }
    }
}

/// The next tiers, as soon as purchases and age reach them.
fn climb(rules: &Rules, account: &mut Account, at: Tick) {
    let most = match usize::from(account.party).checked_sub(1) {
        Some(actor) => rules.actors[actor].max_tier,
        None => rules.tiers.len() - 1,
    };
    let purchased = account.purchased();
    while usize::from(account.tier) < most {
        let next = &rules.tiers[usize::from(account.tier) + 1];
        if purchased < next.from || account.age(at) < next.from_age_us {
            return;
        }
        account.tier += 1;
    }
}

/// Output tokens set aside for a request.
fn reserved(rules: &Rules, account: &Account, request: &Request, weight: u64) -> u64 {
    let wanted = match rules.reserve {
        Reserve::MaxTokens => request.max_tokens,
        Reserve::Actual => request.output,
    };
    let bucket = rules.tiers[usize::from(account.tier)].output;
    (u64::from(wanted) * weight).min(bucket.map_or(u64::MAX, |b| b.burst()))
}

fn own_limits(
    rules: &Rules,
    account: &mut Account,
    request: &Request,
    at: Tick,
    weight: u64,
) -> Verdict {
    let tier = &rules.tiers[usize::from(account.tier)];
    let reserved = reserved(rules, account, request, weight);
    if tier.concurrency > 0 && account.in_flight.len() >= tier.concurrency {
        let free = account.in_flight[account.in_flight.len() - tier.concurrency].ends;
        return Err((Some(free), Refusal::Concurrency));
    }
    let l = &mut account.limits;
    if let Some(gcra) = &tier.requests {
        gcra.admit(&mut l.requests, at, weight).map_err(|t| (t, Refusal::Requests))?;
    }
    if let Some(bucket) = &tier.input {
        // A prompt beyond the burst passes when the bucket is full, and takes all of it.
        let need = (u64::from(request.input) * weight).min(bucket.burst());
        bucket.admit(&mut l.input, at, need).map_err(|t| (t, Refusal::InputTokens))?;
    }
    if let Some(bucket) = &tier.output {
        bucket.admit(&mut l.output, at, reserved).map_err(|t| (t, Refusal::OutputTokens))?;
    }
    if let Some(window) = &tier.daily {
        window.fits(&mut l.daily, at, weight).map_err(|t| (Some(t), Refusal::Daily))?;
        l.daily.take(weight);
    }
    if let Some(window) = &tier.monthly {
        window
            .fits(&mut l.monthly, at, request.cost)
            .map_err(|t| (Some(t), Refusal::MonthlyCap))?;
        l.monthly.take(request.cost);
    }
    if let Some(bucket) = &tier.spend {
        let need = (request.cost / 1_000).min(bucket.burst());
        bucket.admit(&mut l.spend, at, need).map_err(|t| (t, Refusal::Spend))?;
    }
    Ok(())
}

/// Limits beside the tier; `shared` holds the levels of this account's group.
fn shared_limits(
    rules: &Rules,
    account: &mut Account,
    shared: &mut [BucketState],
    request: &Request,
    at: Tick,
    weight: u64,
) -> Verdict {
    if rules.scopes.is_empty() {
        return Ok(());
    }
    let mut before = [BucketState::default(); MOST_SCOPES];
    for (i, scope) in rules.scopes.iter().enumerate() {
        let Some(state) = level(account, shared, scope.key, i) else { continue };
        before[i] = *state;
        let need = need(scope, request, weight).min(scope.bucket.burst());
        let Err(retry) = scope.bucket.admit(state, at, need) else { continue };
        for (j, scope) in rules.scopes.iter().enumerate().take(i) {
            if let Some(state) = level(account, shared, scope.key, j) {
                *state = before[j];
            }
        }
        return Err((retry, Refusal::Shared));
    }
    Ok(())
}

/// The level of the `i`th limit beside the tier that this account meets.
fn level<'a>(
    account: &'a mut Account,
    shared: &'a mut [BucketState],
    key: ScopeKey,
    i: usize,
) -> Option<&'a mut BucketState> {
    match key {
        ScopeKey::Global => None,
        ScopeKey::Account => Some(&mut account.own[i]),
        _ => shared.get_mut(account.place[i] as usize),
    }
}

/// Most entries of `limits.scope`.
pub const MOST_SCOPES: usize = 8;

fn need(scope: &SharedLimit, request: &Request, weight: u64) -> u64 {
    weight * request.units(scope.unit)
}

/// Charges an answer.
fn book(account: &mut Account, request: &Request, perturbed: bool, at: Tick, tally: &mut Tally) {
    tally.wait(at.0 - account.wanted.0);
    tally.answered += 1;
    tally.tokens_in += u64::from(request.input);
    tally.tokens_out += u64::from(request.output);
    tally.spend += request.cost;
    tally.perturbed += u64::from(perturbed);
    account.spend += request.cost;
    account.seen.answered += 1;
    account.seen.elicited += u64::from(request.elicits);
    if request.attack {
        tally.attack += 1;
        account.seen.attack += 1;
        account.seen.first_attack.get_or_insert(at);
        if !perturbed && !request.repeat {
            let tokens = u64::from(request.input) + u64::from(request.output);
            tally.useful(usize::from(request.area), tokens);
        }
    }
}

/// Shows an answered request to the detectors of accounts.
fn observe(rules: &Rules, account: &mut Account, request: &Request, at: Tick, desk: &mut Desk) {
    if rules.response.action == Action::Pow && account.response_at <= at {
        desk.sums[usize::from(account.party)].hashes += rules.response.pow_hashes;
    }
    if rules.watchers.is_empty() && rules.pooled.is_empty() {
        return;
    }
    let alike = content::alike(rules, account, request);
    account.seen.alike += u64::from(alike);
    let settled = account.response_at < NEVER || account.cleared;
    if settled && !rules.reads.logs {
        return;
    }
    let mut act = Act {
        at,
        purchased_usd: account.purchased() as f64 / NANO,
        age_us: account.age(at),
        elicits: request.elicits,
        alike,
        subject: Subject::default(),
    };
    if rules.reads.topics {
        let (made, read) = &mut desk.vector;
        let vectors = rules.reads.vectors;
        act.subject = rules.content.of(rules, account, request, alike, vectors, made);
        read.clear();
        read.extend(made.iter().map(|&x| f64::from(x)));
    }
    let vector = &desk.vector.1;
    if rules.reads.logs {
        account.log.get_or_insert_default().push(act, vector);
    }
    if settled {
        return;
    }
    let mut alarmed = false;
    let mut review = u64::MAX;
    for (place, watcher) in rules.watchers.iter().enumerate() {
        let address = Address { draws: &rules.draws, who: account.id, place };
        if watcher.observe(&mut account.watch[place], &act, vector, address) {
            alarmed = true;
            review = review.min(watcher.review_us);
        }
    }
    if alarmed {
        alarm(rules, account, at, review, desk);
    }
}

/// The first alarm on an account: the response is settled now, and holds after the review.
pub fn alarm(rules: &Rules, account: &mut Account, at: Tick, review_us: u64, desk: &mut Desk) {
    if account.cleared || account.response_at < NEVER {
        return;
    }
    let party = usize::from(account.party);
    let honest = party == 0;
    desk.sums[party].alarms += 1;
    account.seen.first_alarm.get_or_insert(at);
    let response = &rules.response;
    let effective = at.after(review_us);
    let [check, appeal, ..] = rules.draws.words(account.id, Purpose::Review, u32::MAX, 0);
    let closes = match response.action {
        Action::Ban => true,
        Action::StepUp => {
            desk.sums[party].checks += 1;
            let pass = if honest { response.pass_benign } else { response.pass_attack };
            !super::draw::happens(check, pass)
        }
        Action::Throttle | Action::Perturb | Action::Pow => {
            account.response_at = effective;
            return;
        }
    };
    if !closes {
        account.cleared = true;
        return;
    }
    account.response_at = effective;
    account.closes_at = effective;
    if honest && super::draw::happens(appeal, response.appeal) {
        account.reopens_at = effective.after(response.appeal_us);
        desk.reopenings.push(account.reopens_at);
    }
    desk.closings.push(Closing { at: effective, id: account.id, party: account.party });
}
