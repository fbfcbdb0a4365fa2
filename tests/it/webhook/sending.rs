//! What arrives, when, how often, and how it is signed.

use std::time::Duration;

use authd::event::{Actor, Event, EventKind, Origin};
use authd::store::Batch;
use serde_json::json;

use super::Scene;

#[tokio::test]
async fn an_event_arrives_signed_once_and_is_what_the_log_says() {
    let scene = Scene::new().await;
    let (id, secret) = scene.endpoint("app.test", json!({"subscriptions": ["user.*"]})).await;
    assert!(secret.starts_with("whsec_"));
    let user = scene.somebody("ada").await;
    scene.turn().await;
    assert_eq!(scene.turn().await, 0, "once");
    let heard = scene.heard("app.test");
    assert_eq!(heard.len(), 1);
    let body = heard[0].json();
    assert_eq!(body["type"], "user.created");
    assert_eq!((&body["data"]["subjectType"], &body["data"]["subjectId"]), (&json!("user"), &json!(user)));
    assert_eq!(body["data"]["organizationId"], scene.acme);
    assert_eq!(heard[0].headers["webhook-id"], body["data"]["eventId"].as_str().unwrap());
    for name in ["id", "timestamp", "signature"] {
        assert_eq!(heard[0].headers[&format!("webhook-{name}")], heard[0].headers[&format!("svix-{name}")]);
    }
    assert!(heard[0].verifies(&secret));
    let mut changed = heard[0].body.clone();
    changed[10] ^= 1;
    assert!(!heard[0].verifies_as(&secret, &changed));
    assert!(!heard[0].verifies("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
    let log = scene.authd.operate("audit.list", json!({"organization": scene.acme, "kind": "user.created"})).await;
    assert_eq!(body["data"], log["items"][0]);
    let delivered = scene.authd.operate("delivery.list", json!({"endpoint": id})).await;
    assert_eq!(delivered["items"][0]["state"], "acknowledged");
    assert_eq!(delivered["items"][0]["status"], 204);
    assert_eq!(delivered["items"][0]["answer"], "noted");
    let told = scene.authd.operate("audit.list", json!({"kind": "webhook.delivery.*"})).await;
    assert_eq!(told["items"].as_array().unwrap().len(), 2, "that it was made, and that it was taken");
}

#[tokio::test]
async fn wh_04_while_a_secret_changes_both_sign_and_each_try_is_signed_afresh() {
    let scene = Scene::new().await;
    let (id, old) = scene.endpoint("app.test", json!({})).await;
    scene.turn().await;
    scene.forget();
    scene.answers("app.test", Some(500));
    scene.somebody("ada").await;
    scene.turn().await;
    let new = scene.authd.operate("webhook.rotate_secret", json!({"id": id})).await;
    let new = new["secret"].as_str().unwrap().to_owned();
    assert_ne!(old, new);
    scene.authd.env().advance(Duration::from_secs(10));
    scene.turn().await;
    let created: Vec<_> = scene.heard("app.test").into_iter().filter(|heard| heard.kind() == "user.created").collect();
    let [first, second] = &created[..] else { panic!("{} tries", created.len()) };
    assert_eq!(first.headers["webhook-id"], second.headers["webhook-id"]);
    assert_ne!(first.headers["webhook-timestamp"], second.headers["webhook-timestamp"]);
    assert_ne!(first.headers["webhook-signature"], second.headers["webhook-signature"]);
    assert_eq!(first.body, second.body);
    assert!(first.verifies(&old) && !first.verifies(&new));
    assert!(second.verifies(&old) && second.verifies(&new), "for a day, both");
    scene.authd.env().advance(Duration::from_secs(25 * 3600));
    scene.answers("app.test", Some(200));
    scene.forget();
    scene.somebody("grace").await;
    scene.turn().await;
    let heard = scene.heard("app.test");
    assert!(!heard.is_empty() && heard.iter().all(|heard| heard.verifies(&new) && !heard.verifies(&old)));
    // At once, where the old one has leaked.
    let newest = scene.authd.operate("webhook.rotate_secret", json!({"id": id, "now": true})).await;
    scene.forget();
    scene.somebody("alan").await;
    scene.turn().await;
    let newest = newest["secret"].as_str().unwrap();
    assert!(scene.heard("app.test").iter().all(|heard| heard.verifies(newest) && !heard.verifies(&new)));
}

#[tokio::test]
async fn wh_05_a_dead_endpoint_starves_nobody_and_keeps_its_order() {
    let scene = Scene::new().await;
    scene.endpoint("dead.test", json!({"subscriptions": ["user.*"]})).await;
    scene.endpoint("live.test", json!({"subscriptions": ["user.*"]})).await;
    scene.answers("dead.test", None);
    let user = scene.somebody("ada").await;
    for name in ["Ada", "Ada L.", "Countess"] {
        scene.authd.operate("user.update", json!({"organization": scene.acme, "id": user, "name": name})).await;
    }
    while scene.turn().await > 0 {
        scene.authd.env().advance(Duration::from_millis(200));
    }
    let live: Vec<_> = scene.heard("live.test").iter().map(super::Heard::kind).collect();
    assert_eq!(live, ["user.created", "user.updated", "user.updated", "user.updated"]);
    let seqs: Vec<_> =
        scene.heard("live.test").iter().map(|heard| heard.json()["data"]["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted());
    let dead: Vec<_> = scene.heard("dead.test").iter().map(super::Heard::kind).collect();
    assert!(dead.iter().all(|kind| kind == "user.created"), "the first one has to arrive first: {dead:?}");
    scene.answers("dead.test", Some(200));
    for _ in 0..20 {
        scene.authd.env().advance(Duration::from_secs(400));
        scene.turn().await;
    }
    let mut late: Vec<_> =
        scene.heard("dead.test").iter().map(|heard| heard.json()["data"]["seq"].as_u64().unwrap()).collect();
    late.dedup();
    assert_eq!(late, seqs, "nothing was lost, and the order holds");
}

/// What waited behind a call that did not arrive goes out as soon as that one has, many in one go: neither one a look,
/// nor each at the time of the first.
#[tokio::test]
async fn a_long_line_goes_out_in_its_order_as_soon_as_its_first_call_has_arrived() {
    let scene = Scene::new().await;
    let (id, _) = scene.endpoint("app.test", json!({"subscriptions": ["user.*"]})).await;
    let (user, other) = (scene.somebody("ada").await, scene.somebody("grace").await);
    scene.turn().await;
    scene.forget();
    scene.answers("app.test", None);
    for number in 0..70 {
        let change = json!({"organization": scene.acme, "id": user, "name": format!("Ada {number}")});
        scene.authd.operate("user.update", change).await;
    }
    // Thrice in vain: it waits for half an hour now.
    for wait in [0, 10, 400] {
        scene.authd.env().advance(Duration::from_secs(wait));
        assert_eq!(scene.turn().await, 1, "nobody calls for what stands behind");
    }
    assert_eq!(scene.turn().await, 0);
    // Others do not wait behind it.
    scene.answers("app.test", Some(200));
    scene.authd.operate("user.update", json!({"organization": scene.acme, "id": other, "name": "Grace"})).await;
    assert_eq!(scene.turn().await, 1);
    scene.forget();
    let waiting = json!({"endpoint": id, "state": "pending", "limit": 100});
    let waiting = scene.authd.operate("delivery.list", waiting).await;
    let waiting = waiting["items"].as_array().unwrap();
    assert_eq!(waiting.len(), 70);
    let first = waiting.iter().find(|call| call["tries"] == 3).unwrap();
    assert!(waiting.iter().all(|call| call["dueAt"] == first["dueAt"]), "each has its next try");
    scene.authd.operate("delivery.replay", json!({"id": first["id"]})).await;
    for _ in 0..4 {
        scene.turn().await;
    }
    let seqs: Vec<_> =
        scene.heard("app.test").iter().map(|heard| heard.json()["data"]["seq"].as_u64().unwrap()).collect();
    assert!(seqs.len() == 70 && seqs.is_sorted(), "{seqs:?}");
    // The clock has not moved: the one that arrived has woken the next, and so on.
    assert_eq!(scene.turn().await, 0);
}

/// A line that is long does not keep others of the same receiver waiting until its end.
#[tokio::test]
async fn a_long_line_lets_others_have_their_turn() {
    let scene = Scene::new().await;
    scene.endpoint("app.test", json!({"subscriptions": ["user.*"]})).await;
    let (user, other) = (scene.somebody("ada").await, scene.somebody("grace").await);
    scene.turn().await;
    scene.forget();
    for number in 0..250 {
        let change = json!({"organization": scene.acme, "id": user, "name": format!("Ada {number}")});
        scene.authd.operate("user.update", change).await;
    }
    scene.authd.operate("user.update", json!({"organization": scene.acme, "id": other, "name": "Grace"})).await;
    let (mut turns, mut behind) = (0, None);
    while scene.turn().await > 0 {
        turns += 1;
        let heard = scene.heard("app.test");
        let arrived = heard.iter().position(|heard| heard.json()["data"]["subjectId"] == other.as_str());
        behind = behind.or(arrived);
        scene.authd.env().advance(Duration::from_millis(1));
    }
    let heard = scene.heard("app.test");
    assert_eq!(heard.len(), 251);
    assert!(behind.is_some_and(|behind| behind < 100), "{behind:?} came before it");
    assert!((13..=20).contains(&turns), "{turns}");
    let of_user = heard.iter().map(super::Heard::json).filter(|body| body["data"]["subjectId"] == user.as_str());
    assert!(of_user.map(|body| body["data"]["seq"].as_u64()).is_sorted());
}

/// However much is still to be put into the queues, what is in them goes out meanwhile.
#[tokio::test]
async fn what_is_queued_goes_out_while_the_log_is_still_read() {
    const EVENTS: usize = 1_000;
    let scene = Scene::new().await;
    scene.endpoint("app.test", json!({"subscriptions": ["user.*"]})).await;
    let (world, env) = (&scene.authd.app.world, scene.authd.env());
    let (acme, origin) = (scene.acme.parse().unwrap(), Origin::internal(env));
    let mut batch = Batch::new();
    for number in 0..EVENTS {
        let event = Event::new(env, EventKind::UserUpdated, &Actor::System, &origin).within(acme);
        batch.log(event.about("user", format!("u{}", number % 50)));
    }
    world.store.commit(batch).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(authd::outbox::run(scene.authd.app.outbox.clone(), world.clone(), async move {
        drop(stopped.await);
    }));
    for _ in 0..3_000 {
        if scene.heard("app.test").len() >= EVENTS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(stop);
    running.await.unwrap();
    assert_eq!(scene.heard("app.test").len(), EVENTS, "each, once");
    let events = scene.authd.events().await;
    let queued = events.iter().rposition(|event| event.kind == EventKind::DeliveryCreated).unwrap();
    let sent = events.iter().position(|event| event.kind == EventKind::DeliverySucceeded).unwrap();
    assert!(sent < queued, "the first was sent as row {sent}, the last was queued as row {queued}");
}

#[tokio::test]
async fn wh_01_a_redirect_is_a_failure_and_is_not_followed() {
    let scene = Scene::new().await;
    let (id, _) = scene.endpoint("app.test", json!({"subscriptions": ["user.*"]})).await;
    for status in [301, 302, 307, 308, 304] {
        scene.answers("app.test", Some(status));
        scene.authd.env().advance(Duration::from_secs(1));
        scene.somebody(&format!("person{status}")).await;
        scene.turn().await;
        let newest = scene.authd.operate("delivery.list", json!({"endpoint": id, "limit": 1})).await;
        assert_eq!((&newest["items"][0]["state"], &newest["items"][0]["status"]), (&json!("pending"), &json!(status)));
        assert_eq!(newest["items"][0]["error"], "refused");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_gone_or_fails_for_five_days_is_disabled_and_can_catch_up() {
    let scene = Scene::new().await;
    let (gone, _) = scene.endpoint("gone.test", json!({"subscriptions": ["user.*"]})).await;
    let (tired, _) = scene.endpoint("tired.test", json!({"subscriptions": ["user.*"]})).await;
    let since = scene.authd.env().now();
    scene.answers("gone.test", Some(410));
    scene.answers("tired.test", Some(503));
    scene.somebody("ada").await;
    scene.turn().await;
    let status = async |id: &str| {
        let shown = scene.authd.operate("webhook.get", json!({"id": id})).await;
        (shown["status"].as_str().unwrap().to_owned(), shown["disabledFor"].as_str().map(str::to_owned))
    };
    assert_eq!(status(&gone).await, ("disabled".to_owned(), Some("gone".to_owned())));
    for hour in 0..130 {
        scene.authd.env().advance(Duration::from_secs(3600));
        if hour % 20 == 0 {
            scene.somebody(&format!("person{hour}")).await;
        }
        scene.turn().await;
        let expected = if status(&tired).await.0 == "disabled" { hour >= 119 } else { hour <= 125 };
        assert!(expected, "after {hour} hours");
    }
    assert_eq!(status(&tired).await, ("disabled".to_owned(), Some("failing".to_owned())));
    let told = scene.authd.operate("audit.list", json!({"kind": "webhook.endpoint.disabled"})).await;
    assert_eq!(told["items"].as_array().unwrap().len(), 2);
    // It is mended: everything of the time comes, in its order, with the ids that it had.
    scene.answers("tired.test", Some(200));
    scene.forget();
    scene.somebody("later").await;
    while scene.turn().await > 0 {}
    assert!(scene.heard("tired.test").is_empty(), "it is off");
    scene.authd.operate("webhook.enable", json!({"id": tired})).await;
    scene.authd.operate("webhook.replay", json!({"id": tired, "since": since})).await;
    for _ in 0..20 {
        scene.turn().await;
        scene.authd.env().advance(Duration::from_millis(200));
    }
    let log = json!({"organization": scene.acme, "kind": "user.*", "oldestFirst": true, "limit": 1000});
    let log = scene.authd.operate("audit.list", log).await;
    let expected: Vec<_> = log["items"].as_array().unwrap().iter().map(|event| event["eventId"].clone()).collect();
    let mut heard: Vec<_> = scene.heard("tired.test").iter().map(|heard| json!(heard.headers["webhook-id"])).collect();
    heard.sort_by_key(|id| expected.iter().position(|known| known == id));
    assert_eq!(heard, expected);
}

#[tokio::test]
async fn only_the_organization_the_connection_and_the_subscription_that_is_meant_are_told() {
    let scene = Scene::new().await;
    let other = scene.authd.operate("organization.create", json!({"name": "Other"})).await;
    let other = other["id"].as_str().unwrap();
    let connection = async |organization: &str| {
        let input = json!({"organization": organization, "protocol": "oidc", "name": "IdP"});
        scene.authd.operate("connection.create", input).await["id"].as_str().unwrap().to_owned()
    };
    let (mine, another) = (connection(&scene.acme).await, connection(&scene.acme).await);
    scene.endpoint("all.test", json!({})).await;
    scene.endpoint("one.test", json!({"connection": mine})).await;
    scene.endpoint("sessions.test", json!({"subscriptions": ["session.*"]})).await;
    scene.authd.operate("webhook.create", json!({"organization": other, "url": "https://other.test/"})).await;
    while scene.turn().await > 0 {}
    scene.forget();
    scene.somebody("ada").await;
    scene.authd.operate("connection.update", json!({"id": mine, "name": "New"})).await;
    scene.authd.operate("connection.update", json!({"id": another, "name": "New"})).await;
    while scene.turn().await > 0 {}
    let kinds = |host: &str| scene.heard(host).iter().map(super::Heard::kind).collect::<Vec<_>>();
    assert_eq!(kinds("all.test").len(), 3);
    assert_eq!(kinds("one.test"), ["connection.updated"]);
    assert!(kinds("sessions.test").is_empty());
    assert!(kinds("other.test").is_empty());
    assert!(!kinds("all.test").iter().any(|kind| kind.starts_with("webhook.delivery")), "that would never end");
}

#[tokio::test]
async fn a_test_event_reaches_the_endpoint_alone_whatever_it_wants() {
    let scene = Scene::new().await;
    let (id, secret) = scene.endpoint("one.test", json!({"subscriptions": ["session.*"]})).await;
    scene.endpoint("two.test", json!({"subscriptions": ["session.*"]})).await;
    scene.authd.operate("webhook.test", json!({"id": id})).await;
    while scene.turn().await > 0 {}
    assert_eq!(scene.heard("one.test").iter().map(super::Heard::kind).collect::<Vec<_>>(), ["webhook.endpoint.tested"]);
    assert!(scene.heard("one.test")[0].verifies(&secret));
    assert!(scene.heard("two.test").is_empty());
    // And once more, with the id that it had.
    let sent = scene.authd.operate("delivery.list", json!({"endpoint": id})).await;
    scene.authd.operate("delivery.replay", json!({"id": sent["items"][0]["id"]})).await;
    while scene.turn().await > 0 {}
    let heard = scene.heard("one.test");
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].headers["webhook-id"], heard[1].headers["webhook-id"]);
}

/// A receiver that asks for time gets it, and no more than a day; a shorter wish than the schedule's changes nothing.
#[tokio::test]
async fn who_asks_to_be_called_later_is_called_later() {
    let scene = Scene::new().await;
    let now = scene.authd.env().now();
    let date = |seconds: i64| {
        let at = jiff::Timestamp::from_second(now.seconds() + seconds).unwrap();
        at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
    };
    // What the answer is and asks for, and how long nothing comes, in seconds: at least, and at most.
    let cases = [
        (429, "7200".to_owned(), 7_200, 7_201),
        (503, " 7200 ".to_owned(), 7_200, 7_201),
        (503, date(3_600), 3_590, 3_601),
        (429, u64::MAX.to_string(), 86_399, 86_401),
        (503, "0".to_owned(), 4, 6),
        (429, "1".to_owned(), 4, 6),
        (503, date(-60), 4, 6),
        (503, "soon".to_owned(), 4, 6),
        (429, "-7200".to_owned(), 4, 6),
        // Others do not ask: it is no word about time there.
        (500, "7200".to_owned(), 4, 6),
        (404, "7200".to_owned(), 4, 6),
    ];
    for (place, (status, asked, least, most)) in cases.into_iter().enumerate() {
        let host = format!("r{place}.test");
        let (endpoint, _) = scene.endpoint(&host, json!({"subscriptions": ["user.created"]})).await;
        scene.answers(&host, Some(status));
        scene.answers_with("retry-after", &asked);
        scene.somebody(&format!("p{place}")).await;
        scene.turn().await;
        let sent = scene.authd.operate("delivery.list", json!({"endpoint": endpoint})).await;
        let due: authd::env::Timestamp = serde_json::from_value(sent["items"][0]["dueAt"].clone()).unwrap();
        let wait = due.since(scene.authd.env().now()).as_millis();
        assert!((least * 1_000..=most * 1_000).contains(&wait), "{status} {asked:?}: {wait} ms");
        scene.authd.operate("webhook.disable", json!({"id": endpoint})).await;
    }
}

#[tokio::test]
async fn what_was_sent_and_answered_is_kept_with_its_heads_and_without_its_proof() {
    let scene = Scene::new().await;
    let (endpoint, secret) = scene.endpoint("app.test", json!({"subscriptions": ["user.created"]})).await;
    scene.answers("app.test", Some(500));
    scene.answers_with("x-trace", "abc 123");
    scene.somebody("ada").await;
    scene.turn().await;
    let sent = scene.authd.operate("delivery.list", json!({"endpoint": endpoint})).await;
    let sent = scene.authd.operate("delivery.get", json!({"id": sent["items"][0]["id"]})).await;
    let heard = scene.heard("app.test").remove(0);
    let head = sent["requestHead"].as_str().unwrap();
    assert!(head.starts_with("POST https://app.test/hooks\n"), "{head}");
    assert!(head.contains(&format!("webhook-id: {}\n", heard.headers["webhook-id"])), "{head}");
    assert!(heard.verifies(&secret));
    for family in ["webhook", "svix"] {
        assert!(head.contains(&format!("{family}-signature: …")), "{head}");
        let signature = &heard.headers[&format!("{family}-signature")];
        assert!(!sent.to_string().contains(signature.trim_start_matches("v1,")), "{sent}");
    }
    assert_eq!(sent["responseHead"], "500\nx-trace: abc 123");
    assert_eq!((&sent["status"], &sent["answer"]), (&json!(500), &json!("noted")));
    // That it was made, tried and taken stands in the log, each once.
    scene.answers("app.test", Some(200));
    scene.authd.env().advance(Duration::from_secs(10));
    scene.turn().await;
    let log = scene.authd.operate("audit.list", json!({"kind": "webhook.delivery.*", "oldestFirst": true})).await;
    let told: Vec<_> =
        log["items"].as_array().unwrap().iter().filter(|event| event["subjectId"] == sent["id"]).collect();
    let kinds: Vec<_> = told.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["webhook.delivery.created", "webhook.delivery.attempted", "webhook.delivery.succeeded"]);
    assert!(
        told.iter().all(|event| event["data"]["seq"] == sent["seq"] && event["organizationId"] == scene.acme.as_str())
    );
}

/// A second stretch is asked for while the first is under way: nothing of either is lost, and the log keeps both until
/// they are sent.
#[tokio::test]
async fn two_replays_of_one_endpoint_become_one() {
    let scene = Scene::new().await;
    let (endpoint, _) = scene.endpoint("app.test", json!({"subscriptions": ["user.created"]})).await;
    let mut times = Vec::new();
    for number in 0..6 {
        times.push(scene.authd.env().now());
        scene.somebody(&format!("p{number}")).await;
        scene.authd.env().advance(Duration::from_secs(60));
    }
    while scene.turn().await > 0 {}
    assert_eq!(scene.heard("app.test").len(), 6);
    let log = scene.authd.operate("audit.list", json!({"kind": "user.created", "oldestFirst": true})).await;
    let log = log["items"].as_array().unwrap();
    let all: Vec<String> = log.iter().map(|event| event["eventId"].as_str().unwrap().to_owned()).collect();
    let first = log[1]["seq"].as_u64().unwrap();
    scene.forget();
    for (since, until) in [(4, 5), (1, 2), (2, 3)] {
        let stretch = json!({"id": endpoint, "since": times[since], "until": times[until]});
        scene.authd.operate("webhook.replay", stretch).await;
    }
    let store = &scene.authd.app.world.store;
    assert!(authd::webhook::delivered(store).await.unwrap() < first, "what has still to be looked through is kept");
    scene.answers("app.test", Some(503));
    scene.turn().await;
    assert!(authd::webhook::delivered(store).await.unwrap() < first, "what has still to arrive is kept");
    scene.forget();
    scene.answers("app.test", Some(200));
    for _ in 0..10 {
        scene.authd.env().advance(Duration::from_secs(10));
        scene.turn().await;
    }
    let again: std::collections::BTreeSet<_> =
        scene.heard("app.test").iter().map(|heard| heard.headers["webhook-id"].clone()).collect();
    assert!([1, 2, 4].iter().all(|place| again.contains(&all[*place])), "each that was asked for");
    assert!(!again.contains(&all[0]) && !again.contains(&all[5]), "and nothing outside of them");
    assert!(authd::webhook::delivered(store).await.unwrap() >= first);
}
