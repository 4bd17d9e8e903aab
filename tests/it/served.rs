//! The same experiment through a socket, and a student from outside.

use super::{Sandbox, TINY, text};
use retort::experiment::record::{Record, Role};

fn records(sandbox: &Sandbox, dir: &str) -> Vec<Record> {
    retort::experiment::folder::read_records(&sandbox.path(dir)).expect("records")
}

#[test]
fn a_run_through_a_socket_equals_the_run_in_process() {
    let sandbox = Sandbox::new("socket");
    let config = TINY
        .replace("queries = [20, 40]", "queries = [30]\ndays = 2")
        .replace("[{ kind = \"round\", digits = 1 }]", "[{ kind = \"rate-limit\", queries = 12, per = \"day\", burst = 8 }, { kind = \"round\", digits = 1 }]");
    sandbox.write("tiny.toml", &config);
    for (out, transport) in [("near", "in-process"), ("far", "http")] {
        let transport = format!("transport={transport}");
        let run = sandbox.retort(&["run", "tiny.toml", &transport, "--out", out, "-q"]);
        assert!(run.status.success(), "{}", text(&run.stderr));
    }
    let (near, far) = (records(&sandbox, "near"), records(&sandbox, "far"));
    assert_eq!(near.len(), far.len());
    let mut students = 0;
    for (a, b) in near.iter().zip(&far) {
        assert_eq!(
            (&a.scores, &a.right, a.stop),
            (&b.scores, &b.right, b.stop),
            "{} {} {}",
            a.arm,
            a.student,
            a.seed
        );
        assert_eq!((&a.accounts, &a.stages), (&b.accounts, &b.stages));
        students += usize::from(a.role == Role::Student);
    }
    assert!(students >= 10);
    let limited = near
        .iter()
        .find(|r| r.role == Role::Student && r.arm == "round-1")
        .expect("a limited cell");
    assert!(limited.get("queries_spent").is_some_and(|q| q < 33.0), "the limit binds");
}
