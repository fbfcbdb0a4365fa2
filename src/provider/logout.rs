//! An app asks to sign a person out (OpenID Connect RP-Initiated Logout 1.0): what the request may ask for, and which
//! pages of apps are opened when the session ends (OpenID Connect Front-Channel Logout 1.0).

use super::client::App;
use super::parameters::{Parameters, extend};
use crate::access::Context;
use crate::error::{Error, Result, codes};
use crate::id::{AppId, SessionId};
use crate::session::SessionApp;
use crate::token::{self, Hint};

/// The most apps that are told by frames; the browser opens them at the same time.
const MOST_FRAMES: usize = 50;

/// A request to sign out that may go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, minicbor::Encode, minicbor::Decode)]
pub struct EndSession {
    /// The app that asks, if it said so.
    #[n(0)]
    pub app: Option<AppId>,
    /// Where the person goes on: one of the app's own addresses, with the `state`.
    #[n(1)]
    pub return_to: Option<String>,
    /// The session that the app means, from an id token of ours.
    #[n(2)]
    pub session: Option<SessionId>,
}

/// Checks the parameters of a logout request, decoded, in the order they came. `ui_locales` and `logout_hint` may come
/// along; there is one language, and nobody is asked who they are.
///
/// Errors: `invalid_request`; `post_logout_uri_mismatch` for an address that is not byte for byte one that the app has
/// registered for this: a page is shown, and nobody is redirected.
pub async fn validate(cx: &Context, parameters: &[(String, String)]) -> Result<EndSession> {
    let parameters = Parameters::of(parameters.iter().map(|(name, value)| (&**name, &**value)));
    if let Some(fault) = parameters.fault() {
        return Err(Error::says(&codes::INVALID_REQUEST, fault));
    }
    let named: Option<AppId> = match parameters.get("client_id") {
        Some(text) => match text.parse() {
            Ok(id) => Some(id),
            Err(_) => return Err(Error::says(&codes::INVALID_REQUEST, "No app is registered under this `client_id`.")),
        },
        None => None,
    };
    let hint = match parameters.get("id_token_hint") {
        Some(text) => token::read_hint(cx, text).await?,
        None => None,
    };
    // §2: a token that was made for another app than the one that asks says nothing, and neither does the one that asks.
    let (asks, hint) = match (named, hint) {
        (Some(named), Some(hint)) if hint.app != named => (None, None),
        (named, hint) => (named.or(hint.map(|hint: Hint| hint.app)), hint),
    };
    let app = match asks {
        Some(id) => known(cx, id).await?,
        None => None,
    };
    let state = parameters.get("state");
    if state.is_some_and(|state| state.len() > 1_024) {
        return Err(Error::says(&codes::INVALID_REQUEST, "The parameter `state` is longer than 1,024 bytes."));
    }
    let return_to = match (&app, parameters.get("post_logout_redirect_uri")) {
        (Some(app), Some(asked)) if app.post_logout_redirect_uris.iter().any(|known| known == asked) => {
            Some(extended(asked, state))
        }
        (Some(_), Some(_)) => return Err(Error::new(&codes::POST_LOGOUT_URI_MISMATCH)),
        // Without an app there is nothing to compare it with: the person stays here.
        (None, _) | (_, None) => None,
    };
    let session = hint.filter(|_| app.is_some()).and_then(|hint| hint.session);
    Ok(EndSession { app: app.map(|app| app.id), return_to, session })
}

fn extended(uri: &str, state: Option<&str>) -> String {
    match state {
        Some(state) => extend(uri, &[("state", state)]),
        None => uri.to_owned(),
    }
}

async fn known(cx: &Context, id: AppId) -> Result<Option<App>> {
    match App::load(&cx.store, id).await {
        Ok(app) => Ok(Some(app.value)),
        Err(error) if error.is(&codes::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The pages of apps that want to be opened when the session ends, with `iss` and `sid` (§3): of apps that hold tokens
/// of it, and of no other.
pub async fn frames(cx: &Context, session: SessionId) -> Result<Vec<String>> {
    let sid = session.to_string();
    let mut frames = Vec::new();
    for noted in SessionApp::of(&cx.store, session).await? {
        let uri = known(cx, noted.app).await?.and_then(|app| app.frontchannel_logout_uri);
        frames.extend(uri.map(|uri| extend(&uri, &[("iss", cx.deployment.public_url.issuer()), ("sid", &sid)])));
        if frames.len() == MOST_FRAMES {
            break;
        }
    }
    Ok(frames)
}
