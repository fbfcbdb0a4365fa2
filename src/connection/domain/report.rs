//! What is known about a connection's domains.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::record::Connection;
use super::super::view::{ChallengeView, DomainView};
use super::claim::all_of;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::error::Result;
use crate::id::ConnectionId;
use crate::store::Batch;

/// List the domains of a connection, with what has to be done about them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListDomains {
    /// The connection.
    pub connection: ConnectionId,
}

/// How many domains there are.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainSummary {
    /// All of them.
    pub domain_count: usize,
    /// The primary one: 1, or 0 where there is none.
    pub primary_count: usize,
    /// The proved ones.
    pub verified_count: usize,
}

/// The domains of a connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainList {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Whether people are routed by at least one of them.
    pub ready: bool,
    /// How many there are.
    pub summary: DomainSummary,
    /// The domains, the primary one first.
    pub domains: Vec<DomainView>,
    /// What stands in the way.
    pub warnings: Vec<String>,
}

async fn list(cx: &Context, connection: ConnectionId) -> Result<DomainList> {
    let claims = all_of(&cx.store, connection).await?;
    let mut domains: Vec<DomainView> = claims.iter().map(|claim| DomainView::from(&claim.value)).collect();
    domains.sort_by_key(|domain| !domain.is_primary);
    let mut warnings = Vec::new();
    if domains.is_empty() {
        warnings.push("The connection has no domain, so nobody is routed to it by e-mail address.".to_owned());
    }
    // Whether somebody else has proved the name is said to whoever proves it, to nobody else.
    warnings.extend(domains.iter().filter(|d| !d.verified).map(|d| format!("{} is not verified.", d.domain)));
    let verified_count = domains.iter().filter(|domain| domain.verified).count();
    Ok(DomainList {
        connection_id: connection,
        ready: verified_count > 0,
        summary: DomainSummary {
            domain_count: domains.len(),
            primary_count: domains.iter().filter(|domain| domain.is_primary).count(),
            verified_count,
        },
        domains,
        warnings,
    })
}

#[async_trait]
impl Operation for ListDomains {
    type Seen = ();
    type Output = DomainList;
    const NAME: &'static str = "domain.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{connection}/domains" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Connection::load(&cx.store, self.connection).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        list(cx, self.connection).await
    }
}

/// Show what a connection's domains are good for now, and the next steps.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReadDomainStatus {
    /// The connection.
    pub connection: ConnectionId,
}

/// What a connection's domains are good for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainStatus {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub list: DomainList,
    /// The connection's first domain.
    pub primary_domain: Option<String>,
    /// The proved ones.
    pub trusted_domains: Vec<String>,
    /// What has still to be shown in DNS.
    pub pending_challenges: Vec<ChallengeView>,
    /// What the proofs are good for.
    pub trust: DomainTrust,
    /// What to do next.
    pub next_steps: Vec<String>,
}

/// What proofs of domains are good for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainTrust {
    /// People are routed by their e-mail address.
    pub domain_discovery_ready: bool,
    /// The connection's first domain is proved.
    pub primary_domain_verified: bool,
    /// The provider's word about e-mail addresses can be believed, so a known person can be recognized by theirs.
    pub automatic_linking_eligible: bool,
}

#[async_trait]
impl Operation for ReadDomainStatus {
    type Seen = ();
    type Output = DomainStatus;
    const NAME: &'static str = "domain.status";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{connection}/domain-status" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Connection::load(&cx.store, self.connection).await?.organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let list = list(cx, self.connection).await?;
        let primary = list.domains.iter().find(|domain| domain.is_primary);
        let now = cx.env.now();
        let mut pending_challenges = Vec::new();
        let mut next_steps = Vec::new();
        if list.domains.is_empty() {
            next_steps.push("Claim a domain: `authd domain add`.".to_owned());
        }
        for domain in list.domains.iter().filter(|domain| !domain.verified) {
            match domain.challenge.clone().filter(|challenge| challenge.expires_at > now) {
                Some(challenge) => {
                    next_steps.push(format!(
                        "Set the TXT record `{}` to `{}`, then `authd domain verify`.",
                        challenge.record_name, challenge.record_value
                    ));
                    pending_challenges.push(challenge);
                }
                None => {
                    next_steps.push(format!("Ask for a new challenge for {}: `authd domain request`.", domain.domain));
                }
            }
        }
        Ok(DomainStatus {
            primary_domain: primary.map(|domain| domain.domain.clone()),
            trusted_domains: list.domains.iter().filter(|d| d.verified).map(|d| d.domain.clone()).collect(),
            pending_challenges,
            trust: DomainTrust {
                domain_discovery_ready: list.ready,
                primary_domain_verified: primary.is_some_and(|domain| domain.verified),
                automatic_linking_eligible: list.ready,
            },
            next_steps,
            list,
        })
    }
}
