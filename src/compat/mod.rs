//! # compat — two doors for clients that exist already
//!
//! *Owns* two vocabularies: the `sso` and `scim` clients of the Grantex SDK, and the functions that the Convex client
//! calls. Both work unmodified.
//! *Gives* `http(…)` to the server, and each door's table of what it serves.
//! *Needs* `App::perform` for everything that is an operation, and `signin` for a sign-in that an app hands over.
//! *Never* has a rule of its own: it reads the client's words, asks an operation, and says the answer in the client's
//! words. Nothing here reads a record on a caller's behalf, so nothing passes by the check of grants.

use axum::Router;
use serde_json::{Map, Value};

use crate::app::App;
use crate::signin::Signin;

pub mod convex;
pub mod grantex;

/// The routes of both doors; `http::Door::guard` stands before them.
pub fn http(app: &App, signin: &Signin) -> Router {
    convex::http(app, signin).merge(grantex::http(app, signin))
}

/// A text of an answer; empty where there is none.
fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a page.
fn items(mut page: Value) -> Vec<Value> {
    match page.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => Vec::new(),
    }
}

/// A field of an answer, taken out of it; `null` where there is none.
fn take(value: &mut Value, name: &str) -> Value {
    value.as_object_mut().and_then(|fields| fields.remove(name)).unwrap_or_default()
}

/// An object without what is `null`.
fn present(fields: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let kept: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Value::Object(kept)
}
