//! How a connection speaks with its provider.

use serde_json::{Map, Value, json};

use super::arguments::Arguments;
use super::connections::CONNECTION;
use super::domains::wanted;
use super::functions::Call;
use crate::compat::{present, take, text};
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;
use crate::signin;

/// What of a configuration has parts itself.
const PARTS: &[&str] = &[
    "discovery",
    "client",
    "metadata",
    "request",
    "security",
    "serviceProvider",
    "servers",
    "bind",
    "users",
    "groups",
    "sync",
    "profile",
    "profile.mapping",
    "profile.extraFields",
];

/// A list in the place of an object would be read field by field. Errors: `invalid_input`, naming where.
pub(super) fn parts_are_objects(config: &Map<String, Value>) -> Result<()> {
    let at = |part: &str| match part.split_once('.') {
        None => config.get(part),
        Some((outer, inner)) => config.get(outer).and_then(|outer| outer.get(inner)),
    };
    let wrong = PARTS.iter().find(|part| at(part).is_some_and(|it| !it.is_object() && !it.is_null()));
    wrong.map_or(Ok(()), |part| Err(super::arguments::wrong(part, "is an object")))
}

/// The parts of a configuration, given side by side, or all of them in `config`.
fn configuration(mut given: Arguments) -> Result<Map<String, Value>> {
    let config = match given.maybe_object(&["config", "patch", "data"])? {
        Some(config) => {
            given.end()?;
            config.rest()
        }
        None => given.rest(),
    };
    parts_are_objects(&config)?;
    Ok(config)
}

fn named(mut view: Value, id: ConnectionId) -> Value {
    if let Some(fields) = view.as_object_mut() {
        fields.insert("connectionId".to_owned(), json!(id));
    }
    view
}

/// A SAML configuration with the names under which its parts are set.
pub(super) fn saml_words(mut config: Value) -> Value {
    let provider = &config["identityProvider"];
    let metadata = present([
        ("url", config["metadataUrl"].clone()),
        ("entityId", provider["entityId"].clone()),
        ("ssoUrl", provider["ssoUrl"].clone()),
    ]);
    if let Some(service) = config.get_mut("serviceProvider").and_then(Value::as_object_mut) {
        for (set, shown) in [("signingCert", "certificate"), ("encryptCert", "encryptionCertificate")] {
            if let Some(pem) = service.get(shown).cloned() {
                service.insert(set.to_owned(), pem);
            }
        }
    }
    if let Some(fields) = config.as_object_mut() {
        fields.insert("metadata".to_owned(), metadata);
    }
    config
}

async fn set(call: &Call<'_>, mut given: Arguments, operation: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    let mut fields = configuration(given)?;
    fields.insert("id".to_owned(), json!(id));
    Ok(named(call.perform_on("connectionId", operation, Value::Object(fields)).await?, id))
}

/// What is set, or `null` where nothing is.
async fn get(call: &Call<'_>, mut given: Arguments, protocol: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    let mut view = call.perform_on("connectionId", "connection.get", json!({"id": id})).await?;
    let config = match protocol {
        "saml" => saml_words(take(&mut view, protocol)),
        _ => take(&mut view, protocol),
    };
    Ok(if config.is_null() { config } else { named(config, id) })
}

async fn status(call: &Call<'_>, mut given: Arguments, protocol: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    let mut all = call.perform_on("connectionId", "connection.status", json!({"id": id})).await?;
    let mut protocols = take(&mut all, "protocols");
    Ok(named(take(&mut protocols, protocol), id))
}

async fn validate(call: &Call<'_>, mut given: Arguments, protocol: &str) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    let view = call.perform_on("connectionId", "connection.get", json!({"id": id})).await?;
    let speaks = text(&view, "protocol");
    if speaks != protocol {
        return Err(Error::says(
            &codes::INVALID_INPUT,
            format!("`connectionId` is a connection that speaks `{speaks}`."),
        ));
    }
    call.perform_on("connectionId", "connection.validate", json!({"id": id})).await
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

/// Provider and domains in one commit: what is refused of either leaves both as they were.
pub(super) async fn set_saml(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    let mut fields = configuration(given)?;
    match fields.remove("domains") {
        None | Some(Value::Null) => {}
        Some(Value::Array(items)) => drop(fields.insert("domains".to_owned(), json!(wanted(items)?))),
        Some(_) => return Err(super::arguments::wrong("domains", "is a list")),
    }
    fields.insert("id".to_owned(), json!(id));
    let set = call.perform_on("connectionId", "connection.set_saml", Value::Object(fields)).await?;
    Ok(named(saml_words(set), id))
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
    let read = call.perform_on("connectionId", "connection.refresh_saml", json!({"id": id})).await?;
    Ok(named(saml_words(read), id))
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
