//! The pull feed: events behind a cursor, waited for, or as a stream (Server-Sent Events) that goes on where it ended.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event as Frame, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use futures_util::stream;
use serde_json::json;

use super::api;
use crate::access::{Caller, Grant};
use crate::app::App;
use crate::error::{Error, Result, codes};
use crate::event::{EventView, Origin};
use crate::http::extract::{Params, Query};
use crate::http::{Peer, RequestInfo, reply};
use crate::id::OrganizationId;

/// At most so many events in one answer.
const MOST: u64 = 1_000;
/// A question is waited with no longer than this.
const PATIENCE: u64 = 30;
/// Who stream or wait at the same time: each holds a socket, and is woken by whatever happens …
const READERS: usize = 256;
/// … and no organization takes every place.
const OF_ONE: usize = 64;

#[derive(Clone)]
struct Feed {
    app: App,
    readers: Readers,
}

/// Those who stream or wait now, by the organization that they read of; `None` is the whole log.
#[derive(Clone, Default)]
struct Readers(Arc<Mutex<BTreeMap<Option<OrganizationId>, usize>>>);

impl Readers {
    fn now(&self) -> MutexGuard<'_, BTreeMap<Option<OrganizationId>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place among them. Errors: `rate_limited`.
    fn place(&self, organization: Option<OrganizationId>) -> Result<Place> {
        let mut now = self.now();
        let own = now.get(&organization).copied().unwrap_or_default();
        if now.values().sum::<usize>() >= READERS || (organization.is_some() && own >= OF_ONE) {
            return Err(Error::new(&codes::RATE_LIMITED)
                .help("Too many read the feed at the same time; let one of them read for the others."));
        }
        now.insert(organization, own + 1);
        drop(now);
        Ok(Place { readers: self.clone(), organization })
    }
}

/// A place among the readers, given back when the reading ends, however it ends.
struct Place {
    readers: Readers,
    organization: Option<OrganizationId>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut now = self.readers.now();
        match now.remove(&self.organization) {
            None | Some(0 | 1) => {}
            Some(own) => drop(now.insert(self.organization, own - 1)),
        }
    }
}

/// `GET /v1/events?after=N&limit=100&wait=30`, and with `Accept: text/event-stream` the same as a stream.
pub fn router(app: &App) -> Router {
    let feed = Feed { app: app.clone(), readers: Readers::default() };
    Router::new().route("/v1/events", get(events)).with_state(feed)
}

async fn events(
    State(feed): State<Feed>,
    peer: Option<Peer>,
    info: RequestInfo,
    headers: HeaderMap,
    Query(params): Query,
) -> Response {
    let id = info.id;
    match answer(feed, peer, info, headers, params).await {
        Ok(response) => response,
        Err(error) => reply::problem(&error, id),
    }
}

/// Which events, and for whom.
struct Wish {
    organization: Option<OrganizationId>,
    kinds: Option<String>,
    after: u64,
    limit: u64,
    wait: u64,
}

async fn answer(
    feed: Feed,
    peer: Option<Peer>,
    info: RequestInfo,
    headers: HeaderMap,
    params: Params,
) -> Result<Response> {
    let origin = Origin { request: info.id, ip: info.ip, user_agent: info.user_agent };
    let caller = api::caller(&feed.app, peer, &headers, origin.clone()).await?;
    let stream = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).is_some_and(streams);
    let wish = wish(&feed.app, &caller, &headers, &params, stream)?;
    if stream {
        return flow(&feed, Asker { peer, headers, origin }, wish);
    }
    let place = if wish.wait > 0 { Some(feed.readers.place(wish.organization)?) } else { None };
    let events = read(&feed.app, &wish, true).await?;
    if place.is_some() {
        Asker { peer, headers, origin }.may_still(&feed.app, &wish).await?;
    }
    let next = events.1;
    reply::json(StatusCode::OK, &json!({"events": events.0, "next": next}))
}

/// Who asked, to be asked again: access may end while somebody waits.
#[derive(Clone)]
struct Asker {
    peer: Option<Peer>,
    headers: HeaderMap,
    origin: Origin,
}

impl Asker {
    /// Whether they may read still: a key that was revoked, or a person who left, is told nothing more.
    /// Errors: `not_signed_in`, `sso_required`, `missing_grant`.
    async fn may_still(&self, app: &App, wish: &Wish) -> Result<()> {
        let caller = api::caller(app, self.peer, &self.headers, self.origin.clone()).await?;
        let grant = Grant::ConnectionAuditRead;
        let may = caller.is_operator() || wish.organization.is_some_and(|own| caller.holds(grant, own));
        if may { Ok(()) } else { Err(Error::new(&codes::MISSING_GRANT).help(format!("It takes the grant `{grant}`."))) }
    }
}

fn streams(accept: &str) -> bool {
    accept.split(',').any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

/// Errors: `unknown_field`, `invalid_input`, `missing_grant`, `not_found`.
fn wish(app: &App, caller: &Caller, headers: &HeaderMap, params: &Params, stream: bool) -> Result<Wish> {
    for (name, _) in params.iter() {
        if !["after", "limit", "wait", "organization", "kind"].contains(&name) {
            let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            return Err(Error::says(&codes::UNKNOWN_FIELD, format!("There is no parameter `{name}`."))
                .help("The feed takes `after`, `limit`, `wait`, `organization` and `kind`."));
        }
    }
    let number = |name: &str| -> Result<Option<u64>> {
        let wrong = |_| Error::says(&codes::INVALID_INPUT, format!("`{name}` is not a number."));
        params.one(name)?.map(|text| text.parse().map_err(wrong)).transpose()
    };
    let named: Option<OrganizationId> = params.one("organization")?.map(str::parse).transpose()?;
    let organization = named.or_else(|| caller.organization());
    match organization {
        _ if caller.is_operator() => {}
        Some(organization) if !caller.sees(organization) => return Err(Error::new(&codes::NOT_FOUND)),
        Some(organization) if caller.holds(Grant::ConnectionAuditRead, organization) => {}
        _ => {
            return Err(
                Error::new(&codes::MISSING_GRANT).help(format!("It takes the grant `{}`.", Grant::ConnectionAuditRead))
            );
        }
    }
    // A browser that comes back says in this header what it saw last.
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).and_then(|text| text.parse().ok());
    let newest = app.world.store.log_seq();
    let after = last.or(number("after")?).unwrap_or(newest);
    Ok(Wish {
        organization,
        kinds: params.one("kind")?.map(str::to_owned),
        // A cursor from before a restore may lie behind the end; it would wait for ever.
        after: after.min(newest),
        limit: number("limit")?.unwrap_or(100).clamp(1, MOST),
        wait: if stream { PATIENCE } else { number("wait")?.unwrap_or(0).min(PATIENCE) },
    })
}

/// Events behind the cursor, and the cursor behind them. Waits for the first one, if that is wished.
async fn read(app: &App, wish: &Wish, wait: bool) -> Result<(Vec<EventView>, u64)> {
    let store = &app.world.store;
    let org = wish.organization.map(OrganizationId::bytes);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(wish.wait);
    let mut after = wish.after;
    loop {
        let seen = store.log_seq();
        let rows = store.tail(after, usize::try_from(wish.limit).unwrap_or(1), org).await?;
        let full = rows.len() as u64 == wish.limit;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            let event = EventView::read(row)?;
            if wish.kinds.as_deref().is_none_or(|kinds| event.kind.is_among(kinds)) {
                events.push(event);
            }
        }
        // What is somebody else's, or not wished, is behind the cursor as well.
        let last = rows.last().map_or(after, |row| row.row.seq);
        after = if full { last } else { last.max(seen) };
        let over = tokio::time::Instant::now() >= deadline;
        if !events.is_empty() || !wait || wish.wait == 0 || over {
            return Ok((events, after));
        }
        if !full {
            // Nothing new within the time is an answer, too.
            let _ = tokio::time::timeout_at(deadline, store.wait(after)).await;
        }
    }
}

fn flow(feed: &Feed, asker: Asker, wish: Wish) -> Result<Response> {
    let place = feed.readers.place(wish.organization)?;
    let frames = stream::unfold((feed.app.clone(), wish, place), move |(app, mut wish, place)| {
        let asker = asker.clone();
        async move {
            let (events, after) = read(&app, &wish, true).await.ok()?;
            asker.may_still(&app, &wish).await.ok()?;
            wish.after = after;
            let mut frames: Vec<std::result::Result<Frame, Infallible>> = Vec::with_capacity(events.len() + 1);
            for event in &events {
                let data = serde_json::to_string(event).ok()?;
                frames.push(Ok(Frame::default().id(event.seq.to_string()).event(event.kind.name()).data(data)));
            }
            if frames.is_empty() {
                // The cursor moves on though nothing is for this reader.
                frames.push(Ok(Frame::default().id(after.to_string()).comment("nothing new")));
            }
            Some((stream::iter(frames), (app, wish, place)))
        }
    });
    let frames = futures_util::StreamExt::flatten(frames);
    let mut response = Sse::new(frames).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
