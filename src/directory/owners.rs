//! The active owners of an organization, in one row: so that of two who leave at once, one is told to stay.

use std::collections::BTreeSet;

use super::listing::{ROLE, role};
use super::membership::Membership;
use crate::access::{Role, RoleName};
use crate::error::{Error, Result, codes};
use crate::id::{OrganizationId, UserId};
use crate::store::{Batch, Key, Life, Query, Record, Revision, Store, Stored};

/// The active owners of an organization. Whoever changes who they are, updates this row at its revision. There is
/// none before the first such change; then the memberships are asked.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Owners {
    /// Whose.
    #[n(0)]
    pub organization: OrganizationId,
    /// Who.
    #[n(1)]
    pub users: BTreeSet<UserId>,
}

impl Record for Owners {
    const KIND: &'static str = "owners";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.organization.bytes())
    }
}

/// The row as it shall be, and the revision that it was worked out from.
#[derive(Clone, Debug)]
pub(super) struct OwnersChange {
    row: Owners,
    revision: Option<Revision>,
}

impl OwnersChange {
    /// The owners once these people are owners or no longer are; `None` where that changes nothing.
    /// Errors: `last_owner` when there was one and would be none.
    pub async fn weigh(
        store: &Store,
        organization: OrganizationId,
        changes: &[(UserId, bool)],
    ) -> Result<Option<Self>> {
        if changes.is_empty() {
            return Ok(None);
        }
        let found: Option<Stored<Owners>> = store.get(Key::from_bytes(organization.bytes())).await?;
        let (before, revision) = match found {
            Some(found) => (found.value.users, Some(found.revision)),
            None => (derive(store, organization).await?, None),
        };
        let mut users = before.clone();
        for (user, owns) in changes {
            if *owns {
                users.insert(*user);
            } else {
                users.remove(user);
            }
        }
        if users.is_empty() && !before.is_empty() {
            return Err(Error::new(&codes::LAST_OWNER));
        }
        // Without a row the change is written even where it changes nothing: the next one need not ask again.
        let changed = users != before || revision.is_none();
        Ok(changed.then_some(Self { row: Owners { organization, users }, revision }))
    }

    /// Adds it to a batch. Two first changes at once are a race for the key, which the later one loses.
    pub fn add(&self, batch: &mut Batch) {
        match self.revision {
            Some(revision) => batch.update(&self.row, revision),
            None => batch.create(&self.row),
        };
    }
}

async fn derive(store: &Store, organization: OrganizationId) -> Result<BTreeSet<UserId>> {
    let mut owners = BTreeSet::new();
    let mut cursor = None;
    loop {
        let query = Query::by(ROLE, role(organization, &RoleName::from(Role::Owner))).limit(1_000).after(cursor);
        let page = store.page::<Membership>(query).await?;
        owners.extend(page.items.iter().filter(|member| member.owns()).map(|member| member.user));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(owners);
        }
    }
}
