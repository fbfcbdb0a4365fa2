//! The policy of an organization as it is kept.

use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::OrganizationId;
use crate::policy::Policy;
use crate::store::{Key, Life, Record, Store, Stored};

/// What an organization's owner wrote. An organization without a row has the default policy.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct OrganizationPolicy {
    /// Whose.
    #[n(0)]
    pub organization: OrganizationId,
    /// The policy in JSON: its own version field tells its form.
    #[n(1)]
    pub policy: String,
    /// When it was written.
    #[n(2)]
    pub updated_at: Timestamp,
}

impl Record for OrganizationPolicy {
    const KIND: &'static str = "policy";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Self::key_of(self.organization)
    }
}

impl OrganizationPolicy {
    /// The key of an organization's policy.
    pub fn key_of(organization: OrganizationId) -> Key {
        Key::from_bytes(organization.bytes())
    }

    /// What it says. Errors: `storage_corrupt`.
    pub fn read(&self) -> Result<Policy> {
        serde_json::from_str(&self.policy).map_err(|error| Error::new(&codes::STORAGE_CORRUPT).because(error))
    }
}

/// The row of an organization, if its owner wrote one.
pub(super) async fn stored(store: &Store, organization: OrganizationId) -> Result<Option<Stored<OrganizationPolicy>>> {
    store.get(OrganizationPolicy::key_of(organization)).await
}

/// The policy that holds in an organization now. Errors: `storage_corrupt` for one that cannot be read: what an
/// owner forbade must not come back by a default.
pub async fn policy_of(store: &Store, organization: OrganizationId) -> Result<Policy> {
    stored(store, organization).await?.map_or_else(|| Ok(Policy::default()), |found| found.value.read())
}
