//! What an explanation tells is what a sign-in does.

use authd::directory::Status;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use super::{Claims, GROUPS, Tenant, World, any_policy, mapping, object, pick, roles_of, some, text};

/// Somebody at random: known or not, with an address that may be anybody's.
fn any_claims(rng: &mut StdRng, tenant: &Tenant, cast: &[&str]) -> Claims {
    let mut claims = object(json!({"sub": pick(rng, &[cast, &["stranger"]].concat())}));
    let domain = if rng.random_bool(0.85) { tenant.domain.as_str() } else { "elsewhere.example" };
    if rng.random_bool(0.9) {
        let local = pick(rng, &["one", "two", "three", "entered", "New"]);
        claims.insert("email".into(), json!(format!("{local}@{domain}")));
    }
    match rng.random_range(0..10) {
        0 => {}
        1 => drop(claims.insert("email_verified".into(), json!("true"))),
        2 => drop(claims.insert("email_verified".into(), json!(false))),
        _ => drop(claims.insert("email_verified".into(), json!(true))),
    }
    if rng.random_bool(0.6) {
        claims.insert("name".into(), json!(pick(rng, &["Ada", "Bea", "Ces"])));
    }
    if rng.random_bool(0.3) {
        claims.insert("given_name".into(), json!("G"));
    }
    claims.insert("groups".into(), json!(some(rng, &GROUPS)));
    claims.insert("roles".into(), json!(some(rng, &["boss", "clerk"])));
    claims
}

/// People of all kinds: here by this connection, by another one, entered by hand; active, suspended, gone, disabled.
async fn populate(world: &World, tenant: &Tenant, rng: &mut StdRng) {
    let second = world.connect(&tenant.organization, &[&tenant.domain]).await;
    for (subject, connection) in [("one", &tenant.connection), ("two", &second), ("three", &tenant.connection)] {
        let claims = json!({
            "sub": subject, "email": format!("{subject}@{}", tenant.domain), "email_verified": true, "name": "Old",
            "groups": some(rng, &GROUPS), "roles": some(rng, &["boss", "clerk"]),
        });
        let user = world.sign_in(tenant, connection, &object(claims)).await.unwrap();
        match rng.random_range(0..8) {
            0 => world.stand(tenant, user, Status::Suspended).await,
            1 => world.stand(tenant, user, Status::Deprovisioned).await,
            2 => world.stand(tenant, user, Status::Pending).await,
            3 => world.disable(user).await,
            _ => {}
        }
    }
    world.enter(tenant, &format!("entered@{}", tenant.domain), rng.random_bool(0.5)).await;
}

/// The field of a member as an explanation names it.
async fn field(world: &World, tenant: &Tenant, user: authd::id::UserId, name: &str) -> Value {
    let member = world.member(tenant, user).await;
    match name {
        "email" => json!(member.email),
        "emailVerified" => json!(member.email_verified),
        "name" => json!(member.name),
        "givenName" => json!(member.given_name),
        "groups" => json!(member.groups),
        other => panic!("what is `{other}`?"),
    }
}

#[tokio::test]
async fn an_explanation_tells_what_the_sign_in_then_does() {
    let seed: u64 = rand::rng().random();
    let rng = &mut StdRng::seed_from_u64(seed);
    let world = World::new().await;
    let (mut admitted, mut refused) = (0, std::collections::BTreeSet::new());
    for case in 0..14 {
        let tenant = world.tenant(&format!("c{case}.example")).await;
        populate(&world, &tenant, rng).await;
        for step in 0..4 {
            let told = format!("seed {seed}, case {case}, step {step}");
            world.policy(&tenant, any_policy(rng)).await;
            let role = rng.random_bool(0.3).then(|| pick(rng, &["member", "viewer"]));
            let jit: Option<bool> = rng.random_bool(0.3).then(|| rng.random());
            let groups = rng.random_bool(0.3).then(|| mapping(rng, &GROUPS));
            let wish = json!({"id": tenant.connection, "jit": jit, "defaultRole": role, "groupMapping": groups});
            world.authd.operate("connection.update", wish).await;
            let claims = any_claims(rng, &tenant, &["one", "two", "three"]);

            let (seq, counts) = (world.authd.app.world.store.log_seq(), world.authd.counts().await);
            let ask = json!({"connection": tenant.connection, "input": claims});
            let said = world.authd.operate("policy.explain", ask).await;
            let now = (world.authd.app.world.store.log_seq(), world.authd.counts().await);
            assert_eq!(now, (seq, counts), "{told}: an explanation writes nothing");

            let before = world.members(&tenant.organization).await;
            let end = world.sign_in(&tenant, &tenant.connection, &claims).await;
            let told = format!("{told}: {claims:?} {said}");
            match &end {
                Err(code) => {
                    refused.insert(code.clone());
                    assert_eq!(said["verdict"]["errorCode"], json!(code), "{told}");
                    assert_eq!(said["verdict"]["admitted"], false, "{told}");
                    let known = world.members(&tenant.organization).await.len() - before.len();
                    assert_eq!(said["verdict"]["outcome"] == "waits", known == 1, "{told}");
                }
                Ok(user) => {
                    admitted += 1;
                    assert_eq!(said["verdict"]["admitted"], true, "{told}");
                    let new = !before.contains_key(user);
                    assert_eq!(said["verdict"]["outcome"] == "created", new, "{told}");
                    assert_eq!(
                        said["verdict"]["user"].as_str().map(str::to_owned),
                        (!new).then(|| user.to_string()),
                        "{told}"
                    );
                    let member = world.member(&tenant, *user).await;
                    let roles = said["roles"].as_array().unwrap().iter().map(|role| text(role, "role")).collect();
                    assert_eq!(roles_of(&member), roles, "{told}");
                    for change in said["changes"].as_array().unwrap() {
                        let now = field(&world, &tenant, *user, &text(change, "field")).await;
                        assert_eq!(now, change["to"], "{told}");
                    }
                    let had = before.get(user).map(roles_of).unwrap_or_default();
                    for role in said["roles"].as_array().unwrap() {
                        assert_eq!(role["gained"] == true, !had.contains(&text(role, "role")), "{told}");
                        assert!(!role["because"].as_array().unwrap().is_empty(), "{told}");
                    }
                }
            }
        }
    }
    assert!(admitted > 10, "seed {seed}: only {admitted} came in");
    assert!(refused.len() >= 4, "seed {seed}: refusals were {refused:?}");
}

#[tokio::test]
async fn the_setting_that_is_named_changes_the_verdict() {
    let world = World::new().await;
    let seed: u64 = rand::rng().random();
    let rng = &mut StdRng::seed_from_u64(seed);
    let mut tried = 0;
    // Few refusals have a remedy: as many people come as it takes to see some.
    for case in 0..60 {
        if tried >= 6 {
            break;
        }
        let tenant = world.tenant(&format!("r{case}.example")).await;
        populate(&world, &tenant, rng).await;
        world.policy(&tenant, any_policy(rng)).await;
        let claims = any_claims(rng, &tenant, &["one", "two"]);
        let ask = json!({"connection": tenant.connection, "input": claims});
        let said = world.authd.operate("policy.explain", ask.clone()).await;
        let Some(commands) = said["remedy"]["commands"].as_array() else { continue };
        let mut patch = json!({});
        for command in commands.iter().map(|command| command.as_str().unwrap()) {
            let Some((_, set)) = command.split_once("--set provisioning").or(command.split_once("--set identity"))
            else {
                continue;
            };
            let root = if command.contains("--set provisioning") { "provisioning" } else { "identity" };
            let (path, value) = set.split_once('=').unwrap();
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            let path = format!("/{root}{}", path.replace('.', "/"));
            let mut here = &mut patch;
            for name in path[1..].split('/') {
                here = &mut here[name];
            }
            *here = value;
        }
        if patch == json!({}) {
            continue;
        }
        tried += 1;
        // First on trial, then in force: the same, and as the sign-in does.
        let mut trial = ask.clone();
        trial["patch"] = patch.clone();
        let trial = world.authd.operate("policy.explain", trial).await;
        assert_eq!(trial["proposed"], true);
        assert_ne!(trial["verdict"]["admitted"], said["verdict"]["admitted"], "seed {seed}: {said}");
        world.policy(&tenant, patch).await;
        let end = world.sign_in(&tenant, &tenant.connection, &claims).await;
        assert_eq!(json!(end.is_ok()), trial["verdict"]["admitted"], "seed {seed}: {trial}");
    }
    assert!(tried > 2, "seed {seed}: {tried}");
}

#[tokio::test]
async fn a_sign_in_that_was_is_explained_with_the_settings_of_now() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    world.policy(&tenant, json!({"provisioning": {"jit": {"mode": "off"}}})).await;
    let claims = object(json!({"sub": "7", "email": "ada@corp.example", "email_verified": true, "groups": ["staff"]}));
    let reply = world.walk(&tenant, &tenant.connection, &claims).await;
    let attempt = text(&world.authd.operate("signin.explain", json!({"id": reply.request_id()})).await, "id");
    let told = world.authd.operate("policy.explain", json!({"attempt": attempt})).await;
    assert_eq!(told["attempt"]["errorCode"], "not_a_member");
    assert_eq!(told["verdict"]["errorCode"], "not_a_member");
    assert_eq!(told["facts"]["email"], "ada@corp.example");
    assert_eq!(told["facts"]["groups"], json!(["staff"]));
    assert_eq!(told["facts"]["domainStanding"], "owned");
    let command = format!(
        "authd policy update --org {} --set provisioning.jit.mode=createUserAndMembership",
        tenant.organization
    );
    assert_eq!(told["remedy"]["commands"], json!([command]));
    world.policy(&tenant, json!({"provisioning": {"jit": {"mode": null}}})).await;
    let told = world.authd.operate("policy.explain", json!({"attempt": attempt})).await;
    assert_eq!((&told["attempt"]["outcome"], &told["verdict"]["outcome"]), (&json!("failure"), &json!("created")));

    // Whoever may not read traces, and whoever is of another tenant, reads none here.
    let other = world.tenant("other.example").await;
    let of = json!({"attempt": attempt});
    let blind = world.key(&tenant.organization, &["connection.policy.manage"]);
    assert_eq!(world.refused(&blind, "policy.explain", of.clone()).await.0, "missing_grant");
    let foreign = world.key(&other.organization, &["connection.policy.manage", "connection.audit.read"]);
    assert_eq!(world.refused(&foreign, "policy.explain", of.clone()).await.0, "not_found");
    let mixed = json!({"attempt": attempt, "connection": other.connection});
    assert_eq!(world.refused(&foreign, "policy.explain", mixed).await.0, "not_found");
    // The trace goes, and with it what was kept of the person.
    world.authd.env().advance(std::time::Duration::from_secs(7 * 24 * 3600));
    assert_eq!(world.refused(&world.operator(), "policy.explain", of).await.0, "not_found");
}

#[tokio::test]
async fn an_explanation_shows_no_address_to_whoever_may_not_see_people() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let claims = json!({"sub": "1", "email": "ada@corp.example", "email_verified": true});
    world.sign_in(&tenant, &tenant.connection, &object(claims.clone())).await.unwrap();
    world.policy(&tenant, json!({"provisioning": {"groups": {"mode": "sync"}}})).await;
    let ask = json!({"connection": tenant.connection, "input": {"sub": "1"}});
    let blind = world.key(&tenant.organization, &["connection.policy.manage"]);
    let told = world.by(&blind, "policy.explain", ask.clone()).await.unwrap();
    assert!(!told.to_string().contains("ada@"), "{told}");
    let seeing = world.key(&tenant.organization, &["connection.policy.manage", "user.read"]);
    assert!(world.by(&seeing, "policy.explain", ask).await.unwrap().to_string().contains("ada@corp.example"));
}

#[tokio::test]
async fn what_no_setting_lifts_is_answered_with_what_does() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let ask = async |claims: Value| {
        world.authd.operate("policy.explain", json!({"connection": tenant.connection, "input": claims})).await
    };
    let foreign = ask(json!({"sub": "1", "email": "a@else.example", "email_verified": true})).await;
    assert_eq!(foreign["verdict"]["errorCode"], "email_domain_not_owned");
    assert!(foreign["remedy"]["commands"][1].as_str().unwrap().contains("domain verify"), "{foreign}");
    let unverified = ask(json!({"sub": "1", "email": "a@corp.example", "email_verified": "true"})).await;
    assert_eq!(unverified["verdict"]["errorCode"], "email_not_verified");
    let other_issuer = ask(json!({"iss": "https://evil.example", "sub": "1"})).await;
    assert_eq!(other_issuer["verdict"]["errorCode"], "issuer_mismatch");
    assert_eq!(other_issuer["facts"]["checks"][0]["name"], "iss");
    let odd = ask(json!({"sub": "1", "email": ["a@corp.example"]})).await;
    assert_eq!(odd["verdict"]["errorCode"], "profile_invalid");
    let nameless = ask(json!({"email": "a@corp.example", "email_verified": true})).await;
    assert_eq!(
        (&nameless["verdict"]["outcome"], &nameless["facts"]["byIdentity"]["standing"]),
        (&json!("created"), &json!("nobody"))
    );
    world.authd.operate("connection.disable", json!({"id": tenant.connection})).await;
    let closed = ask(json!({"sub": "1"})).await;
    assert_eq!(closed["verdict"]["errorCode"], "connection_disabled");
    assert!(closed["remedy"]["commands"][0].as_str().unwrap().contains("connection activate"), "{closed}");
    for wrong in [json!({"connection": tenant.connection}), json!({}), json!({"input": {"sub": "1"}})] {
        assert_eq!(
            world.refused(&world.operator(), "policy.explain", wrong.clone()).await.0,
            "invalid_input",
            "{wrong}"
        );
    }
}
