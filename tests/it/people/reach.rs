//! Nobody gives, takes or takes over what they do not hold.

use authd::access::{Grant, Grants, Role};
use authd::directory::{GetUser, PersonProposal};
use authd::event::EventKind;
use authd::id::UserId;
use serde_json::{Value, json};

use super::{Tenant, role_names, world};

async fn person(own: &Tenant, name: &str, role: &str) -> UserId {
    let input = json!({"organization": own.id, "email": format!("{name}@own.test"), "roles": [role]});
    let created = own.operate("user.create", input).await.unwrap();
    created["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn adm_02_nobody_touches_who_may_more_or_gives_what_they_lack() {
    let own = Tenant::new().await;
    person(&own, "other-owner", "owner").await;
    let victim = person(&own, "victim", "owner").await;
    let admin = own.with_role(Role::Admin);
    let connection = authd::id::ConnectionId::new(&own.world.env);
    let attacks: Vec<(&str, Value)> = vec![
        ("member.set_role", json!({"user": victim, "roles": ["member"]})),
        ("member.remove", json!({"user": victim})),
        ("user.suspend", json!({"id": victim})),
        ("user.delete", json!({"id": victim})),
        ("user.update", json!({"id": victim, "email": "mine@own.test"})),
        ("identity.link", json!({"user": victim, "connection": connection, "subject": "mine"})),
        ("identity.unlink", json!({"user": victim, "connection": connection, "subject": "theirs"})),
    ];
    let before = own.member(victim).await;
    for (name, input) in attacks {
        assert_eq!(own.perform(&admin, name, input).await.unwrap_err(), "grant_exceeds_caller", "{name}");
    }
    own.operate("user.suspend", json!({"id": victim})).await.unwrap();
    let revive = own.perform(&admin, "user.reactivate", json!({"id": victim})).await;
    assert_eq!(revive.unwrap_err(), "grant_exceeds_caller");
    own.operate("user.reactivate", json!({"id": victim})).await.unwrap();
    let after = own.member(victim).await.map(|member| (member.email, member.roles, member.status));
    assert_eq!(after, before.map(|member| (member.email, member.roles, member.status)));

    // Neither to others nor to oneself.
    let colleague = person(&own, "colleague", "admin").await;
    for role in ["owner", "nonexistent"] {
        let raise = own.perform(&admin, "member.set_role", json!({"user": colleague, "roles": [role]})).await;
        assert!(["grant_exceeds_caller", "invalid_input"].contains(&raise.unwrap_err()), "{role}");
        let input = json!({"email": "new@own.test", "roles": [role]});
        let make = own.perform(&admin, "user.create", input).await;
        assert!(["grant_exceeds_caller", "invalid_input"].contains(&make.unwrap_err()), "{role}");
    }
    own.perform(&admin, "member.set_role", json!({"user": colleague, "roles": ["viewer"]})).await.unwrap();
    assert_eq!(role_names(&own.member(colleague).await.unwrap()), ["viewer"]);
    let refused = own.last(EventKind::OperationRefused).await;
    assert_eq!(refused.error_code.as_deref(), Some("grant_exceeds_caller"));
}

/// Whoever holds any set of grants never makes anybody who holds more.
#[tokio::test]
async fn adm_02_no_grants_grow_beyond_the_givers() {
    let own = Tenant::new().await;
    person(&own, "owner", "owner").await;
    let roles = ["owner", "admin", "member", "viewer"];
    for bits in 0..1u32 << 6 {
        // Every caller may manage people; what else they hold varies.
        let some =
            [Grant::UserRead, Grant::OrganizationManage, Grant::ApiKeyManage, Grant::AppManage, Grant::ScimManage];
        let all: Grants = if bits >> 5 == 1 { Role::Admin.grants() } else { Grants::none() };
        let more: Grants =
            some.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, grant)| *grant).collect();
        let grants = all.union(&more).union(&[Grant::UserManage].into_iter().collect());
        let cx = own.context(authd::access::Caller::User { id: None, organization: own.id, grants: grants.clone() });
        for role in roles {
            let input = json!({"email": format!("p{bits}-{role}@own.test"), "roles": [role]});
            let Ok(made) = own.perform(&cx, "user.create", input).await else { continue };
            let made: UserId = made["id"].as_str().unwrap().parse().unwrap();
            let theirs = own.member(made).await.unwrap().grants(own.store()).await.unwrap();
            assert_eq!(grants.lacks(&theirs), None, "{role} by {:?}", grants.names());
        }
    }
}

#[tokio::test]
async fn adm_01_people_of_another_tenant_do_not_exist() {
    let world = world();
    let (own, other) = (Tenant::within(&world).await, Tenant::within(&world).await);
    let theirs = person(&other, "theirs", "member").await;
    let nobody = UserId::new(&world.env);
    let owner = own.with_role(Role::Owner);
    for about in [theirs, nobody] {
        for organization in [None, Some(other.id), Some(own.id)] {
            for (name, mut input) in [
                ("user.get", json!({"id": about})),
                ("user.update", json!({"id": about, "name": "x"})),
                ("user.suspend", json!({"id": about})),
                ("user.reactivate", json!({"id": about})),
                ("user.delete", json!({"id": about})),
                ("member.set_role", json!({"user": about, "roles": ["member"]})),
                ("member.remove", json!({"user": about})),
                ("identity.list", json!({"user": about})),
                ("identity.link", json!({"user": about, "connection": other.connection, "subject": "x"})),
                ("identity.unlink", json!({"user": about, "connection": other.connection, "subject": "x"})),
            ] {
                if let Some(organization) = organization {
                    input["organization"] = json!(organization);
                }
                assert_eq!(own.perform(&owner, name, input).await.unwrap_err(), "not_found", "{name}");
            }
        }
    }
    // The same address there says nothing here.
    let mine = json!({"email": "theirs@own.test"});
    assert!(own.perform(&owner, "user.create", mine.clone()).await.is_ok());
    assert_eq!(own.perform(&owner, "user.create", mine).await.unwrap_err(), "taken");
}

#[tokio::test]
async fn adm_01_an_identity_is_linked_within_the_own_connections_only() {
    let world = world();
    let (own, other) = (Tenant::within(&world).await, Tenant::within(&world).await);
    let connection = |tenant: &Tenant| json!({"organization": tenant.id, "protocol": "oidc", "name": "P"});
    let foreign = other.operate("connection.create", connection(&other)).await.unwrap()["id"].clone();
    let mine = own.operate("connection.create", connection(&own)).await.unwrap()["id"].clone();
    let ada = person(&own, "ada", "member").await;
    let owner = own.with_role(Role::Owner);
    let link = |connection: &Value| json!({"user": ada, "connection": connection, "subject": "https://idp|1"});
    assert_eq!(own.perform(&owner, "identity.link", link(&foreign)).await.unwrap_err(), "not_found");
    let named = json!({"email": "x@own.test", "connection": foreign});
    assert_eq!(own.perform(&owner, "user.create", named).await.unwrap_err(), "not_found");

    own.perform(&owner, "identity.link", link(&mine)).await.unwrap();
    own.perform(&owner, "identity.link", link(&mine)).await.unwrap();
    let listed = own.perform(&owner, "identity.list", json!({"user": ada})).await.unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let bob = person(&own, "bob", "member").await;
    let steal = json!({"user": bob, "connection": mine, "subject": "https://idp|1"});
    assert_eq!(own.perform(&owner, "identity.link", steal.clone()).await.unwrap_err(), "taken");
    assert_eq!(own.perform(&owner, "identity.unlink", steal).await.unwrap_err(), "not_found", "not bob's to lose");

    let before = own.epochs(ada).await;
    own.perform(&owner, "identity.unlink", link(&mine)).await.unwrap();
    assert!(own.identities().await.is_empty() && !before.hold(own.store()).await.unwrap());
    assert_eq!(own.last(EventKind::AccountUnlinked).await.data["subject"], "https://idp|1");
    own.operate("user.suspend", json!({"id": ada})).await.unwrap();
    assert_eq!(own.perform(&owner, "identity.link", link(&mine)).await.unwrap_err(), "person_disabled");
}

#[tokio::test]
async fn what_an_identity_brought_goes_with_it() {
    let mut own = Tenant::new().await;
    own.policy.provisioning.groups.mode = authd::policy::GroupsMode::Sync;
    own.policy.provisioning.groups.mapping.insert("staff".into(), vec![Role::Admin.into()]);
    let arrival = PersonProposal { groups: Some(vec!["staff".into()]), ..own.sign_in("ada") };
    let ada = own.propose(arrival).await.unwrap().membership.user;
    assert_eq!(role_names(&own.member(ada).await.unwrap()), ["admin"]);
    own.operate("identity.unlink", json!({"user": ada, "connection": own.connection, "subject": "ada"})).await.unwrap();
    assert!(role_names(&own.member(ada).await.unwrap()).is_empty());
    let seen = GetUser { id: ada, organization: None };
    assert!(authd::access::perform(&own.with_role(Role::Viewer), &seen).await.unwrap().mapped_roles.is_empty());
}
