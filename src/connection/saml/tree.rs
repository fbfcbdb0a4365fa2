//! The one parser, and how its tree is read. Names are always namespace and local name; an attribute of the
//! specifications has no namespace, and one that has is never taken for it.

use uppsala::{Document, Element, NodeId, NodeKind, Parser};

use super::limits::{self, Limits};
use super::{refuse, shown};
use crate::connection::protocol::Checks;
use crate::env::Timestamp;
use crate::error::Result;

/// A document and the text it was parsed from.
pub(super) struct Tree<'a> {
    pub document: Document<'a>,
    pub text: &'a str,
}

impl<'a> Tree<'a> {
    /// Parses what is within the limits and has no document type. Errors: `saml_doctype`, `saml_structure`.
    pub fn parse(text: &'a str, limits: &Limits, checks: &mut Checks) -> Result<Self> {
        limits::scan(text, limits, checks)?;
        let depth = u32::try_from(limits.depth).unwrap_or(u32::MAX);
        let parser = Parser::new().with_forbid_dtd(true).with_forbid_entities(true).with_max_depth(depth);
        let document = parser
            .parse(text)
            .map_err(|error| refuse(checks, "xml", "a well-formed document", shown(&error.to_string())))?;
        let tree = Self { document, text };
        tree.root(checks)?;
        Ok(tree)
    }

    /// The one element on top. Errors: `saml_structure`.
    pub fn root(&self, checks: &mut Checks) -> Result<Node<'_>> {
        self.document
            .document_element()
            .map(|id| self.node(id))
            .ok_or_else(|| refuse(checks, "xml", "a root element", "none"))
    }

    /// The node with that id.
    pub fn node(&self, id: NodeId) -> Node<'_> {
        Node { document: &self.document, id }
    }
}

/// An element of a tree.
#[derive(Clone, Copy)]
pub(super) struct Node<'t> {
    document: &'t Document<'t>,
    pub id: NodeId,
}

impl<'t> Node<'t> {
    fn element(self) -> Option<&'t Element<'t>> {
        self.document.element(self.id)
    }

    /// The local name.
    pub fn local(self) -> &'t str {
        self.element().map_or("", |element| &element.name.local_name)
    }

    /// The namespace; empty for none.
    pub fn namespace(self) -> &'t str {
        self.element().and_then(|element| element.name.namespace_uri.as_deref()).unwrap_or("")
    }

    /// Whether it is that element.
    pub fn is(self, namespace: &str, local: &str) -> bool {
        self.local() == local && self.namespace() == namespace
    }

    /// The value of the attribute of that name that has no namespace.
    pub fn attribute(self, local: &str) -> Option<&'t str> {
        self.attributes().find(|(namespace, name, _)| namespace.is_empty() && *name == local).map(|(_, _, value)| value)
    }

    /// Every attribute: namespace, local name, value.
    pub fn attributes(self) -> impl Iterator<Item = (&'t str, &'t str, &'t str)> {
        self.element().map(|element| element.attributes.as_slice()).unwrap_or_default().iter().map(|attribute| {
            (attribute.name.namespace_uri.as_deref().unwrap_or(""), &*attribute.name.local_name, &*attribute.value)
        })
    }

    /// The namespace declarations on this element itself: prefix, namespace.
    pub fn declarations(self) -> impl Iterator<Item = (&'t str, &'t str)> {
        let declared = self.element().map(|element| element.namespace_declarations.as_slice()).unwrap_or_default();
        declared.iter().map(|(prefix, uri)| (&**prefix, &**uri))
    }

    /// The element around it.
    pub fn parent(self) -> Option<Self> {
        let parent = self.document.parent(self.id)?;
        self.document.element(parent).map(|_| Self { document: self.document, id: parent })
    }

    /// The elements directly inside.
    pub fn children(self) -> impl Iterator<Item = Self> {
        let document = self.document;
        document
            .children_iter(self.id)
            .filter(move |id| document.element(*id).is_some())
            .map(move |id| Self { document, id })
    }

    /// The elements of that name directly inside.
    pub fn all(self, namespace: &'t str, local: &'t str) -> impl Iterator<Item = Self> {
        self.children().filter(move |child| child.is(namespace, local))
    }

    /// Every element inside, however deep, and itself first; in document order.
    pub fn within(self) -> impl Iterator<Item = Self> {
        let document = self.document;
        std::iter::once(self.id)
            .chain(document.descendants(self.id).into_iter().filter(move |id| *id != self.id))
            .filter(move |id| document.element(*id).is_some())
            .map(move |id| Self { document, id })
    }

    /// The one element of that name directly inside, or none. Errors: `saml_structure` for two.
    pub fn one(self, namespace: &'t str, local: &'t str, checks: &mut Checks) -> Result<Option<Self>> {
        let mut found = self.all(namespace, local);
        let first = found.next();
        if found.next().is_some() {
            return Err(refuse(checks, "structure", format!("one {local}"), "two or more"));
        }
        Ok(first)
    }

    /// The one element of that name directly inside. Errors: `saml_structure` for none or two.
    pub fn exactly(self, namespace: &'t str, local: &'t str, checks: &mut Checks) -> Result<Self> {
        self.one(namespace, local, checks)?.ok_or_else(|| refuse(checks, "structure", format!("a {local}"), "none"))
    }

    /// The text of an element that has no other element inside; `None` for one that has.
    pub fn text(self) -> Option<String> {
        let mut text = String::new();
        for id in self.document.children_iter(self.id) {
            match self.document.node_kind(id)? {
                NodeKind::Text(part) | NodeKind::CData(part) => text.push_str(part),
                NodeKind::Comment(_) | NodeKind::ProcessingInstruction(_) => {}
                _ => return None,
            }
        }
        Some(text)
    }

    /// Whether text other than white space stands directly inside.
    pub fn has_text(self) -> bool {
        self.document.children_iter(self.id).any(|id| match self.document.node_kind(id) {
            Some(NodeKind::Text(text) | NodeKind::CData(text)) => !trim(text).is_empty(),
            _ => false,
        })
    }

    /// The attribute as a moment. `None` where it is absent. Errors: `saml_structure` for what is none.
    pub fn moment(self, name: &str, checks: &mut Checks) -> Result<Option<Timestamp>> {
        let Some(text) = self.attribute(name) else { return Ok(None) };
        moment(text).map(Some).ok_or_else(|| refuse(checks, name, "a moment in UTC", shown(text)))
    }
}

/// Without the white space of XML around it.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

/// `xs:dateTime` with a time zone (core §1.3.3 asks for UTC). Digits beyond nanoseconds are left out.
pub(super) fn moment(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shape = |at: usize, pattern: &[u8]| {
        pattern.iter().enumerate().all(|(place, wanted)| {
            bytes.get(at + place).is_some_and(|byte| match wanted {
                b'0' => byte.is_ascii_digit(),
                wanted => byte == wanted,
            })
        })
    };
    if !shape(0, b"0000-00-00T00:00:00") {
        return None;
    }
    let (time, mut rest) = text.split_at_checked(19)?;
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (all, zone) = after.split_at_checked(digits)?;
        if all.is_empty() {
            return None;
        }
        fraction = all.get(..9).unwrap_or(all);
        rest = zone;
    }
    let zone =
        rest == "Z" || (rest.len() == 6 && (shape(text.len() - 6, b"+00:00") || shape(text.len() - 6, b"-00:00")));
    if !zone {
        return None;
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let parsed: jiff::Timestamp = format!("{time}{point}{fraction}{rest}").parse().ok()?;
    Some(Timestamp::from_millis(parsed.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_the_schema_writes_them() {
        let millis = |text: &str| moment(text).map(Timestamp::millis);
        assert_eq!(millis("2026-01-01T00:00:00Z"), Some(1_767_225_600_000));
        assert_eq!(millis("2026-01-01T00:00:00.5Z"), Some(1_767_225_600_500));
        assert_eq!(millis("2026-01-01T00:00:00.1234567Z"), Some(1_767_225_600_123));
        assert_eq!(millis("2026-01-01T00:00:00.123456789012Z"), Some(1_767_225_600_123));
        assert_eq!(millis("2026-01-01T01:30:00+01:30"), Some(1_767_225_600_000));
        for wrong in [
            "",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01t00:00:00z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00Z ",
            "2026-01-01T00:00:00[UTC]",
            "2026-01-01T00:00:00Z[UTC]",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "12026-01-01T00:00:00Z",
            "2026-01-01T00:00:00+0100",
            "２026-01-01T00:00:00Z",
        ] {
            assert_eq!(millis(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn attributes_with_a_namespace_are_other_attributes() {
        let mut checks = Checks::new();
        let tree = Tree::parse("<a xmlns:x='urn:x' x:ID='1'/>", &limits::MESSAGE, &mut checks).unwrap();
        assert_eq!(tree.root(&mut checks).unwrap().attribute("ID"), None);
        let tree = Tree::parse("<a xmlns:x='urn:x' x:ID='1' ID='2'/>", &limits::MESSAGE, &mut checks).unwrap();
        assert_eq!(tree.root(&mut checks).unwrap().attribute("ID"), Some("2"));
    }
}
