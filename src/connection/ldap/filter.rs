//! Search filters (RFC 4515) with places for what a person typed. A value goes in escaped, and stays a value.

use std::fmt::Write as _;

/// What stands in a template's places.
#[derive(Clone, Debug, Default)]
pub struct Values<'a> {
    /// `{{username}}`.
    pub username: &'a str,
    /// `{{email}}`.
    pub email: &'a str,
    /// `{{dn}}`.
    pub dn: &'a str,
}

/// The places that a filter for people may have.
pub const PERSON: &[&str] = &["username", "email"];
/// The places that a filter for groups may have.
pub const GROUP: &[&str] = &["dn", "username"];

/// A value as it stands in a filter. What is not plain ASCII goes in by its number, so that no parser can see a
/// parenthesis, a star or an end in it.
pub fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 8);
    for byte in value.bytes() {
        if byte.is_ascii_graphic() && !matches!(byte, b'*' | b'(' | b')' | b'\\') || byte == b' ' {
            out.push(char::from(byte));
        } else {
            // Writing to a `String` cannot fail.
            let _ = write!(out, "\\{byte:02x}");
        }
    }
    out
}

/// Splits a template: texts and places in turn, a text first. `None` where braces do not close.
fn pieces(template: &str) -> Option<Vec<&str>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((text, after)) = rest.split_once("{{") {
        let (place, after) = after.split_once("}}")?;
        pieces.push(text);
        pieces.push(place.trim());
        rest = after;
    }
    pieces.push(rest);
    Some(pieces)
}

fn filled(template: &str, value: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut out = String::with_capacity(template.len() + 32);
    for (number, piece) in pieces(template)?.into_iter().enumerate() {
        if number % 2 == 0 { out.push_str(piece) } else { out.push_str(&value(piece)?) }
    }
    Some(out)
}

/// The filter for these values. `None` for a template with a place that does not exist.
pub fn fill(template: &str, values: &Values<'_>) -> Option<String> {
    filled(template, |place| {
        Some(match place {
            "username" => escape(values.username),
            "email" => escape(values.email),
            "dn" => escape(values.dn),
            _ => return None,
        })
    })
}

/// The filter for anybody at all: a star in every place.
pub fn anybody(template: &str) -> Option<String> {
    filled(template, |_| Some("*".to_owned()))
}

/// A name made of a template, each value escaped by `escape`. `None` for a template with another place.
pub fn name(template: &str, username: &str, escape: impl Fn(&str) -> String) -> Option<String> {
    filled(template, |place| (place == "username").then(|| escape(username)))
}

/// Whether each place of a template stands for a value: behind the `=` of its comparison.
pub fn holds_values(template: &str) -> bool {
    let Some(pieces) = pieces(template) else { return false };
    let mut before = String::new();
    for (number, piece) in pieces.into_iter().enumerate() {
        if number % 2 == 0 {
            before.push_str(piece);
        } else if !before.rsplit('(').next().is_some_and(|comparison| comparison.contains('=')) {
            return false;
        }
    }
    true
}

/// The places of a template. `None` where braces do not close.
pub fn places(template: &str) -> Option<Vec<&str>> {
    Some(pieces(template)?.into_iter().skip(1).step_by(2).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fill_name(template: &str, username: &str) -> String {
        fill(template, &Values { username, email: username, dn: "" }).unwrap()
    }

    #[test]
    fn ldap_02_what_is_typed_stays_a_value() {
        assert_eq!(fill_name("(uid={{username}})", "ada"), "(uid=ada)");
        assert_eq!(fill_name("(uid={{ username }})", "*)(uid=*"), "(uid=\\2a\\29\\28uid=\\2a)");
        assert_eq!(fill_name("(uid={{username}})", "b(ob)*"), "(uid=b\\28ob\\29\\2a)");
        assert_eq!(fill_name("(|(uid={{username}})(mail={{email}}))", "a\\\0"), "(|(uid=a\\5c\\00)(mail=a\\5c\\00))");
        assert_eq!(fill_name("(uid={{username}})", "é{{email}}"), "(uid=\\c3\\a9{{email}})");
    }

    #[test]
    fn templates_are_read_or_refused() {
        assert_eq!(places("(&(a=b)(uid={{username}})(mail={{email}}))").unwrap(), ["username", "email"]);
        assert_eq!(places("(uid={{username)"), None);
        assert_eq!(fill("(uid={{name}})", &Values::default()), None);
        assert_eq!(anybody("(|(uid={{username}})(mail={{email}}))").unwrap(), "(|(uid=*)(mail=*))");
    }

    #[test]
    fn ldap_02_a_place_stands_for_a_value() {
        for good in [
            "(uid={{username}})",
            "(|(uid={{username}})(mail={{email}}))",
            "(member:1.2.3:={{dn}})",
            "(cn=a{{username}}b)",
        ] {
            assert!(holds_values(good), "{good}");
        }
        for wrong in
            ["({{username}}=ada)", "{{username}}", "(&(a=b)({{username}}=*))", "({{username}})", "(a{{username}}=b)"]
        {
            assert!(!holds_values(wrong), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn ldap_02_no_typed_text_leaves_its_place(text in "\\PC{0,40}|[*()\\\\&|!=\u{0}a]{0,30}") {
            let filter = fill_name("(uid={{username}})", &text);
            let inner = filter.strip_prefix("(uid=").and_then(|rest| rest.strip_suffix(')')).unwrap();
            prop_assert!(!inner.contains(['*', '(', ')', '\0']));
            prop_assert!(inner.is_ascii());
            // Reading the escapes gives the text back.
            let mut bytes = Vec::new();
            let mut letters = inner.bytes();
            while let Some(byte) = letters.next() {
                bytes.push(match byte {
                    b'\\' => {
                        let pair = [letters.next().unwrap(), letters.next().unwrap()];
                        u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap()
                    }
                    other => other,
                });
            }
            prop_assert_eq!(bytes, text.as_bytes());
        }
    }
}
