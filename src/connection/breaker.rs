//! When a provider does not answer: after five failures in a row nobody waits for it any more, and every 30 seconds one
//! request tries whether it is back.
//!
//! ```text
//!  closed ── 5 failures in a row ──► open ── 30 s ──► half open: one probe
//!     ▲                                ▲                  │        │
//!     │                                └──── failure ─────┘        │
//!     └──────────────────────── an answer ─────────────────────────┘
//! ```
//!
//! In memory, one a connection. What counts is each call to the provider, not each sign-in: what is served from a cache says
//! nothing about the provider.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use url::Url;

use super::protocol::{Answer, Authenticated, Begin, BeginRequest, Checks, Protocol, SignedOut};
use super::report::Report;
use crate::access::Context;
use crate::crypto::sha256;
use crate::env::{Env, Outbound, Request, Response};
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// So many failures in a row open it.
const FAILURES: u32 = 5;
/// So long it stays open before one request may try.
const OPEN: Duration = Duration::from_secs(30);
/// A beat of a sign-in is over by then, however many calls it makes; what the person sees is there within ten seconds.
const BEAT: Duration = Duration::from_secs(9);

/// The breakers of all connections. Shared by every request; made once.
#[derive(Debug, Default)]
pub struct Breakers {
    all: Mutex<HashMap<ConnectionId, (Setting, Arc<Breaker>)>>,
}

/// What the connection was set to when the breaker was made.
type Setting = [u8; 32];

impl Breakers {
    /// The breaker of a connection; a fresh one when its provider was configured anew (`config`, as it is kept).
    pub fn of(&self, connection: ConnectionId, config: &impl minicbor::Encode<()>) -> Arc<Breaker> {
        let setting = sha256(&[&minicbor::to_vec(config).unwrap_or_default()]);
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        match all.get(&connection) {
            Some((same, breaker)) if *same == setting => Arc::clone(breaker),
            _ => {
                let breaker = Arc::<Breaker>::default();
                all.insert(connection, (setting, Arc::clone(&breaker)));
                breaker
            }
        }
    }
}

/// The breaker of one connection.
#[derive(Debug, Default)]
pub struct Breaker {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// In a row.
    failures: u32,
    /// When it opened, in monotonic time.
    opened: Option<Duration>,
    /// When the probe left that is on its way.
    probe: Option<Duration>,
}

/// A call that was let through. Dropped without a verdict (the person went away), it says nothing, and another may try.
struct Pass<'a> {
    breaker: &'a Breaker,
    settled: bool,
}

impl Breaker {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Errors: `upstream_unavailable`, at once, while it is open.
    fn admit(&self, now: Duration) -> Result<Pass<'_>> {
        let mut state = self.lock();
        if let Some(opened) = state.opened {
            let wait = OPEN.saturating_sub(now.saturating_sub(opened));
            let probed = state.probe.is_some_and(|left| now.saturating_sub(left) < OPEN);
            if !wait.is_zero() || probed {
                return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE)
                    .because("it did not answer five times in a row; nobody waits for it now"));
            }
            state.probe = Some(now);
        }
        Ok(Pass { breaker: self, settled: false })
    }

    fn answered(&self) {
        *self.lock() = State::default();
    }

    fn failed(&self, now: Duration) {
        let mut state = self.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES {
            state.opened = Some(now);
            state.probe = None;
        }
    }
}

impl Pass<'_> {
    /// The verdict comes later.
    fn hold(mut self) {
        self.settled = true;
    }

    fn settle(mut self, answered: bool, now: Duration) {
        self.settled = true;
        if answered { self.breaker.answered() } else { self.breaker.failed(now) }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.breaker.lock().probe = None;
        }
    }
}

/// The outbound client, behind the breaker.
struct Gate {
    outbound: Arc<dyn Outbound>,
    breaker: Arc<Breaker>,
    env: Env,
    /// This beat was let through: whatever else it connects to belongs to it.
    held: AtomicBool,
}

#[async_trait]
impl Outbound for Gate {
    async fn send(&self, request: Request) -> Result<Response> {
        let pass = self.breaker.admit(self.env.monotonic())?;
        let answer = self.outbound.send(request).await;
        let down = match &answer {
            Ok(answer) => answer.status >= 500,
            Err(error) => error.is(&codes::UPSTREAM_UNAVAILABLE),
        };
        pass.settle(!down, self.env.monotonic());
        answer
    }

    fn permits(&self, url: &Url) -> Result<()> {
        self.outbound.permits(url)
    }

    /// A beat is let through once, however many servers and addresses it tries: the first that is away must not keep it, or
    /// the one probe, from the next. A connection that comes about is no answer yet: many a directory takes connections and
    /// says nothing. Who speaks on it tells, by `heard`; until then a probe stays one.
    async fn connect(&self, host: &str, to: SocketAddr, ordinary: bool) -> Result<tokio::net::TcpStream> {
        if !self.held.load(Ordering::Relaxed) {
            self.breaker.admit(self.env.monotonic())?.hold();
            self.held.store(true, Ordering::Relaxed);
        }
        self.outbound.connect(host, to, ordinary).await
    }

    /// Of a beat that was not let through, or asked nobody anew, there is nothing to tell.
    fn heard(&self, answered: bool) {
        if self.held.load(Ordering::Relaxed) {
            if answered { self.breaker.answered() } else { self.breaker.failed(self.env.monotonic()) }
        }
    }

    fn permits_socket(&self, host: &str, to: SocketAddr, ordinary: bool) -> Result<()> {
        self.outbound.permits_socket(host, to, ordinary)
    }

    fn tls(&self) -> Option<rustls::ClientConfig> {
        self.outbound.tls()
    }
}

/// A protocol whose provider may be slow or down without harm to anybody else: each beat ends in time, and its calls pass
/// the breaker of the connection.
pub struct Guarded {
    protocol: Box<dyn Protocol>,
    breaker: Arc<Breaker>,
    /// For what is measured.
    name: &'static str,
}

impl Guarded {
    /// Around the protocol of a connection, which is called `name`.
    pub fn new(protocol: Box<dyn Protocol>, breaker: Arc<Breaker>, name: &'static str) -> Self {
        Self { protocol, breaker, name }
    }

    fn behind(&self, cx: &Context) -> Context {
        let (breaker, env) = (Arc::clone(&self.breaker), cx.env.clone());
        let env = cx
            .env
            .clone()
            .around_outbound(move |outbound| Arc::new(Gate { outbound, breaker, env, held: AtomicBool::new(false) }));
        Context { env, ..cx.clone() }
    }

    /// Errors: `upstream_unavailable` when the time is over. A call that was cut off has failed.
    async fn timely<T>(&self, cx: &Context, step: &'static str, beat: impl Future<Output = Result<T>>) -> Timely<T> {
        let begun = cx.env.monotonic();
        let (done, late) = match tokio::time::timeout(BEAT, beat).await {
            Ok(done) => (done, false),
            Err(_) => {
                self.breaker.failed(cx.env.monotonic());
                (Err(Error::new(&codes::UPSTREAM_UNAVAILABLE).because("the beat of the sign-in took too long")), true)
            }
        };
        let ending = match &done {
            Ok(_) => "ok",
            Err(error) if error.is(&codes::UPSTREAM_UNAVAILABLE) => "unavailable",
            Err(_) => "refused",
        };
        let took = cx.env.monotonic().saturating_sub(begun);
        cx.env.meters().upstream.of([self.name, step, ending]).time(took);
        Timely { done, late }
    }
}

/// How a beat ended, and whether it was cut off.
struct Timely<T> {
    done: Result<T>,
    late: bool,
}

#[async_trait]
impl Protocol for Guarded {
    async fn begin(&self, cx: &Context, request: &BeginRequest) -> Result<Begin> {
        let behind = self.behind(cx);
        self.timely(cx, "begin", self.protocol.begin(&behind, request)).await.done
    }

    fn screen(&self, answer: &Answer, checks: &mut Checks) -> Result<()> {
        self.protocol.screen(answer, checks)
    }

    async fn complete(&self, cx: &Context, answer: &Answer, kept: &[u8], checks: &mut Checks) -> Result<Authenticated> {
        let behind = self.behind(cx);
        let ended = self.timely(cx, "complete", self.protocol.complete(&behind, answer, kept, checks)).await;
        if ended.late {
            // What was asked last has left no word behind: the check before it tells how far it came.
            checks.compare("provider_answers", false, format!("within {} seconds", BEAT.as_secs()), "nothing by then");
        }
        ended.done
    }

    async fn signed_out(&self, cx: &Context, word: &str, checks: &mut Checks) -> Result<SignedOut> {
        let behind = self.behind(cx);
        self.timely(cx, "signed_out", self.protocol.signed_out(&behind, word, checks)).await.done
    }

    /// Whoever asks wants to know how the provider is now; when it is well, so is everybody.
    async fn test(&self, cx: &Context) -> Report {
        let report = self.protocol.test(cx).await;
        if report.ok {
            self.breaker.answered();
        }
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn call(breaker: &Breaker, seconds: u64, answered: bool) -> bool {
        match breaker.admit(at(seconds)) {
            Ok(pass) => {
                pass.settle(answered, at(seconds));
                true
            }
            Err(_) => false,
        }
    }

    #[test]
    fn r_08_it_opens_after_five_in_a_row_and_lets_one_probe_through_every_30_seconds() {
        let breaker = Breaker::default();
        assert!((0..4).all(|_| call(&breaker, 0, false)));
        assert!(call(&breaker, 0, true), "an answer between them");
        assert!((0..5).all(|_| call(&breaker, 1, false)));
        assert!(!call(&breaker, 1, true) && !call(&breaker, 30, true), "open");
        let probe = breaker.admit(at(31)).unwrap();
        assert!(breaker.admit(at(31)).is_err(), "one at a time");
        probe.settle(false, at(40));
        assert!(!call(&breaker, 69, true), "open for another 30 s from the failure on");
        assert!(call(&breaker, 70, true));
        assert!((0..3).all(|_| breaker.admit(at(70)).is_ok()), "closed for everybody");
    }

    #[test]
    fn r_08_a_probe_that_is_given_up_lets_the_next_one_try() {
        let breaker = Breaker::default();
        assert!((0..5).all(|_| call(&breaker, 0, false)));
        drop(breaker.admit(at(30)).unwrap());
        let lost = breaker.admit(at(30)).unwrap();
        std::mem::forget(lost);
        assert!(breaker.admit(at(59)).is_err());
        assert!(breaker.admit(at(60)).is_ok(), "a probe that never comes back holds nobody up for long");
    }
}
