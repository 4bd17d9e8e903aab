//! Rows against hand-computed tolerances.

use super::*;
use crate::metric::Score;

fn row(text: &str) -> Row {
    let text = format!("name = \"r\"\ntag = \"V\"\nsource = \"t\"\nmetric = \"accuracy\"\n{text}");
    toml::from_str(&text).unwrap()
}

/// Students of 100 test rows with these accuracies, one a seed.
fn records(accuracies: &[f64]) -> Vec<Record> {
    let one = |(seed, &accuracy): (usize, &f64)| Record {
        version: 2,
        name: "x".into(),
        variant: String::new(),
        cell: format!("{seed}"),
        role: Role::Student,
        arm: "none".into(),
        student: "s".into(),
        kin: String::new(),
        budget: 10,
        seed: seed as u64,
        label_only: false,
        counter: false,
        stack: vec![],
        config: Default::default(),
        stop: Stop::BudgetSpent,
        scores: vec![Score::of("accuracy", Some(accuracy))],
        right: "1".repeat(100),
        accounts: vec![],
        stages: vec![],
    };
    accuracies.iter().enumerate().map(one).collect()
}

const WHERE: &str = "student = \"s\"\nbudget = 10\n";

#[test]
fn a_tolerance_is_of_test_rows_seeds_and_the_last_digit() {
    let row = row(&format!("published = \"90.0\"\n{WHERE}"));
    let judged = row.judge(&records(&[0.9, 0.92, 0.88])).unwrap();
    // Variances in points: 100^2 x .9 x .1 / 100 = 9 of the test rows, 4 of the seeds.
    let expected = 1.96 * 13.0_f64.sqrt() + 0.05;
    assert!((judged.tolerance.unwrap() - expected).abs() < 1e-6, "{judged:?}");
    assert!((judged.ours - 90.0).abs() < 1e-9);
    assert_eq!((judged.seeds, judged.verdict), (3, Verdict::Within));
    let far = row.judge(&records(&[0.82, 0.82])).unwrap();
    // Without a spread: 5.88 + .05 < 8.
    assert_eq!(far.verdict, Verdict::Differs);
}

#[test]
fn errors_are_counted_on_all_test_rows() {
    let row = row(&format!("published = \"12\"\nunit = \"errors\"\n{WHERE}"));
    let judged = row.judge(&records(&[0.9])).unwrap();
    assert!((judged.ours - 10.0).abs() < 1e-9 && judged.interval.is_none());
    // 100^2 x .12 x .88 / 100 = 10.56 errors squared; half an error of the digit.
    let expected = 1.96 * 10.56_f64.sqrt() + 0.5;
    assert!((judged.tolerance.unwrap() - expected).abs() < 1e-6, "{judged:?}");
}

#[test]
fn a_printed_spread_takes_the_place_of_test_rows() {
    let row = row(&format!("published = \"0.9\"\nunit = \"plain\"\nspread = 0.2\n{WHERE}"));
    let judged = row.judge(&records(&[0.9, 0.9])).unwrap();
    assert!((judged.tolerance.unwrap() - (1.96 * 0.2 + 0.05)).abs() < 1e-6, "{judged:?}");
}

#[test]
fn exact_rows_hold_for_every_seed_to_the_digit() {
    let row = row(&format!("published = \"100\"\nrule = \"exact\"\n{WHERE}"));
    assert_eq!(row.judge(&records(&[1.0, 0.996])).unwrap().verdict, Verdict::Within);
    assert_eq!(row.judge(&records(&[1.0, 0.99])).unwrap().verdict, Verdict::Differs);
}

#[test]
fn bounds_are_met_by_the_whole_interval() {
    let least = row(&format!("published = \"70\"\nrule = \"at-least\"\n{WHERE}"));
    assert_eq!(least.judge(&records(&[0.8, 0.81])).unwrap().verdict, Verdict::Within);
    assert_eq!(least.judge(&records(&[0.7, 0.8])).unwrap().verdict, Verdict::Differs);
    let most = row(&format!("published = \"70\"\nrule = \"at-most\"\n{WHERE}"));
    assert_eq!(most.judge(&records(&[0.5, 0.5])).unwrap().verdict, Verdict::Within);
}

#[test]
fn differences_are_paired_by_seed_and_open_without_a_number() {
    let mut all = records(&[0.9, 0.8, 0.7]);
    let mut others = records(&[0.8, 0.6]);
    others.iter_mut().for_each(|r| r.student = "t".into());
    all.extend(others);
    let row = row(&format!("rule = \"open\"\nminus = \"t\"\n{WHERE}"));
    let judged = row.judge(&all).unwrap();
    assert!((judged.ours - 15.0).abs() < 1e-9 && judged.seeds == 2);
    assert_eq!(judged.verdict, Verdict::Open);
}

#[test]
fn what_no_record_says_is_an_error_and_so_is_a_number_from_memory() {
    let row = row(&format!("published = \"1\"\n{WHERE}"));
    let message = row.judge(&records(&[])).unwrap_err().to_string();
    assert!(
        message.contains("`accuracy` of student `s` in arm `none` at a budget of 10"),
        "{message}"
    );
    let text = |tag: &str, published: &str| {
        format!(
            "paper = \"p\"\n[[row]]\nname = \"r\"\ntag = \"{tag}\"\nsource = \"t\"\nmetric = \"accuracy\"\n\
             published = \"{published}\""
        )
    };
    let message = toml::from_str::<Expected>(&text("M", "1")).unwrap_err().to_string();
    assert!(message.contains("unknown variant `M`"), "{message}");
    let wrong: Expected = toml::from_str(&text("V", "one")).unwrap();
    let message = wrong.check().unwrap_err().to_string();
    assert!(message.contains("row[0].published: found one"), "{message}");
}
