//! Claiming and giving up domains, and which of them is the first.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::record::Connection;
use super::super::view::DomainView;
use super::claim::{Domain, MOST};
use super::event;
use super::name::{canonical, claimable, claimable_at};
use super::owner::{all_of, release};
use super::report::{DomainList, list};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::ConnectionId;
use crate::store::{Batch, Revision, Stored};

pub(super) async fn owner(cx: &Context, connection: ConnectionId) -> Result<Owner> {
    Ok(Owner::Organization(Connection::load(&cx.store, connection).await?.organization))
}

/// The claim that is meant. Errors: `not_found`, `domain_invalid`.
pub(super) async fn claim(cx: &Context, connection: ConnectionId, domain: &str) -> Result<Stored<Domain>> {
    let name = canonical(domain)?;
    cx.store.get(Domain::key_of(&name, connection)).await?.ok_or_else(|| {
        Error::says(&codes::NOT_FOUND, format!("The connection does not claim `{name}`."))
            .help("`authd domain add` claims it.")
    })
}

/// Marks the connection as changed. Every change of its domains goes through its row, so that two at once cannot
/// pass the limit or leave two primary domains.
pub(super) async fn touch(cx: &Context, id: ConnectionId, batch: &mut Batch) -> Result<Connection> {
    let Stored { value: mut connection, revision } = Connection::load(&cx.store, id).await?;
    connection.updated_at = cx.env.now();
    batch.update(&connection, revision);
    Ok(connection)
}

fn too_many() -> Error {
    Error::says(&codes::TOO_LARGE, format!("A connection has at most {MOST} domains."))
}

/// The first domain of a connection is another one now.
fn first_changed(cx: &Context, connection: &Connection, name: &str) -> Event {
    cx.event(EventKind::ConnectionUpdated)
        .within(connection.organization)
        .about("connection", connection.id)
        .and("domain", name)
        .with("changed", vec!["primaryDomain"])
}

/// Writes into the batch that the claim is given up.
async fn give_up(cx: &Context, claim: &Domain, revision: Revision, batch: &mut Batch) -> Result<()> {
    let key = Domain::key_of(&claim.name, claim.connection);
    batch.delete::<Domain>(key, revision).log(event(cx, EventKind::DomainRemoved, claim));
    if claim.verified_at.is_some() {
        release(&cx.store, &claim.name, claim.connection, batch).await?;
    }
    Ok(())
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
    const CREATES: bool = true;

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
            return Err(too_many());
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
        give_up(cx, &claim, revision, batch).await?;
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

/// Make a domain the connection's first one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetPrimaryDomain {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain.
    pub domain: String,
}

#[async_trait]
impl Operation for SetPrimaryDomain {
    type Seen = ();
    type Output = DomainView;
    const NAME: &'static str = "domain.set_primary";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{connection}/domains/{domain}/primary" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut claim, revision } = claim(cx, self.connection, &self.domain).await?;
        if !claim.primary {
            let connection = touch(cx, self.connection, batch).await?;
            for Stored { value: mut other, revision } in all_of(&cx.store, self.connection).await? {
                if other.primary {
                    other.primary = false;
                    batch.update(&other, revision);
                }
            }
            claim.primary = true;
            batch.update(&claim, revision).log(first_changed(cx, &connection, &claim.name));
        }
        super::view(cx, &claim).await
    }
}

/// One domain of a list: `acme.com`, or `{"domain": "acme.com", "isPrimary": true}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum WantedDomain {
    /// Its name.
    Name(String),
    /// Its name, and whether it is the first one.
    Entry(WantedEntry),
}

/// A domain of a list.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WantedEntry {
    /// The name.
    pub domain: String,
    /// Make it the connection's first domain.
    #[serde(default)]
    pub is_primary: bool,
}

impl WantedDomain {
    fn parts(&self) -> (&str, bool) {
        match self {
            Self::Name(name) => (name, false),
            Self::Entry(entry) => (&entry.domain, entry.is_primary),
        }
    }
}

/// Set the whole list of a connection's domains at once. What is new is claimed, what is missing is given up, and what
/// stays keeps its proof. Without a word on which is the first, that stays as it is.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetDomains {
    /// The connection.
    pub connection: ConnectionId,
    /// All its domains from now on.
    #[schemars(extend("x-flag" = "domain"))]
    pub domains: Vec<WantedDomain>,
}

/// The whole list of a connection's domains, as it shall be.
pub(in crate::connection) struct WantedList {
    /// The names in their canonical form, each once.
    names: Vec<String>,
    /// The one that is named as the first.
    first: Option<String>,
}

impl WantedList {
    /// Errors: `domain_invalid`, `invalid_input`, `too_large`.
    pub fn of(domains: &[WantedDomain]) -> Result<Self> {
        if domains.len() > MOST {
            return Err(too_many());
        }
        let (mut names, mut first) = (Vec::new(), None::<String>);
        for (at, (text, primary)) in domains.iter().map(WantedDomain::parts).enumerate() {
            let name = claimable_at(at, text)?;
            if primary && first.replace(name.clone()).is_some_and(|other| other != name) {
                let says = format!("`domains[{at}].isPrimary`: another domain is named as the first one, too.");
                return Err(Error::says(&codes::INVALID_INPUT, says).help("Set `isPrimary` on one of them."));
            }
            if !names.contains(&name) {
                names.push(name);
            }
        }
        Ok(Self { names, first })
    }

    /// Adds to the batch what it takes to have these domains, and gives the claims that there are then; nothing where they
    /// are as they shall be. The caller marks the connection as changed in the same batch.
    pub async fn settle(self, cx: &Context, connection: &Connection, batch: &mut Batch) -> Result<Option<Vec<Domain>>> {
        let Self { names, first } = self;
        let kept = all_of(&cx.store, connection.id).await?;
        let stays = |claim: &Domain| names.contains(&claim.name);
        let before = kept.iter().find(|claim| claim.primary).map(|claim| claim.name.clone());
        let first =
            first.or_else(|| before.clone().filter(|name| names.contains(name))).or_else(|| names.first().cloned());
        if kept.len() == names.len() && kept.iter().all(|claim| stays(claim)) && first == before {
            return Ok(None);
        }
        let mut claims = Vec::new();
        for Stored { value: mut claim, revision } in kept {
            if !stays(&claim) {
                give_up(cx, &claim, revision, batch).await?;
                continue;
            }
            let primary = first.as_ref() == Some(&claim.name);
            if claim.primary != primary {
                claim.primary = primary;
                batch.update(&claim, revision);
            }
            claims.push(claim);
        }
        for name in names {
            if claims.iter().all(|claim| claim.name != name) {
                let primary = first.as_ref() == Some(&name);
                let new = Domain::claim(&cx.env, connection, name, primary);
                batch.create(&new).log(event(cx, EventKind::DomainClaimed, &new));
                claims.push(new);
            }
        }
        if let Some(name) = first.filter(|first| before.as_ref() != Some(first)) {
            batch.log(first_changed(cx, connection, &name));
        }
        Ok(Some(claims))
    }
}

#[async_trait]
impl Operation for SetDomains {
    type Seen = ();
    type Output = DomainList;
    const NAME: &'static str = "domain.set";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/connections/{connection}/domains" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let wanted = WantedList::of(&self.domains)?;
        let connection = Connection::load(&cx.store, self.connection).await?;
        match wanted.settle(cx, &connection, batch).await? {
            None => list(cx, self.connection).await,
            Some(claims) => {
                let connection = touch(cx, self.connection, batch).await?;
                DomainList::of(cx, &connection, claims).await
            }
        }
    }
}
