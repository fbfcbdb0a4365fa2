//! Tokens of authd itself at `GET /v1/identity`.

use authd::event::EventKind;
use authd::session::Scope;
use authd::token::IssueToken;
use serde_json::json;

use super::super::{ISSUER, part};
use super::Scene;

#[tokio::test]
async fn op_14_of_its_own_tokens_authd_takes_those_for_its_api_alone() {
    let scene = Scene::new().await;
    let lab = &scene.lab;
    let user = lab.person(scene.organization, "ada").await;
    let issued = IssueToken { organization: scene.organization, user: Some(user), role: None };
    let api = lab.perform(issued).await.access_token.expose().to_owned();
    let answer = scene.identity(&api).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.text("tokenIdentifier"), format!("{ISSUER}|{user}"));
    for (name, value) in [("name", "ada"), ("familyName", "Lovelace"), ("email", "ada@example.test")] {
        assert_eq!(answer.text(name), value);
    }
    assert_eq!((&answer.body["emailVerified"], &answer.body["org_id"]), (&json!(true), &json!(scene.organization)));
    assert!(answer.body.get("grant").is_none());

    let role = IssueToken { organization: scene.organization, user: None, role: Some("viewer".parse().unwrap()) };
    let role = lab.perform(role).await.access_token.expose().to_owned();
    assert_eq!(scene.identity(&role).await.status, 200);

    let session = lab.session(scene.organization, user).await;
    for kind in ["web", "convex"] {
        let client = lab.app(scene.organization, json!({"kind": kind})).await;
        let tokens = lab.tokens(&client, &session).await;
        for token in ["access_token", "id_token"] {
            Scene::refused(&scene.identity(tokens.text(token)).await, &format!("the {token} of an app ({kind})"));
        }
    }
    // Who has left is nobody.
    lab.end(Scope::Membership(scene.organization, user)).await;
    Scene::refused(&scene.identity(&api).await, "ended");
    assert_eq!(scene.identity(&role).await.status, 200);
}

#[tokio::test]
async fn op_14_an_apps_access_token_is_taken_where_the_organization_says_so_and_an_id_token_never() {
    let scene = Scene::new().await;
    let lab = &scene.lab;
    let user = lab.person(scene.organization, "ada").await;
    let session = lab.session(scene.organization, user).await;
    let other = lab.organization("Other").await;
    for kind in ["convex", "web"] {
        let client = lab.app(scene.organization, json!({"kind": kind})).await;
        let id = client.id.to_string();
        let tokens = lab.tokens(&client, &session).await;
        // Another tenant's word does not count.
        let theirs = json!({"organization": other, "kind": "oidc", "domain": ISSUER, "applicationID": id});
        scene.trusts(theirs).await;
        Scene::refused(&scene.identity(tokens.text("access_token")).await, "trusted by another tenant");
        scene.trusts(json!({"kind": "oidc", "domain": format!("{ISSUER}/"), "applicationID": id})).await;
        let answer = scene.identity(tokens.text("access_token")).await;
        assert_eq!(answer.status, 200, "{kind}: {}", answer.body);
        assert_eq!(answer.text("tokenIdentifier"), format!("{ISSUER}|{user}"));
        assert_eq!(answer.body.get("email").is_some(), kind == "convex", "what the token says, and no more");
        Scene::refused(&scene.identity(tokens.text("id_token")).await, "an id token is never an access token");
        let explained = scene.explain(tokens.text("id_token")).await;
        assert!(explained["wrong"].as_str().unwrap().contains("id token"), "{explained}");
        // It was read without a call to ourselves.
        assert_eq!(scene.outside.asked(&format!("{ISSUER}/.well-known/jwks.json")), 0);
        let elsewhere = format!("/v1/identity?organization={other}");
        Scene::refused(&scene.identity_at(&elsewhere, tokens.text("access_token")).await, "of another organization");
        // The grant behind it ends it.
        let grant = part(tokens.text("access_token"), 1)["grant"].as_str().unwrap().parse().unwrap();
        lab.end(Scope::Grant(grant)).await;
        Scene::refused(&scene.identity(tokens.text("access_token")).await, "revoked");
    }
    assert_eq!(lab.count(EventKind::UserCreated).await, 1);
}

#[tokio::test]
async fn a_token_of_another_deployment_with_our_name_is_refused() {
    let scene = Scene::new().await;
    let other = Scene::new().await;
    let user = other.lab.person(other.organization, "eve").await;
    let issued = IssueToken { organization: other.organization, user: Some(user), role: None };
    let token = other.lab.perform(issued).await.access_token.expose().to_owned();
    assert_eq!(other.identity(&token).await.status, 200);
    Scene::refused(&scene.identity(&token).await, "the same public URL, another deployment");
}
