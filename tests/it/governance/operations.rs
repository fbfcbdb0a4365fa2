//! The operations on a policy: what it looks like, what is refused, who may write what.

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{World, object, text};
use crate::world::authd::Authd;

/// The whole policy as the reference has it, defaults first.
fn defaults() -> Value {
    json!({
        "version": 1,
        "identity": {"accountLinking": {"oidc": "sameConnection", "saml": "sameConnection"}},
        "provisioning": {
            "user": {
                "createOnSignIn": true, "updateProfileOnLogin": "missing", "updateProfileFromScim": "always",
                "authority": "app",
            },
            "scimReuse": {"user": "externalId"},
            "jit": {"mode": "createUserAndMembership", "defaultRoleIds": []},
            "deprovision": {"mode": "soft"},
            "groups": {"mode": "ignore", "mapping": {}},
            "roles": {"mode": "ignore", "mapping": {}},
        },
    })
}

async fn http(authd: &Authd, key: &str, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "127.0.0.1:8080")
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header(header::CONTENT_TYPE, "application/json");
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let mut request = request.body(body).unwrap();
    request.extensions_mut().insert(authd::http::Peer::Tcp("192.0.2.1:5000".parse().unwrap()));
    let response = authd.router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}

#[tokio::test]
async fn a_policy_is_whole_and_changes_piece_by_piece() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let of = json!({"organization": tenant.organization});
    assert_eq!(world.authd.operate("policy.get", of.clone()).await, defaults());

    let patch = json!({"provisioning": {"jit": {"mode": "off"}, "groups": {"mapping": {"staff": ["viewer"]}}}});
    let changed = world.policy(&tenant, patch).await;
    let paths: Vec<_> = changed["changed"].as_array().unwrap().iter().map(|change| text(change, "path")).collect();
    assert_eq!(paths, ["provisioning.jit.mode", "provisioning.groups.mapping.staff"]);
    assert_eq!(changed["provisioning"]["jit"]["mode"], "off", "the answer is the policy");
    let mut expected = defaults();
    expected["provisioning"]["jit"]["mode"] = json!("off");
    expected["provisioning"]["groups"]["mapping"] = json!({"staff": ["viewer"]});
    assert_eq!(world.authd.operate("policy.get", of.clone()).await, expected);

    let events = world.authd.events().await;
    let event = events.iter().find(|event| event.kind.name() == "connection.policy.updated").unwrap();
    assert_eq!(
        event.data["changed"][0],
        json!({"path": "provisioning.jit.mode", "from": "createUserAndMembership", "to": "off"})
    );

    let (before, commits) = (events.len(), world.authd.app.world.store.log_seq());
    let same = world.policy(&tenant, json!({"provisioning": {"jit": {"mode": "off"}}})).await;
    assert_eq!(same["changed"], json!([]));
    assert_eq!(
        (world.authd.events().await.len(), world.authd.app.world.store.log_seq()),
        (before, commits),
        "nothing is written"
    );

    world.policy(&tenant, json!({"provisioning": null})).await;
    assert_eq!(world.authd.operate("policy.get", of.clone()).await, defaults(), "null brings the defaults back");
    world.policy(&tenant, json!({"identity": {"accountLinking": {"saml": "none"}}})).await;
    let reset = world.authd.operate("policy.reset", of.clone()).await;
    assert_eq!(reset["changed"][0]["path"], "identity.accountLinking.saml");
    assert_eq!(world.authd.operate("policy.get", of).await, defaults());
}

#[tokio::test]
async fn by_http_it_is_read_changed_validated_and_explained() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let wish =
        json!({"organization": tenant.organization, "name": "ci", "grants": ["connection.policy.manage", "user.read"]});
    let key = text(&world.authd.operate("api_key.create", wish).await, "key");
    let ask = async |method: &str, path: &str, body: Option<Value>| http(&world.authd, &key, method, path, body).await;
    assert_eq!(ask("GET", "/v1/policy", None).await, (StatusCode::OK, defaults()));
    let body = json!({"patch": {"provisioning": {"jit": {"mode": "off"}}}, "dryRun": true});
    let (status, tried) = ask("PATCH", "/v1/policy", Some(body)).await;
    assert_eq!((status, &tried["dryRun"], &tried["effect"]["people"]), (StatusCode::OK, &json!(true), &json!(0)));
    assert_eq!(ask("GET", "/v1/policy", None).await.1, defaults(), "a dry run changes nothing");
    let body = json!({"patch": {"provisioning": {"jit": {"mode": "of"}}}});
    let (status, problem) = ask("PATCH", "/v1/policy", Some(body)).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_input")));
    let said = text(&problem, "detail");
    assert!(
        said.contains("provisioning.jit.mode") && said.contains("createUserAndMembership, createUser, off"),
        "{said}"
    );
    let (status, problem) = ask("PATCH", "/v1/policy", Some(json!({"patch": {"provisionning": {}}}))).await;
    assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!("unknown_field")));
    assert!(problem.to_string().contains("Did you mean `provisioning`?"), "{problem}");
    let (status, report) = ask("POST", "/v1/policy/validate", Some(json!({}))).await;
    assert_eq!((status, &report["ok"]), (StatusCode::OK, &json!(true)));
    let body = json!({"connection": tenant.connection, "input": {"sub": "1", "email": "a@corp.example", "email_verified": true}});
    let (status, told) = ask("POST", "/v1/policy/explain", Some(body)).await;
    assert_eq!((status, &told["verdict"]["outcome"]), (StatusCode::OK, &json!("created")), "{told}");
    assert_eq!(ask("POST", "/v1/policy/reset", Some(json!({}))).await.0, StatusCode::OK);
}

#[tokio::test]
async fn adm_02_a_policy_gives_no_role_that_its_writer_may_not_give() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let admin = world.key(&tenant.organization, &["connection.policy.manage", "user.read", "user.manage"]);
    let patch = |rules: Value| json!({"patch": {"provisioning": rules}});
    let rules = |role: &str| {
        [
            json!({"jit": {"defaultRoleIds": [role]}}),
            json!({"groups": {"mapping": {"staff": [role]}}}),
            json!({"roles": {"mapping": {"boss": ["member", role]}}}),
        ]
    };
    for rule in rules("owner") {
        let (code, said) = world.refused(&admin, "policy.update", patch(rule.clone())).await;
        assert_eq!(code, "grant_exceeds_caller", "{rule}");
        assert!(said.contains("`provisioning."), "the field is named: {said}");
        // A dry run tells nothing that may not be written.
        let dry = json!({"patch": {"provisioning": rule}, "dryRun": true});
        assert_eq!(world.refused(&admin, "policy.update", dry).await.0, "grant_exceeds_caller");
    }
    for rule in rules("no-such-role") {
        let (code, said) = world.refused(&world.operator(), "policy.update", with(&tenant.organization, rule)).await;
        assert!(code == "invalid_input" && said.contains("no-such-role"), "{said}");
    }
    for rule in rules("member") {
        world.by(&admin, "policy.update", patch(rule)).await.unwrap();
    }
    // What an owner wrote stays, whoever changes something else; but nobody else switches it on.
    world.policy(&tenant, json!({"provisioning": {"jit": {"mode": "off", "defaultRoleIds": ["owner"]}, "groups": {"mapping": {"x": ["owner"]}}}})).await;
    world.by(&admin, "policy.update", patch(json!({"deprovision": {"mode": "hard"}}))).await.unwrap();
    for on in [json!({"jit": {"mode": "createUser"}}), json!({"groups": {"mode": "sync"}})] {
        assert_eq!(world.refused(&admin, "policy.update", patch(on.clone())).await.0, "grant_exceeds_caller", "{on}");
    }
    world.policy(&tenant, json!({"provisioning": {"groups": {"mode": "sync"}}})).await;
    world.by(&admin, "policy.update", patch(json!({"groups": {"mode": "ignore"}}))).await.unwrap();
    let connection = json!({"id": tenant.connection, "groupMapping": {"staff": ["owner"]}});
    let manager = world.key(&tenant.organization, &["connection.manage"]);
    assert_eq!(world.refused(&manager, "connection.update", connection).await.0, "grant_exceeds_caller");
}

fn with(organization: &str, rules: Value) -> Value {
    json!({"organization": organization, "patch": {"provisioning": rules}})
}

#[tokio::test]
async fn every_operation_takes_its_grant_and_sees_its_own_tenant_only() {
    let world = World::new().await;
    let (own, other) = (world.tenant("own.example").await, world.tenant("other.example").await);
    let input = json!({"sub": "1"});
    for name in ["policy.get", "policy.update", "policy.reset", "policy.validate", "policy.explain"] {
        let about = |tenant: &super::Tenant| match name {
            "policy.explain" => json!({"connection": tenant.connection, "input": input}),
            "policy.update" => json!({"organization": tenant.organization, "patch": {"version": 1}}),
            _ => json!({"organization": tenant.organization}),
        };
        let nobody = world.key(&own.organization, &["connection.read", "user.read", "user.manage"]);
        assert_eq!(world.refused(&nobody, name, about(&own)).await.0, "missing_grant", "{name}");
        let holder = world.key(&own.organization, &["connection.policy.manage"]);
        assert_eq!(world.refused(&holder, name, about(&other)).await.0, "not_found", "{name}");
        world.by(&holder, name, about(&own)).await.unwrap();
    }
    let nowhere = json!({"organization": "org_00000000000000000000000000"});
    assert_eq!(world.refused(&world.operator(), "policy.get", nowhere).await.0, "not_found");
}

#[tokio::test]
async fn a_validation_names_the_rule_that_gives_a_role_that_is_gone() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let of = json!({"organization": tenant.organization});
    let checks = async || {
        let report = world.authd.operate("policy.validate", of.clone()).await;
        let rows = report["checks"].as_array().unwrap().clone();
        let names: Vec<_> = rows.iter().map(|row| text(row, "name")).collect();
        assert_eq!(
            names,
            [
                "policy_version",
                "jit_default_role_ids_known",
                "provisioning_role_mapping_targets_known",
                "provisioning_group_mapping_targets_known",
                "scim_reuse_supported"
            ]
        );
        let failed: Vec<String> = rows.iter().filter(|row| row["ok"] == false).map(|row| text(row, "name")).collect();
        assert_eq!(report["ok"], failed.is_empty());
        (failed, report)
    };
    assert!(checks().await.0.is_empty());
    let store = &world.authd.app.world.store;
    let organization: authd::id::OrganizationId = tenant.organization.parse().unwrap();
    let role = authd::access::CustomRole {
        organization,
        name: "ops".parse().unwrap(),
        about: None,
        grants: Default::default(),
        created_at: world.authd.env().now(),
        updated_at: world.authd.env().now(),
    };
    let mut batch = authd::store::Batch::new();
    batch.create(&role).log(world.operator().event(authd::event::EventKind::OrganizationUpdated));
    store.commit(batch).await.unwrap();
    let rules = json!({"jit": {"defaultRoleIds": ["ops"]}, "roles": {"mapping": {"boss": ["ops"]}}, "groups": {"mapping": {"staff": ["member", "ops"]}}});
    world.policy(&tenant, json!({"provisioning": rules})).await;
    assert!(checks().await.0.is_empty());
    let key = authd::access::CustomRole::key_of(organization, &role.name);
    let found = store.get::<authd::access::CustomRole>(key.clone()).await.unwrap().unwrap();
    let mut batch = authd::store::Batch::new();
    batch.delete::<authd::access::CustomRole>(key, found.revision);
    batch.log(world.operator().event(authd::event::EventKind::OrganizationUpdated));
    store.commit(batch).await.unwrap();
    let (failed, report) = checks().await;
    assert_eq!(
        failed,
        [
            "jit_default_role_ids_known",
            "provisioning_role_mapping_targets_known",
            "provisioning_group_mapping_targets_known"
        ]
    );
    assert!(report.to_string().contains("no role ops"), "{report}");
    // A rule that is there already is in nobody's way, and gives nothing.
    world.policy(&tenant, json!({"provisioning": {"deprovision": {"mode": "hard"}}})).await;
    let claims = object(json!({"sub": "1", "email": "a@corp.example", "email_verified": true}));
    world.sign_in(&tenant, &tenant.connection, &claims).await.unwrap();
}
