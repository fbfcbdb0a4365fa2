//! Bringing a database of an earlier layout to this one: the steps, and how rows of a kind are written anew.
//!
//! Each step is one durable transaction that also writes the new number of the layout, so that a crash leaves the
//! file wholly before it or wholly behind it. Before the first step the file is copied: going back to the version
//! before is putting the copy in its place.

use std::path::PathBuf;

use super::batch::{NewRow, new_row};
use super::record::{Record, Row};
use crate::error::Result;

/// A kind whose rows are written anew by an upgrade: as this build encodes them, with the index entries that it asks
/// for. The store does not know the kinds; whoever puts the modules together names them.
#[derive(Clone, Copy)]
pub struct Reencode {
    pub(super) kind: &'static str,
    pub(super) again: fn(&Row) -> Result<NewRow>,
}

impl Reencode {
    /// Those of that record.
    pub fn of<T: Record>() -> Self {
        Self { kind: T::KIND, again: |row| Ok(new_row(&row.decode::<T>()?.value)) }
    }
}

impl std::fmt::Debug for Reencode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reencode({})", self.kind)
    }
}

/// What an upgrade did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The layout that was found.
    pub from: u32,
    /// The layout of now.
    pub to: u32,
    /// Rows that were written anew.
    pub rows: u64,
    /// The copy of the file as it was, if one was made.
    pub before: Option<PathBuf>,
}
