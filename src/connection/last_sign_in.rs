//! When somebody last came in through a connection: what shows that they can.

use std::time::Duration;

use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, OrganizationId, UserId};
use crate::store::{Batch, Index, Key, Life, Query, Record, Store};

/// What is longer ago shows nothing any more.
const LIFETIME: Duration = Duration::from_secs(90 * 24 * 3600);

/// The last sign-in of a person through a connection. It is written by the commit that opens the session.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct LastSignIn {
    /// In which organization.
    #[n(0)]
    pub organization: OrganizationId,
    /// Who.
    #[n(1)]
    pub user: UserId,
    /// Through which connection.
    #[n(2)]
    pub connection: ConnectionId,
    /// When.
    #[n(3)]
    pub at: Timestamp,
}

impl Record for LastSignIn {
    const KIND: &'static str = "last_sign_in";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::of(&[&self.connection.bytes(), &self.user.bytes()])
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("member", Self::member(self.organization, self.user))]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + LIFETIME)
    }
}

impl LastSignIn {
    fn member(organization: OrganizationId, user: UserId) -> Vec<u8> {
        [organization.bytes(), user.bytes()].concat()
    }

    /// Adds the note that somebody has come in.
    pub fn note(
        organization: OrganizationId,
        user: UserId,
        connection: ConnectionId,
        at: Timestamp,
        batch: &mut Batch,
    ) {
        batch.put(&Self { organization, user, connection, at });
    }

    /// Through what a person has come in, at most 100.
    pub async fn of_member(store: &Store, organization: OrganizationId, user: UserId) -> Result<Vec<Self>> {
        let query = Query::by("member", Self::member(organization, user)).limit(100);
        Ok(store.page::<Self>(query).await?.items.into_iter().map(|found| found.value).collect())
    }
}
