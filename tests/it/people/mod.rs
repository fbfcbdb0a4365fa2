//! People: the pipeline that every source goes through, and the operations of administrators, on a store in memory.

mod fields;
mod groups;
mod random;
mod reach;
mod standing;

use std::sync::Arc;

use authd::access::{Caller, Context, Deployment, Role, World};
use authd::config::PublicUrl;
use authd::crypto::MasterKey;
use authd::directory::{
    CreateOrganization, Field, Fields, GroupProposal, Identity, Members, Membership, PersonProposal, Profile, Proposal,
    Provisioned, ProvisionedPerson, Source, SourceFacts, provision,
};
use authd::env::Env;
use authd::event::{Event, EventKind, Origin};
use authd::id::{ConnectionId, OrganizationId, UserId};
use authd::policy::{Policy, Protocol};
use authd::session::{Epochs, Scope};
use authd::store::{Batch, Query, Store};
use serde_json::Value;

/// A tenant with a connection that has proven `own.test`.
struct Tenant {
    world: World,
    id: OrganizationId,
    connection: ConnectionId,
    policy: Policy,
}

fn world() -> World {
    let env = Env::frozen();
    let deployment = Deployment {
        public_url: PublicUrl::parse("http://127.0.0.1:8080").unwrap(),
        master_key: MasterKey::generate(&env),
        rotate_every: None,
    };
    let store = Store::in_memory(env.clone()).unwrap();
    World { env, store, deployment: Arc::new(deployment) }
}

impl Tenant {
    async fn new() -> Self {
        Self::within(&world()).await
    }

    async fn within(world: &World) -> Self {
        let operator = world.context(Caller::Operator { uid: 0 }, Origin::internal(&world.env));
        let created = authd::access::perform(&operator, &CreateOrganization { name: "Own".into() }).await.unwrap();
        let connection = ConnectionId::new(&world.env);
        Self { world: world.clone(), id: created.id, connection, policy: Policy::default() }
    }

    fn store(&self) -> &Store {
        &self.world.store
    }

    fn context(&self, caller: Caller) -> Context {
        self.world.context(caller, Origin::internal(&self.world.env))
    }

    /// A caller with a role of this tenant.
    fn with_role(&self, role: Role) -> Context {
        self.context(Caller::User { id: None, organization: self.id, grants: role.grants() })
    }

    fn facts(&self) -> SourceFacts {
        SourceFacts {
            organization: self.id,
            protocol: Protocol::Oidc,
            jit: None,
            default_role: None,
            domains: vec!["own.test".into()],
            domain_owned_elsewhere: false,
            policy: self.policy.clone(),
        }
    }

    async fn propose_with(&self, proposal: &Proposal, facts: &SourceFacts) -> Result<Provisioned, &'static str> {
        let cx = self.context(Caller::System);
        let mut batch = Batch::new();
        let done = provision(&cx, proposal, facts, &mut batch).await.map_err(|error| error.code())?;
        self.store().commit(batch).await.unwrap();
        Ok(done)
    }

    /// What comes of a proposal about a person, committed.
    async fn propose(&self, proposal: PersonProposal) -> Result<ProvisionedPerson, &'static str> {
        match self.propose_with(&Proposal::Person(Box::new(proposal)), &self.facts()).await? {
            Provisioned::Person(person) => Ok(*person),
            Provisioned::Group(_) => panic!("a group"),
        }
    }

    async fn group(&self, proposal: GroupProposal) -> Result<authd::id::DirectoryGroupId, &'static str> {
        match self.propose_with(&Proposal::Group(proposal), &self.facts()).await? {
            Provisioned::Group(group) => Ok(group.unwrap().id),
            Provisioned::Person(_) => panic!("a person"),
        }
    }

    /// Performs an operation by name, as the operator.
    async fn operate(&self, name: &str, input: Value) -> Result<Value, &'static str> {
        self.perform(&self.context(Caller::Operator { uid: 0 }), name, input).await
    }

    async fn perform(&self, cx: &Context, name: &str, input: Value) -> Result<Value, &'static str> {
        let catalogue = authd::app::catalogue();
        let operation = catalogue.find(name).unwrap_or_else(|| panic!("no {name}"));
        operation.perform(cx, input).await.map_err(|error| error.code())
    }

    async fn member(&self, user: UserId) -> Option<Membership> {
        self.store().get::<Membership>(Membership::key_of(self.id, user)).await.unwrap().map(|found| found.value)
    }

    async fn members(&self) -> Vec<Membership> {
        let query = Query::by("organization", self.id.bytes()).limit(1_000);
        let page = self.store().page::<Membership>(query).await.unwrap();
        page.items.into_iter().map(|found| found.value).collect()
    }

    async fn identities(&self) -> Vec<Identity> {
        let page = self.store().page::<Identity>(Query::all().limit(1_000)).await.unwrap();
        page.items.into_iter().map(|found| found.value).filter(|row| row.organization == self.id).collect()
    }

    /// What a session of that person would be opened under.
    async fn epochs(&self, user: UserId) -> Epochs {
        Epochs::capture(self.store(), &[Scope::Membership(self.id, user)]).await.unwrap()
    }

    async fn events(&self) -> Vec<Event> {
        let (mut events, mut after) = (Vec::new(), 0);
        loop {
            let rows = self.store().tail(after, 1_000, None).await.unwrap();
            let Some(last) = rows.last() else { return events };
            after = last.row.seq;
            events.extend(rows.iter().map(|row| Event::read(row).unwrap()));
        }
    }

    async fn last(&self, kind: EventKind) -> Event {
        self.events().await.into_iter().rfind(|event| event.kind == kind).unwrap_or_else(|| panic!("no {kind}"))
    }

    /// A sign-in with a verified address, through this tenant's connection.
    fn sign_in(&self, subject: &str) -> PersonProposal {
        PersonProposal::sign_in(self.connection, subject, &profile(subject))
    }

    /// What SCIM on this tenant's connection states.
    fn scim(&self, external_id: &str) -> PersonProposal {
        PersonProposal {
            external_id: Some(external_id.to_owned()),
            fields: Fields::none().set(Field::Email, format!("{external_id}@own.test")),
            ..PersonProposal::of(Source::Scim(self.connection))
        }
    }

    /// What SCIM states about somebody who is known.
    fn scim_about(&self, user: UserId) -> PersonProposal {
        PersonProposal { user: Some(user), ..PersonProposal::of(Source::Scim(self.connection)) }
    }

    fn group_of(&self, name: &str, members: Members) -> GroupProposal {
        GroupProposal {
            source: Source::Scim(self.connection),
            group: None,
            external_id: Some(name.to_owned()),
            name: Some(name.to_owned()),
            members,
            gone: false,
        }
    }
}

fn profile(subject: &str) -> Profile {
    Profile {
        email: Some(format!("{subject}@own.test")),
        email_verified: true,
        name: Some(subject.to_owned()),
        ..Profile::default()
    }
}

fn role_names(member: &Membership) -> Vec<String> {
    member.effective_roles().iter().map(ToString::to_string).collect()
}
