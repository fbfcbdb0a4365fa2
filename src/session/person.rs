//! The sessions of one person, for the person.

use super::record::Session;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{OrganizationId, UserId};
use crate::store::{Query, Store};

/// So many are looked at; those that have ended are among them until they are swept.
const LOOKED_AT: usize = 1_000;

impl Session {
    /// The live sessions of a person in one organization, the newest first.
    pub async fn of_person(
        store: &Store,
        now: Timestamp,
        organization: OrganizationId,
        user: UserId,
    ) -> Result<Vec<Self>> {
        let query = Query::by("member", Self::member(organization, user)).newest_first().limit(LOOKED_AT);
        let mut live = Vec::new();
        for found in store.page::<Self>(query).await?.items {
            if found.alive(store, now).await? {
                live.push(found.value);
            }
        }
        Ok(live)
    }
}
