//! The addresses: `/scim/v2/…`, where the token decides whose they are, and `/connections/{id}/scim/v2/…`.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::any;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::answer::{self, document, is_known, nothing};
use super::bulk;
use super::error;
use super::page::{self, Wish};
use super::person::Change;
use super::read::{Counts, object};
use super::reads::Reads;
use super::schema::{ResourceKind, discovery, list};
use super::shown::{Besides, GroupNames};
use super::speaker::{self, Speaker};
use super::target::Target;
use super::{schema, token};
use crate::access::{Caller, Context, World, refusal};
use crate::directory::ScimResource;
use crate::error::{Error, Kind, Result, codes};
use crate::event::{EventKind, Origin};
use crate::http::extract::{Params, parse_json};
use crate::http::{RequestInfo, limits, reply};
use crate::store::Batch;
use crate::token::Keyring;

/// Of a body: a group of five thousand fits.
pub const BODY: usize = 1024 * 1024;
/// How often a write is worked out again when what it read was changed before its commit.
const RETRIES: usize = 8;
/// Writes of one resource go one after the other; so many may go at once.
const LANES: usize = 64;
/// What is bounded, as directories are told it.
pub const BOUNDS: schema::Bounds =
    schema::Bounds { bulk_operations: bulk::MOST, body: BODY, page: page::MOST, usual_page: page::USUAL };

/// What a handler needs.
#[derive(Clone)]
pub struct Door {
    world: World,
    keyring: Keyring,
    counts: Arc<Counts>,
    reads: Arc<Reads>,
    lanes: Arc<[Mutex<()>]>,
}

/// A resource as it was written, with its version.
pub type Row = (ResourceKind, ScimResource, String);

/// The routes, relative to the issuer's path; `http::Door::guard` stands before them.
pub fn http(world: World, keyring: Keyring) -> Router {
    let lanes = (0..LANES).map(|_| Mutex::default()).collect();
    let door = Door { world, keyring, counts: Arc::default(), reads: Arc::default(), lanes };
    Router::new()
        .route("/scim/v2", any(own_root))
        .route("/scim/v2/", any(own_root))
        .route("/scim/v2/{*path}", any(own))
        .route("/connections/{id}/scim/v2", any(connection_root))
        .route("/connections/{id}/scim/v2/", any(connection_root))
        .route("/connections/{id}/scim/v2/{*path}", any(connection))
        .route_layer(from_fn_with_state(BODY, limits::body))
        .with_state(door)
}

async fn own_root(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    door.serve(info, None, "", request).await
}

async fn own(State(door): State<Door>, Path(path): Path<String>, info: RequestInfo, request: Request) -> Response {
    door.serve(info, None, &path, request).await
}

async fn connection_root(
    State(door): State<Door>,
    Path(id): Path<String>,
    info: RequestInfo,
    request: Request,
) -> Response {
    door.serve(info, Some(&id), "", request).await
}

async fn connection(
    State(door): State<Door>,
    Path((id, path)): Path<(String, String)>,
    info: RequestInfo,
    request: Request,
) -> Response {
    door.serve(info, Some(&id), &path, request).await
}

/// Tells a refusal in the log, as one event or as a part of a flood; what opens nothing is counted by its address.
/// Answers what the client is to be told.
pub async fn told(cx: &Context, speaker: Option<&Speaker>, error: Error) -> Error {
    if matches!(error.kind(), Kind::Bug | Kind::Unavailable) {
        return error;
    }
    let tell = async {
        let mut batch = Batch::new();
        if error.is(&codes::NOT_SIGNED_IN) {
            speaker::count_stranger(cx, &mut batch).await?;
        }
        let mut event = cx.event(EventKind::ScimRefused).failed(error.code());
        if let Some(organization) = speaker.map(|speaker| speaker.organization).or(cx.caller.organization()) {
            event = event.within(organization);
        }
        if let Some(connection) = speaker.and_then(|speaker| speaker.connection.as_ref()) {
            event = event.about("connection", connection.id);
        }
        refusal::tell(cx, event, &mut batch).await?;
        cx.store.commit(batch).await?;
        Ok(())
    };
    match tell.await {
        Ok(()) => error,
        Err(other) => other,
    }
}

impl Door {
    async fn serve(&self, info: RequestInfo, at: Option<&str>, path: &str, request: Request) -> Response {
        let origin = Origin { request: info.id, ip: info.ip, user_agent: info.user_agent.clone() };
        let cx = self.world.context(Caller::Anonymous, origin);
        let segments: Vec<&str> = path.trim_end_matches('/').split('/').filter(|part| !part.is_empty()).collect();
        if segments == ["oauth2", "token"] && request.method() == Method::POST {
            let given = token::give(&cx, request).await.and_then(|given| reply::json(StatusCode::OK, &given));
            return match given {
                Ok(given) => given,
                Err(error) => {
                    let error = if error.is(&codes::INVALID_CLIENT) { told(&cx, None, error).await } else { error };
                    reply::oauth_error(&error, info.id, true)
                }
            };
        }
        match self.answer(&cx, at, &segments, request).await {
            Ok(response) => response,
            Err(error) => {
                let mut response = error::answer(&error, info.id);
                if error.is(&codes::METHOD_NOT_ALLOWED) {
                    // RFC 9110 §15.5.6. What is no resource describes the server.
                    let methods = Target::of(&segments).map_or("GET", |target| target.methods());
                    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(methods));
                }
                response
            }
        }
    }

    async fn answer(&self, cx: &Context, at: Option<&str>, segments: &[&str], request: Request) -> Result<Response> {
        if let [endpoint @ ("ServiceProviderConfig" | "ResourceTypes" | "Schemas"), id @ ..] = segments {
            return describe(cx, at, endpoint, id, &request);
        }
        let named = Speaker::of(cx, &self.keyring, request.headers(), at).await;
        let (cx, speaker) = match named {
            Ok(named) => named,
            Err(error) => return Err(told(cx, None, error).await),
        };
        let search = segments.last() == Some(&".search");
        let reads = search || request.method() == Method::GET;
        match self.respond(&cx, &speaker, segments, request).await {
            Ok(response) => {
                if reads {
                    self.reads.note(&cx, &speaker).await;
                }
                Ok(response)
            }
            Err(error) => Err(told(&cx, Some(&speaker), error).await),
        }
    }

    async fn respond(&self, cx: &Context, speaker: &Speaker, segments: &[&str], request: Request) -> Result<Response> {
        speaker.rules.listens()?;
        let target =
            Target::of(segments).ok_or_else(|| Error::says(&codes::NOT_FOUND, "There is nothing at this address."))?;
        let (method, headers) = (request.method().clone(), request.headers().clone());
        let query = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
        match (&method, target) {
            (&Method::GET, Target::All(kind)) => {
                let wish = Wish::of_query(&query)?;
                Ok(document(StatusCode::OK, &speaker.list(cx, &self.counts, kind, &wish).await?))
            }
            (&Method::GET, Target::One(kind, id)) => one(cx, speaker, kind, id, &query, &headers).await,
            (&Method::GET, Target::Me) => {
                let person = cx.caller.person().ok_or_else(|| Error::new(&codes::NOT_A_PERSON))?;
                one(cx, speaker, ResourceKind::User, &person.to_string(), &query, &headers).await
            }
            (_, Target::Me) => Err(Error::new(&codes::NOT_A_PERSON)),
            (&Method::POST, Target::Search(kind)) => {
                let wish = Wish::of_body(&object(body(speaker, request).await?)?)?;
                Ok(document(StatusCode::OK, &self.search(cx, speaker, kind, &wish).await?))
            }
            (&Method::POST, Target::Bulk) => {
                let sent = object(body(speaker, request).await?)?;
                Ok(document(StatusCode::OK, &bulk::bulk(self, cx, speaker, &sent).await?))
            }
            (&Method::POST, Target::All(_)) | (&(Method::PUT | Method::PATCH), Target::One(..)) => {
                let wish = Wish::of_query(&query)?;
                let sent = body(speaker, request).await?;
                let (status, row) = self.write(cx, speaker, &method, &target, &headers, sent).await?;
                let Some((kind, row, _)) = row else { return Ok(nothing(StatusCode::NO_CONTENT)) };
                let besides = Besides {
                    groups: wish.projection.wants(kind, "groups"),
                    members: wish.projection.wants(kind, "members"),
                };
                let mut shown = speaker.show(cx, &row, besides, &mut GroupNames::new()).await?;
                shown.resource = wish.projection.apply(kind, shown.resource);
                answer::resource(status, shown)
            }
            (&Method::DELETE, Target::One(..)) => {
                self.write(cx, speaker, &method, &target, &headers, Value::Null).await?;
                Ok(nothing(StatusCode::NO_CONTENT))
            }
            _ => Err(Error::new(&codes::METHOD_NOT_ALLOWED)),
        }
    }

    /// A search among people, groups, or both: people first.
    async fn search(&self, cx: &Context, speaker: &Speaker, kind: Option<ResourceKind>, wish: &Wish) -> Result<Value> {
        if let Some(kind) = kind {
            return speaker.list(cx, &self.counts, kind, wish).await;
        }
        if wish.cursor.is_some() {
            return Err(Error::says(&codes::INVALID_CURSOR, "Cursors are for one kind of resource: `/Users/.search`."));
        }
        let (mut total, mut resources, mut skipped, mut refused) = (0, Vec::new(), wish.start - 1, Vec::new());
        for kind in ResourceKind::ALL {
            let left = wish.count - resources.len().min(wish.count);
            let part = Wish { start: skipped + 1, count: left, ..wish.clone() };
            match speaker.list(cx, &self.counts, *kind, &part).await {
                Ok(mut page) => {
                    let found = page["totalResults"].as_u64().unwrap_or_default();
                    (total, skipped) = (total + found, skipped.saturating_sub(found));
                    resources.extend(page["Resources"].as_array_mut().map(std::mem::take).unwrap_or_default());
                }
                // What only the other kind has, none of this one is meant by.
                Err(error) if error.is(&codes::INVALID_FILTER) || error.is(&codes::INVALID_PATH) => refused.push(error),
                Err(error) => return Err(error),
            }
        }
        match refused.pop() {
            Some(error) if refused.len() + 1 == ResourceKind::ALL.len() => Err(error),
            _ => Ok(list(total, Some(wish.start), resources)),
        }
    }

    /// Does one write, in one commit. Answers the resource as it is then, and the status that says so.
    pub async fn write(
        &self,
        cx: &Context,
        speaker: &Speaker,
        method: &Method,
        target: &Target<'_>,
        headers: &HeaderMap,
        body: Value,
    ) -> Result<(StatusCode, Option<Row>)> {
        let (kind, id, change) = match (method, target) {
            (&Method::POST, Target::All(kind)) => (*kind, None, Err(object(body)?)),
            (&Method::DELETE, Target::One(kind, id)) => (*kind, Some(*id), Ok(Change::Delete)),
            (&(Method::PUT | Method::PATCH), Target::One(kind, id)) => {
                (*kind, Some(*id), Ok(Change::read(method == Method::PATCH, body)?))
            }
            _ => return Err(Error::new(&codes::METHOD_NOT_ALLOWED)),
        };
        let lane = id.map(|id| self.lane(speaker, id));
        let _turn = match &lane {
            Some(lane) => Some(lane.lock().await),
            None => None,
        };
        let mut tries = 0;
        loop {
            let mut batch = Batch::new();
            let written = match (&change, id) {
                (Ok(change), Some(id)) => {
                    let row = speaker.resource(cx, kind, id).await?;
                    answer::if_match(headers, &speaker.version_now(cx, &row).await?)?;
                    match kind {
                        ResourceKind::User => speaker.change_person(cx, &row, change, &mut batch).await?,
                        ResourceKind::Group => speaker.change_group(cx, &row, change, &mut batch).await?,
                    }
                }
                (Err(sent), _) => create(cx, speaker, kind, sent, &mut batch).await?,
                (Ok(_), None) => return Err(Error::bug("a change of nothing")),
            };
            if !batch.is_empty() {
                match cx.store.commit(batch).await {
                    Ok(_) => {}
                    Err(refused) if refused.is_race() && tries < RETRIES => {
                        tries += 1;
                        continue;
                    }
                    Err(refused) => return Err(refused.into()),
                }
            }
            let status = if change.is_err() { StatusCode::CREATED } else { StatusCode::OK };
            let row = match written {
                Some(row) => {
                    let version = speaker.version_now(cx, &row).await?;
                    Some((kind, row, version))
                }
                None => None,
            };
            return Ok((status, row));
        }
    }

    /// Where writes of one resource wait for each other: so that of many who add members at once none starves.
    fn lane(&self, speaker: &Speaker, id: &str) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        (speaker.directory.bytes(), id).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % LANES as u64).unwrap_or_default();
        &self.lanes[place]
    }
}

async fn create(
    cx: &Context,
    speaker: &Speaker,
    kind: ResourceKind,
    sent: &Map<String, Value>,
    batch: &mut Batch,
) -> Result<Option<ScimResource>> {
    match kind {
        ResourceKind::User => speaker.create_person(cx, sent.clone(), batch).await,
        ResourceKind::Group => speaker.create_group(cx, sent.clone(), batch).await,
    }
}

/// One resource, unless the client has it already.
async fn one(
    cx: &Context,
    speaker: &Speaker,
    kind: ResourceKind,
    id: &str,
    query: &Params,
    headers: &HeaderMap,
) -> Result<Response> {
    let wish = Wish::of_query(query)?;
    let row = speaker.resource(cx, kind, id).await?;
    let besides =
        Besides { groups: wish.projection.wants(kind, "groups"), members: wish.projection.wants(kind, "members") };
    let mut shown = speaker.show(cx, &row, besides, &mut GroupNames::new()).await?;
    if is_known(headers, &shown.version) {
        let mut response = nothing(StatusCode::NOT_MODIFIED);
        response.headers_mut().insert(header::ETAG, shown.version.parse().map_err(Error::bug)?);
        return Ok(response);
    }
    shown.resource = wish.projection.apply(kind, shown.resource);
    answer::resource(StatusCode::OK, shown)
}

/// What this server can: for everybody.
fn describe(cx: &Context, at: Option<&str>, endpoint: &str, id: &[&str], request: &Request) -> Result<Response> {
    if request.method() != Method::GET {
        return Err(Error::new(&codes::METHOD_NOT_ALLOWED));
    }
    let query = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    if query.iter().any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        // RFC 7644 §4.
        return Err(Error::says(&codes::ACCESS_DENIED, "There is nothing to filter here."));
    }
    let base = speaker::base(cx, at);
    let found = match id {
        [] => discovery(&base, BOUNDS, endpoint, None),
        [id] => discovery(&base, BOUNDS, endpoint, Some(id)),
        _ => None,
    };
    let found = found.ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
    Ok(document(StatusCode::OK, &found))
}

/// The JSON of a request. Errors: `unsupported_media_type`, `too_large`, `invalid_input`.
async fn body(speaker: &Speaker, request: Request) -> Result<Value> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if kind != "application/json" && kind != answer::MEDIA_TYPE {
        return Err(Error::new(&codes::UNSUPPORTED_MEDIA_TYPE)
            .help("Send `application/scim+json` or `application/json`, not compressed."));
    }
    match speaker.rules.most_bytes {
        Some(most) => parse_json(&limits::read_request_within(request, most).await?),
        None => parse_json(&limits::read_request(request).await?),
    }
}
