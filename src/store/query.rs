//! What can be asked for in a list.

use super::backend::{Also, Order, Span};
use super::record::Stored;

/// A list of records of one kind: in the order of their keys, or of an ordered index.
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) order: Order,
    pub(super) also: Vec<Also>,
    pub(super) after: Option<Vec<u8>>,
    pub(super) limit: usize,
    pub(super) newest_first: bool,
}

impl Query {
    fn in_order(order: Order) -> Self {
        Self { order, also: Vec::new(), after: None, limit: 100, newest_first: false }
    }

    /// Every record of the kind; 100 a page unless told otherwise.
    pub fn all() -> Self {
        Self::in_order(Order::Rows(Vec::new()))
    }

    /// The records with that value in a `many` index.
    pub fn by(index: &'static str, value: impl AsRef<[u8]>) -> Self {
        Self::in_order(Order::Many(index, value.as_ref().to_vec(), Vec::new()))
    }

    /// The records with a value in an ordered index that begins so, sorted by value, then by key. A record with
    /// several such values is listed once: by the first of them in the direction of the list.
    pub fn starting(index: &'static str, prefix: impl AsRef<[u8]>) -> Self {
        Self::in_order(Order::Ordered(index, Span::Prefix(prefix.as_ref().to_vec())))
    }

    /// The records with a value in an ordered index from `low` on and before `high`, otherwise as `starting`.
    pub fn between(index: &'static str, low: impl AsRef<[u8]>, high: impl AsRef<[u8]>) -> Self {
        Self::in_order(Order::Ordered(index, Span::Between(low.as_ref().to_vec(), high.as_ref().to_vec())))
    }

    /// Only keys that begin so. Nothing in the order of an ordered index, whose prefix is given with it.
    #[must_use]
    pub fn prefix(mut self, prefix: impl AsRef<[u8]>) -> Self {
        if let Order::Rows(start) | Order::Many(_, _, start) = &mut self.order {
            *start = prefix.as_ref().to_vec();
        }
        self
    }

    /// Only records that have that value in a `many` index, too.
    #[must_use]
    pub fn with(mut self, index: &'static str, value: impl AsRef<[u8]>) -> Self {
        self.also.push(Also::Many(index, value.as_ref().to_vec()));
        self
    }

    /// Only records that have a value in an ordered index that begins so, too.
    #[must_use]
    pub fn with_starting(mut self, index: &'static str, prefix: impl AsRef<[u8]>) -> Self {
        self.also.push(Also::Ordered(index, Span::Prefix(prefix.as_ref().to_vec())));
        self
    }

    /// At most so many; never more than 1,000.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, 1_000);
        self
    }

    /// Goes on behind the cursor of an earlier page. The cursor is the raw place in the list; a door makes it opaque.
    #[must_use]
    pub fn after(mut self, cursor: Option<Vec<u8>>) -> Self {
        self.after = cursor;
        self
    }

    /// The greatest key, or value, first.
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
