//! The one resolver: the system's name servers and hosts file, in bounded time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::address::is_localhost;
use crate::env::Dns;
use crate::error::{Error, Result, codes};

/// A lookup takes no longer than this, retries included.
const TIMEOUT: Duration = Duration::from_secs(5);

/// When the two files were last changed.
type Stamp = [Option<SystemTime>; 2];

/// Asks the name servers of `/etc/resolv.conf`, after `/etc/hosts`. A change of either file is seen at the next lookup.
#[derive(Default)]
pub struct SystemDns {
    current: Mutex<Option<(Stamp, TokioResolver)>>,
}

impl SystemDns {
    /// Reads nothing yet: a machine whose network is not up still starts.
    pub fn new() -> Self {
        Self::default()
    }

    fn resolver(&self) -> Result<TokioResolver> {
        let stamp =
            ["/etc/resolv.conf", "/etc/hosts"].map(|file| Path::new(file).metadata().and_then(|m| m.modified()).ok());
        let mut current = self.current.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((made, resolver)) = &*current
            && *made == stamp
        {
            return Ok(resolver.clone());
        }
        let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|error| {
            tracing::warn!(%error, "no name server is configured; asking the one on this machine");
            // What resolv.conf(5) says of a missing file.
            let local = NameServerConfig::udp_and_tcp(IpAddr::V4(Ipv4Addr::LOCALHOST));
            TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(vec![local]),
                TokioRuntimeProvider::default(),
            )
        });
        let options = builder.options_mut();
        options.timeout = options.timeout.min(Duration::from_secs(2));
        options.attempts = options.attempts.min(2);
        let resolver = builder.build().map_err(|error| Error::new(&codes::UPSTREAM_UNAVAILABLE).because(error))?;
        *current = Some((stamp, resolver.clone()));
        Ok(resolver)
    }
}

/// A name with a dot is complete: the search domains of the machine must not turn it into another.
fn absolute(name: &str) -> String {
    if name.contains('.') && !name.ends_with('.') { format!("{name}.") } else { name.to_owned() }
}

fn unresolved(error: NetError) -> Error {
    let says = if error.is_nx_domain() || error.is_no_records_found() {
        "The host name has no address."
    } else {
        "The host name could not be resolved."
    };
    Error::says(&codes::UPSTREAM_UNAVAILABLE, says).because(error)
}

/// Whether a name server said that there is no such record. One that only names others to ask (a referral: servers, and
/// no start of authority) has said nothing; and so has one that refuses, fails or is silent.
fn says_none(error: &NetError) -> bool {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            none.response_code == ResponseCode::NXDomain || none.soa.is_some() || none.ns.is_none()
        }
        _ => false,
    }
}

fn late() -> Error {
    Error::says(&codes::UPSTREAM_UNAVAILABLE, "The host name could not be resolved in time.")
}

#[async_trait]
impl Dns for SystemDns {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>> {
        if let Ok(ip) = host.parse() {
            return Ok(vec![ip]);
        }
        // RFC 6761 §6.3: never asked of a name server.
        if is_localhost(&host.trim_end_matches('.').to_ascii_lowercase()) {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let resolver = self.resolver()?;
        let found = tokio::time::timeout(TIMEOUT, resolver.lookup_ip(absolute(host))).await.map_err(|_| late())?;
        Ok(found.map_err(unresolved)?.iter().collect())
    }

    async fn txt(&self, name: &str) -> Result<Vec<String>> {
        let resolver = self.resolver()?;
        let name = format!("{}.", name.trim_end_matches('.'));
        // Whoever has just set a record must not be told for hours what was there before.
        resolver.clear_lookup_cache(name.as_str(), RecordType::TXT);
        let found = match tokio::time::timeout(TIMEOUT, resolver.txt_lookup(name)).await.map_err(|_| late())? {
            Ok(found) => found,
            Err(error) if says_none(&error) => return Ok(Vec::new()),
            Err(error) => return Err(unresolved(error)),
        };
        let text = |record: &hickory_resolver::proto::rr::Record| match &record.data {
            // RFC 7208 §3.3: the strings of one record are one text.
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        };
        Ok(found.answers().iter().filter_map(text).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_is_this_machine_without_asking_anyone() {
        let dns = SystemDns::new();
        for name in ["localhost", "LOCALHOST.", "app.localhost"] {
            assert!(dns.addresses(name).await.unwrap().iter().all(IpAddr::is_loopback), "{name}");
        }
        assert_eq!(dns.addresses("10.0.0.1").await.unwrap(), [IpAddr::from([10, 0, 0, 1])]);
    }

    #[test]
    fn only_a_word_that_there_is_no_record_is_one() {
        use hickory_resolver::net::NoRecords;
        use hickory_resolver::proto::op::Query;

        let none = |code| NetError::Dns(DnsError::NoRecordsFound(NoRecords::new(Query::default(), code)));
        assert!(says_none(&none(ResponseCode::NXDomain)));
        assert!(says_none(&none(ResponseCode::NoError)));
        let mut referral = NoRecords::new(Query::default(), ResponseCode::NoError);
        referral.ns = Some(Vec::new().into());
        assert!(!says_none(&NetError::Dns(DnsError::NoRecordsFound(referral))), "go and ask somebody else");
        for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::FormErr, ResponseCode::NotImp] {
            assert!(!says_none(&NetError::Dns(DnsError::ResponseCode(code))), "{code}");
        }
        assert!(!says_none(&NetError::Timeout));
        assert!(!says_none(&NetError::NoConnections));
    }

    #[test]
    fn a_name_with_a_dot_is_complete() {
        assert_eq!(absolute("idp.example.com"), "idp.example.com.");
        assert_eq!(absolute("idp.example.com."), "idp.example.com.");
        assert_eq!(absolute("intranet"), "intranet");
    }
}
