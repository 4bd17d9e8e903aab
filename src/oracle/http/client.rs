//! One blocking HTTP connection to this machine: no proxy, no redirects, bounded in time and size.

use std::time::Duration;

use ureq::Agent;

use super::url::loopback;
use crate::error::{Error, Result};
use crate::oracle::oip;

/// Largest response body, in bytes.
const LARGEST: u64 = 256 << 20;

/// A client of one server. It keeps its connection open between calls.
pub struct Client {
    agent: Agent,
    base: String,
}

/// What came back, whatever the status.
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    /// A client of the first address that `url` stands for and that takes connections. Nothing is
    /// connected unless the address is on this machine.
    pub fn connect(url: &str, patience: Duration) -> Result<Self> {
        let agent: Agent = Agent::config_builder()
            .proxy(None) // a proxy from the environment must not see requests to this machine
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_connect(Some(Duration::from_secs(5)))
            .timeout_global(Some(patience))
            .user_agent(concat!("retort/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        let mut failure = None;
        for base in loopback(url)? {
            let client = Self { agent: agent.clone(), base };
            match client.get("/v2/health/live", &[]) {
                Ok(_) => return Ok(client),
                Err(e) => failure = failure.or(Some(e)),
            }
        }
        Err(failure.unwrap_or_else(|| Error::Internal("an address without hosts".into())))
    }

    /// The address of a path, for messages.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// GET.
    pub fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
        let mut request = self.agent.get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.finish(path, request.call())
    }

    /// POST.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Response> {
        let mut request = self.agent.post(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.finish(path, request.send(body))
    }

    /// A remote error about a path.
    pub fn wrong(&self, path: &str, found: impl ToString, expected: &str) -> Error {
        Error::Remote { url: self.url(path), found: found.to_string(), expected: expected.into() }
    }

    fn finish(
        &self,
        path: &str,
        result: std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Response> {
        let lost = |e: ureq::Error| self.wrong(path, e, "a complete answer in time");
        let mut response = result.map_err(lost)?;
        let headers = response.headers().iter();
        let headers =
            headers.filter_map(|(n, v)| Some((n.as_str().into(), v.to_str().ok()?.into())));
        let headers = headers.collect();
        let body = response.body_mut().with_config().limit(LARGEST).read_to_vec().map_err(lost)?;
        Ok(Response { status: response.status().as_u16(), headers, body })
    }
}

impl Response {
    /// A header by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The length of the JSON part, if binary tensors follow it.
    pub fn head(&self) -> Option<usize> {
        self.header(oip::HEADER_LENGTH)?.parse().ok()
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The status and what the server says about it, shortened.
    pub fn complaint(&self) -> String {
        let json = self.json();
        let error = &json["error"];
        let text =
            error.as_str().or_else(|| error["message"].as_str()).unwrap_or("no reason given");
        let text: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
        format!("status {}, {text:?}", self.status)
    }
}
