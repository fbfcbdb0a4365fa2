//! Lists: one order to walk, further conditions, and a bound on the effort of a page.
//!
//! ```text
//!  conditions ─► is one of them rare? ─ yes ─► read its few rows, sort them by place
//!                        │ no
//!                        └─► walk the order from the cursor; look at a row only when no index rules it out
//! ```
//!
//! Both ways give the same rows the same places, so that a cursor of the one goes on in the other when what is rare
//! is so no longer.

use std::collections::HashSet;
use std::ops::{Bound, RangeBounds};

use redb::{AccessGuard, Range, ReadOnlyTable, ReadTransaction};

use super::layout::{self, decode_row};
use super::read::{Rows, listed};
use crate::store::backend::{Also, Ask, Fault, Listing, Order, Span};
use crate::store::record::Row;

/// A condition with at most so many entries is rare, where all its rows must be read to be sorted.
const RARE: usize = 3_000;
/// After so much effort for rows that are none of the list, keys are gathered: what fills a page at once needs none.
const PATIENCE: usize = 1_000;
/// Of a condition with at most so many entries, all keys are gathered. It is rare, where keys alone are sorted.
const GATHERED: usize = 10_000;
/// What a page with conditions may cost, in steps over index entries.
const EFFORT: usize = 100_000;
/// What reading a row costs in that measure.
const ROW_COST: usize = 16;

type Entries = ReadOnlyTable<&'static [u8], ()>;
type Bytes = AccessGuard<'static, &'static [u8]>;
type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// One page of a list.
pub fn page(from: &ReadTransaction, ask: &Ask) -> Result<Listing, Fault> {
    let lists = Lists {
        rows: from.open_table(layout::ROWS)?,
        many: from.open_table(layout::MANY)?,
        ordered: from.open_table(layout::ORDERED)?,
    };
    let Some(places) = places(ask) else { return Ok(Listing::default()) };
    match lists.rarest(ask)? {
        Some(keys) => lists.sort(ask, keys, &places),
        None => lists.walk(ask, &places),
    }
}

/// The tables that lists are read from.
struct Lists {
    rows: Rows,
    many: Entries,
    ordered: Entries,
}

impl Lists {
    /// The keys of the rarest condition, if any is rare.
    fn rarest(&self, ask: &Ask) -> Result<Option<HashSet<Vec<u8>>>, Fault> {
        let mut most = if matches!(ask.order, Order::Ordered(..)) { RARE } else { GATHERED };
        let mut rarest = None;
        for also in &ask.also {
            // Nothing is looked at twice as far as the rarest so far goes.
            if let Some(keys) = self.keys(ask.kind, also, most)? {
                most = keys.len();
                rarest = Some(keys);
            }
        }
        Ok(rarest)
    }

    /// The keys of all rows that a condition holds for, from its index alone; `None` if there are more entries.
    fn keys(&self, kind: &str, also: &Also, most: usize) -> Result<Option<HashSet<Vec<u8>>>, Fault> {
        let (table, base, bounds) = match also {
            Also::Many(index, value) => (&self.many, layout::many_prefix(kind, index, value), beginning(&[])),
            Also::Ordered(index, span) => (&self.ordered, layout::ordered_base(kind, index), spanned(span)),
        };
        let mut keys = HashSet::new();
        for (place, entry) in table.range::<&[u8]>(as_slices(&below(&base, &bounds)))?.enumerate() {
            if place >= most {
                return Ok(None);
            }
            let (entry, _) = entry?;
            let rest = &entry.value()[base.len()..];
            keys.insert(match also {
                Also::Many(..) => rest.to_vec(),
                Also::Ordered(..) => key_of(rest)?.to_vec(),
            });
        }
        Ok(Some(keys))
    }

    /// The page out of few keys: those that belong to the list, sorted by their places.
    fn sort(&self, ask: &Ask, keys: HashSet<Vec<u8>>, places: &Bounds) -> Result<Listing, Fault> {
        let inside = |place: &[u8]| RangeBounds::<[u8]>::contains(&as_slices(places), place);
        let backwards = |one: &[u8], other: &[u8]| if ask.newest_first { other.cmp(one) } else { one.cmp(other) };
        let by_value = matches!(ask.order, Order::Ordered(..));
        let mut keys: Vec<_> = keys.into_iter().filter(|key| by_value || inside(key)).collect();
        keys.sort_unstable_by(|one, other| backwards(one, other));
        let (mut found, mut read) = (Vec::new(), 0);
        for key in keys {
            // Where the key is the place, what lies on later pages is not even read.
            if !by_value && found.len() > ask.limit {
                break;
            }
            read += 1;
            let row = listed(&self.rows, ask.kind, &key)?;
            if row.expired(ask.now) || !ask.also.iter().all(|also| also.holds(&row)) {
                continue;
            }
            if let Some(place) = place(ask, &row, &key).filter(|place| inside(place)) {
                found.push((place, row));
            }
        }
        found.sort_by(|(one, _), (other, _)| backwards(one, other));
        let more = found.len() > ask.limit;
        found.truncate(ask.limit);
        let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
        Ok(Listing { rows: found.into_iter().map(|(_, row)| row).collect(), next, read })
    }

    /// The page by walking the order from the cursor.
    fn walk(&self, ask: &Ask, places: &Bounds) -> Result<Listing, Fault> {
        let base = base(ask);
        let mut known = Known { gathered: Vec::new(), common: ask.also.iter().collect() };
        let mut listing = Listing::default();
        let (mut last, mut effort, mut patience) = (None, 0, PATIENCE);
        let mut walk = self.begin(ask, &below(&base, places))?;
        while let Some((entry, bytes)) = walk.step(ask.newest_first)? {
            effort += 1;
            let place = &entry.value()[base.len()..];
            let key = if matches!(ask.order, Order::Ordered(..)) { key_of(place)? } else { place };
            if self.possible(ask.kind, &known, key)? {
                effort += ROW_COST;
                listing.read += 1;
                let row = match bytes {
                    Some(bytes) => decode_row(entry.value(), bytes.value())?,
                    None => listed(&self.rows, ask.kind, key)?,
                };
                if !row.expired(ask.now) && first(ask, &row, place) && ask.also.iter().all(|also| also.holds(&row)) {
                    if listing.rows.len() == ask.limit {
                        listing.next = last;
                        return Ok(listing);
                    }
                    listing.rows.push(row);
                    last = Some(place.to_vec());
                }
            }
            if patience > 0 && effort > patience + (1 + ROW_COST) * listing.rows.len() {
                patience = 0;
                known = self.gather(ask)?;
            }
            if effort >= EFFORT && !ask.also.is_empty() {
                listing.next = Some(place.to_vec());
                return Ok(listing);
            }
        }
        Ok(listing)
    }

    fn begin(&self, ask: &Ask, bounds: &Bounds) -> Result<Walk, Fault> {
        let bounds = as_slices(bounds);
        Ok(match &ask.order {
            Order::Rows(_) => Walk::Rows(self.rows.range::<&[u8]>(bounds)?),
            Order::Many(..) => Walk::Entries(self.many.range::<&[u8]>(bounds)?),
            Order::Ordered(..) => Walk::Entries(self.ordered.range::<&[u8]>(bounds)?),
        })
    }

    /// The keys of every condition that is not too common.
    fn gather<'a>(&self, ask: &'a Ask) -> Result<Known<'a>, Fault> {
        let mut known = Known { gathered: Vec::new(), common: Vec::new() };
        for also in &ask.also {
            match self.keys(ask.kind, also, GATHERED)? {
                Some(keys) => known.gathered.push(keys),
                None => known.common.push(also),
            }
        }
        Ok(known)
    }

    /// Whether no index rules the key out.
    fn possible(&self, kind: &str, known: &Known, key: &[u8]) -> Result<bool, Fault> {
        if !known.gathered.iter().all(|keys| keys.contains(key)) {
            return Ok(false);
        }
        for also in &known.common {
            if let Also::Many(index, value) = also {
                let mut entry = layout::many_prefix(kind, index, value);
                entry.extend_from_slice(key);
                if self.many.get(entry.as_slice())?.is_none() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// What is known of the conditions of a walk.
struct Known<'a> {
    /// All keys that a condition holds for, of each that was gathered.
    gathered: Vec<HashSet<Vec<u8>>>,
    /// The others: an index tells one key at a time, or the row itself does.
    common: Vec<&'a Also>,
}

/// A walk over rows or over index entries, in either direction.
enum Walk {
    Rows(Range<'static, &'static [u8], &'static [u8]>),
    Entries(Range<'static, &'static [u8], ()>),
}

impl Walk {
    /// The next entry; with the bytes of the row where they lie beside it.
    fn step(&mut self, back: bool) -> Result<Option<(Bytes, Option<Bytes>)>, Fault> {
        Ok(match self {
            Self::Rows(range) => {
                let entry = if back { range.next_back() } else { range.next() };
                entry.transpose()?.map(|(key, row)| (key, Some(row)))
            }
            Self::Entries(range) => {
                let entry = if back { range.next_back() } else { range.next() };
                entry.transpose()?.map(|(key, _)| (key, None))
            }
        })
    }
}

fn key_of(place: &[u8]) -> Result<&[u8], Fault> {
    layout::split_place(place).map(|(_, key)| key).ok_or_else(|| Fault::corrupt("an ordered index without a key"))
}

/// The values of a row in the index that it is ordered by, as far as the list goes.
fn values<'r>(index: &'r str, span: &'r Span, row: &'r Row) -> impl Iterator<Item = &'r [u8]> {
    let named = row.indexes.iter().filter(move |i| i.ordered && i.name == index);
    named.map(|i| i.value.as_slice()).filter(move |value| span.has(value))
}

/// Where a row stands in the list; `None` if it is no part of it.
fn place(ask: &Ask, row: &Row, key: &[u8]) -> Option<Vec<u8>> {
    match &ask.order {
        Order::Rows(_) => Some(key.to_vec()),
        Order::Many(index, value, _) => Also::Many(index, value.clone()).holds(row).then(|| key.to_vec()),
        Order::Ordered(index, span) => {
            let values = values(index, span, row);
            let value = if ask.newest_first { values.max() } else { values.min() };
            value.map(|value| layout::ordered_place(value, key))
        }
    }
}

/// Whether this is the entry that the row is listed by: the first of those in the list, in its direction.
fn first(ask: &Ask, row: &Row, here: &[u8]) -> bool {
    let Order::Ordered(index, span) = &ask.order else { return true };
    let values = values(index, span, row);
    let value = if ask.newest_first { values.max() } else { values.min() };
    let held = layout::split_place(here).map(|(value, _)| value);
    value.is_some_and(|value| held == Some(&layout::ordered_value(value)))
}

/// What stands before the place in the table that the list is walked in.
fn base(ask: &Ask) -> Vec<u8> {
    match &ask.order {
        Order::Rows(_) => layout::kind_prefix(ask.kind),
        Order::Many(index, value, _) => layout::many_prefix(ask.kind, index, value),
        Order::Ordered(index, _) => layout::ordered_base(ask.kind, index),
    }
}

/// The places that begin so.
fn beginning(prefix: &[u8]) -> Bounds {
    (Bound::Included(prefix.to_vec()), layout::successor(prefix).map_or(Bound::Unbounded, Bound::Excluded))
}

/// The places of a span of an ordered index.
fn spanned(span: &Span) -> Bounds {
    match span {
        Span::Prefix(prefix) => beginning(&layout::ordered_value(prefix)),
        Span::Between(low, high) => {
            (Bound::Included(layout::ordered_value(low)), Bound::Excluded(layout::ordered_value(high)))
        }
    }
}

/// The places of the list behind the cursor; `None` when there are none. A cursor from elsewhere never leads out of
/// the list, and redb never sees an upside-down range.
fn places(ask: &Ask) -> Option<Bounds> {
    let (mut low, mut high) = match &ask.order {
        Order::Rows(prefix) | Order::Many(_, _, prefix) => beginning(prefix),
        Order::Ordered(_, span) => spanned(span),
    };
    if let Some(cursor) = &ask.after {
        if ask.newest_first {
            if before_end(cursor, &high) {
                high = Bound::Excluded(cursor.clone());
            }
        } else if matches!(&low, Bound::Included(start) if cursor >= start) {
            low = Bound::Excluded(cursor.clone());
        }
    }
    let (Bound::Included(start) | Bound::Excluded(start)) = &low else { return None };
    before_end(start, &high).then_some((low, high))
}

fn before_end(place: &[u8], end: &Bound<Vec<u8>>) -> bool {
    !matches!(end, Bound::Excluded(end) if place >= end.as_slice())
}

/// The keys of a table for the places below a base.
fn below(base: &[u8], (low, high): &Bounds) -> Bounds {
    let at = |place: &Vec<u8>| [base, place].concat();
    let end = || layout::successor(base).map_or(Bound::Unbounded, Bound::Excluded);
    (low.as_ref().map(at), if *high == Bound::Unbounded { end() } else { high.as_ref().map(at) })
}

fn as_slices((low, high): &Bounds) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (low.as_ref().map(Vec::as_slice), high.as_ref().map(Vec::as_slice))
}
