//! Return addresses: what may be registered, and what fits what was registered.

use url::Url;

use super::client::{App, Kind};
use crate::access::Context;
use crate::error::{Error, Result, codes};
use crate::http::callback::{self, loopback};
use crate::id::OrganizationId;
use crate::store::Query;

/// A longer one is refused, at registration and in a request.
pub(super) const LONGEST: usize = callback::LONGEST;

/// Whether the address may be registered for an app of that kind. Errors: `invalid_input`.
pub(super) fn check(kind: Kind, text: &str) -> Result<()> {
    callback::check(text, kind == Kind::Native)
}

/// Whether a page of a registered app that serves the organization lies at `url`: one of its return addresses, or
/// anything on an origin that is registered for it.
pub async fn is_origin_of_app(cx: &Context, organization: OrganizationId, url: &str) -> Result<bool> {
    let Some(origin) = origin(url) else { return Ok(false) };
    any(cx, organization, |app| app.returns_to(url) || app.browser_origins().contains(&origin)).await
}

/// Whether `url` is, exactly, a return address of a registered app that serves the organization.
pub async fn is_callback_of_app(cx: &Context, organization: OrganizationId, url: &str) -> Result<bool> {
    any(cx, organization, |app| app.returns_to(url)).await
}

/// Whether one of the apps that serve the organization fits. Its own are looked at first.
async fn any(cx: &Context, organization: OrganizationId, fits: impl Fn(&App) -> bool) -> Result<bool> {
    for query in [Query::by("organization", organization.bytes()), Query::all()] {
        let mut cursor = None;
        loop {
            let page = cx.store.page::<App>(query.clone().limit(1_000).after(cursor)).await?;
            if page.items.iter().any(|app| app.reach().includes(organization) && fits(app)) {
                return Ok(true);
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(false)
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
