//! Reading the log: search, pages, export, verification, retention, and the feed.

use std::time::Duration;

use authd::access::Caller;
use authd::audit;
use authd::event::Origin;
use authd::store::Store;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::authd::Authd;

async fn organization(authd: &Authd, name: &str) -> String {
    authd.operate("organization.create", json!({"name": name})).await["id"].as_str().unwrap().to_owned()
}

async fn people(authd: &Authd, organization: &str, many: usize) {
    for number in 0..many {
        let email = format!("person{number}@{}.test", organization.replace('_', "-"));
        authd.operate("user.create", json!({"organization": organization, "email": email})).await;
    }
}

async fn all(authd: &Authd, mut input: Value) -> Vec<Value> {
    let mut items = Vec::new();
    loop {
        let page = authd.operate("audit.list", input.clone()).await;
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page.get("next") {
            Some(next) => input["cursor"] = next.clone(),
            None => return items,
        }
    }
}

#[tokio::test]
async fn pages_in_both_directions_show_everything_once() {
    let authd = Authd::start().await;
    let acme = organization(&authd, "Acme").await;
    let other = organization(&authd, "Other").await;
    people(&authd, &acme, 23).await;
    people(&authd, &other, 5).await;
    for limit in [1, 7, 1000] {
        let newest = all(&authd, json!({"organization": acme, "limit": limit})).await;
        let mut oldest = all(&authd, json!({"organization": acme, "limit": limit, "oldestFirst": true})).await;
        assert_eq!(newest.len(), 24, "the organization and its people");
        oldest.reverse();
        assert_eq!(newest, oldest);
        assert!(newest.iter().all(|event| event["organizationId"] == acme));
    }
}

#[tokio::test]
async fn every_filter_narrows_and_all_of_them_must_hold() {
    let authd = Authd::start().await;
    let acme = organization(&authd, "Acme").await;
    authd.env().advance(Duration::from_secs(60));
    let since = authd.env().now();
    people(&authd, &acme, 3).await;
    let ada = all(&authd, json!({"kind": "user.created", "text": "PERSON1@"})).await;
    assert_eq!(ada.len(), 1);
    let id = ada[0]["subjectId"].as_str().unwrap();
    authd.operate("user.suspend", json!({"organization": acme, "id": id})).await;
    let count = async |input: Value| all(&authd, input).await.len();
    assert_eq!(count(json!({"user": id})).await, 2);
    assert_eq!(count(json!({"user": id, "kind": "user.suspended"})).await, 1);
    assert_eq!(count(json!({"target": id, "kind": "user.created,user.suspended"})).await, 2);
    assert_eq!(count(json!({"kind": "user.*"})).await, 4);
    assert_eq!(count(json!({"actor": "operator", "kind": "user.*"})).await, 4);
    assert_eq!(count(json!({"actor": "uid:0", "kind": "user.*"})).await, 4);
    assert_eq!(count(json!({"actor": "api_key"})).await, 0);
    assert_eq!(count(json!({"outcome": "failure", "kind": "user.*"})).await, 0);
    assert_eq!(count(json!({"since": since, "kind": "organization.*"})).await, 0);
    assert_eq!(count(json!({"until": since, "kind": "user.*"})).await, 0);
    assert_eq!(count(json!({"until": since, "kind": "organization.*"})).await, 1);
    assert_eq!(count(json!({"request": ada[0]["requestId"]})).await, 1);
    let one = authd.operate("audit.get", json!({"seq": ada[0]["seq"]})).await;
    assert_eq!(one, ada[0]);
}

/// Whether an event is meant by a filter.
type Holds<'a> = Box<dyn Fn(&Value) -> bool + 'a>;

/// Each filter, asked for by each door, finds exactly what a walk over everything finds.
#[tokio::test]
async fn each_filter_finds_what_a_walk_over_everything_finds() {
    let authd = Authd::start().await;
    let (acme, other) = (organization(&authd, "Acme").await, organization(&authd, "Other").await);
    let key = json!({"organization": acme, "name": "reader", "grants": ["connection.audit.read", "user.manage"]});
    let key = authd.operate("api_key.create", key).await;
    let bearer = key["key"].as_str().unwrap();
    people(&authd, &acme, 4).await;
    people(&authd, &other, 2).await;
    authd.env().advance(Duration::from_secs(10));
    let listed = authd.operate("user.list", json!({"organization": acme})).await;
    let user = listed["items"][0]["id"].as_str().unwrap().to_owned();
    // By a key, from an address; one of them is refused.
    let (status, _) = fetch(&authd, &format!("/v1/api-keys?organization={acme}"), bearer).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    authd.env().advance(Duration::from_secs(10));
    authd.operate("user.suspend", json!({"id": user})).await;
    let everything = all(&authd, json!({})).await;
    let refused = everything.iter().find(|event| event["outcome"] == "failure").expect("a refusal is told");
    let (request, ip) = (refused["requestId"].as_str().unwrap(), refused["ip"].as_str().unwrap());
    let (code, middle) = (refused["errorCode"].as_str().unwrap(), refused["occurredAt"].as_str().unwrap());
    let key_id = key["id"].as_str().unwrap();
    let is = |event: &Value, name: &str, text: &str| event[name] == text;
    let touches = |event: &Value, id: &str| {
        event["subjectId"] == id || event["targets"].as_array().unwrap().iter().any(|target| target["id"] == id)
    };
    let begins = |event: &Value, start: &str| event["kind"].as_str().unwrap().starts_with(start);
    let filters: Vec<(&str, &str, Holds<'_>)> = vec![
        ("kind", "user.suspended", Box::new(|event| is(event, "kind", "user.suspended"))),
        ("kind", "user.*", Box::new(|event| begins(event, "user."))),
        (
            "kind",
            "user.*,api_key.created",
            Box::new(|event| begins(event, "user.") || begins(event, "api_key.created")),
        ),
        ("kind", "*", Box::new(|_| true)),
        ("organization", &acme, Box::new(|event| is(event, "organizationId", &acme))),
        ("actor", key_id, Box::new(|event| is(event, "actorId", key_id))),
        ("actor", "api_key", Box::new(|event| is(event, "actorType", "api_key"))),
        ("actor", "operator", Box::new(|event| is(event, "actorType", "operator"))),
        ("target", key_id, Box::new(|event| touches(event, key_id))),
        ("user", &user, Box::new(|event| touches(event, &user))),
        ("outcome", "failure", Box::new(|event| is(event, "outcome", "failure"))),
        ("outcome", "success", Box::new(|event| is(event, "outcome", "success"))),
        ("errorCode", code, Box::new(|event| is(event, "errorCode", code))),
        ("ip", ip, Box::new(|event| is(event, "ip", ip))),
        ("request", request, Box::new(|event| is(event, "requestId", request))),
        ("text", "PERSON2@", Box::new(|event| event.to_string().to_lowercase().contains("person2@"))),
        ("since", middle, Box::new(|event| event["occurredAt"].as_str().unwrap() >= middle)),
        ("until", middle, Box::new(|event| event["occurredAt"].as_str().unwrap() < middle)),
    ];
    for (name, value, holds) in &filters {
        let expected: Vec<&Value> = everything.iter().filter(|event| holds(event)).collect();
        assert!(!expected.is_empty(), "{name}={value} shows nothing here");
        let mut input = json!({"limit": 3});
        input[*name] = json!(value);
        let found = all(&authd, input).await;
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{name}={value}");
        // By HTTP the key sees its own organization, and by the same rule.
        let own: Vec<&Value> = expected.into_iter().filter(|event| event["organizationId"] == acme.as_str()).collect();
        let value = url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
        let (status, page) = fetch(&authd, &format!("/v1/audit?limit=1000&{name}={value}"), bearer).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        assert_eq!(page["items"].as_array().unwrap().iter().collect::<Vec<_>>(), own, "{name}={value}");
    }
}

#[tokio::test]
async fn the_log_is_kept_within_its_megabytes() {
    let authd = Authd::start().await;
    let store: &Store = &authd.app.world.store;
    let cx = authd.app.context(Caller::System, Origin::internal(authd.env()));
    for _ in 0..60 {
        let mut batch = authd::store::Batch::new();
        let large = "x".repeat(500_000);
        batch.log(cx.event(authd::event::EventKind::SigninRefused).with("large", large));
        store.commit(batch).await.unwrap();
    }
    authd.operate("audit.set_retention", json!({"megabytes": 16})).await;
    let pruned = audit::prune(&cx, u64::MAX).await.unwrap().expect("thirty megabytes are too many");
    let mut bytes = 0;
    let rows = store.tail(0, 1_000, None).await.unwrap();
    assert_eq!(rows[0].row.seq, pruned + 1);
    for row in &rows {
        bytes += row.detail.as_ref().map_or(0, Vec::len);
    }
    assert!((14_000_000..=17_000_000).contains(&bytes), "{bytes}");
    let verified = authd.operate("audit.verify", json!({})).await;
    assert_eq!((&verified["ok"], &verified["pruned"]), (&json!(true), &json!(pruned)));
}

#[tokio::test]
async fn an_export_has_every_event_and_is_told_once() {
    let authd = Authd::start().await;
    let acme = organization(&authd, "Acme").await;
    let email = "ada@acme.test";
    authd.operate("user.create", json!({"organization": acme, "email": email, "name": "=cmd|' /C calc'!A0"})).await;
    people(&authd, &acme, 5).await;
    // Names that a spreadsheet would compute.
    let mut formulas = 0;
    for (format, lines) in [("jsonl", 7), ("csv", 8)] {
        let mut input = json!({"organization": acme, "format": format, "limit": 2, "until": authd.env().now() + Duration::from_secs(1)});
        let mut text = String::new();
        loop {
            let page = authd.operate("audit.export", input.clone()).await;
            text.push_str(page["text"].as_str().unwrap());
            match page.get("next") {
                Some(next) => input["cursor"] = next.clone(),
                None => break,
            }
        }
        // The export itself is an event of the organization, too.
        let told = text.matches("audit.exported").count();
        assert_eq!(text.lines().count(), lines + told, "{text}");
        if format == "jsonl" {
            assert!(text.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()));
        } else {
            for cell in text.lines().flat_map(|line| line.split(',')) {
                assert!(!cell.trim_start_matches('"').starts_with(['=', '+', '-', '@', '\t']), "{cell}");
                formulas += usize::from(cell.contains("cmd|"));
            }
            assert!(text.starts_with("seq,eventId,") && text.lines().next().unwrap().ends_with(",data,erased"));
        }
    }
    assert!(formulas <= 1);
    assert_eq!(all(&authd, json!({"kind": "audit.exported"})).await.len(), 2);
}

#[tokio::test]
async fn adm_09_verification_in_pieces_finds_what_one_walk_finds() {
    let authd = Authd::start().await;
    let acme = organization(&authd, "Acme").await;
    people(&authd, &acme, 30).await;
    authd.app.world.store.checkpoint().await.unwrap();
    people(&authd, &acme, 0).await;
    let whole = authd.operate("audit.verify", json!({})).await;
    assert_eq!((&whole["ok"], &whole["checkpoints"]), (&json!(true), &json!(1)));
    let (mut rows, mut input) = (0, json!({"most": 1}));
    loop {
        let piece = authd.operate("audit.verify", input.clone()).await;
        assert_eq!(piece["ok"], true, "{piece}");
        rows += piece["rows"].as_u64().unwrap();
        match piece.get("next") {
            Some(next) => input["after"] = next.clone(),
            None => break,
        }
    }
    assert_eq!(whole["rows"], rows);
    // A place that somebody made up does not fit the row that follows.
    let forged = authd.operate("audit.verify", json!({"after": format!("3.{}", "A".repeat(43))})).await;
    assert_eq!((&forged["ok"], &forged["brokenAt"]), (&json!(false), &json!(4)));
}

#[tokio::test]
async fn the_log_forgets_what_it_is_told_to_and_can_still_be_verified() {
    let authd = Authd::start().await;
    let store: &Store = &authd.app.world.store;
    let acme = organization(&authd, "Acme").await;
    people(&authd, &acme, 40).await;
    store.checkpoint().await.unwrap();
    authd.operate("audit.set_retention", json!({"days": 7})).await;
    let cx = authd.app.context(Caller::System, Origin::internal(authd.env()));
    assert_eq!(audit::prune(&cx, u64::MAX).await.unwrap(), None, "nothing is that old");
    authd.env().advance(Duration::from_secs(8 * 86_400));
    organization(&authd, "Later").await;
    let old = store.log_seq() - 1;
    // What has still to be sent stays.
    assert_eq!(audit::prune(&cx, 10).await.unwrap(), Some(10));
    assert_eq!(store.tail(0, 1, None).await.unwrap()[0].row.seq, 11);
    assert_eq!(audit::prune(&cx, u64::MAX).await.unwrap(), Some(old));
    assert_eq!(store.tail(0, 1, None).await.unwrap()[0].row.seq, old + 1);
    let verified = authd.operate("audit.verify", json!({})).await;
    assert_eq!((&verified["ok"], &verified["pruned"]), (&json!(true), &json!(old)), "{verified}");
    assert!(all(&authd, json!({"kind": "user.*"})).await.is_empty());
    assert_eq!(all(&authd, json!({"kind": "audit.pruned"})).await.len(), 2);
    for wrong in [json!({"days": 6}), json!({"megabytes": 1}), json!({"days": 0})] {
        let cx = authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(authd.env()));
        assert_eq!(authd.app.perform(&cx, "audit.set_retention", wrong).await.unwrap_err().code(), "invalid_input");
    }
}

async fn fetch(authd: &Authd, path: &str, bearer: &str) -> (StatusCode, Value) {
    let request =
        Request::get(path).header("host", "127.0.0.1:8080").header("authorization", format!("Bearer {bearer}"));
    let response = authd.router.clone().oneshot(peer(request.body(Body::empty()).unwrap())).await.unwrap();
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn peer(mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(authd::http::Peer::Tcp("192.0.2.9:1".parse().unwrap()));
    request
}

#[tokio::test]
async fn the_feed_goes_on_where_it_ended_and_shows_one_organization() {
    let authd = Authd::start().await;
    let (acme, other) = (organization(&authd, "Acme").await, organization(&authd, "Other").await);
    let key = json!({"organization": acme, "name": "feed", "grants": ["connection.audit.read"]});
    let key = authd.operate("api_key.create", key).await["key"].as_str().unwrap().to_owned();
    let (status, start) = fetch(&authd, "/v1/events", &key).await;
    assert_eq!((status, &start["events"]), (StatusCode::OK, &json!([])), "from now on, unless told");
    people(&authd, &acme, 5).await;
    people(&authd, &other, 5).await;
    let (mut cursor, mut seen) = (start["next"].as_u64().unwrap(), Vec::new());
    loop {
        let (_, page) = fetch(&authd, &format!("/v1/events?after={cursor}&limit=2"), &key).await;
        cursor = page["next"].as_u64().unwrap();
        let events = page["events"].as_array().unwrap();
        if events.is_empty() {
            break;
        }
        seen.extend(events.iter().map(|event| event["organizationId"].clone()));
    }
    assert_eq!(seen, vec![json!(acme); 5]);
    assert_eq!(cursor, authd.app.world.store.log_seq());
    let (status, _) = fetch(&authd, &format!("/v1/events?organization={other}"), &key).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let (status, _) = fetch(&authd, "/v1/events?afer=1", &key).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let weak = json!({"organization": acme, "name": "weak", "grants": ["user.read"]});
    let weak = authd.operate("api_key.create", weak).await["key"].as_str().unwrap().to_owned();
    assert_eq!(fetch(&authd, "/v1/events", &weak).await.0, StatusCode::FORBIDDEN);
    let cursor = authd.app.world.store.log_seq();
    // Somebody who waits is told as soon as it happens.
    let waiting = {
        let (authd, key) = (authd.clone(), key.clone());
        tokio::spawn(async move { fetch(&authd, &format!("/v1/events?after={cursor}&wait=30"), &key).await })
    };
    tokio::task::yield_now().await;
    organization(&authd, "Third").await;
    authd.operate("user.create", json!({"organization": acme, "email": "new@acme.test"})).await;
    let (_, page) = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!(page["events"][0]["kind"], "user.created");
}

#[tokio::test]
async fn the_stream_resumes_by_the_last_id() {
    use futures_util::StreamExt as _;
    let authd = Authd::start().await;
    let acme = organization(&authd, "Acme").await;
    let key = json!({"organization": acme, "name": "feed", "grants": ["connection.audit.read"]});
    let key = authd.operate("api_key.create", key).await["key"].as_str().unwrap().to_owned();
    let begin = authd.app.world.store.log_seq();
    people(&authd, &acme, 3).await;
    for (last, expected) in [(begin, 3), (begin + 2, 1)] {
        let request = Request::get("/v1/events")
            .header("host", "127.0.0.1:8080")
            .header("authorization", format!("Bearer {key}"))
            .header("accept", "text/event-stream")
            .header("last-event-id", last.to_string());
        let response = authd.router.clone().oneshot(peer(request.body(Body::empty()).unwrap())).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut body = response.into_body().into_data_stream();
        let mut text = String::new();
        while text.matches("\n\n").count() < expected {
            let chunk = tokio::time::timeout(Duration::from_secs(10), body.next()).await.unwrap().unwrap().unwrap();
            text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert_eq!(text.matches("event: user.created").count(), expected, "{text}");
        assert!(text.contains(&format!("id: {}", begin + 3)));
    }
}

async fn reader(authd: &Authd, organization: &str) -> (String, String) {
    let wish = json!({"organization": organization, "name": "feed", "grants": ["connection.audit.read"]});
    let made = authd.operate("api_key.create", wish).await;
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

/// Opens a stream that begins behind all that was.
async fn stream(authd: &Authd, key: &str) -> axum::response::Response {
    let request = Request::get("/v1/events")
        .header("host", "127.0.0.1:8080")
        .header("authorization", format!("Bearer {key}"))
        .header("accept", "text/event-stream");
    authd.router.clone().oneshot(peer(request.body(Body::empty()).unwrap())).await.unwrap()
}

#[tokio::test]
async fn r_20_who_waits_for_events_is_told_none_once_their_access_has_ended() {
    use futures_util::StreamExt as _;
    let authd = Authd::start().await;
    let acme = organization(&authd, "Acme").await;
    let (id, key) = reader(&authd, &acme).await;
    let cursor = authd.app.world.store.log_seq();
    let waiting = {
        let (authd, key) = (authd.clone(), key.clone());
        tokio::spawn(async move { fetch(&authd, &format!("/v1/events?after={cursor}&wait=30"), &key).await })
    };
    let mut streaming = stream(&authd, &key).await.into_body().into_data_stream();
    let streaming = tokio::spawn(async move { streaming.next().await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    authd.operate("api_key.revoke", json!({"id": id})).await;
    authd.operate("user.create", json!({"organization": acme, "email": "new@acme.test"})).await;
    let (status, page) = tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    assert_eq!((status, &page["code"]), (StatusCode::UNAUTHORIZED, &json!("not_signed_in")), "{page}");
    let told = tokio::time::timeout(Duration::from_secs(10), streaming).await.unwrap().unwrap();
    assert!(told.is_none(), "{told:?}");
}

#[tokio::test]
async fn no_organization_takes_every_place_at_the_feed() {
    let authd = Authd::start().await;
    let (acme, other) = (organization(&authd, "Acme").await, organization(&authd, "Other").await);
    let ((_, key), (_, others)) = (reader(&authd, &acme).await, reader(&authd, &other).await);
    let mut open = Vec::new();
    for _ in 0..64 {
        let response = stream(&authd, &key).await;
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    assert_eq!(stream(&authd, &key).await.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(fetch(&authd, "/v1/events?wait=1", &key).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(fetch(&authd, "/v1/events", &key).await.0, StatusCode::OK, "who does not wait takes no place");
    assert_eq!(stream(&authd, &others).await.status(), StatusCode::OK);
    open.pop();
    assert_eq!(stream(&authd, &key).await.status(), StatusCode::OK, "a place is given back");
}
