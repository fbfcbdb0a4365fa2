//! What is left of an organization that was ended, until its data is swept.

use crate::env::Timestamp;
use crate::id::OrganizationId;
use crate::store::{Index, Key, Life, Record};

/// The tombstone of an organization. Its id is never used again, and its events stay.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct EndedOrganization {
    /// Its id.
    #[n(0)]
    pub id: OrganizationId,
    /// What people called it.
    #[n(1)]
    pub name: String,
    /// When it was ended.
    #[n(2)]
    pub ended_at: Timestamp,
    /// When the last of its data was gone.
    #[n(3)]
    pub swept_at: Option<Timestamp>,
}

impl EndedOrganization {
    /// The index of those whose data is not gone yet.
    pub const LEFT: &'static str = "left";
}

impl Record for EndedOrganization {
    const KIND: &'static str = "ended_organization";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        if self.swept_at.is_none() { vec![Index::many(Self::LEFT, b"")] } else { Vec::new() }
    }
}
