//! Connections.

use serde_json::{Map, Value, json};

use super::arguments::{Arguments, PageWish, wrong};
use super::functions::Call;
use super::protocols;
use crate::compat::{items, present, take, text};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId};

const PROTOCOLS: &[&str] = &["oidc", "saml", "ldap"];
const STATUSES: &[&str] = &["draft", "active", "disabled"];
const ORDERS: &[&str] = &["asc", "desc"];
const ORDERED_BY: &[&str] = &["_creationTime", "name", "slug", "status", "protocol"];
/// What the patch of a connection may have besides its status.
const PATCHED: &[&str] =
    &["name", "slug", "jit", "defaultRole", "groupMapping", "roleMapping", "scopeMapping", "defaultScopes"];
/// The names that a connection's id goes by.
pub(super) const CONNECTION: &[&str] = &["connectionId", "id"];
const ID: &[&str] = &["id", "connectionId"];

/// A connection in Convex's words.
fn document(mut view: Value) -> Value {
    let saml = protocols::saml_words(take(&mut view, "saml"));
    let others = ["oidc", "ldap"].iter().map(|name| take(&mut view, name));
    let config = std::iter::once(saml).chain(others).find(|config| !config.is_null());
    let made = text(&view, "createdAt").parse::<Timestamp>().map_or(0, Timestamp::millis);
    present([
        ("_id", take(&mut view, "id")),
        ("_creationTime", made.into()),
        ("groupId", take(&mut view, "organization")),
        ("slug", take(&mut view, "slug")),
        ("name", take(&mut view, "name")),
        ("protocol", take(&mut view, "protocol")),
        ("status", take(&mut view, "status")),
        ("config", config.unwrap_or_default()),
    ])
}

pub(super) async fn create(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let group: OrganizationId = given.id(&["groupId"])?;
    let protocol = given.choice("protocol", PROTOCOLS)?;
    let name = given.maybe_filled("name")?;
    let slug = given.maybe_filled("slug")?;
    let status = given.maybe_choice("status", STATUSES)?;
    let domain = given.maybe_filled("domain")?;
    given.end()?;
    let active = (status == Some("active")).then_some(true);
    let name = name.or_else(|| slug.clone()).or_else(|| domain.clone()).unwrap_or_else(|| protocol.to_uppercase());
    let made = call
        .perform_on(
            "groupId",
            "connection.create",
            present([
                ("organization", json!(group)),
                ("protocol", protocol.into()),
                ("name", name.into()),
                ("slug", json!(slug)),
                ("domains", json!(domain.map(|domain| [domain]))),
                ("activate", active.into()),
                ("disabled", (status == Some("disabled")).then_some(true).into()),
                // What it needs is set by the next calls; until then nobody can sign in through it.
                ("unconfigured", active.into()),
            ]),
        )
        .await
        // The client gave one, and no list.
        .map_err(|error| match error.is(&codes::DOMAIN_INVALID) {
            true => error.saying("`domain` is not a domain name that can be claimed."),
            false => error,
        })?;
    Ok(json!({"connectionId": text(&made, "id"), "groupId": group}))
}

pub(super) async fn get(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: Option<ConnectionId> = given.id_or_none(ID)?;
    given.end()?;
    let Some(id) = id else { return Ok(Value::Null) };
    match call.perform("connection.get", json!({"id": id})).await {
        Ok(view) => Ok(document(view)),
        Err(error) if error.is(&codes::NOT_FOUND) => Ok(Value::Null),
        Err(error) => Err(error),
    }
}

/// Every connection of an organization; of the caller's own where none is named.
async fn all(call: &Call<'_>, group: Option<OrganizationId>, status: Option<&str>) -> Result<Vec<Value>> {
    let (mut found, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let page = present([
            ("organization", json!(group)),
            ("status", json!(status)),
            ("limit", 1_000.into()),
            ("cursor", cursor),
        ]);
        let mut page = call.perform_on("where.groupId", "connection.list", page).await?;
        cursor = take(&mut page, "next");
        found.extend(items(page));
        if cursor.is_null() {
            return Ok(found);
        }
    }
}

pub(super) async fn by_domain(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let asked = given.filled("domain")?;
    given.end()?;
    let name = crate::connection::domain::canonical(&asked)
        .map_err(|error| error.saying("`domain` is not the name of a domain."))?;
    let mut best: Option<(Value, Value)> = None;
    for view in all(call, None, None).await? {
        let domains = view.get("domains").and_then(Value::as_array).cloned().unwrap_or_default();
        let Some(domain) = domains.into_iter().find(|domain| text(domain, "domain") == name) else { continue };
        let proved = domain["verified"] == true;
        // Of several claims the one that is proved.
        if proved || best.is_none() {
            best = Some((view, domain));
        }
        if proved {
            break;
        }
    }
    Ok(match best {
        Some((view, domain)) => json!({"connection": document(view), "domain": domain}),
        None => Value::Null,
    })
}

pub(super) async fn list(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let mut meant = given.object(&["where"])?;
    let group: OrganizationId = meant.id(&["groupId"])?;
    let slug = meant.maybe_text("slug")?;
    let status = meant.maybe_choice("status", STATUSES)?;
    meant.end()?;
    let wish = PageWish::of(&mut given)?;
    let by = given.maybe_choice("orderBy", ORDERED_BY)?.unwrap_or("_creationTime");
    let newest_first = given.maybe_choice("order", ORDERS)? == Some("desc");
    given.end()?;
    let mut rows: Vec<(String, String, Value)> = all(call, Some(group), status)
        .await?
        .into_iter()
        .filter(|view| slug.as_deref().is_none_or(|slug| text(view, "slug") == slug))
        .map(|view| {
            // Ids are made in the order of time.
            let id = text(&view, "id").to_owned();
            let key = if by == "_creationTime" { String::new() } else { text(&view, by).to_lowercase() };
            (key, id, view)
        })
        .collect();
    rows.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    if newest_first {
        rows.reverse();
    }
    if wish.over {
        return Ok(PageWish::page(Vec::new(), None));
    }
    let from = match &wish.cursor {
        None => 0,
        Some(cursor) => {
            let (key, id) = place(cursor)?;
            let passed = |row: &(String, String, Value)| {
                let order = (&row.0, &row.1).cmp(&(&key, &id));
                if newest_first { order.is_ge() } else { order.is_le() }
            };
            rows.iter().take_while(|row| passed(row)).count()
        }
    };
    let next = rows.get(from..).filter(|rest| rest.len() > wish.items).and_then(|rest| rest.get(wish.items - 1));
    let next = next.map(|(key, id, _)| crate::crypto::base64url(json!([key, id]).to_string().as_bytes()));
    let page = rows.into_iter().skip(from).take(wish.items).map(|(_, _, view)| document(view)).collect();
    Ok(PageWish::page(page, next))
}

/// The row that a page ended with.
fn place(cursor: &str) -> Result<(String, String)> {
    crate::crypto::from_base64url(cursor)
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .ok_or_else(|| wrong("paginationOpts.cursor", "is not one of ours"))
}

/// First what the connection is, then whether it is on: what cannot be switched on stays changed, and says why.
pub(super) async fn update(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(ID)?;
    let mut patch = given.object(&["patch", "data"])?;
    given.end()?;
    let status = patch.maybe_choice("status", STATUSES)?;
    patch.only(PATCHED)?;
    let mut fields: Map<String, Value> = patch.rest();
    if fields.is_empty() && status.is_none() {
        return Err(Error::says(&codes::INVALID_INPUT, "`patch` has nothing to change.")
            .help(format!("It may have: status, {}.", PATCHED.join(", "))));
    }
    if !fields.is_empty() {
        fields.insert("id".to_owned(), json!(id));
        call.perform_on("id", "connection.update", Value::Object(fields)).await?;
    }
    match status {
        Some("active") => drop(call.perform_on("id", "connection.activate", json!({"id": id})).await?),
        Some("disabled") => drop(call.perform_on("id", "connection.disable", json!({"id": id})).await?),
        Some(_) => drop(call.perform_on("id", "connection.disable", json!({"id": id, "draft": true})).await?),
        None => {}
    }
    Ok(json!({"connectionId": id}))
}

pub(super) async fn delete(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(ID)?;
    given.end()?;
    call.perform_on("id", "connection.delete", json!({"id": id})).await?;
    Ok(json!({"connectionId": id}))
}

pub(super) async fn status(call: &Call<'_>, mut given: Arguments) -> Result<Value> {
    let id: ConnectionId = given.id(CONNECTION)?;
    given.end()?;
    call.perform_on("connectionId", "connection.status", json!({"id": id})).await
}
