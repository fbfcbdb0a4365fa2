//! Whether a session answers an app's request as it stands (OpenID Connect Core §3.1.2.1, §3.1.2.6, §5.5.1.1).

use std::time::Duration;

use crate::access::Context;
use crate::directory::{EmailAddress, Membership};
use crate::env::Timestamp;
use crate::error::Result;
use crate::governance::admitted;
use crate::provider::App;
use crate::provider::authorize::AuthorizeRequest;
use crate::session::Session;

/// No connection allows a provider's clock to be off by more.
const MOST_SKEW: Duration = Duration::from_secs(300);

/// What a browser's session is to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It answers the request.
    Fits,
    /// There is none that counts: nobody is signed in, it is too old, or the app means somebody or somewhere else.
    Absent,
    /// The person is signed in, but not to the organization that the app wants, and belongs to that one, too.
    Elsewhere,
    /// The person is signed in, but not as strongly as the app must have it.
    TooWeak,
}

impl Standing {
    /// What an app that may not show anything is told.
    pub fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::Fits | Self::Absent => ("login_required", "The person has to sign in."),
            Self::Elsewhere => ("account_selection_required", "The person has to choose another account."),
            Self::TooWeak => ("interaction_required", "The person has to sign in by a stronger method."),
        }
    }
}

/// Looks.
pub async fn of(cx: &Context, request: &AuthorizeRequest, session: &Session) -> Result<Standing> {
    let app = App::load(&cx.store, request.app).await?;
    if request.forces_login() || request.forces_choice() || request.means_another_than(session.user) {
        return Ok(Standing::Absent);
    }
    let age = cx.env.now().since(session.auth_time).as_secs();
    if request.max_age.is_some_and(|max| max == 0 || age >= max) {
        return Ok(Standing::Absent);
    }
    let Ok(member) = admitted(&cx.store, session.organization, session.user, session.via()).await else {
        return Ok(Standing::Absent);
    };
    let folded = |text: &str| EmailAddress::parse(text).ok().map(|email| email.folded);
    let hinted = request.login_hint.as_deref().and_then(folded);
    if hinted.is_some() && hinted != member.email.as_deref().and_then(folded) {
        return Ok(Standing::Absent);
    }
    let organization = request.organization.as_ref().is_none_or(|id| *id == session.organization.to_string());
    let came_by = session.connection.map(|id| id.to_string());
    let connection = request.connection.as_ref().is_none_or(|id| Some(id) == came_by.as_ref());
    // The operator's link stands for every connection of the organization: they may all be down.
    let connection = connection || session.break_glass.is_some();
    if !organization && belongs(cx, &app, request, session).await {
        return Ok(Standing::Elsewhere);
    }
    if !organization || !connection || !app.reach().includes(session.organization) {
        return Ok(Standing::Absent);
    }
    Ok(if request.content_with(session.acr.as_deref()) { Standing::Fits } else { Standing::TooWeak })
}

/// Whether the person has an account in the organization that the app wants, and may have it there.
async fn belongs(cx: &Context, app: &App, request: &AuthorizeRequest, session: &Session) -> bool {
    let wanted = request.organization.as_ref().and_then(|id| id.parse().ok());
    let Some(wanted) = wanted.filter(|id| app.reach().includes(*id)) else { return false };
    Membership::active(&cx.store, wanted, session.user).await.is_ok()
}

/// What a sign-in that has just ended lacks of what the app asked for; it was sent upstream at `began`.
/// Nothing may pass for fresh, for strong or for the person meant that is not.
pub fn lacks(request: &AuthorizeRequest, session: &Session, began: Timestamp) -> Option<(&'static str, &'static str)> {
    if request.means_another_than(session.user) {
        return Some(("login_required", "Somebody else has signed in than the app meant."));
    }
    let oldest = match request.max_age {
        _ if request.forces_login() => Some(began),
        Some(max) => Some(began - Duration::from_secs(max)),
        None => None,
    };
    if oldest.is_some_and(|oldest| session.auth_time < oldest - MOST_SKEW) {
        return Some(("login_required", "The identity provider has not asked the person to sign in anew."));
    }
    if !request.content_with(session.acr.as_deref()) {
        return Some((
            "unmet_authentication_requirements",
            "The person could not sign in by the method that is needed.",
        ));
    }
    None
}
