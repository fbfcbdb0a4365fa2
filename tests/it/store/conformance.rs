//! What every back end must do. A new one adds a `Bed` and a line at the foot, and changes nothing here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use authd::env::Timestamp;
use authd::error::{Result, codes};
use authd::store::{Batch, Key, Life, LogEntry, Query, Record, Refused, Revision, Seq, Store};

use super::lists::{
    an_ordered_index_sorts_by_value_then_by_key, an_ordered_list_keeps_every_record_on_one_page,
    conditions_bound_the_effort_of_a_page, conditions_narrow_a_list_in_every_order,
    rows_from_before_an_index_are_listed_once_it_is_rebuilt,
};
use super::{Bed, InMemory, OnDisk, Person, Ticket, World, happened, id, number, person};

async fn create(store: &Store, person: &Person) -> Revision {
    let seq = store.commit(Batch::new().create(person).log(happened("made")).clone()).await.unwrap();
    Revision(seq.0)
}

async fn all<T: Record>(store: &Store, mut query: Query) -> Vec<T> {
    let mut found = Vec::new();
    loop {
        let page = store.page::<T>(query.clone()).await.unwrap();
        found.extend(page.items.into_iter().map(|item| item.value));
        let Some(next) = page.next else { return found };
        query = query.after(Some(next));
    }
}

async fn a_record_is_read_as_it_was_written<B: Bed>() {
    let (world, anna) = (World::new(), person("1", "anna@example.com"));
    let store = B::new(&world).store();
    assert!(store.get::<Person>(id("1")).await.unwrap().is_none());
    assert!(store.find::<Person>("email", "anna@example.com").await.unwrap().is_none());
    let revision = create(&store, &anna).await;
    let read = store.get::<Person>(id("1")).await.unwrap().unwrap();
    assert_eq!((&read.value, read.revision), (&anna, revision));
    let found = store.find::<Person>("email", "anna@example.com").await.unwrap().unwrap();
    assert_eq!((found.value, found.revision), (anna.clone(), revision));
    assert_eq!(all::<Person>(&store, Query::by("team", "t")).await, [anna]);
    // The same key and value of another kind, another index or another value are other things.
    assert!(store.get::<Ticket>(id("1")).await.unwrap().is_none());
    assert!(store.find::<Person>("mail", "anna@example.com").await.unwrap().is_none());
    assert!(store.find::<Person>("email", "anna@example.co").await.unwrap().is_none());
    assert!(all::<Person>(&store, Query::by("team", "")).await.is_empty());
    assert_eq!(store.counts().await.unwrap(), BTreeMap::from([("person".to_owned(), 1)]));
    assert_eq!(store.count_by::<Person>("team", "t").await.unwrap(), 1);
    assert_eq!(store.count_by::<Person>("team", "u").await.unwrap(), 0);
}

async fn a_change_needs_the_revision_that_is_there<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    let first = create(&store, &person("1", "a@b")).await;
    let change = |email, revision| Batch::new().update(&person("1", email), revision).log(happened("changed")).clone();
    let second = store.commit(change("c@d", first)).await.unwrap();
    assert_eq!(second, Seq(first.0 + 1));
    let stale = Err(Refused::Stale { kind: "person" });
    assert_eq!(store.commit(change("e@f", first)).await, stale);
    let delete = |revision| Batch::new().delete::<Person>(id("1"), revision).log(happened("gone")).clone();
    assert_eq!(store.commit(delete(first)).await, stale);
    assert_eq!(store.commit(Batch::new().require::<Person>(id("1"), first).clone()).await, stale);
    store.commit(Batch::new().require::<Person>(id("1"), Revision(second.0)).clone()).await.unwrap();
    // What was refused left no event either.
    assert_eq!(store.log_seq(), 2);
    assert!(store.find::<Person>("email", "a@b").await.unwrap().is_none());
    assert!(store.find::<Person>("email", "c@d").await.unwrap().is_some());
    store.commit(delete(Revision(second.0))).await.unwrap();
    assert!(store.get::<Person>(id("1")).await.unwrap().is_none());
    assert!(store.find::<Person>("email", "c@d").await.unwrap().is_none());
    assert!(all::<Person>(&store, Query::by("team", "t")).await.is_empty());
    assert!(store.counts().await.unwrap().is_empty());
    assert_eq!(store.commit(delete(Revision(second.0))).await, stale);
}

async fn a_taken_key_or_value_is_refused<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    create(&store, &person("1", "a@b")).await;
    let taken = |index: &str| Err(Refused::Taken { kind: "person", index: index.to_owned() });
    let again = Batch::new().create(&person("1", "c@d")).log(happened("made")).clone();
    assert_eq!(store.commit(again).await, taken("key"));
    let same = Batch::new().create(&person("2", "a@b")).log(happened("made")).clone();
    assert_eq!(store.commit(same).await, taken("email"));
    let twice = Batch::new().create(&person("3", "x@y")).create(&person("4", "x@y")).log(happened("made")).clone();
    assert_eq!(store.commit(twice).await, taken("email"));
    assert_eq!(store.counts().await.unwrap()["person"], 1);
    assert_eq!(store.log_seq(), 1);
}

async fn a_value_is_handed_over_in_one_batch<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    let (one, two) = (create(&store, &person("1", "a@b")).await, create(&store, &person("2", "c@d")).await);
    let mut swap = Batch::new();
    swap.update(&person("1", "c@d"), one).update(&person("2", "a@b"), two).log(happened("swapped"));
    store.commit(swap).await.unwrap();
    assert_eq!(store.find::<Person>("email", "a@b").await.unwrap().unwrap().id, "2");
    assert_eq!(store.find::<Person>("email", "c@d").await.unwrap().unwrap().id, "1");
}

async fn a_kept_record_never_changes_without_an_event<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    let refused = store.commit(Batch::new().create(&person("1", "a@b")).clone()).await;
    assert!(matches!(refused, Err(Refused::Rule(_))), "{refused:?}");
    let refused = store.commit(Batch::new().put(&person("1", "a@b")).log(happened("e")).clone()).await;
    assert!(matches!(refused, Err(Refused::Rule(_))), "{refused:?}");
    assert!(store.get::<Person>(id("1")).await.unwrap().is_none());
    store.commit(Batch::new().put(&Ticket { id: 1, until: None }).clone()).await.unwrap();
    store.commit(Batch::new().put(&Ticket { id: 1, until: None }).clone()).await.unwrap();
    assert_eq!((store.counts().await.unwrap()["ticket"], store.log_seq()), (1, 0));
}

async fn an_empty_batch_tells_where_the_store_is<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    assert_eq!(store.commit(Batch::new()).await, Ok(Seq(0)));
    let revision = create(&store, &person("1", "a@b")).await;
    assert_eq!(store.commit(Batch::new()).await, Ok(Seq(revision.0)));
    assert_eq!(create(&store, &person("2", "c@d")).await, Revision(revision.0 + 1));
}

async fn pages_are_stable_while_records_come_and_go<B: Bed>() {
    for (newest_first, by_team) in [(false, false), (true, false), (false, true), (true, true)] {
        let world = World::new();
        let store = B::new(&world).store();
        let mut batch = Batch::new();
        for n in 0..60 {
            batch.create(&person(&format!("p{n:03}"), &format!("{n}@example.com")));
        }
        // Neighbours in every order that a list could run into.
        batch.create(&Person { team: "s".to_owned(), ..person("o", "o@example.com") });
        batch.create(&Person { team: "tt".to_owned(), ..person("p999", "p@example.com") });
        store.commit(batch.log(happened("made")).clone()).await.unwrap();

        let mut query = if by_team { Query::by("team", "t") } else { Query::all().prefix("p0") }.limit(7);
        if newest_first {
            query = query.newest_first();
        }
        let (mut seen, mut rounds) = (Vec::new(), 0);
        loop {
            let page = store.page::<Person>(query.clone()).await.unwrap();
            assert!(page.items.len() <= 7);
            seen.extend(page.items.iter().map(|item| item.id.clone()));
            let Some(next) = page.next else { break };
            // One comes before the cursor, one behind it, and what stands at the cursor goes.
            let mut batch = Batch::new();
            batch.create(&person(&format!("p000-{rounds}"), &format!("{rounds}-low@example.com")));
            batch.create(&person(&format!("p059-{rounds}"), &format!("{rounds}-high@example.com")));
            let last = page.items.last().unwrap();
            batch.delete::<Person>(last.key(), last.revision).log(happened("stirred"));
            store.commit(batch).await.unwrap();
            query = query.after(Some(next));
            rounds += 1;
        }
        assert!(rounds >= 8, "{rounds}");
        let mut sorted = seen.clone();
        sorted.sort();
        if newest_first {
            sorted.reverse();
        }
        assert_eq!(seen, sorted);
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), seen.len(), "a record on two pages");
        for n in 0..60 {
            assert!(seen.contains(&format!("p{n:03}")), "p{n:03} is on no page");
        }
        assert!(!seen.iter().any(|id| id == "o" || id == "p999"), "a record of another list");
    }
}

async fn pages_end_where_the_list_ends<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    let mut batch = Batch::new();
    for n in 0..10 {
        batch.create(&Ticket { id: n, until: None });
    }
    store.commit(batch).await.unwrap();
    for limit in [1, 2, 5, 9, 10, 11, 1000] {
        for query in [Query::all(), Query::all().newest_first()] {
            let page = store.page::<Ticket>(query.clone().limit(limit)).await.unwrap();
            assert_eq!(page.items.len(), limit.min(10));
            assert_eq!(page.next.is_some(), limit < 10, "limit {limit}");
            assert_eq!(all::<Ticket>(&store, query.limit(limit)).await.len(), 10);
        }
    }
    let behind = |cursor: &[u8]| Query::all().after(Some(cursor.to_vec()));
    assert_eq!(all::<Ticket>(&store, behind(&[0xff; 9])).await.len(), 0);
    assert_eq!(all::<Ticket>(&store, behind(&[])).await.len(), 10);
    assert_eq!(all::<Ticket>(&store, behind(&[]).newest_first()).await.len(), 0);
    assert_eq!(all::<Ticket>(&store, behind(&[0xff; 9]).newest_first()).await.len(), 10);
    let odd = Query::by("odd", [1]);
    assert_eq!(
        all::<Ticket>(&store, odd.clone().limit(2)).await.iter().map(|t| t.id).collect::<Vec<_>>(),
        [1, 3, 5, 7, 9]
    );
    assert_eq!(all::<Ticket>(&store, odd.prefix([0, 0, 0, 3])).await.len(), 1);
    // A cursor from before the prefix, or from behind it.
    let threes = || Query::all().prefix([0, 0, 0, 3]);
    for (cursor, forward, backward) in [(0u32, 1, 0), (3, 0, 0), (9, 0, 1)] {
        let after = Some(cursor.to_be_bytes().to_vec());
        assert_eq!(all::<Ticket>(&store, threes().after(after.clone())).await.len(), forward, "{cursor}");
        assert_eq!(all::<Ticket>(&store, threes().after(after).newest_first()).await.len(), backward, "{cursor}");
    }
}

async fn what_has_expired_is_gone_at_once_and_swept_later<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    for start in [0u32, 1000, 2000] {
        let mut batch = Batch::new();
        for n in start..start + 1000 {
            let until = if n < 2500 { World::time(10) } else { World::time(20) };
            batch.create(&Ticket { id: n, until: Some(until) });
        }
        store.commit(batch).await.unwrap();
    }
    let session = Person { until: Some(World::time(10)), ..person("1", "a@b") };
    let revision = create(&store, &session).await;
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert_eq!(store.counts().await.unwrap()["ticket"], 3000);

    world.at(10);
    assert!(store.get::<Ticket>(number(0)).await.unwrap().is_none());
    assert!(store.find::<Ticket>("number", 0u32.to_be_bytes()).await.unwrap().is_none());
    assert!(store.get::<Ticket>(number(2500)).await.unwrap().is_some());
    assert_eq!(store.page::<Ticket>(Query::all().limit(3)).await.unwrap().items[0].id, 2500);
    assert_eq!(all::<Ticket>(&store, Query::by("odd", [1]).limit(300)).await.len(), 250);
    assert_eq!(store.count_by::<Ticket>("odd", [1]).await.unwrap(), 250);
    assert_eq!(store.counts().await.unwrap(), BTreeMap::from([("ticket".to_owned(), 500)]));
    let touch = Batch::new().update(&session, revision).log(happened("touched")).clone();
    assert_eq!(store.commit(touch).await, Err(Refused::Stale { kind: "person" }));

    // Its key and its values are free again, before the sweep and after it.
    create(&store, &person("2", "a@b")).await;
    store.commit(Batch::new().create(&Ticket { id: 7, until: None }).clone()).await.unwrap();
    assert_eq!(store.sweep().await.unwrap(), 2500);
    assert_eq!(store.sweep().await.unwrap(), 0);
    assert_eq!(store.find::<Person>("email", "a@b").await.unwrap().unwrap().id, "2");
    assert!(store.find::<Ticket>("number", 7u32.to_be_bytes()).await.unwrap().is_some());
    let left = BTreeMap::from([("person".to_owned(), 1), ("ticket".to_owned(), 501)]);
    assert_eq!(store.counts().await.unwrap(), left);
    // Swept is removed: it does not come back when the clock does.
    world.at(0);
    assert!(store.get::<Ticket>(number(1)).await.unwrap().is_none());
    assert_eq!(store.counts().await.unwrap(), left);
    assert_eq!(all::<Ticket>(&store, Query::all()).await.len(), 501);
}

async fn the_log_is_numbered_ordered_and_chained<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    assert!(store.checkpoint().await.unwrap().is_none(), "nothing to sign");
    let mut times = Vec::new();
    for n in 0..120u8 {
        // The clock jumps about; the log does not.
        world.at([0, 50, 30, 90][n as usize % 4]);
        let org = (n % 3 > 0).then_some([n % 3; 16]);
        let mut batch = Batch::new();
        batch.log(LogEntry { org, envelope: vec![n], ..happened("one") }).log(happened("two"));
        store.commit(batch).await.unwrap();
        times.push(world.clock.0.load(std::sync::atomic::Ordering::SeqCst));
    }
    assert_eq!(store.log_seq(), 240);
    let rows = store.tail(0, 1000, None).await.unwrap();
    assert_eq!(rows.iter().map(|r| r.row.seq).collect::<Vec<_>>(), (1..=240).collect::<Vec<_>>());
    assert!(rows.is_sorted_by_key(|r| r.row.at));
    assert!(rows.iter().all(|r| r.detail.as_deref() == Some(b"who and where")));
    let digests = rows.iter().map(|r| r.row.detail_digest).collect::<BTreeSet<_>>();
    assert_eq!(digests.len(), 240, "equal details have unequal digests");

    let tail = |after, limit, org| {
        let store = store.clone();
        async move { store.tail(after, limit, org).await.unwrap().iter().map(|r| r.row.seq).collect::<Vec<_>>() }
    };
    assert_eq!(tail(238, 1000, None).await, [239, 240]);
    assert_eq!(tail(10, 2, None).await, [11, 12]);
    assert!(tail(240, 10, None).await.is_empty());
    assert!(tail(u64::MAX, 10, None).await.is_empty());
    let of_one = tail(0, 1000, Some([1; 16])).await;
    assert_eq!((of_one.len(), &of_one[..2]), (40, &[3, 9][..]));
    assert_eq!(tail(of_one[9], 1, Some([1; 16])).await, [of_one[10]]);
    assert!(tail(0, 10, Some([9; 16])).await.is_empty());

    let signed = store.checkpoint().await.unwrap().unwrap();
    assert_eq!((signed.seq, signed.hash), (240, rows[239].row.hash));
    assert!(store.checkpoint().await.unwrap().is_none(), "nothing new to sign");
    store.commit(Batch::new().log(happened("after")).clone()).await.unwrap();
    assert_eq!(store.checkpoint().await.unwrap().map(|c| c.seq), Some(241));
    assert_eq!(store.checkpoints().await.unwrap().len(), 2);
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.rows, report.checkpoints, report.erased, report.broken), (241, 2, 0, None));

    let erase = async |rows: Vec<u64>| store.commit(Batch::new().log_erasing(happened("erased"), rows).clone()).await;
    for wrong in [vec![17, 242], vec![0], vec![u64::MAX], (1..=1_001).collect()] {
        assert!(matches!(erase(wrong).await, Err(Refused::Rule(_))), "only what is there, and not without end");
    }
    assert!(store.tail(16, 1, None).await.unwrap()[0].detail.is_some(), "all of a batch, or nothing");
    erase(vec![17, 3, 17]).await.unwrap();
    // Once more is no harm, and the first word for it stands.
    erase(vec![17]).await.unwrap();
    let erased = store.tail(16, 1, None).await.unwrap().remove(0);
    assert_eq!((erased.detail, erased.row.erases), (None, None));
    assert_eq!(store.tail(241, 1, None).await.unwrap()[0].row.erases, Some(vec![3, 17]));
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.rows, report.erased, report.broken), (243, 2, None));
    // Piece by piece the same is found.
    let (mut from, mut found) = (None, 0);
    loop {
        let (report, next) = store.verify_log_piece(from, 1).await.unwrap();
        assert_eq!(report.broken, None);
        found += report.erased;
        from = next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(found, 2);
}

async fn who_waits_for_the_log_is_woken<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.wait(0).await }
    });
    store.commit(Batch::new().create(&Ticket { id: 1, until: None }).clone()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!waiting.is_finished(), "no event, no waking");
    store.commit(Batch::new().log(happened("one")).log(happened("two")).clone()).await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
    assert_eq!(store.wait(1).await.unwrap(), 2);
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.wait(2).await }
    });
    tokio::time::sleep(Duration::from_millis(20)).await;
    store.close().await;
    assert!(waiting.await.unwrap().unwrap_err().is(&codes::SHUTTING_DOWN));
}

async fn of_thirty_two_writers_one_wins<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    let mut revision = create(&store, &person("shared", "shared@example.com")).await;
    for round in 0..10u32 {
        let seen = revision;
        let batches = |kind: u32| {
            (0..32u32).map(move |writer| {
                let mut batch = Batch::new();
                match kind {
                    0 => batch.create(&Ticket { id: round, until: None }),
                    1 => batch.create(&person(&format!("{round}-{writer}"), &format!("{round}@example.com"))),
                    _ => batch.update(&person("shared", &format!("{round}-{writer}@example.com")), seen),
                };
                batch.log(happened("won")).clone()
            })
        };
        for kind in 0..3 {
            let before = store.log_seq();
            let race: Vec<_> = batches(kind)
                .map(|batch| {
                    let store = store.clone();
                    tokio::spawn(async move { store.commit(batch).await })
                })
                .collect();
            let mut wins = Vec::new();
            for writer in race {
                match writer.await.unwrap() {
                    Ok(seq) => wins.push(seq),
                    Err(Refused::Taken { .. } | Refused::Stale { .. }) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            assert_eq!(wins.len(), 1, "round {round}, race {kind}");
            assert_eq!(store.log_seq(), before + 1);
            if kind == 2 {
                revision = Revision(wins[0].0);
            }
        }
    }
}

async fn a_refused_batch_in_a_group_leaves_no_trace<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    create(&store, &person("taken", "taken@example.com")).await;
    let tasks: Vec<_> = (0..300u32)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut batch = Batch::new();
                batch.create(&Ticket { id: n, until: Some(World::time(1000)) });
                batch.create(&person(&format!("p{n}"), &format!("{n}@example.com")));
                if n % 3 == 0 {
                    batch.create(&person(&format!("q{n}"), "taken@example.com"));
                }
                batch.log(LogEntry { envelope: n.to_be_bytes().to_vec(), ..happened("made") });
                (n, store.commit(batch).await)
            })
        })
        .collect();
    let (mut good, mut seqs) = (BTreeSet::new(), BTreeSet::new());
    for task in tasks {
        match task.await.unwrap() {
            (n, Ok(seq)) => {
                assert!(n % 3 != 0 && seqs.insert(seq));
                good.insert(n);
            }
            (n, Err(refused)) => {
                assert!(n % 3 == 0, "{refused}");
                assert_eq!(refused, Refused::Taken { kind: "person", index: "email".to_owned() });
            }
        }
    }
    assert_eq!(good.len(), 200);
    assert_eq!(
        seqs.into_iter().map(|s| s.0).collect::<Vec<_>>(),
        (2..=201).collect::<Vec<_>>(),
        "no number is skipped"
    );
    let tickets = all::<Ticket>(&store, Query::all()).await.iter().map(|t| t.id).collect::<BTreeSet<_>>();
    assert_eq!(tickets, good);
    assert_eq!(all::<Person>(&store, Query::by("team", "t")).await.len(), 201);
    let events = store.tail(1, 1000, None).await.unwrap();
    let events = events.iter().map(|r| u32::from_be_bytes(r.row.envelope.as_slice().try_into().unwrap()));
    assert_eq!(events.collect::<BTreeSet<_>>(), good);
    for n in (0..300u32).step_by(3) {
        assert!(store.find::<Ticket>("number", n.to_be_bytes()).await.unwrap().is_none());
        assert!(store.find::<Person>("email", format!("{n}@example.com")).await.unwrap().is_none());
    }
    assert_eq!(store.counts().await.unwrap(), BTreeMap::from([("person".to_owned(), 201), ("ticket".to_owned(), 200)]));
    assert_eq!(store.verify_log().await.unwrap().broken, None);
}

async fn what_was_written_is_there_after_a_restart<B: Bed>() {
    let world = World::new();
    let bed = B::new(&world);
    let store = bed.store();
    let revision = create(&store, &person("1", "a@b")).await;
    store.commit(Batch::new().put(&Ticket { id: 1, until: Some(World::time(5)) }).clone()).await.unwrap();
    store.checkpoint().await.unwrap().unwrap();
    let hash = store.tail(0, 1, None).await.unwrap()[0].row.hash;
    drop(store);
    let Some(bed) = bed.reopen(&world).await else { return };
    let store = bed.store();
    assert_eq!(store.get::<Person>(id("1")).await.unwrap().unwrap().revision, revision);
    assert_eq!(store.find::<Person>("email", "a@b").await.unwrap().unwrap().id, "1");
    assert_eq!(store.tail(0, 1, None).await.unwrap()[0].row.hash, hash);
    assert_eq!((store.log_seq(), store.wait(0).await.unwrap()), (1, 1));
    assert_eq!(create(&store, &person("2", "c@d")).await, Revision(3));
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.rows, report.checkpoints, report.broken), (2, 1, None));
    world.at(5);
    assert_eq!(store.sweep().await.unwrap(), 1);
    assert_eq!(store.counts().await.unwrap(), BTreeMap::from([("person".to_owned(), 2)]));
}

async fn what_waits_is_written_before_the_store_closes<B: Bed>() {
    let world = World::new();
    let bed = B::new(&world);
    let store = bed.store();
    let tasks: Vec<_> = (0..500u32)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store.commit(Batch::new().create(&Ticket { id: n, until: None }).clone()).await.is_ok()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let reopened = {
        drop(store);
        let store = bed.store();
        let reopened = bed.reopen(&world).await;
        // Other clones find it closed; nothing hangs.
        let late = store.commit(Batch::new().create(&Ticket { id: 999, until: None }).clone()).await;
        assert!(matches!(late, Err(Refused::Storage { full: false, .. })), "{late:?}");
        assert!(store.get::<Ticket>(number(1)).await.unwrap_err().is(&codes::SHUTTING_DOWN));
        assert!(store.sweep().await.unwrap_err().is(&codes::SHUTTING_DOWN));
        store.close().await;
        reopened
    };
    let mut acked = Vec::new();
    for (n, task) in tasks.into_iter().enumerate() {
        if task.await.unwrap() {
            acked.push(n as u32);
        }
    }
    let Some(bed) = reopened else { return };
    for n in acked {
        assert!(bed.store().get::<Ticket>(number(n)).await.unwrap().is_some(), "{n} was acknowledged and is lost");
    }
}

/// The same kind, as a later build knows it.
#[derive(Clone, Debug, PartialEq, minicbor::Encode, minicbor::Decode)]
struct NewTicket {
    #[n(0)]
    id: u64,
}

impl Record for NewTicket {
    const KIND: &'static str = "ticket";
    const SHAPE: u16 = 2;
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        number(self.id as u32)
    }
    fn upgrade(shape: u16, bytes: &[u8]) -> Result<Self> {
        assert_eq!(shape, 1);
        let old: Ticket = minicbor::decode(bytes).unwrap();
        Ok(Self { id: old.id.into() })
    }
}

async fn a_row_of_an_older_shape_is_upgraded_when_read<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    store.commit(Batch::new().put(&Ticket { id: 7, until: None }).clone()).await.unwrap();
    let old = store.get::<NewTicket>(number(7)).await.unwrap().unwrap();
    assert_eq!(old.value, NewTicket { id: 7 });
    store.commit(Batch::new().update(&old.value, old.revision).clone()).await.unwrap();
    assert_eq!(store.get::<NewTicket>(number(7)).await.unwrap().unwrap().value, NewTicket { id: 7 });
    // The new shape asks for no index: the old row's entries are gone with it.
    assert!(store.find::<NewTicket>("number", 7u32.to_be_bytes()).await.unwrap().is_none());
    assert!(store.get::<Ticket>(number(7)).await.is_err(), "the older build refuses it");
}

async fn a_time_far_away_is_a_time_like_any<B: Bed>() {
    let world = World::new();
    let store = B::new(&world).store();
    let mut batch = Batch::new();
    for (n, millis) in [i64::MIN, -1, 0, i64::MAX].into_iter().enumerate() {
        batch.create(&Ticket { id: n as u32, until: Some(Timestamp::from_millis(millis)) });
    }
    store.commit(batch).await.unwrap();
    assert_eq!(all::<Ticket>(&store, Query::all()).await.iter().map(|t| t.id).collect::<Vec<_>>(), [3]);
    assert_eq!(store.sweep().await.unwrap(), 3);
    assert_eq!(store.counts().await.unwrap()["ticket"], 1);
}

macro_rules! suite {
    ($bed:ident as $module:ident) => {
        suite!($bed as $module:
            a_record_is_read_as_it_was_written,
            a_change_needs_the_revision_that_is_there,
            a_taken_key_or_value_is_refused,
            a_value_is_handed_over_in_one_batch,
            a_kept_record_never_changes_without_an_event,
            an_empty_batch_tells_where_the_store_is,
            pages_are_stable_while_records_come_and_go,
            pages_end_where_the_list_ends,
            an_ordered_index_sorts_by_value_then_by_key,
            an_ordered_list_keeps_every_record_on_one_page,
            conditions_narrow_a_list_in_every_order,
            conditions_bound_the_effort_of_a_page,
            rows_from_before_an_index_are_listed_once_it_is_rebuilt,
            what_has_expired_is_gone_at_once_and_swept_later,
            the_log_is_numbered_ordered_and_chained,
            who_waits_for_the_log_is_woken,
            of_thirty_two_writers_one_wins,
            a_refused_batch_in_a_group_leaves_no_trace,
            what_was_written_is_there_after_a_restart,
            what_waits_is_written_before_the_store_closes,
            a_row_of_an_older_shape_is_upgraded_when_read,
            a_time_far_away_is_a_time_like_any
        );
    };
    ($bed:ident as $module:ident: $($name:ident),*) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name::<super::$bed>().await;
                }
            )*
        }
    };
}

suite!(OnDisk as on_disk);
suite!(InMemory as in_memory);
