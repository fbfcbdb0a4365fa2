//! Syslog: RFC 5424 messages by datagrams (RFC 5426), streams (RFC 6587, octet counting) and TLS (RFC 5425).
//!
//! A stream has no acknowledgement. So each piece has a connection of its own: authd ends its side, and a receiver that
//! has read everything ends the other. Until that was seen nothing counts as taken. Inside TLS the end must be said there
//! (`close_notify`): one that is only seen outside may be anybody's on the way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UdpSocket, UnixDatagram, UnixStream};

use super::{Sent, Target};
use crate::access::World;
use crate::config::{self, CloseNotify, PublicUrl};
use crate::error::{Error, Result, codes};
use crate::event::{EventView, Outcome};

/// See `Target::name`.
pub const NAME: &str = "syslog";
/// For the whole of a piece.
const PATIENCE: Duration = Duration::from_secs(20);
/// A longer datagram does not travel.
const DATAGRAM: usize = 60_000;
/// Security and authorization messages (RFC 5424 §6.2.1).
const FACILITY: u8 = 10;
const INFORMATIONAL: u8 = 6;
const WARNING: u8 = 4;
/// Ports of syslog: they need no entry in `outbound.allow` where the address is public.
const PORTS: &[u16] = &[514, 601, 6514];
/// The number of documentation and examples (RFC 5612): authd has none of its own.
const ENTERPRISE: &str = "authd@32473";

/// A receiver.
pub struct Syslog {
    address: config::Syslog,
    /// This authd, in each message.
    host: String,
}

impl Syslog {
    /// At an address.
    pub fn new(address: config::Syslog, public_url: &PublicUrl) -> Self {
        let authority = public_url.authority();
        let host = url::Url::parse(&format!("http://{authority}"))
            .ok()
            .and_then(|url| url.host_str().map(|host| host.trim_matches(['[', ']']).to_owned()))
            .unwrap_or_default();
        Self { address, host }
    }
}

#[async_trait]
impl Target for Syslog {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn send(&self, world: &World, events: &[EventView]) -> Result<Sent> {
        let messages: Vec<String> = events.iter().map(|event| message(&self.host, event)).collect::<Result<_>>()?;
        let sent = async {
            match &self.address {
                config::Syslog::Udp(host, port) => datagrams(world, host, *port, &messages).await,
                config::Syslog::Tcp(host, port) => {
                    let stream = connect(world, host, *port).await?;
                    hand_over(stream, &messages, CloseNotify::Always).await
                }
                config::Syslog::Tls(host, port, close_notify) => {
                    let stream = connect(world, host, *port).await?;
                    let tls = world.env.outbound().tls().ok_or_else(|| Error::new(&codes::OUTBOUND_NOT_ALLOWED))?;
                    let name = ServerName::try_from(host.clone())
                        .map_err(|e| Error::new(&codes::UPSTREAM_UNAVAILABLE).because(e))?;
                    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
                    let stream = connector.connect(name, stream).await.map_err(|e| broken(&e))?;
                    hand_over(stream, &messages, *close_notify).await
                }
                config::Syslog::Unix(path) => unix(path, &messages).await,
            }
        };
        match tokio::time::timeout(PATIENCE, sent).await {
            Ok(sent) => sent.map(|()| Sent { done: events.len(), refused: 0 }),
            Err(_) => Err(Error::new(&codes::UPSTREAM_UNAVAILABLE)
                .because("the receiver of syslog did not take a piece, or did not end its side of the connection")),
        }
    }
}

fn broken(error: &std::io::Error) -> Error {
    Error::new(&codes::UPSTREAM_UNAVAILABLE).because(error.to_string())
}

/// The addresses of a host, the named one first where it is an address itself.
async fn addresses(world: &World, host: &str, port: u16) -> Result<Vec<SocketAddr>> {
    let found = match host.parse::<IpAddr>() {
        Ok(ip) => vec![ip],
        Err(_) => world.env.dns().addresses(host).await?,
    };
    Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
}

async fn connect(world: &World, host: &str, port: u16) -> Result<tokio::net::TcpStream> {
    let mut last = Error::new(&codes::UPSTREAM_UNAVAILABLE).because("the name has no address");
    for to in addresses(world, host, port).await? {
        match world.env.outbound().connect(host, to, PORTS.contains(&port)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Writes every message with its length before it, ends, and waits until the other side has ended, too.
async fn hand_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    messages: &[String],
    close_notify: CloseNotify,
) -> Result<()> {
    let mut bytes = Vec::with_capacity(messages.iter().map(|message| message.len() + 8).sum());
    for message in messages {
        bytes.extend_from_slice(message.len().to_string().as_bytes());
        bytes.push(b' ');
        bytes.extend_from_slice(message.as_bytes());
    }
    stream.write_all(&bytes).await.map_err(|e| broken(&e))?;
    stream.shutdown().await.map_err(|e| broken(&e))?;
    let mut rest = [0; 1024];
    loop {
        match stream.read(&mut rest).await {
            Ok(0) => return Ok(()),
            // Nobody speaks on this channel; what comes all the same is not listened to.
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => match close_notify {
                CloseNotify::Never => return Ok(()),
                CloseNotify::Always => {
                    return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE).because(
                        "the receiver of syslog ended the connection without close_notify, so nobody knows what it has \
                         read; for one that never says it (rsyslog's driver gtls), add ?close_notify=never to the address",
                    ));
                }
            },
            Err(error) => return Err(broken(&error)),
        }
    }
}

/// The message, as much of it as fits.
fn datagram(message: &str) -> &[u8] {
    let mut end = message.len().min(DATAGRAM);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.as_bytes().get(..end).unwrap_or_default()
}

async fn datagrams(world: &World, host: &str, port: u16, messages: &[String]) -> Result<()> {
    let to = addresses(world, host, port).await?.into_iter().next();
    let to = to.ok_or_else(|| Error::new(&codes::UPSTREAM_UNAVAILABLE).because("the name has no address"))?;
    world.env.outbound().permits_socket(host, to, PORTS.contains(&port))?;
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(|e| broken(&e))?;
    // Connected: where nobody listens, the next datagram hears of it.
    socket.connect(to).await.map_err(|e| broken(&e))?;
    for message in messages {
        socket.send(datagram(message)).await.map_err(|e| broken(&e))?;
    }
    Ok(())
}

async fn unix(path: &Path, messages: &[String]) -> Result<()> {
    let socket = UnixDatagram::unbound().map_err(|e| broken(&e))?;
    match socket.connect(path) {
        Ok(()) => {
            for message in messages {
                socket.send(datagram(message)).await.map_err(|e| broken(&e))?;
            }
            Ok(())
        }
        // It takes streams: then the connection tells that all was read.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) => {
            let stream = UnixStream::connect(path).await.map_err(|e| broken(&e))?;
            hand_over(stream, messages, CloseNotify::Always).await
        }
        Err(error) => Err(broken(&error)),
    }
}

/// One event as RFC 5424 has it. The text is the event as every other reader gets it, in JSON.
fn message(host: &str, event: &EventView) -> Result<String> {
    let severity = if event.outcome == Outcome::Failure { WARNING } else { INFORMATIONAL };
    let text = serde_json::to_string(event).map_err(Error::bug)?;
    let kind = event.kind.name();
    let mut data = format!("[{ENTERPRISE} seq=\"{}\" id=\"{}\" kind=\"{kind}\"", event.seq, event.event_id);
    let organization = event.organization_id.map(|id| id.to_string());
    let request = event.request_id.map(|id| id.to_string());
    for (name, value) in [("organization", organization), ("request", request), ("code", event.error_code.clone())] {
        if let Some(value) = value {
            data.push_str(&format!(" {name}=\"{}\"", escaped(&value)));
        }
    }
    data.push(']');
    Ok(format!(
        "<{}>1 {} {} authd {} {} {data} {text}",
        FACILITY * 8 + severity,
        event.occurred_at,
        word(host, 255),
        std::process::id(),
        word(kind, 32),
    ))
}

/// A header field: visible ASCII, at most so long; `-` for none.
fn word(text: &str, most: usize) -> String {
    let text: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if text.is_empty() { "-".to_owned() } else { text }
}

/// A value within structured data (RFC 5424 §6.3.3).
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;
    use crate::event::{Actor, Event, EventKind, Origin};

    #[test]
    fn a_message_has_the_fields_of_rfc_5424() {
        let env = Env::frozen();
        let origin = Origin::internal(&env);
        let event = Event::new(&env, EventKind::ConnectionLoginFailed, &Actor::System, &origin)
            .failed("odd\"]\\code")
            .with("name", "Ünï\ncode");
        let message = message("id.example.com", &EventView::of(7, event)).unwrap();
        assert!(!message.contains('\n'), "one line: {message}");
        let (header, rest) = message.split_once(" [").unwrap();
        let fields: Vec<&str> = header.split(' ').collect();
        assert_eq!(fields[0], "<84>1");
        assert_eq!(fields[1], "2026-01-01T00:00:00.000Z");
        assert_eq!((fields[2], fields[3], fields[5]), ("id.example.com", "authd", "connection.login.failed"));
        assert!(rest.contains(r#"code="odd\"\]\\code"]"#), "{rest}");
        let (_, json) = message.split_once("] {").unwrap();
        let json: serde_json::Value = serde_json::from_str(&format!("{{{json}")).unwrap();
        assert_eq!((&json["seq"], &json["data"]["name"]), (&7.into(), &"Ünï\ncode".into()));
    }

    #[test]
    fn header_fields_are_words() {
        assert_eq!(word("", 9), "-");
        assert_eq!(word("a b\u{7f}ü", 9), "ab");
        assert_eq!(word("abcdef", 3), "abc");
        assert_eq!(datagram(&"ü".repeat(DATAGRAM)).len(), DATAGRAM);
        assert_eq!(datagram(&format!("a{}", "ü".repeat(DATAGRAM))).len(), DATAGRAM - 1);
    }
}
