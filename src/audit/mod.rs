//! # audit — reading the log
//!
//! *Owns* search, export, verification and retention of the log. *Gives* the operations on it, and `prune` to the
//! chores. *Needs* the store's log and the events in it. *Never* writes a row but about itself, and never changes one.

mod export;
mod list;
mod retention;
mod search;
mod verify;

pub use export::{ExportAudit, Exported, Format};
pub use list::{GetEvent, ListAudit};
pub use retention::{ReadRetention, Retention, SetRetention, prune};
pub use search::Search;
pub use verify::{Verified, VerifyAudit};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<ListAudit>()
        .with::<GetEvent>()
        .with::<ExportAudit>()
        .with::<VerifyAudit>()
        .with::<ReadRetention>()
        .with::<SetRetention>()
}
