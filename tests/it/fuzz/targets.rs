//! Everything that reads what strangers send. A new parser is one more `Target`.

use std::rc::Rc;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use authd::access::{Caller, Context, Paging};
use authd::config::PublicUrl;
use authd::connection::domain;
use authd::connection::oidc::{Config, Discovery, discover};
use authd::connection::protocol::Checks;
use authd::connection::saml;
use authd::crypto::jws::{Algorithm, KeySet, header};
use authd::crypto::{base64url, json};
use authd::directory::{EmailAddress, domain_name};
use authd::env::{Outbound, Request, Response};
use authd::event::Origin;
use authd::http::extract::{Params, parse_json};
use authd::http::{Cookies, OutboundRules, Peer, Site};
use authd::policy::Policy;
use authd::provider::authorize::validate;
use authd::scim::filter::Filter;
use authd::scim::patch::Patch;
use authd::scim::schema::{ResourceKind, clean};
use authd::session::Session;
use authd::store::Query;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Uri, header as name};
use serde_json::{Value, json as value};
use tower::ServiceExt as _;

use super::corpus;
use crate::signin::Scene;
use crate::world::op::Signer;
use crate::world::saml::{self as provider, Encryption, Idp, MODES, NOW};

/// What the bytes mean, for changes of more than bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Text,
    Json,
    Query,
    Jws,
}

/// It must come back, and may say by a panic that something is wrong.
pub type Reader = Box<dyn Fn(&[u8])>;

/// One reader of hostile input.
pub struct Target {
    pub name: &'static str,
    pub shape: Shape,
    pub seeds: Vec<Vec<u8>>,
    /// Words that mean something to it.
    pub words: &'static [&'static str],
    /// Longer inputs are cut: the door before it lets no more through.
    pub longest: usize,
    pub read: Reader,
}

fn target(name: &'static str, shape: Shape, seeds: &[&str], read: impl Fn(&[u8]) + 'static) -> Target {
    let seeds = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    Target { name, shape, seeds, words: &[], longest: 64 * 1024, read: Box::new(read) }
}

impl Target {
    fn with(mut self, seeds: Vec<Vec<u8>>) -> Self {
        self.seeds.extend(seeds);
        self
    }

    fn words(self, words: &'static [&'static str]) -> Self {
        Self { words, ..self }
    }

    fn up_to(self, longest: usize) -> Self {
        Self { longest, ..self }
    }
}

/// An authd of the runner's own, on this thread.
struct World {
    runtime: tokio::runtime::Runtime,
    scene: Scene,
}

impl World {
    fn new() -> Rc<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let scene = runtime.block_on(Scene::new());
        Rc::new(Self { runtime, scene })
    }

    fn context(&self, caller: Caller) -> Context {
        self.scene.authd.app.context(caller, Origin::internal(self.scene.authd.env()))
    }

    /// Whatever comes in, an answer goes out, and it is no fault of ours.
    fn ask(&self, request: axum::http::request::Builder, body: &[u8]) {
        let Ok(mut request) = request.header(name::HOST, "127.0.0.1:8080").body(Body::from(body.to_vec())) else {
            return;
        };
        request.extensions_mut().insert(Peer::Tcp("192.0.2.1:5000".parse().unwrap()));
        let answer = self.runtime.block_on(self.scene.authd.router.clone().oneshot(request)).unwrap();
        assert_ne!(answer.status().as_u16(), 500);
    }
}

/// Answers everything with the same bytes.
struct Canned(Arc<Mutex<Vec<u8>>>);

#[async_trait]
impl Outbound for Canned {
    async fn send(&self, _: Request) -> authd::error::Result<Response> {
        Ok(Response { status: 200, headers: HeaderMap::new(), body: self.0.lock().unwrap().clone() })
    }
    fn permits(&self, _: &url::Url) -> authd::error::Result<()> {
        Ok(())
    }
}

fn as_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const CLAIMS: &[&str] =
    &["iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "alg", "kid", "crit", "b64", "jku", "typ"];
const PARAMETERS: &[&str] = &[
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "login_hint",
    "id_token_hint",
    "acr_values",
    "organization",
    "connection",
    "request",
    "request_uri",
    "claims",
    "ui_locales",
    "resource",
    "grant_type",
    "code",
    "code_verifier",
    "client_secret",
    "client_assertion",
    "iss",
    "error",
    "error_description",
    "attempt",
    "email",
    "S256",
    "authorization_code",
    "openid",
];

/// All of them.
pub fn targets() -> Vec<Target> {
    let world = World::new();
    let mut all = tokens(&world);
    all.extend(documents(&world));
    all.extend(doors(&world));
    all.extend(directories(&world));
    all.extend(names());
    all.extend(saml_messages());
    all
}

fn tokens(world: &Rc<World>) -> Vec<Target> {
    let signer = Signer::es256("k");
    let claims =
        value!({"iss": "https://op.example", "sub": "s", "aud": "a", "exp": 1_900_000_000, "iat": 1, "nonce": "n"});
    let token = signer.token(&signer.header(), claims.as_object().unwrap());
    let keys =
        value!({"keys": [signer.jwk(), Signer::ed25519("e").jwk(), Signer::rsa(0, "r", "PS256").jwk()]}).to_string();
    let set = KeySet::parse(keys.as_bytes()).unwrap();
    let bearer = Rc::clone(world);
    vec![
        target("jws", Shape::Jws, &[&token], move |bytes| {
            let token = as_text(bytes);
            let _ = header(&token);
            if set.check(&token, &Algorithm::ALL).is_ok() {
                // Nobody else has the key: what is changed anywhere does not hold.
                assert!(token.len() <= 8 * 1024);
            }
        })
        .with(corpus::tokens())
        .words(CLAIMS),
        target("jwks", Shape::Json, &[&keys], |bytes| {
            if let Ok(set) = KeySet::parse(bytes) {
                let _ = set.check("e30.e30.", &Algorithm::ALL);
            }
        })
        .with(corpus::key_sets())
        .words(&["kty", "crv", "x", "y", "n", "e", "kid", "use", "key_ops", "alg", "x5c", "P-256", "oct", "RSA", "OKP"])
        .up_to(600 * 1024),
        target("bearer", Shape::Jws, &[&token, "ak_x", "at_x"], move |bytes| {
            let mut value = b"Bearer ".to_vec();
            value.extend_from_slice(bytes);
            let Ok(value) = HeaderValue::from_bytes(&value) else { return };
            for path in ["/userinfo", "/v1/sessions"] {
                bearer.ask(axum::http::Request::get(path).header(name::AUTHORIZATION, &value), b"");
            }
        })
        .words(CLAIMS)
        .up_to(12 * 1024),
    ]
}

fn documents(world: &Rc<World>) -> Vec<Target> {
    let (policy, discovery) = (serde_json::to_string(&Policy::default()).unwrap(), Rc::clone(world));
    let issuer = "https://op.example";
    let document = value!({
        "issuer": issuer, "authorization_endpoint": "https://op.example/a?x=1", "token_endpoint": "https://op.example/t",
        "jwks_uri": "https://op.example/j", "userinfo_endpoint": "https://op.example/u",
        "response_types_supported": ["code"], "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
    });
    let answer = Arc::new(Mutex::new(Vec::new()));
    let mut cx = world.context(Caller::System);
    cx.env = cx.env.with_outbound(Arc::new(Canned(Arc::clone(&answer))));
    let config = Config {
        discovery: Discovery { issuer: Some(issuer.to_owned()), ..Discovery::default() },
        ..Config::default()
    };
    let apps = Rc::clone(world);
    vec![
        target("json", Shape::Json, &[r#"{"a":[1,-2.5e3,"x\u00e4",null,true,{"b":[]}]}"#, "[]", "1"], |bytes| {
            let (lenient, strict) = (parse_json::<Value>(bytes), json::object(bytes));
            if let Some(members) = strict {
                assert_eq!(lenient.unwrap(), Value::Object(members), "two readers, two meanings");
            }
        })
        .up_to(256 * 1024),
        target("discovery", Shape::Json, &[&document.to_string()], move |bytes| {
            *answer.lock().unwrap() = bytes.to_vec();
            if let Ok(metadata) = discovery.runtime.block_on(discover(&cx, &config)) {
                assert_eq!(metadata.issuer.trim_end_matches('/'), issuer);
                assert_eq!(metadata.token_endpoint.scheme(), "https");
            }
        })
        .up_to(600 * 1024),
        target("policy", Shape::Json, &[&policy], |bytes| {
            if let Ok(policy) = parse_json::<Policy>(bytes) {
                let again = serde_json::to_string(&policy).unwrap();
                assert_eq!(serde_json::from_str::<Policy>(&again).unwrap(), policy);
            }
        }),
        target(
            "app",
            Shape::Json,
            &[r#"{"name":"Wiki","redirectUris":["https://app.example/cb","http://127.0.0.1/cb","com.example.app:/cb"],"kind":"native"}"#],
            move |bytes| {
                let Ok(Value::Object(mut wish)) = parse_json::<Value>(bytes) else { return };
                wish.insert("id".into(), apps.scene.app.clone().into());
                let cx = apps.context(Caller::Operator { uid: 0 });
                if let Err(error) = apps.runtime.block_on(apps.scene.authd.app.perform(&cx, "app.update", wish.into())) {
                    assert_ne!(error.code(), "internal_error", "{error:?}");
                }
            },
        )
        .words(&["https://", "http://localhost", "redirectUris", "@", "#", "*", "\\", "%2f", "xn--"]),
    ]
}

fn doors(world: &Rc<World>) -> Vec<Target> {
    let scene = &world.scene;
    let authorize = scene.authorize(&[("login_hint", "a@corp.example"), ("organization", &scene.organization)]);
    let authorize = authorize.split_once('?').unwrap().1.to_owned();
    let redeem = format!(
        "grant_type=authorization_code&code=ac_x&redirect_uri=https%3A%2F%2Fapp.example%2Fcallback&client_id={}&client_secret={}&code_verifier=x",
        scene.app, scene.secret,
    );
    let back = format!("/connections/{}/oidc/callback", scene.connection);
    let (cx, w1, w2, w3, w4, w5, w6) = (
        world.context(Caller::Anonymous),
        Rc::clone(world),
        Rc::clone(world),
        Rc::clone(world),
        Rc::clone(world),
        Rc::clone(world),
        Rc::clone(world),
    );
    let basic = format!("{}:{}", scene.app, scene.secret);
    let form = "application/x-www-form-urlencoded";
    vec![
        target("authorize", Shape::Query, &[&authorize, "prompt=none&max_age=0"], move |bytes| {
            let pairs: Vec<_> = Params::parse(bytes).iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            let _ = w1.runtime.block_on(validate(&cx, &pairs));
        })
        .words(PARAMETERS)
        .up_to(16 * 1024),
        target("token", Shape::Query, &[&redeem], move |bytes| {
            w2.ask(axum::http::Request::post("/oauth2/token").header(name::CONTENT_TYPE, form), bytes);
        })
        .words(PARAMETERS)
        .up_to(10 * 1024),
        target("basic", Shape::Text, &[&basic, "a:b", "%41:%zz"], move |bytes| {
            let encoded = base64url(bytes).replace('-', "+").replace('_', "/");
            let padding = "=".repeat((4 - encoded.len() % 4) % 4);
            let value = format!("Basic {encoded}{padding}");
            let request = axum::http::Request::post("/oauth2/token").header(name::CONTENT_TYPE, form);
            w3.ask(request.header(name::AUTHORIZATION, value), b"grant_type=authorization_code");
        })
        .up_to(4 * 1024),
        target(
            "callback",
            Shape::Query,
            &["code=x&state=y&iss=https%3A%2F%2Fop.example", "error=access_denied&state=y"],
            move |bytes| {
                let Ok(uri) = Uri::try_from([back.as_bytes(), b"?", bytes].concat()) else { return };
                w4.ask(axum::http::Request::get(uri), b"");
            },
        )
        .words(PARAMETERS)
        .up_to(12 * 1024),
        target(
            "signin",
            Shape::Query,
            &["attempt=AAAA&email=a%40corp.example", "attempt=x&connection=conn_x"],
            move |bytes| {
                let request = axum::http::Request::post("/signin").header(name::CONTENT_TYPE, form);
                w5.ask(request.header("sec-fetch-site", "same-origin"), bytes);
            },
        )
        .words(PARAMETERS)
        .up_to(10 * 1024),
        target("paging", Shape::Text, &["AZl0", "", "AAAAAAAAAAAAAAAAAAAAAA", "-_-_"], move |bytes| {
            let paging = Paging { cursor: Some(as_text(bytes)), limit: bytes.first().map(|n| usize::from(*n)) };
            if let Ok(query) = paging.page(Query::all()) {
                let _ = w6.runtime.block_on(w6.scene.authd.app.world.store.page::<Session>(query));
            }
        })
        .up_to(4 * 1024),
    ]
}

const SCIM: &[&str] = &[
    "userName",
    "emails",
    "type",
    "value",
    "primary",
    "members",
    "active",
    "externalId",
    "manager",
    "urn:ietf:params:scim:schemas:core:2.0:User",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
    "urn:",
    " eq ",
    " ne ",
    " co ",
    " gt ",
    " pr",
    " and ",
    " or ",
    "not (",
    "[type eq \"work\"]",
    "].",
    "True",
    "Operations",
    "Replace",
    "remove",
    "path",
    "bulkId:",
    "cursor",
    "startIndex",
    "count",
    "sortBy",
    "attributes",
];

/// What directories send.
fn directories(world: &Rc<World>) -> Vec<Target> {
    let ask = world.runtime.block_on(async {
        let wish = value!({"organization": world.scene.organization});
        world.scene.authd.operate("scim.token.create", wish).await["token"].as_str().unwrap().to_owned()
    });
    let bearer = format!("Bearer {ask}");
    let person = {
        let mut request = axum::http::Request::post("/scim/v2/Users")
            .header(name::HOST, "127.0.0.1:8080")
            .header(name::AUTHORIZATION, &bearer)
            .header(name::CONTENT_TYPE, "application/scim+json")
            .body(Body::from(r#"{"userName":"fuzz"}"#))
            .unwrap();
        request.extensions_mut().insert(Peer::Tcp("192.0.2.1:5000".parse().unwrap()));
        let answer = world.runtime.block_on(world.scene.authd.router.clone().oneshot(request)).unwrap();
        answer.headers()[name::LOCATION].to_str().unwrap().replace("http://127.0.0.1:8080", "")
    };
    let sample = value!({
        "userName": "ada", "active": true, "title": "x", "name": {"givenName": "A"}, "displayName": "d",
        "emails": [{"value": "a@x.test", "type": "work", "primary": true}, {"value": "b@x.test"}], "urn:x:2.0:Y": {"z": [1]},
    });
    let sample = sample.as_object().unwrap().clone();
    let (patched, w1, w2, b2) = (sample.clone(), Rc::clone(world), Rc::clone(world), bearer.clone());
    let operation = r#"{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"emails[type eq \"work\"].value","value":"x@y.test"},{"op":"add","value":{"name.givenName":"B","active":"False"}},{"op":"remove","path":"title"}]}"#;
    let group = r#"{"Operations":[{"op":"remove","path":"members[value eq \"a\" or value eq \"b\"]"},{"op":"add","path":"members","value":[{"value":"c"}]}]}"#;
    vec![
        target(
            "scim filter",
            Shape::Text,
            &[
                r#"userName eq "ada" and (emails[type eq "work" and value co "x"] or not (title pr))"#,
                r#"meta.lastModified gt "2011-05-13T04:42:34Z""#,
                r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value ne null"#,
                r#"emails[type eq "work"].value eq True"#,
            ],
            move |bytes| {
                let text = as_text(bytes);
                for kind in ResourceKind::ALL {
                    if let Ok(filter) = Filter::parse(*kind, &text) {
                        let holds = filter.matches(&sample);
                        let not = Filter::parse(*kind, &format!("not ({text})"));
                        // One more bracket, or six more letters, may be too much; otherwise it means the opposite.
                        assert!(
                            not.map_or(text.len() + 6 > 2_048 || text.contains('('), |not| not.matches(&sample)
                                != holds)
                        );
                    }
                }
            },
        )
        .words(SCIM)
        .up_to(4 * 1024),
        target("scim patch", Shape::Json, &[operation, group], move |bytes| {
            let Ok(Value::Object(body)) = parse_json::<Value>(bytes) else { return };
            let Ok(patch) = Patch::read(&body) else { return };
            for kind in ResourceKind::ALL {
                let mut resource = patched.clone();
                if patch.apply(*kind, &mut resource).is_ok()
                    && let Ok(kept) = clean(*kind, resource)
                {
                    // What is in its form, stays in it.
                    assert_eq!(clean(*kind, kept.clone()).unwrap(), kept);
                }
            }
        })
        .words(SCIM)
        .up_to(64 * 1024),
        target(
            "scim body",
            Shape::Json,
            &[operation, r#"{"userName":"fuzz","emails":[{"value":"a@x.test"}],"active":"True"}"#],
            move |bytes| {
                for method in ["PUT", "PATCH"] {
                    let request = axum::http::Request::builder().method(method).uri(&person);
                    let request = request.header(name::AUTHORIZATION, &bearer);
                    w1.ask(request.header(name::CONTENT_TYPE, "application/scim+json"), bytes);
                }
            },
        )
        .words(SCIM)
        .up_to(64 * 1024),
        target(
            "scim list",
            Shape::Query,
            &[
                "filter=userName%20eq%20%22fuzz%22&attributes=emails.value,name&count=5",
                "cursor=&sortBy=userName&sortOrder=descending&startIndex=2",
            ],
            move |bytes| {
                let Ok(uri) = Uri::try_from([b"/scim/v2/Users?", bytes].concat()) else { return };
                w2.ask(axum::http::Request::get(uri).header(name::AUTHORIZATION, &b2), b"");
            },
        )
        .words(SCIM)
        .up_to(12 * 1024),
    ]
}

fn names() -> Vec<Target> {
    let site = Site::new(
        &PublicUrl::parse("https://sso.example.com").unwrap(),
        &["127.0.0.1:8080".parse().unwrap()],
        vec!["10.0.0.0/8".parse().unwrap()],
    );
    vec![
        target(
            "email",
            Shape::Text,
            &["alice@corp.example", "\"a b\"@x.example", "a+b@sub.ex-ample.co.uk", "ä@bücher.example"],
            |bytes| {
                let text = as_text(bytes);
                if let Ok(address) = EmailAddress::parse(&text) {
                    assert_eq!(
                        EmailAddress::parse(&address.folded).unwrap().folded,
                        address.folded,
                        "folded once is folded"
                    );
                }
                let _ = (domain_name(&text), domain::of_email(&text));
            },
        )
        .up_to(8 * 1024),
        target(
            "domain",
            Shape::Text,
            &["corp.example", "bücher.example", "xn--bcher-kva.example", "a.b.c.d.example."],
            |bytes| {
                let text = as_text(bytes);
                if let Ok(name) = domain::canonical(&text) {
                    assert_eq!(domain::canonical(&name).unwrap(), name, "canonical once is canonical");
                }
                let _ = domain::claimable(&text);
            },
        )
        .up_to(8 * 1024),
        target("cookies", Shape::Text, &["authd_session=abc; __Host-authd_session=def", "a=b;;=;x"], |bytes| {
            let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
            let mut headers = HeaderMap::new();
            headers.append(name::COOKIE, value.clone());
            headers.append(name::COOKIE, value);
            for https in [true, false] {
                assert!(Cookies::new(https).get(&headers, "session").is_none_or(|value| !value.contains(';')));
            }
            let _ = Cookies::new(true).set("session", &as_text(bytes), None);
        })
        .up_to(16 * 1024),
        target(
            "site",
            Shape::Text,
            &["sso.example.com:443", "[::1]:8080", "10.0.0.1, 1.2.3.4", "https://sso.example.com"],
            move |bytes| {
                let Ok(value) = HeaderValue::from_bytes(bytes) else { return };
                let mut headers = HeaderMap::new();
                for header in ["host", "x-forwarded-for", "origin", "sec-fetch-site"] {
                    headers.insert(header, value.clone());
                }
                let _ = (site.serves(&Uri::from_static("/"), &headers), site.from_own_page(&headers));
                let _ = site.client_ip("10.0.0.9".parse().unwrap(), &headers);
            },
        )
        .up_to(16 * 1024),
        target(
            "url",
            Shape::Text,
            &[
                "https://sso.example.com/sso",
                "http://127.0.0.1:8080",
                "10.0.0.0/8",
                "ldap.corp.example:636",
                "[fd00::1]:443",
            ],
            |bytes| {
                let text = as_text(bytes);
                if let Ok(url) = PublicUrl::parse(&text) {
                    assert!(PublicUrl::parse(url.issuer()).is_ok());
                }
                let _ = OutboundRules::parse([&text]);
            },
        )
        .up_to(8 * 1024),
    ]
}

const XML: &[&str] = &[
    "<saml:Assertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_x\">",
    "</saml:Assertion>",
    "<samlp:Extensions xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\">",
    "<ds:Object xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">",
    "<!DOCTYPE x [<!ENTITY y \"z\">]>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?x?>",
    "&#x41;",
    "&y;",
    " ID=\"_x\"",
    " xml:id=\"_x\"",
    " xmlns=\"\"",
    " xmlns:a=\"urn:a\"",
    " URI=\"#xpointer(/)\"",
    "xsi:nil=\"true\"",
];

/// What an identity provider sends, and whoever says to be one.
fn saml_messages() -> Vec<Target> {
    const NAME: &str = "ada@own.example";
    let idp = Rc::new(Idp::new().encrypting());
    let signed = MODES.map(|mode| idp.answer(NAME).mode(mode).xml().into_bytes());
    let encrypted = MODES.map(|mode| idp.answer(NAME).mode(mode).encrypted(Encryption::usual()).xml().into_bytes());
    let (reader, raw) = (Rc::clone(&idp), Rc::clone(&idp));
    let expect = saml::LogoutExpect {
        idp_entity_id: "https://idp.example",
        certificates: &[],
        slo_url: "https://sp.example/slo",
        now: NOW,
        skew: std::time::Duration::from_secs(120),
        algorithms: &[],
        request_id: Some("_1"),
    };
    let pinned = idp.key.certificate.clone();
    vec![
        target("saml", Shape::Text, &[], move |bytes| {
            let text = provider::posted(&as_text(bytes));
            let _ = saml::peek(&text);
            if let Ok(verified) = saml::read(&text, &reader.expect(), &mut Checks::new()) {
                // Nobody else has the key.
                assert_eq!(verified.name_id.value, NAME);
            }
        })
        .with(signed.to_vec())
        .with(encrypted.to_vec())
        .with(corpus::saml())
        .words(XML)
        .up_to(190 * 1024),
        target("saml_post", Shape::Text, &["PGEvPg==", "PGE+", " P G E + ", "===="], move |bytes| {
            let _ = saml::read(&as_text(bytes), &raw.expect(), &mut Checks::new());
        })
        .up_to(300 * 1024),
        target(
            "saml_logout",
            Shape::Query,
            &["SAMLRequest=fZBBasMwEEWvYrS3JTl2bAvbUMgmkG6a0kU3RZYntcCWhGYEPX5jl0K66XJg5v%2F3Xo9qXYK8%2BE%2Bf6AW%2BEiBl3%2BviUO6bgaXopFdoUTq1AkrS8vr0fJFlIWSInrz2C3s4%2Bf9EIUIk6x3Lzqd%2F7gTLThDRbqcIH6Y8tJ3hLZSFKYFDe2zqzojbUWgQ9zVbZ1rAwFLEVHyKULBJXbGKHY2Qq4vA5%2F3XvEf%2BTfEO%2BfwDQ&RelayState=x&SigAlg=http%3A%2F%2Fwww.w3.org%2F2001%2F04%2Fxmldsig-more%23rsa-sha256&Signature=AAAA"],
            move |bytes| {
                let certificates = [pinned.clone()];
                let expect = saml::LogoutExpect { certificates: &certificates, ..expect };
                let (query, mut checks) = (as_text(bytes), Checks::new());
                assert!(saml::read_redirect(&query, &expect, &mut checks).is_err(), "nobody has signed it");
                assert!(saml::read_post(&query, &expect, &mut checks).is_err());
            },
        )
        .words(&["SAMLRequest", "SAMLResponse", "RelayState", "SigAlg", "Signature", "SAMLEncoding"])
        .up_to(300 * 1024),
        target("saml_metadata", Shape::Text, &[], |bytes| {
            if let Ok(metadata) = saml::read_metadata(&as_text(bytes), None, NOW) {
                assert!(metadata.certificates.iter().any(|certificate| certificate.usable));
                assert!(metadata.sso.iter().all(|endpoint| endpoint.location.starts_with("http")));
            }
        })
        .with(corpus::saml_metadata())
        .words(XML)
        .up_to(1024 * 1024),
    ]
}
