//! Writing: the open tables of one transaction, as what `plan()` reads and where its writes go.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::{ReadableTable, Table, WriteTransaction};

use super::layout::{self, decode_row};
use crate::env::{Env, Timestamp};
use crate::store::backend::{Entry, Fault, Head, Lies, Place, View, Write};
use crate::store::batch::{Batch, Refused};
use crate::store::chain::encode;
use crate::store::log::{Checkpoint, LogRow};
use crate::store::plan::{diff_many, plan, removal};
use crate::store::record::{Index, Key, Row, Seq};

type Bytes = &'static [u8];

/// Every table, open for writing.
pub struct Tables<'t> {
    rows: Table<'t, Bytes, Bytes>,
    unique: Table<'t, Bytes, Bytes>,
    many: Table<'t, Bytes, ()>,
    ordered: Table<'t, Bytes, ()>,
    expiry: Table<'t, Bytes, ()>,
    counts: Table<'t, &'static str, u64>,
    log: Table<'t, u64, Bytes>,
    detail: Table<'t, u64, Bytes>,
    log_org: Table<'t, Bytes, ()>,
    checkpoints: Table<'t, u64, Bytes>,
    meta: Table<'t, &'static str, Bytes>,
}

/// What the writer learns of a group: one answer a batch, and the log's last number.
pub type Applied = (Vec<Result<Seq, Refused>>, u64);

impl<'t> Tables<'t> {
    /// Opens them; those that are missing are made.
    pub fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            rows: transaction.open_table(layout::ROWS)?,
            unique: transaction.open_table(layout::UNIQUE)?,
            many: transaction.open_table(layout::MANY)?,
            ordered: transaction.open_table(layout::ORDERED)?,
            expiry: transaction.open_table(layout::EXPIRY)?,
            counts: transaction.open_table(layout::COUNTS)?,
            log: transaction.open_table(layout::LOG)?,
            detail: transaction.open_table(layout::DETAIL)?,
            log_org: transaction.open_table(layout::LOG_ORG)?,
            checkpoints: transaction.open_table(layout::CHECKPOINTS)?,
            meta: transaction.open_table(layout::META)?,
        })
    }

    /// What an empty store holds.
    pub fn initialize(&mut self) -> Result<(), Fault> {
        self.put_schema(layout::SCHEMA)?;
        self.put_head(&Head::default())
    }

    fn head(&self) -> Result<Head, Fault> {
        let bytes = self.meta.get("head")?.ok_or_else(|| Fault::corrupt("there is no head"))?;
        minicbor::decode(bytes.value()).map_err(|e| Fault::corrupt(format!("the head: {e}")))
    }

    fn put_head(&mut self, head: &Head) -> Result<(), Fault> {
        self.meta.insert("head", encode(head).as_slice())?;
        Ok(())
    }

    /// Plans and writes a group. The second part tells whether there is anything to commit.
    pub fn apply(&mut self, batches: &[Batch], env: &Env) -> Result<(Applied, bool), Fault> {
        let now = env.now();
        let before = self.head()?;
        let mut head = before.clone();
        let mut counts = BTreeMap::new();
        let mut outcomes = Vec::with_capacity(batches.len());
        for batch in batches {
            match plan(batch, self, &head, now, &mut || env.random()) {
                Ok(planned) => {
                    for write in planned.writes {
                        self.write(write)?;
                    }
                    for (kind, by) in planned.counts {
                        *counts.entry(kind).or_insert(0) += by;
                    }
                    head = planned.head;
                    outcomes.push(Ok(Seq(head.commit)));
                }
                Err(refused) => outcomes.push(Err(refused)),
            }
        }
        let changed = head != before;
        if changed {
            self.count(counts)?;
            self.put_head(&head)?;
        }
        Ok(((outcomes, head.log), changed))
    }

    /// Rows of a kind behind `after`, in the order of their keys.
    pub fn rows_of(&self, kind: &str, after: Option<&[u8]>, limit: usize) -> Result<Vec<(Key, Row)>, Fault> {
        let prefix = layout::kind_prefix(kind);
        let low = match after {
            Some(key) => Bound::Excluded([&prefix[..], key].concat()),
            None => Bound::Included(prefix.clone()),
        };
        let mut found = Vec::new();
        let range = (low.as_ref().map(Vec::as_slice), Bound::<&[u8]>::Unbounded);
        for entry in self.rows.range::<&[u8]>(range)?.take(limit) {
            let (key, bytes) = entry?;
            let Some(within) = key.value().strip_prefix(&prefix[..]) else { break };
            found.push((Key::from_bytes(within), decode_row(key.value(), bytes.value())?));
        }
        Ok(found)
    }

    /// Notes the layout that the tables have from now on.
    pub fn put_schema(&mut self, schema: u32) -> Result<(), Fault> {
        self.meta.insert("schema", &schema.to_be_bytes()[..])?;
        Ok(())
    }

    /// Carries out one write of `plan()`.
    pub fn write(&mut self, write: Write) -> Result<(), Fault> {
        match write {
            Write::Row(place, row) => {
                let key = layout::row_key(&place.kind, place.key.as_bytes());
                match row {
                    Some(row) => drop(self.rows.insert(key.as_slice(), layout::encode_row(&key, &row).as_slice())?),
                    None => drop(self.rows.remove(key.as_slice())?),
                }
            }
            Write::Unique(entry, holder) => {
                let key = layout::unique_key(&entry.kind, &entry.index, &entry.value);
                match holder {
                    Some(holder) => drop(self.unique.insert(key.as_slice(), holder.as_bytes())?),
                    None => drop(self.unique.remove(key.as_slice())?),
                }
            }
            Write::Many(entry, key, there) => {
                let key = layout::many_key(&entry, &key);
                if there {
                    self.many.insert(key.as_slice(), ())?;
                } else {
                    self.many.remove(key.as_slice())?;
                }
            }
            Write::Ordered(entry, key, there) => {
                let key = layout::ordered_key(&entry, &key);
                if there {
                    self.ordered.insert(key.as_slice(), ())?;
                } else {
                    self.ordered.remove(key.as_slice())?;
                }
            }
            Write::Expiry(at, place, there) => {
                let key = layout::expiry_key(at, &place);
                if there {
                    self.expiry.insert(key.as_slice(), ())?;
                } else {
                    self.expiry.remove(key.as_slice())?;
                }
            }
            Write::Log(row, detail) => {
                if let Some(org) = &row.org {
                    self.log_org.insert(&layout::org_key(org, row.seq)[..], ())?;
                }
                for erased in row.erases.iter().flatten() {
                    self.erase(*erased, row.seq)?;
                }
                self.detail.insert(row.seq, layout::encode_detail(&detail).as_slice())?;
                self.log.insert(row.seq, encode(&row).as_slice())?;
            }
        }
        Ok(())
    }

    /// Puts the number of the row that tells of it in the place of a detail; the digest stays in the row. What is not there
    /// stays so: whoever took it away is not covered afterwards.
    fn erase(&mut self, seq: u64, by: u64) -> Result<(), Fault> {
        let there =
            self.detail.get(seq)?.is_some_and(|bytes| matches!(layout::decode_detail(bytes.value()), Lies::Detail(_)));
        if there {
            self.detail.insert(seq, &layout::encode_erased(by)[..])?;
        }
        Ok(())
    }

    fn count(&mut self, changes: BTreeMap<String, i64>) -> Result<(), Fault> {
        for (kind, by) in changes.into_iter().filter(|(_, by)| *by != 0) {
            let count = self.counts.get(kind.as_str())?.map_or(0, |count| count.value());
            self.counts.insert(kind.as_str(), count.saturating_add_signed(by))?;
        }
        Ok(())
    }

    /// Removes at most `limit` rows that have expired at `now`.
    pub fn sweep(&mut self, now: Timestamp, limit: usize) -> Result<usize, Fault> {
        let mut due = Vec::new();
        for entry in self.expiry.range::<&[u8]>(..&layout::expiry_end(now)[..])?.take(limit) {
            due.push(entry?.0.value().to_vec());
        }
        let mut counts = BTreeMap::new();
        for key in &due {
            let place = layout::expiry_place(key).ok_or_else(|| Fault::corrupt("an expiry that names no row"))?;
            // A row that does not expire now can only be there by damage: the entry goes, the row stays.
            self.expiry.remove(key.as_slice())?;
            let Some(row) = self.row_at(&layout::row_key(&place.kind, place.key.as_bytes()))? else { continue };
            if row.expired(now) {
                for write in removal(&place, &row, self).map_err(from_refused)? {
                    self.write(write)?;
                }
                *counts.entry(place.kind).or_insert(0) -= 1;
            }
        }
        self.count(counts)?;
        Ok(due.len())
    }

    /// Makes the `many` and ordered entries of at most `limit` rows behind a key what `indexes` says. The second part
    /// tells whether anything was written.
    pub fn reindex(
        &mut self,
        kind: &str,
        after: Option<&Key>,
        limit: usize,
        indexes: &dyn Fn(&Row) -> crate::error::Result<Vec<Index>>,
    ) -> Result<(Option<Key>, bool), Fault> {
        let base = layout::kind_prefix(kind);
        let low =
            after.map_or(Bound::Included(base.clone()), |key| Bound::Excluded(layout::row_key(kind, key.as_bytes())));
        let high = layout::successor(&base).map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows = Vec::new();
        for entry in
            self.rows.range::<&[u8]>((low.as_ref().map(Vec::as_slice), high.as_ref().map(Vec::as_slice)))?.take(limit)
        {
            let (key, bytes) = entry?;
            rows.push((Key::from_bytes(&key.value()[base.len()..]), decode_row(key.value(), bytes.value())?));
        }
        let last = (rows.len() == limit).then(|| rows.last().map(|(key, _)| key.clone())).flatten();
        let mut changed = false;
        for (key, mut row) in rows {
            let wanted = indexes(&row).map_err(|e| Fault::corrupt(e.log_line().to_string()))?;
            let mut writes = Vec::new();
            diff_many(kind, &key, &row.indexes, &wanted, &mut writes);
            if writes.is_empty() {
                continue;
            }
            changed = true;
            row.indexes =
                row.indexes.into_iter().filter(|i| i.unique).chain(wanted.into_iter().filter(|i| !i.unique)).collect();
            writes.push(Write::Row(Place { kind: kind.to_owned(), key }, Some(row)));
            for write in writes {
                self.write(write)?;
            }
        }
        Ok((last, changed))
    }

    /// Keeps what `sign` makes of the head, unless that is covered.
    pub fn checkpoint(&mut self, sign: &dyn Fn(&Head) -> Checkpoint) -> Result<Option<Checkpoint>, Fault> {
        let head = self.head()?;
        let covered = self.checkpoints.last()?.map_or(0, |(seq, _)| seq.value());
        if head.log <= covered {
            return Ok(None);
        }
        let made = sign(&head);
        self.checkpoints.insert(made.seq, encode(&made).as_slice())?;
        Ok(Some(made))
    }

    /// Removes the log's beginning up to `until`, at most `limit` rows, and keeps a signed word of where it begins now.
    pub fn prune(&mut self, until: u64, limit: usize, sign: &dyn Fn(&Head) -> Checkpoint) -> Result<bool, Fault> {
        let mut gone: Vec<(u64, LogRow)> = Vec::new();
        // The last row stays whatever is asked: the next one is linked to it.
        let until = until.min(self.head()?.log.saturating_sub(1));
        for entry in self.log.range(..=until)?.take(limit) {
            let (seq, bytes) = entry?;
            let row = minicbor::decode(bytes.value()).map_err(|e| Fault::corrupt(format!("a row of the log: {e}")))?;
            gone.push((seq.value(), row));
        }
        let Some((last, row)) = gone.last() else { return Ok(false) };
        let floor = sign(&Head { commit: 0, log: *last, hash: row.hash, at: row.at });
        for (seq, row) in &gone {
            self.log.remove(seq)?;
            self.detail.remove(seq)?;
            self.checkpoints.remove(seq)?;
            if let Some(org) = &row.org {
                self.log_org.remove(&layout::org_key(org, *seq)[..])?;
            }
        }
        self.meta.insert("floor", encode(&floor).as_slice())?;
        Ok(true)
    }

    fn row_at(&self, key: &[u8]) -> Result<Option<Row>, Fault> {
        self.rows.get(key)?.map(|bytes| decode_row(key, bytes.value())).transpose()
    }
}

impl View for Tables<'_> {
    fn row(&self, kind: &str, key: &Key) -> Result<Option<Row>, Refused> {
        Ok(self.row_at(&layout::row_key(kind, key.as_bytes()))?)
    }

    fn holder(&self, entry: &Entry) -> Result<Option<Key>, Refused> {
        let key = layout::unique_key(&entry.kind, &entry.index, &entry.value);
        let holder = self.unique.get(key.as_slice()).map_err(Fault::from)?;
        Ok(holder.map(|key| Key::from_bytes(key.value())))
    }
}

/// `removal()` refuses for no reason of its own.
fn from_refused(refused: Refused) -> Fault {
    Fault::new(crate::store::backend::Nature::Io, refused.to_string())
}
