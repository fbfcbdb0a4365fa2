//! An entry of a directory: its attributes, its stable identifier, and whether its account may still be used.

use std::collections::{BTreeMap, BTreeSet};

use super::reason::{self, Reason};
use crate::env::Timestamp;

/// Attributes that tell whether an account may be used. Most directories have one or two of them.
pub const STANDING: &[&str] =
    &["userAccountControl", "accountExpires", "nsAccountLock", "shadowExpire", "pwdAccountLockedTime", "loginDisabled"];

/// A longer identifier is none.
const MAX_SUBJECT: usize = 255;

/// An entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as the directory writes it.
    pub dn: String,
    /// By name in small letters.
    pub attributes: BTreeMap<String, Vec<Vec<u8>>>,
    /// Attributes of which more values are there than were sent: Active Directory sends 1,500 at a time.
    pub partial: BTreeSet<String>,
}

impl Entry {
    /// The values of an attribute.
    pub fn values(&self, name: &str) -> &[Vec<u8>] {
        self.attributes.get(&name.to_ascii_lowercase()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Its values that are texts.
    pub fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }

    /// Its first text that is not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).map(str::trim).find(|text| !text.is_empty())
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Who it is for good: the attribute's name and its one value. Never the name of the entry: that changes when somebody
    /// moves or marries. `None` where it has not exactly one value that can be one.
    pub fn subject(&self, attribute: &str) -> Option<String> {
        let [value] = self.values(attribute) else { return None };
        let text = match std::str::from_utf8(value) {
            Ok(text) if !attribute.eq_ignore_ascii_case("objectGUID") => text.to_owned(),
            _ => guid(value)?,
        };
        let fits = (1..=MAX_SUBJECT).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| format!("{}|{text}", attribute.to_ascii_lowercase()))
    }

    /// Why the account may not be used, if the directory says so in the entry. Not every directory refuses the bind then.
    pub fn ended(&self, now: Timestamp) -> Option<Reason> {
        // ADS_UF_ACCOUNTDISABLE
        if self.number("userAccountControl").is_some_and(|flags| flags & 2 != 0) {
            return Some(reason::DISABLED);
        }
        for switch in ["nsAccountLock", "loginDisabled"] {
            if self.text(switch).is_some_and(|text| text.eq_ignore_ascii_case("true")) {
                return Some(reason::DISABLED);
            }
        }
        // RFC 2307: days since 1970; nothing and -1 are never, and so is 0 to those who keep such accounts (sssd, pam_ldap).
        if self.number("shadowExpire").is_some_and(|days| days > 0 && days <= now.seconds().div_euclid(86_400)) {
            return Some(reason::EXPIRED);
        }
        // Steps of 100 ns since 1601; 0 and the greatest number are never.
        let since_1970 = |steps: i64| steps / 10_000_000 - 11_644_473_600;
        let ends = self.number("accountExpires").filter(|steps| (1..i64::MAX).contains(steps));
        if ends.is_some_and(|steps| since_1970(steps) <= now.seconds()) {
            return Some(reason::EXPIRED);
        }
        // Locked by an administrator; what was locked for a while, only the bind can tell.
        if self.text("pwdAccountLockedTime") == Some("000001010000Z") {
            return Some(reason::LOCKED);
        }
        None
    }
}

/// The sixteen bytes of an `objectGUID` as Windows writes them: the first three groups are little-endian.
fn guid(bytes: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = bytes.try_into().ok()?;
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (high, low) = rest.split_at_checked(2)?;
    Some(format!("{}-{}-{}-{}-{}", hex(&[d, c, b, a]), hex(&[f, e]), hex(&[h, g]), hex(high), hex(low)))
}

/// The sixteen bytes of an `objectGUID` that is written so.
pub fn guid_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.split('-').collect();
    if digits.len() != 32 || text.len() != 36 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let byte = |place: usize| u8::from_str_radix(digits.get(2 * place..2 * place + 2)?, 16).ok();
    [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15].into_iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(pairs: &[(&str, &str)]) -> Entry {
        let mut entry = Entry { dn: "uid=ada".into(), ..Entry::default() };
        for (name, value) in pairs {
            entry.attributes.entry(name.to_ascii_lowercase()).or_default().push(value.as_bytes().to_vec());
        }
        entry
    }

    #[test]
    fn a_subject_is_one_value_that_never_changes() {
        let one = entry(&[("entryUUID", "6ba7b810-9dad-11d1-80b4-00c04fd430c8")]);
        assert_eq!(one.subject("EntryUUID").unwrap(), "entryuuid|6ba7b810-9dad-11d1-80b4-00c04fd430c8");
        assert_eq!(entry(&[("entryUUID", "a"), ("entryUUID", "b")]).subject("entryUUID"), None);
        assert_eq!(entry(&[("entryUUID", "")]).subject("entryUUID"), None);
        assert_eq!(entry(&[]).subject("entryUUID"), None);
        assert_eq!(entry(&[("uid", "a\n")]).subject("uid"), None);
        let mut windows = Entry::default();
        let bytes = [0x10, 0xb8, 0xa7, 0x6b, 0xad, 0x9d, 0xd1, 0x11, 0x80, 0xb4, 0, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];
        windows.attributes.insert("objectguid".into(), vec![bytes.to_vec()]);
        assert_eq!(windows.subject("objectGUID").unwrap(), "objectguid|6ba7b810-9dad-11d1-80b4-00c04fd430c8");
        // Sixteen bytes that happen to be a text are still bytes.
        windows.attributes.insert("objectguid".into(), vec![b"abcdefghijklmnop".to_vec()]);
        assert_eq!(windows.subject("objectGUID").unwrap(), "objectguid|64636261-6665-6867-696a-6b6c6d6e6f70");
    }

    #[test]
    fn accounts_that_have_ended_are_seen() {
        // 2026-01-01
        let now = Timestamp::from_seconds(1_767_225_600);
        let ended = |pairs: &[(&str, &str)]| entry(pairs).ended(now).map(|reason| reason.name);
        assert_eq!(ended(&[]), None);
        assert_eq!(ended(&[("userAccountControl", "512")]), None);
        assert_eq!(ended(&[("userAccountControl", "514")]), Some("account_disabled"));
        assert_eq!(ended(&[("nsAccountLock", "TRUE")]), Some("account_disabled"));
        assert_eq!(ended(&[("nsAccountLock", "false")]), None);
        for (days, is) in [
            ("-1", None),
            ("0", None),
            ("20453", Some("account_expired")),
            ("20454", Some("account_expired")),
            ("20455", None),
        ] {
            assert_eq!(ended(&[("shadowExpire", days)]), is, "{days}");
        }
        for (steps, is) in [
            ("0", None),
            ("9223372036854775807", None),
            ("133500000000000000", Some("account_expired")),
            ("134500000000000000", None),
        ] {
            assert_eq!(ended(&[("accountExpires", steps)]), is, "{steps}");
        }
        assert_eq!(ended(&[("pwdAccountLockedTime", "000001010000Z")]), Some("account_locked"));
        assert_eq!(ended(&[("pwdAccountLockedTime", "20250101000000Z")]), None);
    }
}
