//! The list of keys: one place for the file, the environment, the flags and their help.

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One,
    /// Any number of values; a list in the file, separated by commas in the environment, repeated as a flag.
    Many,
}

/// One key of the configuration.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file, with dots for tables.
    pub name: &'static str,
    /// What it takes.
    pub shape: Shape,
    /// How its value is shown in help.
    pub value: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What it is unless given.
    pub default: &'static str,
}

impl Key {
    /// Its variable: `tls.cert` is `AUTHD_TLS_CERT`.
    pub fn variable(&self) -> String {
        format!("AUTHD_{}", self.name.replace('.', "_").to_uppercase())
    }

    /// Its flag, without the dashes: `tls.cert` is `tls-cert`.
    pub fn flag(&self) -> String {
        self.name.replace(['.', '_'], "-")
    }
}

macro_rules! key {
    ($name:literal, $shape:ident, $value:literal, $default:literal, $about:literal) => {
        Key { name: $name, shape: Shape::$shape, value: $value, about: $about, default: $default }
    };
}

/// Every key there is.
pub const KEYS: &[Key] = &[
    key!("data_dir", One, "DIR", "./authd-data", "Where everything is kept: database, master key, control socket"),
    key!("listen", One, "ADDRESS", "127.0.0.1:8080", "The address to listen on"),
    key!(
        "public_url",
        One,
        "URL",
        "from `listen`, on loopback",
        "The address people and apps reach authd by; it is the issuer of every token"
    ),
    key!("tls.cert", One, "FILE", "", "The TLS certificate and its chain, PEM"),
    key!("tls.key", One, "FILE", "", "The key of the TLS certificate, PEM"),
    key!("trusted_proxies", Many, "NETWORK", "", "Proxies whose X-Forwarded-For is believed: an address or a network"),
    key!("log.level", One, "LEVEL", "info", "error, warn, info, debug, trace, or directives (info,authd::store=debug)"),
    key!("log.format", One, "FORMAT", "auto", "auto (for people on a terminal, else JSON), human or json"),
    key!("log.to", One, "STREAM", "stderr", "stderr or stdout"),
    key!(
        "outbound.allow",
        Many,
        "CIDR|HOST:PORT",
        "",
        "A private address that authd may call, though it calls public ones only"
    ),
    key!("outbound.ca_file", One, "FILE", "", "Further certificate authorities for outgoing TLS, PEM"),
    key!("store.cache", One, "SIZE", "32 MiB", "The page cache of the database"),
    key!(
        "keys.rotate_days",
        One,
        "DAYS",
        "90",
        "A signing key hands over to the next after so many days; 0: only by hand"
    ),
    key!(
        "metrics.listen",
        One,
        "ADDRESS",
        "",
        "An address of its own for /metrics; one that is not loopback takes `metrics.token_file`"
    ),
    key!(
        "metrics.token_file",
        One,
        "FILE",
        "",
        "A file with the token by which /metrics may be read; without it the public address does not have /metrics"
    ),
    key!(
        "ship.syslog",
        One,
        "URL",
        "",
        "Send events as RFC 5424 messages: udp://host:514, tcp://host:601, tls://host:6514, unix:///dev/log"
    ),
    key!("ship.otlp", One, "URL", "", "Send events to an OpenTelemetry collector: https://host:4318/v1/logs"),
    key!("ship.otlp_headers_file", One, "FILE", "", "A file with headers for the collector, one `Name: value` a line"),
    key!(
        "ship.events",
        Many,
        "KIND",
        "",
        "Which events are sent, unless all: a kind, or a beginning of kinds (session.*)"
    ),
];

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The known name that was probably meant.
pub fn meant<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong: enough for typos, too little for another word.
    let bound = (name.chars().count() / 3).max(1);
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= bound)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
