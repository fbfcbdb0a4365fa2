//! # ops — the operations on apps
//!
//! *Owns* what an app must be to be kept, and how far it may reach.
//! *Gives* `app.create`, `app.get`, `app.list`, `app.update`, `app.rotate_secret`, `app.delete`.
//! *Needs* organizations, epochs, signing keys. *Never* shows a secret but in the answer that made it.

mod change;
mod create;
mod read;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use change::{DeleteApp, RotateAppSecret, UpdateApp};
pub use create::{CreateApp, CreatedApp};
pub use read::{GetApp, ListApps};

use super::client::{App, Kind, Organizations};
use super::redirect_uri;
use crate::access::{Context, Owner};
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::id::{AppId, OrganizationId};
use crate::token::{Algorithm, LONGEST};

/// More return addresses or origins than any app needs.
const MOST: usize = 50;

/// An app as it is shown: without its secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AppView {
    /// Its id, which is its OAuth `client_id`.
    pub client_id: AppId,
    /// Whose it is.
    pub organization: OrganizationId,
    /// What people call it.
    pub name: String,
    /// What it is built as.
    pub kind: Kind,
    /// It keeps no secret.
    pub public: bool,
    /// Where it may be returned to.
    pub redirect_uris: Vec<String>,
    /// Origins whose pages may call the token endpoint.
    pub origins: Vec<String>,
    /// Which organizations people may come from.
    pub organizations: Organizations,
    /// What its tokens are signed with.
    pub alg: Algorithm,
    /// How long its tokens live, in seconds.
    pub token_seconds: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl From<App> for AppView {
    fn from(app: App) -> Self {
        Self {
            client_id: app.id,
            organization: app.organization,
            origins: app.browser_origins(),
            token_seconds: app.token_lifetime().as_secs(),
            name: app.name,
            kind: app.kind,
            public: app.public,
            redirect_uris: app.redirect_uris,
            organizations: app.organizations,
            alg: app.algorithm,
            created_at: app.created_at,
            updated_at: app.updated_at,
        }
    }
}

async fn owner(cx: &Context, id: AppId) -> Result<Owner> {
    Ok(Owner::Organization(App::load(&cx.store, id).await?.organization))
}

fn event(cx: &Context, kind: EventKind, app: &App) -> Event {
    cx.event(kind).within(app.organization).about("app", app.id).with("name", app.name.clone())
}

/// An app reaches no further than whoever registers it sees: another tenant's people would be signed in with it.
async fn allowed(cx: &Context, organizations: &Organizations) -> Result<()> {
    match organizations {
        Organizations::Own => Ok(()),
        Organizations::All if cx.caller.is_operator() => Ok(()),
        Organizations::All => {
            Err(Error::says(&codes::OPERATOR_ONLY, "Only the operator can let an app serve every organization."))
        }
        Organizations::List(list) => {
            for organization in list {
                if !cx.caller.sees(*organization) {
                    return Err(Error::new(&codes::NOT_FOUND));
                }
                Organization::load(&cx.store, *organization).await?;
            }
            Ok(())
        }
    }
}

/// Whether the app can be kept as it is. Errors: `invalid_input`.
fn sound(app: &App) -> Result<()> {
    let wrong = |why: &'static str| Err(Error::says(&codes::INVALID_INPUT, why));
    if app.name.is_empty() || app.name.len() > 200 || app.name.chars().any(char::is_control) {
        return wrong("The name needs 1 to 200 bytes, without control characters.");
    }
    if app.redirect_uris.is_empty() || app.redirect_uris.len() > MOST {
        return wrong("An app has 1 to 50 redirect URIs.");
    }
    if app.origins.len() > MOST {
        return wrong("An app has at most 50 origins.");
    }
    if matches!(&app.organizations, Organizations::List(list) if list.is_empty() || list.len() > 1_000) {
        return wrong("An app serves 1 to 1,000 organizations, or `all`.");
    }
    if app.token_seconds.is_some_and(|seconds| !(60..=LONGEST.as_secs()).contains(&seconds)) {
        return wrong("Tokens live 60 seconds to a day.");
    }
    for uri in &app.redirect_uris {
        redirect_uri::check(app.kind, uri)?;
    }
    app.origins.iter().try_for_each(|origin| redirect_uri::check_origin(origin))
}
