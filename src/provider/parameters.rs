//! The parameters of a request, each at most once (RFC 6749 §3.1, §3.2).

use std::collections::{BTreeMap, BTreeSet};

/// More parameters than any request of ours has.
const MOST: usize = 64;

/// Parameters by name. One without a value counts as left out, as RFC 6749 says.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    values: BTreeMap<String, String>,
    repeated: BTreeSet<String>,
    crowded: bool,
}

impl Parameters {
    /// From names and values, decoded.
    pub(super) fn of<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut parameters = Self::default();
        let mut seen = BTreeSet::new();
        for (place, (name, value)) in pairs.into_iter().enumerate() {
            if place >= MOST {
                parameters.crowded = true;
                break;
            }
            if !seen.insert(name) {
                parameters.repeated.insert(name.to_owned());
            } else if !value.is_empty() {
                parameters.values.insert(name.to_owned(), value.to_owned());
            }
        }
        parameters
    }

    /// The value, if there is one that is not empty. Of a repeated parameter nobody should ask.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Every one that came once and is not empty.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let once = self.values.iter().filter(|(name, _)| !self.repeated.contains(*name));
        once.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether that parameter came more than once.
    pub(super) fn repeats(&self, name: &str) -> bool {
        self.repeated.contains(name)
    }

    /// What is wrong with them as a whole. `resource` alone may come more than once (RFC 8707 §2).
    pub(super) fn fault(&self) -> Option<&'static str> {
        if self.crowded {
            return Some("There are too many parameters.");
        }
        self.repeated.iter().any(|name| name != "resource").then_some("A parameter came more than once.")
    }
}

/// `base` with the pairs added to its query. The base stays as it is, byte for byte: it was compared that way.
pub(super) fn extend(base: &str, pairs: &[(&str, &str)]) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        query.append_pair(name, value);
    }
    let between = match base.split_once('?') {
        None => "?",
        Some((_, "")) => "",
        Some((_, rest)) if rest.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{base}{between}{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::extract::Params;

    #[test]
    fn repeated_empty_and_crowded() {
        let read = |form: &str| Parameters::of(Params::parse(form.as_bytes()).iter());
        let parameters = read("a=1&b=&c=2&c=2");
        assert_eq!((parameters.get("a"), parameters.get("b")), (Some("1"), None));
        assert!(parameters.repeats("c") && !parameters.repeats("a") && parameters.fault().is_some());
        assert!(read("b=&b=1").fault().is_some(), "an empty one counts as well");
        assert!(read("resource=1&resource=2&a=1").fault().is_none());
        let many = |count: usize| (0..count).map(|n| format!("p{n}=1&")).collect::<String>();
        assert!(read(&many(64)).fault().is_none());
        assert!(read(&many(65)).fault().is_some());
    }

    #[test]
    fn the_base_is_kept_byte_for_byte() {
        for (base, whole) in [
            ("https://a/cb", "https://a/cb?code=x+y%26"),
            ("https://a/cb?", "https://a/cb?code=x+y%26"),
            ("https://a/cb?t=%7e", "https://a/cb?t=%7e&code=x+y%26"),
            ("com.example.app:/cb", "com.example.app:/cb?code=x+y%26"),
        ] {
            assert_eq!(extend(base, &[("code", "x y&")]), whole);
        }
    }
}
