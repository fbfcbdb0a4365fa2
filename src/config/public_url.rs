//! The one base of every link and of the issuer.

use url::{Host, Url};

use crate::error::{Error, Result, codes};

/// The URL under which people and apps reach authd. It is the issuer, exactly as it prints: no trailing slash,
/// no query, no fragment; it may carry a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    url: Url,
    text: String,
}

impl PublicUrl {
    /// Reads it. https anywhere; http only on a loopback host. Errors: `config_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong =
            |why: &str| Error::says(&codes::CONFIG_INVALID, format!("The public URL `{text}` cannot be used: {why}."));
        let url = Url::parse(text).map_err(|_| wrong("it is not an absolute URL"))?;
        let loopback = match url.host() {
            Some(host) => is_loopback(&host),
            None => return Err(wrong("it has no host")),
        };
        match url.scheme() {
            "https" => {}
            "http" if loopback => {}
            "http" => {
                return Err(wrong("plain http is for loopback addresses only").help("Put it behind TLS and use https."));
            }
            _ => return Err(wrong("it is not https")),
        }
        if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("it may have a scheme, a host, a port and a path, nothing more"));
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        Ok(Self { url, text })
    }

    /// The issuer of every token: the exact text.
    pub fn issuer(&self) -> &str {
        &self.text
    }

    /// The absolute address of a path of ours; `path` begins with a slash.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.text)
    }

    /// Scheme, host and port, as a browser's `Origin` header says it.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }

    /// True when only this machine reaches it.
    pub fn is_loopback(&self) -> bool {
        self.url.host().is_some_and(|host| is_loopback(&host))
    }

    /// True when people come by https, so that cookies can be `Secure` and `__Host-`.
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host and, unless it is the scheme's own, port: what a `Host` header must say.
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// The path of the issuer, without a trailing slash; empty when it has none.
    pub fn path(&self) -> &str {
        self.url.path().trim_end_matches('/')
    }
}

fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_issuer_is_exact() {
        for (text, issuer) in [
            ("https://id.example.com", "https://id.example.com"),
            ("https://id.example.com/", "https://id.example.com"),
            ("https://ID.example.com:443/sso/", "https://id.example.com/sso"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://localhost:1", "http://localhost:1"),
            ("http://[::1]:9", "http://[::1]:9"),
        ] {
            assert_eq!(PublicUrl::parse(text).unwrap().issuer(), issuer);
        }
        for wrong in
            ["", "id.example.com", "http://id.example.com", "ftp://x", "https://x/?q", "https://x/#f", "https://u@x"]
        {
            assert!(PublicUrl::parse(wrong).is_err(), "{wrong}");
        }
    }
}
