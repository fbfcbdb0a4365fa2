//! Who calls: by an access token of authd's own API, an API key of the organization, or a token of an issuer that the
//! organization trusts. An id token opens nothing.

use axum::http::{HeaderMap, header};

use super::wire::Door;
use crate::access::Caller;
use crate::error::{Error, Result, codes};
use crate::event::Origin;
use crate::provider::{self, About};
use crate::token::{ApiKey, TokenGrant};

/// A bearer that holds.
pub(super) struct Bearer {
    pub caller: Caller,
    /// What a token of authd was given for.
    pub grant: Option<TokenGrant>,
}

/// `about` is the object that the call names. Errors: `not_signed_in`, `rate_limited`; those of reading a trusted
/// issuer's keys.
pub(super) async fn of(door: &Door, headers: &HeaderMap, origin: Origin, about: About) -> Result<Bearer> {
    let nobody = || Error::new(&codes::NOT_SIGNED_IN);
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(nobody()) };
    let (scheme, bearer) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(nobody)?;
    let bearer = bearer.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || bearer.is_empty() {
        return Err(nobody());
    }
    if ApiKey::looks_like(bearer) {
        let caller = door.app.authenticate(bearer, origin).await?;
        return Ok(Bearer { caller, grant: None });
    }
    let cx = door.app.context(Caller::Anonymous, origin);
    let (caller, grant) = provider::caller_of(&cx, &door.app.keyring, &door.issuers, about, bearer).await?;
    Ok(Bearer { caller, grant })
}
