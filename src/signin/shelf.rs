//! How many ephemeral rows a stranger can make us keep: a bounded shelf, in groups.
//!
//! Where a group has its share already, its oldest row goes for the newcomer: whoever floods pushes out themselves, and a
//! person behind the same address who comes now gets in. Where the shelf is full, the oldest row of the largest group goes.
//! The shelf is a list in memory of what lies in the store. It is read once, at the first use; every step of it costs the
//! logarithm of what lies there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::env::Timestamp;
use crate::id::AttemptId;

/// How much lies on a shelf at most.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Rows of one group.
    pub group: usize,
    /// Rows in all.
    pub rows: usize,
    /// Bytes in all, with what a row costs besides itself.
    pub bytes: usize,
}

/// One row, as the shelf knows it.
#[derive(Clone, Copy, Debug)]
pub struct Piece<G> {
    /// What it counts with.
    pub group: G,
    /// Its key.
    pub id: AttemptId,
    /// What it costs.
    pub bytes: usize,
    /// When it is gone by itself.
    pub until: Timestamp,
}

/// A bounded list of rows by group. Cheap to ask; shared by every request.
#[derive(Debug)]
pub struct Shelf<G> {
    share: Share,
    inner: Mutex<Inner<G>>,
}

#[derive(Debug)]
struct Inner<G> {
    next: u64,
    bytes: usize,
    pieces: HashMap<AttemptId, (u64, Piece<G>)>,
    /// The rows of a group by age.
    groups: HashMap<G, BTreeMap<u64, AttemptId>>,
    /// Groups by size. Of equal ones the greatest stands last: the one whose oldest row is oldest.
    sizes: BTreeSet<(usize, std::cmp::Reverse<u64>, G)>,
    /// What is gone by itself, and when.
    ends: BTreeSet<(Timestamp, AttemptId)>,
}

impl<G: Copy + Eq + Hash + Ord> Shelf<G> {
    /// An empty one.
    pub fn new(share: Share) -> Self {
        let inner = Inner {
            next: 0,
            bytes: 0,
            pieces: HashMap::new(),
            groups: HashMap::new(),
            sizes: BTreeSet::new(),
            ends: BTreeSet::new(),
        };
        Self { share, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner<G>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays a row down, in the place of what had its id, and tells which rows have to go for it; never itself.
    pub fn put(&self, piece: Piece<G>, now: Timestamp) -> Vec<AttemptId> {
        let mut inner = self.lock();
        inner.expire(now);
        inner.remove(piece.id);
        inner.add(piece);
        let mut gone = Vec::new();
        while inner.groups.get(&piece.group).is_some_and(|group| group.len() > self.share.group) {
            gone.extend(inner.drop_oldest(piece.group));
        }
        while inner.pieces.len() > 1 && (inner.pieces.len() > self.share.rows || inner.bytes > self.share.bytes) {
            let Some((_, _, largest)) = inner.sizes.last().copied() else { break };
            gone.extend(inner.drop_oldest(largest));
        }
        gone.retain(|id| *id != piece.id);
        gone
    }

    /// Takes a row away.
    pub fn remove(&self, id: AttemptId) {
        self.lock().remove(id);
    }

    /// Whether a row lies there.
    pub fn holds(&self, id: AttemptId) -> bool {
        self.lock().pieces.contains_key(&id)
    }

    /// How many rows lie there, and what they cost.
    #[cfg(test)]
    fn load(&self) -> (usize, usize) {
        let inner = self.lock();
        (inner.pieces.len(), inner.bytes)
    }
}

impl<G: Copy + Eq + Hash + Ord> Inner<G> {
    fn expire(&mut self, now: Timestamp) {
        while let Some((until, id)) = self.ends.first().copied()
            && until <= now
        {
            self.remove(id);
        }
    }

    fn size_of(group: G, rows: &BTreeMap<u64, AttemptId>) -> Option<(usize, std::cmp::Reverse<u64>, G)> {
        rows.keys().next().map(|oldest| (rows.len(), std::cmp::Reverse(*oldest), group))
    }

    fn regroup(&mut self, group: G, change: impl FnOnce(&mut BTreeMap<u64, AttemptId>)) {
        let rows = self.groups.entry(group).or_default();
        if let Some(size) = Self::size_of(group, rows) {
            self.sizes.remove(&size);
        }
        change(rows);
        match Self::size_of(group, rows) {
            Some(size) => drop(self.sizes.insert(size)),
            None => drop(self.groups.remove(&group)),
        }
    }

    fn add(&mut self, piece: Piece<G>) {
        let number = self.next;
        self.next += 1;
        self.bytes += piece.bytes;
        self.ends.insert((piece.until, piece.id));
        self.regroup(piece.group, |rows| {
            rows.insert(number, piece.id);
        });
        self.pieces.insert(piece.id, (number, piece));
    }

    fn remove(&mut self, id: AttemptId) {
        if let Some((number, piece)) = self.pieces.remove(&id) {
            self.bytes -= piece.bytes;
            self.ends.remove(&(piece.until, id));
            self.regroup(piece.group, |rows| {
                rows.remove(&number);
            });
        }
    }

    fn drop_oldest(&mut self, group: G) -> Option<AttemptId> {
        let id = *self.groups.get(&group)?.values().next()?;
        self.remove(id);
        Some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(n: u128) -> AttemptId {
        AttemptId::from_bytes(n.to_be_bytes())
    }

    fn piece(group: u32, n: u128, bytes: usize, until: i64) -> Piece<u32> {
        Piece { group, id: id(n), bytes, until: Timestamp::from_seconds(until) }
    }

    const NOW: Timestamp = Timestamp::from_seconds(0);
    const WIDE: usize = usize::MAX;

    #[test]
    fn whoever_floods_pushes_out_themselves() {
        let shelf = Shelf::new(Share { group: 3, rows: WIDE, bytes: WIDE });
        assert!((0..3).all(|n| shelf.put(piece(1, n, 1, 9), NOW).is_empty()));
        assert!(shelf.put(piece(2, 10, 1, 9), NOW).is_empty());
        assert_eq!(shelf.put(piece(1, 3, 1, 9), NOW), [id(0)]);
        assert_eq!(shelf.put(piece(1, 4, 1, 9), NOW), [id(1)]);
        shelf.remove(id(2));
        assert!(shelf.put(piece(1, 5, 1, 9), NOW).is_empty(), "what ended made room");
        assert!(shelf.put(piece(1, 5, 7, 9), NOW).is_empty(), "the same row again is no other");
        assert_eq!(shelf.load(), (4, 10));
    }

    #[test]
    fn a_full_shelf_takes_from_the_largest_group_and_of_equals_from_the_oldest() {
        let shelf = Shelf::new(Share { group: WIDE, rows: 4, bytes: WIDE });
        for (group, n) in [(1, 0), (2, 1), (2, 2), (3, 3)] {
            assert!(shelf.put(piece(group, n, 1, 9), NOW).is_empty());
        }
        assert_eq!(shelf.put(piece(4, 4, 1, 9), NOW), [id(1)], "two of one group");
        assert_eq!(shelf.put(piece(5, 5, 1, 9), NOW), [id(0)], "one each: the oldest");
        let shelf = Shelf::new(Share { group: WIDE, rows: WIDE, bytes: 10 });
        assert!(shelf.put(piece(1, 0, 4, 9), NOW).is_empty());
        assert!(shelf.put(piece(1, 1, 4, 9), NOW).is_empty());
        assert_eq!(shelf.put(piece(2, 2, 8, 9), NOW), [id(0), id(1)]);
        assert!(shelf.put(piece(3, 3, 100, 9), NOW) == [id(2)], "a row alone is never refused");
    }

    #[test]
    fn what_has_expired_takes_no_place() {
        let shelf = Shelf::new(Share { group: 2, rows: WIDE, bytes: WIDE });
        shelf.put(piece(1, 0, 1, 10), NOW);
        shelf.put(piece(1, 1, 1, 20), NOW);
        assert!(shelf.put(piece(1, 2, 1, 30), Timestamp::from_seconds(10)).is_empty());
        assert_eq!(shelf.load().0, 2);
    }

    proptest! {
        #[test]
        fn the_books_are_always_right(steps in prop::collection::vec((0u32..4, 0u128..12, 0usize..9, 0i64..40, any::<bool>()), 1..200)) {
            let share = Share { group: 3, rows: 7, bytes: 30 };
            let (shelf, mut model) = (Shelf::new(share), BTreeMap::new());
            for (time, (group, n, bytes, until, put)) in steps.into_iter().enumerate() {
                let now = Timestamp::from_seconds(time as i64 / 8);
                if put {
                    let gone = shelf.put(piece(group, n, bytes, until), now);
                    model.retain(|_, (_, _, until)| *until > now.seconds());
                    model.insert(n, (group, bytes, until));
                    for id in gone {
                        prop_assert!(model.remove(&u128::from_be_bytes(id.bytes())).is_some(), "only what is there goes");
                    }
                } else {
                    shelf.remove(id(n));
                    model.remove(&n);
                }
                let inner = shelf.lock();
                prop_assert_eq!(inner.pieces.len(), model.len());
                prop_assert_eq!(inner.bytes, model.values().map(|(_, bytes, _)| bytes).sum::<usize>());
                prop_assert!(model.len() <= share.rows && (inner.bytes <= share.bytes || model.len() == 1));
                prop_assert_eq!(inner.groups.values().map(BTreeMap::len).sum::<usize>(), model.len());
                prop_assert_eq!((inner.sizes.len(), inner.ends.len()), (inner.groups.len(), model.len()));
                prop_assert!(inner.groups.values().all(|rows| (1..=share.group).contains(&rows.len())));
            }
        }
    }
}
