//! Where a directory is: `ldap://host:389` or `ldaps://host:636`.

use std::net::IpAddr;

use url::{Host, Url};

use crate::error::{Error, Result, codes};

/// Ports of directories, global catalogues included.
const ORDINARY: &[u16] = &[389, 636, 3268, 3269];

/// Where a directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// As it was written.
    pub text: String,
    /// A name, or an address.
    pub host: Host<String>,
    /// Of the URL, or the one of its scheme.
    pub port: u16,
    /// Encrypted from the first byte on.
    pub ldaps: bool,
}

impl Target {
    /// Reads it. Errors: `invalid_input`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::says(&codes::INVALID_INPUT, format!("`servers.urls` cannot have `{}`: {why}.", shown(text)))
                .help("A directory is named as `ldaps://host`, `ldap://host` or with a port, without a path.")
        };
        let url = Url::parse(text).map_err(|_| wrong("it is no URL"))?;
        let ldaps = match url.scheme() {
            "ldaps" => true,
            "ldap" => false,
            _ => return Err(wrong("it begins with neither `ldaps://` nor `ldap://`")),
        };
        let more = !url.username().is_empty() || url.password().is_some() || url.query().is_some();
        if more || url.fragment().is_some() || !matches!(url.path(), "" | "/") {
            return Err(wrong("it has more than host and port"));
        }
        let named = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| wrong("it names no host"))?;
        // For this scheme the parser leaves the host as it stands: what is an address is only seen here.
        let host = Host::parse(named).map_err(|_| wrong("its host cannot be one"))?;
        let port = url.port().unwrap_or(if ldaps { 636 } else { 389 });
        if port == 0 {
            return Err(wrong("its port cannot be one"));
        }
        Ok(Self { text: text.to_owned(), host, port, ldaps })
    }

    /// The host as the resolver and the rules for outgoing connections know it.
    pub fn name(&self) -> String {
        match &self.host {
            Host::Domain(name) => name.trim_end_matches('.').to_ascii_lowercase(),
            Host::Ipv4(ip) => ip.to_string(),
            Host::Ipv6(ip) => ip.to_string(),
        }
    }

    /// The address, where it is named by one.
    pub fn address(&self) -> Option<IpAddr> {
        match &self.host {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some((*ip).into()),
            Host::Ipv6(ip) => Some((*ip).into()),
        }
    }

    /// Whether the port is one of directories.
    pub fn is_ordinary(&self) -> bool {
        ORDINARY.contains(&self.port)
    }

    /// Whether it names this machine.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ipv4(ip) => ip.is_loopback(),
            Host::Ipv6(ip) => ip.is_loopback(),
        }
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_directories_are_read() {
        let read = |text: &str| Target::parse(text).unwrap();
        assert_eq!((read("ldaps://dc1.corp.example").port, read("ldap://dc1.corp.example").port), (636, 389));
        assert_eq!(read("ldap://127.0.0.1:3389/").address(), Some([127, 0, 0, 1].into()));
        assert_eq!(read("ldaps://[::1]:3636").address(), Some(std::net::Ipv6Addr::LOCALHOST.into()));
        assert!(read("ldap://localhost").is_loopback() && !read("ldap://localhost.corp.example").is_loopback());
        assert!(read("ldap://2130706433").is_loopback(), "an address in whatever spelling");
        assert!(read("ldaps://x.example:3269").is_ordinary() && !read("ldaps://x.example:22").is_ordinary());
    }

    #[test]
    fn what_is_no_directory_is_refused() {
        for wrong in [
            "http://x.example",
            "ldapi:///var/run/slapd",
            "ldap://",
            "x.example",
            "ldap://user:pass@x.example",
            "ldap://x.example/dc=x??sub",
            "ldap://x.example?a",
            "ldap://x.example:0",
            "ldap://x.example:99999",
            "ldap://a b",
        ] {
            assert!(Target::parse(wrong).unwrap_err().is(&codes::INVALID_INPUT), "{wrong}");
        }
    }
}
