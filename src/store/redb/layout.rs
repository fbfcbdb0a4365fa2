//! How things lie in the file: tables, keys, and the bytes of a row.
//!
//! | table | key | value |
//! |---|---|---|
//! | `rows` | kind, key | 8 bytes of SHA-256 over all of it, row |
//! | `unique` | kind, index, value | the holder's key |
//! | `many` | kind, index, value, key | nothing |
//! | `ordered` | kind, index, value and key so that values sort as they are | nothing |
//! | `expiry` | time, kind, key | nothing |
//! | `counts` | kind | how many rows, expired ones included |
//! | `log` | number | `LogRow` |
//! | `detail` | number | 16 bytes of salt, the detail; or, erased, the 8 bytes of the number of the row it was erased with |
//! | `log_org` | organization, number | nothing |
//! | `checkpoints` | number | `Checkpoint` |
//! | `meta` | `schema`, `head`, `floor` | the version of this layout, `Head`, a `Checkpoint` of the last pruned row |
//!
//! Names and all but the last part of a key are preceded by their length, so that keys of one kind, index or value
//! stand together, and those of two never mix.

use aws_lc_rs::digest::{Context, SHA256};
use redb::TableDefinition;

use crate::env::Timestamp;
use crate::store::backend::{Detail, Entry, Fault, Lies, Place};
use crate::store::chain::encode;
use crate::store::record::{Key, Row};

type Bytes = &'static [u8];

pub const ROWS: TableDefinition<Bytes, Bytes> = TableDefinition::new("rows");
pub const UNIQUE: TableDefinition<Bytes, Bytes> = TableDefinition::new("unique");
pub const MANY: TableDefinition<Bytes, ()> = TableDefinition::new("many");
pub const ORDERED: TableDefinition<Bytes, ()> = TableDefinition::new("ordered");
pub const EXPIRY: TableDefinition<Bytes, ()> = TableDefinition::new("expiry");
pub const COUNTS: TableDefinition<&str, u64> = TableDefinition::new("counts");
pub const LOG: TableDefinition<u64, Bytes> = TableDefinition::new("log");
pub const DETAIL: TableDefinition<u64, Bytes> = TableDefinition::new("detail");
pub const LOG_ORG: TableDefinition<Bytes, ()> = TableDefinition::new("log_org");
pub const CHECKPOINTS: TableDefinition<u64, Bytes> = TableDefinition::new("checkpoints");
pub const META: TableDefinition<&str, Bytes> = TableDefinition::new("meta");

/// The version of this layout. A file with a greater one is left alone.
pub const SCHEMA: u32 = 2;

/// One part of a key, preceded by its length. `plan()` keeps names and values far below what two bytes hold.
fn push(key: &mut Vec<u8>, part: &[u8]) {
    key.extend_from_slice(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_be_bytes());
    key.extend_from_slice(part);
}

/// Splits off the first part of a key.
fn pull(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = key.split_first_chunk::<2>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

/// What all row keys of a kind begin with.
pub fn kind_prefix(kind: &str) -> Vec<u8> {
    let mut prefix = Vec::with_capacity(kind.len() + 32);
    push(&mut prefix, kind.as_bytes());
    prefix
}

/// The kind in the key of a row.
pub fn kind_of(row_key: &[u8]) -> Option<&str> {
    std::str::from_utf8(pull(row_key)?.0).ok()
}

/// The key of a row.
pub fn row_key(kind: &str, key: &[u8]) -> Vec<u8> {
    let mut bytes = kind_prefix(kind);
    bytes.extend_from_slice(key);
    bytes
}

/// The key of a unique value.
pub fn unique_key(kind: &str, index: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = kind_prefix(kind);
    push(&mut bytes, index.as_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// What all keys of one value of a `many` index begin with.
pub fn many_prefix(kind: &str, index: &str, value: &[u8]) -> Vec<u8> {
    let mut bytes = kind_prefix(kind);
    push(&mut bytes, index.as_bytes());
    push(&mut bytes, value);
    bytes
}

/// The key of one row under one value of a `many` index.
pub fn many_key(entry: &Entry, key: &Key) -> Vec<u8> {
    let mut bytes = many_prefix(&entry.kind, &entry.index, &entry.value);
    bytes.extend_from_slice(key.as_bytes());
    bytes
}

/// What all keys of an ordered index begin with.
pub fn ordered_base(kind: &str, index: &str) -> Vec<u8> {
    let mut bytes = kind_prefix(kind);
    push(&mut bytes, index.as_bytes());
    bytes
}

/// A value as it stands in an ordered index: a zero byte becomes `00 ff`. Behind it stands `00 01`, which is smaller
/// than anything that a longer value goes on with, so entries sort by value first, then by key; and a value begins
/// with another exactly when their bytes here do.
pub fn ordered_value(value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 40);
    for byte in value {
        bytes.push(*byte);
        if *byte == 0 {
            bytes.push(0xff);
        }
    }
    bytes
}

/// The place of a row under a value of an ordered index.
pub fn ordered_place(value: &[u8], key: &[u8]) -> Vec<u8> {
    let mut bytes = ordered_value(value);
    bytes.extend_from_slice(&[0, 1]);
    bytes.extend_from_slice(key);
    bytes
}

/// The escaped value and the key in such a place.
pub fn split_place(place: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = place.windows(2).position(|pair| pair == [0, 1])?;
    Some((&place[..end], &place[end + 2..]))
}

/// The key of one row under one value of an ordered index.
pub fn ordered_key(entry: &Entry, key: &Key) -> Vec<u8> {
    let mut bytes = ordered_base(&entry.kind, &entry.index);
    bytes.extend_from_slice(&ordered_place(&entry.value, key.as_bytes()));
    bytes
}

/// Eight bytes that sort as the time does.
fn time(at: Timestamp) -> [u8; 8] {
    (at.millis().cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

/// The key under which the sweep finds a row.
pub fn expiry_key(at: Timestamp, place: &Place) -> Vec<u8> {
    let mut bytes = time(at).to_vec();
    push(&mut bytes, place.kind.as_bytes());
    bytes.extend_from_slice(place.key.as_bytes());
    bytes
}

/// Behind every key of the sweep for what has expired at `now`.
pub fn expiry_end(now: Timestamp) -> [u8; 9] {
    // A kind's name has at most 64 bytes, so no length begins with 0xff.
    let mut end = [0xff; 9];
    end[..8].copy_from_slice(&time(now));
    end
}

/// The row that a key of the sweep stands for.
pub fn expiry_place(key: &[u8]) -> Option<Place> {
    let (kind, key) = pull(key.get(8..)?)?;
    Some(Place { kind: std::str::from_utf8(kind).ok()?.to_owned(), key: Key::from_bytes(key) })
}

/// The key of a log row in its organization's own list.
pub fn org_key(org: &[u8; 16], seq: u64) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(org);
    key[16..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The number in such a key.
pub fn org_seq(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|seq| u64::from_be_bytes(*seq))
}

/// The least key behind all that begin with `prefix`; `None` when there is no such key.
pub fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut next = prefix[..=last].to_vec();
    next[last] += 1;
    Some(next)
}

fn checksum(key: &[u8], row: &[u8]) -> [u8; 8] {
    let mut context = Context::new(&SHA256);
    context.update(key);
    context.update(row);
    let mut sum = [0; 8];
    sum.copy_from_slice(&context.finish().as_ref()[..8]);
    sum
}

/// The bytes of a row. The checksum covers its key, so that a row is never taken for another: redb verifies pages
/// only when it repairs a file, and what is kept here decides who gets in.
pub fn encode_row(key: &[u8], row: &Row) -> Vec<u8> {
    let cbor = encode(row);
    let mut bytes = checksum(key, &cbor).to_vec();
    bytes.extend_from_slice(&cbor);
    bytes
}

/// The row in such bytes.
pub fn decode_row(key: &[u8], bytes: &[u8]) -> Result<Row, Fault> {
    let Some((sum, cbor)) = bytes.split_first_chunk::<8>() else { return Err(Fault::corrupt("a row is cut off")) };
    if *sum != checksum(key, cbor) {
        return Err(Fault::corrupt("a row does not fit its checksum"));
    }
    minicbor::decode(cbor).map_err(|e| Fault::corrupt(format!("a row cannot be read: {e}")))
}

/// The bytes of a detail.
pub fn encode_detail(detail: &Detail) -> Vec<u8> {
    [&detail.salt[..], &detail.bytes].concat()
}

/// What stays in the place of a detail that was erased with row `by`.
pub fn encode_erased(by: u64) -> [u8; 8] {
    by.to_be_bytes()
}

/// What such bytes are. What is too short for its salt fits no digest either, and is found by the walk.
pub fn decode_detail(bytes: &[u8]) -> Lies {
    if let Ok(by) = bytes.try_into() {
        return Lies::Erased(u64::from_be_bytes(by));
    }
    Lies::Detail(match bytes.split_first_chunk::<16>() {
        Some((salt, rest)) => Detail { salt: *salt, bytes: rest.to_vec() },
        None => Detail { salt: [0; 16], bytes: bytes.to_vec() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::Revision;

    #[test]
    fn keys_of_one_kind_stand_together() {
        let (low, high) = (kind_prefix("ab"), successor(&kind_prefix("ab")).unwrap());
        let inside = |key: &[u8]| low.as_slice() <= key && key < high.as_slice();
        assert!(inside(&row_key("ab", b"")));
        assert!(inside(&row_key("ab", &[0xff; 40])));
        assert!(!inside(&row_key("a", b"b")));
        assert!(!inside(&row_key("abc", b"")));
    }

    #[test]
    fn values_of_an_index_never_mix() {
        let entry = |value: &[u8]| Entry { kind: "k".to_owned(), index: "i".to_owned(), value: value.to_vec() };
        let prefix = many_prefix("k", "i", b"a");
        assert!(many_key(&entry(b"a"), &Key::from_bytes(*b"key")).starts_with(&prefix));
        assert!(!many_key(&entry(b"ab"), &Key::from_bytes(*b"key")).starts_with(&prefix));
    }

    #[test]
    fn ordered_values_sort_as_they_are() {
        let values: [&[u8]; 11] =
            [b"", &[0], &[0, 0], &[0, 1], &[0, 0xff], &[1], b"a", b"a\0", b"a\0b", b"ab", &[0xff, 0xff]];
        let keys: [&[u8]; 5] = [b"", &[0], &[0, 1, 0], &[1], &[0xff; 3]];
        let mut places = Vec::new();
        for value in values {
            for key in keys {
                let place = ordered_place(value, key);
                assert_eq!(split_place(&place), Some((&*ordered_value(value), key)));
                for other in values {
                    assert_eq!(
                        place.starts_with(&ordered_value(other)),
                        value.starts_with(other),
                        "{value:?} {other:?}"
                    );
                    assert_eq!(place < ordered_value(other), value < other, "{value:?} {other:?}");
                }
                places.push(place);
            }
        }
        assert!(places.is_sorted() && places.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(split_place(b"no end"), None);
    }

    #[test]
    fn the_sweep_goes_by_time() {
        let place = Place { kind: "code".to_owned(), key: Key::from_bytes([0xff; 8]) };
        let at = |millis| expiry_key(Timestamp::from_millis(millis), &place);
        assert!(at(-1) < at(0) && at(0) < at(1) && at(1) < at(i64::MAX));
        assert!(at(5).as_slice() < &expiry_end(Timestamp::from_millis(5))[..]);
        assert!(at(6).as_slice() > &expiry_end(Timestamp::from_millis(5))[..]);
        assert_eq!(expiry_place(&at(5)), Some(place));
        assert_eq!(expiry_place(b"short"), None);
    }

    #[test]
    fn successors() {
        assert_eq!(successor(&[1, 0xff, 0xff]), Some(vec![2]));
        assert_eq!(successor(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(successor(&[0xff]), None);
    }

    #[test]
    fn a_row_is_never_taken_for_another() {
        let row =
            Row { shape: 1, revision: Revision(7), expires_at: None, indexes: vec![], kept: true, bytes: vec![1] };
        let mut bytes = encode_row(b"one", &row);
        assert_eq!(decode_row(b"one", &bytes), Ok(row));
        assert!(decode_row(b"two", &bytes).is_err());
        assert!(decode_row(b"one", &bytes[..4]).is_err());
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert!(decode_row(b"one", &bytes).is_err());
    }

    #[test]
    fn org_keys_sort_by_number() {
        assert!(org_key(&[1; 16], 255) < org_key(&[1; 16], 256));
        assert_eq!(org_seq(&org_key(&[1; 16], 300)), Some(300));
        assert_eq!(org_seq(b"short"), None);
    }
}
