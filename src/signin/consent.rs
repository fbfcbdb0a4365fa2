//! The app's question to the person: may it? A code is made only after the form of this page was posted.
//!
//! What was asked travels in the page, sealed, with the session that it was asked in: the form works in no other
//! session, and from no other site.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::finish;
use super::http::{Signin, deliver};
use super::ticket;
use crate::access::Context;
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::governance::admitted;
use crate::http::extract::Params;
use crate::http::page::{AskedFor, ConsentPage, field};
use crate::http::reply;
use crate::id::SessionId;
use crate::provider::authorize::AuthorizeRequest;
use crate::provider::code;
use crate::provider::consent::{self, Question};
use crate::session::Session;
use crate::store::Batch;

const PLACE: &str = "signin/consent";
const LIFETIME: Duration = Duration::from_secs(3600);
/// How often an answer is worked out again when something it read was changed before its commit.
const RETRIES: usize = 3;

/// What the form carries.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Asked {
    #[n(0)]
    request: AuthorizeRequest,
    #[n(1)]
    session: SessionId,
    #[n(2)]
    made_at: Timestamp,
}

/// Answers the app from a session that fits, or asks the person first.
pub(super) async fn answer(
    signin: &Signin,
    cx: &Context,
    request: &AuthorizeRequest,
    session: &Session,
) -> Result<Response> {
    match consent::question(cx, request, session).await? {
        None => finish::reuse(cx, request, session).await,
        Some(_) if request.silent() => {
            deliver(cx, &request.refused(cx, "consent_required", "The person has to let the app in."))
        }
        Some(question) => ask(signin, cx, request, session, question).await,
    }
}

/// The page. It writes nothing.
pub(super) async fn ask(
    signin: &Signin,
    cx: &Context,
    request: &AuthorizeRequest,
    session: &Session,
    question: Question,
) -> Result<Response> {
    let member = admitted(&cx.store, session.organization, session.user, session.via()).await?.value;
    let organization = Organization::load(&cx.store, session.organization).await?.value;
    let asked = Asked { request: request.clone(), session: session.id, made_at: cx.env.now() };
    let returns_to = url::Url::parse(&request.redirect_uri).ok();
    let page = ConsentPage {
        action: signin.path("/signin/consent"),
        attempt: ticket::seal(cx, PLACE, &asked)?,
        returns_to: returns_to.map_or_else(String::new, |url| match url.host_str() {
            Some(host) => host.to_owned(),
            None => format!("{}:", url.scheme()),
        }),
        name: member.name.unwrap_or_default(),
        email: member.email.unwrap_or_default(),
        organization: organization.name,
        items: in_words(&question),
        third_party: question.app.third_party,
        app_name: question.app.name,
        another_href: request.by_another().map(|path| signin.path(&path)),
        request_id: cx.origin.request.to_string(),
    };
    // The form ends at this app, and nowhere else.
    Ok(reply::html(StatusCode::OK, page.render(), [request.redirect_uri.as_str()]))
}

/// `POST /signin/consent`: what the person says. The caller has seen that the form is from a page of ours.
pub(super) async fn decide(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let asked: Asked = ticket::open(cx, PLACE, params.need(field::ATTEMPT)?)?;
    ticket::in_time(cx, asked.made_at, LIFETIME)?;
    let session = signin.session(cx, headers).await?.filter(|session| session.id == asked.session);
    let session = session.ok_or_else(|| Error::new(&codes::FLOW_MISMATCH))?;
    admitted(&cx.store, session.organization, session.user, session.via()).await?;
    // Anything but a clear yes is a no.
    let allowed = params.one(field::DECISION)? == Some("allow");
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        session.touch(cx, &mut batch).await?;
        let answer = if allowed {
            let agreed = consent::agree(cx, &asked.request, &session, &mut batch).await?;
            code::mint(cx, &asked.request, &session, Some(&agreed), &mut batch).await?
        } else {
            consent::deny(cx, &asked.request, &session, &mut batch);
            asked.request.refused(cx, "access_denied", "The person has not let the app in.")
        };
        match cx.store.commit(batch).await {
            Ok(_) => return deliver(cx, &answer),
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}

/// What is asked for, as a person who knows no scope reads it.
fn in_words(question: &Question) -> Vec<AskedFor> {
    let mut items = Vec::new();
    let mut say = |title: &str, note: String| items.push(AskedFor { title: title.to_owned(), note });
    for scope in &question.scopes {
        match scope.as_str() {
            "openid" => say("Recognize you", "by an identifier that stays the same.".into()),
            "profile" => say("See your profile:", "your name and your picture.".into()),
            "email" => say("See your e-mail address", String::new()),
            "groups" => say("See your groups", "in this organization.".into()),
            "offline_access" => say("Keep this access while you are away", "until it is taken back.".into()),
            own => say("Act for you:", own.to_owned()),
        }
    }
    if !question.app.claims.is_empty() {
        let names: Vec<&str> = question.app.claims.values().map(|field| field.trim_start_matches("extra.")).collect();
        say("See more about you:", names.join(", "));
    }
    items
}
