//! The security headers of every answer.

use axum::http::HeaderMap;
use axum::http::header::{self, HeaderName, HeaderValue};
use url::{Host, Url};

/// What an answer that is no page may do in a browser: nothing.
const NOTHING: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Adds what an answer has not set itself. Without word from the handler nothing is cached, framed or run.
pub(super) fn secure(headers: &mut HeaderMap, https: bool) {
    headers.reserve(8);
    let mut add = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::REFERRER_POLICY, "no-referrer");
    add(header::CONTENT_SECURITY_POLICY, NOTHING);
    // For browsers that do not read `frame-ancestors`.
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::CACHE_CONTROL, "no-store");
    if https {
        add(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000");
    }
}

/// The content security policy of a page: own styles, own images, forms to ourselves and to `targets`.
///
/// Chrome holds `form-action` against every redirect that answers a form too: a page whose form ends in a redirect to an
/// app or an identity provider names their addresses as `targets`. Of a target only its origin enters the policy; the bare
/// scheme `https:` or `http:` stands for every address of it, where the provider is not known yet.
pub fn page_policy<'a>(targets: impl IntoIterator<Item = &'a str>) -> HeaderValue {
    let mut policy = String::from(
        "default-src 'none'; style-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    );
    let mut sources: Vec<String> = targets.into_iter().filter_map(source).collect();
    sources.sort_unstable();
    sources.dedup();
    for source in sources {
        policy.push(' ');
        policy.push_str(&source);
    }
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(NOTHING))
}

/// The policy of a page that has frames: only of the origins of these addresses.
pub fn framing_policy(frames: &[String]) -> HeaderValue {
    let policy = page_policy([]);
    let mut sources: Vec<String> = frames.iter().filter_map(|frame| source(frame)).collect();
    sources.sort_unstable();
    sources.dedup();
    let policy = policy.to_str().map(|policy| format!("{policy}; frame-src {}", sources.join(" ")));
    policy.ok().and_then(|policy| HeaderValue::try_from(policy).ok()).unwrap_or(HeaderValue::from_static(NOTHING))
}

/// A URL's origin as a source expression (CSP3 §2.3.1). The grammar knows no IPv6 host, and an app's own scheme has no
/// host: there the scheme alone is named.
fn source(target: &str) -> Option<String> {
    if matches!(target, "https:" | "http:") {
        return Some(target.to_owned());
    }
    let url = Url::parse(target).ok()?;
    match (url.scheme(), url.host()) {
        ("javascript" | "data" | "blob" | "file" | "about", _) => None,
        ("http" | "https", Some(Host::Domain(_) | Host::Ipv4(_))) => Some(url.origin().ascii_serialization()),
        (scheme, _) => Some(format!("{scheme}:")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_of_targets_enter_the_policy() {
        let policy = |targets: &[&str]| {
            page_policy(targets.iter().copied()).to_str().unwrap().rsplit_once("form-action ").unwrap().1.to_owned()
        };
        assert_eq!(policy(&[]), "'self'");
        assert_eq!(policy(&["https://app.example/cb?x=1", "https://app.example/other"]), "'self' https://app.example");
        assert_eq!(policy(&["http://127.0.0.1:3000/cb"]), "'self' http://127.0.0.1:3000");
        assert_eq!(policy(&["http://[::1]:3000/cb"]), "'self' http:");
        assert_eq!(policy(&["com.example.app:/cb"]), "'self' com.example.app:");
        assert_eq!(policy(&["javascript:alert(1)", "data:text/html,x", "nonsense"]), "'self'");
        assert_eq!(policy(&["https://a.example;script-src *"]), "'self'");
    }
}
