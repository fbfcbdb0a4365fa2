//! A SAML identity provider says that somebody has signed out there: their sessions end here, and it is told so.
//!
//! The message is signed, always. It comes through the person's browser, whose cookies say nothing: what ends is what the
//! provider names, of this connection alone.

use axum::http::StatusCode;
use axum::response::Response;

use super::http::Signin;
use super::upstream_logout::{commit_end, refuse};
use crate::access::Context;
use crate::connection::Connection;
use crate::connection::protocol::Checks;
use crate::connection::saml::{Answered, Form, Incoming, Saml};
use crate::error::{Error, Result, codes};
use crate::http::extract::Params;
use crate::http::page::{FormPost, SignedOut};
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
    match act(cx, &connection, &saml, came, &mut checks).await {
        Ok(answered) => tell(cx, answered, signin),
        Err(error) => {
            refuse(cx, &connection, &error, &checks).await?;
            Err(error)
        }
    }
}

async fn act(
    cx: &Context,
    connection: &Connection,
    saml: &Saml,
    came: Came<'_>,
    checks: &mut Checks,
) -> Result<Answered> {
    let read;
    let (incoming, relay_state, post) = match came {
        Came::Query(query) => {
            read = Params::parse(query.as_bytes());
            (Incoming::Query(query), read.one("RelayState")?, false)
        }
        Came::Form(params) => {
            let text = match (params.one("SAMLRequest")?, params.one("SAMLResponse")?) {
                (Some(text), None) | (None, Some(text)) => text,
                _ => return Err(Error::says(&codes::SAML_STRUCTURE, "There is no SAML message in the form.")),
            };
            (Incoming::Posted(text), params.one("RelayState")?, true)
        }
    };
    let request = saml.logout(cx, incoming, checks)?;
    let replayed = commit_end(cx, connection, &saml.words(&request)?).await;
    replayed.map_err(|error| match error.is(&codes::TOKEN_REPLAYED) {
        true => Error::new(&codes::SAML_REPLAY).because(error),
        false => error,
    })?;
    saml.logged_out(cx, &request, post, relay_state)
}

fn tell(cx: &Context, answered: Answered, signin: &Signin) -> Result<Response> {
    match answered {
        Answered::Redirect(url) => reply::see_other(&url),
        Answered::Form(Form { action, fields }) => {
            let page = FormPost { action: action.clone(), fields, request_id: cx.origin.request.to_string() };
            reply::form_post(&page.render(), &action)
        }
        Answered::Nowhere => {
            let page = SignedOut {
                sign_in_href: Some(signin.path("/signin")),
                request_id: cx.origin.request.to_string(),
                ..SignedOut::default()
            };
            Ok(reply::html(StatusCode::OK, page.render(), []))
        }
    }
}
