//! The one owner that a domain may have.
//!
//! ```text
//!  Domain (example.com, conn A) ─┐  verified
//!  Domain (example.com, conn B) ─┼──────────►  DomainOwner example.com = organization, [conn A, conn B]
//!  Domain (example.com, conn C)  │  unverified: a claim and nothing more, blocks nobody
//! ```
//!
//! The owner is a row of its own, keyed by the name: whoever verifies creates or updates it at its revision, so two
//! organizations that verify at once end with one owner.

use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId};
use crate::store::{Batch, Key, Life, Query, Record, Store, Stored};

use super::super::record::{Connection, Status};
use super::claim::{Domain, MOST};

/// Who owns a domain in this deployment, and through which connections, the preferred one first. A row for every
/// verified name and for no other.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct DomainOwner {
    /// IDNA in ASCII, lower case.
    #[n(0)]
    pub name: String,
    /// The one owner.
    #[n(1)]
    pub organization: OrganizationId,
    /// Its connections that have the domain verified; never empty.
    #[n(2)]
    pub connections: Vec<ConnectionId>,
}

impl Record for DomainOwner {
    const KIND: &'static str = "domain_owner";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(&self.name)
    }
}

impl DomainOwner {
    fn key_of(name: &str) -> Key {
        Key::from_bytes(name.as_bytes())
    }

    /// The owner of a name in its canonical form, if somebody verified it.
    pub async fn load(store: &Store, name: &str) -> Result<Option<Stored<Self>>> {
        store.get(Self::key_of(name)).await
    }
}

/// Every claim of a connection, by name.
pub async fn all_of(store: &Store, connection: ConnectionId) -> Result<Vec<Stored<Domain>>> {
    let query = Query::by("connection", connection.bytes()).limit(MOST * 2);
    Ok(store.page::<Domain>(query).await?.items)
}

/// The verified domains of a connection: those whose addresses its provider may vouch for.
pub async fn owned_by(store: &Store, connection: ConnectionId) -> Result<Vec<Domain>> {
    let all = all_of(store, connection).await?;
    Ok(all.into_iter().map(|stored| stored.value).filter(|domain| domain.verified_at.is_some()).collect())
}

/// The verified claim that people of a domain are routed by, if any. Where the owner verified it on several
/// connections, an active one goes first. `name` in its canonical form.
pub async fn owner_of(store: &Store, name: &str) -> Result<Option<Domain>> {
    let Some(owner) = DomainOwner::load(store, name).await? else { return Ok(None) };
    let mut fallback = None;
    for id in &owner.connections {
        let Some(domain) = store.get::<Domain>(Domain::key_of(name, *id)).await? else { continue };
        if Connection::load(store, *id).await.is_ok_and(|connection| connection.status == Status::Active) {
            return Ok(Some(domain.value));
        }
        fallback = fallback.or(Some(domain.value));
    }
    Ok(fallback)
}

/// Refuses a name that another organization has verified. Errors: `domain_taken`.
pub(crate) async fn free_for(
    store: &Store,
    name: &str,
    organization: OrganizationId,
) -> Result<Option<Stored<DomainOwner>>> {
    let owner = DomainOwner::load(store, name).await?;
    if owner.as_ref().is_some_and(|owner| owner.organization != organization) {
        return Err(Error::says(&codes::DOMAIN_TAKEN, format!("Another organization has verified `{name}`.")));
    }
    Ok(owner)
}

/// Writes into the batch that the connection has the name verified. Errors: `domain_taken`.
pub(crate) async fn take(
    store: &Store,
    name: &str,
    organization: OrganizationId,
    connection: ConnectionId,
    batch: &mut Batch,
) -> Result<()> {
    match free_for(store, name, organization).await? {
        None => {
            batch.create(&DomainOwner { name: name.to_owned(), organization, connections: vec![connection] });
        }
        Some(mut owner) if !owner.connections.contains(&connection) => {
            owner.value.connections.push(connection);
            batch.update(&owner.value, owner.revision);
        }
        Some(_) => {}
    }
    Ok(())
}

/// Writes into the batch that the connection has the name verified no longer; the last one frees the name.
pub(crate) async fn release(store: &Store, name: &str, connection: ConnectionId, batch: &mut Batch) -> Result<()> {
    let Some(mut owner) = DomainOwner::load(store, name).await? else { return Ok(()) };
    if !owner.connections.contains(&connection) {
        return Ok(());
    }
    owner.value.connections.retain(|id| *id != connection);
    if owner.connections.is_empty() {
        batch.delete::<DomainOwner>(owner.key(), owner.revision);
    } else {
        batch.update(&owner.value, owner.revision);
    }
    Ok(())
}
