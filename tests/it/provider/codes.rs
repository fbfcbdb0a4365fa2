//! Codes: good once, for one app, one address, one verifier, one minute.

use std::time::Duration;

use authd::event::EventKind;
use serde_json::json;

use super::{CALLBACK, ISSUER, Lab, Redeem, VERIFIER, query};

#[tokio::test]
async fn a_code_comes_back_with_state_and_issuer_and_gives_tokens_in_one_commit() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let request = lab.request(&client).await;
    let url = lab.mint(&request, &session).await;
    assert!(url.starts_with(&format!("{CALLBACK}?code=ac_")), "{url}");
    assert_eq!(query(&url, "state").as_deref(), Some("the state"));
    assert_eq!(query(&url, "iss").as_deref(), Some(ISSUER));

    let redeem = lab.code(&client, &session).await;
    let before = lab.commit_number().await;
    let tokens = lab.redeem(&redeem).await;
    assert_eq!(lab.commit_number().await - before, 2, "one commit in between");
    assert_eq!(tokens.status, 200);
    assert_eq!(tokens.headers["cache-control"], "no-store");
    assert_eq!(tokens.headers["pragma"], "no-cache");
    assert_eq!(tokens.text("token_type"), "Bearer");
    assert_eq!(tokens.body["expires_in"], 900);
    assert_eq!(tokens.text("scope"), "openid profile email groups");
    assert_eq!(lab.count(EventKind::TokenExchanged).await, 1);
}

#[tokio::test]
async fn op_02_code_reuse_takes_back_what_the_code_gave() {
    for wait in [0, 30, 3_600] {
        let lab = Lab::new().await;
        let (client, session) = lab.scene().await;
        let other = lab.tokens(&client, &session).await;
        let redeem = lab.code(&client, &session).await;
        let tokens = lab.redeem(&redeem).await;
        assert_eq!(lab.userinfo(tokens.text("access_token")).await.status, 200);

        lab.env().advance(Duration::from_secs(wait));
        lab.redeem(&redeem).await.refused(400, "invalid_grant");
        assert_eq!(lab.userinfo(tokens.text("access_token")).await.status, 401);
        if wait < 900 {
            assert_eq!(lab.userinfo(other.text("access_token")).await.status, 200, "only that grant");
        }
        lab.redeem(&redeem).await.refused(400, "invalid_grant");
        assert_eq!(lab.count(EventKind::CodeReused).await, 1, "once, however often it is replayed");
    }
}

#[tokio::test]
async fn op_02_of_64_parallel_redemptions_one_succeeds() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let redeem = lab.code(&client, &session).await;
    let answers = futures_util::future::join_all((0..64).map(|_| lab.redeem(&redeem))).await;
    let good = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(good, 1);
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        answer.refused(400, "invalid_grant");
    }
    assert_eq!(lab.count(EventKind::TokenExchanged).await, 1);
    assert_eq!(lab.count(EventKind::CodeReused).await, 1);
}

#[tokio::test]
async fn op_03_a_code_of_another_app_or_address_is_burned() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let second = "https://app.example.com/second";
    let both = json!({"redirectUris": [CALLBACK, second]});
    let other = lab.app(session.organization, both).await;

    let honest = lab.code(&client, &session).await;
    let stolen = Redeem { client: &other, ..honest.clone() };
    lab.redeem(&stolen).await.refused(400, "invalid_grant");
    lab.redeem(&honest).await.refused(400, "invalid_grant");

    // Registered for the app, but not the one that this code was made for.
    let honest = lab.code(&other, &session).await;
    let elsewhere = Redeem { redirect_uri: second.to_owned(), ..honest.clone() };
    lab.redeem(&elsewhere).await.refused(400, "invalid_grant");
    lab.redeem(&honest).await.refused(400, "invalid_grant");
    assert_eq!(lab.count(EventKind::TokenExchanged).await, 0);
}

#[tokio::test]
async fn op_04_pkce_verifier_is_required_and_checked() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let public = lab.app(session.organization, json!({"kind": "native"})).await;
    for client in [&client, &public] {
        for (name, verifier) in [
            ("none", None),
            ("wrong", Some("a".repeat(43))),
            ("42 letters", Some(VERIFIER[1..].to_owned())),
            ("129 letters", Some("a".repeat(129))),
            ("the challenge itself", Some(super::CHALLENGE.to_owned())),
            ("with a letter too many", Some(format!("{VERIFIER}a"))),
            ("letters that are none", Some(format!("{}!", &VERIFIER[1..]))),
        ] {
            let honest = lab.code(client, &session).await;
            let refused = lab.redeem(&Redeem { verifier, ..honest.clone() }).await;
            refused.refused(400, "invalid_grant");
            let again = lab.redeem(&honest).await;
            assert_eq!(again.status, 400, "{name}: a code is one try");
        }
        let honest = lab.code(client, &session).await;
        assert_eq!(lab.redeem(&honest).await.status, 200);
    }
}

#[tokio::test]
async fn a_code_is_good_for_a_minute() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let (first, second) = (lab.code(&client, &session).await, lab.code(&client, &session).await);
    lab.env().advance(Duration::from_millis(59_999));
    assert_eq!(lab.redeem(&first).await.status, 200);
    lab.env().advance(Duration::from_millis(1));
    lab.redeem(&second).await.refused(400, "invalid_grant");
    let unknown = Redeem { code: "ac_unknown".to_owned(), ..first };
    lab.redeem(&unknown).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn a_code_is_only_minted_where_the_app_still_reaches() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let elsewhere = lab.organization("Other").await;
    let stranger = lab.person(elsewhere, "eve").await;
    let strange = lab.session(elsewhere, stranger).await;
    let request = lab.request(&client).await;
    let cx = lab.context(authd::access::Caller::Anonymous);
    let mint = async |session| {
        let mut batch = authd::store::Batch::new();
        let minted = authd::provider::code::mint(&cx, &request, session, None, &mut batch).await;
        assert_eq!(minted.is_err(), batch.is_empty());
        minted.map(drop).map_err(|error| error.code())
    };
    assert_eq!(mint(&strange).await, Err("access_denied"));
    assert_eq!(mint(&session).await, Ok(()));
    let moved = json!({"id": client.id, "redirectUris": ["https://app.example.com/elsewhere"]});
    lab.perform(serde_json::from_value::<authd::provider::UpdateApp>(moved).unwrap()).await;
    assert_eq!(mint(&session).await, Err("redirect_uri_mismatch"));
    lab.perform(authd::provider::DeleteApp { id: client.id }).await;
    assert_eq!(mint(&session).await, Err("unauthorized_client"));
}
