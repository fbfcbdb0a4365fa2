//! A person is erased: the log forgets who it was, keeps that it was, and still verifies.

use std::time::Duration;

use authd::access::{Caller, Context};
use authd::care::erasure;
use authd::event::{Event, EventKind, Origin};
use authd::id::{OrganizationId, UserId};
use authd::session::{Epochs, NewSession, Session};
use authd::store::{Batch, Key, Options, Store};
use serde_json::{Value, json};

use crate::webhook::Scene;
use crate::world::authd::Authd;

const ADA: &str = "ada.lovelace@acme.test";

fn context(authd: &Authd) -> Context {
    let origin = Origin {
        ip: Some("198.51.100.7".parse().unwrap()),
        user_agent: Some("Ada's own browser".to_owned()),
        ..Origin::internal(authd.env())
    };
    authd.app.context(Caller::Anonymous, origin)
}

async fn note(authd: &Authd, organization: &str, kind: EventKind, data: Value) {
    let mut event = context(authd).event(kind).within(organization.parse().unwrap());
    for (name, value) in data.as_object().unwrap() {
        event = event.with(name, value.clone());
    }
    let mut batch = Batch::new();
    batch.log(event);
    authd.app.world.store.commit(batch).await.unwrap();
}

async fn session(authd: &Authd, organization: OrganizationId, user: UserId) -> Session {
    let cx = context(authd);
    let mut batch = Batch::new();
    let new = NewSession {
        organization,
        user,
        connection: None,
        under: Epochs::default(),
        auth_time: cx.env.now(),
        acr: None,
        amr: Vec::new(),
        upstream_session: None,
        upstream_subject: Some("ada-at-okta".to_owned()),
        email: Some(ADA.to_owned()),
        until: None,
        break_glass: None,
        handed: false,
    };
    let opened = Session::open(&cx, new, &mut batch).await.unwrap();
    cx.store.commit(batch).await.unwrap();
    opened.session
}

/// The details of the log, as they lie there.
async fn details(authd: &Authd) -> String {
    let mut text = String::new();
    let mut after = 0;
    loop {
        let rows = authd.app.world.store.tail(after, 500, None).await.unwrap();
        let Some(last) = rows.last() else { return text };
        after = last.row.seq;
        for row in rows {
            text.push_str(&String::from_utf8(row.detail.unwrap_or_default()).unwrap());
            text.push_str(&String::from_utf8(row.row.envelope).unwrap());
            text.push('\n');
        }
    }
}

async fn finish(authd: &Authd) -> usize {
    let mut turns = 0;
    while erasure::turn(&authd.app.world).await.unwrap() {
        turns += 1;
        assert!(turns < 100);
    }
    turns
}

#[tokio::test]
async fn erasing_a_person_takes_what_the_log_tells_of_them_and_it_still_verifies() {
    let scene = Scene::new().await;
    let authd = &scene.authd;
    let (endpoint, _) = scene.endpoint("app.test", json!({"subscriptions": ["user.*"]})).await;
    let made = json!({"organization": scene.acme, "email": ADA, "name": "Ada Lovelace"});
    let ada = authd.operate("user.create", made).await["id"].as_str().unwrap().to_owned();
    let bea = scene.somebody("bea").await;
    authd.operate("user.update", json!({"id": ada, "name": "Augusta Ada King"})).await;
    let opened = session(authd, scene.acme.parse().unwrap(), ada.parse().unwrap()).await;
    // Told before anybody knew who it was, and in another spelling.
    note(authd, &scene.acme, EventKind::SigninRefused, json!({"email": "Ada.Lovelace@ACME.test"})).await;
    note(authd, &scene.acme, EventKind::SigninRefused, json!({"said": ["no mapping for <ada.lovelace@acme.test>."]}))
        .await;
    note(authd, &scene.acme, EventKind::SigninRefused, json!({"email": "not-ada.lovelace@acme.test"})).await;
    let other = authd.operate("organization.create", json!({"name": "Other"})).await;
    let other = other["id"].as_str().unwrap().to_owned();
    note(authd, &other, EventKind::SigninRefused, json!({"email": ADA})).await;
    authd.app.world.store.checkpoint().await.unwrap();
    while scene.turn().await > 0 {
        authd.env().advance(Duration::from_millis(200));
    }
    let before = authd.operate("audit.verify", json!({})).await;
    assert_eq!((&before["ok"], &before["erased"]), (&json!(true), &json!(0)));
    let answer = async || {
        let sent = authd.operate("delivery.list", json!({"endpoint": endpoint, "limit": 1000})).await;
        let items = sent["items"].as_array().unwrap().clone();
        items.into_iter().filter(|sent| sent["answer"] == "noted").count()
    };
    assert!(answer().await >= 3);

    let told = authd.operate("user.erase", json!({"id": ada})).await;
    assert_eq!(told["organization"], scene.acme.as_str());
    // Access ends with the commit; the rest follows.
    let key = Key::from_bytes(opened.id.bytes());
    let kept = authd.app.world.store.get::<Session>(key.clone()).await.unwrap().unwrap();
    assert!(!kept.epochs.hold(&authd.app.world.store).await.unwrap(), "the session has ended");
    assert!(finish(authd).await > 0);

    let log = details(authd).await;
    for personal in ["Augusta", "Ada Lovelace", "Ada's own browser"] {
        assert_eq!(log.matches(personal).count(), if personal.starts_with("Ada's") { 2 } else { 0 }, "{personal}");
    }
    let folded = log.to_lowercase();
    assert_eq!(folded.matches(ADA).count(), 2, "what another is called, and another organization's row, stay");
    assert!(log.contains("not-ada.lovelace@acme.test") && log.contains("bea@acme.test") && log.contains(&bea));
    let after = authd.operate("audit.verify", json!({})).await;
    assert_eq!((&after["ok"], &after["checkpoints"]), (&json!(true), &before["checkpoints"]), "{after}");
    let erased = after["erased"].as_u64().unwrap();
    assert!(erased >= 5, "{after}");
    let kept = authd.app.world.store.get::<Session>(key).await.unwrap().unwrap();
    assert_eq!((&kept.email, &kept.ip, &kept.user_agent, &kept.upstream_subject), (&None, &None, &None, &None));
    // That it was, and when, and by whom, is still there.
    let listed = authd.operate("audit.list", json!({"user": ada, "limit": 1000})).await;
    let kinds: Vec<&str> =
        listed["items"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.first(), Some(&"user.erasure_completed"));
    for kind in ["user.created", "user.updated", "user.deleted", "user.erased"] {
        assert!(kinds.contains(&kind), "{kinds:?}");
    }
    let completed = &listed["items"][0];
    assert_eq!(completed["data"]["rows"], erased);
    for format in ["jsonl", "csv"] {
        let page = authd.operate("audit.export", json!({"format": format, "limit": 1000})).await;
        let text = page["text"].as_str().unwrap();
        let shown = text.lines().filter(|line| line.contains("\"erased\":true") || line.ends_with(",true")).count();
        assert_eq!(shown as u64, erased, "{format}");
    }
    // Receivers may have repeated what they were sent.
    assert_eq!(answer().await, 1, "bea's");
    // Sent once more, an event tells nothing of the person any more.
    scene.forget();
    authd.operate("webhook.replay", json!({"id": endpoint, "since": "2000-01-01T00:00:00Z"})).await;
    while scene.turn().await > 0 {
        authd.env().advance(Duration::from_millis(200));
    }
    let heard = scene.heard("app.test");
    let created = heard.iter().find(|heard| heard.kind() == "user.created" && heard.json()["data"]["subjectId"] == ada);
    assert_eq!(created.unwrap().json()["data"]["erased"], true);
    assert!(heard.iter().all(|heard| !String::from_utf8_lossy(&heard.body).contains("ada.lovelace")));
}

#[tokio::test]
async fn an_erasure_goes_on_after_a_restart_and_can_be_asked_for_of_somebody_who_has_left() {
    let authd = Authd::start().await;
    let acme = authd.operate("organization.create", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    let ada = authd.operate("user.create", json!({"organization": acme, "email": ADA})).await;
    let ada = ada["id"].as_str().unwrap();
    for place in 0..1_200 {
        let about = json!({"email": if place % 3 == 0 { ADA } else { "x@acme.test" }});
        note(&authd, &acme, EventKind::SigninRefused, about).await;
    }
    authd.operate("user.delete", json!({"id": ada})).await;
    // Who has left is found by naming the organization; the address is known to whoever asks.
    let cx = authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(authd.env()));
    assert_eq!(authd.app.perform(&cx, "user.erase", json!({"id": ada})).await.unwrap_err().code(), "not_found");
    let wrong = json!({"id": ada, "organization": acme, "addresses": ["a"]});
    assert_eq!(authd.app.perform(&cx, "user.erase", wrong).await.unwrap_err().code(), "invalid_input");
    authd.operate("user.erase", json!({"id": ada, "organization": acme, "addresses": [ADA]})).await;
    assert!(erasure::turn(&authd.app.world).await.unwrap(), "a piece, and no more");
    assert!(details(&authd).await.contains(ADA), "the rest is still there");
    let authd = authd.restarted().await;
    finish(&authd).await;
    let log = details(&authd).await;
    assert!(!log.contains(ADA));
    assert_eq!(log.matches("x@acme.test").count(), 800);
    let verified = authd.operate("audit.verify", json!({})).await;
    assert_eq!(verified["ok"], true);
    assert!(verified["erased"].as_u64().unwrap() >= 402, "{verified}");
    // Another organization knows nobody of that id, and hears nothing.
    let other = authd.operate("organization.create", json!({"name": "Other"})).await;
    let cx = authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(authd.env()));
    let elsewhere = json!({"id": ada, "organization": other["id"]});
    assert_eq!(authd.app.perform(&cx, "user.erase", elsewhere).await.unwrap_err().code(), "not_found");
    // Asked for again, there is nothing more to do.
    authd.operate("user.erase", json!({"id": ada, "organization": acme})).await;
    finish(&authd).await;
    assert_eq!(authd.operate("audit.verify", json!({})).await["erased"], verified["erased"]);
}

/// A part of erasing goes on; the same person is asked for again, with another address; and somebody else is, too.
#[tokio::test]
async fn what_is_asked_for_while_an_erasure_goes_on_joins_it() {
    const OTHER: &str = "ada@old.test";
    let authd = Authd::start().await;
    let acme = authd.operate("organization.create", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    let person = async |email: &str| {
        let made = authd.operate("user.create", json!({"organization": acme, "email": email})).await;
        made["id"].as_str().unwrap().to_owned()
    };
    let (ada, bea) = (person(ADA).await, person("bea@acme.test").await);
    for place in 0..1_500 {
        let email = ["x@acme.test", ADA, OTHER, "bea@acme.test"][place % 4];
        note(&authd, &acme, EventKind::SigninRefused, json!({"email": email})).await;
    }
    authd.operate("user.erase", json!({"id": ada})).await;
    assert!(erasure::turn(&authd.app.world).await.unwrap(), "a piece, and no more");
    // Who is deleted by now is known by what was asked for before: that must not be lost.
    authd.operate("user.erase", json!({"id": ada, "organization": acme, "addresses": [OTHER]})).await;
    authd.operate("user.erase", json!({"id": bea})).await;
    authd.operate("user.erase", json!({"id": ada, "organization": acme})).await;
    finish(&authd).await;
    let log = details(&authd).await;
    for gone in [ADA, OTHER, "bea@acme.test"] {
        assert_eq!(log.matches(gone).count(), 0, "{gone}");
    }
    assert_eq!(log.matches("x@acme.test").count(), 375);
    let completed = authd.operate("audit.list", json!({"kind": "user.erasure_completed"})).await;
    let completed = completed["items"].as_array().unwrap();
    assert_eq!(completed.len(), 2, "one for each person");
    let verified = authd.operate("audit.verify", json!({})).await;
    assert_eq!(verified["ok"], true, "{verified}");
    let sum: u64 = completed.iter().map(|event| event["data"]["rows"].as_u64().unwrap()).sum();
    assert_eq!(verified["erased"], sum, "what was done before the second request counts");
}

/// The walk over the log in the file, after `tamper`.
async fn verified_after(authd: &Authd, path: &std::path::Path, tamper: impl FnOnce(&redb::WriteTransaction)) -> Value {
    authd.app.world.store.close().await;
    {
        let database = redb::Database::open(path).unwrap();
        #[expect(clippy::disallowed_methods, reason = "this is the attacker")]
        let transaction = database.begin_write().unwrap();
        tamper(&transaction);
        transaction.commit().unwrap();
    }
    let world = &authd.app.world;
    let store = Store::open(path, world.env.clone(), Options::new([7; 32])).unwrap();
    let again = Authd::of(store.clone(), (*world.deployment).clone(), world.env.clone()).await;
    let found = again.operate("audit.verify", json!({})).await;
    store.close().await;
    found
}

#[tokio::test]
async fn adm_09_what_erasing_a_person_took_is_told_from_what_somebody_took_by_hand() {
    const DETAIL: redb::TableDefinition<u64, &[u8]> = redb::TableDefinition::new("detail");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("authd.redb");
    let authd = Authd::start_at(&path).await;
    let acme = authd.operate("organization.create", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    let ada = authd.operate("user.create", json!({"organization": acme, "email": ADA})).await;
    for place in 0..20 {
        let email = if place % 3 == 0 { ADA } else { "x@acme.test" };
        note(&authd, &acme, EventKind::SigninRefused, json!({"email": email})).await;
    }
    authd.operate("user.erase", json!({"id": ada["id"]})).await;
    finish(&authd).await;
    authd.app.world.store.checkpoint().await.unwrap();
    let rows = authd.app.world.store.tail(0, 1_000, None).await.unwrap();
    let (erased, kept): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.detail.is_none());
    let told = rows.iter().find(|row| Event::read(row).unwrap().kind == EventKind::AuditErased).unwrap();
    let named: Vec<u64> = erased.iter().map(|row| row.row.seq).collect();
    assert!(named.len() >= 8 && told.row.erases.as_ref() == Some(&named), "{:?}", told.row.erases);
    let clean = verified_after(&authd, &path, |_| {}).await;
    assert_eq!((&clean["ok"], &clean["erased"]), (&json!(true), &json!(named.len())));
    // Each of the others is missed, one after the other, beginning at the end; whatever is put in its place.
    for (place, row) in kept.iter().rev().enumerate() {
        let seq = row.row.seq;
        let found = verified_after(&authd, &path, |transaction| {
            let mut details = transaction.open_table(DETAIL).unwrap();
            match place % 3 {
                0 => drop(details.remove(seq).unwrap()),
                1 => drop(details.insert(seq, &told.row.seq.to_be_bytes()[..]).unwrap()),
                _ => drop(details.insert(seq, &b"a detail that somebody made up"[..]).unwrap()),
            }
        });
        let found = found.await;
        assert_eq!((&found["ok"], &found["brokenAt"]), (&json!(false), &json!(seq)), "{found}");
    }
}
