use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::store::batch::RowKey;
use crate::store::log::{LogEntry, LogRow};
use crate::store::record::Record;

/// Kept, with a unique e-mail address and a list by organization.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
struct Person {
    #[n(0)]
    id: u8,
    #[n(1)]
    email: String,
    #[n(2)]
    org: String,
    #[n(3)]
    until: Option<Timestamp>,
}

impl Record for Person {
    const KIND: &'static str = "person";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        key(self.id)
    }
    fn indexes(&self) -> Vec<Index> {
        // The same name and value in both forms are two entries.
        vec![
            Index::unique("email", &self.email),
            Index::many("org", &self.org),
            Index::ordered("org", &self.org),
            Index::ordered("org", &self.email),
        ]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        self.until
    }
}

/// Ephemeral, without any index.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
struct Code {
    #[n(0)]
    id: u8,
    #[n(1)]
    until: Option<Timestamp>,
}

impl Record for Code {
    const KIND: &'static str = "code";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        key(self.id)
    }
    fn expires_at(&self) -> Option<Timestamp> {
        self.until
    }
}

fn key(id: u8) -> Key {
    Key::from_bytes([id])
}

fn person(id: u8, email: &str) -> Person {
    Person { id, email: email.to_owned(), org: "o".to_owned(), until: None }
}

fn happened(kind: &str) -> LogEntry {
    LogEntry { kind: kind.to_owned(), org: None, envelope: vec![1], detail: vec![2, 3] }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A back end of maps, which carries writes out as blindly as any.
#[derive(Clone, Debug, Default, PartialEq)]
struct World {
    rows: BTreeMap<(String, Key), Row>,
    unique: BTreeMap<Entry, Key>,
    many: BTreeSet<(Entry, Key)>,
    ordered: BTreeSet<(Entry, Key)>,
    expiry: BTreeSet<(Timestamp, Place)>,
    counts: BTreeMap<String, i64>,
    log: Vec<(LogRow, Detail)>,
    head: Head,
}

impl View for World {
    fn row(&self, kind: &str, key: &Key) -> Result<Option<Row>, Refused> {
        Ok(self.rows.get(&(kind.to_owned(), key.clone())).cloned())
    }
    fn holder(&self, entry: &Entry) -> Result<Option<Key>, Refused> {
        Ok(self.unique.get(entry).cloned())
    }
}

impl World {
    fn write(&mut self, writes: Vec<Write>) {
        for write in writes {
            match write {
                Write::Row(place, Some(row)) => drop(self.rows.insert((place.kind, place.key), row)),
                Write::Row(place, None) => drop(self.rows.remove(&(place.kind, place.key))),
                Write::Unique(entry, Some(key)) => drop(self.unique.insert(entry, key)),
                Write::Unique(entry, None) => drop(self.unique.remove(&entry)),
                Write::Many(entry, key, true) => assert!(self.many.insert((entry, key)), "listed twice"),
                Write::Many(entry, key, false) => assert!(self.many.remove(&(entry, key)), "was not listed"),
                Write::Ordered(entry, key, true) => assert!(self.ordered.insert((entry, key)), "listed twice"),
                Write::Ordered(entry, key, false) => assert!(self.ordered.remove(&(entry, key)), "was not listed"),
                Write::Expiry(at, place, true) => assert!(self.expiry.insert((at, place)), "expires twice"),
                Write::Expiry(at, place, false) => assert!(self.expiry.remove(&(at, place)), "did not expire"),
                Write::Log(row, detail) => self.log.push((row, detail)),
            }
        }
    }

    fn plan(&self, batch: &Batch, now: Timestamp) -> Result<Planned, Refused> {
        plan(batch, self, &self.head, now, &mut || [7; 16])
    }

    fn commit(&mut self, batch: &Batch, now: Timestamp) -> Result<Revision, Refused> {
        let planned = self.plan(batch, now)?;
        self.write(planned.writes);
        for (kind, by) in planned.counts {
            *self.counts.entry(kind).or_default() += by;
        }
        self.head = planned.head;
        Ok(Revision(self.head.commit))
    }

    /// Every index is exactly what the rows ask for; an expired row may have lost its unique values.
    fn check(&self, now: Timestamp) {
        let (mut many, mut ordered) = (BTreeSet::new(), BTreeSet::new());
        let (mut expiry, mut counts) = (BTreeSet::new(), BTreeMap::new());
        for ((kind, key), row) in &self.rows {
            for index in &row.indexes {
                let entry = Entry::of(kind, index);
                if index.ordered {
                    ordered.insert((entry, key.clone()));
                } else if !index.unique {
                    many.insert((entry, key.clone()));
                } else if !row.expired(now) {
                    assert_eq!(self.unique.get(&entry), Some(key), "{entry:?}");
                }
            }
            expiry.extend(row.expires_at.map(|at| (at, Place { kind: kind.clone(), key: key.clone() })));
            *counts.entry(kind.clone()).or_insert(0) += 1;
        }
        for (entry, key) in &self.unique {
            let row = &self.rows[&(entry.kind.clone(), key.clone())];
            assert!(row.indexes.iter().any(|i| i.unique && Entry::of(&entry.kind, i) == *entry), "{entry:?}");
        }
        assert_eq!(self.many, many);
        assert_eq!(self.ordered, ordered);
        assert_eq!(self.expiry, expiry);
        assert_eq!(
            self.counts.iter().filter(|(_, n)| **n != 0).map(|(k, n)| (k.clone(), *n)).collect::<BTreeMap<_, _>>(),
            counts
        );
        for (place, (row, _)) in self.log.iter().enumerate() {
            assert_eq!(row.seq, place as u64 + 1);
        }
    }
}

fn with(persons: &[&Person]) -> (World, Revision) {
    let mut world = World::default();
    let mut batch = Batch::new();
    for person in persons {
        batch.create(*person);
    }
    let revision = world.commit(batch.log(happened("made")), at(0)).unwrap();
    world.check(at(0));
    (world, revision)
}

fn stale() -> Refused {
    Refused::Stale { kind: "person" }
}

fn taken(index: &str) -> Refused {
    Refused::Taken { kind: "person", index: index.to_owned() }
}

#[track_caller]
fn rule(batch: &Batch, words: &str) {
    match World::default().plan(batch, at(0)) {
        Err(Refused::Rule(rule)) if rule.contains(words) => {}
        other => panic!("{words}: {other:?}"),
    }
}

#[track_caller]
fn allowed(batch: &Batch) {
    World::default().plan(batch, at(0)).unwrap();
}

#[test]
fn a_create_writes_row_indexes_count_and_event() {
    let (world, revision) = with(&[&person(1, "a@b")]);
    assert_eq!(revision, Revision(1));
    let row = world.row("person", &key(1)).unwrap().unwrap();
    assert_eq!((row.revision, row.kept, row.shape), (Revision(1), true, 1));
    assert_eq!(row.decode::<Person>().unwrap().value, person(1, "a@b"));
    assert_eq!((world.unique.len(), world.many.len(), world.ordered.len(), world.log.len()), (1, 1, 2, 1));
    assert_eq!(world.counts["person"], 1);
}

#[test]
fn a_second_create_finds_the_key_taken() {
    let (world, _) = with(&[&person(1, "a@b")]);
    assert_eq!(world.plan(Batch::new().create(&person(1, "x@y")).log(happened("e")), at(0)), Err(taken("key")));
}

#[test]
fn an_update_names_the_revision_it_saw() {
    let (mut world, revision) = with(&[&person(1, "a@b")]);
    let changed = person(1, "c@d");
    for wrong in [Revision(0), Revision(2)] {
        assert_eq!(world.plan(Batch::new().update(&changed, wrong).log(happened("e")), at(0)), Err(stale()));
    }
    let missing = person(9, "z@z");
    assert_eq!(world.plan(Batch::new().update(&missing, revision).log(happened("e")), at(0)), Err(stale()));
    let next = world.commit(Batch::new().update(&changed, revision).log(happened("e")), at(0)).unwrap();
    world.check(at(0));
    assert_eq!(next, Revision(2));
    assert_eq!(world.plan(Batch::new().update(&changed, revision).log(happened("e")), at(0)), Err(stale()));
    assert_eq!(world.counts["person"], 1);
    assert_eq!(world.unique.keys().map(|e| e.value.clone()).collect::<Vec<_>>(), [b"c@d".to_vec()]);
}

#[test]
fn a_delete_names_the_revision_it_saw_and_leaves_nothing() {
    let (mut world, revision) = with(&[&person(1, "a@b")]);
    let delete = |revision| Batch::new().delete::<Person>(key(1), revision).log(happened("e")).clone();
    assert_eq!(world.plan(&delete(Revision(7)), at(0)), Err(stale()));
    world.commit(&delete(revision), at(0)).unwrap();
    world.check(at(0));
    assert!(world.rows.is_empty() && world.unique.is_empty() && world.many.is_empty() && world.ordered.is_empty());
    assert_eq!(world.counts["person"], 0);
    assert_eq!(world.plan(&delete(revision), at(0)), Err(stale()));
}

#[test]
fn a_row_made_again_has_another_revision() {
    let (mut world, first) = with(&[&person(1, "a@b")]);
    world.commit(Batch::new().delete::<Person>(key(1), first).log(happened("e")), at(0)).unwrap();
    world.commit(Batch::new().create(&person(1, "a@b")).log(happened("e")), at(0)).unwrap();
    assert_eq!(world.plan(Batch::new().update(&person(1, "c@d"), first).log(happened("e")), at(0)), Err(stale()));
}

#[test]
fn a_condition_holds_or_the_batch_is_stale_and_changes_nothing_itself() {
    let (world, revision) = with(&[&person(1, "a@b")]);
    let planned = world.plan(Batch::new().require::<Person>(key(1), revision), at(0)).unwrap();
    assert_eq!(planned, Planned { head: world.head.clone(), writes: vec![], counts: BTreeMap::new() });
    assert_eq!(world.plan(Batch::new().require::<Person>(key(1), Revision(9)), at(0)), Err(stale()));
    assert_eq!(world.plan(Batch::new().require::<Person>(key(2), revision), at(0)), Err(stale()));
    // Two helpers may ask for the same, also next to a change of that row.
    let mut batch = Batch::new();
    batch.require::<Person>(key(1), revision).require::<Person>(key(1), revision);
    batch.update(&person(1, "c@d"), revision).log(happened("e"));
    world.plan(&batch, at(0)).unwrap();
}

#[test]
fn a_put_replaces_whatever_is_there() {
    let mut world = World::default();
    for (round, until) in [Some(at(5)), Some(at(9)), None, Some(at(7))].into_iter().enumerate() {
        world.commit(Batch::new().put(&Code { id: 1, until }), at(0)).unwrap();
        world.check(at(0));
        assert_eq!((world.counts["code"], world.rows.len()), (1, 1));
        assert_eq!(world.head.commit, round as u64 + 1);
    }
}

#[test]
fn a_value_is_held_by_one() {
    let (world, revision) = with(&[&person(1, "a@b"), &person(2, "c@d")]);
    assert_eq!(world.plan(Batch::new().create(&person(3, "a@b")).log(happened("e")), at(0)), Err(taken("email")));
    assert_eq!(
        world.plan(Batch::new().update(&person(2, "a@b"), revision).log(happened("e")), at(0)),
        Err(taken("email"))
    );
    // Keeping one's own is no conflict, and nothing to write.
    let mut same = person(1, "a@b");
    same.org = "p".to_owned();
    let planned = world.plan(Batch::new().update(&same, revision).log(happened("e")), at(0)).unwrap();
    assert!(!planned.writes.iter().any(|w| matches!(w, Write::Unique(..))), "{planned:?}");
}

#[test]
fn a_value_is_claimed_by_one_row_of_a_batch() {
    let mut batch = Batch::new();
    batch.create(&person(1, "a@b")).create(&person(2, "a@b")).log(happened("e"));
    assert_eq!(World::default().plan(&batch, at(0)), Err(taken("email")));
}

#[test]
fn values_are_handed_over_and_swapped_within_a_batch() {
    for receiver_first in [false, true] {
        let (mut world, revision) = with(&[&person(1, "a@b"), &person(2, "c@d")]);
        let mut batch = Batch::new();
        if receiver_first {
            batch.update(&person(2, "a@b"), revision).update(&person(1, "c@d"), revision);
        } else {
            batch.update(&person(1, "c@d"), revision).update(&person(2, "a@b"), revision);
        }
        world.commit(batch.log(happened("swapped")), at(0)).unwrap();
        world.check(at(0));
        let entry = Entry::of("person", &Index::unique("email", "a@b"));
        assert_eq!(world.unique[&entry], key(2));
    }
    let (mut world, revision) = with(&[&person(1, "a@b")]);
    let mut batch = Batch::new();
    batch.create(&person(2, "a@b")).delete::<Person>(key(1), revision).log(happened("replaced"));
    world.commit(&batch, at(0)).unwrap();
    world.check(at(0));
    assert_eq!(world.unique.values().collect::<Vec<_>>(), [&key(2)]);
}

#[test]
fn one_value_that_a_row_asks_for_twice_is_one() {
    let mut batch = Batch::new();
    batch.create(&person(1, "a@b")).log(happened("e"));
    if let Change::Create(_, row) = &mut batch.changes[0] {
        let again = row.indexes.clone();
        row.indexes.extend(again);
    }
    let mut world = World::default();
    world.commit(&batch, at(0)).unwrap();
    assert_eq!((world.unique.len(), world.many.len(), world.ordered.len()), (1, 1, 2));
}

#[test]
fn an_expired_row_does_not_exist() {
    let (mut world, revision) = with(&[&Person { until: Some(at(10)), ..person(1, "a@b") }]);
    let again = Person { until: Some(at(99)), ..person(1, "c@d") };
    let plans = |now| {
        let update = world.plan(Batch::new().update(&again, revision).log(happened("e")), now);
        let delete = world.plan(Batch::new().delete::<Person>(key(1), revision).log(happened("e")), now);
        let require = world.plan(Batch::new().require::<Person>(key(1), revision), now);
        let create = world.plan(Batch::new().create(&again).log(happened("e")), now);
        let other = world.plan(Batch::new().create(&person(2, "a@b")).log(happened("e")), now);
        [update.map(drop), delete.map(drop), require.map(drop), create.map(drop), other.map(drop)]
    };
    assert_eq!(plans(Timestamp::from_millis(9_999)), [Ok(()), Ok(()), Ok(()), Err(taken("key")), Err(taken("email"))]);
    assert_eq!(plans(at(10)), [Err(stale()), Err(stale()), Err(stale()), Ok(()), Ok(())]);

    // Created over, it leaves nothing of its own behind.
    world.commit(Batch::new().create(&again).log(happened("e")), at(10)).unwrap();
    world.check(at(10));
    assert_eq!((world.counts["person"], world.expiry.len(), world.unique.len()), (1, 1, 1));
}

#[test]
fn a_removal_leaves_what_passed_to_another() {
    let (mut world, _) = with(&[&Person { until: Some(at(10)), ..person(1, "a@b") }]);
    world.commit(Batch::new().create(&person(2, "a@b")).log(happened("e")), at(20)).unwrap();
    let place = Place { kind: "person".to_owned(), key: key(1) };
    let row = world.row("person", &key(1)).unwrap().unwrap();
    let writes = removal(&place, &row, &world).unwrap();
    world.write(writes);
    world.counts.insert("person".to_owned(), 1);
    world.check(at(20));
    assert_eq!(world.unique.values().collect::<Vec<_>>(), [&key(2)]);
    assert!(world.expiry.is_empty());

    let row = world.row("person", &key(2)).unwrap().unwrap();
    let writes = removal(&Place { kind: "person".to_owned(), key: key(2) }, &row, &world).unwrap();
    world.write(writes);
    assert!(world.rows.is_empty() && world.unique.is_empty() && world.many.is_empty() && world.ordered.is_empty());
}

#[test]
fn a_row_created_over_an_expired_one_leaves_what_passed_to_another() {
    let (mut world, _) = with(&[&Person { until: Some(at(10)), ..person(1, "a@b") }]);
    world.commit(Batch::new().create(&person(2, "a@b")).log(happened("e")), at(20)).unwrap();
    assert_eq!(world.plan(Batch::new().create(&person(1, "a@b")).log(happened("e")), at(20)), Err(taken("email")));
    world.commit(Batch::new().create(&person(1, "c@d")).log(happened("e")), at(20)).unwrap();
    world.check(at(20));
    assert_eq!(world.unique.len(), 2);
}

#[test]
fn a_kept_record_changes_only_with_an_event() {
    let (world, revision) = with(&[&person(1, "a@b")]);
    let words = "a kept record changes only together with an event";
    let silent = [
        Batch::new().create(&person(2, "c@d")).clone(),
        Batch::new().update(&person(1, "c@d"), revision).clone(),
        Batch::new().delete::<Person>(key(1), revision).clone(),
    ];
    for batch in silent {
        assert_eq!(world.plan(&batch, at(0)), Err(Refused::Rule(words)), "{batch:?}");
        let mut told = batch.clone();
        told.log(happened("e"));
        world.plan(&told, at(0)).unwrap();
    }
    allowed(Batch::new().create(&Code { id: 1, until: None }));
    allowed(Batch::new().log(happened("refused")));
}

#[test]
fn a_kept_record_is_not_put() {
    rule(Batch::new().put(&person(1, "a@b")).log(happened("e")), "not put");
}

#[test]
fn a_batch_changes_a_row_once() {
    let code = Code { id: 1, until: None };
    rule(Batch::new().put(&code).put(&code), "once");
    rule(Batch::new().create(&code).put(&code), "once");
    allowed(Batch::new().put(&code).put(&Code { id: 2, until: None }));
    // The same key of another kind is another row.
    allowed(Batch::new().put(&code).create(&person(1, "a@b")).log(happened("e")));
    let mut world = World::default();
    let revision = world.commit(Batch::new().put(&code), at(0)).unwrap();
    let mut batch = Batch::new();
    batch.update(&code, revision).delete::<Code>(key(1), revision);
    assert!(matches!(world.plan(&batch, at(0)), Err(Refused::Rule(_))));
}

/// A batch of one ephemeral row with these parts.
fn row_of(kind: &'static str, key: usize, bytes: usize, indexes: Vec<Index>) -> Batch {
    let mut batch = Batch::new();
    let row = NewRow { shape: 1, expires_at: None, indexes, kept: false, bytes: vec![0; bytes] };
    batch.changes.push(Change::Put(RowKey { kind, key: Key::from_bytes(vec![1; key]) }, row));
    batch
}

#[test]
fn sizes_have_limits() {
    allowed(&row_of("k", MAX_KEY, MAX_BYTES, vec![]));
    allowed(&row_of("k", 0, 1, vec![]));
    rule(&row_of("k", MAX_KEY + 1, 1, vec![]), "a key has at most");
    rule(&row_of("k", 1, MAX_BYTES + 1, vec![]), "a record has at most 1 MiB");
    rule(&row_of("k", 1, 0, vec![]), "cannot be encoded");

    let value = |length| vec![Index::many("i", vec![1; length])];
    allowed(&row_of("k", 1, 1, value(MAX_KEY)));
    rule(&row_of("k", 1, 1, value(MAX_KEY + 1)), "the value of an index");
    let sorted = |length| vec![Index::ordered("i", vec![0; length])];
    allowed(&row_of("k", 1, 1, sorted(MAX_KEY)));
    rule(&row_of("k", 1, 1, sorted(MAX_KEY + 1)), "the value of an index");
    let many = |n: usize| (0..n).map(|i| Index::many("i", i.to_be_bytes())).collect();
    allowed(&row_of("k", 1, 1, many(MAX_INDEXES)));
    rule(&row_of("k", 1, 1, many(MAX_INDEXES + 1)), "64 index entries");

    // The key of a delete and of a condition too.
    let long = Key::from_bytes(vec![1; MAX_KEY + 1]);
    rule(Batch::new().delete::<Code>(long.clone(), Revision(1)), "a key has at most");
    rule(Batch::new().require::<Code>(long, Revision(1)), "a key has at most");
}

#[test]
fn names_have_limits() {
    const LONGEST: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
    const TOO_LONG: &str = "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
    assert_eq!((LONGEST.len(), TOO_LONG.len()), (MAX_NAME, MAX_NAME + 1));
    allowed(&row_of(LONGEST, 1, 1, vec![Index::many(LONGEST, "v")]));
    allowed(Batch::new().log(happened(LONGEST)));
    for wrong in ["", TOO_LONG] {
        rule(&row_of(wrong, 1, 1, vec![]), "a name has");
        rule(&row_of("k", 1, 1, vec![Index::unique(wrong, "v")]), "a name has");
        rule(Batch::new().log(happened(wrong)), "a name has");
    }
}

#[test]
fn events_have_limits() {
    let entry = |envelope, detail| LogEntry { envelope: vec![0; envelope], detail: vec![0; detail], ..happened("e") };
    allowed(Batch::new().log(entry(MAX_BYTES, MAX_BYTES)));
    allowed(Batch::new().log(entry(0, 0)));
    rule(Batch::new().log(entry(MAX_BYTES + 1, 0)), "an envelope or detail");
    rule(Batch::new().log(entry(0, MAX_BYTES + 1)), "an envelope or detail");
}

#[test]
fn a_batch_has_limits() {
    let changes = |n: usize| {
        let mut batch = Batch::new();
        for i in 0..n {
            batch.changes.extend(row_of("k", 0, 1, vec![]).changes);
            if let Some(Change::Put(place, _)) = batch.changes.last_mut() {
                place.key = Key::from_bytes(i.to_be_bytes());
            }
        }
        batch
    };
    let entries = |n: usize| {
        let mut batch = Batch::new();
        batch.entries = vec![NewEntry { entry: happened("e"), erases: Vec::new() }; n];
        batch
    };
    allowed(&changes(MAX_CHANGES));
    allowed(&entries(MAX_CHANGES));
    rule(&changes(MAX_CHANGES + 1), "10,000");
    rule(&entries(MAX_CHANGES + 1), "10,000");
}

#[test]
fn events_are_numbered_chained_and_never_older() {
    let mut world = World::default();
    let mut batch = Batch::new();
    batch.log(LogEntry { org: Some([3; 16]), ..happened("first") }).log(happened("second"));
    world.commit(&batch, at(100)).unwrap();
    // The clock went back; the log does not.
    world.commit(Batch::new().log(happened("third")), at(50)).unwrap();
    world.commit(Batch::new().log(happened("fourth")), at(101)).unwrap();
    let rows: Vec<&LogRow> = world.log.iter().map(|(row, _)| row).collect();
    assert_eq!(rows.iter().map(|r| r.at).collect::<Vec<_>>(), [at(100), at(100), at(100), at(101)]);
    assert_eq!(rows.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!((rows[0].org, rows[1].org, &*rows[0].kind), (Some([3; 16]), None, "first"));
    assert_eq!(world.head, Head { commit: 3, log: 4, hash: rows[3].hash, at: at(101) });

    // Written out once by hand: SHA-256 of the tag, the hash before it, and the CBOR of the fields before the hash.
    use aws_lc_rs::digest::{SHA256, digest};
    let detail = digest(&SHA256, &[[7; 16].as_slice(), &[2, 3]].concat());
    assert_eq!(detail.as_ref(), rows[0].detail_digest);
    let mut cbor = vec![0x86, 0x01, 0x1a, 0x00, 0x01, 0x86, 0xa0, 0x65];
    cbor.extend(b"first");
    cbor.push(0x50);
    cbor.extend([3; 16]);
    cbor.extend([0x41, 1, 0x58, 0x20]);
    cbor.extend(rows[0].detail_digest);
    let hash = digest(&SHA256, &[b"authd log 1".as_slice(), &[0; 32], &cbor].concat());
    assert_eq!(hash.as_ref(), rows[0].hash);
}

#[test]
fn an_empty_batch_is_no_commit() {
    let (world, _) = with(&[&person(1, "a@b")]);
    assert_eq!(world.plan(&Batch::new(), at(9)).unwrap().head, world.head);
}

/// What cannot be read cannot be judged.
#[test]
fn a_broken_view_refuses() {
    struct Broken;
    impl View for Broken {
        fn row(&self, _: &str, _: &Key) -> Result<Option<Row>, Refused> {
            Err(Refused::Storage { full: false, cause: "broken".to_owned() })
        }
        fn holder(&self, _: &Entry) -> Result<Option<Key>, Refused> {
            Err(Refused::Storage { full: false, cause: "broken".to_owned() })
        }
    }
    let refused =
        plan(Batch::new().put(&Code { id: 1, until: None }), &Broken, &Head::default(), at(0), &mut || [0; 16]);
    assert!(matches!(refused, Err(Refused::Storage { .. })));
}

#[derive(Clone, Debug)]
enum Wish {
    Create { id: u8, email: u8, org: u8, life: Option<u8> },
    Update { id: u8, email: u8, org: u8, life: Option<u8>, fresh: bool },
    Delete { id: u8, fresh: bool },
    Put { id: u8, life: Option<u8> },
}

fn wish() -> impl Strategy<Value = Wish> {
    let life = || proptest::option::of(1..6u8);
    prop_oneof![
        4 => (0..5u8, 0..5u8, 0..2u8, life()).prop_map(|(id, email, org, life)| Wish::Create { id, email, org, life }),
        3 => (0..5u8, 0..5u8, 0..2u8, life(), proptest::bool::weighted(0.9))
            .prop_map(|(id, email, org, life, fresh)| Wish::Update { id, email, org, life, fresh }),
        2 => (0..5u8, proptest::bool::weighted(0.9)).prop_map(|(id, fresh)| Wish::Delete { id, fresh }),
        1 => (0..5u8, life()).prop_map(|(id, life)| Wish::Put { id, life }),
    ]
}

proptest! {
    /// Whatever is asked for, the indexes stay exactly what the rows ask for, a refusal changes nothing, and a batch
    /// is refused exactly when a naive model of live rows says so.
    #[test]
    fn indexes_always_follow_the_rows(steps in proptest::collection::vec((proptest::collection::vec(wish(), 1..4), 0..3u64), 1..40)) {
        let mut world = World::default();
        let mut now = at(0);
        for (wishes, later) in steps {
            now = now + Duration::from_secs(later);
            let mut batch = Batch::new();
            batch.log(happened("step"));
            let revision = |id: u8, fresh| {
                let there = world.row("person", &key(id)).unwrap().map_or(Revision(0), |row| row.revision);
                if fresh { there } else { Revision(there.0 + 1000) }
            };
            let made = |id, email: u8, org: u8, life: Option<u8>| Person {
                id,
                email: email.to_string(),
                org: org.to_string(),
                until: life.map(|life| now + Duration::from_secs(life.into())),
            };
            let live = |id: u8| world.row("person", &key(id)).unwrap().filter(|row| !row.expired(now));
            let mut after: BTreeMap<u8, Option<Person>> = (0..5)
                .map(|id| (id, live(id).map(|row| row.decode().unwrap().value)))
                .collect();
            let (mut good, mut seen) = (true, BTreeSet::new());
            for wish in &wishes {
                match *wish {
                    Wish::Create { id, email, org, life } => {
                        batch.create(&made(id, email, org, life));
                        good &= seen.insert((0, id)) && live(id).is_none();
                        after.insert(id, Some(made(id, email, org, life)));
                    }
                    Wish::Update { id, email, org, life, fresh } => {
                        batch.update(&made(id, email, org, life), revision(id, fresh));
                        good &= seen.insert((0, id)) && live(id).is_some() && fresh;
                        after.insert(id, Some(made(id, email, org, life)));
                    }
                    Wish::Delete { id, fresh } => {
                        batch.delete::<Person>(key(id), revision(id, fresh));
                        good &= seen.insert((0, id)) && live(id).is_some() && fresh;
                        after.insert(id, None);
                    }
                    Wish::Put { id, life } => {
                        batch.put(&Code { id, until: life.map(|life| now + Duration::from_secs(life.into())) });
                        good &= seen.insert((1, id));
                    }
                }
            }
            let emails: Vec<_> = after.values().flatten().map(|person| person.email.clone()).collect();
            good &= emails.iter().collect::<BTreeSet<_>>().len() == emails.len();
            let before = world.clone();
            match world.commit(&batch, now) {
                Ok(_) => {
                    prop_assert!(good, "{:?} was not refused", wishes);
                    for (id, person) in after {
                        let there = world.row("person", &key(id)).unwrap().filter(|row| !row.expired(now));
                        prop_assert_eq!(there.map(|row| row.decode::<Person>().unwrap().value), person);
                    }
                }
                Err(refused) => {
                    prop_assert!(!good, "{:?} was refused: {}", wishes, refused);
                    prop_assert_eq!(&world, &before);
                }
            }
            world.check(now);
        }
    }
}
