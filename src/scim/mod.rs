//! # scim — the server of SCIM 2.0 (RFC 7643, RFC 7644, RFC 9865)
//!
//! *Owns* the wire: schemas, filters, PATCH, lists, bulk, errors; the tokens by which
//! directories speak; and how each may, and what its words mean.
//! *Gives* the routes `/scim/v2/…` and `/connections/{id}/scim/v2/…`, and the operations on tokens and settings.
//! *Needs* `directory::provision`, through which every write goes as a `Proposal`, and the facts of a connection.
//! *Never* has a rule about people of its own, and never tells one directory of another's resources.
//!
//! ```text
//!  bearer ─► token ─► Speaker (directory, organization) ─► ScimResource of that directory, or 404
//!     body ─► schema::clean ─► patch ─► Proposal ─► provision ─┐
//!                                       ScimResource (as said) ─┴─► one commit ─► answer
//! ```

mod answer;
mod bulk;
mod config;
pub mod error;
pub mod filter;
mod group;
mod http;
mod page;
pub mod patch;
mod person;
mod place;
pub mod projection;
mod read;
mod reads;
pub mod schema;
mod shown;
pub mod simulate;
mod speaker;
mod target;
mod token;

pub use config::{
    GetScim, ReadScimStatus, ReadStatus, ScimCapabilities, ScimMappingSettings, ScimProfileSettings,
    ScimSecuritySettings, ScimStatusReport, ScimValidation, ScimView, ScimWasSet, SetScim, ValidateScim,
};
pub use http::http;
pub use token::{CreateScimToken, CreatedScimToken, ListScimTokens, RevokeScimToken, ScimToken, ScimTokenView};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<SetScim>()
        .with::<GetScim>()
        .with::<ReadScimStatus>()
        .with::<ValidateScim>()
        .with::<CreateScimToken>()
        .with::<ListScimTokens>()
        .with::<RevokeScimToken>()
        .with::<ReadStatus>()
}
