//! The erasing of what is kept of a person besides the directory: in pieces, so that requests come in between, and so
//! that a crash only makes it begin a piece again.
//!
//! ```text
//!  user.erase ─► Erasure (one commit with the end of the person)
//!                  │ each turn
//!                  ├─ the log, 1,000 rows at a time: the details of rows that tell of them ─► audit.erased, which names
//!                  │    the rows and is a link of the chain: a detail that is gone without it was removed by somebody else
//!                  ├─ traces of their sign-ins
//!                  ├─ how receivers answered to what was erased
//!                  └─ their sessions lose address and browser ─► user.erasure_completed, the Erasure is gone
//! ```

use std::collections::BTreeSet;

use serde_json::Value;

use crate::access::{Caller, Context, World};
use crate::connection::saml::NamedSession;
use crate::error::Result;
use crate::event::{Event, EventKind, Origin};
use crate::id::{OrganizationId, UserId};
use crate::outbox::{self, Delivery};
use crate::session::Session;
use crate::signin::Trace;
use crate::store::{Batch, Key, Life, Query, Record, Stored};
use crate::webhook::{self, Endpoint};

/// Rows that are looked at in one turn.
const PIECE: usize = 1_000;

/// What has still to be erased of a person. It names them, and is gone when it is done.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Erasure {
    /// In which organization.
    #[n(0)]
    organization: OrganizationId,
    /// Who.
    #[n(1)]
    user: UserId,
    /// Ids of things that are theirs.
    #[n(2)]
    ids: Vec<String>,
    /// Their addresses: a detail with one of them in a text is about them.
    #[n(3)]
    addresses: Vec<String>,
    /// Who they are at their providers: a detail with one of them as a text is about them.
    #[n(4)]
    subjects: Vec<String>,
    /// Rows of the log up to here are done.
    #[n(5)]
    after: u64,
    /// Rows are looked at up to here; set at the first turn, when everything is committed that was under way.
    #[n(6)]
    until: Option<u64>,
    /// Rows whose detail was erased.
    #[n(7)]
    erased: u64,
}

impl Record for Erasure {
    const KIND: &'static str = "erasure";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::of(&[&self.organization.bytes(), &self.user.bytes()])
    }
}

impl Erasure {
    /// At the beginning.
    pub(super) fn begin(
        organization: OrganizationId,
        user: UserId,
        ids: Vec<String>,
        addresses: Vec<String>,
        subjects: Vec<String>,
    ) -> Self {
        let addresses = addresses.iter().map(|address| address.trim().to_lowercase()).collect();
        Self { organization, user, ids, addresses, subjects, after: 0, until: None, erased: 0 }
    }

    /// Together with what was asked for while this one goes on: nothing of either is lost. What is new in the other is
    /// looked for from the beginning of the log.
    pub(super) fn joined(&self, other: Self) -> Self {
        let mut joined = Self { until: None, ..self.clone() };
        let lists = [
            (&mut joined.ids, other.ids),
            (&mut joined.addresses, other.addresses),
            (&mut joined.subjects, other.subjects),
        ];
        for (words, more) in lists {
            for word in more {
                if !words.contains(&word) {
                    words.push(word);
                    joined.after = 0;
                }
            }
        }
        joined
    }

    fn is_theirs(&self, id: &str) -> bool {
        self.ids.iter().any(|theirs| theirs == id)
    }

    /// Whether a row tells of the person: it is about them or something of theirs, they did it, or it names them.
    fn concerns(&self, event: &Event) -> bool {
        // That somebody was erased, and by whom, is what is left to tell.
        if matches!(event.kind, EventKind::UserErased | EventKind::AuditErased | EventKind::ErasureCompleted) {
            return false;
        }
        event.subject.iter().chain(&event.targets).any(|target| self.is_theirs(&target.id))
            || event.actor_id.as_deref().is_some_and(|id| self.is_theirs(id))
            || event.data.values().any(|value| self.names(value))
    }

    fn names(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                let folded = text.to_lowercase();
                self.addresses.iter().any(|address| holds(&folded, address))
                    || self.subjects.iter().any(|subject| subject == text)
            }
            Value::Array(items) => items.iter().any(|item| self.names(item)),
            Value::Object(map) => map.values().any(|value| self.names(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
}

/// Whether a text has an address in it, and not a longer one that ends or begins so.
fn holds(text: &str, address: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '+' | '@');
    !address.is_empty()
        && text.match_indices(address).any(|(at, _)| {
            let before = text.get(..at).and_then(|text| text.chars().next_back());
            let mut behind = text.get(at + address.len()..).unwrap_or_default().chars();
            let (next, then) = (behind.next(), behind.next());
            // A full stop ends a sentence where nothing of a name follows it.
            let ends = next.is_none_or(|c| !part(c) || (c == '.' && then.is_none_or(|c| !c.is_alphanumeric())));
            ends && !before.is_some_and(part)
        })
}

/// Does a piece of what has to be erased. False when there is nothing.
pub async fn turn(world: &World) -> Result<bool> {
    let Some(found) = world.store.page::<Erasure>(Query::all().limit(1)).await?.items.into_iter().next() else {
        return Ok(false);
    };
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let until = found.until.unwrap_or_else(|| cx.store.log_seq());
    let mut batch = Batch::new();
    if found.after < until {
        let after = rows(&cx, &found, until, &mut batch).await?;
        batch.update(&after, found.revision);
    } else {
        traces(&cx, &found, &mut batch).await?;
        answers(&cx, &found).await?;
        sessions(&cx, &found, &mut batch).await?;
        let event = cx.event(EventKind::ErasureCompleted).within(found.organization).about("user", found.user);
        batch.log(event.with("rows", found.erased)).delete::<Erasure>(found.key(), found.revision);
    }
    match cx.store.commit(batch).await {
        // Somebody signed out just now, or asked for the same again: the next turn sees it as it is.
        Err(refused) if refused.is_race() => Ok(true),
        done => done.map(|_| true).map_err(Into::into),
    }
}

/// Erases the details of the next rows.
async fn rows(cx: &Context, erasure: &Erasure, until: u64, batch: &mut Batch) -> Result<Erasure> {
    // Only what happened in this organization: another's log is another's business.
    let rows = cx.store.tail(erasure.after, PIECE, Some(erasure.organization.bytes())).await?;
    let mut theirs = Vec::new();
    let mut after = until;
    for row in rows.iter().filter(|row| row.row.seq <= until) {
        if row.detail.is_some() && erasure.concerns(&Event::read(row)?) {
            theirs.push(row.row.seq);
        }
    }
    if let Some(last) = rows.last().filter(|_| rows.len() == PIECE) {
        after = last.row.seq.min(until);
    }
    let erased = theirs.len() as u64;
    if erased > 0 {
        let event = cx.event(EventKind::AuditErased).within(erasure.organization).about("user", erasure.user);
        batch.log_erasing(event.with("rows", erased), theirs);
    }
    Ok(Erasure { after, until: Some(until), erased: erasure.erased + erased, ..erasure.clone() })
}

/// The traces of their sign-ins, those included that were refused.
async fn traces(cx: &Context, erasure: &Erasure, batch: &mut Batch) -> Result<()> {
    let mut cursor = None;
    loop {
        let page = cx.store.page::<Trace>(Query::all().limit(PIECE).after(cursor)).await?;
        for trace in page.items.iter().filter(|trace| trace.organization == Some(erasure.organization)) {
            let said = trace.arrived.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
            let theirs = trace.user == Some(erasure.user)
                || trace.session.is_some_and(|session| erasure.is_theirs(&session.to_string()))
                || said.is_some_and(|said| erasure.names(&said));
            if theirs {
                batch.delete::<Trace>(trace.key(), trace.revision);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

/// How receivers answered to what was erased: they may have repeated it. One small commit a page, since it may be much.
async fn answers(cx: &Context, erasure: &Erasure) -> Result<()> {
    let mut erased = BTreeSet::new();
    let mut after = 0;
    loop {
        let rows = cx.store.tail(after, PIECE, Some(erasure.organization.bytes())).await?;
        erased.extend(rows.iter().filter(|row| row.detail.is_none()).map(|row| row.row.seq));
        let Some(last) = rows.last().filter(|_| rows.len() == PIECE) else { break };
        after = last.row.seq;
    }
    let endpoints = Query::by("organization", erasure.organization.bytes()).limit(PIECE);
    for endpoint in cx.store.page::<Endpoint>(endpoints).await?.items {
        let mut cursor = None;
        loop {
            let query = outbox::of_receiver(webhook::KIND, &endpoint.id.to_string()).limit(PIECE).after(cursor.clone());
            let page = cx.store.page::<Delivery>(query).await?;
            let mut batch = Batch::new();
            for delivery in &page.items {
                if let Some(after) = without_answer(delivery, &erased)? {
                    batch.update(&after, delivery.revision);
                }
            }
            if !batch.is_empty() {
                match cx.store.commit(batch).await {
                    // One of them was sent just now: the page is looked at again.
                    Err(refused) if refused.is_race() => continue,
                    done => drop(done?),
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(())
}

fn without_answer(delivery: &Stored<Delivery>, erased: &BTreeSet<u64>) -> Result<Option<Delivery>> {
    let Some(last) = delivery.last.clone().filter(|last| last.head.is_some() || last.response.is_some()) else {
        return Ok(None);
    };
    if !erased.contains(&webhook::number(delivery)?) {
        return Ok(None);
    }
    Ok(Some(Delivery { last: Some(outbox::Outcome { head: None, response: None, ..last }), ..delivery.value.clone() }))
}

/// Their sessions have ended, and are swept when their time is over; what they know of the person goes now. Apps are still
/// told of their end, by id.
async fn sessions(cx: &Context, erasure: &Erasure, batch: &mut Batch) -> Result<()> {
    let query = Query::by("member", Session::member(erasure.organization, erasure.user)).limit(PIECE);
    for session in cx.store.page::<Session>(query).await?.items {
        let bare = Session { email: None, ip: None, user_agent: None, upstream_subject: None, ..session.value.clone() };
        batch.update(&bare, session.revision);
        let named = NamedSession::key_of(session.id);
        if let Some(found) = cx.store.get::<NamedSession>(named.clone()).await? {
            batch.delete::<NamedSession>(named, found.revision);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_in_a_text_and_not_within_another() {
        for text in
            ["ada@acme.test", "from ada@acme.test.", "<ada@acme.test>", "x,ada@acme.test,y", "it is ada@acme.test. So"]
        {
            assert!(holds(text, "ada@acme.test"), "{text}");
        }
        for text in ["xada@acme.test", "ada@acme.tests", "ada@acme.test.example", "b.ada@acme.test", ""] {
            assert!(!holds(text, "ada@acme.test"), "{text}");
        }
        assert!(!holds("anything", ""));
    }
}
