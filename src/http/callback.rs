//! Addresses that people are sent back to: what may be registered.

use url::{Host, Url};

use crate::error::{Error, Result, codes};

/// A longer one is refused.
pub const LONGEST: usize = 2_048;

/// Whether the address may be registered: https, or http on loopback; for a native app a scheme of its own. It is kept byte for byte, so it must be written
/// the one way that a URL parser would write it: then no two readers can disagree about where it leads.
/// Errors: `invalid_input`.
pub fn check(text: &str, native: bool) -> Result<()> {
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
        scheme if native && scheme.contains('.') => {}
        _ if native => {
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

/// Whether it is of this machine.
pub fn loopback(url: &Url) -> bool {
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
