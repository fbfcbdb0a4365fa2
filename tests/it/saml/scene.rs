//! A whole authd with an app, and a connection to an identity provider that is made of text.

use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use authd::access::Caller;
use authd::event::Origin;
use axum::http::{Method, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::world::authd::{Authd, Browser, Reply};
use crate::world::saml::{Idp, metadata, posted};

pub const REDIRECT: &str = "https://app.example/callback";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

pub fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// An organization with an app and a connection to an identity provider, its domain vouched for.
pub struct Scene {
    pub authd: Authd,
    pub idp: Idp,
    pub organization: String,
    pub connection: String,
    pub app: String,
    pub secret: String,
}

pub fn pem(der: &[u8]) -> String {
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der))
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(json!({})).await
    }

    pub async fn with(settings: Value) -> Self {
        let idp = Idp::new();
        let xml = metadata(&idp, false);
        Self::made(idp, json!({"metadataXml": xml, "saml": settings})).await
    }

    pub async fn made(idp: Idp, more: Value) -> Self {
        let authd = Authd::start().await;
        let organization = text(&authd.operate("organization.create", json!({"name": "Corp"})).await, "id");
        let mut wish = json!({"organization": organization, "protocol": "saml", "name": "IdP", "activate": true});
        for (name, value) in more.as_object().unwrap() {
            wish[name] = value.clone();
        }
        let made = authd.operate("connection.create", wish).await;
        let connection = text(&made, "id");
        authd.operate("domain.add", json!({"connection": connection, "domain": "corp.example"})).await;
        let proof = json!({"connection": connection, "domain": "corp.example", "force": true});
        authd.operate("domain.verify", proof).await;
        let wish = json!({"organization": organization, "name": "Wiki", "redirectUris": [REDIRECT]});
        let app = authd.operate("app.create", wish).await;
        let mut scene = Self {
            authd,
            idp,
            organization,
            connection,
            app: text(&app, "clientId"),
            secret: text(&app, "clientSecret"),
        };
        let service = &made["saml"]["serviceProvider"];
        scene.idp.sp_entity_id = text(service, "entityId");
        scene.idp.acs_url = text(service, "acsUrl");
        scene
    }

    pub fn path(&self, end: &str) -> String {
        format!("/connections/{}/saml/{end}", self.connection)
    }

    pub fn authorize(&self) -> String {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", self.app.as_str()),
                ("redirect_uri", REDIRECT),
                ("response_type", "code"),
                ("scope", "openid profile email groups"),
                ("state", "app-state"),
                ("nonce", "app-nonce"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
                ("connection", &self.connection),
                ("prompt", "login"),
            ])
            .finish();
        format!("/oauth2/authorize?{query}")
    }

    /// To the provider: the relay state, and the request's id.
    pub async fn leave(&mut self, browser: &mut Browser) -> String {
        let left = browser.get(&self.authorize()).await;
        assert_eq!(left.status, StatusCode::SEE_OTHER, "{left:?}");
        assert!(left.location().as_str().starts_with("https://idp.example/sso?tenant=1&SAMLRequest="), "{left:?}");
        let xml = inflated(&left.query("SAMLRequest").unwrap());
        assert!(xml.contains(&self.idp.acs_url) && xml.contains(&self.idp.sp_entity_id), "{xml}");
        self.idp.request_id = attribute(&xml, "ID");
        left.query("RelayState").unwrap()
    }

    /// The provider's page posts: another site, so the browser leaves its cookies at home.
    pub async fn post(&self, xml: &str, relay: Option<&str>) -> Reply {
        let answer = posted(xml);
        let mut fields = vec![("SAMLResponse", answer.as_str())];
        fields.extend(relay.map(|relay| ("RelayState", relay)));
        let headers = [("sec-fetch-site", "cross-site"), ("origin", "https://idp.example")];
        self.authd.browser().send(Method::POST, &self.path("acs"), &headers, Some(&fields)).await
    }

    /// A whole sign-in, up to the app.
    pub async fn sign_in(&mut self, browser: &mut Browser, person: &str) -> Reply {
        let relay = self.leave(browser).await;
        let landed = self.post(&self.idp.answer(person).xml(), Some(&relay)).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{landed:?}");
        browser.get(landed.location().as_str()).await
    }

    pub async fn tokens(&self, landed: &Reply) -> Value {
        assert!(landed.location().as_str().starts_with(REDIRECT), "{landed:?}");
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", &landed.query("code").unwrap()),
            ("redirect_uri", REDIRECT),
            ("client_id", &self.app),
            ("client_secret", &self.secret),
            ("code_verifier", VERIFIER),
        ];
        self.authd.browser().post("/oauth2/token", &fields).await.json()
    }

    /// The properties of a rejected attack.
    pub async fn rejects(&self, status: StatusCode, code: &str, attack: impl Future<Output = Reply>) -> Reply {
        let (counts, events) = (self.authd.counts().await, self.authd.events().await.len());
        let reply = attack.await;
        assert_eq!(reply.status, status, "{code}: {}", reply.body);
        assert!(reply.body.contains(code), "{code} is not on the page: {}", reply.body);
        assert_eq!(self.authd.counts().await, counts, "{code}: something was made");
        let told = self.authd.events().await.split_off(events);
        assert_eq!(told.len(), 1, "{code}: one event, not {told:?}");
        assert_eq!(told[0].error_code.as_deref(), Some(code));
        let row = serde_json::to_string(&told[0]).unwrap();
        assert!(!row.contains("@corp.example"), "{row}");
        let cookies = reply.headers.get_all("set-cookie").iter();
        assert!(cookies.into_iter().all(|cookie| !cookie.to_str().unwrap().contains("session")));
        reply
    }

    /// What the jobs do every minute.
    pub async fn tend(&self) -> usize {
        let cx = self.authd.app.context(Caller::System, Origin::internal(self.authd.env()));
        authd::connection::saml::tend_due(&cx, 64).await.unwrap()
    }

    /// The events of that kind.
    pub async fn told(&self, kind: &str) -> Vec<Value> {
        let events = self.authd.events().await;
        events
            .iter()
            .filter(|event| event.kind.name() == kind)
            .map(|event| serde_json::to_value(event).unwrap())
            .collect()
    }

    /// What an operation is refused with.
    pub async fn refused(&self, name: &str, input: Value) -> &'static str {
        let cx = self.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(self.authd.env()));
        self.authd.app.perform(&cx, name, input).await.unwrap_err().code()
    }

    pub async fn explained(&self, reply: &Reply) -> Value {
        self.authd.operate("signin.explain", json!({"id": reply.request_id()})).await
    }
}

/// Metadata at an address, which a test changes; and how often it was asked for.
#[derive(Clone)]
pub struct Published {
    pub url: String,
    text: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicUsize>,
}

impl Published {
    pub async fn new(text: String) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metadata", listener.local_addr().unwrap());
        let me = Self { url, text: Arc::new(Mutex::new(Some(text))), asked: Arc::default() };
        let (shared, asked) = (Arc::clone(&me.text), Arc::clone(&me.asked));
        let answer = move || {
            asked.fetch_add(1, Ordering::SeqCst);
            let text = shared.lock().unwrap().clone();
            async move { text.ok_or(StatusCode::SERVICE_UNAVAILABLE) }
        };
        let router = axum::Router::new().route("/metadata", axum::routing::get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        me
    }

    /// It says something else; nothing at all with `None`.
    pub fn says(&self, text: impl Into<Option<String>>) {
        *self.text.lock().unwrap() = text.into();
    }

    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

pub fn inflated(text: &str) -> String {
    let mut out = String::new();
    let packed = STANDARD.decode(text).unwrap();
    flate2::read::DeflateDecoder::new(&packed[..]).read_to_string(&mut out).unwrap();
    out
}

pub fn attribute(xml: &str, name: &str) -> String {
    let start = xml.find(&format!(" {name}=\"")).unwrap() + name.len() + 3;
    xml[start..start + xml[start..].find('"').unwrap()].to_owned()
}

pub fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let at = text.find(start).unwrap_or_else(|| panic!("no {start} in {text}")) + start.len();
    &text[at..at + text[at..].find(end).unwrap()]
}
