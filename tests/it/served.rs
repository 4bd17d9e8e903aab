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

/// An NPY file of `[1797, 10]` probabilities that favour class (row + shift) mod 10.
fn answers(shift: usize) -> Vec<u8> {
    let mut header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1797, 10), }".to_string();
    header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
    header.push('\n');
    let length = u16::try_from(header.len()).expect("a short header").to_le_bytes();
    let mut file = [b"\x93NUMPY\x01\x00".as_slice(), &length, header.as_bytes()].concat();
    for i in 0..17_970 {
        let p: f64 = if i % 10 == (i / 10 + shift) % 10 { 0.91 } else { 0.01 };
        file.extend(p.to_le_bytes());
    }
    file
}

#[test]
fn a_table_of_answers_is_a_teacher_and_another_file_makes_other_cells() {
    let sandbox = Sandbox::new("answers");
    let config = TINY
        .replace("[teacher]\n", "[teacher]\nkind = \"answers\"\npath = \"answers.npy\"\n")
        .replace("training = { steps = 200 }\n", "");
    sandbox.write("tiny.toml", &config);
    std::fs::write(sandbox.path("answers.npy"), answers(0)).expect("written");
    let run = sandbox.retort(&["run", "tiny.toml", "--out", "r", "-q"]);
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert!(records(&sandbox, "r").iter().all(|r| r.get("agreement_uniform").is_none()));

    std::fs::write(sandbox.path("answers.npy"), answers(1)).expect("written");
    let other = sandbox.retort(&["run", "tiny.toml", "--out", "r", "-q"]);
    assert_eq!(other.status.code(), Some(2), "old records stood for another teacher");
    assert!(text(&other.stderr).contains("another sweep"), "{}", text(&other.stderr));

    let made =
        config.replacen("name = \"soft\"", "name = \"soft\"\nstrategy = { kind = \"jbda\" }", 1);
    sandbox.write("made.toml", &made);
    let refused = sandbox.retort(&["run", "made.toml", "--out", "m"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("student[0]"), "{}", text(&refused.stderr));
    assert!(!sandbox.path("m").exists());
}
