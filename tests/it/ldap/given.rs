//! What a policy does to somebody whose entry is given by hand.

use serde_json::{Value, json};

use super::{Scene, merge, settings};
use crate::world::directory::{Directory, behave};

#[tokio::test]
async fn a_policy_is_explained_for_an_entry_without_asking_the_directory() {
    let scene = Scene::new().await;
    let directory = Directory::start(behave).await;
    let groups = json!({"groups": {"mode": "memberOf", "base": "ou=groups,dc=example,dc=test"},
        "profile": {"mapping": {"subject": "objectGUID"}}});
    let connection = scene.connect(settings(&directory, groups)).await;
    scene.owns(&connection, "example.test").await;
    let role = json!({"id": connection, "groupMapping": {"CN=Staff, ou=groups,dc=example,dc=test": ["viewer"]}});
    scene.authd.operate("connection.update", role).await;
    let asked = directory.questions().len();
    let entry = json!({
        "dn": "uid=ada,ou=people,dc=example,dc=test", "uid": "ada", "cn": "Ada", "MAIL": ["ada@example.test"],
        "objectGUID": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "memberOf": ["cn=staff,ou=groups,dc=example,dc=test", "cn=admins,ou=elsewhere,dc=example,dc=test"],
    });
    let explain = async |more: Value| {
        let mut entry = entry.clone();
        merge(&mut entry, more);
        scene.authd.operate("policy.explain", json!({"connection": connection, "input": entry})).await
    };
    let told = explain(json!({})).await;
    assert_eq!(told["verdict"]["outcome"], "created", "{told}");
    let text = told.to_string();
    for shown in ["viewer", "ada@example.test"] {
        assert!(text.contains(shown), "{shown}: {told}");
    }
    assert!(!text.contains("admins"), "a group of elsewhere does not count: {told}");
    let disabled = explain(json!({"userAccountControl": "514"})).await;
    assert_eq!(disabled["verdict"]["errorCode"], "invalid_credentials", "{disabled}");
    assert!(disabled["facts"]["checks"].to_string().contains("the account is disabled"), "{disabled}");
    let foreign = explain(json!({"MAIL": "ada@else.example"})).await;
    assert_eq!(foreign["verdict"]["errorCode"], "email_domain_not_owned", "{foreign}");
    assert_eq!(directory.questions().len(), asked, "nobody was asked");
}

#[tokio::test]
async fn groups_are_those_of_the_attribute_that_a_sign_in_reads() {
    let scene = Scene::new().await;
    let directory = Directory::start(behave).await;
    let groups = json!({"groups": {"mode": "memberOf"}, "profile": {"mapping": {"groups": "groupMembership"}}});
    let connection = scene.connect(settings(&directory, groups)).await;
    scene.owns(&connection, "example.test").await;
    let role = json!({"id": connection, "groupMapping": {"staff": ["viewer"]}});
    scene.authd.operate("connection.update", role).await;
    let entry = json!({
        "dn": "uid=ada,ou=people,dc=example,dc=test", "uid": "ada", "cn": "Ada", "mail": "ada@example.test",
        "entryUUID": "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "groupMembership": ["cn=staff,ou=groups,dc=example,dc=test"],
        "memberOf": ["cn=admins,ou=groups,dc=example,dc=test"],
    });
    let told = scene.authd.operate("policy.explain", json!({"connection": connection, "input": entry})).await;
    assert_eq!(told["verdict"]["outcome"], "created", "{told}");
    let text = told.to_string();
    assert!(text.contains("viewer") && !text.contains("admins"), "{told}");
}
