//! How a connection speaks with its provider.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::connections::CONNECTION;
use super::domains::wanted;
use super::functions::Call;
use crate::compat::{take, text};
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;
use crate::signin;

/// The parts of a configuration, given side by side, or all of them in `config`.
fn configuration(given: Arguments) -> Result<Map<String, Value>> {
    let mut given = given;
    match given.maybe_object(&["config", "patch", "data"])? {
        Some(config) => {
            given.end()?;
            Ok(config.rest())
        }
        None => Ok(given.rest()),
    }
}

fn named(mut view: Value, id: ConnectionId) -> Value {
    if let Some(fields) = view.as_object_mut() {
        fields.insert("connectionId".to_owned(), json!(id));
    }
    view
}

async fn set(call: &Call<'_>, mut given: Arguments, operation: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    let mut fields = configuration(given)?;
    fields.insert("id".to_owned(), json!(id));
    Ok(named(call.perform(operation, Value::Object(fields)).await?, id))
}

/// What is set, or `null` where nothing is.
async fn get(call: &Call<'_>, mut given: Arguments, protocol: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    let mut view = call.perform("connection.get", json!({"id": id})).await?;
    let config = take(&mut view, protocol);
    Ok(if config.is_null() { config } else { named(config, id) })
}

async fn status(call: &Call<'_>, mut given: Arguments, protocol: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    let mut all = call.perform("connection.status", json!({"id": id})).await?;
    let mut protocols = take(&mut all, "protocols");
    Ok(named(take(&mut protocols, protocol), id))
}

async fn validate(call: &Call<'_>, mut given: Arguments, protocol: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    let view = call.perform("connection.get", json!({"id": id})).await?;
    let speaks = text(&view, "protocol");
    if speaks != protocol {
        return Err(Error::says(
            &codes::INVALID_INPUT,
            format!("`connectionId` is a connection that speaks `{speaks}`."),
        ));
    }
    call.perform("connection.validate", json!({"id": id})).await
}

pub(super) async fn set_oidc(call: &Call<'_>, given: Arguments) -> Result<Value> {
    set(call, given, "connection.set_oidc").await
}

pub(super) async fn get_oidc(call: &Call<'_>, given: Arguments) -> Result<Value> {
    get(call, given, "oidc").await
}

pub(super) async fn oidc_status(call: &Call<'_>, given: Arguments) -> Result<Value> {
    status(call, given, "oidc").await
}

pub(super) async fn validate_oidc(call: &Call<'_>, given: Arguments) -> Result<Value> {
    validate(call, given, "oidc").await
}

/// The domains are looked at before anything is set, and set after the provider: a provider that is refused leaves
/// everything as it was.
pub(super) async fn set_saml(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    let mut fields = configuration(given)?;
    let domains = match fields.remove("domains") {
        None | Some(Value::Null) => None,
        Some(Value::Array(items)) => Some(wanted(items)?),
        Some(_) => return Err(super::arguments::wrong("domains", "is a list")),
    };
    fields.insert("id".to_owned(), json!(id));
    let view = if fields.len() > 1 || domains.is_none() {
        call.perform("connection.set_saml", Value::Object(fields)).await?
    } else {
        call.perform("connection.get_saml", json!({"id": id})).await?
    };
    if let Some(domains) = domains {
        call.perform("domain.set", json!({"connection": id, "domains": domains})).await?;
    }
    Ok(named(view, id))
}

pub(super) async fn get_saml(call: &Call<'_>, given: Arguments) -> Result<Value> {
    get(call, given, "saml").await
}

pub(super) async fn saml_status(call: &Call<'_>, given: Arguments) -> Result<Value> {
    status(call, given, "saml").await
}

pub(super) async fn validate_saml(call: &Call<'_>, given: Arguments) -> Result<Value> {
    validate(call, given, "saml").await
}

pub(super) async fn refresh_saml(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    Ok(named(call.perform("connection.refresh_saml", json!({"id": id})).await?, id))
}

/// Public, as the metadata at its own address is.
pub(super) async fn metadata(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    signin::saml_metadata(&call.cx, id, false).await.map(Value::String)
}

pub(super) async fn set_ldap(call: &Call<'_>, given: Arguments) -> Result<Value> {
    set(call, given, "connection.set_ldap").await
}

pub(super) async fn get_ldap(call: &Call<'_>, given: Arguments) -> Result<Value> {
    get(call, given, "ldap").await
}

pub(super) async fn ldap_status(call: &Call<'_>, given: Arguments) -> Result<Value> {
    status(call, given, "ldap").await
}

pub(super) async fn validate_ldap(call: &Call<'_>, given: Arguments) -> Result<Value> {
    validate(call, given, "ldap").await
}
