//! The operations at `/v1`: one route each, one input from path, query and body.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use serde_json::{Map, Value};

use crate::access::{Caller, Form, Method};
use crate::app::App;
use crate::error::{Error, Result, codes};
use crate::event::Origin;
use crate::http::extract::{Params, parse_json};
use crate::http::{Peer, RequestInfo, limits, reply};

/// What a route knows of its operation.
struct Entry {
    app: App,
    name: &'static str,
    method: Method,
    form: Form,
    /// The status of an answer with a body.
    done: StatusCode,
    /// Unknown fields of the body are refused here, because the operation's own reader does not.
    lenient: bool,
}

/// Every operation at its route.
pub fn router(app: &App) -> Router {
    let mut router = Router::new();
    for operation in app.catalogue.iter() {
        let route = operation.route();
        let filter = match route.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Patch => MethodFilter::PATCH,
            Method::Delete => MethodFilter::DELETE,
        };
        let entry = Entry {
            app: app.clone(),
            name: operation.name(),
            method: route.method,
            form: Form::of(operation),
            done: if operation.creates() { StatusCode::CREATED } else { StatusCode::OK },
            lenient: operation.input().get("additionalProperties") != Some(&Value::Bool(false)),
        };
        let longest =
            operation.input().get("x-max-body").and_then(Value::as_u64).and_then(|max| usize::try_from(max).ok());
        let mut handler: MethodRouter = on(filter, serve).with_state(Arc::new(entry));
        if let Some(longest) = longest {
            handler = handler.layer(from_fn_with_state(longest, limits::body));
        }
        router = router.route(route.path, handler);
    }
    router.method_not_allowed_fallback(wrong_method)
}

/// The answer to a method that a route does not take.
pub(super) async fn wrong_method(info: RequestInfo) -> Response {
    reply::problem(&Error::new(&codes::METHOD_NOT_ALLOWED), info.id)
}

async fn serve(State(entry): State<Arc<Entry>>, path: Path<Vec<(String, String)>>, request: Request) -> Response {
    let id = RequestInfo::id_of(request.extensions());
    match answer(&entry, path.0, request).await {
        Ok(response) => response,
        Err(error) => reply::problem(&error, id),
    }
}

async fn answer(entry: &Entry, path: Vec<(String, String)>, request: Request) -> Result<Response> {
    let info = request.extensions().get::<RequestInfo>().cloned().ok_or_else(|| Error::bug("no request info"))?;
    let origin = Origin { request: info.id, ip: info.ip, user_agent: info.user_agent };
    // Who asks comes first: what a stranger sends is not even read.
    let caller =
        caller(&entry.app, request.extensions().get::<Peer>().copied(), request.headers(), origin.clone()).await?;
    let input = input(entry, path, request).await?;
    let cx = entry.app.context(caller, origin);
    let output = entry.app.perform(&cx, entry.name, Value::Object(input)).await?;
    Ok(match output {
        Value::Null => StatusCode::NO_CONTENT.into_response(),
        output => reply::json(entry.done, &output)?,
    })
}

/// Who asks: by a bearer, wherever it comes from; else, on the control socket, the operator.
/// Errors: `not_signed_in`.
pub async fn caller(app: &App, peer: Option<Peer>, headers: &HeaderMap, origin: Origin) -> Result<Caller> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    match (given.next(), given.next(), peer) {
        (Some(value), None, _) => {
            let (scheme, bearer) = value.to_str().unwrap_or_default().split_once(' ').unwrap_or_default();
            if !scheme.eq_ignore_ascii_case("bearer") || bearer.is_empty() {
                return Err(Error::new(&codes::NOT_SIGNED_IN));
            }
            app.authenticate(bearer.trim(), origin).await
        }
        (None, _, Some(Peer::Control { uid })) => Ok(Caller::Operator { uid }),
        _ => Err(Error::new(&codes::NOT_SIGNED_IN)),
    }
}

/// One object from path, query and body. Errors: `unknown_field`, `invalid_input`, `unsupported_media_type`, `too_large`.
async fn input(entry: &Entry, path: Vec<(String, String)>, request: Request) -> Result<Map<String, Value>> {
    let form = &entry.form;
    let query = Params::parse(request.uri().query().unwrap_or_default().as_bytes());
    let query = query.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut input = match entry.method {
        Method::Get | Method::Delete => form.read(query)?,
        Method::Post | Method::Patch => {
            if let Some((name, _)) = query.into_iter().next() {
                return Err(Error::says(&codes::UNKNOWN_FIELD, "This address takes no query.")
                    .help(format!("Send `{}` in the JSON body.", name.chars().take(64).collect::<String>())));
            }
            body(entry, request).await?
        }
    };
    for (name, text) in path {
        let field = form.field(&name).ok_or_else(|| Error::bug(format!("a route with an unknown `{name}`")))?;
        let value = field.read(&[text])?;
        match input.get(&name) {
            Some(other) if *other != value => {
                return Err(Error::says(&codes::INVALID_INPUT, format!("`{name}` differs between address and body.")));
            }
            _ => input.insert(name, value),
        };
    }
    Ok(input)
}

async fn body(entry: &Entry, request: Request) -> Result<Map<String, Value>> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or("?").to_owned());
    let bytes = limits::read_request(request).await?;
    // Nothing is an empty object: `POST …/disable` needs no body. With a body, only this media type: a form on a foreign
    // page cannot send it.
    let json = |kind: &str| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json");
    match kind {
        None if bytes.is_empty() => return Ok(Map::new()),
        Some(kind) if json(&kind) => {}
        _ => return Err(Error::new(&codes::UNSUPPORTED_MEDIA_TYPE)),
    }
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    let Value::Object(object) = parse_json::<Value>(&bytes)? else {
        return Err(Error::says(&codes::INVALID_INPUT, "The body is not a JSON object."));
    };
    if entry.lenient
        && let Some(name) = object.keys().find(|name| entry.form.field(name).is_none())
    {
        return Err(entry.form.unknown(name));
    }
    Ok(object)
}
