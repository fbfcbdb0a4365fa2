//! The identity that a token proves, in the words that clients of Convex know it by.

use serde_json::{Map, Value};

use crate::directory::Profile;
use crate::env::Timestamp;

/// Claims that are a text, and what they are called here.
const TEXTS: &[(&str, &str)] = &[
    ("name", "name"),
    ("given_name", "givenName"),
    ("family_name", "familyName"),
    ("nickname", "nickname"),
    ("preferred_username", "preferredUsername"),
    ("profile", "profileUrl"),
    ("picture", "pictureUrl"),
    ("website", "websiteUrl"),
    ("email", "email"),
    ("gender", "gender"),
    ("birthdate", "birthday"),
    ("zoneinfo", "timezone"),
    ("locale", "language"),
    ("phone_number", "phoneNumber"),
];
/// Claims that are yes or no.
const FLAGS: &[(&str, &str)] = &[("email_verified", "emailVerified"), ("phone_number_verified", "phoneNumberVerified")];
/// What a token says about itself, and not about the person.
const OWN: &[&str] =
    &["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash", "s_hash", "grant"];
/// 9999-12-31T23:59:59Z: a time beyond it is no time.
const LAST_SECOND: i64 = 253_402_300_799;

/// The identity: who it is, what is known of them, and what else the token says; nested claims under names with dots.
/// A claim of another type than its name promises is left out.
pub fn identity_of(claims: &Map<String, Value>) -> Map<String, Value> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    let (issuer, subject) = (text("iss").unwrap_or_default(), text("sub").unwrap_or_default());
    let mut identity = Map::new();
    identity.insert("tokenIdentifier".into(), format!("{issuer}|{subject}").into());
    identity.insert("subject".into(), subject.into());
    identity.insert("issuer".into(), issuer.into());
    for (claim, name) in TEXTS {
        if let Some(value) = text(claim) {
            identity.insert((*name).to_owned(), value.into());
        }
    }
    for (claim, name) in FLAGS {
        if let Some(value) = claims.get(*claim).and_then(Value::as_bool) {
            identity.insert((*name).to_owned(), value.into());
        }
    }
    if let Some(at) = claims.get("updated_at").and_then(moment) {
        identity.insert("updatedAt".into(), at.into());
    }
    if let Some(address) = claims.get("address") {
        let written = address.as_str().or_else(|| address.get("formatted").and_then(Value::as_str));
        if let Some(written) = written {
            identity.insert("address".into(), written.into());
        }
    }
    // Nor does a claim of the issuer's own take the name of one that has a meaning here.
    let standard = |name: &str| {
        matches!(name, "updated_at" | "updatedAt" | "tokenIdentifier" | "subject" | "issuer")
            || TEXTS.iter().chain(FLAGS).any(|(claim, ours)| *claim == name || *ours == name)
    };
    // A claim that has a dot in its own name goes before one that gets it from nesting.
    let others = || claims.iter().filter(|(name, _)| !OWN.contains(&name.as_str()) && !standard(name));
    for (name, value) in others().filter(|(name, value)| !value.is_object() && *name != "address") {
        identity.entry(name.clone()).or_insert_with(|| value.clone());
    }
    for (name, value) in others() {
        if let Value::Object(inner) = value {
            flatten(name, inner, &mut identity);
        }
    }
    identity
}

fn flatten(path: &str, inner: &Map<String, Value>, into: &mut Map<String, Value>) {
    if inner.is_empty() {
        into.entry(path.to_owned()).or_insert_with(|| Value::Object(Map::new()));
    }
    for (name, value) in inner {
        let path = format!("{path}.{name}");
        match value {
            Value::Object(deeper) => flatten(&path, deeper, into),
            other => drop(into.entry(path).or_insert_with(|| other.clone())),
        }
    }
}

/// `updated_at` is a number of seconds (OpenID Connect Core §5.1); some issuers write a time in words.
fn moment(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        other => {
            let seconds = other.as_i64().filter(|seconds| (0..=LAST_SECOND).contains(seconds))?;
            Some(Timestamp::from_seconds(seconds).to_string())
        }
    }
}

/// What a token says of the person, for the directory.
pub fn profile_of(claims: &Map<String, Value>) -> Profile {
    let text = |name: &str| {
        let value = claims.get(name).and_then(Value::as_str).map(str::trim);
        value.filter(|text| !text.is_empty() && text.len() <= 1_024).map(str::to_owned)
    };
    Profile {
        email: text("email"),
        email_verified: claims.get("email_verified") == Some(&Value::Bool(true)),
        name: text("name"),
        given_name: text("given_name"),
        family_name: text("family_name"),
        image: text("picture").filter(|picture| picture.starts_with("https://")),
        ..Profile::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_have_the_names_that_clients_know() {
        let claims = json!({
            "iss": "https://a.example", "sub": "1", "aud": "x", "exp": 1, "iat": 1, "nonce": "n", "jti": "j",
            "name": "Ada", "given_name": "A", "picture": "https://p.example/1", "email": "ada@a.example",
            "email_verified": true, "updated_at": 0, "phone_number_verified": "yes", "nickname": 7,
            "properties": {"id": "p1", "deep": {"list": [1, {"a": 2}], "empty": {}}}, "properties.id": "literal",
            "role": "admin", "address": {"formatted": "1 Way", "country": "UK"}, "tokenIdentifier": "forged",
            "phoneNumberVerified": true, "subject": "2",
        });
        let identity = Value::Object(identity_of(claims.as_object().unwrap()));
        assert_eq!(
            identity,
            json!({
                "tokenIdentifier": "https://a.example|1", "subject": "1", "issuer": "https://a.example",
                "name": "Ada", "givenName": "A", "pictureUrl": "https://p.example/1", "email": "ada@a.example",
                "emailVerified": true, "updatedAt": "1970-01-01T00:00:00.000Z", "address": "1 Way",
                "properties.id": "literal", "role": "admin",
                "properties.deep.list": [1, {"a": 2}], "properties.deep.empty": {},
                "address.formatted": "1 Way", "address.country": "UK",
            })
        );
    }

    #[test]
    fn only_the_json_true_verifies_an_address() {
        for value in [json!("true"), json!(1), json!(null), json!(false), json!([true])] {
            let claims = json!({"email": "a@a.example", "email_verified": value});
            assert!(!profile_of(claims.as_object().unwrap()).email_verified);
        }
        let claims = json!({"email": "a@a.example", "email_verified": true, "picture": "javascript:1", "name": " "});
        let profile = profile_of(claims.as_object().unwrap());
        assert!(profile.email_verified && profile.image.is_none() && profile.name.is_none());
    }
}
