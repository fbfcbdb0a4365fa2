//! The way to a directory: name, address, encryption; a server that does not answer gives way to the next.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;
use url::Host;

use super::ber::{self, Op};
use super::config::{Config, Servers};
use super::session::Session;
use super::tls;
use super::trouble::{Step, Trouble};
use super::url::Target;
use crate::env::Env;
use crate::error::{Error, codes};

/// The request to begin TLS (RFC 4511 §4.14.1), as message 1.
const START_TLS: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// What steps were done on the way, for a report.
pub type Passed = Vec<(Step, String)>;

/// The servers in the order in which they are tried: `first` before all others, those to avoid behind them.
pub fn order<'a>(config: &'a Config, first: &str, avoid: &[String]) -> Vec<&'a str> {
    let mut urls: Vec<&str> = config.servers.urls.iter().map(String::as_str).collect();
    urls.sort_by_key(|url| (*url != first, avoid.iter().any(|known| known == url)));
    urls
}

/// Until when one of so many that are left may take.
pub fn share(until: Instant, left: usize) -> Instant {
    let now = Instant::now();
    now + until.saturating_duration_since(now) / u32::try_from(left.max(1)).unwrap_or(1)
}

/// Opens a connection to the first of these servers that answers. One that does not uses up its share of the time and no
/// more. Nothing is bound.
pub async fn open(
    env: &Env,
    config: &Config,
    trust: &Arc<ClientConfig>,
    urls: &[&str],
    until: Instant,
    passed: &mut Passed,
) -> Result<Session, Trouble> {
    let mut last = None;
    for (number, url) in urls.iter().enumerate() {
        passed.clear();
        let mut step = Step::Dns;
        let until = share(until, urls.len() - number);
        let connected = timeout_at(until, one(env, &config.servers, trust, url, passed, &mut step)).await;
        match connected.unwrap_or_else(|_| Err(Trouble::late(step))) {
            Ok(mut session) => {
                session.asks_policy = config.defaults().policy;
                return Ok(session);
            }
            Err(trouble) => last = Some(trouble),
        }
    }
    Err(last.unwrap_or_else(|| Trouble::unavailable(Step::Dns, "the connection names no server")))
}

async fn one(
    env: &Env,
    servers: &Servers,
    trust: &Arc<ClientConfig>,
    url: &str,
    passed: &mut Passed,
    step: &mut Step,
) -> Result<Session, Trouble> {
    let target = Target::parse(url).map_err(|error| Trouble::of(Step::Dns, error))?;
    let host = target.name();
    let addresses = resolve(env, &target).await?;
    let shown = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
    passed.push((Step::Dns, format!("{host}: {shown}")));
    *step = Step::Reach;
    let (stream, ip) = reach(env, &target, &host, &addresses).await?;
    passed.push((Step::Reach, format!("{ip} port {}", target.port)));
    *step = Step::Tls;
    if target.ldaps {
        let stream = encrypt(&target, trust, stream).await?;
        passed.push((Step::Tls, "ldaps".to_owned()));
        return Session::over(stream, url).await;
    }
    // Where it leads decides, not how it is called: a name of somewhere else may lead here, and none of here elsewhere.
    let here = target.is_loopback() && ip.is_loopback();
    if servers.start_tls.unwrap_or(!here) {
        let stream = start_tls(stream).await?;
        let stream = encrypt(&target, trust, stream).await?;
        passed.push((Step::Tls, "StartTLS".to_owned()));
        return Session::over(stream, url).await;
    }
    if !here {
        return Err(Trouble::unencrypted(
            "the server is not on this machine, and the connection to it is not encrypted",
        ));
    }
    passed.push((Step::Tls, "none: the server is on this machine".to_owned()));
    Session::over(stream, url).await
}

async fn resolve(env: &Env, target: &Target) -> Result<Vec<IpAddr>, Trouble> {
    if let Some(ip) = target.address() {
        return Ok(vec![ip]);
    }
    let found = env.dns().addresses(&target.name()).await.map_err(|error| Trouble::of(Step::Dns, error))?;
    if found.is_empty() {
        return Err(Trouble::unavailable(Step::Dns, "the host name has no address"));
    }
    Ok(found)
}

/// The first address that takes the connection. One that authd may not call is enough to refuse the name.
async fn reach(env: &Env, target: &Target, host: &str, all: &[IpAddr]) -> Result<(TcpStream, IpAddr), Trouble> {
    let mut last = None;
    for ip in all {
        let to = SocketAddr::new(*ip, target.port);
        match env.outbound().connect(host, to, target.is_ordinary()).await {
            Ok(stream) => return Ok((stream, *ip)),
            // This machine has two addresses by one name, and an entry usually names one.
            Err(error) if error.is(&codes::UPSTREAM_UNAVAILABLE) || target.is_loopback() => last = Some(error),
            Err(error) => return Err(Trouble::of(Step::Reach, error)),
        }
    }
    let error = last.unwrap_or_else(|| Error::new(&codes::UPSTREAM_UNAVAILABLE));
    Err(Trouble::of(Step::Reach, error))
}

async fn encrypt(
    target: &Target,
    trust: &Arc<ClientConfig>,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Trouble> {
    let name = match &target.host {
        Host::Domain(_) => {
            ServerName::try_from(target.name()).map_err(|error| Trouble::unencrypted(error.to_string()))?
        }
        Host::Ipv4(ip) => ServerName::from(IpAddr::V4(*ip)),
        Host::Ipv6(ip) => ServerName::from(IpAddr::V6(*ip)),
    };
    let connected = TlsConnector::from(Arc::clone(trust)).connect(name, stream).await;
    connected.map_err(|error| Trouble::unencrypted(tls::problem(&error)))
}

/// Asks for encryption. A server that does not want it, or that says more than its answer before the encryption begins, is
/// not spoken to any more: what it says in plain text, anybody may have said.
async fn start_tls(mut stream: TcpStream) -> Result<TcpStream, Trouble> {
    let gone = |_| Trouble::unencrypted("the server closed the connection instead of starting TLS");
    stream.write_all(START_TLS).await.map_err(gone)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 512];
    let length = loop {
        match ber::frame(&answer) {
            Ok(Some(length)) if answer.len() >= length => break length,
            Ok(_) => {}
            Err(fault) => return Err(Trouble::unencrypted(fault.says())),
        }
        let read = stream.read(&mut chunk).await.map_err(gone)?;
        if read == 0 {
            return Err(Trouble::unencrypted("the server closed the connection instead of starting TLS"));
        }
        answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if answer.len() > 4096 {
            return Err(Trouble::unencrypted("the server answers the request to start TLS with too much"));
        }
    };
    if answer.len() > length {
        return Err(Trouble::unencrypted("something was said in plain text before the encryption began"));
    }
    let message = ber::screen(&answer).map_err(|fault| Trouble::unencrypted(fault.says()))?;
    let code = ber::result_code(&answer).ok();
    if message.id != 1 || message.op != Op::ExtendedResponse || code != Some(0) {
        let code = code.map_or_else(String::new, |code| format!(" (result code {code})"));
        return Err(Trouble::unencrypted(format!("the server does not start TLS{code}")));
    }
    Ok(stream)
}

/// How long a connection that is not used is kept.
pub const IDLE: Duration = Duration::from_secs(60);
