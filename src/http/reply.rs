//! Answers: JSON, pages, redirects, and the two shapes of a refusal (RFC 9457 and RFC 6749).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::json;

use super::headers::{framing_policy, page_policy};
use crate::crypto::sha256;
use crate::error::{Error, Kind, Result, codes};
use crate::id::RequestId;

/// The HTTP status of an error at a machine's door (`/v1`).
pub fn status(error: &Error) -> StatusCode {
    // Understood, and complete, but what it asks for cannot be configured so.
    const UNPROCESSABLE: &[&crate::error::Code] = &[
        &codes::URL_NOT_ALLOWED,
        &codes::OUTBOUND_NOT_ALLOWED,
        &codes::ISSUER_MULTI_TENANT,
        &codes::ISSUER_MISMATCH,
        &codes::METADATA_INVALID,
        &codes::DOMAIN_INVALID,
        &codes::DOMAIN_NOT_PROVED,
        &codes::CONNECTION_NOT_READY,
        &codes::CONFIG_INVALID,
    ];
    match error.kind() {
        Kind::Invalid if error.is(&codes::METHOD_NOT_ALLOWED) => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Invalid if error.is(&codes::UNSUPPORTED_MEDIA_TYPE) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Invalid if error.is(&codes::HOST_NOT_SERVED) => StatusCode::MISDIRECTED_REQUEST,
        Kind::Invalid if UNPROCESSABLE.iter().any(|code| error.is(code)) => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::Missing => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Kind::Upstream | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The HTTP status of an error on a page: as at `/v1`, but nothing is "unprocessable" about a browser's visit, and a
/// failing upstream makes us a bad gateway.
pub fn page_status(error: &Error) -> StatusCode {
    match (error.kind(), status(error)) {
        (Kind::Upstream, _) => StatusCode::BAD_GATEWAY,
        (_, StatusCode::UNPROCESSABLE_ENTITY) => StatusCode::BAD_REQUEST,
        (_, status) => status,
    }
}

/// RFC 9110 §10.2.3: whole seconds, at least one, where it is known when another try makes sense.
pub fn retry_after(mut response: Response, error: &Error) -> Response {
    if let Some(wait) = error.wait() {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        if let Ok(value) = HeaderValue::try_from(seconds.to_string()) {
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
    }
    response
}

/// Writes an error to the log, with its cause, once, at the door where it leaves.
pub fn log(error: &Error, id: RequestId) {
    let line = error.log_line();
    match error.kind() {
        Kind::Bug | Kind::Unavailable => tracing::error!(request_id = %id, code = error.code(), "{line}"),
        Kind::Upstream => tracing::warn!(request_id = %id, code = error.code(), "{line}"),
        _ => tracing::info!(request_id = %id, code = error.code(), "{line}"),
    }
}

/// `application/problem+json` (RFC 9457): `type`, `title`, `status`, `detail`, `code`, `help`, `requestId`.
pub fn problem(error: &Error, id: RequestId) -> Response {
    log(error, id);
    let status = status(error);
    let title = codes::ALL.iter().find(|code| error.is(code)).map_or("", |code| code.message);
    let mut body = json!({
        "type": format!("urn:authd:error:{}", error.code()),
        "title": title,
        "status": status.as_u16(),
        "detail": error.message(),
        "code": error.code(),
        "requestId": id,
    });
    if let (Some(help), Some(body)) = (error.next_step(), body.as_object_mut()) {
        body.insert("help".to_owned(), help.into());
    }
    let mut response = bytes(status, "application/problem+json", body.to_string());
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §11.6.1: a 401 names what would do.
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    retry_after(response, error)
}

/// JSON, not to be cached.
pub fn json(status: StatusCode, body: &impl Serialize) -> Result<Response> {
    Ok(bytes(status, "application/json", serde_json::to_string(body).map_err(Error::bug)?))
}

/// Metadata of SAML.
pub fn saml_metadata(xml: String) -> Response {
    bytes(StatusCode::OK, "application/samlmetadata+xml", xml)
}

/// A page, with the content security policy of pages; `form_targets` as in `headers::page_policy`.
pub fn html<'a>(status: StatusCode, page: String, form_targets: impl IntoIterator<Item = &'a str>) -> Response {
    let mut response = bytes(status, "text/html; charset=utf-8", page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, page_policy(form_targets));
    response
}

/// A page that opens these addresses in frames, and may do nothing else.
pub fn framing_html(status: StatusCode, page: String, frames: &[String]) -> Response {
    let mut response = bytes(status, "text/html; charset=utf-8", page);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, framing_policy(frames));
    response
}

/// The one script that ever runs on a page of ours.
const PRESS: &str = "document.forms[0].submit()";

/// A page whose one form is sent by itself to one of `targets`, and may end there by redirects (OAuth 2.0 Form Post Response
/// Mode §2). The policy lets that one script run, by its hash, and nothing else; without it the person presses the button.
pub fn form_post(page: &str, targets: &[&str]) -> Result<Response> {
    let page = page.replacen("</body>", &format!("<script>{PRESS}</script>\n</body>"), 1);
    let mut response = html(StatusCode::OK, page, targets.iter().copied());
    let policy = page_policy(targets.iter().copied());
    let policy = policy.to_str().map_err(Error::bug)?;
    let policy = format!("{policy}; script-src 'sha256-{}'", STANDARD.encode(sha256(&[PRESS.as_bytes()])));
    let policy = HeaderValue::try_from(policy).map_err(Error::bug)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}

/// 303: after a form, and wherever the method must become GET. Errors: `internal_error` for what is no address.
pub fn see_other(location: &str) -> Result<Response> {
    redirect(StatusCode::SEE_OTHER, location)
}

/// 302, as RFC 6749 has it in its examples; for answers to GET.
pub fn found(location: &str) -> Result<Response> {
    redirect(StatusCode::FOUND, location)
}

fn redirect(status: StatusCode, location: &str) -> Result<Response> {
    let location = HeaderValue::from_str(location).map_err(Error::bug)?;
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, location);
    no_store(response.headers_mut());
    Ok(response)
}

/// For what everyone may keep for `seconds`: key sets, discovery documents.
pub fn cacheable(mut response: Response, seconds: u32) -> Response {
    if let Ok(value) = HeaderValue::try_from(format!("public, max-age={seconds}")) {
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

/// RFC 6749 §5.1: neither the answer nor an old cache's copy is kept.
pub fn no_store(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

/// The error name that RFC 6749, OpenID Connect Core or RFC 6750 has for an error.
pub fn oauth_name(error: &Error) -> &'static str {
    const NAMES: &[&crate::error::Code] = &[
        &codes::INVALID_REQUEST,
        &codes::INVALID_CLIENT,
        &codes::UNAUTHORIZED_CLIENT,
        &codes::INVALID_GRANT,
        &codes::INVALID_SCOPE,
        &codes::INVALID_TOKEN,
        &codes::UNSUPPORTED_GRANT_TYPE,
        &codes::UNSUPPORTED_RESPONSE_TYPE,
        &codes::LOGIN_REQUIRED,
        &codes::CONSENT_REQUIRED,
        &codes::ACCESS_DENIED,
        &codes::AUTHORIZATION_PENDING,
        &codes::SLOW_DOWN,
        &codes::EXPIRED_TOKEN,
    ];
    match NAMES.iter().find(|code| error.is(code)) {
        Some(code) => code.name,
        None => match error.kind() {
            Kind::Forbidden => "access_denied",
            Kind::Unauthenticated => "invalid_client",
            Kind::TooMany | Kind::Upstream | Kind::Unavailable => "temporarily_unavailable",
            Kind::Bug => "server_error",
            _ => "invalid_request",
        },
    }
}

/// The JSON of RFC 6749 §5.2, as the token endpoint answers. `basic`: the app authenticated by the `Authorization` header,
/// so that a 401 must name that scheme.
pub fn oauth_error(error: &Error, id: RequestId, basic: bool) -> Response {
    log(error, id);
    let name = oauth_name(error);
    let status = match (name, error.kind()) {
        ("invalid_client", _) => StatusCode::UNAUTHORIZED,
        (_, Kind::TooLarge | Kind::TooMany | Kind::Unavailable | Kind::Upstream | Kind::Bug) => status(error),
        _ if error.is(&codes::UNSUPPORTED_MEDIA_TYPE) => status(error),
        _ => StatusCode::BAD_REQUEST,
    };
    let body = json!({ "error": name, "error_description": describable(error.message()), "request_id": id });
    let mut response = bytes(status, "application/json", body.to_string());
    if status == StatusCode::UNAUTHORIZED && basic {
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"authd\", charset=\"UTF-8\""));
    }
    retry_after(response, error)
}

/// RFC 6750 §3: how a resource (`/userinfo`) refuses a token. Without a token at all (`not_signed_in`) it names no error.
pub fn bearer_error(error: &Error, id: RequestId) -> Response {
    let mut response = problem(error, id);
    let name = match error.kind() {
        Kind::Unauthenticated if error.is(&codes::NOT_SIGNED_IN) => None,
        Kind::Unauthenticated => Some("invalid_token"),
        Kind::Forbidden => Some("insufficient_scope"),
        Kind::Invalid => Some("invalid_request"),
        _ => return response,
    };
    let challenge = match name {
        Some(name) => format!("Bearer error=\"{name}\", error_description=\"{}\"", describable(error.message())),
        None => "Bearer".to_owned(),
    };
    if let Ok(value) = HeaderValue::try_from(challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
    }
    response
}

/// RFC 6749 §5.2: `error_description` has no quotes, no backslash, nothing outside printable ASCII.
fn describable(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '`' => '\'',
            ' '..='~' if c != '\\' => c,
            _ => '?',
        })
        .collect()
}

fn bytes(status: StatusCode, content_type: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    no_store(response.headers_mut());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::Env;

    async fn text(response: Response) -> String {
        let body = super::super::limits::read(response.into_body(), 65536).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[test]
    fn every_code_has_a_status_of_its_kind() {
        for code in codes::ALL {
            let error = Error::new(code);
            let (api, page) = (status(&error).as_u16(), page_status(&error).as_u16());
            match code.kind {
                Kind::Bug | Kind::Unavailable => assert!(api >= 500 && page >= 500, "{}", code.name),
                Kind::Upstream => assert_eq!((api, page), (503, 502), "{}", code.name),
                _ => assert!((400..500).contains(&api) && (400..500).contains(&page), "{}", code.name),
            }
        }
        for (code, expected) in [
            (&codes::OUTBOUND_NOT_ALLOWED, 422),
            (&codes::URL_NOT_ALLOWED, 422),
            (&codes::INVALID_INPUT, 400),
            (&codes::HOST_NOT_SERVED, 421),
            (&codes::UNSUPPORTED_MEDIA_TYPE, 415),
            (&codes::METHOD_NOT_ALLOWED, 405),
            (&codes::STALE, 412),
            (&codes::TOO_LARGE, 413),
            (&codes::CSRF, 403),
        ] {
            assert_eq!(status(&Error::new(code)).as_u16(), expected, "{}", code.name);
        }
    }

    #[tokio::test]
    async fn a_problem_says_what_may_be_said_and_no_more() {
        let id = RequestId::new(&Env::frozen());
        let response = problem(&Error::new(&codes::STORAGE_FULL).because("ENOSPC /var/lib/authd"), id);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let text = text(response).await;
        assert!(!text.contains("ENOSPC"));
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["code"], "storage_full");
        assert_eq!(body["type"], "urn:authd:error:storage_full");
        assert_eq!(body["status"], 503);
        assert_eq!(body["requestId"], id.to_string());
        assert!(body["help"].as_str().unwrap().contains("Free some space"));
    }

    #[tokio::test]
    async fn oauth_errors_keep_to_their_grammar() {
        let id = RequestId::new(&Env::frozen());
        let refused =
            oauth_error(&Error::says(&codes::INVALID_CLIENT, "The \"app\" \\ is unknown — really."), id, true);
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
        assert!(refused.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().starts_with("Basic"));
        assert_eq!(refused.headers()[header::PRAGMA], "no-cache");
        let body: serde_json::Value = serde_json::from_str(&text(refused).await).unwrap();
        assert_eq!(body["error"], "invalid_client");
        assert_eq!(body["error_description"], "The 'app' ? is unknown ? really.");
        for (code, name, status) in [
            (&codes::INVALID_GRANT, "invalid_grant", 400),
            (&codes::CSRF, "access_denied", 400),
            (&codes::BUG, "server_error", 500),
            (&codes::STORAGE_FULL, "temporarily_unavailable", 503),
            (&codes::TOO_LARGE, "invalid_request", 413),
        ] {
            let refused = oauth_error(&Error::new(code), id, false);
            assert_eq!((oauth_name(&Error::new(code)), refused.status().as_u16()), (name, status), "{}", code.name);
        }
    }

    #[test]
    fn a_bearer_challenge_names_the_error_only_when_a_token_came() {
        let id = RequestId::new(&Env::frozen());
        let challenge =
            |code| bearer_error(&Error::new(code), id).headers()[header::WWW_AUTHENTICATE].to_str().unwrap().to_owned();
        assert_eq!(challenge(&codes::NOT_SIGNED_IN), "Bearer");
        assert!(challenge(&codes::INVALID_TOKEN).starts_with("Bearer error=\"invalid_token\""));
    }

    #[test]
    fn a_location_with_a_line_break_is_no_redirect() {
        assert!(see_other("https://app.example/\r\nSet-Cookie: x").is_err());
        assert_eq!(see_other("https://app.example/cb").unwrap().status(), StatusCode::SEE_OTHER);
    }
}
