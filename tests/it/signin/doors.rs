//! Every route there is, found in the source: what holds for all of them.

use std::collections::BTreeSet;
use std::path::Path;

use axum::http::{Method, StatusCode};

use super::Scene;

/// The paths of all `.route("…")` in a folder, with something in the place of each parameter.
fn routes(folder: &Path, into: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes(&path, into);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
            for rest in text.split(".route(").skip(1) {
                let Some(rest) = rest.trim_start().strip_prefix('"') else { continue };
                let path = rest.split('"').next().unwrap();
                let parts = path.split('/').map(|part| if part.starts_with('{') { "conn_x" } else { part });
                into.insert(parts.collect::<Vec<_>>().join("/"));
            }
        }
    }
}

fn all() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    routes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 15 && found.contains("/signin/consent") && found.contains("/oauth2/par"), "{found:?}");
    found
}

#[tokio::test]
async fn op_09_no_route_answers_without_its_headers() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    for path in all().iter().map(String::as_str).chain(["/nowhere", "/signin/nowhere", "/v1/nowhere"]) {
        for method in [Method::GET, Method::POST, Method::PUT, Method::OPTIONS] {
            let form: &[(&str, &str)] = &[("a", "b")];
            let form = (method == Method::POST).then_some(form);
            let reply = browser.clone().send(method.clone(), path, &[("accept", "text/html")], form).await;
            let header = |name: &str| reply.headers.get(name).map_or("", |value| value.to_str().unwrap());
            let policy = header("content-security-policy");
            assert!(policy.contains("default-src 'none'"), "{method} {path}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{method} {path}: {policy}");
            assert!(policy.contains("base-uri 'none'") && !policy.contains("unsafe"), "{method} {path}: {policy}");
            assert_eq!(header("x-frame-options"), "DENY", "{method} {path}");
            assert_eq!(header("x-content-type-options"), "nosniff", "{method} {path}");
            assert_eq!(header("referrer-policy"), "no-referrer", "{method} {path}");
        }
    }
}

#[tokio::test]
async fn op_09_no_form_of_a_foreign_page_changes_anything() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    scene.sign_in(&mut browser).await;
    let counts = scene.authd.counts().await;
    let foreign = [("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")];
    for path in all().iter().filter(|path| path.starts_with("/signin")) {
        let form = [("attempt", "x"), ("decision", "allow"), ("email", "alice@corp.example")];
        let reply = browser.send(Method::POST, path, &foreign, Some(&form)).await;
        if reply.status != StatusCode::METHOD_NOT_ALLOWED {
            assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}: {reply:?}");
            assert!(reply.body.contains("csrf"), "{path}: {}", reply.body);
        }
    }
    assert_eq!(scene.authd.counts().await, counts);
    let alive = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert!(alive.query("code").is_some(), "still signed in: {alive:?}");
}
