//! What a person's authorization is worth: an access token, and an id token where `openid` was granted.

use serde_json::{Map, Value, json};

use crate::access::Context;
use crate::crypto::base64url;
use crate::directory::Membership;
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{GrantId, SessionId};
use crate::provider::claims;
use crate::provider::client::App;
use crate::token::{self, Issue, Keyring, Type};

/// What an app may be given in a person's name.
pub(super) struct Authorization {
    /// The handle by which it ends.
    pub grant: GrantId,
    /// The person, as they are now: whoever made this has seen that they may be here.
    pub member: Membership,
    /// What was granted.
    pub scope: Vec<String>,
    /// How, when and where the person signed in.
    pub sign_in: SignIn,
    /// For the id token; a refreshed one has none (OpenID Connect Core §12.2).
    pub nonce: Option<String>,
    /// Claims that the app asked for by name, for the id token.
    pub claims: Vec<String>,
    /// No token outlives this.
    pub ends_at: Option<Timestamp>,
}

/// How, when and where a person signed in.
pub(super) struct SignIn {
    pub session: SessionId,
    pub at: Timestamp,
    pub acr: Option<String>,
    pub amr: Vec<String>,
}

/// Signed tokens in the form of RFC 6749 §5.1.
pub(super) struct Given {
    /// The answer.
    pub answer: Value,
    /// When the access token ends.
    pub expires_at: Timestamp,
}

/// Signs the tokens.
pub(super) async fn give(cx: &Context, keyring: &Keyring, app: &App, to: &Authorization) -> Result<Given> {
    let member = &to.member;
    let signer = keyring.signer(cx, app.algorithm).await?;
    let now = cx.env.now();
    let expires_at = to.ends_at.map_or(now + app.token_lifetime(), |end| end.min(now + app.token_lifetime()));
    let (subject, client) = (to.member.user.to_string(), app.id.to_string());
    let issue = |typ, audience, claims| Issue { typ, subject: &subject, audience, expires_at, claims };

    let mut access = sign_in_claims(to);
    access.insert("client_id".into(), client.clone().into());
    access.insert("scope".into(), to.scope.join(" ").into());
    access.insert("jti".into(), base64url(&cx.env.random::<16>()).into());
    access.insert("grant".into(), to.grant.to_string().into());
    let typ = app.access_token_type();
    if typ == Type::Jwt {
        // Its reader has this token alone to know the person by.
        access.extend(claims::person(&to.scope, member));
    }
    access.extend(claims::own(app, member));
    let audience = app.audience.as_deref().unwrap_or(&client);
    let access_token = issue(typ, audience, access).sign(cx, &signer)?;

    let mut answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": expires_at.seconds() - now.seconds(),
        "scope": to.scope.join(" "),
    });
    if to.scope.iter().any(|scope| scope == "openid") {
        let mut id = sign_in_claims(to);
        if let Some(nonce) = &to.nonce {
            id.insert("nonce".into(), nonce.clone().into());
        }
        id.insert("at_hash".into(), token::at_hash(&access_token).into());
        id.extend(claims::named(&to.claims, app, member));
        id.extend(claims::person(&to.scope, member));
        id.extend(claims::own(app, member));
        answer["id_token"] = issue(Type::Jwt, &client, id).sign(cx, &signer)?.into();
    }
    Ok(Given { answer, expires_at })
}

fn sign_in_claims(to: &Authorization) -> Map<String, Value> {
    let SignIn { session, at, acr, amr } = &to.sign_in;
    let mut claims = Map::new();
    claims.insert("auth_time".into(), at.seconds().into());
    claims.insert("sid".into(), session.to_string().into());
    claims.insert("org_id".into(), to.member.organization.to_string().into());
    if let Some(acr) = acr {
        claims.insert("acr".into(), acr.clone().into());
    }
    if !amr.is_empty() {
        claims.insert("amr".into(), amr.clone().into());
    }
    claims
}
