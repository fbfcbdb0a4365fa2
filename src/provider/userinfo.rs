//! `GET` and `POST /userinfo` (OpenID Connect Core §5.3, RFC 6750).

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use serde_json::{Map, Value};

use super::claims;
use super::client::App;
use super::http::Door;
use super::parameters::Parameters;
use crate::access::Context;
use crate::access::bearer::{self, Holder};
use crate::error::{Error, Kind, Result, codes};
use crate::governance::admitted;
use crate::http::extract::read_form;
use crate::http::{RequestInfo, reply};
use crate::token::{self, Keyring};

/// What a form calls itself.
const FORM: &[u8] = b"application/x-www-form-urlencoded";

pub(super) async fn answer(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    let cx = door.context(&info);
    let answered = async {
        let token = brought(request).await?;
        reply::json(StatusCode::OK, &person(&cx, &door.keyring, &token).await?)
    };
    match answered.await {
        Ok(response) => response,
        Err(error) => {
            let told = refused(&cx, &error).await;
            reply::bearer_error(told.as_ref().err().unwrap_or(&error), info.id)
        }
    }
}

/// A token that is refused is an event; a request without any is not worth one.
async fn refused(cx: &Context, error: &Error) -> Result<()> {
    if error.is(&codes::INVALID_TOKEN) {
        bearer::refused(cx, error).await?;
    }
    Ok(())
}

/// The token, from the header or, for POST, from a form; in one place only, and never from the address
/// (RFC 6750 §2, §5.3). Errors: `not_signed_in` when there is none.
async fn brought(request: Request) -> Result<String> {
    let twice = || Error::says(&codes::INVALID_REQUEST, "The token came more than once.");
    let mut authorization = request.headers().get_all(header::AUTHORIZATION).iter();
    let mut token = None;
    if let Some(value) = authorization.next() {
        let read = value.to_str().ok().and_then(|text| text.split_once(' '));
        let (_, text) = read
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .ok_or_else(|| Error::says(&codes::INVALID_TOKEN, "The `Authorization` header is not a bearer's."))?;
        token = Some(text.trim().to_owned());
    }
    if authorization.next().is_some() {
        return Err(twice());
    }
    let form = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(FORM));
    if request.method() == Method::POST && form {
        let form = read_form(request).await?;
        let parameters = Parameters::of(form.iter());
        if parameters.repeats("access_token") || (token.is_some() && parameters.get("access_token").is_some()) {
            return Err(twice());
        }
        token = token.or_else(|| parameters.get("access_token").map(str::to_owned));
    }
    token.ok_or_else(|| Error::new(&codes::NOT_SIGNED_IN))
}

/// The claims of the person that an access token of an app is about. Errors: `invalid_token`, `missing_grant` when
/// it was not given for `openid`.
async fn person(cx: &Context, keyring: &Keyring, token: &str) -> Result<Map<String, Value>> {
    let invalid = || Error::new(&codes::INVALID_TOKEN);
    let gone = |error: Error| match error.kind() {
        Kind::Unavailable | Kind::Bug => error,
        _ => invalid().because(error),
    };
    let checked = token::verify(cx, keyring, token).await?;
    let (Some(app), Some(user)) = (checked.grant.app, checked.grant.user) else { return Err(invalid()) };
    let app = App::load(&cx.store, app).await.map_err(gone)?;
    // The grant and the token must say the same: one signature key serves every app and every organization.
    let same = checked.typ == app.access_token_type().name()
        && checked.text("aud") == Some(app.audience.as_deref().unwrap_or(&app.id.to_string()))
        && checked.text("sub") == Some(&*user.to_string())
        && checked.text("org_id") == Some(&*checked.grant.organization.to_string());
    if !same || !app.reach().includes(checked.grant.organization) {
        return Err(invalid());
    }
    // What the token itself says: a refreshed one may have been narrowed.
    let says: Vec<&str> = checked.text("scope").unwrap_or_default().split(' ').collect();
    let scope: Vec<String> = checked.grant.scope.iter().filter(|scope| says.contains(&&***scope)).cloned().collect();
    if !scope.iter().any(|scope| scope == "openid") {
        return Err(Error::says(&codes::MISSING_GRANT, "The token was not given for the scope `openid`."));
    }
    let organization = checked.grant.organization;
    let member = admitted(&cx.store, organization, user, checked.grant.epochs.via())
        .await
        .map_err(|error| gone(Holder::person(error, organization, Some(user))))?;
    let mut claims = Map::new();
    claims.insert("sub".into(), user.to_string().into());
    claims.insert("org_id".into(), checked.grant.organization.to_string().into());
    claims.extend(claims::named(&checked.grant.claims, &app, &member));
    claims.extend(claims::person(&scope, &member));
    claims.extend(claims::own(&app, &member));
    Ok(claims)
}
