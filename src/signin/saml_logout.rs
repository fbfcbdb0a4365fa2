//! A SAML identity provider says that somebody has signed out there: their sessions end here, and it is told so. Or it answers
//! our own order to end theirs.
//!
//! The message is signed, always. It comes through the person's browser, whose cookies say nothing: what ends is what the
//! provider names, of this connection alone.

use axum::http::StatusCode;
use axum::response::Response;

use super::http::Signin;
use super::saml_sign_out;
use super::upstream_logout::{commit_end, refuse};
use crate::access::Context;
use crate::connection::Connection;
use crate::connection::protocol::Checks;
use crate::connection::saml::{Incoming, LogoutMessage, Saml};
use crate::error::{Error, Result, codes};
use crate::http::extract::Params;
use crate::http::page::SignedOut;
use crate::http::reply;

/// What came to `/connections/{id}/saml/slo`.
pub(super) enum Came<'a> {
    /// By the redirect binding: the query, not decoded.
    Query(&'a str),
    /// By the POST binding.
    Form(&'a Params),
}

/// Ends what the message means, and answers it. Errors: those of the message, noted as one event; `not_found`.
pub(super) async fn hear(cx: &Context, id: &str, came: Came<'_>, signin: &Signin) -> Result<Response> {
    let connection = match id.parse() {
        Ok(id) => Connection::load(&cx.store, id).await?.value,
        Err(_) => return Err(Error::new(&codes::NOT_FOUND)),
    };
    let saml = Saml::of(&connection)?;
    let mut checks = Checks::new();
    match act(signin, cx, &connection, &saml, came, &mut checks).await {
        Ok(response) => Ok(response),
        Err(error) => {
            refuse(cx, &connection, &error, &checks).await?;
            Err(error)
        }
    }
}

async fn act(
    signin: &Signin,
    cx: &Context,
    connection: &Connection,
    saml: &Saml,
    came: Came<'_>,
    checks: &mut Checks,
) -> Result<Response> {
    let read;
    let (incoming, answer, relay_state, post) = match came {
        Came::Query(query) => {
            read = Params::parse(query.as_bytes());
            (Incoming::Query(query), read.one("SAMLResponse")?, read.one("RelayState")?, false)
        }
        Came::Form(params) => {
            let text = match (params.one("SAMLRequest")?, params.one("SAMLResponse")?) {
                (Some(text), None) | (None, Some(text)) => text,
                _ => return Err(Error::says(&codes::SAML_STRUCTURE, "There is no SAML message in the form.")),
            };
            (Incoming::Posted(text), params.one("SAMLResponse")?, params.one("RelayState")?, true)
        }
    };
    let asked = match answer {
        Some(value) => saml_sign_out::answered(cx, connection, incoming, value).await?,
        None => None,
    };
    let request = match saml.logout(cx, incoming, asked.as_ref().map(|(id, _)| id.as_str()), checks)? {
        LogoutMessage::Request(request) => request,
        LogoutMessage::Response(said) => {
            let (_, sent) = asked.ok_or_else(|| Error::new(&codes::SAML_IN_RESPONSE_TO))?;
            return saml_sign_out::conclude(signin, cx, connection, &sent, &said).await;
        }
    };
    let replayed = commit_end(cx, connection, &saml.words(&request)?).await;
    replayed.map_err(|error| match error.is(&codes::TOKEN_REPLAYED) {
        true => Error::new(&codes::SAML_REPLAY).because(error),
        false => error,
    })?;
    let answered = saml.logged_out(cx, &request, post, relay_state)?;
    match saml_sign_out::go(signin, cx, answered)? {
        Some(response) => Ok(response),
        None => {
            let page = SignedOut {
                sign_in_href: Some(signin.path("/signin")),
                request_id: cx.origin.request.to_string(),
                ..SignedOut::default()
            };
            Ok(reply::html(StatusCode::OK, page.render(), []))
        }
    }
}
