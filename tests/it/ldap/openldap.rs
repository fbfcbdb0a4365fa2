//! Against Debian's OpenLDAP.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Scene, failed, merge, real, text};
use crate::world::certificates::Authority;
use crate::world::slapd::Slapd;

const ADA: &str = "ada-secret-7c1f";

macro_rules! slapd {
    () => {
        match Slapd::start().await {
            Some(slapd) => slapd,
            None => return,
        }
    };
}

#[tokio::test]
async fn people_sign_in_by_ldaps_and_by_starttls_and_are_the_same_people() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let by_tls = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&by_tls, "example.test").await;
    // The person gives the address first, as they would for any provider.
    let mut browser = scene.authd.browser();
    let page = browser.get(&scene.authorize(&[])).await;
    let fields = [("attempt", &*page.field("attempt")), ("email", "ada@EXAMPLE.test")];
    let page = browser.post("/signin", &fields).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.body.contains("value=\"ada@EXAMPLE.test\"") && page.body.contains("type=\"password\""));
    let ticket = page.field("attempt");
    let fields = [("attempt", ticket.as_str()), ("username", "ada@EXAMPLE.test"), ("password", ADA)];
    let landed = browser.post("/signin/password", &fields).await;
    let claims = scene.claims(&landed).await;
    assert_eq!((&claims["email"], &claims["name"]), (&json!("ada@example.test"), &json!("Ada Lovelace")));
    assert_eq!(claims["email_verified"], true);

    let change =
        json!({"id": by_tls, "servers": {"urls": [slapd.url()], "startTls": true}, "ldapBindPassword": "svc-secret"});
    scene.authd.operate("connection.set_ldap", change).await;
    let again = scene.claims(&scene.sign_in(&by_tls, "ada", ADA).await).await;
    assert_eq!(again["sub"], claims["sub"], "the same entry is the same person");
    let wrong = scene.sign_in(&by_tls, "ada", "wrong").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.body.contains("invalid_credentials") && wrong.body.contains("value=\"ada\""));
    assert!(!wrong.body.contains("wrong\""), "what was typed as a password is not on the page");
}

#[tokio::test]
async fn hard_names_are_names_like_any() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    for (name, password, shown) in [
        ("b(ob)*", "bob-sécret", "Böb Ümläut"),
        ("uid=b(ob)*,ou=people,dc=example,dc=test", "bob-sécret", "Böb Ümläut"),
        ("UID=b\\28ob\\29\\2a, OU=People,dc=example,dc=test", "bob-sécret", "Böb Ümläut"),
        ("bob@example.test", "bob-sécret", "Böb Ümläut"),
        ("zoë 山田, +x", "zoë-пароль", "Zoë"),
        ("uid=zoë 山田\\, \\+x,ou=people,dc=example,dc=test", "zoë-пароль", "Zoë"),
    ] {
        let landed = scene.sign_in(&connection, name, password).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{name}: {}", landed.body);
        assert_eq!(scene.claims(&landed).await["name"], shown);
    }
    for (name, password) in [
        ("*", "bob-sécret"),
        ("b*", "bob-sécret"),
        ("*)(uid=*", "bob-sécret"),
        ("uid=outsider,ou=elsewhere,dc=example,dc=test", "outsider-secret"),
        ("cn=svc,dc=example,dc=test", "svc-secret"),
        ("cn=admin,dc=example,dc=test", "admin-secret"),
        ("outsider", "outsider-secret"),
        ("gone", "gone-secret"),
    ] {
        scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, name, password).await;
    }
}

#[tokio::test]
async fn a_password_that_somebody_else_has_set_lets_nobody_in_before_it_is_changed() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let reset = "dn: uid=ada,ou=people,dc=example,dc=test\nchangetype: modify\nreplace: pwdReset\n";
    slapd.modify(&format!("{reset}pwdReset: TRUE\n"));
    let reply = scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, "ada", ADA).await;
    assert_eq!(failed(&scene.trace(&reply).await)["received"], "the password must be changed first");
    slapd.modify(reset);
    assert_eq!(scene.sign_in(&connection, "ada", ADA).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_test_names_the_filter_that_finds_no_group() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    slapd.add(
        "dn: cn=unix,ou=groups,dc=example,dc=test\nobjectClass: posixGroup\ncn: unix\ngidNumber: 7\nmemberUid: b(ob)*\n",
    );
    for (filter, groups, says) in [
        ("", json!(["staff"]), "1 groups by search"),
        ("(uniqueMember={{dn}})", json!([]), "0 groups by search for `(uniqueMember={{dn}})`"),
        ("(memberUid={{username}})", json!(["unix"]), "1 groups by search"),
    ] {
        let connection = scene.connect(real(&slapd, json!({"groups": {"filter": filter, "nested": false}}))).await;
        let found = scene.authd.operate("connection.test", json!({"id": connection, "username": "b(ob)*"})).await;
        assert_eq!(found["person"]["told"], groups, "{found}");
        let checks = found["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "group_search_works").unwrap();
        assert!(text(check, "message").starts_with(says), "{check}");
    }
}

#[tokio::test]
async fn ldap_03_a_name_from_a_template_is_bound_without_any_search_before() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let direct = json!({"bind": {"mode": "direct", "dn": "", "password": "",
        "userDnTemplate": "uid={{username}},ou=people,dc=example,dc=test"}, "groups": {"mode": "memberOf"}});
    let connection = scene.connect(real(&slapd, direct)).await;
    for (name, password) in [("b(ob)*", "bob-sécret"), ("zoë 山田, +x", "zoë-пароль"), ("ada", ADA)] {
        let (status, body) = scene.relay(&connection, name, password).await;
        assert_eq!(status, StatusCode::OK, "{name}: {body}");
    }
    for name in ["ada,ou=people,dc=example,dc=test", "x,ou=elsewhere", "outsider", ""] {
        scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, name, ADA).await;
    }
}

#[tokio::test]
async fn ldap_08_groups_are_those_below_the_base_also_in_a_circle_and_mapped_by_what_their_names_mean() {
    let slapd = slapd!();
    let groups = async |more: Value| {
        // The same people in one organization would be others by each connection.
        let scene = Scene::new().await;
        let connection = scene.connect(real(&slapd, more)).await;
        let (status, body) = scene.relay(&connection, "ada", ADA).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let mut groups: Vec<String> = serde_json::from_value(body["groups"].clone()).unwrap();
        groups.sort();
        groups
    };
    let all = ["circle", "engineers", "staff"];
    assert_eq!(groups(json!({})).await, all);
    assert_eq!(groups(json!({"groups": {"nested": false}})).await, ["engineers"]);
    let base = json!({"groups": {"mode": "memberOf", "base": "OU=Groups,dc=example,dc=test"}});
    assert_eq!(groups(base.clone()).await, all);
    let mut only = base;
    merge(&mut only, json!({"groups": {"nested": false}}));
    assert_eq!(groups(only).await, ["engineers"], "not the one of another base");
    assert!(groups(json!({"groups": {"mode": "none"}})).await.is_empty());

    let scene = Scene::new().await;
    let scoped = scene.connect(real(&slapd, json!({}))).await;
    let scopes = json!({"id": scoped, "scopeMapping": {
        "CN=Engineers, OU=groups,DC=example,DC=test": ["deploy"],
        "cn=admins,ou=elsewhere,dc=example,dc=test": ["everything"],
        "staff": ["read", "deploy"],
    }, "defaultScopes": ["guest"]});
    scene.authd.operate("connection.update", scopes).await;
    let role = json!({"id": scoped, "groupMapping": {"cn=ENGINEERS,ou=groups,dc=example,dc=test": ["viewer"], "admins": ["owner"]}});
    scene.authd.operate("connection.update", role).await;
    let (status, body) = scene.relay(&scoped, "ada", ADA).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let mut given: Vec<String> = serde_json::from_value(body["mappedScopes"].clone()).unwrap();
    given.sort();
    assert_eq!(given, ["deploy", "read"]);
    let person = json!({"id": body["principalId"], "organization": scene.organization});
    let member = scene.authd.operate("user.get", person).await;
    assert_eq!(member["roles"], json!(["viewer"]), "{member}");
    scene.authd.env().advance(Duration::from_secs(61));
    let found = scene.authd.operate("connection.test", json!({"id": scoped, "username": "zoë 山田, +x"})).await;
    assert_eq!(found["person"]["scopes"], json!(["guest"]));
}

#[tokio::test]
async fn ldap_08_a_hundred_levels_of_groups_end_at_ten() {
    let slapd = slapd!();
    let mut ldif = String::new();
    for level in 0..30 {
        let member = match level {
            0 => "uid=ada,ou=people,dc=example,dc=test".to_owned(),
            _ => format!("cn=level{},ou=groups,dc=example,dc=test", level - 1),
        };
        let dn = format!("cn=level{level},ou=groups,dc=example,dc=test");
        ldif.push_str(&format!("dn: {dn}\nobjectClass: groupOfNames\ncn: level{level}\nmember: {member}\n\n"));
    }
    slapd.add(&ldif);
    for mode in ["search", "memberOf"] {
        let scene = Scene::new().await;
        let connection = scene.connect(real(&slapd, json!({"groups": {"mode": mode}}))).await;
        let (status, body) = scene.relay(&connection, "ada", ADA).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let groups: Vec<String> = serde_json::from_value(body["groups"].clone()).unwrap();
        assert!(groups.contains(&"level9".to_owned()) && !groups.contains(&"level10".to_owned()), "{mode}: {groups:?}");
    }
}

#[tokio::test]
async fn ldap_04_a_certificate_of_a_foreign_authority_is_refused() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let foreign = Authority::new("Foreign");
    for more in [
        json!({"servers": {"caCertificates": foreign.pem}}),
        json!({"servers": {"caCertificates": foreign.pem, "urls": [slapd.url()], "startTls": true}}),
    ] {
        let connection = scene.force(real(&slapd, more)).await;
        let reply = scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_tls_required", &connection, "ada", ADA).await;
        assert!(failed(&scene.trace(&reply).await)["received"].as_str().unwrap().contains("nobody who is trusted"));
        let report = scene.authd.operate("connection.validate", json!({"id": connection})).await;
        let wrong = report["checks"].as_array().unwrap().iter().find(|check| check["ok"] == false).unwrap();
        assert_eq!(wrong["name"], "tls_verified", "{report}");
    }
}

#[tokio::test]
async fn a_test_shows_who_somebody_is_and_signs_nobody_in() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.draft(real(&slapd, json!({}))).await;
    let (counts, events) = (scene.authd.counts().await, scene.authd.events().await.len());
    let mapping = json!({"id": connection, "groupMapping": {"staff": ["viewer"], "nobody": ["owner"]}});
    scene.authd.operate("connection.update", mapping).await;
    let report = scene.authd.operate("connection.test", json!({"id": connection, "username": "ada"})).await;
    assert_eq!(report["ok"], true, "{report}");
    let names: Vec<String> = report["checks"].as_array().unwrap().iter().map(|check| text(check, "name")).collect();
    let steps = [
        "dns_resolves",
        "reachable",
        "tls_verified",
        "service_bind",
        "base_exists",
        "user_filter_matches",
        "subject_present",
        "group_search_works",
    ];
    assert_eq!(names, steps);
    let person = &report["person"];
    assert_eq!(person["dn"], "uid=ada,ou=people,dc=example,dc=test");
    assert!(text(person, "subject").starts_with("entryuuid|"));
    assert_eq!((&person["email"], &person["roles"]), (&json!("ada@example.test"), &json!(["viewer"])));
    assert!(person["groups"].as_array().unwrap().iter().any(|group| group["name"] == "engineers"));
    let gone = scene.authd.operate("connection.test", json!({"id": connection, "username": "gone"})).await;
    assert!(text(&gone["person"], "refused").contains("expired"));
    let nobody = scene.authd.operate("connection.test", json!({"id": connection, "username": "nobody"})).await;
    assert_eq!((&nobody["ok"], &nobody["person"]), (&json!(false), &Value::Null));
    assert_eq!(scene.authd.counts().await, counts);
    assert_eq!(scene.authd.events().await.len(), events + 1, "the mapping alone");
}

#[tokio::test]
async fn a_report_names_the_step_that_fails() {
    let mut slapd = slapd!();
    let scene = Scene::new().await;
    for (more, step, why) in [
        (json!({"bind": {"password": "wrong"}}), "service_bind", "not right"),
        (json!({"users": {"base": "ou=nowhere,dc=example,dc=test"}}), "base_exists", "no such entry"),
        (json!({"users": {"filter": "(&(uid={{username}})(title=boss))"}}), "user_filter_matches", "nobody"),
        (json!({"groups": {"base": "ou=nowhere,dc=example,dc=test"}}), "group_search_works", "no such entry"),
        (json!({"servers": {"urls": ["ldaps://no-such-host.invalid"]}}), "dns_resolves", ""),
        (json!({"profile": {"mapping": {"subject": "employeeNumber"}}}), "subject_present", "exactly one"),
    ] {
        let connection = scene.draft(real(&slapd, more)).await;
        for operation in ["connection.test", "connection.validate"] {
            let report = scene.authd.operate(operation, json!({"id": connection})).await;
            assert_eq!(report["ok"], false, "{report}");
            let wrong = report["checks"].as_array().unwrap().iter().find(|check| check["ok"] == false).unwrap();
            assert_eq!(wrong["name"], step, "{report}");
            assert!(text(wrong, "message").contains(why), "{report}");
        }
    }
    let connection = scene.connect(real(&slapd, json!({}))).await;
    let status = scene.authd.operate("connection.status", json!({"id": connection})).await;
    assert_eq!((&status["ready"], &status["protocols"]["ldap"]["ready"]), (&json!(true), &json!(true)), "{status}");
    slapd.stop();
    let report = scene.authd.operate("connection.test", json!({"id": connection})).await;
    let wrong = report["checks"].as_array().unwrap().iter().find(|check| check["ok"] == false).unwrap();
    assert_eq!(wrong["name"], "reachable", "{report}");
    scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", ADA).await;
}
