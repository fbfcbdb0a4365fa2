//! What an entry says about a person.

use serde_json::{Map, Value};

use super::config::{Attribute, Config};
use super::entry::{Entry, STANDING};
use super::own;
use crate::connection::protocol::Checks;
use crate::directory::{EmailAddress, Profile};

/// Longer values are left out.
const MAX_VALUE: usize = 1024;
/// Values of one attribute that are kept besides.
const MAX_VALUES: usize = 32;
/// Groups and roles that are told.
const MAX_GROUPS: usize = 200;

/// The attributes that a sign-in reads.
pub fn attributes(config: &Config) -> Vec<String> {
    let mut names: Vec<String> = Attribute::ALL.iter().map(|field| config.attribute(*field).to_owned()).collect();
    names.extend([&config.profile.mapping.image, &config.profile.mapping.roles].into_iter().flatten().cloned());
    names.extend(config.profile.extra_fields.values().cloned());
    if config.defaults().forms.windows {
        // By which the one who was bound is recognized.
        names.extend(["userPrincipalName", own::IDENTIFIER].map(str::to_owned));
    }
    names.extend(STANDING.iter().map(|name| (*name).to_owned()));
    names.sort_by_key(|name| name.to_ascii_lowercase());
    names.dedup_by(|a, b| a.eq_ignore_ascii_case(b));
    names
}

/// The profile, with these groups.
pub fn profile(config: &Config, entry: &Entry, groups: Vec<String>, checks: &mut Checks) -> Profile {
    let text = |field: Attribute| label(entry.text(config.attribute(field)));
    let email = email(config, entry, checks);
    let mapping = &config.profile.mapping;
    let mut extra = Map::new();
    for (field, name) in &config.profile.extra_fields {
        let mut values: Vec<Value> = entry.texts(name).filter_map(|text| label(Some(text))).map(Value::from).collect();
        values.truncate(MAX_VALUES);
        match values.len() {
            0 => None,
            1 => extra.insert(field.clone(), values.remove(0)),
            _ => extra.insert(field.clone(), values.into()),
        };
    }
    let roles = mapping.roles.as_deref().map(|name| entry.texts(name).map(str::to_owned).collect());
    Profile {
        email_verified: email.is_some() && config.profile.email_verified.unwrap_or(true),
        email,
        name: text(Attribute::Name),
        given_name: text(Attribute::GivenName),
        family_name: text(Attribute::FamilyName),
        image: mapping.image.as_deref().and_then(|name| picture(entry.text(name)?)),
        groups: bounded("groups", groups, checks),
        roles: bounded("roles", roles.unwrap_or_default(), checks),
        extra,
    }
}

/// The first value that is an address. A directory has all sorts of things there; what is none is no reason to keep
/// somebody out.
fn email(config: &Config, entry: &Entry, checks: &mut Checks) -> Option<String> {
    let name = config.attribute(Attribute::Email);
    let fits = |text: &&str| text.len() <= MAX_VALUE && !text.chars().any(steers) && EmailAddress::parse(text).is_ok();
    let found = entry.texts(name).map(str::trim).find(fits);
    if found.is_none() && entry.text(name).is_some() {
        checks.compare("email", true, "an address", "something else; it is left out");
    }
    found.map(str::to_owned)
}

fn bounded(what: &str, mut all: Vec<String>, checks: &mut Checks) -> Vec<String> {
    let count = all.len();
    all.retain(|text| (1..=MAX_VALUE).contains(&text.len()) && !text.chars().any(char::is_control));
    all.truncate(MAX_GROUPS);
    if all.len() < count {
        checks.compare(&format!("{what}_cut"), false, format!("at most {MAX_GROUPS} texts of 1 KiB"), count);
    }
    all
}

/// A text to show: without what would steer a terminal or turn text around, and not too long.
fn label(text: Option<&str>) -> Option<String> {
    let text: String = text?.chars().filter(|c| !steers(*c)).collect();
    let mut text = text.trim();
    while text.len() > MAX_VALUE {
        let mut letters = text.chars();
        letters.next_back();
        text = letters.as_str();
    }
    (!text.is_empty()).then(|| text.trim_end().to_owned())
}

/// Only an https address: the page shows it.
fn picture(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    (text.len() <= MAX_VALUE && url.scheme() == "https" && url.has_host()).then(|| url.into())
}

/// Control characters, and the format characters that change the direction of text or hide in it.
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pairs: &[(&str, &str)]) -> Entry {
        let mut entry = Entry::default();
        for (name, value) in pairs {
            entry.attributes.entry(name.to_ascii_lowercase()).or_default().push(value.as_bytes().to_vec());
        }
        entry
    }

    #[test]
    fn attributes_become_a_profile() {
        let mut config = Config::default();
        config.profile.extra_fields.insert("phone".into(), "telephoneNumber".into());
        config.profile.mapping.roles = Some("employeeType".into());
        let ada = entry(&[
            ("cn", "Ada \u{1b}[31mLovelace\u{202e}"),
            ("GIVENNAME", "Ada"),
            ("sn", "Lovelace"),
            ("mail", "no address"),
            ("mail", "ada@corp.example"),
            ("telephoneNumber", "1"),
            ("telephoneNumber", "2"),
            ("employeeType", "boss"),
        ]);
        let profile = profile(&config, &ada, vec!["staff".into(), "x\n".into()], &mut Checks::new());
        assert_eq!(profile.name.as_deref(), Some("Ada [31mLovelace"));
        assert_eq!((profile.email.as_deref(), profile.email_verified), (Some("ada@corp.example"), true));
        assert_eq!(profile.extra["phone"], serde_json::json!(["1", "2"]));
        assert_eq!((profile.groups, profile.roles), (vec!["staff".to_owned()], vec!["boss".to_owned()]));
    }

    #[test]
    fn an_address_is_vouched_for_unless_people_write_their_own() {
        let mut config = Config::default();
        config.profile.email_verified = Some(false);
        let found = profile(&config, &entry(&[("mail", "a@corp.example")]), Vec::new(), &mut Checks::new());
        assert!(found.email.is_some() && !found.email_verified);
        assert!(!profile(&Config::default(), &entry(&[]), Vec::new(), &mut Checks::new()).email_verified);
    }
}
