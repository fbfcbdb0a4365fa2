//! The list of an organization's people: searched, filtered and sorted by indexes.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::UserView;
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, RoleName, Route};
use crate::directory::listing;
use crate::directory::{Membership, Status};
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId};
use crate::store::{Batch, Query};

/// What a list of people can be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UserSort {
    /// The name, without regard to case and accents; the address where there is none.
    Name,
    /// The address.
    Email,
    /// When they became a member.
    Created,
    /// When they were last changed.
    Updated,
}

impl UserSort {
    fn index(self) -> &'static str {
        match self {
            Self::Name => listing::BY_NAME,
            Self::Email => listing::BY_EMAIL,
            Self::Created => listing::CREATED,
            Self::Updated => listing::UPDATED,
        }
    }
}

/// In which direction a list is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The smallest, or oldest, first.
    #[default]
    Asc,
    /// The greatest, or newest, first.
    Desc,
}

/// List the people of an organization. Filters and the search narrow the list together. A page that would take too
/// long to fill is shorter, and has a `next` all the same.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListUsers {
    /// The organization. To search, filter or sort, it must be known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Only people with these words in their name or address; each word may be cut short (`ada love`). Case and
    /// accents do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<String>,
    /// Only people of this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// Only people with this role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<RoleName>,
    /// Only people whom this connection brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// What the list is sorted by; by the person's id unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<UserSort>,
    /// In which direction; `asc` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Direction>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListUsers {
    type Seen = ();
    type Output = Pages<UserView>;
    const NAME: &'static str = "user.list";
    const ACCESS: Access = Access::Grant(Grant::UserRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/users" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(cx.narrowed(self.organization).map_or(Owner::Deployment, Owner::Organization))
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let query = match cx.narrowed(self.organization) {
            Some(organization) => match self.within(organization)? {
                Some(query) => query,
                None => return Ok(Pages { items: Vec::new(), next: None }),
            },
            None if self.is_narrowed() => {
                return Err(Error::says(
                    &codes::INVALID_INPUT,
                    "People are searched, filtered and sorted by organization.",
                )
                .help("Name it: `--org org_…` (`organization` in JSON)."));
            }
            None => Query::all(),
        };
        let query = if self.order == Some(Direction::Desc) { query.newest_first() } else { query };
        let query = self.paging.page(query)?;
        Ok(Pages::of(cx.store.page::<Membership>(query).await?, UserView::from))
    }
}

impl ListUsers {
    fn is_narrowed(&self) -> bool {
        self.search.is_some()
            || self.status.is_some()
            || self.role.is_some()
            || self.connection.is_some()
            || self.sort.is_some()
    }

    /// The list within an organization; `None` when what is sought has no word that anybody could have.
    fn within(&self, organization: OrganizationId) -> Result<Option<Query>> {
        let mut query = match self.sort {
            Some(sort) => Query::starting(sort.index(), organization.bytes()),
            None => Query::by("organization", organization.bytes()),
        };
        if let Some(text) = self.search.as_deref().filter(|text| !text.trim().is_empty()) {
            let words = listing::sought(text);
            if text.len() > 200 || words.len() > 8 {
                return Err(Error::says(&codes::INVALID_INPUT, "A search has at most 8 words and 200 bytes."));
            }
            if words.is_empty() {
                return Ok(None);
            }
            for word in words {
                query = query.with_starting(listing::SEARCH, listing::within(organization, word));
            }
        }
        if let Some(status) = self.status {
            query = query.with(listing::STATUS, listing::status(organization, status));
        }
        if let Some(role) = &self.role {
            query = query.with(listing::ROLE, listing::role(organization, role));
        }
        if let Some(connection) = self.connection {
            query = query.with(listing::SOURCE, listing::source(organization, connection));
        }
        Ok(Some(query))
    }
}
