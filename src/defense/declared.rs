//! What every kind of defense declares: its settings, their ranges, and what it guarantees.

use super::workshop::testing::{CARD, small};
use super::{Counter, DefenseSpec, Promise, cards};
use crate::model::Arch;
use crate::seed::Seed;

/// Layers that name only what they must, and all of their settings: the papers', or those of the papers' code.
const USUAL: [(&str, &str); 19] = [
    (
        r#""kind": "adaptive-misinformation", "tau": 1"#,
        "adaptive-misinformation(tau=1.0,nu=1000.0)",
    ),
    (
        r#""kind": "dataset-inference""#,
        "dataset-inference(rows=100,directions=10,steps=50,step=0.01)",
    ),
    (r#""kind": "dawn""#, "dawn(share=0.01,levels=4,kept=1000)"),
    (r#""kind": "edm""#, "edm(models=5,levels=8)"),
    (r#""kind": "ewe""#, "ewe(source=1,target=7,weight=0.0625,temperature=100.0,every=1)"),
    (
        r#""kind": "feature-distance""#,
        "feature-distance(window=50,reference=100,false-rate=0.01,response=refuse)",
    ),
    (r#""kind": "gaussian-noise", "sigma": 1"#, "gaussian-noise(sigma=1.0,fresh=false)"),
    (r#""kind": "grad2", "eps": 1"#, "grad2(eps=1.0)"),
    (r#""kind": "logit-noise", "eps": 1"#, "logit-noise(eps=1.0,sigma=4.0,fresh=false)"),
    (r#""kind": "mad", "eps": 1"#, "mad(eps=1.0,oracle=extreme,normalised=true)"),
    (r#""kind": "modelguard-s", "eps": 1"#, "modelguard-s(eps=1.0,centroids=1000)"),
    (r#""kind": "nasty""#, "nasty(weight=0.1,temperature=4.0)"),
    (r#""kind": "ood-gate""#, "ood-gate(score=msp,false-rate=0.05,response=refuse)"),
    (r#""kind": "outlier-exposure""#, "outlier-exposure(weight=1.0)"),
    (r#""kind": "prada""#, "prada(delta=0.9,cap=2000,response=refuse)"),
    (r#""kind": "proof-of-work""#, "proof-of-work(seconds=1.0,base=1.0075,most=100.0)"),
    (
        r#""kind": "rate-limit", "queries": 9, "per": "day""#,
        "rate-limit(queries=9,per=day,burst=1)",
    ),
    (r#""kind": "seat""#, "seat(pair-rate=0.0001,max-pairs=50,cap=2000,response=refuse)"),
    (
        r#""kind": "var-detect""#,
        "var-detect(code=8,window=50,reference=100,false-rate=0.01,response=refuse)",
    ),
];

/// Least and largest values of settings that are numbers, and values just out of range.
const RANGES: [(&str, &str, &str, &str); 49] = [
    ("adaptive-misinformation", "tau", "0 1", "-1e-9 1.001"),
    ("adaptive-misinformation", "nu", "1e-9 1e6", "0.0 1000001"),
    ("dataset-inference", "rows", "5 1000", "4 1001"),
    ("dataset-inference", "directions", "1 100", "0 101"),
    ("dataset-inference", "steps", "1 1000", "0 1001"),
    ("dataset-inference", "step", "1e-9 1.0", "0.0 1.001"),
    ("dawn", "share", "1e-9 0.5", "0.0 0.501"),
    ("dawn", "levels", "1 1000", "0 1001"),
    ("dawn", "kept", "1 100000", "0 100001"),
    ("edm", "models", "2 32", "1 33"),
    ("edm", "levels", "1 1000", "0 1001"),
    ("ewe", "source", "0 8", "3"),
    ("ewe", "weight", "0.0 100.0", "-1e-9 100.001"),
    ("ewe", "temperature", "1e-9 1e6", "0.0 1000001"),
    ("ewe", "every", "1 1000", "0 1001"),
    ("feature-distance", "window", "10 500", "9 501"),
    ("feature-distance", "reference", "10 1000", "9 1001"),
    ("feature-distance", "false-rate", "1e-9 0.5", "0.0 0.501"),
    ("gaussian-noise", "sigma", "1e-9 10.0", "0.0 10.001"),
    ("grad2", "eps", "0.0 2.0", "-1e-9 2.001"),
    ("logit-noise", "eps", "0.0 2.0", "-1e-9 2.001"),
    ("logit-noise", "sigma", "1e-9 100.0", "0.0 100.001"),
    ("mad", "eps", "0.0 2.0", "-1e-9 2.001"),
    ("modelguard-s", "eps", "0.0 2.0", "-1e-9 2.001"),
    ("modelguard-s", "centroids", "1 100000", "0 100001"),
    ("modelguard-w", "eps", "0.0 2.0", "-1e-9 2.001"),
    ("nasty", "weight", "1e-9 10.0", "0.0 10.001"),
    ("nasty", "temperature", "1e-9 100.0", "0.0 100.001"),
    ("ood-gate", "false-rate", "1e-9 0.5", "0.0 0.501"),
    ("outlier-exposure", "weight", "1e-9 4.0", "0.0 4.001"),
    ("prada", "delta", "1e-9 1.0", "0.0 1.001"),
    ("prada", "cap", "100 100000", "99 100001"),
    ("proof-of-work", "seconds", "1e-9 86400.0", "0.0 86401"),
    ("proof-of-work", "base", "1.001 10.0", "1.0 10.001"),
    ("proof-of-work", "most", "1.001 1e6", "1.0 1000001"),
    ("rate-limit", "queries", "1 1000000", "0 1000001"),
    ("rate-limit", "burst", "1 1000000", "0 1000001"),
    ("reverse-sigmoid", "beta", "0.0 1.0", "-1e-9 1.001"),
    ("reverse-sigmoid", "gamma", "1e-9 100.0", "0.0 100.001"),
    ("round", "digits", "0 6", "7"),
    ("seat", "pair-rate", "1e-9 0.5", "0.0 0.501"),
    ("seat", "cap", "1 100000", "0 100001"),
    ("stingy", "share", "1e-9 1.0", "0.0 1.001"),
    ("temperature", "t", "1e-9 1000.0", "0.0 1000.001"),
    ("top-k", "k", "1 1000", "0"),
    ("var-detect", "code", "1 64", "0 65"),
    ("var-detect", "window", "10 500", "9 501"),
    ("var-detect", "reference", "10 1000", "9 1001"),
    ("var-detect", "false-rate", "1e-9 0.5", "0.0 0.501"),
];

/// Numbers that any count may be, or whose range is the teacher's: a class.
const FREE: [(&str, &str); 2] = [("ewe", "target"), ("seat", "max-pairs")];

/// The first example of a kind.
fn example(kind: &str) -> DefenseSpec {
    DefenseSpec::examples().into_iter().find(|spec| spec.kind() == kind).unwrap()
}

/// True where a kind takes a value of a setting beside its example's others.
fn takes(kind: &str, key: &str, value: &str) -> bool {
    let mut whole = serde_json::to_value(example(kind)).unwrap();
    whole[key] = serde_json::from_str(value).unwrap();
    serde_json::from_value(whole).is_ok_and(|spec: DefenseSpec| spec.method().check().is_ok())
}

#[test]
fn usual_settings_are_those_of_the_papers() {
    for (written, whole) in USUAL {
        let spec: DefenseSpec = serde_json::from_str(&format!("{{{written}}}")).unwrap();
        assert_eq!(spec.label(), whole);
        assert!(spec.method().check().is_ok(), "{whole}");
    }
    for spec in DefenseSpec::examples() {
        let known = USUAL.iter().any(|(_, whole)| whole.starts_with(&format!("{}(", spec.kind())));
        let whole = serde_json::to_value(&spec).unwrap();
        for key in whole.as_object().unwrap().keys().filter(|key| *key != "kind") {
            let mut less = whole.clone();
            less.as_object_mut().unwrap().shift_remove(key);
            let needed = serde_json::from_value::<DefenseSpec>(less).is_err();
            assert!(needed || known, "{}: {key} can be left out", spec.kind());
        }
    }
}

#[test]
fn every_number_has_a_range_and_ends_where_that_says() {
    for (kind, key, inside, outside) in RANGES {
        for value in inside.split(' ') {
            assert!(takes(kind, key, value), "{kind}: {key} = {value}");
        }
        for value in outside.split(' ') {
            assert!(!takes(kind, key, value), "{kind}: {key} = {value}");
        }
    }
    for spec in DefenseSpec::examples() {
        let whole = serde_json::to_value(&spec).unwrap();
        for (key, value) in whole.as_object().unwrap().iter().filter(|(_, v)| v.is_number()) {
            let known =
                RANGES.iter().any(|range| (range.0, range.1) == (spec.kind(), key.as_str()));
            assert!(
                known || FREE.contains(&(spec.kind(), key)),
                "{}: {key} = {value}",
                spec.label()
            );
        }
    }
}

#[test]
fn what_is_to_have_gradients_is_a_network() {
    for (kind, key) in
        [("adaptive-misinformation", "model"), ("grad2", "surrogate"), ("mad", "surrogate")]
    {
        let fits = |arch: &Arch| {
            let mut whole = serde_json::to_value(example(kind)).unwrap();
            whole[key] = serde_json::to_value(arch).unwrap();
            let spec: DefenseSpec = serde_json::from_value(whole).unwrap();
            spec.fits(&small().outline()).map_err(|e| e.to_string())
        };
        assert!(fits(&Arch::Mlp { hidden: vec![8] }).is_ok(), "{kind}");
        let told = fits(&Arch::OneVsRest {}).unwrap_err();
        assert!(told.contains(key) && told.contains("one-vs-rest"), "{kind}: {told}");
    }
}

#[test]
fn every_defense_names_its_paper_and_its_layer_as_it_is_named_and_says_what_it_knows() {
    let [mut marks, mut tests, mut flags] = [const { Vec::new() }; 3];
    for spec in DefenseSpec::examples() {
        assert!(spec.paper().contains(' '), "{}", spec.label());
        let layer = spec.build(Seed::new(1), small()).unwrap();
        assert_eq!(layer.name(), spec.kind());
        layer.marks().is_some().then(|| marks.push(spec.kind()));
        layer.ownership().is_some().then(|| tests.push(spec.kind()));
        layer.flags().is_some().then(|| flags.push(spec.kind()));
    }
    assert_eq!(marks, ["dawn", "ewe"]);
    assert_eq!(tests, ["dataset-inference"]);
    let judges = ["feature-distance", "ood-gate", "ood-gate", "prada", "seat", "var-detect"];
    assert_eq!(flags, judges);
}

/// What the examples promise of every row, and who undoes them.
#[test]
fn promises_and_counters_are_those_of_the_methods() {
    use Counter::{InDistribution, InverseTable, Jitter, LabelOnly, MoreAccounts, Repeat};
    let same = Promise { l1_bound: 0.0, ..Promise::BASE };
    let wrong = Promise { keeps_top1: false, ..Promise::BASE };
    let near = Promise { l1_bound: 1.0, ..Promise::BASE };
    let near_wrong = Promise { keeps_top1: false, ..near };
    let judge = Promise { deterministic: false, stateful: true, ..Promise::BASE };
    let fresh = Promise { keeps_top1: false, ..judge };
    let account = Promise { stateful: true, refuses: true, ..same };
    let expected = [
        ("adaptive-misinformation", wrong, InDistribution),
        ("dataset-inference", same, LabelOnly),
        ("dawn", wrong, Jitter),
        ("edm", wrong, Jitter),
        ("ewe", same, LabelOnly),
        ("feature-distance", judge, InDistribution),
        ("gaussian-noise", wrong, Jitter),
        ("gaussian-noise", fresh, Repeat),
        ("grad2", near_wrong, InverseTable),
        ("label-only", Promise::BASE, LabelOnly),
        ("logit-noise", near_wrong, Jitter),
        ("mad", near_wrong, InverseTable),
        ("mad", near, InverseTable),
        ("modelguard-s", Promise { stateful: true, ..near }, LabelOnly),
        ("modelguard-w", near, InverseTable),
        ("nasty", same, LabelOnly),
        ("ood-gate", Promise { refuses: true, ..same }, InDistribution),
        ("ood-gate", wrong, InDistribution),
        ("outlier-exposure", same, InDistribution),
        ("prada", Promise { l1_bound: 0.0, ..judge }, MoreAccounts),
        ("proof-of-work", account, MoreAccounts),
        ("rate-limit", account, MoreAccounts),
        ("reverse-sigmoid", wrong, InverseTable),
        ("round", Promise::BASE, InverseTable),
        ("seat", fresh, MoreAccounts),
        ("stingy", Promise { l1_bound: 1.6, ..Promise::BASE }, InverseTable),
        ("temperature", Promise::BASE, Counter::MatchedTemperature { t: 3.0 }),
        ("top-k", Promise::BASE, LabelOnly),
        ("var-detect", judge, InDistribution),
    ];
    let found = DefenseSpec::examples();
    assert_eq!(found.len(), expected.len());
    for (spec, (kind, promise, counter)) in found.iter().zip(expected) {
        assert_eq!((spec.kind(), spec.promise(), spec.counter()), (kind, promise, counter));
    }
    let of = |part: fn(&DefenseSpec) -> bool| -> Vec<&str> {
        found.iter().filter(|spec| part(spec)).map(DefenseSpec::kind).collect()
    };
    assert_eq!(of(DefenseSpec::waits), ["proof-of-work", "rate-limit"]);
    assert_eq!(of(DefenseSpec::innermost), ["edm", "ewe", "nasty", "outlier-exposure"]);
    let less = |spec: &DefenseSpec| spec.card_after(CARD).unwrap() != CARD;
    assert_eq!(of(less), ["label-only", "top-k"]);
    let judges = ["feature-distance", "prada", "seat", "var-detect"];
    assert_eq!(of(|spec| spec.method().detects()), judges);
    let owning = |what: &str| -> Vec<&str> {
        cards().into_iter().filter(|card| card.owns == what).map(|card| card.kind).collect()
    };
    let labels = ["adaptive-misinformation", "grad2", "var-detect"];
    assert_eq!(owning("rows with labels"), labels);
    let models = [
        "dataset-inference",
        "edm",
        "ewe",
        "feature-distance",
        "nasty",
        "ood-gate",
        "ood-gate",
        "outlier-exposure",
        "proof-of-work",
        "seat",
    ];
    assert_eq!(owning("rows and the teacher's model"), models);
    let takes = |kind| cards().into_iter().find(|card| card.kind == kind).unwrap().takes;
    assert_eq!((takes("round"), takes("top-k")), (vec!["probs"], vec!["probs", "top-k"]));
    assert_eq!(takes("prada"), ["probs", "logits", "top-k", "label"]);
    assert!(cards().iter().all(|card| card.detects == judges.contains(&card.kind)));
    let noise =
        DefenseSpec::LogitNoise(super::logit_noise::Params { eps: 3.0, sigma: 4.0, fresh: true });
    assert_eq!((noise.promise(), noise.counter()), (fresh, Repeat));
}

#[test]
fn counters_are_told_as_a_config_names_them() {
    for (counter, told) in [
        (Counter::InverseTable, "recovery `inverse-table`"),
        (Counter::MatchedTemperature { t: 3.0 }, "recovery `matched-temperature` at t = 3"),
        (Counter::Repeat, "recovery `average`"),
        (Counter::Jitter, "recovery `jitter`"),
        (Counter::InDistribution, "rows like the teacher's alone"),
        (Counter::MoreAccounts, "more accounts"),
        (Counter::LabelOnly, "recovery `top1`"),
    ] {
        assert_eq!(counter.to_string(), told);
    }
}
