//! Return addresses: what may be registered, and what fits what was registered.

use url::{Host, Url};

use super::client::Kind;
use crate::error::{Error, Result, codes};

/// A longer one is refused, at registration and in a request.
pub(super) const LONGEST: usize = 2_048;

/// Whether the address may be registered for an app of that kind. It is kept byte for byte, so it must be written
/// the one way that a URL parser would write it: then no two readers can disagree about where it leads.
/// Errors: `invalid_input`.
pub(super) fn check(kind: Kind, text: &str) -> Result<()> {
    let wrong = |why: &str| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
        Error::says(&codes::INVALID_INPUT, format!("The redirect URI `{shown}` cannot be registered: {why}."))
    };
    if text.is_empty() || text.len() > LONGEST {
        return Err(wrong("it needs 1 to 2,048 bytes"));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) || text.contains(['\\', '"', '<', '>']) {
        return Err(wrong("it has letters that do not belong in a URL"));
    }
    if text.contains('*') {
        return Err(wrong("there are no wildcards").help("Register every address on its own."));
    }
    if text.contains('#') {
        return Err(wrong("it has a fragment"));
    }
    let url = Url::parse(text).map_err(|_| wrong("it is not an absolute URL"))?;
    match url.scheme() {
        "https" => {}
        "http" if loopback(&url) => {}
        "http" => return Err(wrong("plain http is for loopback addresses only").help("Use https.")),
        // RFC 8252 §7.1: a scheme of one's own is a domain name backwards, which also keeps out `javascript`.
        scheme if kind == Kind::Native && scheme.contains('.') => {}
        _ if kind == Kind::Native => {
            return Err(wrong("its scheme is not a domain name backwards, like `com.example.app`"));
        }
        _ => return Err(wrong("it is not https")),
    }
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err(wrong("it has a user name or password"));
    }
    if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
        return Err(wrong("it can be written in more than one way").help(format!("Write it as `{url}`.")));
    }
    Ok(())
}

/// Scheme, host and port, as a browser's `Origin` header says it; none for a scheme of one's own.
pub(super) fn origin(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.origin().ascii_serialization())
}

/// Whether `text` is an origin and nothing more, written as a browser writes it. Errors: `invalid_input`.
pub(super) fn check_origin(text: &str) -> Result<()> {
    let known =
        Url::parse(text).ok().filter(|url| url.scheme() == "https" || (url.scheme() == "http" && loopback(url)));
    if known.is_some_and(|url| url.origin().ascii_serialization() == text) {
        return Ok(());
    }
    Err(Error::says(
        &codes::INVALID_INPUT,
        "An origin is https (or http on loopback), a host and a port, nothing more.",
    ))
}

/// Whether a request may return to `asked`: byte for byte one of the registered ones. Only for a native app may the
/// port differ, and only on a literal loopback address, as it gets one from its system (RFC 8252 §7.3).
pub(super) fn fits(kind: Kind, registered: &[String], asked: &str) -> bool {
    registered.iter().any(|known| known == asked || (kind == Kind::Native && same_but_port(known, asked)))
}

fn same_but_port(known: &str, asked: &str) -> bool {
    ["http://127.0.0.1", "http://[::1]"].into_iter().any(|base| {
        match (known.strip_prefix(base).and_then(after_port), asked.strip_prefix(base).and_then(after_port)) {
            (Some(known), Some(asked)) => known == asked,
            _ => false,
        }
    })
}

/// What follows the port, if there is a proper one or none: never what only looks like the end of an address.
fn after_port(rest: &str) -> Option<&str> {
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let port: u16 = rest[..digits].parse().ok()?;
            (port > 0 && !rest.starts_with('0')).then_some(&rest[digits..])?
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some(rest)
}

fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_registered() {
        for good in [
            "https://app.example.com/cb",
            "https://app.example.com",
            "https://app.example.com/",
            "https://app.example.com/cb?tenant=1",
            "https://app.example.com:8443/cb",
            "http://127.0.0.1:9/cb",
            "http://[::1]:9/cb",
            "http://localhost:3000/cb",
            "http://localhost/cb",
        ] {
            assert!(check(Kind::Web, good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/cb",
            "app.example.com/cb",
            "http://app.example.com/cb",
            "https://app.example.com/cb#",
            "https://app.example.com/cb#x",
            "https://*.example.com/cb",
            "https://app.example.com/*",
            "https://u@app.example.com/cb",
            "https://@app.example.com/cb",
            "https://u:p@app.example.com/cb",
            "https://APP.example.com/cb",
            "https://app.example.com:443/cb",
            "https://app.example.com/a/../cb",
            "https://app.example.com/%2e%2e/cb",
            "https:\\\\app.example.com/cb",
            "https:/app.example.com/cb",
            "https://app.example.com/c b",
            "https://app.example.com/cb\n",
            "http://0x7f.1/cb",
            "http://localhost.example.com/cb",
            "http://127.0.0.1.example.com/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "com.example.app:/cb",
            "ftp://app.example.com/cb",
        ] {
            assert!(check(Kind::Web, bad).is_err(), "{bad}");
            assert!(check(Kind::Spa, bad).is_err(), "{bad}");
        }
        assert!(check(Kind::Native, "com.example.app:/cb").is_ok());
        assert!(check(Kind::Native, "com.example.app://cb").is_ok());
        for bad in ["javascript:alert(1)", "file:///etc/passwd", "data:text/html,x", "app:/cb", "vbscript:x"] {
            assert!(check(Kind::Native, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_native_app_on_a_literal_loopback_address_may_change_the_port() {
        let known = |text: &str| [text.to_owned()];
        for (registered, asked) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:51004/cb"),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1:51004/cb"),
            ("http://127.0.0.1:1/cb", "http://127.0.0.1/cb"),
            ("http://[::1]/cb?x=1", "http://[::1]:9/cb?x=1"),
        ] {
            assert!(fits(Kind::Native, &known(registered), asked), "{asked}");
            assert!(!fits(Kind::Web, &known(registered), asked), "{asked}");
            assert!(!fits(Kind::Spa, &known(registered), asked), "{asked}");
        }
        for (registered, asked) in [
            ("http://127.0.0.1/cb", "http://127.0.0.1:1/cb2"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:1@evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1.evil.example/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:70000/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.1:+1/cb"),
            ("http://127.0.0.1/cb", "https://127.0.0.1:1/cb"),
            ("http://127.0.0.1/cb", "http://127.0.0.2:1/cb"),
            ("http://127.0.0.1/cb", "http://[::1]:1/cb"),
            ("http://localhost/cb", "http://localhost:1/cb"),
            ("https://127.0.0.1/cb", "https://127.0.0.1:1/cb"),
        ] {
            assert!(!fits(Kind::Native, &known(registered), asked), "{asked}");
        }
    }

    #[test]
    fn origins() {
        assert_eq!(origin("https://app.example.com/cb?x").as_deref(), Some("https://app.example.com"));
        assert_eq!(origin("http://localhost:3000/cb").as_deref(), Some("http://localhost:3000"));
        assert_eq!(origin("com.example.app:/cb"), None);
        assert!(check_origin("https://app.example.com").is_ok());
        for bad in ["*", "null", "https://app.example.com/", "https://app.example.com:443", "http://a.example", "x"] {
            assert!(check_origin(bad).is_err(), "{bad}");
        }
    }
}
