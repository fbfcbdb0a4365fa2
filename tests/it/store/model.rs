//! The store against a map: whatever is asked for, in whatever order, both hold the same.

use std::collections::BTreeMap;

use authd::store::{Batch, Query, Refused, Revision, Store};
use proptest::prelude::*;

use super::{Bed, InMemory, Person, World, happened, id};

#[derive(Clone, Debug)]
enum Step {
    Create { id: u8, email: u8, team: u8, life: Option<u8> },
    Update { id: u8, email: u8, team: u8, life: Option<u8> },
    Delete { id: u8 },
    Pass { seconds: u8 },
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let life = || proptest::option::of(1..20u8);
    prop_oneof![
        5 => (0..8u8, 0..8u8, 0..3u8, life()).prop_map(|(id, email, team, life)| Step::Create { id, email, team, life }),
        4 => (0..8u8, 0..8u8, 0..3u8, life()).prop_map(|(id, email, team, life)| Step::Update { id, email, team, life }),
        2 => (0..8u8).prop_map(|id| Step::Delete { id }),
        2 => (0..8u8).prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Sweep),
    ]
}

/// The live persons, with their revisions.
type Model = BTreeMap<String, (Person, Revision)>;

async fn compare(store: &Store, model: &Model, events: u64) {
    let page = store.page::<Person>(Query::all()).await.unwrap();
    let persons: Vec<_> = page.items.into_iter().map(|p| (p.value, p.revision)).collect();
    assert_eq!(persons, model.values().cloned().collect::<Vec<_>>());
    for email in 0..8u8 {
        let found = store.find::<Person>("email", email.to_string()).await.unwrap().map(|p| p.value.id);
        assert_eq!(found, model.values().find(|(p, _)| p.email == email.to_string()).map(|(p, _)| p.id.clone()));
    }
    for team in 0..3u8 {
        let listed = store.page::<Person>(Query::by("team", team.to_string()).newest_first()).await.unwrap();
        let expected = model.values().rev().filter(|(p, _)| p.team == team.to_string()).map(|(p, _)| p.id.clone());
        assert_eq!(listed.items.iter().map(|p| p.id.clone()).collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }
    for prefix in ["", "1", "7", "x"] {
        // By id and by address, listed once: by the smaller going up, by the greater going down.
        let words = |p: &Person| [p.email.clone(), p.id.clone()].into_iter().filter(|w| w.starts_with(prefix));
        let mut up: Vec<_> = model.values().filter_map(|(p, _)| Some((words(p).min()?, p.id.clone()))).collect();
        let mut down: Vec<_> = model.values().filter_map(|(p, _)| Some((words(p).max()?, p.id.clone()))).collect();
        up.sort();
        down.sort_by(|one, other| other.cmp(one));
        let query = Query::starting("word", prefix).limit(2);
        assert_eq!(ids(store, query.clone()).await, up.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        assert_eq!(ids(store, query.newest_first()).await, down.into_iter().map(|(_, id)| id).collect::<Vec<_>>());
        for team in ["0", "1"] {
            let wanted = |p: &Person| p.team == team && words(p).next().is_some();
            let mut both: Vec<_> = model.values().filter(|(p, _)| wanted(p)).collect();
            let by_key = Query::by("team", team).with_starting("word", prefix).limit(2);
            assert_eq!(ids(store, by_key).await, both.iter().map(|(p, _)| p.id.clone()).collect::<Vec<_>>());
            both.sort_by(|(one, _), (other, _)| one.email.cmp(&other.email));
            let by_email = Query::starting("sorted", "").with("team", team).with_starting("word", prefix).limit(2);
            assert_eq!(ids(store, by_email).await, both.iter().map(|(p, _)| p.id.clone()).collect::<Vec<_>>());
        }
    }
    let between = model.values().filter(|(p, _)| ("2".."5").contains(&p.email.as_str())).count();
    assert_eq!(ids(store, Query::between("sorted", "2", "5")).await.len(), between);
    assert_eq!(store.counts().await.unwrap().get("person").copied().unwrap_or(0), model.len() as u64);
    assert_eq!(store.log_seq(), events);
}

async fn ids(store: &Store, mut query: Query) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let page = store.page::<Person>(query.clone()).await.unwrap();
        found.extend(page.items.into_iter().map(|item| item.value.id));
        let Some(next) = page.next else { return found };
        query = query.after(Some(next));
    }
}

async fn run(steps: Vec<Step>) {
    let world = World::new();
    let store = InMemory::new(&world).store();
    let (mut model, mut now, mut events) = (Model::new(), 0, 0);
    for step in steps {
        model.retain(|_, (p, _)| p.until.is_none_or(|until| until > World::time(now)));
        let person = |n: u8, email: u8, team: u8, life: Option<u8>| Person {
            id: n.to_string(),
            email: email.to_string(),
            team: team.to_string(),
            until: life.map(|life| World::time(now + i64::from(life))),
        };
        let holder = |email: u8| model.values().find(|(p, _)| p.email == email.to_string()).map(|(p, _)| p.id.clone());
        let revision = |n: u8| model.get(&n.to_string()).map(|(_, revision)| *revision);
        let taken = |index: &str| Err(Refused::Taken { kind: "person", index: index.to_owned() });
        let mut batch = Batch::new();
        batch.log(happened("step"));
        let (wish, expected) = match step {
            Step::Pass { seconds } => {
                now += i64::from(seconds);
                world.at(now);
                continue;
            }
            Step::Sweep => {
                store.sweep().await.unwrap();
                compare(&store, &model, events).await;
                continue;
            }
            Step::Create { id: n, email, team, life } => {
                let made = person(n, email, team, life);
                batch.create(&made);
                let expected = match (revision(n), holder(email)) {
                    (Some(_), _) => taken("key"),
                    (None, Some(_)) => taken("email"),
                    (None, None) => Ok(()),
                };
                (Some(made), expected)
            }
            Step::Update { id: n, email, team, life } => {
                let made = person(n, email, team, life);
                batch.update(&made, revision(n).unwrap_or(Revision(1)));
                let expected = match (revision(n), holder(email)) {
                    (None, _) => Err(Refused::Stale { kind: "person" }),
                    (_, Some(other)) if other != n.to_string() => taken("email"),
                    _ => Ok(()),
                };
                (Some(made), expected)
            }
            Step::Delete { id: n } => {
                batch.delete::<Person>(id(&n.to_string()), revision(n).unwrap_or(Revision(1)));
                let expected = revision(n).map(drop).ok_or(Refused::Stale { kind: "person" });
                if expected.is_ok() {
                    model.remove(&n.to_string());
                }
                (None, expected)
            }
        };
        let outcome = store.commit(batch).await;
        assert_eq!(outcome.clone().map(drop), expected);
        if let Ok(seq) = outcome {
            events += 1;
            if let Some(made) = wish {
                model.insert(made.id.clone(), (made, Revision(seq.0)));
            }
        }
        compare(&store, &model, events).await;
    }
    let report = store.verify_log().await.unwrap();
    assert_eq!((report.rows, report.broken), (events, None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_store_does_what_a_map_does(steps in proptest::collection::vec(step(), 1..30)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(steps));
    }
}
