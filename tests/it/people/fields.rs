//! Whose word counts: matching, linking, the fields of a profile, roles by mapping alone.

use authd::access::Role;
use authd::directory::{Field, Fields, Members, Membership, PersonProposal, Source, User};
use authd::event::EventKind;
use authd::id::ConnectionId;
use authd::policy::{
    Authority, GroupsMode, Linking, ReuseUser, RolesMode, UpdateFromDirectory, UpdateProfile, Verdict,
};
use authd::store::{Batch, Key, Stored};
use serde_json::json;

use super::{Tenant, profile, role_names};

#[tokio::test]
async fn weighing_tells_what_is_done_and_writes_nothing() {
    let own = Tenant::new().await;
    let cx = own.context(authd::access::Caller::System);
    let count = own.events().await.len();
    let weighed = authd::directory::weigh(&cx, &own.sign_in("ada"), &own.facts()).await.unwrap();
    assert_eq!(weighed.verdict, Verdict::Create { trust_email: true });
    let plan = weighed.plan.unwrap();
    assert!(plan.before.is_none() && !plan.ends && !plan.deletes() && plan.after.email_verified);
    assert!(own.members().await.is_empty() && own.events().await.len() == count);

    own.propose(own.sign_in("ada")).await.unwrap();
    let mut stranger = own.sign_in("ada");
    stranger.email_verified = false;
    stranger.subject = Some("mallory".into());
    let weighed = authd::directory::weigh(&cx, &stranger, &own.facts()).await.unwrap();
    assert_eq!(weighed.plan.unwrap_err().code(), "email_not_verified");
}

#[tokio::test]
async fn nat_10_whoever_came_first_with_an_address_they_have_not_proved_keeps_nothing_of_the_owner() {
    for linking in [Linking::SameConnection, Linking::VerifiedEmail, Linking::None] {
        // The squatter came through another connection, when nobody had proven the domain.
        let mut own = Tenant::new().await;
        own.policy.identity.account_linking.oidc = linking;
        let elsewhere = ConnectionId::new(&own.world.env);
        let squatting = PersonProposal::sign_in(elsewhere, "mallory", &profile("victim"));
        let mut facts = own.facts();
        facts.domains.clear();
        let squatter =
            own.propose_with(&authd::directory::Proposal::Person(Box::new(squatting.clone())), &facts).await.map(drop);
        assert_eq!(squatter, Ok(()));
        assert!(!own.members().await[0].email_verified);
        assert_eq!(own.propose(own.sign_in("victim")).await.unwrap_err(), "email_conflict");
        assert_eq!(own.identities().await.len(), 1, "{linking:?}: not linked");

        // The owner came first: the squatter is refused.
        let own = Tenant::new().await;
        own.propose(own.sign_in("victim")).await.unwrap();
        let mut facts = own.facts();
        (facts.domains, facts.domain_owned_elsewhere) = (Vec::new(), true);
        facts.policy.identity.account_linking.oidc = linking;
        let squatting = authd::directory::Proposal::Person(Box::new(squatting));
        assert_eq!(own.propose_with(&squatting, &facts).await.map(drop), Err("email_domain_not_owned"));

        // An administrator entered the victim: only who proves the address becomes them.
        let mut own = Tenant::new().await;
        own.operate("user.create", json!({"organization": own.id, "email": "victim@own.test"})).await.unwrap();
        facts.organization = own.id;
        facts.domain_owned_elsewhere = false;
        let refused = own.propose_with(&squatting, &facts).await.map(drop);
        assert_eq!(refused, Err("email_conflict"), "{linking:?}");
        let mut unverified = own.sign_in("victim");
        unverified.email_verified = false;
        assert_eq!(own.propose(unverified).await.unwrap_err(), "email_not_verified");
        assert!(own.identities().await.is_empty());
        own.policy.identity.account_linking.oidc = linking;
        let arrived = own.propose(own.sign_in("victim")).await;
        if linking == Linking::None {
            assert_eq!(arrived.unwrap_err(), "email_conflict", "the policy says never");
        } else {
            let arrived = arrived.unwrap().membership;
            assert!(arrived.email_verified && arrived.source == Some(own.connection));
            assert_eq!(own.members().await.len(), 1);
            assert_eq!(own.last(EventKind::AccountLinked).await.data["subject"], "victim");
            // Only the first one.
            let mut second = PersonProposal::sign_in(elsewhere, "late", &profile("victim"));
            second.subject = Some("late".into());
            let late = own.propose(second).await;
            assert_eq!(late.is_ok(), linking == Linking::VerifiedEmail);
        }
    }
}

#[tokio::test]
async fn somebody_who_is_expected_through_one_connection_is_nobody_for_another() {
    let own = Tenant::new().await;
    let connection = json!({"organization": own.id, "protocol": "oidc", "name": "P"});
    let expected = own.operate("connection.create", connection).await.unwrap()["id"].clone();
    let input = json!({"organization": own.id, "email": "ada@own.test", "connection": expected});
    own.operate("user.create", input).await.unwrap();
    assert_eq!(own.propose(own.sign_in("ada")).await.unwrap_err(), "email_conflict");
    let through = expected.as_str().unwrap().parse().unwrap();
    own.propose(PersonProposal::sign_in(through, "ada", &profile("ada"))).await.unwrap();
    assert_eq!(own.members().await.len(), 1);
}

#[tokio::test]
async fn scim_06_a_directory_takes_nobody_over() {
    let mut own = Tenant::new().await;
    let elsewhere = ConnectionId::new(&own.world.env);
    let ada = own.propose(PersonProposal::sign_in(elsewhere, "ada", &profile("ada"))).await.unwrap().membership;
    for linking in [Linking::SameConnection, Linking::None] {
        own.policy.identity.account_linking.oidc = linking;
        assert_eq!(own.propose(own.scim("ada")).await.unwrap_err(), "taken", "{linking:?}");
    }
    let foreign = PersonProposal { fields: Fields::none().set(Field::Email, "ceo@other.test"), ..own.scim("x-1") };
    assert_eq!(own.propose(foreign).await.unwrap_err(), "email_domain_not_owned");
    // Nor by changing what it states of somebody it knows.
    let bob = own.propose(own.scim("bob")).await.unwrap().membership.user;
    for (email, code) in [("ada@own.test", "taken"), ("bob@other.test", "email_domain_not_owned")] {
        let change = PersonProposal { fields: Fields::none().set(Field::Email, email), ..own.scim_about(bob) };
        assert_eq!(own.propose(change).await.unwrap_err(), code);
    }
    let handle = PersonProposal { external_id: Some("bob".into()), ..own.scim_about(ada.user) };
    assert_eq!(own.propose(handle).await.unwrap_err(), "taken", "another's handle");
    assert_eq!(own.member(ada.user).await.unwrap(), ada);

    // Whom another connection brought does not exist for it: it cannot give them an identity of its own, either.
    let adopt = PersonProposal { subject: Some("mine".into()), ..own.scim_about(ada.user) };
    assert_eq!(own.propose(adopt).await.unwrap_err(), "not_found");
    assert_eq!(own.identities().await.len(), 1);

    // Whom its own connection brought is the same person.
    let cleo = own.propose(own.sign_in("cleo")).await.unwrap().membership.user;
    assert_eq!(own.propose(own.scim("cleo")).await.unwrap_err(), "taken", "linking is off");
    own.policy.identity.account_linking.oidc = Linking::SameConnection;
    assert_eq!(own.propose(own.scim("cleo")).await.unwrap().membership.user, cleo);
    own.policy.provisioning.scim_reuse.user = ReuseUser::None;
    assert_eq!(own.propose(own.scim("cleo")).await.unwrap_err(), "taken", "the handle recognizes nobody");
    own.policy.provisioning.scim_reuse.user = ReuseUser::ExternalId;
    assert_eq!(own.propose(own.scim("cleo")).await.unwrap().membership.user, cleo);
    // A new handle replaces the old one.
    own.propose(PersonProposal { external_id: Some("cleo-2".into()), ..own.scim_about(cleo) }).await.unwrap();
    let old = PersonProposal { external_id: Some("cleo".into()), ..own.scim_about(bob) };
    own.propose(old).await.unwrap();
}

#[tokio::test]
async fn a_field_that_the_authority_set_is_the_authoritys() {
    let name = |own: &Tenant, source: Source, user, text: &str| PersonProposal {
        user: Some(user),
        fields: Fields::none().set(Field::Name, text),
        ..PersonProposal { source, ..own.scim_about(user) }
    };
    for (authority, holder) in [(Authority::App, 0), (Authority::Connection, 1), (Authority::Scim, 2)] {
        let mut own = Tenant::new().await;
        let user = &mut own.policy.provisioning.user;
        user.authority = authority;
        user.update_profile_on_login = UpdateProfile::Always;
        user.update_profile_from_scim = UpdateFromDirectory::Always;
        let ada = own.propose(own.scim("ada")).await.unwrap().membership.user;
        let sources = [Source::Admin, Source::SignIn(own.connection), Source::Scim(own.connection)];
        own.propose(name(&own, sources[holder], ada, "held")).await.unwrap();
        for source in sources {
            let said = own.propose(name(&own, source, ada, "other")).await;
            let now = own.member(ada).await.unwrap().name;
            if source == sources[holder] {
                assert_eq!(now.as_deref(), Some("other"), "{authority:?}");
                own.propose(name(&own, source, ada, "held")).await.unwrap();
            } else {
                assert_eq!(now.as_deref(), Some("held"), "{authority:?}: {source:?}");
                let told = if source == Source::Admin { Err("field_owned") } else { Ok(()) };
                assert_eq!(said.map(drop), told, "{authority:?}: {source:?}");
            }
        }
        // Cleared by the authority, it stays clear.
        let clear =
            PersonProposal { fields: Fields::none().clear(Field::Name), ..name(&own, sources[holder], ada, "") };
        own.propose(clear).await.unwrap();
        own.propose(name(&own, sources[(holder + 1) % 3], ada, "other")).await.map(drop).ok();
        assert_eq!(own.member(ada).await.unwrap().name, None, "{authority:?}");
    }
}

#[tokio::test]
async fn clearing_is_writing_and_absence_is_not() {
    let mut own = Tenant::new().await;
    let all = Fields::none().set(Field::Name, "Ada").set(Field::GivenName, "A").set(Field::Email, "ada@own.test");
    let ada = own.propose(PersonProposal { fields: all, ..own.scim("ada") }).await.unwrap().membership.user;
    own.propose(own.scim_about(ada)).await.unwrap();
    let clear = PersonProposal { fields: Fields::none().clear(Field::Name).clear(Field::Email), ..own.scim_about(ada) };
    for mode in [UpdateFromDirectory::Never, UpdateFromDirectory::Missing] {
        own.policy.provisioning.user.update_profile_from_scim = mode;
        own.propose(clear.clone()).await.unwrap();
        assert_eq!(own.member(ada).await.unwrap().name.as_deref(), Some("Ada"), "{mode:?}");
    }
    own.policy.provisioning.user.update_profile_from_scim = UpdateFromDirectory::Always;
    own.propose(clear).await.unwrap();
    let member = own.member(ada).await.unwrap();
    assert_eq!((member.name, member.email, member.email_verified), (None, None, false));
    assert_eq!(member.given_name.as_deref(), Some("A"));
    assert_eq!(own.last(EventKind::UserUpdated).await.data["changed"], json!(["email", "name"]));
}

#[tokio::test]
async fn a_sign_in_fills_in_or_replaces_as_the_policy_says() {
    for (mode, expected) in [
        (UpdateProfile::Missing, ("ada", Some("A"))),
        (UpdateProfile::Never, ("ada", None)),
        (UpdateProfile::Always, ("New", Some("A"))),
    ] {
        let mut own = Tenant::new().await;
        own.policy.provisioning.user.update_profile_on_login = mode;
        let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
        let mut now = profile("ada");
        (now.name, now.given_name, now.groups) = (Some("New".into()), Some("A".into()), vec!["g".into()]);
        own.propose(PersonProposal::sign_in(own.connection, "ada", &now)).await.unwrap();
        let member = own.member(ada).await.unwrap();
        assert_eq!((member.name.as_deref().unwrap(), member.given_name.as_deref()), expected, "{mode:?}");
        assert_eq!(member.groups, ["g"], "evidence, whatever the mode");

        // A new address: taken over by `always` alone, and by nobody while it is somebody else's.
        own.propose(own.sign_in("bob")).await.unwrap();
        for (email, taken) in [("bob@own.test", false), ("new@own.test", mode == UpdateProfile::Always)] {
            now.email = Some(email.into());
            let done = own.propose(PersonProposal::sign_in(own.connection, "ada", &now)).await.unwrap();
            assert_eq!(done.email_conflict, email == "bob@own.test");
            assert_eq!(own.member(ada).await.unwrap().email.as_deref() == Some(email), taken, "{mode:?} {email}");
        }
        let before = own.member(ada).await.unwrap();
        for (email, verified) in [("evil@other.test", true), ("unproved@own.test", false)] {
            (now.email, now.email_verified) = (Some(email.into()), verified);
            own.propose(PersonProposal::sign_in(own.connection, "ada", &now)).await.unwrap();
            assert_eq!(own.member(ada).await.unwrap().email, before.email, "{email}");
        }
    }
}

#[tokio::test]
async fn an_administrators_address_is_trusted_again_after_a_sign_in_that_proves_it() {
    let own = Tenant::new().await;
    let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
    own.operate("user.update", json!({"id": ada, "email": "Ada.L@own.test"})).await.unwrap();
    let member = own.member(ada).await.unwrap();
    assert_eq!((member.email.as_deref(), member.email_verified), (Some("Ada.L@own.test"), false));
    let proved = PersonProposal::sign_in(own.connection, "ada", &profile("ada.l"));
    own.propose(proved).await.unwrap();
    let member = own.member(ada).await.unwrap();
    assert_eq!((member.email.as_deref(), member.email_verified), (Some("Ada.L@own.test"), true));
    let bob = own.propose(own.sign_in("bob")).await.unwrap().membership.user;
    let steal = own.operate("user.update", json!({"id": bob, "email": "ADA.L@own.test"})).await;
    assert_eq!(steal.unwrap_err(), "taken");
    for input in [
        json!({"id": bob}),
        json!({"id": bob, "name": ""}),
        json!({"id": bob, "name": "a\u{7}"}),
        json!({"id": bob, "image": "http://pictures.test/1"}),
        json!({"id": bob, "image": "javascript:alert(1)"}),
    ] {
        assert_eq!(own.operate("user.update", input.clone()).await.unwrap_err(), "invalid_input", "{input}");
    }
    let wrong = own.operate("user.update", json!({"id": bob, "email": "bob"})).await;
    assert_eq!(wrong.unwrap_err(), "profile_invalid");
    own.operate("user.update", json!({"id": bob, "name": null, "givenName": "Bob"})).await.unwrap();
    let member = own.member(bob).await.unwrap();
    assert_eq!((member.name, member.given_name.as_deref()), (None, Some("Bob")));
}

/// SAML-33 and SCIM-05: what an upstream calls its groups and roles is its own business.
#[tokio::test]
async fn saml_33_scim_05_no_name_of_a_source_is_a_role() {
    for (groups_mode, roles_mode) in [
        (GroupsMode::Ignore, RolesMode::Ignore),
        (GroupsMode::Sync, RolesMode::Ignore),
        (GroupsMode::Sync, RolesMode::Map),
    ] {
        let mut own = Tenant::new().await;
        own.policy.provisioning.groups.mode = groups_mode;
        own.policy.provisioning.roles.mode = roles_mode;
        own.policy.provisioning.groups.mapping.insert("staff".into(), vec![Role::Viewer.into()]);
        own.policy.provisioning.roles.mapping.insert("lead".into(), vec![Role::Admin.into()]);
        let names = || Some(Role::ALL.iter().map(|role| role.name().to_owned()).collect::<Vec<_>>());
        let claim = PersonProposal { groups: names(), roles: names(), ..own.sign_in("ada") };
        let ada = own.propose(claim.clone()).await.unwrap().membership;
        assert!(role_names(&ada).is_empty());
        assert_eq!(ada.groups.len(), 4, "they are evidence all the same");
        let stated = PersonProposal { groups: names(), roles: names(), active: Some(true), ..own.scim("bob") };
        assert!(role_names(&own.propose(stated).await.unwrap().membership).is_empty());
        for role in Role::ALL {
            own.group(own.group_of(role.name(), Members::Set(vec![ada.user]))).await.unwrap();
        }
        assert!(role_names(&own.member(ada.user).await.unwrap()).is_empty());

        // What an administrator wrote down does count, and stops to count when it is no longer stated.
        let mapped = PersonProposal {
            groups: Some(vec!["owner".into(), "staff".into()]),
            roles: Some(vec!["lead".into()]),
            ..claim.clone()
        };
        let expected: &[&str] = match (groups_mode, roles_mode) {
            (GroupsMode::Ignore, _) => &[],
            (GroupsMode::Sync, RolesMode::Ignore) => &["viewer"],
            (GroupsMode::Sync, RolesMode::Map) => &["admin", "viewer"],
        };
        assert_eq!(role_names(&own.propose(mapped).await.unwrap().membership), expected);
        own.operate("member.set_role", json!({"user": ada.user, "roles": ["member"]})).await.unwrap();
        assert_eq!(role_names(&own.propose(claim).await.unwrap().membership), ["member"], "given roles stay");
    }
}

#[tokio::test]
async fn a_newcomer_has_the_roles_of_newcomers_and_only_by_signing_in() {
    let mut own = Tenant::new().await;
    own.policy.provisioning.jit.default_role_ids = vec![Role::Viewer.into(), Role::Member.into()];
    let ada = own.propose(own.sign_in("ada")).await.unwrap().membership;
    assert_eq!(role_names(&ada), ["member", "viewer"]);
    let mut facts = own.facts();
    facts.default_role = Some(Role::Admin.into());
    let mut batch = Batch::new();
    let cx = own.context(authd::access::Caller::System);
    let bob = authd::directory::provision_person(&cx, own.sign_in("bob"), &facts, &mut batch).await.unwrap();
    assert_eq!(role_names(&bob.membership), ["admin"], "the connection's word goes before the policy's");
    assert!(role_names(&own.propose(own.scim("cleo")).await.unwrap().membership).is_empty());
}

#[tokio::test]
async fn an_event_names_what_changed_and_nothing_else() {
    let mut own = Tenant::new().await;
    own.policy.provisioning.user.authority = Authority::Connection;
    own.policy.provisioning.user.update_profile_on_login = UpdateProfile::Always;
    own.policy.provisioning.groups.mode = GroupsMode::Sync;
    own.policy.provisioning.groups.mapping.insert("staff".into(), vec![Role::Viewer.into()]);
    let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
    let mut said = own.sign_in("ada");
    type Change<'a> = (&'a str, &'a dyn Fn(&mut PersonProposal));
    let changes: [Change<'_>; 7] = [
        ("email", &|said| said.fields = said.fields.clone().set(Field::Email, "ada.l@own.test")),
        ("name", &|said| said.fields = said.fields.clone().set(Field::Name, "Ada L")),
        ("givenName", &|said| said.fields = said.fields.clone().set(Field::GivenName, "Ada")),
        ("familyName", &|said| said.fields = said.fields.clone().set(Field::FamilyName, "Lovelace")),
        ("image", &|said| said.fields = said.fields.clone().set(Field::Image, "https://p.test/1")),
        ("groups", &|said| said.groups = Some(vec!["others".into()])),
        ("extra", &|said| said.extra = Some([("k".to_owned(), json!(1))].into_iter().collect())),
    ];
    for (name, change) in changes {
        change(&mut said);
        own.propose(said.clone()).await.unwrap();
        assert_eq!(own.last(EventKind::UserUpdated).await.data["changed"], json!([name]));
        let quiet = own.events().await.len();
        own.propose(said.clone()).await.unwrap();
        assert_eq!(own.events().await.len(), quiet, "{name}: said again, it is nothing new");
    }
    let member = own.member(ada).await.unwrap();
    assert_eq!(member.extra.as_deref(), Some(r#"{"k":1}"#));
    own.propose(PersonProposal { extra: Some(Default::default()), ..own.sign_in("ada") }).await.unwrap();
    assert_eq!(own.member(ada).await.unwrap().extra, None);

    own.propose(PersonProposal { groups: Some(vec!["staff".into()]), ..own.sign_in("ada") }).await.unwrap();
    let event = own.last(EventKind::UserUpdated).await;
    assert_eq!((&event.data["gained"], event.data.get("lost")), (&json!(["viewer"]), None));
    own.propose(PersonProposal { groups: Some(vec![]), ..own.sign_in("ada") }).await.unwrap();
    let event = own.last(EventKind::UserUpdated).await;
    assert_eq!((event.data.get("gained"), &event.data["lost"]), (None, &json!(["viewer"])));
    assert_eq!(event.data["source"], "sign_in");

    // The authority says what somebody else had said: nothing looks different, but it is the authority's now.
    own.policy.provisioning.user.authority = Authority::Scim;
    let same = Fields::none().set(Field::Name, own.member(ada).await.unwrap().name.unwrap());
    own.propose(PersonProposal { fields: same.clone(), ..own.scim_about(ada) }).await.unwrap();
    assert_eq!(own.last(EventKind::UserUpdated).await.data["changed"], json!(["authority"]));
    let quiet = own.events().await.len();
    own.propose(PersonProposal { fields: same, ..own.scim_about(ada) }).await.unwrap();
    own.propose(PersonProposal { fields: Fields::none().clear(Field::Image), ..own.scim_about(ada) }).await.unwrap();
    assert_eq!(own.events().await.len(), quiet + 1);
    let other = Fields::none().set(Field::Name, "Other");
    own.propose(PersonProposal { fields: other, ..own.sign_in("ada") }).await.unwrap();
    assert_ne!(own.member(ada).await.unwrap().name.as_deref(), Some("Other"));
}

#[tokio::test]
async fn who_comes_back_with_another_name_is_told_as_both() {
    let own = Tenant::new().await;
    let ada = own.propose(own.scim("ada")).await.unwrap().membership.user;
    let word = |active| PersonProposal { active: Some(active), ..own.scim_about(ada) };
    own.propose(word(false)).await.unwrap();
    let named = Fields::none().set(Field::Name, "Ada L");
    own.propose(PersonProposal { fields: named, ..word(true) }).await.unwrap();
    let told = own.events().await.split_off(own.events().await.len() - 2);
    assert_eq!(
        told.iter().map(|event| event.kind).collect::<Vec<_>>(),
        [EventKind::UserReactivated, EventKind::UserUpdated]
    );
    assert_eq!(told[1].data["changed"], json!(["name"]));
}

#[tokio::test]
async fn a_member_carries_when_they_were_changed_last() {
    let own = Tenant::new().await;
    let ada = own.propose(own.scim("ada")).await.unwrap().membership;
    own.world.env.advance(std::time::Duration::from_secs(60));
    own.propose(own.scim("ada")).await.unwrap();
    assert_eq!(own.member(ada.user).await.unwrap().updated_at, ada.updated_at, "said again, it is no change");
    let named = PersonProposal { fields: Fields::none().set(Field::Name, "Ada L"), ..own.scim_about(ada.user) };
    own.propose(named).await.unwrap();
    assert_eq!(own.member(ada.user).await.unwrap().updated_at, own.world.env.now());
}

#[tokio::test]
async fn who_is_known_to_a_connection_and_no_member_is_not_made_one_by_signing_in() {
    let own = Tenant::new().await;
    let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
    let key = Membership::key_of(own.id, ada);
    let kept = own.store().get::<Membership>(key.clone()).await.unwrap().unwrap();
    let mut batch = Batch::new();
    batch.delete::<Membership>(key, kept.revision);
    batch.log(own.context(authd::access::Caller::System).event(EventKind::UserDeleted));
    own.store().commit(batch).await.unwrap();
    assert_eq!(own.propose(own.sign_in("ada")).await.unwrap_err(), "person_disabled");
    assert!(own.members().await.is_empty());
}

#[tokio::test]
async fn who_is_refused_a_field_hears_whose_it_is() {
    for (authority, name) in [(Authority::App, "app"), (Authority::Connection, "connection"), (Authority::Scim, "scim")]
    {
        let mut own = Tenant::new().await;
        own.policy.provisioning.user.authority = authority;
        let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
        let said = |proposal: PersonProposal, name: &str| PersonProposal {
            fields: Fields::none().set(Field::Name, name),
            ..proposal
        };
        let owner = match authority {
            Authority::App => PersonProposal { user: Some(ada), ..PersonProposal::of(Source::Admin) },
            Authority::Connection => own.sign_in("ada"),
            Authority::Scim => own.scim_about(ada),
        };
        own.policy.provisioning.user.update_profile_on_login = UpdateProfile::Always;
        own.propose(said(owner, "Owned")).await.unwrap();
        let cx = own.context(authd::access::Caller::System);
        let admin = PersonProposal { user: Some(ada), ..PersonProposal::of(Source::Admin) };
        let (mut batch, facts) = (Batch::new(), own.facts());
        let refused = authd::directory::provision_person(&cx, said(admin, "Other"), &facts, &mut batch).await.map(drop);
        match refused {
            Ok(()) => assert_eq!(authority, Authority::App),
            Err(refused) => {
                let help = refused.next_step().unwrap_or_default().to_owned();
                assert!(help.contains(&format!("`provisioning.user.authority: {name}`")), "{help}");
            }
        }
    }
}

#[tokio::test]
async fn an_inbound_word_on_an_address_proves_it_only_in_a_domain_of_its_own_and_only_as_verified() {
    for (domain, verified, trusted) in [
        ("own.test", true, true),
        ("own.test", false, false),
        ("other.test", true, false),
        ("other.test", false, false),
    ] {
        let own = Tenant::new().await;
        let source = Source::Inbound(own.connection);
        let stated = |email: String, verified| PersonProposal {
            external_id: Some("ada".into()),
            fields: Fields::none().set(Field::Email, email),
            email_verified: verified,
            ..PersonProposal::of(source)
        };
        let mut facts = own.facts();
        facts.domains.push("old.test".into());
        let first = authd::directory::Proposal::Person(Box::new(stated("ada@old.test".into(), false)));
        let authd::directory::Provisioned::Person(ada) = own.propose_with(&first, &facts).await.unwrap() else {
            panic!("a person")
        };
        assert!(!ada.membership.email_verified, "a directory vouches for its addresses, this one says which");
        let next = authd::directory::Proposal::Person(Box::new(stated(format!("ada@{domain}"), verified)));
        let came = own.propose_with(&next, &own.facts()).await;
        let member = own.member(ada.membership.user).await.unwrap();
        assert_eq!(member.email_verified, trusted, "{domain}, verified {verified}: {:?}", came.err());
    }
}

#[tokio::test]
async fn a_handle_has_a_length_and_a_person_may_be_disabled_everywhere() {
    let own = Tenant::new().await;
    for (handle, fits) in [(String::new(), false), ("x".repeat(1_000), true), ("y".repeat(1_001), false)] {
        let mut arrival = own.sign_in("ada");
        arrival.subject = Some(handle.clone());
        arrival.fields = Fields::none();
        let subject = own.propose(arrival).await.map(drop);
        let stated = PersonProposal { external_id: Some(handle.clone()), fields: Fields::none(), ..own.scim("x") };
        let external = own.propose(stated).await.map(drop);
        let expected = if fits { Ok(()) } else { Err("profile_invalid") };
        assert_eq!((subject, external), (expected, expected), "{}", handle.len());
    }
    let ada = own.propose(own.sign_in("ada")).await.unwrap().membership.user;
    let Stored { mut value, revision } = own.store().get::<User>(Key::from_bytes(ada.bytes())).await.unwrap().unwrap();
    value.disabled_at = Some(own.world.env.now());
    let mut batch = Batch::new();
    batch.update(&value, revision).log(own.context(authd::access::Caller::System).event(EventKind::UserUpdated));
    own.store().commit(batch).await.unwrap();
    assert_eq!(own.propose(own.sign_in("ada")).await.unwrap_err(), "person_disabled");
}

#[tokio::test]
async fn identities_of_another_tenant_say_nothing_here() {
    let own = Tenant::new().await;
    let other = Tenant::within(&own.world).await;
    let ada = other.propose(other.sign_in("ada")).await.unwrap().membership;
    let entered = Membership { organization: own.id, source: None, email_verified: false, ..ada.clone() };
    let mut batch = Batch::new();
    batch.create(&entered).log(own.context(authd::access::Caller::System).event(EventKind::UserCreated));
    own.store().commit(batch).await.unwrap();
    assert_eq!(own.propose(own.sign_in("ada")).await.unwrap().membership.user, ada.user);
    let listed = own.with_role(Role::Viewer);
    let shown = own.perform(&listed, "identity.list", json!({"user": ada.user})).await.unwrap();
    assert_eq!(shown["items"].as_array().unwrap().len(), 1, "each tenant sees its own");
}

#[tokio::test]
async fn who_was_linked_by_hand_is_not_waited_for() {
    let own = Tenant::new().await;
    let connection = json!({"organization": own.id, "protocol": "oidc", "name": "P"});
    let connection = own.operate("connection.create", connection).await.unwrap()["id"].clone();
    let created = own.operate("user.create", json!({"organization": own.id, "email": "ada@own.test"})).await.unwrap();
    let link = json!({"user": created["id"], "connection": connection, "subject": "ada"});
    own.operate("identity.link", link).await.unwrap();
    assert_eq!(own.propose(own.sign_in("ada")).await.unwrap_err(), "email_conflict");
    let through = connection.as_str().unwrap().parse().unwrap();
    let arrived = own.propose(PersonProposal::sign_in(through, "ada", &profile("ada"))).await.unwrap();
    assert_eq!(json!(arrived.membership.user), created["id"]);
    assert_eq!(arrived.membership.source, None, "an administrator linked them: they are the administrator's still");
}
