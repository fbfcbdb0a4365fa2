//! Domain names: one form for all that people and providers write.

use std::net::IpAddr;

use crate::directory::domain_name;
use crate::error::{Error, Result, codes};

fn invalid(why: &'static str) -> Error {
    Error::new(&codes::DOMAIN_INVALID).help(why)
}

/// The one form in which a domain is kept and compared: IDNA (UTS 46, strict) to ASCII, lower case, at least two
/// labels, no trailing dot, no address. Errors: `domain_invalid`, with the reason as help.
pub fn canonical(text: &str) -> Result<String> {
    if text.len() > 1_024 {
        return Err(invalid("It is too long."));
    }
    if text.ends_with(['.', '。', '．', '｡']) {
        return Err(invalid("Leave out the dot at the end."));
    }
    if text.parse::<IpAddr>().is_ok() || text.starts_with('[') {
        return Err(invalid("It is an address. Name a domain, like example.com."));
    }
    // The directory reads addresses by the same rule, so an address and a claim cannot mean two domains.
    let name =
        domain_name(text).ok_or_else(|| invalid("Write it as in example.com: letters, digits, hyphens, dots."))?;
    // A last label in hexadecimal makes a browser read the whole as an address (WHATWG URL, "ends in a number").
    if name.rsplit('.').next().is_some_and(|last| last.starts_with("0x")) {
        return Err(invalid("It reads as an address. Name a domain, like example.com."));
    }
    Ok(name)
}

/// A name that one organization can own. Errors: `domain_invalid`, also for public suffixes.
pub fn claimable(text: &str) -> Result<String> {
    let name = canonical(text)?;
    // Names below a public suffix belong to many owners; the list knows registries (`co.uk`) and hosts (`github.io`).
    // It is the second line: nobody can put a TXT record below a suffix, and whoever vouches reads for what.
    if psl::suffix(name.as_bytes()).is_some_and(|suffix| suffix.is_known() && suffix.as_bytes() == name.as_bytes()) {
        return Err(invalid("Names below this one belong to many owners. Claim your own: example.co.uk."));
    }
    Ok(name)
}

/// Every name of a list, each once, in the order they came. Errors: as `claimable`, naming the place in `domains`.
pub fn claimable_all<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for (at, text) in texts.into_iter().enumerate() {
        let name = claimable_at(at, text)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The name at that place of `domains`. Errors: as `claimable`, naming the place.
pub fn claimable_at(at: usize, text: &str) -> Result<String> {
    claimable(text).map_err(|error| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(64).collect();
        error.saying(format!("`domains[{at}]`, `{shown}`, is not a domain name that can be claimed."))
    })
}

/// The domain of a mail address in its canonical form. The domain is what follows the last `@`, which only a quoted
/// local part may hold besides (RFC 5321 §4.1.2). Errors: `domain_invalid`.
pub fn of_email(email: &str) -> Result<String> {
    let wrong = || invalid("That is no mail address with a domain.");
    let (local, domain) = email.rsplit_once('@').ok_or_else(wrong)?;
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    if local.is_empty() || local.len() > 256 || (local.contains('@') && !quoted) {
        return Err(wrong());
    }
    if email.chars().any(|c| c.is_control()) || (!quoted && local.contains(char::is_whitespace)) {
        return Err(wrong());
    }
    canonical(domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_domain_has_one_form() {
        for (text, name) in [
            ("example.com", "example.com"),
            ("EXAMPLE.Com", "example.com"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER.example", "xn--bcher-kva.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("a。example.com", "a.example.com"),
            ("ｅxample.com", "example.com"),
            ("sub.example.co.uk", "sub.example.co.uk"),
            ("example.co.uk", "example.co.uk"),
            ("someone.github.io", "someone.github.io"),
            ("www.ck", "www.ck"),
            ("食狮.公司.cn", "xn--85x722f.xn--55qx5d.cn"),
            ("straße.example", "xn--strae-oqa.example"),
            ("ΣΊΓΜΑΣ.example", "xn--kxaef0b6ae.example"),
            ("corp.internal", "corp.internal"),
        ] {
            assert_eq!(claimable(text).unwrap(), name, "{text}");
        }
    }

    #[test]
    fn what_nobody_can_own_is_refused() {
        for text in [
            "",
            ".",
            "com",
            "localhost",
            "example.com.",
            "example.com。",
            ".example.com",
            "a..example.com",
            "-a.example",
            "a-.example",
            "a_b.example",
            "exa mple.com",
            "example.com/x",
            "example.com:443",
            "*.example.com",
            "a@example.com",
            "127.0.0.1",
            "10.1",
            "1.2.3.4.5",
            "a.0x1",
            "[::1]",
            "::1",
            "xn--\u{fc}.example",
            "xn--a.example",
            "a\u{200b}\u{200d}.example",
            "co.uk",
            "CO.UK",
            "com.au",
            "github.io",
            "GitHub.io",
            "ac.jp",
            "k12.ca.us",
            "s3.amazonaws.com",
            "anything.ck",
            "公司.cn",
            "xn--55qx5d.cn",
            "個人.hk",
            &format!("{}.example", "a".repeat(64)),
            &format!("{}example", "a.".repeat(130)),
            &"a.".repeat(9_999),
        ] {
            assert!(claimable(text).unwrap_err().is(&codes::DOMAIN_INVALID), "{text}");
        }
    }

    #[test]
    fn the_domain_of_an_address_is_what_follows_its_last_at() {
        for (email, domain) in [
            ("a@own.test", "own.test"),
            ("a+b@OWN.test", "own.test"),
            ("a@sub.own.test", "sub.own.test"),
            ("a@own.test.evil.test", "own.test.evil.test"),
            ("\"a@own.test\"@evil.test", "evil.test"),
            ("a@bücher.example", "xn--bcher-kva.example"),
        ] {
            assert_eq!(of_email(email).unwrap(), domain, "{email}");
        }
        for wrong in [
            "",
            "a",
            "@own.test",
            "a@",
            "a@localhost",
            "a@own.test.",
            "a@evil.test@own.test",
            "a b@own.test",
            "a@[127.0.0.1]",
            "a@own.test\n",
            "a\0@own.test",
            "\"@own.test\"",
        ] {
            assert!(of_email(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn the_form_is_a_fixed_point(text in "[a-zA-Z0-9äßéя中.\\-]{1,40}") {
            if let Ok(name) = canonical(&text) {
                prop_assert!(name.is_ascii());
                prop_assert!(!name.bytes().any(|b| b.is_ascii_uppercase()));
                prop_assert_eq!(canonical(&name).unwrap(), name);
            }
        }

        #[test]
        fn no_text_is_too_strange(text in ".{0,64}") {
            let _ = claimable(&text);
            let _ = of_email(&text);
        }
    }
}
