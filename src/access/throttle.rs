//! How often something may fail: counts by rule and subject that outlive a restart.
//!
//! A count is a small ephemeral row: the last window in [`SLOTS`] slots. The oldest slot counts whole until it has left
//! the window, so within any window of time there are never more than the rule says; the price is a wait that is up
//! to one slot longer.
//!
//! Two ways to use it. What costs little to verify and cannot be guessed (a token, a client secret) is verified
//! first: a right one is always good, whatever strangers do, and only failures are counted ([`count`]) and, when
//! there were too many, told as `rate_limited` ([`check`]). What is costly or can be guessed (a password) is
//! [`take`]n before it is looked at, and the take is given back when it was right ([`Taken::give_back`]): of many guesses at
//! the same time no more than the rule says are looked at. What was right costs no write (`taken`).
//!
//! Time is the monotonic one while the process runs; a clock that is set forward or back changes nothing. Across a
//! restart it is the wall clock's, and what lies in its future is taken to be of this moment, once.

mod taken;

pub use taken::{Taken, take};

use std::net::IpAddr;
use std::time::Duration;

use super::context::Context;
use crate::crypto::sha256;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::http::guard::same_client;
use crate::store::{Batch, Key, Life, Record, Stored};

/// Into so many slots a window is divided.
const SLOTS: usize = 12;
/// A row is kept so much longer than its window, so that a clock that is set forward for a while takes no count away.
const MARGIN: Duration = Duration::from_secs(3600);

/// What is limited, how often, and within which time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// An app that could not be authenticated, by app and address.
    AppFromAddress,
    /// The same, by address: many apps are tried from one place.
    AppsFromAddress,
    /// The same, by app: one app is tried from many places.
    App,
    /// A code that nobody was given, by app and address.
    Code,
    /// A request pushed for an app that keeps no secret, by app and address.
    PushedFromAddress,
    /// The same, by app.
    PushedForApp,
    /// A bearer that opens nothing, by address.
    Bearer,
    /// An e-mail address that leads nowhere, by address of the client: which domains are served is not to be listed.
    EmailRoute,
    /// A sign-in that is begun for an app by somebody who shows no key, by address.
    RelayFromAddress,
    /// A device that asks for a code, by app and address.
    DeviceFromAddress,
    /// The same, by app.
    Device,
    /// A user code that was typed and that no device waits with, by address.
    UserCodeFromAddress,
    /// The same, from everywhere: codes are short, and many addresses must not find one together.
    UserCode,
    /// A look into DNS for the proof of a domain, by connection.
    DomainProof,
    /// A password check, by account.
    PasswordOfAccount,
    /// A password check, by address.
    PasswordFromAddress,
    /// A password check in a browser that has signed in to the account before, by account and browser. It stands in for
    /// the other two: whoever attacks the account from elsewhere does not lock its owner out.
    PasswordFromDevice,
}

impl Rule {
    /// Every rule.
    pub const ALL: &'static [Self] = &[
        Self::AppFromAddress,
        Self::AppsFromAddress,
        Self::App,
        Self::Code,
        Self::PushedFromAddress,
        Self::PushedForApp,
        Self::Bearer,
        Self::EmailRoute,
        Self::RelayFromAddress,
        Self::DeviceFromAddress,
        Self::Device,
        Self::UserCodeFromAddress,
        Self::UserCode,
        Self::DomainProof,
        Self::PasswordOfAccount,
        Self::PasswordFromAddress,
        Self::PasswordFromDevice,
    ];

    /// So often …
    pub fn most(self) -> u32 {
        match self {
            Self::AppFromAddress
            | Self::Code
            | Self::PushedFromAddress
            | Self::DomainProof
            | Self::DeviceFromAddress => 60,
            Self::PushedForApp | Self::Device => 600,
            Self::AppsFromAddress | Self::Bearer | Self::UserCode => 300,
            Self::UserCodeFromAddress => 20,
            Self::App => 6_000,
            Self::EmailRoute | Self::RelayFromAddress => 120,
            Self::PasswordOfAccount | Self::PasswordFromDevice => 10,
            Self::PasswordFromAddress => 30,
        }
    }

    /// … within so long.
    pub fn window(self) -> Duration {
        Duration::from_secs(60)
    }

    fn name(self) -> &'static str {
        match self {
            Self::AppFromAddress => "app_address",
            Self::AppsFromAddress => "apps_address",
            Self::App => "app",
            Self::Code => "code",
            Self::PushedFromAddress => "pushed_address",
            Self::PushedForApp => "pushed_app",
            Self::Bearer => "bearer",
            Self::EmailRoute => "email_route",
            Self::RelayFromAddress => "relay_address",
            Self::DeviceFromAddress => "device_address",
            Self::Device => "device",
            Self::UserCodeFromAddress => "user_code_address",
            Self::UserCode => "user_code",
            Self::DomainProof => "domain_proof",
            Self::PasswordOfAccount => "password_account",
            Self::PasswordFromAddress => "password_address",
            Self::PasswordFromDevice => "password_device",
        }
    }

    fn slot(self) -> u64 {
        millis(self.window()).div_ceil(SLOTS as u64).max(1)
    }
}

/// Whose failures are counted together: parts that belong together, as in an app from one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject(Vec<Vec<u8>>);

impl Subject {
    /// With nothing in it yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Together with a thing.
    #[must_use]
    pub fn and(mut self, part: impl AsRef<[u8]>) -> Self {
        self.0.push(part.as_ref().to_vec());
        self
    }

    /// Together with an address; an IPv6 host holds a whole /64, so that counts as one.
    #[must_use]
    pub fn from(self, ip: Option<IpAddr>) -> Self {
        match ip.map(same_client) {
            Some(IpAddr::V4(ip)) => self.and(ip.octets()),
            Some(IpAddr::V6(ip)) => self.and(&ip.octets()[..8]),
            None => self.and(b"none"),
        }
    }

    /// What a row is found by. A digest: it is of one length, and says nothing about the subject.
    fn key(&self, rule: Rule) -> Key {
        let mut parts: Vec<&[u8]> = vec![b"authd throttle 1", rule.name().as_bytes()];
        parts.extend(self.0.iter().map(Vec::as_slice));
        Key::from_bytes(&sha256(&[Key::of(&parts).as_bytes()])[..16])
    }
}

/// The address of the client, alone.
pub fn address(cx: &Context) -> Subject {
    Subject::new().from(cx.origin.ip)
}

/// The count of one subject under one rule.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Throttle {
    #[cbor(n(0), with = "minicbor::bytes")]
    key: Vec<u8>,
    /// The run of the clock that `at` belongs to.
    #[n(1)]
    run: u64,
    /// The monotonic time, in milliseconds, at which the newest slot begins.
    #[n(2)]
    at: u64,
    /// The wall clock's time of that moment, for another run.
    #[n(3)]
    wall: Timestamp,
    /// The newest slot first.
    #[n(4)]
    slots: Vec<u32>,
    /// The rule's window, in milliseconds: how long the row matters.
    #[n(5)]
    window: u64,
}

impl Record for Throttle {
    const KIND: &'static str = "throttle";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.key.clone())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.wall + Duration::from_millis(self.window) + MARGIN)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Throttle {
    fn empty(cx: &Context, rule: Rule, key: &Key) -> Self {
        Self {
            key: key.as_bytes().to_vec(),
            run: cx.env.run(),
            at: millis(cx.env.monotonic()),
            wall: cx.env.now(),
            slots: vec![0],
            window: millis(rule.window()),
        }
    }

    /// The same count as of now, in this run of the clock. The second part: it came from the future, so that the
    /// answer must be kept, or it would be of every later moment anew.
    fn now(self, cx: &Context, rule: Rule) -> (Self, bool) {
        let (run, now, wall) = (cx.env.run(), millis(cx.env.monotonic()), cx.env.now());
        let same = self.run == run && self.at <= now;
        let (gone, ahead) =
            if same { (now - self.at, false) } else { (millis(wall.since(self.wall)), self.wall > wall) };
        let slot = rule.slot();
        let passed = gone / slot;
        let fresh = usize::try_from(passed).unwrap_or(usize::MAX).min(SLOTS + 1);
        let mut slots = vec![0; fresh];
        slots.extend(self.slots);
        // One more than the window has: the oldest is only partly within it, and counts whole.
        slots.truncate(SLOTS + 1);
        let begun = gone - passed * slot;
        let moved = Self { run, at: now.saturating_sub(begun), wall: earlier(wall, begun), slots, ..self };
        (moved, ahead)
    }

    fn total(&self) -> u64 {
        self.slots.iter().map(|count| u64::from(*count)).sum()
    }

    /// How long until there is room for one more; zero when there is.
    fn wait(&self, cx: &Context, rule: Rule) -> Duration {
        let mut over = (self.total() + 1).saturating_sub(u64::from(rule.most()));
        if over == 0 {
            return Duration::ZERO;
        }
        let slot = rule.slot();
        let begun = millis(cx.env.monotonic()).saturating_sub(self.at);
        for (place, count) in self.slots.iter().enumerate().rev() {
            over = over.saturating_sub(u64::from(*count));
            if over == 0 {
                // It leaves when as many new slots have begun as push it out.
                let pushes = (SLOTS + 1 - place) as u64;
                return Duration::from_millis((pushes * slot).saturating_sub(begun).max(1));
            }
        }
        rule.window()
    }

    fn add(&mut self, more: u32) {
        match self.slots.first_mut() {
            Some(newest) => *newest = newest.saturating_add(more),
            None => self.slots.push(more),
        }
    }
}

fn earlier(at: Timestamp, by: u64) -> Timestamp {
    Timestamp::from_millis(at.millis().saturating_sub(i64::try_from(by).unwrap_or(i64::MAX)))
}

/// The count as of now. The second part: its row came from the future.
async fn load(cx: &Context, rule: Rule, key: &Key) -> Result<(Throttle, bool)> {
    let kept: Option<Stored<Throttle>> = cx.store.get(key.clone()).await?;
    Ok(kept.map_or_else(|| (Throttle::empty(cx, rule, key), false), |kept| kept.value.now(cx, rule)))
}

/// Keeps a count that lay in the future, because the clock was set back while authd was down: its window runs from here.
async fn settle(cx: &Context, now: &Throttle) -> Result<()> {
    let mut batch = Batch::new();
    batch.put(now);
    cx.store.commit(batch).await.map(drop).map_err(Into::into)
}

fn refused(cx: &Context, rule: Rule, wait: Duration) -> Error {
    cx.env.meters().throttled.add(rule.name());
    Error::new(&codes::RATE_LIMITED).retry_after(wait)
}

/// Whether there is room for one more failure. Errors: `rate_limited`, with the time to wait.
pub async fn check(cx: &Context, rule: Rule, subject: Subject) -> Result<()> {
    let key = subject.key(rule);
    let (now, ahead) = load(cx, rule, &key).await?;
    if ahead {
        settle(cx, &now).await?;
    }
    match now.wait(cx, rule) {
        Duration::ZERO => Ok(()),
        wait => Err(refused(cx, rule, wait)),
    }
}

/// Adds one failure to the batch. Of failures at the very same moment some may count as one.
pub async fn count(cx: &Context, rule: Rule, subject: Subject, batch: &mut Batch) -> Result<()> {
    let (mut now, _) = load(cx, rule, &subject.key(rule)).await?;
    now.add(1);
    batch.put(&now);
    Ok(())
}

/// The tries of one password check: at most 10 a minute of an account and 30 a minute from an address. In a browser
/// that has signed in to the account before (`device`: what tells it), neither; it has a count of its own.
pub fn password(cx: &Context, account: impl AsRef<[u8]>, device: Option<&[u8]>) -> Vec<(Rule, Subject)> {
    let account = Subject::new().and(account);
    match device {
        Some(device) => vec![(Rule::PasswordFromDevice, account.and(device))],
        None => vec![(Rule::PasswordOfAccount, account), (Rule::PasswordFromAddress, address(cx))],
    }
}
