//! `/oauth2/logout`: an app sends a person here to be signed out (OpenID Connect RP-Initiated Logout 1.0).
//!
//! ```text
//!  request ─► an id token of this very session? ─ yes ─► ended ─► frames of apps, if any ─► back to the app
//!                 └ no ─► the person is asked ─► POST /oauth2/logout/confirm ─┘
//! ```
//!
//! Where the person came through SAML, the way back leads through the identity provider (`saml_sign_out`).
//!
//! A session ends by its epoch and an event; that apps are told over the back channel follows from there.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::http::{Signin, with_cookie};
use super::saml_sign_out::{Order, leads_out};
use super::ticket;
use crate::access::{Context, refusal};
use crate::directory::{Membership, Organization};
use crate::env::Timestamp;
use crate::error::{Error, Kind, Result};
use crate::event::{Actor, Event, EventKind};
use crate::http::extract::Params;
use crate::http::page::{ConfirmSignOut, SignedOut};
use crate::http::reply;
use crate::id::SessionId;
use crate::provider::App;
use crate::provider::logout::{EndSession, frames, validate};
use crate::session::Session;
use crate::store::Batch;

const PLACE: &str = "signin/logout";
/// How often an end is written again when the session was changed in between.
const RETRIES: usize = 3;
/// So long the frames of apps have before the browser goes on, in seconds.
const FRAMES_HAVE: u32 = 3;

/// A request to sign out, on its way through the browser.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Ticket {
    #[n(0)]
    request: EndSession,
    /// The session that the person is asked about.
    #[n(1)]
    asked: Option<SessionId>,
    #[n(2)]
    made_at: Timestamp,
}

impl Ticket {
    fn seal(cx: &Context, request: EndSession, asked: Option<SessionId>) -> Result<String> {
        ticket::seal(cx, PLACE, &Self { request, asked, made_at: cx.env.now() })
    }

    fn open(cx: &Context, text: &str) -> Result<Self> {
        let opened: Self = ticket::open(cx, PLACE, text)?;
        ticket::in_time(cx, opened.made_at, ticket::LIFETIME)?;
        Ok(opened)
    }
}

/// `GET /oauth2/logout`.
pub(super) async fn begin(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let request = match read(cx, params).await {
        Ok(request) => request,
        Err(error) => return refuse(cx, error).await,
    };
    go_on(signin, cx, headers, request).await
}

/// `POST /oauth2/logout`, from a page of the app.
pub(super) async fn posted(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let request = match read(cx, params).await {
        Ok(request) => request,
        Err(error) => return refuse(cx, error).await,
    };
    if signin.brings_session(headers) {
        return go_on(signin, cx, headers, request).await;
    }
    // A form of another site comes without our cookies (SameSite=Lax); the address that it is sent on to does not.
    let ticket = Ticket::seal(cx, request, None)?;
    reply::see_other(&signin.world.deployment.public_url.at(&format!("/oauth2/logout?request={ticket}")))
}

async fn read(cx: &Context, params: &Params) -> Result<EndSession> {
    if let Some(ticket) = params.one("request")? {
        return Ok(Ticket::open(cx, ticket)?.request);
    }
    let pairs: Vec<(String, String)> = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    validate(cx, &pairs).await
}

async fn go_on(signin: &Signin, cx: &Context, headers: &HeaderMap, request: EndSession) -> Result<Response> {
    match signin.session(cx, headers).await? {
        // There is nothing to end, so nothing to ask about.
        None => leave(signin, cx, &request, Leaving::default()).await,
        // The app shows a token of this very session: the person came from there.
        Some(session) if request.session == Some(session.id) => end(signin, cx, &session, &request).await,
        Some(session) => ask(signin, cx, &session, request).await,
    }
}

async fn ask(signin: &Signin, cx: &Context, session: &Session, request: EndSession) -> Result<Response> {
    let member = Membership::active(&cx.store, session.organization, session.user).await.ok();
    let organization = Organization::load(&cx.store, session.organization).await?;
    let target = request.return_to.clone();
    let page = ConfirmSignOut {
        action: signin.path("/oauth2/logout/confirm"),
        app_name: app_name(cx, &request).await,
        email: member.and_then(|member| member.value.email).unwrap_or_default(),
        organization: organization.value.name,
        attempt: Ticket::seal(cx, request, Some(session.id))?,
        stay_href: signin.path("/signin"),
        request_id: cx.origin.request.to_string(),
    };
    if leads_out(cx, session).await {
        return Ok(signin.form_page(StatusCode::OK, page.render(), target.as_deref()));
    }
    Ok(reply::html(StatusCode::OK, page.render(), target.as_deref()))
}

/// `POST /oauth2/logout/confirm`: the person said yes.
pub(super) async fn confirmed(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let Ticket { request, asked, .. } = match params.need("attempt").and_then(|text| Ticket::open(cx, text)) {
        Ok(ticket) => ticket,
        Err(error) => return refuse(cx, error).await,
    };
    match signin.session(cx, headers).await? {
        None => leave(signin, cx, &request, Leaving::default()).await,
        Some(session) if asked == Some(session.id) => end(signin, cx, &session, &request).await,
        // Somebody signed in anew in another window: this form was not about them.
        Some(session) => ask(signin, cx, &session, request).await,
    }
}

/// Ends the session, and leaves with everything that the browser has to do for it.
pub(super) async fn end(signin: &Signin, cx: &Context, session: &Session, request: &EndSession) -> Result<Response> {
    let frames = frames(cx, session.id).await?;
    let order = Order::of(cx, session).await;
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        if let Some(order) = &order {
            order.keep(cx, request, &mut batch);
        }
        Session::end(&cx.store, session.id, cx.env.now(), &mut batch).await?;
        let mut event = Event::new(&cx.env, EventKind::SessionSignedOut, &Actor::User(session.user), &cx.origin)
            .within(session.organization)
            .about("session", session.id)
            .and("user", session.user);
        if let Some(app) = request.app {
            event = event.and("app", app);
        }
        batch.log(event);
        match cx.store.commit(batch).await {
            Ok(_) => break,
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
    leave(signin, cx, request, Leaving { frames, order }).await
}

/// What the browser has to do on its way out.
#[derive(Default)]
pub(super) struct Leaving {
    /// Pages of apps, to be opened in frames.
    pub frames: Vec<String>,
    /// What it takes to the provider then.
    pub order: Option<Order>,
}

/// On, without the cookie of what has ended.
async fn leave(signin: &Signin, cx: &Context, request: &EndSession, leaving: Leaving) -> Result<Response> {
    let response = onward(signin, cx, request, leaving).await?;
    Ok(with_cookie(response, Some(signin.no_session_cookie()?)))
}

/// Back to the app, or to a page of ours; by way of the provider where it has to be told.
pub(super) async fn onward(
    signin: &Signin,
    cx: &Context,
    request: &EndSession,
    Leaving { frames, order }: Leaving,
) -> Result<Response> {
    let frames = frames.as_slice();
    if let (Some(order), []) = (&order, frames)
        && let Some(response) = order.send(signin, cx)
    {
        return Ok(response);
    }
    if let (Some(target), []) = (&request.return_to, frames) {
        return reply::see_other(target);
    }
    let next = order.as_ref().filter(|_| !frames.is_empty()).map(|order| order.later(signin));
    let next = next.or_else(|| request.return_to.clone());
    let page = SignedOut {
        app_name: app_name(cx, request).await,
        return_href: next.clone().filter(|_| request.return_to.is_some()),
        sign_in_href: request.return_to.is_none().then(|| signin.path("/signin")),
        frames: frames.to_vec(),
        request_id: cx.origin.request.to_string(),
    };
    if frames.is_empty() {
        return Ok(reply::html(StatusCode::OK, page.render(), []));
    }
    let mut response = reply::framing_html(StatusCode::OK, page.render(), frames);
    if let Some(target) = &next {
        // The frames are asked for at once; nobody can tell without a script when they have answered.
        let refresh = HeaderValue::try_from(format!("{FRAMES_HAVE}; url={target}")).map_err(Error::bug)?;
        response.headers_mut().insert(header::REFRESH, refresh);
    }
    Ok(response)
}

async fn app_name(cx: &Context, request: &EndSession) -> Option<String> {
    App::load(&cx.store, request.app?).await.ok().map(|app| app.value.name)
}

/// Notes the refusal, and shows its page. Nothing has ended.
async fn refuse(cx: &Context, error: Error) -> Result<Response> {
    if error.kind() != Kind::Bug {
        let mut batch = Batch::new();
        refusal::tell(cx, cx.event(EventKind::LogoutRefused).failed(error.code()), &mut batch).await?;
        cx.store.commit(batch).await?;
    }
    Ok(super::http::failure(cx, &error))
}
