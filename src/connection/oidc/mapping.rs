//! What the claims mean: from the provider's names to a profile.

use serde_json::{Map, Value};

use super::config::{Config, Mapping, ProfileConfig};
use super::{shown, shown_value, steers};
use crate::connection::protocol::Checks;
use crate::directory::Profile;
use crate::error::{Error, Result, codes};

const MAX_VALUE: usize = 1024;
const MAX_GROUPS: usize = 200;
const MAX_SUBJECT: usize = 255;

type Claims = Map<String, Value>;

/// A claim by name: the claim of exactly that name (names may have dots: `https://example.com/groups`), or else the
/// one at that path, in which a number is a place in a list (`emails.0`, as Azure AD B2C has them). `null` is absent.
fn claim<'a>(claims: &'a Claims, name: &str) -> Option<&'a Value> {
    let present = |value: &&Value| !value.is_null();
    if let Some(value) = claims.get(name).filter(present) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    let mut value = claims.get(first)?;
    for step in rest.split('.') {
        value = match value {
            Value::Array(list) => list.get(step.parse::<usize>().ok()?)?,
            other => other.get(step)?,
        };
    }
    Some(value).filter(present)
}

/// The address, if there is one: an empty text is how some providers say that there is none.
fn email<'a>(map: &Mapping, claims: &'a Claims) -> Option<&'a Value> {
    claim(claims, map.email()).filter(|value| *value != "")
}

/// Whether the id_token leaves out what decides who it is or what is believed: then a sign-in needs user info.
pub(super) fn lacks_what_counts(config: &ProfileConfig, claims: &Claims) -> bool {
    let map = &config.mapping;
    let there = [claim(claims, map.subject()), email(map, claims), claim(claims, map.email_verified())];
    there.iter().any(Option::is_none)
}

/// Whether the id_token leaves something out that the connection maps, so that user info is worth a request.
pub(super) fn lacks_something(config: &ProfileConfig, claims: &Claims) -> bool {
    let map = &config.mapping;
    let names =
        [map.email_verified(), map.name(), map.given_name(), map.family_name(), map.image(), map.groups(), map.roles()];
    let mut all = names.into_iter().chain(config.extra_fields.values().map(String::as_str));
    email(map, claims).is_none() || all.any(|name| claim(claims, name).is_none())
}

/// Who it is, for good; see the module's placard for the form. Taken from the id_token alone.
/// Errors: `profile_invalid` when the mapped claim is not a text that can be one.
pub(super) fn subject(
    config: &Config,
    issuer: &str,
    sub: &str,
    claims: &Claims,
    checks: &mut Checks,
) -> Result<String> {
    let name = config.profile.mapping.subject();
    if name == "sub" {
        return Ok(format!("{issuer}|{sub}"));
    }
    let value = claim(claims, name);
    let text = value.and_then(Value::as_str);
    let fits = |text: &&str| (1..=MAX_SUBJECT).contains(&text.len()) && !text.chars().any(char::is_control);
    match text.filter(fits) {
        Some(text) => Ok(format!("{name}@{issuer}|{text}")),
        None => {
            checks.compare("subject", false, format!("a text of 1 to 255 bytes in `{name}`"), shown_value(value));
            Err(Error::new(&codes::PROFILE_INVALID))
        }
    }
}

/// The profile: each field from the id_token, or else from user info. Errors: `profile_invalid` for an address that
/// cannot be one.
pub(super) fn profile(
    config: &ProfileConfig,
    claims: &Claims,
    more: Option<&Claims>,
    checks: &mut Checks,
) -> Result<Profile> {
    let map = &config.mapping;
    let find = |name: &str| claim(claims, name).or_else(|| more.and_then(|more| claim(more, name)));
    let (email, email_verified) = address(map, claims, more, checks)?;
    let mut extra = Map::new();
    for (field, name) in &config.extra_fields {
        match find(name) {
            Some(value) if value.to_string().len() <= MAX_VALUE => {
                extra.insert(field.clone(), value.clone());
            }
            Some(_) => checks.compare("extra_field_cut", false, "at most 1024 bytes", shown(name)),
            None => {}
        }
    }
    overage(claims, more, checks);
    Ok(Profile {
        email,
        email_verified,
        name: label(find(map.name())),
        given_name: label(find(map.given_name())),
        family_name: label(find(map.family_name())),
        image: picture(find(map.image())),
        groups: list("groups", find(map.groups()), checks),
        roles: list("roles", find(map.roles()), checks),
        extra,
    })
}

/// The address, and whether the provider vouches for it: only if the same source says the JSON value `true` beside
/// it, or another source that says the same address. `"true"` and `1` are what a provider says that lets people type.
fn address(
    map: &Mapping,
    claims: &Claims,
    more: Option<&Claims>,
    checks: &mut Checks,
) -> Result<(Option<String>, bool)> {
    let email = |source: &Claims| email(map, source).cloned();
    let Some(value) = email(claims).or_else(|| more.and_then(email)) else { return Ok((None, false)) };
    let fits =
        |text: &&str| (1..=MAX_VALUE).contains(&text.len()) && !text.chars().any(|c| steers(c) || c.is_whitespace());
    let Some(text) = value.as_str().filter(fits) else {
        checks.compare("email", false, "one address", shown_value(Some(&value)));
        return Err(Error::new(&codes::PROFILE_INVALID));
    };
    let mut sources = [Some(claims), more].into_iter().flatten();
    let said = sources.find_map(|source| {
        let same = email(source).as_ref() == Some(&value);
        claim(source, map.email_verified()).filter(|_| same)
    });
    let verified = said == Some(&Value::Bool(true));
    // As it stands in the JSON: the text `"true"` is not the value.
    checks.pass("email_verified", said.map_or_else(|| "(absent)".to_owned(), |value| shown(&value.to_string())));
    Ok((Some(text.to_owned()), verified))
}

/// A text to show: without what would steer a terminal or turn text around, and not too long.
fn label(value: Option<&Value>) -> Option<String> {
    let text: String = value?.as_str()?.chars().filter(|c| !steers(*c)).collect();
    let mut text = text.trim();
    while text.len() > MAX_VALUE {
        let mut letters = text.chars();
        letters.next_back();
        text = letters.as_str();
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

/// Only an https address: the page shows it.
fn picture(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    let url = url::Url::parse(text).ok()?;
    (text.len() <= MAX_VALUE && url.scheme() == "https" && url.has_host()).then(|| url.into())
}

/// A list of texts, or one text. What is no text, too long, or one too many is left out, and that is noted.
fn list(name: &str, value: Option<&Value>, checks: &mut Checks) -> Vec<String> {
    let all: Vec<&Value> = match value {
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one @ Value::String(_)) => vec![one],
        None => return Vec::new(),
        Some(other) => {
            checks.compare(&format!("{name}_cut"), false, "a list of texts", shown_value(Some(other)));
            return Vec::new();
        }
    };
    let fits = |text: &&str| (1..=MAX_VALUE).contains(&text.len()) && !text.chars().any(char::is_control);
    let kept: Vec<String> =
        all.iter().filter_map(|value| value.as_str()).filter(fits).take(MAX_GROUPS).map(str::to_owned).collect();
    if let Some(other) = all.iter().find(|value| !value.is_string()) {
        checks.compare(&format!("{name}_cut"), false, "a list of texts", shown_value(Some(other)));
    } else if kept.len() < all.len() {
        checks.compare(&format!("{name}_cut"), false, format!("at most {MAX_GROUPS} texts of 1 KiB"), all.len());
    }
    kept
}

/// Entra leaves the groups out of a token when there are too many, and says where they could be asked for; then the
/// list that came is not the person's.
fn overage(claims: &Claims, more: Option<&Claims>, checks: &mut Checks) {
    let says = |source: &Claims| {
        source.get("_claim_names").and_then(|names| names.get("groups")).is_some()
            || source.get("hasgroups").is_some_and(|has| has == true || has == "true")
    };
    if says(claims) || more.is_some_and(says) {
        checks.compare(
            "groups_overage",
            false,
            "the groups in the token",
            "too many for the token; they were left out",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    fn read(value: Value) -> (Profile, Vec<String>) {
        let mut checks = Checks::new();
        let profile = profile(&ProfileConfig::default(), &claims(value), None, &mut checks).unwrap();
        (profile, checks.rows().iter().filter(|row| !row.ok).map(|row| row.name.clone()).collect())
    }

    #[test]
    fn names_with_dots_are_names_first_and_paths_second() {
        let claims = claims(json!({"a.b": 1, "a": {"b": 2, "c": {"d": 3}}, "https://x.example/g": 4, "n": null}));
        for (name, wanted) in [
            ("a.b", Some(json!(1))),
            ("a.c.d", Some(json!(3))),
            ("https://x.example/g", Some(json!(4))),
            ("a.x", None),
            ("n", None),
            ("a.b.c", None),
        ] {
            assert_eq!(claim(&claims, name).cloned(), wanted, "{name}");
        }
    }

    #[test]
    fn groups_are_a_list_or_one_text_and_bounded() {
        assert_eq!(read(json!({"groups": ["a", "b c", "d,e"]})).0.groups, ["a", "b c", "d,e"]);
        assert_eq!(read(json!({"groups": "a,b"})).0.groups, ["a,b"]);
        let (profile, notes) = read(json!({"groups": ["a", 1, "x".repeat(1025), "\u{1b}["], "roles": {"a": 1}}));
        assert_eq!(profile.groups, ["a"]);
        assert_eq!(notes, ["groups_cut", "roles_cut"]);
        let many: Vec<String> = (0..500).map(|n| n.to_string()).collect();
        let (profile, notes) = read(json!({"groups": many}));
        assert_eq!((profile.groups.len(), notes), (200, vec!["groups_cut".to_owned()]));
    }

    #[test]
    fn too_many_groups_for_the_token_are_noticed() {
        for value in
            [json!({"_claim_names": {"groups": "src1"}}), json!({"hasgroups": true}), json!({"hasgroups": "true"})]
        {
            assert_eq!(read(value).1, ["groups_overage"]);
        }
        assert!(read(json!({"groups": ["a"], "_claim_names": {"other": "src1"}})).1.is_empty());
    }

    #[test]
    fn labels_lose_what_steers_a_terminal() {
        let (profile, _) =
            read(json!({"name": " A\u{1b}[31m\u{202e}da\r\n ", "given_name": "\u{7}", "family_name": 7}));
        assert_eq!(profile.name.as_deref(), Some("A[31mda"));
        assert_eq!((profile.given_name, profile.family_name), (None, None));
        assert_eq!(read(json!({"name": "é".repeat(600)})).0.name.unwrap().len(), 1024);
    }

    #[test]
    fn pictures_are_https() {
        let image = |text: &str| read(json!({"picture": text})).0.image;
        assert_eq!(image("https://x.example/a.png").as_deref(), Some("https://x.example/a.png"));
        for wrong in ["http://x.example/a.png", "javascript:alert(1)", "data:image/png,x", "/a.png", ""] {
            assert_eq!(image(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_one_is_refused() {
        for wrong in
            [json!(["a@x.example", "b@x.example"]), json!("a@x.example\n"), json!(" "), json!(7), json!("a b@x")]
        {
            let mut checks = Checks::new();
            let claims = claims(json!({"email": wrong}));
            let error = profile(&ProfileConfig::default(), &claims, None, &mut checks).unwrap_err();
            assert!(error.is(&codes::PROFILE_INVALID));
        }
    }

    #[test]
    fn a_number_is_a_place_in_a_list_and_nothing_else() {
        let mut config = ProfileConfig::default();
        let token = claims(
            json!({"emails": ["a@x.example", "b@x.example"], "email_verified": true, "o": {"0": "c@x.example"}}),
        );
        for (path, email) in [
            ("emails.0", Some("a@x.example")),
            ("emails.1", Some("b@x.example")),
            ("emails.2", None),
            ("emails.-1", None),
            ("emails.x", None),
            ("emails.0.0", None),
            ("o.0", Some("c@x.example")),
        ] {
            config.mapping.email = Some(path.to_owned());
            let profile = profile(&config, &token, None, &mut Checks::new()).unwrap();
            assert_eq!((profile.email.as_deref(), profile.email_verified), (email, email.is_some()), "{path}");
        }
    }

    #[test]
    fn an_empty_address_is_none() {
        for none in [json!(""), json!(null)] {
            let token = claims(json!({"email": none, "email_verified": true}));
            let address = |more: Option<&Claims>| {
                let profile = profile(&ProfileConfig::default(), &token, more, &mut Checks::new()).unwrap();
                (profile.email, profile.email_verified)
            };
            assert_eq!(address(None), (None, false));
            let more = claims(json!({"email": "a@x.example"}));
            assert_eq!(address(Some(&more)), (Some("a@x.example".to_owned()), false), "true was not said of it");
            assert!(lacks_something(&ProfileConfig::default(), &token));
            assert!(lacks_what_counts(&ProfileConfig::default(), &token));
        }
    }

    #[test]
    fn one_source_does_not_verify_the_address_of_another() {
        let check = |token: Value, info: Value| {
            let (token, info) = (claims(token), claims(info));
            profile(&ProfileConfig::default(), &token, Some(&info), &mut Checks::new()).unwrap()
        };
        let mixed = check(json!({"email": "a@x.example"}), json!({"email": "b@x.example", "email_verified": true}));
        assert_eq!((mixed.email.as_deref(), mixed.email_verified), (Some("a@x.example"), false));
        let lone = check(json!({"email": "a@x.example"}), json!({"email_verified": true}));
        assert!(!lone.email_verified);
        let split = check(json!({"email": "a@x.example"}), json!({"email": "a@x.example", "email_verified": true}));
        assert!(split.email_verified);
        let other = check(json!({"email_verified": true}), json!({"email": "b@x.example"}));
        assert_eq!((other.email.as_deref(), other.email_verified), (Some("b@x.example"), false));
        let denied = check(
            json!({"email": "a@x.example", "email_verified": false}),
            json!({"email": "a@x.example", "email_verified": true}),
        );
        assert!(!denied.email_verified, "the id_token's word comes first");
    }

    #[test]
    fn subjects_of_different_claims_are_different_texts() {
        let mut config = Config::default();
        let token = claims(json!({"oid": "1"}));
        let of = |config: &Config, sub: &str| subject(config, "https://x.example", sub, &token, &mut Checks::new());
        assert_eq!(of(&config, "1").unwrap(), "https://x.example|1");
        config.profile.mapping.subject = Some("oid".into());
        assert_eq!(of(&config, "2").unwrap(), "oid@https://x.example|1");
        config.profile.mapping.subject = Some("other".into());
        assert!(of(&config, "2").unwrap_err().is(&codes::PROFILE_INVALID));
    }
}
