//! Any sequence of what sources and administrators may say keeps what must hold.

use std::collections::{BTreeMap, BTreeSet};

use authd::access::{Role, RoleName};
use authd::directory::{Field, Fields, Identity, Members, Membership, Owners, PersonProposal, Status};
use authd::id::{ConnectionId, UserId};
use authd::policy::{
    DeprovisionMode, GroupsMode, JitMode, Linking, Policy, RolesMode, UpdateFromDirectory, UpdateProfile,
};
use authd::session::Epochs;
use authd::store::Key;
use proptest::prelude::*;
use serde_json::json;

use super::{Tenant, profile, world};

/// What may be said. Small numbers, so that they meet.
#[derive(Clone, Debug)]
enum Act {
    SignIn { elsewhere: bool, subject: u8, email: u8, verified: bool, groups: Vec<u8> },
    Scim { handle: u8, email: u8, active: Option<bool>, roles: Option<Vec<u8>> },
    About { whom: u8, active: Option<bool>, name: bool },
    Group { name: u8, members: Vec<u8>, how: u8 },
    Create { email: u8, role: u8 },
    Update { whom: u8, email: u8 },
    SetRole { whom: u8, role: u8 },
    Suspend { whom: u8 },
    Reactivate { whom: u8, force: bool },
    Remove { whom: u8 },
    Delete { whom: u8 },
    Unlink { whom: u8 },
}

fn act() -> impl Strategy<Value = Act> {
    let few = 0..4u8;
    let names = || proptest::collection::vec(0..4u8, 0..3);
    let word = || proptest::option::of(any::<bool>());
    prop_oneof![
        4 => (any::<bool>(), few.clone(), few.clone(), any::<bool>(), names())
            .prop_map(|(elsewhere, subject, email, verified, groups)| Act::SignIn { elsewhere, subject, email, verified, groups }),
        3 => (few.clone(), few.clone(), word(), proptest::option::of(names()))
            .prop_map(|(handle, email, active, roles)| Act::Scim { handle, email, active, roles }),
        2 => (few.clone(), word(), any::<bool>()).prop_map(|(whom, active, name)| Act::About { whom, active, name }),
        2 => (few.clone(), names(), 0..4u8).prop_map(|(name, members, how)| Act::Group { name, members, how }),
        1 => (few.clone(), few.clone()).prop_map(|(email, role)| Act::Create { email, role }),
        1 => (few.clone(), few.clone()).prop_map(|(whom, email)| Act::Update { whom, email }),
        3 => (few.clone(), few.clone()).prop_map(|(whom, role)| Act::SetRole { whom, role }),
        2 => few.clone().prop_map(|whom| Act::Suspend { whom }),
        2 => (few.clone(), any::<bool>()).prop_map(|(whom, force)| Act::Reactivate { whom, force }),
        1 => few.clone().prop_map(|whom| Act::Remove { whom }),
        1 => few.clone().prop_map(|whom| Act::Delete { whom }),
        1 => few.prop_map(|whom| Act::Unlink { whom }),
    ]
}

fn policy() -> impl Strategy<Value = Policy> {
    let linking = prop_oneof![Just(Linking::None), Just(Linking::SameConnection), Just(Linking::VerifiedEmail)];
    let jit = prop_oneof![
        3 => Just(JitMode::CreateUserAndMembership),
        1 => Just(JitMode::CreateUser),
        1 => Just(JitMode::Off)
    ];
    (linking, jit, any::<[bool; 6]>()).prop_map(|(linking, jit, [hard, sync, map, login, scim, default])| {
        let mut policy = Policy::default();
        policy.identity.account_linking.oidc = linking;
        let rules = &mut policy.provisioning;
        rules.jit.mode = jit;
        if default {
            rules.jit.default_role_ids = vec![Role::Member.into()];
        }
        if hard {
            rules.deprovision.mode = DeprovisionMode::Hard;
        }
        if sync {
            rules.groups.mode = GroupsMode::Sync;
        }
        if map {
            rules.roles.mode = RolesMode::Map;
        }
        if login {
            rules.user.update_profile_on_login = UpdateProfile::Always;
        }
        if scim {
            rules.user.update_profile_from_scim = UpdateFromDirectory::Missing;
        }
        rules.groups.mapping.insert("g0".into(), vec![Role::Owner.into()]);
        rules.groups.mapping.insert("g1".into(), vec![Role::Viewer.into()]);
        rules.roles.mapping.insert("g2".into(), vec![Role::Owner.into()]);
        policy
    })
}

/// What is remembered besides the store.
struct Model {
    own: Tenant,
    other: Tenant,
    elsewhere: ConnectionId,
    /// The roles that an administrator or the policy ever gave.
    given: BTreeMap<UserId, BTreeSet<RoleName>>,
    /// What a session was opened under, while the person could come in.
    sessions: BTreeMap<UserId, Epochs>,
    had_owner: bool,
}

impl Model {
    async fn new(policy: Policy) -> Self {
        let world = world();
        let (mut own, other) = (Tenant::within(&world).await, Tenant::within(&world).await);
        own.policy = policy;
        // The other tenant has people of the same addresses.
        for name in ["p0", "p1"] {
            other.propose(other.sign_in(name)).await.unwrap();
        }
        let elsewhere = ConnectionId::new(&own.world.env);
        Self { own, other, elsewhere, given: BTreeMap::new(), sessions: BTreeMap::new(), had_owner: false }
    }

    async fn whom(&self, number: u8) -> UserId {
        let members = self.own.members().await;
        let nobody = UserId::from_bytes([7; 16]);
        if members.is_empty() { nobody } else { members[usize::from(number) % members.len()].user }
    }

    async fn play(&mut self, act: &Act) {
        let own = &self.own;
        let address = |number: u8| format!("p{number}@own.test");
        let named = |numbers: &[u8]| numbers.iter().map(|number| format!("g{number}")).collect::<Vec<_>>();
        let role = |number: u8| Role::ALL[usize::from(number)];
        match act {
            Act::SignIn { elsewhere, subject, email, verified, groups } => {
                let mut said = profile("x");
                (said.email, said.email_verified) = (Some(address(*email)), *verified);
                (said.groups, said.roles) = (named(groups), named(groups));
                let connection = if *elsewhere { self.elsewhere } else { own.connection };
                let proposal = PersonProposal::sign_in(connection, &format!("s{subject}"), &said);
                let mut facts = own.facts();
                if *elsewhere {
                    facts.domains.clear();
                }
                let proposal = authd::directory::Proposal::Person(Box::new(proposal));
                if let Ok(authd::directory::Provisioned::Person(done)) = own.propose_with(&proposal, &facts).await
                    && done.created
                {
                    self.given.insert(
                        done.membership.user,
                        own.policy.provisioning.jit.default_role_ids.iter().cloned().collect(),
                    );
                }
            }
            Act::Scim { handle, email, active, roles } => {
                let proposal = PersonProposal {
                    fields: Fields::none().set(Field::Email, address(*email)),
                    active: *active,
                    roles: roles.as_deref().map(named),
                    ..own.scim(&format!("h{handle}"))
                };
                own.propose(proposal).await.ok();
            }
            Act::About { whom, active, name } => {
                let fields =
                    if *name { Fields::none().set(Field::Name, "N") } else { Fields::none().clear(Field::Name) };
                let about = own.scim_about(self.whom(*whom).await);
                own.propose(PersonProposal { active: *active, fields, ..about }).await.ok();
            }
            Act::Group { name, members, how } => {
                let mut users = Vec::new();
                for number in members {
                    users.push(self.whom(*number).await);
                }
                let members = match how {
                    0 => Members::Set(users),
                    1 => Members::Add(users),
                    2 => Members::Remove(users),
                    _ => Members::Keep,
                };
                own.group(own.group_of(&format!("g{name}"), members)).await.ok();
            }
            Act::Create { email, role: number } => {
                let input = json!({"organization": own.id, "email": address(*email), "roles": [role(*number).name()]});
                if let Ok(made) = own.operate("user.create", input).await {
                    let user = made["id"].as_str().unwrap().parse().unwrap();
                    self.given.entry(user).or_default().insert(role(*number).into());
                }
            }
            Act::Update { whom, email } => {
                let input = json!({"id": self.whom(*whom).await, "organization": own.id, "email": address(*email)});
                own.operate("user.update", input).await.ok();
            }
            Act::SetRole { whom, role: number } => {
                let user = self.whom(*whom).await;
                let input = json!({"user": user, "organization": own.id, "roles": [role(*number).name()]});
                if own.operate("member.set_role", input).await.is_ok() {
                    self.given.entry(user).or_default().insert(role(*number).into());
                }
            }
            Act::Suspend { whom } => {
                own.operate("user.suspend", json!({"id": self.whom(*whom).await, "organization": own.id})).await.ok();
            }
            Act::Reactivate { whom, force } => {
                let input = json!({"id": self.whom(*whom).await, "organization": own.id, "force": force});
                own.operate("user.reactivate", input).await.ok();
            }
            Act::Remove { whom } => {
                own.operate("member.remove", json!({"user": self.whom(*whom).await, "organization": own.id}))
                    .await
                    .ok();
            }
            Act::Delete { whom } => {
                own.operate("user.delete", json!({"id": self.whom(*whom).await, "organization": own.id})).await.ok();
            }
            Act::Unlink { whom } => {
                let user = self.whom(*whom).await;
                if let Some(identity) = own.identities().await.iter().find(|identity| identity.user == user) {
                    let input = json!({"user": user, "organization": own.id, "connection": identity.source.connection(),
                        "subject": identity.subject});
                    own.operate("identity.unlink", input).await.unwrap();
                    self.sessions.remove(&user);
                }
            }
        }
    }

    async fn check(&mut self, act: &Act, before: &BTreeMap<UserId, Membership>) {
        let own = &self.own;
        let members = own.members().await;
        let owners: BTreeSet<UserId> =
            members.iter().filter(|member| member.owns()).map(|member| member.user).collect();
        assert!(!self.had_owner || !owners.is_empty(), "no owner is left after {act:?}");
        self.had_owner |= !owners.is_empty();
        if let Some(row) = own.store().get::<Owners>(Key::from_bytes(own.id.bytes())).await.unwrap() {
            assert_eq!(row.users, owners, "{act:?}");
        }

        let identities: Vec<Identity> = own.identities().await;
        for identity in &identities {
            assert!(members.iter().any(|member| member.user == identity.user), "an identity of nobody: {act:?}");
        }
        let addresses: Vec<&str> = members.iter().filter_map(|member| member.email.as_deref()).collect();
        assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), addresses.len(), "{act:?}");

        let mappable: BTreeSet<RoleName> = [Role::Owner.into(), Role::Viewer.into()].into();
        for member in &members {
            let given = self.given.get(&member.user).cloned().unwrap_or_default();
            assert!(member.roles.is_subset(&given), "{:?} of {given:?} after {act:?}", member.roles);
            assert!(member.mapped_roles().is_subset(&mappable), "{act:?}");
            let was = before.get(&member.user).map(|member| member.status);
            if let (Some(was), Status::Active) = (was, member.status) {
                let revived = was != Status::Active;
                assert!(!(revived && matches!(act, Act::SignIn { .. })), "signing in revived somebody");
                let by_source = matches!(act, Act::Scim { .. } | Act::About { .. } | Act::Group { .. });
                assert!(!(revived && by_source && was != Status::Deprovisioned), "a source lifted a ban: {act:?}");
            }
            if member.email_verified {
                assert!(member.email.is_some(), "{act:?}");
            }
        }

        // Whoever ended between two requests finds what they held dead.
        for (user, epochs) in std::mem::take(&mut self.sessions) {
            let active = members.iter().any(|member| member.user == user && member.status == Status::Active);
            let holds = epochs.hold(own.store()).await.unwrap();
            assert_eq!(holds, active, "{act:?}: a session of {user}");
        }
        for member in members.iter().filter(|member| member.status == Status::Active) {
            self.sessions.insert(member.user, own.epochs(member.user).await);
        }
    }
}

async fn other_tenant(model: &Model) -> String {
    format!("{:?} {:?}", model.other.members().await, model.other.identities().await)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_said_keeps_what_must_hold(policy in policy(), acts in proptest::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut model = Model::new(policy).await;
            let untouched = other_tenant(&model).await;
            for act in &acts {
                let before = model.own.members().await.into_iter().map(|member| (member.user, member)).collect();
                model.play(act).await;
                model.check(act, &before).await;
            }
            assert_eq!(other_tenant(&model).await, untouched, "the other tenant is not touched");
        });
    }
}
