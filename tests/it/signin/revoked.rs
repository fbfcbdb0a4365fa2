//! what was ended is over at the next request, with whatever was held, by every road and for everybody it means.
//!
//! A small crowd unless told: `AUTHD_REVOKED=1000` ends a thousand.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Scene, claims, text};
use crate::world::authd::{Authd, Browser};

/// Whom a road ends, and whether keys of their own go with the sessions.
struct Road {
    name: &'static str,
    everybody: bool,
    keys: bool,
}

const fn road(name: &'static str, everybody: bool, keys: bool) -> Road {
    Road { name, everybody, keys }
}

const ROADS: &[Road] = &[
    road("session.revoke", false, false),
    road("signing out", false, false),
    road("the provider's word about a session", false, false),
    road("the provider's word about a person", false, false),
    road("session.revoke_all of a person here", false, true),
    road("session.revoke_all of a person everywhere", false, true),
    road("user.suspend", false, true),
    road("user.delete", false, true),
    road("member.remove", false, true),
    road("session.revoke_all of a connection", true, false),
    road("connection.disable", true, false),
    road("connection.delete", true, false),
    road("session.revoke_all of an organization", true, true),
    road("organization.disable", true, true),
];

#[expect(clippy::disallowed_methods, reason = "how much a test does is told by its environment")]
fn crowd() -> usize {
    std::env::var("AUTHD_REVOKED").ok().and_then(|told| told.parse().ok()).unwrap_or(0)
}

/// Everything that a person can hold.
struct Held {
    user: String,
    subject: String,
    sid: String,
    browser: Browser,
    access: String,
    refresh: String,
    code: String,
    key: String,
}

impl Held {
    async fn of(scene: &Scene, domain: &str, number: usize) -> Self {
        let subject = format!("person-{number}");
        let (sub, email, upstream) = (subject.clone(), format!("{subject}@{domain}"), format!("up-{number}"));
        scene.op.person(|person| {
            person.insert("sub".into(), sub.into());
            person.insert("email".into(), email.into());
        });
        scene.op.next_token(move |_, claims| drop(claims.insert("sid".into(), upstream.into())));
        let mut browser = scene.authd.browser();
        let landed = scene.sign_in(&mut browser).await;
        let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
        let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let (user, sid) = (text(&claims(&access), "sub"), text(&claims(&access), "sid"));
        let code = browser.get(&scene.authorize(&[])).await.query("code").unwrap();
        let wish = json!({"organization": scene.organization, "name": "mine", "user": user, "grants": ["user.read"]});
        let key = text(&scene.authd.operate("api_key.create", wish).await, "key");
        Self { user, subject, sid, browser, access, refresh, code, key }
    }

    /// What of it opens something.
    async fn opens(&mut self, scene: &Scene) -> BTreeMap<&'static str, bool> {
        let silent = self.browser.get(&scene.authorize(&[("prompt", "none")])).await;
        let fields = [
            ("grant_type", "refresh_token"),
            ("refresh_token", self.refresh.as_str()),
            ("client_id", &scene.app),
            ("client_secret", &scene.secret),
        ];
        let refreshed = scene.authd.browser().post("/oauth2/token", &fields).await;
        let bearer = format!("Bearer {}", self.key);
        let api = scene.authd.browser().send(Method::GET, "/v1/users", &[("authorization", &bearer)], None).await;
        BTreeMap::from([
            ("cookie", silent.status == StatusCode::SEE_OTHER && silent.query("code").is_some()),
            ("refresh token", refreshed.status == StatusCode::OK),
            ("access token", scene.userinfo(&self.access).await.status == StatusCode::OK),
            ("key", api.status != StatusCode::UNAUTHORIZED),
            ("code", scene.redeem(&self.code).await.status == StatusCode::OK),
        ])
    }
}

async fn end(scene: &Scene, road: &Road, held: &mut Held) {
    let operate = async |name: &str, input: Value| drop(scene.authd.operate(name, input).await);
    let hear = async |about: Value| {
        let path = format!("/connections/{}/oidc/backchannel-logout", scene.connection);
        let token = scene.logout_word(&about);
        let fields = [("logout_token", token.as_str())];
        let reply = scene.authd.browser().send(Method::POST, &path, &[], Some(&fields)).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.body);
    };
    let (user, organization, connection) = (&held.user, &scene.organization, &scene.connection);
    match road.name {
        "session.revoke" => operate("session.revoke", json!({"id": held.sid})).await,
        "signing out" => {
            // The cookie is kept for the next request, as a thief would keep it.
            let mut browser = held.browser.clone();
            assert_eq!(browser.post("/signin/sign-out", &[]).await.status, StatusCode::OK);
        }
        "the provider's word about a session" => {
            hear(json!({"sid": held.subject.replace("person", "up")})).await;
        }
        "the provider's word about a person" => hear(json!({"sub": held.subject})).await,
        "session.revoke_all of a person here" => {
            operate("session.revoke_all", json!({"user": user, "organization": organization})).await;
        }
        "session.revoke_all of a person everywhere" => operate("session.revoke_all", json!({"user": user})).await,
        "user.suspend" | "user.delete" => operate(road.name, json!({"id": user})).await,
        "member.remove" => operate(road.name, json!({"user": user})).await,
        "session.revoke_all of a connection" => {
            operate("session.revoke_all", json!({"connection": connection})).await;
        }
        "connection.disable" | "connection.delete" => operate(road.name, json!({"id": connection})).await,
        "session.revoke_all of an organization" => {
            operate("session.revoke_all", json!({"organization": organization})).await;
        }
        "organization.disable" => operate(road.name, json!({"id": organization})).await,
        unknown => panic!("{unknown}"),
    }
}

#[tokio::test]
async fn r_20_nothing_that_was_held_opens_anything_at_the_next_request() {
    let (most, mut ended, mut accepted, mut round) = (crowd(), 0, Vec::new(), 0);
    while round == 0 || ended < most {
        for (place, road) in ROADS.iter().enumerate() {
            let domain = format!("d{place}.example");
            let scene = Scene::within(Authd::start().await, &[&domain]).await;
            let grants = json!({"id": scene.app, "grantTypes": ["authorization_code", "refresh_token"]});
            scene.authd.operate("app.update", grants).await;
            let mut people = Vec::new();
            for number in 0..3 + (place + round) % 3 {
                people.push(Held::of(&scene, &domain, number).await);
            }
            // The one in the middle, or all.
            let chosen = people.len() / 2;
            let means = |number: usize| road.everybody || number == chosen;
            end(&scene, road, &mut people[chosen]).await;
            for (number, held) in people.iter_mut().enumerate() {
                let opens = held.opens(&scene).await;
                for (what, open) in &opens {
                    let must = !means(number) || (*what == "key" && !road.keys);
                    if *open && !must {
                        accepted.push((road.name, number, *what));
                    }
                    assert!(*open || !must, "{}: {what} of person {number} was not meant to end", road.name);
                }
                ended += usize::from(means(number));
            }
        }
        round += 1;
    }
    assert!(accepted.is_empty(), "{} of what {ended} people held was accepted: {accepted:?}", accepted.len());
}
