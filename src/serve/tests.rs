use std::io::{Read, Write};
use std::net::TcpStream;

use ndarray::{Array2, Axis};

use super::*;
use crate::gateway::Gateway;
use crate::ledger::{Denial, Tick};
use crate::oracle::http::HttpOracle;
use crate::oracle::{AnswerKind, Answers, Batch, Card, Oracle, Outcome, Reply, TopK};
use crate::seed::{Seed, below, uniform};

/// Answers by arithmetic. Each account has a budget; first features below 0 choose a refusal.
struct Fake {
    kind: AnswerKind,
    left: Vec<u64>,
}

const CLASSES: usize = 3;

impl Fake {
    fn boxed(kind: AnswerKind) -> Box<dyn Door> {
        Box::new(Self { kind, left: vec![5, 40, 1_000_000] })
    }

    fn outcome(&mut self, account: AccountId, at: Tick, first: f32) -> Option<Denial> {
        let left = &mut self.left[account.0 as usize];
        match first {
            x if x < -2.0 => Some(Denial::WorkRequired { bits: 9 }),
            x if x < -1.5 => Some(Denial::Blocked { by: "fake" }),
            x if x < -1.0 => Some(Denial::Throttled { retry_at: at.after(1_234_567) }),
            _ if *left == 0 => Some(Denial::OverBudget { left: 0 }),
            _ => {
                *left -= 1;
                None
            }
        }
    }
}

impl Door for Fake {
    fn card(&self) -> Card {
        Card { inputs: 2, classes: CLASSES, answers: self.kind }
    }

    fn ask(&mut self, batch: &Batch) -> Result<Reply> {
        let (mut outcomes, mut kept) = (Vec::new(), Vec::new());
        for (i, row) in batch.inputs.rows().into_iter().enumerate() {
            match self.outcome(batch.account[i], batch.at[i], row[0]) {
                Some(denial) => outcomes.push(Outcome::Denied(denial)),
                None => {
                    outcomes.push(Outcome::Answered(kept.len()));
                    kept.push(i);
                }
            }
        }
        let x = batch.inputs.select(Axis(0), &kept).mapv(f64::from);
        let scores = Array2::from_shape_fn((kept.len(), CLASSES), |(i, c)| {
            libm::exp(x[(i, 0)] * c as f64 - x[(i, 1)] / 3.0)
        });
        let probs = &scores / &scores.sum_axis(Axis(1)).insert_axis(Axis(1));
        let answers = match self.kind {
            AnswerKind::Probs => Answers::Probs(probs),
            AnswerKind::Logits => Answers::Logits(scores.mapv(libm::log)),
            AnswerKind::Labels => Answers::Labels(Answers::Probs(probs).top1()),
            AnswerKind::TopK { k } => Answers::TopK(TopK {
                classes: CLASSES,
                ids: Array2::from_shape_fn((kept.len(), k), |(_, j)| CLASSES - 1 - j),
                probs: probs.slice_axis(Axis(1), ndarray::Slice::from(0..k)).to_owned(),
            }),
        };
        Ok(Reply { outcomes, answers })
    }

    fn close(self: Box<Self>) -> Result<Gateway> {
        Err(Error::Internal("a fake has no gateway".into()))
    }
}

/// A batch of runs of rows; accounts 0 to 2, times rising, features of all sizes.
fn batch(seed: u64, n: usize) -> Batch {
    let mut rng = Seed::new(seed).rng();
    let mut account = vec![AccountId(0); n];
    let mut at = vec![Tick::ZERO; n];
    for i in 1..n {
        let stay = uniform(&mut rng) < 0.7;
        let next = below(&mut rng, 3) as u32;
        account[i] = if stay { account[i - 1] } else { AccountId(next) };
        at[i] = if stay { at[i - 1] } else { at[i - 1].after(below(&mut rng, 1000) as u64) };
    }
    let inputs = Array2::from_shape_fn((n, 2), |_| (uniform(&mut rng) * 6.0 - 2.2) as f32);
    Batch {
        inputs,
        ..Batch { account, at, ..Batch::classify(AccountId(0), Tick::ZERO, Array2::zeros((n, 2))) }
    }
}

fn start(kind: AnswerKind, clock: Clock) -> Running {
    Server::start(Fake::boxed(kind), options(clock)).unwrap()
}

fn options(clock: Clock) -> Options {
    Options {
        addr: ([127, 0, 0, 1], 0).into(),
        keys: vec![("alpha".into(), AccountId(0)), ("omega".into(), AccountId(2))],
        clock,
        model_name: "teacher".into(),
        files: BTreeMap::from([("pool".to_string(), b"\x93NUMPY".to_vec())]),
        body_limit: 4096,
    }
}

/// Sends bytes as they are and gives status, head and body back.
fn raw(addr: SocketAddr, request: &[u8]) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(request).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    (head[9..12].parse().unwrap(), head.to_lowercase(), all[end + 4..].to_vec())
}

fn call(addr: SocketAddr, line: &str, headers: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let length = body.len();
    let head = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    raw(addr, &[head.as_bytes(), body].concat())
}

fn input(shape: &str, data: &str) -> String {
    let kind = r#""name":"x","datatype":"FP32""#;
    format!(r#"{{"id":"7","inputs":[{{{kind},"shape":{shape},"data":{data}}}]}}"#)
}

const INFER: &str = "POST /v2/models/teacher/infer";
const OMEGA: &str = "x-api-key: omega\r\n";

#[test]
fn a_door_behind_http_gives_the_identical_reply() {
    for kind in [
        AnswerKind::Probs,
        AnswerKind::Logits,
        AnswerKind::Labels,
        AnswerKind::TopK { k: 2 },
        AnswerKind::TopK { k: 1 },
    ] {
        let mut direct = Fake::boxed(kind);
        let mut socket = open_http_door(Fake::boxed(kind), 3).unwrap();
        assert_eq!(socket.card(), direct.card());
        for n in [1, 0, 30, 200] {
            let asked = batch(n as u64, n);
            assert_eq!(socket.ask(&asked).unwrap(), direct.ask(&asked).unwrap(), "{kind:?} {n}");
        }
        let spent = Batch::classify(AccountId(0), Tick::days(9.0), Array2::zeros((4, 2)));
        let reply = socket.ask(&spent).unwrap();
        assert_eq!(reply, direct.ask(&spent).unwrap());
        assert_eq!(reply.outcomes, [Outcome::Denied(Denial::OverBudget { left: 0 }); 4]);
        assert!(matches!(socket.close(), Err(Error::Internal(t)) if t.contains("fake")));
    }
}

#[test]
fn a_door_behind_http_refuses_what_it_cannot_send() {
    let mut door = open_http_door(Fake::boxed(AnswerKind::Probs), 2).unwrap();
    let ask = |a, x| Batch::classify(AccountId(a), Tick::ZERO, x);
    assert!(matches!(door.ask(&ask(2, Array2::zeros((1, 2)))), Err(Error::Input { .. })));
    assert!(matches!(door.ask(&ask(0, Array2::zeros((1, 3)))), Err(Error::Shape { .. })));
    let nan = Array2::from_elem((1, 2), f32::NAN);
    assert!(matches!(door.ask(&ask(0, nan)), Err(Error::Remote { .. })));
    assert!(open_http_door(Fake::boxed(AnswerKind::Probs), 0).is_err());
}

#[test]
fn bad_requests_get_their_status_and_a_reason() {
    let running = start(AnswerKind::Probs, Clock::Real);
    let good = input("[1,2]", "[0.5,0.5]");
    let large = "9".repeat(5000);
    let late = format!("{OMEGA}x-retort-at: 5\r\n");
    let long_head = format!("{OMEGA}inference-header-content-length: 9999\r\n");
    let odd_head = format!("{OMEGA}inference-header-content-length: -1\r\n");
    let only_unknown =
        good.replace("\"inputs\"", "\"outputs\":[{\"name\":\"weights\"}],\"inputs\"");
    let table: Vec<(u16, &str, &str, &[u8])> = vec![
        (400, INFER, OMEGA, b""),
        (400, INFER, OMEGA, b"{"),
        (400, INFER, OMEGA, b"[]"),
        (400, INFER, OMEGA, b"null"),
        (400, INFER, OMEGA, b"{\"inputs\":null}"),
        (400, INFER, OMEGA, b"{\"inputs\":[{},{}]}"),
        (400, INFER, OMEGA, b"\xff\x00\xfe garbage"),
        (400, INFER, OMEGA, only_unknown.as_bytes()),
        (400, INFER, &long_head, good.as_bytes()),
        (400, INFER, &odd_head, good.as_bytes()),
        (401, INFER, "", good.as_bytes()),
        (401, INFER, "x-api-key: other\r\n", good.as_bytes()),
        (401, INFER, "authorization: Bearer \r\n", good.as_bytes()),
        (401, INFER, "authorization: Basic omega\r\n", good.as_bytes()),
        (401, "GET /retort/v1/ledger", "", b""),
        (401, "GET /retort/v1/pool", "", b""),
        (403, INFER, &late, good.as_bytes()),
        (403, "POST /retort/v1/clock", OMEGA, b"{\"at\":1}"),
        (404, "POST /v2/models/other/infer", OMEGA, good.as_bytes()),
        (404, "POST /v2/models/teacher/versions/2/infer", OMEGA, good.as_bytes()),
        (404, "GET /retort/v1/weights", OMEGA, b""),
        (404, "GET /retort/v1/..%2f..%2fetc%2fpasswd", OMEGA, b""),
        (404, "GET /elsewhere", "", b""),
        (400, "GET /v2/models/%ff", "", b""),
        (405, "GET /v2/models/teacher/infer", OMEGA, b""),
        (405, "DELETE /v2", "", b""),
        (413, INFER, OMEGA, large.as_bytes()),
    ];
    for (status, line, headers, body) in table {
        let (found, _, text) = call(running.addr(), line, headers, body);
        assert_eq!(found, status, "{line} {headers:?}");
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert!(json["error"].as_str().is_some_and(|e| !e.is_empty()), "{line}: {json}");
    }
    for body in [
        input("[1,3]", "[1,2,3]"),
        input("[2,2]", "[1,2,3]"),
        input("[1,2]", "[1,NaN]"),
        input("[1,2]", "[1,null]"),
        input("[1,2]", "[1,1e400]"),
        input("[0,2]", "[]"),
    ] {
        let (status, _, text) = call(running.addr(), INFER, OMEGA, body.as_bytes());
        let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert!(status == 400 && json["error"].is_string(), "{body}: {status} {json}");
    }
    let chunked = format!(
        "{INFER} HTTP/1.1\r\nHost: localhost\r\n{OMEGA}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n{large}\r\n0\r\n\r\n"
    );
    assert_eq!(raw(running.addr(), chunked.as_bytes()).0, 413);
    let rebound = "GET /v2 HTTP/1.1\r\nHost: evil.example:80\r\nConnection: close\r\n\r\n";
    assert_eq!(raw(running.addr(), rebound.as_bytes()).0, 403);
    assert_eq!(call(running.addr(), INFER, OMEGA, good.as_bytes()).0, 200);
}

#[test]
fn refusals_say_when_to_come_back() {
    let running = start(AnswerKind::Probs, Clock::Real);
    let ask = |headers: &str, first: &str| {
        call(running.addr(), INFER, headers, input("[1,2]", &format!("[{first},0]")).as_bytes())
    };
    let (status, head, body) = ask(OMEGA, "-1.2");
    assert!(status == 429 && head.contains("retry-after: 2\r\n"), "{head}");
    assert!(head.contains("retry-after-ms: 1235\r\n"), "{head}");
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(json["retort_outcomes"][0]["denied"], "throttled");
    let (status, _, body) = ask(OMEGA, "-1.7");
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let by = serde_json::json!([{"denied": "blocked", "by": "fake"}]);
    assert_eq!((status, &json["retort_outcomes"]), (403, &by));
    // A header that names another client changes nothing: the key is the identity.
    for i in 0..5 {
        let headers = format!("Authorization: bearer alpha\r\nX-Forwarded-For: 10.0.0.{i}\r\n");
        assert_eq!(ask(&headers, "1").0, 200);
    }
    let (status, head, _) = ask("x-api-key: alpha\r\nX-Forwarded-For: 9.9.9.9\r\n", "1");
    assert!(status == 429 && head.contains("x-should-retry: false"), "{head}");
    let (_, _, body) = call(running.addr(), "GET /retort/v1/ledger", "x-api-key: alpha\r\n", b"");
    let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let rows = serde_json::json!({"attempted": 6, "answered": 5, "denied": {"over-budget": 1}});
    assert_eq!(json["rows"], rows);
}

#[test]
fn the_open_paths_need_no_key() {
    let running = start(AnswerKind::TopK { k: 2 }, Clock::Real);
    for path in [
        "/health",
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/teacher",
        "/v2/models/teacher/ready",
        "/v2/models/teacher/versions/1",
        "/v2/models/teacher/versions/1/ready",
    ] {
        assert_eq!(call(running.addr(), &format!("GET {path}"), "", b"").0, 200, "{path}");
    }
    let (status, _, body) = call(running.addr(), "GET /retort/v1/pool.npy", OMEGA, b"");
    assert_eq!((status, &body[..]), (200, &b"\x93NUMPY"[..]));
}

#[test]
fn virtual_time_needs_the_token() {
    let running = start(AnswerKind::Probs, Clock::Virtual { token: "tick".into() });
    let body = input("[1,2]", "[-1.2,0]");
    for (status, headers) in [
        (403, "x-retort-at: 5\r\n"),
        (403, "x-retort-at: 5\r\nx-retort-clock: tock\r\n"),
        (400, "x-retort-clock: tick\r\n"),
        (400, "x-retort-clock: tick\r\nx-retort-at: -5\r\n"),
    ] {
        let found = call(running.addr(), INFER, &format!("{OMEGA}{headers}"), body.as_bytes());
        assert_eq!(found.0, status, "{headers:?}");
    }
    let headers = format!("{OMEGA}x-retort-clock: tick\r\nx-retort-at: 5\r\n");
    let (status, _, text) = call(running.addr(), INFER, &headers, body.as_bytes());
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((status, &json["retort_outcomes"][0]["retry_at_us"]), (429, &1_234_572.into()));
}

#[test]
fn a_stopped_server_gives_its_door_back_as_it_was_left() {
    let running = start(AnswerKind::Probs, Clock::Real);
    let body = input("[6,2]", "[1,1,1,1,1,1,1,1,1,1,1,1]");
    let (status, _, text) = call(running.addr(), INFER, "x-api-key: alpha\r\n", body.as_bytes());
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!((status, &json["id"]), (200, &"7".into()));
    assert_eq!(json["outputs"][0]["shape"], serde_json::json!([5, 3]));
    assert_eq!(json["parameters"]["retort_outcomes"][5]["left"], 0);
    let addr = running.addr();
    let idle = TcpStream::connect(addr).unwrap(); // an open connection does not hold the stop up
    let mut door = running.stop().unwrap();
    drop(idle);
    assert!(TcpStream::connect(addr).is_err());
    let again = Batch::classify(AccountId(0), Tick::ZERO, Array2::zeros((1, 2)));
    assert!(matches!(door.ask(&again).unwrap().outcomes[0], Outcome::Denied(_)));
}

#[test]
fn only_loopback_and_usable_keys_are_served() {
    for addr in ["0.0.0.0:0", "10.1.2.3:0", "[::]:0", "[::ffff:127.0.0.1]:0"] {
        let asked = Options { addr: addr.parse().unwrap(), ..options(Clock::Real) };
        let refused = Server::start(Fake::boxed(AnswerKind::Probs), asked).err().unwrap();
        assert!(matches!(refused, Error::Config(c) if c.key == "serve.host"), "{addr}");
    }
    for keys in [vec![""], vec!["a", "a"], vec!["a b"]] {
        let keys = keys.into_iter().map(|k| (k.to_string(), AccountId(0))).collect();
        let asked = Options { keys, ..options(Clock::Real) };
        assert!(Server::start(Fake::boxed(AnswerKind::Probs), asked).is_err());
    }
}

#[test]
fn a_panic_in_the_door_is_an_error_and_ends_the_service() {
    let mut asked = options(Clock::Real);
    asked.keys.push(("nobody".into(), AccountId(99))); // the fake knows three accounts
    let running = Server::start(Fake::boxed(AnswerKind::Probs), asked).unwrap();
    let body = input("[1,2]", "[1,1]");
    let ask = |key: &str| call(running.addr(), INFER, key, body.as_bytes()).0;
    assert_eq!(ask("x-api-key: nobody\r\n"), 500);
    assert_eq!(ask(OMEGA), 503);
    assert_eq!(call(running.addr(), "GET /v2/health/ready", "", b"").0, 503);
    assert!(running.stop().is_err());
}

#[test]
fn the_client_reads_our_own_server_exactly() {
    for kind in
        [AnswerKind::Probs, AnswerKind::Logits, AnswerKind::Labels, AnswerKind::TopK { k: 2 }]
    {
        let mut asked = options(Clock::Real);
        asked.body_limit = BODY_LIMIT;
        let running = Server::start(Fake::boxed(kind), asked).unwrap();
        let url = format!("http://localhost:{}", running.addr().port());
        let mut oracle = HttpOracle::connect(&url, None, Some("omega".into())).unwrap();
        let mut direct = Fake::boxed(kind);
        assert_eq!(oracle.card(), direct.card());
        let mut rows = batch(5, 1500).inputs.mapv(|x| x.max(-1.0));
        rows[(1100, 0)] = -1.6;
        let asked = Batch::classify(AccountId(2), Tick::ZERO, rows);
        assert_eq!(oracle.answer(&asked).unwrap(), direct.ask(&asked).unwrap(), "{kind:?}");
        let mut strange =
            HttpOracle::connect(&url, Some("teacher"), Some("secret".into())).unwrap();
        let refused = strange.answer(&asked).unwrap_err();
        assert!(matches!(&refused, Error::Remote { found, .. } if found.contains("401")));
        assert!(!refused.to_string().contains("secret"));
    }
}
