//! Who speaks: which directory a bearer stands for, and what is known of it.

use std::sync::Arc;

use axum::http::{HeaderMap, header};

use super::config::Rules;
use super::token::ScimToken;
use crate::access::throttle::{self, Rule};
use crate::access::{Caller, Context, Grant};
use crate::connection::{Connection, ScimConfig};
use crate::directory::{Organization, Source, SourceFacts};
use crate::error::{Error, Kind, Result, codes};
use crate::governance::{facts_of, facts_of_own_directory};
use crate::id::{ConnectionId, OrganizationId};
use crate::store::Batch;
use crate::token::{Keyring, authenticate};

/// A directory that speaks: a connection's, or the organization's own.
#[derive(Clone, Debug)]
pub struct Speaker {
    /// The directory; everything it may see is found by this.
    pub directory: ConnectionId,
    /// In which organization.
    pub organization: OrganizationId,
    /// Its connection; none for the organization's own directory.
    pub connection: Option<Connection>,
    /// The address before `/Users` that it speaks to.
    pub base: String,
    /// How it may speak, and what its words mean.
    pub rules: Arc<Rules>,
}

impl Speaker {
    /// Who the bearer of a request stands for, at `/scim/v2` or at a connection's address; and the request's context with
    /// it. Errors: `not_signed_in`, `missing_grant`, `organization_disabled`; `not_found` for a connection that is not
    /// the bearer's, whether or not it exists.
    pub async fn of(cx: &Context, keyring: &Keyring, headers: &HeaderMap, at: Option<&str>) -> Result<(Context, Self)> {
        let bearer = bearer(headers)?;
        let (caller, organization, bound) = if ScimToken::looks_like(bearer) {
            let token = ScimToken::authenticate(cx, bearer).await?;
            let caller = Caller::Directory { token: token.id, organization: token.organization };
            (caller, token.organization, token.connection)
        } else {
            let caller = authenticate(cx, keyring, bearer).await?;
            let organization = caller.organization().ok_or_else(|| Error::new(&codes::NOT_SIGNED_IN))?;
            if !caller.holds(Grant::ScimManage, organization) {
                return Err(Error::new(&codes::MISSING_GRANT)
                    .help(format!("It takes the grant `{}`, or a token of a directory.", Grant::ScimManage)));
            }
            (caller, organization, None)
        };
        let cx = Context { caller, ..cx.clone() };
        Organization::open(&cx.store, organization).await?;
        let named = match at {
            None => bound,
            Some(text) => {
                let id: ConnectionId = text.parse().map_err(|_| Error::new(&codes::NOT_FOUND))?;
                if bound.is_some_and(|bound| bound != id) {
                    return Err(Error::new(&codes::NOT_FOUND));
                }
                Some(id)
            }
        };
        let connection = match named {
            None => None,
            Some(id) => match Connection::load(&cx.store, id).await {
                Ok(found) if found.organization == organization => Some(found.value),
                Ok(_) => return Err(Error::new(&codes::NOT_FOUND)),
                // The connection of a token was deleted, and the token with it.
                Err(error) if error.kind() == Kind::Missing && bound.is_some() => {
                    return Err(Error::new(&codes::NOT_SIGNED_IN));
                }
                Err(error) => return Err(error),
            },
        };
        let directory =
            connection.as_ref().map_or_else(|| Source::own_directory(organization), |connection| connection.id);
        let config = ScimConfig::find(&cx.store, directory).await?;
        let rules = Arc::new(Rules::of(config.as_deref())?);
        Ok((cx.clone(), Self { directory, organization, connection, base: base(&cx, at), rules }))
    }

    /// As the pipeline knows it.
    pub fn source(&self) -> Source {
        Source::Scim(self.directory)
    }

    /// What the pipeline is told of it, for somebody with that address. The organization's own directory speaks for
    /// every domain that the organization has proven.
    pub async fn facts(&self, cx: &Context, email: Option<&str>) -> Result<SourceFacts> {
        let mut facts = self.known_facts(cx, email).await?;
        if let Some(mode) = self.rules.deprovision {
            facts.policy.provisioning.deprovision.mode = mode;
        }
        Ok(facts)
    }

    async fn known_facts(&self, cx: &Context, email: Option<&str>) -> Result<SourceFacts> {
        if let Some(connection) = &self.connection {
            return facts_of(cx, connection, email).await;
        }
        facts_of_own_directory(cx, self.organization, email).await
    }
}

/// The address before `/Users`.
pub fn base(cx: &Context, at: Option<&str>) -> String {
    cx.deployment.public_url.at(&path_of(at))
}

/// The path of that address: of a connection's directory, or of the one that the token decides.
pub fn path_of(connection: Option<impl std::fmt::Display>) -> String {
    connection.map_or_else(|| "/scim/v2".to_owned(), |connection| format!("/connections/{connection}/scim/v2"))
}

fn bearer(headers: &HeaderMap) -> Result<&str> {
    let unknown = || Error::new(&codes::NOT_SIGNED_IN).help("Send `Authorization: Bearer` with the directory's token.");
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(unknown()) };
    let (scheme, bearer) = value.to_str().ok().and_then(|value| value.split_once(' ')).ok_or_else(unknown)?;
    let bearer = bearer.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !bearer.is_empty() { Ok(bearer) } else { Err(unknown()) }
}

/// Counts a bearer that opens nothing, by its address. Errors: `rate_limited` in the place of the refusal.
pub async fn count_stranger(cx: &Context, batch: &mut Batch) -> Result<()> {
    throttle::check(cx, Rule::Bearer, throttle::address(cx)).await?;
    throttle::count(cx, Rule::Bearer, throttle::address(cx), batch).await
}
