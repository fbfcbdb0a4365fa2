//! What is asked of others: the time, and names.

use std::net::{IpAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use url::{Host, Url};

use super::finding::Finding;
use crate::config::{Config, PublicUrl};
use crate::env::{Env, Request, Timestamp};

/// Nobody waits longer for one answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// Tokens are good across so much; beyond it sign-ins fail.
const FAILS: i64 = 60;
/// What a clock that is kept never has.
const WARNS: i64 = 10;
/// There was no authd before: 2026-01-01.
const EARLIEST: Timestamp = Timestamp::from_seconds(1_767_225_600);

/// How far ahead of ours the clock of a host is, in seconds.
#[derive(Clone, Debug)]
struct Offset {
    host: String,
    seconds: i64,
}

/// A host name, and what became of looking it up.
struct Lookup {
    host: String,
    addresses: Result<Vec<IpAddr>, String>,
    /// One of the addresses is this machine's.
    here: bool,
}

/// Everything that takes others. `issuers` are the providers that may be asked for the time.
pub async fn look(
    env: &Env,
    config: &Config,
    public: &PublicUrl,
    issuers: &[String],
    newest: Option<Timestamp>,
) -> Vec<Finding> {
    let addresses = std::iter::once(public.issuer()).chain(issuers.iter().map(String::as_str));
    let urls: Vec<Url> =
        addresses.filter_map(|text| Url::parse(text).ok()).filter(|url| url.scheme() == "https").collect();
    let (offsets, lookup) =
        futures_util::future::join(join_all(urls.iter().map(|url| offset(env, url))), lookup(env, public, &urls)).await;
    let offsets: Vec<Offset> = offsets.into_iter().flatten().collect();
    vec![
        clock(env.now(), newest, &offsets),
        kept(synchronized(Path::new("/run/systemd/timesync"))),
        dns(lookup.as_ref(), public, !config.listen.ip().is_loopback() && config.trusted_proxies.is_empty()),
    ]
}

async fn offset(env: &Env, url: &Url) -> Option<Offset> {
    let request = Request { timeout: PATIENCE, ..Request::get(url.clone()) };
    let answer = env.outbound().send(request).await.ok()?;
    let date = answer.headers.get(axum::http::header::DATE)?.to_str().ok()?;
    let seconds = date_of(date)?.seconds() - env.now().seconds();
    Some(Offset { host: url.host_str()?.to_owned(), seconds })
}

/// An HTTP date (RFC 9110 §5.6.7), in the form that everybody sends.
fn date_of(text: &str) -> Option<Timestamp> {
    let moment = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_seconds(moment.timestamp().as_second()))
}

fn clock(now: Timestamp, newest: Option<Timestamp>, offsets: &[Offset]) -> Finding {
    let remedy = "timedatectl set-ntp true";
    if now < EARLIEST {
        return Finding::fail(
            "clock",
            format!("It is {now} by the clock of this machine, before authd was made."),
            remedy,
        );
    }
    if let Some(newest) = newest.filter(|newest| *newest > now + Duration::from_secs(60)) {
        return Finding::fail(
            "clock",
            format!("It is {now}, and the log has an event of {newest}: the clock went back."),
            remedy,
        );
    }
    // One host may be wrong itself; the nearest is the best witness.
    match offsets.iter().min_by_key(|offset| offset.seconds.abs()) {
        None => Finding::ok("clock", format!("It is {now}; nobody could be asked by https.")),
        Some(Offset { host, seconds }) => {
            let side = if *seconds > 0 { "behind" } else { "ahead of" };
            let message = format!("The clock is {} s {side} that of {host}.", seconds.abs());
            match seconds.abs() {
                FAILS.. => Finding::fail("clock", format!("{message} Tokens are refused."), remedy),
                WARNS.. => Finding::warn("clock", message, remedy),
                _ => Finding::ok("clock", format!("The clock agrees with that of {host}.")),
            }
        }
    }
}

/// Whether systemd's service has set the clock; `None` where it does not run.
fn synchronized(state: &Path) -> Option<bool> {
    state.is_dir().then(|| state.join("synchronized").exists())
}

fn kept(synchronized: Option<bool>) -> Finding {
    match synchronized {
        Some(true) => Finding::ok("clock_sync", "The clock is kept by NTP."),
        Some(false) => Finding::warn("clock_sync", "NTP has not set the clock.", "timedatectl set-ntp true"),
        None => Finding::ok("clock_sync", "What keeps the clock cannot be told here."),
    }
}

async fn lookup(env: &Env, public: &PublicUrl, urls: &[Url]) -> Option<Lookup> {
    let own = Url::parse(public.issuer()).ok();
    let domain = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => Some(name.to_owned()),
        _ => None,
    };
    // The own host if it has a name that others look up; else anybody's, to see that the resolver answers.
    let host =
        own.filter(|_| !public.is_loopback()).as_ref().and_then(domain).or_else(|| urls.iter().find_map(domain))?;
    let asked = tokio::time::timeout(PATIENCE, env.dns().addresses(&host)).await;
    let addresses = match asked {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(error.message().to_owned()),
        Err(_) => Err("the resolver does not answer".to_owned()),
    };
    // An address can be bound to on the machine that has it, and nowhere else.
    let here = addresses.iter().flatten().any(|ip| UdpSocket::bind((*ip, 0)).is_ok());
    Some(Lookup { host, addresses, here })
}

fn dns(lookup: Option<&Lookup>, public: &PublicUrl, direct: bool) -> Finding {
    let Some(Lookup { host, addresses, here }) = lookup else {
        return Finding::ok("dns", "There is no name to look up.");
    };
    let is_own = url::Url::parse(public.issuer()).is_ok_and(|url| url.host_str() == Some(host));
    match addresses {
        Err(why) => Finding::fail(
            "dns",
            format!("{host} cannot be looked up: {why}."),
            format!("getent ahosts {host}; cat /etc/resolv.conf"),
        ),
        Ok(list) if list.is_empty() => {
            Finding::fail("dns", format!("{host} has no address."), format!("getent ahosts {host}"))
        }
        Ok(list) if is_own && direct && !here => {
            let shown: Vec<String> = list.iter().map(ToString::to_string).collect();
            Finding::warn(
                "dns",
                format!("{host} leads to {}, which is no address of this machine.", shown.join(", ")),
                "set the A and AAAA records to this machine's addresses (ip -brief address), unless a router translates",
            )
        }
        Ok(_) => Finding::ok("dns", format!("{host} is found by its name.")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level;
    use super::*;

    #[test]
    fn the_nearest_clock_is_believed() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let level = |seconds: &[i64]| {
            let offsets: Vec<Offset> =
                seconds.iter().map(|seconds| Offset { host: "idp.example".into(), seconds: *seconds }).collect();
            clock(now, None, &offsets).level
        };
        assert_eq!((level(&[]), level(&[1]), level(&[-9])), (Level::Ok, Level::Ok, Level::Ok));
        assert_eq!((level(&[10]), level(&[-59])), (Level::Warn, Level::Warn));
        assert_eq!((level(&[60]), level(&[-86_400])), (Level::Fail, Level::Fail));
        assert_eq!(level(&[100_000, 2]), Level::Ok, "one of them is wrong itself");
        assert_eq!(clock(Timestamp::from_seconds(0), None, &[]).level, Level::Fail);
        assert_eq!(clock(now, Some(now + Duration::from_secs(59)), &[]).level, Level::Ok);
        assert_eq!(clock(now, Some(now + Duration::from_secs(3600)), &[]).level, Level::Fail);
        assert_eq!(date_of("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Timestamp::from_seconds(784_111_777)));
        assert_eq!(date_of("yesterday"), None);
    }

    #[test]
    fn what_keeps_the_clock_is_told_where_it_can_be() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(kept(synchronized(&dir.path().join("none"))).level, Level::Ok);
        assert_eq!(kept(synchronized(dir.path())).level, Level::Warn);
        std::fs::write(dir.path().join("synchronized"), "").unwrap();
        assert_eq!(kept(synchronized(dir.path())), Finding::ok("clock_sync", "The clock is kept by NTP."));
    }

    #[test]
    fn the_own_name_leads_here() {
        let public = PublicUrl::parse("https://id.example.com").unwrap();
        let level = |addresses: Result<&[&str], &str>, here, direct| {
            let addresses =
                addresses.map(|list| list.iter().map(|ip| ip.parse().unwrap()).collect()).map_err(str::to_owned);
            dns(Some(&Lookup { host: "id.example.com".into(), addresses, here }), &public, direct).level
        };
        assert_eq!(level(Ok(&["192.0.2.1"]), true, true), Level::Ok);
        assert_eq!(level(Ok(&["192.0.2.1"]), false, true), Level::Warn);
        assert_eq!(level(Ok(&["192.0.2.1"]), false, false), Level::Ok, "a proxy has that address");
        assert_eq!(level(Ok(&[]), false, true), Level::Fail);
        assert_eq!(level(Err("it is down"), false, true), Level::Fail);
        assert_eq!(dns(None, &public, true).level, Level::Ok);
    }
}
