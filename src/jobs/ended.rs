//! What ended organizations leave behind, removed in chunks. Nobody waits for it: access ended with the commit that
//! ended the organization.

use std::collections::BTreeSet;

use crate::access::{Caller, CustomRole, World};
use crate::connection::{Connection, Domain, DomainOwner, Enforcement, ScimConfig};
use crate::directory::{
    DirectoryGroup, EndedOrganization, ExternalId, GroupMember, Identity, Membership, Owners, ScimResource, User,
};
use crate::error::Result;
use crate::event::{EventKind, Origin};
use crate::governance::{BreakGlass, OrganizationPolicy};
use crate::id::OrganizationId;
use crate::provider::{App, Consent};
use crate::scim::ScimToken;
use crate::session::{Lifetimes, Session};
use crate::store::{Batch, Key, Query, Record, Store, Stored};
use crate::token::{ApiKey, TrustedIssuer};
use crate::webhook::{Endpoint, Inbound, KnownPerson};

/// About so many rows go in one commit, so that requests come in between.
const CHUNK: usize = 300;

/// Removes what ended organizations left.
pub async fn remove(world: &World) -> Result<()> {
    let ended = world.store.page::<EndedOrganization>(Query::by(EndedOrganization::LEFT, b"").limit(10)).await?;
    for tombstone in ended.items {
        while chunk(world, &tombstone).await? {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Removes some. False when nothing was left, and the tombstone says so.
async fn chunk(world: &World, tombstone: &Stored<EndedOrganization>) -> Result<bool> {
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let mut chunk = Chunk { store: &world.store, organization: tombstone.id, batch: Batch::new(), rows: 0 };
    chunk.gather().await?;
    let Chunk { mut batch, rows, .. } = chunk;
    let event = cx.event(EventKind::OrganizationSwept).within(tombstone.id).about("organization", tombstone.id);
    batch.log(event.with("rows", rows));
    if rows == 0 {
        let swept = EndedOrganization { swept_at: Some(cx.env.now()), ..tombstone.value.clone() };
        batch.update(&swept, tombstone.revision);
    }
    world.store.commit(batch).await?;
    Ok(rows > 0)
}

struct Chunk<'w> {
    store: &'w Store,
    organization: OrganizationId,
    batch: Batch,
    rows: usize,
}

impl Chunk<'_> {
    async fn gather(&mut self) -> Result<()> {
        self.connections().await?;
        self.people().await?;
        self.all::<ScimResource>("organization").await?;
        self.all::<ScimToken>("organization").await?;
        self.all::<ScimConfig>("organization").await?;
        self.all::<DirectoryGroup>("organization").await?;
        self.all::<Session>("organization").await?;
        self.all::<ApiKey>("organization").await?;
        self.all::<CustomRole>("organization").await?;
        self.all::<Consent>("organization").await?;
        self.all::<TrustedIssuer>("organization").await?;
        self.all::<App>("organization").await?;
        self.all::<Endpoint>("organization").await?;
        self.all::<Inbound>("organization").await?;
        self.all::<KnownPerson>("organization").await?;
        if let Some(policy) = self.store.get(OrganizationPolicy::key_of(self.organization)).await? {
            self.delete::<OrganizationPolicy>(&policy);
        }
        self.all::<BreakGlass>("organization").await?;
        if let Some(row) = self.store.get(Enforcement::key_of(self.organization)).await? {
            self.delete::<Enforcement>(&row);
        }
        if let Some(lifetimes) = self.store.get(Lifetimes::key_of(self.organization)).await? {
            self.delete::<Lifetimes>(&lifetimes);
        }
        if let Some(owners) = self.store.get(Key::from_bytes(self.organization.bytes())).await? {
            self.delete::<Owners>(&owners);
        }
        Ok(())
    }

    fn delete<T: Record>(&mut self, stored: &Stored<T>) {
        self.batch.delete::<T>(stored.key(), stored.revision);
        self.rows += 1;
    }

    fn is_full(&self) -> bool {
        self.rows >= CHUNK
    }

    /// Rows that are listed under the organization.
    async fn all<T: Record>(&mut self, index: &'static str) -> Result<()> {
        if !self.is_full() {
            let query = Query::by(index, self.organization.bytes()).limit(CHUNK - self.rows);
            for found in self.store.page::<T>(query).await?.items {
                self.delete(&found);
            }
        }
        Ok(())
    }

    /// Connections first: their domains are free for others then.
    async fn connections(&mut self) -> Result<()> {
        let mut names = BTreeSet::new();
        for index in ["organization", "deleted"] {
            let query = Query::by(index, self.organization.bytes()).limit(10);
            for connection in self.store.page::<Connection>(query).await?.items {
                let domains = Query::by("connection", connection.id.bytes()).limit(1_000);
                for domain in self.store.page::<Domain>(domains).await?.items {
                    names.insert(domain.name.clone());
                    self.delete(&domain);
                }
                self.delete(&connection);
            }
        }
        for name in names {
            let owner = DomainOwner::load(self.store, &name).await?;
            if let Some(owner) = owner.filter(|owner| owner.organization == self.organization) {
                self.delete(&owner);
            }
        }
        Ok(())
    }

    /// Members with their identities; and the person, unless another organization knows them.
    async fn people(&mut self) -> Result<()> {
        if self.is_full() {
            return Ok(());
        }
        let query = Query::by("organization", self.organization.bytes()).limit(CHUNK);
        for member in self.store.page::<Membership>(query).await?.items {
            if self.is_full() {
                break;
            }
            let user = member.user;
            for identity in self.store.page::<Identity>(Query::by("user", user.bytes())).await?.items {
                if identity.organization == self.organization {
                    self.delete(&identity);
                }
            }
            for handle in self.store.page::<ExternalId>(Query::by("user", user.bytes())).await?.items {
                if handle.organization == self.organization {
                    self.delete(&handle);
                }
            }
            let groups = Query::by("member", GroupMember::member(self.organization, user)).limit(1_000);
            for belonging in self.store.page::<GroupMember>(groups).await?.items {
                self.delete(&belonging);
            }
            let memberships = self.store.page::<Membership>(Query::by("user", user.bytes()).limit(2)).await?;
            if memberships.items.len() == 1
                && let Some(anchor) = self.store.get::<User>(Key::from_bytes(user.bytes())).await?
            {
                self.delete(&anchor);
            }
            self.delete(&member);
        }
        Ok(())
    }
}
