use super::engine::{Engine, Way};
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
    ]
    actor = [
        { name = "a", exchanges = 20000, accounts = 40, mix-share = 0.5, ramp-days = 1, sync-jitter-s = 10 },
        { name = "b", exchanges = 3000, accounts = 5, rate-shape = "follow-diurnal", linkage = { ip-rotation-h = 0 } },
    ]
    detector = [
        { name = "velocity", test = { kind = "velocity", per-day = 300 }, review-delay-h = 3 },
        { name = "sprt", test = { kind = "sprt" } },
        { name = "cusum", test = { kind = "cusum", h = 40 } },
        { name = "entropy", test = { kind = "entropy", window = 100, below = 1.0 } },
        { name = "mmd", test = { kind = "mmd-table", window = 200 } },
        { name = "pool", scope = "cluster", test = { kind = "mmd-table", window = 500 } },
        { name = "graph", scope = "cluster", test = { kind = "graph", min-size = 6 } },
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
    for arm in ["open", "limits", "all"] {
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
