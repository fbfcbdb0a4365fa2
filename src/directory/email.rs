//! E-mail addresses, read strictly: what cannot be read the same way by everybody is refused.

use crate::error::{Error, Result, codes};

/// An address with its one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailAddress {
    /// As it was written.
    pub text: String,
    /// For comparison: the local part in lower case (ASCII letters only, so that no two people are merged by a
    /// Unicode fold), the domain in its ASCII form.
    pub folded: String,
    /// The domain, in lower-case ASCII (IDNA, UTS 46 strict).
    pub domain: String,
}

impl EmailAddress {
    /// Reads `local@domain`: one `@`, no quoting, no comment, no space or control character, at most 254 bytes.
    /// Errors: `profile_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = || Error::says(&codes::PROFILE_INVALID, "That is not an e-mail address that can be used.");
        let (local, domain) = text.split_once('@').ok_or_else(wrong)?;
        let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"\"(),:;<>[\\]@".contains(c) && !invisible(c);
        if text.len() > 254 || local.is_empty() || local.len() > 64 || !local.chars().all(plain) {
            return Err(wrong());
        }
        let domain = domain_name(domain).ok_or_else(wrong)?;
        let folded = format!("{}@{domain}", local.to_ascii_lowercase());
        Ok(Self { text: text.to_owned(), folded, domain })
    }
}

/// Characters that change what a reader sees: bidi controls and zero-width marks.
fn invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}')
}

/// A host name of at least two labels, in lower-case ASCII (IDNA, strict); `None` for anything else: a single label,
/// an address literal, a trailing dot.
pub fn domain_name(text: &str) -> Option<String> {
    if text.is_empty() || text.len() > 253 || text.ends_with('.') {
        return None;
    }
    let ascii = idna::domain_to_ascii_strict(text).ok()?;
    let labels: Vec<&str> = ascii.split('.').collect();
    let fits = |label: &&str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let all_digits = labels.last().is_some_and(|label| label.bytes().all(|b| b.is_ascii_digit()));
    (labels.len() >= 2 && labels.iter().all(fits) && !all_digits && ascii.len() <= 253).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_plain() {
        let address = EmailAddress::parse("Ada.L+x@Own.Test").unwrap();
        assert_eq!((address.folded.as_str(), address.domain.as_str()), ("ada.l+x@own.test", "own.test"));
        assert_eq!(EmailAddress::parse("ada@bücher.test").unwrap().domain, "xn--bcher-kva.test");
        assert_eq!(EmailAddress::parse("ada@xn--bcher-kva.test").unwrap().domain, "xn--bcher-kva.test");
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        for wrong in [
            "",
            "ada",
            "@own.test",
            "ada@",
            "ada@own",
            "ada@own.test.",
            "ada@own.test@evil.test",
            "\"a@own.test\"@evil.test",
            "ada @own.test",
            "ada@own .test",
            "ada\n@own.test",
            "ada@own.test\r\nbcc:x",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            "a\u{202e}da@own.test",
            "ada@own..test",
            "ada@-own.test",
            "ada(comment)@own.test",
            "<ada@own.test>",
            "ada@own_x.test",
        ] {
            assert!(EmailAddress::parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(EmailAddress::parse(&format!("{}@own.test", "a".repeat(65))).is_err());
    }

    #[test]
    fn folding_merges_no_two_people() {
        let folded = |text| EmailAddress::parse(text).unwrap().folded;
        assert_ne!(folded("ﬁ@own.test"), folded("fi@own.test"));
        assert_ne!(folded("ß@own.test"), folded("ss@own.test"));
        assert_eq!(folded("ADA@own.test"), folded("ada@OWN.test"));
    }
}
