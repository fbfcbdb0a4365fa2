//! Sessions: who is signed in through which connection.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::http::Call;
use crate::access::Grant;
use crate::compat::{items, take, text};
use crate::connection::{ProtocolKind, scopes_of};
use crate::error::Result;
use crate::id::SessionId;
use crate::signin::plain_subject;

/// At most so many are listed.
const MOST: usize = 5_000;

pub(super) async fn list(call: &Call) -> Result<Value> {
    let (mut rows, mut cursor) = (Vec::new(), Value::Null);
    let mut known = Known::default();
    loop {
        let mut input = Map::new();
        input.insert("limit".to_owned(), 1_000.into());
        if !cursor.is_null() {
            input.insert("cursor".to_owned(), cursor);
        }
        let mut page = call.perform("session.list", Value::Object(input)).await?;
        cursor = take(&mut page, "next");
        for session in items(page) {
            // Only who came through a connection came by single sign-on.
            if session["connection"].is_string() {
                rows.push(row(call, &mut known, &session).await?);
            }
        }
        if cursor.is_null() || rows.len() >= MOST {
            return Ok(json!({"sessions": rows}));
        }
    }
}

/// What was asked for already.
#[derive(Default)]
struct Known {
    connections: BTreeMap<String, Value>,
    people: BTreeMap<String, Value>,
}

/// Asks once, and only what the key may ask: what it may not see stays empty.
async fn ask(
    call: &Call,
    known: &mut BTreeMap<String, Value>,
    grant: Grant,
    operation: &str,
    id: &str,
) -> Result<Value> {
    if let Some(found) = known.get(id) {
        return Ok(found.clone());
    }
    let own = call.organization();
    let found = match own.is_some_and(|own| call.cx.caller.holds(grant, own)) {
        true => call.perform(operation, json!({"id": id})).await.unwrap_or_default(),
        false => Value::Null,
    };
    known.insert(id.to_owned(), found.clone());
    Ok(found)
}

async fn row(call: &Call, known: &mut Known, session: &Value) -> Result<Value> {
    let (id, connection) = (text(session, "id"), text(session, "connection"));
    let through = ask(call, &mut known.connections, Grant::ConnectionRead, "connection.get", connection).await?;
    let person = ask(call, &mut known.people, Grant::UserRead, "user.get", text(session, "user")).await?;
    let detail = call.perform("session.get", json!({"id": id})).await?;
    let groups: Vec<String> = serde_json::from_value(person["groups"].clone()).unwrap_or_default();
    let mapping = serde_json::from_value(through["scopeMapping"].clone()).unwrap_or_default();
    let defaults: Vec<String> = serde_json::from_value(through["defaultScopes"].clone()).unwrap_or_default();
    let scopes = scopes_of(&mapping, &defaults, |group| groups.iter().any(|own| own == group));
    Ok(json!({
        "id": id,
        "connectionId": connection,
        "connectionName": through["name"],
        "principalId": session["user"],
        "email": session["email"],
        "name": person["name"],
        "idpSubject": subject(call, &through, session, &detail).await?,
        "groups": groups,
        "mappedScopes": scopes,
        "createdAt": session["createdAt"],
        "expiresAt": session["expiresAt"],
    }))
}

/// Who it is at the provider: in the words that the session keeps, or by the identity that the connection made.
async fn subject(call: &Call, through: &Value, session: &Value, detail: &Value) -> Result<String> {
    let protocol = match text(through, "protocol") {
        "saml" => ProtocolKind::Saml,
        "ldap" => ProtocolKind::Ldap,
        _ => ProtocolKind::Oidc,
    };
    let said = text(detail, "upstreamSubject");
    if !said.is_empty() {
        return Ok(plain_subject(protocol, said).to_owned());
    }
    let sees = call.organization().is_some_and(|own| call.cx.caller.holds(Grant::UserRead, own));
    if !sees {
        return Ok(String::new());
    }
    let page = call.perform("identity.list", json!({"user": session["user"]})).await.unwrap_or_default();
    let own = items(page).into_iter().find(|identity| identity["connection"] == session["connection"]);
    Ok(own.map(|identity| text(&identity, "subject").to_owned()).unwrap_or_default())
}

pub(super) async fn revoke(call: &Call, id: SessionId) -> Result<()> {
    call.perform("session.revoke", json!({"id": id})).await.map(drop)
}
