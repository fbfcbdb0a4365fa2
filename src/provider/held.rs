//! What apps hold of a person: for the page where the person sees it and takes it back.

use std::collections::BTreeMap;

use super::client::App;
use super::refresh::RefreshFamily;
use crate::access::Context;
use crate::env::Timestamp;
use crate::error::{Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::id::{AppId, GrantId, OrganizationId, UserId};
use crate::session::{Scope, bump};
use crate::store::Batch;
use crate::token::TokenGrant;

/// An app that can act in a person's name now.
#[derive(Clone, Debug)]
pub struct Held {
    /// The app.
    pub app: AppId,
    /// What it is called.
    pub name: String,
    /// It may go on when the person has signed out.
    pub offline: bool,
    /// Since when.
    pub since: Timestamp,
    /// Until when at the latest, if nothing is renewed.
    pub until: Timestamp,
    /// What it was granted, each once.
    pub scope: Vec<String>,
    grants: Vec<GrantId>,
    /// Those of them that have a refresh token.
    renewed: Vec<GrantId>,
}

/// The apps that hold something in the person's name, by name.
pub async fn of(cx: &Context, organization: OrganizationId, user: UserId) -> Result<Vec<Held>> {
    let mut held: BTreeMap<AppId, Held> = BTreeMap::new();
    for grant in TokenGrant::of_member(&cx.store, organization, user).await? {
        if let Some(app) = grant.app {
            note(&mut held, (app, grant.id), (grant.created_at, grant.expires_at), &grant.scope, false);
        }
    }
    for family in RefreshFamily::of_member(cx, organization, user).await? {
        let time = (family.created_at(), family.ends_at());
        note(&mut held, (family.app, family.grant), time, &family.scope, family.offline);
        if let Some(item) = held.get_mut(&family.app) {
            item.renewed.push(family.grant);
        }
    }
    let mut shown = Vec::with_capacity(held.len());
    for mut item in held.into_values() {
        match App::load(&cx.store, item.app).await {
            Ok(app) => item.name.clone_from(&app.name),
            Err(error) if error.is(&codes::NOT_FOUND) => continue,
            Err(error) => return Err(error),
        }
        shown.push(item);
    }
    shown.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(shown)
}

fn note(
    held: &mut BTreeMap<AppId, Held>,
    (app, grant): (AppId, GrantId),
    (since, until): (Timestamp, Timestamp),
    scope: &[String],
    offline: bool,
) {
    let item = held.entry(app).or_insert_with(|| Held {
        app,
        name: String::new(),
        offline,
        since,
        until,
        scope: Vec::new(),
        grants: Vec::new(),
        renewed: Vec::new(),
    });
    item.offline |= offline;
    item.since = item.since.min(since);
    item.until = item.until.max(until);
    for word in scope {
        if !item.scope.contains(word) {
            item.scope.push(word.clone());
        }
    }
    if !item.grants.contains(&grant) {
        item.grants.push(grant);
    }
}

/// Adds to the batch that the app's tokens end, all of them, now.
pub async fn take_back(cx: &Context, held: &Held, by: (OrganizationId, UserId), batch: &mut Batch) -> Result<()> {
    let (organization, user) = by;
    for grant in &held.grants {
        bump(&cx.store, Scope::Grant(*grant), batch).await?;
        let renewed = held.renewed.contains(grant).then_some(EventKind::RefreshRevoked);
        for kind in renewed.into_iter().chain([EventKind::GrantRevoked]) {
            let event = Event::new(&cx.env, kind, &Actor::User(user), &cx.origin);
            batch.log(event.within(organization).about("grant", *grant).and("app", held.app).and("user", user));
        }
    }
    Ok(())
}
