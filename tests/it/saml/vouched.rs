//! Who vouches for the metadata that answers are checked with, and for how long.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use authd::access::Caller;
use authd::connection::Connection;
use authd::connection::saml::{self, IdpMetadata};
use authd::env::Timestamp;
use authd::event::{EventKind, Origin};
use authd::store::{Batch, Stored};
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::logout::{query, signed};
use super::scene::{Published, Scene};
use crate::world::authd::{Browser, Reply};
use crate::world::saml::{Idp, Key, NOW, Prefixes, Signing, fresh, metadata, pem, posted, sign};

const HOUR: Duration = Duration::from_secs(3600);

/// Metadata that is signed itself.
fn vouched(xml: &str, key: &Key) -> String {
    let id = fresh("_m");
    let named = xml.replacen("<md:EntityDescriptor ", &format!("<md:EntityDescriptor ID=\"{id}\" "), 1);
    let prefixes = Prefixes { signature: "ds".into(), ..Prefixes::random() };
    sign(&named, &id, key, &Signing::with(key), &prefixes)
}

/// The same provider with another key.
fn rolled(idp: &Idp) -> Idp {
    let mut next = Idp::new();
    next.entity_id.clone_from(&idp.entity_id);
    next
}

async fn shown(scene: &Scene) -> Value {
    scene.authd.operate("connection.get_saml", json!({"id": scene.connection})).await["identityProvider"].clone()
}

fn print(idp: &Idp) -> String {
    saml::thumbprint(&idp.key.certificate)
}

#[tokio::test]
async fn metadata_over_plain_http_is_believed_of_this_machine_alone_or_for_a_pinned_signature() {
    let scene = Scene::new().await;
    let (before, events) = (shown(&scene).await, scene.authd.events().await.len());
    let create =
        |url: &str| json!({"organization": scene.organization, "protocol": "saml", "name": "Two", "metadataUrl": url});
    for url in [
        "http://idp.example/metadata",
        "HTTP://IDP.EXAMPLE/metadata",
        "http://idp.example:8443/metadata",
        "http://10.1.2.3/metadata",
        "http://[fd00::1]:8080/metadata",
        "http://localhost.idp.example/metadata",
        "http://127.0.0.1.idp.example/metadata",
        "http://127.0.0.1@idp.example/metadata",
    ] {
        let wish = json!({"id": scene.connection, "metadataUrl": url});
        assert_eq!(scene.refused("connection.set_saml", wish).await, "invalid_input", "{url}");
        assert_eq!(scene.refused("connection.create", create(url)).await, "invalid_input", "{url}");
        // With the key pinned beforehand, the rule has nothing against it; that nobody is there is another matter.
        let signer = pem(&Key::p256().certificate);
        let wish = json!({"id": scene.connection, "metadata": {"url": url, "signingCertificate": signer}});
        assert_ne!(scene.refused("connection.set_saml", wish).await, "invalid_input", "{url}");
    }
    assert_eq!((shown(&scene).await, scene.authd.events().await.len()), (before, events), "nothing was kept");
    let (signer, idp) = (Key::rsa(), Idp::new());
    let at = Published::new(vouched(&metadata(&idp, false), &signer)).await;
    let wish =
        json!({"id": scene.connection, "metadata": {"url": at.url, "signingCertificate": pem(&signer.certificate)}});
    scene.authd.operate("connection.set_saml", wish).await;
    assert_eq!(shown(&scene).await["entityId"], idp.entity_id);
}

/// Metadata at an address that is slow once: the first who asks gets `early`, and only when told.
struct Slow {
    url: String,
    asked: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Slow {
    async fn new(early: String, later: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metadata", listener.local_addr().unwrap());
        let me = Self { url, asked: Arc::default(), go_on: Arc::default() };
        let (asked, go_on, first) = (Arc::clone(&me.asked), Arc::clone(&me.go_on), Arc::new(AtomicBool::new(true)));
        let texts = Arc::new((early, later));
        let answer = move || {
            let (asked, go_on, first) = (Arc::clone(&asked), Arc::clone(&go_on), Arc::clone(&first));
            let texts = Arc::clone(&texts);
            async move {
                if !first.swap(false, Ordering::SeqCst) {
                    return texts.1.clone();
                }
                asked.notify_one();
                go_on.notified().await;
                texts.0.clone()
            }
        };
        let router = axum::Router::new().route("/metadata", axum::routing::get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        me
    }
}

/// Has the connection look elsewhere from now on, for that provider; nothing is read yet.
async fn point(scene: &Scene, url: &str, entity_id: &str) {
    let store = &scene.authd.app.world.store;
    let id = scene.connection.parse().unwrap();
    let Stored { value: mut connection, revision } = Connection::load(store, id).await.unwrap();
    let config = connection.saml.as_mut().unwrap();
    config.metadata_url = Some(url.to_owned());
    config.idp_entity_id = Some(entity_id.to_owned());
    let cx = scene.authd.app.context(Caller::System, Origin::internal(scene.authd.env()));
    let mut batch = Batch::new();
    batch.update(&connection, revision).log(cx.event(EventKind::ConnectionUpdated).about("connection", id));
    store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn metadata_that_was_asked_for_under_another_configuration_is_not_taken_over() {
    let signer = Key::rsa();
    for by in ["the operation", "the clock"] {
        for change in ["address", "entity id", "signers"] {
            let idp = Idp::new();
            let (old, id) = (rolled(&idp), idp.entity_id.clone());
            let (stale, good) = (metadata(&old, false), metadata(&idp, false));
            // Of two providers, one is named; later the other.
            let other = Idp::new();
            let two = format!(
                "<md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">{}{}</md:EntitiesDescriptor>",
                stale,
                metadata(&other, false)
            );
            let own = (id.clone(), print(&idp));
            let (early, later, expected) = match change {
                "address" => (stale, String::new(), own),
                "entity id" => (two.clone(), two, (other.entity_id.clone(), print(&other))),
                _ => (stale, vouched(&good, &signer), own),
            };
            let slow = Slow::new(early, later).await;
            let fast = Published::new(good.clone()).await;
            let first = Published::new(good).await;
            let scene = Scene::made(idp, json!({"metadataUrl": first.url})).await;
            // The connection has the slow address, and what it says is not read yet.
            point(&scene, &slow.url, &id).await;
            let wish = match change {
                "address" => json!({"id": scene.connection, "metadataUrl": fast.url}),
                "entity id" => json!({"id": scene.connection, "idpEntityId": other.entity_id}),
                _ => json!({"id": scene.connection, "metadata": {"signingCertificate": pem(&signer.certificate)}}),
            };
            let look = async {
                match by {
                    "the clock" => {
                        scene.authd.env().advance(7 * HOUR);
                        scene.tend().await;
                    }
                    _ => {
                        let cx =
                            scene.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
                        let wish = json!({"id": scene.connection});
                        scene.authd.app.perform(&cx, "connection.refresh_saml", wish).await.ok();
                    }
                }
            };
            let meanwhile = async {
                slow.asked.notified().await;
                scene.authd.operate("connection.set_saml", wish).await;
                slow.go_on.notify_one();
            };
            tokio::join!(look, meanwhile);
            let now = shown(&scene).await;
            assert_eq!(now["entityId"], expected.0, "{by}, {change}");
            let prints: Vec<&str> =
                now["certificates"].as_array().unwrap().iter().filter_map(|one| one["thumbprint"].as_str()).collect();
            assert_eq!(prints, std::slice::from_ref(&expected.1), "{by}, {change}");
        }
    }
}

#[tokio::test]
async fn saml_34_a_logout_is_not_believed_on_metadata_that_is_past_its_date() {
    // Read from an address, and pasted.
    for holds in [false, true] {
        let idp = Idp::new();
        let end = Timestamp::from_millis(NOW.millis() + 3_600_000);
        let until = metadata(&idp, false).replacen(" entityID=", &format!(" validUntil=\"{end}\" entityID="), 1);
        let at = Published::new(until.clone()).await;
        let more = if holds { json!({"metadataXml": until}) } else { json!({"metadataUrl": at.url}) };
        let mut scene = Scene::made(idp, more).await;
        let mut browser = scene.authd.browser();
        scene.sign_in(&mut browser, "ada@corp.example").await;
        let early = order(&scene);
        scene.authd.env().advance(HOUR - Duration::from_secs(1));
        assert!(in_here(&mut browser).await);
        scene.authd.env().advance(Duration::from_secs(1));
        let (late, name) = order(&scene);
        let key = &scene.idp.key;
        let tries = [by_redirect(&scene, &late, key).await, by_post(&scene, &signed(&(late.clone(), name), key)).await];
        if holds {
            // What somebody pasted is warned of, and goes on.
            assert!(tries[0].location().as_str().starts_with("https://idp.example/slo?SAMLResponse="), "{tries:?}");
            assert!(!in_here(&mut browser).await);
            continue;
        }
        for refused in tries.iter().chain([&by_redirect(&scene, &early.0, key).await]) {
            assert_ne!(refused.status, StatusCode::SEE_OTHER, "{refused:?}");
            assert!(refused.body.contains("connection_not_ready"), "{}", refused.body);
        }
        assert!(in_here(&mut browser).await, "a withdrawn key ends nobody's session");
        assert_eq!(scene.told("connection.logout.received").await.len(), 0);
        // Read anew, it counts again.
        at.says(metadata(&scene.idp, false));
        scene.tend().await;
        let (xml, _) = order(&scene);
        let out = by_redirect(&scene, &xml, key).await;
        assert_eq!(out.status, StatusCode::SEE_OTHER, "{out:?}");
        assert!(!in_here(&mut browser).await);
    }
}

/// The provider's order to end Ada's sessions, and its ID.
fn order(scene: &Scene) -> (String, String) {
    let id = fresh("_l");
    let (now, public) = (scene.authd.env().now(), crate::world::authd::PUBLIC_URL);
    let xml = format!(
        r#"<samlp:LogoutRequest xmlns:samlp="{}" xmlns:saml="{}" ID="{id}" Version="2.0" IssueInstant="{now}" Destination="{public}{}"><saml:Issuer>{}</saml:Issuer><saml:NameID Format="{}">ada@corp.example</saml:NameID></samlp:LogoutRequest>"#,
        saml::names::PROTOCOL,
        saml::names::ASSERTION,
        scene.path("slo"),
        scene.idp.entity_id,
        saml::names::EMAIL,
    );
    (xml, id)
}

async fn by_redirect(scene: &Scene, xml: &str, key: &Key) -> Reply {
    let path = format!("{}?{}", scene.path("slo"), query(xml, "SAMLRequest", key, None, false));
    scene.authd.browser().get(&path).await
}

async fn by_post(scene: &Scene, xml: &str) -> Reply {
    let text = posted(xml);
    let cross = [("sec-fetch-site", "cross-site")];
    scene.authd.browser().send(Method::POST, &scene.path("slo"), &cross, Some(&[("SAMLRequest", &text)])).await
}

async fn in_here(browser: &mut Browser) -> bool {
    browser.get("/signin").await.body.contains("ada@corp.example")
}

#[test]
fn a_provider_has_at_most_sixteen_signing_certificates() {
    let keys: Vec<Key> = (0..17).map(|_| Key::p256()).collect();
    let idp = Idp::new();
    let text = metadata(&idp, false);
    let (start, end) = (text.find("<md:KeyDescriptor").unwrap(), text.find("</md:KeyDescriptor>").unwrap());
    let mut descriptor = text[start..end].to_owned();
    descriptor.push_str("</md:KeyDescriptor>");
    let with = |keys: &[&Key]| {
        let own = STANDARD.encode(&idp.key.certificate);
        let each = keys.iter().map(|key| descriptor.replace(&own, &STANDARD.encode(&key.certificate)));
        text.replacen(&descriptor, &each.collect::<String>(), 1)
    };
    let read = |keys: &[&Key]| {
        saml::read_metadata(&with(keys), None, NOW).map(|read| read.certificates.len()).map_err(|error| error.code())
    };
    let typed = |keys: &[&Key]| {
        let pems: String = keys.iter().map(|key| pem(&key.certificate)).collect();
        IdpMetadata::from_fields(&idp.entity_id, "https://idp.example/sso", &pems)
            .map(|read| read.certificates.len())
            .map_err(|error| error.code())
    };
    let all: Vec<&Key> = keys.iter().collect();
    let repeated: Vec<&Key> = keys.iter().take(16).chain(&keys[..16]).collect();
    type Counts<'a> = &'a dyn Fn(&[&Key]) -> Result<usize, &'static str>;
    for count in [&read as Counts<'_>, &typed] {
        assert_eq!(count(&all[..16]), Ok(16));
        assert_eq!(count(&repeated), Ok(16), "the same one twice is one");
        assert_eq!(count(&all), Err("metadata_invalid"));
    }
}
