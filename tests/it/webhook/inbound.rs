//! Another service tells authd of people: what is believed, once, and never backwards.

use std::collections::BTreeSet;
use std::time::Duration;

use authd::access::Caller;
use authd::event::{EventKind, Origin};
use authd::http::Peer;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand::Rng as _;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use tower::ServiceExt as _;

use crate::world::authd::Authd;

/// A service of people, and the address that it was given.
struct Service {
    authd: Authd,
    organization: String,
    id: String,
    secret: String,
}

/// One message as it is sent.
#[derive(Clone, Debug)]
struct Sent {
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Sent {
    fn set(&mut self, name: &str, value: impl Into<String>) {
        let found = self.headers.iter_mut().find(|(key, _)| key.ends_with(name)).unwrap();
        found.1 = value.into();
    }

    fn header(&self, name: &str) -> String {
        self.headers.iter().find(|(key, _)| key.ends_with(name)).unwrap().1.clone()
    }
}

fn fresh_secret() -> String {
    let key: [u8; 32] = rand::rng().random();
    format!("whsec_{}", STANDARD.encode(&key[..rand::rng().random_range(24..=32)]))
}

fn message_id() -> String {
    format!("msg_{:x}", rand::rng().random::<u128>())
}

impl Service {
    async fn new() -> Self {
        Self::at(Authd::start().await, None).await
    }

    async fn at(authd: Authd, connection: Option<&str>) -> Self {
        let acme = authd.operate("organization.create", json!({"name": "Acme"})).await;
        let organization = acme["id"].as_str().unwrap().to_owned();
        Self::of(authd, organization, connection).await
    }

    async fn of(authd: Authd, organization: String, connection: Option<&str>) -> Self {
        let secret = fresh_secret();
        let mut input = json!({"organization": organization, "secret": secret});
        if let Some(connection) = connection {
            input["connection"] = connection.into();
        }
        let made = authd.operate("inbound.create", input).await;
        assert_eq!(made.get("secret"), None, "one of ones own is not shown");
        let id = made["id"].as_str().unwrap().to_owned();
        assert!(made["url"].as_str().unwrap().ends_with(&format!("/webhooks/inbound/{id}")));
        Self { authd, organization, id, secret }
    }

    fn sign(&self, family: &str, id: &str, seconds: i64, body: &[u8]) -> Sent {
        let signature = Webhook::new(&self.secret).unwrap().sign(id, seconds, body).unwrap();
        let headers = [("id", id.to_owned()), ("timestamp", seconds.to_string()), ("signature", signature)];
        Sent {
            headers: headers.into_iter().map(|(name, value)| (format!("{family}-{name}"), value)).collect(),
            body: body.to_vec(),
        }
    }

    fn message(&self, body: &Value) -> Sent {
        let family = if rand::rng().random() { "svix" } else { "webhook" };
        self.sign(family, &message_id(), self.authd.env().now().seconds(), body.to_string().as_bytes())
    }

    async fn send(&self, sent: &Sent) -> (StatusCode, Value) {
        self.send_to(&self.id, sent).await
    }

    async fn send_to(&self, id: &str, sent: &Sent) -> (StatusCode, Value) {
        let path = format!("/webhooks/inbound/{id}");
        let mut request =
            Request::post(path).header("host", "127.0.0.1:8080").header("content-type", "application/json");
        for (name, value) in &sent.headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(sent.body.clone())).unwrap();
        request.extensions_mut().insert(Peer::Tcp("192.0.2.77:4000".parse().unwrap()));
        let response = self.authd.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    /// Tells it, and answers what became of it.
    async fn tell(&self, body: &Value) -> String {
        let (status, answer) = self.send(&self.message(body)).await;
        match (status, &answer["reason"]) {
            (StatusCode::OK, Value::String(reason)) => format!("{}: {reason}", answer["outcome"].as_str().unwrap()),
            (StatusCode::OK, _) => answer["outcome"].as_str().unwrap().to_owned(),
            _ => format!("{} {}", status.as_u16(), answer["code"].as_str().unwrap()),
        }
    }

    async fn people(&self) -> Vec<Value> {
        let listed = self.authd.operate("user.list", json!({"organization": self.organization})).await;
        listed["items"].as_array().unwrap().clone()
    }

    async fn person(&self, email: &str) -> Value {
        let people = self.people().await;
        people.iter().find(|person| person["email"] == email).unwrap_or_else(|| panic!("{people:?}")).clone()
    }

    async fn kinds(&self) -> Vec<EventKind> {
        self.authd.events().await.into_iter().map(|event| event.kind).collect()
    }

    async fn count(&self, kind: EventKind) -> usize {
        self.kinds().await.into_iter().filter(|other| *other == kind).count()
    }
}

/// A person as Clerk describes them.
fn person(kind: &str, id: &str, email: &str, updated_at: i64) -> Value {
    json!({
        "object": "event", "type": kind, "timestamp": updated_at,
        "data": {
            "id": id, "object": "user", "first_name": "Ada", "last_name": "Lovelace", "username": null,
            "image_url": "https://img.example.test/ada.png", "banned": false, "locked": false,
            "primary_email_address_id": "idn_1",
            "email_addresses": [
                {"id": "idn_0", "email_address": "old@acme.test", "verification": {"status": "verified"}},
                {"id": "idn_1", "email_address": email, "verification": {"status": "verified", "strategy": "email_code"}},
            ],
            "public_metadata": {}, "created_at": 1_600_000_000_000_i64, "updated_at": updated_at,
        },
    })
}

fn deleted(id: &str) -> Value {
    json!({"object": "event", "type": "user.deleted", "data": {"deleted": true, "id": id, "object": "user"}})
}

#[tokio::test]
async fn wh_02_a_message_is_believed_for_its_signature_and_its_time_alone() {
    let service = Service::new().await;
    let now = service.authd.env().now().seconds();
    let body = person("user.created", "user_1", "ada@acme.test", now * 1000).to_string().into_bytes();
    let others = Service::of(service.authd.clone(), service.organization.clone(), None).await;
    let family = || if rand::rng().random() { "svix" } else { "webhook" };
    let good = || service.sign(family(), &message_id(), now, &body);
    let mut wrong: Vec<(String, Sent)> = Vec::new();
    let mut add = |name: &str, change: &dyn Fn(&mut Sent)| {
        let mut sent = good();
        change(&mut sent);
        wrong.push((name.to_owned(), sent));
    };
    for name in ["id", "timestamp", "signature"] {
        add(&format!("no {name}"), &|sent| sent.headers.retain(|(key, _)| !key.ends_with(name)));
        add(&format!("two of {name}"), &|sent| {
            let twice = sent.headers.iter().find(|(key, _)| key.ends_with(name)).unwrap().clone();
            sent.headers.push(twice);
        });
        add(&format!("empty {name}"), &|sent| sent.set(name, ""));
    }
    add("another id", &|sent| sent.set("id", message_id()));
    for other in ["v1a,", "v2,", "v0,", "V1,", ",", ""] {
        add(&format!("version {other:?}"), &|sent| {
            let signature = sent.header("signature").replace("v1,", other);
            sent.set("signature", signature);
        });
    }
    add("v1 without a signature", &|sent| sent.set("signature", "v1,"));
    add("signatures with commas between", &|sent| {
        let signature = sent.header("signature");
        sent.set("signature", format!("v1,AAAA,{signature}"));
    });
    for at in 0..24 {
        add(&format!("a bit of byte {at}"), &|sent| {
            let mut signature = STANDARD.decode(&sent.header("signature")[3..]).unwrap();
            let place = rand::rng().random_range(0..signature.len());
            signature[place] ^= 1 << rand::rng().random_range(0..8);
            sent.set("signature", format!("v1,{}", STANDARD.encode(signature)));
        });
    }
    for cut in [1, 8, 16, 31] {
        add(&format!("the first {cut} bytes"), &|sent| {
            let signature = STANDARD.decode(&sent.header("signature")[3..]).unwrap();
            sent.set("signature", format!("v1,{}", STANDARD.encode(&signature[..cut])));
        });
        add(&format!("{cut} bytes more"), &|sent| {
            let mut signature = STANDARD.decode(&sent.header("signature")[3..]).unwrap();
            signature.extend(vec![0; cut]);
            sent.set("signature", format!("v1,{}", STANDARD.encode(signature)));
        });
    }
    add("the body written anew", &|sent| {
        let value: Value = serde_json::from_slice(&sent.body).unwrap();
        sent.body = serde_json::to_vec_pretty(&value).unwrap();
    });
    add("a space more", &|sent| sent.body.push(b' '));
    add("another person", &|sent| {
        sent.body = String::from_utf8(sent.body.clone()).unwrap().replace("user_1", "user_2").into_bytes();
    });
    for off in [301, -301, 3600, -86_400, 10_000_000] {
        add(&format!("{off} s off"), &|sent| {
            *sent = service.sign("webhook", &sent.header("id"), now + off, &body);
        });
        // A time that is good, and was not signed.
        add(&format!("the time moved by {off}"), &|sent| {
            let signed = service.sign("svix", &sent.header("id"), now + off, &body);
            sent.set("signature", signed.header("signature"));
        });
    }
    for text in [format!("+{now}"), format!("{now}.0"), format!(" {now}"), format!("{now}000"), "now".to_owned()] {
        add(&format!("the time as {text:?}"), &|sent| sent.set("timestamp", text.clone()));
    }
    wrong.push(("the secret of another address".to_owned(), others.sign(family(), &message_id(), now, &body)));
    let mut half = service.sign("svix", "msg_x", now, &body);
    half.headers[2].0 = "webhook-signature".to_owned();
    wrong.push(("headers of both families".to_owned(), half));
    wrong.shuffle(&mut rand::rng());
    assert!(wrong.len() > 60);
    for (name, sent) in &wrong {
        let (status, answer) = service.send(sent).await;
        assert_eq!(
            (status, &answer["code"]),
            (StatusCode::UNAUTHORIZED, &json!("webhook_signature")),
            "{name}: {sent:?}"
        );
    }
    assert!(service.people().await.is_empty());
    let told = service.kinds().await;
    assert!(told.contains(&EventKind::InboundRefused) && !told.contains(&EventKind::InboundApplied));
    // At the edges, and among signatures that are none of ours, it is good.
    for off in [300, -300, 0] {
        let mut sent = service.sign(family(), &message_id(), now + off, &body);
        let mut list = [sent.header("signature"), "v1a,AAAA".to_owned(), format!("v1,{}", STANDARD.encode([7; 32]))];
        list.shuffle(&mut rand::rng());
        sent.set("signature", list.join(" "));
        assert_eq!(service.send(&sent).await.0, StatusCode::OK, "{off}");
    }
    assert_eq!(service.people().await.len(), 1);
}

#[tokio::test]
async fn wh_02_a_flood_of_unsigned_messages_is_counted_and_a_signed_one_still_passes() {
    let service = Service::new().await;
    let mut codes = BTreeSet::new();
    for _ in 0..400 {
        let mut sent = service.message(&deleted("user_1"));
        sent.set("signature", format!("v1,{}", STANDARD.encode(rand::rng().random::<[u8; 32]>())));
        let (status, _) = service.send(&sent).await;
        codes.insert(status.as_u16());
    }
    assert_eq!(codes, BTreeSet::from([401, 429]));
    assert!(service.count(EventKind::InboundRefused).await <= 10, "a flood does not fill the log");
    let now = service.authd.env().now().millis();
    assert_eq!(service.tell(&person("user.created", "user_1", "ada@acme.test", now)).await, "applied");
}

#[tokio::test]
async fn wh_02_an_unsigned_flood_writes_no_more_than_its_limit() {
    let service = Service::new().await;
    let written = || service.authd.env().meters().commits.read().count;
    let unsigned = || {
        let mut sent = service.message(&deleted("user_1"));
        sent.set("signature", format!("v1,{}", STANDARD.encode(rand::rng().random::<[u8; 32]>())));
        sent
    };
    let before = written();
    while service.send(&unsigned()).await.0 != StatusCode::TOO_MANY_REQUESTS {
        assert!(written() - before <= 300, "it never ends");
    }
    let (full, log) = (written(), service.authd.app.world.store.log_seq());
    for _ in 0..200 {
        assert_eq!(service.send(&unsigned()).await.0, StatusCode::TOO_MANY_REQUESTS);
    }
    assert_eq!((written(), service.authd.app.world.store.log_seq()), (full, log), "the disk hears nothing of it");
    // Another minute is another limit, and what the first one did not tell is told as one count.
    service.authd.env().advance(Duration::from_secs(180));
    assert_eq!(service.send(&unsigned()).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(service.count(EventKind::RefusalsCounted).await, 1);
}

#[tokio::test]
async fn wh_03_a_message_counts_once_whoever_sends_it_again_and_whatever_restarts() {
    let mut service = Service::new().await;
    let now = service.authd.env().now().millis();
    let sent = service.message(&person("user.created", "user_1", "ada@acme.test", now));
    let all = futures_util::future::join_all((0..64).map(|_| service.send(&sent))).await;
    let outcomes: Vec<&str> = all.iter().map(|(_, answer)| answer["outcome"].as_str().unwrap()).collect();
    assert!(all.iter().all(|(status, _)| *status == StatusCode::OK));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == "applied").count(), 1, "{outcomes:?}");
    assert_eq!(service.count(EventKind::UserCreated).await, 1);
    assert_eq!(service.people().await.len(), 1);
    let events = service.authd.events().await;
    let duplicate = events.iter().find(|event| event.kind == EventKind::InboundDuplicate).unwrap();
    assert_eq!(duplicate.error_code.as_deref(), Some("webhook_duplicate"));
    service.authd = service.authd.restarted().await;
    assert_eq!(service.send(&sent).await.1["outcome"], "duplicate");
    // The sender's own second try is signed afresh, and has the id of the first.
    service.authd.env().advance(Duration::from_secs(23 * 3600));
    let (id, seconds) = (sent.header("id"), service.authd.env().now().seconds());
    let again = service.sign("webhook", &id, seconds, deleted("user_1").to_string().as_bytes());
    assert_eq!(service.send(&again).await.1["outcome"], "duplicate");
    assert_eq!(service.people().await[0]["status"], "active");
    // The same id at another address is another message.
    let other = Service::of(service.authd.clone(), service.organization.clone(), None).await;
    let body = person("user.created", "user_9", "bea@acme.test", now).to_string();
    let elsewhere = other.sign("svix", &id, seconds, body.as_bytes());
    assert_eq!(other.send(&elsewhere).await.1["outcome"], "applied");
}

#[tokio::test]
async fn a_message_that_was_refused_succeeds_once_what_was_wrong_is_mended() {
    let service = Service::new().await;
    let now = service.authd.env().now().millis();
    let taken = json!({"organization": service.organization, "email": "ada@acme.test"});
    let holder = service.authd.operate("user.create", taken).await;
    let sent = service.message(&person("user.created", "user_1", "ada@acme.test", now));
    let (status, answer) = service.send(&sent).await;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::CONFLICT, &json!("taken")),
        "nobody is taken over by an address"
    );
    assert_eq!(service.people().await.len(), 1);
    service.authd.operate("user.delete", json!({"id": holder["id"]})).await;
    assert_eq!(service.send(&sent).await.1["outcome"], "applied");
}

#[tokio::test]
async fn people_are_made_known_changed_and_end_and_nothing_goes_backwards() {
    let service = Service::new().await;
    let start = service.authd.env().now().millis();
    assert_eq!(service.tell(&person("user.created", "user_1", "ada@acme.test", start)).await, "applied");
    let ada = service.person("ada@acme.test").await;
    assert_eq!(
        (&ada["name"], &ada["emailVerified"]),
        (&json!("Ada Lovelace"), &json!(false)),
        "nobody owns the domain"
    );
    let mut newer = person("user.updated", "user_1", "ada@new.test", start + 5_000);
    newer["data"]["last_name"] = json!("King");
    assert_eq!(service.tell(&newer).await, "applied");
    for (older, kind) in [(start + 4_999, "user.updated"), (start, "user.created"), (1, "user.updated")] {
        assert_eq!(service.tell(&person(kind, "user_1", "ada@acme.test", older)).await, "passed_over: stale");
    }
    assert_eq!(service.person("ada@new.test").await["name"], "Ada King");
    // An update of somebody unknown makes them known: the creation may have been overtaken, and then comes too late.
    assert_eq!(service.tell(&person("user.updated", "user_2", "bea@acme.test", start + 10)).await, "applied");
    assert_eq!(service.tell(&person("user.created", "user_2", "old@acme.test", start)).await, "passed_over: stale");
    assert_eq!(service.people().await.len(), 2);
    assert_eq!(service.tell(&deleted("user_1")).await, "applied");
    assert_eq!(service.person("ada@new.test").await["status"], "deprovisioned");
    assert_eq!(service.tell(&deleted("user_1")).await, "passed_over: deleted");
    for at in [start + 6_000, start + 999_000] {
        assert_eq!(service.tell(&person("user.updated", "user_1", "ada@new.test", at)).await, "passed_over: deleted");
    }
    // Also of somebody who was never known.
    assert_eq!(service.tell(&deleted("user_3")).await, "passed_over: unknown");
    assert_eq!(service.tell(&person("user.created", "user_3", "cy@acme.test", start)).await, "passed_over: deleted");
    assert_eq!(service.tell(&json!({"type": "session.created", "data": {"id": "sess_1"}})).await, "passed_over: kind");
    assert_eq!(service.people().await.len(), 2);
    let applied = service.authd.events().await.into_iter().filter(|event| event.kind == EventKind::InboundApplied);
    let actors: BTreeSet<_> = applied.map(|event| (event.actor_type, event.actor_id)).collect();
    assert_eq!(actors, BTreeSet::from([("webhook".to_owned(), Some(service.id.clone()))]));
}

#[tokio::test]
async fn any_order_of_a_persons_messages_ends_in_their_newest_state() {
    for _ in 0..8 {
        let service = Service::new().await;
        let start = service.authd.env().now().millis();
        let mut messages: Vec<Value> = (0..6)
            .map(|step: i64| {
                let kind = if step == 0 { "user.created" } else { "user.updated" };
                let mut told = person(kind, "user_1", &format!("ada{step}@acme.test"), start + step * 1_000);
                told["data"]["first_name"] = json!(format!("Ada{step}"));
                told
            })
            .collect();
        let ends = rand::rng().random::<bool>();
        if ends {
            messages.push(deleted("user_1"));
        }
        messages.shuffle(&mut rand::rng());
        let first_is_end = messages[0]["type"] == "user.deleted";
        for message in &messages {
            service.tell(message).await;
        }
        let people = service.people().await;
        if first_is_end {
            assert!(people.is_empty());
        } else if ends {
            assert_eq!(people[0]["status"], "deprovisioned");
        } else {
            assert_eq!((&people[0]["email"], &people[0]["givenName"]), (&json!("ada5@acme.test"), &json!("Ada5")));
        }
    }
}

#[tokio::test]
async fn what_an_administrator_or_another_source_ended_no_message_gives_back() {
    let service = Service::new().await;
    let start = service.authd.env().now().millis();
    service.tell(&person("user.created", "user_1", "ada@acme.test", start)).await;
    let id = service.person("ada@acme.test").await["id"].clone();
    service.authd.operate("user.suspend", json!({"id": id})).await;
    let mut told = person("user.updated", "user_1", "ada@acme.test", start + 1);
    told["data"]["first_name"] = json!("Augusta");
    assert_eq!(service.tell(&told).await, "applied");
    let ada = service.person("ada@acme.test").await;
    assert_eq!((&ada["status"], &ada["givenName"]), (&json!("suspended"), &json!("Augusta")));
    // Banned there and free again: what an administrator ended stays so.
    let ban = |at: i64, banned: bool| {
        let mut told = person("user.updated", "user_1", "ada@acme.test", start + at);
        told["data"]["banned"] = json!(banned);
        told
    };
    assert_eq!(service.tell(&ban(2, true)).await, "applied");
    assert_eq!(service.tell(&ban(3, false)).await, "403 suspended_by_admin");
    assert_eq!(service.person("ada@acme.test").await["status"], "suspended");
    // Without the administrator the service's own word counts both ways.
    service.authd.operate("user.reactivate", json!({"id": id})).await;
    assert_eq!(service.tell(&ban(4, true)).await, "applied");
    assert_eq!(service.person("ada@acme.test").await["status"], "deprovisioned");
    assert_eq!(service.tell(&ban(5, false)).await, "applied");
    assert_eq!(service.person("ada@acme.test").await["status"], "active");
}

#[tokio::test]
async fn deleted_there_is_deleted_here_where_the_policy_says_hard() {
    let service = Service::new().await;
    let start = service.authd.env().now().millis();
    let patch = json!({"provisioning": {"deprovision": {"mode": "hard"}}});
    service.authd.operate("policy.update", json!({"organization": service.organization, "patch": patch})).await;
    service.tell(&person("user.created", "user_1", "ada@acme.test", start)).await;
    assert_eq!(service.tell(&deleted("user_1")).await, "applied");
    assert!(service.people().await.is_empty());
    assert_eq!(
        service.tell(&person("user.updated", "user_1", "ada@acme.test", start + 9)).await,
        "passed_over: deleted"
    );
}

#[tokio::test]
async fn with_a_connection_people_are_who_they_are_when_they_sign_in_and_its_domains_count() {
    let authd = Authd::start().await;
    let acme = authd.operate("organization.create", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    let wish = json!({
        "organization": acme, "protocol": "oidc", "name": "Clerk", "issuer": "https://clerk.acme.test",
        "clientId": "authd", "clientSecret": "a-secret-of-the-provider",
    });
    let connection = authd.operate("connection.create", wish).await["id"].as_str().unwrap().to_owned();
    let claim = json!({"connection": connection, "domain": "acme.test"});
    authd.operate("domain.add", claim).await;
    authd.operate("domain.verify", json!({"connection": connection, "domain": "acme.test", "force": true})).await;
    let service = Service::of(authd, acme, Some(&connection)).await;
    let start = service.authd.env().now().millis();
    assert_eq!(service.tell(&person("user.created", "user_1", "ada@acme.test", start)).await, "applied");
    let ada = service.person("ada@acme.test").await;
    assert_eq!(ada["emailVerified"], true);
    let theirs = json!({"organization": service.organization, "user": ada["id"]});
    let identities = service.authd.operate("identity.list", theirs).await;
    assert_eq!(
        (&identities["items"][0]["subject"], &identities["items"][0]["connection"]),
        (&json!("user_1"), &json!(connection))
    );
    // An address that the service has not verified stands for nobody, though the domain is the connection's.
    let known = json!({"organization": service.organization, "email": "boss@acme.test", "roles": ["owner"]});
    service.authd.operate("user.create", known).await;
    let mut squatter = person("user.created", "user_2", "boss@acme.test", start);
    squatter["data"]["email_addresses"][1]["verification"]["status"] = json!("unverified");
    assert_eq!(service.tell(&squatter).await, "409 taken");
    let mut newcomer = person("user.created", "user_3", "new@acme.test", start);
    newcomer["data"]["email_addresses"][1]["verification"]["status"] = json!("unverified");
    assert_eq!(service.tell(&newcomer).await, "applied");
    assert_eq!(service.person("new@acme.test").await["emailVerified"], false);
    // Verified later, it is.
    assert_eq!(service.tell(&person("user.updated", "user_3", "new@acme.test", start + 1)).await, "applied");
    assert_eq!(service.person("new@acme.test").await["emailVerified"], true);
    // A domain that is another's is not spoken for.
    assert_eq!(
        service.tell(&person("user.created", "user_4", "x@elsewhere.test", start)).await,
        "403 email_domain_not_owned"
    );
}

#[tokio::test]
async fn wh_04_while_the_secret_of_an_address_changes_both_are_good() {
    let mut service = Service::new().await;
    let ignored = json!({"type": "session.created", "data": {}});
    let old = service.secret.clone();
    let made = service.authd.operate("inbound.rotate_secret", json!({"id": service.id})).await;
    let new = made["secret"].as_str().unwrap().to_owned();
    assert_eq!(made["secrets"], 2);
    for (secret, good) in [(&old, true), (&new, true)] {
        service.secret.clone_from(secret);
        assert_eq!(service.tell(&ignored).await == "passed_over: kind", good);
    }
    // Signed with both, as a sender does who changes as well.
    let now = service.authd.env().now().seconds();
    let body = ignored.to_string();
    let mut both = service.sign("svix", "msg_both", now, body.as_bytes());
    let newer = both.header("signature");
    service.secret.clone_from(&old);
    let older = service.sign("svix", "msg_both", now, body.as_bytes()).header("signature");
    both.set("signature", format!("{older} {newer}"));
    assert_eq!(service.send(&both).await.0, StatusCode::OK);
    service.authd.env().advance(Duration::from_secs(24 * 3600));
    assert_eq!(service.tell(&ignored).await, "401 webhook_signature");
    service.secret.clone_from(&new);
    assert_eq!(service.tell(&ignored).await, "passed_over: kind");
    let given = fresh_secret();
    let input = json!({"id": service.id, "secret": given, "now": true});
    let made = service.authd.operate("inbound.rotate_secret", input).await;
    assert_eq!((&made["secrets"], made.get("secret")), (&json!(1), None));
    assert_eq!(service.tell(&ignored).await, "401 webhook_signature");
    service.secret = given;
    assert_eq!(service.tell(&ignored).await, "passed_over: kind");
    let log = service.authd.operate("audit.list", json!({"limit": 1000})).await.to_string();
    let shown = service.authd.operate("inbound.get", json!({"id": service.id})).await.to_string();
    for secret in [old, new, service.secret.clone()] {
        let bare = secret.trim_start_matches("whsec_");
        assert!(!log.contains(bare) && !shown.contains(bare));
    }
}

#[tokio::test]
async fn bounds_come_before_the_reading_and_a_message_without_sense_is_refused() {
    let service = Service::new().await;
    let now = service.authd.env().now().seconds();
    let large = vec![b' '; 256 * 1024 + 1];
    let (status, answer) = service.send(&service.sign("svix", "msg_1", now, &large)).await;
    assert_eq!((status, &answer["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("too_large")));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for body in ["", "null", "[]", "{", "\u{feff}{}", "{\"type\": \"user.created\"}", &deep] {
        let (status, answer) = service.send(&service.sign("svix", &message_id(), now, body.as_bytes())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
    }
    for id in ["inb_00000000000000000000000000", "nothing", "whe_00000000000000000000000000"] {
        assert_eq!(service.send_to(id, &service.message(&deleted("user_1"))).await.0, StatusCode::NOT_FOUND);
    }
    // Removed, or of an organization that is disabled, it takes nothing any more.
    service.authd.operate("organization.disable", json!({"id": service.organization})).await;
    assert_eq!(service.tell(&deleted("user_1")).await, "403 organization_disabled");
    service.authd.operate("organization.enable", json!({"id": service.organization})).await;
    service.authd.operate("inbound.delete", json!({"id": service.id})).await;
    assert_eq!(service.tell(&deleted("user_1")).await, "404 not_found");
}

#[tokio::test]
async fn a_message_of_one_organization_touches_nobody_of_another() {
    let service = Service::new().await;
    let start = service.authd.env().now().millis();
    let other = Service::at(service.authd.clone(), None).await;
    service.tell(&person("user.created", "user_1", "ada@acme.test", start)).await;
    other.tell(&person("user.created", "user_1", "ada@acme.test", start)).await;
    assert_eq!(other.tell(&deleted("user_1")).await, "applied");
    assert_eq!(service.person("ada@acme.test").await["status"], "active");
    let stranger = Caller::User {
        id: None,
        organization: other.organization.parse().unwrap(),
        grants: authd::access::Role::Owner.grants(),
    };
    let cx = service.authd.app.context(stranger, Origin::internal(service.authd.env()));
    for name in ["get", "rotate_secret", "delete"] {
        let asked = service.authd.app.perform(&cx, &format!("inbound.{name}"), json!({"id": service.id})).await;
        assert_eq!(asked.unwrap_err().code(), "not_found", "{name}");
    }
}

#[tokio::test]
async fn what_is_remembered_of_a_person_says_nothing_of_who_it_was() {
    use authd::store::{Query, Record as _};
    use authd::webhook::KnownPerson;
    let service = Service::new().await;
    let now = service.authd.env().now().millis();
    let subject = format!("user_{:x}", rand::rng().random::<u64>());
    assert_eq!(service.tell(&person("user.created", &subject, "ada@acme.test", now)).await, "applied");
    let ada = service.person("ada@acme.test").await;
    assert_eq!(service.tell(&deleted(&subject)).await, "applied");
    service.authd.operate("user.erase", json!({"id": ada["id"], "organization": service.organization})).await;
    while authd::care::erasure::turn(&service.authd.app.world).await.unwrap() {}
    let store = &service.authd.app.world.store;
    let known = store.page::<KnownPerson>(Query::all()).await.unwrap().items;
    assert_eq!(known.len(), 1, "that there was somebody is remembered");
    let kept = [minicbor::to_vec(&known[0].value).unwrap(), known[0].key().as_bytes().to_vec()].concat();
    let digests = [authd::crypto::sha256(&[subject.as_bytes()]), authd::crypto::hmac_sha256(b"", subject.as_bytes())];
    for clear in [subject.as_bytes(), b"ada@acme.test", &digests[0], &digests[1]] {
        assert!(!kept.windows(clear.len()).any(|part| part == clear), "whoever has the file finds out who it was");
    }
    // Another address remembers the same person as somebody else.
    let other = Service::of(service.authd.clone(), service.organization.clone(), None).await;
    assert_eq!(other.tell(&deleted(&subject)).await, "passed_over: unknown");
    let known = store.page::<KnownPerson>(Query::all()).await.unwrap().items;
    assert!(known.len() == 2 && known[0].who != known[1].who);
    // And nobody comes back, whatever comes late, also under another secret and after a restart.
    service.authd.operate("inbound.rotate_secret", json!({"id": service.id})).await;
    let service = Service { authd: service.authd.restarted().await, ..service };
    let late = person("user.updated", &subject, "ada@acme.test", now + 1_000);
    assert_eq!(service.tell(&late).await, "passed_over: deleted");
    assert!(service.people().await.is_empty());
}

#[tokio::test]
async fn a_service_of_a_deleted_connection_is_told_to_come_again_and_nothing_is_lost() {
    let authd = Authd::start().await;
    let acme = authd.operate("organization.create", json!({"name": "Acme"})).await["id"].as_str().unwrap().to_owned();
    let made = json!({
        "organization": acme, "protocol": "oidc", "name": "Clerk", "issuer": "https://clerk.acme.test",
        "clientId": "authd", "clientSecret": "a-secret-of-the-provider",
    });
    let connection = authd.operate("connection.create", made).await["id"].as_str().unwrap().to_owned();
    let service = Service::of(authd, acme, Some(&connection)).await;
    let now = service.authd.env().now().millis();
    assert_eq!(service.tell(&person("user.created", "user_1", "ada@acme.test", now)).await, "applied");
    service.authd.operate("connection.delete", json!({"id": connection})).await;
    let leaving = service.message(&deleted("user_1"));
    let coming = service.message(&person("user.created", "user_2", "bea@acme.test", now));
    for sent in [&leaving, &coming, &leaving] {
        let (status, answer) = service.send(sent).await;
        assert_eq!((status, &answer["code"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("connection_deleted")));
    }
    // Whoever looks into the log sees why the people are not those of the service.
    let events = service.authd.events().await;
    let refused: Vec<_> = events.iter().filter(|event| event.kind == EventKind::InboundRefused).collect();
    assert_eq!(refused.len(), 3);
    assert_eq!(refused[0].error_code.as_deref(), Some("connection_deleted"));
    // One that is not signed is told nothing of it.
    let mut unsigned = leaving.clone();
    unsigned.set("signature", "v1,AAAA");
    assert_eq!(service.send(&unsigned).await.0, StatusCode::UNAUTHORIZED);
    service.authd.operate("connection.restore", json!({"id": connection})).await;
    assert_eq!(service.send(&coming).await.1["outcome"], "applied");
    assert_eq!(service.send(&leaving).await.1["outcome"], "applied");
    let people = service.people().await;
    let left = people.iter().find(|person| person["email"] == "ada@acme.test");
    assert!(left.is_none_or(|person| person["status"] == "deprovisioned"), "{people:?}");
    assert!(people.iter().any(|person| person["email"] == "bea@acme.test"));
    // Gone for good, there is nothing to come again for.
    service.authd.operate("connection.delete", json!({"id": connection})).await;
    service.authd.env().advance(Duration::from_secs(31 * 86_400));
    assert!(service.tell(&person("user.created", "user_3", "cay@acme.test", now)).await.starts_with("404"));
}
