//! What a dry run tells is what the change, and everybody's next sign-in, then do.

use std::collections::{BTreeMap, BTreeSet};

use authd::access::Role;
use authd::directory::{Membership, Source, Statement};
use authd::event::EventKind;
use authd::id::{ConnectionId, OrganizationId, UserId};
use authd::store::Batch;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::{Claims, GROUPS, World, any_policy, names, object, roles_of, some, text};

#[tokio::test]
async fn a_dry_run_tells_what_the_change_and_the_next_sign_ins_do() {
    let seed: u64 = rand::rng().random();
    let rng = &mut StdRng::seed_from_u64(seed);
    let world = World::new().await;
    let (mut affected, mut refused) = (0, 0);
    for case in 0..12 {
        let tenant = world.tenant(&format!("d{case}.example")).await;
        let open = json!({"mode": "createUserAndMembership"});
        let mut policy = any_policy(rng);
        policy["provisioning"]["jit"] = open.clone();
        policy["provisioning"]["user"]["createOnSignIn"] = json!(true);
        world.policy(&tenant, policy).await;
        let mut people: BTreeMap<UserId, Claims> = BTreeMap::new();
        for number in 0..6 {
            let claims = object(json!({
                "sub": format!("p{number}"), "email": format!("p{number}@{}", tenant.domain), "email_verified": true,
                "groups": some(rng, &GROUPS), "roles": some(rng, &["boss", "clerk"]),
            }));
            people.insert(world.sign_in(&tenant, &tenant.connection, &claims).await.unwrap(), claims);
        }
        for number in 0..2 {
            // Entered by hand, and not here yet: only account linking lets them in.
            let email = format!("e{number}@{}", tenant.domain);
            let user = world.enter(&tenant, &email, true).await;
            people.insert(user, object(json!({"sub": format!("e{number}"), "email": email, "email_verified": true})));
        }
        let patch = any_policy(rng);
        let (seq, counts) = (world.authd.app.world.store.log_seq(), world.authd.counts().await);
        let wish = json!({"organization": tenant.organization, "patch": patch, "dryRun": true, "limit": 1000});
        let tried = world.authd.operate("policy.update", wish).await;
        let now = (world.authd.app.world.store.log_seq(), world.authd.counts().await);
        assert_eq!(now, (seq, counts), "seed {seed}: a dry run writes nothing");
        let effect = &tried["effect"];
        assert_eq!(effect["people"], people.len());
        let rows: BTreeMap<UserId, &Value> = effect["rows"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| (text(row, "user").parse().unwrap(), row))
            .collect();
        affected += rows.len();

        let before = world.members(&tenant.organization).await;
        let linked = tried["identity"]["accountLinking"]["oidc"] != "none";
        let done = world.policy(&tenant, patch).await;
        assert_eq!(done["changed"], tried["changed"], "seed {seed}, case {case}");
        for (user, claims) in &people {
            let told = format!("seed {seed}, case {case}: {claims:?} {tried}");
            let row = rows.get(user).copied().unwrap_or(&Value::Null);
            let end = world.sign_in(&tenant, &tenant.connection, claims).await;
            let entered = claims["sub"].as_str().unwrap().starts_with('e');
            assert_eq!(end.is_ok(), !entered || linked, "{told}");
            if let Err(code) = &end {
                refused += usize::from(row["refused"] == json!(code));
            }
            let after = world.member(&tenant, *user).await;
            let (had, has) = (roles_of(&before[user]), roles_of(&after));
            let difference =
                |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(&row["gains"]), difference(&has, &had), "{told}");
            assert_eq!(names(&row["loses"]), difference(&had, &has), "{told}");
        }
    }
    assert!(affected > 5 && refused > 0, "seed {seed}: {affected} were affected, {refused} refused");
}

#[tokio::test]
async fn who_would_be_refused_is_told_with_their_live_sessions_and_counted_beyond_the_limit() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    for number in 0..5 {
        world.enter(&tenant, &format!("e{number}@corp.example"), true).await;
    }
    let try_it = async |limit: usize, patch: Value| {
        let wish = json!({"organization": tenant.organization, "patch": patch, "dryRun": true, "limit": limit});
        world.authd.operate("policy.update", wish).await
    };
    let closed = json!({"identity": {"accountLinking": {"oidc": "none"}}, "provisioning": {"jit": {"mode": "off"}}});
    let tried = try_it(2, closed.clone()).await;
    let effect = &tried["effect"];
    assert_eq!((&effect["refused"], &effect["more"], &effect["people"]), (&json!(5), &json!(3), &json!(5)));
    assert_eq!(effect["rows"].as_array().unwrap().len(), 2);
    assert_eq!(effect["rows"][0]["refused"], "email_conflict");
    assert!(effect["rows"][0]["email"].as_str().unwrap().ends_with("@corp.example"));
    let stranger = &effect["strangers"][0];
    assert_eq!((&stranger["from"], &stranger["to"]), (&json!("created"), &json!("not_a_member")));
    assert!(tried["nextSteps"].as_array().unwrap().iter().any(|step| step.as_str().unwrap().contains("--dry-run")));

    let blind = world.key(&tenant.organization, &["connection.policy.manage"]);
    let told = world.by(&blind, "policy.update", json!({"patch": closed, "dryRun": true})).await.unwrap();
    assert!(!told.to_string().contains('@'), "{told}");

    // Once they are here by an identity of their own, linking is no matter of theirs.
    let claims = object(json!({"sub": "1", "email": "e0@corp.example", "email_verified": true}));
    world.sign_in(&tenant, &tenant.connection, &claims).await.unwrap();
    let tried = try_it(20, json!({"identity": {"accountLinking": {"oidc": "none"}}})).await;
    assert_eq!(tried["effect"]["refused"], 4);
    // The connection's own word about strangers is not the policy's to change.
    world.authd.operate("connection.update", json!({"id": tenant.connection, "jit": true})).await;
    let tried = try_it(20, json!({"provisioning": {"jit": {"mode": "off"}}})).await;
    assert!(tried["effect"].get("strangers").is_none(), "{tried}");
}

#[tokio::test]
async fn a_dry_run_walks_every_page_and_says_when_no_owner_would_be_left() {
    const PEOPLE: usize = 1_234;
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let organization: OrganizationId = tenant.organization.parse().unwrap();
    let source: ConnectionId = tenant.connection.parse().unwrap();
    let (now, env) = (world.authd.env().now(), world.authd.env());
    let member = |number: usize| Membership {
        source: Some(source),
        groups: if number.is_multiple_of(3) { vec!["staff".to_owned()] } else { Vec::new() },
        mapped: if number == 7 {
            [(Statement::Groups(Source::SignIn(source)), [Role::Owner.into()].into())].into()
        } else {
            BTreeMap::new()
        },
        ..Membership::new(organization, UserId::new(env), now)
    };
    let people: Vec<Membership> = (0..PEOPLE).map(member).collect();
    for some in people.chunks(400) {
        let mut batch = Batch::new();
        for member in some {
            batch.create(member);
        }
        batch.log(world.operator().event(EventKind::UserCreated));
        world.authd.app.world.store.commit(batch).await.unwrap();
    }
    let rules = json!({"groups": {"mode": "sync", "mapping": {"staff": ["viewer"]}}});
    let wish = json!({"organization": organization, "patch": {"provisioning": rules}, "dryRun": true});
    let tried = world.authd.operate("policy.update", wish).await;
    let (effect, staff) = (&tried["effect"], PEOPLE.div_ceil(3));
    assert_eq!((&effect["people"], &effect["gain"], &effect["lose"]), (&json!(PEOPLE), &json!(staff), &json!(1)));
    assert_eq!((effect["rows"].as_array().unwrap().len(), &effect["more"]), (20, &json!(staff + 1 - 20)));
    assert_eq!(
        effect["roles"],
        json!([{"role": "owner", "gain": 0, "lose": 1}, {"role": "viewer", "gain": staff, "lose": 0}])
    );
    let steps = tried["nextSteps"].to_string();
    assert!(steps.contains("the last of them keeps it"), "{steps}");
}
