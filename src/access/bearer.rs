//! A bearer that opens nothing: how often an address may bring one, and the event of it.

use super::caller::Caller;
use super::context::Context;
use super::grant::Grants;
use super::refusal;
use super::throttle::{self, Rule};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{OrganizationId, UserId};
use crate::store::Batch;

/// Who holds a bearer that is genuine and opens nothing all the same, since their organization demands another way in. It
/// is the cause of the error that refuses them, so that the event says who it was.
#[derive(Clone, Debug)]
pub struct Holder(Caller);

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the bearer is genuine, and the organization demands another way in")
    }
}

impl std::error::Error for Holder {}

impl Holder {
    /// Names the holder in an error that refuses a genuine bearer; every other error stays as it is.
    pub fn named(error: Error, caller: Caller) -> Error {
        if error.is(&codes::SSO_REQUIRED) { error.because(Self(caller)) } else { error }
    }

    /// The same of a person, or of somebody whom the organization does not know.
    pub fn person(error: Error, organization: OrganizationId, user: Option<UserId>) -> Error {
        Self::named(error, Caller::User { id: user, organization, grants: Grants::none() })
    }
}

/// Counts by its address a bearer that opens nothing, and tells of it: one event, of a flood a few. The code of the event is
/// what was wrong in particular, which its bearer is not told. Errors: `rate_limited`.
pub async fn refused(cx: &Context, error: &Error) -> Result<()> {
    let causes = || std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let holder = causes().find_map(|cause| cause.downcast_ref::<Holder>());
    let code = causes().find_map(|cause| cause.downcast_ref::<Error>()).map_or(error.code(), Error::code);
    let cx = Context { caller: holder.map_or(&cx.caller, |holder| &holder.0).clone(), ..cx.clone() };
    throttle::check(&cx, Rule::Bearer, throttle::address(&cx)).await?;
    let mut batch = Batch::new();
    throttle::count(&cx, Rule::Bearer, throttle::address(&cx), &mut batch).await?;
    let mut event = cx.event(EventKind::TokenRefused).failed(code);
    if let Some(organization) = cx.caller.organization() {
        event = event.within(organization);
    }
    if let Some(user) = cx.caller.person() {
        event = event.about("user", user);
    }
    refusal::tell(&cx, event, &mut batch).await?;
    cx.store.commit(batch).await?;
    Ok(())
}
