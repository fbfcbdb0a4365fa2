//! What an app is told about a person: OpenID Connect Core §5.4, and `groups`.

use serde_json::{Map, Value};

use crate::directory::Membership;

/// Every claim that may stand in an id token or in user info.
pub(super) const SUPPORTED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "iat",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "sid",
    "at_hash",
    "org_id",
    "name",
    "given_name",
    "family_name",
    "picture",
    "updated_at",
    "email",
    "email_verified",
    "groups",
];

/// The claims of the scopes that were granted; what is not known is left out.
pub(super) fn person(scope: &[String], member: &Membership) -> Map<String, Value> {
    let granted = |name: &str| scope.iter().any(|scope| scope == name);
    let mut claims = Map::new();
    let mut say = |name: &str, text: &Option<String>| {
        if let Some(text) = text {
            claims.insert(name.to_owned(), text.clone().into());
        }
    };
    if granted("profile") {
        say("name", &member.name);
        say("given_name", &member.given_name);
        say("family_name", &member.family_name);
        say("picture", &member.image);
        claims.insert("updated_at".into(), member.updated_at.seconds().into());
    }
    if granted("email")
        && let Some(email) = &member.email
    {
        claims.insert("email".into(), email.clone().into());
        claims.insert("email_verified".into(), member.email_verified.into());
    }
    if granted("groups") {
        claims.insert("groups".into(), member.groups.clone().into());
    }
    claims
}
