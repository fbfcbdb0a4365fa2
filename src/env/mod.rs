//! # env — the world comes in by the hand
//!
//! *Owns* `Env`: clock, random numbers, outbound HTTP, DNS; `Timestamp`; and `Meters`, which take what is measured.
//! *Gives* the same to every module as a parameter; `Env::frozen()` to tests.
//! *Needs* errors only. *Never* lets anyone ask the operating system behind its back (clippy forbids it).

mod frozen;
pub mod meters;
mod system;
mod timestamp;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

pub use frozen::{FrozenClock, NoDns, NoOutbound, SeededRng};
pub use meters::Meters;
pub use system::{SystemClock, SystemRng};
pub use timestamp::Timestamp;

use crate::error::Result;

/// The time, as a parameter.
pub trait Clock: Send + Sync {
    /// Wall-clock time.
    fn now(&self) -> Timestamp;
    /// Time since some fixed moment, never going back: for throttles, cooldowns and latencies.
    fn monotonic(&self) -> Duration;
    /// Moves a test's clock. The system's clock does not move.
    fn advance(&self, _by: Duration) {}
}

/// Random numbers, as a parameter. The system's are fit for keys.
pub trait Rng: Send + Sync {
    /// Fills `bytes`.
    fn fill(&self, bytes: &mut [u8]);
}

/// An outgoing HTTP request. The client never follows a redirect and never reads a proxy from the environment.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` or `POST`.
    pub method: axum::http::Method,
    /// Absolute, http or https.
    pub url: url::Url,
    /// Sent as they are.
    pub headers: axum::http::HeaderMap,
    /// Sent as it is.
    pub body: Vec<u8>,
    /// Connect, send, and read the whole answer within this. 10 s unless set.
    pub timeout: Duration,
    /// An answer of more bytes is refused with `upstream_too_large`. 1 MiB unless set.
    pub max_bytes: usize,
}

impl Request {
    /// A GET of `url` with the usual limits.
    pub fn get(url: url::Url) -> Self {
        Self {
            method: axum::http::Method::GET,
            url,
            headers: axum::http::HeaderMap::new(),
            body: Vec::new(),
            timeout: Duration::from_secs(10),
            max_bytes: 1024 * 1024,
        }
    }

    /// A POST of `fields` as a form (`application/x-www-form-urlencoded`).
    pub fn post_form(url: url::Url, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut request = Self::get(url);
        request.method = axum::http::Method::POST;
        request.body = body.into_bytes();
        request.headers.insert(
            axum::http::header::CONTENT_TYPE,
            axum::http::HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        request
    }

    /// With one more header; a value that no header can carry is left out.
    #[must_use]
    pub fn header(mut self, name: axum::http::HeaderName, value: &str) -> Self {
        if let Ok(value) = axum::http::HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }
}

/// The answer to a `Request`.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status; 3xx arrives here like any other.
    pub status: u16,
    /// Its headers.
    pub headers: axum::http::HeaderMap,
    /// The whole body, at most `max_bytes`.
    pub body: Vec<u8>,
}

/// Outgoing HTTP, as a parameter. There is one implementation for the world: `http::fetch`.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// Sends one request. Errors: `url_not_allowed`, `outbound_not_allowed`, `upstream_unavailable`, `upstream_too_large`.
    async fn send(&self, request: Request) -> Result<Response>;
    /// Whether the address could be called at all, without calling it: scheme, literal address, port. Same errors.
    fn permits(&self, url: &url::Url) -> Result<()>;
    /// Connects to an address that `host` resolved to, for a protocol that brings its own encryption (LDAP); `ordinary`
    /// tells whether the port is one of that protocol. Errors: `url_not_allowed`, `outbound_not_allowed`,
    /// `upstream_unavailable`.
    async fn connect(&self, _host: &str, _to: SocketAddr, _ordinary: bool) -> Result<tokio::net::TcpStream> {
        Err(crate::error::Error::new(&crate::error::codes::OUTBOUND_NOT_ALLOWED))
    }
    /// Whoever speaks a protocol of their own over `connect` says how it went on: whether the other side answered.
    fn heard(&self, _answered: bool) {}
    /// Whether an address that `host` resolved to could be sent datagrams; `ordinary` as in `connect`.
    /// Errors: `url_not_allowed`, `outbound_not_allowed`.
    fn permits_socket(&self, _host: &str, _to: SocketAddr, _ordinary: bool) -> Result<()> {
        Err(crate::error::Error::new(&crate::error::codes::OUTBOUND_NOT_ALLOWED))
    }
    /// Whose certificates are believed where a connection names no authority of its own.
    fn tls(&self) -> Option<rustls::ClientConfig> {
        None
    }
}

/// DNS, as a parameter.
#[async_trait]
pub trait Dns: Send + Sync {
    /// Every address of a host. Errors: `upstream_unavailable`.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>>;
    /// Every TXT record of a name, as it is now; an empty list only when a name server says that there is none.
    /// Errors: `upstream_unavailable` when none gave an answer.
    async fn txt(&self, name: &str) -> Result<Vec<String>>;
}

/// Everything of the outside world that authd touches, besides its own files and sockets.
#[derive(Clone)]
pub struct Env {
    clock: Arc<dyn Clock>,
    rng: Arc<dyn Rng>,
    outbound: Arc<dyn Outbound>,
    dns: Arc<dyn Dns>,
    meters: Arc<Meters>,
    run: u64,
}

/// A number that no other clock of this process, and no other process, is likely to have.
fn new_run() -> u64 {
    use std::hash::BuildHasher as _;
    std::hash::RandomState::new().hash_one(std::process::id())
}

impl Env {
    /// From its four parts.
    pub fn new(clock: Arc<dyn Clock>, rng: Arc<dyn Rng>, outbound: Arc<dyn Outbound>, dns: Arc<dyn Dns>) -> Self {
        Self { clock, rng, outbound, dns, meters: Arc::default(), run: new_run() }
    }

    /// For tests: the clock stands at 2026-01-01T00:00:00Z until it is advanced, the random source is seeded,
    /// and nothing answers outside.
    pub fn frozen() -> Self {
        Self::new(Arc::new(FrozenClock::new()), Arc::new(SeededRng::new(1)), Arc::new(NoOutbound), Arc::new(NoDns))
    }

    /// The same world with another outbound client.
    #[must_use]
    pub fn with_outbound(mut self, outbound: Arc<dyn Outbound>) -> Self {
        self.outbound = outbound;
        self
    }

    /// The same world, with something around its outbound client.
    #[must_use]
    pub fn around_outbound(mut self, wrap: impl FnOnce(Arc<dyn Outbound>) -> Arc<dyn Outbound>) -> Self {
        self.outbound = wrap(self.outbound);
        self
    }

    /// The same world with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self.run = new_run();
        self
    }

    /// The same world with another resolver.
    #[must_use]
    pub fn with_dns(mut self, dns: Arc<dyn Dns>) -> Self {
        self.dns = dns;
        self
    }

    /// Wall-clock time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Time that never goes back.
    pub fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    /// Which run of the clock `monotonic` belongs to: moments of two runs cannot be compared.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Moves a test's clock; does nothing to the system's.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// `N` random bytes, fit for keys.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill(&mut bytes);
        bytes
    }

    /// What is measured in this process.
    pub fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The outbound client.
    pub fn outbound(&self) -> &dyn Outbound {
        &*self.outbound
    }

    /// The resolver.
    pub fn dns(&self) -> &dyn Dns {
        &*self.dns
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Env")
    }
}
