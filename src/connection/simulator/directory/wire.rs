//! As much of LDAP's encoding as the test directory needs (RFC 4511). Its own few lines, not those of the client.

use super::entries::Entry;

pub(super) const BIND: u8 = 0x61;
pub(super) const DONE: u8 = 0x65;
pub(super) const EXTENDED: u8 = 0x78;

/// Filters nested deeper are none.
const DEPTH: usize = 16;

/// A question.
pub(super) struct Request {
    pub id: u32,
    pub asked: Asked,
}

pub(super) enum Asked {
    Bind { name: String, password: String },
    Search { base: String, scope: u8, limit: usize, filter: Filter, attributes: Vec<String> },
    Farewell,
    Other,
}

/// A search filter, as far as it is understood; the rest fits nobody.
pub(super) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Equals(String, String),
    /// The attribute, and the texts that must stand in it one after the other: begin, middle ones, end.
    Like(String, Vec<(u8, String)>),
    Present(String),
    Nothing,
}

impl Filter {
    pub fn fits(&self, entry: &Entry) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.fits(entry)),
            Self::Or(any) => any.iter().any(|one| one.fits(entry)),
            Self::Not(one) => !one.fits(entry),
            Self::Equals(name, value) => {
                let value = value.to_lowercase();
                entry.values(name).iter().any(|own| own.to_lowercase() == value)
            }
            Self::Like(name, texts) => entry.values(name).iter().any(|own| like(&own.to_lowercase(), texts)),
            Self::Present(name) => !entry.values(name).is_empty(),
            Self::Nothing => false,
        }
    }
}

fn like(own: &str, texts: &[(u8, String)]) -> bool {
    let mut rest = own;
    for (tag, text) in texts {
        let text = text.to_lowercase();
        let found = match tag {
            0x80 => rest.strip_prefix(text.as_str()),
            0x82 => rest.strip_suffix(text.as_str()).map(|_| ""),
            _ => rest.split_once(text.as_str()).map(|(_, after)| after),
        };
        match found {
            Some(after) => rest = after,
            None => return false,
        }
    }
    true
}

/// Tag, where the content begins, and how long it is.
fn header(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (tag, first) = (*bytes.first()?, *bytes.get(1)?);
    if first < 0x80 {
        return Some((tag, 2, usize::from(first)));
    }
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return None;
    }
    let digits = bytes.get(2..2 + count)?;
    Some((tag, 2 + count, digits.iter().fold(0, |sum, digit| (sum << 8) | usize::from(*digit))))
}

/// How long the message is that has arrived whole: `Some(None)` while it has not, `None` for what is none.
pub(super) fn frame(bytes: &[u8], most: usize) -> Option<Option<usize>> {
    let enough = bytes.len() >= 6;
    match header(bytes) {
        Some((0x30, start, length)) if start + length <= most => {
            Some((bytes.len() >= start + length).then_some(start + length))
        }
        None if !enough => Some(None),
        _ => None,
    }
}

/// The parts of a content.
fn parts(mut content: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut all = Vec::new();
    while !content.is_empty() {
        let (tag, start, length) = header(content)?;
        all.push((tag, content.get(start..start + length)?));
        content = content.get(start + length..)?;
    }
    Some(all)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
}

/// Reads one message; `None` for what is no question.
pub(super) fn read(message: &[u8]) -> Option<Request> {
    let (_, whole) = parts(message)?.into_iter().next()?;
    let mut whole = parts(whole)?.into_iter();
    let id = number(whole.next()?.1);
    let (op, content) = whole.next()?;
    let asked = match op {
        0x60 => {
            let fields = parts(content)?;
            let (_, name) = fields.get(1)?;
            // Only the simple way; any other is a wrong password.
            let password = fields.get(2).filter(|(tag, _)| *tag == 0x80).map(|(_, bytes)| text(bytes));
            Asked::Bind { name: text(name), password: password.unwrap_or_else(|| "\0".to_owned()) }
        }
        0x63 => {
            let fields = parts(content)?;
            let field = |place: usize| fields.get(place).copied();
            let attributes = parts(field(7)?.1)?.into_iter().map(|(_, name)| text(name)).collect();
            Asked::Search {
                base: text(field(0)?.1),
                scope: u8::try_from(number(field(1)?.1)).ok()?,
                limit: usize::try_from(number(field(3)?.1)).ok()?,
                filter: filter(field(6)?, 0)?,
                attributes,
            }
        }
        0x42 | 0x50 => Asked::Farewell,
        _ => Asked::Other,
    };
    Some(Request { id, asked })
}

fn filter((tag, content): (u8, &[u8]), depth: usize) -> Option<Filter> {
    if depth > DEPTH {
        return None;
    }
    let several = || parts(content)?.into_iter().map(|part| filter(part, depth + 1)).collect::<Option<Vec<_>>>();
    Some(match tag {
        0xa0 => Filter::And(several()?),
        0xa1 => Filter::Or(several()?),
        0xa2 => Filter::Not(Box::new(several()?.pop()?)),
        0xa3 => {
            let pair = parts(content)?;
            Filter::Equals(text(pair.first()?.1), text(pair.get(1)?.1))
        }
        0xa4 => {
            let pair = parts(content)?;
            let texts = parts(pair.get(1)?.1)?.into_iter().map(|(tag, bytes)| (tag, text(bytes))).collect();
            Filter::Like(text(pair.first()?.1), texts)
        }
        0x87 => Filter::Present(text(content)),
        _ => Filter::Nothing,
    })
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            out.push(0x84);
            out.extend(u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

fn message(id: u32, op: u8, content: &[u8]) -> Vec<u8> {
    element(0x30, &[element(2, &id.to_be_bytes()), element(op, content)].concat())
}

/// How an operation ended.
pub(super) fn result(id: u32, op: u8, code: u8, words: &str) -> Vec<u8> {
    message(id, op, &[element(10, &[code]), element(4, b""), element(4, words.as_bytes())].concat())
}

/// An entry with the attributes that are wanted.
pub(super) fn entry(id: u32, entry: &Entry, wanted: &[String]) -> Vec<u8> {
    let all = wanted.is_empty() || wanted.iter().any(|name| name == "*");
    let mut pairs = Vec::new();
    for (key, (name, values)) in &entry.attributes {
        if all || wanted.iter().any(|wish| wish.to_lowercase() == *key) {
            let values: Vec<u8> = values.iter().flat_map(|value| element(4, value.as_bytes())).collect();
            pairs.extend(element(0x30, &[element(4, name.as_bytes()), element(0x31, &values)].concat()));
        }
    }
    message(id, 0x64, &[element(4, entry.dn.as_bytes()), element(0x30, &pairs)].concat())
}
