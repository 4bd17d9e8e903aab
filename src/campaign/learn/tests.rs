use std::sync::OnceLock;

use super::*;

/// A scenario of two actors that a second suffices for.
const SMALL: &str = r#"
    scenario = { name = "small", schema = 1, seed = 3, days = 30 }
    actor = [
        { name = "a", exchanges = 1000000, accounts = 10 },
        { name = "b", exchanges = 1000000, accounts = 10, training = { chips = 1 } },
    ]
    [learning]
    exchanges-per-example = 100
    area = [{ name = "easy", complexity = 1 }, { name = "hard", complexity = 4 }]
    inputs = 8
    classes = 3
    hidden = [32]
    steps = 300
    teacher-hidden = [64]
    teacher-rows = 2000
    teacher-steps = 600
    test = 400
"#;

/// The published disclosure with its shipped defaults.
const SHIPPED: &str = include_str!("../../../configs/campaign-hydra-feb2026.toml");

fn scenario(text: &str) -> Scenario {
    let scenario: Scenario = toml::from_str(text).expect("a scenario");
    scenario.validate().expect("a valid scenario");
    scenario
}

fn small() -> &'static School {
    static SCHOOL: OnceLock<School> = OnceLock::new();
    SCHOOL.get_or_init(|| School::new(&scenario(SMALL), 0, 1).expect("a teacher"))
}

fn leaks(days: &[(u32, u64)]) -> Vec<Leak> {
    days.iter().map(|&(day, n)| Leak { day, areas: vec![n, n], tokens: 2_000 * n }).collect()
}

fn bytes(rows: &[Learnt]) -> String {
    serde_json::to_string(rows).expect("finite numbers")
}

#[test]
fn the_shipped_areas_are_learnt_in_weeks_by_the_largest_actor() {
    let scenario = scenario(SHIPPED);
    let school = School::new(&scenario, 0, 2).expect("a teacher");
    let teacher = school.teacher().expect("grades");
    assert!(teacher.iter().all(|g| g.accuracy >= 0.9 && g.refuse_recall >= 0.9), "{teacher:?}");
    // Useful exchanges without limits: a rate that grows for a week, then 12.35 million in 45 days.
    let days = [(1, 20_000), (3, 185_000), (7, 1_000_000), (45, 12_350_000)];
    let leak = |&(day, n): &(u32, u64)| Leak { day, areas: vec![n / 3; 3], tokens: 3_000 * n };
    let leaks: Vec<Leak> = days.iter().map(leak).collect();
    let learnt = school.learn(0, &leaks).expect("students");
    let of = |area: usize| learnt.iter().skip(area).step_by(3).map(|row| row.recovered);
    let slow = (0..3).filter(|&a| of(a).next().unwrap() <= 0.7 * of(a).next_back().unwrap());
    assert!(slow.count() >= 2, "{learnt:#?}");
    for area in 0..3 {
        assert!(of(area).is_sorted(), "{learnt:#?}");
        assert!(of(area).next_back().unwrap() > 0.75, "{learnt:#?}");
    }
    assert!(learnt.iter().all(|row| row.examples <= 30_000 && row.teacher > row.floor + 0.5));
    let recall: Vec<f64> = learnt.iter().map(|row| row.refuse_recall).collect();
    assert!(recall[9..].iter().all(|&r| r > 0.8) && recall[..3].iter().all(|&r| r < 0.8));
    assert!(learnt[9..].iter().all(|row| row.false_refusal < 0.05), "{learnt:#?}");
}

#[test]
fn the_same_replicate_gives_the_same_bytes_on_any_number_of_threads() {
    let days = leaks(&[(1, 3_000), (2, 9_000), (5, 30_000), (9, 90_000)]);
    let first = bytes(&small().learn(0, &days).unwrap());
    assert_eq!(first, bytes(&small().learn(0, &days).unwrap()));
    let threaded = School::new(&scenario(SMALL), 0, 3).unwrap();
    assert_eq!(first, bytes(&threaded.learn(0, &days).unwrap()));
    let other = School::new(&scenario(SMALL), 1, 1).unwrap();
    assert_ne!(first, bytes(&other.learn(0, &days).unwrap()));
}

#[test]
fn equal_examples_are_equal_students_whatever_else_was_asked() {
    let whole = small().learn(0, &leaks(&[(1, 5_000), (2, 5_050), (4, 80_000)])).unwrap();
    let alone = small().learn(0, &leaks(&[(4, 5_000)])).unwrap();
    for (row, area) in alone.iter().zip(0..) {
        let early: &Learnt = &whole[area];
        assert_eq!((row.examples, row.recovered), (early.examples, early.recovered));
        assert_eq!(row.recovered, whole[2 + area].recovered);
    }
}

#[test]
fn whoever_holds_fewer_examples_holds_the_first() {
    let world = &small().world;
    let rows = |n| world.rows("ask/a", 1, n, world::Keep::All);
    let (few, many) = (rows(10), rows(40));
    assert_eq!(few.inputs, many.inputs.slice(ndarray::s![..10, ..]));
    assert_eq!(few.labels[..], many.labels[..10]);
    let others = world.rows("ask/b", 1, 10, world::Keep::All);
    assert_ne!(few.inputs, others.inputs);
}

#[test]
fn fewer_than_ten_examples_teach_nothing() {
    let rows = small().learn(0, &leaks(&[(1, 0), (2, 400), (3, 40_000)])).unwrap();
    assert_eq!(rows[2].examples, 4);
    assert_eq!((rows[0].accuracy, rows[1].accuracy), (rows[2].accuracy, rows[3].accuracy));
    assert!(rows[4].recovered > rows[2].recovered + 0.3, "{rows:#?}");
}

#[test]
fn chips_bound_what_is_learnt_from() {
    let days = leaks(&[(1, 60_000), (10, 90_000)]);
    let (many, one) = (small().learn(0, &days).unwrap(), small().learn(1, &days).unwrap());
    assert_eq!((many[0].examples, many[0].processed), (600, 60_000));
    // One H20 at 0.4 of its peak, a third of which trains: 1.70e18 a day; an exchange of 1,000 tokens is
    // 4.2e13 operations, so 40,594 a day, half in each area.
    let per_day = 148e12 * 0.4 * 86_400.0 / 3.0 / (6.0 * 7e9 * 1_000.0);
    assert_eq!(one[0].processed, (per_day / 2.0) as u64);
    assert_eq!(one[0].examples, one[0].processed / 100);
    assert!((one[0].flop / (per_day * 4.2e13) - 1.0).abs() < 1e-9);
    assert_eq!(one[2].processed, 90_000);
}

#[test]
fn a_leak_of_other_areas_is_refused() {
    let wrong = [Leak { day: 1, areas: vec![1, 2, 3], tokens: 6 }];
    assert!(small().learn(0, &wrong).unwrap_err().to_string().contains("areas of a leak"));
}
