//! Setting up a connection to a directory.

use authd::access::Caller;
use authd::event::Origin;
use serde_json::{Value, json};

use super::{Scene, settings};
use crate::world::directory::{BASE, Directory, SERVICE, behave};

const TEMPLATE: &str = "uid={{username}},ou=people,dc=example,dc=test";

async fn refused(scene: &Scene, operation: &str, input: Value) -> String {
    let cx = scene.authd.app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
    match scene.authd.app.perform(&cx, operation, input).await {
        Ok(done) => format!("ok: {done}"),
        Err(error) => error.code().to_owned(),
    }
}

#[tokio::test]
async fn the_usual_settings_stand_beside_each_other() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let made = scene.authd.operate("connection.create", json!({
        "organization": scene.organization, "protocol": "ldap", "name": "Directory", "activate": true,
        "ldapUrl": directory.url(), "ldapBindDn": SERVICE.0, "ldapBindPassword": SERVICE.1, "ldapSearchBase": BASE,
        "ldapSearchFilter": "(uid={{username}})", "ldapGroupSearchBase": "ou=groups,dc=example,dc=test",
        "ldapGroupSearchFilter": "(member={{dn}})", "ldapTlsEnabled": false,
    })).await;
    assert_eq!((&made["ready"], &made["status"]), (&json!(true), &json!("active")), "{made}");
    assert_eq!(made["ldap"]["users"]["filter"], "(uid={{username}})");
    assert_eq!(made["ldap"]["groups"]["mode"], "search");
    assert!(!made.to_string().contains(SERVICE.1));
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anybody_is_asked() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    for (ldap, code) in [
        (json!({"servers": {"urls": ["http://127.0.0.1"]}}), "invalid_input"),
        (json!({"servers": {"urls": ["ldap://dc1.corp.example"], "startTls": false}}), "config_invalid"),
        (json!({"users": {"filter": "(uid={{username}}"}}), "invalid_input"),
        (json!({"users": {"filter": "(uid=*)"}}), "invalid_input"),
        (json!({"users": {"filter": "({{username}}=*)"}}), "invalid_input"),
        (json!({"users": {"base": "nonsense"}}), "invalid_input"),
        (json!({"profile": {"extraFields": {"x": "USERPASSWORD"}}}), "invalid_input"),
        (json!({"profile": {"mapping": {"name": "unicodePwd"}}}), "invalid_input"),
        (json!({"groups": {"nameAttribute": "ms-Mcs-AdmPwd"}}), "invalid_input"),
        (json!({"bind": {"password": "  "}}), "invalid_input"),
        (json!({"profile": {"mapping": {"subject": "dn"}}}), "invalid_input"),
        (json!({"servers": {"noTlsVerify": true}}), "unknown_field"),
        (json!({"bind": {"userDnTemplate": TEMPLATE}, "sync": {"enabled": true}}), "config_invalid"),
    ] {
        let wish = json!({"organization": scene.organization, "protocol": "ldap", "name": "D",
            "ldap": {"servers": {"urls": [directory.url()]}}});
        let mut wish = wish;
        super::merge(&mut wish["ldap"], ldap.clone());
        assert_eq!(refused(&scene, "connection.create", wish).await, code, "{ldap}");
    }
    let both = json!({"organization": scene.organization, "protocol": "oidc", "name": "D", "ldapUrl": directory.url()});
    assert_eq!(refused(&scene, "connection.create", both).await, "invalid_input");
    assert_eq!(directory.connections(), 0);
}

#[tokio::test]
async fn a_directory_that_may_not_be_called_is_refused_and_one_that_is_away_is_not_ready() {
    let scene = Scene::new().await;
    let make = |url: &str, activate: bool| {
        json!({"organization": scene.organization, "protocol": "ldap", "name": "D", "activate": activate,
            "ldapUrl": url, "ldapSearchBase": BASE})
    };
    for url in ["ldaps://10.1.2.3", "ldap://169.254.169.254", "ldaps://[fd00::1]", "ldaps://192.168.1.1:636"] {
        assert_eq!(refused(&scene, "connection.create", make(url, false)).await, "outbound_not_allowed", "{url}");
    }
    assert_eq!(refused(&scene, "connection.create", make("ldaps://1.1.1.1:22", false)).await, "url_not_allowed");
    let away = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("ldap://{}", listener.local_addr().unwrap())
    };
    let made = scene.authd.operate("connection.create", make(&away, false)).await;
    assert_eq!(made["ready"], false, "{made}");
    assert_eq!(refused(&scene, "connection.activate", json!({"id": made["id"]})).await, "ldap_unavailable");
    assert_eq!(refused(&scene, "connection.create", make(&away, true)).await, "ldap_unavailable");
}

#[tokio::test]
async fn where_people_alone_bind_nothing_is_read_without_them() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let bind = json!({"mode": "direct", "dn": "", "password": "", "userDnTemplate": TEMPLATE});
    let direct = scene.connect(settings(&directory, json!({"bind": bind}))).await;
    let on = json!({"id": direct, "sync": {"enabled": true}});
    assert_eq!(refused(&scene, "connection.set_ldap", on).await, "config_invalid");
    scene.authd.operate("connection.set_ldap", json!({"id": direct, "sync": {"enabled": false}})).await;
    let read = scene.connect(settings(&directory, json!({"sync": {"enabled": true}}))).await;
    let change = json!({"id": read, "bind": {"mode": "direct", "userDnTemplate": TEMPLATE}});
    assert_eq!(refused(&scene, "connection.set_ldap", change).await, "config_invalid");

    let found = scene.authd.operate("connection.test", json!({"id": direct})).await;
    assert_eq!(found["ok"], true, "{found}");
    let found = scene.authd.operate("connection.test", json!({"id": direct, "username": "ada"})).await;
    assert_eq!((&found["ok"], &found["person"]), (&json!(false), &Value::Null), "{found}");
    let check = found["checks"].as_array().unwrap().last().unwrap();
    assert_eq!((&check["name"], &check["ok"]), (&json!("user_filter_matches"), &json!(false)));
    let says = super::text(check, "message");
    assert!(says.contains("was not looked at") && says.contains("only by signing in"), "{says}");
    assert!(directory.binds().iter().all(|(_, name, _)| name == SERVICE.0), "nobody was bound for it");
}

#[tokio::test]
async fn settings_of_one_protocol_are_nothing_to_another() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let ldap = scene.connect(settings(&directory, json!({}))).await;
    assert_eq!(refused(&scene, "connection.set_oidc", json!({"id": ldap, "clientId": "x"})).await, "invalid_input");
    let oidc = json!({"organization": scene.organization, "protocol": "oidc", "name": "O"});
    let oidc = scene.authd.operate("connection.create", oidc).await;
    assert_eq!(
        refused(&scene, "connection.set_ldap", json!({"id": oidc["id"], "preset": "lldap"})).await,
        "invalid_input"
    );
    assert_eq!(refused(&scene, "connection.test", json!({"id": oidc["id"], "username": "ada"})).await, "invalid_input");
}

#[tokio::test]
async fn the_password_of_the_account_moves_to_a_new_master_key() {
    use authd::connection::Connection;
    use authd::crypto::{MasterKey, Sealing as _};
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let store = &scene.authd.app.world.store;
    let mut kept = Connection::load(store, connection.parse().unwrap()).await.unwrap().value;
    let before = kept.ldap.clone().unwrap().bind.password;
    assert!(!kept.reseal(scene.authd.env(), &scene.authd.app.world.deployment.master_key).unwrap(), "nothing to do");
    let other = MasterKey::generate(scene.authd.env());
    assert!(kept.reseal(scene.authd.env(), &other).is_err(), "a key that opens nothing");
    assert_eq!(kept.ldap.unwrap().bind.password, before);
}
