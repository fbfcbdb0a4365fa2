//! Apps in their own name, and what becomes of single tokens: client credentials, introspection, revocation.

use std::time::Duration;

use authd::event::EventKind;
use authd::provider::UpdateApp;
use authd::session::Scope;
use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::{Answer, Client, Lab, basic};

impl Lab {
    async fn machine(&self, more: serde_json::Value) -> Client {
        let organization = self.organization("Machines").await;
        let mut all = json!({"grantTypes": ["client_credentials"], "redirectUris": [], "scopes": ["read", "write"]});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.app(organization, all).await
    }

    async fn credentials(&self, client: &Client, more: &[(&str, &str)]) -> Answer {
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(more);
        self.token(&form, Some(&basic(&client.id.to_string(), client.secret.as_deref().unwrap()))).await
    }

    pub(super) async fn ask(&self, path: &str, client: &Client, form: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", basic(&client.id.to_string(), client.secret.as_deref().unwrap_or("none")));
        self.send(request.body(Body::from(body)).unwrap()).await
    }

    async fn introspect(&self, client: &Client, token: &str) -> serde_json::Value {
        let answer = self.ask("/oauth2/introspect", client, &[("token", token)]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }
}

#[tokio::test]
async fn a_machine_gets_a_token_for_its_api_in_its_own_name() {
    let lab = Lab::new().await;
    let client = lab.machine(json!({"audience": "https://api.example.com"})).await;
    let tokens = lab.credentials(&client, &[("scope", "write")]).await;
    assert_eq!(tokens.status, 200, "{}", tokens.body);
    assert!(tokens.body.get("refresh_token").is_none() && tokens.body.get("id_token").is_none());
    let (header, claims) = lab.verified(tokens.text("access_token"), "https://api.example.com").await;
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let id = client.id.to_string();
    assert_eq!((claims["sub"].as_str(), claims["client_id"].as_str()), (Some(&*id), Some(&*id)));
    assert_eq!((claims["scope"].as_str(), tokens.text("scope")), (Some("write"), "write"));
    assert!(claims["org_id"].as_str().unwrap().starts_with("org_"));
    let all = lab.credentials(&client, &[]).await;
    assert_eq!(all.text("scope"), "read write");
    for wrong in ["admin", "read admin", "openid", "READ"] {
        lab.credentials(&client, &[("scope", wrong)]).await.refused(400, "invalid_scope");
    }
    // Nobody's user info: there is no person in it.
    assert_eq!(lab.userinfo(all.text("access_token")).await.status, 401);
}

#[tokio::test]
async fn client_credentials_are_for_apps_that_may_and_can_prove_themselves() {
    let lab = Lab::new().await;
    let (web, _) = lab.scene().await;
    let form = [("grant_type", "client_credentials")];
    let authorization = basic(&web.id.to_string(), web.secret.as_deref().unwrap());
    lab.token(&form, Some(&authorization)).await.refused(400, "unauthorized_client");
    let client = lab.machine(json!({})).await;
    let wrong = basic(&client.id.to_string(), "cs_wrong");
    lab.token(&form, Some(&wrong)).await.refused(401, "invalid_client");
}

#[tokio::test]
async fn a_busy_machine_does_not_write_a_row_for_each_token() {
    let lab = Lab::new().await;
    let client = lab.machine(json!({})).await;
    lab.credentials(&client, &[]).await;
    let before = lab.commit_number().await;
    let tokens: Vec<String> = futures_util::future::join_all((0..200).map(|_| lab.credentials(&client, &[])))
        .await
        .into_iter()
        .map(|answer| answer.text("access_token").to_owned())
        .collect();
    assert!(lab.commit_number().await - before <= 3, "few commits");
    let different: std::collections::BTreeSet<_> = tokens.iter().collect();
    assert_eq!(different.len(), 200, "each token has its own id");
    lab.env().advance(Duration::from_secs(61));
    lab.credentials(&client, &[]).await;
    let told: Vec<_> = lab.events().await.into_iter().filter(|event| event.kind == EventKind::TokenCreated).collect();
    let counted: u64 = told.iter().filter_map(|event| event.data.get("issuedSince")?.as_u64()).sum();
    assert!(told.len() <= 4 && counted >= 190, "{counted} of 200 told in {} events", told.len());
}

#[tokio::test]
async fn op_15_a_machine_ends_with_its_app_and_its_organization() {
    for scope in 0..2 {
        let lab = Lab::new().await;
        let client = lab.machine(json!({"audience": "https://api.example.com"})).await;
        let token = lab.credentials(&client, &[]).await.text("access_token").to_owned();
        assert_eq!(lab.introspect(&client, &token).await["active"], true);
        let app = authd::provider::App::load(lab.store(), client.id).await.unwrap();
        lab.end(if scope == 0 { Scope::App(app.id) } else { Scope::Organization(app.organization) }).await;
        assert_eq!(lab.introspect(&client, &token).await, json!({"active": false}));
        let fresh = lab.credentials(&client, &[]).await;
        assert_eq!(lab.introspect(&client, fresh.text("access_token")).await["active"], true);
    }
}

#[tokio::test]
async fn introspection_tells_an_app_about_its_own_tokens_and_those_for_its_api() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let tokens = lab.tokens(&client, &session).await;
    let told = lab.introspect(&client, tokens.text("access_token")).await;
    assert_eq!((told["active"].as_bool(), told["token_type"].as_str()), (Some(true), Some("Bearer")));
    assert_eq!(told["sub"], session.user.to_string());
    assert_eq!(told["client_id"], client.id.to_string());
    assert!(told.get("grant").is_none() && told.get("email").is_none());

    let stranger = lab.app(session.organization, json!({})).await;
    let api = lab.app(session.organization, json!({"audience": client.id.to_string()})).await;
    assert_eq!(lab.introspect(&stranger, tokens.text("access_token")).await, json!({"active": false}));
    assert_eq!(lab.introspect(&api, tokens.text("access_token")).await["active"], true);
    // A resource of another tenant learns nothing, whatever audience it claims.
    let foreign = lab.machine(json!({"audience": client.id.to_string()})).await;
    assert_eq!(lab.introspect(&foreign, tokens.text("access_token")).await, json!({"active": false}));

    for nothing in ["", "x", "rt_x", tokens.text("id_token")] {
        let answer = lab.ask("/oauth2/introspect", &client, &[("token", nothing)]).await;
        assert!(answer.status == 400 || answer.body == json!({"active": false}), "{}", answer.body);
    }
    let wrong = Client { secret: Some("cs_wrong".into()), ..client.clone() };
    lab.ask("/oauth2/introspect", &wrong, &[("token", "x")]).await.refused(401, "invalid_client");
    lab.env().advance(Duration::from_secs(901));
    assert_eq!(lab.introspect(&client, tokens.text("access_token")).await, json!({"active": false}));
}

#[tokio::test]
async fn an_app_gives_back_one_access_token_or_a_whole_authorization() {
    let lab = Lab::new().await;
    let (_, session) = lab.scene().await;
    let client = lab.app(session.organization, json!({"grantTypes": ["authorization_code", "refresh_token"]})).await;
    let other = lab.app(session.organization, json!({})).await;
    let tokens = lab.tokens(&client, &session).await;
    let (access, refresh) = (tokens.text("access_token"), tokens.text("refresh_token"));
    // Somebody else's word counts for nothing, and is answered alike.
    for token in [access, refresh, "unknown", "rt_unknown"] {
        assert_eq!(lab.ask("/oauth2/revoke", &other, &[("token", token)]).await.status, 200);
    }
    assert_eq!(lab.introspect(&client, access).await["active"], true);
    assert_eq!(lab.introspect(&client, refresh).await["active"], true);

    assert_eq!(lab.ask("/oauth2/revoke", &client, &[("token", access)]).await.status, 200);
    assert_eq!(lab.introspect(&client, access).await["active"], false);
    assert_eq!(lab.userinfo(access).await.status, 401);
    assert_eq!(lab.introspect(&client, refresh).await["active"], true, "only that token");

    let hint = [("token", refresh), ("token_type_hint", "access_token")];
    assert_eq!(lab.ask("/oauth2/revoke", &client, &hint).await.status, 200, "a hint is a hint");
    assert_eq!(lab.introspect(&client, refresh).await["active"], false);
    lab.ask("/oauth2/revoke", &client, &[]).await.refused(400, "invalid_request");
}

#[tokio::test]
async fn an_app_has_claims_of_its_own_and_none_that_mean_something_else() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let update = |claims: serde_json::Value| -> UpdateApp {
        serde_json::from_value(json!({"id": client.id, "claims": claims})).unwrap()
    };
    lab.change(session.organization, session.user, |member| {
        member.groups = vec!["eng".into()];
        member.extra = Some(json!({"costCenter": 7}).to_string());
    })
    .await;
    lab.perform(update(json!({"https://app/groups": "groups", "cost": "extra.costCenter", "none": "extra.none"})))
        .await;
    let tokens = lab.tokens(&client, &session).await;
    for token in ["access_token", "id_token"] {
        let claims = super::part(tokens.text(token), 1);
        assert_eq!((&claims["https://app/groups"], &claims["cost"]), (&json!(["eng"]), &json!(7)), "{token}");
        assert!(claims.get("none").is_none());
    }
    for (name, field) in
        [("sub", "email"), ("iss", "name"), ("aud", "name"), ("scope", "groups"), ("x", "password"), ("", "email")]
    {
        let cx = lab.operator();
        assert!(authd::access::perform(&cx, &update(json!({name: field}))).await.is_err(), "{name}");
    }
}
