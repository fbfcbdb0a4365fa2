//! Provisioning by a directory.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::connections::CONNECTION;
use super::functions::Call;
use super::protocols::parts_are_objects;
use crate::error::Result;
use crate::id::ConnectionId;

const STATUSES: &[&str] = &["draft", "active", "disabled"];

pub(super) async fn set(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    let status = given.maybe_choice("status", STATUSES)?;
    let mut fields = Map::new();
    fields.insert("connection".to_owned(), json!(id));
    if let Some(status) = status {
        fields.insert("status".to_owned(), status.into());
    }
    for name in ["security", "profile"] {
        if let Some(value) = given.any(name) {
            fields.insert(name.to_owned(), value);
        }
    }
    parts_are_objects(&fields)?;
    if let Some(mode) = given.any("deprovisionMode") {
        fields.insert("deprovisionMode".to_owned(), mode);
    }
    // The answer of this function has a token in any case; those from before stay good.
    fields.insert("newToken".to_owned(), given.any("newToken").unwrap_or(Value::Bool(true)));
    given.end()?;
    call.perform_on("connectionId", "scim.set", Value::Object(fields)).await
}

async fn of(call: &Call<'_>, mut given: Arguments, operation: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    call.perform_on("connectionId", operation, json!({"connection": id})).await
}

pub(super) async fn get(call: &Call<'_>, given: Arguments) -> Result<Value> {
    of(call, given, "scim.get").await
}

pub(super) async fn status(call: &Call<'_>, given: Arguments) -> Result<Value> {
    of(call, given, "scim.status").await
}

pub(super) async fn validate(call: &Call<'_>, given: Arguments) -> Result<Value> {
    of(call, given, "scim.validate").await
}
