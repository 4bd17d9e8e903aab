//! One-vs-rest regressions: a teacher of that kind, who learns it, who solves for it, and what cannot be made of it.

use retort::experiment::record::Role;

use super::{Sandbox, text};

const HEAD: &str = r#"
name = "one-vs-rest"
seeds = 1
[teacher]
model = { kind = "one-vs-rest" }
[teacher.training]
steps = 200
[split]
teacher = 500
pool = 150
public = 50
traffic = 0
test = 200
[budget]
queries = [80]
[traffic]
accounts = 0
[training]
steps = 400
[measure]
uniform-rows = 500
boundary-rows = 100
"#;

const STUDENT: &str = r#"
[[student]]
name = "STRATEGY"
strategy = { kind = "STRATEGY" }
model = { kind = "one-vs-rest" }
"#;

#[test]
fn regressions_are_stolen_by_equations_and_learnt_by_others() {
    let sandbox = Sandbox::new("one-vs-rest");
    let student = |strategy: &str| STUDENT.replace("STRATEGY", strategy);
    // 10 classes of 65 unknowns, nine equations an answer: 73 answers tell all.
    let config = format!("{HEAD}{}{}", student("equations"), student("random"));
    let found = sandbox.run(&config);
    let of = |name: &str| found.iter().find(|r| r.student == name).expect("a record");
    for metric in ["agreement", "agreement_uniform", "agreement_boundary"] {
        assert_eq!(of("equations").get(metric), Some(1.0), "{metric}");
    }
    assert_eq!(of("equations").get("transfer_asr"), None);
    let learnt = of("random").get("agreement").expect("agreement");
    assert!((0.3..1.0).contains(&learnt), "{learnt}");
    let teacher = found.iter().find(|r| r.role == Role::Teacher).expect("a teacher");
    assert!(teacher.get("accuracy").expect("accuracy") > 0.7);
}

#[test]
fn what_needs_a_network_is_refused_by_its_key_and_nothing_is_written() {
    for (defense, parts) in [
        ("{ kind = \"nasty\" }", ["defense[0].stack[0]", "`one-vs-rest`"]),
        ("{ kind = \"mad\", eps = 1.0 }", ["defense[0].stack[0].surrogate", "`one-vs-rest`"]),
    ] {
        let sandbox = Sandbox::new("one-vs-rest-refused");
        let student = STUDENT.replace("STRATEGY", "random");
        let arm = format!("[[defense]]\nname = \"a\"\nstack = [{defense}]\n");
        sandbox.write("bad.toml", &format!("{HEAD}{student}{arm}"));
        let out = sandbox.retort(&["run", "bad.toml", "--out", "out"]);
        let message = text(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{message}");
        parts.iter().for_each(|part| assert!(message.contains(part), "no `{part}` in {message}"));
        assert!(!sandbox.path("out").exists());
    }
}
