//! Sign-ins: where to send somebody, and what came back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::body::Body;
use super::http::Call;
use crate::connection::protocol::Credentials;
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};
use crate::http::extract::Params;
use crate::id::{ConnectionId, OrganizationId};
use crate::signin::{self, Handed, RelayWish};

/// `GET /sso/login`.
pub(super) async fn url(call: &Call, params: &Params) -> Result<Value> {
    let missing = |name: &str| Error::says(&codes::INVALID_INPUT, format!("`{name}` is missing."));
    let text = |name: &str| params.one(name).map(|value| value.map(str::to_owned));
    let org = params.one("org")?.ok_or_else(|| missing("org"))?;
    // What is no organization's id is that of none.
    let organization: OrganizationId = org.parse().map_err(|_| Error::new(&codes::NO_CONNECTION))?;
    let wish =
        RelayWish { organization, domain: text("domain")?, email: text("email")?, callback: text("redirect_uri")? };
    let relay = signin::relay(&call.signin, &call.cx, &wish).await?;
    Ok(json!({"authorizeUrl": relay.url, "connectionId": relay.connection, "protocol": relay.protocol}))
}

/// `POST /sso/callback/oidc`.
pub(super) async fn oidc(call: &Call, mut body: Body) -> Result<Value> {
    body.need(&["code", "state"])?;
    let parameters = [("code", body.text("code")?), ("state", body.text("state")?)];
    let iss = body.maybe_text("iss")?;
    let back = body.maybe_text("redirect_uri")?;
    body.end()?;
    let parameters = parameters.into_iter().chain(iss.map(|iss| ("iss", iss)));
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value)).collect();
    Ok(signin::handed_code(&call.signin, &call.cx, parameters, back.as_deref()).await?.view())
}

/// `POST /sso/callback/saml`.
pub(super) async fn saml(call: &Call, mut body: Body) -> Result<Value> {
    body.need(&["SAMLResponse", "RelayState"])?;
    let (response, state) = (body.text("SAMLResponse")?, body.text("RelayState")?);
    body.end()?;
    // What is no message at all is the app's mistake; what is in one is the provider's word.
    let plain: String = response.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let xml = STANDARD.decode(&plain).ok().filter(|bytes| bytes.trim_ascii_start().starts_with(b"<"));
    if xml.is_none() {
        return Err(Error::says(&codes::INVALID_INPUT, "`SAMLResponse` is not a SAML message in base64."));
    }
    Ok(signin::handed_saml(&call.signin, &call.cx, response, &state).await?.view())
}

/// `POST /sso/callback/ldap`.
pub(super) async fn ldap(call: &Call, mut body: Body) -> Result<Value> {
    body.need(&["username", "password", "connectionId", "org"])?;
    let (username, password) = (body.text("username")?, Secret::new(body.text("password")?));
    let (connection, org) = (body.text("connectionId")?, body.text("org")?);
    body.end()?;
    let unknown = || Error::new(&codes::NOT_FOUND);
    let connection: ConnectionId = connection.parse().map_err(|_| unknown())?;
    let org: OrganizationId = org.parse().map_err(|_| unknown())?;
    if call.organization() != Some(org) && call.cx.caller != crate::access::Caller::Anonymous {
        return Err(unknown());
    }
    let given = Credentials { username, password };
    Ok(signin::handed_password(&call.signin, &call.cx, connection, given).await?.view())
}

/// `GET /sso/callback`, of older versions.
pub(super) async fn legacy(call: &Call, params: &Params) -> Result<Value> {
    let need = |name: &'static str| -> Result<(String, String)> {
        let value = params.one(name)?;
        let value = value.ok_or_else(|| Error::says(&codes::INVALID_INPUT, format!("`{name}` is missing.")))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    let parameters = [need("code")?, need("state")?];
    let handed: Handed = signin::handed_code(&call.signin, &call.cx, parameters.into(), None).await?;
    let view = handed.view();
    Ok(json!({"email": view["email"], "name": view["name"], "sub": view["sub"], "developerId": view["developerId"]}))
}
