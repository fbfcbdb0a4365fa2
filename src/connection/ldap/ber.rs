//! What a directory sends, looked at before anybody parses it: length, depth, number of elements, and the shape of an
//! `LDAPMessage` (RFC 4511 §4.1.1, X.690).
//!
//! The library behind it parses recursively, buffers whatever length it is told, and panics at shapes that it does not
//! expect. Nothing reaches it that has not passed here. This walk uses no stack, and nothing of what it reads is copied.

/// The longest message.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// How deep elements may lie in each other.
pub const MAX_DEPTH: usize = 32;
/// How many elements a message may have: each costs the parser more than the two bytes that it may be long.
pub const MAX_ELEMENTS: usize = 50_000;

/// Why a directory is not listened to any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A message is longer than is read.
    TooLong,
    /// Elements lie too deep in each other.
    TooDeep,
    /// A message, or an answer, has more parts than are read.
    TooMany,
    /// It is no LDAP message.
    Malformed,
    /// It answers what was not asked.
    Unasked,
    /// The directory says that it closes the connection.
    Closing,
}

impl Fault {
    /// In words, for whoever set up the connection.
    pub fn says(self) -> &'static str {
        match self {
            Self::TooLong => "the server sent a message longer than 1 MiB",
            Self::TooDeep => "the server sent a message nested deeper than 32 levels",
            Self::TooMany => "the server sent more than is read of one answer",
            Self::Malformed => "the server sent something that is no LDAP message",
            Self::Unasked => "the server answered what was not asked",
            Self::Closing => "the server closed the connection",
        }
    }
}

const CONSTRUCTED: u8 = 0x20;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;

/// The first bytes of an element.
struct Header {
    tag: u8,
    /// Where its content begins.
    start: usize,
    length: usize,
}

/// `None` when there are too few bytes to tell.
fn header(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    let Some((&tag, rest)) = bytes.split_first() else { return Ok(None) };
    // LDAP has no tag beyond 30.
    if tag & 0x1f == 0x1f {
        return Err(Fault::Malformed);
    }
    let Some((&first, rest)) = rest.split_first() else { return Ok(None) };
    if first < 0x80 {
        return Ok(Some(Header { tag, start: 2, length: usize::from(first) }));
    }
    // RFC 4511 §5.1: only the definite form. Four bytes are what Active Directory always sends.
    let count = usize::from(first & 0x7f);
    if !(1..=4).contains(&count) {
        return Err(Fault::Malformed);
    }
    let Some(digits) = rest.get(..count) else { return Ok(None) };
    let length = digits.iter().fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
    Ok(Some(Header { tag, start: 2 + count, length }))
}

/// How long the message is that begins here; `None` while that cannot be told. What is announced is refused before a byte
/// of it is waited for.
pub fn frame(bytes: &[u8]) -> Result<Option<usize>, Fault> {
    match bytes.first() {
        None => return Ok(None),
        Some(&SEQUENCE) => {}
        Some(_) => return Err(Fault::Malformed),
    }
    let Some(header) = header(bytes)? else { return Ok(None) };
    let whole = header.start + header.length;
    if whole > MAX_MESSAGE { Err(Fault::TooLong) } else { Ok(Some(whole)) }
}

/// Walks through all elements, whatever they mean; how many there are.
fn bound(bytes: &[u8]) -> Result<usize, Fault> {
    let mut ends = vec![bytes.len()];
    let (mut at, mut elements) = (0, 0);
    loop {
        while ends.last() == Some(&at) {
            ends.pop();
        }
        let Some(&end) = ends.last() else { return Ok(elements) };
        let rest = bytes.get(at..end).ok_or(Fault::Malformed)?;
        let header = header(rest)?.ok_or(Fault::Malformed)?;
        let inside = at + header.start;
        let stop = inside + header.length;
        if stop > end {
            return Err(Fault::Malformed);
        }
        elements += 1;
        if elements > MAX_ELEMENTS {
            return Err(Fault::TooMany);
        }
        if header.tag & CONSTRUCTED == 0 {
            at = stop;
        } else if ends.len() > MAX_DEPTH {
            return Err(Fault::TooDeep);
        } else {
            ends.push(stop);
            at = inside;
        }
    }
}

/// Elements that lie side by side.
#[derive(Clone, Copy)]
pub struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Of some content.
    pub fn of(content: &'a [u8]) -> Self {
        Self(content)
    }

    /// The next one: its tag and its content.
    pub fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Fault> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let header = header(self.0)?.ok_or(Fault::Malformed)?;
        let stop = header.start + header.length;
        let content = self.0.get(header.start..stop).ok_or(Fault::Malformed)?;
        self.0 = self.0.get(stop..).unwrap_or_default();
        Ok(Some((header.tag, content)))
    }

    /// The next one, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<&'a [u8], Fault> {
        match self.next()? {
            Some((found, content)) if found == tag => Ok(content),
            _ => Err(Fault::Malformed),
        }
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Asked by us.
    BindRequest,
    /// Asked by us.
    SearchRequest,
    /// Asked by us.
    ExtendedRequest,
    /// Told by us; nothing comes of it.
    Farewell,
    /// How a bind ended.
    BindResponse,
    /// An entry that was found.
    Entry,
    /// Another server that could be asked.
    Reference,
    /// How a search ended.
    Done,
    /// How an extended operation ended.
    ExtendedResponse,
}

/// A message that may be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub id: u32,
    /// What it is.
    pub op: Op,
    /// How many elements it has.
    pub elements: usize,
}

/// Looks at one whole message. Errors: what it is that cannot be parsed.
pub fn screen(message: &[u8]) -> Result<Message, Fault> {
    let elements = bound(message)?;
    let mut outer = Elements::of(message);
    let mut parts = Elements::of(outer.expect(SEQUENCE)?);
    if outer.next()?.is_some() {
        return Err(Fault::Malformed);
    }
    let id = number(parts.expect(INTEGER)?)?;
    let (tag, content) = parts.next()?.ok_or(Fault::Malformed)?;
    let op = match tag {
        0x60 => Op::BindRequest,
        0x63 => Op::SearchRequest,
        0x77 => Op::ExtendedRequest,
        0x42 | 0x50 => Op::Farewell,
        0x61 => result(content, Op::BindResponse)?,
        0x64 => entry(content)?,
        0x65 => result(content, Op::Done)?,
        0x73 => texts(content, Op::Reference)?,
        0x78 => result(content, Op::ExtendedResponse)?,
        _ => return Err(Fault::Malformed),
    };
    match parts.next()? {
        None => {}
        Some((0xa0, content)) => controls(content)?,
        // Active Directory puts the name of its notice of disconnection here, where it does not belong.
        Some((0x8a, _)) if op == Op::ExtendedResponse => {}
        Some(_) => return Err(Fault::Malformed),
    }
    if parts.next()?.is_some() {
        return Err(Fault::Malformed);
    }
    Ok(Message { id, op, elements })
}

/// RFC 4511 §4.1.1.1: 0 to 2³¹ − 1.
fn number(content: &[u8]) -> Result<u32, Fault> {
    if content.is_empty() || content.len() > 4 || content.first().is_some_and(|byte| *byte >= 0x80) {
        return Err(Fault::Malformed);
    }
    Ok(content.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte)))
}

fn utf8(content: &[u8]) -> Result<(), Fault> {
    std::str::from_utf8(content).map(drop).map_err(|_| Fault::Malformed)
}

/// RFC 4511 §4.1.9, with what bind and extended responses add.
fn result(content: &[u8], op: Op) -> Result<Op, Fault> {
    let mut parts = Elements::of(content);
    number(parts.expect(ENUMERATED)?)?;
    utf8(parts.expect(OCTETS)?)?;
    utf8(parts.expect(OCTETS)?)?;
    while let Some((tag, content)) = parts.next()? {
        match tag {
            0xa3 => drop(texts(content, op)?),
            0x8a => utf8(content)?,
            0x87 | 0x8b => {}
            _ => return Err(Fault::Malformed),
        }
    }
    Ok(op)
}

fn texts(content: &[u8], op: Op) -> Result<Op, Fault> {
    let mut parts = Elements::of(content);
    while let Some((tag, content)) = parts.next()? {
        if tag != OCTETS {
            return Err(Fault::Malformed);
        }
        utf8(content)?;
    }
    Ok(op)
}

/// RFC 4511 §4.5.2.
fn entry(content: &[u8]) -> Result<Op, Fault> {
    let mut parts = Elements::of(content);
    utf8(parts.expect(OCTETS)?)?;
    let mut attributes = Elements::of(parts.expect(SEQUENCE)?);
    if parts.next()?.is_some() {
        return Err(Fault::Malformed);
    }
    while let Some((tag, content)) = attributes.next()? {
        if tag != SEQUENCE {
            return Err(Fault::Malformed);
        }
        let mut pair = Elements::of(content);
        utf8(pair.expect(OCTETS)?)?;
        let mut values = Elements::of(pair.expect(SET)?);
        if pair.next()?.is_some() {
            return Err(Fault::Malformed);
        }
        while let Some((tag, _)) = values.next()? {
            if tag != OCTETS {
                return Err(Fault::Malformed);
            }
        }
    }
    Ok(Op::Entry)
}

/// RFC 4511 §4.1.11.
fn controls(content: &[u8]) -> Result<(), Fault> {
    let mut all = Elements::of(content);
    while let Some((tag, content)) = all.next()? {
        if tag != SEQUENCE {
            return Err(Fault::Malformed);
        }
        let mut parts = Elements::of(content);
        utf8(parts.expect(OCTETS)?)?;
        let mut next = parts.next()?;
        if let Some((BOOLEAN, content)) = next {
            if content.len() != 1 {
                return Err(Fault::Malformed);
            }
            next = parts.next()?;
        }
        match next {
            None | Some((OCTETS, _)) => {}
            Some(_) => return Err(Fault::Malformed),
        }
        if parts.next()?.is_some() {
            return Err(Fault::Malformed);
        }
    }
    Ok(())
}

/// The result code of a response that was screened.
pub fn result_code(message: &[u8]) -> Result<u32, Fault> {
    let mut parts = Elements::of(Elements::of(message).expect(SEQUENCE)?);
    parts.expect(INTEGER)?;
    let (_, content) = parts.next()?.ok_or(Fault::Malformed)?;
    number(Elements::of(content).expect(ENUMERATED)?)
}

/// The cookie of a page of results (RFC 2696); `None` where there is no further page.
pub fn page_cookie(value: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    let mut parts = Elements::of(Elements::of(value).expect(SEQUENCE)?);
    parts.expect(INTEGER)?;
    let cookie = parts.expect(OCTETS)?;
    Ok((!cookie.is_empty()).then(|| cookie.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wrap(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut out = vec![tag];
        match content.len() {
            short @ 0..128 => out.push(short as u8),
            long => {
                out.push(0x84);
                out.extend((long as u32).to_be_bytes());
            }
        }
        out.extend(content);
        out
    }

    fn message(id: u8, op: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        wrap(SEQUENCE, &[wrap(INTEGER, &[id]), wrap(op, &parts.concat())].concat())
    }

    fn success(op: u8) -> Vec<u8> {
        message(1, op, &[wrap(ENUMERATED, &[0]), wrap(OCTETS, b""), wrap(OCTETS, b"")])
    }

    fn found(attributes: &[u8]) -> Vec<u8> {
        message(2, 0x64, &[wrap(OCTETS, b"uid=ada"), wrap(SEQUENCE, attributes)])
    }

    #[test]
    fn messages_of_a_well_behaved_server_pass() {
        for (bytes, op) in [
            (success(0x61), Op::BindResponse),
            (success(0x65), Op::Done),
            (success(0x78), Op::ExtendedResponse),
            (found(&[]), Op::Entry),
            (message(3, 0x73, &[wrap(OCTETS, b"ldap://other")]), Op::Reference),
        ] {
            assert_eq!(frame(&bytes), Ok(Some(bytes.len())));
            assert_eq!(screen(&bytes).unwrap().op, op);
        }
        let values = wrap(SET, &[wrap(OCTETS, b"a"), wrap(OCTETS, &[0xff, 0])].concat());
        let entry = found(&wrap(SEQUENCE, &[wrap(OCTETS, b"cn"), values].concat()));
        assert_eq!(screen(&entry).unwrap(), Message { id: 2, op: Op::Entry, elements: 10 });
    }

    #[test]
    fn t_11_a_message_is_refused_by_its_announced_length_before_it_is_read() {
        for bytes in
            [&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff][..], &[0x30, 0x83, 0x10, 0, 0], &[0x30, 0x84, 0, 0x10, 0, 0]]
        {
            assert_eq!(frame(bytes), Err(Fault::TooLong), "{bytes:?}");
        }
        for bytes in [&[0x30, 0x80][..], &[0x30, 0x85, 0, 0, 0, 0, 1], &[0x30, 0xff], &[0x31, 0], &[0x3f, 0x81, 1]] {
            assert_eq!(frame(bytes), Err(Fault::Malformed), "{bytes:?}");
        }
        for bytes in [&[][..], &[0x30], &[0x30, 0x82, 1]] {
            assert_eq!(frame(bytes), Ok(None), "{bytes:?}");
        }
    }

    #[test]
    fn t_11_depth_is_bounded_at_its_edge_and_costs_no_stack() {
        let nested = |levels: usize| (0..levels).fold(wrap(OCTETS, b"x"), |inner, _| wrap(SEQUENCE, &inner));
        assert!(bound(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(bound(&nested(MAX_DEPTH + 1)), Err(Fault::TooDeep));
        // 130,000 levels, each a byte of tag and a length that reaches to the end.
        let mut deep = Vec::new();
        for level in 0..130_000_u32 {
            deep.extend([0x30, 0x84]);
            deep.extend(((130_000 - level - 1) * 6).to_be_bytes());
        }
        assert_eq!(screen(&deep), Err(Fault::TooDeep));
    }

    #[test]
    fn t_11_the_number_of_elements_is_bounded() {
        let many = |count: usize| wrap(SEQUENCE, &[5, 0].repeat(count));
        assert!(bound(&many(MAX_ELEMENTS - 1)).is_ok());
        assert_eq!(bound(&many(MAX_ELEMENTS)), Err(Fault::TooMany));
    }

    #[test]
    fn shapes_that_the_parser_would_fall_over_do_not_reach_it() {
        let result = |parts: &[Vec<u8>]| message(1, 0x61, parts);
        let (code, text) = (wrap(ENUMERATED, &[0]), wrap(OCTETS, b""));
        for wrong in [
            wrap(SEQUENCE, b""),
            wrap(SEQUENCE, &wrap(INTEGER, &[1])),
            result(&[]),
            result(std::slice::from_ref(&code)),
            result(&[wrap(INTEGER, &[0]), text.clone(), text.clone()]),
            result(&[code.clone(), wrap(OCTETS, &[0xff]), text.clone()]),
            result(&[code.clone(), text.clone(), wrap(SEQUENCE, b"")]),
            result(&[wrap(ENUMERATED, &[1, 2, 3, 4, 5]), text.clone(), text.clone()]),
            found(&wrap(OCTETS, b"")),
            found(&wrap(SEQUENCE, &wrap(OCTETS, b"cn"))),
            found(&wrap(SEQUENCE, &[wrap(OCTETS, &[0xff]), wrap(SET, b"")].concat())),
            found(&wrap(SEQUENCE, &[wrap(OCTETS, b"cn"), wrap(SET, &wrap(SET, b""))].concat())),
            message(1, 0x79, &[]),
            message(1, 0x7a, &[]),
            wrap(SEQUENCE, &[wrap(INTEGER, &[0xff]), wrap(0x65, b"")].concat()),
            wrap(SEQUENCE, &[wrap(INTEGER, &[1]), wrap(0x42, b""), wrap(0xa0, &wrap(OCTETS, b""))].concat()),
            [success(0x61), vec![0]].concat(),
        ] {
            assert_eq!(screen(&wrong), Err(Fault::Malformed), "{wrong:02x?}");
        }
    }

    #[test]
    fn the_cookie_of_a_page_is_read() {
        let value = |cookie: &[u8]| wrap(SEQUENCE, &[wrap(INTEGER, &[0]), wrap(OCTETS, cookie)].concat());
        assert_eq!(page_cookie(&value(b"next")), Ok(Some(b"next".to_vec())));
        assert_eq!(page_cookie(&value(b"")), Ok(None));
        assert_eq!(page_cookie(b"\x30\x03\x02\x01\x00"), Err(Fault::Malformed));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(mut bytes in prop::collection::vec(any::<u8>(), 0..400), change in any::<(usize, u8)>()) {
            let _ = (frame(&bytes), screen(&bytes), page_cookie(&bytes));
            let mut real = found(&wrap(SEQUENCE, &[wrap(OCTETS, b"cn"), wrap(SET, &wrap(OCTETS, b"x"))].concat()));
            let at = change.0 % real.len();
            real[at] = change.1;
            let _ = screen(&real);
            bytes.splice(0..0, real);
            let _ = screen(&bytes);
        }
    }
}
