//! WH-06: what is delivered holds no secret: not of the operations, and not of an event that was made without care.

use authd::access::Caller;
use authd::event::{EventKind, Origin};
use authd::store::Batch;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rand::Rng as _;
use serde_json::{Value, json};

use super::Scene;

fn letters() -> String {
    URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 32]>())
}

/// Something secret, and the part of it that must not be seen.
fn secret() -> (String, String) {
    let part = letters();
    let prefixes = ["ak_", "rt_", "cs_", "ac_", "dc_", "scim_", "scat_", "whsec_"];
    let text = match rand::rng().random_range(0..4) {
        0 => format!("eyJhbGciOiJFUzI1NiJ9.{part}.{}", letters()),
        1 => format!("<saml:Assertion ID=\"{part}\">"),
        _ => format!("{}{part}", prefixes[rand::rng().random_range(0..prefixes.len())]),
    };
    (text, part)
}

/// Somewhere in the data of an event.
fn hidden(text: &str) -> Value {
    match rand::rng().random_range(0..5) {
        0 => json!(text),
        1 => json!(["x", text]),
        2 => json!({"deep": {"er": [text]}}),
        3 => json!(format!("the other side said: {text}, and no more")),
        _ => json!(format!("https://app.test/cb?x={text}&y=1")),
    }
}

#[tokio::test]
async fn wh_06_no_event_of_any_kind_delivers_a_secret_that_somebody_put_into_it() {
    let scene = Scene::new().await;
    scene.endpoint("app.test", json!({})).await;
    let organization = scene.acme.parse().unwrap();
    let cx = scene.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
    let mut secrets = Vec::new();
    let kinds: Vec<EventKind> =
        EventKind::ALL.iter().copied().filter(|kind| !kind.name().starts_with("webhook.delivery.")).collect();
    for (place, kind) in kinds.iter().enumerate() {
        let (text, part) = secret();
        let mut event = cx.event(*kind).within(organization).about("user", format!("usr_{place}"));
        if *kind == EventKind::WebhookEndpointTested {
            // For the endpoint that is tested alone.
            let listed = scene.authd.operate("webhook.list", json!({"organization": scene.acme})).await;
            event = event.about("webhook_endpoint", listed["items"][0]["id"].as_str().unwrap());
        }
        let mut short = letters();
        short.truncate(12);
        // By what it looks like, and by what it is called.
        event = event.with("note", hidden(&text)).with("client_secret", short.clone());
        event = event.with("plain", format!("plain-{}", kind.name()));
        secrets.extend([part, short]);
        let mut batch = Batch::new();
        batch.log(event);
        cx.store.commit(batch).await.unwrap();
    }
    while scene.turn().await > 0 {
        scene.authd.env().advance(std::time::Duration::from_millis(200));
    }
    let heard = scene.heard("app.test");
    for kind in &kinds {
        let body = heard.iter().find(|heard| {
            heard.kind() == kind.name() && heard.json()["data"]["data"]["plain"] == format!("plain-{}", kind.name())
        });
        let body = body.unwrap_or_else(|| panic!("{kind} was not delivered"));
        assert!(body.json()["data"]["data"].to_string().contains("[redacted]"), "{kind}");
    }
    let everything: String = heard.iter().map(|heard| String::from_utf8(heard.body.clone()).unwrap()).collect();
    let log = scene.authd.operate("audit.export", json!({"limit": 1000})).await.to_string();
    for part in secrets {
        assert!(!everything.contains(&part) && !log.contains(&part), "{part}");
    }
}

/// Every text of an answer that is longer than a name, below a field that is called like a secret.
pub fn secrets_of(value: &Value, out: &mut Vec<String>) {
    let Value::Object(map) = value else {
        if let Value::Array(items) = value {
            items.iter().for_each(|item| secrets_of(item, out));
        }
        return;
    };
    for (name, value) in map {
        let named = ["secret", "token", "key", "password"].iter().any(|word| name.to_lowercase().ends_with(word));
        match value {
            Value::String(text) if named && text.len() >= 24 => {
                out.push(text.clone());
                // Without its prefix, and as its bytes' hash may be kept.
                let bare = text.rsplit('_').next().unwrap_or(text);
                out.push(bare.to_owned());
                out.push(URL_SAFE_NO_PAD.encode(authd::crypto::sha256(&[text.as_bytes()])));
                out.push(STANDARD.encode(authd::crypto::sha256(&[text.as_bytes()])));
            }
            other => secrets_of(other, out),
        }
    }
}

#[tokio::test]
async fn wh_06_what_operations_make_secret_is_in_nothing_that_is_delivered() {
    let scene = Scene::new().await;
    let (endpoint, first) = scene.endpoint("app.test", json!({})).await;
    let acme = scene.acme.clone();
    let app = json!({"organization": acme, "name": "Wiki", "redirectUris": ["https://wiki.test/cb"]});
    let planted = letters();
    let connection = json!({
        "organization": acme, "protocol": "oidc", "name": "Okta", "clientId": "authd",
        "clientSecret": planted,
    });
    let inbound = scene.authd.operate("inbound.create", json!({"organization": acme})).await;
    let mut secrets = vec![first, planted];
    secrets_of(&inbound, &mut secrets);
    for (name, input) in [
        ("api_key.create", json!({"organization": acme, "name": "key", "grants": ["user.read"]})),
        ("scim.token.create", json!({"organization": acme, "label": "Okta"})),
        ("app.create", app),
        ("connection.create", connection),
        ("token.issue", json!({"organization": acme, "role": "viewer"})),
        ("webhook.rotate_secret", json!({"id": endpoint})),
        ("inbound.rotate_secret", json!({"id": inbound["id"]})),
    ] {
        let answer = scene.authd.operate(name, input).await;
        let before = secrets.len();
        secrets_of(&answer, &mut secrets);
        assert!(secrets.len() > before || name == "connection.create", "{name} shows none: {answer}");
    }
    while scene.turn().await > 0 {
        scene.authd.env().advance(std::time::Duration::from_millis(200));
    }
    let heard = scene.heard("app.test");
    assert!(heard.len() >= 7, "{}", heard.len());
    for heard in heard {
        let body = String::from_utf8(heard.body.clone()).unwrap();
        for secret in secrets.iter().filter(|secret| secret.len() >= 16) {
            assert!(!body.contains(secret.as_str()), "{}: {body}", heard.kind());
        }
    }
}
