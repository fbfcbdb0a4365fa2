//! Whose API an app may have access tokens made for.

use super::super::client::{AUDIENCE, App};
use crate::access::Context;
use crate::crypto::sha256;
use crate::error::{Error, Result, codes};
use crate::id::AppId;
use crate::store::Query;
use crate::token::api_audience;

/// An API takes whatever is signed here for its audience. So nobody but the operator has tokens made for the audience of
/// another organization's app, nor for that app itself; and nobody at all for authd's own.
/// Errors: `invalid_input`, `taken`.
pub(super) async fn own_audience(cx: &Context, app: &App) -> Result<()> {
    let Some(audience) = &app.audience else { return Ok(()) };
    let bare = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
    let url = &cx.deployment.public_url;
    let ours = [url.issuer().to_owned(), api_audience(url)];
    if ours.iter().any(|own| bare(own) == bare(audience)) {
        return Err(Error::says(&codes::INVALID_INPUT, "That audience is authd's own."));
    }
    if cx.caller.is_operator() || *audience == app.id.to_string() {
        return Ok(());
    }
    if let Ok(id) = audience.parse::<AppId>() {
        return match App::load(&cx.store, id).await {
            Ok(named) if named.organization == app.organization => Ok(()),
            Err(error) if !error.is(&codes::NOT_FOUND) => Err(error),
            _ => {
                Err(Error::says(&codes::INVALID_INPUT, "The audience is the client id of no app of the organization."))
            }
        };
    }
    if is_elsewhere(cx, app, audience).await? {
        return Err(Error::says(&codes::TAKEN, "An app of another organization goes by this audience.")
            .help("Name an address of your own API; the operator can share one between organizations."));
    }
    Ok(())
}

/// Whether an app of another organization has its tokens made for the audience.
async fn is_elsewhere(cx: &Context, app: &App, audience: &str) -> Result<bool> {
    let mut query = Query::by(AUDIENCE, sha256(&[audience.as_bytes()])).limit(1_000);
    loop {
        let page = cx.store.page::<App>(query.clone()).await?;
        if page.items.iter().any(|other| other.organization != app.organization) {
            return Ok(true);
        }
        if page.next.is_none() {
            return Ok(false);
        }
        query = query.after(page.next);
    }
}
