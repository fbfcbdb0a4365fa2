//! Device codes: what a device waits with, until a person has decided.

use std::time::Duration;

use crate::access::Context;
use crate::crypto::{Opaque, Secret, TokenHash};
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::id::{AppId, GrantId, SessionId};
use crate::provider::client::{App, GrantType};
use crate::provider::code::{self, AuthorizationCode};
use crate::session::{Epochs, Scope, Session};
use crate::store::{Batch, Index, Key, Life, Record, Stored};

use super::user_code;

/// How long a person has.
pub(super) const GOOD_FOR: Duration = Duration::from_secs(600);
/// How much longer the code is known, so that a device is told that it has expired, and not that it is unknown.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// A device asks at most so often, in seconds (RFC 8628 §3.5).
pub(super) const INTERVAL: u32 = 5;
/// Asking sooner makes it so much longer …
const SLOWER: u32 = 5;
/// … up to this.
const SLOWEST: u32 = 60;

/// Where a device code stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
#[cbor(index_only)]
enum State {
    /// Nobody has decided yet.
    #[n(0)]
    Waiting,
    /// A person has agreed.
    #[n(1)]
    Allowed,
    /// A person has said no.
    #[n(2)]
    Denied,
    /// The device has its tokens.
    #[n(3)]
    Used,
}

/// What a device waits with.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct DeviceCode {
    #[n(0)]
    hash: TokenHash,
    /// The hash of the user code. It is short enough to be searched backwards, and worth nothing but a page that asks.
    #[n(1)]
    user_code: TokenHash,
    /// The app that asks.
    #[n(2)]
    pub app: AppId,
    /// What it asked for and can be given.
    #[n(3)]
    pub scope: Vec<String>,
    #[n(4)]
    grant: GrantId,
    /// App and organization as they were when it was made.
    #[n(5)]
    epochs: Epochs,
    #[n(6)]
    state: State,
    /// When the device asked.
    #[n(7)]
    pub created_at: Timestamp,
    /// It may ask again after so many seconds.
    #[n(8)]
    interval: u32,
    #[n(9)]
    polled_at: Option<Timestamp>,
    /// From which address the device asked.
    #[n(10)]
    pub ip: Option<String>,
    /// What the device calls itself.
    #[n(11)]
    pub user_agent: Option<String>,
    /// What the person agreed to: in all but the way to the app it is a code.
    #[n(12)]
    agreed: Option<AuthorizationCode>,
}

impl Record for DeviceCode {
    const KIND: &'static str = "device_code";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(*self.hash.bytes())
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::unique("user_code", self.user_code.bytes())]
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.created_at + GOOD_FOR + REMEMBERED_FOR)
    }
}

/// A device code on its way through a person's browser. It names the code by its hash, so it opens nothing.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct DeviceRequest {
    #[n(0)]
    device: TokenHash,
    /// The app that asks.
    #[n(1)]
    pub app: AppId,
    /// The session that a form was made for.
    #[n(2)]
    pub session: Option<SessionId>,
}

/// A new device code with the texts of both its codes, which are known only here.
pub(super) struct Made {
    pub record: DeviceCode,
    pub device_code: Secret,
    pub user_code: String,
}

impl DeviceCode {
    /// A new one for the app.
    pub(super) async fn make(cx: &Context, app: &App, scope: Vec<String>) -> Result<Made> {
        let grant = GrantId::new(&cx.env);
        let scopes = [Scope::App(app.id), Scope::Organization(app.organization), Scope::Grant(grant)];
        let epochs = Epochs::capture(&cx.store, &scopes).await?;
        // Read again behind the epochs: whatever ends from here on is seen when the code is presented.
        let app = App::load(&cx.store, app.id).await?;
        Organization::open(&cx.store, app.organization).await?;
        let Opaque { text, hash } = Opaque::new(&cx.env, "dc_");
        let user_code = user_code::new(&cx.env);
        let record = Self {
            hash,
            user_code: TokenHash::of(&user_code),
            app: app.id,
            scope,
            grant,
            epochs,
            state: State::Waiting,
            created_at: cx.env.now(),
            interval: INTERVAL,
            polled_at: None,
            ip: cx.origin.ip.map(|ip| ip.to_string()),
            user_agent: cx.origin.user_agent.clone(),
            agreed: None,
        };
        Ok(Made { record, device_code: text, user_code })
    }

    /// The one that waits with that user code, as `user_code::read` writes it.
    pub async fn with_user_code(cx: &Context, user_code: &str) -> Result<Option<Stored<Self>>> {
        let found = cx.store.find::<Self>("user_code", TokenHash::of(user_code).bytes()).await?;
        still_waiting(cx, found).await
    }

    /// The one that a request is about, if it still waits.
    pub async fn of(cx: &Context, request: &DeviceRequest) -> Result<Option<Stored<Self>>> {
        let found = cx.store.get::<Self>(Key::from_bytes(*request.device.bytes())).await?;
        still_waiting(cx, found).await
    }

    /// For the way through the browser; `session` where it is asked about already.
    pub fn request(&self, session: Option<SessionId>) -> DeviceRequest {
        DeviceRequest { device: self.hash, app: self.app, session }
    }

    fn fresh(&self, now: Timestamp) -> bool {
        now.since(self.created_at) < GOOD_FOR && !self.created_at.is_ahead_of(now)
    }

    fn decision(&self, cx: &Context, kind: EventKind, session: &Session) -> Event {
        Event::new(&cx.env, kind, &Actor::User(session.user), &cx.origin)
            .within(session.organization)
            .about("app", self.app)
            .and("user", session.user)
            .and("session", session.id)
            .and("grant", self.grant)
            .with("scope", self.scope.join(" "))
    }
}

/// Adds to the batch that the person of the session agreed. Errors: `unauthorized_client`, `organization_disabled`,
/// `access_denied`.
pub async fn allow(cx: &Context, stored: &Stored<DeviceCode>, session: &Session, batch: &mut Batch) -> Result<()> {
    let mut device = stored.value.clone();
    let agreed = code::agreed(cx, device.hash, (device.app, device.grant), device.scope.clone(), session).await?;
    device.state = State::Allowed;
    device.agreed = Some(agreed);
    batch.update(&device, stored.revision).log(device.decision(cx, EventKind::DeviceAllowed, session));
    Ok(())
}

/// Adds to the batch that the person of the session said no.
pub fn deny(cx: &Context, stored: &Stored<DeviceCode>, session: &Session, batch: &mut Batch) {
    let device = DeviceCode { state: State::Denied, ..stored.value.clone() };
    batch.update(&device, stored.revision).log(device.decision(cx, EventKind::DeviceDenied, session));
}

async fn still_waiting(cx: &Context, found: Option<Stored<DeviceCode>>) -> Result<Option<Stored<DeviceCode>>> {
    let Some(device) = found.filter(|device| device.state == State::Waiting && device.fresh(cx.env.now())) else {
        return Ok(None);
    };
    Ok(device.epochs.hold(&cx.store).await?.then_some(device))
}

/// What is said of a device code that nobody was given.
const UNKNOWN: &str = "The device code is not known.";

/// Whether the error tells of a device code that nobody was given.
pub(in crate::provider) fn is_unknown(error: &Error) -> bool {
    error.is(&codes::INVALID_GRANT) && error.message() == UNKNOWN
}

/// Whether the error only asks for patience: it is no refusal, and tells nobody anything new.
pub(in crate::provider) fn is_waiting(error: &Error) -> bool {
    error.is(&codes::AUTHORIZATION_PENDING) || error.is(&codes::SLOW_DOWN)
}

fn refused<T>(why: &'static str) -> Result<T> {
    Err(Error::says(&codes::INVALID_GRANT, why))
}

/// The device code that `app` presents, once a person has agreed. Whatever the answer is, the batch holds what it does
/// to the code; it is to be committed in both cases. Errors: `authorization_pending`, `slow_down`, `access_denied`,
/// `expired_token`, `invalid_grant`.
pub(in crate::provider) async fn present(
    cx: &Context,
    app: &App,
    presented: &str,
    batch: &mut Batch,
) -> Result<AuthorizationCode> {
    let found: Option<Stored<DeviceCode>> = cx.store.get(Key::from_bytes(*TokenHash::of(presented).bytes())).await?;
    let Some(Stored { value: mut device, revision }) = found else { return refused(UNKNOWN) };
    let now = cx.env.now();
    if device.app != app.id {
        return refused("The device code was made for another app.");
    }
    if device.state == State::Used {
        return refused("The device code was used before.");
    }
    if device.state == State::Denied {
        return Err(Error::says(&codes::ACCESS_DENIED, "The person has refused."));
    }
    if !device.fresh(now) {
        return Err(Error::new(&codes::EXPIRED_TOKEN));
    }
    if !device.epochs.hold(&cx.store).await? || !app.may_use(GrantType::DeviceCode) {
        return refused("The access that the device code was made under has ended.");
    }
    let Some(code) = device.agreed.take().filter(|_| device.state == State::Allowed) else {
        return Err(patience(&mut device, now, revision, batch));
    };
    device.state = State::Used;
    batch.update(&device, revision);
    if !app.reach().includes(code.organization) {
        return refused("The app does not serve the organization any more.");
    }
    if now >= code.session_ends || !code.epochs.hold(&cx.store).await? {
        return refused("The access that the device code was allowed under has ended.");
    }
    Ok(code)
}

/// RFC 8628 §3.5. The answer takes note of the time, so that the next one can tell whether it came too soon.
fn patience(device: &mut DeviceCode, now: Timestamp, revision: crate::store::Revision, batch: &mut Batch) -> Error {
    // Half a second for the network: nobody is slowed down for a clock that ticks a little sooner.
    let wait = Duration::from_secs(u64::from(device.interval)) - Duration::from_millis(500);
    let soon = device.polled_at.is_some_and(|at| now.since(at) < wait);
    // A flood writes once a second, not each time.
    let flood = device.polled_at.is_some_and(|at| now.since(at) < Duration::from_secs(1)) && device.interval >= SLOWEST;
    if soon {
        device.interval = (device.interval + SLOWER).min(SLOWEST);
    }
    if !flood {
        device.polled_at = Some(now);
        batch.update(device, revision);
    }
    Error::new(if soon { &codes::SLOW_DOWN } else { &codes::AUTHORIZATION_PENDING })
}
