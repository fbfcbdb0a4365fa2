//! Connections: create, list, get, update, delete, and enforcement.

use serde_json::{Map, Value, json};

use super::body::Body;
use super::http::Call;
use super::view::{self, PROTOCOLS, STATUSES, Speech};
use crate::access::Grant;
use crate::compat::{items, take, text};
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// What a connection has whatever it speaks, in authd's words: who is added, scopes, addresses of apps.
fn common(body: &mut Body, fields: &mut Map<String, Value>) -> Result<()> {
    if let Some(name) = body.maybe_text("name")? {
        fields.insert("name".to_owned(), name.into());
    }
    if let Some(flag) = body.maybe_flag("jitProvisioning")? {
        fields.insert("jit".to_owned(), flag.into());
    }
    if let Some(flag) = body.maybe_flag("enforce")? {
        fields.insert("enforce".to_owned(), flag.into());
    }
    if let Some(role) = body.maybe_text("defaultRole")? {
        fields.insert("defaultRole".to_owned(), role.into());
    }
    if let Some(mapping) = body.maybe_object("groupMappings")? {
        fields.insert("scopeMapping".to_owned(), Value::Object(mapping));
    }
    if let Some(scopes) = body.maybe_texts("defaultScopes")? {
        fields.insert("defaultScopes".to_owned(), json!(scopes));
    }
    let mut urls = body.maybe_texts("callbackUrls")?;
    if let Some(one) = body.maybe_text("redirectUri")? {
        urls.get_or_insert_default().push(one);
    }
    if let Some(urls) = urls {
        fields.insert("callbackUrls".to_owned(), json!(urls));
    }
    Ok(())
}

/// Whether the key's word is enough for a domain.
fn vouches(call: &Call) -> bool {
    call.organization().is_some_and(|own| call.cx.caller.holds(Grant::ConnectionDomainTrust, own))
}

pub(super) async fn create(call: &Call, mut body: Body) -> Result<Value> {
    body.need(&["name", "protocol"])?;
    let protocol = body.maybe_choice("protocol", PROTOCOLS)?.unwrap_or_default();
    view::complete(&body, protocol)?;
    let status = body.maybe_choice("status", STATUSES)?.unwrap_or("active");
    let speech = Speech::take(&mut body, protocol, true)?;
    let domains = body.maybe_texts("domains")?.unwrap_or_default();
    let mut fields = speech.flat.clone();
    common(&mut body, &mut fields)?;
    body.end()?;
    fields.insert("protocol".to_owned(), protocol.into());
    fields.entry("jit").or_insert(Value::Bool(false));
    fields.insert("activate".to_owned(), (status == "active").into());
    fields.insert("disabled".to_owned(), (status == "inactive").into());
    // It is on from the start; a provider that does not answer now is found out by a test, or by whoever signs in.
    fields.insert("unreached".to_owned(), true.into());
    let nested = speech.nested();
    if !nested.is_empty() {
        fields.insert(protocol.to_owned(), Value::Object(nested));
    }
    if !domains.is_empty() {
        fields.insert("vouch".to_owned(), vouches(call).into());
        fields.insert("domains".to_owned(), json!(domains));
    }
    let made = call.perform("connection.create", Value::Object(fields)).await?;
    Ok(view::connection(&made))
}

pub(super) async fn list(call: &Call) -> Result<Value> {
    let shown: Vec<Value> = all(call).await?.iter().map(view::connection).collect();
    Ok(json!({"connections": shown}))
}

/// Every connection of the key's organization.
pub(super) async fn all(call: &Call) -> Result<Vec<Value>> {
    let (mut found, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut input = Map::new();
        input.insert("limit".to_owned(), 1_000.into());
        if !cursor.is_null() {
            input.insert("cursor".to_owned(), cursor);
        }
        let mut page = call.perform("connection.list", Value::Object(input)).await?;
        cursor = take(&mut page, "next");
        found.extend(items(page));
        if cursor.is_null() {
            return Ok(found);
        }
    }
}

pub(super) async fn get(call: &Call, id: ConnectionId) -> Result<Value> {
    Ok(view::connection(&call.perform("connection.get", json!({"id": id})).await?))
}

fn nothing() -> Error {
    Error::says(&codes::INVALID_INPUT, "There is nothing to change.")
}

/// What is said is done step by step, in the order in which it can be refused: the provider, the connection, its domains,
/// and whether it is on.
pub(super) async fn update(call: &Call, id: ConnectionId, mut body: Body) -> Result<Value> {
    if body.0.is_empty() {
        return Err(nothing());
    }
    let now = call.perform("connection.get", json!({"id": id})).await?;
    let protocol = text(&now, "protocol").to_owned();
    if body.maybe_text("protocol")?.is_some_and(|said| said != protocol) {
        return Err(Error::says(&codes::INVALID_INPUT, "`protocol` of a connection never changes."));
    }
    let status = body.maybe_choice("status", STATUSES)?;
    let speech = Speech::take(&mut body, &protocol, false)?;
    let domains = body.maybe_texts("domains")?;
    let mut fields = Map::new();
    common(&mut body, &mut fields)?;
    body.end()?;
    if speech.is_empty() && fields.is_empty() && domains.is_none() && status.is_none() {
        return Err(nothing());
    }
    if !speech.is_empty() {
        let mut set = speech.flat.clone();
        set.extend(speech.nested());
        set.insert("id".to_owned(), json!(id));
        if protocol != "saml" {
            set.insert("unreached".to_owned(), true.into());
        }
        call.perform(&format!("connection.set_{protocol}"), Value::Object(set)).await?;
    }
    if !fields.is_empty() {
        fields.insert("id".to_owned(), json!(id));
        call.perform("connection.update", Value::Object(fields)).await?;
    }
    if let Some(domains) = domains {
        let set = call.perform("domain.set", json!({"connection": id, "domains": domains})).await?;
        if vouches(call) {
            for domain in set["domains"].as_array().into_iter().flatten().filter(|one| one["verified"] != true) {
                let vouch = json!({"connection": id, "domain": domain["domain"], "force": true});
                call.perform("domain.verify", vouch).await?;
            }
        }
    }
    match status {
        Some("active") => drop(call.perform("connection.activate", json!({"id": id, "unreached": true})).await?),
        Some("inactive") => drop(call.perform("connection.disable", json!({"id": id})).await?),
        Some(_) => drop(call.perform("connection.disable", json!({"id": id, "draft": true})).await?),
        None => {}
    }
    get(call, id).await
}

pub(super) async fn delete(call: &Call, id: ConnectionId) -> Result<()> {
    call.perform("connection.delete", json!({"id": id})).await.map(drop)
}

pub(super) async fn enforce(call: &Call, mut body: Body) -> Result<Value> {
    let enforce = body
        .maybe_flag("enforce")?
        .ok_or_else(|| Error::says(&codes::INVALID_INPUT, "`enforce` is missing; it is true or false."))?;
    let exempt = body.maybe_texts("exemptRoles")?;
    body.end()?;
    let mut fields = Map::new();
    fields.insert("enforce".to_owned(), enforce.into());
    // The SDK knows one switch for all connections.
    fields.insert("overrideConnections".to_owned(), true.into());
    if let Some(roles) = &exempt {
        fields.insert("exemptRoles".to_owned(), json!(roles));
    }
    let held = call.perform("enforcement.set", Value::Object(fields)).await?;
    let mut roles = held["exemptRoles"].as_array().cloned().unwrap_or_default();
    // In the order in which they were said, where they were.
    roles.sort_by_key(|role| exempt.iter().flatten().position(|said| role == said));
    Ok(json!({"enforce": held["enforce"], "exemptRoles": roles, "developerId": held["organization"]}))
}
