//! `POST /api/query | mutation | action`: a path, one object of arguments, and the answer.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::Response;
use axum::routing::post;
use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::bearer::{self, Bearer};
use super::fault;
use super::functions::{self, Call, Function, Kind};
use super::value::{decode, encode};
use crate::access::{Caller, Context};
use crate::app::App;
use crate::error::{Error, Result, codes};
use crate::event::Origin;
use crate::http::extract::{parse_json, too_deep};
use crate::http::{RequestInfo, limits};
use crate::provider::{self, About};
use crate::signin::Signin;
use crate::token::IssuerKeys;

/// Metadata of an identity provider may stand in a body.
const BODY: usize = 1024 * 1024;

/// What a handler needs.
#[derive(Clone)]
pub(super) struct Door {
    pub app: App,
    pub signin: Signin,
    pub issuers: IssuerKeys,
}

/// The routes. Pages of the registered apps may call them.
pub fn http(app: &App, signin: &Signin) -> Router {
    let door = Arc::new(Door { app: app.clone(), signin: signin.clone(), issuers: IssuerKeys::default() });
    Router::new()
        .route("/api/query", post(query).options(provider::bare))
        .route("/api/query_at_ts", post(query).options(provider::bare))
        .route("/api/query_ts", post(now).options(provider::bare))
        .route("/api/mutation", post(mutation).options(provider::bare))
        .route("/api/action", post(action).options(provider::bare))
        .route_layer(from_fn_with_state(BODY, limits::body))
        .route_layer(from_fn_with_state(app.world.store.clone(), provider::registered_origins))
        .with_state(door)
}

async fn query(State(door): State<Arc<Door>>, info: RequestInfo, request: Request) -> Response {
    serve(&door, Kind::Query, info, request).await
}

async fn mutation(State(door): State<Arc<Door>>, info: RequestInfo, request: Request) -> Response {
    serve(&door, Kind::Mutation, info, request).await
}

async fn action(State(door): State<Arc<Door>>, info: RequestInfo, request: Request) -> Response {
    serve(&door, Kind::Action, info, request).await
}

/// The moment that consistent queries are asked at. Every query here is one.
async fn now(State(door): State<Arc<Door>>) -> Response {
    use base64::Engine as _;
    let millis = door.app.world.env.now().millis().to_le_bytes();
    fault::json(StatusCode::OK, &json!({"ts": base64::engine::general_purpose::STANDARD.encode(millis)}))
}

/// A call as it was sent.
struct Sent {
    path: String,
    arguments: Value,
}

async fn serve(door: &Door, kind: Kind, info: RequestInfo, request: Request) -> Response {
    let id = info.id;
    let headers = request.headers().clone();
    let sent = match read(request).await {
        Ok(sent) => sent,
        // The client made the call; it is the arguments that are too much.
        Err(error) if error.is(&codes::TOO_LARGE) => return fault::answer(&error, id),
        Err(error) => return fault::no_call(&error, id),
    };
    let Some(function) = functions::find(&sent.path) else {
        let shown: String = sent.path.chars().filter(|c| !c.is_control()).take(128).collect();
        return fault::no_function(&format!("Could not find public function for '{shown}'."), id);
    };
    if function.kind != kind {
        let says = format!(
            "Trying to execute {} as {}, but it is defined as {}.",
            sent.path,
            kind.title(),
            function.kind.title()
        );
        return fault::no_function(&says, id);
    }
    match call(door, function, sent.arguments, &headers, info).await {
        Ok(value) => {
            let body = json!({"status": "success", "value": encode(value), "logLines": []});
            fault::json(StatusCode::OK, &body)
        }
        Err(error) => fault::answer(&error, id),
    }
}

async fn call(
    door: &Door,
    function: &'static Function,
    arguments: Value,
    headers: &axum::http::HeaderMap,
    info: RequestInfo,
) -> Result<Value> {
    let origin = Origin::from(info);
    let nobody = || Bearer { caller: Caller::Anonymous, grant: None };
    let arguments = object(arguments);
    let about = arguments.as_ref().map_or(About::Nothing, Arguments::about);
    let bearer = match (bearer::of(door, headers, origin.clone(), about).await, function.public) {
        (Ok(bearer), _) => bearer,
        // Whoever may come without a bearer may come with an old one.
        (Err(error), true) if error.is(&codes::NOT_SIGNED_IN) => nobody(),
        (Err(error), _) => return Err(error),
    };
    let arguments = arguments?;
    let cx: Context = door.app.context(bearer.caller, origin);
    let call = Call { app: &door.app, signin: &door.signin, cx, held: bearer.grant };
    (function.does)(&call, arguments).await
}

/// The one object of arguments. Errors: `invalid_input`, naming where.
fn object(arguments: Value) -> Result<Arguments> {
    let one = match arguments {
        Value::Array(mut items) if items.len() <= 1 => items.pop().unwrap_or_else(|| Value::Object(Map::new())),
        Value::Array(_) => return Err(Error::says(&codes::INVALID_INPUT, "A function takes one object of arguments.")),
        other => other,
    };
    match decode(one, "").map_err(|says| Error::says(&codes::INVALID_INPUT, says))? {
        Value::Object(fields) => Ok(Arguments::new(fields)),
        Value::Null => Ok(Arguments::new(Map::new())),
        _ => Err(Error::says(&codes::INVALID_INPUT, "The arguments are not an object.")),
    }
}

/// Errors: `unsupported_media_type`, `too_large`, `invalid_input`.
async fn read(request: Request) -> Result<Sent> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // A form on a foreign page cannot send this media type.
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        return Err(Error::new(&codes::UNSUPPORTED_MEDIA_TYPE));
    }
    let bytes = limits::read_request(request).await?;
    if too_deep(&bytes) {
        return Err(Error::says(&codes::TOO_LARGE, "The arguments are nested too deeply."));
    }
    let body: Value = parse_json(&bytes)?;
    let Value::Object(mut fields) = body else {
        return Err(Error::says(&codes::INVALID_INPUT, "The body is not a JSON object."));
    };
    let Some(Value::String(path)) = fields.remove("path") else {
        return Err(Error::says(&codes::INVALID_INPUT, "`path` is missing: the name of the function."));
    };
    match fields.remove("format") {
        None => {}
        Some(Value::String(format)) if format == "convex_encoded_json" || format == "json" => {}
        Some(_) => return Err(Error::says(&codes::INVALID_INPUT, "`format` is `convex_encoded_json` or `json`.")),
    }
    Ok(Sent { path, arguments: fields.remove("args").unwrap_or_else(|| Value::Object(Map::new())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_one_object() {
        assert!(object(json!([{"a": 1}])).is_ok() && object(json!([])).is_ok() && object(json!({"a": 1})).is_ok());
        for wrong in [json!([1]), json!([{}, {}]), json!("x"), json!([[{}]])] {
            assert!(object(wrong).unwrap_err().is(&codes::INVALID_INPUT));
        }
    }
}
