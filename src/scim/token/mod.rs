//! # token — by what a directory shows who it is
//!
//! *Owns* `ScimToken`: of a connection's directory or of the organization's own; shown once, kept as a hash, several at
//! a time, expiring, revocable; and the short tokens that are given for one (RFC 6749 §4.4).
//! *Gives* `ScimToken::authenticate` and the operations on tokens. *Needs* the master key for what it signs.
//! *Never* keeps a token, and never lets a request wait for the note of its use.

mod oauth;
mod ops;
mod record;

pub use oauth::give;
pub use ops::{CreateScimToken, CreatedScimToken, ListScimTokens, RevokeScimToken, ScimTokenView, issue};
pub use record::ScimToken;
