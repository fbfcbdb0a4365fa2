//! Claiming, proving and giving up domains.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::record::Connection;
use super::super::view::DomainView;
use super::claim::{Challenge, Domain, MOST, Proof, all_of, release, take};
use super::event;
use super::name::{canonical, claimable};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::crypto::same;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::store::{Batch, Stored};

async fn owner(cx: &Context, connection: ConnectionId) -> Result<Owner> {
    Ok(Owner::Organization(Connection::load(&cx.store, connection).await?.organization))
}

/// The claim that is meant. Errors: `not_found`, `domain_invalid`.
async fn claim(cx: &Context, connection: ConnectionId, domain: &str) -> Result<Stored<Domain>> {
    let name = canonical(domain)?;
    cx.store.get(Domain::key_of(&name, connection)).await?.ok_or_else(|| {
        Error::says(&codes::NOT_FOUND, format!("The connection does not claim `{name}`."))
            .help("`authd domain add` claims it.")
    })
}

/// Marks the connection as changed. Every change of its domains goes through its row, so that two at once cannot
/// pass the limit or leave two primary domains.
async fn touch(cx: &Context, id: ConnectionId, batch: &mut Batch) -> Result<Connection> {
    let Stored { value: mut connection, revision } = Connection::load(&cx.store, id).await?;
    connection.updated_at = cx.env.now();
    batch.update(&connection, revision);
    Ok(connection)
}

/// Claim a domain for a connection. The claim alone routes nobody and blocks nobody: set the TXT record of the
/// answer's challenge, then `authd domain verify`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddDomain {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain, as in its e-mail addresses: `acme.com`. Subdomains are domains of their own.
    pub domain: String,
    /// Make it the connection's first domain.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub primary: bool,
}

#[async_trait]
impl Operation for AddDomain {
    type Seen = ();
    type Output = DomainView;
    const NAME: &'static str = "domain.add";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{connection}/domains" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let name = claimable(&self.domain)?;
        let connection = touch(cx, self.connection, batch).await?;
        let others = all_of(&cx.store, connection.id).await?;
        if others.iter().any(|other| other.name == name) {
            return Err(Error::says(&codes::CONFLICT, format!("The connection claims `{name}` already.")));
        }
        if others.len() >= MOST {
            return Err(Error::says(&codes::TOO_LARGE, format!("A connection has at most {MOST} domains.")));
        }
        let new = Domain::claim(&cx.env, &connection, name, self.primary || others.is_empty());
        if new.primary {
            for Stored { value: mut other, revision } in others.into_iter().filter(|other| other.primary) {
                other.primary = false;
                batch.update(&other, revision);
            }
        }
        batch.create(&new).log(event(cx, EventKind::DomainClaimed, &new));
        Ok(DomainView::from(&new))
    }
}

/// Ask for a new challenge for a domain: the TXT record that proves it. The one before it is no good any more.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestVerification {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain.
    pub domain: String,
}

#[async_trait]
impl Operation for RequestVerification {
    type Seen = ();
    type Output = DomainView;
    const NAME: &'static str = "domain.request";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{connection}/domains/{domain}/request" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut claim, revision } = claim(cx, self.connection, &self.domain).await?;
        if claim.verified_at.is_none() {
            claim.challenge = Some(Challenge::new(&cx.env));
            batch.update(&claim, revision).log(event(cx, EventKind::DomainVerificationRequested, &claim));
        }
        Ok(DomainView::from(&claim))
    }
}

/// Prove a domain by its TXT record in DNS, or vouch for it with `force`. From then on people are routed by it, and
/// e-mail addresses in it are believed. A domain has at most one owner in the deployment.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyDomain {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain.
    pub domain: String,
    /// Vouch for it without a proof by DNS. It takes the grant `connection.domain.trust`, and is audited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// What DNS says about a claim.
#[derive(Debug, Default)]
pub struct Shown {
    /// The challenge whose value stood in DNS.
    value: Option<String>,
}

#[async_trait]
impl Operation for VerifyDomain {
    type Seen = Shown;
    type Output = DomainView;
    const NAME: &'static str = "domain.verify";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{connection}/domains/{domain}/verify" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let claim = claim(cx, self.connection, &self.domain).await?;
        let Some(challenge) = claim.challenge.as_ref().filter(|_| !self.force && claim.verified_at.is_none()) else {
            return Ok(Shown::default());
        };
        let record = Challenge::record_name(&claim.name);
        let unproved = |why: String| {
            Error::says(&codes::DOMAIN_NOT_PROVED, why)
                .help(format!("Set the TXT record `{record}` to `{}`, then try again.", challenge.value))
        };
        let texts = cx.env.dns().txt(&record).await?;
        if texts.is_empty() {
            return Err(unproved(format!("DNS has no TXT record `{record}` yet.")));
        }
        if !texts.iter().any(|text| same(text.trim().as_bytes(), challenge.value.as_bytes())) {
            return Err(unproved(format!("The TXT record `{record}` says something else.")));
        }
        Ok(Shown { value: Some(challenge.value.clone()) })
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut claim, revision } = claim(cx, self.connection, &self.domain).await?;
        if self.force && !cx.caller.holds(Grant::ConnectionDomainTrust, claim.organization) {
            let grant = Grant::ConnectionDomainTrust;
            return Err(Error::new(&codes::MISSING_GRANT).help(format!(
                "Vouching for a domain takes the grant `{grant}`. Without it, prove the domain by DNS."
            )));
        }
        if claim.verified_at.is_some() {
            return Ok(DomainView::from(&claim));
        }
        let proof = if self.force { Proof::Vouched } else { Proof::Dns };
        if proof == Proof::Dns {
            // What DNS showed must be the answer to the challenge that is open now.
            let open = claim.challenge.as_ref();
            if open.is_none_or(|challenge| seen.value.as_deref() != Some(&challenge.value)) {
                return Err(Error::new(&codes::DOMAIN_NOT_PROVED));
            }
            if open.is_some_and(|challenge| challenge.expires_at <= cx.env.now()) {
                return Err(Error::says(&codes::DOMAIN_NOT_PROVED, "The challenge has expired.")
                    .help("`authd domain request` makes a new one."));
            }
        }
        take(&cx.store, &claim.name, claim.organization, claim.connection, batch).await?;
        touch(cx, self.connection, batch).await?;
        claim.prove(&cx.env, proof);
        let by = if self.force { "vouched" } else { "dns" };
        batch.update(&claim, revision).log(event(cx, EventKind::DomainVerified, &claim).with("by", by));
        Ok(DomainView::from(&claim))
    }
}

/// Take a domain off a connection. People are routed by it no more; if it was verified, it is free for others.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RemoveDomain {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain.
    pub domain: String,
}

#[async_trait]
impl Operation for RemoveDomain {
    type Seen = ();
    type Output = DomainView;
    const NAME: &'static str = "domain.remove";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/connections/{connection}/domains/{domain}" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: claim, revision } = claim(cx, self.connection, &self.domain).await?;
        touch(cx, self.connection, batch).await?;
        batch.delete::<Domain>(Domain::key_of(&claim.name, claim.connection), revision).log(event(
            cx,
            EventKind::DomainRemoved,
            &claim,
        ));
        if claim.verified_at.is_some() {
            release(&cx.store, &claim.name, claim.connection, batch).await?;
        }
        if claim.primary {
            let rest = all_of(&cx.store, claim.connection).await?;
            // The oldest verified one follows, or else the oldest.
            let next = rest
                .into_iter()
                .filter(|other| other.name != claim.name)
                .min_by_key(|other| (other.verified_at.is_none(), other.created_at));
            if let Some(Stored { value: mut next, revision }) = next {
                next.primary = true;
                batch.update(&next, revision);
            }
        }
        Ok(DomainView::from(&claim))
    }
}
