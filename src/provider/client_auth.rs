//! Which app is calling: by its secret in HTTP Basic or in the form, by a token that it signed, or only by its name
//! where it keeps no secret (RFC 6749 §2.3, RFC 7521 §4.2).

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::client::{App, AuthMethod};
use super::client_assertion::{self, AppKeys, Proof};
use super::http::Door;
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

/// An app that has proven who it is.
pub(super) struct Client {
    /// The app.
    pub(super) app: App,
    /// What it proved itself by, if that is good only once.
    proof: Option<Proof>,
}

impl Client {
    /// Adds to the batch that what the app proved itself by is used up. Whatever the app asked for goes into the same
    /// commit. A refusal is told. Errors: `invalid_client` when it was used before.
    pub(super) async fn spend(&self, cx: &Context, batch: &mut Batch) -> Result<()> {
        let Some(proof) = &self.proof else { return Ok(()) };
        match proof.spend(cx, batch).await {
            Err(error) if error.is(&codes::INVALID_CLIENT) => Err(stranger(cx, Some(&self.app), error).await),
            done => done,
        }
    }

    /// The same for what changes nothing else: a commit of its own, where there is something to use up.
    pub(super) async fn spend_alone(&self, cx: &Context) -> Result<()> {
        loop {
            let mut batch = Batch::new();
            self.spend(cx, &mut batch).await?;
            if batch.is_empty() {
                return Ok(());
            }
            match cx.store.commit(batch).await {
                Ok(_) => return Ok(()),
                // Somebody else has just presented it: that is found at the second look.
                Err(refused) if refused.is_race() => {}
                Err(refused) => return Err(refused.into()),
            }
        }
    }
}

/// What the request says about its sender.
struct Credentials {
    id: String,
    by: By,
}

/// What the sender shows.
enum By {
    /// A secret, in the header or in the form.
    Secret(Secret, AuthMethod),
    /// A token that it signed.
    Assertion(String),
    /// Nothing.
    Name,
}

/// The app that calls. An unknown app and a wrong secret are told alike, and take alike.
pub(super) async fn authenticate(
    cx: &Context,
    keys: &AppKeys,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Client, Box<Failure>> {
    let failure = |error: Error, app: Option<App>| Box::new(Failure { error, app });
    let unknown = || Error::new(&codes::INVALID_CLIENT);
    let Credentials { id, by } = credentials(headers, parameters).map_err(|error| failure(error, None))?;
    let app = match id.parse::<AppId>() {
        Ok(id) => match App::load(&cx.store, id).await {
            Ok(app) => Some(app.value),
            Err(error) if error.is(&codes::NOT_FOUND) => None,
            Err(error) => return Err(failure(error, None)),
        },
        Err(_) => None,
    };
    let known = match (&app, &by) {
        (Some(app), By::Secret(secret, way)) if !app.public => {
            // Compared in any case, so that the time does not tell how an app proves itself.
            app.knows_secret(cx.env.now(), secret.expose()) && takes_secret(app, *way)
        }
        (Some(app), By::Name) => app.public,
        (Some(app), By::Assertion(assertion)) => {
            let proven = client_assertion::verify(cx, keys, app, assertion).await;
            return match (app.clone(), proven) {
                (app, Ok(proof)) => Ok(Client { app, proof: Some(proof) }),
                (app, Err(error)) => Err(failure(error, Some(app))),
            };
        }
        (_, By::Secret(secret, _)) => {
            // The work of a comparison, so that the time does not tell which apps there are.
            let _ = TokenHash::of("").fits(secret.expose());
            false
        }
        (None, By::Assertion(_) | By::Name) => false,
    };
    match app {
        Some(app) if known => Ok(Client { app, proof: None }),
        app => Err(failure(unknown(), app)),
    }
}

/// An app that is registered for one way takes no other.
fn takes_secret(app: &App, way: AuthMethod) -> bool {
    app.auth_method.is_none_or(|registered| registered == way)
}

/// The app that sends a form, and the form. A refusal is told. Errors: `invalid_client`, `invalid_request`.
pub(super) async fn calling(door: &Door, cx: &Context, request: Request) -> Result<(Client, Parameters)> {
    let headers = request.headers().clone();
    let parameters = Parameters::of(read_form(request).await?.iter());
    if let Some(fault) = parameters.fault() {
        return Err(Error::says(&codes::INVALID_REQUEST, fault));
    }
    match authenticate(cx, &door.app_keys, &headers, &parameters).await {
        Ok(client) => Ok((client, parameters)),
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
    let twice = || refused("The app authenticates in two ways at once.");
    let (named, secret) = (parameters.get("client_id"), parameters.get("client_secret"));
    if [named, secret].into_iter().flatten().any(|text| text.len() > LONGEST) {
        return Err(Error::new(&codes::INVALID_CLIENT));
    }
    let mut authorization = headers.get_all(header::AUTHORIZATION).iter();
    let header = authorization.next();
    if authorization.next().is_some() || (header.is_some() && secret.is_some()) {
        return Err(twice());
    }
    if let Some(assertion) = asserted(parameters)? {
        if header.is_some() || secret.is_some() {
            return Err(twice());
        }
        let id = client_assertion::claimed(assertion).ok_or_else(|| Error::new(&codes::INVALID_CLIENT))?;
        // RFC 7521 §4.2: the name may be left out, and must be the same where it is not.
        if named.is_some_and(|named| named != id) {
            return Err(refused("The request names two apps."));
        }
        return Ok(Credentials { id, by: By::Assertion(assertion.to_owned()) });
    }
    let Some(header) = header else {
        let id = named.ok_or_else(|| refused("The request does not say which app it is from."))?.to_owned();
        let by = secret.map_or(By::Name, |secret| By::Secret(Secret::new(secret), AuthMethod::ClientSecretPost));
        return Ok(Credentials { id, by });
    };
    let (id, secret) = header
        .to_str()
        .ok()
        .and_then(basic)
        .ok_or_else(|| refused("The `Authorization` header cannot be read as HTTP Basic."))?;
    if named.is_some_and(|named| named != id) {
        return Err(refused("The request names two apps."));
    }
    Ok(Credentials { id, by: By::Secret(secret, AuthMethod::ClientSecretBasic) })
}

/// The assertion, if there is one of the one type that is served. Errors: `invalid_client`.
fn asserted(parameters: &Parameters) -> Result<Option<&str>> {
    match (parameters.get("client_assertion_type"), parameters.get("client_assertion")) {
        (None, None) => Ok(None),
        (Some(client_assertion::TYPE), Some(assertion)) => Ok(Some(assertion)),
        _ => Err(Error::says(&codes::INVALID_CLIENT, "This way of client authentication is not served.")),
    }
}

/// RFC 7617, both halves encoded like a form on top (RFC 6749 §2.3.1).
fn basic(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > 2 * LONGEST {
        return None;
    }
    let plain = zeroize::Zeroizing::new(STANDARD.decode(encoded.trim()).ok()?);
    let (id, secret) = std::str::from_utf8(&plain).ok()?.split_once(':')?;
    Some((form_decoded(id)?, Secret::new(form_decoded(secret)?)))
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
            let (id, secret) = basic(&format!("bAsIc {}", STANDARD.encode(plain)))?;
            Some((id, secret.expose().to_owned()))
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
