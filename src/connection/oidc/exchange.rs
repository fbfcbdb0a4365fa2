//! The code's redemption at the token endpoint (RFC 6749 §4.1.3, OpenID Connect Core §3.1.3).

use axum::http::header;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::begin::Kept;
use super::config::{AuthMethod, Config, not_ready, secret_place};
use super::discovery::Metadata;
use super::shown;
use crate::access::Context;
use crate::connection::protocol::Checks;
use crate::crypto::{Secret, json};
use crate::env::{Request, Response};
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

const MAX_ANSWER: usize = 128 * 1024;
const MAX_ACCESS_TOKEN: usize = 16 * 1024;

/// What the provider gave for the code.
pub(super) struct Tokens {
    pub id_token: String,
    pub access_token: Option<Secret>,
}

/// The method of client authentication: the one configured, or else one that the provider takes; `basic` where it
/// names none (OpenID Connect Discovery §3). Errors: `connection_not_ready`.
pub(super) fn method(config: &Config, metadata: &Metadata) -> Result<AuthMethod> {
    if let Some(method) = config.client.auth_method {
        return Ok(method);
    }
    let Some(taken) = &metadata.auth_methods else { return Ok(AuthMethod::ClientSecretBasic) };
    [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost]
        .into_iter()
        .find(|method| taken.iter().any(|name| name == method.name()))
        .ok_or_else(|| unserved(taken))
}

fn unserved(taken: &[String]) -> Error {
    let list = taken.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", ");
    let says =
        format!("The provider takes no client secret, but: {}.", if list.is_empty() { "nothing" } else { &list });
    Error::says(&codes::CONNECTION_NOT_READY, says)
        .help("Let it take one (`client_secret_basic`, `client_secret_post`), or set `client.authMethod` to `none` for a client that has none.")
}

/// Redeems the code. Errors: `code_refused`, `upstream_client_refused`, `upstream_unavailable`, `upstream_invalid`,
/// `connection_not_ready`.
pub(super) async fn redeem(
    cx: &Context,
    connection: ConnectionId,
    config: &Config,
    metadata: &Metadata,
    code: &str,
    kept: &Kept,
    checks: &mut Checks,
) -> Result<Tokens> {
    let client = config.client_id()?;
    let method = method(config, metadata)?;
    let secret = match (&method, &config.client.secret) {
        (AuthMethod::None, _) => None,
        (AuthMethod::PrivateKeyJwt, _) => return Err(not_ready("`private_key_jwt` is not served yet.")),
        (_, Some(sealed)) => Some(cx.deployment.master_key.open_secret(&secret_place(connection), sealed)?),
        (_, None) => return Err(not_ready("The connection has no client secret.")),
    };
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", kept.redirect_uri.as_str()),
        ("code_verifier", kept.verifier.as_str()),
    ];
    let basic = method == AuthMethod::ClientSecretBasic;
    if !basic {
        fields.push(("client_id", client));
    }
    if let (false, Some(secret)) = (basic, &secret) {
        fields.push(("client_secret", secret.expose()));
    }
    let mut request =
        Request::post_form(metadata.token_endpoint.clone(), &fields).header(header::ACCEPT, "application/json");
    if let (true, Some(secret)) = (basic, &secret) {
        request = request.header(header::AUTHORIZATION, &basic_credentials(client, secret));
    }
    request.max_bytes = MAX_ANSWER;
    let answer = match cx.env.outbound().send(request).await {
        Ok(answer) => answer,
        Err(error) => {
            checks.compare("token_endpoint", false, "an answer", error.code());
            return Err(error);
        }
    };
    let hidden: Vec<&str> =
        [Some(code), Some(kept.verifier.as_str()), secret.as_ref().map(Secret::expose)].into_iter().flatten().collect();
    read(&answer, &hidden, checks)
}

/// RFC 6749 §2.3.1: both parts are encoded as a form does before they are joined.
fn basic_credentials(client: &str, secret: &Secret) -> Zeroizing<String> {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encoded(client), encoded(secret.expose())));
    Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())))
}

fn read(answer: &Response, hidden: &[&str], checks: &mut Checks) -> Result<Tokens> {
    let fields = json::object(&answer.body);
    if answer.status != 200 {
        return Err(refusal(answer, fields.as_ref(), hidden, checks));
    }
    let invalid = |checks: &mut Checks, why: &'static str| {
        checks.compare("token_endpoint", false, "tokens", why);
        Error::new(&codes::UPSTREAM_INVALID).because(why)
    };
    let Some(fields) = fields else { return Err(invalid(checks, "no JSON object")) };
    let Some(id_token) = fields.get("id_token").and_then(Value::as_str) else {
        return Err(invalid(checks, "no id_token"));
    };
    let access_token = match fields.get("access_token") {
        None | Some(Value::Null) => None,
        // It will stand in a header.
        Some(Value::String(token))
            if (1..=MAX_ACCESS_TOKEN).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Some(Secret::new(token.as_str()))
        }
        Some(_) => return Err(invalid(checks, "an access token that cannot be one")),
    };
    let bearer = fields
        .get("token_type")
        .is_none_or(|kind| kind.as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("bearer")));
    if !bearer {
        return Err(invalid(checks, "a token type other than Bearer"));
    }
    checks.pass("token_endpoint", "tokens");
    Ok(Tokens { id_token: id_token.to_owned(), access_token })
}

/// The provider said no (RFC 6749 §5.2). What it said stands in the trace alone, without what is secret in it.
fn refusal(answer: &Response, fields: Option<&Map<String, Value>>, hidden: &[&str], checks: &mut Checks) -> Error {
    let status = answer.status;
    let text = |name: &str| fields.and_then(|fields| fields.get(name)).and_then(Value::as_str);
    let error = text("error");
    let mut words = match error {
        Some(error) => format!("{status} {error}"),
        None => {
            let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            format!("{status}, without an error code ({})", kind.unwrap_or("no content type"))
        }
    };
    if let Some(description) = text("error_description") {
        words = format!("{words}: {description}");
    }
    for secret in hidden {
        words = words.replace(secret, "…");
    }
    let words = shown(words.trim());
    checks.compare("token_endpoint", false, "tokens", &words);
    let code = match (status, error) {
        (_, Some("invalid_grant")) => &codes::CODE_REFUSED,
        (_, Some("invalid_client" | "unauthorized_client")) | (401 | 403, _) => &codes::UPSTREAM_CLIENT_REFUSED,
        (429 | 500..=599, _) => &codes::UPSTREAM_UNAVAILABLE,
        _ => &codes::UPSTREAM_INVALID,
    };
    Error::new(code).because(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_encoded_as_a_form_first() {
        let made = basic_credentials("id with:colon", &Secret::new("p%s+w&ö"));
        let plain = STANDARD.decode(made.strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!(plain, b"id+with%3Acolon:p%25s%2Bw%26%C3%B6");
    }

    #[test]
    fn a_refusal_hides_what_is_secret_and_tells_codes_apart() {
        let answer = |status: u16, body: &str| {
            let mut checks = Checks::new();
            let body = body.as_bytes().to_vec();
            let response = Response { status, headers: axum::http::HeaderMap::new(), body };
            let error = read(&response, &["s3cret"], &mut checks).err().unwrap();
            (error, format!("{:?}", checks.rows()))
        };
        let (error, trace) = answer(400, r#"{"error":"invalid_grant","error_description":"code s3cret \u001b[31m"}"#);
        assert!(error.is(&codes::CODE_REFUSED));
        assert!(trace.contains("invalid_grant") && !trace.contains("s3cret") && !trace.contains('\u{1b}'));
        assert!(!error.message().contains("invalid_grant"));
        for (status, body, code) in [
            (401, r#"{"error":"invalid_client"}"#, &codes::UPSTREAM_CLIENT_REFUSED),
            (401, "no", &codes::UPSTREAM_CLIENT_REFUSED),
            (400, r#"{"error":"invalid_request"}"#, &codes::UPSTREAM_INVALID),
            (302, "", &codes::UPSTREAM_INVALID),
            (503, "", &codes::UPSTREAM_UNAVAILABLE),
            (200, "[]", &codes::UPSTREAM_INVALID),
            (200, r#"{"access_token":"x"}"#, &codes::UPSTREAM_INVALID),
            (200, r#"{"id_token":"x","access_token":"a b"}"#, &codes::UPSTREAM_INVALID),
            (200, r#"{"id_token":"x","token_type":"DPoP"}"#, &codes::UPSTREAM_INVALID),
            (200, r#"{"id_token":"x","id_token":"y"}"#, &codes::UPSTREAM_INVALID),
        ] {
            assert!(answer(status, body).0.is(code), "{status} {body}");
        }
    }
}
