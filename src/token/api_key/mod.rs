//! # api_key — bearers that outlive a sign-in
//!
//! *Owns* `ApiKey`: of an organization's machine, or of a person; shown once, kept as a hash, scoped, revocable.
//! *Gives* `ApiKey::authenticate` (bearer to `Caller`) and the operations on keys.
//! *Needs* epochs and memberships: a person's key does no more than the person may now, and dies with their access.
//! *Never* keeps a key, and never lets a request wait for the note of its use.

mod ops;
mod record;

pub use ops::{ApiKeyView, CreateApiKey, CreatedApiKey, ListApiKeys, RevokeApiKey, span};
pub use record::ApiKey;
