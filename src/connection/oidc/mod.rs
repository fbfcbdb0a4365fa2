//! # connection::oidc — stand-in until the protocol lands

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;

use super::connection::Connection;
use super::protocol::{Answer, Authenticated, Begin, BeginRequest, Checks, Protocol};
use super::report::{Finding, Report};
use crate::access::Context;
use crate::crypto::Sealed;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
#[expect(missing_docs, reason = "stand-in")]
pub enum AuthMethod {
    #[default]
    #[n(0)]
    ClientSecretPost,
    #[n(1)]
    ClientSecretBasic,
}

macro_rules! shape {
    ($($name:ident { $($i:literal $field:ident: $ty:ty,)* })*) => {$(
        #[derive(Clone, Debug, Default, minicbor::Encode, minicbor::Decode)]
        #[expect(missing_docs, reason = "stand-in")]
        pub struct $name { $(#[n($i)] pub $field: $ty,)* }
    )*};
}

shape! {
    Config { 0 discovery: Discovery, 1 client: Client, 2 request: RequestSettings, 3 security: Security, 4 profile: ProfileSettings, }
    Discovery { 0 issuer: Option<String>, 1 discovery_url: Option<String>, 2 jwks_uri: Option<String>, 3 audience: Option<String>, }
    Client { 0 id: Option<String>, 1 secret: Option<Sealed>, 2 auth_method: Option<AuthMethod>, }
    RequestSettings { 0 scopes: Vec<String>, 1 login_hint: Option<String>, 2 authorization_params: BTreeMap<String, String>, }
    Security { 0 clock_tolerance_seconds: Option<u64>, 1 strict_issuer: Option<bool>, }
    ProfileSettings { 0 mapping: Mapping, 1 extra_fields: BTreeMap<String, String>, }
    Mapping { 0 subject: Option<String>, 1 email: Option<String>, 2 email_verified: Option<String>, 3 name: Option<String>,
        4 given_name: Option<String>, 5 family_name: Option<String>, 6 image: Option<String>, 7 groups: Option<String>, 8 roles: Option<String>, }
}

#[derive(Default)]
#[expect(missing_docs, reason = "stand-in")]
pub struct Caches;

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
