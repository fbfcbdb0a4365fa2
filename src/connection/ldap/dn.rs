//! Distinguished names (RFC 4514): read, compared by what they mean and not by how they are written, and escaped.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A longer name is none.
const MAX: usize = 8 * 1024;
/// More parts have none.
const MAX_PARTS: usize = 128;

/// One pair of a relative name: the type in small letters, the value as it is compared.
type Pair = (String, String);

/// A distinguished name as it is compared: types by name and in small letters, values without escapes, in small letters,
/// with single blanks; the pairs of a part in order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dn(Vec<Vec<Pair>>);

impl Dn {
    /// Reads it; `None` for what is no name. The empty text is the name of the root.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX {
            return None;
        }
        if text.trim().is_empty() {
            return Some(Self(Vec::new()));
        }
        let mut reader = Reader { rest: text };
        let mut parts = vec![Vec::new()];
        loop {
            let pair = reader.pair()?;
            parts.last_mut()?.push(pair);
            match reader.take() {
                None => break,
                Some('+') => {}
                // RFC 2253 had the semicolon, and servers still take it.
                Some(',' | ';') => parts.push(Vec::new()),
                Some(_) => return None,
            }
            if parts.len() > MAX_PARTS {
                return None;
            }
        }
        for part in &mut parts {
            part.sort();
        }
        Some(Self(parts))
    }

    /// Whether it is `base` or lies below it.
    pub fn is_within(&self, base: &Self) -> bool {
        self.0.ends_with(&base.0)
    }

    /// Whether it is the root's.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The tree it stands in: the parts at its end that are of a domain (`dc`), or else its last part.
    pub fn tree(&self) -> Self {
        let of_domain = |part: &&Vec<Pair>| part.iter().all(|(name, _)| name == "dc");
        let count = self.0.iter().rev().take_while(of_domain).count().max(1);
        Self(self.0.iter().skip(self.0.len().saturating_sub(count)).cloned().collect())
    }

    /// The DNS name of the domain that it lies in, where its last parts are of one (RFC 2247).
    pub fn domain(&self) -> Option<String> {
        let parts = self.0.iter().rev().map_while(|part| match part.as_slice() {
            [(name, value)] if name == "dc" => Some(value.as_str()),
            _ => None,
        });
        let mut labels: Vec<&str> = parts.collect();
        labels.reverse();
        (!labels.is_empty()).then(|| labels.join("."))
    }

    /// The value of a name's first part, as it was written; of several pairs the first one's.
    pub fn first_written(text: &str) -> Option<String> {
        let mut reader = Reader { rest: text };
        let (_, value) = reader.written()?;
        let value = String::from_utf8(value).ok()?;
        (!value.is_empty()).then_some(value)
    }
}

/// In one spelling, which every way to write the same name has in common.
impl std::fmt::Display for Dn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, part) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_char(',')?;
            }
            for (place, (name, value)) in part.iter().enumerate() {
                if place > 0 {
                    f.write_char('+')?;
                }
                write!(f, "{name}={}", escape(value))?;
            }
        }
        Ok(())
    }
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn take(&mut self) -> Option<char> {
        let mut letters = self.rest.chars();
        let next = letters.next();
        self.rest = letters.as_str();
        next
    }

    fn pair(&mut self) -> Option<Pair> {
        let (name, value) = self.written()?;
        Some((name, folded(&value)))
    }

    fn written(&mut self) -> Option<(String, Vec<u8>)> {
        let (name, rest) = self.rest.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let name = name.strip_prefix("oid.").unwrap_or(&name);
        let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
        if name.is_empty() || name.len() > 255 || !name.bytes().all(fits) {
            return None;
        }
        self.rest = rest.trim_start_matches(' ');
        let value = match self.rest.chars().next() {
            Some('#') => self.hex()?,
            Some('"') => self.quoted()?,
            _ => self.plain()?,
        };
        Some((known(name).to_owned(), value))
    }

    /// Up to what ends it, with escapes resolved; blanks at the end do not count unless they are escaped.
    fn plain(&mut self) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut kept = 0;
        while let Some(next) = self.rest.chars().next() {
            match next {
                ',' | ';' | '+' => break,
                '\\' => {
                    self.take();
                    self.escaped(&mut bytes)?;
                    kept = bytes.len();
                }
                '"' | '<' | '>' | '\0' => return None,
                other => {
                    self.take();
                    bytes.extend(other.encode_utf8(&mut [0; 4]).as_bytes());
                    if other != ' ' {
                        kept = bytes.len();
                    }
                }
            }
        }
        bytes.truncate(kept);
        Some(bytes)
    }

    /// RFC 2253 allows quotes around a value.
    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.take();
        let mut bytes = Vec::new();
        loop {
            match self.take()? {
                '"' => break,
                '\\' => self.escaped(&mut bytes)?,
                other => bytes.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        self.rest = self.rest.trim_start_matches(' ');
        Some(bytes)
    }

    fn escaped(&mut self, bytes: &mut Vec<u8>) -> Option<()> {
        let first = self.take()?;
        match first.to_digit(16) {
            Some(high) => {
                let low = self.take()?.to_digit(16)?;
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            None if " \"#+,;<=>\\".contains(first) => bytes.push(u8::try_from(first).ok()?),
            None => return None,
        }
        Some(())
    }

    /// The bytes of a BER value; of a text, the text itself.
    fn hex(&mut self) -> Option<Vec<u8>> {
        self.take();
        let end = self.rest.find([',', ';', '+']).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        let digits = digits.trim_end().as_bytes();
        let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let mut bytes = Vec::with_capacity(digits.len() / 2);
        for pair in digits.chunks(2) {
            let [high, low] = pair else { return None };
            bytes.push(digit(high)? * 16 + digit(low)?);
        }
        match bytes.as_slice() {
            [0x04 | 0x0c | 0x13 | 0x16, length, text @ ..] if usize::from(*length) == text.len() && *length < 0x80 => {
                Some(text.to_vec())
            }
            [] => None,
            _ => Some(bytes),
        }
    }
}

/// RFC 4519: the names of types that are also written as numbers or in another way.
fn known(name: &str) -> &str {
    match name {
        "2.5.4.3" | "commonname" => "cn",
        "2.5.4.4" | "surname" => "sn",
        "2.5.4.6" | "countryname" => "c",
        "2.5.4.7" | "localityname" => "l",
        "2.5.4.8" | "stateorprovincename" => "st",
        "2.5.4.10" | "organizationname" => "o",
        "2.5.4.11" | "organizationalunitname" => "ou",
        "0.9.2342.19200300.100.1.1" | "userid" => "uid",
        "0.9.2342.19200300.100.1.25" | "domaincomponent" => "dc",
        other => other,
    }
}

/// As `caseIgnoreMatch` compares (RFC 4518): small letters, single blanks, none at the ends.
fn folded(value: &[u8]) -> String {
    let text: Cow<'_, str> = String::from_utf8_lossy(value);
    let mut out = String::with_capacity(text.len());
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase));
    }
    out
}

/// A value as it stands in a name: it stays one value, whatever is in it.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    let last = value.len().saturating_sub(1);
    for (place, c) in value.char_indices() {
        let at_end = (place == 0 && matches!(c, ' ' | '#')) || (place == last && c == ' ');
        if at_end || c.is_ascii_control() || matches!(c, '"' | '+' | ',' | ';' | '<' | '=' | '>' | '\\') {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "\\{:02x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn dn(text: &str) -> Dn {
        Dn::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn the_same_name_in_other_words_is_the_same() {
        for (one, other) in [
            ("uid=Ada,ou=People,dc=example,dc=test", "UID=ada, OU = people,DC=EXAMPLE,dc=test"),
            ("cn=a\\,b,dc=x", "CN=A\\2cB,dc=x"),
            ("cn=\"a,b\" ,dc=x", "cn=a\\,b,dc=x"),
            ("cn=b\\28ob\\29*,dc=x", "cn=b(ob)*,dc=x"),
            ("cn=Ünïcøde,dc=x", "cn=\\c3\\9cnïcøde,dc=x"),
            ("cn=a+uid=b,dc=x", "uid=b+cn=a,dc=x"),
            ("2.5.4.3=a,dc=x", "cn=a,DC=x"),
            ("cn=#040161,dc=x", "cn=a,dc=x"),
            ("cn=a  b ,dc=x", "cn=A b,dc=x"),
            ("cn=a;dc=x", "cn=a,dc=x"),
        ] {
            assert_eq!(dn(one), dn(other), "{one} / {other}");
            assert_eq!(dn(one).to_string(), dn(other).to_string());
            assert_eq!(dn(&dn(one).to_string()), dn(one));
        }
        for (one, other) in [
            ("cn=a,dc=x", "cn=a,dc=y"),
            ("cn=a\\,dc=x", "cn=a,dc=x"),
            ("cn=a,ou=b,dc=x", "ou=b,cn=a,dc=x"),
            ("cn=a+uid=b,dc=x", "cn=a,uid=b,dc=x"),
        ] {
            assert_ne!(dn(one), dn(other), "{one} / {other}");
        }
    }

    #[test]
    fn a_tree_is_a_domain() {
        assert_eq!(dn("ou=people,ou=x,dc=corp,dc=example").tree(), dn("dc=corp,dc=example"));
        assert_eq!(dn("ou=people,o=corp").tree(), dn("o=corp"));
        assert_eq!(dn("cn=a,ou=people,DC=Corp,dc=example").domain().as_deref(), Some("corp.example"));
        assert_eq!(dn("dc=x,o=corp").domain(), None);
        assert_eq!(Dn::first_written("CN=R\\26D Team+uid=x,dc=y").as_deref(), Some("R&D Team"));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for wrong in
            ["ada", "=x", "cn=a,,dc=x", "cn=a,", "cn=a\\", "cn=a\\zz", "cn=\"a", "c n=a", "cn=#0", "cn=<a>", "a@b.c"]
        {
            assert_eq!(Dn::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Dn::parse(&"cn=a,".repeat(4000)), None);
        assert!(dn("").is_root());
    }

    #[test]
    fn ldap_03_only_what_ends_in_the_base_lies_within_it() {
        let base = dn("ou=people,dc=example,dc=test");
        for inside in [
            "uid=a,ou=people,dc=example,dc=test",
            "uid=a,ou=x,OU=People,DC=example,dc=test",
            "ou=people,dc=example,dc=test",
        ] {
            assert!(dn(inside).is_within(&base), "{inside}");
        }
        for outside in [
            "uid=a,ou=admins,dc=example,dc=test",
            "uid=a\\,ou=people,dc=example,dc=test",
            "uid=a\\,ou\\=people\\,dc\\=example\\,dc\\=test",
            "dc=example,dc=test",
            "uid=a,ou=people,dc=example,dc=test,dc=evil",
            "",
        ] {
            assert!(!dn(outside).is_within(&base), "{outside}");
        }
    }

    proptest! {
        #[test]
        fn ldap_03_an_escaped_value_stays_one_value(value in "\\PC{0,40}|[ ,+=#\"\\\\<>;\u{0}a]{0,20}") {
            let text = format!("uid={},ou=people,dc=x", escape(&value));
            let read = dn(&text);
            prop_assert!(read.is_within(&dn("ou=people,dc=x")));
            prop_assert_eq!(read.0.len(), 3);
            prop_assert_eq!(read.0.first().unwrap(), &vec![("uid".to_owned(), folded(value.as_bytes()))]);
            prop_assert_eq!(Dn::first_written(&text), Some(value).filter(|value| !value.is_empty()));
        }

        #[test]
        fn no_text_is_too_strange_for_a_name(text in "\\PC{0,80}|[cn=,+#\"\\\\a0-9 ]{0,60}") {
            if let Some(read) = Dn::parse(&text) {
                prop_assert_eq!(Dn::parse(&read.to_string()), Some(read));
            }
        }
    }
}
