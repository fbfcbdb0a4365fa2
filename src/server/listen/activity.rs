//! What a connection is doing, and for how long it may go on with it.
//!
//! ```text
//!            first byte          head complete           answer sent
//!   Fresh ──────────────▶ Head ────────────────▶ Busy ────────────────▶ Idle
//!     head_time            ▲ head_time            body_time, stall       │ idle
//!                          └───────────── first byte of the next ────────┘
//! ```
//!
//! hyper's own header timeout counts the idle time between two requests as reading of a head, and has no limit on idleness;
//! here they are two.

use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Limits;

const FRESH: u8 = 0;
const HEAD: u8 = 1;
const BUSY: u8 = 2;
const IDLE: u8 = 3;

/// So many requests a client may give up within a second; with one more its connection is closed.
pub(super) const RESETS: u32 = 20;
/// A connection that has not said a word when the stop begins has this long to.
const LAST_WORD: Duration = Duration::from_secs(1);

pub(super) struct Activity {
    begun: Instant,
    phase: AtomicU8,
    /// Milliseconds after `begun` at which the phase began.
    since: AtomicU64,
    /// Requests that are being answered; more than one on HTTP/2 only.
    running: AtomicUsize,
    /// The second after `begun` in which requests were given up last, and how many in it.
    given_up: Mutex<(u64, u32)>,
    /// Set once the client gives up more requests a second than it may.
    abused: CancellationToken,
    /// Milliseconds after `begun`, plus one, at which writing came to a stop; 0 while it flows.
    stalled: AtomicU64,
    /// Milliseconds that a test lets pass without waiting.
    #[cfg(test)]
    skipped: AtomicU64,
}

/// A request being answered. Dropped with the last of the answer, or when the client gives it up before.
pub(super) struct Running {
    activity: Arc<Activity>,
    done: bool,
}

impl Running {
    /// The answer is complete: what comes now is no giving up.
    pub fn done(&mut self) {
        self.done = true;
    }
}

impl Activity {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            phase: AtomicU8::new(FRESH),
            since: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            given_up: Mutex::default(),
            abused: CancellationToken::new(),
            stalled: AtomicU64::new(0),
            #[cfg(test)]
            skipped: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        #[cfg(test)]
        let elapsed = elapsed + self.skipped.load(SeqCst);
        elapsed
    }

    fn enter(&self, phase: u8) {
        self.since.store(self.now(), SeqCst);
        self.phase.store(phase, SeqCst);
    }

    /// Bytes came in.
    pub fn read(&self) {
        match self.phase.load(SeqCst) {
            // The clock of a head runs from the connection on: a first byte does not buy a second term.
            FRESH => self.phase.store(HEAD, SeqCst),
            IDLE => self.enter(HEAD),
            _ => {}
        }
    }

    /// Bytes went out, or could not.
    pub fn wrote(&self, flows: bool) {
        if flows {
            self.stalled.store(0, SeqCst);
        } else if self.stalled.load(SeqCst) == 0 {
            self.stalled.store(self.now() + 1, SeqCst);
        }
    }

    /// A head is complete.
    pub fn start(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, SeqCst);
        self.enter(BUSY);
        Running { activity: self.clone(), done: false }
    }

    /// A client that opens requests and resets them makes us work for nothing (CVE-2023-44487).
    fn give_up(&self) {
        let second = self.now() / 1000;
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        *given_up = if given_up.0 == second { (second, given_up.1 + 1) } else { (second, 1) };
        if given_up.1 > RESETS {
            self.abused.cancel();
        }
    }

    /// Waits until the client has given up more requests within a second than it may.
    pub async fn abused(&self) {
        self.abused.cancelled().await;
    }

    /// How long this connection may still go on as it is; zero when its time is over.
    pub fn left(&self, limits: &Limits, stopping: bool) -> Duration {
        let now = self.now();
        let until = |since: u64, limit: Duration| {
            Duration::from_millis(since).saturating_add(limit).saturating_sub(Duration::from_millis(now))
        };
        let since = self.since.load(SeqCst);
        let phase = match self.phase.load(SeqCst) {
            FRESH if stopping => until(since, limits.head_time.min(LAST_WORD)),
            FRESH | HEAD => until(since, limits.head_time),
            IDLE => until(since, limits.idle),
            _ => Duration::MAX,
        };
        match self.stalled.load(SeqCst) {
            0 => phase,
            stalled => phase.min(until(stalled - 1, limits.stall)),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.activity.running.fetch_sub(1, SeqCst) == 1 {
            self.activity.enter(IDLE);
        }
        if !self.done {
            self.activity.give_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(activity: &Activity, seconds: u64) {
        activity.skipped.fetch_add(seconds * 1000, SeqCst);
    }

    #[test]
    fn each_phase_has_its_own_time() {
        let limits = Limits::default();
        let secs = Duration::from_secs;
        let activity = Activity::new();
        // Rounded up: the test itself takes a moment.
        let left = || match activity.left(&limits, false) {
            Duration::MAX => Duration::MAX,
            left => secs(left.as_millis().div_ceil(1000) as u64),
        };
        skip(&activity, 4);
        activity.read();
        assert_eq!(left(), secs(6), "the first byte does not buy time");
        skip(&activity, 7);
        assert_eq!(left(), secs(0));
        let (one, two) = (activity.start(), activity.start());
        skip(&activity, 1000);
        assert_eq!(left(), Duration::MAX);
        drop(one);
        assert_eq!(left(), Duration::MAX);
        drop(two);
        skip(&activity, 50);
        assert_eq!(left(), secs(10));
        activity.read();
        assert_eq!(left(), secs(10), "a new head, a new term");
        activity.read();
        skip(&activity, 3);
        assert_eq!(left(), secs(7), "further bytes do not prolong it");
    }

    #[tokio::test]
    async fn a_client_may_give_up_twenty_requests_a_second() {
        let activity = Activity::new();
        let abused = |activity: &Activity| activity.abused.is_cancelled();
        for second in 0..3 {
            for _ in 0..RESETS {
                drop(activity.start());
                let mut answered = activity.start();
                answered.done();
            }
            assert!(!abused(&activity), "{second}");
            skip(&activity, 2);
        }
        for _ in 0..=RESETS {
            assert!(!abused(&activity));
            drop(activity.start());
        }
        assert!(abused(&activity));
    }

    #[test]
    fn a_client_that_takes_nothing_is_let_go() {
        let limits = Limits::default();
        let activity = Activity::new();
        let _running = activity.start();
        activity.wrote(false);
        skip(&activity, 20);
        activity.wrote(false);
        assert_eq!(activity.left(&limits, false).as_millis().div_ceil(1000), 10);
        activity.wrote(true);
        assert_eq!(activity.left(&limits, false), Duration::MAX);
    }
}
