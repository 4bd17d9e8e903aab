use serde_json::Value;

use super::*;
use crate::seed::Seed;

fn cases(method: &str) -> Vec<Value> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/stats.json"));
    let file: Value = serde_json::from_str(text).unwrap();
    let all: Vec<Value> = file["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|c| c["method"] == method)
        .cloned()
        .collect();
    assert!(all.len() >= 3, "{method}");
    all
}

pub fn number(v: &Value) -> f64 {
    v.as_f64().unwrap_or_else(|| panic!("a number, not {v}"))
}

pub fn numbers(v: &Value) -> Vec<f64> {
    v.as_array().unwrap().iter().map(number).collect()
}

pub fn close(case: &Value, got: f64, expected: &Value) {
    let (abs, rel) = (number(&case["tolerance"]["abs"]), number(&case["tolerance"]["rel"]));
    let expected = number(expected);
    assert!(
        (got - expected).abs() <= abs + rel * expected.abs(),
        "{}: got {got}, expected {expected}",
        case["id"]
    );
}

#[test]
fn wilson_intervals_match() {
    for c in cases("wilson") {
        let i = &c["input"];
        let (low, high) =
            wilson(i["successes"].as_u64().unwrap(), i["n"].as_u64().unwrap(), number(&i["level"]));
        close(&c, low, &c["expected"]["low"]);
        close(&c, high, &c["expected"]["high"]);
    }
}

#[test]
fn t_intervals_match() {
    for c in cases("t_ci") {
        let e = mean_ci(&numbers(&c["input"]["x"]), number(&c["input"]["level"]));
        close(&c, e.mean, &c["expected"]["mean"]);
        close(&c, e.sd.unwrap(), &c["expected"]["sd"]);
        close(&c, e.low.unwrap(), &c["expected"]["low"]);
        close(&c, e.high.unwrap(), &c["expected"]["high"]);
    }
}

#[test]
fn paired_intervals_and_p_values_match() {
    for c in cases("paired_ci") {
        let i = &c["input"];
        let e = paired_ci(&numbers(&i["a"]), &numbers(&i["b"]), number(&i["level"]));
        close(&c, e.mean, &c["expected"]["mean"]);
        close(&c, e.low.unwrap(), &c["expected"]["low"]);
        close(&c, e.high.unwrap(), &c["expected"]["high"]);
        assert_eq!(e.p.is_none(), c["expected"]["p"].is_null(), "{}", c["id"]);
        if let Some(p) = e.p {
            close(&c, p, &c["expected"]["p"]);
        }
    }
}

#[test]
fn bootstrap_quantiles_lie_in_their_bands() {
    for c in cases("bootstrap_mean") {
        let got = bootstrap_mean(
            &numbers(&c["input"]["x"]),
            &numbers(&c["input"]["q"]),
            10_000,
            Seed::new(1),
        );
        let bands = c["expected"]["band_1e4"].as_array().unwrap();
        assert_eq!(got.len(), bands.len());
        for (got, band) in got.iter().zip(bands) {
            let (low, high) = (number(&band[0]), number(&band[1]));
            assert!((low - 1e-9..=high + 1e-9).contains(got), "{}: {got} outside {band}", c["id"]);
        }
    }
}

#[test]
fn holm_matches() {
    for c in cases("holm") {
        let expected = c["expected"]["adjusted"].as_array().unwrap();
        let got = holm(&numbers(&c["input"]["p"]));
        assert_eq!(got.len(), expected.len());
        for (got, want) in got.iter().zip(expected) {
            close(&c, *got, want);
        }
    }
}

#[test]
fn calibration_errors_match() {
    for c in cases("ece") {
        let i = &c["input"];
        let correct: Vec<bool> = numbers(&i["correct"]).iter().map(|v| *v == 1.0).collect();
        let (e, m) =
            ece(&numbers(&i["confidence"]), &correct, i["bins"].as_u64().unwrap() as usize);
        close(&c, e, &c["expected"]["ece"]);
        close(&c, m, &c["expected"]["mce"]);
    }
}

#[test]
fn recovered_shares_match() {
    for c in cases("recovered_fraction") {
        let i = &c["input"];
        let pair = |v: &str| (number(&i[v]), number(&i[format!("se_{v}")]));
        let z = normal_quantile(0.5 + number(&i["level"]) / 2.0);
        let (r, delta, set, identified) = recovered_independent(pair("S"), pair("T"), pair("B"), z);
        let e = &c["expected"];
        close(&c, r, &e["R"]);
        close(&c, delta, &e["delta_var"]);
        assert_eq!(identified, e["identified"].as_bool().unwrap(), "{}", c["id"]);
        let (kind, ends) = match set {
            Fieller::Interval { low, high } => ("interval", Some((low, high))),
            Fieller::Complement { low, high } => ("complement", Some((low, high))),
            Fieller::All => ("all", None),
        };
        assert_eq!(kind, e["fieller"]["kind"].as_str().unwrap(), "{}", c["id"]);
        if let Some((low, high)) = ends {
            close(&c, low, &e["fieller"]["low"]);
            close(&c, high, &e["fieller"]["high"]);
        }
    }
}

#[test]
fn areas_and_half_budgets_match() {
    for c in cases("auc_log_budget") {
        let i = &c["input"];
        let (budget, score) = (numbers(&i["budget"]), numbers(&i["score"]));
        close(&c, auc_log_budget(&budget, &score).unwrap(), &c["expected"]["auc"]);
        match budget_at(&budget, &score, number(&i["teacher"]) / 2.0).unwrap() {
            Reached::At(b) | Reached::Below(b) => close(&c, b, &c["expected"]["n50"]),
            Reached::Above(_) => assert!(c["expected"]["n50"].is_null(), "{}", c["id"]),
        }
    }
}

#[test]
fn seeds_that_are_all_equal_give_a_point_and_no_division_by_zero() {
    let r = recovered(&[(0.9, 0.95, 0.1); 4], 0.0);
    assert!(
        (r.value.unwrap() - 0.8 / 0.85).abs() < 1e-12
            && (r.low.unwrap() - r.high.unwrap()).abs() < 1e-9
    );
    assert!(!recovered(&[(0.1, 0.05, 0.12); 3], 0.0).identified, "a teacher below the floor");
    assert_eq!(recovered(&[(0.1, 0.1, 0.1); 3], 0.0).value, None);
    assert_eq!(recovered(&[(0.9, 0.95, 0.1)], 0.0).low, None);
}

#[test]
fn the_strongest_student_is_scored_on_seeds_it_was_not_chosen_on() {
    let lucky = vec![1.0, 0.0, 0.0];
    let steady = vec![0.4, 0.4, 0.4];
    let fit = cross_fitted(&[lucky, steady]).unwrap();
    assert_eq!(fit.chosen, [1, 0, 0]); // without its lucky seed the first one loses
    assert_eq!(fit.per_seed, [0.4, 0.0, 0.0]);
    assert!(cross_fitted(&[vec![0.1, 0.2]]).is_none());
    // Of equals the first.
    assert_eq!(cross_fitted(&[vec![0.5; 3], vec![0.5; 3]]).unwrap().chosen, [0, 0, 0]);
}

#[test]
fn what_a_defense_takes_is_the_drop_of_the_strongest_student_seed_by_seed() {
    let none = [vec![0.8, 0.9, 0.7], vec![0.2; 3]];
    let arm = [vec![0.1; 3], vec![0.5, 0.5, 0.5]];
    let drop = headline(&none, &arm).unwrap();
    let expected = paired_ci(&[0.8, 0.9, 0.7], &[0.5; 3], 0.95);
    assert_eq!((drop.mean, drop.low, drop.p), (expected.mean, expected.low, expected.p));
    assert!((drop.mean - 0.3).abs() < 1e-12);
    assert!(headline(&none, &[vec![0.5; 4]]).is_none());
}

#[test]
fn effectiveness_and_cost_are_relative_to_what_is_undefended() {
    assert_eq!((de(0.25, 0.5), dc(0.375, 0.5)), (Some(0.5), Some(0.25)));
    assert_eq!((de(0.3, 0.0), dc(0.3, 0.0)), (None, None));
}

#[test]
fn a_monotone_fit_pools_violators() {
    assert_eq!(monotone(&[0.1, 0.5, 0.3, 0.7]), [0.1, 0.4, 0.4, 0.7]);
    // Two pooled, then the three: each block counts by its length.
    let pooled = monotone(&[0.5, 0.6, 0.0, 1.0]);
    assert!(pooled[..3].iter().all(|v| (v - 1.1 / 3.0).abs() < 1e-12) && pooled[3] == 1.0);
    let pooled = monotone(&[0.6, 0.0, 0.0]);
    assert!(pooled.iter().all(|v| (v - 0.2).abs() < 1e-12), "{pooled:?}");
    assert_eq!(budget_at(&[10.0, 100.0], &[0.5, 0.6], 0.5), Some(Reached::At(10.0)));
    assert_eq!(auc_log_budget(&[10.0, 100.0], &[0.5]), None);
    assert_eq!(auc_log_budget(&[10.0], &[0.5]), None);
    assert_eq!(budget_at_half(&[10.0, 100.0], &[0.6, 0.7]), Some(Reached::Below(10.0)));
    assert_eq!(budget_at_half(&[10.0, 100.0], &[0.1, 0.2]), Some(Reached::Above(100.0)));
}

#[test]
fn hand_computed_scores() {
    assert_eq!(accuracy(&[1, 2, 0], &[1, 2, 2]), 2.0 / 3.0);
    assert_eq!(agreement_on_errors(&[1, 2], &[1, 2], &[1, 0]), Some(1.0));
    assert_eq!(agreement_on_errors(&[1, 2], &[1, 2], &[1, 2]), None);
    assert_eq!(floor_accuracy(&[0, 1, 1, 2], 3), 0.5);
    let p = ndarray::array![[0.5, 0.5]];
    let q = ndarray::array![[0.25, 0.75]];
    assert!((kl_teacher_student(&p, &q) - 0.143_841_036_225_890_42).abs() < 1e-12);
    assert_eq!(agreement(&[1, 2, 0], &[1, 0, 1]), 1.0 / 3.0);
    assert_eq!(floor_agreement(&[0, 1, 1, 2], 3), 0.5);
}

#[test]
fn a_class_that_the_teacher_rules_out_costs_nothing_and_rows_are_averaged() {
    let p = ndarray::array![[0.5, 0.5], [1.0, 0.0]];
    let q = ndarray::array![[0.25, 0.75], [0.5, 0.5]];
    let by_hand = (0.143_841_036_225_890_42 + std::f64::consts::LN_2) / 2.0;
    assert!((kl_teacher_student(&p, &q) - by_hand).abs() < 1e-12);
    let impossible = kl_teacher_student(&q, &p);
    assert!(impossible.is_finite() && impossible > 6.0, "{impossible}");
}

#[test]
fn calibration_of_rows_takes_the_first_of_equal_classes() {
    let of = |rows, labels: &[usize]| ece_of(&rows, labels);
    // Sure by .8 and right, by .7 and wrong: two bins of fifteen.
    let two = of(ndarray::array![[0.8, 0.2], [0.3, 0.7]], &[0, 0]);
    assert!((two - (0.2 + 0.7) / 2.0).abs() < 1e-12, "{two}");
    let tie = ndarray::array![[0.25, 0.25, 0.25, 0.25]];
    assert!((of(tie.clone(), &[0]) - 0.75).abs() < 1e-12);
    assert!((of(tie, &[3]) - 0.25).abs() < 1e-12);
}

/// 25 times 7/25 is above 7 in floats, and 15 times what follows 11/15 is 11.
#[test]
fn a_confidence_on_an_edge_counts_below_and_one_above_it_above_whatever_a_product_rounds_to() {
    let (low, _) = ece(&[7.0 / 25.0, 0.27], &[false, true], 25);
    assert!((low - 0.225).abs() < 1e-12, "{low}");
    let above = (11.0_f64 / 15.0).next_up();
    let (high, _) = ece(&[above, 0.78], &[false, true], 15);
    assert!((high - (above + 0.78 - 1.0) / 2.0).abs() < 1e-12, "{high}");
    // One half is the end of the fifth tenth, and what rounding puts above 1 is in the last.
    let (half, _) = ece(&[0.5, 0.45], &[true, false], 10);
    assert!((half - 0.025).abs() < 1e-12, "{half}");
    assert!(ece(&[1.0 + 1e-12], &[true], 10).0 < 1e-9);
}

#[test]
fn a_score_has_the_unit_and_the_direction_of_its_card() {
    for card in CATALOG {
        let score = Score::of(card.name, Some(0.5));
        assert_eq!((&score.unit[..], score.better), (card.unit, card.better));
        assert_eq!(Score::of(card.name, Some(f64::NAN)).value, None);
    }
}

#[test]
fn resampled_splits_widen_an_interval_by_the_root_of_one_plus_n_times_the_overlap() {
    let x = [0.91, 0.94, 0.90, 0.95, 0.93];
    let width = |e: Estimate| e.high.unwrap() - e.low.unwrap();
    let (plain, wide) = (width(mean_ci(&x, 0.95)), width(resampled_ci(&x, 360.0 / 800.0, 0.95)));
    assert!((wide / plain - (1.0_f64 + 5.0 * 0.45).sqrt()).abs() < 1e-12);
    assert_eq!(resampled_ci(&x, 0.0, 0.95), mean_ci(&x, 0.95));
    let seeds: Vec<_> = x.iter().map(|s| (*s, 0.96, 0.1)).collect();
    let width = |r: Recovered| r.high.unwrap() - r.low.unwrap();
    let (plain, wide) = (width(recovered(&seeds, 0.0)), width(recovered(&seeds, 0.45)));
    assert!((wide / plain - (1.0_f64 + 5.0 * 0.45).sqrt()).abs() < 1e-9);
}

#[test]
fn survival_curves_match() {
    let all = cases("kaplan_meier");
    assert_eq!(all.len(), 6);
    for c in all {
        let i = &c["input"];
        let event: Vec<bool> = numbers(&i["event"]).iter().map(|v| *v == 1.0).collect();
        let curve = kaplan_meier(&numbers(&i["time"]), &event);
        let e = &c["expected"];
        assert_eq!(curve.steps.len(), e["t"].as_array().unwrap().len(), "{}", c["id"]);
        for (k, step) in curve.steps.iter().enumerate() {
            close(&c, step.time, &e["t"][k]);
            assert_eq!(Some(step.at_risk as u64), e["at_risk"][k].as_u64(), "{}", c["id"]);
            assert_eq!(Some(step.events as u64), e["events"][k].as_u64(), "{}", c["id"]);
            close(&c, step.survival, &e["survival"][k]);
            close(&c, step.se, &e["greenwood_se"][k]);
        }
        assert_eq!(curve.median(), e["median"].as_f64(), "{}", c["id"]);
    }
}

#[test]
fn a_survival_curve_is_one_before_its_first_step_and_flat_between_steps() {
    let curve = kaplan_meier(&[2.0, 4.0, 9.0], &[true, true, false]);
    assert_eq!([1.9, 2.0, 3.9].map(|t| curve.at(t)), [1.0, 2.0 / 3.0, 2.0 / 3.0]);
    assert_eq!(kaplan_meier(&[], &[]).median(), None);
}

#[test]
fn detection_is_scored_with_ties_and_a_rate_finer_than_one_account_is_marked() {
    let (attack, honest) = ([0.9, 0.8, 0.5, 0.3], [0.8, 0.5, 0.2, 0.1, 0.0]);
    // Wins of each attacker over the five, ties one half: 5, 4.5, 3.5, 3.
    assert_eq!(auc(&attack, &honest), Some(16.0 / 20.0));
    let one = tpr_at_fpr(&attack, &honest, 0.2).unwrap();
    assert_eq!((one.tpr, one.fpr, one.threshold, one.finer_than_one), (0.5, 0.2, 0.5, false));
    let none = tpr_at_fpr(&attack, &honest, 1e-3).unwrap();
    assert_eq!((none.tpr, none.fpr, none.finer_than_one), (0.25, 0.0, true));
    assert!((none.fpr_upper - (1.0 - 0.05_f64.powf(0.2))).abs() < 1e-12);
    assert_eq!(tpr_at_fpr(&attack, &honest, 1.0).unwrap().tpr, 1.0);
    assert_eq!((auc(&[], &honest), tpr_at_fpr(&attack, &[], 0.1)), (None, None));
}

#[test]
fn few_attackers_among_many_make_most_alarms_wrong_unless_false_ones_are_rare() {
    let pi = 24_000.0 / 5e6;
    assert!((precision(pi, 0.95, 0.003).unwrap() - 0.60).abs() < 0.005);
    assert!((precision(pi, 0.95, 0.0003).unwrap() - 0.94).abs() < 0.005);
    assert_eq!((precision(pi, 0.0, 0.0), precision(pi, 0.5, 0.0)), (None, Some(1.0)));
    // A quarter of the accounts, three times as often flagged.
    assert_eq!(precision(0.25, 0.75, 0.25), Some(0.5));
    assert_eq!(precision(0.25, 0.5, 0.5), Some(0.25));
}

#[test]
fn upper_bounds_invert_the_binomial() {
    // R 4.4: qbeta(0.95, 4, 97) for 3 of 100.
    assert!((upper_bound(3.0, 100.0, 0.95) - 0.075_716_0).abs() < 1e-5);
    assert!((upper_bound(0.0, 14.0, 0.95) - (1.0 - 0.05_f64.powf(1.0 / 14.0))).abs() < 1e-12);
    assert_eq!(upper_bound(5.0, 5.0, 0.95), 1.0);
}
