//! Sorted, searched and filtered lists: part of the suite that every back end must pass.

use std::collections::BTreeSet;

use authd::store::{Batch, Index, Key, Life, Query, Record, Store};

use super::{Bed, World};

/// A thing with values of any bytes in ordered indexes, and some in `many` ones.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
struct Thing {
    #[n(0)]
    id: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    name: Vec<u8>,
    #[n(2)]
    words: Vec<String>,
    #[n(3)]
    until: Option<authd::env::Timestamp>,
}

impl Record for Thing {
    const KIND: &'static str = "thing";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.to_be_bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        let words = self.words.iter().map(|word| Index::ordered("word", word));
        let marks = [2u32, 3, 500].into_iter().filter(|n| self.id.is_multiple_of(*n));
        let marks = marks.map(|n| Index::many("multiple", n.to_be_bytes()));
        words.chain(marks).chain([Index::ordered("name", &self.name)]).collect()
    }
    fn expires_at(&self) -> Option<authd::env::Timestamp> {
        self.until
    }
}

fn thing(id: u32, name: &[u8], words: &[&str]) -> Thing {
    Thing { id, name: name.to_vec(), words: words.iter().map(|w| (*w).to_owned()).collect(), until: None }
}

async fn put(store: &Store, things: &[Thing]) {
    for some in things.chunks(5_000) {
        let mut batch = Batch::new();
        for thing in some {
            batch.put(thing);
        }
        store.commit(batch).await.unwrap();
    }
}

/// Every page of a list; no page is longer than its limit.
async fn ids(store: &Store, query: Query, limit: usize) -> Vec<u32> {
    let (mut found, mut query) = (Vec::new(), query.limit(limit));
    loop {
        let page = store.page::<Thing>(query.clone()).await.unwrap();
        assert!(page.items.len() <= limit);
        found.extend(page.items.into_iter().map(|item| item.value.id));
        let Some(next) = page.next else { return found };
        query = query.after(Some(next));
    }
}

/// Values that a careless encoding would mix up.
const NAMES: [&[u8]; 12] =
    [b"", &[0], &[0, 0], &[0, 1], &[0, 1, 5], &[0, 0xff], &[1], b"a", b"a\0", b"a\0\x01", b"ab", &[0xff, 0xff]];

pub async fn an_ordered_index_sorts_by_value_then_by_key<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    // Three of each name, in an order that is none.
    let mut things: Vec<Thing> =
        (0..36u32).map(|n| thing(n * 7919 % 1000, NAMES[n as usize * 5 % 12], &["w"])).collect();
    put(&store, &things).await;
    things.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    let sorted: Vec<u32> = things.iter().map(|thing| thing.id).collect();
    for limit in [1, 2, 7, 35, 36, 37] {
        assert_eq!(ids(&store, Query::starting("name", ""), limit).await, sorted);
        let mut down = ids(&store, Query::starting("name", "").newest_first(), limit).await;
        down.reverse();
        assert_eq!(down, sorted);
    }
    for one in NAMES {
        let of = |fits: &dyn Fn(&Thing) -> bool| things.iter().filter(|t| fits(t)).map(|t| t.id).collect::<Vec<_>>();
        assert_eq!(ids(&store, Query::starting("name", one), 2).await, of(&|t| t.name.starts_with(one)), "{one:?}");
        for other in NAMES {
            let between = of(&|t| one <= t.name.as_slice() && t.name.as_slice() < other);
            assert_eq!(ids(&store, Query::between("name", one, other), 2).await, between, "{one:?} {other:?}");
        }
        // Whatever a cursor says, it never leads out of the list.
        for cursor in NAMES {
            for query in [Query::starting("name", one), Query::starting("name", one).newest_first()] {
                let page = store.page::<Thing>(query.after(Some(cursor.to_vec()))).await.unwrap();
                assert!(page.items.iter().all(|item| item.name.starts_with(one)), "{one:?} {cursor:?}");
            }
        }
    }
    // Another index, another kind of index, an unknown one.
    assert!(ids(&store, Query::starting("nam", ""), 10).await.is_empty());
    assert!(ids(&store, Query::by("name", "a"), 10).await.is_empty());
    assert_eq!(ids(&store, Query::starting("word", "w"), 10).await.len(), 36);
}

pub async fn an_ordered_list_keeps_every_record_on_one_page<B: Bed>() {
    for down in [false, true] {
        let world = World::new();
        let store = B::new(&world).store();
        // Each stands three times under the prefix, far apart.
        let things: Vec<Thing> = (0..60u32)
            .map(|n| thing(n, b"", &[&format!("a{n:02}"), &format!("a{:02}", 99 - n), &format!("am{n}"), "z"]))
            .collect();
        put(&store, &things).await;
        let query = Query::starting("word", "a").limit(7);
        let mut query = if down { query.newest_first() } else { query };
        let (mut seen, mut rounds) = (Vec::new(), 0u32);
        loop {
            let page = store.page::<Thing>(query.clone()).await.unwrap();
            seen.extend(page.items.iter().map(|item| item.id));
            let Some(next) = page.next else { break };
            // Some come on either side of the cursor; what stands at it goes.
            let last = page.items.last().unwrap();
            let mut batch = Batch::new();
            batch.put(&thing(1000 + rounds, b"", &["a00", "azz"]));
            batch.delete::<Thing>(last.key(), last.revision);
            store.commit(batch).await.unwrap();
            query = query.after(Some(next));
            rounds += 1;
        }
        assert!(rounds >= 8, "{rounds}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "a record on two pages");
        assert!((0..60).all(|n| seen.contains(&n)), "a record on no page");
    }
    // What has expired is on none, and leaves nothing when it is swept or goes.
    let world = World::new();
    let store = B::new(&world).store();
    let mut things: Vec<Thing> = (0..20).map(|n| thing(n, b"n", &["a", "ab"])).collect();
    for thing in &mut things[..15] {
        thing.until = Some(World::time(10));
    }
    put(&store, &things).await;
    world.at(10);
    assert_eq!(ids(&store, Query::starting("word", "a"), 2).await, [15, 16, 17, 18, 19]);
    assert_eq!(store.sweep().await.unwrap(), 15);
    world.at(0);
    assert_eq!(ids(&store, Query::starting("word", "a"), 2).await, [15, 16, 17, 18, 19]);
    let left = store.page::<Thing>(Query::all()).await.unwrap().items;
    let mut batch = Batch::new();
    batch.put(&thing(15, b"n", &["b"])).delete::<Thing>(left[1].key(), left[1].revision);
    store.commit(batch).await.unwrap();
    assert_eq!(ids(&store, Query::starting("word", "a"), 2).await, [17, 18, 19]);
    assert_eq!(ids(&store, Query::starting("word", ""), 2).await, [17, 18, 19, 15]);
}

pub async fn conditions_narrow_a_list_in_every_order<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    // More than what counts as rare, so that both ways of answering are walked.
    let things: Vec<Thing> = (0..4_000u32)
        .map(|n| {
            let name = (n * 7919 % 4_000).to_be_bytes();
            let rare = if n % 400 == 0 { "rare" } else { "common" };
            thing(n, &name, &[rare, if n % 5 == 0 { "fifth" } else { "other" }, if n < 3_000 { "cold" } else { "hot" }])
        })
        .collect();
    put(&store, &things).await;
    type Narrowed = (fn(Query) -> Query, fn(u32) -> bool);
    let conditions: [Narrowed; 8] = [
        (|q| q.with("multiple", 2u32.to_be_bytes()), |n| n % 2 == 0),
        (|q| q.with("multiple", 2u32.to_be_bytes()).with("multiple", 3u32.to_be_bytes()), |n| n % 6 == 0),
        (|q| q.with("multiple", 500u32.to_be_bytes()), |n| n % 500 == 0),
        (|q| q.with("multiple", 3u32.to_be_bytes()).with_starting("word", "ra"), |n| n % 1200 == 0),
        (|q| q.with_starting("word", "c"), |n| n < 3_000 || n % 400 != 0),
        (|q| q.with_starting("word", "com").with_starting("word", "ho"), |n| n >= 3_000 && n % 400 != 0),
        (|q| q.with_starting("word", "cold").with_starting("word", "o"), |n| n < 3_000 && n % 5 != 0),
        (|q| q.with("multiple", 7u32.to_be_bytes()), |_| false),
    ];
    for (place, (narrow, fits)) in conditions.into_iter().enumerate() {
        for limit in [190, 1000] {
            let by_key: Vec<u32> = (0..4_000).filter(|n| fits(*n)).collect();
            assert_eq!(ids(&store, narrow(Query::all()), limit).await, by_key, "{place}");
            let mut by_name: Vec<&Thing> = things.iter().filter(|t| fits(t.id)).collect();
            by_name.sort_by(|one, other| other.name.cmp(&one.name));
            let by_name: Vec<u32> = by_name.iter().map(|t| t.id).collect();
            let query = narrow(Query::starting("name", "").newest_first());
            assert_eq!(ids(&store, query, limit).await, by_name, "{place}");
            let even: Vec<u32> = by_key.iter().copied().filter(|n| n % 2 == 0).collect();
            assert_eq!(ids(&store, narrow(Query::by("multiple", 2u32.to_be_bytes())), limit).await, even, "{place}");
            let prefixed = narrow(Query::all().prefix([0, 0, 1]));
            let second: Vec<u32> = by_key.iter().copied().filter(|n| n / 256 == 1).collect();
            assert_eq!(ids(&store, prefixed, limit).await, second, "{place}");
        }
    }
    // A cursor goes on when what was rare no longer is.
    let sorted = || Query::starting("name", "").with_starting("word", "rare");
    let before = ids(&store, sorted(), 1000).await;
    assert_eq!(before.len(), 10);
    let page = store.page::<Thing>(sorted().limit(4)).await.unwrap();
    let more: Vec<Thing> = (4_000..7_500).map(|n| thing(n, &[0xff], &["rarer"])).collect();
    put(&store, &more).await;
    let rest = ids(&store, sorted().after(page.next), 1000).await;
    assert_eq!((&rest[..6], rest[6], rest.len()), (&before[4..], 4_000, 6 + 3_500));
}

pub async fn conditions_bound_the_effort_of_a_page<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    // Two common words that hardly ever meet.
    let things: Vec<Thing> = (0..24_000u32)
        .map(|n| {
            thing(
                n,
                b"",
                &[if n % 2 == 0 || n == 23_999 { "even" } else { "odd" }, if n % 2 == 1 { "one" } else { "two" }],
            )
        })
        .collect();
    put(&store, &things).await;
    let both = Query::all().with_starting("word", "even").with_starting("word", "one").limit(10);
    let before = store.rows_listed();
    let page = store.page::<Thing>(both.clone()).await.unwrap();
    assert!(page.items.is_empty() && page.next.is_some(), "there is more, and it would have cost too much");
    assert!(store.rows_listed() - before <= 6_000, "{}", store.rows_listed() - before);
    assert_eq!(ids(&store, both, 10).await, [23_999]);
    // Something rare beside something common costs what is rare.
    let before = store.rows_listed();
    let rare = Query::starting("word", "").with("multiple", 500u32.to_be_bytes()).with_starting("word", "even");
    assert_eq!(store.page::<Thing>(rare.limit(1000)).await.unwrap().items.len(), 48);
    assert_eq!(store.rows_listed() - before, 48);
}

/// The same kind before it had indexes.
#[derive(Clone, minicbor::Encode, minicbor::Decode)]
struct Bare {
    #[n(0)]
    id: u32,
    #[cbor(n(1), with = "minicbor::bytes")]
    name: Vec<u8>,
    #[n(2)]
    words: Vec<String>,
}

impl Record for Bare {
    const KIND: &'static str = "thing";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.id.to_be_bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::many("gone", b"")]
    }
}

pub async fn rows_from_before_an_index_are_listed_once_it_is_rebuilt<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    let mut batch = Batch::new();
    for id in 0..2_500u32 {
        batch.put(&Bare { id, name: id.to_be_bytes().to_vec(), words: vec!["w".to_owned()] });
    }
    store.commit(batch).await.unwrap();
    assert!(ids(&store, Query::starting("word", "w"), 1000).await.is_empty());
    let (commit, revision) = (
        store.commit(Batch::new()).await.unwrap(),
        store.get::<Thing>(Key::from_bytes(7u32.to_be_bytes())).await.unwrap().unwrap().revision,
    );
    assert_eq!(store.reindex::<Thing>().await.unwrap(), 3);
    assert_eq!(ids(&store, Query::starting("word", "w"), 1000).await.len(), 2_500);
    assert_eq!(ids(&store, Query::by("multiple", 500u32.to_be_bytes()), 2).await, [0, 500, 1000, 1500, 2000]);
    assert!(ids(&store, Query::by("gone", b""), 10).await.is_empty());
    // Nobody's revision is stale for it, and a second time there is nothing to do.
    let after = store.get::<Thing>(Key::from_bytes(7u32.to_be_bytes())).await.unwrap().unwrap().revision;
    assert_eq!((store.commit(Batch::new()).await.unwrap(), after), (commit, revision));
    assert_eq!(store.reindex::<Thing>().await.unwrap(), 3);
    // What is taken back later is taken back wholly.
    let mut batch = Batch::new();
    for item in store.page::<Thing>(Query::all().limit(1000)).await.unwrap().items {
        batch.delete::<Thing>(item.key(), item.revision);
    }
    store.commit(batch).await.unwrap();
    assert_eq!(ids(&store, Query::starting("word", ""), 1000).await.len(), 1_500);
}
