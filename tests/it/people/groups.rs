//! Groups of directories.

use authd::access::Role;
use authd::directory::{DirectoryGroup, GroupMember, GroupProposal, Members, Membership, Source};
use authd::event::EventKind;
use authd::id::{ConnectionId, UserId};
use authd::policy::GroupsMode;
use authd::store::{Batch, Query};
use serde_json::json;

use super::{Tenant, role_names};

/// So many members, in one commit per thousand.
async fn crowd(own: &Tenant, many: usize) -> Vec<UserId> {
    let users: Vec<UserId> = (0..many).map(|_| UserId::new(&own.world.env)).collect();
    for some in users.chunks(1_000) {
        let mut batch = Batch::new();
        for user in some {
            batch.create(&Membership::new(own.id, *user, own.world.env.now()));
        }
        batch.log(own.context(authd::access::Caller::System).event(EventKind::UserCreated));
        own.store().commit(batch).await.unwrap();
    }
    users
}

async fn rows(own: &Tenant) -> u64 {
    own.store().counts().await.unwrap().get("group_member").copied().unwrap_or(0)
}

#[tokio::test]
async fn a_group_of_thousands_is_one_commit_and_one_more_member_is_one_row() {
    let own = Tenant::new().await;
    let users = crowd(&own, 5_001).await;
    let group = own.group(own.group_of("everybody", Members::Set(users[..5_000].to_vec()))).await.unwrap();
    assert_eq!(rows(&own).await, 5_000);
    let revisions = async || {
        let page = own.store().page::<GroupMember>(Query::all().limit(1_000)).await.unwrap();
        page.items.iter().map(|row| row.revision).collect::<Vec<_>>()
    };
    let before = revisions().await;
    let about =
        |members| GroupProposal { name: None, external_id: None, group: Some(group), ..own.group_of("x", members) };
    own.group(about(Members::Add(users[4_990..].to_vec()))).await.unwrap();
    assert_eq!(rows(&own).await, 5_001);
    own.group(about(Members::Remove(users[4_999..].to_vec()))).await.unwrap();
    assert_eq!(rows(&own).await, 4_999);
    assert_eq!(revisions().await, before, "nobody else's row was touched");

    // A page at a time.
    let viewer = own.with_role(Role::Viewer);
    let mut seen = Vec::new();
    let mut input = json!({"id": group, "limit": 1000});
    loop {
        let page = own.perform(&viewer, "group.get", input.clone()).await.unwrap();
        assert_eq!(page["name"], "everybody");
        seen.extend(page["members"].as_array().unwrap().clone());
        let Some(next) = page.get("next") else { break };
        input["cursor"] = next.clone();
    }
    assert_eq!(seen.len(), 4_999);
    let listed = own.perform(&viewer, "group.list", json!({})).await.unwrap();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);

    // Deleted with all of its members.
    own.propose_with(
        &authd::directory::Proposal::Group(GroupProposal { gone: true, ..about(Members::Keep) }),
        &own.facts(),
    )
    .await
    .unwrap();
    assert_eq!(rows(&own).await, 0);
    assert_eq!(own.group(about(Members::Keep)).await.unwrap_err(), "not_found");
}

#[tokio::test]
async fn what_does_not_fit_into_one_commit_is_refused_whole() {
    let mut own = Tenant::new().await;
    own.policy.provisioning.groups.mode = GroupsMode::Sync;
    own.policy.provisioning.groups.mapping.insert("everybody".into(), vec![Role::Viewer.into()]);
    let users = crowd(&own, 4_951).await;
    assert_eq!(own.group(own.group_of("everybody", Members::Set(users.clone()))).await.unwrap_err(), "too_large");
    assert_eq!(rows(&own).await, 0);
    own.group(own.group_of("everybody", Members::Set(users[..4_950].to_vec()))).await.unwrap();
    assert_eq!(role_names(&own.member(users[0]).await.unwrap()), ["viewer"]);
}

#[tokio::test]
async fn roles_follow_the_groups_of_each_directory_by_itself() {
    let mut own = Tenant::new().await;
    own.policy.provisioning.groups.mode = GroupsMode::Sync;
    for (group, role) in [("readers", Role::Viewer), ("keepers", Role::Admin)] {
        own.policy.provisioning.groups.mapping.insert(group.into(), vec![role.into()]);
    }
    let users = crowd(&own, 2).await;
    let roles = async || role_names(&own.member(users[0]).await.unwrap());
    let readers = own.group(own.group_of("readers", Members::Set(users.clone()))).await.unwrap();
    own.group(own.group_of("keepers", Members::Add(vec![users[0]]))).await.unwrap();
    assert_eq!(roles().await, ["admin", "viewer"]);
    let other = GroupProposal {
        source: Source::Scim(ConnectionId::new(&own.world.env)),
        ..own.group_of("readers", Members::Set(vec![users[0]]))
    };
    own.group(other.clone()).await.unwrap();
    own.group(own.group_of("readers", Members::Remove(vec![users[0]]))).await.unwrap();
    assert_eq!(roles().await, ["admin", "viewer"], "the other directory still says so");
    own.group(GroupProposal { members: Members::Set(vec![]), ..other }).await.unwrap();
    assert_eq!(roles().await, ["admin"]);

    // A new name is a new mapping, for everybody in it.
    own.group(own.group_of("readers", Members::Add(vec![users[0]]))).await.unwrap();
    let named = |name: &str| GroupProposal {
        group: Some(readers),
        name: Some(name.into()),
        external_id: None,
        ..own.group_of("x", Members::Keep)
    };
    let changed_at = async || DirectoryGroup::load(own.store(), readers).await.unwrap().updated_at;
    let before = changed_at().await;
    own.world.env.advance(std::time::Duration::from_secs(1));
    own.group(GroupProposal { name: None, ..named("x") }).await.unwrap();
    assert_eq!(changed_at().await, before);
    own.group(named("lurkers")).await.unwrap();
    assert!(changed_at().await > before);
    assert_eq!(roles().await, ["admin"]);
    assert!(role_names(&own.member(users[1]).await.unwrap()).is_empty());
    own.group(named("readers")).await.unwrap();
    assert_eq!(roles().await, ["admin", "viewer"]);
    // Switched off, the next statement takes it back.
    own.policy.provisioning.groups.mode = GroupsMode::Ignore;
    own.group(own.group_of("keepers", Members::Set(vec![]))).await.unwrap();
    assert!(role_names(&own.member(users[0]).await.unwrap()).is_empty());
}

#[tokio::test]
async fn the_last_owner_stays_though_a_group_loses_them() {
    let mut own = Tenant::new().await;
    own.policy.provisioning.groups.mode = GroupsMode::Sync;
    own.policy.provisioning.groups.mapping.insert("bosses".into(), vec![Role::Owner.into()]);
    let users = crowd(&own, 2).await;
    own.group(own.group_of("bosses", Members::Set(vec![users[0]]))).await.unwrap();
    for members in [Members::Set(vec![]), Members::Remove(vec![users[0]])] {
        assert_eq!(own.group(own.group_of("bosses", members)).await.unwrap_err(), "last_owner");
    }
    let gone = GroupProposal { gone: true, ..own.group_of("bosses", Members::Keep) };
    assert_eq!(own.group(gone).await.unwrap_err(), "last_owner");
    own.group(own.group_of("bosses", Members::Set(vec![users[1]]))).await.unwrap();
    assert!(own.member(users[1]).await.unwrap().owns() && !own.member(users[0]).await.unwrap().owns());
}

#[tokio::test]
async fn a_directory_has_its_own_groups_and_the_organizations_own_people() {
    let own = Tenant::new().await;
    let users = crowd(&own, 1).await;
    let group = own.group(own.group_of("staff", Members::Keep)).await.unwrap();
    assert_eq!(own.group(own.group_of("staff", Members::Keep)).await, Ok(group), "known by its handle");
    let stranger = UserId::new(&own.world.env);
    for members in [Members::Set(vec![stranger]), Members::Add(vec![users[0], stranger])] {
        assert_eq!(own.group(own.group_of("staff", members)).await.unwrap_err(), "invalid_input");
    }
    own.group(own.group_of("staff", Members::Remove(vec![stranger]))).await.unwrap();
    assert_eq!(rows(&own).await, 0);

    let elsewhere = Source::Scim(ConnectionId::new(&own.world.env));
    let reach = GroupProposal { source: elsewhere, group: Some(group), ..own.group_of("staff", Members::Keep) };
    assert_eq!(own.group(reach).await.unwrap_err(), "not_found");
    let other = own.group(own.group_of("other", Members::Keep)).await.unwrap();
    let stolen = GroupProposal { group: Some(other), ..own.group_of("staff", Members::Keep) };
    assert_eq!(own.group(stolen).await.unwrap_err(), "taken");
    for (name, handle) in [(None, None), (Some(String::new()), None), (Some("x".into()), Some("x".repeat(1_001)))] {
        let wrong = GroupProposal { name, external_id: handle, ..own.group_of("x", Members::Keep) };
        assert_eq!(own.group(wrong).await.unwrap_err(), "invalid_input");
    }
    let longest = GroupProposal {
        name: Some("n".repeat(1_000)),
        external_id: Some("h".repeat(1_000)),
        ..own.group_of("x", Members::Keep)
    };
    own.group(longest).await.unwrap();
    let unknown = GroupProposal { gone: true, ..own.group_of("nobody's", Members::Keep) };
    assert_eq!(own.group(unknown).await.unwrap_err(), "not_found");
    let admins = GroupProposal { source: Source::Admin, ..own.group_of("x", Members::Keep) };
    assert_eq!(own.group(admins).await.unwrap_err(), "invalid_input");
    let row = DirectoryGroup::load(own.store(), group).await.unwrap();
    assert_eq!((row.name.as_str(), row.connection), ("staff", own.connection));
    let quiet = own.events().await.len();
    own.group(own.group_of("staff", Members::Keep)).await.unwrap();
    assert_eq!(own.events().await.len(), quiet, "what changes nothing tells nothing");
}

#[tokio::test]
async fn of_many_who_are_added_at_once_none_is_lost() {
    let own = Tenant::new().await;
    let users = crowd(&own, 64).await;
    own.group(own.group_of("staff", Members::Keep)).await.unwrap();
    let adding = users.iter().map(|user| own.group(own.group_of("staff", Members::Add(vec![*user]))));
    for done in futures_util::future::join_all(adding).await {
        done.unwrap();
    }
    assert_eq!(rows(&own).await, 64);
}
