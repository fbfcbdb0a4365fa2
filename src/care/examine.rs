//! What authd itself knows that `authd doctor` asks about: facts, which the doctor judges.

use std::time::Duration;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ending::{Ending, each, ending};
use super::ops::{MasterKeyView, view};
use crate::access::{Access, Context, Method, Operation, Owner, Route};
use crate::connection::domain::DomainCheck;
use crate::connection::{Connection, Domain, Status};
use crate::env::Timestamp;
use crate::error::Result;
use crate::store::Batch;

/// What ends within this is told.
pub const AHEAD: Duration = Duration::from_secs(60 * 24 * 3600);
/// Longer than this ago nobody has to look for a backup: it is too old anyway.
const BEHIND: Duration = Duration::from_secs(8 * 24 * 3600);
/// More rows of the log are not looked through for a backup.
const ROWS: u64 = 200_000;
/// At most so many of each list are told; a deployment that has more troubles needs no longer list.
const MOST: usize = 200;
/// The event of a backup.
const BACKUP: &str = "backup.created";
/// The short names of the demo's connections.
const DEMO: &[&str] = &["demo", "demo-directory", "demo-saml"];

/// Tell what authd knows of its own state: for `authd doctor`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Examine {}

/// What authd knows of its own state.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Examined {
    /// Its version.
    pub version: String,
    /// Its clock.
    pub now: Timestamp,
    /// Why the last write failed: a stable code. Absent when it went well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The master key, without the key.
    pub master_key: MasterKeyView,
    /// How many files the process may have open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_limit: Option<u64>,
    /// When the first event of the log was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_event_at: Option<Timestamp>,
    /// When the newest event of the log was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest_event_at: Option<Timestamp>,
    /// When the last backup was made, if that was within eight days.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_at: Option<Timestamp>,
    /// What ends within 60 days.
    pub ending: Vec<Ending>,
    /// Connections that are switched on and not well.
    pub unwell: Vec<Unwell>,
    /// Domains whose proof is missing.
    pub unproved: Vec<Unproved>,
    /// Domains whose proof has gone from DNS, and which will route nobody for it.
    #[serde(default)]
    pub losing: Vec<Losing>,
    /// Issuers of connections that are switched on: at most three, by https.
    pub issuers: Vec<String>,
}

/// A connection that is switched on and not well.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unwell {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What is missing in its configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lacks: Option<String>,
    /// When its provider was looked at and did not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// It is the demo's, which lets everybody in.
    pub demo: bool,
}

/// A domain whose proof is missing.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unproved {
    /// The domain.
    pub domain: String,
    /// Of which connection.
    pub connection: String,
    /// Until when the challenge can be answered; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub challenge_until: Option<Timestamp>,
}

/// A domain whose proof has gone from DNS.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Losing {
    /// The domain.
    pub domain: String,
    /// Of which connection.
    pub connection: String,
    /// Since when the proof is not there.
    pub since: Timestamp,
    /// From when on it counts as proved no more.
    pub loses_at: Timestamp,
}

#[async_trait]
impl Operation for Examine {
    type Seen = ();
    type Output = Examined;
    const NAME: &'static str = "doctor.examine";
    const ACCESS: Access = Access::Operator;
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/doctor" };

    async fn owner(&self, _: &Context) -> Result<Owner> {
        Ok(Owner::Deployment)
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let mut found = Examined {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            now: cx.env.now(),
            trouble: cx.store.health().err().map(|error| error.code().to_owned()),
            master_key: view(cx).await?,
            file_limit: rustix::process::getrlimit(rustix::process::Resource::Nofile).current,
            first_event_at: cx.store.tail(0, 1, None).await?.first().map(|logged| logged.row.at),
            newest_event_at: newest(cx).await?,
            backup_at: backup(cx).await?,
            ending: Vec::new(),
            unwell: Vec::new(),
            unproved: Vec::new(),
            losing: Vec::new(),
            issuers: Vec::new(),
        };
        found.ending = ending(cx, cx.env.now(), cx.env.now() + AHEAD).await?;
        // Domains have a list of their own here.
        found.ending.retain(|ending| ending.kind != "domain");
        found.ending.truncate(MOST);
        let mut active = std::collections::BTreeSet::new();
        each::<Connection>(cx, |connection| {
            if connection.status != Status::Active || connection.deleted_at.is_some() {
                return;
            }
            active.insert(connection.id);
            let issuer = connection.oidc.as_ref().and_then(|oidc| oidc.discovery.issuer.clone());
            found.issuers.extend(issuer.filter(|issuer| issuer.starts_with("https://") && found.issuers.len() < 3));
            found.unwell.extend(unwell(&connection));
        })
        .await?;
        found.unwell.truncate(MOST);
        each::<Domain>(cx, |domain| {
            if domain.verified_at.is_none() && active.contains(&domain.connection) {
                found.unproved.push(Unproved {
                    domain: domain.name,
                    connection: domain.connection.to_string(),
                    challenge_until: domain.challenge.map(|challenge| challenge.expires_at),
                });
            }
        })
        .await?;
        found.unproved.truncate(MOST);
        each::<DomainCheck>(cx, |check| {
            found.losing.extend(check.failing.filter(|_| active.contains(&check.connection)).map(|failing| Losing {
                domain: check.name,
                connection: check.connection.to_string(),
                since: failing.since,
                loses_at: failing.loses_at,
            }));
        })
        .await?;
        found.losing.truncate(MOST);
        Ok(found)
    }
}

fn unwell(connection: &Connection) -> Option<Unwell> {
    let ready = connection.complete();
    let found = Unwell {
        id: connection.id.to_string(),
        name: connection.name.clone(),
        lacks: ready.err().map(|error| error.message().to_owned()),
        silent_since: connection.looked.filter(|look| !look.answered).map(|look| look.at),
        demo: connection.slug.as_deref().is_some_and(|slug| DEMO.contains(&slug)),
    };
    (found.lacks.is_some() || found.silent_since.is_some() || found.demo).then_some(found)
}

async fn newest(cx: &Context) -> Result<Option<Timestamp>> {
    let last = cx.store.log_seq();
    Ok(cx.store.tail(last.saturating_sub(1), 1, None).await?.last().map(|logged| logged.row.at))
}

/// The newest backup, looked for from the end of the log.
async fn backup(cx: &Context) -> Result<Option<Timestamp>> {
    let (mut end, horizon) = (cx.store.log_seq(), cx.env.now() - BEHIND);
    let floor = end.saturating_sub(ROWS);
    while end > floor {
        let begin = end.saturating_sub(1_000);
        let rows = cx.store.tail(begin, usize::try_from(end - begin).unwrap_or(1_000), None).await?;
        if let Some(found) = rows.iter().rev().find(|logged| logged.row.kind == BACKUP) {
            return Ok(Some(found.row.at));
        }
        if rows.first().is_none_or(|logged| logged.row.at < horizon) {
            break;
        }
        end = begin;
        tokio::task::yield_now().await;
    }
    Ok(None)
}
