//! The one outbound client. A name is resolved once, every address is checked, and the connection goes to exactly
//! these addresses; no redirect is followed, no proxy is taken from the environment, no cookie is kept.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use axum::http::header;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustls::CertificateError;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use url::Url;

use super::outbound::{OutboundRules, Target};
use crate::env::{Dns, Outbound, Request, Response};
use crate::error::{Error, Result, codes};

/// TCP, TLS and the name's resolution together.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// As many kinds of targets (scheme and port) as have clients of their own at a time.
const CLIENTS: usize = 32;

/// The outbound client of the world. Cheap to clone.
#[derive(Clone)]
pub struct Fetch {
    rules: Arc<OutboundRules>,
    dns: Arc<dyn Dns>,
    tls: rustls::ClientConfig,
    /// reqwest tells its resolver the name alone, but an entry of `outbound.allow` may hang on the port: so each
    /// scheme and port has a client, whose resolver knows them.
    clients: Arc<Mutex<BTreeMap<(bool, u16), Clients>>>,
}

#[derive(Clone)]
struct Clients {
    pooled: reqwest::Client,
    /// Keeps no connection: for the repetition of what a dead one swallowed.
    fresh: reqwest::Client,
}

impl Fetch {
    /// Trusts the certificate authorities of the system and those of the PEM files in `authorities`
    /// (`outbound.ca_file`). Errors: `config_invalid` for a file that cannot be read.
    pub fn new(rules: OutboundRules, dns: Arc<dyn Dns>, authorities: &[impl AsRef<Path>]) -> Result<Self> {
        let mut extra = Vec::new();
        for file in authorities {
            extra.extend(certificates(file.as_ref())?);
        }
        Ok(Self { rules: Arc::new(rules), dns, tls: tls_config(extra)?, clients: Arc::default() })
    }

    /// What may be called.
    pub fn rules(&self) -> &OutboundRules {
        &self.rules
    }

    fn clients(&self, secure: bool, port: u16) -> Result<Clients> {
        let mut clients = self.clients.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(found) = clients.get(&(secure, port)) {
            return Ok(found.clone());
        }
        let resolver = Arc::new(Guarded { rules: self.rules.clone(), dns: self.dns.clone(), secure, port });
        let build = |idle: usize| {
            #[expect(clippy::disallowed_methods, reason = "this is the one outbound client")]
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .user_agent(concat!("authd/", env!("CARGO_PKG_VERSION")))
                .connect_timeout(CONNECT)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(idle)
                .tls_backend_preconfigured(self.tls.clone())
                .dns_resolver(resolver.clone())
                .connector_layer(tower::layer::layer_fn(Noting))
                .build()
                .map_err(Error::bug)
        };
        let made = Clients { pooled: build(4)?, fresh: build(0)? };
        if clients.len() >= CLIENTS {
            clients.pop_first();
        }
        clients.insert((secure, port), made.clone());
        Ok(made)
    }
}

#[async_trait]
impl Outbound for Fetch {
    async fn send(&self, request: Request) -> Result<Response> {
        self.rules.permits(&request.url)?;
        let target = Target::of(&request.url)?;
        let clients = self.clients(target.secure, target.port)?;
        tokio::time::timeout(request.timeout, exchange(&clients, &request)).await.unwrap_or_else(|_| Err(late()))
    }

    fn permits(&self, url: &Url) -> Result<()> {
        self.rules.permits(url)
    }

    fn permits_socket(&self, host: &str, to: SocketAddr, ordinary: bool) -> Result<()> {
        self.rules.permits_socket(host, to.ip(), to.port(), ordinary)
    }

    async fn connect(&self, host: &str, to: SocketAddr, ordinary: bool) -> Result<tokio::net::TcpStream> {
        self.rules.permits_socket(host, to.ip(), to.port(), ordinary)?;
        let refused = |error| {
            Error::says(&codes::UPSTREAM_UNAVAILABLE, "No connection could be made to the other side.").because(error)
        };
        let connected = tokio::time::timeout(CONNECT, tokio::net::TcpStream::connect(to)).await;
        let stream = connected.map_err(|_| late())?.map_err(refused)?;
        stream.set_nodelay(true).map_err(refused)?;
        Ok(stream)
    }

    fn tls(&self) -> Option<rustls::ClientConfig> {
        let mut config = self.tls.clone();
        // What is spoken inside is agreed on for HTTP alone.
        config.alpn_protocols.clear();
        Some(config)
    }
}

async fn exchange(clients: &Clients, request: &Request) -> Result<Response> {
    let connected = Arc::new(AtomicBool::new(false));
    let mut answer = match CONNECTED.scope(connected.clone(), clients.pooled.execute(outgoing(request))).await {
        // A kept connection that the other side had given up, closed before it answered: the request was not handled, so
        // that repeating it is safe, even for a POST that redeems a code. A connection made for this request that ends
        // like this proves nothing, and is not repeated. (An answer torn within its head looks the same to us; torn
        // later, it is not repeated.)
        Err(error) if !connected.load(Ordering::Relaxed) && is_closed(&error) => {
            clients.fresh.execute(outgoing(request)).await
        }
        other => other,
    }
    .map_err(failed)?;
    let announced = answer.content_length().unwrap_or(0);
    if announced > request.max_bytes as u64 {
        return Err(Error::new(&codes::UPSTREAM_TOO_LARGE));
    }
    let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > request.max_bytes {
            return Err(Error::new(&codes::UPSTREAM_TOO_LARGE));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status: answer.status().as_u16(), headers: std::mem::take(answer.headers_mut()), body })
}

fn outgoing(request: &Request) -> reqwest::Request {
    let mut outgoing = reqwest::Request::new(request.method.clone(), request.url.clone());
    *outgoing.headers_mut() = request.headers.clone();
    // The host is the URL's. Nothing here decompresses, so that a small answer cannot become a large one.
    outgoing.headers_mut().remove(header::HOST);
    outgoing.headers_mut().insert(header::ACCEPT_ENCODING, header::HeaderValue::from_static("identity"));
    if !request.body.is_empty() || request.method == axum::http::Method::POST {
        *outgoing.body_mut() = Some(request.body.clone().into());
    }
    outgoing
}

/// The resolver of one client: every address is checked, and what it returns is what is connected to.
struct Guarded {
    rules: Arc<OutboundRules>,
    dns: Arc<dyn Dns>,
    secure: bool,
    port: u16,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (rules, dns, secure, port) = (self.rules.clone(), self.dns.clone(), self.secure, self.port);
        Box::pin(async move {
            let found = dns.addresses(name.as_str()).await?;
            let admitted = rules.admit(name.as_str(), port, secure, found)?;
            Ok(Box::new(admitted.into_iter().map(move |ip| SocketAddr::new(ip, port))) as Addrs)
        })
    }
}

tokio::task_local! {
    /// Set when a request makes a connection of its own instead of taking a kept one.
    static CONNECTED: Arc<AtomicBool>;
}

/// A connector that notes that it was asked.
#[derive(Clone)]
struct Noting<S>(S);

impl<S: tower::Service<R>, R> tower::Service<R> for Noting<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, target: R) -> S::Future {
        // Outside the scope (a connection made ahead of any request) there is nobody to tell.
        let _ = CONNECTED.try_with(|connected| connected.store(true, Ordering::Relaxed));
        self.0.call(target)
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let wrong =
        || Error::says(&codes::CONFIG_INVALID, format!("`{}` holds no certificate in PEM form.", file.display()));
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match read {
        Ok(found) if found.is_empty() => Err(wrong()),
        Ok(found) => Ok(found),
        Err(error) => Err(wrong().because(error)),
    }
}

fn tls_config(extra: Vec<CertificateDer<'static>>) -> Result<rustls::ClientConfig> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(Error::bug)?;
    let mut config = match rustls_platform_verifier::Verifier::new_with_extra_roots(extra.clone(), provider) {
        Ok(verifier) => builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth(),
        Err(error) if extra.is_empty() => {
            // No authority at all: https fails with its own message, the rest works.
            tracing::warn!(%error, "the system has no certificate authorities; https to others will fail");
            builder.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        }
        Err(error) => {
            return Err(Error::says(&codes::CONFIG_INVALID, "A certificate of `outbound.ca_file` cannot be used.")
                .because(error));
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Every cause of an error, also those that an `io::Error` carries inside.
fn causes<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |at: &&'a (dyn StdError + 'static)| {
        let at: &'a (dyn StdError + 'static) = *at;
        match at.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn StdError + 'static)),
            None => at.source(),
        }
    })
}

fn is_closed(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    causes(error).any(|cause| {
        if let Some(error) = cause.downcast_ref::<hyper::Error>() {
            return error.is_incomplete_message() || error.is_closed() || error.is_canceled();
        }
        cause.downcast_ref::<std::io::Error>().is_some_and(|error| {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
        })
    })
}

fn late() -> Error {
    Error::says(&codes::UPSTREAM_UNAVAILABLE, "The other side did not answer in time.")
}

fn failed(error: reqwest::Error) -> Error {
    // What the resolver refused or could not find says it best.
    let ours = causes(&error).find_map(|cause| cause.downcast_ref::<Error>());
    if let Some(ours) = ours
        && let Some(code) = codes::ALL.iter().copied().find(|code| ours.is(code))
    {
        return Error::says(code, ours.message().to_owned())
            .help(ours.next_step().unwrap_or_default().to_owned())
            .because(ours.log_line());
    }
    let tls = causes(&error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
    let says = match tls {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "The TLS certificate of the other side has expired.",
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => "The TLS certificate of the other side is for another name.",
        Some(rustls::Error::InvalidCertificate(_)) => {
            return Error::says(&codes::UPSTREAM_UNAVAILABLE, "The TLS certificate of the other side is not trusted.")
                .help("If a private authority signed it, give that authority's certificate as `outbound.ca_file`.")
                .because(error);
        }
        Some(_) => "No TLS connection could be made to the other side.",
        None if error.is_timeout() => return late().because(error),
        None if error.is_connect() => "No connection could be made to the other side.",
        None => codes::UPSTREAM_UNAVAILABLE.message,
    };
    Error::says(&codes::UPSTREAM_UNAVAILABLE, says).because(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::NoDns;

    #[test]
    fn an_authority_file_without_a_certificate_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = Fetch::new(OutboundRules::default(), Arc::new(NoDns), &[file.path()]).map(|_| ()).unwrap_err();
        assert!(refused.is(&codes::CONFIG_INVALID));
        let refused =
            Fetch::new(OutboundRules::default(), Arc::new(NoDns), &["/nonexistent/ca.pem"]).map(|_| ()).unwrap_err();
        assert!(refused.is(&codes::CONFIG_INVALID));
    }

    #[test]
    fn clients_stay_few() {
        let fetch = Fetch::new(OutboundRules::default(), Arc::new(NoDns), &[] as &[&str]).unwrap();
        for port in 1..100 {
            fetch.clients(true, port).unwrap();
        }
        assert_eq!(fetch.clients.lock().unwrap().len(), CLIENTS);
    }
}
