//! The client of a server elsewhere: `/v1` at its public address, with an API key.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{Method, header};
use serde_json::Value;
use url::Url;

use super::request::Request;
use super::socket::refusal;
use crate::crypto::Secret;
use crate::env::{Outbound, Request as Outgoing};
use crate::error::{Error, Result, codes};
use crate::http::{Fetch, OutboundRules, SystemDns};

/// An answer is waited for so long; the feed waits 20 seconds by itself.
const PATIENCE: Duration = Duration::from_secs(60);
/// An answer is read up to here.
const ANSWER: usize = 16 << 20;

/// A server elsewhere.
#[derive(Clone)]
pub struct Remote {
    base: Url,
    key: Arc<Secret>,
    fetch: Fetch,
}

impl Remote {
    /// The server at that address. Who names it means it, so that it may have a private address; nothing else is ever
    /// called. Errors: `invalid_input` for what is no address, or for plain http to another machine: the key would be
    /// read on the way.
    pub fn at(address: &str, key: &str, authorities: &[impl AsRef<std::path::Path>]) -> Result<Self> {
        let wrong = |why: &str| {
            Error::says(&codes::INVALID_INPUT, format!("`{address}` is not the address of a server: {why}."))
                .help("It is the public URL of authd, like `https://id.example.com`.")
        };
        let mut base = Url::parse(address.trim()).map_err(|_| wrong("it is no URL"))?;
        let host = base.host_str().ok_or_else(|| wrong("it has no host"))?.to_owned();
        let loopback = host == "localhost"
            || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if base.scheme() != "https" && !(base.scheme() == "http" && loopback) {
            return Err(wrong("plain http is for this machine alone"));
        }
        let port = base.port_or_known_default().ok_or_else(|| wrong("it has no port"))?;
        base.set_query(None);
        base.set_fragment(None);
        let rules = OutboundRules::parse([format!("{host}:{port}")])?;
        let fetch = Fetch::new(rules, Arc::new(SystemDns::new()), authorities)?;
        Ok(Self { base, key: Arc::new(Secret::new(key.trim().to_owned())), fetch })
    }

    /// Its address.
    pub fn address(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// One request and its answer. Errors: the server's own, by their codes; `shutting_down` when it does not answer.
    pub async fn ask(&self, request: Request) -> Result<Value> {
        let url = Url::parse(&format!("{}{}", self.address(), request.target)).map_err(Error::bug)?;
        let mut outgoing = Outgoing::get(url).header(header::AUTHORIZATION, &format!("Bearer {}", self.key.expose()));
        outgoing.method = Method::from_bytes(request.method.as_bytes()).map_err(Error::bug)?;
        (outgoing.timeout, outgoing.max_bytes) = (PATIENCE, ANSWER);
        if let Some(body) = request.body {
            outgoing = outgoing.header(header::CONTENT_TYPE, "application/json");
            outgoing.body = serde_json::to_vec(&body).map_err(Error::bug)?;
        }
        let answer = self.fetch.send(outgoing).await.map_err(unreachable)?;
        let value = if answer.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&answer.body).unwrap_or(Value::Null)
        };
        if (200..300).contains(&answer.status) { Ok(value) } else { Err(refusal(answer.status, &value)) }
    }
}

fn unreachable(error: Error) -> Error {
    let message = format!("The server does not answer. {}", error.message());
    Error::says(&codes::SHUTTING_DOWN, message).because(error)
}
