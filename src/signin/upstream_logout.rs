//! The provider says that somebody has signed out there: their sessions end here.
//!
//! Nothing is asked of the sender but a token that the provider has signed. Whoever was not signed in here is none the
//! less signed out: that is a success, too (OpenID Connect Back-Channel Logout 1.0 §2.7).

use axum::body::Body;
use axum::http::StatusCode;
use axum::response::Response;

use super::http::Signin;
use crate::access::{Context, refusal};
use crate::connection::Connection;
use crate::connection::protocol::{Checks, SignedOut};
use crate::crypto::sha256;
use crate::env::Timestamp;
use crate::error::{Error, Kind, Result, codes};
use crate::event::EventKind;
use crate::http::extract::Params;
use crate::http::reply;
use crate::id::ConnectionId;
use crate::session::Session;
use crate::store::{Batch, Key, Life, Record, Stored};

/// How often it is worked out again when a session was changed before its commit.
const RETRIES: usize = 3;

/// A word of a provider that was acted on; it counts once.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct HeardWord {
    #[cbor(n(0), with = "minicbor::bytes")]
    digest: Vec<u8>,
    #[n(1)]
    until: Timestamp,
}

impl Record for HeardWord {
    const KIND: &'static str = "logout_token";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.digest.clone())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.until)
    }
}

impl HeardWord {
    fn of(connection: ConnectionId, said: &SignedOut) -> Self {
        let digest = sha256(&[b"authd logout token", &connection.bytes(), said.id.as_bytes()]).to_vec();
        Self { digest, until: said.until }
    }
}

/// `POST /connections/{id}/oidc/backchannel-logout`.
pub(super) async fn hear(signin: &Signin, cx: &Context, id: &str, params: &Params) -> Response {
    let connection = match connection(cx, id).await {
        Ok(connection) => connection,
        Err(error) => return reply::oauth_error(&error, cx.origin.request, false),
    };
    let mut checks = Checks::new();
    match act(signin, cx, &connection, params, &mut checks).await {
        Ok(()) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::OK;
            reply::no_store(response.headers_mut());
            response
        }
        Err(error) => match refuse(cx, &connection, &error, &checks).await {
            Ok(()) => reply::oauth_error(&error, cx.origin.request, false),
            Err(worse) => reply::oauth_error(&worse, cx.origin.request, false),
        },
    }
}

/// Errors: `invalid_request`, the same for every address that is nobody's.
async fn connection(cx: &Context, id: &str) -> Result<Connection> {
    let nobody = || Error::says(&codes::INVALID_REQUEST, "There is no connection at this address.");
    let id: ConnectionId = id.parse().map_err(|_| nobody())?;
    match Connection::load(&cx.store, id).await {
        Ok(found) => Ok(found.value),
        Err(error) if error.is(&codes::NOT_FOUND) => Err(nobody()),
        Err(error) => Err(error),
    }
}

async fn act(
    signin: &Signin,
    cx: &Context,
    connection: &Connection,
    params: &Params,
    checks: &mut Checks,
) -> Result<()> {
    let mut words = params.iter().filter(|(name, _)| *name == "logout_token").map(|(_, value)| value);
    let (Some(word), None) = (words.next(), words.next()) else {
        return Err(Error::says(&codes::INVALID_REQUEST, "The request has no `logout_token`, or several."));
    };
    let said = signin.registry.protocol(cx, connection)?.signed_out(cx, word, checks).await?;
    commit_end(cx, connection, &[said]).await
}

/// Ends what the words mean, which are one message's: one commit. Errors: `token_replayed`.
pub(super) async fn commit_end(cx: &Context, connection: &Connection, said: &[SignedOut]) -> Result<()> {
    let mut tries = 0;
    loop {
        let batch = end(cx, connection, said).await?;
        match cx.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// All that the word does: the sessions that it means, and that it was heard.
async fn end(cx: &Context, connection: &Connection, said: &[SignedOut]) -> Result<Batch> {
    let mut batch = Batch::new();
    if let Some(first) = said.first() {
        let heard = HeardWord::of(connection.id, first);
        if cx.store.get::<HeardWord>(heard.key()).await?.is_some() {
            return Err(Error::new(&codes::TOKEN_REPLAYED));
        }
        batch.create(&heard);
    }
    let mut meant: Vec<Stored<Session>> = Vec::new();
    for word in said {
        let (session, subject) = (word.session.as_deref(), word.subject.as_deref());
        for found in Session::of_upstream(&cx.store, connection.id, session, subject).await? {
            if !meant.iter().any(|known| known.id == found.id) {
                meant.push(found);
            }
        }
    }
    let mut ended = 0_u64;
    for session in meant {
        if session.ended_at.is_some() || !session.epochs.hold(&cx.store).await? {
            continue;
        }
        Session::end(&cx.store, session.id, cx.env.now(), &mut batch).await?;
        let event = cx.event(EventKind::SessionInvalidated).within(session.organization).about("session", session.id);
        batch.log(event.and("user", session.user).and("connection", connection.id).with("reason", "upstream_logout"));
        ended += 1;
    }
    let event = cx.event(EventKind::ConnectionLogoutReceived).within(connection.organization);
    batch.log(event.about("connection", connection.id).with("sessions", ended));
    Ok(batch)
}

/// One event, or a count of it where a flood comes from one address. Our own trouble says nothing about the token.
pub(super) async fn refuse(cx: &Context, connection: &Connection, error: &Error, checks: &Checks) -> Result<()> {
    if !matches!(error.kind(), Kind::Invalid | Kind::Missing | Kind::Conflict) {
        return Ok(());
    }
    let mut event = cx
        .event(EventKind::ConnectionLogoutRefused)
        .within(connection.organization)
        .about("connection", connection.id)
        .failed(error.code());
    if let Some(failed) = checks.rows().iter().find(|check| !check.ok) {
        event = event.with("check", failed.name.clone());
    }
    let mut batch = Batch::new();
    refusal::tell(cx, event, &mut batch).await?;
    cx.store.commit(batch).await?;
    Ok(())
}
