//! The person's own page: what it shows, and what its forms end.

use axum::http::{Method, StatusCode};

use super::{Scene, claims, text};
use crate::world::authd::Browser;

async fn tokens(scene: &Scene, browser: &mut Browser) -> (String, String) {
    let landed = scene.sign_in(browser).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let access = text(&tokens, "access_token");
    let sid = text(&claims(&access), "sid");
    (access, sid)
}

async fn open(scene: &Scene, access: &str) -> bool {
    scene.userinfo(access).await.status == StatusCode::OK
}

#[tokio::test]
async fn the_page_shows_where_a_person_is_signed_in_and_ends_what_they_choose() {
    let scene = Scene::new().await;
    let mut here = scene.authd.browser();
    let mut there = scene.authd.browser();
    there.ip = "198.51.100.77:1".parse().unwrap();
    let mut third = scene.authd.browser();
    let (mine, _) = tokens(&scene, &mut here).await;
    let (elsewhere, sid) = tokens(&scene, &mut there).await;
    let (last, _) = tokens(&scene, &mut third).await;

    let page = here.get("/signin").await.body;
    for shown in ["alice@corp.example", "Corp", "Provider", "Wiki", "198.51.100.77", "This browser", &sid] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let ended = here.post("/signin/sessions/end", &[("session", &sid)]).await;
    assert_eq!(ended.status, StatusCode::SEE_OTHER);
    assert!(!open(&scene, &elsewhere).await, "the next request fails");
    assert!(open(&scene, &mine).await && open(&scene, &last).await);
    assert!(!here.get("/signin").await.body.contains(&sid));

    here.post("/signin/sessions/end-others", &[]).await;
    assert!(!open(&scene, &last).await);
    assert!(open(&scene, &mine).await, "the own one stays");
    assert!(!here.get("/signin").await.body.contains("End all other sessions"));
}

#[tokio::test]
async fn nobody_ends_what_is_not_theirs() {
    let scene = Scene::new().await;
    let mut alice = scene.authd.browser();
    let (hers, sid) = tokens(&scene, &mut alice).await;
    scene.op.person(|person| {
        person.insert("sub".into(), "bob".into());
        person.insert("email".into(), "bob@corp.example".into());
    });
    let mut bob = scene.authd.browser();
    tokens(&scene, &mut bob).await;
    let page = bob.get("/signin").await.body;
    assert!(!page.contains(&sid) && !page.contains("alice@corp.example"), "{page}");
    for (path, fields) in [
        ("/signin/sessions/end", vec![("session", sid.as_str())]),
        ("/signin/sessions/end-others", vec![]),
        ("/signin/apps/end", vec![("app", scene.app.as_str())]),
    ] {
        bob.post(path, &fields).await;
        // Nor does a foreign page in her own browser, nor a browser without a session.
        let cross = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
        let foreign = alice.clone().send(Method::POST, path, &cross, Some(&fields)).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{path}");
        scene.authd.browser().post(path, &fields).await;
    }
    assert!(open(&scene, &hers).await);
}

#[tokio::test]
async fn what_an_app_has_is_shown_and_taken_back_for_good() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    let code = browser.get(&scene.authorize(&[])).await.query("code").unwrap();
    let access = text(&scene.redeem(&code).await.json(), "access_token");
    assert!(browser.get("/signin").await.body.contains("Apps that act in your name"));
    browser.post("/signin/apps/end", &[("app", &scene.app)]).await;
    assert!(!open(&scene, &access).await);
    assert!(!browser.get("/signin").await.body.contains("Apps that act in your name"));
    // The session itself goes on, and so may the app, when it is asked for again.
    let again = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    let tokens = scene.redeem(&again.query("code").unwrap()).await.json();
    assert!(open(&scene, &text(&tokens, "access_token")).await);
}

#[tokio::test]
async fn a_refresh_token_that_outlives_sessions_is_shown_as_such() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let left = browser
        .get(&super::authorize(&scene.app, &[("connection", &scene.connection)]).replace("profile", "offline_access"))
        .await;
    let landed = browser.get(&scene.back(&left)).await;
    let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
    let refresh = text(&tokens, "refresh_token");
    assert!(browser.get("/signin").await.body.contains("Also while you’re away"));
    browser.post("/signin/sign-out", &[]).await;
    let fields = [
        ("grant_type", "refresh_token"),
        ("refresh_token", &*refresh),
        ("client_id", &scene.app),
        ("client_secret", &scene.secret),
    ];
    let renewed = scene.authd.browser().post("/oauth2/token", &fields).await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.body);
    scene.sign_in(&mut browser).await;
    browser.post("/signin/apps/end", &[("app", &scene.app)]).await;
    let refresh = text(&renewed.json(), "refresh_token");
    let fields = [("refresh_token", &*refresh), fields[0], fields[2], fields[3]];
    let refused = scene.authd.browser().post("/oauth2/token", &fields).await;
    assert_eq!(refused.json()["error"], "invalid_grant", "{}", refused.body);
}
