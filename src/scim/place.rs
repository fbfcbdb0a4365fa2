//! Where in a resource something is: `userName`, `name.familyName`, `urn:…:User:manager.value` (RFC 7644 §3.10).

use serde_json::{Map, Value};

use super::schema::{Attribute, ResourceKind, Schema};

/// An attribute, one of its own attributes, or all of an extension.
#[derive(Clone, Debug)]
pub struct Place {
    /// The URN that the extension is kept under; none for what stands at the top.
    pub extension: Option<String>,
    /// The attribute; none for all of the extension, or of the resource.
    pub attribute: Option<String>,
    /// The attribute within it.
    pub sub: Option<String>,
    /// The attribute as the schema has it; none where no schema of ours does.
    pub known: Option<&'static Attribute>,
    /// The inner one as the schema has it.
    pub known_sub: Option<&'static Attribute>,
}

/// Why a text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nowhere {
    /// It cannot be read.
    Malformed,
    /// A schema that we have does not have it.
    Unknown,
}

impl Place {
    /// Reads the name of an attribute of a resource. What an unknown extension has is a place; what our own schemas do
    /// not have is none.
    pub fn read(kind: ResourceKind, text: &str) -> Result<Self, Nowhere> {
        if !text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:")) {
            return Self::inside(kind, text, None);
        }
        if !text.chars().all(|c| c.is_ascii_graphic() && !"\"\\[]()".contains(c)) {
            return Err(Nowhere::Malformed);
        }
        let schemas = [kind.core()].into_iter().chain(kind.extensions().iter().copied());
        for schema in schemas {
            let Some((urn, rest)) = text.split_at_checked(schema.urn.len()) else { continue };
            if !urn.eq_ignore_ascii_case(schema.urn) {
                continue;
            }
            let own = std::ptr::eq(schema, kind.core());
            match rest.strip_prefix(':') {
                Some(rest) => return Self::inside(kind, rest, (!own).then_some(schema)),
                None if rest.is_empty() => {
                    let extension = (!own).then(|| schema.urn.to_owned());
                    return Ok(Self { extension, attribute: None, sub: None, known: None, known_sub: None });
                }
                None => {}
            }
        }
        let (urn, rest) = text.rsplit_once(':').ok_or(Nowhere::Malformed)?;
        let (attribute, sub) = names(rest).ok_or(Nowhere::Malformed)?;
        Ok(Self { extension: Some(urn.to_owned()), attribute: Some(attribute), sub, known: None, known_sub: None })
    }

    /// A name of the core schema, or of an extension.
    fn inside(kind: ResourceKind, text: &str, schema: Option<&'static Schema>) -> Result<Self, Nowhere> {
        let (attribute, sub) = names(text).ok_or(Nowhere::Malformed)?;
        let known = match schema {
            Some(schema) => schema.attribute(&attribute),
            None => kind.attribute(&attribute),
        };
        let known = known.ok_or(Nowhere::Unknown)?;
        let known_sub = match &sub {
            None => None,
            Some(sub) => Some(known.within(sub).ok_or(Nowhere::Unknown)?),
        };
        Ok(Self {
            extension: schema.map(|schema| schema.urn.to_owned()),
            attribute: Some(known.name.to_owned()),
            sub: known_sub.map(|sub| sub.name.to_owned()),
            known: Some(known),
            known_sub,
        })
    }

    /// A name within a complex attribute, as the filter of a value path has it.
    pub fn within(outer: Option<&'static Attribute>, text: &str) -> Result<Self, Nowhere> {
        let (attribute, sub) = names(text).ok_or(Nowhere::Malformed)?;
        if sub.is_some() {
            return Err(Nowhere::Unknown);
        }
        let known = match outer {
            Some(outer) => Some(outer.within(&attribute).ok_or(Nowhere::Unknown)?),
            None => None,
        };
        let attribute = known.map_or(attribute, |known| known.name.to_owned());
        Ok(Self { extension: None, attribute: Some(attribute), sub: None, known, known_sub: None })
    }

    /// With the attribute within it. Errors as `read`.
    pub fn and(mut self, sub: &str) -> Result<Self, Nowhere> {
        let (sub, rest) = names(sub).ok_or(Nowhere::Malformed)?;
        if rest.is_some() || self.sub.is_some() {
            return Err(Nowhere::Malformed);
        }
        self.known_sub = match self.known {
            Some(known) => Some(known.within(&sub).ok_or(Nowhere::Unknown)?),
            None => None,
        };
        self.sub = Some(self.known_sub.map_or(sub, |known| known.name.to_owned()));
        Ok(self)
    }

    /// The innermost attribute, as its schema has it.
    pub fn innermost(&self) -> Option<&'static Attribute> {
        if self.sub.is_some() { self.known_sub } else { self.known }
    }

    /// What stands at the attribute, whatever it is; the inner one is left to the caller.
    pub fn value<'v>(&self, resource: &'v Map<String, Value>) -> Option<&'v Value> {
        let holder = match &self.extension {
            None => resource,
            Some(urn) => get(resource, urn)?.as_object()?,
        };
        get(holder, self.attribute.as_deref()?)
    }
}

/// The value of that name, however it is written: in what no schema knows, names stand as they came.
pub fn get<'v>(object: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    object.get(name).or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
}

/// The name as it stands in the object, or as it is given.
pub fn key_of(object: &Map<String, Value>, name: &str) -> String {
    if object.contains_key(name) {
        return name.to_owned();
    }
    object.keys().find(|key| key.eq_ignore_ascii_case(name)).map_or_else(|| name.to_owned(), Clone::clone)
}

/// `attribute` or `attribute.inner`.
fn names(text: &str) -> Option<(String, Option<String>)> {
    let (outer, inner) = match text.split_once('.') {
        Some((outer, inner)) => (outer, Some(inner)),
        None => (text, None),
    };
    let fits = |name: &str| {
        let mut letters = name.chars();
        letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '$')
            && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
    };
    (fits(outer) && inner.is_none_or(fits)).then(|| (outer.to_owned(), inner.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Extension, attribute, and the one within it.
    type Led = (Option<String>, Option<String>, Option<String>);

    fn place(text: &str) -> Result<Led, Nowhere> {
        Place::read(ResourceKind::User, text).map(|place| (place.extension, place.attribute, place.sub))
    }

    #[test]
    fn a_name_leads_to_one_place_or_to_none() {
        let at = |extension: Option<&str>, attribute: Option<&str>, sub: Option<&str>| {
            Ok((extension.map(str::to_owned), attribute.map(str::to_owned), sub.map(str::to_owned)))
        };
        let core = "urn:ietf:params:scim:schemas:core:2.0:User";
        assert_eq!(place("USERNAME"), at(None, Some("userName"), None));
        assert_eq!(place(core), at(None, None, None));
        assert_eq!(place(&format!("{core}:name.GivenName")), at(None, Some("name"), Some("givenName")));
        // What begins like a schema of ours and goes on is another one.
        let other = at(Some("urn:ietf:params:scim:schemas:core:2.0"), Some("Users"), None);
        assert_eq!(place(&format!("{core}s")), other);
        assert_eq!(
            place("urn:acme:2.0:Badge:owner.value"),
            at(Some("urn:acme:2.0:Badge"), Some("owner"), Some("value"))
        );
        assert_eq!(place("urn:acme:$ref"), at(Some("urn:acme"), Some("$ref"), None));
        for text in [
            "urn:a b:c",
            "urn:a\"b:c",
            "urn:a\\b:c",
            "urn:a[b]:c",
            "urn:ä:c",
            "urn:a:1c",
            "urn:a:",
            "a b",
            "1a",
            "",
            "a..b",
        ] {
            assert_eq!(place(text), Err(Nowhere::Malformed), "{text}");
        }
        for text in ["mail", "name.nick", "userName.value.more"] {
            assert!(place(text).is_err(), "{text}");
        }
    }
}
