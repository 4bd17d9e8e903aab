//! Range checks of a scenario. Keys in errors are dotted paths of the config.

use super::{
    ActorSpec, CalibrateSpec, DetectorKind, DetectorSpec, Scenario, Scope, ScopeKey, TierSpec,
};
use crate::campaign::exchange::MOST_SCOPES;
use crate::error::{Error, Result, check_name, nearest};

/// Most accounts of a scenario, replacements included.
const MOST_ACCOUNTS: u64 = 4_000_000;
/// Most of units x seconds of a shared limit: levels are counted in units x microseconds.
const MOST_LEVEL: u64 = 4_000_000_000_000;
/// Most examples of a student.
const MOST_EXAMPLES: f64 = 2e6;

impl Scenario {
    /// Refuses values outside their ranges and names that nothing bears.
    pub fn validate(&self) -> Result<()> {
        self.check_clock()?;
        self.check_prices()?;
        self.check_tiers()?;
        self.check_benign()?;
        if self.actor.is_empty() {
            return Err(Error::config("actor", "no actor", "at least one `[[actor]]`"));
        }
        each_once("actor", self.actor.iter().map(|a| &a.name[..]))?;
        for (i, actor) in self.actor.iter().enumerate() {
            self.check_actor(actor).map_err(|e| e.under(&format!("actor[{i}]")))?;
        }
        each_once("detector", self.detector.iter().map(|d| &d.name[..]))?;
        for (i, detector) in self.detector.iter().enumerate() {
            let at = format!("detector[{i}]");
            check_name("name", &detector.name).map_err(|e| e.under(&at))?;
            check_detector(detector).map_err(|e| e.under(&at))?;
        }
        self.check_content()?;
        self.check_arms()?;
        self.check_response()?;
        self.check_learning()
    }

    fn check_clock(&self) -> Result<()> {
        let clock = &self.scenario;
        check_name("scenario.name", &clock.name)?;
        if clock.schema != 1 {
            return Err(Error::config("scenario.schema", clock.schema.to_string(), "1"));
        }
        whole("scenario.days", u64::from(clock.days), 1, 3_650)?;
        whole("scenario.epoch-minutes", u64::from(clock.epoch_minutes), 1, 1_440)?;
        if 1_440 % clock.epoch_minutes != 0 {
            let found = clock.epoch_minutes.to_string();
            let expected = "minutes that divide a day, such as 60";
            return Err(Error::config("scenario.epoch-minutes", found, expected));
        }
        whole("scenario.replicates", u64::from(clock.replicates), 1, 10_000)?;
        let grid = &self.output.day_grid;
        if grid.contains(&0) || !grid.is_sorted_by(|a, b| a < b) {
            return Err(Error::config(
                "output.day-grid",
                format!("{grid:?}"),
                "rising days from 1",
            ));
        }
        let most = u64::from(self.benign.accounts)
            + self.actor.iter().map(|a| a.most_accounts()).sum::<u64>();
        if most > MOST_ACCOUNTS {
            let expected = format!("at most {MOST_ACCOUNTS} accounts in all");
            return Err(Error::config("benign.accounts", most.to_string(), expected));
        }
        Ok(())
    }

    fn check_prices(&self) -> Result<()> {
        let t = &self.teacher;
        range("teacher.price-in-usd-per-mtok", t.price_in_usd_per_mtok, 0.0, 10_000.0)?;
        range("teacher.price-out-usd-per-mtok", t.price_out_usd_per_mtok, 0.0, 10_000.0)?;
        range("teacher.latency-s", t.latency_s, 0.0, 3_600.0)?;
        Ok(())
    }

    fn check_tiers(&self) -> Result<()> {
        if self.tier.is_empty() || self.tier.len() > 32 {
            return Err(Error::config("tier", self.tier.len().to_string(), "1 to 32 tiers"));
        }
        each_once("tier", self.tier.iter().map(|t| &t.name[..]))?;
        for (i, pair) in self.tier.windows(2).enumerate() {
            if pair[1].min_spend_usd < pair[0].min_spend_usd {
                return Err(Error::config(
                    format!("tier[{}].min-spend-usd", i + 1),
                    pair[1].min_spend_usd.to_string(),
                    format!("at least {}, as the tier before", pair[0].min_spend_usd),
                ));
            }
        }
        for (i, tier) in self.tier.iter().enumerate() {
            check_tier(tier).map_err(|e| e.under(&format!("tier[{i}]")))?;
        }
        whole("limits.burst-s", self.limits.burst_s, 1, 86_400)?;
        whole("limits.scope", self.limits.scope.len() as u64, 0, MOST_SCOPES as u64)?;
        for (i, scope) in self.limits.scope.iter().enumerate() {
            let at = format!("limits.scope[{i}]");
            whole("count", scope.count, 1, 1 << 40).map_err(|e| e.under(&at))?;
            whole("per-s", scope.per_s, 1, 31_536_000).map_err(|e| e.under(&at))?;
            if scope.key != ScopeKey::Global {
                let most = MOST_LEVEL / scope.per_s;
                whole("count", scope.count, 1, most).map_err(|e| e.under(&at))?;
            }
        }
        Ok(())
    }

    fn check_benign(&self) -> Result<()> {
        let b = &self.benign;
        let ranges = [
            ("weight", b.weight, 1e-6, 1e6),
            ("rate-median-per-day", b.rate_median_per_day, 1e-6, 1e6),
            ("rate-log-sigma", b.rate_log_sigma, 0.0, 10.0),
            ("rate-cap-per-day", b.rate_cap_per_day, 1e-6, 1e6),
            ("turns-mean", b.turns_mean, 1.0, 1e3),
            ("gap-gamma-shape", b.gap_gamma_shape, 0.05, 100.0),
            ("gap-mean-s", b.gap_mean_s, 0.001, 86_400.0),
            ("active-share", b.active_share, 0.001, 1.0),
            ("active-hours", b.active_hours, 0.01, 1e4),
            ("diurnal-amplitude", b.diurnal_amplitude, 0.0, 1.0),
            ("weekend-factor", b.weekend_factor, 0.0, 10.0),
            ("elicit-p", b.elicit_p, 0.0, 1.0),
            ("topic-focus-share", b.topic_focus_share, 0.0, 1.0),
            ("power-users-share", b.power_users_share, 0.0, 1.0),
            ("power-users-alike", b.power_users_alike, 0.0, 1.0),
            ("nat-share", b.nat_share, 0.0, 1.0),
            ("shared-card-share", b.shared_card_share, 0.0, 1.0),
            ("age-mean-days", b.age_mean_days, 0.0, 1e5),
            ("patience-s", b.patience_s, 0.0, 1e6),
        ];
        for (key, value, low, high) in ranges {
            range(key, value, low, high).map_err(|e| e.under("benign"))?;
        }
        lengths(b.in_lognormal, b.out_lognormal).map_err(|e| e.under("benign"))?;
        whole("benign.topics", u64::from(b.topics), 2, 64)?;
        whole("benign.nat-size", u64::from(b.nat_size), 1, 100_000)?;
        whole("benign.max-tokens", u64::from(b.max_tokens), 1, 1_000_000)
    }

    fn check_actor(&self, a: &ActorSpec) -> Result<()> {
        check_name("name", &a.name)?;
        whole("exchanges", a.exchanges, 1, 1 << 40)?;
        whole("accounts", u64::from(a.accounts), 1, 10_000_000)?;
        let l = &a.linkage;
        let (c, t) = (&a.cost, &a.training);
        let ranges = [
            ("mix-share", a.mix_share, 1e-4, 1.0),
            ("template-zipf", a.template_zipf, 0.0, 10.0),
            ("elicit-p", a.elicit_p, 0.0, 1.0),
            ("sync-jitter-s", a.sync_jitter_s, 0.0, 86_400.0),
            ("sync-every-s", a.sync_every_s, 1.0, 86_400.0),
            ("start-day", a.start_day, 0.0, 3_650.0),
            ("ramp-days", a.ramp_days, 0.0, 3_650.0),
            ("pace-days", a.pace_days, 0.0, 3_650.0),
            ("repeat-share", a.repeat_share, 0.0, 1.0),
            ("linkage.cards-per-account", l.cards_per_account, 1e-6, 10.0),
            ("linkage.ips-per-account", l.ips_per_account, 1e-6, 100.0),
            ("linkage.device-reuse", l.device_reuse, 0.0, 1.0),
            ("cost.sms-usd", c.sms_usd, 0.0, 1e6),
            ("cost.deposit-usd", c.deposit_usd, 0.0, 1e6),
            ("cost.card-usd", c.card_usd, 0.0, 1e6),
            ("cost.ip-usd-per-month", c.ip_usd_per_month, 0.0, 1e6),
            ("cost.proxy-usd-per-gb", c.proxy_usd_per_gb, 0.0, 1e6),
            ("cost.kb-per-exchange", c.kb_per_exchange, 0.0, 1e6),
            ("cost.template-usd", c.template_usd, 0.0, 1e6),
            ("cost.replace-delay-h", c.replace_delay_h, 0.0, 1e5),
            ("training.student-params-b", t.student_params_b, 1e-6, 1e5),
            ("training.mfu", t.mfu, 1e-3, 1.0),
            ("training.overhead-kappa", t.overhead_kappa, 1.0, 1e4),
            ("training.epochs", t.epochs, 1e-2, 1e4),
            ("training.chip-usd-per-hour", t.chip_usd_per_hour, 0.0, 1e4),
        ];
        for (key, value, low, high) in ranges {
            range(key, value, low, high)?;
        }
        lengths(a.in_lognormal, a.out_lognormal)?;
        whole("topic-focus", u64::from(a.topic_focus), 1, u64::from(self.benign.topics))?;
        whole("templates", u64::from(a.templates), 1, 1_000_000)?;
        whole("max-tokens", u64::from(a.max_tokens), 1, 1_000_000)?;
        whole("linkage.groups", u64::from(l.groups), 1, u64::from(a.accounts))?;
        whole("training.chips", u64::from(t.chips), 1, 10_000_000)?;
        if let Some(tier) = &a.max_tier {
            known("max-tier", tier, self.tier.iter().map(|t| &t.name[..]))?;
        }
        let (weights, areas) = (&a.area_weights, self.learning.area.len());
        let fits = weights.is_empty() || weights.len() == areas;
        let sum: f64 = weights.iter().sum();
        if !fits
            || weights.iter().any(|w| !(0.0..=1e6).contains(w))
            || (!weights.is_empty() && sum <= 0.0)
        {
            let expected = format!("{areas} weights, one for each `learning.area`, not all zero");
            return Err(Error::config("area-weights", format!("{weights:?}"), expected));
        }
        Ok(())
    }

    fn check_content(&self) -> Result<()> {
        let c = &self.content;
        whole("content.dimensions", c.dimensions as u64, 2, 1_024)?;
        range("content.spread", c.spread, 0.0, 100.0)?;
        range("content.template-spread", c.template_spread, 0.0, 100.0)
    }

    fn check_arms(&self) -> Result<()> {
        each_once("arm", self.arm.iter().map(|a| &a.name[..]))?;
        for (i, arm) in self.arm.iter().enumerate() {
            check_name(&format!("arm[{i}].name"), &arm.name)?;
            whole(&format!("arm[{i}].link-by"), u64::from(arm.link_by), 1, 3)?;
            for (j, detector) in arm.detectors.iter().enumerate() {
                let key = format!("arm[{i}].detectors[{j}]");
                known(&key, detector, self.detector.iter().map(|d| &d.name[..]))?;
            }
        }
        Ok(())
    }

    fn check_response(&self) -> Result<()> {
        let r = &self.response;
        let ranges = [
            ("throttle-factor", r.throttle_factor, 1e-6, 1.0),
            ("appeal-rate", r.appeal_rate, 0.0, 1.0),
            ("appeal-success-if-benign", r.appeal_success_if_benign, 0.0, 1.0),
            ("appeal-days", r.appeal_days, 0.0, 3_650.0),
            ("step-up-pass-if-benign", r.step_up_pass_if_benign, 0.0, 1.0),
            ("step-up-pass-if-attack", r.step_up_pass_if_attack, 0.0, 1.0),
            ("step-up-usd", r.step_up_usd, 0.0, 1e6),
            ("pow-hashes-per-s", r.pow_hashes_per_s, 1.0, 1e15),
        ];
        for (key, value, low, high) in ranges {
            range(key, value, low, high).map_err(|e| e.under("response"))?;
        }
        whole("response.pow-bits", u64::from(r.pow_bits), 0, 60)
    }

    fn check_learning(&self) -> Result<()> {
        let l = &self.learning;
        whole("learning.area", l.area.len() as u64, 1, 16)?;
        each_once("learning.area", l.area.iter().map(|a| &a.name[..]))?;
        for (i, area) in l.area.iter().enumerate() {
            check_name(&format!("learning.area[{i}].name"), &area.name)?;
            whole(&format!("learning.area[{i}].complexity"), area.complexity as u64, 1, 4_096)?;
        }
        let most = self.actor.iter().map(|a| a.exchanges).max().unwrap_or(0) as f64;
        let least = if l.replicates == 0 { 1.0 } else { (most / MOST_EXAMPLES).max(1.0) };
        range("learning.exchanges-per-example", l.exchanges_per_example, least, 1e12)?;
        whole("learning.replicates", u64::from(l.replicates), 0, u64::MAX)?;
        whole("learning.inputs", l.inputs as u64, 1, 4_096)?;
        whole("learning.classes", l.classes as u64, 2, 1_000)?;
        if l.guardrail_share != 0.0 {
            range("learning.guardrail-share", l.guardrail_share, 0.001, 0.5)?;
        }
        for (key, layers) in
            [("learning.hidden", &l.hidden), ("learning.teacher-hidden", &l.teacher_hidden)]
        {
            whole(key, layers.len() as u64, 1, 8)?;
            layers.iter().try_for_each(|&units| whole(key, units as u64, 1, 8_192))?;
        }
        whole("learning.teacher-rows", l.teacher_rows as u64, 10, 1_000_000)?;
        whole("learning.teacher-steps", l.teacher_steps as u64, 1, 10_000_000)?;
        whole("learning.steps", l.steps as u64, 1, 10_000_000)?;
        whole("learning.test", l.test as u64, 10, 1_000_000)
    }
}

impl ActorSpec {
    /// Accounts that it may ever have.
    pub fn most_accounts(&self) -> u64 {
        u64::from(self.accounts) + u64::from(self.replacements())
    }

    /// Accounts that it may open after bans.
    pub fn replacements(&self) -> u32 {
        self.cost.replace_budget.unwrap_or(self.accounts)
    }
}

fn check_tier(t: &TierSpec) -> Result<()> {
    check_name("name", &t.name)?;
    for (key, value) in [
        ("min-spend-usd", t.min_spend_usd),
        ("min-age-days", t.min_age_days),
        ("monthly-cap-usd", t.monthly_cap_usd),
    ] {
        range(key, value, 0.0, 1e7)?;
    }
    range("spend-per-10min-usd", t.spend_per_10min_usd, 0.0, 1e4)?;
    for (key, value) in [("rpm", t.rpm), ("itpm", t.itpm), ("otpm", t.otpm), ("rpd", t.rpd)] {
        whole(key, value, 0, 1 << 32)?;
    }
    whole("concurrency", u64::from(t.concurrency), 0, 4_096)
}

fn check_detector(detector: &DetectorSpec) -> Result<()> {
    test(&detector.test)?;
    range("review-delay-h", detector.review_delay_h, 0.0, 8_760.0)?;
    let scope = |scope: Scope, expected: &str| match detector.scope == scope {
        true => Ok(()),
        false => {
            let found = if detector.scope == Scope::Cluster { "`cluster`" } else { "`account`" };
            Err(Error::config("scope", found, expected))
        }
    };
    match detector.test {
        DetectorKind::Graph { .. } => {
            scope(Scope::Cluster, "`cluster`: it counts linked accounts")?
        }
        DetectorKind::Synchrotrap { .. } => {
            scope(Scope::Account, "`account`: it joins accounts by itself")?;
        }
        DetectorKind::SpendToAge { .. } => {
            scope(Scope::Account, "`account`: clusters have no age")?
        }
        _ => {}
    }
    let Some(CalibrateSpec { share, accounts }) = detector.calibrate else { return Ok(()) };
    if let DetectorKind::MmdTable { .. } = detector.test {
        let expected = "no `calibrate`: the table's false alarms were measured with it";
        return Err(Error::config("calibrate", "a calibration of `mmd-table`", expected));
    }
    range("calibrate.share", share, 1e-6, 0.5)?;
    whole("calibrate.accounts", u64::from(accounts), 10, 1_000_000)
}

fn test(kind: &DetectorKind) -> Result<()> {
    match *kind {
        DetectorKind::Velocity { per_day } => whole("test.per-day", u64::from(per_day), 1, 1 << 31),
        DetectorKind::SpendToAge { usd_per_day } => {
            range("test.usd-per-day", usd_per_day, 1e-6, 1e9)
        }
        DetectorKind::Sprt { p_benign, p_attack, alpha, beta } => {
            range("test.p-benign", p_benign, 1e-9, 1.0 - 1e-9)?;
            range("test.p-attack", p_attack, 1e-9, 1.0 - 1e-9)?;
            range("test.alpha", alpha, 1e-12, 0.5)?;
            range("test.beta", beta, 1e-12, 0.5)?;
            if p_attack > p_benign {
                return Ok(());
            }
            let expected = format!("more than p-benign = {p_benign}");
            Err(Error::config("test.p-attack", p_attack.to_string(), expected))
        }
        DetectorKind::Cusum { p_benign, group, k, h } => {
            whole("test.group", u64::from(group), 1, 100_000)?;
            range("test.p-benign", p_benign, 1e-9, 1.0 - 1e-9)?;
            range("test.k", k, 0.0, 100.0)?;
            range("test.h", h, 0.01, 1e6)
        }
        DetectorKind::Entropy { window, below } => {
            whole("test.window", u64::from(window), 10, 1 << 20)?;
            range("test.below", below, 0.0, 10.0)
        }
        DetectorKind::MmdTable { window } => whole("test.window", u64::from(window), 100, 1_500),
        DetectorKind::Prada { delta, cap } => {
            range("test.delta", delta, 1e-6, 1.0)?;
            whole("test.cap", u64::from(cap), 100, 100_000)
        }
        DetectorKind::Seat { cosine, max_pairs: _, cap } => {
            range("test.cosine", cosine, -0.999, 1.0)?;
            whole("test.cap", u64::from(cap), 1, 1_000_000)
        }
        DetectorKind::Mmd { window, frequencies, null_share } => {
            whole("test.window", u64::from(window), 10, 100_000)?;
            whole("test.frequencies", u64::from(frequencies), 4, 4_096)?;
            range("test.null-share", null_share, 0.001, 0.5)
        }
        DetectorKind::Synchrotrap { bucket_minutes, similarity, min_size } => {
            whole("test.bucket-minutes", u64::from(bucket_minutes), 1, 1_440)?;
            range("test.similarity", similarity, 0.0, 1.0)?;
            whole("test.min-size", u64::from(min_size), 2, 1 << 31)
        }
        DetectorKind::Graph { min_size } => whole("test.min-size", u64::from(min_size), 2, 1 << 31),
    }
}

fn lengths(input: [f64; 2], output: [f64; 2]) -> Result<()> {
    for (key, [mu, sigma]) in [("in-lognormal", input), ("out-lognormal", output)] {
        if !((0.0..=14.0).contains(&mu) && (0.0..=4.0).contains(&sigma)) {
            let expected = "[mean, sigma] of the logarithm of tokens: 0 to 14 and 0 to 4";
            return Err(Error::config(key, format!("[{mu}, {sigma}]"), expected));
        }
    }
    Ok(())
}

fn range(key: &str, value: f64, low: f64, high: f64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    Err(Error::config(key, value.to_string(), format!("{low} to {high}")))
}

fn whole(key: &str, value: u64, low: u64, high: u64) -> Result<()> {
    if (low..=high).contains(&value) {
        return Ok(());
    }
    let expected =
        if high == u64::MAX { format!("{low} or more") } else { format!("{low} to {high}") };
    Err(Error::config(key, value.to_string(), expected))
}

fn known<'a>(key: &str, found: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let names: Vec<&str> = names.collect();
    if names.contains(&found) {
        return Ok(());
    }
    let hint = nearest(found, names.iter().copied()).map(|n| format!("; did you mean `{n}`?"));
    let expected = match names.is_empty() {
        true => "a name, but there is none".to_string(),
        false => format!("one of `{}`", names.join("`, `")),
    };
    Err(Error::config(key, format!("`{found}`"), expected + &hint.unwrap_or_default()))
}

fn each_once<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => {
            Err(Error::config(key, format!("two called `{}`", pair[0]), "each name once"))
        }
    }
}
