//! What a verified assertion means: from its attributes to a profile.

use serde_json::{Map, Value};

use super::aside::Aside;
use super::attributes::{Attributes, Fact};
use super::config::{Config, Mapping};
use super::names::{EMAIL, UNSPECIFIED};
use super::{NameId, Verified, shown};
use crate::connection::protocol::{Authenticated, Checks, Once, steers};
use crate::directory::{EmailAddress, Profile};
use crate::error::{Error, Result, codes};

/// Longer values are left out.
const MAX_VALUE: usize = 1024;
/// Groups and roles that are told.
const MAX_GROUPS: usize = 200;
/// Values of one attribute that are kept besides.
const MAX_VALUES: usize = 32;

/// Who arrived. Errors: `saml_nameid`, `profile_invalid`, `email_domain_not_owned`.
pub(super) fn person(config: &Config, verified: &Verified, checks: &mut Checks) -> Result<Authenticated> {
    let subject = subject(config, verified, checks)?;
    let profile = profile(config, verified, checks)?;
    let skew = config.security.skew();
    Ok(Authenticated {
        subject,
        profile,
        auth_time: Some(verified.auth_instant),
        acr: verified.acr.clone(),
        amr: Vec::new(),
        upstream_session: verified.session_index.clone(),
        upstream_subject: Some(named(&verified.name_id, &verified.issuer)),
        saml: Some(Box::new(Aside::of(verified))),
        scopes: Vec::new(),
        once: Some(Once { id: verified.assertion_id.clone(), until: verified.not_on_or_after + skew }),
        until: verified.session_not_on_or_after.map(|end| end + skew),
    })
}

/// The person in the provider's own words, as its logout requests name them: what means the same is the same text.
pub(super) fn named(name_id: &NameId, idp_entity_id: &str) -> String {
    let qualifier = name_id.name_qualifier.as_deref().filter(|qualifier| *qualifier != idp_entity_id);
    format!("{}|{}|{}", name_id.format, qualifier.unwrap_or_default(), name_id.value)
}

/// Who it is for good: the NameID in its format, or the one value of the attribute that the connection names.
fn subject(config: &Config, verified: &Verified, checks: &mut Checks) -> Result<String> {
    let Some(name) = &config.profile.mapping.subject else {
        return verified.name_id.key(&verified.issuer).inspect_err(|_| {
            checks.compare("subject", false, "a NameID that stays the same", shown(&verified.name_id.format));
        });
    };
    let values = verified.attributes.named(name);
    let fits = |text: &&String| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
    match values {
        [one] if fits(&one) => Ok(format!("attribute:{name}|{one}")),
        _ => {
            checks.compare("subject", false, format!("one text of 1 to 255 bytes in `{name}`"), values.len());
            Err(Error::new(&codes::PROFILE_INVALID))
        }
    }
}

/// The values of a field: of the attribute that the connection names, or of the first of the usual names.
fn values<'a>(attributes: &'a Attributes, mapped: Option<&String>, fact: Fact) -> &'a [String] {
    match mapped {
        Some(name) => attributes.named(name),
        None => attributes.fact(fact),
    }
}

fn profile(config: &Config, verified: &Verified, checks: &mut Checks) -> Result<Profile> {
    let (map, attributes) = (&config.profile.mapping, &verified.attributes);
    let email = email(map, verified, checks)?;
    let first = |mapped: &Option<String>, fact| values(attributes, mapped.as_ref(), fact).first();
    let mut extra = Map::new();
    for (field, name) in &config.profile.extra_fields {
        let kept = attributes.named(name).iter().filter_map(|text| label(Some(text))).map(Value::from);
        let mut kept: Vec<Value> = kept.take(MAX_VALUES).collect();
        match kept.len() {
            0 => None,
            1 => extra.insert(field.clone(), kept.remove(0)),
            _ => extra.insert(field.clone(), kept.into()),
        };
    }
    Ok(Profile {
        // The provider vouches for the addresses of the domains that the connection has proven, and for no others: which
        // those are, is known where the person is admitted.
        email_verified: email.is_some(),
        email,
        name: label(first(&map.name, Fact::Name)),
        given_name: label(first(&map.first_name, Fact::GivenName)),
        family_name: label(first(&map.last_name, Fact::FamilyName)),
        image: first(&map.image, Fact::Image).and_then(|text| picture(text)),
        groups: bounded("groups", values(attributes, map.groups.as_ref(), Fact::Groups), checks),
        roles: bounded("roles", values(attributes, map.roles.as_ref(), Fact::Roles), checks),
        extra,
    })
}

/// The address: of the attribute, or of a NameID that is one. Several, or one that cannot be read, are of no domain that
/// the connection owns.
fn email(map: &Mapping, verified: &Verified, checks: &mut Checks) -> Result<Option<String>> {
    let mut found: Vec<&str> = Vec::new();
    for value in values(&verified.attributes, map.email.as_ref(), Fact::Email) {
        let value = value.trim();
        if !value.is_empty() && !found.iter().any(|known| known.eq_ignore_ascii_case(value)) {
            found.push(value);
        }
    }
    let name_id = &verified.name_id;
    if found.is_empty() && map.email.is_none() {
        let spelled = name_id.format == UNSPECIFIED && EmailAddress::parse(&name_id.value).is_ok();
        if name_id.format == EMAIL || spelled {
            found.push(&name_id.value);
        }
    }
    match found.as_slice() {
        [] => Ok(None),
        [one] if EmailAddress::parse(one).is_ok() && one.len() <= MAX_VALUE => Ok(Some((*one).to_owned())),
        [_] => {
            checks.compare("email", false, "an e-mail address", "another text");
            Err(Error::says(&codes::EMAIL_DOMAIN_NOT_OWNED, "What the provider sends as e-mail address is none."))
        }
        several => {
            checks.compare("email", false, "one e-mail address", several.len());
            Err(Error::says(
                &codes::EMAIL_DOMAIN_NOT_OWNED,
                "The provider sends several e-mail addresses of one person.",
            )
            .help("Let it send one, or name the attribute with the right one in `profile.mapping.email`."))
        }
    }
}

/// A text to show: without what would steer a terminal or turn text around, and not too long.
fn label(value: Option<&String>) -> Option<String> {
    let text: String = value?.chars().filter(|c| !steers(*c)).take(MAX_VALUE / 4).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Only an https address: the page shows it.
fn picture(text: &str) -> Option<String> {
    let url = url::Url::parse(text.trim()).ok()?;
    (text.len() <= MAX_VALUE && url.scheme() == "https" && url.has_host()).then(|| url.into())
}

/// Every value, each once. What is too long, or one too many, is left out, and that is noted.
fn bounded(name: &str, values: &[String], checks: &mut Checks) -> Vec<String> {
    let fits = |text: &&String| (1..=MAX_VALUE).contains(&text.len()) && !text.chars().any(char::is_control);
    let mut kept: Vec<String> = Vec::new();
    let mut cut = 0;
    for value in values {
        if kept.contains(value) {
            continue;
        }
        if fits(&value) && kept.len() < MAX_GROUPS {
            kept.push(value.clone());
        } else {
            cut += 1;
        }
    }
    if cut > 0 {
        checks.compare(&format!("{name}_cut"), false, format!("at most {MAX_GROUPS} texts of 1 KiB"), values.len());
    }
    kept
}
