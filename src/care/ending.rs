//! What ends: keys, secrets, tokens, certificates, proofs of domains; each with its moment and the next step. One walk: the
//! radar (`expiry.list`) tells all of it, health, metrics and the doctor what keeps somebody out when nobody looks after it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Context, Grant};
use crate::connection::domain::DomainCheck;
use crate::connection::{Connection, Domain, ProtocolKind, Status};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId};
use crate::provider;
use crate::scim::ScimToken;
use crate::store::{Query, Record, Stored};
use crate::token::{ApiKey, SigningKey, State};
use crate::webhook::Endpoint;

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

impl ExpiryKind {
    /// What health, metrics and the doctor call it; nothing for what they leave alone, because it ends by design (a
    /// challenge, what was deleted) or is renewed by authd itself.
    fn watched(self) -> Option<&'static str> {
        match self {
            Self::SamlCertificate => Some("saml_certificate"),
            Self::DomainProof => Some("domain"),
            Self::ScimToken => Some("scim_token"),
            Self::ApiKey => Some("api_key"),
            Self::AppSecret => Some("app_secret"),
            _ => None,
        }
    }
}

/// Something that ends, as the walk finds it.
pub(super) struct End {
    pub kind: ExpiryKind,
    /// Its id, or that of what it belongs to.
    pub id: String,
    pub name: String,
    pub whose: Whose,
    /// Absent where it is known only to the other side.
    pub at: Option<Timestamp>,
    pub next: String,
    /// It belongs to no connection, or to one that is switched on.
    pub in_use: bool,
}

/// To whom and to which connection something belongs.
#[derive(Clone, Copy, Default)]
pub(super) struct Whose {
    pub organization: Option<OrganizationId>,
    pub connection: Option<ConnectionId>,
}

/// Whether somebody may see what takes that grant in that organization; and, of nothing, what is the deployment's own.
type Sees<'a> = &'a (dyn Fn(Option<(Grant, OrganizationId)>) -> bool + Sync);

/// Everything that ends one day, of what may be seen; in no order.
pub(super) async fn ends(cx: &Context, sees: Sees<'_>) -> Result<Vec<End>> {
    let (owners, active) = (BTreeMap::new(), BTreeSet::new());
    let mut found = Found { now: cx.env.now(), sees, owners, active, items: Vec::new() };
    each::<Connection>(cx, |connection| found.connection(&connection)).await?;
    each::<Domain>(cx, |domain| found.challenge(&domain)).await?;
    each::<DomainCheck>(cx, |check| found.proof(&check)).await?;
    each::<ScimToken>(cx, |token| found.scim_token(&token)).await?;
    each::<ApiKey>(cx, |key| found.api_key(&key)).await?;
    each::<provider::App>(cx, |app| found.app_secret(&app)).await?;
    each::<Endpoint>(cx, |endpoint| found.webhook_secret(&endpoint)).await?;
    let mut keys = Vec::new();
    each::<SigningKey>(cx, |key| keys.push(key)).await?;
    found.signing_keys(&keys, cx.deployment.rotate_every);
    found.listener(cx);
    Ok(found.items)
}

/// Something that ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ending {
    /// `api_key`; `app_secret` for the secret before the last of an app; `scim_token`; `saml_certificate` for one that an
    /// identity provider signs with; `domain` for one whose proof has gone from DNS.
    pub kind: String,
    /// Its id, or that of what it belongs to: an app, a connection; the domain itself.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// When.
    pub at: Timestamp,
}

/// What ends in that span of time, the next first, and keeps somebody out when nobody looks after it. Only what is in use:
/// nothing that was revoked, and nothing of a connection that is off.
pub async fn ending(cx: &Context, from: Timestamp, until: Timestamp) -> Result<Vec<Ending>> {
    let ends = ends(cx, &|_| true).await?;
    let mut found: Vec<Ending> = ends
        .into_iter()
        .filter(|end| end.in_use)
        .filter_map(|end| {
            let (kind, at) = (end.kind.watched()?, end.at.filter(|at| *at > from && *at <= until)?);
            Some(Ending { kind: kind.to_owned(), id: end.id, name: end.name, at })
        })
        .collect();
    found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.id.cmp(&b.id)));
    Ok(found)
}

/// What was found, of what the caller may see.
struct Found<'a> {
    now: Timestamp,
    sees: Sees<'a>,
    /// Whose each connection is.
    owners: BTreeMap<ConnectionId, OrganizationId>,
    /// Those that are switched on.
    active: BTreeSet<ConnectionId>,
    items: Vec<End>,
}

impl Found<'_> {
    fn sees(&self, grant: Grant, organization: OrganizationId) -> bool {
        (self.sees)(Some((grant, organization)))
    }

    fn add(&mut self, kind: ExpiryKind, id: String, name: &str, whose: Whose, at: Option<Timestamp>, next: String) {
        let in_use = whose.connection.is_none_or(|connection| self.active.contains(&connection));
        self.items.push(End { kind, id, name: name.to_owned(), whose, at, next, in_use });
    }

    fn connection(&mut self, connection: &Connection) {
        self.owners.insert(connection.id, connection.organization);
        if connection.status == Status::Active && connection.deleted_at.is_none() {
            self.active.insert(connection.id);
        }
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
        let at = app.secret_ends_at().filter(|at| *at > self.now);
        if at.is_none() || !self.sees(Grant::AppRead, app.organization) {
            return;
        }
        let whose = Whose { organization: Some(app.organization), connection: None };
        let next = "The app has to use its newest secret by then.".to_owned();
        self.add(ExpiryKind::AppSecret, app.id.to_string(), &app.name, whose, at, next);
    }

    fn webhook_secret(&mut self, endpoint: &Endpoint) {
        let at = endpoint.secrets.iter().filter_map(|secret| secret.until).filter(|at| *at > self.now).max();
        if at.is_none() || !self.sees(Grant::ConnectionWebhookManage, endpoint.organization) {
            return;
        }
        let whose = Whose { organization: Some(endpoint.organization), connection: endpoint.connection };
        let next = "The receiver has to know the newest secret by then.".to_owned();
        let name = endpoint.name.as_deref().unwrap_or(&endpoint.url);
        self.add(ExpiryKind::WebhookSecret, endpoint.id.to_string(), name, whose, at, next);
    }

    fn listener(&mut self, cx: &Context) {
        let Some((file, at)) = cx.env.meters().certificate.read().filter(|_| (self.sees)(None)) else { return };
        let name = file.display().to_string();
        let next = format!(
            "Put the renewed certificate into {name}, and its key beside it: authd reads both again by itself, without a restart."
        );
        self.add(ExpiryKind::TlsCertificate, "listener".to_owned(), &name, Whose::default(), Some(at), next);
    }

    /// They are the deployment's, so the operator's to see.
    fn signing_keys(&mut self, keys: &[SigningKey], every: Option<Duration>) {
        if !(self.sees)(None) {
            return;
        }
        for key in keys {
            let following =
                keys.iter().filter(|other| other.algorithm == key.algorithm).find_map(|next| next.activates_at);
            let (at, next) = match key.state() {
                State::Active => {
                    let by_itself = every.and_then(|every| Some(key.activated_at? + every));
                    let next = match by_itself {
                        Some(_) => {
                            "Nothing: it hands over by itself, as keys.rotate_days says. At once: `authd key rotate`."
                        }
                        None => "`authd key rotate`: it never hands over by itself, as keys.rotate_days says.",
                    };
                    (following.or(by_itself), next)
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

/// Every record of a kind, page by page.
pub(super) async fn each<T: Record>(cx: &Context, mut see: impl FnMut(T) + Send) -> Result<()> {
    let mut after = None;
    loop {
        let page = cx.store.page::<T>(Query::all().limit(1_000).after(after)).await?;
        page.items.into_iter().for_each(|Stored { value, .. }| see(value));
        after = page.next;
        if after.is_none() {
            return Ok(());
        }
    }
}
