//! What may be called: the public internet over https, and what the operator has named in `outbound.allow`.

use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use url::{Host, Url};

use super::address::{embedded_v4, is_localhost, is_public};
use crate::error::{Error, Result, codes};

/// One entry of `outbound.allow`. What it names may be private, may be called by plain http, and on that port
/// (on any port when the entry has none).
///
/// Forms: `10.0.0.0/8`, `10.1.2.3`, `10.1.2.3:8443`, `[fd00::1]:8443`, `idp.corp`, `idp.corp:8443`.
/// `localhost` names this machine in every spelling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutboundEntry {
    /// Every address of a network.
    Network(IpNet),
    /// One address.
    Address {
        /// IPv4-mapped IPv6 is kept as IPv4.
        ip: IpAddr,
        /// Only this port, if given.
        port: Option<u16>,
    },
    /// One name, whatever it resolves to.
    Host {
        /// Lower case, in A-labels, without a trailing dot.
        name: String,
        /// Only this port, if given.
        port: Option<u16>,
    },
}

impl FromStr for OutboundEntry {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let wrong = |why: &str| {
            Error::says(&codes::CONFIG_INVALID, format!("`{text}` cannot stand in `outbound.allow`: {why}."))
                .help("An entry is a network (10.0.0.0/8), an address, a host name, or one of these two with a port (idp.corp:8443).")
        };
        if text.contains("://") {
            return Err(wrong("it is a URL, not a host"));
        }
        if text.contains('/') {
            let network: IpNet = text.parse().map_err(|_| wrong("it is not a network"))?;
            return Ok(Self::Network(network.trunc()));
        }
        if let Ok(ip) = text.parse::<IpAddr>() {
            return Ok(Self::Address { ip: ip.to_canonical(), port: None });
        }
        let (host, port) = match text.rsplit_once(':') {
            // `[fd00::1]` has colons, but no port behind the bracket.
            Some((host, port)) if !text.ends_with(']') => match port.parse::<u16>() {
                Ok(port) if port > 0 => (host, Some(port)),
                _ => return Err(wrong("its port is not a number between 1 and 65535")),
            },
            _ => (text, None),
        };
        match Host::parse(host) {
            Ok(Host::Ipv4(ip)) => Ok(Self::Address { ip: IpAddr::V4(ip), port }),
            Ok(Host::Ipv6(ip)) => Ok(Self::Address { ip: IpAddr::V6(ip).to_canonical(), port }),
            Ok(Host::Domain(name)) if !name.contains('*') && !plain_name(&name).is_empty() => {
                Ok(Self::Host { name: plain_name(&name).to_owned(), port })
            }
            _ => Err(wrong("it is not a host name")),
        }
    }
}

impl std::fmt::Display for OutboundEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Network(network) => write!(f, "{network}"),
            Self::Address { ip, port: None } => write!(f, "{ip}"),
            Self::Address { ip, port: Some(port) } => write!(f, "{}", std::net::SocketAddr::new(*ip, *port)),
            Self::Host { name, port: None } => f.write_str(name),
            Self::Host { name, port: Some(port) } => write!(f, "{name}:{port}"),
        }
    }
}

impl serde::Serialize for OutboundEntry {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for OutboundEntry {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The whole of `outbound.allow`. Empty: the public internet only, by https on port 443.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct OutboundRules(Vec<OutboundEntry>);

/// From a list with commas or spaces between, as flags and environment variables have it.
impl FromStr for OutboundRules {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty()))
    }
}

/// Where a call would go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target<'a> {
    pub host: Host<&'a str>,
    pub port: u16,
    /// By https.
    pub secure: bool,
}

impl<'a> Target<'a> {
    /// Takes a URL apart. Errors: `url_not_allowed` for what can never be called.
    pub fn of(url: &'a Url) -> Result<Self> {
        let refuse = |why: &'static str| Err(Error::says(&codes::URL_NOT_ALLOWED, why));
        let secure = match url.scheme() {
            "https" => true,
            "http" => false,
            _ => return refuse("The address is not an https URL."),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("The address has a user name or a password in it.");
        }
        let Some(host) = url.host() else { return refuse("The address has no host.") };
        match url.port_or_known_default() {
            Some(port) if port > 0 => Ok(Self { host, port, secure }),
            _ => refuse("The address has no port that can be called."),
        }
    }

    /// True for https on its own port: what needs no entry when the address is public.
    fn is_ordinary(&self) -> bool {
        self.secure && self.port == 443
    }
}

fn plain_name(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

impl OutboundRules {
    /// From the entries. Errors: `config_invalid`, naming the entry.
    pub fn parse<S: AsRef<str>>(entries: impl IntoIterator<Item = S>) -> Result<Self> {
        entries.into_iter().map(|entry| entry.as_ref().parse()).collect::<Result<_>>().map(Self)
    }

    /// The entries, in their order.
    pub fn entries(&self) -> &[OutboundEntry] {
        &self.0
    }

    /// Whether `url` could be called at all, before any name is resolved. Errors: `url_not_allowed` for what can never
    /// be called as it stands, `outbound_not_allowed` for a private target that has no entry.
    pub fn permits(&self, url: &Url) -> Result<()> {
        let target = Target::of(url)?;
        match target.host {
            Host::Ipv4(ip) => self.permits_address(IpAddr::V4(ip), &target),
            Host::Ipv6(ip) => self.permits_address(IpAddr::V6(ip), &target),
            Host::Domain(name) => {
                let name = plain_name(name);
                if name.is_empty() {
                    Err(Error::says(&codes::URL_NOT_ALLOWED, "The address has no host."))
                } else if self.names_host(name, target.port) {
                    Ok(())
                } else if is_localhost(name) {
                    if self.may_name_an_address(target.port) {
                        Ok(())
                    } else {
                        Err(Error::new(&codes::OUTBOUND_NOT_ALLOWED))
                    }
                } else if target.is_ordinary() || self.may_name_an_address(target.port) {
                    Ok(())
                } else {
                    Err(unordinary(&target))
                }
            }
        }
    }

    /// The addresses, of those that a name resolved to, that may be connected to. One address that may not is enough
    /// to refuse the name. Errors: `outbound_not_allowed`, `url_not_allowed`, `upstream_unavailable` for none at all.
    pub(super) fn admit(&self, name: &str, port: u16, secure: bool, found: Vec<IpAddr>) -> Result<Vec<IpAddr>> {
        let name = plain_name(name);
        if found.is_empty() {
            return Err(Error::says(&codes::UPSTREAM_UNAVAILABLE, "The host name has no address."));
        }
        if self.names_host(name, port) {
            return Ok(found);
        }
        let target = Target { host: Host::Domain(name), port, secure };
        if is_localhost(name) {
            // It has two addresses on most machines, and an entry usually names one: only that one is called.
            let named: Vec<_> = found.into_iter().filter(|ip| self.names_address(*ip, port)).collect();
            return if named.is_empty() { Err(Error::new(&codes::OUTBOUND_NOT_ALLOWED)) } else { Ok(named) };
        }
        for ip in &found {
            self.permits_address(*ip, &target)?;
        }
        Ok(found)
    }

    /// Whether `ip`:`port` may be connected to by a protocol that brings its own encryption (LDAP). `ordinary` tells
    /// whether the port is one of that protocol. Errors: as `permits`.
    pub fn permits_socket(&self, host: &str, ip: IpAddr, port: u16, ordinary: bool) -> Result<()> {
        let named = self.names_host(&plain_name(host).to_ascii_lowercase(), port) || self.names_address(ip, port);
        match (named, is_public(ip)) {
            (true, _) => Ok(()),
            (false, false) => Err(Error::new(&codes::OUTBOUND_NOT_ALLOWED)),
            (false, true) if ordinary => Ok(()),
            (false, true) => Err(Error::says(&codes::URL_NOT_ALLOWED, "authd does not call this port.")),
        }
    }

    fn permits_address(&self, ip: IpAddr, target: &Target<'_>) -> Result<()> {
        if self.names_address(ip, target.port) {
            Ok(())
        } else if !is_public(ip) {
            Err(Error::new(&codes::OUTBOUND_NOT_ALLOWED))
        } else if target.is_ordinary() {
            Ok(())
        } else {
            Err(unordinary(target))
        }
    }

    fn names_host(&self, wanted: &str, at: u16) -> bool {
        self.0.iter().any(|entry| match entry {
            OutboundEntry::Host { name, port } => name == wanted && port.is_none_or(|port| port == at),
            _ => false,
        })
    }

    fn names_address(&self, ip: IpAddr, at: u16) -> bool {
        let ip = ip.to_canonical();
        let named = |wanted: IpAddr| {
            self.0.iter().any(|entry| match entry {
                OutboundEntry::Network(network) => network.contains(&wanted),
                OutboundEntry::Address { ip, port } => *ip == wanted && port.is_none_or(|port| port == at),
                OutboundEntry::Host { name, port } => {
                    name == "localhost" && wanted.is_loopback() && port.is_none_or(|port| port == at)
                }
            })
        };
        // A tunnel that is allowed does not open what lies behind it.
        let behind = match ip {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => embedded_v4(ip).map(IpAddr::V4),
        };
        named(ip) && behind.is_none_or(|inner| is_public(inner) || named(inner))
    }

    /// True when some entry could name what a host resolves to, so that only its addresses can tell.
    fn may_name_an_address(&self, at: u16) -> bool {
        self.0.iter().any(|entry| match entry {
            OutboundEntry::Network(_) => true,
            OutboundEntry::Address { port, .. } => port.is_none_or(|port| port == at),
            OutboundEntry::Host { name, port } => name == "localhost" && port.is_none_or(|port| port == at),
        })
    }
}

fn unordinary(target: &Target<'_>) -> Error {
    let why = if target.secure {
        "authd calls this port only where it is allowed."
    } else {
        "authd calls plain http only where it is allowed."
    };
    Error::says(&codes::URL_NOT_ALLOWED, why)
        .help("Use https on port 443, or add its host:port to `outbound.allow` (or `--outbound-allow`).")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(entries: &[&str]) -> OutboundRules {
        OutboundRules::parse(entries).unwrap()
    }

    fn verdict(rules: &OutboundRules, url: &str) -> &'static str {
        rules.permits(&Url::parse(url).unwrap()).map_or_else(|e| e.code(), |()| "ok")
    }

    #[test]
    fn entries_print_as_they_read() {
        for (text, prints) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
            ("10.1.2.3", "10.1.2.3"),
            ("10.1.2.3:8443", "10.1.2.3:8443"),
            ("fd00::1", "fd00::1"),
            ("[fd00::1]", "fd00::1"),
            ("[fd00::1]:8443", "[fd00::1]:8443"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("IdP.Corp.", "idp.corp"),
            ("idp.corp:8443", "idp.corp:8443"),
            ("bücher.example", "xn--bcher-kva.example"),
            (" localhost:3000 ", "localhost:3000"),
        ] {
            let entry: OutboundEntry = text.parse().unwrap();
            assert_eq!(entry.to_string(), prints);
            assert_eq!(prints.parse::<OutboundEntry>().unwrap(), entry);
        }
        for wrong in [
            "",
            " ",
            "https://idp.corp",
            "idp.corp:0",
            "idp.corp:99999",
            "idp.corp:x",
            "10.0.0.0/33",
            "*.corp",
            "a b",
            "u@h",
            ".",
        ] {
            assert!(wrong.parse::<OutboundEntry>().unwrap_err().is(&codes::CONFIG_INVALID), "{wrong}");
        }
    }

    #[test]
    fn rules_are_a_list_of_strings() {
        let list: OutboundRules = "10.0.0.0/8, idp.corp:8443".parse().unwrap();
        let json = serde_json::to_string(&list).unwrap();
        assert_eq!(json, r#"["10.0.0.0/8","idp.corp:8443"]"#);
        assert_eq!(serde_json::from_str::<OutboundRules>(&json).unwrap(), list);
        assert!(serde_json::from_str::<OutboundRules>(r#"["http://x"]"#).is_err());
        assert_eq!("".parse::<OutboundRules>().unwrap(), OutboundRules::default());
    }

    #[test]
    fn an_entry_allows_what_it_names_and_nothing_else() {
        let cases: &[(&str, &[&str], &[&str])] = &[
            (
                "10.0.0.0/8",
                &["http://10.1.2.3/", "https://10.1.2.3:8443/", "http://[::ffff:10.1.2.3]/"],
                &["http://11.0.0.1/", "http://127.0.0.1/"],
            ),
            ("10.0.0.5", &["http://10.0.0.5:1/", "https://10.0.0.5/"], &["http://10.0.0.6/"]),
            (
                "10.0.0.5:8443",
                &["https://10.0.0.5:8443/", "http://10.0.0.5:8443/"],
                &["https://10.0.0.5/", "https://10.0.0.5:8444/"],
            ),
            ("[::1]:9", &["http://[::1]:9/"], &["http://[::1]:10/", "http://127.0.0.1:9/"]),
            (
                "idp.corp",
                &["http://idp.corp/", "https://IDP.corp.:8443/"],
                &["http://idp.corp.evil/", "http://x.idp.corp/"],
            ),
            ("idp.corp:8443", &["https://idp.corp:8443/"], &["https://idp.corp:8444/", "http://idp.corp/"]),
            (
                "localhost:3000",
                &["http://localhost:3000/", "http://127.0.0.1:3000/", "http://[::1]:3000/", "http://localhost.:3000/"],
                &["http://localhost:3001/", "http://127.0.0.1:3001/"],
            ),
            ("127.0.0.1:3000", &["http://localhost:3000/", "http://0x7f.1:3000/"], &["http://localhost:3001/"]),
            ("64:ff9b::/96", &["https://[64:ff9b::808:808]/"], &["https://[64:ff9b::7f00:1]/"]),
        ];
        for (entry, open, shut) in cases {
            let rules = rules(&[entry]);
            for url in *open {
                assert_eq!(verdict(&rules, url), "ok", "{entry} {url}");
            }
            for url in *shut {
                assert_ne!(verdict(&rules, url), "ok", "{entry} {url}");
            }
        }
    }

    #[test]
    fn what_can_never_be_called_stays_so_under_any_entry() {
        let rules = rules(&["0.0.0.0/0", "::/0", "idp.corp"]);
        for url in [
            "ftp://idp.corp/",
            "file:///etc/passwd",
            "https://u@idp.corp/",
            "https://:p@idp.corp/",
            "data:text/plain,x",
            "unix:/x",
            "https://idp.corp:0/",
        ] {
            assert_eq!(verdict(&rules, url), "url_not_allowed", "{url}");
        }
    }

    #[test]
    fn one_bad_address_refuses_the_name() {
        let none = rules(&[]);
        let ips = |list: &[&str]| list.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
        assert!(none.admit("idp.example", 443, true, ips(&["1.1.1.1", "2606:4700::1"])).is_ok());
        for bad in [&["1.1.1.1", "127.0.0.1"][..], &["169.254.169.254"], &["1.1.1.1", "::ffff:10.0.0.1"]] {
            assert_eq!(none.admit("idp.example", 443, true, ips(bad)).unwrap_err().code(), "outbound_not_allowed");
        }
        assert_eq!(none.admit("idp.example", 8443, true, ips(&["1.1.1.1"])).unwrap_err().code(), "url_not_allowed");
        assert_eq!(none.admit("idp.example", 443, true, vec![]).unwrap_err().code(), "upstream_unavailable");
        let named = rules(&["idp.example:443"]);
        assert_eq!(named.admit("idp.example.", 443, true, ips(&["10.0.0.1"])).unwrap(), ips(&["10.0.0.1"]));
        assert!(named.admit("idp.example", 444, true, ips(&["10.0.0.1"])).is_err());
        let network = rules(&["127.0.0.1"]);
        assert_eq!(network.admit("localhost", 80, false, ips(&["::1", "127.0.0.1"])).unwrap(), ips(&["127.0.0.1"]));
    }

    #[test]
    fn other_protocols_go_by_the_same_rules() {
        let none = rules(&[]);
        assert!(none.permits_socket("ldap.example", "1.1.1.1".parse().unwrap(), 636, true).is_ok());
        assert_eq!(
            none.permits_socket("ldap.example", "1.1.1.1".parse().unwrap(), 22, false).unwrap_err().code(),
            "url_not_allowed"
        );
        assert_eq!(
            none.permits_socket("ldap.corp", "10.0.0.1".parse().unwrap(), 636, true).unwrap_err().code(),
            "outbound_not_allowed"
        );
        assert!(rules(&["ldap.corp:636"]).permits_socket("LDAP.corp.", "10.0.0.1".parse().unwrap(), 636, true).is_ok());
    }
}
