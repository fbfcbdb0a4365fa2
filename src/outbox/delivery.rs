//! A call on its way, and the queue of its receiver.

use std::time::Duration;

use crate::env::{Env, Timestamp};
use crate::error::Result;
use crate::id::{DeliveryId, OrganizationId};
use crate::store::{Batch, Index, Key, Life, Query, Record, Store, Stored};

/// How long a call is remembered after it was made.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3600);

/// Where a call is.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
    minicbor::Encode,
    minicbor::Decode,
)]
#[serde(rename_all = "lowercase")]
#[cbor(index_only)]
pub enum State {
    /// It has still to arrive.
    #[n(0)]
    Pending,
    /// The receiver has taken it.
    #[n(1)]
    Acknowledged,
    /// It was given up.
    #[n(2)]
    Failed,
    /// There is nobody to call any more.
    #[n(3)]
    Dropped,
}

/// How the last try ended.
#[derive(Clone, Debug, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct Outcome {
    /// When.
    #[n(0)]
    pub at: Timestamp,
    /// The status of the answer, if there was one.
    #[n(1)]
    pub status: Option<u16>,
    /// A stable code of why it failed.
    #[n(2)]
    pub error: Option<String>,
    /// How the answer began, at most 1 KiB, for whoever looks for the reason.
    #[n(3)]
    pub head: Option<String>,
    /// The head of the request, without what it proves itself by.
    #[n(4)]
    pub request: Option<String>,
    /// The head of the answer.
    #[n(5)]
    pub response: Option<String>,
}

/// A call.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Delivery {
    /// Its id; sorts by the time that it was made.
    #[n(0)]
    pub id: DeliveryId,
    /// The composer's name.
    #[n(1)]
    pub kind: String,
    /// The receiver's queue.
    #[n(2)]
    pub receiver: String,
    /// What it is about.
    #[n(3)]
    pub subject: String,
    /// What the composer needs.
    #[cbor(n(4), with = "minicbor::bytes")]
    pub recipe: Vec<u8>,
    /// The organization of its event.
    #[n(5)]
    pub organization: Option<OrganizationId>,
    /// Where it is.
    #[n(6)]
    pub state: State,
    /// How often it was tried.
    #[n(7)]
    pub tries: u32,
    /// Not before.
    #[n(8)]
    pub due_at: Timestamp,
    /// When it was made.
    #[n(9)]
    pub created_at: Timestamp,
    /// How the last try ended.
    #[n(10)]
    pub last: Option<Outcome>,
    /// Its place among the calls of one receiver about one subject.
    #[n(11)]
    #[cbor(default)]
    pub place: u64,
}

impl Record for Delivery {
    const KIND: &'static str = "delivery";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(self.id)
    }
    fn indexes(&self) -> Vec<Index> {
        let mut indexes = vec![
            Index::many("receiver", self.queue()),
            Index::many("state", state_of(&self.kind, &self.receiver, self.state)),
            Index::many("subject", Self::subject_of(&self.kind, &self.subject)),
        ];
        if self.state == State::Pending {
            indexes.push(Index::ordered(
                "due",
                [&Self::prefix(&self.kind, &self.receiver)[..], &sortable(self.due_at)].concat(),
            ));
            let line = Self::line(&self.kind, &self.receiver, &self.subject);
            indexes.push(Index::ordered("order", [&line[..], &self.place.to_be_bytes()].concat()));
        }
        indexes
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.created_at + REMEMBERED)
    }
}

/// A time as bytes that sort like it.
pub(super) fn sortable(at: Timestamp) -> [u8; 8] {
    u64::try_from(at.millis()).unwrap_or(0).to_be_bytes()
}

impl Delivery {
    /// The key of a call.
    pub fn key_of(id: DeliveryId) -> Key {
        Key::from_bytes(id.bytes())
    }

    fn queue(&self) -> Vec<u8> {
        Queue::key_of(&self.kind, &self.receiver).as_bytes().to_vec()
    }

    pub(super) fn prefix(kind: &str, receiver: &str) -> Vec<u8> {
        // A digest has one length, so no receiver's name is the beginning of another's.
        crate::crypto::sha256(&[b"outbox receiver", kind.as_bytes(), &[0], receiver.as_bytes()]).to_vec()
    }

    pub(super) fn line(kind: &str, receiver: &str, subject: &str) -> Vec<u8> {
        crate::crypto::sha256(&[b"outbox line", kind.as_bytes(), &[0], receiver.as_bytes(), &[0], subject.as_bytes()])
            .to_vec()
    }

    fn subject_of(kind: &str, subject: &str) -> Vec<u8> {
        crate::crypto::sha256(&[b"outbox subject", kind.as_bytes(), &[0], subject.as_bytes()]).to_vec()
    }

    pub(super) fn new(env: &Env, kind: &str, call: super::Call) -> Self {
        let now = env.now();
        Self {
            id: DeliveryId::new(env),
            kind: kind.to_owned(),
            receiver: call.receiver,
            subject: call.subject,
            recipe: call.recipe,
            organization: call.organization,
            state: State::Pending,
            tries: 0,
            due_at: now,
            created_at: now,
            last: None,
            place: call.place,
        }
    }
}

/// The calls of a kind about a subject, the oldest first, at most 1,000.
pub async fn of_subject(store: &Store, kind: &str, subject: &str) -> Result<Vec<Delivery>> {
    let query = Query::by("subject", Delivery::subject_of(kind, subject)).limit(1_000);
    Ok(store.page::<Delivery>(query).await?.items.into_iter().map(|stored| stored.value).collect())
}

/// A page of the calls of a receiver, the newest first.
pub fn of_receiver(kind: &str, receiver: &str) -> Query {
    Query::by("receiver", Queue::key_of(kind, receiver).as_bytes()).newest_first()
}

/// Only those of them that are in that state.
pub fn in_state(query: Query, kind: &str, receiver: &str, state: State) -> Query {
    query.with("state", state_of(kind, receiver, state))
}

fn state_of(kind: &str, receiver: &str, state: State) -> Vec<u8> {
    [Queue::key_of(kind, receiver).as_bytes(), &[state as u8]].concat()
}

/// How many calls of a receiver have still to arrive.
pub async fn waiting(store: &Store, kind: &str, receiver: &str) -> Result<u64> {
    store.count_by::<Delivery>("state", state_of(kind, receiver, State::Pending)).await
}

/// The oldest call of a receiver that has still to arrive.
pub async fn oldest_waiting(store: &Store, kind: &str, receiver: &str) -> Result<Option<Delivery>> {
    let query = Query::by("state", state_of(kind, receiver, State::Pending)).limit(1);
    Ok(store.page::<Delivery>(query).await?.items.into_iter().next().map(|found| found.value))
}

/// The first place (`Call::place`) of all calls of a receiver that have still to arrive. It walks them: an event of the past
/// that is sent once more has a late id and an early place.
pub async fn first_waiting(store: &Store, kind: &str, receiver: &str) -> Result<Option<u64>> {
    let (mut first, mut cursor) = (None, None);
    loop {
        let query = Query::by("state", state_of(kind, receiver, State::Pending)).limit(1_000).after(cursor);
        let page = store.page::<Delivery>(query).await?;
        first = first.into_iter().chain(page.items.iter().map(|waiting| waiting.place)).min();
        cursor = page.next;
        if cursor.is_none() {
            return Ok(first);
        }
    }
}

/// What has still to arrive, of one kind of call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// The composer's name.
    pub kind: String,
    /// How many receivers are waited for.
    pub receivers: u64,
    /// How many calls.
    pub waiting: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
}

/// What has still to arrive, of each kind of call. It walks what waits.
pub async fn backlog(store: &Store) -> Result<Vec<Backlog>> {
    let mut kinds: Vec<Backlog> = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.page::<Queue>(Query::all().limit(1_000).after(cursor)).await?;
        for Queue { kind, receiver, .. } in page.items.iter().map(|queue| &queue.value) {
            let waiting = waiting(store, kind, receiver).await?;
            let oldest = oldest_waiting(store, kind, receiver).await?.map(|oldest| oldest.created_at);
            let place = kinds.iter().position(|known| known.kind == *kind);
            let place = place.unwrap_or_else(|| {
                kinds.push(Backlog { kind: kind.clone(), receivers: 0, waiting: 0, oldest: None });
                kinds.len() - 1
            });
            if let Some(known) = kinds.get_mut(place) {
                known.receivers += u64::from(waiting > 0);
                known.waiting += waiting;
                known.oldest = known.oldest.into_iter().chain(oldest).min();
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(kinds);
        }
    }
}

/// Adds to a batch that a call is made once more, now, with all its patience.
pub fn again(env: &Env, delivery: &Stored<Delivery>, batch: &mut Batch) {
    let now = env.now();
    let fresh = Delivery { state: State::Pending, tries: 0, due_at: now, ..delivery.value.clone() };
    batch.update(&fresh, delivery.revision);
    batch.put(&Queue { kind: fresh.kind.clone(), receiver: fresh.receiver.clone(), due_at: now });
}

/// The queue of a receiver that has calls to come.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub(super) struct Queue {
    #[n(0)]
    pub kind: String,
    #[n(1)]
    pub receiver: String,
    /// Nothing of it is due before.
    #[n(2)]
    pub due_at: Timestamp,
}

impl Record for Queue {
    const KIND: &'static str = "delivery_queue";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(&self.kind, &self.receiver)
    }
    fn indexes(&self) -> Vec<Index> {
        vec![Index::ordered("due", sortable(self.due_at))]
    }
}

impl Queue {
    pub(super) fn key_of(kind: &str, receiver: &str) -> Key {
        Key::of(&[kind.as_bytes(), receiver.as_bytes()])
    }
}

/// How far the log was turned into calls, and how far within the event that follows.
#[derive(Clone, Debug, Default, minicbor::Encode, minicbor::Decode)]
pub(super) struct Cursor {
    #[n(0)]
    pub after: u64,
    /// Which composer is at that event, and where.
    #[n(1)]
    pub within: Option<(String, Option<minicbor::bytes::ByteVec>)>,
}

impl Record for Cursor {
    const KIND: &'static str = "outbox_cursor";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::place()
    }
}

impl Cursor {
    pub(super) fn place() -> Key {
        Key::from_bytes(*b"log")
    }

    pub(super) async fn load(store: &Store) -> Result<Option<Stored<Self>>> {
        store.get(Self::place()).await
    }
}
