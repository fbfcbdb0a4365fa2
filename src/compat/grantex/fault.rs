//! Errors in the SDK's words: `{message, code, reason, requestId}`.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use crate::error::{Code, Error, Kind, codes};
use crate::http::reply;
use crate::id::RequestId;

/// Where an error leaves: what is refused is the caller's input, or somebody's sign-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/v1/…`, and where a sign-in begins.
    Calling,
    /// `/sso/callback/…`
    SigningIn,
}

/// What an app hands over wrongly, and not the provider or the person: it is no sign-in that is refused.
const MALFORMED: &[&Code] = &[
    &codes::INVALID_INPUT,
    &codes::UNKNOWN_FIELD,
    &codes::INVALID_REQUEST,
    &codes::UNSUPPORTED_MEDIA_TYPE,
    &codes::METHOD_NOT_ALLOWED,
    &codes::STATE_MISMATCH,
    &codes::FLOW_MISMATCH,
    &codes::ATTEMPT_EXPIRED,
    &codes::REDIRECT_URI_MISMATCH,
    &codes::CONNECTION_NOT_READY,
    &codes::CONFIG_INVALID,
    &codes::METADATA_INVALID,
    &codes::URL_NOT_ALLOWED,
    &codes::OUTBOUND_NOT_ALLOWED,
];

/// Who could not be asked.
const UNREACHED: &[&Code] = &[&codes::LDAP_UNAVAILABLE, &codes::LDAP_TLS_REQUIRED, &codes::LDAP_REFERRAL];
/// What the key may not.
const POWERLESS: &[&Code] = &[&codes::MISSING_GRANT, &codes::GRANT_EXCEEDS_CALLER, &codes::OPERATOR_ONLY];

/// Status and code of an error there.
pub(super) fn of(error: &Error, place: Place) -> (StatusCode, &'static str) {
    let among = |list: &[&'static Code]| list.iter().any(|code| error.is(code));
    let signing_in = place == Place::SigningIn;
    match error.kind() {
        Kind::Unauthenticated if error.is(&codes::NOT_SIGNED_IN) => (StatusCode::UNAUTHORIZED, "UNAUTHORIZED"),
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "SSO_AUTH_FAILED"),
        Kind::Forbidden if among(POWERLESS) => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        Kind::Forbidden if signing_in => (StatusCode::UNAUTHORIZED, "SSO_AUTH_FAILED"),
        // A connection or an organization that is switched off is none.
        Kind::Forbidden if error.is(&codes::CONNECTION_DISABLED) || error.is(&codes::ORGANIZATION_DISABLED) => {
            (StatusCode::NOT_FOUND, "NOT_FOUND")
        }
        Kind::Forbidden => (StatusCode::FORBIDDEN, "FORBIDDEN"),
        Kind::Invalid if signing_in && !among(MALFORMED) => (StatusCode::UNAUTHORIZED, "SSO_AUTH_FAILED"),
        Kind::Invalid => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        Kind::Missing => (StatusCode::NOT_FOUND, "NOT_FOUND"),
        // The step that is missing is the caller's to take.
        Kind::Conflict if error.code() == "enforcement_unsafe" => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
        Kind::Conflict | Kind::Stale => (StatusCode::CONFLICT, "CONFLICT"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "BAD_REQUEST"),
        Kind::TooMany => (StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED"),
        Kind::Upstream => (StatusCode::BAD_GATEWAY, "SSO_ERROR"),
        Kind::Unavailable if among(UNREACHED) => (StatusCode::BAD_GATEWAY, "SSO_ERROR"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE"),
        Kind::Bug => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
    }
}

/// What authd calls the SDK's fields where it refuses one.
const WORDS: &[(&str, &str)] = &[
    ("discovery.issuer", "issuerUrl"),
    ("client.id", "clientId"),
    ("client.secret", "clientSecret"),
    ("metadata.url", "metadataUrl"),
    ("metadata.entityId", "idpEntityId"),
    ("metadata.ssoUrl", "idpSsoUrl"),
    ("metadata.certificate", "idpCertificate"),
    ("serviceProvider.entityId", "spEntityId"),
    ("serviceProvider.acsUrl", "spAcsUrl"),
    ("servers.urls", "ldapUrl"),
    ("servers.startTls", "ldapTlsEnabled"),
    ("bind.dn", "ldapBindDn"),
    ("bind.password", "ldapBindPassword"),
    ("users.base", "ldapSearchBase"),
    ("users.filter", "ldapSearchFilter"),
    ("groups.base", "ldapGroupSearchBase"),
    ("groups.filter", "ldapGroupSearchFilter"),
    ("scopeMapping", "groupMappings"),
    ("profile.mapping", "attributeMapping"),
    ("profile.extraFields", "attributeMapping"),
];

/// A sentence with the SDK's names of fields.
fn in_its_words(text: &str) -> String {
    WORDS.iter().fold(text.to_owned(), |text, (own, its)| text.replace(&format!("`{own}"), &format!("`{its}")))
}

/// The answer. `reason` is authd's own code.
pub(super) fn answer(error: &Error, place: Place, id: RequestId) -> Response {
    reply::log(error, id);
    let (status, code) = of(error, place);
    let message = match (error.kind(), error.next_step()) {
        (Kind::Bug, _) | (_, None) => error.message().to_owned(),
        (_, Some(help)) => format!("{} {help}", error.message()),
    };
    let body = json!({"message": in_its_words(&message), "code": code, "reason": error.code(), "requestId": id});
    match reply::json(status, &body) {
        Ok(response) => reply::retry_after(response, error),
        Err(error) => reply::problem(&error, id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_as_the_sdk_names_it() {
        let says = in_its_words("`servers.urls` cannot have `x`. `scopeMapping.staff`: expected a sequence.");
        assert_eq!(says, "`ldapUrl` cannot have `x`. `groupMappings.staff`: expected a sequence.");
        assert_eq!(in_its_words("Nothing of the kind."), "Nothing of the kind.");
    }

    #[test]
    fn every_code_has_the_status_that_the_vocabulary_says() {
        for (code, place, status, name) in [
            (&codes::NOT_SIGNED_IN, Place::Calling, 401, "UNAUTHORIZED"),
            (&codes::NOT_SIGNED_IN, Place::SigningIn, 401, "UNAUTHORIZED"),
            (&codes::STATE_MISMATCH, Place::SigningIn, 400, "BAD_REQUEST"),
            (&codes::TOKEN_SIGNATURE, Place::SigningIn, 401, "SSO_AUTH_FAILED"),
            (&codes::SAML_AUDIENCE, Place::SigningIn, 401, "SSO_AUTH_FAILED"),
            (&codes::CODE_REFUSED, Place::SigningIn, 401, "SSO_AUTH_FAILED"),
            (&codes::INVALID_CREDENTIALS, Place::SigningIn, 401, "SSO_AUTH_FAILED"),
            (&codes::NOT_A_MEMBER, Place::SigningIn, 401, "SSO_AUTH_FAILED"),
            (&codes::MISSING_GRANT, Place::SigningIn, 403, "FORBIDDEN"),
            (&codes::UPSTREAM_UNAVAILABLE, Place::SigningIn, 502, "SSO_ERROR"),
            (&codes::LDAP_UNAVAILABLE, Place::SigningIn, 502, "SSO_ERROR"),
            (&codes::STORAGE_FULL, Place::SigningIn, 503, "SERVICE_UNAVAILABLE"),
            (&codes::NO_CONNECTION, Place::Calling, 404, "NOT_FOUND"),
            (&codes::CONNECTION_DISABLED, Place::Calling, 404, "NOT_FOUND"),
            (&codes::METADATA_INVALID, Place::Calling, 400, "BAD_REQUEST"),
            (&codes::TAKEN, Place::Calling, 409, "CONFLICT"),
            (&codes::RATE_LIMITED, Place::Calling, 429, "RATE_LIMITED"),
        ] {
            let (had, said) = of(&Error::new(code), place);
            assert_eq!((had.as_u16(), said), (status, name), "{} {place:?}", code.name);
        }
    }
}
