//! The anchor of a person: what their memberships and identities hang on.

use crate::env::Timestamp;
use crate::id::UserId;
use crate::store::{Key, Life, Record};

/// A person, across tenants. What a tenant knows of them stands in the `Membership`.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct User {
    /// The id; the `sub` of tokens.
    #[n(0)]
    pub id: UserId,
    /// When they became known.
    #[n(1)]
    pub created_at: Timestamp,
    /// Since when the operator keeps them out, everywhere.
    #[n(2)]
    pub disabled_at: Option<Timestamp>,
}

impl Record for User {
    const KIND: &'static str = "user";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.bytes())
    }
}
