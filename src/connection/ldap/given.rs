//! Whom an entry would be, told by its attributes and not by a directory: for `authd policy explain --input`.

use serde_json::{Map, Value};

use super::config::{Attribute, Config, GroupMode};
use super::dn::Dn;
use super::entry::{Entry, guid_bytes};
use super::groups::{self, Group};
use super::{groups_mapped, person};
use crate::connection::Connection;
use crate::connection::protocol::Checks;
use crate::directory::Profile;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// What is the name of the entry among its attributes.
const NAME: &str = "dn";

/// Who somebody would be with these attributes, and what they say. Nobody is asked: the groups are those that the
/// entry names (in `memberOf` unless the connection says otherwise), whatever the connection searches. Without the attribute
/// of the subject nobody is known by identity. The last part tells that the directory would not let them in.
/// Errors: `invalid_input` for what no entry has, `connection_not_ready`.
pub fn read_entry(
    connection: &Connection,
    now: Timestamp,
    given: &Map<String, Value>,
    checks: &mut Checks,
) -> Result<(Option<String>, Profile, bool)> {
    let config = connection.ldap.as_ref().ok_or_else(|| Error::new(&codes::CONNECTION_NOT_READY))?;
    let entry = entry(given)?;
    let groups = member_of(config, &entry);
    let told = groups::told(&groups, &groups_mapped(connection));
    let subject = entry.subject(config.attribute(Attribute::Subject));
    let profile = person::profile(config, &entry, told, checks);
    let ended = entry.ended(now);
    if let Some(reason) = ended {
        checks.compare("user_bind", false, "success", reason.says);
    }
    Ok((subject, profile, ended.is_some()))
}

fn entry(given: &Map<String, Value>) -> Result<Entry> {
    let mut entry = Entry::default();
    for (name, value) in given {
        let texts = match value {
            Value::Array(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
            one => text(one).map(|text| vec![text]),
        };
        let texts = texts.ok_or_else(|| {
            let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            Error::says(&codes::INVALID_INPUT, format!("`{name}` is no value of an attribute.")).help(
                "An attribute has a text, or a list of texts: {\"uid\": \"ada\", \"memberOf\": [\"cn=staff,…\"]}.",
            )
        })?;
        if name.eq_ignore_ascii_case(NAME) {
            entry.dn = texts.into_iter().next().unwrap_or_default();
            continue;
        }
        let windows = name.eq_ignore_ascii_case("objectGUID");
        // As every tool shows it; the directory itself has sixteen bytes.
        let bytes = |text: String| guid_bytes(&text).filter(|_| windows).unwrap_or_else(|| text.into_bytes());
        entry.attributes.insert(name.to_ascii_lowercase(), texts.into_iter().map(bytes).collect());
    }
    Ok(entry)
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        // As directories write it (RFC 4517 §3.3.3).
        Value::Bool(value) => Some(if *value { "TRUE" } else { "FALSE" }.to_owned()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn member_of(config: &Config, entry: &Entry) -> Vec<Group> {
    if config.group_mode() == GroupMode::None {
        return Vec::new();
    }
    let within = groups::within(config);
    let group = |dn: &str| {
        let read = Dn::parse(dn).filter(|read| within.as_ref().is_some_and(|base| read.is_within(base)))?;
        Some(Group { dn: read, name: Dn::first_written(dn)? })
    };
    entry.texts(config.attribute(Attribute::Groups)).filter_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(given: Value) -> Result<Entry> {
        entry(given.as_object().unwrap())
    }

    #[test]
    fn attributes_are_texts_whatever_their_case() {
        let entry = read(json!({"DN": "uid=ada,dc=x", "UID": "ada", "uidNumber": 7, "nsAccountLock": true})).unwrap();
        assert_eq!(
            (entry.dn.as_str(), entry.text("uid"), entry.text("uidnumber")),
            ("uid=ada,dc=x", Some("ada"), Some("7"))
        );
        assert!(entry.ended(Timestamp::from_seconds(0)).is_some());
        for wrong in [json!({"uid": null}), json!({"uid": {"a": 1}}), json!({"uid": [["a"]]})] {
            assert_eq!(read(wrong).unwrap_err().code(), "invalid_input");
        }
    }

    #[test]
    fn a_guid_is_read_as_it_is_shown() {
        let shown = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        let entry = read(json!({"objectGUID": shown})).unwrap();
        assert_eq!(entry.subject("objectGUID").unwrap(), format!("objectguid|{shown}"));
    }
}
