//! By which identities a person signs in, and an administrator's word about them.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::create::own_connection;
use super::target::{member, owner, within_reach};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Pages, Paging, Route};
use crate::directory::{
    Identity, IdentitySource, Membership, PersonProposal, Source, Statement, Status, provision_person,
};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::governance::facts_of_administrators;
use crate::id::{ConnectionId, IssuerId, OrganizationId, UserId};
use crate::session::{Scope, bump};
use crate::store::{Batch, Query, Record as _, Stored};

/// An identity as it is shown.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IdentityView {
    /// The connection that it is of; absent for a trusted issuer's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The trusted issuer that it is of; absent for a connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<IssuerId>,
    /// The source's own identifier of the person.
    pub subject: String,
    /// Whose it is.
    pub user: UserId,
    /// In which organization.
    pub organization: OrganizationId,
    /// When it was linked.
    pub created_at: Timestamp,
}

impl From<Identity> for IdentityView {
    fn from(identity: Identity) -> Self {
        Self {
            connection: identity.source.connection(),
            issuer: identity.source.issuer(),
            subject: identity.subject,
            user: identity.user,
            organization: identity.organization,
            created_at: identity.created_at,
        }
    }
}

/// List the identities by which a person signs in.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListIdentities {
    /// The person.
    pub user: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub paging: Paging,
}

#[async_trait]
impl Operation for ListIdentities {
    type Seen = ();
    type Output = Pages<IdentityView>;
    const NAME: &'static str = "identity.list";
    const ACCESS: Access = Access::Grant(Grant::UserRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/users/{user}/identities" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.user, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let member = member(cx, self.user, self.organization).await?;
        let query = self.paging.page(Query::by("user", self.user.bytes()))?;
        let mut page = cx.store.page::<Identity>(query).await?;
        // Another tenant's identities of the same person are not this one's to see.
        page.items.retain(|identity| identity.organization == member.organization);
        Ok(Pages::of(page, IdentityView::from))
    }
}

/// Link an identity of a connection to a person: whoever signs in with it is that person from now on.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkIdentity {
    /// The person.
    pub user: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection.
    pub connection: ConnectionId,
    /// The source's own identifier; of OpenID Connect `issuer|sub`, as `authd identity list` shows it.
    pub subject: String,
}

#[async_trait]
impl Operation for LinkIdentity {
    type Seen = ();
    type Output = IdentityView;
    const NAME: &'static str = "identity.link";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/users/{user}/identities" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.user, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let member = stored(cx, self.user, self.organization).await?;
        // Whoever holds the identity acts as the person.
        within_reach(cx, &member).await?;
        own_connection(cx, member.organization, self.connection).await?;
        let printable = !self.subject.chars().any(char::is_control);
        if self.subject.is_empty() || self.subject.len() > 1_000 || !printable {
            return Err(Error::says(
                &codes::INVALID_INPUT,
                "A subject has 1 to 1,000 bytes, without control characters.",
            ));
        }
        if matches!(member.status, Status::Suspended | Status::Deprovisioned) {
            return Err(Error::new(&codes::PERSON_DISABLED));
        }
        let source = IdentitySource::Connection(self.connection);
        let key = Identity::key_of(source, &self.subject);
        if let Some(known) = cx.store.get::<Identity>(key).await? {
            let own = known.user == member.user && known.organization == member.organization;
            let taken = || {
                Error::says(&codes::TAKEN, "The identity is another person's.")
                    .help("Unlink it there first: `authd identity unlink`.")
            };
            return if own { Ok(known.value.into()) } else { Err(taken()) };
        }
        let identity = Identity {
            source,
            subject: self.subject.clone(),
            organization: member.organization,
            user: member.user,
            created_at: cx.env.now(),
        };
        let event = cx.event(EventKind::AccountLinked).within(member.organization).about("user", member.user);
        batch
            .create(&identity)
            .require::<Membership>(member.key(), member.revision)
            .log(event.and("connection", self.connection).with("subject", self.subject.clone()));
        Ok(identity.into())
    }
}

/// Take an identity off a person. What was opened under it ends at once, with every other access that they have here.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UnlinkIdentity {
    /// The person.
    pub user: UserId,
    /// In which organization; not needed while the person is in one only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// The connection that the identity is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<ConnectionId>,
    /// The trusted issuer that it is of, in the place of a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<IssuerId>,
    /// The source's own identifier, as `authd identity list` shows it.
    pub subject: String,
}

#[async_trait]
impl Operation for UnlinkIdentity {
    type Seen = ();
    type Output = IdentityView;
    const NAME: &'static str = "identity.unlink";
    const ACCESS: Access = Access::Grant(Grant::UserManage);
    const ROUTE: Route = Route { method: Method::Delete, path: "/v1/users/{user}/identities" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.user, self.organization).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let member = stored(cx, self.user, self.organization).await?;
        within_reach(cx, &member).await?;
        let source = self.source()?;
        let key = Identity::key_of(source, &self.subject);
        let found = cx.store.get::<Identity>(key.clone()).await?;
        let found = found
            .filter(|found| found.user == member.user && found.organization == member.organization)
            .ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        let event = cx.event(EventKind::AccountUnlinked).within(member.organization).about("user", member.user);
        let event = match source {
            IdentitySource::Connection(id) => event.and("connection", id),
            IdentitySource::Issuer(id) => event.and("issuer", id),
        };
        bump(&cx.store, Scope::Membership(member.organization, member.user), batch).await?;
        batch.delete::<Identity>(key, found.revision).log(event.with("subject", self.subject.clone()));
        if let IdentitySource::Connection(connection) = source {
            self.forget(cx, connection, &member, batch).await?;
        }
        batch.require::<Membership>(member.key(), member.revision);
        Ok(found.value.into())
    }
}

impl UnlinkIdentity {
    /// Errors: `invalid_input`.
    fn source(&self) -> Result<IdentitySource> {
        match (self.connection, self.issuer) {
            (Some(connection), None) => Ok(IdentitySource::Connection(connection)),
            (None, Some(issuer)) => Ok(IdentitySource::Issuer(issuer)),
            _ => Err(Error::says(&codes::INVALID_INPUT, "An identity is of a connection or of a trusted issuer.")
                .help("Name one of them: `--connection conn_…` or `--issuer iss_…`.")),
        }
    }

    /// What sign-ins through the connection stated of the person goes with their last identity there.
    async fn forget(
        &self,
        cx: &Context,
        connection: ConnectionId,
        member: &Membership,
        batch: &mut Batch,
    ) -> Result<()> {
        let source = Source::SignIn(connection);
        let stated =
            [Statement::Groups(source), Statement::Roles(source)].iter().any(|s| member.mapped.contains_key(s));
        let identities = cx.store.page::<Identity>(Query::by("user", member.user.bytes()).limit(1_000)).await?;
        let own = IdentitySource::Connection(connection);
        let others = identities.items.iter().any(|other| other.source == own && other.subject != self.subject);
        if stated && !others && member.status == Status::Active {
            let nothing = PersonProposal {
                user: Some(member.user),
                groups: Some(Vec::new()),
                roles: Some(Vec::new()),
                ..PersonProposal::of(source)
            };
            let facts = facts_of_administrators(cx, member.organization).await?;
            provision_person(cx, nothing, &facts, batch).await?;
        }
        Ok(())
    }
}

/// The membership with its revision, so that the operation holds only while it does.
async fn stored(cx: &Context, user: UserId, organization: Option<OrganizationId>) -> Result<Stored<Membership>> {
    let key = member(cx, user, organization).await?.key();
    cx.store.get::<Membership>(key).await?.ok_or_else(|| Error::new(&codes::NOT_FOUND))
}
