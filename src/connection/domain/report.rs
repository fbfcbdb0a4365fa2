//! What is known about a connection's domains.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::record::{Connection, Status};
use super::super::view::{ChallengeView, DomainView};
use super::claim::{Challenge, Domain};
use super::owner::all_of;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::error::Result;
use crate::id::ConnectionId;
use crate::store::Batch;

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

impl DomainList {
    /// Of these claims of the connection.
    pub(super) async fn of(cx: &Context, connection: &Connection, claims: Vec<Domain>) -> Result<Self> {
        let mut domains = Vec::with_capacity(claims.len());
        for claim in &claims {
            domains.push(super::view(cx, claim).await?);
        }
        domains.sort_by_key(|domain| !domain.is_primary);
        let count = |is: fn(&DomainView) -> bool| domains.iter().filter(|domain| is(domain)).count();
        let verified_count = count(|domain| domain.verified);
        let summary = DomainSummary {
            domain_count: domains.len(),
            primary_count: count(|domain| domain.is_primary),
            verified_count,
        };
        Ok(Self {
            connection_id: connection.id,
            ready: verified_count > 0,
            summary,
            warnings: warnings(connection, &domains),
            domains,
        })
    }
}

/// Whether somebody else has proved a name is said to whoever proves it, to nobody else.
fn warnings(connection: &Connection, domains: &[DomainView]) -> Vec<String> {
    let mut warnings = Vec::new();
    if domains.is_empty() {
        warnings.push("The connection has no domain, so nobody is routed to it by e-mail address.".to_owned());
    }
    for domain in domains {
        let name = &domain.domain;
        if !domain.verified {
            warnings.push(format!("{name} is not verified."));
        } else if let (Some(since), Some(end)) = (domain.failing_since, domain.loses_at) {
            warnings.push(format!("The TXT record of {name} is not in DNS since {since}; its proof is lost at {end}."));
        }
    }
    if connection.status == Status::Disabled && domains.iter().any(|domain| domain.verified) {
        warnings.push("The connection is disabled, so nobody signs in through it.".to_owned());
    }
    warnings
}

/// The domains of a connection, as they are kept.
pub(super) async fn list(cx: &Context, connection: ConnectionId) -> Result<DomainList> {
    let connection = Connection::load(&cx.store, connection).await?;
    let claims = all_of(&cx.store, connection.id).await?;
    DomainList::of(cx, &connection, claims.into_iter().map(|claim| claim.value).collect()).await
}

/// List the domains of a connection, with what has to be done about them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ListDomains {
    /// The connection.
    pub connection: ConnectionId,
}

#[async_trait]
impl Operation for ListDomains {
    type Seen = ();
    type Output = DomainList;
    const NAME: &'static str = "domain.list";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{connection}/domains" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        super::ops::owner(cx, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        list(cx, self.connection).await
    }
}

/// Check whether people are routed to a connection by its domains, and what stands in the way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ValidateDomains {
    /// The connection.
    pub connection: ConnectionId,
}

#[async_trait]
impl Operation for ValidateDomains {
    type Seen = ();
    type Output = DomainList;
    const NAME: &'static str = "domain.validate";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{connection}/domain-validation" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        super::ops::owner(cx, self.connection).await
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

/// What is to be done about a domain, if anything. `record` has to stay in DNS.
fn next_step(domain: &DomainView, record: Option<&str>, pending: Option<&ChallengeView>) -> Option<String> {
    let (name, at) = (&domain.domain, Challenge::record_name(&domain.domain));
    let set = |challenge: &ChallengeView| {
        format!(
            "Set the TXT record `{}` to `{}`, then `authd domain verify`.",
            challenge.record_name, challenge.record_value
        )
    };
    match (domain.verified, record, domain.loses_at) {
        (false, ..) => {
            Some(pending.map_or_else(|| format!("Ask for a new challenge for {name}: `authd domain request`."), set))
        }
        (true, Some(record), Some(end)) => Some(format!(
            "Set the TXT record `{at}` to `{record}` again, then `authd domain recheck`: else the proof of {name} is lost at {end}."
        )),
        (true, ..) if pending.is_some() => pending.map(set),
        (true, Some(_), None) => Some(format!("Leave the TXT record `{at}` in DNS: it is asked for every week.")),
        (true, None, _) => None,
    }
}

#[async_trait]
impl Operation for ReadDomainStatus {
    type Seen = ();
    type Output = DomainStatus;
    const NAME: &'static str = "domain.status";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{connection}/domain-status" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        super::ops::owner(cx, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let connection = Connection::load(&cx.store, self.connection).await?;
        let claims: Vec<Domain> = all_of(&cx.store, connection.id).await?.into_iter().map(|it| it.value).collect();
        let list = DomainList::of(cx, &connection, claims.clone()).await?;
        let primary = list.domains.iter().find(|domain| domain.is_primary);
        let now = cx.env.now();
        let (mut pending_challenges, mut next_steps) = (Vec::new(), Vec::new());
        if list.domains.is_empty() {
            next_steps.push("Claim a domain: `authd domain add`.".to_owned());
        }
        for domain in &list.domains {
            let record = claims.iter().find(|claim| claim.name == domain.domain).and_then(Domain::kept_record);
            let pending = domain.challenge.as_ref().filter(|challenge| challenge.expires_at > now);
            next_steps.extend(next_step(domain, record, pending));
            pending_challenges.extend(pending.cloned());
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
