//! The one OpenID Connect configuration of an organization, as older versions of the SDK have it: a connection that goes by
//! a slug of its own.

use serde_json::{Value, json};

use super::body::Body;
use super::connections;
use super::http::Call;
use crate::compat::text;
use crate::error::{Error, Result, codes};

/// The slug that the connection goes by.
const SLUG: &str = "sso-config";

fn shown(view: &Value) -> Value {
    json!({
        "issuerUrl": view.pointer("/oidc/discovery/issuer"),
        "clientId": view.pointer("/oidc/client/id"),
        "redirectUri": view.pointer("/callbackUrls/0"),
        "createdAt": view["createdAt"],
        "updatedAt": view["updatedAt"],
    })
}

async fn find(call: &Call) -> Result<Option<Value>> {
    Ok(connections::all(call).await?.into_iter().find(|view| text(view, "slug") == SLUG))
}

fn none() -> Error {
    Error::says(&codes::NOT_FOUND, "The organization has no SSO configuration.")
}

/// Makes it, or changes the one that is there.
pub(super) async fn create(call: &Call, mut body: Body) -> Result<Value> {
    body.need(&["issuerUrl", "clientId", "clientSecret", "redirectUri"])?;
    let (issuer, client) = (body.text("issuerUrl")?, body.text("clientId")?);
    let (secret, back) = (body.text("clientSecret")?, body.text("redirectUri")?);
    body.end()?;
    let Some(there) = find(call).await? else {
        // It has no word for who is added by signing in: the organization's policy says.
        let input = json!({
            "protocol": "oidc", "name": "SSO", "slug": SLUG, "issuer": issuer, "clientId": client,
            "clientSecret": secret, "callbackUrls": [back], "activate": true, "unreached": true,
        });
        return Ok(shown(&call.perform("connection.create", input).await?));
    };
    let id = &there["id"];
    let set = json!({"id": id, "issuer": issuer, "clientId": client, "clientSecret": secret, "unreached": true});
    call.perform("connection.set_oidc", set).await?;
    Ok(shown(&call.perform("connection.update", json!({"id": id, "callbackUrls": [back]})).await?))
}

pub(super) async fn get(call: &Call) -> Result<Value> {
    find(call).await?.map(|view| shown(&view)).ok_or_else(none)
}

/// The slug is given up first: a deleted connection keeps its own, and a new configuration needs this one.
pub(super) async fn delete(call: &Call) -> Result<()> {
    let there = find(call).await?.ok_or_else(none)?;
    call.perform("connection.update", json!({"id": there["id"], "slug": null})).await?;
    call.perform("connection.delete", json!({"id": there["id"]})).await.map(drop)
}
