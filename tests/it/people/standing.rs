//! How access ends, who gives it back, and that an organization keeps an owner.

use authd::access::Role;
use authd::directory::{
    Ending, ExternalId, GetGroup, GroupMember, Members, Orders, Owners, PersonProposal, Status, User,
};
use authd::event::EventKind;
use authd::id::UserId;
use authd::policy::{DeprovisionMode, GroupsMode, JitMode};
use authd::store::{Key, Query};
use serde_json::json;

use super::{Tenant, role_names, world};

#[tokio::test]
async fn scim_08_only_who_ended_an_access_gives_it_back() {
    let own = Tenant::new().await;
    let ada = own.propose(own.scim("ada")).await.unwrap().membership.user;
    let word = |active| PersonProposal { active, ..own.scim_about(ada) };
    let status = async || own.member(ada).await.unwrap().status;

    // What SCIM has ended, SCIM gives back; leaving the word out does nothing.
    let before = own.epochs(ada).await;
    own.propose(word(Some(false))).await.unwrap();
    assert_eq!(status().await, Status::Deprovisioned);
    assert_eq!(own.last(EventKind::UserDeprovisioned).await.data["source"], "scim");
    assert!(!before.hold(own.store()).await.unwrap(), "in the same commit");
    own.propose(word(None)).await.unwrap();
    assert_eq!(status().await, Status::Deprovisioned);
    own.propose(word(Some(true))).await.unwrap();
    assert_eq!(status().await, Status::Active);

    // What an administrator has ended, no source gives back; whatever it says besides.
    own.operate("user.suspend", json!({"id": ada})).await.unwrap();
    assert_eq!(own.last(EventKind::UserSuspended).await.data["source"], "administrator");
    for _ in 0..2 {
        assert_eq!(own.propose(word(Some(true))).await.unwrap_err(), "suspended_by_admin");
        own.propose(word(Some(false))).await.unwrap();
        assert_eq!(status().await, Status::Suspended);
    }
    own.operate("user.reactivate", json!({"id": ada})).await.unwrap();
    assert_eq!(status().await, Status::Active);

    // What a source has ended, an administrator gives back only if they insist, and the log tells.
    own.propose(word(Some(false))).await.unwrap();
    assert_eq!(own.operate("user.reactivate", json!({"id": ada})).await.unwrap_err(), "ended_by_source");
    own.operate("user.reactivate", json!({"id": ada, "force": true})).await.unwrap();
    assert_eq!(own.last(EventKind::UserReactivated).await.data["forced"], true);

    // An administrator's word goes over a source's that came before it.
    own.propose(word(Some(false))).await.unwrap();
    own.operate("user.suspend", json!({"id": ada})).await.unwrap();
    assert_eq!(own.propose(word(Some(true))).await.unwrap_err(), "suspended_by_admin");
    own.operate("user.reactivate", json!({"id": ada})).await.unwrap();

    // Another directory of the person does not know that they are back; one that does not know them cannot say anything.
    own.propose(word(Some(false))).await.unwrap();
    let elsewhere = authd::directory::Source::Scim(authd::id::ConnectionId::new(&own.world.env));
    let other = |active| PersonProposal { source: elsewhere, active, ..own.scim_about(ada) };
    assert_eq!(own.propose(other(Some(true))).await.unwrap_err(), "not_found");
    assert_eq!(own.propose(other(Some(false))).await.unwrap_err(), "not_found");
    own.operate("user.reactivate", json!({"id": ada, "force": true})).await.unwrap();
    let linked = authd::directory::ExternalId {
        connection: elsewhere.connection().unwrap(),
        value: "theirs".into(),
        organization: own.id,
        user: ada,
    };
    let mut batch = authd::store::Batch::new();
    batch.create(&linked).log(own.context(authd::access::Caller::System).event(EventKind::UserUpdated));
    own.store().commit(batch).await.unwrap();
    own.propose(word(Some(false))).await.unwrap();
    assert_eq!(own.propose(other(Some(true))).await.unwrap_err(), "ended_by_source");
    own.propose(other(Some(false))).await.unwrap();
    own.propose(word(Some(true))).await.unwrap();
    assert_eq!(status().await, Status::Active);
}

#[tokio::test]
async fn an_ending_and_a_return_are_each_told_once() {
    let own = Tenant::new().await;
    let ada = own.propose(own.scim("ada")).await.unwrap().membership.user;
    assert_eq!(own.last(EventKind::UserCreated).await.data["status"], "active");
    own.group(own.group_of("crew", Members::Set(vec![ada]))).await.unwrap();
    let word = |active| PersonProposal { active, ..own.scim_about(ada) };
    let gone = || PersonProposal { gone: true, ..own.scim_about(ada) };
    for (proposal, kind) in [
        (word(Some(false)), EventKind::UserDeprovisioned),
        (word(Some(true)), EventKind::UserReactivated),
        (word(Some(false)), EventKind::UserDeprovisioned),
        // Their place in the group is all that is left to end.
        (gone(), EventKind::UserUpdated),
    ] {
        let before = own.events().await.len();
        own.propose(proposal).await.unwrap();
        let told: Vec<_> = own.events().await.split_off(before).into_iter().map(|event| event.kind).collect();
        assert_eq!(told, [kind]);
    }
    assert_eq!(own.last(EventKind::UserReactivated).await.data["was"], "deprovisioned");
}

#[tokio::test]
async fn suspended_and_removed_are_two_things() {
    let own = Tenant::new().await;
    let ada = own.propose(own.scim("ada")).await.unwrap().membership.user;
    own.operate("user.suspend", json!({"id": ada})).await.unwrap();
    own.operate("member.remove", json!({"user": ada, "organization": own.id})).await.unwrap();
    assert_eq!(own.member(ada).await.unwrap().status, Status::Deprovisioned);
    assert_eq!(own.last(EventKind::UserDeprovisioned).await.data["source"], "administrator");
}

#[tokio::test]
async fn signing_in_revives_nobody_however_they_left() {
    for end in ["user.suspend", "member.remove", "scim"] {
        let own = Tenant::new().await;
        let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
        match end {
            "scim" => drop(own.propose(PersonProposal { active: Some(false), ..own.scim_about(ada) }).await.unwrap()),
            "member.remove" => drop(own.operate(end, json!({"user": ada})).await.unwrap()),
            _ => drop(own.operate(end, json!({"id": ada})).await.unwrap()),
        }
        assert_eq!(own.propose(own.sign_in("ada")).await.unwrap_err(), "person_disabled", "{end}");
        // Nor does another identity with the same address.
        let mut other = own.sign_in("ada");
        other.subject = Some("other".into());
        assert_eq!(own.propose(other).await.unwrap_err(), "person_disabled", "{end}");
        assert_eq!(own.identities().await.len(), 1);
    }
}

#[tokio::test]
async fn who_waits_is_known_and_gets_in_once_admitted() {
    let mut own = Tenant::new().await;
    own.policy.provisioning.jit.mode = JitMode::CreateUser;
    let first = own.propose(own.sign_in("ada")).await.unwrap();
    assert_eq!(first.refused.map(|code| code.name), Some("not_a_member"));
    let ada = first.membership.user;
    assert_eq!(own.member(ada).await.unwrap().status, Status::Pending);
    assert_eq!(own.propose(own.sign_in("ada")).await.unwrap_err(), "not_a_member");
    assert_eq!(own.members().await.len(), 1, "known once");
    own.propose(PersonProposal { active: Some(true), ..own.scim_about(ada) }).await.unwrap();
    assert_eq!(own.member(ada).await.unwrap().status, Status::Pending, "a directory admits nobody");
    own.operate("user.reactivate", json!({"id": ada})).await.unwrap();
    let again = own.propose(own.sign_in("ada")).await.unwrap();
    assert!(again.refused.is_none() && !again.created && again.membership.user == ada);
}

#[tokio::test]
async fn what_is_deleted_leaves_nothing_here_and_everything_elsewhere() {
    for road in ["user.delete", "member.remove", "scim"] {
        let world = world();
        let (mut own, other) = (Tenant::within(&world).await, Tenant::within(&world).await);
        let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
        own.propose(PersonProposal { external_id: Some("x-1".into()), ..own.scim_about(ada) }).await.unwrap();
        let group = own.group(own.group_of("staff", Members::Set(vec![ada]))).await.unwrap();
        // The same person in another tenant.
        let there = authd::directory::Membership::new(other.id, ada, world.env.now());
        let mut batch = authd::store::Batch::new();
        let event = other.context(authd::access::Caller::System).event(EventKind::UserCreated);
        batch.create(&there).log(event);
        world.store.commit(batch).await.unwrap();

        let (here_before, there_before) = (own.epochs(ada).await, other.epochs(ada).await);
        own.policy.provisioning.deprovision.mode = DeprovisionMode::Hard;
        let gone = match road {
            "user.delete" => {
                own.operate(road, json!({"id": ada, "organization": own.id})).await.unwrap();
                true
            }
            // The operation goes by the policy that is kept, so the order is given to the pipeline here.
            "member.remove" => {
                let orders = Orders { ending: Ending::Remove, ..Orders::default() };
                let order = PersonProposal { active: Some(false), orders, ..PersonProposal::about(ada) };
                own.propose(order).await.unwrap().deleted
            }
            _ => own.propose(PersonProposal { active: Some(false), ..own.scim_about(ada) }).await.unwrap().deleted,
        };
        assert!(gone, "{road}");
        assert!(own.member(ada).await.is_none() && own.identities().await.is_empty(), "{road}");
        let store = own.store();
        assert!(store.page::<ExternalId>(Query::all()).await.unwrap().items.is_empty(), "{road}");
        assert!(store.page::<GroupMember>(Query::all()).await.unwrap().items.is_empty(), "{road}");
        let (viewer, get) = (own.with_role(Role::Viewer), GetGroup { id: group, paging: Default::default() });
        let shown = authd::access::perform(&viewer, &get);
        assert!(shown.await.unwrap().members.is_empty());
        assert!(!here_before.hold(store).await.unwrap(), "{road}");
        assert!(there_before.hold(store).await.unwrap(), "{road}: the other tenant is not touched");
        assert_eq!(other.member(ada).await, Some(there.clone()));
        assert!(store.get::<User>(Key::from_bytes(ada.bytes())).await.unwrap().is_some(), "still somebody there");

        // Gone there, too, nothing is left.
        other.operate("user.delete", json!({"id": ada})).await.unwrap();
        assert!(store.get::<User>(Key::from_bytes(ada.bytes())).await.unwrap().is_none());
        let event = own.last(EventKind::UserDeleted).await;
        assert!(!serde_json::to_string(&event).unwrap().contains("own.test"), "{event:?}");
    }
}

#[tokio::test]
async fn a_ban_outlives_a_hard_deprovisioning() {
    let mut own = Tenant::new().await;
    let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
    own.operate("user.suspend", json!({"id": ada})).await.unwrap();
    own.policy.provisioning.deprovision.mode = DeprovisionMode::Hard;
    own.propose(PersonProposal { active: Some(false), ..own.scim_about(ada) }).await.unwrap();
    assert_eq!(own.member(ada).await.unwrap().status, Status::Suspended);
    assert_eq!(own.propose(own.sign_in("ada")).await.unwrap_err(), "person_disabled");
}

/// A tenant whose only owner is one by the policy's mapping, or by an administrator.
async fn with_owner(mapped: bool) -> (Tenant, UserId) {
    let mut own = Tenant::new().await;
    own.policy.provisioning.groups.mode = GroupsMode::Sync;
    own.policy.provisioning.groups.mapping.insert("bosses".into(), vec![Role::Owner.into()]);
    let mut arrival = own.sign_in("ada");
    if mapped {
        arrival.groups = Some(vec!["bosses".into()]);
    }
    let ada = own.propose(arrival).await.unwrap().membership.user;
    if !mapped {
        own.operate("member.set_role", json!({"user": ada, "roles": ["owner"]})).await.unwrap();
    }
    assert!(own.member(ada).await.unwrap().owns());
    (own, ada)
}

#[tokio::test]
async fn the_last_owner_stays_on_every_road() {
    for mapped in [false, true] {
        let (own, ada) = with_owner(mapped).await;
        let before = own.epochs(ada).await;
        for (name, input) in [
            ("user.suspend", json!({"id": ada})),
            ("user.delete", json!({"id": ada})),
            ("member.remove", json!({"user": ada})),
        ] {
            assert_eq!(own.operate(name, input).await.unwrap_err(), "last_owner", "{name}");
        }
        let demoted = own.operate("member.set_role", json!({"user": ada, "roles": ["admin"]})).await;
        if mapped {
            // The mapping goes on giving it.
            assert!(demoted.is_ok() && own.member(ada).await.unwrap().owns());
        } else {
            assert_eq!(demoted.unwrap_err(), "last_owner");
        }
        let ended = PersonProposal { active: Some(false), ..own.scim_about(ada) };
        assert_eq!(own.propose(ended).await.unwrap_err(), "last_owner");
        assert!(own.member(ada).await.unwrap().owns() && before.hold(own.store()).await.unwrap());

        // A sign-in without the group neither takes the role of the last owner nor keeps them out.
        let again = own.propose(own.sign_in("ada")).await.unwrap();
        assert_eq!(again.last_owner_kept, mapped);
        assert!(own.member(ada).await.unwrap().owns());

        // With another owner, all of it goes.
        let bob = own.propose(own.sign_in("bob")).await.unwrap().membership.user;
        own.operate("member.set_role", json!({"user": bob, "roles": ["owner"]})).await.unwrap();
        own.propose(own.sign_in("ada")).await.unwrap();
        assert_eq!(own.member(ada).await.unwrap().owns(), !mapped, "the mapping is followed now");
        own.operate("user.suspend", json!({"id": ada})).await.unwrap();
        assert_eq!(own.operate("user.delete", json!({"id": bob})).await.unwrap_err(), "last_owner");
    }
}

#[tokio::test]
async fn of_two_owners_who_leave_at_once_one_stays() {
    for _ in 0..8 {
        let own = Tenant::new().await;
        let mut owners = Vec::new();
        for name in ["ada", "bob"] {
            let user = own.propose(own.sign_in(name)).await.unwrap().membership.user;
            own.operate("member.set_role", json!({"user": user, "roles": ["owner"]})).await.unwrap();
            owners.push(user);
        }
        let suspend = |user: UserId| own.operate("user.suspend", json!({"id": user}));
        let (first, second) = tokio::join!(suspend(owners[0]), suspend(owners[1]));
        assert_eq!([first.is_ok(), second.is_ok()].iter().filter(|done| **done).count(), 1);
        assert_eq!(own.members().await.iter().filter(|member| member.owns()).count(), 1);
    }
}

#[tokio::test]
async fn owners_from_before_there_was_a_row_of_them_count() {
    let own = Tenant::new().await;
    let user = UserId::new(&own.world.env);
    let mut member = authd::directory::Membership::new(own.id, user, own.world.env.now());
    member.roles = [Role::Owner.into()].into();
    let mut batch = authd::store::Batch::new();
    let anchor = User { id: user, created_at: own.world.env.now(), disabled_at: None };
    let event = own.context(authd::access::Caller::System).event(EventKind::UserCreated);
    batch.create(&anchor).create(&member).log(event);
    own.store().commit(batch).await.unwrap();
    assert_eq!(own.operate("user.suspend", json!({"id": user})).await.unwrap_err(), "last_owner");
    let bob = own.propose(own.sign_in("bob")).await.unwrap().membership.user;
    own.operate("member.set_role", json!({"user": bob, "roles": ["owner"]})).await.unwrap();
    let row = own.store().get::<Owners>(Key::from_bytes(own.id.bytes())).await.unwrap().unwrap();
    assert_eq!(row.users, [user, bob].into());
    own.operate("user.suspend", json!({"id": user})).await.unwrap();
    assert_eq!(role_names(&own.member(user).await.unwrap()), ["owner"], "what they were is not forgotten");
}
