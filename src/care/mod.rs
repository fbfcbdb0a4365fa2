//! # care — what keeps a deployment well: its master key, the erasing of people, a look at its state, and at what ends
//!
//! *Owns* the rotation of the master key (the one list of records with sealed values), the erasing of what is kept of a
//! person (the one list of what that is), the list of everything that ends one day, and what a running authd knows that
//! `authd doctor` asks about.
//! *Gives* `finish_rotation` to a start, `erasure::turn` to the chores, the operations on the master key, `Examine` to
//! the doctor. *Needs* every module that keeps something sealed, something personal or something that ends. *Never*
//! shows key material: a key is named by its fingerprint.

mod ending;
mod erase;
pub mod erasure;
pub mod examine;
pub mod expiry;
mod ops;
pub mod rotation;
mod sealed;

pub use ending::{Ending, ending};
pub use erase::{EraseUser, ErasedUser};
pub use erasure::Erasure;
pub use examine::Examine;
pub use expiry::ListExpiry;
pub use ops::{RotateMasterKey, ShowMasterKey};
pub use rotation::finish_rotation;
pub use sealed::{Chunk, Resealing, sealed};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<ShowMasterKey>()
        .with::<RotateMasterKey>()
        .with::<Examine>()
        .with::<ListExpiry>()
        .with::<EraseUser>()
}
