//! The routes: Open Inference Protocol V2 under `/v2`, our own under `/retort/v1`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, FromRequest, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::refuse::Refusal;
use super::state::{App, PATIENCE};
use crate::ledger::Tick;
use crate::oracle::oip::{self, InferReply, InferRequest, ModelMetadata, Reading, TensorMetadata};
use crate::oracle::{AnswerKind, Outcome, Reply};

/// The one version of the model.
const VERSION: &str = "1";

type Answer = Result<Response, Refusal>;
type Params = Result<Path<BTreeMap<String, String>>, PathRejection>;

/// All routes over one state.
pub fn router(app: Arc<App>) -> Router {
    let limit = DefaultBodyLimit::max(app.body_limit);
    let mut router = Router::new()
        .route("/health", get(live))
        .route("/v2", get(server))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/retort/v1/ledger", get(ledger))
        .route("/retort/v1/clock", post(clock))
        .route("/retort/v1/{file}", get(file));
    for model in ["/v2/models/{model}", "/v2/models/{model}/versions/{version}"] {
        router = router
            .route(model, get(metadata))
            .route(&format!("{model}/ready"), get(model_ready))
            .route(&format!("{model}/infer"), post(infer));
    }
    router
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "no such path"))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
        .layer(limit)
        .layer(from_fn(local))
        .with_state(app)
}

/// Refuses requests that name another host: a page in a browser whose name was made to resolve to
/// this machine.
async fn local(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|h| h.to_str().unwrap_or("?"));
    let name = host.map(|h| match h.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => h,
    });
    let ok = name.is_none_or(|n| {
        n.eq_ignore_ascii_case("localhost")
            || n == "[::1]"
            || n.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
    });
    if ok { next.run(request).await } else { Refusal::forbidden("not this host").into_response() }
}

async fn live() -> Json<Value> {
    Json(json!({ "live": true }))
}

async fn ready(State(app): State<Arc<App>>) -> Answer {
    if app.ready() {
        return Ok(Json(json!({ "ready": true })).into_response());
    }
    Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is not ready"))
}

async fn server(State(app): State<Arc<App>>) -> Json<Value> {
    Json(json!({
        "name": "retort",
        "version": env!("CARGO_PKG_VERSION"),
        "extensions": ["binary_tensor_data"],
        "parameters": { "retort_model": app.model },
    }))
}

async fn model_ready(State(app): State<Arc<App>>, params: Params) -> Answer {
    known(&app, params)?;
    ready(State(app)).await
}

async fn metadata(State(app): State<Arc<App>>, params: Params) -> Answer {
    known(&app, params)?;
    let tensor = |name: &str, datatype: &str, shape: &[i64]| TensorMetadata {
        name: name.into(),
        datatype: datatype.into(),
        shape: shape.to_vec(),
    };
    let length = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    let (c, d) = (length(app.card.classes), length(app.card.inputs));
    let outputs = match app.card.answers {
        AnswerKind::Probs => vec![tensor("probs", "FP64", &[-1, c])],
        AnswerKind::Logits => vec![tensor("logits", "FP64", &[-1, c])],
        AnswerKind::Labels => vec![tensor("label", "INT64", &[-1])],
        AnswerKind::TopK { k } => vec![
            tensor("topk_ids", "INT64", &[-1, length(k)]),
            tensor("topk_probs", "FP64", &[-1, length(k)]),
        ],
    };
    let about = ModelMetadata {
        name: app.model.clone(),
        versions: vec![VERSION.into()],
        platform: "retort".into(),
        inputs: vec![tensor("input", "FP32", &[-1, d])],
        outputs,
        parameters: json!({ "retort_classes": c }).as_object().cloned(),
    };
    Ok(Json(about).into_response())
}

/// Refuses models and versions that are not here.
fn known(app: &App, params: Params) -> Result<(), Refusal> {
    let Ok(Path(params)) = params else { return Err(Refusal::bad("a path that is not UTF-8")) };
    if params.get("model") != Some(&app.model) {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "no such model"));
    }
    match params.get("version") {
        Some(version) if version != VERSION => {
            Err(Refusal::new(StatusCode::NOT_FOUND, "no such version of the model"))
        }
        _ => Ok(()),
    }
}

async fn infer(State(app): State<Arc<App>>, params: Params, request: Request) -> Answer {
    let account = app.keys.account(request.headers()).ok_or_else(Refusal::unauthorized)?;
    known(&app, params)?;
    let told = app.clock.told(request.headers())?;
    let busy = |_| Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "the server is busy");
    let permit = timeout(PATIENCE, app.permits.acquire()).await.map_err(busy)?;
    let asked = read(&app, request).await?;
    let rows = asked.rows(app.card.inputs).map_err(|e| Refusal::from_error(&e))?;
    let n = rows.nrows();
    let (at, reply) = Arc::clone(&app).ask(account, told, rows).await?;
    drop(permit);
    if reply.outcomes.len() != n {
        return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the server failed to answer"));
    }
    write(&app, &asked, at, &reply)
}

/// The request body, whatever its content type says.
async fn read(app: &App, request: Request) -> Result<InferRequest, Refusal> {
    let head = match request.headers().get(oip::HEADER_LENGTH) {
        None => None,
        Some(length) => {
            Some(length.to_str().ok().and_then(|l| l.parse().ok()).ok_or_else(|| {
                Refusal::bad(format!("{}: expected a length", oip::HEADER_LENGTH))
            })?)
        }
    };
    let large = || {
        let text = format!("the body is larger than {} bytes", app.body_limit);
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    };
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|l| l.to_str().ok());
    if length.and_then(|l| l.parse::<u64>().ok()).is_some_and(|l| l > app.body_limit as u64) {
        return Err(large());
    }
    let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "the request took too long to arrive");
    let body = timeout(PATIENCE, Bytes::from_request(request, &())).await.map_err(late)?;
    let body = body.map_err(|e| match e.status() {
        StatusCode::PAYLOAD_TOO_LARGE => large(),
        _ => Refusal::bad("the body broke off"),
    })?;
    let asked = InferRequest::from_bytes(&body, head).map_err(|e| Refusal::from_error(&e))?;
    let reading = Reading::of(app.card);
    match asked.outputs.iter().find(|o| !reading.names().any(|n| n == o.name)) {
        Some(_) => {
            let names: Vec<&str> = reading.names().collect();
            Err(Refusal::bad(format!("outputs: expected only {}", names.join(", "))))
        }
        None => Ok(asked),
    }
}

fn write(app: &App, asked: &InferRequest, at: Tick, reply: &Reply) -> Answer {
    if oip::all_denied(&reply.outcomes) {
        return Err(Refusal::denied(&reply.outcomes, at));
    }
    let mut outputs = oip::tensors(&reply.answers);
    if !asked.outputs.is_empty() {
        outputs.retain(|t| asked.outputs.iter().any(|o| o.name == t.name));
    }
    let refused = reply.outcomes.iter().any(|o| matches!(o, Outcome::Denied(_)));
    let parameters = refused.then(|| {
        let told = json!({ oip::OUTCOMES: oip::outcomes_to(&reply.outcomes), oip::AT: at.0 });
        told.as_object().cloned().unwrap_or_default()
    });
    let reply = InferReply {
        model_name: app.model.clone(),
        model_version: Some(VERSION.into()),
        id: asked.id.clone(),
        parameters,
        outputs,
    };
    let written = reply.to_bytes(|name| asked.wants_binary(name));
    let (body, head) = written.map_err(|e| Refusal::from_error(&e))?;
    let kind = if head.is_some() { "application/octet-stream" } else { "application/json" };
    let mut response = ([(header::CONTENT_TYPE, kind)], body).into_response();
    if let Some(length) = head {
        response.headers_mut().insert(oip::HEADER_LENGTH, length.into());
    }
    Ok(response)
}

async fn ledger(State(app): State<Arc<App>>, headers: HeaderMap) -> Answer {
    let account = app.keys.account(&headers).ok_or_else(Refusal::unauthorized)?;
    Ok(Json(json!({ "account": account, "rows": app.counters(account) })).into_response())
}

/// Time is told with each request to a run's own server, and to no other.
async fn clock() -> Refusal {
    Refusal::forbidden("this server's clock cannot be set")
}

async fn file(State(app): State<Arc<App>>, headers: HeaderMap, params: Params) -> Answer {
    app.keys.account(&headers).ok_or_else(Refusal::unauthorized)?;
    let name = params.ok().and_then(|Path(mut p)| p.remove("file")).unwrap_or_default();
    let bytes = app.files.get(name.strip_suffix(".npy").unwrap_or(&name)).cloned();
    let bytes = bytes.ok_or_else(|| Refusal::new(StatusCode::NOT_FOUND, "no such file"))?;
    Ok(([(header::CONTENT_TYPE, "application/octet-stream")], bytes).into_response())
}
