//! Webhook endpoints and what was sent to them.

use serde_json::{Value, json};

use super::arguments::{Arguments, PageWish, wrong};
use super::functions::Call;
use crate::compat::{items, present, take, text};
use crate::env::Timestamp;
use crate::error::Result;
use crate::id::{ConnectionId, EndpointId, OrganizationId};

const ENDPOINT: &[&str] = &["endpointId", "id"];

/// An endpoint in Convex's words.
fn endpoint(mut view: Value) -> Value {
    let made = text(&view, "createdAt").parse::<Timestamp>().map_or(0, Timestamp::millis);
    let (id, group) = (take(&mut view, "id"), take(&mut view, "organization"));
    let connection = take(&mut view, "connection");
    if let Some(fields) = view.as_object_mut() {
        fields.insert("_id".to_owned(), id.clone());
        fields.insert("endpointId".to_owned(), id);
        fields.insert("_creationTime".to_owned(), made.into());
        fields.insert("groupId".to_owned(), group);
        if !connection.is_null() {
            fields.insert("connectionId".to_owned(), connection);
        }
    }
    view
}

fn delivery(mut view: Value) -> Value {
    let (id, endpoint, event) = (take(&mut view, "id"), take(&mut view, "endpoint"), take(&mut view, "event"));
    if let Some(fields) = view.as_object_mut() {
        fields.insert("_id".to_owned(), id.clone());
        fields.insert("deliveryId".to_owned(), id);
        fields.insert("endpointId".to_owned(), endpoint);
        fields.insert("eventId".to_owned(), event);
    }
    view
}

pub(super) async fn create(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let connection: ConnectionId = given.id(&["connectionId"])?;
    let url = given.filled("url")?;
    let secret = given.maybe_text("secret")?;
    let subscriptions = match given.any("subscriptions") {
        None => None,
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => Some(items),
        Some(_) => return Err(wrong("subscriptions", "is a list of texts")),
    };
    given.end()?;
    let input = present([
        ("connection", json!(connection)),
        ("url", url.into()),
        ("secret", json!(secret)),
        ("subscriptions", json!(subscriptions)),
    ]);
    call.perform_on("connectionId", "webhook.create", input).await.map(endpoint)
}

/// A page, or all of them where none was asked for.
fn told(wished: bool, rows: Vec<Value>, next: Option<String>) -> Value {
    if wished { PageWish::page(rows, next) } else { Value::Array(rows) }
}

pub(super) async fn list(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let connection: Option<ConnectionId> = given.maybe_id(&["connectionId"])?;
    let group: Option<OrganizationId> = given.maybe_id(&["groupId"])?;
    let wish = PageWish::maybe(&mut given)?;
    given.end()?;
    if wish.as_ref().is_some_and(|wish| wish.over) {
        return Ok(PageWish::page(Vec::new(), None));
    }
    let input = present([
        ("organization", json!(group)),
        ("connection", json!(connection)),
        ("limit", wish.as_ref().map_or(1_000, |wish| wish.items).into()),
        ("cursor", json!(wish.as_ref().and_then(|wish| wish.cursor.clone()))),
    ]);
    let about = if connection.is_some() { "connectionId" } else { "groupId" };
    let mut page = call.perform_on(about, "webhook.list", input).await?;
    let next = take(&mut page, "next").as_str().map(str::to_owned);
    Ok(told(wish.is_some(), items(page).into_iter().map(endpoint).collect(), next))
}

pub(super) async fn disable(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: EndpointId = given.id(ENDPOINT)?;
    given.end()?;
    call.perform_on("endpointId", "webhook.disable", json!({"id": id})).await?;
    Ok(json!({"endpointId": id}))
}

/// Between the endpoint that a page ended in and the place there.
const JOINT: char = '~';

pub(super) async fn deliveries(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let one: Option<EndpointId> = given.maybe_id(ENDPOINT)?;
    let connection: Option<ConnectionId> = given.maybe_id(&["connectionId"])?;
    let wish = PageWish::maybe(&mut given)?;
    given.end()?;
    let endpoints: Vec<String> = match (one, connection) {
        (Some(id), _) => vec![id.to_string()],
        (None, Some(connection)) => {
            let page = call
                .perform_on("connectionId", "webhook.list", json!({"connection": connection, "limit": 1_000}))
                .await?;
            items(page).iter().map(|view| text(view, "id").to_owned()).collect()
        }
        (None, None) => return Err(wrong("endpointId", "is missing; `connectionId` means all of its endpoints")),
    };
    if wish.as_ref().is_some_and(|wish| wish.over) {
        return Ok(PageWish::page(Vec::new(), None));
    }
    let most = wish.as_ref().map_or(1_000, |wish| wish.items);
    let cursor = wish.as_ref().and_then(|wish| wish.cursor.clone());
    let (mut at, mut within) = match &cursor {
        None => (0, None),
        Some(cursor) => {
            let broken = || wrong("paginationOpts.cursor", "is not one of ours");
            let (endpoint, place) = cursor.split_once(JOINT).ok_or_else(broken)?;
            let at = endpoints.iter().position(|id| id == endpoint).ok_or_else(broken)?;
            (at, (!place.is_empty()).then(|| place.to_owned()))
        }
    };
    let mut rows = Vec::new();
    while let Some(id) = endpoints.get(at) {
        if rows.len() >= most {
            return Ok(told(wish.is_some(), rows, Some(format!("{id}{JOINT}"))));
        }
        let input = present([
            ("endpoint", id.clone().into()),
            ("limit", (most - rows.len()).into()),
            ("cursor", json!(within.take())),
        ]);
        let mut page = call.perform_on("endpointId", "delivery.list", input).await?;
        let next = take(&mut page, "next");
        rows.extend(items(page).into_iter().map(delivery));
        match next {
            Value::String(next) => return Ok(told(wish.is_some(), rows, Some(format!("{id}{JOINT}{next}")))),
            _ => at += 1,
        }
    }
    Ok(told(wish.is_some(), rows, None))
}
