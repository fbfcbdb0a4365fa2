//! What the browser brings back, before anything of it is used (RFC 6749 §4.1.2, RFC 9207).

use super::config::Config;
use super::discovery::Metadata;
use super::{require, shown};
use crate::connection::protocol::{Answer, Checks};
use crate::error::{Error, Result, codes};

const MAX_CODE: usize = 2048;

/// The answer must be of the provider that was asked: the code of one provider, brought to another, is how a mix-up
/// steals it. `iss` must be there when the provider announces it, and be the issuer whenever it is there.
/// Errors: `issuer_mismatch`.
pub(super) fn issuer(answer: &Answer, config: &Config, known: Option<&Metadata>, checks: &mut Checks) -> Result<()> {
    let expected = match known {
        Some(metadata) => metadata.issuer.as_str(),
        // Nothing is known yet, and the document may spell it with a slash: asked again when it is known.
        None if !config.security.strict() => return Ok(()),
        None => config.discovery.expected_issuer()?,
    };
    match answer.parameters.get("iss") {
        Some(iss) => require(checks, "iss_parameter", iss == expected, expected, iss, &codes::ISSUER_MISMATCH),
        None if !answer.by_app && known.is_some_and(|metadata| metadata.names_issuer) => {
            require(checks, "iss_parameter", false, expected, "(absent)", &codes::ISSUER_MISMATCH)
        }
        None => Ok(()),
    }
}

/// The provider says no. Its words are for the trace. Errors: `upstream_denied`.
pub(super) fn denial(answer: &Answer, checks: &mut Checks) -> Result<()> {
    let Some(error) = answer.parameters.get("error") else { return Ok(()) };
    let words = match answer.parameters.get("error_description") {
        Some(description) => format!("{error}: {description}"),
        None => error.clone(),
    };
    checks.compare("answer", false, "a code", shown(&words));
    Err(Error::new(&codes::UPSTREAM_DENIED).because(shown(&words)))
}

/// The code: printable ASCII, at most 2 KiB. Errors: `invalid_request`.
pub(super) fn code<'a>(answer: &'a Answer, checks: &mut Checks) -> Result<&'a str> {
    let fits =
        |code: &&String| (1..=MAX_CODE).contains(&code.len()) && code.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    let code = answer.parameters.get("code").filter(fits);
    checks.state("code", code.is_some());
    code.map(String::as_str).ok_or_else(|| Error::new(&codes::INVALID_REQUEST).because("the answer has no code"))
}
