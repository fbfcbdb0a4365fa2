//! `expiry.list`: everything that ends one day, how long it has, and what is to be done about it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ending::each;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Route};
use crate::connection::domain::DomainCheck;
use crate::connection::{Connection, Domain, ProtocolKind};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId};
use crate::provider;
use crate::scim::ScimToken;
use crate::store::Batch;
use crate::token::{ApiKey, SigningKey, State};
use crate::webhook::Endpoint;

/// One day.
const DAY: i64 = 24 * 3600;
/// What has less than this left is urgent, in days.
const URGENT: i64 = 7;
/// What has less than this left is soon.
const SOON: i64 = 30;
/// What ended longer ago than this is over and done with.
const FORGOTTEN: i64 = 30;

/// List everything that ends one day: certificates, secrets, tokens, keys, proofs of domains; with the days that are left and the next step.
/// What ends first comes first; what has no known end comes last.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListExpiry {
    /// The organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only what ends within so many days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<u32>,
}

/// What kind of thing ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryKind {
    /// The certificate that authd's own listener shows.
    TlsCertificate,
    /// A pinned certificate of a SAML identity provider.
    SamlCertificate,
    /// What is known of a SAML identity provider.
    SamlMetadata,
    /// authd's client secret at an upstream OpenID provider.
    UpstreamSecret,
    /// The password that authd reads a directory with.
    LdapBind,
    /// A challenge that waits for a record in DNS.
    DomainChallenge,
    /// A proof that has gone from DNS.
    DomainProof,
    /// A deleted connection, until it cannot be restored.
    DeletedConnection,
    /// A token of a directory.
    ScimToken,
    /// An API key.
    ApiKey,
    /// The secret before the last of an app.
    AppSecret,
    /// The secret before the last of a webhook endpoint.
    WebhookSecret,
    /// A key that authd signs tokens with.
    SigningKey,
}

/// How urgent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// It has ended.
    Over,
    /// It ends within 7 days.
    Urgent,
    /// It ends within 30 days.
    Soon,
    /// There is time.
    Later,
    /// When it ends is not known here.
    Unknown,
}

/// Something that ends.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Expiry {
    /// What it is.
    pub kind: ExpiryKind,
    /// Its id, or that of what it belongs to.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Whose it is; none for what is the whole deployment's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// When it ends; absent where that is known only to the other side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Whole days that are left; negative when it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<i64>,
    /// How urgent it is.
    pub urgency: Urgency,
    /// The next step.
    pub next: String,
}

#[async_trait]
impl Operation for ListExpiry {
    type Seen = ();
    type Output = Pages<Expiry>;
    const NAME: &'static str = "expiry.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/expiry" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::of_list(cx, self.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let organization = cx.narrowed(self.organization);
        let mut found = Found { cx, organization, owners: BTreeMap::new(), items: Vec::new() };
        each::<Connection>(cx, |connection| found.connection(&connection)).await?;
        each::<Domain>(cx, |domain| found.challenge(&domain)).await?;
        each::<DomainCheck>(cx, |check| found.proof(&check)).await?;
        each::<ScimToken>(cx, |token| found.scim_token(&token)).await?;
        each::<ApiKey>(cx, |key| found.api_key(&key)).await?;
        each::<provider::App>(cx, |app| found.app_secret(&app)).await?;
        each::<Endpoint>(cx, |endpoint| found.webhook_secret(&endpoint)).await?;
        let mut keys = Vec::new();
        each::<SigningKey>(cx, |key| keys.push(key)).await?;
        found.signing_keys(&keys);
        found.listener();
        let mut items = found.items;
        if let Some(days) = self.days {
            items.retain(|item| item.days_left.is_some_and(|left| left <= i64::from(days)));
        }
        items.sort_by(|a, b| (a.at.is_none(), a.at, &a.id).cmp(&(b.at.is_none(), b.at, &b.id)));
        Ok(Pages { items, next: None })
    }
}

/// What was found, of what the caller may see.
struct Found<'a> {
    cx: &'a Context,
    organization: Option<OrganizationId>,
    /// Whose each connection is.
    owners: BTreeMap<ConnectionId, OrganizationId>,
    items: Vec<Expiry>,
}

impl Found<'_> {
    /// Whether the caller may see such a thing of that organization.
    fn sees(&self, grant: Grant, organization: OrganizationId) -> bool {
        self.organization.is_none_or(|only| only == organization)
            && (self.cx.caller.is_operator() || self.cx.caller.holds(grant, organization))
    }

    fn add(&mut self, kind: ExpiryKind, id: String, name: &str, whose: Whose, at: Option<Timestamp>, next: String) {
        let days_left = at.map(|at| (at.seconds() - self.cx.env.now().seconds()).div_euclid(DAY));
        let urgency = match days_left {
            None => Urgency::Unknown,
            Some(..0) => Urgency::Over,
            Some(0..URGENT) => Urgency::Urgent,
            Some(URGENT..SOON) => Urgency::Soon,
            Some(_) => Urgency::Later,
        };
        if days_left.is_some_and(|left| left < -FORGOTTEN)
            && !matches!(kind, ExpiryKind::SamlCertificate | ExpiryKind::TlsCertificate)
        {
            return;
        }
        let Whose { organization, connection } = whose;
        self.items.push(Expiry {
            kind,
            id,
            name: name.to_owned(),
            organization,
            connection,
            at,
            days_left,
            urgency,
            next,
        });
    }

    fn connection(&mut self, connection: &Connection) {
        self.owners.insert(connection.id, connection.organization);
        if !self.sees(Grant::ConnectionRead, connection.organization) {
            return;
        }
        let (id, name) = (connection.id.to_string(), connection.name.as_str());
        let whose = Whose { organization: Some(connection.organization), connection: Some(connection.id) };
        if let Some(at) = connection.deleted_at {
            let at = at + crate::connection::TOMBSTONE;
            let next = format!("If it is still needed: `authd connection restore {id}`.");
            return self.add(ExpiryKind::DeletedConnection, id, name, whose, Some(at), next);
        }
        if let Some(idp) = connection.saml.as_ref().and_then(|saml| saml.idp.as_ref()) {
            for certificate in idp.read_certificates() {
                let next = format!(
                    "Ask the provider for its next certificate, and take it over: `authd connection refresh-saml {id}`."
                );
                let name = format!("{name}: {}", certificate.subject);
                self.add(ExpiryKind::SamlCertificate, id.clone(), &name, whose, Some(certificate.not_after), next);
            }
            if idp.valid_until.is_some() {
                let next = format!("Read the provider's metadata again: `authd connection refresh-saml {id}`.");
                self.add(ExpiryKind::SamlMetadata, id.clone(), name, whose, idp.valid_until, next);
            }
        }
        if connection.protocol == ProtocolKind::Oidc
            && connection.oidc.as_ref().is_some_and(|oidc| oidc.client.secret.is_some())
        {
            let next = format!(
                "Only the provider knows when it ends; renew it there, then: `authd connection set-oidc {id} --client-secret-file FILE`."
            );
            self.add(ExpiryKind::UpstreamSecret, id.clone(), name, whose, None, next);
        }
        if connection.ldap.as_ref().is_some_and(|ldap| ldap.bind.password.is_some()) {
            let next = format!(
                "Only the directory knows when it ends; change it there, then: `authd connection set-ldap {id} --bind-password-file FILE`."
            );
            self.add(ExpiryKind::LdapBind, id, name, whose, None, next);
        }
    }

    fn challenge(&mut self, domain: &Domain) {
        let Some(challenge) = domain.challenge.as_ref().filter(|_| domain.verified_at.is_none()) else { return };
        if !self.sees(Grant::ConnectionRead, domain.organization) {
            return;
        }
        let whose = Whose { organization: Some(domain.organization), connection: Some(domain.connection) };
        let next = format!(
            "Put the record into DNS, then: `authd domain verify --connection {} --domain {}`.",
            domain.connection, domain.name
        );
        self.add(
            ExpiryKind::DomainChallenge,
            domain.name.clone(),
            &domain.name,
            whose,
            Some(challenge.expires_at),
            next,
        );
    }

    fn proof(&mut self, check: &DomainCheck) {
        let Some(failing) = check.failing else { return };
        let Some(organization) = self.owners.get(&check.connection).copied() else { return };
        if !self.sees(Grant::ConnectionRead, organization) {
            return;
        }
        let whose = Whose { organization: Some(organization), connection: Some(check.connection) };
        let next = format!(
            "Put the record back into DNS, then: `authd domain recheck --connection {} --domain {}`.",
            check.connection, check.name
        );
        self.add(ExpiryKind::DomainProof, check.name.clone(), &check.name, whose, Some(failing.loses_at), next);
    }

    fn scim_token(&mut self, token: &ScimToken) {
        if token.revoked_at.is_some() || token.expires_at.is_none() || !self.sees(Grant::ScimManage, token.organization)
        {
            return;
        }
        let whose = Whose { organization: Some(token.organization), connection: token.connection };
        let next = format!(
            "Make another, give it to the directory, then revoke this one: `authd scim token create`, `authd scim token revoke {}`.",
            token.id
        );
        self.add(ExpiryKind::ScimToken, token.id.to_string(), &token.label, whose, token.expires_at, next);
    }

    fn api_key(&mut self, key: &ApiKey) {
        if key.revoked_at.is_some() || key.expires_at.is_none() || !self.sees(Grant::ApiKeyRead, key.organization) {
            return;
        }
        let whose = Whose { organization: Some(key.organization), connection: None };
        let next = format!(
            "Make another for whoever uses it, then revoke this one: `authd api-key create`, `authd api-key revoke {}`.",
            key.id
        );
        self.add(ExpiryKind::ApiKey, key.id.to_string(), &key.name, whose, key.expires_at, next);
    }

    fn app_secret(&mut self, app: &provider::App) {
        let at = app.secret_ends_at().filter(|at| *at > self.cx.env.now());
        if at.is_none() || !self.sees(Grant::AppRead, app.organization) {
            return;
        }
        let whose = Whose { organization: Some(app.organization), connection: None };
        let next = "The app has to use its newest secret by then.".to_owned();
        self.add(ExpiryKind::AppSecret, app.id.to_string(), &app.name, whose, at, next);
    }

    fn webhook_secret(&mut self, endpoint: &Endpoint) {
        let at = endpoint.secrets.iter().filter_map(|secret| secret.until).filter(|at| *at > self.cx.env.now()).max();
        if at.is_none() || !self.sees(Grant::ConnectionWebhookManage, endpoint.organization) {
            return;
        }
        let whose = Whose { organization: Some(endpoint.organization), connection: endpoint.connection };
        let next = "The receiver has to know the newest secret by then.".to_owned();
        let name = endpoint.name.as_deref().unwrap_or(&endpoint.url);
        self.add(ExpiryKind::WebhookSecret, endpoint.id.to_string(), name, whose, at, next);
    }

    /// Whether the caller may see what is the deployment's.
    fn sees_deployment(&self) -> bool {
        self.cx.caller.is_operator() && self.organization.is_none()
    }

    fn listener(&mut self) {
        let Some((file, at)) = self.cx.env.meters().certificate.read().filter(|_| self.sees_deployment()) else {
            return;
        };
        let name = file.display().to_string();
        let next = format!(
            "Put the renewed certificate into {name}, and its key beside it: authd reads both again by itself, without a restart."
        );
        self.add(ExpiryKind::TlsCertificate, "listener".to_owned(), &name, Whose::default(), Some(at), next);
    }

    fn signing_keys(&mut self, keys: &[SigningKey]) {
        if !self.sees_deployment() {
            return;
        }
        for key in keys {
            let following =
                keys.iter().filter(|other| other.algorithm == key.algorithm).find_map(|next| next.activates_at);
            let (at, next) = match key.state() {
                State::Active => {
                    (following, "It hands over by itself (`keys.rotate_days`); at once: `authd key rotate`.")
                }
                State::Retiring => {
                    (key.gone_at(), "Nothing: it is published until the last token it signed has ended.")
                }
                State::Next => continue,
            };
            let name =
                format!("{} {}", key.algorithm.name(), if key.state() == State::Active { "signs" } else { "retired" });
            self.add(ExpiryKind::SigningKey, key.id.to_string(), &name, Whose::default(), at, next.to_owned());
        }
    }
}

/// To whom and to which connection something belongs.
#[derive(Clone, Copy, Default)]
struct Whose {
    organization: Option<OrganizationId>,
    connection: Option<ConnectionId>,
}
