//! # config — what is decided at start-up
//!
//! *Owns* the keys of the configuration, the data directory, the master key's file, the public URL.
//! *Gives* `Config`: the file, then `AUTHD_*`, then flags, checked and typed, each error naming its source.
//! *Needs* errors, `Env` for a new key, `MasterKey`. *Never* prints a secret; nobody else reads the environment.

mod data_dir;
mod environment;
mod key;
mod last_run;
mod layers;
mod master_key;
mod observe;
mod public_url;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

pub use data_dir::{DataDir, own_uid};
pub use environment::Environment;
pub use key::{KEYS, Key, Shape, meant};
pub use layers::{Flags, Given};
pub use master_key::{keep_master_key, kept_master_key, master_key, master_keys_in, replace_master_keys};
pub use observe::{CloseNotify, Metrics, Otlp, Ship, Syslog};
pub use public_url::PublicUrl;

use crate::error::{Error, Result, codes};
use layers::Layers;

/// Everything that is decided at start-up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where everything is kept.
    pub data_dir: DataDir,
    /// The address that is listened on.
    pub listen: SocketAddr,
    /// The base of every link. None: it follows from the address that is listened on (`public_url_at`).
    pub public_url: Option<PublicUrl>,
    /// Certificate and key, when authd speaks TLS itself.
    pub tls: Option<Tls>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// What is logged, and how.
    pub log: Log,
    /// What authd may call.
    pub outbound: Outbound,
    /// How the store is opened.
    pub store: StoreConfig,
    /// How signing keys are kept fresh.
    pub keys: Keys,
    /// Who may read what is measured.
    pub metrics: Metrics,
    /// Where events are sent besides.
    pub ship: Ship,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
}

/// Where the certificate and its key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM: the certificate, then its chain.
    pub cert: PathBuf,
    /// PEM: the private key.
    pub key: PathBuf,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// A level, or directives (`info,authd::store=debug`).
    pub level: String,
    /// For people or for machines.
    pub format: LogFormat,
    /// To standard output instead of standard error.
    pub to_stdout: bool,
}

/// For whom the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people on a terminal, for machines otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON document a line.
    Json,
}

/// What authd may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbound {
    /// Private networks (`10.0.0.0/8`) and places (`idp.internal:443`) that may be called.
    pub allow: Vec<String>,
    /// PEM: further authorities whose certificates are believed.
    pub ca_file: Option<PathBuf>,
}

/// How the store is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The page cache, in bytes.
    pub cache_bytes: usize,
}

/// How signing keys are kept fresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// A key signs for so long; none: until somebody turns it.
    pub rotate_every: Option<Duration>,
}

impl Config {
    /// Where it listens unless told otherwise.
    const LISTEN: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 8080));
    /// What is logged unless told otherwise.
    const LOG_LEVEL: &'static str = "info";

    /// Reads and checks everything. Errors: `config_invalid`, `config_unknown_key`, each naming the file and key,
    /// the variable or the flag that is wrong.
    pub fn load(environment: &Environment, flags: &Flags) -> Result<Self> {
        let layers = Layers::read(environment, flags)?;
        let listen = match layers.text("listen") {
            Some(given) => address(given)?,
            None => Self::LISTEN,
        };
        let public_url = layers
            .text("public_url")
            .map(|given| PublicUrl::parse(&given.value).map_err(|e| given.wrong(e.message().to_owned()).because(e)))
            .transpose()?;
        let trusted_proxies = layers.list("trusted_proxies").iter().map(network).collect::<Result<Vec<_>>>()?;
        let tls = tls(&layers)?;
        if !listen.ip().is_loopback() && tls.is_none() && trusted_proxies.is_empty() {
            return Err(Error::says(
                &codes::CONFIG_INVALID,
                format!("Plain HTTP on {listen} would be open to everybody on the network."),
            )
            .help("Give `tls.cert` and `tls.key`, or name the proxy in front in `trusted_proxies`, or listen on 127.0.0.1."));
        }
        if !listen.ip().is_loopback() && public_url.is_none() {
            return Err(Error::says(&codes::CONFIG_INVALID, format!("Listening on {listen} takes a public URL."))
                .help("Give `--public-url https://…` (`public_url`): the address people and apps reach authd by."));
        }
        for given in layers.list("outbound.allow") {
            allow_entry(&given)?;
        }
        Ok(Self {
            data_dir: layers.data_dir.clone(),
            listen,
            public_url,
            tls,
            trusted_proxies,
            log: log(&layers)?,
            outbound: Outbound {
                allow: layers.list("outbound.allow").into_iter().map(|given| given.value).collect(),
                ca_file: layers.text("outbound.ca_file").map(readable).transpose()?,
            },
            store: StoreConfig { cache_bytes: layers.text("store.cache").map_or(Ok(32 << 20), |given| size(&given))? },
            keys: Keys {
                rotate_every: layers.text("keys.rotate_days").map_or(Ok(Some(days(90))), |given| rotation(&given))?,
            },
            metrics: Metrics::read(&layers)?,
            ship: Ship::read(&layers)?,
            file: layers.file,
        })
    }

    /// The data directory that is meant, also where the rest of the configuration cannot be read.
    pub fn data_dir_of(environment: &Environment, flags: &Flags) -> DataDir {
        let named = flags.data_dir.as_deref().or_else(|| environment.get("AUTHD_DATA_DIR"));
        DataDir::new(named.unwrap_or(layers::DATA_DIR))
    }

    /// The public URL: as configured, or else that of the address that is really listened on.
    /// Errors: `config_invalid` for an address that is not loopback; `load` refuses those before.
    pub fn public_url_at(&self, bound: SocketAddr) -> Result<PublicUrl> {
        match &self.public_url {
            Some(url) => Ok(url.clone()),
            None => PublicUrl::parse(&format!("{}://{bound}", if self.tls.is_some() { "https" } else { "http" })),
        }
    }
}

fn address(given: Given) -> Result<SocketAddr> {
    let text = given.value.strip_prefix("localhost:").map_or_else(|| given.value.clone(), |p| format!("127.0.0.1:{p}"));
    text.parse().map_err(|_| given.wrong(format!("`{}` is not an address of the form 127.0.0.1:8080", given.shown())))
}

fn network(given: &Given) -> Result<IpNet> {
    let text = given.value.trim();
    text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
        given.wrong(format!("`{}` is neither an address nor a network of the form 10.0.0.0/8", given.shown()))
    })
}

/// A network, or host:port. What is in it is judged where addresses are (`http`); here only the shape.
fn allow_entry(given: &Given) -> Result<()> {
    let text = given.value.as_str();
    if text != "localhost" && !text.is_empty() && !text.contains(['.', ':', '/']) {
        return Err(given.wrong(format!(
            "`{}` is a bare word: name a network (10.0.0.0/8), or a host with its port (idp.internal:443)",
            given.shown()
        )));
    }
    let fits = match text.contains('/') {
        true => text.parse::<IpNet>().is_ok(),
        false => !text.is_empty() && !text.contains(['@', '?', '#', ' ', '*']),
    };
    if fits {
        return Ok(());
    }
    Err(given.wrong(format!(
        "`{}` is neither a network (10.0.0.0/8) nor a host with its port (idp.internal:443)",
        given.shown()
    )))
}

fn tls(layers: &Layers) -> Result<Option<Tls>> {
    match (layers.text("tls.cert"), layers.text("tls.key")) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(Tls { cert: readable(cert)?, key: readable(key)? })),
        (Some(one), None) => Err(one.wrong("a certificate takes its key, too: `tls.key`".to_owned())),
        (None, Some(one)) => Err(one.wrong("a key takes its certificate, too: `tls.cert`".to_owned())),
    }
}

fn readable(given: Given) -> Result<PathBuf> {
    let path = given.path();
    match std::fs::File::open(&path) {
        Ok(_) => Ok(path),
        Err(e) => Err(given.wrong(format!("`{}` cannot be read: {}", path.display(), plain(&e))).because(e)),
    }
}

fn log(layers: &Layers) -> Result<Log> {
    let level = layers.text("log.level").map_or_else(
        || Ok(Config::LOG_LEVEL.to_owned()),
        |given| {
            let wrong = || {
                let shown = given.shown();
                given.wrong(format!(
                    "`{shown}` is not a level (error, warn, info, debug, trace) nor a list of directives"
                ))
            };
            match tracing_subscriber::EnvFilter::try_new(&given.value) {
                Ok(_) if silences(&given.value) => Err(wrong()),
                Ok(_) => Ok(given.value.clone()),
                Err(e) => Err(wrong().because(e)),
            }
        },
    )?;
    let format = match layers.text("log.format") {
        None => LogFormat::Auto,
        Some(given) => match given.value.as_str() {
            "auto" => LogFormat::Auto,
            "human" => LogFormat::Human,
            "json" => LogFormat::Json,
            _ => return Err(given.wrong(format!("`{}` is none of auto, human, json", given.shown()))),
        },
    };
    let to_stdout = match layers.text("log.to") {
        None => false,
        Some(given) => match given.value.as_str() {
            "stderr" => false,
            "stdout" => true,
            _ => return Err(given.wrong(format!("`{}` is neither stderr nor stdout", given.shown()))),
        },
    };
    Ok(Log { level, format, to_stdout })
}

/// Whether a word stands where a level is meant: as a directive it would be the name of a part, and the log of every
/// other part would be off. `part=trace` says the same in so many words.
fn silences(directives: &str) -> bool {
    let bare = |part: &&str| !part.is_empty() && !part.contains(['=', '[', ']', '{', '}']);
    directives
        .split(',')
        .map(str::trim)
        .filter(bare)
        .any(|part| part.parse::<tracing::level_filters::LevelFilter>().is_err())
}

/// `64 MiB`, `64MiB`, `67108864`.
fn size(given: &Given) -> Result<usize> {
    let text = given.value.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let unit = match text[digits..].trim().to_ascii_lowercase().as_str() {
        "" => Some(1),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    unit.and_then(|unit: usize| text[..digits].parse::<usize>().ok()?.checked_mul(unit))
        .filter(|bytes| (1 << 20..=4 << 30).contains(bytes))
        .ok_or_else(|| {
            given.wrong(format!("`{}` is not a size between 1 MiB and 4 GiB, such as `32 MiB`", given.shown()))
        })
}

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 24 * 3600)
}

/// 1 to 3650 days; 0 is never.
fn rotation(given: &Given) -> Result<Option<Duration>> {
    match given.value.trim().parse::<u64>() {
        Ok(0) => Ok(None),
        Ok(count) if count <= 3_650 => Ok(Some(days(count))),
        _ => Err(given.wrong(format!("`{}` is not a number of days from 0 (never) to 3650", given.shown()))),
    }
}

/// What went wrong with a file, without the number of the error.
fn plain(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        kind => kind.to_string(),
    }
}

#[cfg(test)]
mod tests;
