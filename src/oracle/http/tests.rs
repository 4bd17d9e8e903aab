#![allow(clippy::disallowed_methods, reason = "this test measures a real wait")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread::JoinHandle;

use ndarray::Array2;

use super::*;
use crate::oracle::{AccountId, Answers};

/// A server that gives these replies, one a connection, and returns what it was sent.
fn canned(replies: Vec<String>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serve = move || {
        let mut asked = Vec::new();
        for reply in replies {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !complete(&request) {
                let mut buffer = [0; 65536];
                let n = stream.read(&mut buffer).unwrap();
                assert!(n > 0, "the client left");
                request.extend_from_slice(&buffer[..n]);
            }
            stream.write_all(reply.as_bytes()).unwrap();
            asked.push(String::from_utf8(request).unwrap());
        }
        asked
    };
    (url, std::thread::spawn(serve))
}

fn complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some(end) = text.find("\r\n\r\n") else { return false };
    let length = text.split("content-length: ").nth(1).and_then(|t| t.lines().next());
    text.len() >= end + 4 + length.map_or(0, |l| l.parse::<usize>().unwrap())
}

fn reply(status: u16, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}"
    )
}

fn about(output: &str, shape: &str) -> String {
    let input = r#"{"name":"pixels","datatype":"FP32","shape":[-1,1,2,2]}"#;
    let output = format!(r#"{{"name":"{output}","datatype":"FP32","shape":{shape}}}"#);
    reply(200, "", &format!(r#"{{"name":"m","inputs":[{input}],"outputs":[{output}]}}"#))
}

fn answer(output: &str, data: &str) -> String {
    let tensor = format!(r#"{{"name":"{output}","datatype":"FP32","shape":[1,2],"data":{data}}}"#);
    reply(200, "", &format!(r#"{{"model_name":"m","outputs":[{tensor}]}}"#))
}

fn one_row() -> Batch {
    Batch::classify(AccountId(0), Tick(10), Array2::from_elem((1, 4), 0.1))
}

#[test]
fn a_throttled_request_waits_as_told_and_is_sent_again() {
    let (url, server) = canned(vec![
        reply(200, "", "{}"),
        about("probs", "[-1,2]"),
        reply(429, "retry-after: 9\r\nretry-after-ms: 120\r\n", "{}"),
        reply(429, "retry-after: 0.08\r\n", "{}"),
        answer("probs", "[[0.25,0.75]]"),
    ]);
    let mut oracle = HttpOracle::connect(&url, Some("m"), Some("word".into())).unwrap();
    let start = std::time::Instant::now();
    let answered = oracle.answer(&one_row()).unwrap();
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert_eq!(answered, Reply::all(Answers::Probs(ndarray::array![[0.25, 0.75]])));
    let asked = server.join().unwrap();
    assert!(asked[4].contains(r#""shape":[1,1,2,2]"#), "{}", asked[4]);
    assert!(asked[4].to_lowercase().contains("authorization: bearer word"));
}

#[test]
fn what_stays_refused_is_an_outcome() {
    let throttled = || reply(429, "retry-after-ms: 5\r\n", r#"{"error":"slow down"}"#);
    let (url, server) = canned(vec![
        reply(200, "", "{}"),
        about("probs", "[-1,2]"),
        throttled(),
        throttled(),
        throttled(),
        reply(429, "retry-after: 5000\r\n", "{}"),
        reply(429, "x-should-retry: false\r\n", "{}"),
        reply(403, "", r#"{"error":"no"}"#),
        reply(503, "", r#"{"error":"word is wrong"}"#),
        reply(302, "location: http://127.0.0.1:1/\r\n", ""),
        answer("probs", "[0.25]"),
        answer("other", "[0.25,0.75]"),
        reply(200, "", "[[["),
    ]);
    let mut oracle = HttpOracle::connect(&url, Some("m"), Some("word".into())).unwrap();
    let mut outcome = || oracle.answer(&one_row()).map(|r| r.outcomes[0]);
    let at = |us| Outcome::Denied(Denial::Throttled { retry_at: Tick(us) });
    assert_eq!(outcome().unwrap(), at(5_010));
    assert_eq!(outcome().unwrap(), at(5_000_000_010));
    assert_eq!(outcome().unwrap(), Outcome::Denied(Denial::OverBudget { left: 0 }));
    for status in ["403", "503", "302"] {
        let error = outcome().unwrap_err();
        assert!(matches!(&error, Error::Remote { found, .. } if found.contains(status)));
        assert!(!error.to_string().contains("word"), "{error}");
    }
    for _ in 0..3 {
        assert!(outcome().is_err());
    }
    server.join().unwrap();
}

#[test]
fn an_output_of_unknown_name_is_looked_at_once() {
    for (data, kind) in [("[0.5,0.5]", AnswerKind::Probs), ("[2,-1]", AnswerKind::Logits)] {
        let (url, server) =
            canned(vec![reply(404, "", ""), about("out0", "[-1,-1]"), answer("out0", data)]);
        let oracle = HttpOracle::connect(&url, Some("m"), None).unwrap();
        assert_eq!(oracle.card(), Card { inputs: 4, classes: 2, answers: kind });
        server.join().unwrap();
    }
}

#[test]
fn strange_servers_are_errors() {
    for replies in [
        vec![reply(200, "", "{}"), reply(200, "", "nonsense")],
        vec![reply(200, "", "{}"), reply(404, "", "")],
        vec![reply(200, "", "{}"), reply(200, "", "{}")],
        vec![reply(200, "", "{}"), about("probs", "[-1,1]")],
        vec!["HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\nshort".into()],
        vec!["garbage".into()],
    ] {
        let (url, server) = canned(replies);
        assert!(HttpOracle::connect(&url, Some("m"), None).is_err());
        server.join().unwrap();
    }
    for (url, model) in [("http://example.com", "m"), ("http://127.0.0.1:1@evil/", "m")] {
        let refused = HttpOracle::connect(url, Some(model), None).err().unwrap();
        assert!(matches!(refused, Error::Config(c) if c.key == "teacher.url"));
    }
}
