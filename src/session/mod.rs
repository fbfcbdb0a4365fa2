//! # session — who is signed in where, and how that ends
//!
//! *Owns* `Session`, how long one lives in each organization, which apps hold tokens of it, the access epochs by which everything ends, and the operations on sessions.
//! *Gives* `Session::open`, `Session::of_cookie`, `Epochs` to whoever makes something that must be able to end.
//! *Needs* access and the store. *Never* deletes on revocation: it bumps one epoch; the sweep deletes later.

mod app;
mod ended;
mod epoch;
mod lifetimes;
mod ops;
mod person;
mod record;

pub use app::{Notice, SessionApp};
pub use ended::{Ended, Piece};
pub use epoch::{Epochs, Scope, bump};
pub use lifetimes::Lifetimes;
pub use ops::{GetSession, ListSessions, RevokeSession, SessionAppView, SessionDetail, SessionView};
pub use record::{NewSession, Opened, Session};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<ListSessions>().with::<GetSession>().with::<RevokeSession>()
}
