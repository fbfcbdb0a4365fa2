//! What a record is: the trait, its key, its indexes, its revision.

use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// The number of a commit; they grow by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// The version of one row: the number of the commit that wrote it. A row deleted and made again has another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, minicbor::Encode, minicbor::Decode)]
#[cbor(transparent)]
pub struct Revision(#[n(0)] pub u64);

/// Whether a change of the record must come with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// No change without an event: `plan()` refuses it.
    Kept,
    /// Attempts, codes, throttles, replay ids: no event of their own.
    Ephemeral,
}

/// The key of a record within its kind: bytes that sort as they should be listed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(Vec<u8>);

impl Key {
    /// From parts. Each part but the last is preceded by its length, so that no two lists of parts collide.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::with_capacity(parts.iter().map(|p| p.len() + 2).sum());
        let last = parts.len().saturating_sub(1);
        for (place, part) in parts.iter().enumerate() {
            if place < last {
                bytes.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
            }
            bytes.extend_from_slice(part);
        }
        Self(bytes)
    }

    /// From bytes as they are.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// One entry that a record asks to be found by.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Index {
    /// The index's name, unique within the kind.
    #[n(0)]
    pub name: String,
    /// The value it is found by.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub value: Vec<u8>,
    /// At most one record of the kind may have the value.
    #[n(2)]
    pub unique: bool,
    /// The entries of the index stand in the order of their values, so that it can be asked for a range of them.
    #[n(3)]
    #[cbor(default)]
    pub ordered: bool,
}

impl Index {
    /// At most one record of the kind has this value; a second is refused with `Refused::Taken`.
    pub fn unique(name: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self { name: name.to_owned(), value: value.as_ref().to_vec(), unique: true, ordered: false }
    }

    /// Any number of records may have this value.
    pub fn many(name: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self { name: name.to_owned(), value: value.as_ref().to_vec(), unique: false, ordered: false }
    }

    /// Any number of records may have this value; lists can be sorted by it, and search for how it begins.
    pub fn ordered(name: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self { name: name.to_owned(), value: value.as_ref().to_vec(), unique: false, ordered: true }
    }
}

/// A thing that is kept. Fields are numbered (`#[n(i)]`), so that rows outlive the struct's changes:
/// a new field is an `Option` or has `#[cbor(default)]`, and a number is never used again.
pub trait Record: for<'b> minicbor::Decode<'b, ()> + minicbor::Encode<()> + Clone + Send + Sync + 'static {
    /// The kind's name; part of every key.
    const KIND: &'static str;
    /// The version of the row's meaning. Rows of an older one pass through `upgrade` when read.
    const SHAPE: u16 = 1;
    /// Whether a change must come with an event.
    const LIFE: Life;

    /// The key within the kind. Never changes for a record.
    fn key(&self) -> Key;

    /// What it is found by.
    fn indexes(&self) -> Vec<Index> {
        Vec::new()
    }

    /// From this moment on it does not exist for any reader; the sweep removes it later.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }

    /// Reads a row of an older shape. The default refuses.
    fn upgrade(shape: u16, _bytes: &[u8]) -> Result<Self> {
        Err(Error::bug(format!("{} has no upgrade from shape {shape}", Self::KIND)))
    }
}

/// A record as it was read, with the revision it had.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    /// The record.
    pub value: T,
    /// To be named when it is changed.
    pub revision: Revision,
}

impl<T> std::ops::Deref for Stored<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// A row as back ends keep it: the record's bytes, and what `plan()` must know without reading them.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Row {
    /// The shape the bytes were written in.
    #[n(0)]
    pub shape: u16,
    /// The commit that wrote it.
    #[n(1)]
    pub revision: Revision,
    /// When it ceases to exist.
    #[n(2)]
    pub expires_at: Option<Timestamp>,
    /// The index entries it holds, so that they can be taken back.
    #[n(3)]
    pub indexes: Vec<Index>,
    /// Whether its changes need an event.
    #[n(4)]
    pub kept: bool,
    /// The record.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub bytes: Vec<u8>,
}

impl Row {
    /// True from the moment it ceases to exist.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// The record in it. Errors: `storage_corrupt` when the bytes are not one.
    pub fn decode<T: Record>(&self) -> Result<Stored<T>> {
        let value = if self.shape == T::SHAPE {
            minicbor::decode(&self.bytes).map_err(|e| Error::new(&codes::STORAGE_CORRUPT).because(e))?
        } else {
            T::upgrade(self.shape, &self.bytes)?
        };
        Ok(Stored { value, revision: self.revision })
    }
}
