//! Roles of an organization's own.

use authd::access::{Caller, Grant, Operation as _, Role};
use authd::directory::{Membership, Statement};
use authd::env::Timestamp;
use authd::event::{EventKind, Origin};
use authd::id::{OrganizationId, UserId};
use authd::people::{CreateUser, SetMemberRole};
use authd::store::{Batch, Key, Life, Record, Refused, Stored};
use serde_json::{Value, json};

use super::{Tenant, grants, text};

/// Changes a membership behind everybody's back.
pub async fn change(tenant: &Tenant, user: UserId, change: impl FnOnce(&mut Membership)) {
    let world = &tenant.authd.app.world;
    let found: Option<Stored<Membership>> = world.store.get(Membership::key_of(tenant.id, user)).await.unwrap();
    let Stored { value: mut member, revision } = found.unwrap();
    change(&mut member);
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let mut batch = Batch::new();
    batch.update(&member, revision).log(cx.event(EventKind::UserUpdated).within(tenant.id));
    world.store.commit(batch).await.unwrap();
}

pub async fn set_roles(tenant: &Tenant, user: UserId, roles: &[&str]) {
    change(tenant, user, |member| member.roles = roles.iter().map(|role| role.parse().unwrap()).collect()).await;
}

/// The row of an organization's policy, as it lies in the store.
#[derive(Clone, minicbor::Encode, minicbor::Decode)]
struct PolicyRow {
    #[n(0)]
    organization: OrganizationId,
    #[n(1)]
    policy: String,
    #[n(2)]
    updated_at: Timestamp,
}

impl Record for PolicyRow {
    const KIND: &'static str = "policy";
    const LIFE: Life = Life::Kept;
    fn key(&self) -> Key {
        Key::from_bytes(self.organization.bytes())
    }
}

async fn set_policy(tenant: &Tenant, policy: &Value) {
    let world = &tenant.authd.app.world;
    let row = PolicyRow { organization: tenant.id, policy: policy.to_string(), updated_at: world.env.now() };
    let cx = world.context(Caller::System, Origin::internal(&world.env));
    let mut batch = Batch::new();
    match world.store.get::<PolicyRow>(row.key()).await.unwrap() {
        Some(found) => batch.update(&row, found.revision),
        None => batch.create(&row),
    };
    batch.log(cx.event(EventKind::OrganizationUpdated).within(tenant.id));
    world.store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn a_role_grants_what_it_says_from_the_next_request_on() {
    let tenant = Tenant::new().await;
    tenant.role("auditor", &["user.read", "connection.audit.read"]).await;
    let (_, token) = tenant.person("ada", &["auditor"]).await;
    assert_eq!(tenant.power(&token).await, Some(grants(&["user.read", "connection.audit.read"])));
    let created = tenant.told("role.created").await;
    assert_eq!(created["subject"], json!({"kind": "role", "id": "auditor"}));
    assert_eq!(created["data"]["grants"], json!(["connection.audit.read", "user.read"]));

    let change = json!({"organization": tenant.id, "name": "auditor", "grants": ["app.read"], "about": "Reads apps"});
    let view = tenant.authd.operate("role.update", change).await;
    assert_eq!((&view["grants"], &view["about"]), (&json!(["app.read"]), &json!("Reads apps")));
    assert_eq!(tenant.power(&token).await, Some(grants(&["app.read"])));
    let updated = tenant.told("role.updated").await;
    assert_eq!(updated["data"]["grantsBefore"], json!(["connection.audit.read", "user.read"]));

    let all = json!({"organization": tenant.id, "name": "auditor", "grants": ["*"], "about": ""});
    let view = tenant.authd.operate("role.update", all).await;
    assert_eq!(view["grants"], json!(Role::Owner.grants().names()), "everything but vouching for domains");
    assert!(view.get("about").is_none());

    let events = tenant.authd.events().await.len();
    tenant.authd.operate("role.update", json!({"organization": tenant.id, "name": "auditor", "grants": ["*"]})).await;
    assert_eq!(tenant.authd.events().await.len(), events, "nothing was changed, nothing is told");
    let listed = tenant.authd.operate("role.list", json!({"organization": tenant.id})).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    let builtin = json!({"organization": tenant.id, "name": "viewer"});
    let shown = tenant.authd.operate("role.get", builtin).await;
    assert_eq!((&shown["builtin"], &shown["grants"]), (&json!(true), &json!(Role::Viewer.grants().names())));
}

#[tokio::test]
async fn built_in_roles_are_what_they_are() {
    let tenant = Tenant::new().await;
    for role in Role::ALL {
        let named = json!({"organization": tenant.id, "name": role.name()});
        let mut wide = named.clone();
        wide["grants"] = json!(["user.read"]);
        assert_eq!(tenant.refused_to_operator("role.create", wide.clone()).await, "taken");
        assert_eq!(tenant.refused_to_operator("role.update", wide).await, "taken");
        assert_eq!(tenant.refused_to_operator("role.delete", named).await, "taken");
    }
    for name in ["", "Owner", "owner ", "1st", "a b", "ä", "x\n", &"x".repeat(65), "../owner"] {
        let wish = json!({"organization": tenant.id, "name": name, "grants": []});
        assert_eq!(tenant.refused_to_operator("role.create", wish).await, "invalid_input", "{name:?}");
    }
    for grants in [json!(["connection.domain.trust"]), json!(["*", "connection.domain.trust"])] {
        let wish = json!({"organization": tenant.id, "name": "voucher", "grants": grants});
        assert_eq!(tenant.refused_to_operator("role.create", wish).await, "invalid_input", "not even by the operator");
    }
    let nowhere = json!({"organization": "org_00000000000000000000000000", "name": "x", "grants": []});
    assert_eq!(tenant.refused_to_operator("role.create", nowhere).await, "not_found");
    assert!(!Role::Viewer.grants().contains(Grant::RoleManage) && Role::Viewer.grants().contains(Grant::RoleRead));
}

#[tokio::test]
async fn adm_02_nobody_makes_widens_or_takes_a_role_beyond_what_they_hold() {
    let tenant = Tenant::new().await;
    tenant.role("above", &["organization.manage"]).await;
    tenant.role("below", &["user.read"]).await;
    let (_, admin) = tenant.person("admin", &["admin"]).await;
    let key = tenant.key(&["role.manage", "user.read"]).await;
    let named = |name: &str, grants: Value| json!({"organization": tenant.id, "name": name, "grants": grants});
    for (who, bearer) in [("an administrator", &admin), ("a key", &key)] {
        for wide in [json!(["organization.manage"]), json!(["user.read", "api_key.manage"]), json!(["*"])] {
            let create = named("wide", wide.clone());
            assert_eq!(tenant.refused(bearer, "role.create", create).await, "grant_exceeds_caller", "{who} {wide}");
            let widen = named("below", wide.clone());
            assert_eq!(tenant.refused(bearer, "role.update", widen).await, "grant_exceeds_caller", "{who} {wide}");
        }
        // Nor is a role that is above oneself made smaller, told about, or taken from those who have it.
        for edit in [named("above", json!([])), json!({"name": "above", "about": "mine"})] {
            assert_eq!(tenant.refused(bearer, "role.update", edit).await, "grant_exceeds_caller", "{who}");
        }
        assert_eq!(tenant.refused(bearer, "role.delete", json!({"name": "above"})).await, "grant_exceeds_caller");
        let mine = if who == "a key" { "of-the-key" } else { "of-the-admin" };
        tenant.call(bearer, "role.create", json!({"name": mine, "grants": ["user.read"]})).await.unwrap();
        tenant.call(bearer, "role.update", json!({"name": mine, "grants": []})).await.unwrap();
        tenant.call(bearer, "role.delete", json!({"name": mine})).await.unwrap();
    }
    // One's own role is a role like any other.
    tenant.role("steward", &["role.manage", "role.read"]).await;
    let (_, steward) = tenant.person("steward", &["steward"]).await;
    let own = json!({"name": "steward", "grants": ["role.manage", "role.read", "user.manage"]});
    assert_eq!(tenant.refused(&steward, "role.update", own).await, "grant_exceeds_caller");
    assert_eq!(tenant.told("operation.refused").await["errorCode"], "grant_exceeds_caller");
}

#[tokio::test]
async fn adm_02_a_role_that_is_widened_or_deleted_while_it_is_given_is_looked_at_again() {
    let tenant = Tenant::new().await;
    let user = tenant.authd.person(tenant.id, "mia", &["member"]).await;
    let world = &tenant.authd.app.world;
    let cx = world.context(Caller::Operator { uid: 0 }, Origin::internal(&world.env));
    for (role, change) in [("wider", "role.update"), ("gone", "role.delete")] {
        tenant.role(role, &["user.read"]).await;
        let roles = vec![role.parse().unwrap()];
        let give = SetMemberRole { organization: Some(tenant.id), user, roles: roles.clone() };
        let create = json!({"organization": tenant.id, "email": format!("{role}@acme.test"), "roles": roles});
        let create: CreateUser = serde_json::from_value(create).unwrap();
        let (mut given, mut created) = (Batch::new(), Batch::new());
        give.apply(&cx, &(), &mut given).await.unwrap();
        create.apply(&cx, &(), &mut created).await.unwrap();
        let mut wish = json!({"organization": tenant.id, "name": role});
        if change == "role.update" {
            wish["grants"] = json!(["*"]);
        }
        tenant.authd.operate(change, wish).await;
        for batch in [given, created] {
            assert!(matches!(world.store.commit(batch).await, Err(Refused::Stale { .. })), "{change}");
        }
    }
}

#[tokio::test]
async fn a_role_that_is_in_use_stays() {
    let tenant = Tenant::new().await;
    tenant.role("crew", &["user.read"]).await;
    let delete = || json!({"organization": tenant.id, "name": "crew"});

    let (ada, _) = tenant.person("ada", &["crew", "viewer"]).await;
    assert_eq!(tenant.refused_to_operator("role.delete", delete()).await, "role_in_use");
    set_roles(&tenant, ada, &["viewer"]).await;

    let wish = json!({"organization": tenant.id, "protocol": "oidc", "name": "C", "defaultRole": "crew"});
    let connection = text(&tenant.authd.operate("connection.create", wish).await, "id");
    assert_eq!(tenant.refused_to_operator("role.delete", delete()).await, "role_in_use");
    tenant.authd.operate("connection.delete", json!({"id": connection})).await;
    assert_eq!(tenant.refused_to_operator("role.delete", delete()).await, "role_in_use", "it can be restored");
    tenant.authd.operate("connection.restore", json!({"id": connection})).await;
    tenant.authd.operate("connection.update", json!({"id": connection, "defaultRole": null})).await;

    // By the policy, whichever part of it gives the role, also one that is switched off.
    for policy in [
        json!({"provisioning": {"jit": {"mode": "off", "defaultRoleIds": ["viewer", "crew"]}}}),
        json!({"provisioning": {"groups": {"mode": "ignore", "mapping": {"staff": ["viewer", "crew"]}}}}),
        json!({"provisioning": {"roles": {"mode": "map", "mapping": {"a": [], "b": ["crew"]}}}}),
    ] {
        set_policy(&tenant, &policy).await;
        assert_eq!(tenant.refused_to_operator("role.delete", delete()).await, "role_in_use", "{policy}");
    }
    set_policy(&tenant, &json!({})).await;

    // By a mapping's last word about somebody.
    change(&tenant, ada, |member| {
        let statement = Statement::Members(connection.parse().unwrap());
        member.mapped.insert(statement, ["crew".parse().unwrap()].into());
    })
    .await;
    assert_eq!(tenant.refused_to_operator("role.delete", delete()).await, "role_in_use");
    change(&tenant, ada, |member| member.mapped.clear()).await;

    assert_eq!(tenant.authd.operate("role.delete", delete()).await, Value::Null);
    assert_eq!(tenant.told("role.deleted").await["subject"]["id"], "crew");
    assert_eq!(tenant.refused_to_operator("role.delete", delete()).await, "not_found");
}

#[tokio::test]
async fn a_name_that_somebody_still_has_does_not_come_back_with_new_grants() {
    let tenant = Tenant::new().await;
    let (ada, token) = tenant.person("ada", &["ghost"]).await;
    assert_eq!(tenant.power(&token).await, Some(grants(&[])), "a role that is gone grants nothing");
    let wish = json!({"organization": tenant.id, "name": "ghost", "grants": ["user.manage"]});
    assert_eq!(tenant.refused_to_operator("role.create", wish.clone()).await, "role_in_use");
    assert_eq!(tenant.power(&token).await, Some(grants(&[])));
    set_roles(&tenant, ada, &[]).await;
    tenant.authd.operate("role.create", wish.clone()).await;
    assert_eq!(tenant.refused_to_operator("role.create", wish).await, "taken");
}

#[tokio::test]
async fn a_token_for_a_role_does_what_the_role_grants_when_it_is_used() {
    let tenant = Tenant::new().await;
    tenant.role("auditor", &["user.read"]).await;
    let issue = json!({"organization": tenant.id, "role": "auditor"});
    let token = text(&tenant.authd.operate("token.issue", issue.clone()).await, "access_token");
    assert_eq!(tenant.power(&token).await, Some(grants(&["user.read"])));
    let narrower = json!({"organization": tenant.id, "name": "auditor", "grants": []});
    tenant.authd.operate("role.update", narrower).await;
    assert_eq!(tenant.power(&token).await, Some(grants(&[])));
    tenant.authd.operate("role.delete", json!({"organization": tenant.id, "name": "auditor"})).await;
    assert_eq!(tenant.power(&token).await, None, "a role that is gone opens nothing");
    assert_eq!(tenant.refused_to_operator("token.issue", issue).await, "invalid_input");
}
