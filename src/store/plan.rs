//! The rules of the store, as one pure function: a batch and what is there now make a list of writes, or a refusal.
//!
//! A batch is a set, not a sequence: every change is judged against what was there before the batch, so unique
//! values can be handed over or swapped within it. An expired row does not exist: it can be created over, it cannot
//! be updated, and it holds no unique value.

use std::collections::{BTreeMap, BTreeSet};

use super::backend::{Detail, Entry, Head, Place, View, Write};
use super::batch::{Batch, Change, NewEntry, NewRow, Refused};
use super::chain;
use super::record::{Index, Key, Life, Revision, Row};
use crate::env::Timestamp;

/// The longest key of a row, and the longest value of an index, in bytes.
pub const MAX_KEY: usize = 1024;
/// The largest record, envelope or detail, in bytes.
pub const MAX_BYTES: usize = 1_048_576;
/// The most changes, and the most log entries, of one batch.
pub const MAX_CHANGES: usize = 10_000;
/// The most details that one log entry erases.
pub const MAX_ERASED: usize = 1_000;
/// The most index entries of one record.
pub const MAX_INDEXES: usize = 64;
/// The longest name of a kind, of an index or of an event, in bytes.
pub const MAX_NAME: usize = 64;

/// A batch that may be written.
#[derive(Debug, PartialEq, Eq)]
pub struct Planned {
    /// How far the store has come with it. Unchanged when there is nothing to write.
    pub head: Head,
    /// What to write, in any order.
    pub writes: Vec<Write>,
    /// By how much the number of rows of each kind changes.
    pub counts: BTreeMap<String, i64>,
}

/// A row that the batch changes: what lies there (expired or not), and what shall.
struct Touched<'a> {
    kind: &'static str,
    key: &'a Key,
    old: Option<Row>,
    new: Option<&'a NewRow>,
}

/// Judges a batch. `salt` gives the random bytes of one log row.
pub fn plan(
    batch: &Batch,
    view: &dyn View,
    head: &Head,
    now: Timestamp,
    salt: &mut dyn FnMut() -> [u8; 16],
) -> Result<Planned, Refused> {
    limits(batch)?;
    let revision = Revision(head.commit.saturating_add(1));
    let touched = touch(batch, view, now)?;
    let mut planned = Planned { head: head.clone(), writes: Vec::new(), counts: BTreeMap::new() };
    uniques(&touched, view, now, &mut planned.writes)?;
    for row in &touched {
        rewrite(row, revision, &mut planned);
    }
    for entry in &batch.entries {
        append(entry, now, salt(), &mut planned)?;
    }
    if !planned.writes.is_empty() {
        planned.head.commit = revision.0;
    }
    Ok(planned)
}

/// What it takes to remove a row that is there: the same for a delete and for the sweep.
pub fn removal(place: &Place, row: &Row, view: &dyn View) -> Result<Vec<Write>, Refused> {
    let mut writes = Vec::new();
    for index in row.indexes.iter().filter(|i| i.unique) {
        let entry = Entry::of(&place.kind, index);
        // The value may have passed to another row since this one expired.
        if view.holder(&entry)?.as_ref() == Some(&place.key) {
            writes.push(Write::Unique(entry, None));
        }
    }
    diff_many(&place.kind, &place.key, &row.indexes, &[], &mut writes);
    if let Some(at) = row.expires_at {
        writes.push(Write::Expiry(at, place.clone(), false));
    }
    writes.push(Write::Row(place.clone(), None));
    Ok(writes)
}

/// What it takes to write a row that is there in another form: the same record at the same revision.
pub fn rewriting(
    kind: &'static str,
    key: &Key,
    old: Row,
    new: &NewRow,
    view: &dyn View,
    now: Timestamp,
) -> Result<Vec<Write>, Refused> {
    let revision = old.revision;
    let touched = [Touched { kind, key, old: Some(old), new: Some(new) }];
    let mut planned = Planned { head: Head::default(), writes: Vec::new(), counts: BTreeMap::new() };
    uniques(&touched, view, now, &mut planned.writes)?;
    for row in &touched {
        rewrite(row, revision, &mut planned);
    }
    Ok(planned.writes)
}

fn limits(batch: &Batch) -> Result<(), Refused> {
    if batch.changes.len() > MAX_CHANGES || batch.entries.len() > MAX_CHANGES {
        return Err(Refused::Rule("a batch has at most 10,000 changes and 10,000 log entries"));
    }
    for change in &batch.changes {
        let (place, row) = match change {
            Change::Create(place, row) | Change::Update(place, row, _) | Change::Put(place, row) => (place, Some(row)),
            Change::Delete(place, ..) | Change::Require(place, _) => (place, None),
        };
        name(place.kind)?;
        if place.key.as_bytes().len() > MAX_KEY {
            return Err(Refused::Rule("a key has at most 1,024 bytes"));
        }
        let Some(row) = row else { continue };
        if row.bytes.is_empty() {
            return Err(Refused::Rule("a record that cannot be encoded"));
        }
        if row.bytes.len() > MAX_BYTES {
            return Err(Refused::Rule("a record has at most 1 MiB"));
        }
        if row.indexes.len() > MAX_INDEXES {
            return Err(Refused::Rule("a record has at most 64 index entries"));
        }
        for index in &row.indexes {
            name(&index.name)?;
            if index.value.len() > MAX_KEY {
                return Err(Refused::Rule("the value of an index has at most 1,024 bytes"));
            }
        }
    }
    for NewEntry { entry, erases } in &batch.entries {
        name(&entry.kind)?;
        if erases.len() > MAX_ERASED {
            return Err(Refused::Rule("a log entry erases at most 1,000 details"));
        }
        if entry.envelope.len() > MAX_BYTES || entry.detail.len() > MAX_BYTES {
            return Err(Refused::Rule("an envelope or detail has at most 1 MiB"));
        }
    }
    Ok(())
}

fn name(name: &str) -> Result<(), Refused> {
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(Refused::Rule("a name has 1 to 64 bytes"));
    }
    Ok(())
}

/// Checks every change against what is there, and gathers the rows that change.
fn touch<'a>(batch: &'a Batch, view: &dyn View, now: Timestamp) -> Result<Vec<Touched<'a>>, Refused> {
    let mut seen = BTreeSet::new();
    let mut touched = Vec::with_capacity(batch.changes.len());
    for change in &batch.changes {
        let (place, kept) = match change {
            Change::Create(place, row) | Change::Update(place, row, _) => (place, row.kept),
            Change::Put(_, row) if row.kept => {
                return Err(Refused::Rule("a kept record is created or updated, not put"));
            }
            Change::Put(place, _) | Change::Require(place, _) => (place, false),
            Change::Delete(place, _, life) => (place, *life == Life::Kept),
        };
        if kept && batch.entries.is_empty() {
            return Err(Refused::Rule("a kept record changes only together with an event"));
        }
        // A condition is no change: several helpers may ask for the same one.
        let condition = matches!(change, Change::Require(..));
        if !condition && !seen.insert(place) {
            return Err(Refused::Rule("a batch changes a row once"));
        }
        let kind = place.kind;
        let old = view.row(kind, &place.key)?;
        let live = old.as_ref().filter(|row| !row.expired(now)).map(|row| row.revision);
        let new = match change {
            Change::Create(_, new) => match live {
                Some(_) => return Err(Refused::Taken { kind, index: "key".to_owned() }),
                None => Some(new),
            },
            Change::Update(_, new, revision) if live == Some(*revision) => Some(new),
            Change::Put(_, new) => Some(new),
            Change::Delete(_, revision, _) | Change::Require(_, revision) if live == Some(*revision) => None,
            _ => return Err(Refused::Stale { kind }),
        };
        if !condition {
            touched.push(Touched { kind, key: &place.key, old, new });
        }
    }
    Ok(touched)
}

/// Hands over unique values: all that the changed rows held are free, then each new row claims its own.
fn uniques(touched: &[Touched], view: &dyn View, now: Timestamp, writes: &mut Vec<Write>) -> Result<(), Refused> {
    let mut released: BTreeMap<Entry, &Key> = BTreeMap::new();
    for row in touched {
        for index in row.old.iter().flat_map(|old| &old.indexes).filter(|i| i.unique) {
            let entry = Entry::of(row.kind, index);
            if view.holder(&entry)?.as_ref() == Some(row.key) {
                released.insert(entry, row.key);
            }
        }
    }
    let mut claimed: BTreeMap<Entry, &Key> = BTreeMap::new();
    for row in touched {
        for index in row.new.iter().flat_map(|new| &new.indexes).filter(|i| i.unique) {
            let entry = Entry::of(row.kind, index);
            let taken = || Refused::Taken { kind: row.kind, index: index.name.clone() };
            if claimed.get(&entry).is_some_and(|other| *other != row.key) {
                return Err(taken());
            }
            if !released.contains_key(&entry)
                && let Some(holder) = view.holder(&entry)?
                && view.row(row.kind, &holder)?.is_some_and(|other| !other.expired(now))
            {
                return Err(taken());
            }
            claimed.insert(entry, row.key);
        }
    }
    for (entry, key) in &claimed {
        if released.get(entry) != Some(key) {
            writes.push(Write::Unique(entry.clone(), Some((*key).clone())));
        }
    }
    for entry in released.into_keys().filter(|entry| !claimed.contains_key(entry)) {
        writes.push(Write::Unique(entry, None));
    }
    Ok(())
}

/// The row itself, its `many` entries, its expiry and its count.
fn rewrite(row: &Touched, revision: Revision, planned: &mut Planned) {
    let place = Place { kind: row.kind.to_owned(), key: row.key.clone() };
    let before = row.old.as_ref().map_or(&[][..], |old| &old.indexes);
    let after = row.new.map_or(&[][..], |new| &new.indexes);
    diff_many(row.kind, row.key, before, after, &mut planned.writes);

    let (expired, expires) = (row.old.as_ref().and_then(|old| old.expires_at), row.new.and_then(|new| new.expires_at));
    if expired != expires {
        planned.writes.extend(expired.map(|at| Write::Expiry(at, place.clone(), false)));
        planned.writes.extend(expires.map(|at| Write::Expiry(at, place.clone(), true)));
    }

    // Rows that have expired are counted until they are swept; back ends leave them out of what they tell.
    let more = i64::from(row.new.is_some()) - i64::from(row.old.is_some());
    if more != 0 {
        *planned.counts.entry(row.kind.to_owned()).or_default() += more;
    }

    let new = row.new.map(|new| Row {
        shape: new.shape,
        revision,
        expires_at: new.expires_at,
        indexes: new.indexes.clone(),
        kept: new.kept,
        bytes: new.bytes.clone(),
    });
    planned.writes.push(Write::Row(place, new));
}

/// What has to go and to come so that a row is listed as its indexes ask. Unique values are no part of it.
pub fn diff_many(kind: &str, key: &Key, before: &[Index], after: &[Index], writes: &mut Vec<Write>) {
    let entries = |indexes: &[Index]| {
        indexes.iter().filter(|i| !i.unique).map(|i| (i.ordered, Entry::of(kind, i))).collect::<BTreeSet<_>>()
    };
    let (before, after) = (entries(before), entries(after));
    let write = |(ordered, entry): &(bool, Entry), there| {
        let form = if *ordered { Write::Ordered } else { Write::Many };
        form(entry.clone(), key.clone(), there)
    };
    writes.extend(before.difference(&after).map(|entry| write(entry, false)));
    writes.extend(after.difference(&before).map(|entry| write(entry, true)));
}

/// The next row of the log. Its time never goes back, even when the clock does.
fn append(new: &NewEntry, now: Timestamp, salt: [u8; 16], planned: &mut Planned) -> Result<(), Refused> {
    let erases: Vec<u64> = new.erases.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    if erases.first() == Some(&0) || erases.last().is_some_and(|last| *last > planned.head.log) {
        return Err(Refused::Rule("a log entry erases details of rows that are there"));
    }
    let detail = Detail { salt, bytes: new.entry.detail.clone() };
    let row = chain::link(&planned.head, now.max(planned.head.at), &new.entry, &detail, erases);
    planned.head = Head { commit: planned.head.commit, log: row.seq, hash: row.hash, at: row.at };
    planned.writes.push(Write::Log(row, detail));
    Ok(())
}

#[cfg(test)]
mod tests;
