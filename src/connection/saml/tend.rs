//! Metadata at an address is read again by itself, and certificates that end are told of.
//!
//! ```text
//!   read ── as often as it says, well before it ends ──► read: nothing new, or an event with what changed
//!     └── fails ──► an event, once ──► tried again, less and less often
//!   an answer with an unknown key ──► read at once, but not more than once in 30 seconds
//! ```
//!
//! What is kept of it is ephemeral, because a look that changes nothing is no event; whatever changes the connection is
//! one, in the same batch.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;

use super::config::{Config, Idp};
use super::look::Found;
use super::{Certificate, Difference};
use crate::access::Context;
use crate::connection::record::{Connection, LastLook, Status};
use crate::env::Timestamp;
use crate::error::{Result, codes};
use crate::event::{Event, EventKind};
use crate::id::ConnectionId;
use crate::store::{Batch, Key, Life, Query, Record, Refused, Store, Stored};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often metadata is read that does not say how often.
const EVERY: Duration = Duration::from_secs(6 * 3600);
/// Whatever it says, not more often …
const MOST_OFTEN: Duration = Duration::from_secs(15 * 60);
/// … and not less.
const LEAST_OFTEN: Duration = DAY;
/// The least time between two looks because of unknown keys, whoever sends them.
const PAUSE: Duration = Duration::from_secs(30);
/// So many days before a certificate ends, and when it has, that is told.
const WARNINGS: [u8; 4] = [0, 7, 30, 60];
/// What was told is remembered for so long after the last time.
const MEMORY: Duration = Duration::from_secs(120 * DAY.as_secs());
/// So many connections are looked after at the same time.
const AT_ONCE: usize = 4;
/// How often it is worked out again when the connection was changed meanwhile.
const RETRIES: usize = 3;

/// What is known of looks at one connection's metadata, and what was told of its certificates.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Tended {
    #[n(0)]
    connection: ConnectionId,
    /// When the metadata was read last.
    #[n(1)]
    pub read_at: Option<Timestamp>,
    /// Looks in a row that failed.
    #[n(2)]
    pub failures: u32,
    /// When the next look is, after one that failed.
    #[n(3)]
    retry_at: Option<Timestamp>,
    /// Why it failed: a stable code.
    #[n(4)]
    pub trouble: Option<String>,
    /// When an unknown key made authd look.
    #[n(5)]
    asked_at: Option<Timestamp>,
    /// The last warning about each certificate, in days.
    #[n(6)]
    warned: BTreeMap<String, u8>,
    #[n(7)]
    written_at: Timestamp,
}

impl Record for Tended {
    const KIND: &'static str = "saml_metadata";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.connection.bytes())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.written_at + MEMORY)
    }
}

impl Tended {
    fn new(connection: ConnectionId, now: Timestamp) -> Self {
        Self {
            connection,
            read_at: None,
            failures: 0,
            retry_at: None,
            trouble: None,
            asked_at: None,
            warned: BTreeMap::new(),
            written_at: now,
        }
    }

    /// Of a connection.
    pub async fn load(store: &Store, connection: ConnectionId) -> Result<Option<Stored<Self>>> {
        store.get(Key::from_bytes(connection.bytes())).await
    }

    /// When the metadata is to be read; never, where it has no address.
    pub fn due_at(known: Option<&Self>, config: &Config) -> Option<Timestamp> {
        config.metadata_url.as_ref()?;
        if let Some(retry) = known.and_then(|known| known.retry_at) {
            return Some(retry);
        }
        let idp = config.idp.as_ref();
        let last = known.and_then(|known| known.read_at).max(idp.map(|idp| idp.learnt_at));
        Some(last.map_or(Timestamp::from_millis(0), |last| last + interval(idp, last)))
    }

    fn succeeded(&mut self, now: Timestamp) {
        (self.read_at, self.failures, self.retry_at, self.trouble) = (Some(now), 0, None, None);
    }

    fn failed(&mut self, now: Timestamp, code: &str) {
        let wait = MOST_OFTEN * 2_u32.saturating_pow(self.failures.min(5));
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + wait.min(6 * HOUR));
        self.trouble = Some(code.to_owned());
    }
}

/// How long what was read may stand: as the metadata says, and no longer than half way to its end.
fn interval(idp: Option<&Idp>, read_at: Timestamp) -> Duration {
    let every = idp.and_then(|idp| idp.cache_seconds).map_or(EVERY, Duration::from_secs);
    let end = idp.and_then(|idp| idp.valid_until).map(|end| end.since(read_at) / 2);
    every.min(end.unwrap_or(LEAST_OFTEN)).clamp(MOST_OFTEN, LEAST_OFTEN)
}

/// The warning that is in place for a certificate, in days before its end.
fn level(certificate: &Certificate, now: Timestamp) -> Option<u8> {
    let within = |days: u8| certificate.not_after <= now + DAY * u32::from(days);
    WARNINGS.into_iter().find(|days| within(*days))
}

/// Every certificate that matters, and whether it is our own.
fn certificates(config: &Config) -> Vec<(Certificate, &'static str)> {
    let theirs = config.idp.iter().flat_map(Idp::read_certificates).map(|read| (read, "identity_provider"));
    let ours = config.service.signing().into_iter().chain(config.service.encryption());
    let ours = ours.filter_map(|der| Certificate::read(&der)).map(|read| (read, "own"));
    let mut all: Vec<(Certificate, &'static str)> = Vec::new();
    for (certificate, whose) in theirs.chain(ours) {
        if !all.iter().any(|(known, _)| known.thumbprint == certificate.thumbprint) {
            all.push((certificate, whose));
        }
    }
    all
}

/// Certificates about which something is to be told.
fn warnings(config: &Config, known: Option<&Tended>, now: Timestamp) -> Vec<(Certificate, &'static str, u8)> {
    let told = |thumbprint: &str| known.and_then(|known| known.warned.get(thumbprint)).copied();
    let due = |(certificate, whose): (Certificate, &'static str)| {
        let days = level(&certificate, now)?;
        told(&certificate.thumbprint).is_none_or(|told| told > days).then_some((certificate, whose, days))
    };
    certificates(config).into_iter().filter_map(due).collect()
}

fn event(cx: &Context, kind: EventKind, connection: &Connection) -> Event {
    cx.event(kind).within(connection.organization).about("connection", connection.id)
}

/// Adds what a look has found, and what is to be told, to the batch. True when the connection is another than before.
async fn settle(cx: &Context, id: ConnectionId, look: Option<&Result<Found>>, batch: &mut Batch) -> Result<bool> {
    let Stored { value: mut connection, revision } = Connection::load(&cx.store, id).await?;
    let Some(mut config) = connection.saml.clone() else { return Ok(false) };
    let row = Tended::load(&cx.store, id).await?;
    let now = cx.env.now();
    let mut next = row.as_ref().map_or_else(|| Tended::new(id, now), |row| row.value.clone());
    let mut changed = false;
    if let Some(look) = look {
        match learnt(cx, id, &mut config, look) {
            Ok(()) => {
                next.succeeded(now);
                let difference = Difference::between(before(&connection), config.idp.as_ref());
                if !difference.is_none() {
                    connection.saml = Some(config.clone());
                    connection.looked = Some(LastLook { at: now, answered: true });
                    connection.updated_at = now;
                    let event = event(cx, EventKind::ConnectionSamlRefreshed, &connection);
                    batch.update(&connection, revision).log(difference.tell(event));
                    changed = true;
                }
            }
            Err(code) => {
                if next.failures == 0 {
                    batch.log(event(cx, EventKind::ConnectionSamlRefreshFailed, &connection).failed(code));
                }
                next.failed(now, code);
            }
        }
    }
    for (certificate, whose, days) in warnings(&config, Some(&next), now) {
        let event = event(cx, EventKind::ConnectionSamlCertificateEnds, &connection)
            .with("thumbprint", certificate.thumbprint.clone())
            .with("whose", whose)
            .with("days", days)
            .with("not_after", certificate.not_after.to_string());
        batch.log(event);
        next.warned.insert(certificate.thumbprint, days);
    }
    next.warned.retain(|thumbprint, _| certificates(&config).iter().any(|(known, _)| known.thumbprint == *thumbprint));
    match row {
        Some(row) if row.value == next => {}
        Some(row) => {
            next.written_at = now;
            batch.update(&next, row.revision);
        }
        None => {
            batch.create(&next);
        }
    }
    Ok(changed)
}

fn before(connection: &Connection) -> Option<&Idp> {
    connection.saml.as_ref().and_then(|config| config.idp.as_ref())
}

/// Lays what was found over the configuration; or says, by its code, why nothing was.
fn learnt(cx: &Context, id: ConnectionId, config: &mut Config, look: &Result<Found>) -> Result<(), &'static str> {
    match look {
        Ok(found) if found.unreachable => Err(codes::UPSTREAM_UNAVAILABLE.name),
        Ok(found) => found.refresh(cx, id, config).map_err(|error| error.code()),
        Err(error) => Err(error.code()),
    }
}

/// Looks after one connection: reads its metadata if `anew`, and tells what ends. True when the connection is another.
async fn tend(cx: &Context, connection: &Connection, anew: bool) -> Result<bool> {
    let mut look = match &connection.saml {
        Some(config) if anew => Some(Found::look(cx, config, true).await),
        _ => None,
    };
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        let changed = settle(cx, connection.id, look.as_ref(), &mut batch).await?;
        if batch.is_empty() {
            return Ok(false);
        }
        match cx.store.commit(batch).await {
            Ok(_) => return Ok(changed),
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            // Another connection is to this provider already: told once, and tried again less and less often.
            Err(refused @ Refused::Taken { .. }) if matches!(look, Some(Ok(_))) => look = Some(Err(refused.into())),
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Reads the metadata that is due, and tells of certificates that end: of at most so many connections. When each is due
/// stands in the store, so a restart forgets nothing.
pub async fn tend_due(cx: &Context, most: usize) -> Result<usize> {
    let now = cx.env.now();
    let (mut due, mut cursor) = (Vec::new(), None);
    'pages: loop {
        let page = cx.store.page::<Connection>(Query::all().limit(200).after(cursor)).await?;
        for Stored { value: connection, .. } in page.items {
            let Some(config) = connection.saml.as_ref().filter(|_| connection.deleted_at.is_none()) else { continue };
            let known = Tended::load(&cx.store, connection.id).await?.map(|row| row.value);
            let read = connection.status != Status::Disabled
                && Tended::due_at(known.as_ref(), config).is_some_and(|at| at <= now);
            if read || !warnings(config, known.as_ref(), now).is_empty() {
                due.push((connection, read));
            }
            if due.len() >= most {
                break 'pages;
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let number = due.len();
    futures_util::stream::iter(due)
        .for_each_concurrent(AT_ONCE, |(connection, read)| async move {
            match tend(cx, &connection, read).await {
                Ok(_) => {}
                // Deleted while it was asked for.
                Err(error) if error.is(&codes::NOT_FOUND) => {}
                Err(error) => {
                    tracing::warn!(code = error.code(), connection = %connection.id, "metadata: {}", error.log_line());
                }
            }
        })
        .await;
    Ok(number)
}

/// Reads the metadata of a connection now, because an answer was signed with a key that nobody knows here. The connection
/// as it is then, if it is another than `known`. Not more often than every 30 seconds: anybody can send such an answer.
pub async fn look_for_keys(cx: &Context, known: &Connection) -> Result<Option<Connection>> {
    if known.saml.as_ref().is_none_or(|config| config.metadata_url.is_none()) {
        return Ok(None);
    }
    if claim(cx, known.id).await? {
        tend(cx, known, true).await?;
    }
    // Somebody else may have been quicker with the same question.
    let now = Connection::load(&cx.store, known.id).await?.value;
    let keys = |connection: &Connection| before(connection).map(Idp::keys);
    Ok((keys(&now) != keys(known)).then_some(now))
}

/// Whether it is ours to ask. It is written before the network, so that of many at once one does.
async fn claim(cx: &Context, id: ConnectionId) -> Result<bool> {
    let now = cx.env.now();
    let row = Tended::load(&cx.store, id).await?;
    let asked = row.as_ref().and_then(|row| row.asked_at);
    if asked.is_some_and(|at| !at.is_ahead_of(now) && now.since(at) < PAUSE) {
        return Ok(false);
    }
    let mut next = row.as_ref().map_or_else(|| Tended::new(id, now), |row| row.value.clone());
    (next.asked_at, next.written_at) = (Some(now), now);
    let mut batch = Batch::new();
    match row {
        Some(row) => batch.update(&next, row.revision),
        None => batch.create(&next),
    };
    match cx.store.commit(batch).await {
        Ok(_) => Ok(true),
        Err(refused) if refused.is_race() => Ok(false),
        Err(refused) => Err(refused.into()),
    }
}

/// Has the metadata read soon: somebody has decided something about it.
pub(in crate::connection) async fn soon(cx: &Context, id: ConnectionId, batch: &mut Batch) -> Result<()> {
    if let Some(Stored { value: mut row, revision }) = Tended::load(&cx.store, id).await? {
        row.retry_at = Some(cx.env.now());
        batch.update(&row, revision);
    }
    Ok(())
}
