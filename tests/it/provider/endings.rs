//! Access that ended between the code and its redemption, or between the token and its use.

use std::time::Duration;

use authd::directory::{DisableOrganization, Status};
use authd::provider::DeleteApp;
use authd::session::{RevokeSession, Scope};
use serde_json::json;

use super::{Client, Lab};

/// What ends, by name.
const ENDS: &[&str] = &[
    "organization",
    "owner of the app",
    "session",
    "suspended",
    "membership",
    "user",
    "app",
    "all of the app",
    "address",
    "8 hours",
];

/// An app of a product team that serves its customer.
async fn scene(lab: &Lab) -> (Client, authd::session::Session) {
    let team = lab.organization("Team").await;
    let customer = lab.organization("Customer").await;
    let user = lab.person(customer, "ada").await;
    let client = lab.app(team, json!({"organizations": "all"})).await;
    (client, lab.session(customer, user).await)
}

async fn end(lab: &Lab, what: &str, client: &Client, session: &authd::session::Session) {
    match what {
        "organization" => drop(lab.perform(DisableOrganization { id: session.organization }).await),
        "owner of the app" => {
            let id = authd::provider::App::load(lab.store(), client.id).await.unwrap().organization;
            drop(lab.perform(DisableOrganization { id }).await);
        }
        "session" => drop(lab.perform(RevokeSession { id: session.id }).await),
        "suspended" => lab.change(session.organization, session.user, |m| m.status = Status::Suspended).await,
        "membership" => lab.end(Scope::Membership(session.organization, session.user)).await,
        "user" => lab.end(Scope::User(session.user)).await,
        "app" => drop(lab.perform(DeleteApp { id: client.id }).await),
        "all of the app" => lab.end(Scope::App(client.id)).await,
        "address" => {
            let moved = json!({"id": client.id, "redirectUris": ["https://app.example.com/elsewhere"]});
            drop(lab.perform(serde_json::from_value::<authd::provider::UpdateApp>(moved).unwrap()).await);
        }
        "8 hours" => lab.env().advance(Duration::from_secs(8 * 3600)),
        _ => unreachable!(),
    }
}

#[tokio::test]
async fn op_15_a_code_dies_with_what_it_was_made_under() {
    for what in ENDS {
        let lab = Lab::new().await;
        let (client, session) = scene(&lab).await;
        if *what == "8 hours" {
            lab.env().advance(Duration::from_secs(8 * 3600 - 10));
        }
        let redeem = lab.code(&client, &session).await;
        if *what == "8 hours" {
            lab.env().advance(Duration::from_secs(10));
        } else {
            end(&lab, what, &client, &session).await;
        }
        let refused = lab.redeem(&redeem).await;
        match *what {
            "app" => refused.refused(401, "invalid_client"),
            _ => refused.refused(400, "invalid_grant"),
        }
        assert_eq!(lab.count(authd::event::EventKind::TokenExchanged).await, 0, "{what}");
    }
}

#[tokio::test]
async fn jwt_06_a_token_is_refused_as_soon_as_access_has_ended() {
    for what in ENDS.iter().filter(|what| **what != "address") {
        let lab = Lab::new().await;
        let (client, session) = scene(&lab).await;
        let tokens = lab.tokens(&client, &session).await;
        assert_eq!(lab.userinfo(tokens.text("access_token")).await.status, 200, "{what}");
        end(&lab, what, &client, &session).await;
        let refused = lab.userinfo(tokens.text("access_token")).await;
        assert_eq!(refused.status, 401, "{what}");
        assert!(refused.headers["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""), "{what}");
    }
}

#[tokio::test]
async fn jwt_06_lifetimes() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let tokens = lab.tokens(&client, &session).await;
    lab.env().advance(Duration::from_secs(899));
    assert_eq!(lab.userinfo(tokens.text("access_token")).await.status, 200);
    lab.env().advance(Duration::from_secs(1));
    assert_eq!(lab.userinfo(tokens.text("access_token")).await.status, 401);

    let long = lab.app(session.organization, json!({"tokenSeconds": 86_400})).await;
    let tokens = lab.tokens(&long, &session).await;
    assert_eq!(tokens.body["expires_in"], 8 * 3600 - 900, "no token outlives its session");
    let short = lab.app(session.organization, json!({"tokenSeconds": 60})).await;
    assert_eq!(lab.tokens(&short, &session).await.body["expires_in"], 60);
}
