//! The test directory of the demo, by the same client as any other.

use authd::connection::simulator::directory::{DOMAIN, Directory, GROUPS, PEOPLE_BASE, SERVICE};
use authd::crypto::Secret;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Scene, failed};

async fn connected(scene: &Scene, more: Value) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ldap://{}", listener.local_addr().unwrap());
    tokio::spawn(Directory::new(Secret::new("a-secret")).serve(listener));
    let mut wish = json!({"servers": {"urls": [url]}, "bind": {"dn": SERVICE, "password": "a-secret"},
        "users": {"base": PEOPLE_BASE}, "groups": {"base": GROUPS}});
    super::merge(&mut wish, more);
    let connection = scene.connect(wish).await;
    scene.owns(&connection, DOMAIN).await;
    connection
}

#[tokio::test]
async fn the_demos_people_are_in_a_directory_too() {
    for mode in ["search", "memberOf"] {
        let scene = Scene::new().await;
        let connection = connected(&scene, json!({"groups": {"mode": mode}})).await;
        for name in ["ada", "ADA@directory.example", "uid=ada,ou=people,dc=directory,dc=example"] {
            let landed = scene.sign_in(&connection, name, "demo").await;
            let claims = scene.claims(&landed).await;
            assert_eq!(claims["email"], "ada@directory.example", "{mode} {name}");
            let mut groups: Vec<String> = serde_json::from_value(claims["groups"].clone()).unwrap();
            groups.sort();
            assert_eq!(groups, ["administrators", "engineering"], "{mode}");
        }
        let report = scene.authd.operate("connection.test", json!({"id": connection})).await;
        assert_eq!(report["ok"], true, "{report}");
        for (password, reason) in [
            ("wrong", "not right"),
            ("disabled", "disabled"),
            ("locked", "locked"),
            ("expired", "expired"),
            ("must-change", "must be changed"),
        ] {
            // The password is the reason here, so it may well stand in the trace.
            let reply = scene.sign_in(&connection, "grace", password).await;
            assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
            let why = failed(&scene.trace(&reply).await);
            assert!(why["received"].as_str().unwrap().contains(reason), "{why}");
        }
        scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "alan", "gone").await;
    }
}

#[tokio::test]
async fn the_test_directory_is_for_this_machine_alone() {
    let listener = tokio::net::TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(
        Directory::new(Secret::new("x")).serve(listener).await.unwrap_err().is(&authd::error::codes::CONFIG_INVALID)
    );
}
