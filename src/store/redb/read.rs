//! Reading: each function on one snapshot.

use std::collections::BTreeMap;
use std::ops::Bound;

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};

use super::layout::{self, decode_row};
use crate::env::Timestamp;
use crate::store::backend::{Fault, Head, Lies, RawLog};
use crate::store::log::Checkpoint;
use crate::store::record::{Key, Row};

pub type Rows = ReadOnlyTable<&'static [u8], &'static [u8]>;

fn row_at(rows: &Rows, key: &[u8]) -> Result<Option<Row>, Fault> {
    rows.get(key)?.map(|bytes| decode_row(key, bytes.value())).transpose()
}

/// The row, expired or not.
pub fn row(from: &ReadTransaction, kind: &str, key: &Key) -> Result<Option<Row>, Fault> {
    row_at(&from.open_table(layout::ROWS)?, &layout::row_key(kind, key.as_bytes()))
}

/// The row that holds a unique value, expired or not.
pub fn find(from: &ReadTransaction, kind: &str, index: &str, value: &[u8]) -> Result<Option<Row>, Fault> {
    let unique = from.open_table(layout::UNIQUE)?;
    let Some(holder) = unique.get(layout::unique_key(kind, index, value).as_slice())? else { return Ok(None) };
    let row = row_at(&from.open_table(layout::ROWS)?, &layout::row_key(kind, holder.value()))?;
    // An index that leads to a row which does not ask for it would let one person in as another.
    match row {
        Some(row) if row.indexes.iter().any(|i| i.unique && i.name == index && i.value == value) => Ok(Some(row)),
        _ => Err(Fault::corrupt("a unique index leads to a row that does not have the value")),
    }
}

/// The row that an index leads to.
pub fn listed(rows: &Rows, kind: &str, key: &[u8]) -> Result<Row, Fault> {
    row_at(rows, &layout::row_key(kind, key))?.ok_or_else(|| Fault::corrupt("an index leads to no row"))
}

/// How many live rows each kind has. Cheap as long as the sweep keeps up: only what has expired since is walked.
pub fn counts(from: &ReadTransaction, now: Timestamp) -> Result<BTreeMap<String, u64>, Fault> {
    let mut counts = BTreeMap::new();
    for entry in from.open_table(layout::COUNTS)?.iter()? {
        let (kind, count) = entry?;
        counts.insert(kind.value().to_owned(), count.value());
    }
    for entry in from.open_table(layout::EXPIRY)?.range::<&[u8]>(..&layout::expiry_end(now)[..])? {
        let kind = layout::expiry_place(entry?.0.value()).map(|place| place.kind);
        if let Some(count) = kind.and_then(|kind| counts.get_mut(&kind)) {
            *count = count.saturating_sub(1);
        }
    }
    counts.retain(|_, count| *count > 0);
    Ok(counts)
}

/// How many live rows have a value in a `many` index. Walks them.
pub fn count_by(from: &ReadTransaction, kind: &str, index: &str, value: &[u8], now: Timestamp) -> Result<u64, Fault> {
    let (rows, many) = (from.open_table(layout::ROWS)?, from.open_table(layout::MANY)?);
    let base = layout::many_prefix(kind, index, value);
    let high = layout::successor(&base);
    let high = high.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut count = 0;
    for entry in many.range::<&[u8]>((Bound::Included(base.as_slice()), high))? {
        let (entry, _) = entry?;
        count += u64::from(!listed(&rows, kind, &entry.value()[base.len()..])?.expired(now));
    }
    Ok(count)
}

/// How many entries a value has, and the place of the one of that number.
pub fn entries(
    from: &ReadTransaction,
    kind: &str,
    index: &str,
    value: &[u8],
    nth: u64,
) -> Result<(u64, Option<Vec<u8>>), Fault> {
    let many = from.open_table(layout::MANY)?;
    let base = layout::many_prefix(kind, index, value);
    let high = layout::successor(&base);
    let high = high.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
    let (mut count, mut place) = (0, None);
    for entry in many.range::<&[u8]>((Bound::Included(base.as_slice()), high))? {
        count += 1;
        if count == nth {
            place = entry?.0.value().get(base.len()..).map(<[u8]>::to_vec);
        }
    }
    Ok((count, place))
}

/// A row of the log as it lies there, with its detail.
fn raw(details: &ReadOnlyTable<u64, &'static [u8]>, seq: u64, bytes: Option<&[u8]>) -> Result<RawLog, Fault> {
    let row = bytes.and_then(|bytes| minicbor::decode(bytes).ok());
    let detail = details.get(seq)?.map_or(Lies::Nothing, |bytes| layout::decode_detail(bytes.value()));
    Ok(RawLog { seq, row, detail })
}

/// Rows of the log behind `after`, of one organization or of all.
pub fn log(from: &ReadTransaction, after: u64, limit: usize, org: Option<&[u8; 16]>) -> Result<Vec<RawLog>, Fault> {
    let (log, details) = (from.open_table(layout::LOG)?, from.open_table(layout::DETAIL)?);
    let mut found = Vec::new();
    let Some(org) = org else {
        for entry in log.range((Bound::Excluded(after), Bound::Unbounded))?.take(limit) {
            let (seq, bytes) = entry?;
            found.push(raw(&details, seq.value(), Some(bytes.value()))?);
        }
        return Ok(found);
    };
    let (low, high) = (layout::org_key(org, after), layout::org_key(org, u64::MAX));
    let orgs = from.open_table(layout::LOG_ORG)?;
    for entry in orgs.range::<&[u8]>((Bound::Excluded(&low[..]), Bound::Included(&high[..])))?.take(limit) {
        let Some(seq) = layout::org_seq(entry?.0.value()) else { continue };
        let bytes = log.get(seq)?;
        found.push(raw(&details, seq, bytes.as_ref().map(|bytes| bytes.value()))?);
    }
    Ok(found)
}

/// The same the other way round: rows before a number, the newest first.
pub fn log_back(
    from: &ReadTransaction,
    before: u64,
    limit: usize,
    org: Option<&[u8; 16]>,
) -> Result<Vec<RawLog>, Fault> {
    let (log, details) = (from.open_table(layout::LOG)?, from.open_table(layout::DETAIL)?);
    let mut found = Vec::new();
    let Some(org) = org else {
        for entry in log.range(..before)?.rev().take(limit) {
            let (seq, bytes) = entry?;
            found.push(raw(&details, seq.value(), Some(bytes.value()))?);
        }
        return Ok(found);
    };
    let (low, high) = (layout::org_key(org, 0), layout::org_key(org, before));
    let orgs = from.open_table(layout::LOG_ORG)?;
    for entry in orgs.range::<&[u8]>((Bound::Included(&low[..]), Bound::Excluded(&high[..])))?.rev().take(limit) {
        let Some(seq) = layout::org_seq(entry?.0.value()) else { continue };
        let bytes = log.get(seq)?;
        found.push(raw(&details, seq, bytes.as_ref().map(|bytes| bytes.value()))?);
    }
    Ok(found)
}

/// Where the log begins, when its beginning was pruned. One that cannot be read is damage.
pub fn floor(from: &ReadTransaction) -> Result<Option<Checkpoint>, Fault> {
    let meta = from.open_table(layout::META)?;
    let floor = meta.get("floor")?;
    let read = |bytes: &[u8]| minicbor::decode(bytes).map_err(|e| Fault::corrupt(format!("the floor: {e}")));
    floor.map(|bytes| read(bytes.value())).transpose()
}

/// Every checkpoint. One that cannot be read is damage: it would hide a cut.
pub fn checkpoints(from: &ReadTransaction) -> Result<Vec<Checkpoint>, Fault> {
    let mut checkpoints = Vec::new();
    for entry in from.open_table(layout::CHECKPOINTS)?.iter()? {
        let (_, bytes) = entry?;
        checkpoints.push(minicbor::decode(bytes.value()).map_err(|e| Fault::corrupt(format!("a checkpoint: {e}")))?);
    }
    Ok(checkpoints)
}

/// How far the store has come.
pub fn head(from: &ReadTransaction) -> Result<Head, Fault> {
    let meta = from.open_table(layout::META)?;
    let bytes = meta.get("head")?.ok_or_else(|| Fault::corrupt("there is no head"))?;
    minicbor::decode(bytes.value()).map_err(|e| Fault::corrupt(format!("the head: {e}")))
}
