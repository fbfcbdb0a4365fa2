//! The sealed ticket in the sign-in form: what the app asked, carried by the page instead of the store.
//!
//! Anybody can ask for a sign-in page, so showing one writes nothing. The ticket opens only with the master key, for
//! the browser that it was made for, and for an hour; it is the form's CSRF token at the same time.

use std::time::Duration;

use super::attempt::Intent;
use crate::access::Context;
use crate::crypto::{Sealed, TokenHash, base64url, from_base64url};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

const PLACE: &str = "signin/ticket";
/// How long a form is taken that nobody says otherwise of.
pub(super) const LIFETIME: Duration = Duration::from_secs(3600);

/// A ticket.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct Ticket {
    /// What the sign-in is for.
    #[n(0)]
    pub intent: Intent,
    /// The browser it was made for.
    #[n(1)]
    pub browser: TokenHash,
    /// When.
    #[n(2)]
    pub made_at: Timestamp,
    /// Through which connection, once that is known: the form for name and password is that one's.
    #[n(3)]
    pub connection: Option<ConnectionId>,
}

impl Ticket {
    /// As the form carries it.
    pub fn seal(&self, cx: &Context) -> Result<String> {
        seal(cx, PLACE, self)
    }

    /// Opens what a form brought. Errors: `csrf` for what is no ticket of ours, `flow_mismatch` for another browser's,
    /// `attempt_expired`.
    pub fn open(cx: &Context, text: &str, browser: Option<TokenHash>) -> Result<Self> {
        let ticket: Self = open(cx, PLACE, text)?;
        if browser != Some(ticket.browser) {
            return Err(Error::new(&codes::FLOW_MISMATCH));
        }
        in_time(cx, ticket.made_at, LIFETIME)?;
        Ok(ticket)
    }
}

/// Seals what a form carries, for one place among our forms.
pub(super) fn seal(cx: &Context, place: &str, what: &impl minicbor::Encode<()>) -> Result<String> {
    let plain = minicbor::to_vec(what).map_err(|e| Error::bug(e.to_string()))?;
    let sealed = cx.deployment.master_key.seal(&cx.env, place, &plain)?;
    Ok(base64url(&minicbor::to_vec(sealed).map_err(|e| Error::bug(e.to_string()))?))
}

/// Opens what a form of that place brought. Errors: `csrf` for what was not sealed here for it.
pub(super) fn open<T: for<'b> minicbor::Decode<'b, ()>>(cx: &Context, place: &str, text: &str) -> Result<T> {
    let foreign = || Error::new(&codes::CSRF);
    let bytes = from_base64url(text).ok_or_else(foreign)?;
    let sealed: Sealed = minicbor::decode(&bytes).map_err(|_| foreign())?;
    let plain = cx.deployment.master_key.open(place, &sealed).map_err(|_| foreign())?;
    minicbor::decode(&plain).map_err(|_| foreign())
}

/// Whether a form is still to be taken. Errors: `attempt_expired`.
pub(super) fn in_time(cx: &Context, made_at: Timestamp, lifetime: Duration) -> Result<()> {
    let now = cx.env.now();
    if made_at + lifetime <= now || made_at.is_ahead_of(now) {
        return Err(Error::new(&codes::ATTEMPT_EXPIRED));
    }
    Ok(())
}
