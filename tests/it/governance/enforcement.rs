//! Enforcement as an administrator handles it: shown, tried, refused, switched on, told.

use authd::event::EventKind;
use serde_json::{Value, json};

use super::{Tenant, World, object, text};

impl World {
    async fn enforcement(&self, tenant: &Tenant, wish: Value) -> authd::error::Result<Value> {
        let mut input = json!({"organization": tenant.organization});
        input.as_object_mut().unwrap().extend(wish.as_object().unwrap().clone());
        self.by(&self.operator(), "enforcement.set", input).await
    }

    async fn arrives(&self, tenant: &Tenant, name: &str, roles: &[&str]) -> String {
        let email = format!("{name}@{}", tenant.domain);
        let claims = object(json!({"sub": name, "email": email, "email_verified": true}));
        let user = self.sign_in(tenant, &tenant.connection, &claims).await.unwrap();
        let wish = json!({"user": user, "organization": tenant.organization, "roles": roles});
        self.authd.operate("member.set_role", wish).await;
        user.to_string()
    }
}

fn names(rows: &Value) -> Vec<(String, String)> {
    rows.as_array().unwrap().iter().map(|row| (text(row, "email"), text(row, "reason"))).collect()
}

#[tokio::test]
async fn it_is_switched_on_only_once_somebody_who_can_help_has_come_in() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let organization = tenant.organization.parse().unwrap();
    world.authd.person(organization, "paper-owner", &["owner"]).await;
    let refused = async |wish: Value| {
        let error = world.enforcement(&tenant, wish).await.unwrap_err();
        assert!(error.next_step().unwrap().contains("sign in once through an active connection"), "{error:?}");
        (error.code(), error.kind())
    };
    let unsafe_now = ("enforcement_unsafe", authd::error::Kind::Conflict);
    assert_eq!(refused(json!({"enforce": true})).await, unsafe_now);
    assert_eq!(refused(json!({"domains": ["corp.example"]})).await, unsafe_now);
    // Whoever has no such role shows nothing by coming in.
    let vera = world.arrives(&tenant, "vera", &["viewer"]).await;
    assert_eq!(refused(json!({"enforce": true})).await, unsafe_now);
    assert_eq!(refused(json!({"enforce": true, "exemptRoles": ["admin"]})).await, unsafe_now);
    let shown = world.authd.operate("enforcement.get", json!({"organization": organization})).await;
    assert_eq!((&shown["enforce"], &shown["ready"]), (&json!(false), &json!(false)));

    // With their role exempt, they have.
    let on = world.enforcement(&tenant, json!({"enforce": true, "exemptRoles": ["viewer"]})).await.unwrap();
    assert_eq!(
        (&on["enforce"], &on["exemptRoles"], &on["changed"]),
        (&json!(true), &json!(["viewer"]), &json!(["enforce", "exemptRoles"]))
    );
    // To take that role off the list would leave nobody.
    assert_eq!(refused(json!({"exemptRoles": null})).await, unsafe_now);
    world
        .authd
        .operate("member.set_role", json!({"user": vera, "organization": organization, "roles": ["owner"]}))
        .await;
    let on = world.enforcement(&tenant, json!({"exemptRoles": null})).await.unwrap();
    assert_eq!(
        (&on["enforce"], &on["exemptRoles"], &on["changed"]),
        (&json!(true), &json!([]), &json!(["exemptRoles"]))
    );

    // What an inactive connection has shown counts no more.
    world.enforcement(&tenant, json!({"enforce": false})).await.unwrap();
    world.authd.operate("connection.disable", json!({"id": tenant.connection})).await;
    assert_eq!(refused(json!({"enforce": true})).await, unsafe_now);
    world.authd.operate("connection.activate", json!({"id": tenant.connection})).await;
    let told: Vec<EventKind> = world.authd.events().await.iter().map(|event| event.kind).collect();
    let told: Vec<EventKind> = told.into_iter().filter(|kind| kind.name().starts_with("enforcement.")).collect();
    assert_eq!(told, [EventKind::EnforcementEnabled, EventKind::EnforcementUpdated, EventKind::EnforcementDisabled]);
}

#[tokio::test]
async fn a_dry_run_names_who_would_be_locked_out_and_changes_nothing() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    let organization = tenant.organization.parse().unwrap();
    world.arrives(&tenant, "olga", &["owner"]).await;
    world.arrives(&tenant, "mia", &["member"]).await;
    let off = world.connect(&tenant.organization, &["old.example"]).await;
    let old = Tenant { connection: off.clone(), domain: "old.example".into(), ..World::copy(&tenant) };
    world.arrives(&old, "otto", &["member"]).await;
    world.authd.operate("connection.disable", json!({"id": off})).await;
    world.authd.person(organization, "guest", &["viewer"]).await;
    world.authd.person(organization, "robot", &["admin"]).await;

    let events = world.authd.events().await.len();
    let dry = |more: Value| {
        let mut wish = json!({"dryRun": true});
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        wish
    };
    let seen = world.enforcement(&tenant, dry(json!({"enforce": true, "exemptRoles": ["admin"]}))).await.unwrap();
    let effect = &seen["effect"];
    assert_eq!(
        (&effect["people"], &effect["enforced"], &effect["exempt"], &effect["lockedOut"]),
        (&json!(5), &json!(4), &json!(1), &json!(2)),
        "{effect}"
    );
    let mut rows = names(&effect["rows"]);
    rows.sort();
    assert_eq!(
        rows,
        [
            ("guest@example.test".to_owned(), "no_identity".to_owned()),
            ("otto@old.example".to_owned(), "connection_inactive".to_owned())
        ]
    );
    assert_eq!((&seen["enforce"], &seen["dryRun"]), (&json!(true), &json!(true)));
    // For one domain, the others are free; a limit counts whom it does not name.
    let seen = world.enforcement(&tenant, dry(json!({"domains": ["OLD.example"]}))).await.unwrap();
    assert_eq!((&seen["domains"], &seen["effect"]["free"]), (&json!(["old.example"]), &json!(4)), "{seen}");
    assert_eq!(names(&seen["effect"]["rows"]), [("otto@old.example".to_owned(), "no_connection".to_owned())]);
    let seen = world.enforcement(&tenant, dry(json!({"enforce": true, "limit": 1}))).await.unwrap();
    assert_eq!((&seen["effect"]["lockedOut"], &seen["effect"]["more"]), (&json!(3), &json!(2)), "{seen}");
    assert_eq!(world.authd.events().await.len(), events);
    let shown = world.authd.operate("enforcement.get", json!({"organization": organization})).await;
    assert_eq!(shown["enforce"], false);

    // Whom the caller may not see is counted and not named.
    let cx = world.key(&tenant.organization, &["connection.policy.manage"]);
    let input = json!({"organization": tenant.organization, "dryRun": true, "enforce": true});
    let seen = world.by(&cx, "enforcement.set", input).await.unwrap();
    assert!(seen["effect"]["rows"].as_array().unwrap().iter().all(|row| row.get("email").is_none()), "{seen}");
}

impl World {
    fn copy(tenant: &Tenant) -> Tenant {
        Tenant {
            organization: tenant.organization.clone(),
            connection: tenant.connection.clone(),
            app: tenant.app.clone(),
            domain: tenant.domain.clone(),
        }
    }
}

#[tokio::test]
async fn what_cannot_hold_is_refused_with_its_reason() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    world.arrives(&tenant, "olga", &["owner"]).await;
    for (wish, code) in [
        (json!({}), "invalid_input"),
        (json!({"exemptRoles": ["nobody-has-this"]}), "invalid_input"),
        (json!({"domains": ["elsewhere.example"]}), "domain_not_proved"),
        (json!({"domains": ["not a domain"]}), "domain_invalid"),
        (json!({"dryRun": true, "limit": 0}), "invalid_input"),
        (json!({"enforced": true}), "unknown_field"),
    ] {
        let error = world.enforcement(&tenant, wish.clone()).await.unwrap_err();
        assert_eq!(error.code(), code, "{wish}");
    }
    // Another tenant's domain is nobody's here.
    let other = world.tenant("other.example").await;
    let error = world.enforcement(&tenant, json!({"domains": [other.domain]})).await.unwrap_err();
    assert_eq!(error.code(), "domain_not_proved");
}

#[tokio::test]
async fn what_connections_say_goes_first_and_can_be_taken_back() {
    let world = World::new().await;
    let tenant = world.tenant("corp.example").await;
    world.arrives(&tenant, "olga", &["owner"]).await;
    let get = async || world.authd.operate("connection.get", json!({"id": tenant.connection})).await;
    let status = async || {
        world.authd.operate("connection.status", json!({"id": tenant.connection})).await["enforcement"].clone()
    };
    assert_eq!(status().await, Value::Null);
    world.authd.operate("connection.update", json!({"id": tenant.connection, "enforce": false})).await;
    world.enforcement(&tenant, json!({"enforce": true})).await.unwrap();
    assert_eq!(
        (get().await["enforce"].clone(), status().await),
        (json!(false), json!({"enforced": false, "by": "connection"}))
    );
    let on = world.enforcement(&tenant, json!({"overrideConnections": true})).await.unwrap();
    assert_eq!((&on["connections"], &on["changed"]), (&json!([]), &json!(["connections"])));
    assert_eq!((get().await.get("enforce"), status().await), (None, json!({"enforced": true, "by": "organization"})));
    world.enforcement(&tenant, json!({"enforce": false, "domains": ["corp.example"]})).await.unwrap();
    assert_eq!(status().await, json!({"enforced": true, "by": "domain"}));
}
