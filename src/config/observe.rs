//! Who may read what is measured, and where events are sent besides.

use std::net::SocketAddr;

use url::Url;

use super::layers::Layers;
use super::{Given, address, plain};
use crate::crypto::Secret;
use crate::error::Result;

/// A shorter token could be guessed.
const TOKEN: usize = 16;
/// A file of headers or with a token is no longer.
const FILE: u64 = 16 * 1024;

/// Who may read `/metrics`. By default only who has the control socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// An address of its own.
    pub listen: Option<SocketAddr>,
    /// What a reader shows as a bearer.
    pub token: Option<Secret>,
}

impl Metrics {
    pub(super) fn read(layers: &Layers) -> Result<Self> {
        let token = layers.text("metrics.token_file").map(|given| token(&given)).transpose()?;
        let listen = match layers.text("metrics.listen") {
            None => None,
            Some(given) => {
                let at = address(given.clone())?;
                if !at.ip().is_loopback() && token.is_none() {
                    return Err(given
                        .wrong(format!("what is measured would be open to everybody who reaches {at}"))
                        .help("Name a file with a token in `metrics.token_file`, or listen on 127.0.0.1."));
                }
                Some(at)
            }
        };
        Ok(Self { listen, token })
    }
}

/// Where events are sent besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ship {
    /// A receiver of RFC 5424 messages.
    pub syslog: Option<Syslog>,
    /// A collector of OpenTelemetry.
    pub otlp: Option<Otlp>,
    /// Which kinds of events: names, or beginnings that end in `*`. Empty: all.
    pub events: Vec<String>,
}

/// A receiver of syslog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Syslog {
    /// One datagram a message (RFC 5426). What is lost on the way nobody learns.
    Udp(String, u16),
    /// A stream (RFC 6587).
    Tcp(String, u16),
    /// A stream inside TLS (RFC 5425).
    Tls(String, u16, CloseNotify),
    /// A socket of this machine, such as `/dev/log`: datagrams, or else a stream.
    Unix(std::path::PathBuf),
}

impl std::fmt::Display for Syslog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Udp(host, port) => write!(f, "udp://{host}:{port}"),
            Self::Tcp(host, port) => write!(f, "tcp://{host}:{port}"),
            Self::Tls(host, port, CloseNotify::Always) => write!(f, "tls://{host}:{port}"),
            Self::Tls(host, port, CloseNotify::Never) => write!(f, "tls://{host}:{port}?close_notify=never"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// Whether a receiver says inside TLS that it ends the connection, as RFC 5425 §4.4 demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseNotify {
    /// It does. An end without it may be anybody's, so what was sent counts as not taken.
    Always,
    /// It does not, and the end of the connection has to do: rsyslog's driver `gtls` is so.
    Never,
}

/// A collector of OpenTelemetry, by OTLP over HTTP with JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Otlp {
    /// Where logs are posted.
    pub url: Url,
    /// What is sent along: the collector's own authentication.
    pub headers: Vec<(String, Secret)>,
}

impl Ship {
    pub(super) fn read(layers: &Layers) -> Result<Self> {
        let syslog = layers.text("ship.syslog").map(|given| syslog(&given)).transpose()?;
        let headers = layers.text("ship.otlp_headers_file").map(|given| headers(&given)).transpose()?;
        let otlp = match (layers.text("ship.otlp"), headers) {
            (None, None) => None,
            (None, Some(_)) => {
                let given = layers.text("ship.otlp_headers_file");
                return Err(given.map_or_else(
                    || crate::error::Error::bug("headers from nowhere"),
                    |given| given.wrong("headers take a collector to send them to: `ship.otlp`".to_owned()),
                ));
            }
            (Some(given), headers) => Some(Otlp { url: collector(&given)?, headers: headers.unwrap_or_default() }),
        };
        let events: Vec<Given> = layers.list("ship.events");
        for given in &events {
            pattern(given)?;
        }
        Ok(Self { syslog, otlp, events: events.into_iter().map(|given| given.value).collect() })
    }
}

/// Its first line, trimmed.
fn token(given: &Given) -> Result<Secret> {
    let text = content(given)?;
    let token = text.expose().trim();
    if token.len() < TOKEN || token.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(given.wrong(format!("the file holds no token: at least {TOKEN} letters without a space")).help(
            "Make one: `openssl rand -hex 32 > metrics.token`. Prometheus reads the same file as `credentials_file`.",
        ));
    }
    Ok(Secret::new(token))
}

fn content(given: &Given) -> Result<Secret> {
    let path = given.path();
    let cannot = |e: &std::io::Error| given.wrong(format!("`{}` cannot be read: {}", path.display(), plain(e)));
    let known = std::fs::metadata(&path).map_err(|e| cannot(&e))?;
    if known.len() > FILE {
        return Err(given.wrong(format!("`{}` is longer than {FILE} bytes", path.display())));
    }
    std::fs::read_to_string(&path).map(Secret::new).map_err(|e| cannot(&e))
}

/// One `Name: value` a line; empty lines and lines that begin with `#` are left out.
fn headers(given: &Given) -> Result<Vec<(String, Secret)>> {
    let text = content(given)?;
    let lines = text.expose().lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let (name, value) = line.split_once(':')?;
        let name = axum::http::HeaderName::try_from(name.trim()).ok()?;
        axum::http::HeaderValue::from_str(value.trim()).ok()?;
        Some((name.as_str().to_owned(), Secret::new(value.trim())))
    };
    lines
        .map(|line| read(line).ok_or_else(|| given.wrong("a line of the file is not `Name: value`".to_owned())))
        .collect()
}

fn collector(given: &Given) -> Result<Url> {
    let wrong = |why: &str| given.wrong(format!("`{}` {why}", given.shown()));
    let url = Url::parse(given.value.trim()).map_err(|_| wrong("is not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("is not an http or https URL").help("Such as https://collector.example.com:4318/v1/logs."));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("has a user name or a password in it").help("Put it into `ship.otlp_headers_file`."));
    }
    if url.path() == "/" {
        return Err(wrong("has no path").help("The usual one is /v1/logs."));
    }
    Ok(url)
}

/// `udp://host:514`, `tcp://host:601`, `tls://host:6514`, `unix:///dev/log`; the ports are the defaults. TLS may have
/// `?close_notify=never`.
fn syslog(given: &Given) -> Result<Syslog> {
    let text = given.value.trim();
    let wrong = || {
        given
            .wrong(format!("`{}` is not an address of syslog", given.shown()))
            .help("One of udp://host:514, tcp://host:601, tls://host:6514, unix:///dev/log.")
    };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    if scheme == "unix" {
        let path = std::path::Path::new(rest);
        return if path.is_absolute() { Ok(Syslog::Unix(path.to_owned())) } else { Err(wrong()) };
    }
    // The scheme of a web address, so that a port is never taken for the usual one of it and left out.
    let url = Url::parse(&format!("x-syslog://{rest}")).map_err(|_| wrong())?;
    let close_notify = match (url.query(), scheme) {
        (None, _) => CloseNotify::Always,
        (Some("close_notify=never"), "tls") => CloseNotify::Never,
        (Some(_), _) => return Err(wrong()),
    };
    let bare = matches!(url.path(), "" | "/") && url.fragment().is_none();
    let host = url.host_str().filter(|host| !host.is_empty() && bare && url.username().is_empty()).ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = |usual: u16| url.port().unwrap_or(usual);
    match scheme {
        "udp" => Ok(Syslog::Udp(host, port(514))),
        "tcp" => Ok(Syslog::Tcp(host, port(601))),
        "tls" => Ok(Syslog::Tls(host, port(6514), close_notify)),
        _ => Err(wrong()),
    }
}

/// What is not the name of an event, nor the beginning of one, would ship nothing, silently. The names are of a later
/// module, so here only the shape is looked at; the start looks at the rest.
fn pattern(given: &Given) -> Result<()> {
    let text = given.value.as_str();
    let stem = text.strip_suffix('*').unwrap_or(text);
    let fits = stem.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'_')) && !text.is_empty();
    if fits {
        return Ok(());
    }
    Err(given
        .wrong(format!("`{}` is neither the name of an event nor the beginning of names (session.*)", given.shown())))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Environment, Flags};

    use super::*;

    fn load(pairs: &[(&str, &str)]) -> Result<Config> {
        let dir = tempfile::tempdir().unwrap();
        let mut pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        pairs.push(("AUTHD_DATA_DIR".to_owned(), dir.path().display().to_string()));
        Config::load(&pairs.into_iter().collect::<Environment>(), &Flags::default())
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn addresses_of_syslog_are_read_as_people_write_them() {
        for (text, shown) in [
            ("udp://logs.example.com", "udp://logs.example.com:514"),
            ("tcp://10.0.0.5", "tcp://10.0.0.5:601"),
            ("tcp://10.0.0.5:514/", "tcp://10.0.0.5:514"),
            ("tls://logs.example.com", "tls://logs.example.com:6514"),
            ("tls://logs.example.com?close_notify=never", "tls://logs.example.com:6514?close_notify=never"),
            ("unix:///dev/log", "unix:///dev/log"),
        ] {
            let ship = load(&[("AUTHD_SHIP_SYSLOG", text)]).unwrap().ship;
            assert_eq!(ship.syslog.unwrap().to_string(), shown);
        }
        for wrong in [
            "logs.example.com",
            "http://x",
            "unix://dev/log",
            "tcp://",
            "tcp://u@h",
            "tcp://h/x",
            "udp://h:x",
            "tls://h?close_notify=no",
            "tcp://h?close_notify=never",
        ] {
            let error = load(&[("AUTHD_SHIP_SYSLOG", wrong)]).unwrap_err();
            assert_eq!(error.code(), "config_invalid", "{wrong}");
            assert!(error.message().contains("AUTHD_SHIP_SYSLOG"), "{error}");
        }
    }

    #[test]
    fn a_collector_has_a_path_and_its_headers_stay_secret() {
        let headers = file("# of the collector\nAuthorization: Bearer hush-hush\n\nx-scope:  tenant\n");
        let path = headers.path().to_str().unwrap();
        let pairs = [("AUTHD_SHIP_OTLP", "https://c.example.com:4318/v1/logs"), ("AUTHD_SHIP_OTLP_HEADERS_FILE", path)];
        let ship = load(&pairs).unwrap().ship;
        assert!(!format!("{ship:?}").contains("hush"), "{ship:?}");
        let names: Vec<_> = ship.otlp.unwrap().headers.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["authorization", "x-scope"]);
        for wrong in ["https://c.example.com", "c.example.com/v1/logs", "ftp://c/v1", "https://u:p@c/v1/logs"] {
            assert_eq!(load(&[("AUTHD_SHIP_OTLP", wrong)]).unwrap_err().code(), "config_invalid", "{wrong}");
        }
        assert_eq!(load(&pairs[1..]).unwrap_err().code(), "config_invalid");
        assert_eq!(load(&[("AUTHD_SHIP_EVENTS", "Session.*")]).unwrap_err().code(), "config_invalid");
    }

    #[test]
    fn what_is_measured_is_never_open_to_a_network_by_itself() {
        let good = file("0123456789abcdef\n");
        let good = good.path().to_str().unwrap();
        assert_eq!(load(&[]).unwrap().metrics, Metrics::default());
        assert!(load(&[("AUTHD_METRICS_LISTEN", "127.0.0.1:9100")]).is_ok());
        let error = load(&[("AUTHD_METRICS_LISTEN", "0.0.0.0:9100")]).unwrap_err();
        assert!(error.next_step().unwrap().contains("metrics.token_file"), "{error:?}");
        let both = [("AUTHD_METRICS_LISTEN", "0.0.0.0:9100"), ("AUTHD_METRICS_TOKEN_FILE", good)];
        assert_eq!(load(&both).unwrap().metrics.token.unwrap().expose(), "0123456789abcdef");
        for short in ["", "short", "0123456789 abcdef", "0123456789abcdef\nand more"] {
            let file = file(short);
            let given = [("AUTHD_METRICS_TOKEN_FILE", file.path().to_str().unwrap())];
            assert_eq!(load(&given).unwrap_err().code(), "config_invalid", "{short:?}");
        }
    }
}
