//! # care — what keeps a deployment well: its master key, and a look at its state
//!
//! *Owns* the rotation of the master key (the one list of records with sealed values), and what a running authd
//! knows that `authd doctor` asks about; the list of everything that ends one day.
//! *Gives* `finish_rotation` to a start, the operations on the master key, `Examine` to the doctor.
//! *Needs* every module that keeps something sealed or something that ends. *Never* shows key material: a key is
//! named by its fingerprint.

pub mod examine;
pub mod expiry;
mod ops;
pub mod rotation;
mod sealed;

pub use examine::Examine;
pub use expiry::ListExpiry;
pub use ops::{RotateMasterKey, ShowMasterKey};
pub use rotation::finish_rotation;
pub use sealed::{Chunk, Resealing, sealed};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<ShowMasterKey>().with::<RotateMasterKey>().with::<Examine>().with::<ListExpiry>()
}
