//! Refresh tokens: one successor, ten seconds of grace, and the end of the family that somebody copied.

use std::time::Duration;

use authd::event::EventKind;
use authd::session::{Scope, Session};
use proptest::prelude::*;
use serde_json::json;

use super::{Answer, Client, Lab, basic, part, request, with};

impl Lab {
    /// A confidential app that is given refresh tokens as long as the session.
    async fn refreshing(&self, session: &Session) -> Client {
        let grants = json!({"grantTypes": ["authorization_code", "refresh_token"]});
        self.app(session.organization, grants).await
    }

    /// Tokens for a scope.
    async fn tokens_for(&self, client: &Client, session: &Session, scope: &str) -> Answer {
        let id = client.id.to_string();
        let asked = self.authorize(&with(&request(&id), "scope", Some(scope))).await.unwrap();
        let url = self.mint(&asked, session).await;
        let code = super::query(&url, "code").unwrap();
        let redeem = super::Redeem {
            client,
            code,
            redirect_uri: super::CALLBACK.to_owned(),
            verifier: Some(super::VERIFIER.to_owned()),
        };
        let answer = self.redeem(&redeem).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer
    }

    async fn refresh(&self, client: &Client, token: &str, more: &[(&str, &str)]) -> Answer {
        let id = client.id.to_string();
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", token)];
        form.extend(more);
        match &client.secret {
            Some(secret) => self.token(&form, Some(&basic(&id, secret))).await,
            None => {
                form.push(("client_id", &id));
                self.token(&form, None).await
            }
        }
    }
}

const OFFLINE: &str = "openid email offline_access";

#[tokio::test]
async fn a_refresh_token_is_given_where_it_was_asked_for_or_registered() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    assert!(lab.tokens(&client, &session).await.body.get("refresh_token").is_none());
    let offline = lab.tokens_for(&client, &session, OFFLINE).await;
    assert!(offline.text("refresh_token").starts_with("rt_"));
    assert_eq!(offline.text("scope"), OFFLINE);
    let registered = lab.refreshing(&session).await;
    assert!(lab.tokens(&registered, &session).await.text("refresh_token").starts_with("rt_"));
    let never = lab.app(session.organization, json!({"grantTypes": ["authorization_code"]})).await;
    assert!(lab.tokens_for(&never, &session, OFFLINE).await.body.get("refresh_token").is_none());
}

#[tokio::test]
async fn a_refresh_answers_in_one_commit_with_fresh_tokens_of_the_same_sign_in() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let first = lab.tokens_for(&client, &session, OFFLINE).await;
    lab.env().advance(Duration::from_secs(3_600));
    let before = lab.commit_number().await;
    let second = lab.refresh(&client, first.text("refresh_token"), &[]).await;
    assert_eq!(lab.commit_number().await - before, 2, "one commit in between");
    assert_eq!(second.status, 200, "{}", second.body);
    assert_ne!(second.text("refresh_token"), first.text("refresh_token"));
    let (_, id) = lab.verified(second.text("id_token"), &client.id.to_string()).await;
    let before = part(first.text("id_token"), 1);
    for same in ["iss", "sub", "aud", "auth_time", "sid", "org_id", "email"] {
        assert_eq!(id[same], before[same], "{same}");
    }
    assert!(id.get("nonce").is_none(), "OpenID Connect Core §12.2");
    assert!(id["iat"].as_i64() > before["iat"].as_i64());
    assert_eq!(lab.userinfo(second.text("access_token")).await.status, 200);
    assert_eq!(lab.userinfo(first.text("access_token")).await.status, 401, "expired");
    assert_eq!(lab.count(EventKind::RefreshExchanged).await, 1);
}

#[tokio::test]
async fn op_05_of_64_that_refresh_at_once_all_get_the_same_successor() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let mut token = lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
    for _ in 0..8 {
        let answers = futures_util::future::join_all((0..64).map(|_| lab.refresh(&client, &token, &[]))).await;
        let successors: std::collections::BTreeSet<_> =
            answers.iter().map(|answer| answer.text("refresh_token").to_owned()).collect();
        assert!(answers.iter().all(|answer| answer.status == 200));
        assert_eq!(successors.len(), 1);
        token = successors.into_iter().next().unwrap();
        lab.env().advance(Duration::from_secs(60));
    }
    assert_eq!(lab.count(EventKind::RefreshReused).await, 0);
}

#[tokio::test]
async fn op_05_a_lost_answer_is_repeated_within_ten_seconds_and_after_them_the_family_ends() {
    for (wait, good) in [(0, true), (9, true), (10, false), (3_600, false)] {
        let lab = Lab::new().await;
        let (client, session) = lab.scene().await;
        let first = lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
        let second = lab.refresh(&client, &first, &[]).await;
        lab.env().advance(Duration::from_secs(wait));
        let again = lab.refresh(&client, &first, &[]).await;
        if good {
            assert_eq!(again.text("refresh_token"), second.text("refresh_token"), "{wait}");
            assert_eq!(lab.userinfo(again.text("access_token")).await.status, 200);
            continue;
        }
        again.refused(400, "invalid_grant");
        lab.refresh(&client, second.text("refresh_token"), &[]).await.refused(400, "invalid_grant");
        assert_eq!(lab.userinfo(second.text("access_token")).await.status, 401, "{wait}");
        let reused: Vec<_> =
            lab.events().await.into_iter().filter(|event| event.kind == EventKind::RefreshReused).collect();
        assert_eq!(reused.len(), 1);
        assert_eq!(reused[0].error_code.as_deref(), Some("refresh_reuse"));
        // Told of the session, too, by the same request, once.
        let mut told = lab.events().await;
        told.retain(|event| event.kind == EventKind::SessionRefreshReused);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].subject.as_ref().unwrap().id, session.id.to_string());
        assert_eq!((told[0].request_id, told[0].error_code.as_deref()), (reused[0].request_id, Some("refresh_reuse")));
        let grant = reused[0].subject.clone().unwrap();
        assert!(grant.kind == "grant" && told[0].targets.contains(&grant));
    }
}

/// RFC 7009: the token that is given back is told of beside what else ends with it; one of another app, one that is none,
/// and one that was given back before are told of by nothing.
#[tokio::test]
async fn a_refresh_token_that_is_given_back_is_told_once() {
    for scope in [OFFLINE, "openid email"] {
        let lab = Lab::new().await;
        let (_, session) = lab.scene().await;
        let (client, other) = (lab.refreshing(&session).await, lab.refreshing(&session).await);
        let first = lab.tokens_for(&client, &session, scope).await;
        let token = lab.refresh(&client, first.text("refresh_token"), &[]).await.text("refresh_token").to_owned();
        lab.ask("/oauth2/revoke", &other, &[("token", token.as_str())]).await;
        // The last letter of a tag has bits that mean nothing; the one before has none.
        let (head, tail) = token.split_at(token.len() - 2);
        let forged = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
        lab.ask("/oauth2/revoke", &client, &[("token", forged.as_str())]).await;
        let access = [("token", first.text("access_token"))];
        lab.ask("/oauth2/revoke", &client, &access).await;
        assert_eq!(lab.count(EventKind::RefreshRevoked).await, 0, "of what is no refresh token of the app");
        for hint in ["refresh_token", "access_token"] {
            let form = [("token", token.as_str()), ("token_type_hint", hint)];
            assert_eq!(lab.ask("/oauth2/revoke", &client, &form).await.status, 200);
        }
        lab.refresh(&client, &token, &[]).await.refused(400, "invalid_grant");
        let events = lab.events().await;
        let told: Vec<_> = events.iter().filter(|event| event.kind == EventKind::RefreshRevoked).collect();
        let [told] = &told[..] else { panic!("{} times", told.len()) };
        let app = told.targets.iter().find(|target| target.kind == "app").unwrap();
        assert_eq!((&app.id, told.actor_id.as_ref()), (&client.id.to_string(), Some(&client.id.to_string())));
        let beside = |event: &&authd::event::Event| {
            event.kind == EventKind::GrantRevoked
                && event.request_id == told.request_id
                && event.subject == told.subject
        };
        assert!(events.iter().any(|event| beside(&event)), "{scope}");
    }
}

#[tokio::test]
async fn op_05_grace_reaches_back_one_generation_and_no_further() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let first = lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
    let second = lab.refresh(&client, &first, &[]).await.text("refresh_token").to_owned();
    let third = lab.refresh(&client, &second, &[]).await;
    assert_eq!(third.status, 200);
    lab.refresh(&client, &first, &[]).await.refused(400, "invalid_grant");
    lab.refresh(&client, third.text("refresh_token"), &[]).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn op_05_a_token_of_another_app_ends_what_it_gave() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let other = lab.refreshing(&session).await;
    let token = lab.tokens_for(&client, &session, OFFLINE).await;
    lab.refresh(&other, token.text("refresh_token"), &[]).await.refused(400, "invalid_grant");
    lab.refresh(&client, token.text("refresh_token"), &[]).await.refused(400, "invalid_grant");
    assert_eq!(lab.userinfo(token.text("access_token")).await.status, 401);
}

#[tokio::test]
async fn a_forged_token_ends_nothing() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let token = lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    for forged in [
        format!("{}.0.{}", parts[0], parts[2]),
        format!("{}.2.{}", parts[0], parts[2]),
        format!("{}.1.{}", parts[0], &parts[2][..42]),
        format!("{}.1.{}A", parts[0], parts[2]),
        format!("{}.1.", parts[0]),
        format!("{}.18446744073709551615.{}", parts[0], parts[2]),
    ] {
        lab.refresh(&client, &forged, &[]).await.refused(400, "invalid_grant");
    }
    assert_eq!(lab.refresh(&client, &token, &[]).await.status, 200);
    assert_eq!(lab.count(EventKind::RefreshReused).await, 0);
}

#[tokio::test]
async fn op_07_scope_never_grows() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let first = lab.tokens_for(&client, &session, OFFLINE).await;
    let token = first.text("refresh_token").to_owned();
    for more in ["openid profile", "openid email offline_access groups", "OPENID", "admin"] {
        lab.refresh(&client, &token, &[("scope", more)]).await.refused(400, "invalid_scope");
    }
    // A refusal has used nothing up.
    let narrow = lab.refresh(&client, &token, &[("scope", "openid")]).await;
    assert_eq!((narrow.status.as_u16(), narrow.text("scope")), (200, "openid"));
    let told = lab.userinfo(narrow.text("access_token")).await.body;
    assert!(told.get("email").is_none() && told.get("sub").is_some(), "{told}");
    assert!(part(narrow.text("id_token"), 1).get("email").is_none());
    // What was granted stays granted.
    let whole = lab.refresh(&client, narrow.text("refresh_token"), &[]).await;
    assert_eq!(whole.text("scope"), OFFLINE);
    let (_, access) = lab.verified(whole.text("access_token"), &client.id.to_string()).await;
    assert_eq!(access["aud"], client.id.to_string());
}

/// With a token that was turned and whose successor nobody has, the next refresh would be taken for a copy.
#[tokio::test]
async fn op_07_a_scope_that_is_refused_does_not_turn_the_token() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let mut token = lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
    for wrong in ["openid profile", "admin", "openid  email groups"] {
        lab.refresh(&client, &token, &[("scope", wrong)]).await.refused(400, "invalid_scope");
        // Far beyond the grace that a lost answer has.
        lab.env().advance(Duration::from_secs(60));
        let next = lab.refresh(&client, &token, &[]).await;
        assert_eq!(next.status, 200, "{wrong}: {}", next.body);
        token = next.text("refresh_token").to_owned();
    }
    assert_eq!(lab.count(EventKind::RefreshReused).await, 0);
    // One that was used up is told to be so, whatever scope comes with it.
    let used = token.clone();
    token = lab.refresh(&client, &used, &[]).await.text("refresh_token").to_owned();
    lab.env().advance(Duration::from_secs(60));
    lab.refresh(&client, &used, &[("scope", "admin")]).await.refused(400, "invalid_grant");
    assert_eq!(lab.count(EventKind::RefreshReused).await, 1);
    lab.refresh(&client, &token, &[]).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn op_15_a_refresh_token_dies_with_what_it_was_given_under() {
    type Ended = fn(&Session, &Client) -> Scope;
    let scopes: [(&str, Ended); 6] = [
        ("organization", |session, _| Scope::Organization(session.organization)),
        ("membership", |session, _| Scope::Membership(session.organization, session.user)),
        ("user", |session, _| Scope::User(session.user)),
        ("connection", |session, _| session.connection.map_or(Scope::User(session.user), Scope::Connection)),
        ("app", |_, client| Scope::App(client.id)),
        ("session", |session, _| Scope::Session(session.id)),
    ];
    for (name, scope) in scopes {
        let lab = Lab::new().await;
        let (_, session) = lab.scene().await;
        let client = lab.refreshing(&session).await;
        let bound = lab.tokens(&client, &session).await.text("refresh_token").to_owned();
        let offline = lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
        lab.end(scope(&session, &client)).await;
        lab.refresh(&client, &bound, &[]).await.refused(400, "invalid_grant");
        let offline = lab.refresh(&client, &offline, &[]).await;
        if name == "session" {
            assert_eq!(offline.status, 200, "offline access outlives the session: {}", offline.body);
            assert_eq!(lab.userinfo(offline.text("access_token")).await.status, 200);
        } else {
            offline.refused(400, "invalid_grant");
        }
    }
}

#[tokio::test]
async fn a_refresh_token_ends_unused_or_old() {
    let lab = Lab::new().await;
    let (_, session) = lab.scene().await;
    let lifetimes = json!({"refreshIdleSeconds": 3_600, "refreshSeconds": 7_200});
    let client = lab.app(session.organization, lifetimes).await;
    let fresh = async || lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
    let (idle, mut used) = (fresh().await, fresh().await);
    for _ in 0..3 {
        lab.env().advance(Duration::from_secs(1_800));
        let answer = lab.refresh(&client, &used, &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        used = answer.text("refresh_token").to_owned();
    }
    lab.refresh(&client, &idle, &[]).await.refused(400, "invalid_grant");
    lab.env().advance(Duration::from_secs(1_700));
    let last = lab.refresh(&client, &used, &[]).await;
    assert_eq!(last.body["expires_in"], 100, "no token outlives the family");
    lab.env().advance(Duration::from_secs(101));
    lab.refresh(&client, last.text("refresh_token"), &[]).await.refused(400, "invalid_grant");
}

#[tokio::test]
async fn nothing_in_the_store_is_a_refresh_token() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let token = lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
    let tag = token.rsplit('.').next().unwrap();
    let events = format!("{:?}", lab.events().await);
    assert!(!events.contains(tag));
}

/// A walk of a family, and what a thief does with copies.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// Presents the token of so many generations ago.
    Present(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![(0u64..20).prop_map(Step::Wait), (0usize..3).prop_map(Step::Present)];
    proptest::collection::vec(step, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn op_05_a_family_follows_its_rule_whatever_is_presented_when(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let lab = Lab::new().await;
            let (client, session) = lab.scene().await;
            let mut tokens = vec![lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned()];
            let (mut now, mut turned, mut ended) = (0u64, 0u64, false);
            for step in steps {
                match step {
                    Step::Wait(seconds) => {
                        now += seconds;
                        lab.env().advance(Duration::from_secs(seconds));
                    }
                    Step::Present(ago) => {
                        let place = tokens.len().saturating_sub(1 + ago);
                        let age = tokens.len() - 1 - place;
                        let answer = lab.refresh(&client, &tokens[place], &[]).await;
                        let good = !ended && (age == 0 || (age == 1 && now - turned < 10));
                        assert_eq!(answer.status == 200, good, "{}", answer.body);
                        if good && age == 0 {
                            turned = now;
                            tokens.push(answer.text("refresh_token").to_owned());
                        } else if good {
                            assert_eq!(answer.text("refresh_token"), tokens[tokens.len() - 1]);
                        } else {
                            ended = true;
                        }
                    }
                }
            }
        });
    }
}

#[tokio::test]
async fn a_suspended_person_gets_no_fresh_tokens() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let token = lab.tokens_for(&client, &session, OFFLINE).await.text("refresh_token").to_owned();
    lab.change(session.organization, session.user, |member| member.status = authd::directory::Status::Suspended).await;
    lab.refresh(&client, &token, &[]).await.refused(400, "invalid_grant");
}
