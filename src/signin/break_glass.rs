//! Coming in by the operator's link. Opening it shows a page, and uses nothing up: whatever looks at links ahead of the
//! person opens them, too. The button does it, in the browser that the page was made for.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::http::{Signin, failure, with_cookie};
use super::ticket;
use crate::access::{Context, refusal};
use crate::crypto::{Secret, TokenHash};
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::governance::{BREAK_GLASS_SESSION, BreakGlass, RefusedBreakGlass, UsedBreakGlass};
use crate::http::extract::Params;
use crate::http::page::{BreakGlassConfirm, field};
use crate::http::reply;
use crate::session::{NewSession, Opened, Session};
use crate::store::Batch;

const PLACE: &str = "signin/break-glass";
/// The page is good for so long; the link itself may end sooner.
const LIFETIME: Duration = Duration::from_secs(3600);
/// How often a use is worked out again when something that it read was changed before its commit.
const RETRIES: usize = 3;

/// What the form carries.
#[derive(minicbor::Encode, minicbor::Decode)]
struct Opening {
    #[n(0)]
    secret: String,
    #[n(1)]
    browser: TokenHash,
    #[n(2)]
    made_at: Timestamp,
}

/// `GET /signin/break-glass`.
pub(super) async fn show(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let secret = params.need("token")?;
    let UsedBreakGlass { link, member, .. } = match BreakGlass::working(&cx.store, cx.env.now(), secret).await? {
        Ok(working) => working,
        Err(refused) => return refuse(cx, refused).await,
    };
    let organization = Organization::load(&cx.store, link.organization).await?.value;
    let (browser, cookie) = signin.mark(cx, headers)?;
    let opening = Opening { secret: secret.to_owned(), browser, made_at: cx.env.now() };
    let page = BreakGlassConfirm {
        action: signin.path("/signin/break-glass"),
        attempt: ticket::seal(cx, PLACE, &opening)?,
        email: member.email.unwrap_or_default(),
        name: member.name.unwrap_or_default(),
        organization: organization.name,
        reason: link.reason,
        until: link.expires_at,
        minutes: BREAK_GLASS_SESSION.as_secs() / 60,
        request_id: cx.origin.request.to_string(),
    };
    Ok(with_cookie(reply::html(StatusCode::OK, page.render(), []), cookie))
}

/// `POST /signin/break-glass`: the button. The caller has seen that the form is from a page of ours.
pub(super) async fn come_in(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let opening: Opening = ticket::open(cx, PLACE, params.need(field::ATTEMPT)?)?;
    if signin.browser(headers) != Some(opening.browser) {
        return Err(Error::new(&codes::FLOW_MISMATCH));
    }
    ticket::in_time(cx, opening.made_at, LIFETIME)?;
    let earlier = signin.session(cx, headers).await?;
    let mut tries = 0;
    loop {
        let used = match BreakGlass::working(&cx.store, cx.env.now(), &opening.secret).await? {
            Ok(working) => working,
            Err(refused) => return refuse(cx, refused).await,
        };
        let mut batch = Batch::new();
        let cookie = open(cx, &used, earlier.as_ref(), &mut batch).await?;
        match cx.store.commit(batch).await {
            Ok(_) => {
                let response = reply::see_other(&signin.world.deployment.public_url.at("/signin"))?;
                return Ok(with_cookie(response, Some(signin.session_cookie(cookie.expose())?)));
            }
            // Looked at again, a link that somebody else was quicker with is a used one.
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// Adds the session, and that the link has been used.
async fn open(cx: &Context, used: &UsedBreakGlass, earlier: Option<&Session>, batch: &mut Batch) -> Result<Secret> {
    let (link, now) = (&used.link, cx.env.now());
    let new = NewSession {
        organization: link.organization,
        user: link.user,
        connection: None,
        under: used.under.clone(),
        auth_time: now,
        acr: None,
        amr: Vec::new(),
        upstream_session: None,
        upstream_subject: None,
        email: used.member.email.clone(),
        until: Some(now + BREAK_GLASS_SESSION),
        break_glass: Some(link.id),
        handed: false,
    };
    let Opened { session, cookie } = Session::open(cx, new, batch).await?;
    session.replace(cx, earlier, batch).await?;
    used.up(session.id, now, batch);
    let event = Event::new(&cx.env, EventKind::BreakGlassUsed, &Actor::User(link.user), &cx.origin)
        .within(link.organization)
        .about("break_glass", link.id)
        .and("user", link.user)
        .and("session", session.id)
        .with("reason", link.reason.clone())
        .with("expiresAt", session.expires_at.to_string());
    batch.log(event);
    Ok(cookie)
}

/// One page for every reason; the log has which it was.
async fn refuse(cx: &Context, refused: RefusedBreakGlass) -> Result<Response> {
    let RefusedBreakGlass { error, link, why } = refused;
    let mut event = cx.event(EventKind::BreakGlassRefused).failed(error.code()).with("reason", why);
    if let Some(link) = &link {
        event = event.within(link.organization).about("break_glass", link.id).and("user", link.user);
    }
    let mut batch = Batch::new();
    refusal::tell(cx, event, &mut batch).await?;
    match cx.store.commit(batch).await {
        // Others are refused at the same time: one count less.
        Err(refused) if refused.is_race() => {}
        done => drop(done?),
    }
    Ok(failure(cx, &error))
}
