//! # issuer — trusted issuers: whose tokens an organization takes besides authd's own
//!
//! *Owns* `TrustedIssuer`, the keys that are known of each, and the walk over a token: which questions are asked of
//! it, in which order. *Gives* `verify_trusted` to doors, `token.explain` to people: the same walk, so that what is
//! explained is what is done; and the identity that a token proves.
//! *Needs* the keyring for tokens of authd itself, the outbound client for the keys of others. *Never* takes a key,
//! an address or an algorithm from a token, and never shows a token.
//!
//! ```text
//!  token ─► form ─► typ, alg, kid ─► iss: authd, or an issuer ─► aud ─► signature ─► sub ─► times ─► who it is
//! ```

mod explain;
mod identity;
mod keys;
mod ops;
mod own;
mod record;
mod report;
mod settings;
mod step;
mod walk;
mod whose;

pub use explain::{ExplainToken, TokenExplanation};
pub use identity::{identity_of, profile_of};
pub use keys::IssuerKeys;
pub use ops::{CreateIssuer, DeleteIssuer, GetIssuer, IssuerView, ListIssuers, UpdateIssuer};
pub use record::{IssuerKind, TrustedIssuer};
pub use report::{IssuerValidation, ValidateIssuer};
pub use walk::{Accepted, verify_trusted};
pub use whose::Meant;
