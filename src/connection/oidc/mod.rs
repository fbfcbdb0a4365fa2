//! # connection::oidc — an upstream OpenID provider
//!
//! *Owns* the relying party: discovery, keys, the authorization request, the code's redemption, every check of an
//! id_token, user info, and what claims mean.
//! *Gives* `Oidc` (a `Protocol`) for a connection's `Config`; `discover` and `validate` to whoever sets one up.
//! *Needs* the outbound client of `Env`, the master key, `crypto::jws`. *Never* decides who may sign in: it says
//! whom the provider vouches for. It takes no key, no address and no algorithm from a token, and shows nobody the
//! provider's words.
//!
//! The subject of a person is `<iss>|<sub>`. When the connection maps another claim it is `<claim>@<iss>|<value>`.
//! An issuer begins with `http` and has no `|`, so no two of them are the same text.

mod answer;
mod begin;
mod caches;
mod check;
mod config;
mod discovery;
mod exchange;
mod keys;
mod logout;
mod mapping;
mod report;

mod userinfo;
mod verify;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value};

pub use caches::Caches;
pub use check::refuse_multi_tenant;
pub use config::{
    AuthMethod, Client, Config, Discovery, Mapping, ProfileConfig, RequestConfig, Security, secret_place,
};
pub use discovery::{Announced, Metadata, discover};
pub use keys::{Keys, fetch as fetch_keys};
pub use report::validate;

use super::protocol::{
    Answer, Authenticated, Begin, BeginRequest, Checks, Protocol, SignedOut, require, shown, steers,
};
use super::report::Report;
use crate::access::Context;
use crate::directory::Profile;
use crate::error::{Error, Kind, Result, codes};
use crate::id::ConnectionId;

/// The relying party of one connection.
#[derive(Clone, Debug)]
pub struct Oidc {
    connection: ConnectionId,
    config: Arc<Config>,
    caches: Arc<Caches>,
}

impl Oidc {
    /// For a connection with that configuration; what is learnt of the provider is kept in `caches`.
    pub fn new(connection: ConnectionId, config: Config, caches: Arc<Caches>) -> Self {
        Self { connection, config: Arc::new(config), caches }
    }

    fn entry(&self) -> Arc<caches::Entry> {
        self.caches.entry(self.connection, &self.config)
    }
}

#[async_trait]
impl Protocol for Oidc {
    async fn begin(&self, cx: &Context, request: &BeginRequest) -> Result<Begin> {
        self.config.check()?;
        self.config.ready()?;
        let metadata = self.entry().metadata(&cx.env, &self.config).await?;
        // Nobody is sent to a provider whose answer could not be redeemed.
        exchange::method(&self.config, &metadata)?;
        begin::begin(cx, self.connection, &self.config, &metadata, request)
    }

    fn screen(&self, answer: &Answer, checks: &mut Checks) -> Result<()> {
        answer::issuer(answer, &self.config, self.entry().known().as_deref(), checks)?;
        answer::denial(answer, checks)?;
        answer::code(answer, checks).map(drop)
    }

    async fn complete(&self, cx: &Context, answer: &Answer, kept: &[u8], checks: &mut Checks) -> Result<Authenticated> {
        self.config.check()?;
        self.config.ready()?;
        let kept = begin::Kept::open(cx, self.connection, kept)?;
        let state = answer.parameters.get("state").map(String::as_str).unwrap_or_default();
        let ours = kept.is_for(state);
        checks.state("state", ours);
        if !ours {
            return Err(Error::new(&codes::STATE_MISMATCH));
        }
        let entry = self.entry();
        let metadata = entry.metadata(&cx.env, &self.config).await?;
        require(
            checks,
            "issuer",
            metadata.issuer == kept.issuer,
            &kept.issuer,
            &metadata.issuer,
            &codes::ISSUER_MISMATCH,
        )?;
        // The screen may have known less of the provider than is known now.
        answer::issuer(answer, &self.config, Some(&metadata), checks)?;
        answer::denial(answer, checks)?;
        let code = answer::code(answer, checks)?;

        let tokens = exchange::redeem(cx, self.connection, &self.config, &metadata, code, &kept, checks).await?;
        let allowed = verify::algorithms(&self.config, &metadata);
        let verdict = entry.keys.verify(&cx.env, &metadata.jwks_uri, &tokens.id_token, &allowed).await;
        let verified = verify::signature(&tokens.id_token, &allowed, verdict, checks)?;
        let evidence = verify::Expected {
            ground: verify::Ground { config: &self.config, metadata: &metadata, now: cx.env.now() },
            kept: &kept,
            code,
            access_token: tokens.access_token.as_ref().map(crate::crypto::Secret::expose),
        }
        .check(&verified, checks)?;

        let claims = &verified.claims;
        let more = match (&metadata.userinfo_endpoint, &tokens.access_token) {
            (Some(endpoint), Some(token)) if mapping::lacks_something(&self.config.profile, claims) => {
                let asked = userinfo::Asked { entry: &entry, config: &self.config, metadata: &metadata, endpoint };
                let more = userinfo::fetch(cx, &asked, token, &evidence.sub, checks).await;
                match more {
                    // What failed is noted. Names and groups are not worth keeping everybody out while it lasts.
                    Err(error)
                        if error.kind() == Kind::Upstream
                            && !mapping::lacks_what_counts(&self.config.profile, claims) =>
                    {
                        None
                    }
                    more => more?,
                }
            }
            _ => None,
        };
        let subject = mapping::subject(&self.config, &metadata.issuer, &evidence.sub, claims, checks)?;
        let profile = mapping::profile(&self.config.profile, claims, more.as_ref(), checks)?;
        Ok(Authenticated {
            subject,
            profile,
            auth_time: evidence.auth_time,
            acr: evidence.acr,
            amr: evidence.amr,
            upstream_session: evidence.sid,
            upstream_subject: Some(logout::subject(&metadata.issuer, &evidence.sub)),
            saml: None,
            scopes: Vec::new(),
            once: None,
            until: None,
        })
    }

    async fn signed_out(&self, cx: &Context, word: &str, checks: &mut Checks) -> Result<SignedOut> {
        self.config.check()?;
        self.config.ready()?;
        let entry = self.entry();
        let metadata = entry.metadata(&cx.env, &self.config).await?;
        let allowed = verify::algorithms(&self.config, &metadata);
        let verdict = entry.keys.verify(&cx.env, &metadata.jwks_uri, word, &allowed).await;
        let verified = verify::signature(word, &allowed, verdict, checks)?;
        let ground = verify::Ground { config: &self.config, metadata: &metadata, now: cx.env.now() };
        logout::read(&ground, &verified, checks)
    }

    async fn test(&self, cx: &Context) -> Report {
        report::test(cx, &self.config, &self.entry()).await
    }
}

/// Who claims are about, and what they say: as a sign-in reads them, but on nobody's word. Without a `sub` nobody is
/// known by identity. Errors: `issuer_mismatch`, `profile_invalid`, `connection_not_ready`.
pub fn read_claims(
    config: &Config,
    claims: &Map<String, Value>,
    checks: &mut Checks,
) -> Result<(Option<String>, Profile)> {
    let expected = config.discovery.expected_issuer()?;
    let said = claims.get("iss").and_then(Value::as_str);
    // The document, and so the token, may have one slash more or less where that is tolerated.
    let tolerated =
        |said: &str| !config.security.strict() && said.trim_end_matches('/') == expected.trim_end_matches('/');
    let issuer = said.filter(|said| tolerated(said)).unwrap_or(expected);
    if let Some(said) = said {
        require(checks, "iss", said == issuer, issuer, said, &codes::ISSUER_MISMATCH)?;
    }
    let sub = claims.get("sub").and_then(Value::as_str).filter(|sub| !sub.is_empty());
    let by_sub = config.profile.mapping.subject() == "sub";
    let subject = match sub {
        None if by_sub => None,
        sub => Some(mapping::subject(config, issuer, sub.unwrap_or_default(), claims, checks)?),
    };
    Ok((subject, mapping::profile(&config.profile, claims, None, checks)?))
}

fn shown_value(value: Option<&Value>) -> String {
    match value {
        None => "(absent)".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}
