//! # token — signing keys, issued tokens, API keys, and their verification
//!
//! *Owns* the signing keys and their public set, the form of every JWT that authd signs, and `TokenGrant`: the
//! kept record by which a token can be ended before it expires. Also API keys.
//! *Gives* a `Keyring` (unsealed keys in memory), `Signer`, `authenticate` (bearer to `Caller`), `token.issue`.
//! *Needs* store, crypto, epochs, memberships. *Never* lets a private key out, and never signs without `kid`,
//! `alg`, `typ`, one exact `aud` and an end.

mod api_key;
mod grant;
mod issue;
mod jwks;
mod keyring;
mod ops;
mod revoked;
mod signing_key;
mod verify;

pub use api_key::{ApiKey, ApiKeyView, CreateApiKey, CreatedApiKey, ListApiKeys, RevokeApiKey, span};
pub use grant::TokenGrant;
pub use issue::{Issue, LONGEST, STANDARD, Type, api_audience, at_hash};
pub use keyring::{Keyring, Published};
pub use ops::{IssueToken, IssuedToken};
pub use revoked::RevokedToken;
pub use signing_key::{Algorithm, Prepared, PublicKey, Signer, SigningKey};
pub use verify::{Checked, authenticate, id_token_hint, verify, verify_api};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<IssueToken>().with::<CreateApiKey>().with::<ListApiKeys>().with::<RevokeApiKey>()
}
