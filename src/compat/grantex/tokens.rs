//! Tokens of directories.

use serde_json::{Map, Value, json};

use super::body::Body;
use super::http::Call;
use crate::compat::{items, take};
use crate::error::Result;
use crate::id::ScimTokenId;

fn shown(token: &Value) -> Value {
    json!({
        "id": token["id"],
        "label": token["label"],
        "createdAt": token["createdAt"],
        "lastUsedAt": token["lastUsedAt"],
    })
}

pub(super) async fn create(call: &Call, mut body: Body) -> Result<Value> {
    let label = body.text("label")?;
    body.end()?;
    let made = call.perform("scim.token.create", json!({"label": label})).await?;
    let mut token = shown(&made);
    token["token"] = made["token"].clone();
    Ok(token)
}

pub(super) async fn list(call: &Call) -> Result<Value> {
    let (mut tokens, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut input = Map::new();
        input.insert("limit".to_owned(), 1_000.into());
        if !cursor.is_null() {
            input.insert("cursor".to_owned(), cursor);
        }
        let mut page = call.perform("scim.token.list", Value::Object(input)).await?;
        cursor = take(&mut page, "next");
        tokens.extend(items(page).iter().filter(|token| token["revokedAt"].is_null()).map(shown));
        if cursor.is_null() {
            return Ok(json!({"tokens": tokens}));
        }
    }
}

pub(super) async fn revoke(call: &Call, id: ScimTokenId) -> Result<()> {
    call.perform("scim.token.revoke", json!({"id": id})).await.map(drop)
}
