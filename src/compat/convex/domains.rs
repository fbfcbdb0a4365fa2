//! Domains.

use serde_json::{Value, json};

use super::arguments::{Arguments, wrong};
use super::connections::CONNECTION;
use super::functions::Call;
use crate::compat::take;
use crate::error::Result;
use crate::id::ConnectionId;

async fn of(call: &Call<'_>, mut given: Arguments, operation: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    call.perform_on("connectionId", operation, json!({"connection": id})).await
}

pub(super) async fn list(call: &Call<'_>, given: Arguments) -> Result<Value> {
    let mut all = of(call, given, "domain.list").await?;
    Ok(take(&mut all, "domains"))
}

pub(super) async fn validate(call: &Call<'_>, given: Arguments) -> Result<Value> {
    of(call, given, "domain.validate").await
}

pub(super) async fn status(call: &Call<'_>, given: Arguments) -> Result<Value> {
    of(call, given, "domain.status").await
}

/// A list of domains, as the operation takes it.
pub(super) fn wanted(items: Vec<Value>) -> Result<Vec<Value>> {
    let each = items.into_iter().enumerate().map(|(at, item)| match item {
        Value::String(_) => Ok(item),
        Value::Object(fields) => {
            let mut fields = Arguments::within(&format!("domains[{at}]"), fields);
            let domain = fields.filled("domain")?;
            let primary = match fields.any("isPrimary") {
                None => false,
                Some(Value::Bool(primary)) => primary,
                Some(_) => return Err(wrong(&format!("domains[{at}].isPrimary"), "is true or false")),
            };
            fields.end()?;
            Ok(json!({"domain": domain, "isPrimary": primary}))
        }
        _ => Err(wrong(&format!("domains[{at}]"), "is an object with `domain`")),
    });
    each.collect()
}

pub(super) async fn set(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    let domains = wanted(given.list("domains")?)?;
    given.end()?;
    call.perform_on("connectionId", "domain.set", json!({"connection": id, "domains": domains})).await
}

async fn one(call: &Call<'_>, mut given: Arguments, operation: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    let domain = given.filled("domain")?;
    given.end()?;
    call.perform_on("connectionId", operation, json!({"connection": id, "domain": domain})).await
}

pub(super) async fn request(call: &Call<'_>, given: Arguments) -> Result<Value> {
    one(call, given, "domain.request").await
}

pub(super) async fn confirm(call: &Call<'_>, given: Arguments) -> Result<Value> {
    one(call, given, "domain.confirm").await
}
