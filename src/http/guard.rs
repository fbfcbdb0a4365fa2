//! The names that are served, the client's address behind proxies, and where a form came from.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use url::Host;

use super::request::RequestInfo;
use super::{address, reply};
use crate::config::PublicUrl;
use crate::error::{Error, Result, codes};

/// What a door knows of its place in the world: the public URL, the names it is reached by, the proxies before it.
#[derive(Clone, Debug)]
pub struct Site {
    origin: String,
    https: bool,
    hosts: Vec<Host>,
    /// The same hosts as clients usually write them, with and without the port: most requests need no parser.
    usual: Vec<String>,
    proxies: Vec<IpNet>,
}

impl Site {
    /// `listening` are the addresses of the listeners: one on loopback (or on every address) is also served by the
    /// names of loopback, one on a certain address also by that address.
    pub fn new(public_url: &PublicUrl, listening: &[SocketAddr], proxies: Vec<IpNet>) -> Self {
        let mut usual = vec![public_url.authority()];
        for at in listening {
            let names: Vec<String> = match at.ip() {
                ip if ip.is_loopback() || ip.is_unspecified() => {
                    ["localhost", "127.0.0.1", "[::1]"].map(str::to_owned).into()
                }
                IpAddr::V4(ip) => vec![ip.to_string()],
                IpAddr::V6(ip) => vec![format!("[{ip}]")],
            };
            usual.extend(names.iter().map(|name| format!("{name}:{}", at.port())));
            usual.extend(names);
        }
        let hosts = usual.iter().filter_map(|name| host_of(name)).collect();
        Self { origin: public_url.origin(), https: public_url.is_https(), hosts, usual, proxies }
    }

    /// Scheme, host and port of the public URL, as an `Origin` header says it.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// True when people come by https.
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether a request names a host that is served here. Exactly one name must be given, by `Host` or by `:authority`;
    /// the port is not compared, since a proxy or a container may change it, and no attacker's name gains by it.
    /// Errors: `host_not_served`.
    pub fn serves(&self, uri: &Uri, headers: &HeaderMap) -> Result<()> {
        let refuse = || Error::new(&codes::HOST_NOT_SERVED);
        let mut named = headers.get_all(header::HOST).iter();
        let given = (named.next(), named.next(), uri.authority());
        let names: [Option<&str>; 2] = match given {
            (_, Some(_), _) | (None, _, None) => return Err(refuse()),
            (host, None, authority) => {
                let host = host.map(|value| value.to_str().map_err(|_| refuse())).transpose()?;
                [host, authority.map(axum::http::uri::Authority::as_str)]
            }
        };
        if names.into_iter().flatten().all(|name| self.serves_name(name)) { Ok(()) } else { Err(refuse()) }
    }

    fn serves_name(&self, authority: &str) -> bool {
        self.usual.iter().any(|usual| usual == authority)
            || host_of(authority).is_some_and(|host| self.hosts.contains(&host))
    }

    /// The client's address: the peer's, unless the peer is a trusted proxy; then the rightmost address of
    /// `X-Forwarded-For` that no trusted proxy has. What stands left of it may be anyone's invention.
    pub fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let trusted = |ip: IpAddr| self.proxies.iter().any(|network| network.contains(&ip));
        let mut client = peer.to_canonical();
        let hops: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .flat_map(|value| value.to_str().unwrap_or("?").split(','))
            .collect();
        for hop in hops.into_iter().rev() {
            if !trusted(client) {
                break;
            }
            match hop_address(hop.trim()) {
                Some(ip) => client = ip,
                None => break,
            }
        }
        client
    }

    /// True when the peer is a proxy that is trusted to tell the client's address.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(&peer.to_canonical()))
    }

    /// Whether a request that changes something came from a page of ours. Errors: `csrf`.
    ///
    /// `Sec-Fetch-Site` decides where a browser sends it; our pages carry `Referrer-Policy: no-referrer`, by which
    /// browsers make `Origin` `null` even for our own forms, so that only a foreign `Origin` counts against it then.
    /// Without either header it is not a browser's cross-site request: every browser sends `Origin` with these.
    pub fn from_own_page(&self, headers: &HeaderMap) -> Result<()> {
        let refuse = || Err(Error::new(&codes::CSRF));
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let origin = match (origins.next(), origins.next()) {
            (_, Some(_)) => return refuse(),
            (origin, None) => origin.map(|value| value.to_str().unwrap_or("?")),
        };
        match headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?")) {
            Some("same-origin" | "none") => match origin {
                None | Some("null") => Ok(()),
                Some(origin) if origin == self.origin => Ok(()),
                Some(_) => refuse(),
            },
            Some(_) => refuse(),
            None => match origin {
                None => Ok(()),
                Some(origin) if origin == self.origin => Ok(()),
                Some(_) => refuse(),
            },
        }
    }
}

/// The host of `host`, `host:port`, `[v6]` or `[v6]:port`; none for anything else.
fn host_of(authority: &str) -> Option<Host> {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => {
            if port.is_empty() || !port.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            host
        }
        _ => authority,
    };
    Host::parse(host).ok()
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let ip = bare.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|at| at.ip()));
    ip.ok().map(|ip| ip.to_canonical())
}

/// Layer for routes that take forms: a `POST` that does not come from a page of ours is refused with `csrf`, as JSON.
/// A page that wants to say it nicely calls `Site::from_own_page` itself.
pub async fn own_forms(State(site): State<Arc<Site>>, info: RequestInfo, request: Request, next: Next) -> Response {
    let safe = request.method().is_safe();
    match if safe { Ok(()) } else { site.from_own_page(request.headers()) } {
        Ok(()) => next.run(request).await,
        Err(error) => reply::problem(&error, info.id),
    }
}

/// True for addresses that count as one client for limits: IPv6 by its /64, since one host may hold all of it.
pub fn same_client(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if address::embedded_v4(ip).is_none() => {
            IpAddr::V6((u128::from(ip) & !u128::from(u64::MAX)).into())
        }
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::{HeaderName, HeaderValue};

    fn site(public: &str, listening: &[&str], proxies: &[&str]) -> Site {
        let listening: Vec<_> = listening.iter().map(|at| at.parse().unwrap()).collect();
        Site::new(
            &PublicUrl::parse(public).unwrap(),
            &listening,
            proxies.iter().map(|net| net.parse().unwrap()).collect(),
        )
    }

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_known_hosts_are_served() {
        let site = site("https://sso.example.com", &["127.0.0.1:8080"], &[]);
        let path = Uri::from_static("/");
        for host in [
            "sso.example.com",
            "SSO.example.com:443",
            "sso.example.com:8443",
            "localhost:8080",
            "127.0.0.1:8080",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(site.serves(&path, &headers(&[("host", host)])).is_ok(), "{host}");
        }
        for host in [
            "evil.example",
            "sso.example.com.evil.example",
            "",
            ":",
            "sso.example.com:",
            "sso.example.com:x",
            "a@sso.example.com",
            "10.0.0.1",
            "sso.example.com:443:443",
        ] {
            assert!(site.serves(&path, &headers(&[("host", host)])).is_err(), "{host}");
        }
        assert!(site.serves(&path, &headers(&[])).is_err(), "none");
        assert!(
            site.serves(&path, &headers(&[("host", "sso.example.com"), ("host", "sso.example.com")])).is_err(),
            "two"
        );
        let absolute = Uri::from_static("https://sso.example.com/");
        assert!(site.serves(&absolute, &headers(&[])).is_ok(), "h2");
        assert!(site.serves(&absolute, &headers(&[("host", "evil.example")])).is_err());
        assert!(
            site.serves(&Uri::from_static("http://evil.example/"), &headers(&[("host", "sso.example.com")])).is_err()
        );
    }

    #[test]
    fn loopback_names_are_served_only_by_a_listener_on_loopback() {
        let site = site("https://sso.example.com", &["192.0.2.1:443"], &[]);
        assert!(site.serves(&Uri::from_static("/"), &headers(&[("host", "localhost")])).is_err());
        assert!(site.serves(&Uri::from_static("/"), &headers(&[("host", "192.0.2.1")])).is_ok());
    }

    #[test]
    fn the_client_is_the_rightmost_address_that_no_proxy_of_ours_has() {
        let site = site("https://x.example", &[], &["10.0.0.0/8", "::1/128"]);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (peer, forwarded, client) in [
            ("198.51.100.7", &[("x-forwarded-for", "1.2.3.4")][..], "198.51.100.7"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
            ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.2")], "1.2.3.4"),
            ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.2.3.4")], "1.2.3.4"),
            ("10.0.0.1", &[("x-forwarded-for", "1.2.3.4:5678")], "1.2.3.4"),
            ("::1", &[("x-forwarded-for", "[2606:4700::1]:5678")], "2606:4700::1"),
            ("::ffff:10.0.0.1", &[("x-forwarded-for", "2606:4700::1")], "2606:4700::1"),
            ("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, nonsense, 10.0.0.2")], "10.0.0.2"),
            ("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        ] {
            assert_eq!(site.client_ip(ip(peer), &headers(forwarded)), ip(client), "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_form_must_come_from_a_page_of_ours() {
        let site = site("https://sso.example.com", &[], &[]);
        let own = "https://sso.example.com";
        for fine in [
            &[][..],
            &[("origin", own)],
            &[("sec-fetch-site", "same-origin"), ("origin", "null")],
            &[("sec-fetch-site", "same-origin"), ("origin", own)],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
        ] {
            assert!(site.from_own_page(&headers(fine)).is_ok(), "{fine:?}");
        }
        for foreign in [
            &[("origin", "https://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "http://sso.example.com")],
            &[("origin", "https://sso.example.com:8443")],
            &[("origin", own), ("origin", own)],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", own)],
            &[("sec-fetch-site", "same-site"), ("origin", "https://x.example.com")],
            &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        ] {
            assert!(site.from_own_page(&headers(foreign)).unwrap_err().is(&codes::CSRF), "{foreign:?}");
        }
    }
}
