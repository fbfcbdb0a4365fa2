//! Connections and domains as they are shown.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::domain::{self, Domain, DomainCheck, Proof};
use super::enforcement::Enforcement;
use super::ldap::LdapView;
use super::record::{Connection, Mapping, ProtocolKind, ScopeMapping, Status, backchannel_logout_url, callback_url};
use super::saml::SamlView;
use super::settings::OidcView;
use crate::access::{Context, RoleName};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId};

/// A connection as it is shown: without its secrets.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionView {
    /// Its id.
    pub id: ConnectionId,
    /// Whose people it is for.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// A short name for links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// What it speaks.
    pub protocol: ProtocolKind,
    /// Where it is in its life.
    pub status: Status,
    /// Its domains, the primary one first.
    pub domains: Vec<DomainView>,
    /// Whether a person is added by signing in; absent, the organization's policy decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jit: Option<bool>,
    /// The role of a person who is added by signing in; absent, the policy decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_role: Option<RoleName>,
    /// Whether its people have to come through it; absent, what holds for the organization decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<bool>,
    /// Whether its people have to come through a connection: what it says itself, else what holds for everybody in the
    /// organization. What it says itself may wait for somebody who could help (`enforcement.get`).
    #[serde(default)]
    pub enforced: bool,
    /// The provider's groups, and the roles that follow from each; absent, the policy decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_mapping: Option<Mapping>,
    /// The provider's roles, and the roles of authd that follow from each; absent, the policy decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_mapping: Option<Mapping>,
    /// The provider's groups, and the scopes of apps that follow from each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_mapping: Option<ScopeMapping>,
    /// The scopes of apps that follow where none of those groups is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_scopes: Option<Vec<String>>,
    /// The OpenID Connect configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcView>,
    /// The LDAP configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ldap: Option<LdapView>,
    /// The SAML configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saml: Option<SamlView>,
    /// The redirect URI to register at the provider; of SAML, the reply address (ACS).
    pub callback_url: String,
    /// Addresses of apps that the provider may answer to in its place; the app hands the answer over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callback_urls: Vec<String>,
    /// The back-channel logout URI (of SAML, the single logout address) to register at the provider: whoever signs out there is signed out here.
    pub backchannel_logout_url: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// When it was deleted; it can be restored for 30 days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// A domain of a connection as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainView {
    /// The name: IDNA in ASCII, lower case.
    pub domain: String,
    /// Whether it is the connection's first one.
    pub is_primary: bool,
    /// Whether it is proved. Only then people are routed by it, and e-mail addresses in it are believed.
    pub verified: bool,
    /// Since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// How it was proved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_by: Option<Proof>,
    /// What to set in DNS to prove it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge: Option<ChallengeView>,
    /// When DNS said last whether the record that proves it is there. It is asked every week.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_checked_at: Option<Timestamp>,
    /// Since when the record is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// When the proof is lost if the record stays away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loses_at: Option<Timestamp>,
    /// When it was claimed.
    pub created_at: Timestamp,
}

/// A record to be set in DNS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordView {
    /// `TXT`.
    pub record_type: String,
    /// `_authd-verification.<domain>`.
    pub record_name: String,
    /// The text of the record.
    pub record_value: String,
}

impl RecordView {
    /// The record that proves a domain.
    pub(super) fn of(domain: &str, value: &str) -> Self {
        Self {
            record_type: "TXT".to_owned(),
            record_name: domain::Challenge::record_name(domain),
            record_value: value.to_owned(),
        }
    }
}

/// What to set in DNS to prove a domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeView {
    /// The domain.
    pub domain: String,
    /// `TXT`.
    pub record_type: String,
    /// `_authd-verification.<domain>`.
    pub record_name: String,
    /// The text of the record.
    pub record_value: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// From when on it is no good.
    pub expires_at: Timestamp,
}

impl From<&Domain> for DomainView {
    fn from(domain: &Domain) -> Self {
        Self {
            domain: domain.name.clone(),
            is_primary: domain.primary,
            verified: domain.verified_at.is_some(),
            verified_at: domain.verified_at,
            verified_by: domain.proof,
            challenge: domain.challenge.as_ref().map(|challenge| {
                let RecordView { record_type, record_name, record_value } =
                    RecordView::of(&domain.name, &challenge.value);
                ChallengeView {
                    domain: domain.name.clone(),
                    record_type,
                    record_name,
                    record_value,
                    requested_at: challenge.requested_at,
                    expires_at: challenge.expires_at,
                }
            }),
            last_checked_at: None,
            failing_since: None,
            loses_at: None,
            created_at: domain.created_at,
        }
    }
}

impl DomainView {
    /// With what DNS said of its proof.
    pub(super) fn checked(self, check: Option<&DomainCheck>) -> Self {
        let failing = check.and_then(|check| check.failing).filter(|_| self.verified);
        Self {
            last_checked_at: check.and_then(|check| check.checked_at),
            failing_since: failing.map(|failing| failing.since),
            loses_at: failing.map(|failing| failing.loses_at),
            ..self
        }
    }
}

impl ConnectionView {
    /// With the domains that are named.
    pub(super) async fn with(cx: &Context, connection: &Connection, mut domains: Vec<DomainView>) -> Result<Self> {
        let enforced = match connection.enforce {
            Some(own) => own,
            None => Enforcement::holds_for_everybody(&cx.store, connection.organization).await?,
        };
        domains.sort_by_key(|domain| !domain.is_primary);
        let url = &cx.deployment.public_url;
        let (callback_url, backchannel_logout_url) = match connection.protocol {
            ProtocolKind::Saml => {
                let service = connection.saml.clone().unwrap_or_default().service;
                (service.acs_at(url, connection.id), service.slo_at(url, connection.id))
            }
            ProtocolKind::Oidc | ProtocolKind::Ldap => {
                (callback_url(url, connection.id), backchannel_logout_url(url, connection.id))
            }
        };
        Ok(Self {
            id: connection.id,
            organization: connection.organization,
            name: connection.name.clone(),
            slug: connection.slug.clone(),
            protocol: connection.protocol,
            status: connection.status,
            domains,
            jit: connection.jit,
            default_role: connection.default_role.clone(),
            enforce: connection.enforce,
            enforced,
            group_mapping: connection.group_mapping.clone(),
            role_mapping: connection.role_mapping.clone(),
            scope_mapping: connection.scope_mapping.clone(),
            default_scopes: connection.default_scopes.clone(),
            oidc: connection.oidc.as_ref().map(OidcView::from),
            ldap: connection.ldap.as_ref().map(LdapView::from),
            saml: connection.saml.as_ref().map(|config| SamlView::of(cx, connection.id, config)),
            callback_url,
            callback_urls: connection.callback_urls.clone(),
            backchannel_logout_url,
            created_at: connection.created_at,
            updated_at: connection.updated_at,
            deleted_at: connection.deleted_at,
        })
    }

    /// With the domains that are kept.
    pub(super) async fn of(cx: &Context, connection: &Connection) -> Result<Self> {
        let mut domains = Vec::new();
        for claim in domain::all_of(&cx.store, connection.id).await? {
            domains.push(domain::view(cx, &claim).await?);
        }
        Self::with(cx, connection, domains).await
    }
}
