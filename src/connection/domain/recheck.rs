//! Asking DNS again for the proofs of domains: one now, or all that are due.

use std::cmp::Ordering;
use std::collections::VecDeque;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::record::Connection;
use super::super::view::DomainView;
use super::check::{DomainCheck, Look, Sight, Told, chance, judge, look};
use super::claim::{Challenge, Domain};
use super::event;
use super::ops::claim;
use super::owner::release;
use super::prove::bounded;
use crate::access::{Access, Caller, Context, Grant, Method, Operation, Owner, Route, perform};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::store::{Batch, Key, Query, Record as _, Stored};

/// So many domains are asked for at the same time.
const AT_ONCE: usize = 8;

/// Ask DNS again whether it still has the record that proves a domain. That happens every week by itself; a record that
/// stays away for 14 days ends the proof.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecheckDomain {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain.
    pub domain: String,
}

/// What DNS says of a proof.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Rechecked {
    /// The connection.
    pub connection_id: ConnectionId,
    /// What DNS says; absent for a domain that somebody vouched for, for which nobody is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// The same as a sentence.
    pub message: String,
    /// The domain as it stands now.
    pub domain: DomainView,
}

/// What DNS said of which record.
#[derive(Debug, Default)]
pub struct Asked(Option<(String, Sight)>);

fn sentence(name: &str, look: Option<Look>, check: Option<&DomainCheck>, lost: bool) -> String {
    let record = Challenge::record_name(name);
    let until = match check.and_then(|check| check.failing) {
        _ if lost => format!(" The proof of {name} is lost."),
        Some(failing) => format!(" If it stays so, the proof is lost at {}.", failing.loses_at),
        None => String::new(),
    };
    match look {
        None => format!("No record has to stay in DNS for {name}."),
        Some(Look::Proved) => format!("The TXT record `{record}` is in place."),
        Some(Look::Missing) => format!("DNS has no TXT record `{record}`.{until}"),
        Some(Look::Different) => format!("The TXT record `{record}` says something else.{until}"),
        Some(Look::Unreachable) => format!("No name server gave an answer about `{record}`. That changes nothing."),
    }
}

fn tell(cx: &Context, claim: &Domain, told: Told, look: Look, loses_at: Option<Timestamp>) -> crate::event::Event {
    let kind = match told {
        Told::Failing => EventKind::DomainRecheckFailed,
        Told::Recovered => EventKind::DomainRecovered,
        Told::Near(_) => EventKind::DomainLossNear,
        Told::Lost => EventKind::DomainLost,
    };
    let mut event = event(cx, kind, claim);
    if matches!(look, Look::Missing | Look::Different) {
        event = event.with("dns", if look == Look::Missing { "missing" } else { "different" });
    }
    if let Told::Near(days) = told {
        event = event.with("days", days);
    }
    match loses_at {
        Some(at) if told != Told::Lost => event.with("losesAt", at.to_string()),
        _ => event,
    }
}

#[async_trait]
impl Operation for RecheckDomain {
    type Seen = Asked;
    type Output = Rechecked;
    const NAME: &'static str = "domain.recheck";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{connection}/domains/{domain}/recheck" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Connection::load(&cx.store, self.connection).await?.organization))
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let claim = claim(cx, self.connection, &self.domain).await?;
        let Some(value) = claim.kept_record() else { return Ok(Asked::default()) };
        // The weekly look is authd's own, and has its own pace.
        if cx.caller != Caller::System {
            bounded(cx, self.connection).await?;
        }
        Ok(Asked(Some((value.to_owned(), look(&cx.env, &claim.name, value).await))))
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut claim, revision } = claim(cx, self.connection, &self.domain).await?;
        if claim.verified_at.is_none() {
            return Err(Error::says(&codes::DOMAIN_NOT_PROVED, format!("`{}` is not verified.", claim.name))
                .help("`authd domain status` names the TXT record; `authd domain verify` looks for it."));
        }
        let before = DomainCheck::load(&cx.store, &claim).await?;
        // What was asked for must be what has to stay there now.
        let asked = seen.0.as_ref().filter(|(value, _)| claim.kept_record() == Some(value));
        let Some((_, sight)) = asked else {
            return Ok(Rechecked {
                connection_id: self.connection,
                look: None,
                message: sentence(&claim.name, None, None, false),
                domain: DomainView::from(&claim).checked(before.as_deref()),
            });
        };
        let verdict = judge(before.as_deref(), &claim, sight.look, cx.env.now(), chance(&cx.env));
        match &before {
            None => batch.create(&verdict.next),
            Some(before) => batch.update(&verdict.next, before.revision),
        };
        let loses_at = verdict.next.failing.map(|failing| failing.loses_at);
        for told in &verdict.told {
            batch.log(tell(cx, &claim, *told, sight.look, loses_at));
        }
        let message = sentence(&claim.name, Some(sight.look), Some(&verdict.next), verdict.lost());
        if verdict.lost() {
            claim.lose(&cx.env);
            batch.update(&claim, revision);
            release(&cx.store, &claim.name, claim.connection, batch).await?;
        } else {
            // Not if the proof was renewed or taken away in between.
            batch.require::<Domain>(Domain::key_of(&claim.name, claim.connection), revision);
        }
        Ok(Rechecked {
            connection_id: self.connection,
            look: Some(sight.look),
            message,
            domain: DomainView::from(&claim).checked(Some(&verdict.next)),
        })
    }
}

/// What is known about proofs, in the order of the claims: the two have the same keys, so they are read side by side.
#[derive(Default)]
struct Known {
    rows: VecDeque<DomainCheck>,
    cursor: Option<Vec<u8>>,
    read: bool,
}

impl Known {
    /// What is known about the claim of that key. The keys that are asked for must grow.
    async fn of(&mut self, cx: &Context, key: &Key) -> Result<Option<DomainCheck>> {
        loop {
            while let Some(row) = self.rows.pop_front() {
                match row.key().cmp(key) {
                    Ordering::Less => {}
                    Ordering::Equal => return Ok(Some(row)),
                    Ordering::Greater => {
                        self.rows.push_front(row);
                        return Ok(None);
                    }
                }
            }
            if self.read && self.cursor.is_none() {
                return Ok(None);
            }
            let page = cx.store.page::<DomainCheck>(Query::all().limit(1_000).after(self.cursor.take())).await?;
            (self.rows, self.cursor) = (page.items.into_iter().map(|row| row.value).collect(), page.next);
            self.read = true;
        }
    }
}

/// The proofs that DNS is to be asked for at this time, at most so many.
async fn due(cx: &Context, most: usize) -> Result<Vec<RecheckDomain>> {
    let now = cx.env.now();
    let (mut due, mut known, mut cursor) = (Vec::new(), Known::default(), None);
    loop {
        let page = cx.store.page::<Domain>(Query::all().limit(1_000).after(cursor)).await?;
        for Stored { value: claim, .. } in page.items {
            // With its connection deleted, nothing depends on the proof until that is restored.
            if claim.kept_record().is_none() || claim.expires_at.is_some() {
                continue;
            }
            if known.of(cx, &claim.key()).await?.is_none_or(|check| check.due(now)) {
                due.push(RecheckDomain { connection: claim.connection, domain: claim.name });
            }
            if due.len() >= most {
                return Ok(due);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            return Ok(due);
        }
    }
}

/// Asks DNS for the proofs that are due, at most `most` of them, and tells how many those were. When each is due stands
/// in the store, so a restart forgets nothing.
pub async fn recheck_due(cx: &Context, most: usize) -> Result<usize> {
    let due = due(cx, most).await?;
    let number = due.len();
    futures_util::stream::iter(due)
        .for_each_concurrent(AT_ONCE, |recheck| async move {
            match perform(cx, &recheck).await {
                Ok(_) => {}
                // Taken away while it was asked for.
                Err(error) if error.is(&codes::NOT_FOUND) || error.is(&codes::DOMAIN_NOT_PROVED) => {}
                Err(error) => {
                    tracing::warn!(code = error.code(), domain = recheck.domain, "not rechecked: {}", error.log_line());
                }
            }
        })
        .await;
    Ok(number)
}
