//! Somebody becomes known before their first sign-in.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::update::{named, pictured};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, RoleName, Route, give};
use crate::connection::Connection;
use crate::directory::{Field, Fields, Orders, PersonProposal, Source, UserView, provision_person};
use crate::error::{Error, Result, codes};
use crate::governance::facts_of_administrators;
use crate::id::{ConnectionId, OrganizationId};
use crate::store::Batch;

/// Make a person known before they first sign in. Whoever first signs in with that address becomes them, if the
/// address is verified and in a domain that the connection has proven; nobody else does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreateUser {
    /// The organization that they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// Their address; unique within the organization.
    pub email: String,
    /// The name to show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// First name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Last name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// A picture's https URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Roles in authd. Nobody can give what they do not hold.
    #[schemars(extend("x-flag" = "role"))]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<RoleName>,
    /// The connection that they are expected to come through; left out, the first one to prove the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
}

#[async_trait]
impl Operation for CreateUser {
    type Seen = ();
    type Output = UserView;
    const NAME: &'static str = "user.create";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/users" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        crate::directory::Organization::load(&cx.store, organization).await?;
        for role in &self.roles {
            give(cx, organization, role, batch).await?;
        }
        if let Some(connection) = self.connection {
            own_connection(cx, organization, connection).await?;
        }
        let mut fields = Fields::none().set(Field::Email, &self.email);
        for (field, value) in
            [(Field::Name, &self.name), (Field::GivenName, &self.given_name), (Field::FamilyName, &self.family_name)]
        {
            if let Some(value) = value {
                fields = fields.set(field, named(value)?);
            }
        }
        if let Some(image) = &self.image {
            fields = fields.set(Field::Image, pictured(image)?);
        }
        let proposal = PersonProposal {
            fields,
            orders: Orders {
                roles: Some(self.roles.iter().cloned().collect()),
                expected: self.connection,
                ..Orders::default()
            },
            ..PersonProposal::of(Source::Admin)
        };
        let facts = facts_of_administrators(cx, organization).await?;
        let done = provision_person(cx, proposal, &facts, batch).await.map_err(|error| {
            if error.is(&codes::TAKEN) {
                Error::says(&codes::TAKEN, "Another person of the organization has this e-mail address.").because(error)
            } else {
                error
            }
        })?;
        Ok(done.membership.into())
    }
}

/// A connection of another organization does not exist here. Errors: `not_found`.
pub(super) async fn own_connection(cx: &Context, organization: OrganizationId, id: ConnectionId) -> Result<()> {
    let connection = Connection::load(&cx.store, id).await?;
    if connection.organization == organization { Ok(()) } else { Err(Error::new(&codes::NOT_FOUND)) }
}
