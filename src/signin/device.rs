//! The page `/device`: a person lets an app in on something that has no browser (RFC 8628 §3.3).
//!
//! ```text
//!  GET /device (the code may stand there already) ─► POST /device: does a device wait with it?
//!        ─► signed in, or signing in ─► GET /device/confirm: app, device, scopes ─► POST: allow, or deny
//! ```
//!
//! Somebody else may have made the code and sent it along (RFC 8628 §5.4). So the link alone does nothing: the person
//! compares the code, sees where the device asked from, and decides on a form that is made for their own session.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::attempt::Intent;
use super::authorize;
use super::http::{Signin, with_cookie};
use super::route::Wish;
use super::ticket::Ticket;
use crate::access::throttle::{self, Rule, Subject};
use crate::access::{Context, refusal};
use crate::crypto::TokenHash;
use crate::directory::Organization;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::governance::admitted;
use crate::http::extract::Params;
use crate::http::page::{DeviceConfirm, DeviceDone, DeviceEnter, Notice};
use crate::http::reply;
use crate::provider::App;
use crate::provider::device::{self, DeviceCode, DeviceRequest, user_code};
use crate::session::Session;
use crate::store::{Batch, Stored};

/// How often a decision is written again when the device asked in between.
const RETRIES: usize = 5;

/// `GET /device`. It looks nothing up, so it tells nothing about a code that stands in its address.
pub(super) fn show(signin: &Signin, cx: &Context, params: &Params) -> Result<Response> {
    let prefilled = params.one("user_code")?.and_then(user_code::read);
    Ok(ask(signin, cx, StatusCode::OK, prefilled.unwrap_or_default(), None))
}

fn ask(signin: &Signin, cx: &Context, status: StatusCode, user_code: String, error: Option<Notice>) -> Response {
    let page =
        DeviceEnter { action: signin.path("/device"), user_code, error, request_id: cx.origin.request.to_string() };
    signin.form_page(status, page.render(), None)
}

/// `POST /device`: the code.
pub(super) async fn enter(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let typed = params.one("user_code")?.unwrap_or_default();
    let unknown = Error::new(&codes::USER_CODE_INVALID);
    let again = |error: &Error| {
        let shown: String = typed.chars().take(20).collect();
        ask(signin, cx, reply::page_status(error), shown, Some(Notice::from(error)))
    };
    // What cannot be a code is a slip of the hand, and no guess.
    let Some(code) = user_code::read(typed) else { return Ok(again(&unknown)) };
    // Codes are short enough to be guessed: a try is taken before it is looked at, and given back when it was right.
    let tries = [(Rule::UserCodeFromAddress, throttle::address(cx)), (Rule::UserCode, Subject::new())];
    let mut taken = match throttle::take(cx, &tries).await {
        Ok(taken) => taken,
        Err(error) => return Ok(reply::retry_after(again(&error), &error)),
    };
    let Some(waiting) = DeviceCode::with_user_code(cx, &code).await? else {
        let mut batch = Batch::new();
        let event = cx.event(EventKind::DeviceRefused).failed(unknown.code());
        refusal::tell(cx, event, &mut batch).await?;
        taken.count(&mut batch).await?;
        cx.store.commit(batch).await?;
        taken.written();
        return Ok(again(&unknown));
    };
    taken.give_back();
    let request = waiting.request(None);
    if fitting(signin, cx, headers, &request).await?.is_none() {
        return authorize::go(signin, cx, headers, Intent::Device(request), &Wish::default()).await;
    }
    let (browser, cookie) = signin.mark(cx, headers)?;
    Ok(with_cookie(reply::see_other(&confirm_at(signin, cx, &request, browser)?)?, cookie))
}

/// The live session, if the app serves its organization and the person is still there.
async fn fitting(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    request: &DeviceRequest,
) -> Result<Option<Session>> {
    let Some(session) = signin.session(cx, headers).await? else { return Ok(None) };
    let serves = App::load(&cx.store, request.app).await?.reach().includes(session.organization);
    let member = admitted(&cx.store, session.organization, session.user, session.via()).await.is_ok();
    Ok((serves && member).then_some(session))
}

/// Where a sign-in for a device goes on.
pub(super) fn confirm_at(signin: &Signin, cx: &Context, request: &DeviceRequest, browser: TokenHash) -> Result<String> {
    let ticket = seal(cx, request.clone(), browser)?;
    Ok(signin.world.deployment.public_url.at(&format!("/device/confirm?attempt={ticket}")))
}

fn seal(cx: &Context, request: DeviceRequest, browser: TokenHash) -> Result<String> {
    Ticket { intent: Intent::Device(request), browser, made_at: cx.env.now(), connection: None }.seal(cx)
}

/// The request of a ticket of this browser, and the device that still waits.
async fn opened(
    signin: &Signin,
    cx: &Context,
    headers: &HeaderMap,
    params: &Params,
) -> Result<(DeviceRequest, Stored<DeviceCode>, TokenHash)> {
    let ticket = Ticket::open(cx, params.need("attempt")?, signin.browser(headers))?;
    let Intent::Device(request) = ticket.intent else { return Err(Error::new(&codes::CSRF)) };
    let waiting = DeviceCode::of(cx, &request).await?;
    let waiting = waiting.ok_or_else(|| {
        Error::says(&codes::USER_CODE_INVALID, "The device is not waiting any more.")
            .help("Start again on the device; it shows a new code.")
    })?;
    Ok((request, waiting, ticket.browser))
}

/// `GET /device/confirm`: back from a sign-in.
pub(super) async fn confirm(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let (request, waiting, browser) = match opened(signin, cx, headers, params).await {
        Ok(opened) => opened,
        Err(error) => return authorize::refuse(signin, cx, None, None, error).await,
    };
    match fitting(signin, cx, headers, &request).await? {
        Some(session) => page(signin, cx, &waiting, &session, browser).await,
        None => authorize::go(signin, cx, headers, Intent::Device(request), &Wish::default()).await,
    }
}

async fn page(
    signin: &Signin,
    cx: &Context,
    waiting: &Stored<DeviceCode>,
    session: &Session,
    browser: TokenHash,
) -> Result<Response> {
    let app = App::load(&cx.store, waiting.app).await?;
    let member = admitted(&cx.store, session.organization, session.user, session.via()).await?;
    let organization = Organization::load(&cx.store, session.organization).await?;
    let request = waiting.request(Some(session.id));
    let here = cx.origin.ip.map(|ip| ip.to_string());
    let page = DeviceConfirm {
        action: signin.path("/device/confirm"),
        attempt: seal(cx, request, browser)?,
        app_name: app.value.name,
        device: waiting.user_agent.clone(),
        ip: waiting.ip.clone(),
        elsewhere: waiting.ip != here,
        asked_at: waiting.created_at,
        scope: waiting.scope.clone(),
        email: member.value.email.unwrap_or_default(),
        organization: organization.value.name,
        request_id: cx.origin.request.to_string(),
    };
    Ok(signin.form_page(StatusCode::OK, page.render(), None))
}

/// `POST /device/confirm`: the person's word.
pub(super) async fn decide(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let allowed = match params.need("decision")? {
        "allow" => true,
        "deny" => false,
        _ => return Err(Error::says(&codes::INVALID_REQUEST, "The parameter `decision` is `allow` or `deny`.")),
    };
    let mut tries = 0;
    loop {
        let (request, waiting, browser) = match opened(signin, cx, headers, params).await {
            Ok(opened) => opened,
            Err(error) => return authorize::refuse(signin, cx, None, None, error).await,
        };
        let Some(session) = fitting(signin, cx, headers, &request).await? else {
            return authorize::go(signin, cx, headers, Intent::Device(request), &Wish::default()).await;
        };
        if request.session != Some(session.id) {
            // Somebody else signed in meanwhile, in another window: they have not been asked yet.
            return page(signin, cx, &waiting, &session, browser).await;
        }
        let mut batch = Batch::new();
        if allowed {
            device::allow(cx, &waiting, &session, &mut batch).await?;
        } else {
            device::deny(cx, &waiting, &session, &mut batch);
        }
        session.touch(cx, &mut batch).await?;
        match cx.store.commit(batch).await {
            Ok(_) => {
                let app_name = App::load(&cx.store, waiting.app).await?.value.name;
                let done = DeviceDone { app_name, allowed, request_id: cx.origin.request.to_string() };
                return Ok(reply::html(StatusCode::OK, done.render(), []));
            }
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}
