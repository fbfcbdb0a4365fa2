//! Changes to an input: of its bytes, and of what they mean.

use authd::crypto::{base64url, from_base64url};
use serde_json::Value;

use super::targets::{Shape, Target};

/// SplitMix64: the same throws for the same seed, everywhere.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of `n`.
    pub fn of(&mut self, n: usize) -> usize {
        (self.throw() % n.max(1) as u64) as usize
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() { None } else { list.get(self.of(list.len())) }
    }
}

/// What has hurt readers of anything.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\r\n",
    b"%00",
    b"%",
    b"%zz",
    b"%2e%2e%2f",
    b"\xff\xfe",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf4\x90\x80\x80",
    "\u{202e}".as_bytes(),
    "\u{feff}".as_bytes(),
    "ﬀ".as_bytes(),
    "İ".as_bytes(),
    "ß".as_bytes(),
    "｡".as_bytes(),
    b"xn--",
    b"xn--a-0",
    b"xn--\xff",
    b"::",
    b"[::1]",
    b"@",
    b"//",
    b"\\",
    b"..",
    b"&",
    b"=",
    b";",
    b",",
    b"+",
    b"-0",
    b"1e999",
    b"1e-999",
    b"-1",
    b"0",
    b"9223372036854775808",
    b"18446744073709551616",
    b"NaN",
    b"null",
    b"true",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"\\u",
    b":",
    b"__proto__",
    b"none",
    b"HS256",
    b"Bearer ",
    b"Basic ",
    b"javascript:",
    b"data:",
    b"http://",
    b"https://",
    b"conn_",
    b"org_",
    b"app_",
    b"\x1b]52;",
    b"<",
    b">",
    b"'",
    b"${",
    b"{{",
    b"A",
    b"AA==",
    b"====",
    b".",
    b"...",
];

/// What nests.
const NESTS: &[(&str, &str)] =
    &[("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]"), ("(", ")"), ("\"", "\""), ("%25", ""), (".", "")];

/// A seed, changed one to five times.
pub fn mutate(dice: &mut Dice, target: &Target) -> Vec<u8> {
    let mut bytes = dice.pick(&target.seeds).cloned().unwrap_or_default();
    for _ in 0..=dice.of(5) {
        let by_meaning = dice.of(2) == 0;
        bytes = match (by_meaning, target.shape) {
            (true, Shape::Json) => json(dice, &bytes),
            (true, Shape::Query) => query(dice, &bytes, target),
            (true, Shape::Jws) => jws(dice, &bytes, target),
            _ => text(dice, bytes, target),
        };
        bytes.truncate(target.longest);
    }
    bytes
}

fn text(dice: &mut Dice, mut bytes: Vec<u8>, target: &Target) -> Vec<u8> {
    let at = dice.of(bytes.len() + 1);
    let end = (at + 1 + dice.of(16)).min(bytes.len());
    match dice.of(11) {
        0 if !bytes.is_empty() => {
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 1 << dice.of(8);
        }
        1 if !bytes.is_empty() => {
            let at = at.min(bytes.len() - 1);
            bytes[at] = dice.throw() as u8;
        }
        2 => drop(bytes.drain(at.min(end)..end)),
        3 => {
            let piece = bytes[at.min(end)..end].to_vec();
            bytes.splice(at..at, piece);
        }
        4 => {
            let word = dice.pick(target.words).map(|word| word.as_bytes()).unwrap_or(b"");
            bytes.splice(at..at, word.iter().copied());
        }
        5 | 6 => {
            let word = dice.pick(WORDS).copied().unwrap_or(b"");
            bytes.splice(at..at, word.iter().copied());
        }
        7 => {
            // Spliced with another seed.
            let other = dice.pick(&target.seeds).cloned().unwrap_or_default();
            let from = dice.of(other.len() + 1);
            bytes.truncate(at);
            bytes.extend_from_slice(&other[from..]);
        }
        8 => {
            let (open, close) = dice.pick(NESTS).copied().unwrap_or_default();
            let deep = 1 << dice.of(16);
            let room = target.longest / (open.len() + close.len());
            let (opens, closes) =
                (open.repeat(deep.min(room)), close.repeat(deep.min(room) - dice.of(2).min(deep.min(room))));
            bytes.splice(end.max(at)..end.max(at), closes.bytes());
            bytes.splice(at..at, opens.bytes());
        }
        9 => {
            let piece = bytes[at.min(end)..end].to_vec();
            let times = (1usize << dice.of(18)).min(target.longest / piece.len().max(1));
            bytes.splice(at..at, piece.repeat(times));
        }
        _ => {
            let run: Vec<u8> = (0..dice.of(64)).map(|_| dice.throw() as u8).collect();
            bytes.splice(at..at, run);
        }
    }
    bytes
}

/// A value that is not of the kind that was asked for.
fn strange(dice: &mut Dice) -> Value {
    match dice.of(12) {
        0 => Value::Null,
        1 => Value::Bool(dice.of(2) == 0),
        2 => i64::MIN.into(),
        3 => u64::MAX.into(),
        4 => Value::from(-0.5),
        5 => Value::from(1e300),
        6 => "".into(),
        7 => String::from_utf8_lossy(WORDS[dice.of(WORDS.len())]).into_owned().into(),
        8 => "y".repeat(1 << dice.of(17)).into(),
        9 => (0..1usize << dice.of(12)).map(Value::from).collect::<Vec<_>>().into(),
        10 => serde_json::json!({"a": {"a": []}}),
        _ => (0..dice.of(40)).fold(Value::Null, |inner, _| Value::Array(vec![inner])),
    }
}

/// Replaces, removes, repeats or renames one thing somewhere in a document.
fn json(dice: &mut Dice, bytes: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(bytes) else { return bytes.to_vec() };
    change(dice, &mut value);
    let text = value.to_string();
    if dice.of(8) > 0 {
        return text.into_bytes();
    }
    // The same member twice, which no tree of values can say.
    let Value::Object(members) = &value else { return text.into_bytes() };
    let Some((name, _)) = members.iter().nth(dice.of(members.len())) else { return text.into_bytes() };
    format!("{{{}:{},{}", Value::from(name.as_str()), strange(dice), &text[1..]).into_bytes()
}

fn change(dice: &mut Dice, place: &mut Value) {
    let stop = dice.of(4) == 0;
    match place {
        Value::Object(members) if !members.is_empty() && !stop => {
            let at = dice.of(members.len());
            let Some(name) = members.keys().nth(at).cloned() else { return };
            match dice.of(8) {
                0 => drop(members.remove(&name)),
                1 => drop(members.insert(format!("{name}\u{0}"), strange(dice))),
                _ => members.get_mut(&name).into_iter().for_each(|inner| change(dice, inner)),
            }
        }
        Value::Array(items) if !items.is_empty() && !stop => {
            let at = dice.of(items.len());
            change(dice, &mut items[at]);
        }
        other => *other = strange(dice),
    }
}

/// Changes one parameter: its value, its name, its place, how often it stands.
fn query(dice: &mut Dice, bytes: &[u8], target: &Target) -> Vec<u8> {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = bytes
        .split(|byte| *byte == b'&')
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            (halves.next().unwrap_or_default().to_vec(), halves.next().unwrap_or_default().to_vec())
        })
        .collect();
    let at = dice.of(pairs.len());
    match dice.of(6) {
        0 => drop(pairs.remove(at)),
        1 => pairs.push(pairs[at].clone()),
        2 => {
            let other = dice.of(pairs.len());
            pairs.swap(at, other);
        }
        3 => pairs[at].0 = dice.pick(target.words).map(|word| word.as_bytes().to_vec()).unwrap_or_default(),
        4 => {
            let plain = WORDS[dice.of(WORDS.len())];
            pairs[at].1 = url::form_urlencoded::byte_serialize(plain).collect::<String>().into_bytes();
        }
        _ => pairs[at].1 = text(dice, std::mem::take(&mut pairs[at].1), target),
    }
    pairs.iter().map(|(name, value)| [name.as_slice(), b"=", value].concat()).collect::<Vec<_>>().join(&b'&')
}

/// Changes what lies inside one part of a token, so that more than the encoding is tried.
fn jws(dice: &mut Dice, bytes: &[u8], target: &Target) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'.').map(<[u8]>::to_vec).collect();
    let at = dice.of(parts.len().min(3));
    let part = String::from_utf8_lossy(&parts[at]).into_owned();
    match from_base64url(&part) {
        Some(inner) => {
            let changed = if at < 2 && dice.of(4) > 0 { json(dice, &inner) } else { text(dice, inner, target) };
            parts[at] = base64url(&changed).into_bytes();
        }
        None => parts[at] = text(dice, std::mem::take(&mut parts[at]), target),
    }
    if dice.of(16) == 0 {
        let extra = parts[dice.of(parts.len())].clone();
        parts.push(extra);
    }
    parts.join(&b'.')
}
