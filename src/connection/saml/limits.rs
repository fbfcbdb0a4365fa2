//! One pass over the bytes before anything parses them: what a parser would pay for without need is refused here.
//!
//! This is no parser. It may only refuse: what it lets through is read by the one parser of `tree`.

use super::refuse;
use crate::connection::protocol::Checks;
use crate::error::{Error, Result, codes};

/// How large a document may be, and whether it may have what only people write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Nested elements.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element, declarations included.
    pub attributes: usize,
    /// Attributes of all elements.
    pub all_attributes: usize,
    /// Namespace declarations of one element.
    pub namespaces: usize,
    /// Namespace declarations in scope anywhere.
    pub in_scope: usize,
    /// Whether comments, processing instructions and CDATA may stand in it.
    pub remarks: bool,
}

/// For a message from a browser.
pub(super) const MESSAGE: Limits = Limits {
    depth: 32,
    elements: 5_000,
    attributes: 32,
    all_attributes: 10_000,
    namespaces: 16,
    in_scope: 48,
    remarks: false,
};

/// For metadata, which an administrator chose. A federation's list is long, and people comment it.
pub(super) const METADATA: Limits = Limits {
    depth: 32,
    elements: 50_000,
    attributes: 32,
    all_attributes: 200_000,
    namespaces: 32,
    in_scope: 64,
    remarks: true,
};

/// Refuses what goes beyond `limits`. Errors: `saml_doctype`, `saml_structure`.
pub(super) fn scan(text: &str, limits: &Limits, checks: &mut Checks) -> Result<()> {
    let bytes = text.as_bytes();
    let mut at = declaration(text, checks)?;
    let mut count = Count { limits, elements: 0, attributes: 0, open: Vec::new(), in_scope: 0 };
    while let Some(start) = find(bytes, at, b"<") {
        let rest = bytes.get(start..).unwrap_or_default();
        at = if rest.starts_with(b"<!--") {
            skip(bytes, start + 4, b"-->", "comment", limits, checks)?
        } else if rest.starts_with(b"<![CDATA[") {
            skip(bytes, start + 9, b"]]>", "CDATA section", limits, checks)?
        } else if rest.starts_with(b"<!") {
            checks.compare("doctype", false, "no document type", "a declaration");
            return Err(Error::new(&codes::SAML_DOCTYPE));
        } else if rest.starts_with(b"<?") {
            skip(bytes, start + 2, b"?>", "processing instruction", limits, checks)?
        } else if rest.starts_with(b"</") {
            count.close();
            find(bytes, start, b">").map_or(bytes.len(), |end| end + 1)
        } else {
            count.tag(bytes, start, checks)?
        };
    }
    Ok(())
}

/// Where the document goes on after its XML declaration. Only UTF-8 is read, and a document that says otherwise about
/// itself could be read otherwise by somebody else.
fn declaration(text: &str, checks: &mut Checks) -> Result<usize> {
    if text.contains('\0') || text.starts_with('\u{feff}') {
        return Err(refuse(checks, "encoding", "text without NUL and byte order mark", "one of these"));
    }
    let Some(rest) = text.strip_prefix("<?xml") else { return Ok(0) };
    if !rest.starts_with([' ', '\t', '\r', '\n']) {
        return Ok(0);
    }
    let Some(end) = rest.find("?>") else { return Ok(0) };
    let inside = rest.get(..end).unwrap_or_default();
    let encoding = inside.split_once("encoding").map(|(_, value)| {
        value.trim_start_matches([' ', '\t', '\r', '\n', '=']).trim_matches(['"', '\'', ' ', '\t', '\r', '\n', '?'])
    });
    // What follows in the declaration is `standalone`.
    let name = encoding.map(|value| value.split(['"', '\'']).next().unwrap_or_default());
    if name.is_some_and(|name| !name.eq_ignore_ascii_case("utf-8")) {
        return Err(refuse(checks, "encoding", "UTF-8", super::shown(name.unwrap_or_default())));
    }
    Ok("<?xml".len() + end + 2)
}

/// What was counted so far.
struct Count<'a> {
    limits: &'a Limits,
    elements: usize,
    attributes: usize,
    /// Namespace declarations of each open element.
    open: Vec<usize>,
    in_scope: usize,
}

impl Count<'_> {
    fn close(&mut self) {
        if let Some(declared) = self.open.pop() {
            self.in_scope -= declared;
        }
    }

    /// Counts one start tag; gives the place behind it.
    fn tag(&mut self, bytes: &[u8], start: usize, checks: &mut Checks) -> Result<usize> {
        let (mut attributes, mut declared) = (0, 0);
        let mut quote = None;
        // The name of an attribute stands after a space and before `=`.
        let mut name_at = start;
        let mut at = start + 1;
        let mut end = bytes.len();
        while let Some(&byte) = bytes.get(at) {
            match (quote, byte) {
                (Some(open), byte) if open == byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'>') => {
                    end = at;
                    break;
                }
                (None, b' ' | b'\t' | b'\r' | b'\n') => name_at = at + 1,
                (None, b'=') => {
                    attributes += 1;
                    declared += usize::from(bytes.get(name_at..).is_some_and(|name| name.starts_with(b"xmlns")));
                }
                (None, _) => {}
            }
            at += 1;
        }
        self.elements += 1;
        self.attributes += attributes;
        self.in_scope += declared;
        self.open.push(declared);
        let limits = self.limits;
        for (what, most, is) in [
            ("elements", limits.elements, self.elements),
            ("nested elements", limits.depth, self.open.len()),
            ("attributes of an element", limits.attributes, attributes),
            ("attributes", limits.all_attributes, self.attributes),
            ("namespaces of an element", limits.namespaces, declared),
            ("namespaces in scope", limits.in_scope, self.in_scope),
        ] {
            if is > most {
                return Err(refuse(checks, "limits", format!("at most {most} {what}"), format!("{is} or more")));
            }
        }
        if end.checked_sub(1).and_then(|last| bytes.get(last)) == Some(&b'/') {
            self.close();
        }
        Ok(end + 1)
    }
}

fn skip(bytes: &[u8], from: usize, until: &[u8], what: &str, limits: &Limits, checks: &mut Checks) -> Result<usize> {
    if !limits.remarks {
        return Err(refuse(checks, "structure", "elements and text alone", format!("a {what}")));
    }
    Ok(find(bytes, from, until).map_or(bytes.len(), |end| end + until.len()))
}

fn find(bytes: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = bytes.get(from..)?;
    let first = *what.first()?;
    let mut at = 0;
    // By the first byte, as far as it goes: one look at each byte of the document.
    loop {
        at += rest.get(at..)?.iter().position(|&byte| byte == first)?;
        if rest.get(at..)?.starts_with(what) {
            return Some(from + at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(text: &str, limits: &Limits) -> Result<(), &'static str> {
        scan(text, limits, &mut Checks::new()).map_err(|error| error.code())
    }

    #[test]
    fn what_only_people_write_is_for_metadata_alone() {
        for text in ["<a><!-- x --></a>", "<a><![CDATA[x]]></a>", "<a><?x y?></a>", "<?x y?><a/>", "<a/><!---->"] {
            assert_eq!(verdict(text, &MESSAGE), Err("saml_structure"), "{text}");
            assert_eq!(verdict(text, &METADATA), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_document_type_is_refused_however_it_is_written() {
        for text in [
            "<!DOCTYPE a><a/>",
            "<!doctype a><a/>",
            "<?xml version=\"1.0\"?>\n<!DOCTYPE a [<!ENTITY x \"y\">]><a/>",
            "<a><!ENTITY x \"y\"></a>",
            "<!ATTLIST>",
        ] {
            assert_eq!(verdict(text, &MESSAGE), Err("saml_doctype"), "{text}");
            assert_eq!(verdict(text, &METADATA), Err("saml_doctype"), "{text}");
        }
    }

    #[test]
    fn another_encoding_is_refused() {
        for text in [
            "<?xml version=\"1.0\" encoding=\"UTF-7\"?><a/>",
            "<?xml version='1.0' encoding = 'utf-16'?><a/>",
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\" standalone=\"no\"?><a/>",
            "\u{feff}<a/>",
            "<a>\0</a>",
        ] {
            assert_eq!(verdict(text, &MESSAGE), Err("saml_structure"), "{text:?}");
        }
        for text in [
            "<?xml version=\"1.0\"?><a/>",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><a/>",
            "<?xml version='1.0' encoding = 'UTF-8' standalone='no' ?>\n<a/>",
        ] {
            assert_eq!(verdict(text, &MESSAGE), Ok(()), "{text}");
        }
    }

    #[test]
    fn each_limit_holds_at_its_edge() {
        let nested = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
        let flat = |n: usize| format!("<r>{}</r>", "<a/>".repeat(n - 1));
        let wide = |n: usize| format!("<a {}/>", (0..n).map(|n| format!("b{n}='>' ")).collect::<String>());
        let spaces = |n: usize| format!("<a {}/>", (0..n).map(|n| format!("xmlns:b{n}=\"u\" ")).collect::<String>());
        let total = |n: usize| format!("<r>{}</r>", "<a b='' c='' d='' e=''/>".repeat(n / 4));
        let deep = |n: usize| {
            let one = format!("<a {}>", (0..12).map(|n| format!("xmlns:b{n}='u' ")).collect::<String>());
            format!("{}{}", one.repeat(n), "</a>".repeat(n))
        };
        type Make<'a> = &'a dyn Fn(usize) -> String;
        let cases: [(Make, usize, usize); 6] = [
            (&nested, 32, 33),
            (&flat, 5_000, 5_001),
            (&wide, 32, 33),
            (&spaces, 16, 17),
            (&total, 10_000, 10_004),
            (&deep, 4, 5),
        ];
        for (make, fits, breaks) in cases {
            assert_eq!(verdict(&make(fits), &MESSAGE), Ok(()), "{fits}");
            assert_eq!(verdict(&make(breaks), &MESSAGE), Err("saml_structure"), "{breaks}");
        }
    }
}
