//! Home-realm discovery: which connection a sign-in goes through.

use crate::access::Context;
use crate::connection::{self, Connection};
use crate::directory::{EmailAddress, Organization};
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId};
use crate::provider::Reach;
use crate::store::Query;

/// A page offers at most so many connections.
const MOST_CHOICES: usize = 50;

/// What is known of where the person wants to go.
#[derive(Clone, Debug, Default)]
pub struct Wish<'a> {
    /// A connection by id.
    pub connection: Option<&'a str>,
    /// An organization by id.
    pub organization: Option<&'a str>,
    /// An address, by hint or typed.
    pub email: Option<&'a str>,
    /// The domain of one, where only that is known.
    pub domain: Option<&'a str>,
}

/// Where it goes.
pub enum Routed {
    /// Through this one.
    To(Box<Connection>),
    /// The person must say who they are.
    Ask,
    /// The person must choose.
    Choose(Vec<Connection>),
    /// No connection serves the address's domain.
    Nowhere {
        /// The domain.
        domain: String,
    },
}

/// Decides. Only organizations within `reach` exist here: an address of another one is answered like an unknown one.
/// A domain routes only when it is verified; nothing falls back to "some" connection.
/// Errors: `no_connection`, `connection_disabled`, `organization_disabled`, `profile_invalid`.
pub async fn route(cx: &Context, reach: &Reach, wish: &Wish<'_>) -> Result<Routed> {
    let organization = wish.organization.map(|text| named_organization(reach, text)).transpose()?;
    if let Some(named) = wish.connection {
        let found = named_connection(cx, reach, named, organization).await?;
        return Ok(Routed::To(Box::new(found)));
    }
    let domain = match (wish.email, wish.domain) {
        (Some(email), _) => Some(EmailAddress::parse(email)?.domain),
        (None, Some(domain)) => Some(connection::domain::canonical(domain)?),
        (None, None) => None,
    };
    if let Some(domain) = domain {
        if let Some(found) = by_domain(cx, reach, organization, &domain).await? {
            found.usable()?;
            Organization::open(&cx.store, found.organization).await?;
            return Ok(Routed::To(Box::new(found)));
        }
        if organization.is_none() {
            return Ok(Routed::Nowhere { domain });
        }
    }
    let Some(organization) = organization else { return Ok(Routed::Ask) };
    match Organization::open(&cx.store, organization).await {
        Ok(_) => {}
        Err(error) if error.is(&codes::NOT_FOUND) => return Err(no_organization()),
        Err(error) => return Err(error),
    }
    let mut active = active_of(cx, organization).await?;
    match active.len() {
        0 => Err(Error::says(&codes::NO_CONNECTION, "The organization has no active connection.")),
        1 => Ok(Routed::To(Box::new(active.remove(0)))),
        _ => Ok(Routed::Choose(active)),
    }
}

async fn named_connection(
    cx: &Context,
    reach: &Reach,
    text: &str,
    within: Option<OrganizationId>,
) -> Result<Connection> {
    let none = || Error::says(&codes::NO_CONNECTION, "There is no such connection.");
    let id: ConnectionId = text.parse().map_err(|_| none())?;
    let found = match Connection::load(&cx.store, id).await {
        Ok(found) => found.value,
        Err(error) if error.is(&codes::NOT_FOUND) => return Err(none()),
        Err(error) => return Err(error),
    };
    if !reach.includes(found.organization) || within.is_some_and(|id| id != found.organization) {
        return Err(none());
    }
    found.usable()?;
    Organization::open(&cx.store, found.organization).await?;
    Ok(found)
}

fn named_organization(reach: &Reach, text: &str) -> Result<OrganizationId> {
    let id: OrganizationId = text.parse().map_err(|_| no_organization())?;
    if reach.includes(id) { Ok(id) } else { Err(no_organization()) }
}

fn no_organization() -> Error {
    Error::says(&codes::NO_CONNECTION, "There is no such organization for this app.")
}

/// The connection of the verified domain, if the sign-in may use it.
async fn by_domain(
    cx: &Context,
    reach: &Reach,
    within: Option<OrganizationId>,
    domain: &str,
) -> Result<Option<Connection>> {
    let Some(owner) = connection::domain::owner_of(&cx.store, domain).await? else { return Ok(None) };
    if !reach.includes(owner.organization) || within.is_some_and(|id| id != owner.organization) {
        return Ok(None);
    }
    match Connection::load(&cx.store, owner.connection).await {
        Ok(found) => Ok(Some(found.value)),
        Err(error) if error.is(&codes::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn active_of(cx: &Context, organization: OrganizationId) -> Result<Vec<Connection>> {
    let mut active = Vec::new();
    let mut cursor = None;
    loop {
        let query = Query::by("organization", organization.bytes()).after(cursor);
        let page = cx.store.page::<Connection>(query).await?;
        active.extend(page.items.into_iter().map(|stored| stored.value).filter(|found| found.usable().is_ok()));
        cursor = page.next;
        if cursor.is_none() || active.len() > MOST_CHOICES {
            active.truncate(MOST_CHOICES);
            return Ok(active);
        }
    }
}
