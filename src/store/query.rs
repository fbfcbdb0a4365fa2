//! What can be asked for in a list.

use super::record::Stored;

/// A list of records of one kind, in the order of their keys.
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) index: Option<(&'static str, Vec<u8>)>,
    pub(super) prefix: Vec<u8>,
    pub(super) after: Option<Vec<u8>>,
    pub(super) limit: usize,
    pub(super) newest_first: bool,
}

impl Query {
    /// Every record of the kind; 100 a page unless told otherwise.
    pub fn all() -> Self {
        Self { index: None, prefix: Vec::new(), after: None, limit: 100, newest_first: false }
    }

    /// The records with that value in a `many` index.
    pub fn by(index: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self { index: Some((index, value.as_ref().to_vec())), ..Self::all() }
    }

    /// Only keys that begin so.
    #[must_use]
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        self.prefix = prefix.as_ref().to_vec();
        self
    }

    /// At most so many; never more than 1,000.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, 1_000);
        self
    }

    /// Goes on behind the cursor of an earlier page. The cursor is the raw key; a door makes it opaque.
    #[must_use]
    pub fn after(mut self, cursor: Option<Vec<u8>>) -> Self {
        self.after = cursor;
        self
    }

    /// The greatest key first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.newest_first = true;
        self
    }
}

impl Default for Query {
    fn default() -> Self {
        Self::all()
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The records; expired ones are left out.
    pub items: Vec<Stored<T>>,
    /// To be given to `Query::after` for the next page; `None` on the last.
    pub next: Option<Vec<u8>>,
}
