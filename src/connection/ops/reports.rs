//! What is known about a connection: how far it is set up, a validation of its configuration, a test of its provider.

use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::domain;
use super::super::enforcement::Enforcement;
use super::super::ldap::{self, FoundPerson, Ldap};
use super::super::oidc;
use super::super::record::{Connection, ProtocolKind, Status};
use super::super::registry::Registry;
use super::super::report::{Finding, Report};
use super::super::saml::{self, SamlLife};
use super::super::settings;
use super::owner_of;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;
use crate::policy::{ConnectionWord, DeprovisionMode};
use crate::store::Batch;

/// Check everything about a connection's configuration, its provider's discovery document included.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidateConnection {
    /// The connection.
    pub id: ConnectionId,
}

/// What a validation found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Validation {
    /// Everything holds.
    pub ok: bool,
    /// The connection.
    pub connection_id: ConnectionId,
    /// One row a check.
    pub checks: Vec<Finding>,
}

#[async_trait]
impl Operation for ValidateConnection {
    type Seen = Report;
    type Output = Validation;
    const NAME: &'static str = "connection.validate";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/validate" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?;
        Ok(match connection.protocol {
            ProtocolKind::Oidc => oidc::validate(cx, &connection).await,
            ProtocolKind::Saml => saml::validate(cx, &connection),
            ProtocolKind::Ldap => ldap::validate(cx, &connection).await,
        })
    }

    async fn apply(&self, _: &Context, seen: &Self::Seen, _: &mut Batch) -> Result<Self::Output> {
        Ok(Validation { ok: seen.ok, connection_id: self.id, checks: seen.checks.clone() })
    }
}

/// Try a connection's provider without a person: discovery, keys, and how long they took; of a directory each step up to
/// the search for groups, and with `username` who somebody is there. Nobody signs in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestConnection {
    /// The connection.
    pub id: ConnectionId,
    /// Of a directory: somebody's name, to see the entry that is found, its groups, and what they map to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// What a test found.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionTest {
    /// The connection.
    pub connection_id: ConnectionId,
    /// What it speaks.
    pub protocol: ProtocolKind,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub report: Report,
    /// Whom the name means in the directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<FoundPerson>,
    /// What an OpenID provider says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<oidc::Announced>,
}

#[async_trait]
impl Operation for TestConnection {
    type Seen = (Report, Option<FoundPerson>, Option<oidc::Announced>);
    type Output = ConnectionTest;
    const NAME: &'static str = "connection.test";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/test" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?;
        if self.username.is_some() && connection.protocol != ProtocolKind::Ldap {
            return Err(Error::says(&codes::INVALID_INPUT, "Only in a directory somebody can be looked up by name.")
                .help("Leave out `username`."));
        }
        // With caches of its own: a test asks the provider now, not what it said an hour ago.
        match (Registry::new().protocol(cx, &connection), &connection.ldap) {
            (Ok(_), Some(config)) if connection.protocol == ProtocolKind::Ldap => {
                let ldap = Ldap::new(&connection, config.clone(), Arc::default());
                let (report, person) = ldap::examine(cx, &ldap, self.username.as_deref()).await;
                Ok((report, person.map(|person| person.mapped(&connection)), None))
            }
            (Ok(protocol), _) => {
                let report = protocol.test(cx).await;
                let announced = match (&connection.oidc, report.ok) {
                    (Some(config), true) => oidc::discover(cx, config).await.ok().as_ref().map(oidc::Announced::from),
                    _ => None,
                };
                Ok((report, None, announced))
            }
            (Err(error), _) => Ok((
                Report {
                    ok: false,
                    checks: vec![Finding {
                        name: "configured".to_owned(),
                        ok: false,
                        message: Some(error.message().to_owned()),
                    }],
                    latency_ms: None,
                },
                None,
                None,
            )),
        }
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, _: &mut Batch) -> Result<Self::Output> {
        let protocol = Connection::load(&cx.store, self.id).await?.protocol;
        let (report, person, provider) = seen.clone();
        Ok(ConnectionTest { connection_id: self.id, protocol, report, person, provider })
    }
}

/// How far a connection is set up.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionStatus {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Where it is in its life.
    pub status: Status,
    /// Whether people can sign in through it: it is active, completely configured, and its provider answered when it
    /// was last set up.
    pub ready: bool,
    /// How many domains it has, proved or not.
    pub domain_count: usize,
    /// Whether its people have to come through it; absent where nothing is said about that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforcement: Option<EnforcementStatus>,
    /// By protocol.
    pub protocols: ProtocolStatuses,
}

/// The status of each protocol.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProtocolStatuses {
    /// OpenID Connect.
    pub oidc: OidcStatus,
    /// LDAP.
    pub ldap: LdapStatus,
    /// SAML.
    pub saml: SamlStatus,
    /// Provisioning by SCIM.
    pub scim: ScimStatus,
}

/// How far provisioning by SCIM is set up.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScimStatus {
    /// Something is set, or a token was made.
    pub configured: bool,
    /// The directory can speak: provisioning is active, and it has a token that is good.
    pub ready: bool,
    /// The path that stands before `/Users`.
    pub base_path: String,
    /// What its word that somebody has left does.
    pub deprovision_mode: DeprovisionMode,
}

/// How far SAML is set up.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlStatus {
    /// The identity provider is known.
    pub configured: bool,
    /// Everything is set that a sign-in needs.
    pub ready: bool,
    /// The connection's own entity id.
    pub entity_id: Option<String>,
    /// The provider's entity id.
    pub idp_entity_id: Option<String>,
    /// What is known of its metadata and certificates, and what the last sign-in has shown.
    #[serde(flatten)]
    pub life: SamlLife,
}

/// How far LDAP is set up.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LdapStatus {
    /// Something is set.
    pub configured: bool,
    /// Everything is set that a sign-in needs, and the directory answered when it was last set up.
    pub ready: bool,
    /// The first of its addresses.
    pub url: Option<String>,
    /// Everybody who may sign in lies below it.
    pub base: Option<String>,
}

/// Whether the people of a connection have to come through it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EnforcementStatus {
    /// Whether they have to.
    pub enforced: bool,
    /// What says so, or says that they need not: `connection`, `domain`, `organization`.
    pub by: String,
    /// They will have to, as soon as an owner or somebody with an exempt role has signed in through an active connection.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waiting: bool,
}

async fn enforcement(cx: &Context, connection: &Connection) -> Result<Option<EnforcementStatus>> {
    let says = |enforced, by: &str, waiting| Some(EnforcementStatus { enforced, by: by.to_owned(), waiting });
    let Some(row) = Enforcement::stored(&cx.store, connection.organization).await? else { return Ok(None) };
    let rules = &row.rules;
    let word = rules.connections.get(&connection.id);
    let waiting = word == Some(&ConnectionWord::Waiting);
    match word {
        Some(ConnectionWord::Yes) => return Ok(says(true, "connection", false)),
        Some(ConnectionWord::No) => return Ok(says(false, "connection", false)),
        Some(ConnectionWord::Waiting) | None => {}
    }
    let listed = domain::owned_by(&cx.store, connection.id).await?.iter().any(|one| rules.domains.contains(&one.name));
    Ok(match (rules.everybody, listed) {
        (true, _) => says(true, "organization", waiting),
        (false, true) => says(true, "domain", waiting),
        (false, false) if waiting => says(false, "connection", true),
        (false, false) => None,
    })
}

/// How far OpenID Connect is set up.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcStatus {
    /// Something is set.
    pub configured: bool,
    /// Everything is set that a sign-in needs, and the provider answered when it was last set up.
    pub ready: bool,
    /// Who authd is to the provider.
    pub client_id: Option<String>,
    /// The provider.
    pub issuer: Option<String>,
}

/// How far a connection is set up, without asking its provider; whoever knows its directory says how far that is.
pub async fn status_of(cx: &Context, connection: &Connection, scim: ScimStatus) -> Result<ConnectionStatus> {
    let ready = settings::complete(connection).is_ok() && connection.answers();
    let config = connection.oidc.as_ref();
    let ldap = connection.ldap.as_ref();
    let saml = connection.saml.as_ref();
    let speaks = |protocol: ProtocolKind| ready && connection.protocol == protocol;
    Ok(ConnectionStatus {
        connection_id: connection.id,
        status: connection.status,
        ready: ready && connection.status == Status::Active,
        domain_count: domain::all_of(&cx.store, connection.id).await?.len(),
        enforcement: enforcement(cx, connection).await?,
        protocols: ProtocolStatuses {
            oidc: OidcStatus {
                configured: config.is_some(),
                ready: speaks(ProtocolKind::Oidc),
                client_id: config.and_then(|config| config.client.id.clone()),
                issuer: config.and_then(|config| config.discovery.issuer.clone()),
            },
            ldap: LdapStatus {
                configured: ldap.is_some(),
                ready: speaks(ProtocolKind::Ldap),
                url: ldap.and_then(|config| config.servers.urls.first().cloned()),
                base: ldap.and_then(|config| config.users.base.clone()),
            },
            saml: SamlStatus {
                configured: saml.is_some_and(|config| config.idp.is_some()),
                ready: speaks(ProtocolKind::Saml),
                entity_id: saml.map(|config| config.service.entity_id.clone()),
                idp_entity_id: saml.and_then(|config| config.idp.as_ref()).map(|idp| idp.entity_id.clone()),
                life: SamlLife::of(cx, connection.id, saml).await?,
            },
            scim,
        },
    })
}
