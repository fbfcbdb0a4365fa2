//! Tokens of directories: several, overlapping, expiring, and short ones given for them.

use std::time::Duration;

use serde_json::json;

use super::*;

#[tokio::test]
async fn tokens_overlap_expire_and_end_and_none_is_kept() {
    let scene = Scene::new().await;
    let first = Directory::of(&scene, Some(&scene.connection)).await;
    let id = first.person("ada@corp.example").await;
    let wish =
        json!({"organization": scene.organization, "connection": scene.connection, "label": "new", "expiresIn": "1h"});
    let made = scene.authd.operate("scim.token.create", wish).await;
    assert_eq!(made["url"], format!("http://127.0.0.1:8080/connections/{}/scim/v2", scene.connection));
    let second = Directory { token: made["token"].as_str().unwrap().to_owned(), ..first.clone() };
    for one in [&first, &second] {
        assert_eq!(one.get(&format!("/Users/{id}")).await.status, 200, "both are good");
    }
    let list = scene.authd.operate("scim.token.list", json!({"organization": scene.organization})).await;
    let text = list.to_string();
    assert!(!text.contains(&first.token) && !text.contains("hash"), "{text}");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    // The note of a use is written beside the request.
    for left in (0..200).rev() {
        let list = scene.authd.operate("scim.token.list", json!({"connection": scene.connection})).await;
        if list["items"].as_array().unwrap().iter().all(|token| token["lastUsedAt"].is_string()) {
            break;
        }
        assert!(left > 0, "{list}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    scene.authd.env().advance(Duration::from_secs(3_601));
    assert_eq!(second.get("/Users").await.refusal().0, 401, "expired");
    assert_eq!(first.get("/Users").await.status, 200);
    scene.authd.operate("scim.token.revoke", json!({"id": first.id})).await;
    scene.authd.operate("scim.token.revoke", json!({"id": first.id})).await;
    assert_eq!(first.get("/Users").await.refusal().0, 401, "revoked");
    let events = scene.authd.events().await;
    assert_eq!(events.iter().filter(|event| event.kind.name() == "connection.scim.token_revoked").count(), 1);
    assert!(events.iter().all(|event| !serde_json::to_string(event).unwrap().contains(&first.token)));
}

#[tokio::test]
async fn a_token_is_made_where_its_connection_is() {
    let scene = Scene::new().await;
    let other = scene.authd.operate("organization.create", json!({"name": "Other"})).await["id"].clone();
    let refused = async |wish: Value| {
        let cx = scene
            .authd
            .app
            .context(authd::access::Caller::Operator { uid: 0 }, authd::event::Origin::internal(scene.authd.env()));
        scene.authd.app.perform(&cx, "scim.token.create", wish).await.unwrap_err().code()
    };
    assert_eq!(refused(json!({"organization": other, "connection": scene.connection})).await, "not_found");
    assert_eq!(refused(json!({})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": other, "expiresIn": "soon"})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": other, "expiresAt": "2001-01-01T00:00:00Z"})).await, "invalid_input");
    assert_eq!(refused(json!({"organization": other, "label": "\u{1b}"})).await, "invalid_input");
    // The connection tells the organization.
    let made = scene.authd.operate("scim.token.create", json!({"connection": scene.connection})).await;
    assert!(made["id"].as_str().unwrap().starts_with("sct_") && made["token"].as_str().unwrap().len() > 40);
}

#[tokio::test]
async fn client_credentials_give_a_short_token_that_ends_with_the_long_one() {
    let scene = Scene::new().await;
    let own = Directory::of(&scene, Some(&scene.connection)).await;
    let browser = || scene.authd.browser();
    let path = "/scim/v2/oauth2/token";
    let ask = async |fields: &[(&str, &str)]| browser().post(path, fields).await;
    let good =
        [("grant_type", "client_credentials"), ("client_id", own.id.as_str()), ("client_secret", own.token.as_str())];
    let given = ask(&good).await;
    assert_eq!(
        (given.status.as_u16(), &given.json()["token_type"], &given.json()["expires_in"]),
        (200, &json!("Bearer"), &json!(3600))
    );
    assert_eq!(given.headers["cache-control"], "no-store");
    let short = Directory { token: given.json()["access_token"].as_str().unwrap().to_owned(), ..own.clone() };
    let id = short.person("ada@corp.example").await;
    assert_eq!(own.get(&format!("/Users/{id}")).await.status, 200, "one directory");
    let basic = {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{}:{}", own.id, own.token)))
    };
    let headers = [("authorization", basic.as_str())];
    let given =
        browser().send(axum::http::Method::POST, path, &headers, Some(&[("grant_type", "client_credentials")])).await;
    assert_eq!(given.status, 200);
    for (fields, error) in [
        (
            vec![("grant_type", "client_credentials"), ("client_id", own.id.as_str()), ("client_secret", "scim_x")],
            "invalid_client",
        ),
        (
            vec![
                ("grant_type", "client_credentials"),
                ("client_id", "sct_00000000000000000000000000"),
                ("client_secret", &own.token),
            ],
            "invalid_client",
        ),
        (vec![("grant_type", "client_credentials")], "invalid_client"),
        (
            vec![("grant_type", "client_credentials"), ("client_id", &own.id), ("client_secret", &short.token)],
            "invalid_client",
        ),
        (
            vec![("grant_type", "password"), ("client_id", &own.id), ("client_secret", &own.token)],
            "unsupported_grant_type",
        ),
        (vec![("client_id", &own.id), ("client_secret", &own.token)], "invalid_request"),
    ] {
        let refused = ask(&fields).await;
        assert_eq!(refused.json()["error"], error, "{fields:?}");
    }
    // What was changed, or has had its time, is none.
    let (body, tag) = short.token.split_once('.').unwrap();
    for wrong in [
        format!("{body}."),
        format!("{body}.{}", &tag[1..]),
        format!("{}.{tag}", &body[..body.len() - 2]),
        format!("{body}A.{tag}"),
    ] {
        assert_eq!(Directory { token: wrong, ..own.clone() }.get("/Users").await.refusal().0, 401);
    }
    scene.authd.env().advance(Duration::from_secs(3_600));
    assert_eq!(short.get("/Users").await.refusal().0, 401, "expired");
    let again =
        Directory { token: ask(&good).await.json()["access_token"].as_str().unwrap().to_owned(), ..own.clone() };
    assert_eq!(again.get("/Users").await.status, 200);
    scene.authd.operate("scim.token.revoke", json!({"id": own.id})).await;
    assert_eq!(again.get("/Users").await.refusal().0, 401, "revoked with the one it was given for");
    assert_eq!(ask(&good).await.json()["error"], "invalid_client");
}
