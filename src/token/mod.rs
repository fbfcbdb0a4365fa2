//! # token — signing keys, issued tokens, API keys, and their verification
//!
//! *Owns* the signing keys and their public set, the form of every JWT that authd signs, and `TokenGrant`: the
//! kept record by which a token can be ended before it expires. Also API keys, and the trusted issuers whose tokens
//! are taken besides authd's own.
//! *Gives* a `Keyring` (unsealed keys in memory), `Signer`, `authenticate` (bearer to `Caller`), `token.issue`, and the
//! rotation of the keys, by the clock and by hand.
//! *Needs* store, crypto, epochs, memberships. *Never* lets a private key out, and never signs without `kid`,
//! `alg`, `typ`, one exact `aud` and an end.

mod api_key;
mod grant;
mod issue;
mod issuer;
mod jwks;
mod key_ops;
mod keyring;
mod last_used;
mod ops;
mod pair;
mod revoked;
pub mod rotation;
mod signing_key;
mod verify;

pub use api_key::{ApiKey, ApiKeyView, CreateApiKey, CreatedApiKey, ListApiKeys, RevokeApiKey, span};
pub use grant::TokenGrant;
pub use issue::{Issue, LONGEST, STANDARD, Type, api_audience, at_hash};
pub use issuer::{
    Accepted, CreateIssuer, DeleteIssuer, ExplainToken, GetIssuer, IssuerKeys, IssuerKind, IssuerValidation,
    IssuerView, ListIssuers, Meant, TokenExplanation, TrustedIssuer, UpdateIssuer, ValidateIssuer, identity_of,
    profile_of, verify_trusted,
};
pub use key_ops::{KeyView, ListKeys, RevokeKey, RotateKey, Rotated};
pub use keyring::{Keyring, Published};
pub use last_used::{last_used, note_use};
pub use ops::{IssueToken, IssuedToken};
pub use revoked::RevokedToken;
pub use signing_key::{Algorithm, Prepared, PublicKey, Signer, SigningKey, State};
pub use verify::{Checked, Hint, authenticate, id_token_hint, read_hint, verify, verify_api};

use crate::access::Catalogue;

/// How the names of the operations begin that change the signing keys.
pub const KEY_OPERATIONS: &str = "key.";

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<IssueToken>()
        .with::<ExplainToken>()
        .with::<CreateApiKey>()
        .with::<ListApiKeys>()
        .with::<RevokeApiKey>()
        .with::<ListKeys>()
        .with::<RotateKey>()
        .with::<RevokeKey>()
        .with::<CreateIssuer>()
        .with::<ListIssuers>()
        .with::<GetIssuer>()
        .with::<UpdateIssuer>()
        .with::<DeleteIssuer>()
        .with::<ValidateIssuer>()
}
