//! What the dashboard lists: sign-ins, under way and over; and what ends one day.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Scene, text};

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().unwrap()
}

#[tokio::test]
async fn sign_ins_are_listed_while_they_are_under_way_and_when_they_have_ended() {
    let scene = Scene::new().await;
    let mut browser = scene.authd.browser();
    let left = scene.leave(&mut browser).await;
    let list = async |input: Value| scene.authd.operate("signin.list", input).await;

    let away = list(json!({})).await;
    assert_eq!(items(&away).len(), 1);
    assert_eq!(
        (text(&items(&away)[0], "outcome"), text(&items(&away)[0], "app")),
        ("pending".into(), scene.app.to_string())
    );
    let attempt = text(&items(&away)[0], "id");

    let landed = browser.get(&scene.back(&left)).await;
    assert_eq!(landed.status, StatusCode::SEE_OTHER, "{landed:?}");
    let over = list(json!({"organization": scene.organization})).await;
    assert_eq!(items(&over).len(), 1, "the same attempt, once: {over:#}");
    assert_eq!((text(&items(&over)[0], "id"), text(&items(&over)[0], "outcome")), (attempt, "success".into()));
    assert!(!items(&over)[0]["checks"].as_array().unwrap().is_empty());

    scene.leave(&mut browser).await;
    assert_eq!(items(&list(json!({"outcome": "pending"})).await).len(), 1);
    assert_eq!(items(&list(json!({"outcome": "success", "connection": scene.connection})).await).len(), 1);
    let first = list(json!({"limit": 1})).await;
    assert_eq!(items(&first).len(), 1);
    let other = scene.authd.operate("organization.create", json!({"name": "Other"})).await;
    assert!(items(&list(json!({"organization": other["id"]})).await).is_empty(), "nothing of another organization");
}

#[tokio::test]
async fn everything_that_ends_one_day_is_listed_with_the_days_that_are_left_and_the_next_step() {
    let scene = Scene::new().await;
    let day = Duration::from_secs(24 * 3600);
    for (name, lives) in [("soon", "20d"), ("later", "300d")] {
        let wish = json!({"organization": scene.organization, "name": name, "grants": ["*"], "expiresIn": lives});
        scene.authd.operate("api_key.create", wish).await;
    }
    let list = async |input: Value| scene.authd.operate("expiry.list", input).await;
    let of = |page: &Value, name: &str| items(page).iter().find(|item| item["name"] == name).cloned();

    let all = list(json!({})).await;
    let soon = of(&all, "soon").unwrap();
    assert_eq!(
        (text(&soon, "kind"), soon["daysLeft"].as_i64(), text(&soon, "urgency")),
        ("api_key".into(), Some(20), "soon".into())
    );
    assert!(text(&soon, "next").contains("authd api-key revoke key_"), "{soon}");
    assert_eq!(text(&of(&all, "later").unwrap(), "urgency"), "later");
    let key = items(&all).iter().find(|item| item["kind"] == "signing_key").unwrap();
    assert_eq!(
        (key["daysLeft"].as_i64(), text(key, "urgency")),
        (Some(90), "later".into()),
        "when it hands over by itself"
    );
    let ends: Vec<_> = items(&all).iter().filter_map(|item| item["at"].as_str()).collect();
    assert!(ends.is_sorted(), "what ends first comes first: {ends:?}");
    assert!(items(&all).last().unwrap()["at"].is_null(), "what has no known end comes last");

    assert_eq!(items(&list(json!({"days": 30})).await).len(), 1);
    let own = list(json!({"organization": scene.organization})).await;
    assert!(items(&own).iter().all(|item| item["organization"] == scene.organization), "{own:#}");

    scene.authd.env().advance(day * 15);
    assert_eq!(text(&of(&list(json!({})).await, "soon").unwrap(), "urgency"), "urgent");
    scene.authd.env().advance(day * 10);
    let over = of(&list(json!({})).await, "soon").unwrap();
    assert_eq!((text(&over, "urgency"), over["daysLeft"].as_i64()), ("over".into(), Some(-5)));
    scene.authd.env().advance(day * 40);
    assert!(of(&list(json!({})).await, "soon").is_none(), "what ended long ago is forgotten");
}
