//! Which app is calling: HTTP Basic, the form, or only a name for those that keep no secret (RFC 6749 §2.3).

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::client::App;
use super::parameters::Parameters;
use crate::access::throttle::{self, Rule};
use crate::access::{Context, refusal};
use crate::crypto::{Secret, TokenHash};
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::http::extract::read_form;
use crate::id::AppId;
use crate::store::Batch;

/// A longer credential is none of ours.
const LONGEST: usize = 1_024;

/// An app that could not be authenticated.
pub(super) struct Failure {
    /// `invalid_client`, unless something else broke.
    pub(super) error: Error,
    /// The app that was named, if it exists: for the event, never for the answer.
    pub(super) app: Option<App>,
}

/// What the request says about its sender.
struct Credentials {
    id: String,
    secret: Option<Secret>,
}

/// The app that calls. An unknown app and a wrong secret are told alike, and take alike.
pub(super) async fn authenticate(
    cx: &Context,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<App, Box<Failure>> {
    let failure = |error: Error, app: Option<App>| Box::new(Failure { error, app });
    let unknown = || Error::new(&codes::INVALID_CLIENT);
    let Credentials { id, secret } = credentials(headers, parameters).map_err(|error| failure(error, None))?;
    let app = match id.parse::<AppId>() {
        Ok(id) => match App::load(&cx.store, id).await {
            Ok(app) => Some(app.value),
            Err(error) if error.is(&codes::NOT_FOUND) => None,
            Err(error) => return Err(failure(error, None)),
        },
        Err(_) => None,
    };
    let known = match (&app, &secret) {
        (Some(app), Some(secret)) if !app.public => app.knows_secret(cx.env.now(), secret.expose()),
        (Some(app), None) => app.public,
        (_, Some(secret)) => {
            // The work of a comparison, so that the time does not tell which apps there are.
            let _ = TokenHash::of("").fits(secret.expose());
            false
        }
        (None, None) => false,
    };
    match app {
        Some(app) if known => Ok(app),
        app => Err(failure(unknown(), app)),
    }
}

/// The app that sends a form, and the form. A refusal is told. Errors: `invalid_client`, `invalid_request`.
pub(super) async fn calling(cx: &Context, request: Request) -> Result<(App, Parameters)> {
    let headers = request.headers().clone();
    let parameters = Parameters::of(read_form(request).await?.iter());
    if let Some(fault) = parameters.fault() {
        return Err(Error::says(&codes::INVALID_REQUEST, fault));
    }
    match authenticate(cx, &headers, &parameters).await {
        Ok(app) => Ok((app, parameters)),
        Err(failure) => {
            let Failure { error, app } = *failure;
            Err(stranger(cx, app.as_ref(), error).await)
        }
    }
}

/// What an app that could not be authenticated is told; its event, or its count, is written. Too many from one
/// address are turned away without leaving anything behind; the right secret was looked at before, so no stranger
/// keeps an app from its tokens.
pub(super) async fn stranger(cx: &Context, app: Option<&App>, error: Error) -> Error {
    match note(cx, app, &error).await {
        Ok(()) => error,
        Err(other) => other,
    }
}

async fn note(cx: &Context, app: Option<&App>, error: &Error) -> Result<()> {
    let mut batch = Batch::new();
    if error.is(&codes::INVALID_CLIENT) {
        let mut counts = vec![(Rule::AppsFromAddress, throttle::address(cx))];
        if let Some(app) = app {
            let named = throttle::Subject::new().and(app.id.bytes());
            counts.push((Rule::AppFromAddress, named.clone().from(cx.origin.ip)));
            counts.push((Rule::App, named));
        }
        for (rule, subject) in counts {
            throttle::check(cx, rule, subject.clone()).await?;
            throttle::count(cx, rule, subject, &mut batch).await?;
        }
    }
    let mut event = Event::new(&cx.env, EventKind::TokenRefused, &Actor::Anonymous, &cx.origin).failed(error.code());
    if let Some(app) = app {
        event = event.within(app.organization).about("app", app.id);
    }
    refusal::tell(cx, event.with("reason", error.message().to_owned()), &mut batch).await?;
    cx.store.commit(batch).await?;
    Ok(())
}

/// Exactly one way of saying who one is. Errors: `invalid_client`.
fn credentials(headers: &HeaderMap, parameters: &Parameters) -> Result<Credentials> {
    let refused = |why: &'static str| Error::says(&codes::INVALID_CLIENT, why);
    if parameters.get("client_assertion").is_some() || parameters.get("client_assertion_type").is_some() {
        return Err(refused("This way of client authentication is not served."));
    }
    let (named, secret) = (parameters.get("client_id"), parameters.get("client_secret"));
    if [named, secret].into_iter().flatten().any(|text| text.len() > LONGEST) {
        return Err(Error::new(&codes::INVALID_CLIENT));
    }
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    let Some(header) = authorization.next() else {
        let id = named.ok_or_else(|| refused("The request does not say which app it is from."))?.to_owned();
        return Ok(Credentials { id, secret: secret.map(Secret::new) });
    };
    if authorization.next().is_some() || secret.is_some() {
        return Err(refused("The app authenticates in two ways at once."));
    }
    let credentials = header
        .to_str()
        .ok()
        .and_then(basic)
        .ok_or_else(|| refused("The `Authorization` header cannot be read as HTTP Basic."))?;
    if named.is_some_and(|named| named != credentials.id) {
        return Err(refused("The request names two apps."));
    }
    Ok(credentials)
}

/// RFC 7617, both halves encoded like a form on top (RFC 6749 §2.3.1).
fn basic(header: &str) -> Option<Credentials> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 2 * LONGEST {
        return None;
    }
    let plain = zeroize::Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
    Some(Credentials { id: form_decoded(id)?, secret: Some(Secret::new(form_decoded(secret)?)) })
}

fn form_decoded(text: &str) -> Option<String> {
    // The decoder splits at `&`, which an encoded text does not have.
    if text.contains('&') {
        return None;
    }
    let pair = format!("v={text}");
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_is_form_decoded() {
        let read = |plain: &str| {
            let credentials = basic(&format!("bAsIc {}", STANDARD.encode(plain)))?;
            Some((credentials.id, credentials.secret?.expose().to_owned()))
        };
        let pair = |id: &str, secret: &str| Some((id.to_owned(), secret.to_owned()));
        assert_eq!(read("app_1:cs_a-b_c"), pair("app_1", "cs_a-b_c"));
        assert_eq!(read("app%5F1:a%3Ab+c%25=%26"), pair("app_1", "a:b c%=&"));
        assert_eq!(read("app_1:a:b"), pair("app_1", "a:b"));
        assert_eq!(read("app_1:"), pair("app_1", ""));
        assert_eq!(read("app_1"), None);
        assert_eq!(read("app_1:a&b"), None);
        assert!(basic("Bearer x").is_none() && basic("Basic").is_none() && basic("Basic ***").is_none());
    }
}
