//! The operator's link: it opens when nothing else does, once, for an owner, for an hour; and it is told.

use std::time::Duration;

use authd::access::{Caller, Grants};
use authd::event::{Event, EventKind, Origin};
use authd::id::{OrganizationId, UserId};
use axum::http::{Method, StatusCode};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use serde_json::{Value, json};

use super::{Scene, claims, text};
use crate::world::authd::{Browser, PUBLIC_URL, Reply};

struct Glass {
    scene: Scene,
    organization: OrganizationId,
    owner: UserId,
}

impl Glass {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let organization: OrganizationId = scene.organization.parse().unwrap();
        let owner = scene.authd.person(organization, "olga", &["owner"]).await;
        Self { scene, organization, owner }
    }

    async fn link(&self, more: Value) -> Value {
        let mut input = json!({"organization": self.organization, "user": self.owner, "reason": "Okta is down <b>"});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.scene.authd.operate("break_glass.create", input).await
    }

    /// From the link to the press of the button.
    async fn press(&self, browser: &mut Browser, link: &Value) -> Reply {
        let page = browser.get(&text(link, "url")).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        browser.post("/signin/break-glass", &[("attempt", &page.field("attempt"))]).await
    }

    async fn told(&self, kind: EventKind) -> Vec<Event> {
        self.scene.authd.events().await.into_iter().filter(|event| event.kind == kind).collect()
    }

    /// Refused, with one event that says why; nothing was opened.
    async fn refused(&self, reply: &Reply, why: &str) {
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{why}: {}", reply.body);
        assert!(
            reply.body.contains("break_glass_invalid") && reply.body.contains(&reply.request_id()),
            "{}",
            reply.body
        );
        let told = self.told(EventKind::BreakGlassRefused).await;
        assert_eq!(told.last().unwrap().data["reason"], why);
        let cookies = reply.headers.get_all("set-cookie").iter();
        assert!(cookies.into_iter().all(|cookie| !cookie.to_str().unwrap().contains("session")));
    }
}

#[tokio::test]
async fn the_link_lets_an_owner_in_when_the_provider_is_down_and_everything_is_enforced() {
    let glass = Glass::new().await;
    let Glass { scene, organization, owner } = &glass;
    // An owner shows once that sign-in works; then it is enforced, and the provider fails.
    let mut other = scene.authd.browser();
    scene.op.person(|person| drop(person.insert("email".into(), "alice@corp.example".into())));
    scene.sign_in(&mut other).await;
    let people = scene.authd.operate("user.list", json!({"organization": organization})).await;
    let alice = people["items"].as_array().unwrap().iter().find(|row| row["email"] == "alice@corp.example").unwrap();
    let wish = json!({"organization": organization, "user": alice["id"], "roles": ["owner"]});
    scene.authd.operate("member.set_role", wish).await;
    scene.authd.operate("enforcement.set", json!({"organization": organization, "enforce": true})).await;
    scene.op.down(true);

    let link = glass.link(json!({"for": "15m"})).await;
    assert_eq!(text(&link, "user"), owner.to_string());
    assert!(text(&link, "url").starts_with(&format!("{PUBLIC_URL}/signin/break-glass?token=bg_")));
    let mut browser = scene.authd.browser();
    let page = browser.get(&text(&link, "url")).await;
    for shown in ["olga@example.test", "Corp", "Okta is down &#60;b&#62;", "60 minutes"] {
        assert!(page.body.contains(shown), "{shown}: {}", page.body);
    }
    let came = glass.press(&mut browser, &link).await;
    assert_eq!(came.status, StatusCode::SEE_OTHER, "{}", came.body);
    let own = browser.get(came.location().as_str()).await;
    assert!(own.body.contains("olga@example.test") && own.body.contains("/signin/sign-out"), "{}", own.body);

    // An app that wants the connection which is down takes the session, and no token outlives it.
    let wish = json!({"id": scene.app, "grantTypes": ["authorization_code", "refresh_token"]});
    scene.authd.operate("app.update", wish).await;
    let query = scene.authorize(&[("connection", &scene.connection)]);
    let query = query.replace("scope=openid+email+profile+groups", "scope=openid+offline_access");
    let code = browser.get(&query).await;
    let code = match code.status {
        StatusCode::SEE_OTHER => code,
        _ => browser.post("/signin/consent", &[("attempt", &code.field("attempt")), ("decision", "allow")]).await,
    };
    let tokens = scene.redeem(&code.query("code").unwrap()).await.json();
    assert_eq!(claims(&text(&tokens, "access_token"))["sub"], owner.to_string());
    assert_eq!(scene.userinfo(&text(&tokens, "access_token")).await.status, StatusCode::OK);

    let listed = scene.authd.operate("session.list", json!({"organization": organization, "user": owner})).await;
    let row = &listed["items"][0];
    assert_eq!((text(row, "method"), row["live"].as_bool()), ("break_glass".into(), Some(true)), "{row}");
    let refreshed = async |token: &str| {
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", token),
            ("client_id", &*scene.app),
            ("client_secret", &*scene.secret),
        ];
        scene.authd.browser().post("/oauth2/token", &fields).await.json()
    };
    let turned = refreshed(&text(&tokens, "refresh_token")).await;
    assert!(turned["access_token"].is_string(), "{turned}");
    scene.authd.env().advance(Duration::from_secs(3600));
    assert_eq!(refreshed(&text(&turned, "refresh_token")).await["error"], "invalid_grant", "an hour is all");
    let gone = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert_eq!(gone.query("error").as_deref(), Some("login_required"));

    // Both are told, with the reason and without the secret.
    let (made, used) = (glass.told(EventKind::BreakGlassCreated).await, glass.told(EventKind::BreakGlassUsed).await);
    assert_eq!((made.len(), used.len()), (1, 1));
    for event in made.iter().chain(&used) {
        assert_eq!(event.data["reason"], "Okta is down <b>");
        assert_eq!(event.subject.as_ref().unwrap().id, text(&link, "id"));
        let secret = text(&link, "url").split("token=").nth(1).unwrap().to_owned();
        assert!(!serde_json::to_string(event).unwrap().contains(&secret));
    }
    assert_eq!((made[0].actor_type.as_str(), used[0].actor_type.as_str()), ("operator", "user"));
}

#[tokio::test]
async fn the_link_carries_nobody_who_is_no_owner_any_more() {
    let glass = Glass::new().await;
    let Glass { scene, organization, owner } = &glass;
    let second = scene.authd.person(*organization, "second", &["owner"]).await;
    let wish = json!({"id": scene.app, "grantTypes": ["authorization_code", "refresh_token"]});
    scene.authd.operate("app.update", wish).await;
    // Somebody has come in through the provider, so that enforcing it is allowed.
    scene.op.person(|person| drop(person.insert("email".into(), "alice@corp.example".into())));
    scene.sign_in(&mut scene.authd.browser()).await;
    let people = scene.authd.operate("user.list", json!({"organization": organization})).await;
    let alice = people["items"].as_array().unwrap().iter().find(|row| row["email"] == "alice@corp.example").unwrap();
    let wish = json!({"organization": organization, "user": alice["id"], "roles": ["owner"]});
    scene.authd.operate("member.set_role", wish).await;
    scene.authd.operate("enforcement.set", json!({"organization": organization, "enforce": true})).await;

    let link = glass.link(json!({"for": "15m"})).await;
    let mut browser = scene.authd.browser();
    let came = glass.press(&mut browser, &link).await;
    assert_eq!(came.status, StatusCode::SEE_OTHER, "{}", came.body);
    let query = scene.authorize(&[]).replace("scope=openid+email+profile+groups", "scope=openid+offline_access");
    let asked = browser.get(&query).await;
    let landed = match asked.status {
        StatusCode::SEE_OTHER => asked,
        _ => browser.post("/signin/consent", &[("attempt", &asked.field("attempt")), ("decision", "allow")]).await,
    };
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let spare = browser.get(&query).await.query("code").unwrap();
    assert_eq!(scene.userinfo(&access).await.status, StatusCode::OK);

    let roles = |roles: &[&str]| json!({"organization": organization, "user": owner, "roles": roles});
    scene.authd.operate("member.set_role", roles(&["admin"])).await;
    assert_ne!(scene.userinfo(&access).await.status, StatusCode::OK);
    assert!(scene.redeem(&spare).await.json()["access_token"].is_null(), "a code of that time");
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
        ("client_id", &*scene.app),
        ("client_secret", &*scene.secret),
    ];
    let turned = scene.authd.browser().post("/oauth2/token", &fields).await.json();
    assert!(turned["access_token"].is_null(), "{turned}");
    let again = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert!(again.query("code").is_none() && again.query("error").is_some(), "{again:?}");
    assert!(!browser.get("/signin").await.body.contains("olga@example.test"));
    assert_ne!(second, *owner);
}

#[tokio::test]
async fn looking_at_the_link_uses_nothing_up_and_the_button_works_once() {
    let glass = Glass::new().await;
    let link = glass.link(json!({})).await;
    let url = text(&link, "url");
    // Whatever looks at links ahead of the person.
    for method in [Method::HEAD, Method::GET, Method::GET] {
        let seen = glass.scene.authd.browser().send(method, &url, &[], None).await;
        assert_eq!(seen.status, StatusCode::OK);
    }
    let before = glass.scene.authd.counts().await;
    // A form of another site, and the form in another browser.
    let page = glass.scene.authd.browser().get(&url).await;
    let attempt = page.field("attempt");
    let fields = [("attempt", attempt.as_str())];
    let cross = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let mut browser = glass.scene.authd.browser();
    let foreign = browser.send(Method::POST, "/signin/break-glass", &cross, Some(&fields)).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let elsewhere = browser.post("/signin/break-glass", &fields).await;
    assert_eq!(elsewhere.status, StatusCode::BAD_REQUEST, "{}", elsewhere.body);
    assert!(elsewhere.body.contains("flow_mismatch"));
    assert_eq!(glass.scene.authd.counts().await, before);

    let mut own = glass.scene.authd.browser();
    let page = own.get(&url).await;
    let attempt = page.field("attempt");
    let fields = [("attempt", attempt.as_str())];
    let came = own.clone().post("/signin/break-glass", &fields).await;
    assert_eq!(came.status, StatusCode::SEE_OTHER, "{}", came.body);
    let again = own.post("/signin/break-glass", &fields).await;
    glass.refused(&again, "used").await;
    glass.refused(&glass.scene.authd.browser().get(&url).await, "used").await;
    assert_eq!(glass.told(EventKind::BreakGlassUsed).await.len(), 1);
}

#[tokio::test]
async fn of_many_presses_at_once_one_opens_one_session() {
    let glass = Glass::new().await;
    let link = glass.link(json!({})).await;
    let mut ready = Vec::new();
    for _ in 0..16 {
        let mut browser = glass.scene.authd.browser();
        let page = browser.get(&text(&link, "url")).await;
        ready.push((browser, page.field("attempt")));
    }
    let before = glass.scene.authd.counts().await["session"];
    let presses = ready.into_iter().map(|(mut browser, attempt)| async move {
        browser.post("/signin/break-glass", &[("attempt", &attempt)]).await.status
    });
    let mut all = tokio::task::JoinSet::new();
    for press in presses {
        all.spawn(press);
    }
    let statuses = all.join_all().await;
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::SEE_OTHER).count(), 1, "{statuses:?}");
    assert_eq!(glass.scene.authd.counts().await["session"], before + 1);
}

/// What can become of somebody between the making of the link and its use.
const ENDS: &[(&str, &str)] = &[
    ("expired", "expired"),
    ("deprovisioned", "ended"),
    ("back again", "ended"),
    ("no owner any more", "not_an_owner"),
    ("sessions revoked", "ended"),
    ("organization disabled", "ended"),
    ("organization ended", "ended"),
    ("made up", "unknown"),
];

#[tokio::test]
async fn a_link_dies_with_what_it_was_made_for_also_between_page_and_button() {
    let mut ends = ENDS.to_vec();
    ends.shuffle(&mut StdRng::seed_from_u64(9));
    for (end, why) in ends {
        for shown_before in [false, true] {
            let glass = Glass::new().await;
            let Glass { scene, organization, owner } = &glass;
            scene.authd.person(*organization, "second", &["owner"]).await;
            let link = glass.link(json!({"for": "5m"})).await;
            let mut browser = scene.authd.browser();
            let attempt = match shown_before {
                true => Some(browser.get(&text(&link, "url")).await.field("attempt")),
                false => None,
            };
            let who = json!({"id": owner, "organization": organization});
            let mut url = text(&link, "url");
            match end {
                "expired" => scene.authd.env().advance(Duration::from_secs(300)),
                "deprovisioned" => drop(scene.authd.operate("user.suspend", who).await),
                "back again" => {
                    scene.authd.operate("user.suspend", who.clone()).await;
                    scene.authd.operate("user.reactivate", who).await;
                }
                "no owner any more" => {
                    let wish = json!({"user": owner, "organization": organization, "roles": ["admin"]});
                    scene.authd.operate("member.set_role", wish).await;
                }
                "sessions revoked" => {
                    let wish = json!({"user": owner, "organization": organization});
                    scene.authd.operate("session.revoke_all", wish).await;
                }
                "organization disabled" => {
                    drop(scene.authd.operate("organization.disable", json!({"id": organization})).await)
                }
                "organization ended" => {
                    scene.authd.operate("organization.delete", json!({"id": organization, "confirm": "Corp"})).await;
                }
                _ if shown_before => continue,
                _ => url.push('x'),
            }
            let reply = match attempt {
                Some(attempt) => browser.post("/signin/break-glass", &[("attempt", &attempt)]).await,
                None => browser.get(&url).await,
            };
            glass.refused(&reply, why).await;
            assert!(glass.told(EventKind::BreakGlassUsed).await.is_empty(), "{end}");
        }
    }
}

#[tokio::test]
async fn nat_09_only_the_operator_makes_a_link_for_an_owner_and_nothing_else() {
    let glass = Glass::new().await;
    let Glass { scene, organization, owner } = &glass;
    let admin = scene.authd.person(*organization, "ada", &["admin"]).await;
    let input = |user: Value, lasts: &str, reason: &str| json!({"organization": organization, "user": user, "for": lasts, "reason": reason});
    let by = async |caller: Caller, input: Value| {
        let cx = scene.authd.app.context(caller, Origin::internal(scene.authd.env()));
        scene.authd.app.perform(&cx, "break_glass.create", input).await.map_err(|error| error.code())
    };
    let operator = || Caller::Operator { uid: 0 };
    // Not even a key that may do everything, and not over the network.
    let key = json!({"organization": organization, "name": "all", "grants": ["*"]});
    let key = scene.authd.operate("api_key.create", key).await;
    let bearer = format!("Bearer {}", text(&key, "key"));
    let all = Caller::User { id: Some(*owner), organization: *organization, grants: Grants::all() };
    assert_eq!(by(all, input(json!(owner), "15m", "r")).await.unwrap_err(), "operator_only");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let over = scene.authd.browser().send(Method::POST, "/v1/break-glass", &headers, None).await;
    assert!(over.status.is_client_error(), "{}", over.status);

    for (user, lasts, reason, code) in [
        (json!(admin), "15m", "r", "invalid_input"),
        (json!(owner), "25h", "r", "invalid_input"),
        (json!(owner), "59s", "r", "invalid_input"),
        (json!(owner), "soon", "r", "invalid_input"),
        (json!(owner), "15m", " ", "invalid_input"),
        (json!(owner), "15m", "two\nlines", "invalid_input"),
        (json!("nobody@example.test"), "15m", "r", "not_found"),
        (json!(UserId::new(scene.authd.env())), "15m", "r", "not_found"),
    ] {
        let refused = by(operator(), input(user.clone(), lasts, reason)).await.unwrap_err();
        assert_eq!(refused, code, "{user} {lasts} {reason:?}");
    }
    let made = by(operator(), input(json!("OLGA@example.test"), "1h", "IdP down")).await.unwrap();
    assert_eq!(text(&made, "user"), owner.to_string());
    scene.authd.operate("user.suspend", json!({"id": admin, "organization": organization})).await;
    assert_eq!(by(operator(), input(json!(admin), "1h", "r")).await.unwrap_err(), "person_disabled");
    assert_eq!(glass.told(EventKind::BreakGlassCreated).await.len(), 1);
}

/// A link is seen until it is forgotten, taken back before it is used, and with it goes the session of somebody who was
/// quicker; all of it is the operator's alone, and told.
#[tokio::test]
async fn links_are_listed_and_taken_back() {
    let glass = Glass::new().await;
    let Glass { scene, organization, owner } = &glass;
    let listed = async |more: Value| {
        let mut wish = json!({"organization": organization});
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let listed = scene.authd.operate("break_glass.list", wish).await;
        assert!(!listed.to_string().contains("bg_"), "no secret: {listed}");
        listed["items"].as_array().unwrap().clone()
    };
    let states = async || -> Vec<String> { listed(json!({})).await.iter().map(|row| text(row, "state")).collect() };
    let mut made = Vec::new();
    for lasts in ["24h", "15m", "1m"] {
        made.push(glass.link(json!({"for": lasts})).await);
        // They are listed in the order in which they were made.
        scene.authd.env().advance(Duration::from_millis(5));
    }
    let [open, used, expired] = made.try_into().unwrap();
    let mut browser = scene.authd.browser();
    assert_eq!(glass.press(&mut browser, &used).await.status, StatusCode::SEE_OTHER);
    assert_eq!(states().await, ["open", "used", "open"]);
    scene.authd.env().advance(Duration::from_secs(61));
    assert_eq!(states().await, ["open", "used", "expired"]);
    let still = listed(json!({"open": true})).await;
    assert_eq!(still.len(), 1);
    let row = &still[0];
    assert_eq!((text(row, "id"), text(row, "user")), (text(&open, "id"), owner.to_string()));
    assert_eq!((text(row, "email"), text(row, "reason")), ("olga@example.test".into(), "Okta is down <b>".into()));

    // Taken back before anybody came by it.
    let revoke = async |link: &Value| scene.authd.operate("break_glass.revoke", json!({"id": link["id"]})).await;
    let back = revoke(&open).await;
    assert_eq!(text(&back, "state"), "revoked");
    assert!(back["revokedAt"].is_string() && back.get("usedAt").is_none(), "{back}");
    glass.refused(&scene.authd.browser().get(&text(&open, "url")).await, "revoked").await;
    // Twice is once.
    revoke(&open).await;
    let told = glass.told(EventKind::BreakGlassRevoked).await;
    assert_eq!((told.len(), told[0].actor_type.as_str()), (1, "operator"));
    assert_eq!(
        (&told[0].data["used"], told[0].subject.as_ref().unwrap().id.as_str()),
        (&json!(false), &*text(&open, "id"))
    );

    // Of one that was used, the session ends.
    let session = listed(json!({})).await[1]["session"].clone();
    let live = async || scene.authd.operate("session.get", json!({"id": session})).await["live"].as_bool();
    assert_eq!(live().await, Some(true));
    assert_eq!(text(&revoke(&used).await, "state"), "revoked");
    assert_eq!(live().await, Some(false));
    let ended = glass.told(EventKind::SessionInvalidated).await;
    assert_eq!(ended.last().unwrap().subject.as_ref().unwrap().id, session.as_str().unwrap());
    let gone = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert_eq!(gone.query("error").as_deref(), Some("login_required"));
    revoke(&expired).await;
    assert_eq!(states().await, ["revoked", "revoked", "revoked"]);

    // Nobody else sees or takes back any.
    let all = Caller::User { id: Some(*owner), organization: *organization, grants: Grants::all() };
    for (name, input) in [("break_glass.list", json!({})), ("break_glass.revoke", json!({"id": open["id"]}))] {
        let cx = scene.authd.app.context(all.clone(), Origin::internal(scene.authd.env()));
        assert_eq!(scene.authd.app.perform(&cx, name, input).await.unwrap_err().code(), "operator_only", "{name}");
    }
}

/// Of a press and a taking back at once: whichever is first, nobody is in afterwards.
#[tokio::test]
async fn of_a_use_and_a_taking_back_at_once_nobody_stays_in() {
    for _ in 0..8 {
        let glass = Glass::new().await;
        let link = glass.link(json!({})).await;
        let mut browser = glass.scene.authd.browser();
        let page = browser.get(&text(&link, "url")).await;
        let fields = [("attempt", page.field("attempt"))];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        tokio::join!(
            browser.post("/signin/break-glass", &fields),
            glass.scene.authd.operate("break_glass.revoke", json!({"id": link["id"]})),
        );
        let gone = browser.get(&glass.scene.authorize(&[("prompt", "none")])).await;
        assert_eq!(gone.query("error").as_deref(), Some("login_required"));
    }
}
