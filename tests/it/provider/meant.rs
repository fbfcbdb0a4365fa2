//! Tokens that our own key signed, but that were meant for somebody or something else.

use std::time::Duration;

use authd::access::Caller;
use authd::id::{AppId, GrantId, OrganizationId, UserId};
use authd::token::{Algorithm, Issue, IssueToken, Type, verify_api};
use serde_json::{Map, Value, json};

use super::{ISSUER, Lab, part};

/// What a token says, before it is signed.
#[derive(Clone)]
struct Draft {
    typ: Type,
    subject: String,
    audience: String,
    lives: Duration,
    claims: Map<String, Value>,
}

impl Draft {
    /// As a token of ours says it.
    fn of(token: &str) -> Self {
        let mut claims = part(token, 1).as_object().unwrap().clone();
        let mut take = |name: &str| claims.remove(name).unwrap().as_str().unwrap().to_owned();
        let (subject, audience) = (take("sub"), take("aud"));
        for name in ["iss", "exp", "iat"] {
            claims.remove(name);
        }
        let typ = if part(token, 0)["typ"] == "JWT" { Type::Jwt } else { Type::Access };
        Self { typ, subject, audience, lives: Duration::from_secs(60), claims }
    }

    fn say(mut self, name: &str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.claims.insert(name.to_owned(), value),
            None => self.claims.remove(name),
        };
        self
    }

    async fn signed(self, lab: &Lab) -> String {
        let cx = lab.operator();
        let signer = lab.keyring.signer(&cx, Algorithm::Es256).await.unwrap();
        let (subject, audience) = (&*self.subject, &*self.audience);
        let expires_at = cx.env.now() + self.lives;
        Issue { typ: self.typ, subject, audience, expires_at, claims: self.claims }.sign(&cx, &signer).unwrap()
    }
}

#[tokio::test]
async fn op_14_user_info_takes_exactly_what_the_token_endpoint_gave() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let other = lab.app(session.organization, json!({})).await;
    let honest = Draft::of(lab.tokens(&client, &session).await.text("access_token"));
    let env = lab.env();
    assert_eq!(lab.userinfo(&honest.clone().signed(&lab).await).await.status, 200);
    for (name, draft) in [
        ("typ", Draft { typ: Type::Jwt, ..honest.clone() }),
        ("another app's", Draft { audience: other.id.to_string(), ..honest.clone() }),
        ("no app's", Draft { audience: AppId::new(env).to_string(), ..honest.clone() }),
        ("the API's", Draft { audience: format!("{ISSUER}/api"), ..honest.clone() }),
        ("another person", Draft { subject: UserId::new(env).to_string(), ..honest.clone() }),
        ("expired", Draft { lives: Duration::ZERO, ..honest.clone() }),
        ("another tenant", honest.clone().say("org_id", Some(json!(OrganizationId::new(env))))),
        ("no tenant", honest.clone().say("org_id", None)),
        ("another grant", honest.clone().say("grant", Some(json!(GrantId::new(env))))),
        ("no grant", honest.clone().say("grant", None)),
        ("not yet", honest.clone().say("nbf", Some(json!(env.now().seconds() + 60)))),
        ("nbf that is no number", honest.clone().say("nbf", Some(json!("0")))),
    ] {
        let answer = lab.userinfo(&draft.signed(&lab).await).await;
        assert_eq!(answer.status, 401, "{name}");
    }
}

#[tokio::test]
async fn op_14_the_api_takes_exactly_what_was_issued_for_it() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let issued = IssueToken { organization: session.organization, user: Some(session.user), role: None };
    let honest = Draft::of(lab.perform(issued).await.access_token.expose());
    let app_grant = part(lab.tokens(&client, &session).await.text("access_token"), 1)["grant"].clone();
    let caller = async |draft: Draft| {
        let token = draft.signed(&lab).await;
        verify_api(&lab.context(Caller::Anonymous), &lab.keyring, &token).await.map_err(|error| error.code())
    };
    assert!(caller(honest.clone()).await.is_ok());
    for (name, draft) in [
        ("typ", Draft { typ: Type::Jwt, ..honest.clone() }),
        ("an app's", Draft { audience: client.id.to_string(), ..honest.clone() }),
        ("the issuer itself", Draft { audience: ISSUER.to_owned(), ..honest.clone() }),
        ("expired", Draft { lives: Duration::ZERO, ..honest.clone() }),
        ("the grant of an app", honest.clone().say("grant", Some(app_grant))),
    ] {
        assert_eq!(caller(draft).await, Err("not_signed_in"), "{name}");
    }
}

#[tokio::test]
async fn no_token_lives_longer_than_a_day_and_no_claim_replaces_its_frame() {
    let lab = Lab::new().await;
    let (client, session) = lab.scene().await;
    let honest = Draft::of(lab.tokens(&client, &session).await.text("access_token"));
    let draft = Draft { lives: Duration::from_secs(30 * 86_400), ..honest }
        .say("iss", Some(json!("https://evil.test")))
        .say("aud", Some(json!(["a", "b"])))
        .say("exp", Some(json!(i64::MAX)));
    let audience = draft.audience.clone();
    let claims = part(&draft.signed(&lab).await, 1);
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(ISSUER), &json!(audience)));
    assert_eq!(claims["exp"], lab.env().now().seconds() + 86_400);
}
