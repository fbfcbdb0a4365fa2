//! # connection::oidc — stand-in until the protocol lands

mod config;

pub use config::*;

use std::sync::Arc;

use async_trait::async_trait;

use super::connection::Connection;
use super::protocol::{Answer, Authenticated, Begin, BeginRequest, Checks, Protocol};
use super::report::{Finding, Report};
use crate::access::Context;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

#[derive(Default)]
#[expect(missing_docs, reason = "stand-in")]
pub struct Caches;

impl Caches {
    #[expect(missing_docs, reason = "stand-in")]
    pub fn new() -> Self {
        Self
    }
}

#[expect(missing_docs, reason = "stand-in")]
pub struct Metadata;

#[expect(missing_docs, reason = "stand-in")]
pub async fn discover(cx: &Context, config: &Config) -> Result<Metadata> {
    let issuer = config.discovery.issuer.as_deref().unwrap_or_default();
    let url = url::Url::parse(&format!("{issuer}/.well-known/openid-configuration"))
        .map_err(|_| Error::new(&codes::METADATA_INVALID))?;
    let answer = cx.env.outbound().send(crate::env::Request::get(url)).await?;
    let document: serde_json::Value =
        serde_json::from_slice(&answer.body).map_err(|_| Error::new(&codes::METADATA_INVALID))?;
    if document["issuer"] == issuer { Ok(Metadata) } else { Err(Error::new(&codes::ISSUER_MISMATCH)) }
}

#[expect(missing_docs, reason = "stand-in")]
pub async fn validate(cx: &Context, connection: &Connection) -> Report {
    let config = connection.oidc.clone().unwrap_or_default();
    let ok = discover(cx, &config).await.is_ok();
    Report { ok, checks: vec![Finding { name: "discovery_reachable".into(), ok, message: None }], latency_ms: None }
}

#[expect(missing_docs, reason = "stand-in")]
pub struct Oidc(Config);

impl Oidc {
    #[expect(missing_docs, reason = "stand-in")]
    pub fn new(_: ConnectionId, config: Config, _: Arc<Caches>) -> Self {
        Self(config)
    }
}

#[async_trait]
impl Protocol for Oidc {
    async fn begin(&self, _: &Context, _: &BeginRequest) -> Result<Begin> {
        Err(Error::new(&codes::CONNECTION_NOT_READY))
    }
    fn screen(&self, _: &Answer, _: &mut Checks) -> Result<()> {
        Err(Error::new(&codes::CONNECTION_NOT_READY))
    }
    async fn complete(&self, _: &Context, _: &Answer, _: &[u8], _: &mut Checks) -> Result<Authenticated> {
        Err(Error::new(&codes::CONNECTION_NOT_READY))
    }
    async fn test(&self, cx: &Context) -> Report {
        let ok = discover(cx, &self.0).await.is_ok();
        Report { ok, checks: vec![], latency_ms: Some(0) }
    }
}
