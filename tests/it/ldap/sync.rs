//! Reading directories: who leaves one, leaves here.

use std::time::Duration;

use authd::access::Caller;
use authd::event::{EventKind, Origin};
use authd::people::sync_due;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Scene, real};
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

async fn signed_in(scene: &Scene, connection: &str, name: &str, password: &str) -> Value {
    let (status, body) = scene.relay(connection, name, password).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

async fn member(scene: &Scene, person: &Value) -> Value {
    let wish = json!({"id": person["principalId"], "organization": scene.organization});
    scene.authd.operate("user.get", wish).await
}

async fn sync(scene: &Scene, connection: &str) -> Value {
    scene.authd.operate("connection.sync", json!({"id": connection})).await
}

#[tokio::test]
async fn who_leaves_the_directory_or_is_switched_off_there_is_out_at_once() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let mut browser = scene.authd.browser();
    let landed = scene.sign_in_with(&mut browser, &connection, "ada", ADA).await;
    assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.body);
    let ada = signed_in(&scene, &connection, "ada", ADA).await;
    let bob = signed_in(&scene, &connection, "b(ob)*", "bob-sécret").await;

    let nothing = sync(&scene, &connection).await;
    assert_eq!(
        (&nothing["updated"], &nothing["ended"], &nothing["created"]),
        (&json!(0), &json!(0), &json!(0)),
        "{nothing}"
    );
    assert_eq!(nothing["seen"], 4, "the outsider is not below the base");
    let events = scene.authd.events().await.len();
    sync(&scene, &connection).await;
    let told = scene.authd.events().await.split_off(events);
    assert_eq!(told.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::ConnectionSynced]);

    slapd.modify("dn: uid=ada,ou=people,dc=example,dc=test\nchangetype: modify\nreplace: cn\ncn: Ada King\n");
    let dry = scene.authd.operate("connection.sync", json!({"id": connection, "dryRun": true})).await;
    assert_eq!((&dry["updated"], &member(&scene, &ada).await["name"]), (&json!(1), &json!("Ada Lovelace")), "{dry}");
    assert_eq!(sync(&scene, &connection).await["updated"], 1);
    assert_eq!(member(&scene, &ada).await["name"], "Ada King");

    // Gone from the directory.
    slapd.delete("uid=ada,ou=people,dc=example,dc=test");
    let report = sync(&scene, &connection).await;
    assert_eq!(report["ended"], 1, "{report}");
    assert_eq!(member(&scene, &ada).await["status"], "deprovisioned");
    let next = browser.get(&scene.authorize(&[("prompt", "none")])).await;
    assert_eq!(next.query("error").as_deref(), Some("login_required"), "the session is over");
    assert_eq!(member(&scene, &bob).await["status"], "active");

    // Switched off in it: the account has expired.
    slapd.modify(
        "dn: uid=b(ob)*,ou=people,dc=example,dc=test\nchangetype: modify\nadd: objectClass\nobjectClass: shadowAccount\n-\n\
         add: shadowExpire\nshadowExpire: 1\n",
    );
    assert_eq!(sync(&scene, &connection).await["ended"], 1);
    assert_eq!(member(&scene, &bob).await["status"], "deprovisioned");
    // And on again.
    slapd.modify("dn: uid=b(ob)*,ou=people,dc=example,dc=test\nchangetype: modify\ndelete: shadowExpire\n");
    assert_eq!(sync(&scene, &connection).await["updated"], 1);
    assert_eq!(member(&scene, &bob).await["status"], "active");
    scene.authd.env().advance(Duration::from_secs(61));
    signed_in(&scene, &connection, "b(ob)*", "bob-sécret").await;
}

#[tokio::test]
async fn a_directory_that_knows_nobody_suddenly_is_not_believed() {
    let slapd = slapd!();
    let mut ldif = String::new();
    for n in 0..12 {
        ldif.push_str(&format!(
            "dn: uid=p{n},ou=people,dc=example,dc=test\nobjectClass: inetOrgPerson\nuid: p{n}\ncn: P{n}\nsn: P\n\
             mail: p{n}@example.test\nuserPassword: secret-{n}\n\n"
        ));
    }
    slapd.add(&ldif);
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let first = signed_in(&scene, &connection, "p0", "secret-0").await;
    for n in 1..12 {
        signed_in(&scene, &connection, &format!("p{n}"), &format!("secret-{n}")).await;
    }
    let app = &scene.authd.app;
    let cx = app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
    for filter in ["(&(uid={{username}})(title=boss))", "(&(uid={{username}})(uid=ada))"] {
        scene.authd.operate("connection.set_ldap", json!({"id": connection, "ldapSearchFilter": filter})).await;
        let refused = app.perform(&cx, "connection.sync", json!({"id": connection})).await.unwrap_err();
        assert_eq!(refused.code(), "sync_refused", "{filter}");
        assert_eq!(member(&scene, &first).await["status"], "active");
        let event = scene.authd.events().await.pop().unwrap();
        assert_eq!((event.kind, event.error_code.as_deref()), (EventKind::ConnectionSyncFailed, Some("sync_refused")));
    }
    let forced = scene.authd.operate("connection.sync", json!({"id": connection, "force": true})).await;
    assert_eq!(forced["ended"], 12, "{forced}");
}

#[tokio::test]
async fn a_directory_of_many_pages_is_read_to_its_end_and_everybody_may_become_known() {
    let slapd = slapd!();
    let mut ldif = String::new();
    for n in 0..650 {
        ldif.push_str(&format!(
            "dn: uid=p{n},ou=people,dc=example,dc=test\nobjectClass: inetOrgPerson\nuid: p{n}\ncn: P{n}\nsn: P\n\
             mail: p{n}@example.test\n\n"
        ));
    }
    slapd.add(&ldif);
    let scene = Scene::new().await;
    let more =
        json!({"groups": {"mode": "memberOf"}, "sync": {"enabled": true, "everybody": true, "everyMinutes": 30}});
    let connection = scene.connect(real(&slapd, more)).await;
    scene.owns(&connection, "example.test").await;
    let cx = scene.authd.app.context(Caller::System, Origin::internal(scene.authd.env()));
    assert_eq!(sync_due(&cx).await.unwrap(), 1);
    assert_eq!(scene.authd.counts().await["membership"], 653, "all but the one whose account has expired");
    assert_eq!(sync_due(&cx).await.unwrap(), 0, "not yet again");
    scene.authd.env().advance(Duration::from_secs(30 * 60));
    assert_eq!(sync_due(&cx).await.unwrap(), 1);
    // Who became known by the directory is the one who signs in.
    let ada = signed_in(&scene, &connection, "ada", ADA).await;
    assert_eq!(ada["provisioned"], false);
    // An account that is not told everybody cannot tell who has gone.
    let limited =
        json!({"id": connection, "ldapBindDn": "cn=limited,dc=example,dc=test", "ldapBindPassword": "limited-secret"});
    scene.authd.operate("connection.set_ldap", limited).await;
    let report = sync(&scene, &connection).await;
    assert_eq!((&report["incomplete"], &report["ended"]), (&json!(true), &json!(0)), "{report}");
    assert!(report["seen"].as_u64().unwrap() < 654);
    scene.authd.operate("connection.disable", json!({"id": connection})).await;
    scene.authd.env().advance(Duration::from_secs(30 * 60));
    assert_eq!(sync_due(&cx).await.unwrap(), 0, "one that is switched off is not read");
}

#[tokio::test]
async fn an_administrators_word_stands_against_the_directorys() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let ada = signed_in(&scene, &connection, "ada", ADA).await;
    let them = json!({"id": ada["principalId"], "organization": scene.organization});
    scene.authd.operate("user.suspend", them).await;
    let report = sync(&scene, &connection).await;
    assert_eq!(report["skipped"], 1, "{report}");
    assert_eq!(member(&scene, &ada).await["status"], "suspended");
}
