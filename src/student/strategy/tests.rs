use std::collections::BTreeSet;

use ndarray::{Array2, Axis};

use super::testing::{Plain, tell, view_of};
use super::*;
use crate::error::Error;
use crate::seed::Seed;

fn rows(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, 2), |(i, j)| (i + j) as f32 / (n + 1) as f32)
}

/// Everything that a strategy asks with `budget` rows, all answered.
fn asked(spec: &StrategySpec, budget: usize, pool: &Array2<f32>, seed: u64) -> Array2<f32> {
    let public = rows(8);
    let view = view_of(pool, &public);
    let mut strategy = spec.build(pool.nrows(), Seed::new(seed)).unwrap();
    let mut all = Array2::zeros((0, 2));
    loop {
        let left = budget - all.nrows();
        let own = strategy.wants_model().then_some(&Plain as &dyn Own);
        assert!(own.is_none() || spec.rounds_retrain(), "{spec:?}");
        let picked = strategy.pick(&view, left, own).unwrap();
        assert!(picked.nrows() <= left, "{spec:?} asks more than it can pay for");
        if picked.nrows() == 0 || left == 0 {
            return all;
        }
        let labels = picked.column(0).iter().map(|x| usize::from(*x < 0.5)).collect();
        tell(strategy.as_mut(), &picked, &Answers::Labels(labels));
        all.append(Axis(0), picked.view()).unwrap();
    }
}

/// Every kind that chooses rows for a student.
fn strategies() -> impl Iterator<Item = StrategySpec> {
    StrategySpec::examples().into_iter().filter(|spec| !spec.is_student())
}

fn distinct(rows: &Array2<f32>) -> usize {
    let bits = |r: ndarray::ArrayView1<'_, f32>| r.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    rows.rows().into_iter().map(bits).collect::<BTreeSet<_>>().len()
}

#[test]
fn every_strategy_spends_its_budget_exactly_on_valid_rows() {
    let pool = rows(300);
    for spec in strategies() {
        for budget in [1, 7, 50, 299] {
            let all = asked(&spec, budget, &pool, 3);
            assert_eq!(all.nrows(), budget, "{spec:?}");
            assert!(all.iter().all(|x| (0.0..=1.0).contains(x)), "{spec:?}");
        }
    }
}

#[test]
fn strategies_of_the_pool_ask_each_row_at_most_once_and_then_end() {
    let pool = rows(300);
    for spec in StrategySpec::examples().into_iter().filter(StrategySpec::distinct_pool) {
        let all = asked(&spec, 400, &pool, 3);
        assert_eq!((all.nrows(), distinct(&all)), (300, 300), "{spec:?}");
    }
}

#[test]
fn the_same_seed_asks_the_same_rows_and_another_seed_others() {
    let pool = rows(300);
    for spec in strategies() {
        let all = asked(&spec, 40, &pool, 3);
        assert_eq!(all, asked(&spec, 40, &pool, 3), "{spec:?}");
        if spec.distinct_pool() {
            assert_ne!(all, asked(&spec, 40, &pool, 4), "{spec:?}");
        }
    }
}

#[test]
fn without_any_answer_the_active_strategies_go_on_at_random() {
    let pool = rows(30);
    let public = rows(8);
    for spec in StrategySpec::examples().into_iter().filter(StrategySpec::distinct_pool) {
        let mut strategy = spec.build(30, Seed::new(1)).unwrap();
        let first = strategy.pick(&view_of(&pool, &public), 20, None).unwrap();
        let second = strategy.pick(&view_of(&pool, &public), 20, None).unwrap();
        assert!(first.nrows() > 0 && second.nrows() > 0, "{spec:?}");
    }
}

#[test]
fn every_kind_is_what_configs_write() {
    for spec in StrategySpec::examples() {
        let json = serde_json::to_value(&spec).unwrap();
        assert_eq!(json["kind"], spec.kind());
        assert_eq!(serde_json::from_value::<StrategySpec>(json).unwrap(), spec);
        assert!(spec.validate().is_ok());
        let short = format!(r#"{{"kind":"{}"}}"#, spec.kind());
        assert_eq!(serde_json::from_str::<StrategySpec>(&short).unwrap(), spec);
        let wrong = format!(r#"{{"kind":"{}","colour":1}}"#, spec.kind());
        assert!(serde_json::from_str::<StrategySpec>(&wrong).is_err());
    }
}

#[test]
fn values_outside_their_ranges_are_refused_by_key() {
    let cases = [
        (r#"{"kind":"entropy","rounds":0}"#, "rounds"),
        (r#"{"kind":"k-center","seed-share":1.5}"#, "seed-share"),
        (r#"{"kind":"jbda","step":-0.1}"#, "step"),
        (r#"{"kind":"jbda","tau":0}"#, "tau"),
        (r#"{"kind":"jbda","kappa":0}"#, "kappa"),
        (r#"{"kind":"adaptive-retraining","eps":0}"#, "eps"),
        (r#"{"kind":"copycat","noise":2}"#, "noise"),
        (r#"{"kind":"dfal","iterations":0}"#, "iterations"),
        (r#"{"kind":"dfal-k-center","filter":0}"#, "filter"),
        (r#"{"kind":"jb-self","step":0}"#, "step"),
        (r#"{"kind":"jb-topk","alpha":-1}"#, "alpha"),
        (r#"{"kind":"knockoff-adaptive","fine":0}"#, "fine"),
        (r#"{"kind":"line-search","seed-share":0}"#, "seed-share"),
        (r#"{"kind":"t-rnd","k":0}"#, "k"),
        (r#"{"kind":"tree-paths","step":0}"#, "step"),
    ];
    for (text, key) in cases {
        let spec: StrategySpec = serde_json::from_str(text).unwrap();
        let Err(Error::Config(e)) = spec.validate() else { panic!("{text} is accepted") };
        assert_eq!(e.key, key);
    }
}
