//! Signing out at the SAML identity provider, too (SP-initiated single logout).
//!
//! ```text
//!  the session here ends ─► an order, signed, through the browser ─► the provider ─► its answer, checked ─► the app
//!  └────────── one commit, with what comes after the answer
//! ```
//!
//! The session here has ended first, whatever becomes of the order: a provider that is not there keeps nobody signed in.

use axum::response::Response;

use super::http::Signin;
use super::logout::{Leaving, onward};
use crate::access::Context;
use crate::connection::Connection;
use crate::connection::saml::{
    Answered, Form, Incoming, LogoutResponse, Named, NamedSession, Saml, new_id, peek, peek_query,
};
use crate::crypto::sha256;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::http::page::FormPost;
use crate::http::reply;
use crate::id::{AppId, ConnectionId};
use crate::provider::logout::EndSession;
use crate::session::Session;
use crate::store::{Batch, Key, Life, Record, Stored};

/// A provider has so long to answer.
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(600);
/// The id of an order, as `new_id` makes it.
const ID: usize = 41;

/// An order that was sent, and what comes after its answer.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct SentOrder {
    /// Of the order's id: whoever reads the store cannot make an answer fit.
    #[cbor(n(0), with = "minicbor::bytes")]
    digest: Vec<u8>,
    #[n(1)]
    connection: ConnectionId,
    #[n(2)]
    named: Named,
    #[n(3)]
    return_to: Option<String>,
    #[n(4)]
    app: Option<AppId>,
    #[n(5)]
    sent_at: Timestamp,
}

impl Record for SentOrder {
    const KIND: &'static str = "saml_logout";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.digest.clone())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.sent_at + LIFETIME)
    }
}

impl SentOrder {
    async fn load(cx: &Context, id: &str) -> Result<Option<Stored<Self>>> {
        let found: Option<Stored<Self>> = cx.store.get(Key::from_bytes(digest(id))).await?;
        Ok(found.filter(|found| found.sent_at + LIFETIME > cx.env.now()))
    }

    fn after(&self) -> EndSession {
        EndSession { app: self.app, return_to: self.return_to.clone(), session: None }
    }
}

fn digest(id: &str) -> Vec<u8> {
    sha256(&[b"authd saml logout", id.as_bytes()]).to_vec()
}

/// An order to end the provider's own session.
pub(super) struct Order {
    id: String,
    connection: ConnectionId,
    saml: Saml,
    named: Named,
}

impl Order {
    /// For a session, if its provider takes such orders.
    pub async fn of(cx: &Context, session: &Session) -> Option<Self> {
        Self::find(cx, session).await.unwrap_or_else(|error| {
            tracing::warn!(code = error.code(), "the provider is not told of a sign-out: {}", error.log_line());
            None
        })
    }

    async fn find(cx: &Context, session: &Session) -> Result<Option<Self>> {
        let Some(connection) = session.connection else { return Ok(None) };
        let Some(named) = NamedSession::load(&cx.store, session.id).await? else { return Ok(None) };
        let connection = Connection::load(&cx.store, connection).await?.value;
        let saml = Saml::of(&connection)?;
        Ok(saml.ends_sessions().then(|| Self { id: new_id(&cx.env), connection: connection.id, saml, named }))
    }

    /// Keeps what comes after the answer.
    pub fn keep(&self, cx: &Context, after: &EndSession, batch: &mut Batch) {
        batch.create(&SentOrder {
            digest: digest(&self.id),
            connection: self.connection,
            named: self.named.clone(),
            return_to: after.return_to.clone(),
            app: after.app,
            sent_at: cx.env.now(),
        });
    }

    /// Where the browser goes to take it along, when it has to do something else first.
    pub fn later(&self, signin: &Signin) -> String {
        signin.world.deployment.public_url.at(&format!("/oauth2/logout/upstream?order={}", self.id))
    }

    /// Sends the browser to the provider with it; nothing where that cannot be.
    pub fn send(&self, signin: &Signin, cx: &Context) -> Option<Response> {
        let sent = self.saml.end_session(cx, &self.id, &self.named).and_then(|answered| go(signin, cx, answered));
        sent.unwrap_or_else(|error| {
            tracing::warn!(code = error.code(), "the provider is not told of a sign-out: {}", error.log_line());
            None
        })
    }
}

/// Takes the browser to the provider with a message.
pub(super) fn go(signin: &Signin, cx: &Context, answered: Answered) -> Result<Option<Response>> {
    match answered {
        Answered::Redirect(url) => reply::see_other(&url).map(Some),
        Answered::Form(Form { action, fields }) => {
            let page = FormPost { action, fields, request_id: cx.origin.request.to_string() };
            // It ends, by redirects, at whatever app the person came from.
            let targets: &[&str] = if signin.site.is_https() { &["https:"] } else { &["https:", "http:"] };
            reply::form_post(&page.render(), targets).map(Some)
        }
        Answered::Nowhere => Ok(None),
    }
}

/// Whether the way out of a session leads through its provider: a form that begins it may end there.
pub(super) async fn leads_out(cx: &Context, session: &Session) -> bool {
    Order::of(cx, session).await.is_some()
}

/// `GET /oauth2/logout/upstream`: the browser has done what came first.
pub(super) async fn resume(signin: &Signin, cx: &Context, id: Option<&str>) -> Result<Response> {
    let sent = match id.filter(|id| id.len() == ID) {
        Some(id) => SentOrder::load(cx, id).await?.map(|found| (id, found.value)),
        None => None,
    };
    let Some((id, sent)) = sent else { return Err(Error::new(&codes::ATTEMPT_EXPIRED)) };
    let connection = Connection::load(&cx.store, sent.connection).await?.value;
    let (named, after) = (sent.named.clone(), sent.after());
    let order = Order { id: id.to_owned(), connection: connection.id, saml: Saml::of(&connection)?, named };
    match order.send(signin, cx) {
        Some(response) => Ok(response),
        None => onward(signin, cx, &after, Leaving::default()).await,
    }
}

/// The order that an answer says to answer, on nobody's word: its id, and what was kept of it.
pub(super) async fn answered(
    cx: &Context,
    connection: &Connection,
    incoming: Incoming<'_>,
    value: &str,
) -> Result<Option<(String, Stored<SentOrder>)>> {
    let outside = match incoming {
        Incoming::Query(_) => peek_query(value)?,
        Incoming::Posted(_) => peek(value)?,
    };
    let Some(id) = outside.in_response_to.filter(|id| id.len() == ID) else { return Ok(None) };
    let found = SentOrder::load(cx, &id).await?.filter(|found| found.connection == connection.id);
    Ok(found.map(|found| (id, found)))
}

/// The answer was checked. Notes it, and takes the browser where it was going. That the provider has not ended everything
/// is noted; the person is out here in any case.
pub(super) async fn conclude(
    signin: &Signin,
    cx: &Context,
    connection: &Connection,
    sent: &Stored<SentOrder>,
    said: &LogoutResponse,
) -> Result<Response> {
    let mut event = cx.event(EventKind::ConnectionLogoutAnswered).within(connection.organization);
    event = event.about("connection", connection.id);
    if !said.success {
        event = event.failed(codes::UPSTREAM_DENIED.name).with("status", said.status.clone());
    }
    let mut batch = Batch::new();
    batch.delete::<SentOrder>(sent.key(), sent.revision).log(event);
    match cx.store.commit(batch).await {
        Ok(_) => onward(signin, cx, &sent.after(), Leaving::default()).await,
        // The same answer was here before.
        Err(refused) if refused.is_race() => Err(Error::new(&codes::SAML_REPLAY)),
        Err(refused) => Err(refused.into()),
    }
}
