//! What an app is told about a person: OpenID Connect Core §5.4, and `groups`.

use serde_json::{Map, Value};

use super::asked_claims;
use super::client::App;
use crate::directory::Membership;
use crate::error::{Error, Result, codes};

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

/// The claims that an app asked for by name (OpenID Connect Core §5.5), whatever scopes it was given.
pub(super) fn named(names: &[String], app: &App, member: &Membership) -> Map<String, Value> {
    if names.is_empty() {
        return Map::new();
    }
    let mut all = person(&asked_claims::every_scope(), member);
    all.extend(own(app, member));
    asked_claims::picked(all, names)
}

/// Names that the protocol itself gives a meaning: no app gives them another.
const RESERVED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "auth_time",
    "nonce",
    "acr",
    "amr",
    "azp",
    "sid",
    "at_hash",
    "c_hash",
    "org_id",
    "client_id",
    "scope",
    "grant",
    "events",
    "cnf",
    "act",
    "role",
    "email_verified",
];

/// The fields of a person that an app may have under a name of its own.
const FIELDS: &[&str] = &["email", "name", "given_name", "family_name", "picture", "groups", "roles"];

/// Whether an app may have a claim of its own. Errors: `invalid_input`.
pub(super) fn check_own(name: &str, field: &str) -> Result<()> {
    let wrong = |why: String| Err(Error::says(&codes::INVALID_INPUT, why));
    let shown: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
    if name.is_empty() || name.len() > 128 || !name.bytes().all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\') {
        return wrong(format!("`{shown}` is not the name of a claim: 1 to 128 letters without spaces."));
    }
    if RESERVED.contains(&name) {
        return wrong(format!("The claim `{name}` has a meaning of its own."));
    }
    let known = FIELDS.contains(&field) || field.strip_prefix("extra.").is_some_and(|rest| !rest.is_empty());
    if !known {
        return wrong(format!("The claim `{shown}` comes from a field that there is not."));
    }
    Ok(())
}

/// The claims that an app has besides; what is not known is left out.
pub(super) fn own(app: &App, member: &Membership) -> Map<String, Value> {
    let mut claims = Map::new();
    let extra = member.extra.as_deref().and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    for (name, field) in &app.claims {
        let text = |text: &Option<String>| text.clone().map(Value::from);
        let value = match field.as_str() {
            "email" => text(&member.email),
            "name" => text(&member.name),
            "given_name" => text(&member.given_name),
            "family_name" => text(&member.family_name),
            "picture" => text(&member.image),
            "groups" => Some(member.groups.clone().into()),
            "roles" => Some(member.roles.iter().map(|role| role.as_str().to_owned()).collect::<Vec<_>>().into()),
            other => {
                other.strip_prefix("extra.").and_then(|rest| extra.as_ref().and_then(|extra| extra.get(rest)).cloned())
            }
        };
        if let Some(value) = value {
            claims.insert(name.clone(), value);
        }
    }
    claims
}
