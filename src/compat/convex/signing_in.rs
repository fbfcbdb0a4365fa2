//! Where a sign-in begins, and how one ends.

use serde_json::{Value, json};

use super::arguments::{Arguments, wrong};
use super::functions::Call;
use crate::compat::present;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;
use crate::signin::{self, Discovered, Seeking};

const NO_MATCH: &str = "No group connection matched the provided input.";

/// What the arguments mean, and where the sign-in shall end.
async fn find(call: &Call<'_>, mut given: Arguments) -> Result<(Discovered, Option<String>, Option<String>)> {
    // What is no id of a connection matches none.
    let connection = given.maybe_text("connectionId")?;
    let connection = connection.map(|id| id.parse::<ConnectionId>().map_err(|_| Error::new(&codes::NO_CONNECTION)));
    let connection = connection.transpose()?;
    let email = given.maybe_text("email")?;
    let domain = given.maybe_text("domain")?;
    let to = given.maybe_text("redirectTo")?;
    let hint = given.maybe_text("loginHint")?.or_else(|| email.clone());
    given.end()?;
    let seeking = Seeking { connection, email, domain, redirect_to: to.clone() };
    let found = signin::discover(call.signin, &call.cx, &seeking).await?;
    Ok((found.ok_or_else(|| Error::new(&codes::NO_CONNECTION))?, to, hint))
}

fn told(found: Discovered, to: Option<String>, hint: Option<String>) -> Value {
    let begin = found.begin_path(to.as_deref(), hint.as_deref());
    present([
        ("connectionId", json!(found.connection)),
        ("providerId", json!(found.connection)),
        ("protocol", found.protocol.name().into()),
        ("signInPath", begin.into()),
        ("callbackPath", found.callback_path().into()),
        ("redirectTo", json!(to)),
    ])
}

/// What is no match, whichever way.
fn unmatched(error: &Error) -> bool {
    [&codes::NO_CONNECTION, &codes::NOT_FOUND, &codes::CONNECTION_DISABLED, &codes::CONNECTION_NOT_READY]
        .iter()
        .chain(&[&codes::ORGANIZATION_DISABLED, &codes::PROFILE_INVALID, &codes::DOMAIN_INVALID])
        .any(|code| error.is(code))
}

fn no_match(error: Error) -> Error {
    if unmatched(&error) { Error::says(&codes::INVALID_INPUT, NO_MATCH).because(error) } else { error }
}

pub(super) async fn sign_in(call: &Call<'_>, given: Arguments) -> Result<Value> {
    let (found, to, hint) = find(call, given).await.map_err(no_match)?;
    Ok(told(found, to, hint))
}

pub(super) async fn look_up(call: &Call<'_>, given: Arguments) -> Result<Value> {
    match find(call, given).await {
        Ok((found, to, hint)) => Ok(told(found, to, hint)),
        Err(error) if unmatched(&error) => Ok(Value::Null),
        Err(error) => Err(error),
    }
}

/// `auth:signIn`: the address that the browser goes to. Of the providers there are, it serves connections.
pub(super) async fn begin(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let provider = given.maybe_text("provider")?;
    let params = given.maybe_object(&["params"])?;
    given.end()?;
    // The provider may be the connection itself, by the id that `auth/group:signIn` answers.
    let mut fields = params.map(Arguments::rest).unwrap_or_default();
    if let Some(id) = provider {
        if id.parse::<ConnectionId>().is_err() {
            return Err(wrong("provider", "is the `providerId` that `auth/group:signIn` answers"));
        }
        fields.entry("connectionId").or_insert(Value::String(id));
    }
    let (found, to, hint) = find(call, Arguments::within("params", fields)).await.map_err(no_match)?;
    let path = found.begin_path(to.as_deref(), hint.as_deref());
    Ok(json!({"redirect": call.cx.deployment.public_url.at(&path)}))
}

/// `auth:signOut`: what the bearer speaks for ends. Whoever is not signed in is signed out already.
pub(super) async fn sign_out(call: &Call<'_>, given: Arguments) -> Result<Value> {
    given.end()?;
    if let Some(held) = &call.held {
        signin::sign_out(&call.cx, held).await?;
    }
    Ok(Value::Null)
}
