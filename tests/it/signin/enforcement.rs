//! Single sign-on, enforced: whoever comes in another way is refused by every path there is, and whoever comes as they
//! must is not.

use std::time::Duration;

use authd::event::EventKind;
use authd::id::{OrganizationId, UserId};
use axum::http::{Method, StatusCode};
use rand::Rng as _;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::{Scene, VERIFIER, back, connect, text};
use crate::world::authd::{Browser, Reply};
use crate::world::op::{MockOp, Signer, members};

const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const ISSUER: &str = "https://issuer.example";

/// An organization with two providers that have proven the same domain, and people who are known to both.
struct World {
    scene: Scene,
    other: MockOp,
    second: String,
    device_app: String,
    signer: Signer,
    machine: String,
}

/// One way in, as an outsider may hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    SignIn,
    Session,
    OwnPage,
    Code,
    Refresh,
    AccessToken,
    Introspection,
    Device,
    DeviceCode,
}

const PATHS: &[Path] = &[
    Path::SignIn,
    Path::Session,
    Path::OwnPage,
    Path::Code,
    Path::Refresh,
    Path::AccessToken,
    Path::Introspection,
    Path::Device,
    Path::DeviceCode,
];

/// What somebody holds who came in through a connection.
struct Held {
    connection: String,
    email: String,
    browser: Browser,
    code: String,
    refresh: String,
    access: String,
    device: Value,
    device_code: String,
}

impl World {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let (other, second) = connect(&scene.authd, &scene.organization, &["corp.example"]).await;
        let wish = json!({"id": scene.app, "grantTypes": ["authorization_code", "refresh_token"]});
        scene.authd.operate("app.update", wish).await;
        let wish = json!({"organization": scene.organization, "name": "TV", "kind": "native", "public": true,
            "grantTypes": [DEVICE]});
        let device_app = text(&scene.authd.operate("app.create", wish).await, "clientId");
        let patch = json!({"identity": {"accountLinking": {"oidc": "verifiedEmail"}}});
        let wish = json!({"organization": scene.organization, "patch": patch});
        scene.authd.operate("policy.update", wish).await;
        let signer = Signer::es256("issuer-key");
        let keys = json!({"keys": [signer.jwk()]});
        let wish = json!({"organization": scene.organization, "kind": "customJwt", "issuer": ISSUER,
            "jwks": format!("data:,{keys}"), "algorithm": "ES256", "applicationID": "my-app"});
        scene.authd.operate("issuer.create", wish).await;
        let wish = json!({"organization": scene.organization, "name": "ci", "grants": ["user.read"]});
        let machine = text(&scene.authd.operate("api_key.create", wish).await, "key");
        let world = Self { scene, other, second, device_app, signer, machine };
        // An owner who has come in through both: what is enforced can be switched on.
        for connection in [world.scene.connection.clone(), world.second.clone()] {
            world.sign_in(&connection, "olga@corp.example").await.unwrap();
            let owner = world.last_in().await;
            world.role(owner, &["owner"]).await;
        }
        world
    }

    fn op(&self, connection: &str) -> &MockOp {
        if connection == self.second { &self.other } else { &self.scene.op }
    }

    /// Who came in last.
    async fn last_in(&self) -> UserId {
        let events = self.scene.authd.events().await;
        let last = events.iter().rev().find(|event| event.kind == EventKind::ConnectionLoginSucceeded).unwrap();
        last.targets.iter().find(|target| target.kind == "user").unwrap().id.parse().unwrap()
    }

    async fn role(&self, user: UserId, roles: &[&str]) {
        let wish = json!({"user": user, "organization": self.scene.organization, "roles": roles});
        self.scene.authd.operate("member.set_role", wish).await;
    }

    /// A whole sign-in; the refusal's page where there is one.
    async fn sign_in(&self, connection: &str, email: &str) -> Result<(Browser, String), Reply> {
        let mut browser = self.scene.authd.browser();
        let subject = email.to_owned();
        let address = email.to_owned();
        self.op(connection).person(move |person| {
            person.insert("sub".into(), subject.into());
            person.insert("email".into(), address.into());
            person.insert("email_verified".into(), true.into());
        });
        let more = [("connection", connection), ("prompt", "login")];
        let left = browser.get(&self.scene.authorize(&more)).await;
        assert_eq!(left.status, StatusCode::SEE_OTHER, "{left:?}");
        let landed = browser.get(&back(self.op(connection), &left, connection)).await;
        if landed.status != StatusCode::SEE_OTHER {
            return Err(landed);
        }
        let code = landed.query("code").unwrap_or_else(|| panic!("{landed:?}"));
        Ok((browser, code))
    }

    async fn ask_device(&self) -> Value {
        let fields = [("client_id", &*self.device_app), ("scope", "openid email")];
        let reply = self.scene.authd.browser().post("/oauth2/device_authorization", &fields).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
        reply.json()
    }

    async fn confirm_page(&self, browser: &mut Browser, asked: &Value) -> Option<Reply> {
        let went = browser.post("/device", &[("user_code", &text(asked, "user_code"))]).await;
        if went.status != StatusCode::SEE_OTHER || !went.location().path().starts_with("/device/confirm") {
            return None;
        }
        let page = browser.get(went.location().as_str()).await;
        (page.status == StatusCode::OK && page.body.contains("name=\"decision\"")).then_some(page)
    }

    /// Everything that somebody can hold who has come in through that connection.
    async fn hold(&self, connection: &str, email: &str) -> Held {
        let (mut browser, code) = self.sign_in(connection, email).await.unwrap();
        let tokens = self.scene.redeem(&code).await.json();
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let asked = self.ask_device().await;
        let page = self.confirm_page(&mut browser, &asked).await.unwrap();
        let fields = [("attempt", &*page.field("attempt")), ("decision", "allow")];
        assert_eq!(browser.post("/device/confirm", &fields).await.status, StatusCode::OK);
        let device = self.ask_device().await;
        let code = browser.get(&self.scene.authorize(&[("prompt", "none")])).await.query("code").unwrap();
        Held {
            connection: connection.to_owned(),
            email: email.to_owned(),
            browser,
            code,
            refresh,
            access,
            device,
            device_code: text(&asked, "device_code"),
        }
    }

    async fn form(&self, path: &str, more: &[(&str, &str)]) -> Value {
        let mut fields = vec![("client_id", &*self.scene.app), ("client_secret", &*self.scene.secret)];
        fields.extend(more);
        self.scene.authd.browser().post(path, &fields).await.json()
    }

    async fn bearer(&self, path: &str, bearer: &str) -> Reply {
        let bearer = format!("Bearer {bearer}");
        let headers = [("authorization", bearer.as_str())];
        self.scene.authd.browser().send(Method::GET, path, &headers, None).await
    }

    /// Whether the path lets them in.
    async fn opens(&self, path: Path, held: &mut Held) -> bool {
        match path {
            Path::SignIn => match self.sign_in(&held.connection, &held.email).await {
                Ok(_) => true,
                Err(page) => {
                    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
                    assert!(page.body.contains("sso_required"), "{}", page.body);
                    false
                }
            },
            Path::Session => {
                let reply = held.browser.get(&self.scene.authorize(&[("prompt", "none")])).await;
                let refused = reply.query("error");
                assert!(refused.as_deref().is_none_or(|error| error == "login_required"), "{reply:?}");
                refused.is_none()
            }
            Path::OwnPage => {
                let reply = held.browser.get("/signin").await;
                reply.body.contains("/signin/sign-out")
            }
            Path::Code => {
                let fields = [
                    ("grant_type", "authorization_code"),
                    ("code", &*held.code),
                    ("redirect_uri", super::REDIRECT),
                    ("code_verifier", VERIFIER),
                ];
                told(&self.form("/oauth2/token", &fields).await)
            }
            Path::Refresh => {
                let fields = [("grant_type", "refresh_token"), ("refresh_token", &*held.refresh)];
                told(&self.form("/oauth2/token", &fields).await)
            }
            Path::AccessToken => self.scene.userinfo(&held.access).await.status == StatusCode::OK,
            Path::Introspection => {
                let both = [&held.access, &held.refresh];
                let mut active = Vec::new();
                for token in both {
                    active.push(self.form("/oauth2/introspect", &[("token", &**token)]).await["active"] == true);
                }
                // A refresh token that was used a moment ago is good for its successor.
                assert_eq!(active[0], active[1]);
                active[0]
            }
            Path::Device => {
                let device = held.device.clone();
                self.confirm_page(&mut held.browser, &device).await.is_some()
            }
            Path::DeviceCode => {
                self.scene.authd.env().advance(std::time::Duration::from_secs(6));
                let fields =
                    [("grant_type", DEVICE), ("device_code", &*held.device_code), ("client_id", &*self.device_app)];
                told(&self.scene.authd.browser().post("/oauth2/token", &fields).await.json())
            }
        }
    }

    async fn enforce(&self, wish: Value) -> Value {
        let mut input = json!({"organization": self.scene.organization});
        input.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        self.scene.authd.operate("enforcement.set", input).await
    }

    async fn says(&self, connection: &str, enforce: Value) {
        self.scene.authd.operate("connection.update", json!({"id": connection, "enforce": enforce})).await;
    }
}

fn told(answer: &Value) -> bool {
    if answer["access_token"].is_string() {
        return true;
    }
    assert_eq!(answer["error"], "invalid_grant", "{answer}");
    false
}

/// One setting, and what it means for somebody of the domain who has these roles: `None` where they are free, else the
/// connections that would do (0 the first, 1 the second).
#[derive(Debug)]
struct Setting {
    everybody: bool,
    domain: bool,
    words: [Option<bool>; 2],
    exempt: bool,
}

impl Setting {
    fn random(rng: &mut StdRng) -> Self {
        let mut word = || [None, None, Some(true), Some(false)][rng.random_range(0..4)];
        let words = [word(), word()];
        Self { everybody: rng.random(), domain: rng.random_bool(0.3), words, exempt: rng.random_bool(0.2) }
    }

    /// Whether somebody who came through the connection of that place is let in.
    fn lets_in(&self, place: usize) -> bool {
        if self.exempt {
            return true;
        }
        match self.words {
            [Some(true), Some(true)] => true,
            [Some(true), _] => place == 0,
            [_, Some(true)] => place == 1,
            _ => true,
        }
    }

    /// Whether anything but a connection lets them in.
    fn is_free(&self) -> bool {
        if self.exempt {
            return true;
        }
        match self.words {
            [Some(true), _] | [_, Some(true)] => false,
            [Some(false), Some(false)] => true,
            _ => !self.everybody && !self.domain,
        }
    }
}

#[tokio::test]
async fn nat_09_every_path_obeys_what_is_enforced_and_lets_in_whoever_does() {
    let world = World::new().await;
    let scene = &world.scene;
    let organization: OrganizationId = scene.organization.parse().unwrap();
    let mut rng = StdRng::seed_from_u64(9);
    for round in 0..10 {
        // What is held was opened while nothing was enforced.
        world.enforce(json!({"enforce": false, "domains": null, "exemptRoles": null})).await;
        for connection in [&scene.connection, &world.second] {
            world.says(connection, Value::Null).await;
        }
        let email = format!("p{round}@{}", ["corp.example", "CORP.example", "Corp.Example"][rng.random_range(0..3)]);
        let mut held = Vec::new();
        for connection in [&scene.connection, &world.second] {
            held.push(world.hold(connection, &email).await);
        }
        let user = world.last_in().await;
        let key = json!({"organization": organization, "user": user, "name": "mine", "grants": ["user.read"]});
        let key = text(&scene.authd.operate("api_key.create", key).await, "key");
        let issued = scene.authd.token(organization, user).await;

        let setting = Setting::random(&mut rng);
        world.role(user, if setting.exempt { &["viewer"] } else { &["admin"] }).await;
        for (connection, word) in [&scene.connection, &world.second].into_iter().zip(setting.words) {
            world.says(connection, json!(word)).await;
        }
        let domains: &[&str] = if setting.domain { &["CORP.example"] } else { &[] };
        world.enforce(json!({"enforce": setting.everybody, "domains": domains, "exemptRoles": ["viewer"]})).await;

        for (place, held) in held.iter_mut().enumerate() {
            for path in PATHS {
                let open = world.opens(*path, held).await;
                assert_eq!(open, setting.lets_in(place), "round {round}: {path:?} through {place} under {setting:?}");
            }
        }
        for (what, bearer) in [("key", &key), ("issued token", &issued)] {
            let reply = world.bearer(&format!("/v1/users?organization={organization}"), bearer).await;
            let open = match reply.status {
                StatusCode::OK => true,
                status => {
                    assert_eq!((status, reply.json()["code"].as_str()), (StatusCode::FORBIDDEN, Some("sso_required")));
                    false
                }
            };
            assert_eq!(open, setting.is_free(), "round {round}: {what} under {setting:?}");
        }
        // A trusted issuer's word about a stranger of the domain is no sign-in through a connection.
        let now = scene.authd.env().now().seconds();
        let claims = members(json!({"iss": ISSUER, "aud": "my-app", "sub": format!("s{round}"), "iat": now,
            "exp": now + 600, "email": email, "email_verified": true}));
        let token = world.signer.token(&world.signer.header(), &claims);
        let reply = world.bearer("/v1/identity", &token).await;
        let free = Setting { exempt: false, ..setting }.is_free();
        let expected = if free { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(reply.status, expected, "round {round}: {}", reply.body);
        // A machine is nobody: the organization's key works on.
        let reply = world.bearer("/v1/users", &world.machine).await;
        assert_eq!(reply.status, StatusCode::OK, "round {round}: {}", reply.body);
    }
}

#[tokio::test]
async fn nat_09_a_bearer_that_is_refused_so_is_one_event_that_names_its_holder() {
    let world = World::new().await;
    let scene = &world.scene;
    let organization: OrganizationId = scene.organization.parse().unwrap();
    let held = world.hold(&scene.connection, "anna@corp.example").await;
    let user = world.last_in().await;
    world.role(user, &["admin"]).await;
    let key = json!({"organization": organization, "user": user, "name": "mine", "grants": ["user.read"]});
    let key = scene.authd.operate("api_key.create", key).await;
    let issued = scene.authd.token(organization, user).await;
    let now = scene.authd.env().now().seconds();
    let claims = members(json!({"iss": ISSUER, "aud": "my-app", "sub": "s", "iat": now, "exp": now + 600,
        "email": "stranger@corp.example", "email_verified": true}));
    let stranger = world.signer.token(&world.signer.header(), &claims);
    world.says(&world.second, json!(true)).await;
    let refusals = async || {
        let mut events = scene.authd.events().await;
        events.retain(|event| event.kind == EventKind::TokenRefused);
        events
    };
    let users = format!("/v1/users?organization={organization}");
    let (key_id, user) = (text(&key, "id"), user.to_string());
    let bearers = [
        (&*users, text(&key, "key"), Some(key_id)),
        (&*users, issued.clone(), Some(user.clone())),
        ("/v1/sso/connections", issued.clone(), Some(user.clone())),
        ("/v1/identity", issued, Some(user.clone())),
        ("/v1/identity", stranger, None),
        ("/userinfo", held.access.clone(), Some(user)),
    ];
    for (path, bearer, holder) in bearers {
        let before = refusals().await.len();
        let reply = world.bearer(path, &bearer).await;
        assert!(matches!(reply.status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED), "{path}: {}", reply.body);
        let told = refusals().await;
        assert_eq!(told.len(), before + 1, "{path}: one event, and no more");
        let event = told.last().unwrap();
        assert_eq!(
            (event.error_code.as_deref(), event.organization_id),
            (Some("sso_required"), Some(organization)),
            "{path}"
        );
        assert_eq!(event.actor_id, holder, "{path}");
        assert!(event.ip.is_some(), "{path}");
    }
    // One that nobody was given is told, too; of many a few, and the rest are counted.
    scene.authd.env().advance(Duration::from_secs(120));
    let before = refusals().await.len();
    for _ in 0..40 {
        let unknown = format!("ak_{:064x}", rand::rng().random::<u128>());
        assert_eq!(world.bearer(&users, &unknown).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(refusals().await.len() - before, 10);
}

#[tokio::test]
async fn what_is_refused_for_now_is_good_again_when_that_is_lifted() {
    let world = World::new().await;
    let mut held = world.hold(&world.second, "anna@corp.example").await;
    world.says(&world.scene.connection, json!(true)).await;
    for _ in 0..3 {
        for path in [Path::Session, Path::OwnPage, Path::Refresh, Path::AccessToken, Path::Introspection, Path::Device]
        {
            assert!(!world.opens(path, &mut held).await, "{path:?}");
        }
        world.scene.authd.env().advance(std::time::Duration::from_secs(15));
    }
    world.says(&world.scene.connection, Value::Null).await;
    for path in [Path::Session, Path::OwnPage, Path::AccessToken, Path::Introspection, Path::Device, Path::Refresh] {
        assert!(world.opens(path, &mut held).await, "{path:?}");
    }
}

#[tokio::test]
async fn a_refused_sign_in_through_the_wrong_connection_leaves_nothing() {
    let world = World::new().await;
    world.says(&world.scene.connection, json!(true)).await;
    let counts = world.scene.authd.counts().await;
    let page = world.sign_in(&world.second, "new@corp.example").await.err().unwrap();
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert_eq!(world.scene.authd.counts().await, counts, "nobody became known");
    let trace = world.scene.authd.operate("signin.explain", json!({"id": page.request_id()})).await;
    assert_eq!(text(&trace, "errorCode"), "sso_required");
    let checks = trace["checks"].as_array().unwrap();
    assert!(checks.iter().any(|check| check["name"] == "enforcement" && check["ok"] == false), "{checks:?}");
    assert!(world.sign_in(&world.scene.connection, "new@corp.example").await.is_ok());
}

#[tokio::test]
async fn what_a_connection_says_waits_until_somebody_who_can_help_still_gets_in() {
    let scene = Scene::new().await;
    let says = json!({"id": scene.connection, "enforce": true});
    scene.authd.operate("connection.update", says).await;
    let status =
        async || scene.authd.operate("connection.status", json!({"id": scene.connection})).await["enforcement"].clone();
    assert_eq!(status().await, json!({"enforced": false, "by": "connection", "waiting": true}));
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    assert_eq!(status().await["waiting"], true, "whoever came in is no owner");
    let members = scene.authd.operate("user.list", json!({"organization": scene.organization})).await;
    let user = text(&members["items"][0], "id");
    let wish = json!({"user": user, "organization": scene.organization, "roles": ["owner"]});
    scene.authd.operate("member.set_role", wish).await;
    scene.sign_in(&mut browser).await;
    assert_eq!(status().await, json!({"enforced": true, "by": "connection"}));
    let told = scene.authd.events().await;
    let told = told.iter().find(|event| event.kind == EventKind::EnforcementEnabled).unwrap();
    assert_eq!(told.subject.as_ref().unwrap().id, scene.connection);
    // Deleted, it says nothing; restored, it says it again.
    scene.authd.operate("connection.delete", json!({"id": scene.connection})).await;
    let get = json!({"organization": scene.organization});
    assert_eq!(scene.authd.operate("enforcement.get", get.clone()).await["connections"], json!([]));
    scene.authd.operate("connection.restore", json!({"id": scene.connection})).await;
    let row = scene.authd.operate("enforcement.get", get).await["connections"][0].clone();
    assert_eq!((&row["connection"], &row["enforce"]), (&json!(scene.connection), &json!(true)), "{row}");
}

/// An address that authd does not keep (nobody verified it; it is somebody else's) says whose domain they are, all the same.
#[tokio::test]
async fn whoever_names_an_address_of_the_domain_obeys_it_whether_it_is_kept_or_not() {
    const KEEPS: &str = "https://keeps.example";
    let world = World::new().await;
    let scene = &world.scene;
    let keys = json!({"keys": [world.signer.jwk()]});
    let wish = json!({"organization": scene.organization, "kind": "customJwt", "issuer": KEEPS, "storeUsers": true,
        "jwks": format!("data:,{keys}"), "algorithm": "ES256", "applicationID": "my-app"});
    scene.authd.operate("issuer.create", wish).await;
    let asks = async |subject: &str, email: Option<&str>, verified: bool| {
        let now = scene.authd.env().now().seconds();
        let mut claims = members(json!({"iss": KEEPS, "aud": "my-app", "sub": subject, "iat": now, "exp": now + 600}));
        if let Some(email) = email {
            claims.insert("email".to_owned(), json!(email));
            claims.insert("email_verified".to_owned(), json!(verified));
        }
        let reply = world.bearer("/v1/identity", &world.signer.token(&world.signer.header(), &claims)).await;
        let code = reply.json()["code"].as_str().map(str::to_owned);
        (reply.status, code)
    };
    let refused = (StatusCode::FORBIDDEN, Some("sso_required".to_owned()));
    let open = (StatusCode::OK, None);
    let cases = [
        ("unverified", Some("ann@corp.example"), false, true),
        ("somebody else's", Some("olga@corp.example"), true, true),
        ("in other letters", Some("ANN@CORP.Example"), false, true),
        ("verified", Some("ben@corp.example"), true, true),
        ("of another domain", Some("ann@elsewhere.example"), false, false),
        ("below the domain", Some("ann@sub.corp.example"), false, false),
        ("none", None, false, false),
    ];
    for known in [false, true] {
        for (what, email, verified, _) in &cases {
            if known {
                // Known from a time when nothing was enforced.
                world.enforce(json!({"enforce": false, "domains": []})).await;
                assert_eq!(asks(&format!("known {what}"), *email, *verified).await, open, "{what}");
            }
        }
        world.enforce(json!({"enforce": false, "domains": ["corp.example"]})).await;
        let before = scene.authd.counts().await["user"];
        for (what, email, verified, obeys) in &cases {
            let subject = if known { format!("known {what}") } else { format!("new {what}") };
            let expected = if *obeys { &refused } else { &open };
            assert_eq!(&asks(&subject, *email, *verified).await, expected, "{what}, known: {known}");
        }
        let made = cases.iter().filter(|(.., obeys)| !obeys && !known).count() as u64;
        assert_eq!(scene.authd.counts().await["user"], before + made, "whoever is refused does not become known");
    }
}
