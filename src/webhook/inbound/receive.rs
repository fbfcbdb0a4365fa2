//! A message, from its headers to its commit.

use std::time::Duration;

use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::clerk::{Message, Person};
use super::endpoint::{Inbound, place};
use super::heard::{Heard, KnownPerson};
use super::signed::Signed;
use crate::access::throttle::{self, Rule};
use crate::access::{Caller, Context, refusal};
use crate::connection::Connection;
use crate::directory::{
    EmailAddress, ExternalId, Field, Identity, IdentitySource, Membership, Organization, PersonProposal, Source,
    SourceFacts, provision_person,
};
use crate::error::{Error, Kind, Result, codes};
use crate::event::{Event, EventKind};
use crate::governance::{facts_of, facts_of_own_directory};
use crate::http::extract::parse_json;
use crate::id::{ConnectionId, InboundId};
use crate::store::{Batch, Stored};

/// How often a message is worked out again when something it read was changed before its commit.
const RETRIES: usize = 16;
/// When a service may try again whose connection was deleted and can still be restored.
const LATER: Duration = Duration::from_secs(3600);

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome", content = "reason")]
pub enum Outcome {
    /// It was taken over.
    Applied,
    /// It has come before; nothing was done.
    Duplicate,
    /// It says nothing that would change anything.
    PassedOver(Reason),
}

/// Why a message changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It is of a kind that authd does not act on.
    Kind,
    /// A newer state is known.
    Stale,
    /// The service has deleted the person before.
    Deleted,
    /// Nobody is known whom it could end.
    Unknown,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Stale => "stale",
            Self::Deleted => "deleted",
            Self::Unknown => "unknown",
        }
    }
}

/// A message whose signature holds, at the address it came to.
pub struct Genuine {
    /// As its sender.
    pub cx: Context,
    endpoint: Inbound,
    message: String,
    /// When it was sent, in milliseconds.
    sent_at: i64,
}

/// Checks who sent the bytes. Errors: `not_found`; `webhook_signature`; `rate_limited` for an address that sends many
/// that are not signed; `organization_disabled`.
pub async fn check(cx: &Context, id: &str, headers: &HeaderMap, body: &[u8]) -> Result<Genuine> {
    let id: InboundId = id.parse().map_err(|_| Error::new(&codes::NOT_FOUND))?;
    let endpoint = Inbound::load(&cx.store, id).await?.value;
    let now = cx.env.now();
    let mut keys: Vec<Zeroizing<Vec<u8>>> = Vec::new();
    for secret in endpoint.secrets.iter().filter(|secret| secret.good(now)) {
        keys.push(cx.deployment.master_key.open(&place(id), &secret.sealed)?);
    }
    let signed = Signed::read(headers).filter(|signed| signed.is_of_now(now) && signed.holds(&keys, body));
    let Some(signed) = signed else { return Err(unsigned(cx, &endpoint).await) };
    let organization = endpoint.organization;
    let cx = Context { caller: Caller::Inbound { endpoint: id, organization }, ..cx.clone() };
    Organization::open(&cx.store, organization).await?;
    Ok(Genuine { message: signed.id.to_owned(), sent_at: signed.millis(), endpoint, cx })
}

/// Tells of a message that nobody signed, and counts it by its address.
async fn unsigned(cx: &Context, endpoint: &Inbound) -> Error {
    let tell = async {
        let mut batch = Batch::new();
        // Above the limit nothing is written: a stranger does not keep the disk busy.
        throttle::check(cx, Rule::Bearer, throttle::address(cx)).await?;
        throttle::count(cx, Rule::Bearer, throttle::address(cx), &mut batch).await?;
        let event = cx.event(EventKind::InboundRefused).within(endpoint.organization);
        let event = event.about("webhook_inbound", endpoint.id).failed(codes::WEBHOOK_SIGNATURE.name);
        refusal::tell(cx, event, &mut batch).await?;
        cx.store.commit(batch).await?;
        Ok(())
    };
    match tell.await {
        Ok(()) => Error::new(&codes::WEBHOOK_SIGNATURE),
        Err(other) => other,
    }
}

impl Genuine {
    /// Takes over what the message says: one commit with its id, so that it counts once. Errors: `invalid_input`; those
    /// of the pipeline. A message that is refused is not remembered: when what was wrong is mended, the sender's next try
    /// succeeds.
    pub async fn take(&self, body: &[u8]) -> Result<Outcome> {
        match self.apply(body).await {
            Err(error) if !matches!(error.kind(), Kind::Bug | Kind::Unavailable | Kind::TooMany) => {
                let mut batch = Batch::new();
                let event = self.event(EventKind::InboundRefused).failed(error.code());
                refusal::tell(&self.cx, event, &mut batch).await?;
                self.cx.store.commit(batch).await?;
                Err(error)
            }
            done => done,
        }
    }

    async fn apply(&self, body: &[u8]) -> Result<Outcome> {
        let body: Map<String, Value> = parse_json(body)?;
        let message = Message::read(&body)?;
        let mut tries = 0;
        loop {
            let mut batch = Batch::new();
            let outcome = self.weigh(&message, &mut batch).await?;
            if batch.is_empty() {
                return Ok(outcome);
            }
            match self.cx.store.commit(batch).await {
                Ok(_) => return Ok(outcome),
                Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
                Err(refused) => return Err(refused.into()),
            }
        }
    }

    /// An event about this message.
    fn event(&self, kind: EventKind) -> Event {
        let event = self.cx.event(kind).within(self.endpoint.organization);
        event.about("webhook_inbound", self.endpoint.id).with("message", self.message.clone())
    }

    async fn weigh(&self, message: &Message, batch: &mut Batch) -> Result<Outcome> {
        let (cx, endpoint) = (&self.cx, self.endpoint.id);
        if matches!(message, Message::Other) {
            return Ok(Outcome::PassedOver(Reason::Kind));
        }
        if cx.store.get::<Heard>(Heard::key_of(endpoint, &self.message)).await?.is_some() {
            let event = self.event(EventKind::InboundDuplicate).failed(codes::WEBHOOK_DUPLICATE.name);
            refusal::tell(cx, event, batch).await?;
            return Ok(Outcome::Duplicate);
        }
        batch.create(&Heard { endpoint, message: self.message.clone(), at: cx.env.now() });
        match message {
            Message::Person(person) => self.person(person, batch).await,
            Message::Gone { subject } => self.gone(subject, batch).await,
            Message::Other => Ok(Outcome::PassedOver(Reason::Kind)),
        }
    }

    async fn known(&self, subject: &str) -> Result<Option<Stored<KnownPerson>>> {
        let who = self.endpoint.digest(&self.cx, subject)?;
        self.cx.store.get(KnownPerson::key_of(self.endpoint.id, &who)).await
    }

    /// Nothing goes back: an older state than the known one changes nothing, and nobody comes back who was deleted.
    async fn person(&self, person: &Person, batch: &mut Batch) -> Result<Outcome> {
        let known = self.known(&person.subject).await?;
        let changed_at = person.changed_at.unwrap_or(self.sent_at);
        if let Some(known) = &known {
            if known.deleted {
                return Ok(self.passed_over(Reason::Deleted, batch));
            }
            if changed_at < known.changed_at {
                return Ok(self.passed_over(Reason::Stale, batch));
            }
        }
        let was_banned = known.as_ref().is_some_and(|known| known.banned);
        let banned = person.banned.unwrap_or(was_banned);
        let proposal = PersonProposal {
            fields: person.fields.clone(),
            email_verified: person.email_verified,
            // Said when it turns: repeating that somebody is not banned does not ask for them back.
            active: match (was_banned, banned) {
                (_, true) => Some(false),
                (true, false) => Some(true),
                (false, false) => None,
            },
            ..self.proposal(&person.subject)
        };
        let facts = self.facts(proposal.fields.value(Field::Email)).await?;
        let done = provision_person(&self.cx, proposal, &facts, batch).await?;
        self.keep(known, &person.subject, (changed_at, banned, false), batch)?;
        let told = self.event(EventKind::InboundApplied).and("user", done.membership.user);
        batch.log(told.with("created", done.created));
        Ok(Outcome::Applied)
    }

    async fn gone(&self, subject: &str, batch: &mut Batch) -> Result<Outcome> {
        let known = self.known(subject).await?;
        if known.as_ref().is_some_and(|known| known.deleted) {
            return Ok(self.passed_over(Reason::Deleted, batch));
        }
        // Also where nobody is known: what was said before of them may still come.
        let changed_at = known.as_ref().map_or(self.sent_at, |known| known.changed_at.max(self.sent_at));
        let facts = self.facts(None).await?;
        let there = self.member(subject).await?;
        self.keep(known, subject, (changed_at, false, true), batch)?;
        let Some(member) = there else { return Ok(self.passed_over(Reason::Unknown, batch)) };
        let proposal = PersonProposal { active: Some(false), gone: true, ..self.proposal(subject) };
        provision_person(&self.cx, proposal, &facts, batch).await?;
        batch.log(self.event(EventKind::InboundApplied).and("user", member.user).with("deleted", true));
        Ok(Outcome::Applied)
    }

    /// The member whom the service means, if there is one.
    async fn member(&self, subject: &str) -> Result<Option<Membership>> {
        let store = &self.cx.store;
        let user = match self.endpoint.source() {
            Source::Inbound(connection) => {
                let source = IdentitySource::Connection(connection);
                store.get::<Identity>(Identity::key_of(source, subject)).await?.map(|found| found.user)
            }
            source => match source.connection() {
                Some(own) => store.get::<ExternalId>(ExternalId::key_of(own, subject)).await?.map(|found| found.user),
                None => None,
            },
        };
        let Some(user) = user else { return Ok(None) };
        let found = self.cx.store.get::<Membership>(Membership::key_of(self.endpoint.organization, user)).await?;
        Ok(found.map(|found| found.value))
    }

    /// One that says only who it is: by the identifier that people sign in with, where they do so through a connection,
    /// and else by a handle, which nobody signs in with.
    fn proposal(&self, subject: &str) -> PersonProposal {
        let source = self.endpoint.source();
        let subject = Some(subject.to_owned());
        match source {
            Source::Inbound(_) => PersonProposal { subject, ..PersonProposal::of(source) },
            _ => PersonProposal { external_id: subject, ..PersonProposal::of(source) },
        }
    }

    async fn facts(&self, email: Option<&str>) -> Result<SourceFacts> {
        // An address that is none was passed over before.
        let email = email.filter(|text| EmailAddress::parse(text).is_ok());
        match self.endpoint.connection {
            None => facts_of_own_directory(&self.cx, self.endpoint.organization, email).await,
            Some(id) => facts_of(&self.cx, &self.connection(id).await?, email).await,
        }
    }

    /// The connection that the people sign in through. While it can be restored, the service is told to try again later: a
    /// person who has left in between is not forgotten when it comes back. Errors: `connection_deleted`; `not_found` when it
    /// is gone for good.
    async fn connection(&self, id: ConnectionId) -> Result<Connection> {
        let found = Connection::load_any(&self.cx.store, id).await?.value;
        if found.deleted_at.is_some() {
            return Err(Error::new(&codes::CONNECTION_DELETED).retry_after(LATER));
        }
        Ok(found)
    }

    fn passed_over(&self, reason: Reason, batch: &mut Batch) -> Outcome {
        batch.log(self.event(EventKind::InboundPassedOver).with("reason", reason.name()));
        Outcome::PassedOver(reason)
    }

    fn keep(
        &self,
        known: Option<Stored<KnownPerson>>,
        subject: &str,
        (changed_at, banned, deleted): (i64, bool, bool),
        batch: &mut Batch,
    ) -> Result<()> {
        let Inbound { id: endpoint, organization, .. } = self.endpoint;
        let who = self.endpoint.digest(&self.cx, subject)?;
        let after = KnownPerson { endpoint, organization, who, changed_at, banned, deleted };
        match known {
            Some(known) => batch.update(&after, known.revision),
            None => batch.create(&after),
        };
        Ok(())
    }
}
