//! Decision trees: a teacher that is one, the student that finds its leaves, and what cannot be done with a tree.

use retort::defense::DefenseSpec;
use retort::experiment::config::Source;
use retort::experiment::plan::check_fit;
use retort::experiment::record::{Role, Stop};
use retort::experiment::spec::Spec;
use retort::model::InputShape;
use retort::oracle::{AnswerKind, Card};

use super::{Sandbox, text};

const HEAD: &str = r#"
name = "trees"
seeds = 1
[teacher]
model = { kind = "tree", depth = 4, leaf-rows = 10, laplace = true }
[split]
teacher = 500
pool = 150
public = 50
traffic = 60
test = 200
[budget]
queries = [QUERIES]
days = 2
[traffic]
accounts = 4
[training]
steps = 60
[measure]
uniform-rows = 500
boundary-rows = 100
"#;

const PATHS: &str = r#"
[[student]]
name = "paths"
strategy = { kind = "tree-paths" }
model = { kind = "tree" }
"#;

#[test]
fn a_tree_is_stolen_whole_and_the_record_says_at_what_price() {
    let sandbox = Sandbox::new("trees-whole");
    let found = sandbox.run(&format!("{}{PATHS}", HEAD.replace("QUERIES", "20000")));
    let of = |role| found.iter().find(|r| r.role == role).expect("a record");
    let (teacher, copy) = (of(Role::Teacher), of(Role::Student));
    for metric in ["agreement", "agreement_uniform", "agreement_boundary"] {
        assert_eq!(copy.get(metric), Some(1.0), "{metric}");
    }
    assert_eq!(copy.get("leaves"), teacher.get("leaves"));
    assert_eq!(copy.get("accuracy"), teacher.get("accuracy"));
    let spent = copy.get("queries_spent").expect("queries");
    assert!((500.0..20_000.0).contains(&spent), "{spent}");
    assert_eq!((copy.stop, copy.get("transfer_asr")), (Stop::StudentDone, None));
    // References of a tree are trees.
    let learnt = of(Role::Insider).get("agreement").expect("agreement");
    assert!((0.3..1.0).contains(&learnt), "{learnt}");
}

/// Every defense, before a tree: it is refused with its place, or it stands in a run.
#[test]
fn a_tree_stands_behind_every_defense_that_takes_no_gradients_or_features_of_it() {
    let students = format!(
        "{PATHS}[[student]]\nname = \"random\"\nstrategy = {{ kind = \"random\" }}\n\
         objective = {{ kind = \"hard-label\" }}\nmodel = {{ kind = \"tree\" }}\n"
    );
    let config = format!("{}{students}", HEAD.replace("QUERIES", "120"));
    let card = Card { inputs: 64, classes: 10, answers: AnswerKind::Probs };
    let shape = InputShape::Image { c: 1, h: 8, w: 8 };
    let (mut stacks, mut refused) = (String::new(), Vec::new());
    for (i, spec) in DefenseSpec::examples().into_iter().enumerate() {
        let table = toml::Value::try_from(&spec).expect("a spec is a table");
        let stack = format!("[[defense]]\nname = \"arm-{i}\"\nstack = [{table}]\n");
        let source = Source::read("pair.toml", &format!("{config}{stack}")).expect("TOML");
        let pair: Spec = source.parse().unwrap_or_else(|e| panic!("{e}"));
        match check_fit(&pair, card, shape, 0) {
            Ok(()) => stacks += &stack,
            Err(e) => refused.push((spec.kind(), e.to_string())),
        }
    }
    let kinds: Vec<&str> = refused.iter().map(|(kind, _)| *kind).collect();
    let expected = [
        "adaptive-misinformation",
        "dataset-inference", // the usual split leaves no row unseen
        "edm",
        "ewe",
        "feature-distance",
        "grad2",
        "label-only",
        "mad",
        "mad",
        "nasty",
        "ood-gate",
        "seat",
    ];
    assert_eq!(kinds, expected, "{refused:?}");
    let others = ["label-only", "dataset-inference"];
    for (kind, message) in refused.iter().filter(|(kind, _)| !others.contains(kind)) {
        assert!(message.contains("`tree`") || message.contains("network"), "{kind}: {message}");
    }
    let sandbox = Sandbox::new("trees-defenses");
    for record in sandbox.run(&format!("{config}{stacks}")) {
        let spent = record.get("queries_spent").unwrap_or(0.0);
        assert!(spent <= 120.0, "{} behind {}: {spent}", record.student, record.arm);
        assert_ne!(record.stop, Stop::Diverged);
    }
}

#[test]
fn what_a_tree_cannot_do_is_refused_by_its_key_and_nothing_is_written() {
    let refused = |config: String, parts: &[&str]| {
        let sandbox = Sandbox::new("trees-refused");
        sandbox.write("bad.toml", &config);
        let out = sandbox.retort(&["run", "bad.toml", "--out", "out"]);
        let message = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{message}");
        parts.iter().for_each(|part| assert!(message.contains(part), "no `{part}` in {message}"));
        assert!(!sandbox.path("out").exists());
    };
    let head = HEAD.replace("QUERIES", "100");
    let with = |more: &str| format!("{head}{more}");
    let arm = |stack: &str| with(&format!("{PATHS}[[defense]]\nname = \"a\"\nstack = [{stack}]\n"));
    refused(arm("{ kind = \"nasty\" }"), &["defense[0].stack[0]", "`nasty`", "network"]);
    refused(arm("{ kind = \"mad\", eps = 1.0 }"), &["defense[0].stack[0].surrogate", "`tree`"]);
    let gate = "{ kind = \"ood-gate\", score = \"energy\" }";
    refused(arm(gate), &["defense[0].stack[0]", "`ood-gate`", "network"]);
    let model = |text: &str| with(&PATHS.replace("{ kind = \"tree\" }", text));
    refused(model("{ kind = \"logistic\" }"), &["student[0].model.kind", "`logistic`", "`tree`"]);
    refused(model("{ kind = \"tree\", depth = 65 }"), &["student[0].model.depth", "65"]);
    let strategy = |text: &str| with(&PATHS.replace("{ kind = \"tree-paths\" }", text));
    refused(strategy("{ kind = \"jbda\" }"), &["student[0].model.kind", "gradients"]);
    let labels = head.replace("[budget]", "[api]\nreveal = \"label\"\n[budget]");
    refused(format!("{labels}{PATHS}"), &["student[0].strategy.kind", "`tree-paths`"]);
    let top = head.replace("[budget]", "[api]\nreveal = \"top-k\"\nk = 2\n[budget]");
    let random = PATHS.replace("tree-paths", "random");
    refused(format!("{top}{random}"), &["student[0].objective.completion", "`bucket`"]);
}
