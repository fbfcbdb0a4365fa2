//! What an app may ask of a sign-in, and what it gets: the parameters of OpenID Connect Core §3.1.2.1.

use std::time::Duration;

use authd::access::Caller;
use authd::directory::Membership;
use authd::env::Timestamp;
use authd::event::{EventKind, Origin};
use authd::id::OrganizationId;
use authd::store::Batch;
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{REDIRECT, Scene, claims};
use crate::world::authd::{Browser, Reply};

/// A request by name, its parameters, and the error that it brings.
type Row<'a> = (&'a str, Vec<(&'a str, String)>, Option<&'a str>);

/// An essential context class, as the parameter `claims` asks for it.
fn essential(acr: &str) -> String {
    json!({"id_token": {"acr": {"essential": true, "values": [acr]}}}).to_string()
}

impl Scene {
    /// The id token of the code that an answer brought.
    async fn id_token(&self, landed: &Reply) -> Value {
        let code = landed.query("code").unwrap_or_else(|| panic!("no code: {landed:?}"));
        claims(self.redeem(&code).await.json()["id_token"].as_str().unwrap())
    }

    /// The app's request with some parameters replaced; one without a value is left out.
    fn request(&self, changes: &[(&str, Option<&str>)]) -> String {
        let whole = self.authorize(&[]);
        let (path, query) = whole.split_once('?').unwrap();
        let kept = url::form_urlencoded::parse(query.as_bytes());
        let kept = kept.filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept);
        query.extend_pairs(changes.iter().filter_map(|(name, value)| value.map(|value| (*name, value))));
        format!("{path}?{}", query.finish())
    }

    async fn silently(&self, browser: &mut Browser, more: &[(&str, &str)]) -> Reply {
        let mut parameters = vec![("prompt", "none")];
        parameters.extend(more);
        let reply = browser.get(&self.authorize(&parameters)).await;
        assert_eq!(reply.status, StatusCode::SEE_OTHER, "never a page: {}", reply.body);
        assert!(reply.location().as_str().starts_with(REDIRECT), "never to the provider: {reply:?}");
        assert_eq!(reply.query("state").as_deref(), Some("app-state"));
        assert_eq!(reply.query("iss").as_deref(), Some("http://127.0.0.1:8080"));
        reply
    }

    /// As alice, who signed in at the provider just now by the method `acr`.
    async fn sign_in_by(&self, browser: &mut Browser, acr: &str) -> Reply {
        let left = self.leave(browser).await;
        let back = self.back(&left);
        let (acr, now) = (acr.to_owned(), self.op.now());
        self.op.next_token(move |_, claims| {
            claims.insert("acr".into(), acr.into());
            claims.insert("auth_time".into(), now.into());
        });
        browser.get(&back).await
    }
}

#[tokio::test]
async fn op_13_prompt_none_tells_the_app_what_is_missing_and_shows_nothing() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let error = |reply: Reply| reply.query("error").unwrap_or_else(|| format!("no error: {reply:?}"));
    assert_eq!(error(scene.silently(&mut browser, &[]).await), "login_required");
    assert_eq!(scene.op.hits(crate::world::op::Endpoint::Token), 0);

    let first = scene.sign_in_by(&mut browser, "urn:example:pwd").await;
    let whole = scene.redeem(&first.query("code").unwrap()).await.json();
    let id_token = whole["id_token"].as_str().unwrap();
    let own = claims(id_token)["sub"].as_str().unwrap().to_owned();
    // Somebody else's id token.
    scene.op.person(|person| {
        person.insert("sub".into(), "bob".into());
        person.insert("email".into(), "bob@corp.example".into());
    });
    let other = scene.sign_in(&mut scene.authd.browser()).await;
    let others = scene.redeem(&other.query("code").unwrap()).await.json()["id_token"].as_str().unwrap().to_owned();
    let foreign = scene.authd.operate("organization.create", json!({"name": "Other"})).await;
    let foreign = foreign["id"].as_str().unwrap();

    scene.authd.env().advance(Duration::from_secs(100));
    let sub = |sub: &str| json!({"id_token": {"sub": {"value": sub}}}).to_string();
    let rows: Vec<Row<'_>> = vec![
        ("nothing more", vec![], None),
        ("young enough", vec![("max_age", "101".into())], None),
        ("too old", vec![("max_age", "100".into())], Some("login_required")),
        ("never young enough", vec![("max_age", "0".into())], Some("login_required")),
        ("its own token", vec![("id_token_hint", id_token.into())], None),
        ("somebody else's token", vec![("id_token_hint", others)], Some("login_required")),
        ("its own subject", vec![("claims", sub(&own))], None),
        ("another subject", vec![("claims", sub("usr_00000000000000000000000000"))], Some("login_required")),
        ("its own address", vec![("login_hint", "ALICE@corp.example".into())], None),
        ("another address", vec![("login_hint", "carol@corp.example".into())], Some("login_required")),
        ("its organization", vec![("organization", scene.organization.clone())], None),
        ("another organization", vec![("organization", foreign.into())], Some("login_required")),
        ("its connection", vec![("connection", scene.connection.clone())], None),
        ("another connection", vec![("connection", "conn_x".into())], Some("login_required")),
        ("the method it came by", vec![("claims", essential("urn:example:pwd"))], None),
        ("a stronger one", vec![("claims", essential("urn:example:mfa"))], Some("interaction_required")),
        ("a wish", vec![("acr_values", "urn:example:mfa".into())], None),
    ];
    for (name, more, expected) in rows {
        let more: Vec<(&str, &str)> = more.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let reply = scene.silently(&mut browser, &more).await;
        match expected {
            Some(expected) => {
                assert!(reply.query("code").is_none(), "{name}");
                assert_eq!(error(reply), expected, "{name}");
            }
            None => assert!(reply.query("code").is_some(), "{name}: {reply:?}"),
        }
    }

    // A person of two organizations, signed in to the one and wanted in the other: told only to an app of both.
    let (world, two) =
        (&scene.authd.app.world, [&scene.organization, foreign].map(|id| id.parse::<OrganizationId>().unwrap()));
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let member = Membership::new(two[1], own.parse().unwrap(), world.env.now());
    let mut batch = Batch::new();
    batch.create(&member).log(cx.event(EventKind::UserCreated).within(two[1]));
    world.store.commit(batch).await.unwrap();
    let wanted = [("organization", foreign)];
    assert_eq!(error(scene.silently(&mut browser, &wanted).await), "login_required");
    scene.authd.operate("app.update", json!({"id": scene.app, "organizations": two.map(|id| id.to_string())})).await;
    assert_eq!(error(scene.silently(&mut browser, &wanted).await), "account_selection_required");
}

#[tokio::test]
async fn op_13_a_new_sign_in_tells_its_own_time_and_the_session_keeps_it() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let first = scene.sign_in_by(&mut browser, "urn:a").await;
    let first = scene.id_token(&first).await;
    let began = scene.op.now();
    assert_eq!(first["auth_time"], began);
    scene.authd.env().advance(Duration::from_secs(30));
    let kept = browser.get(&scene.authorize(&[("max_age", "10000")])).await;
    let kept = scene.id_token(&kept).await;
    assert_eq!((&kept["auth_time"], &kept["sub"], &kept["sid"]), (&first["auth_time"], &first["sub"], &first["sid"]));
    // max_age=1: the provider is asked, and says a new time.
    let left = browser.get(&scene.authorize(&[("max_age", "1"), ("connection", &scene.connection)])).await;
    assert_eq!(left.query("max_age").as_deref(), Some("1"));
    let landed = browser.get(&scene.back(&left)).await;
    let anew = scene.id_token(&landed).await;
    assert_eq!((&anew["auth_time"], &anew["sub"]), (&json!(began + 30), &first["sub"]));
    // A session's time is never in the future, whatever the provider says.
    let at = Timestamp::from_seconds(anew["auth_time"].as_i64().unwrap());
    assert!(at <= scene.authd.env().now());
}

#[tokio::test]
async fn op_08_every_step_up_ends_in_a_new_session_and_the_old_one_is_over() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let first = scene.sign_in_by(&mut browser, "urn:a").await;
    let mut sid = scene.id_token(&first).await["sid"].clone();
    let claims = essential("urn:b");
    let steps = [vec![("prompt", "login")], vec![("max_age", "0")], vec![("claims", claims.as_str())]];
    for more in steps {
        let before = browser.clone();
        let more = [&more[..], &[("connection", &*scene.connection)]].concat();
        let left = browser.get(&scene.authorize(&more)).await;
        assert!(left.location().as_str().starts_with(&scene.op.issuer), "{more:?}: {left:?}");
        let back = scene.back(&left);
        let now = scene.op.now();
        scene.op.next_token(move |_, claims| {
            claims.insert("acr".into(), "urn:b".into());
            claims.insert("auth_time".into(), now.into());
        });
        let landed = browser.get(&back).await;
        let anew = scene.id_token(&landed).await["sid"].clone();
        assert_ne!(anew, sid, "{more:?}");
        assert_ne!(before.cookies["authd_session"], browser.cookies["authd_session"], "{more:?}");
        let old = scene.silently(&mut before.clone(), &[]).await;
        assert_eq!(old.query("error").as_deref(), Some("login_required"), "{more:?}: the old cookie is nothing");
        sid = anew;
        // So that the next essential class is asked for anew.
        if more.iter().any(|(name, _)| *name == "max_age") {
            sid = scene.id_token(&scene.sign_in_by(&mut browser, "urn:a").await).await["sid"].clone();
        }
    }
}

#[tokio::test]
async fn op_13_the_context_class_is_the_providers_word_and_what_the_app_must_have_is_reached_or_refused() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let weak = scene.sign_in_by(&mut browser, "urn:weak").await;
    assert_eq!(scene.id_token(&weak).await["acr"], "urn:weak", "not what anybody asked for");
    let claims = essential("urn:strong");
    let asked = scene.authorize(&[("claims", &claims), ("connection", &scene.connection), ("acr_values", "urn:x")]);
    for (says, error) in [
        (Some("urn:weak"), Some("unmet_authentication_requirements")),
        (None, Some("unmet_authentication_requirements")),
        (Some("urn:strong"), None),
    ] {
        let left = browser.get(&asked).await;
        assert_eq!(left.query("acr_values").as_deref(), Some("urn:strong"), "{left:?}");
        let back = scene.back(&left);
        scene.op.next_token(move |_, claims| {
            says.map(|says| claims.insert("acr".into(), says.into()));
        });
        let landed = browser.get(&back).await;
        assert!(landed.location().as_str().starts_with(REDIRECT));
        assert_eq!(landed.query("error").as_deref(), error);
        if error.is_none() {
            assert_eq!(scene.id_token(&landed).await["acr"], "urn:strong");
        }
    }
    let again = browser.get(&asked).await;
    assert!(again.query("code").is_some(), "it is strong enough now: {again:?}");
    let wishes = scene.request(&[
        ("acr_values", Some("urn:b urn:a")),
        ("claims", Some(r#"{"id_token":{"acr":{"values":["urn:c"]}}}"#)),
        ("prompt", Some("login")),
        ("connection", Some(&scene.connection)),
    ]);
    assert_eq!(browser.get(&wishes).await.query("acr_values").as_deref(), Some("urn:b urn:a urn:c"));
}

#[tokio::test]
async fn op_13_somebody_else_than_the_app_means_is_not_answered() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let first = scene.sign_in(&mut browser).await;
    let tokens = scene.redeem(&first.query("code").unwrap()).await.json();
    let hint = tokens["id_token"].as_str().unwrap();
    scene.op.person(|person| {
        person.insert("sub".into(), "bob".into());
        person.insert("email".into(), "bob@corp.example".into());
    });
    let parameters = [("id_token_hint", hint), ("prompt", "login"), ("connection", &*scene.connection)];
    let left = browser.get(&scene.authorize(&parameters)).await;
    let landed = browser.get(&scene.back(&left)).await;
    assert_eq!(landed.query("error").as_deref(), Some("login_required"), "{landed:?}");
    assert!(landed.query("code").is_none());
    // The right one is.
    scene.op.person(|person| {
        person.insert("sub".into(), "alice".into());
        person.insert("email".into(), "alice@corp.example".into());
    });
    let left = browser.get(&scene.authorize(&parameters)).await;
    let landed = browser.get(&scene.back(&left)).await;
    assert!(landed.query("error").is_some() != landed.query("code").is_some());
}

#[tokio::test]
async fn a_person_who_shall_choose_an_account_is_asked_here_and_at_the_provider() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    let parameters = [("prompt", "select_account"), ("login_hint", "alice@corp.example")];
    let page = browser.get(&scene.authorize(&parameters)).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    let left = browser.post("/signin", &[("attempt", &page.field("attempt")), ("email", "bob@corp.example")]).await;
    assert_eq!(left.query("prompt").as_deref(), Some("select_account"));
    assert_eq!(left.query("login_hint").as_deref(), Some("bob@corp.example"));
}

#[tokio::test]
async fn claims_are_given_by_name_and_nothing_beside_them() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let asked = json!({
        "userinfo": {"name": {"essential": true}, "groups": null, "shoe_size": {"essential": true}},
        "id_token": {"email": {"essential": true}, "auth_time": {"essential": true}, "phone_number": null},
        "elsewhere": {"email": null},
    })
    .to_string();
    let request = scene.request(&[
        ("scope", Some("openid offline_access")),
        ("claims", Some(&asked)),
        ("connection", Some(&scene.connection)),
    ]);
    let left = browser.get(&request).await;
    let landed = browser.get(&scene.back(&left)).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let check = async |tokens: &Value| {
        let id = claims(tokens["id_token"].as_str().unwrap());
        assert_eq!(id["email"], "alice@corp.example");
        assert!(id["auth_time"].is_i64() && id.get("name").is_none() && id.get("groups").is_none(), "{id}");
        let info = scene.userinfo(tokens["access_token"].as_str().unwrap()).await.json();
        assert_eq!(info["groups"], json!(["staff", "admins"]));
        assert!(info["name"].is_string() && info.get("email").is_none() && info.get("shoe_size").is_none(), "{info}");
        assert_eq!(info["sub"], id["sub"]);
    };
    check(&tokens).await;
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
        ("client_id", &*scene.app),
        ("client_secret", &*scene.secret),
    ];
    check(&scene.authd.browser().post("/oauth2/token", &form).await.json()).await;
}

#[tokio::test]
async fn scopes_come_in_any_order_and_those_not_offered_are_left_out() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    for (scope, given) in [
        ("email openid", "email openid"),
        ("openid address phone", "openid"),
        ("profile email groups openid", "profile email groups openid"),
        ("openid profile email address phone", "openid profile email"),
    ] {
        let landed = browser.get(&scene.request(&[("scope", Some(scope))])).await;
        let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
        assert_eq!(tokens["scope"], given);
        let info = scene.userinfo(tokens["access_token"].as_str().unwrap()).await.json();
        assert_eq!(info.get("email").is_some(), given.contains("email"), "{info}");
        assert_eq!(info.get("name").is_some(), given.contains("profile"), "{info}");
        assert!(info.get("address").is_none() && info.get("phone_number").is_none());
    }
}

#[tokio::test]
async fn a_request_without_a_nonce_gets_a_token_without_one() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    let landed = browser.get(&scene.request(&[("nonce", None)])).await;
    assert!(scene.id_token(&landed).await.get("nonce").is_none());
    let landed = browser.get(&scene.request(&[("state", None), ("nonce", Some("n-0S6_WzA2Mj"))])).await;
    assert!(landed.query("state").is_none());
    assert_eq!(scene.id_token(&landed).await["nonce"], "n-0S6_WzA2Mj");
}

#[tokio::test]
async fn what_is_only_about_the_look_changes_nothing() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    for (name, value) in [
        ("display", "page"),
        ("display", "popup"),
        ("display", "hologram"),
        ("ui_locales", "fr-CA fr en"),
        ("claims_locales", "de"),
        ("extra", "foobar"),
        ("vtr", "[\"C1\"]"),
    ] {
        let landed = browser.get(&scene.authorize(&[(name, value)])).await;
        assert!(landed.query("code").is_some(), "{name}: {landed:?}");
        let page = scene.authd.browser().get(&scene.authorize(&[(name, value)])).await;
        assert_eq!(page.status, StatusCode::OK, "{name}");
    }
}

#[tokio::test]
async fn a_form_post_carries_codes_and_errors_in_the_body() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let form = [("response_mode", "form_post"), ("prompt", "none")];
    let refused = browser.get(&scene.authorize(&form)).await;
    assert_eq!((refused.status, refused.field("error").as_str()), (StatusCode::OK, "login_required"));
    scene.sign_in(&mut browser).await;
    let page = browser.get(&scene.authorize(&form)).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(page.body.contains(&format!("action=\"{REDIRECT}\"")), "{}", page.body);
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!((page.field("state").as_str(), page.field("iss").as_str()), ("app-state", "http://127.0.0.1:8080"));
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("form-action 'self' https://app.example"));
    // One script, which is the one that the policy names.
    let (_, script) = page.body.split_once("<script>").unwrap();
    let (script, rest) = script.split_once("</script>").unwrap();
    assert!(!rest.contains("<script"));
    let hash = authd::crypto::sha256(&[script.as_bytes()]);
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash);
    assert!(policy.contains(&format!("script-src 'sha256-{hash}'")), "{policy}");
    let code = page.field("code");
    assert_eq!(scene.redeem(&code).await.status, StatusCode::OK);

    // Text of a stranger stays text.
    let state = "\"><script>alert(1)</script>";
    let page = browser.get(&scene.request(&[("response_mode", Some("form_post")), ("state", Some(state))])).await;
    assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
    let fragment = browser.get(&scene.authorize(&[("response_mode", "fragment")])).await;
    assert_eq!(fragment.query("error").as_deref(), Some("invalid_request"));
    assert!(fragment.location().fragment().is_none());
}

#[tokio::test]
async fn a_request_may_be_posted() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let whole = scene.authorize(&[]);
    let fields: Vec<(String, String)> =
        url::form_urlencoded::parse(whole.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let page = browser.send(Method::POST, "/oauth2/authorize", &[], Some(&fields)).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Wiki"));
    scene.sign_in(&mut browser).await;
    let landed = browser.send(Method::POST, "/oauth2/authorize", &[], Some(&fields)).await;
    assert!(landed.query("code").is_some(), "{landed:?}");

    // From an app's page a browser brings no cookie of ours: it comes again by itself, and then it does.
    let foreign = [("sec-fetch-site", "cross-site"), ("origin", "https://app.example")];
    let sent = scene.authd.browser().send(Method::POST, "/oauth2/authorize", &foreign, Some(&fields)).await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER);
    assert!(sent.location().as_str().starts_with("http://127.0.0.1:8080/oauth2/authorize?"), "{sent:?}");
    let landed = browser.get(sent.location().as_str()).await;
    assert!(landed.query("code").is_some(), "{landed:?}");
    let twice = [&fields[..], &[("state", "x")]].concat();
    let refused = browser.send(Method::POST, "/oauth2/authorize", &[], Some(&twice)).await;
    assert_eq!(refused.query("error").as_deref(), Some("invalid_request"));
}

#[tokio::test]
async fn a_pushed_request_is_walked_once_and_a_wrong_address_may_be_corrected() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let whole = scene.authorize(&[]);
    let mut fields: Vec<(String, String)> =
        url::form_urlencoded::parse(whole.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    fields.push(("client_secret".into(), scene.secret.clone()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
    let pushed = scene.authd.browser().post("/oauth2/par", &fields).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{}", pushed.body);
    let uri = pushed.json()["request_uri"].as_str().unwrap().to_owned();
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &scene.app)
        .append_pair("request_uri", &uri)
        .finish();
    let address = format!("/oauth2/authorize?{query}");
    let page = browser.get(&address).await;
    assert!(page.body.contains("Wiki"), "{page:?}");
    let wrong = browser.post("/signin", &[("attempt", &page.field("attempt")), ("email", "a@nowhere.example")]).await;
    assert!(wrong.body.contains("No connection serves this domain"), "{}", wrong.body);
    assert!(!wrong.body.contains(&uri) && !wrong.body.contains(&scene.secret));
    let left = browser.post("/signin", &[("attempt", &wrong.field("attempt")), ("email", "alice@corp.example")]).await;
    let landed = browser.get(&scene.back(&left)).await;
    assert_eq!(scene.id_token(&landed).await["nonce"], "app-nonce");
    let again = browser.get(&address).await;
    assert_eq!(again.status, StatusCode::BAD_REQUEST, "{again:?}");
    assert!(again.body.contains("invalid_request"));
}
