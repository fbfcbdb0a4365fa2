//! The connection beats the policy, and the policy the default; for each setting that both have.

use serde_json::{Value, json};

use super::{World, names, object, roles_of, text};

fn setting<'a>(told: &'a Value, name: &str) -> &'a Value {
    let mut settings = told["settings"].as_array().unwrap().iter();
    settings.find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("no {name} in {told}"))
}

/// The setting, what it is then, and who set it; the policy, the connection; and the roles that a stranger gets.
type Row<'a> = (&'a str, Value, &'a str, &'a Value, Value, Result<&'a [&'a str], &'a str>);

#[tokio::test]
async fn the_connection_beats_the_policy_and_the_policy_the_default() {
    let off = json!({"jit": {"mode": "off"}});
    let on = json!({"jit": {"mode": "createUserAndMembership"}});
    let viewers = json!({"jit": {"defaultRoleIds": ["viewer"]}});
    let mapped = json!({"groups": {"mode": "sync", "mapping": {"staff": ["admin"]}}, "roles": {"mode": "map", "mapping": {"boss": ["viewer"]}}});
    let none = json!({});
    let jit = "provisioning.jit.mode";
    let default = "provisioning.jit.defaultRoleIds";
    let (groups, roles) = ("provisioning.groups.mapping", "provisioning.roles.mapping");
    let own = |name: &str, value: Value| json!({ name: value });
    let staff = |role: &str| json!({"staff": [role]});
    let boss = |role: &str| json!({"boss": [role]});
    let created = json!("createUserAndMembership");
    let table: Vec<Row<'_>> = vec![
        (jit, created.clone(), "default", &none, json!({}), Ok(&[])),
        (jit, json!("off"), "policy", &off, json!({}), Err("not_a_member")),
        (jit, created, "connection", &off, own("jit", json!(true)), Ok(&[])),
        (jit, json!("off"), "connection", &on, own("jit", json!(false)), Err("not_a_member")),
        (default, json!([]), "default", &none, json!({}), Ok(&[])),
        (default, json!(["viewer"]), "policy", &viewers, json!({}), Ok(&["viewer"])),
        (default, json!(["member"]), "connection", &viewers, own("defaultRole", json!("member")), Ok(&["member"])),
        (groups, json!({}), "default", &none, json!({}), Ok(&[])),
        (groups, staff("admin"), "policy", &mapped, json!({}), Ok(&["admin", "viewer"])),
        (
            groups,
            staff("member"),
            "connection",
            &mapped,
            own("groupMapping", staff("member")),
            Ok(&["member", "viewer"]),
        ),
        (groups, json!({}), "connection", &mapped, own("groupMapping", json!({})), Ok(&["viewer"])),
        (roles, boss("viewer"), "policy", &mapped, json!({}), Ok(&["admin", "viewer"])),
        (roles, boss("member"), "connection", &mapped, own("roleMapping", boss("member")), Ok(&["admin", "member"])),
        (roles, boss("member"), "connection", &none, own("roleMapping", boss("member")), Ok(&["member"])),
    ];
    let world = World::new().await;
    for (case, (name, value, by, policy, connection, gets)) in table.into_iter().enumerate() {
        let tenant = world.tenant(&format!("t{case}.example")).await;
        if policy != &none {
            world.policy(&tenant, json!({"provisioning": policy})).await;
        }
        if connection != none {
            let mut wish = object(connection.clone());
            wish.insert("id".into(), json!(tenant.connection));
            let view = world.authd.operate("connection.update", Value::Object(wish)).await;
            connection.as_object().unwrap().iter().for_each(|(name, value)| assert_eq!(&view[name], value));
        }
        let claims = object(json!({
            "sub": "s", "email": format!("a@t{case}.example"), "email_verified": true, "groups": ["staff"], "roles": ["boss"],
        }));
        let told =
            world.authd.operate("policy.explain", json!({"connection": tenant.connection, "input": claims})).await;
        let row = setting(&told, name);
        assert_eq!((&row["value"], &row["setBy"]), (&value, &json!(by)), "case {case}: {name}");
        let end = world.sign_in(&tenant, &tenant.connection, &claims).await;
        match (gets, end) {
            (Ok(roles), Ok(user)) => {
                let had = roles_of(&world.member(&tenant, user).await);
                assert_eq!(had.iter().map(String::as_str).collect::<Vec<_>>(), roles, "case {case}");
                assert_eq!(
                    names(&json!(
                        told["roles"].as_array().unwrap().iter().map(|role| text(role, "role")).collect::<Vec<_>>()
                    )),
                    had
                );
            }
            (Err(code), Err(refused)) => {
                assert_eq!((code, told["verdict"]["errorCode"].as_str()), (refused.as_str(), Some(code)), "case {case}")
            }
            (gets, end) => panic!("case {case}: {gets:?}, but {end:?}"),
        }
        // null gives the word back to the policy.
        let back = json!({"id": tenant.connection, "jit": null, "defaultRole": null, "groupMapping": null, "roleMapping": null});
        world.authd.operate("connection.update", back).await;
        let told =
            world.authd.operate("policy.explain", json!({"connection": tenant.connection, "input": claims})).await;
        assert!(
            told["settings"].as_array().unwrap().iter().all(|setting| setting["setBy"] != "connection"),
            "case {case}"
        );
    }
}
