//! The person whom a code or a refresh token was given for, as they are now.

use crate::access::Context;
use crate::directory::Membership;
use crate::error::{Error, Kind, Result, codes};
use crate::governance::admitted;
use crate::id::{OrganizationId, UserId};
use crate::session::Epochs;

/// The person, if they may still be here in the way they came. `epochs` are those of what was given.
/// Errors: `invalid_grant`.
pub(super) async fn of(
    cx: &Context,
    organization: OrganizationId,
    user: UserId,
    epochs: &Epochs,
) -> Result<Membership> {
    match admitted(&cx.store, organization, user, epochs.via()).await {
        Ok(member) => Ok(member.value),
        Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Bug) => Err(error),
        Err(error) => {
            let why = if error.is(&codes::SSO_REQUIRED) {
                codes::SSO_REQUIRED.message
            } else {
                "The access that this was given under has ended."
            };
            Err(Error::says(&codes::INVALID_GRANT, why).because(error))
        }
    }
}
