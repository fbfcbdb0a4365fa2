//! The simulator as a SAML identity provider: whole sign-ins at authd's real routes, right ones and every fault.

use std::net::SocketAddr;
use std::time::Duration;

use authd::connection::simulator::saml::{AnswerFault, SamlClient};
use authd::connection::simulator::{PEOPLE, Simulator};
use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::authd::{Authd, Browser, Reply};

const AT: &str = "http://127.0.0.1:9999";
const REDIRECT: &str = "https://app.example/callback";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

struct Scene {
    authd: Authd,
    simulator: Simulator,
    connection: String,
    app: String,
    organization: String,
    acs: String,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// A page of the simulator.
async fn ask(simulator: &Simulator, path: &str, form: Option<&[(&str, &str)]>) -> (u16, String) {
    let at: SocketAddr = "127.0.0.1:9999".parse().unwrap();
    let request = Request::builder().uri(path).header(header::HOST, "127.0.0.1:9999");
    let request = match form {
        None => request.body(Body::empty()),
        Some(fields) => {
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            let kind = "application/x-www-form-urlencoded";
            request.method(Method::POST).header(header::CONTENT_TYPE, kind).body(Body::from(body))
        }
    };
    let answer = simulator.router(at).oneshot(request.unwrap()).await.unwrap();
    let status = answer.status().as_u16();
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

fn hidden(page: &str, name: &str) -> Option<String> {
    let rest = page.split_once(&format!("name=\"{name}\" value=\""))?.1;
    Some(rest.split('"').next()?.replace("&#43;", "+").replace("&#61;", "=").replace("&#x2B;", "+"))
}

/// What the provider's page posts, and to whom.
#[derive(Clone)]
struct Posted {
    answer: String,
    relay_state: Option<String>,
}

impl Scene {
    async fn new() -> Self {
        Self::with(json!({})).await
    }

    async fn with(settings: Value) -> Self {
        let authd = Authd::start().await;
        let simulator = Simulator::new(authd.env().clone(), AT).unwrap();
        let organization = text(&authd.operate("organization.create", json!({"name": "Demo"})).await, "id");
        let (status, metadata) = ask(&simulator, "/saml/metadata", None).await;
        assert_eq!(status, 200, "{metadata}");
        let wish = json!({"organization": organization, "protocol": "saml", "name": "Simulator", "activate": true,
            "metadataXml": metadata, "saml": settings});
        let made = authd.operate("connection.create", wish).await;
        let connection = text(&made, "id");
        authd.operate("domain.add", json!({"connection": connection, "domain": "demo.example"})).await;
        let proof = json!({"connection": connection, "domain": "demo.example", "force": true});
        authd.operate("domain.verify", proof).await;
        let wish = json!({"organization": organization, "name": "Wiki", "redirectUris": [REDIRECT]});
        let app = text(&authd.operate("app.create", wish).await, "clientId");
        let service = &made["saml"]["serviceProvider"];
        let pem = text(service, "certificate");
        let inside: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        simulator.register_saml(SamlClient {
            entity_id: text(service, "entityId"),
            acs_url: text(service, "acsUrl"),
            certificate: Some(STANDARD.decode(inside).unwrap()),
            name: "authd".to_owned(),
            domain: None,
        });
        let acs = text(service, "acsUrl");
        Self { authd, simulator, connection, app, organization, acs }
    }

    fn authorize(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", self.app.as_str()),
                ("redirect_uri", REDIRECT),
                ("response_type", "code"),
                ("scope", "openid profile email groups"),
                ("state", "s"),
                ("nonce", "n"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("connection", &self.connection),
                ("prompt", "login"),
            ])
            .finish();
        format!("/oauth2/authorize?{query}")
    }

    /// From the app to the provider's page, and the click there.
    async fn clicked(&self, browser: &mut Browser, person: &str, fault: &str) -> Posted {
        let left = browser.get(&self.authorize()).await;
        let at = left.location();
        assert!(at.as_str().starts_with(&format!("{AT}/saml/sso?")), "{at}");
        let path = format!("{}?{}", at.path(), at.query().unwrap());
        let (status, page) = ask(&self.simulator, &path, None).await;
        assert_eq!(status, 200, "{page}");
        let (request, relay) = (left.query("SAMLRequest").unwrap(), left.query("RelayState").unwrap());
        let fields = [("SAMLRequest", request.as_str()), ("RelayState", &relay), ("person", person), ("fault", fault)];
        let (status, page) = ask(&self.simulator, "/saml/sso", Some(&fields)).await;
        assert_eq!(status, 200, "{page}");
        Posted { answer: hidden(&page, "SAMLResponse").unwrap(), relay_state: hidden(&page, "RelayState") }
    }

    /// The page posts from another site, without cookies; then the browser comes by itself.
    async fn landed(&self, browser: &mut Browser, posted: &Posted) -> Reply {
        let mut fields = vec![("SAMLResponse", posted.answer.as_str())];
        fields.extend(posted.relay_state.iter().map(|state| ("RelayState", state.as_str())));
        let headers = [("sec-fetch-site", "cross-site"), ("origin", AT)];
        let reply = self.authd.browser().send(Method::POST, &self.acs, &headers, Some(&fields)).await;
        match reply.status {
            StatusCode::SEE_OTHER => browser.get(reply.location().as_str()).await,
            _ => reply,
        }
    }

    async fn sign_in(&self, person: &str, fault: &str) -> (Posted, Reply) {
        let mut browser = self.authd.browser();
        let posted = self.clicked(&mut browser, person, fault).await;
        let reply = self.landed(&mut browser, &posted).await;
        (posted, reply)
    }

    async fn explained(&self, message: &str) -> Value {
        self.authd.operate("saml.explain", json!({"connection": self.connection, "message": message})).await
    }
}

fn is_in(reply: &Reply) -> bool {
    reply.status == StatusCode::SEE_OTHER && reply.location().as_str().starts_with(REDIRECT)
}

#[tokio::test]
async fn everybody_of_the_domain_signs_in_by_saml() {
    let scene = Scene::new().await;
    for person in PEOPLE {
        let (posted, reply) = scene.sign_in(person.id, "").await;
        let owned = person.email.ends_with("@demo.example");
        assert_eq!(is_in(&reply), owned, "{}: {reply:?}", person.id);
        let told = scene.explained(&posted.answer).await;
        assert_eq!(told["ok"], owned, "{told}");
        assert_eq!(told["person"]["email"], person.email);
        assert_eq!(told["person"]["groups"], json!(person.groups));
        assert_eq!(told["used"], if owned { json!(true) } else { Value::Null }, "{told}");
    }
}

#[tokio::test]
async fn every_fault_of_an_answer_leads_to_its_refusal() {
    let scene = Scene::new().await;
    let (_, reply) = scene.sign_in("ada", "").await;
    assert!(is_in(&reply), "{reply:?}");
    for fault in AnswerFault::ALL {
        use AnswerFault as F;
        if *fault == F::Replayed {
            // What is posted again must still be good by itself.
            scene.sign_in("ada", "").await;
        }
        let (posted, reply) = scene.sign_in("ada", fault.id()).await;
        let code = match fault {
            F::OnlyResponse | F::OnlyAssertion | F::Encrypted => {
                assert!(is_in(&reply), "{fault:?}: {reply:?}");
                assert_eq!(scene.explained(&posted.answer).await["ok"], true, "{fault:?}");
                continue;
            }
            // Whom authd knows already, it knows by the name alone.
            F::NoAttributes => {
                assert!(is_in(&reply), "{fault:?}: {reply:?}");
                continue;
            }
            F::Wrapped | F::WrappedResponse | F::Comment => "saml_structure",
            F::Doctype => "saml_doctype",
            F::ForeignReference => "saml_reference",
            F::Unsigned => "saml_signature_missing",
            F::Changed | F::OtherKey | F::Rotated => "saml_signature_invalid",
            F::Sha1 => "saml_algorithm",
            F::EncryptedElsewhere => "saml_decrypt",
            F::WrongIssuer => "saml_issuer",
            F::WrongAudience => "saml_audience",
            F::WrongRecipient => "saml_recipient",
            F::WrongDestination => "saml_destination",
            F::OtherRequest => "saml_in_response_to",
            F::Unasked => "saml_unsolicited",
            F::Replayed => "saml_replay",
            F::Stale | F::Endless => "saml_expired",
            F::Future => "saml_not_yet_valid",
            F::Transient | F::NoNameId => "saml_nameid",
            F::TwoEmails | F::ForeignEmail => "email_domain_not_owned",
            F::Denied => "upstream_denied",
        };
        assert!(!is_in(&reply) && reply.body.contains(code), "{fault:?} should be {code}: {reply:?}");
        assert!(fault.explanation().contains(code), "the page says something else about {fault:?}");
        // The operator learns the reason by the request.
        let told = scene.authd.operate("signin.explain", json!({"id": reply.request_id()})).await;
        assert_eq!(told["errorCode"], code, "{fault:?}: {told}");
        let last = told["checks"].as_array().unwrap().iter().rev().find(|check| check["ok"] == false);
        assert!(last.is_some() || code == "email_domain_not_owned", "{fault:?}: {told}");
        // And by the answer itself, as far as that can be told without the request.
        let offline = scene.explained(&posted.answer).await;
        match fault {
            F::Replayed => assert_eq!((&offline["ok"], &offline["used"]), (&json!(true), &json!(true)), "{offline}"),
            // It is believed about the request that it names.
            F::OtherRequest => assert_eq!(offline["ok"], true, "{offline}"),
            _ => assert_eq!(offline["errorCode"], code, "{fault:?}: {offline}"),
        }
        if *fault == F::Rotated {
            assert_eq!(
                (&offline["mendable"], &offline["faults"][0]["setting"]),
                (&json!(true), &json!("metadata.certificate"))
            );
            let (_, metadata) = ask(&scene.simulator, "/saml/metadata", None).await;
            let wish = json!({"id": scene.connection, "metadataXml": metadata});
            scene.authd.operate("connection.set_saml", wish).await;
        }
        // A fault is for one sign-in.
        let (_, after) = scene.sign_in("ada", "").await;
        assert!(is_in(&after), "after {fault:?}: {after:?}");
        // Only so many refusals of one address are told in full in a minute.
        scene.authd.env().advance(Duration::from_secs(3_600));
    }
}

#[tokio::test]
async fn what_a_connection_asks_for_turns_a_variant_into_a_refusal() {
    for (setting, fault, code) in [
        ("requireSignedAssertions", "only_response", "saml_signature_missing"),
        ("requireSignedResponses", "only_assertion", "saml_signature_missing"),
        ("requireEncryptedAssertions", "", "saml_decrypt"),
    ] {
        let scene = Scene::with(json!({"security": {setting: true}})).await;
        let (posted, reply) = scene.sign_in("ada", fault).await;
        assert!(reply.body.contains(code), "{setting}: {reply:?}");
        let told = scene.explained(&posted.answer).await;
        assert_eq!(told["setting"], format!("security.{setting}"), "{told}");
        assert_eq!(told["mendable"], true, "{told}");
    }
    let scene = Scene::with(json!({"security": {"allowIdpInitiated": true}})).await;
    let mut browser = scene.authd.browser();
    let posted = scene.clicked(&mut browser, "ada", "unasked").await;
    let fields = [("SAMLResponse", posted.answer.as_str())];
    let headers = [("sec-fetch-site", "cross-site"), ("origin", AT)];
    let went = browser.send(Method::POST, &scene.acs, &headers, Some(&fields)).await;
    let landed = browser.get(went.location().as_str()).await;
    assert!(landed.location().as_str().ends_with("/signin"), "{landed:?}");
}

#[tokio::test]
async fn the_saml_page_shows_everybody_and_every_fault_and_nothing_goes_to_strangers() {
    let scene = Scene::new().await;
    let left = scene.authd.browser().get(&scene.authorize()).await;
    let at = left.location();
    let request = left.query("SAMLRequest").unwrap();
    let (_, page) = ask(&scene.simulator, &format!("{}?{}", at.path(), at.query().unwrap()), None).await;
    assert!(page.contains("Test identity provider"));
    assert!(PEOPLE.iter().all(|person| page.contains(person.email)));
    assert!(AnswerFault::ALL.iter().all(|fault| page.contains(&format!("value=\"{}\"", fault.id()))));
    // A form of the service's asks the same.
    let (status, posted) = ask(&scene.simulator, "/saml/sso", Some(&[("SAMLRequest", &request)])).await;
    assert_eq!((status, posted.contains("Test identity provider")), (200, true));
    let stranger = Simulator::new(scene.authd.env().clone(), AT).unwrap();
    let elsewhere = text(&json!({"acs": scene.acs}), "acs") + "/x";
    scene.simulator.register_saml(SamlClient {
        entity_id: "urn:other".to_owned(),
        acs_url: elsewhere,
        certificate: None,
        name: "Other".to_owned(),
        domain: None,
    });
    let sound = [("SAMLRequest", request.as_str()), ("person", "ada")];
    assert_eq!(ask(&scene.simulator, "/saml/sso", Some(&sound)).await.0, 200);
    for (simulator, fields) in [
        (&stranger, sound.to_vec()),
        (&scene.simulator, vec![("SAMLRequest", "PGE+"), ("person", "ada")]),
        (&scene.simulator, vec![("SAMLRequest", "%%%"), ("person", "ada")]),
        (&scene.simulator, vec![("SAMLRequest", request.as_str()), ("person", "nobody")]),
        (&scene.simulator, vec![("SAMLRequest", request.as_str()), ("person", "ada"), ("fault", "none-such")]),
        (&scene.simulator, vec![("person", "ada")]),
    ] {
        let (status, page) = ask(simulator, "/saml/sso", Some(&fields)).await;
        assert!(status == 400 && !page.contains("SAMLResponse"), "{fields:?}: {page}");
    }
    assert!(!scene.organization.is_empty());
}
