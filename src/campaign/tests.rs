use super::adapt::{adapted, choose};
use super::calibrate::{Limit, limits};
use super::engine::{Engine, Way};
use super::outcome::{Party, simulate};
use super::rules::Rules;
use super::spec::Scenario;
use super::tally::Tally;

fn scenario(text: &str) -> Scenario {
    let scenario: Scenario = toml::from_str(text).expect("a scenario");
    scenario.validate().expect("a valid scenario");
    scenario
}

/// A few accounts with everything switched on.
const SMALL: &str = r#"
    scenario = { name = "small", schema = 1, seed = 7, days = 6, replicates = 1 }
    benign = { accounts = 300, rate-median-per-day = 20, shared-card-share = 0.2, nat-share = 0.3 }
    limits.scope = [
        { key = "card", count = 40, per-s = 3600 },
        { key = "ip", unit = "tokens", count = 400000, per-s = 3600 },
        { key = "account", count = 500, per-s = 86400 },
        { key = "cluster", count = 900, per-s = 86400 },
        { key = "global", count = 9000, per-s = 86400 },
        { key = "global", unit = "micro-usd", count = 200000000, per-s = 86400 },
    ]
    actor = [
        { name = "a", exchanges = 20000, accounts = 40, mix-share = 0.5, ramp-days = 1, sync-jitter-s = 10 },
        { name = "b", exchanges = 3000, accounts = 5, rate-shape = "follow-diurnal", linkage = { ip-rotation-h = 0 } },
    ]
    detector = [
        { name = "velocity", test = { kind = "velocity", per-day = 300 }, review-delay-h = 3 },
        { name = "sprt", test = { kind = "sprt" } },
        { name = "cusum", test = { kind = "cusum", group = 20 } },
        { name = "entropy", test = { kind = "entropy", window = 100, below = 1.0 } },
        { name = "mmd", test = { kind = "mmd-table", window = 200 } },
        { name = "pool", scope = "cluster", test = { kind = "mmd-table", window = 500 } },
        { name = "graph", scope = "cluster", test = { kind = "graph", min-size = 6 } },
        { name = "spend", test = { kind = "spend-to-age", usd-per-day = 5 } },
        { name = "prada", test = { kind = "prada" } },
        { name = "seat", test = { kind = "seat", cap = 50 } },
        { name = "windows", test = { kind = "mmd", window = 100, frequencies = 8 } },
        { name = "pooled-windows", scope = "cluster", test = { kind = "mmd", window = 400, frequencies = 8 } },
        { name = "pooled-entropy", scope = "cluster", test = { kind = "entropy", window = 200, below = 1.0 } },
        { name = "synchrotrap", test = { kind = "synchrotrap" } },
    ]
    arm = [
        { name = "open", limits = false },
        { name = "limits" },
        { name = "all", detectors = ["velocity", "spend", "sprt", "cusum", "entropy", "mmd", "pool", "graph"] },
        { name = "vectors", link-by = 1, link-with = "propagation",
          detectors = ["prada", "seat", "windows", "pooled-windows", "pooled-entropy", "synchrotrap"] },
    ]
    [[tier]]
    name = "first"
    rpm = 20
    itpm = 40000
    otpm = 9000
    rpd = 2000
    monthly-cap-usd = 60
    spend-per-10min-usd = 3
    concurrency = 3
    [[tier]]
    name = "second"
    min-spend-usd = 20
    min-age-days = 1
    rpm = 200
    itpm = 400000
    otpm = 90000
    monthly-cap-usd = 500
"#;

fn hash(scenario: &Scenario, arm: &str, way: Way) -> String {
    let arms = scenario.arms();
    let arm = arms.iter().find(|a| a.name == arm).expect("an arm");
    let rules = Rules::new(scenario, arm, 0).expect("good rules");
    let mut engine = Engine::new(&rules);
    engine.run(way).expect("a run");
    engine.state_hash()
}

#[test]
fn both_ways_and_any_number_of_threads_end_in_the_same_state() {
    let scenario = scenario(SMALL);
    for arm in ["open", "limits", "all", "vectors"] {
        let heap = hash(&scenario, arm, Way::Heap);
        for threads in [1, 2, 3] {
            assert_eq!(hash(&scenario, arm, Way::Accounts { threads }), heap, "{arm}, {threads}");
        }
    }
}

fn run(text: &str, arm: &str) -> Vec<Tally> {
    let scenario = scenario(text);
    let arms = scenario.arms();
    let rules = Rules::new(&scenario, arms.iter().find(|a| a.name == arm).unwrap(), 0).unwrap();
    let mut engine = Engine::new(&rules);
    engine.run(Way::Accounts { threads: 1 }).unwrap();
    let parties = rules.actors.len() + 1;
    let sum = |party| {
        let mut sum = Tally::default();
        engine.days().of_party(party).for_each(|t| sum.add(t));
        sum
    };
    (0..parties).map(sum).collect()
}

#[test]
fn without_limits_an_actor_gets_what_it_wants_and_pays_for_it() {
    let sums = run(SMALL, "open");
    let (a, b) = (&sums[1], &sums[2]);
    assert!((a.attack as f64 / 20_000.0 - 1.0).abs() < 0.03, "{}", a.attack);
    assert!((b.attack as f64 / 3_000.0 - 1.0).abs() < 0.08, "{}", b.attack);
    assert!((a.answered as f64 / a.attack as f64 - 2.0).abs() < 0.05, "half of it is cover");
    assert_eq!((a.lost(), a.throttled), (0, 0));
    assert_eq!(a.spend, 3_000 * a.tokens_in + 15_000 * a.tokens_out);
    assert_eq!(a.areas.iter().sum::<u64>(), a.useful);
}

fn numbers(name: &str) -> Vec<Tally> {
    let path = format!("{}/configs/campaign-{name}.toml", env!("CARGO_MANIFEST_DIR"));
    run(&std::fs::read_to_string(path).expect("a preset"), "limits")
}

#[test]
fn one_account_stops_where_the_arithmetic_says() {
    let solo = &numbers("one-account")[1];
    // $100 a month at 1,865 and 1,207 tokens for $3 and $15 a million.
    let price = 1_865.0 * 3e-6 + 1_207.0 * 15e-6;
    let expected = 100.0 / price;
    assert!(
        (solo.attack as f64 / expected - 1.0).abs() < 0.06,
        "{} for {expected:.0}",
        solo.attack
    );
    assert!(solo.spend <= 100_000_000_000, "never beyond the cap");
    assert!(solo.spend > 99_000_000_000, "{}", solo.spend);
}

#[test]
fn output_tokens_bind_before_the_cap_does() {
    // 8,000 output tokens a minute: 52,000 exchanges of 1,207 would take 5.4 days without the cap.
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/configs/campaign-one-account.toml"
    ))
    .unwrap();
    let mut scenario: Scenario = toml::from_str(&text).unwrap();
    scenario.tier[0].monthly_cap_usd = 0.0;
    scenario.benign.accounts = 1;
    scenario.scenario.days = 3;
    let rules = Rules::new(&scenario, &scenario.arms()[1], 0).unwrap();
    let mut engine = Engine::new(&rules);
    engine.run(Way::Accounts { threads: 1 }).unwrap();
    let attack: u64 = engine.days().of_party(1).map(|t| t.attack).sum();
    let expected = 3.0 * 1_440.0 * 8_000.0 / 1_207.0;
    assert!((attack as f64 / expected - 1.0).abs() < 0.05, "{attack} for {expected:.0}");
}

/// Twenty accounts that ask quickly, beside people; `DETECTOR` watches.
const WATCHED: &str = r#"
    scenario = { name = "watched", schema = 1, seed = 10, days = 5, epoch-minutes = 180 }
    benign = { accounts = 1000 }
    actor = [{ name = "a", exchanges = 20000, accounts = 20, ramp-days = 0, sync-jitter-s = 10,
               sync-every-s = 3600, cost = { replace-budget = 0 } }]
    detector = [{ name = "it", test = { DETECTOR }, review-delay-h = 0, calibrate = { share = 0.02, accounts = 1000 } }]
    arm = [{ name = "it", detectors = ["it"] }]
"#;

/// Shares of actors' and of honest accounts that a calibrated detector flags, and its limit.
fn flagged(text: &str) -> ([f64; 2], Limit) {
    let scenario = scenario(text);
    let arm = &scenario.arms()[0];
    let limits = limits(&scenario, arm, 1).unwrap();
    let outcome = simulate(&scenario, arm, &limits, 0, 1, || Ok(())).unwrap();
    let share =
        |party: &Party| party.points.last().unwrap().sums.alarms as f64 / party.accounts as f64;
    ([share(&outcome.actors[0]), share(&outcome.honest)], limits[0].clone())
}

#[test]
fn calibrated_detectors_of_content_see_a_hasty_campaign_and_flag_about_their_share_of_others() {
    for test in [
        r#"kind = "sprt""#,
        r#"kind = "cusum", group = 20"#,
        r#"kind = "entropy", window = 200, below = 1.0"#,
        r#"kind = "prada""#,
        r#"kind = "seat""#,
        r#"kind = "mmd", window = 200, frequencies = 32"#,
        r#"kind = "synchrotrap""#,
    ] {
        let ([attack, honest], limit) = flagged(&WATCHED.replace("DETECTOR", test));
        assert!(attack > 0.8, "{test}: {attack} of the actor's accounts, limit {limit:?}");
        assert!(limit.rate <= 0.02 && limit.rate_upper > limit.rate);
        // Accounts of a group share its score: how many are above it moves by whole groups.
        let least = if test.contains("synchrotrap") { 0.0 } else { 0.005 };
        assert!((least..0.045).contains(&honest), "{test}: {honest} of people, limit {limit:?}");
    }
}

#[test]
fn an_actor_that_knows_what_watches_it_loses_less_to_it() {
    let text = WATCHED.replace("DETECTOR", r#"kind = "seat""#);
    let scenario = scenario(&text);
    let arm = &scenario.arms()[0];
    let limits = limits(&scenario, arm, 1).unwrap();
    let collected = |scenario: &Scenario| {
        let outcome = simulate(scenario, arm, &limits, 0, 1, || Ok(())).unwrap();
        outcome.actors[0].points.last().unwrap().sums.attack
    };
    let choices = choose(&scenario, arm, &limits).unwrap();
    let (plain, known) = (collected(&scenario), collected(&adapted(&scenario, &choices)));
    assert!(known > 3 * plain, "{plain}, then {known} by {choices:?}");
    assert!(choices[0].templates > scenario.actor[0].templates, "{choices:?}");
}

/// A hundred accounts at the pace of the second disclosure, before windows of 1,500 requests.
const WINDOWS: &str = r#"
    scenario = { name = "windows", schema = 1, seed = 3, days = 45 }
    benign = { accounts = 1, rate-median-per-day = 0.001 }
    actor = [{ name = "a", exchanges = 115200, accounts = 100, ramp-days = 0,
               linkage = { cards-per-account = 0.01, ips-per-account = 0.01 } }]
    detector = [
        { name = "own", test = { kind = "mmd-table" } },
        { name = "pool", scope = "cluster", test = { kind = "mmd-table" } },
    ]
    arm = [{ name = "own", detectors = ["own"] }, { name = "pool", detectors = ["pool"] }]
"#;

#[test]
fn an_account_fills_a_window_in_58_days_and_a_hundred_in_14_hours() {
    let rate = 115_200.0 / 100.0 / 45.0;
    assert!((1_500.0_f64 / rate - 58.6).abs() < 0.1);
    assert!((1_500.0 / (100.0 * rate) * 24.0 - 14.06).abs() < 0.1);
    assert_eq!(run(WINDOWS, "own")[1].alarms, 0, "no account fills its window in 45 days");
    let text = WINDOWS.replace("days = 45 }", "days = 2 }").replace("115200", "5120");
    let pool = &run(&text, "pool")[1];
    assert_eq!(pool.alarms, 100, "all of them at the first look, after a day");
}

#[test]
fn a_common_signal_moves_requests_and_makes_no_more_of_them() {
    let text = r#"
    scenario = { name = "signal", schema = 1, seed = 3, days = 4 }
    benign = { accounts = 1, rate-median-per-day = 0.001 }
    actor = [{ name = "a", exchanges = 40000, accounts = 1, ramp-days = 0, rate-shape = "even", sync-jitter-s = 10 }]
    "#;
    let attack = run(text, "open")[1].attack as f64;
    assert!((attack / 40_000.0 - 1.0).abs() < 0.03, "{attack}");
}

/// Ten accounts that reach their cap early and are closed a day later, among ten that come after them.
const CAPPED: &str = r#"
    scenario = { name = "capped", schema = 1, seed = 3, days = 20 }
    benign = { accounts = 1, rate-median-per-day = 0.001 }
    tier = [{ name = "t", monthly-cap-usd = 5 }]
    actor = [{ name = "a", exchanges = 4000, accounts = 10, ramp-days = 0 }]
    detector = [{ name = "v", test = { kind = "velocity", per-day = 15 } }]
"#;

#[test]
fn closed_accounts_that_still_wait_for_a_cap_do_not_hurry_the_others() {
    let scenario = scenario(CAPPED);
    let rules = Rules::new(&scenario, &scenario.arms()[2], 0).unwrap();
    let mut engine = Engine::new(&rules);
    engine.run(Way::Accounts { threads: 1 }).unwrap();
    let days: Vec<u64> = engine.days().of_party(1).map(|t| t.attack).collect();
    // 200 a day are wanted; catching up may double that, not more.
    assert!(days.iter().all(|&n| n < 500), "{days:?}");
}

#[test]
fn a_person_behind_a_limit_waits_as_a_queue_with_constant_service_does() {
    // Poisson arrivals, one every 1.2 s at most: M/D/1, mean wait rho T / (2 (1 - rho)).
    let rho = 0.7;
    let per_day = rho * 86_400.0 / 1.2;
    let text = format!(
        r#"
        scenario = {{ name = "queue", schema = 1, seed = 5, days = 5 }}
        benign = {{ accounts = 4, rate-median-per-day = {per_day}, rate-log-sigma = 0, rate-cap-per-day = 1e6,
            turns-mean = 1, active-share = 1, diurnal-amplitude = 0, weekend-factor = 1, patience-s = 1e6 }}
        limits = {{ burst-s = 1 }}
        tier = [{{ name = "t", rpm = 50 }}]
        actor = [{{ name = "a", exchanges = 1, accounts = 1 }}]
        "#
    );
    let sums = &run(&text, "limits")[0];
    let mean = sums.waited_us as f64 / sums.answered as f64 / 1e6;
    let expected = rho * 1.2 / (2.0 * (1.0 - rho));
    assert!((mean / expected - 1.0).abs() < 0.03, "{mean} for {expected}");
}
