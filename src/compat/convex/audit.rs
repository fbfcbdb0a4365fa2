//! The log.

use serde_json::{Value, json};

use super::arguments::{Arguments, PageWish};
use super::functions::Call;
use crate::compat::{items, present, take};
use crate::error::{Result, codes};
use crate::id::{ConnectionId, OrganizationId};

pub(super) async fn list(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let group: Option<OrganizationId> = given.maybe_id(&["groupId"])?;
    let connection: Option<ConnectionId> = given.maybe_id(&["connectionId"])?;
    let wish = PageWish::of(&mut given)?;
    given.end()?;
    if let Some(id) = connection {
        // A connection that the caller does not see has no log.
        match call.perform_on("connectionId", "connection.get", json!({"id": id})).await {
            // The log has a grant of its own; another organization's connection is not found before grants are looked at.
            Err(error) if !error.is(&codes::MISSING_GRANT) => return Err(error),
            _ => {}
        }
    }
    if wish.over {
        return Ok(PageWish::page(Vec::new(), None));
    }
    let mut page = call
        .perform_on(
            "groupId",
            "audit.list",
            present([
                ("organization", json!(group)),
                ("connection", json!(connection)),
                ("limit", wish.items.into()),
                ("cursor", json!(wish.cursor)),
            ]),
        )
        .await?;
    let next = take(&mut page, "next").as_str().map(str::to_owned);
    Ok(PageWish::page(items(page).into_iter().map(event).collect(), next))
}

/// An event in Convex's words. Whoever works on the machine itself is `system` there.
fn event(mut event: Value) -> Value {
    take(&mut event, "seq");
    let group = take(&mut event, "organizationId");
    if let Some(fields) = event.as_object_mut() {
        if !group.is_null() {
            fields.insert("groupId".to_owned(), group);
        }
        if fields.get("actorType").is_some_and(|kind| kind == "operator") {
            fields.insert("actorType".to_owned(), "system".into());
        }
    }
    event
}
