//! What was configured, judged: addresses, proxies, what may be called, the log.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::finding::Finding;
use crate::config::{Config, PublicUrl};

/// Where clouds answer a machine about itself, credentials included.
const METADATA: &[&str] = &["169.254.169.254", "fd00:ec2::254", "168.63.129.16", "100.100.100.200", "192.0.0.192"];

/// Everything that follows from the configuration alone.
pub fn judge(config: &Config, public: &PublicUrl) -> Vec<Finding> {
    let has_tls = config.tls.is_some();
    vec![
        public_url(public, has_tls, !config.trusted_proxies.is_empty()),
        listen(config.listen, public, has_tls),
        proxies(&config.trusted_proxies),
        outbound(&config.outbound.allow),
        log_level(&config.log.level),
    ]
}

fn public_url(public: &PublicUrl, has_tls: bool, has_proxy: bool) -> Finding {
    match (public.is_https(), has_tls, has_proxy) {
        (false, true, _) => Finding::fail(
            "public_url",
            format!("authd speaks https, and every link says {public}."),
            format!("public_url = \"https{}\"", public.issuer().trim_start_matches("http")),
        ),
        (false, false, _) => Finding::ok("public_url", format!("{public} is for this machine alone.")),
        (true, false, false) => Finding::warn(
            "public_url",
            format!(
                "{public} is served by a proxy that authd does not know: everybody seems to come from its address."
            ),
            "trusted_proxies = [\"127.0.0.1\"], or whatever address the proxy has",
        ),
        _ => Finding::ok("public_url", format!("People and apps come to {public}.")),
    }
}

fn listen(at: SocketAddr, public: &PublicUrl, has_tls: bool) -> Finding {
    let url = url::Url::parse(public.issuer()).ok();
    let port = url.as_ref().and_then(url::Url::port_or_known_default);
    if !at.ip().is_loopback() && public.is_loopback() {
        return Finding::warn(
            "listen",
            format!("authd listens on {at}, where others reach it, and every link says {public}."),
            "public_url = \"https://…\", or listen = \"127.0.0.1:8080\"",
        );
    }
    if has_tls && !public.is_loopback() && at.ip().is_loopback() {
        return Finding::fail(
            "listen",
            format!("Nobody but this machine reaches {at}, and people come to {public}."),
            "listen = \"0.0.0.0:443\"",
        );
    }
    if has_tls && at.port() != 0 && port.is_some_and(|port| port != at.port()) {
        return Finding::warn(
            "listen",
            format!("authd listens on {at}, and people come to {public}: something must lead one to the other."),
            format!(
                "listen = \"{}\", or public_url with the port {}",
                SocketAddr::new(at.ip(), port.unwrap_or(443)),
                at.port()
            ),
        );
    }
    Finding::ok("listen", format!("authd listens on {at}."))
}

/// Whether a network is so large that it is no network of anybody's.
fn is_whole(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => network.prefix_len() < 8,
        IpNet::V6(network) => network.prefix_len() < 16,
    }
}

fn proxies(trusted: &[IpNet]) -> Finding {
    let wide: Vec<String> = trusted.iter().filter(|network| is_whole(network)).map(ToString::to_string).collect();
    if !wide.is_empty() {
        return Finding::fail(
            "trusted_proxies",
            format!("{} believes everybody about the address they come from.", wide.join(", ")),
            "trusted_proxies = [\"127.0.0.1\"], or the addresses of your proxies alone",
        );
    }
    match trusted.len() {
        0 => Finding::ok("trusted_proxies", "No proxy is believed."),
        1 => Finding::ok("trusted_proxies", format!("One proxy is believed: {}.", trusted[0])),
        many => Finding::ok("trusted_proxies", format!("{many} proxies and networks of them are believed.")),
    }
}

fn outbound(allow: &[String]) -> Finding {
    let mut wide = Vec::new();
    for entry in allow {
        let network = entry.parse::<IpNet>().ok().or_else(|| address(entry).map(IpNet::from));
        let holds =
            |ip: &str| network.is_some_and(|network| ip.parse::<IpAddr>().is_ok_and(|ip| network.contains(&ip)));
        let named = entry == "localhost" || entry.starts_with("localhost:");
        if network.as_ref().is_some_and(is_whole) {
            wide.push(format!("{entry} is as good as everything"));
        } else if METADATA.iter().any(|ip| holds(ip)) {
            wide.push(format!("{entry} has the address where a cloud gives out the machine's credentials"));
        } else if named || holds("127.0.0.1") || holds("::1") || network.is_some_and(|net| net.addr().is_loopback()) {
            wide.push(format!("{entry} is this machine itself"));
        }
    }
    if wide.is_empty() {
        return match allow.len() {
            0 => Finding::ok("outbound", "authd calls public addresses only."),
            _ => Finding::ok("outbound", format!("Beside public addresses, authd calls {}.", allow.join(", "))),
        };
    }
    Finding::warn(
        "outbound",
        format!("Whoever sets a provider's address can make authd call: {}.", wide.join("; ")),
        "outbound.allow = [\"idp.internal:443\"]: the one host and port that is meant",
    )
}

/// The address of `127.0.0.1:9000`, `[::1]:9000`, `127.0.0.1`.
fn address(entry: &str) -> Option<IpAddr> {
    entry.parse::<SocketAddr>().map(|at| at.ip()).or_else(|_| entry.trim_matches(['[', ']']).parse()).ok()
}

fn log_level(level: &str) -> Finding {
    let first = level.split(',').map(str::trim).find(|part| !part.contains('=')).unwrap_or("info").to_ascii_lowercase();
    match first.as_str() {
        "debug" | "trace" => Finding::warn(
            "log_level",
            format!("The log says everything (`{level}`): it grows fast, and is slow."),
            "log.level = \"info\"",
        ),
        "off" | "error" => Finding::warn(
            "log_level",
            format!("The log is silent about what an operator has to know (`{level}`)."),
            "log.level = \"info\"",
        ),
        _ => Finding::ok("log_level", format!("The log has the level {level}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    fn url(text: &str) -> PublicUrl {
        PublicUrl::parse(text).unwrap()
    }

    #[test]
    fn the_public_url_fits_what_is_spoken() {
        let level = |text: &str, tls, proxy| public_url(&url(text), tls, proxy).level;
        assert_eq!(level("http://127.0.0.1:8080", false, false), Level::Ok);
        assert_eq!(level("https://id.example.com", true, false), Level::Ok);
        assert_eq!(level("https://id.example.com", false, true), Level::Ok);
        assert_eq!(level("https://id.example.com", false, false), Level::Warn);
        let found = public_url(&url("http://localhost:8443"), true, false);
        assert_eq!(
            (found.level, found.remedy.as_deref()),
            (Level::Fail, Some("public_url = \"https://localhost:8443\""))
        );
    }

    #[test]
    fn the_listener_is_where_people_come() {
        let level = |at: &str, public: &str, tls| listen(at.parse().unwrap(), &url(public), tls).level;
        assert_eq!(level("127.0.0.1:8080", "http://127.0.0.1:8080", false), Level::Ok);
        assert_eq!(level("127.0.0.1:8080", "https://id.example.com", false), Level::Ok);
        assert_eq!(level("0.0.0.0:443", "https://id.example.com", true), Level::Ok);
        assert_eq!(level("0.0.0.0:8443", "https://id.example.com", true), Level::Warn);
        assert_eq!(level("0.0.0.0:8080", "http://127.0.0.1:8080", false), Level::Warn);
        assert_eq!(level("127.0.0.1:443", "https://id.example.com", true), Level::Fail);
    }

    #[test]
    fn networks_of_everybody_are_told() {
        let level = |list: &[&str]| proxies(&list.iter().map(|text| text.parse().unwrap()).collect::<Vec<_>>()).level;
        assert_eq!((level(&[]), level(&["10.0.0.0/8", "::1/128"])), (Level::Ok, Level::Ok));
        assert_eq!((level(&["10.0.0.1/32", "0.0.0.0/0"]), level(&["::/0"])), (Level::Fail, Level::Fail));

        let told = |entry: &str| outbound(&["idp.internal:443".to_owned(), entry.to_owned()]);
        for entry in ["10.20.0.0/16", "10.0.0.0/8", "192.168.1.7:8443", "idp.other:443", "fd12:3456::/32"] {
            assert_eq!(told(entry).level, Level::Ok, "{entry}");
        }
        let bad = [
            ("0.0.0.0/0", "everything"),
            ("128.0.0.0/1", "everything"),
            ("::/0", "everything"),
            ("169.254.0.0/16", "credentials"),
            ("169.254.169.254:80", "credentials"),
            ("fd00:ec2::/32", "credentials"),
            ("127.0.0.0/8", "itself"),
            ("127.0.0.1:9000", "itself"),
            ("[::1]:9000", "itself"),
            ("localhost:9000", "itself"),
        ];
        for (entry, why) in bad {
            let found = told(entry);
            assert!(found.level == Level::Warn && found.message.contains(why), "{entry}: {found:?}");
        }
    }

    #[test]
    fn a_log_says_enough_and_not_everything() {
        for (level, wanted) in [
            ("info", Level::Ok),
            ("warn,authd=info", Level::Ok),
            ("authd::store=debug", Level::Ok),
            ("debug", Level::Warn),
            ("trace,authd=info", Level::Warn),
            ("off", Level::Warn),
        ] {
            assert_eq!(log_level(level).level, wanted, "{level}");
        }
    }
}
