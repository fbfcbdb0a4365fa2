//! The check of a message as Standard Webhooks and Svix sign it. Pure: the keys and the time are arguments.

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::{hmac_sha256, same};
use crate::env::Timestamp;

/// The sender's clock and ours may differ by so many seconds.
const TOLERANCE: i64 = 5 * 60;
/// An id may be so long, in bytes: it becomes a part of a key.
const LONGEST_ID: usize = 256;
/// All signatures together: some dozens.
const LONGEST_SIGNATURES: usize = 4 * 1024;

/// What the headers of a message say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed<'h> {
    /// The message's id: the same for every try of the sender.
    pub id: &'h str,
    /// When this try was made, in seconds, as it was written.
    timestamp: &'h str,
    seconds: i64,
    signatures: &'h str,
}

impl<'h> Signed<'h> {
    /// From either family of headers, as a whole; that of the standard where both came. None where a header is missing,
    /// stands twice, is too long, or says what none can say.
    pub fn read(headers: &'h HeaderMap) -> Option<Self> {
        ["webhook", "svix"].into_iter().find_map(|family| Self::of(headers, family))
    }

    fn of(headers: &'h HeaderMap, family: &str) -> Option<Self> {
        let one = |name: &str, longest: usize| {
            let mut given = headers.get_all(format!("{family}-{name}")).iter();
            let (Some(value), None) = (given.next(), given.next()) else { return None };
            value.to_str().ok().filter(|text| !text.is_empty() && text.len() <= longest)
        };
        let id = one("id", LONGEST_ID)?;
        let timestamp = one("timestamp", 16)?;
        // Digits alone: what `parse` takes besides them no sender writes.
        let seconds = timestamp.bytes().all(|byte| byte.is_ascii_digit()).then(|| timestamp.parse().ok())??;
        Some(Self { id, timestamp, seconds, signatures: one("signature", LONGEST_SIGNATURES)? })
    }

    /// Whether it was made within five minutes of now, before or after.
    pub fn is_of_now(&self, now: Timestamp) -> bool {
        (now.seconds() - self.seconds).abs() <= TOLERANCE
    }

    /// When it was made, in milliseconds.
    pub fn millis(&self) -> i64 {
        self.seconds.saturating_mul(1_000)
    }

    /// Whether one of the signatures is made over these very bytes with one of the keys. Every pair is compared over its
    /// whole length, so that the time tells nothing of how near a guess came. Signatures of other versions are passed over.
    pub fn holds(&self, keys: &[impl AsRef<[u8]>], body: &[u8]) -> bool {
        let signed = [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", body].concat();
        let right: Vec<[u8; 32]> = keys.iter().map(|key| hmac_sha256(key.as_ref(), &signed)).collect();
        let mut holds = false;
        for given in self.signatures.split(' ').filter_map(|text| text.strip_prefix("v1,")) {
            // A shorter or longer one is no beginning of a right one, but none.
            let Ok(given) = STANDARD.decode(given) else { continue };
            for right in &right {
                holds |= same(&given, right);
            }
        }
        holds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::webhook::sign;
    use axum::http::{HeaderName, HeaderValue};

    const KEY: &[u8] = b"twenty-four-bytes-of-key";
    const NOW: i64 = 1_614_265_330;

    fn headers(family: &str, id: &str, timestamp: &str, signature: &str) -> HeaderMap {
        [("id", id), ("timestamp", timestamp), ("signature", signature)]
            .into_iter()
            .map(|(name, value)| {
                (HeaderName::try_from(format!("{family}-{name}")).unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_example_of_the_specification_holds_under_both_names() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        for family in ["webhook", "svix"] {
            let headers = headers(
                family,
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                "1614265330",
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            );
            let signed = Signed::read(&headers).unwrap();
            assert!(signed.holds(&[&key], br#"{"test": 2432232314}"#));
            assert!(!signed.holds(&[&key], br#"{"test":2432232314}"#), "the bytes count, not their meaning");
        }
    }

    #[test]
    fn five_minutes_and_no_more() {
        let signature = sign(KEY, "msg_1", NOW, b"x");
        for (off, good) in [(0, true), (300, true), (-300, true), (301, false), (-301, false)] {
            let headers = headers("svix", "msg_1", &NOW.to_string(), &signature);
            let signed = Signed::read(&headers).unwrap();
            assert_eq!(signed.is_of_now(Timestamp::from_millis((NOW + off) * 1_000)), good, "{off}");
        }
    }

    #[test]
    fn headers_are_read_as_a_whole_family_or_not_at_all() {
        let signature = sign(KEY, "msg_1", NOW, b"x");
        let good = headers("svix", "msg_1", &NOW.to_string(), &signature);
        for name in ["svix-id", "svix-timestamp", "svix-signature"] {
            let mut missing = good.clone();
            missing.remove(name);
            assert_eq!(Signed::read(&missing), None, "{name}");
            let mut twice = good.clone();
            twice.append(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("1"));
            assert_eq!(Signed::read(&twice), None, "{name}");
            // One of the other family does not stand in.
            missing.insert(HeaderName::try_from(name.replace("svix", "webhook")).unwrap(), good[name].clone());
            assert_eq!(Signed::read(&missing), None, "{name}");
        }
        for timestamp in ["", "-1", "+5", "1.5", "0x10", " 1", "99999999999999999999", "1e9"] {
            assert_eq!(Signed::read(&headers("svix", "msg_1", timestamp, &signature)), None, "{timestamp:?}");
        }
        assert_eq!(Signed::read(&headers("svix", &"i".repeat(257), "1", &signature)), None);
        assert_eq!(Signed::read(&headers("svix", "msg_1", "1", &"v1,AA== ".repeat(1_000))), None);
    }
}
