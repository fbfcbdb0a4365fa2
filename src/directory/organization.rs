//! A tenant.

use super::listing;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::OrganizationId;
use crate::store::{Index, Key, Life, Record, Store, Stored};

/// An organization.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Organization {
    /// Its id.
    #[n(0)]
    pub id: OrganizationId,
    /// What people call it.
    #[n(1)]
    pub name: String,
    /// When it was made.
    #[n(2)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[n(3)]
    pub updated_at: Timestamp,
    /// Since when nobody gets in.
    #[n(4)]
    pub disabled_at: Option<Timestamp>,
}

impl Record for Organization {
    const KIND: &'static str = "organization";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
    fn indexes(&self) -> Vec<Index> {
        listing::organization_words(&self.name).iter().map(|word| Index::ordered(listing::SEARCH, word)).collect()
    }
}

impl Organization {
    /// The key of an organization.
    pub fn key_of(id: OrganizationId) -> Key {
        Key::from_bytes(id.bytes())
    }

    /// The one of that id. Errors: `not_found`.
    pub async fn load(store: &Store, id: OrganizationId) -> Result<Stored<Self>> {
        store.get(Self::key_of(id)).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
    }

    /// The one of that id, if people may come in. Errors: `not_found`, `organization_disabled`.
    pub async fn open(store: &Store, id: OrganizationId) -> Result<Stored<Self>> {
        let found = Self::load(store, id).await?;
        match found.disabled_at {
            None => Ok(found),
            Some(_) => Err(Error::new(&codes::ORGANIZATION_DISABLED)),
        }
    }
}
