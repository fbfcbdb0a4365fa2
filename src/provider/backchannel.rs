//! Telling apps that a session has ended (OpenID Connect Back-Channel Logout 1.0).

use std::time::Duration;

use async_trait::async_trait;
use axum::http::header;
use serde_json::{Map, json};

use super::client::App;
use crate::access::Context;
use crate::crypto::base64url;
use crate::env::Request;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::{AppId, SessionId, UserId};
use crate::outbox::{Call, Calls, Composer, Delivery, State};
use crate::session::{Ended, Notice, SessionApp};
use crate::store::{Batch, Stored};
use crate::token::{Issue, Keyring, Type};

/// The composer's name.
pub const KIND: &str = "logout";
/// The event that a logout token is about (§2.4).
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
/// A logout token is good for so long (§2.6 recommends at most two minutes).
const GOOD_FOR: Duration = Duration::from_secs(120);
/// For so long it can be seen how an app took the end of a session; longer than it is tried to be told.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3600);
/// Sessions in one commit.
const PIECE: usize = 100;

/// What is kept of a call: everything but the token, which is signed at each try.
#[derive(serde::Serialize, serde::Deserialize)]
struct Recipe {
    app: AppId,
    session: SessionId,
    user: UserId,
}

/// Tells apps that sessions have ended.
pub struct BackchannelLogout {
    keyring: Keyring,
}

impl BackchannelLogout {
    /// Signs with these keys.
    pub fn new(keyring: Keyring) -> Self {
        Self { keyring }
    }
}

#[async_trait]
impl Composer for BackchannelLogout {
    fn kind(&self) -> &'static str {
        KIND
    }

    async fn calls(&self, _: &Context, _: u64, _: &Event, _: Option<&[u8]>) -> Result<Calls> {
        Ok(Calls::default())
    }

    /// Sessions that ended, in pieces: those of an organization may be a hundred thousand.
    async fn drain(&self, cx: &Context, batch: &mut Batch) -> Result<Option<Vec<Call>>> {
        let Some(piece) = Ended::next(&cx.store, PIECE).await? else { return Ok(None) };
        let mut calls = Vec::new();
        for session in &piece.sessions {
            for noted in session.apps(&cx.store).await? {
                if noted.notice.is_some() {
                    continue;
                }
                let told = match App::load(&cx.store, noted.app).await {
                    Ok(app) => app.backchannel_logout_uri.is_some(),
                    Err(error) if error.is(&codes::NOT_FOUND) => false,
                    Err(error) => return Err(error),
                };
                if !told {
                    continue;
                }
                let recipe = Recipe { app: noted.app, session: session.id, user: session.user };
                calls.push(Call {
                    receiver: noted.app.to_string(),
                    subject: session.id.to_string(),
                    place: 0,
                    organization: Some(session.organization),
                    recipe: serde_json::to_vec(&recipe).map_err(Error::bug)?,
                });
                // How it went is asked for when the session itself is long gone.
                let expires_at = noted.expires_at.max(cx.env.now() + REMEMBERED);
                let pending = SessionApp { notice: Some(Notice::Pending), expires_at, ..noted.value };
                batch.update(&pending, noted.revision);
            }
        }
        piece.done(batch);
        Ok(Some(calls))
    }

    async fn compose(&self, cx: &Context, delivery: &Delivery) -> Result<Option<Request>> {
        let recipe: Recipe = serde_json::from_slice(&delivery.recipe).map_err(Error::bug)?;
        let app = match App::load(&cx.store, recipe.app).await {
            Ok(app) => app.value,
            Err(error) if error.is(&codes::NOT_FOUND) => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(uri) = app.backchannel_logout_uri.as_deref().and_then(|uri| url::Url::parse(uri).ok()) else {
            return Ok(None);
        };
        let mut claims = Map::new();
        claims.insert("jti".into(), base64url(&cx.env.random::<16>()).into());
        claims.insert("sid".into(), recipe.session.to_string().into());
        claims.insert("events".into(), json!({EVENT: {}}));
        let signer = self.keyring.signer(cx, app.algorithm).await?;
        let token = Issue {
            typ: Type::Logout,
            subject: &recipe.user.to_string(),
            audience: &recipe.app.to_string(),
            expires_at: cx.env.now() + GOOD_FOR,
            claims,
        }
        .sign(cx, &signer)?;
        Ok(Some(Request::post_form(uri, &[("logout_token", &token)]).header(header::ACCEPT, "application/json")))
    }

    /// A person waits for this: soon, and not for days. A session is over by itself after some hours.
    fn patience(&self) -> &'static [Duration] {
        const WAITS: &[Duration] = &[
            Duration::from_secs(5),
            Duration::from_secs(30),
            Duration::from_secs(120),
            Duration::from_secs(600),
            Duration::from_secs(3_600),
        ];
        WAITS
    }

    async fn settled(&self, cx: &Context, delivery: &Delivery, batch: &mut Batch) -> Result<()> {
        let recipe: Recipe = serde_json::from_slice(&delivery.recipe).map_err(Error::bug)?;
        let (notice, kind) = match delivery.state {
            State::Acknowledged => (Notice::Acknowledged, EventKind::LogoutAcknowledged),
            _ => (Notice::Failed, EventKind::LogoutFailed),
        };
        let noted: Option<Stored<SessionApp>> = cx.store.get(SessionApp::key_of(recipe.session, recipe.app)).await?;
        if let Some(noted) = noted {
            batch.update(&SessionApp { notice: Some(notice), ..noted.value }, noted.revision);
        }
        let mut event = cx.event(kind).about("session", recipe.session).and("app", recipe.app).and("user", recipe.user);
        if let Some(organization) = delivery.organization {
            event = event.within(organization);
        }
        if notice == Notice::Failed {
            let why = delivery.last.as_ref().and_then(|last| last.error.clone());
            event = event.failed(&why.unwrap_or_else(|| "dropped".to_owned())).with("tries", delivery.tries);
        }
        batch.log(event);
        Ok(())
    }
}
