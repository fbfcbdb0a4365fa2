//! What the routes hold: the world, the browser's marks, and how an answer leaves.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;

use super::bounds::Bounds;
use crate::access::{Caller, Context, World};
use crate::connection::Registry;
use crate::crypto::{Opaque, TokenHash};
use crate::error::{Error, Result};
use crate::http::page::{Failure, FormPost};
use crate::http::{Cookies, RequestInfo, Site, reply};
use crate::provider::{ResponseMode, ToApp};
use crate::session::Session;

/// The cookie that binds a sign-in to a browser. It says nothing about a person.
const BROWSER: &str = "browser";
/// The cookie of a session.
pub(super) const SESSION: &str = "session";
/// How long a browser keeps the first.
const BROWSER_LIFETIME: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What the routes hold.
#[derive(Clone)]
pub struct Signin {
    /// The world.
    pub world: World,
    /// The upstream protocols.
    pub registry: Registry,
    /// The public URL, for forms.
    pub site: Arc<Site>,
    /// What strangers can make it keep.
    pub bounds: Arc<Bounds>,
}

impl Signin {
    /// For a server that is reached at `site`.
    pub fn new(world: World, registry: Registry, site: Arc<Site>) -> Self {
        Self { world, registry, site, bounds: Arc::new(Bounds::new()) }
    }

    pub(super) fn cookies(&self) -> Cookies {
        Cookies::new(self.site.is_https())
    }

    /// The path of a form or link on our own pages; the public URL may carry a path of its own.
    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.world.deployment.public_url.path())
    }

    pub(super) fn context(&self, info: RequestInfo) -> Context {
        self.world.context(Caller::Anonymous, info.into())
    }

    /// Whether the browser brought a session's cookie, whatever it is worth.
    pub(super) fn brings_session(&self, headers: &HeaderMap) -> bool {
        self.cookies().get(headers, SESSION).is_some()
    }

    /// The live session of the request, if any.
    pub(super) async fn session(&self, cx: &Context, headers: &HeaderMap) -> Result<Option<Session>> {
        match self.cookies().get(headers, SESSION) {
            Some(cookie) => Session::of_cookie(&cx.store, cx.env.now(), cookie).await,
            None => Ok(None),
        }
    }

    /// The browser's own mark, if it came with the request.
    pub(super) fn browser(&self, headers: &HeaderMap) -> Option<TokenHash> {
        self.cookies().get(headers, BROWSER).filter(|value| value.len() == 43).map(TokenHash::of)
    }

    /// The browser's own mark; a new one, with the header that sets it, where there is none. One mark serves all tabs.
    pub(super) fn mark(&self, cx: &Context, headers: &HeaderMap) -> Result<(TokenHash, Option<HeaderValue>)> {
        if let Some(known) = self.browser(headers) {
            return Ok((known, None));
        }
        let Opaque { text, hash } = Opaque::new(&cx.env, "");
        let cookie = self.cookies().set(BROWSER, text.expose(), Some(BROWSER_LIFETIME))?;
        Ok((hash, Some(cookie)))
    }

    /// The header that sets the cookie of a new session; it ends with the browser, or when the session does.
    pub(super) fn session_cookie(&self, value: &str) -> Result<HeaderValue> {
        self.cookies().set(SESSION, value, None)
    }

    /// The header that removes it.
    pub(super) fn no_session_cookie(&self) -> Result<HeaderValue> {
        self.cookies().remove(SESSION)
    }

    /// A page whose form may end, by redirects, at any identity provider and app.
    pub(super) fn form_page(&self, status: StatusCode, page: String, app: Option<&str>) -> Response {
        let mut targets = vec!["https:"];
        targets.extend(app);
        if !self.site.is_https() {
            // On loopback, providers and apps may be on http as well.
            targets.push("http:");
        }
        reply::html(status, page, targets)
    }
}

/// Adds a cookie to an answer.
pub(super) fn with_cookie(mut response: Response, cookie: Option<HeaderValue>) -> Response {
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

/// Sends an answer to the app.
pub(super) fn deliver(cx: &Context, answer: &ToApp) -> Result<Response> {
    match answer.mode {
        ResponseMode::Query => reply::see_other(&answer.url()),
        ResponseMode::FormPost => {
            let fields = answer.pairs.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
            let action = answer.redirect_uri.clone();
            let page = FormPost { action, fields, request_id: cx.origin.request.to_string() };
            reply::form_post(&page.render(), &[&answer.redirect_uri])
        }
    }
}

/// The page of an error that has no better one: code and request id.
pub(super) fn failure(cx: &Context, error: &Error) -> Response {
    reply::log(error, cx.origin.request);
    let page = Failure::from_error(error, cx.origin.request.to_string());
    reply::retry_after(reply::html(reply::page_status(error), page.render(), []), error)
}
