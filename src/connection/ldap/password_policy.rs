//! What a directory says of a password beside yes and no (draft-behera-ldap-password-policy-10 §6, and the older control of
//! the Netscape family). Without being asked, most say only that the password is not right.

use ldap3::controls::{Control, RawControl};

use super::ber::Elements;
use super::reason::{self, Reason};

/// Asks for the word, and is its answer.
const POLICY: &str = "1.3.6.1.4.1.42.2.27.8.5.1";
/// Nobody asks for this one: the password has expired, and nothing else may be done before it is changed.
const EXPIRED: &str = "2.16.840.1.113730.3.4.4";

/// The question. A directory that does not know it goes on without (RFC 4511 §4.1.11).
pub fn question() -> RawControl {
    RawControl { ctype: POLICY.to_owned(), crit: false, val: None }
}

/// Why the account may not be used yet, by what came with the answer to a bind that ended well or not.
///
/// A password that somebody else has set binds, and is good for its own change alone: whoever handed it out knows it too. A
/// word that cannot be read is none.
pub fn word(good: bool, controls: &[Control]) -> Option<Reason> {
    let policy = controls.iter().find(|Control(_, control)| control.ctype == POLICY);
    let policy = policy.and_then(|Control(_, control)| control.val.as_deref());
    if good && policy.is_some_and(|value| error(value).is_none() && is_grace(value)) {
        // One of the last sign-ins with a password that has expired: 389 says `EXPIRED` besides, and lets in.
        return None;
    }
    controls.iter().find_map(|Control(_, control)| match control.ctype.as_str() {
        POLICY => match (good, error(control.val.as_deref()?)?) {
            (false, 0) => Some(reason::PASSWORD_EXPIRED),
            (false, 1) => Some(reason::LOCKED),
            (_, 2) => Some(reason::MUST_CHANGE),
            _ => None,
        },
        EXPIRED if good => Some(reason::MUST_CHANGE),
        EXPIRED => Some(reason::PASSWORD_EXPIRED),
        _ => None,
    })
}

/// `SEQUENCE { warning [0] …, error [1] ENUMERATED }`, each of them optional.
fn error(value: &[u8]) -> Option<u8> {
    let mut parts = Elements::of(Elements::of(value).expect(0x30).ok()?);
    while let Some((tag, content)) = parts.next().ok()? {
        if let (0x81, [number]) = (tag, content) {
            return Some(*number);
        }
    }
    None
}

/// Whether so many more sign-ins are granted: `warning [0] { graceAuthNsRemaining [1] }`.
fn is_grace(value: &[u8]) -> bool {
    let whole = Elements::of(value).expect(0x30);
    let warning = whole.and_then(|inner| Elements::of(inner).expect(0xa0));
    warning.is_ok_and(|warning| Elements::of(warning).expect(0x81).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(good: bool, kind: &str, value: Option<&[u8]>) -> Option<&'static str> {
        let control = RawControl { ctype: kind.to_owned(), crit: false, val: value.map(<[u8]>::to_vec) };
        word(good, &[Control(None, control)]).map(|reason| reason.name)
    }

    #[test]
    fn a_word_of_the_policy_is_read_and_noise_is_none() {
        let error = |number: u8| [0x30, 3, 0x81, 1, number];
        assert_eq!(said(false, POLICY, Some(&error(0))), Some("password_expired"));
        assert_eq!(said(false, POLICY, Some(&error(1))), Some("account_locked"));
        assert_eq!(said(true, POLICY, Some(&error(2))), Some("password_must_change"));
        // A warning goes before: three more sign-ins with the old password.
        let warned = [0x30, 8, 0xa0, 3, 0x81, 1, 3, 0x81, 1, 2];
        assert_eq!(said(true, POLICY, Some(&warned)), Some("password_must_change"));
        assert_eq!(said(true, POLICY, Some(&warned[..7])), None, "cut short");
        assert_eq!(said(true, POLICY, Some(&[0x30, 5, 0xa0, 3, 0x81, 1, 3])), None, "a warning alone lets in");
        assert_eq!(said(true, POLICY, Some(&error(0))), None, "it let the person in");
        for noise in [&b""[..], &[0x30, 0], &[0x30, 0x84], &[4, 1, 2], &[0x30, 2, 0x81, 0], b"\xff\xff"] {
            assert_eq!(said(true, POLICY, Some(noise)), None);
        }
        assert_eq!(said(true, POLICY, None), None);
        assert_eq!(said(true, EXPIRED, Some(b"0")), Some("password_must_change"));
        assert_eq!(said(false, EXPIRED, None), Some("password_expired"));
        assert_eq!(said(true, "1.2.3", Some(&error(2))), None);
        // The 389 directory, within the grace that it grants: both controls, and the bind is good.
        let both = |policy: &[u8]| {
            let control = |kind: &str, value: &[u8]| {
                Control(None, RawControl { ctype: kind.to_owned(), crit: false, val: Some(value.to_vec()) })
            };
            word(true, &[control(EXPIRED, b"0"), control(POLICY, policy)]).map(|reason| reason.name)
        };
        assert_eq!(both(&[0x30, 5, 0xa0, 3, 0x81, 1, 3]), None);
        assert_eq!(both(&[0x30, 8, 0xa0, 3, 0x81, 1, 3, 0x81, 1, 2]), Some("password_must_change"));
        assert_eq!(
            both(&[0x30, 5, 0xa0, 3, 0x80, 1, 3]),
            Some("password_must_change"),
            "time that is left is no grace"
        );
    }
}
