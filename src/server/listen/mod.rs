//! # listen — connections, and how many, how long, from whom
//!
//! *Owns* the sockets: TCP, TLS, the control socket; the limits on connections, heads and time; the graceful stop.
//! *Gives* `Listener::{tcp, control}` and `serve`; each request reaches the router with its `http::Peer`.
//! *Needs* errors and `http::Peer`. *Never* knows a route.

mod activity;
mod connection;
mod control;
mod shutdown;
mod slots;
mod tls;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::FutureExt as _;
use ipnet::IpNet;
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use control::{Control, private_directory};
pub use shutdown::Shutdown;
pub use tls::Tls;

use self::connection::Context;
use self::slots::Slots;
use crate::error::{Error, Result, codes};
use crate::http::Peer;

/// What a connection may take. The defaults are those of production; tests shorten them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the connection (or the first byte of a further request) to the end of the head; also for a TLS handshake.
    pub head_time: Duration,
    /// Bytes of a head, request line included; 431 above.
    pub head_bytes: usize,
    /// Headers of a request; 431 above.
    pub headers: usize,
    /// For the whole of a request's body.
    pub body_time: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// For a client that does not take the answer.
    pub stall: Duration,
    /// Connections of a listener.
    pub connections: usize,
    /// Connections of a listener from one address (IPv6: one /64). Loopback and `proxies` have `connections` instead.
    pub per_address: usize,
    /// Concurrent requests of an HTTP/2 connection.
    pub streams: u32,
    /// How long a graceful stop waits for what runs.
    pub grace: Duration,
    /// How often the certificate's files are looked at.
    pub certificate_check: Duration,
    /// Trusted proxies: many clients behind one address.
    pub proxies: Vec<IpNet>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_time: Duration::from_secs(10),
            head_bytes: 16 * 1024,
            headers: 64,
            body_time: Duration::from_secs(15),
            idle: Duration::from_secs(60),
            stall: Duration::from_secs(30),
            connections: 4096,
            per_address: 128,
            streams: 100,
            // The whole stop takes ten seconds at most; what follows on the last request needs a little.
            grace: Duration::from_secs(9),
            certificate_check: Duration::from_secs(30),
            proxies: Vec::new(),
        }
    }
}

/// A bound socket that nobody is served on yet.
#[derive(Debug)]
pub struct Listener(Socket);

#[derive(Debug)]
enum Socket {
    Tcp { listener: TcpListener, tls: Option<Arc<Tls>> },
    Control(Control),
}

impl Listener {
    /// Binds a TCP address, with TLS or without. Port 0 takes a free one. Errors: `listen_failed`.
    pub fn tcp(at: SocketAddr, tls: Option<Arc<Tls>>) -> Result<Self> {
        let bind = || {
            let socket = if at.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // A restart must not wait for the connections of the last run to leave TIME_WAIT.
            socket.set_reuseaddr(true)?;
            socket.bind(at)?;
            socket.listen(1024)
        };
        let listener = bind().map_err(|error: std::io::Error| {
            Error::says(&codes::LISTEN_FAILED, format!("{at} cannot be listened on: {}.", error.kind())).because(error)
        })?;
        Ok(Self(Socket::Tcp { listener, tls }))
    }

    /// Binds the control socket at `path`. `stranger` hears of the uid of every process that was turned away.
    /// Errors: `data_dir_in_use` when somebody answers there, `listen_failed` for everything else.
    pub fn control(path: &Path, stranger: impl Fn(u32) + Send + Sync + 'static) -> Result<Self> {
        Control::bind(path, Box::new(stranger)).map(|control| Self(Socket::Control(control)))
    }

    /// Where it listens; none for the control socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.0 {
            Socket::Tcp { listener, .. } => listener.local_addr().ok(),
            Socket::Control(_) => None,
        }
    }

    async fn accept(&self) -> std::io::Result<Accepted> {
        match &self.0 {
            Socket::Tcp { listener, tls } => {
                let (stream, peer) = listener.accept().await?;
                Ok(Accepted::Tcp(stream, peer, tls.clone()))
            }
            Socket::Control(control) => control.accept().await.map(|(stream, uid)| Accepted::Control(stream, uid)),
        }
    }
}

enum Accepted {
    Tcp(TcpStream, SocketAddr, Option<Arc<Tls>>),
    Control(UnixStream, u32),
}

/// Serves `router` until `shutdown` begins; then accepts no more, lets what runs finish within `limits.grace`, and returns.
/// A forced shutdown returns at once.
pub async fn serve(listener: Listener, router: Router, limits: Limits, shutdown: Shutdown) {
    let slots = Slots::new(&limits);
    let context = Arc::new(Context { router, limits, shutdown: shutdown.clone(), cut: CancellationToken::new() });
    let running = TaskTracker::new();
    if let Socket::Tcp { tls: Some(tls), .. } = &listener.0 {
        tokio::spawn(tls::watch(tls.clone(), context.limits.certificate_check, shutdown.clone()));
    }
    loop {
        tokio::select! {
            biased;
            () = shutdown.begun() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => admit(accepted, &slots, &context, &running),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    // Out of file descriptors or memory: what runs must end before more can come.
                    tracing::error!(%error, "no connection can be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
        }
    }
    // Who was queued before the stop is still served.
    while let Some(Ok(accepted)) = listener.accept().now_or_never() {
        admit(accepted, &slots, &context, &running);
    }
    drop(listener);
    running.close();
    tokio::select! {
        () = running.wait() => {}
        () = shutdown.forced() => {}
        () = tokio::time::sleep(context.limits.grace) => tracing::warn!(connections = running.len(), "cut off at the end of the grace period"),
    }
    context.cut.cancel();
}

fn admit(accepted: Accepted, slots: &Arc<Slots>, context: &Arc<Context>, running: &TaskTracker) {
    let context = context.clone();
    match accepted {
        Accepted::Tcp(stream, peer, tls) => {
            // Dropping the stream closes it: cheaper for us than an answer, and nothing for the client to hold.
            let Some(slot) = slots.take(Some(peer.ip())) else { return };
            // Answers are written whole; waiting to fill a packet only delays them.
            let _ = stream.set_nodelay(true);
            running.spawn(async move {
                let _slot = slot;
                let peer = Peer::Tcp(peer);
                match tls {
                    None => connection::drive(stream, peer, false, &context).await,
                    Some(tls) => match tokio::time::timeout(context.limits.head_time, tls.accept(stream)).await {
                        Ok(Ok((stream, http2))) => connection::drive(stream, peer, http2, &context).await,
                        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
                        Err(_) => tracing::debug!("TLS handshake took too long"),
                    },
                }
            });
        }
        Accepted::Control(stream, uid) => {
            let Some(slot) = slots.take(None) else { return };
            running.spawn(async move {
                let _slot = slot;
                connection::drive(stream, Peer::Control { uid }, false, &context).await;
            });
        }
    }
}

/// Errors of `accept` that tell of a client that left, or that was turned away.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, PermissionDenied};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | PermissionDenied)
}
