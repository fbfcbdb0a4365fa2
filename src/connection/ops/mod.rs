//! # ops — what can be done with a connection
//!
//! *Owns* the operations on connections and their configuration. *Gives* them to the catalogue.
//! *Needs* connections, domains, the registry of protocols. *Never* shows a secret that was set.

mod change;
mod create;
mod ldap_config;
mod oidc_config;
mod read;
mod reports;
mod saml_config;
mod saml_keys;

pub use change::{ActivateConnection, DeleteConnection, DisableConnection, RestoreConnection, UpdateConnection};
pub use create::{CreateConnection, CreatedConnection};
pub use ldap_config::{GetLdap, SetLdap};
pub use oidc_config::{GetOidc, SetOidc};
pub use read::{GetConnection, ListConnections};
pub use reports::{
    ConnectionStatus, ConnectionTest, ScimStatus, TestConnection, ValidateConnection, Validation, status_of,
};
pub use saml_config::{GetSaml, RefreshSaml, SetSaml};
pub use saml_keys::{ApproveSaml, KeyStep, RotateSamlKey};

use serde::{Deserialize, Deserializer};

use super::enforcement::Enforcement;
use super::record::{Connection, LastLook, ProtocolKind, ScopeMapping};
use super::{ldap, oidc, settings};
use crate::access::{Context, Owner};
use crate::error::{Error, Kind, Result, codes};
use crate::event::{Event, EventKind};
use crate::http::callback;
use crate::id::ConnectionId;
use crate::policy::ConnectionWord;
use crate::store::{Batch, Query};

/// What a look at the provider found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Looked {
    /// There was nothing to look at.
    #[default]
    Nowhere,
    /// Its discovery document is there and can be used.
    Reached,
    /// It did not answer.
    Unreachable,
}

impl Looked {
    /// As the connection keeps it; none when there was nothing to look at.
    fn kept(self, cx: &Context) -> Option<LastLook> {
        (self != Self::Nowhere).then(|| LastLook { at: cx.env.now(), answered: self == Self::Reached })
    }
}

/// Fetches and checks the discovery document. A provider that does not answer is a finding; one that answers with
/// what cannot be used, or that authd may not call, is an error. Errors: `issuer_mismatch`, `issuer_multi_tenant`,
/// `metadata_invalid`, `url_not_allowed`, `outbound_not_allowed`.
async fn look_at(cx: &Context, config: &oidc::Config) -> Result<Looked> {
    if config.discovery.issuer.is_none() && config.discovery.discovery_url.is_none() {
        return Ok(Looked::Nowhere);
    }
    match oidc::discover(cx, config).await {
        Ok(_) => Ok(Looked::Reached),
        Err(error) if error.is(&codes::UPSTREAM_UNAVAILABLE) => Ok(Looked::Unreachable),
        Err(error) if error.kind() == Kind::Upstream => Err(Error::new(&codes::METADATA_INVALID).because(error)),
        Err(error) => Err(error),
    }
}

/// Looks at the provider of a connection as it would be. Errors: as `look_at`; of a directory that has to answer now
/// (`must`), the step that fails.
async fn look_through(cx: &Context, connection: &Connection, must: bool) -> Result<Looked> {
    match connection.protocol {
        ProtocolKind::Oidc => match &connection.oidc {
            Some(config) => look_at(cx, config).await,
            None => Ok(Looked::Nowhere),
        },
        // The browser reaches the provider, not authd: what is known of it is enough.
        ProtocolKind::Saml => match settings::complete(connection) {
            Ok(()) => Ok(Looked::Reached),
            Err(_) => Ok(Looked::Nowhere),
        },
        ProtocolKind::Ldap => match &connection.ldap {
            Some(config) if config.ready().is_ok() => look_into(cx, connection, config, must).await,
            _ => Ok(Looked::Nowhere),
        },
    }
}

/// Connects to the directory, as authd's own account where it has one. One that does not answer, or does not let authd in,
/// is a finding; one that authd may not call is an error.
async fn look_into(cx: &Context, connection: &Connection, config: &ldap::Config, must: bool) -> Result<Looked> {
    let Err(trouble) = ldap::reach(cx, connection, config).await else { return Ok(Looked::Reached) };
    let refused = [&codes::OUTBOUND_NOT_ALLOWED, &codes::URL_NOT_ALLOWED].iter().any(|code| trouble.error.is(code));
    if refused || trouble.error.kind() == Kind::Bug {
        return Err(*trouble.error);
    }
    if must {
        let says =
            format!("The directory cannot be used, so the connection cannot be switched on: {}.", trouble.detail);
        return Err(trouble
            .error
            .saying(says)
            .help("A connection can be kept as a draft until its directory answers."));
    }
    Ok(Looked::Unreachable)
}

/// The provider has to answer now. Errors: `upstream_unavailable`, `connection_not_ready`.
fn must_answer(looked: Looked) -> Result<()> {
    match looked {
        Looked::Reached => Ok(()),
        Looked::Unreachable => Err(Error::says(
            &codes::UPSTREAM_UNAVAILABLE,
            "The provider did not answer, so the connection cannot be switched on.",
        )
        .help("Check its address. A connection can be kept as a draft until its provider answers.")),
        Looked::Nowhere => Err(Error::says(&codes::CONNECTION_NOT_READY, "The connection names no provider.")
            .help("Set it with `authd connection set-oidc`, `set-saml` or `set-ldap`.")),
    }
}

/// Settings of one protocol are nothing to a connection that speaks another. Errors: `invalid_input`.
fn speaks(connection: &Connection, protocol: ProtocolKind) -> Result<()> {
    if connection.protocol == protocol {
        return Ok(());
    }
    let says = format!("This connection speaks `{}`.", connection.protocol.name());
    Err(Error::says(&codes::INVALID_INPUT, says))
}

async fn owner_of(cx: &Context, id: ConnectionId) -> Result<Owner> {
    Ok(Owner::Organization(Connection::load(&cx.store, id).await?.organization))
}

/// An event about a connection.
pub(super) fn event(cx: &Context, kind: EventKind, connection: &Connection) -> Event {
    cx.event(kind).within(connection.organization).about("connection", connection.id)
}

/// Notes what the connection says for its own people, with its event where that is new. Gives a sentence where it has
/// to wait.
async fn enforcing(cx: &Context, connection: &Connection, batch: &mut Batch) -> Result<Option<String>> {
    let (before, after) = Enforcement::hear(cx, connection, batch).await?;
    if before != after {
        let kind = match after {
            Some(ConnectionWord::Yes) => Some(EventKind::EnforcementEnabled),
            _ if before == Some(ConnectionWord::Yes) => Some(EventKind::EnforcementDisabled),
            _ => None,
        };
        if let Some(kind) = kind {
            batch.log(event(cx, kind, connection));
        }
    }
    Ok((after == Some(ConnectionWord::Waiting)).then(|| WAITS.to_owned()))
}

/// What is said of a connection whose word has to wait.
pub(super) const WAITS: &str = "Its people do not have to come through it yet: that takes hold when an owner, or somebody \
    with an exempt role, has signed in through an active connection.";

fn name_of(text: &str) -> Result<String> {
    let name = text.trim();
    if name.is_empty() || name.len() > 200 || name.chars().any(char::is_control) {
        return Err(Error::says(&codes::INVALID_INPUT, "The name needs 1 to 200 bytes, and no control characters."));
    }
    Ok(name.to_owned())
}

/// A connection has at most so many addresses of apps.
const MOST_CALLBACKS: usize = 32;

/// Addresses of apps, each once. Errors: `invalid_input`.
fn callbacks(urls: &[String]) -> Result<Vec<String>> {
    if urls.len() > MOST_CALLBACKS {
        return Err(Error::says(
            &codes::INVALID_INPUT,
            format!("A connection has at most {MOST_CALLBACKS} callback URLs."),
        ));
    }
    let mut kept: Vec<String> = Vec::new();
    for url in urls {
        callback::check(url, false)?;
        if !kept.contains(url) {
            kept.push(url.clone());
        }
    }
    Ok(kept)
}

fn slug_of(text: &str) -> Result<String> {
    let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if text.is_empty() || text.len() > 64 || !text.bytes().all(plain) || text.starts_with('-') || text.ends_with('-') {
        return Err(Error::says(
            &codes::INVALID_INPUT,
            "A slug has 1 to 64 small letters, digits and hyphens, and no hyphen at its ends.",
        ));
    }
    Ok(text.to_owned())
}

/// Refuses a slug that another connection of the organization has. Errors: `taken`.
async fn slug_is_free(cx: &Context, connection: &Connection) -> Result<()> {
    let Some(slug) = &connection.slug else { return Ok(()) };
    let value = Connection::slug_of(connection.organization, slug);
    let other = cx.store.find::<Connection>("slug", value).await?;
    if other.is_some_and(|other| other.id != connection.id) {
        return Err(Error::says(&codes::TAKEN, "Another connection of the organization has this slug."));
    }
    Ok(())
}

/// Refuses an entity id that a connection of another organization goes by, or another one to the same identity provider.
/// Errors: `taken`.
async fn entity_id_is_free(cx: &Context, connection: &Connection) -> Result<()> {
    let Some(saml) = &connection.saml else { return Ok(()) };
    let taken = |says| {
        let error = Error::says(&codes::TAKEN, says);
        Err(error.help("Leave out `spEntityId`: every connection has one of its own."))
    };
    let query = Query::by("saml_entity_id", saml.service.entity_id.as_bytes()).limit(100);
    for other in cx.store.page::<Connection>(query).await?.items {
        if other.id == connection.id {
            continue;
        }
        if other.organization != connection.organization {
            return taken("A connection of another organization goes by this entity id.");
        }
        if other.saml.as_ref().is_some_and(|other| Connection::saml_pair(other) == Connection::saml_pair(saml)) {
            return taken("Another connection goes by this entity id to the same identity provider.");
        }
    }
    Ok(())
}

/// `null` and absence are two things in a change: `null` takes the value away.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// Refuses scopes that no token could carry (RFC 6749 §3.3). Errors: `invalid_input`.
fn scopes_are_words(mapping: Option<&ScopeMapping>, defaults: Option<&[String]>) -> Result<()> {
    let word = |scope: &String| {
        (1..=128).contains(&scope.len()) && scope.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
    };
    let group = |name: &String| (1..=1024).contains(&name.len()) && !name.chars().any(char::is_control);
    let list = |scopes: &[String]| scopes.len() <= 100 && scopes.iter().all(word);
    let fits = mapping
        .is_none_or(|all| all.len() <= 500 && all.iter().all(|(name, scopes)| group(name) && list(scopes)))
        && defaults.is_none_or(list);
    if fits {
        return Ok(());
    }
    Err(Error::says(&codes::INVALID_INPUT, "The scopes cannot be used.")
        .help("At most 500 groups with at most 100 scopes each; a scope is 1 to 128 letters without spaces."))
}
