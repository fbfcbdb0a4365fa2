//! Reading directories: who leaves one, leaves here.

use std::time::Duration;

use authd::access::Caller;
use authd::event::{EventKind, Origin};
use authd::people::sync_due;
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Scene, real, settings};
use crate::world::directory::{Act, Asked, BASE, BIND, DONE, Directory, Question, ber, entry, result};
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
async fn whose_entry_was_made_anew_has_not_left() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let ada = signed_in(&scene, &connection, "ada", ADA).await;
    slapd.delete("uid=ada,ou=people,dc=example,dc=test");
    slapd.add(&format!(
        "dn: uid=ada,ou=people,dc=example,dc=test\nobjectClass: inetOrgPerson\nuid: ada\ncn: Ada Lovelace\nsn: Lovelace\n\
         mail: ada@example.test\nuserPassword: {ADA}\n"
    ));
    let again = signed_in(&scene, &connection, "ada", ADA).await;
    assert_eq!(again["principalId"], ada["principalId"], "linked by an address in a domain that is proved");
    assert_ne!(again["sub"], ada["sub"], "another entry");
    for _ in 0..2 {
        let report = sync(&scene, &connection).await;
        assert_eq!(report["ended"], 0, "{report}");
        assert_eq!(member(&scene, &ada).await["status"], "active");
    }
    slapd.delete("uid=ada,ou=people,dc=example,dc=test");
    assert_eq!(sync(&scene, &connection).await["ended"], 1, "now neither entry is there");
}

#[tokio::test]
async fn who_goes_by_a_new_entry_stays_though_the_old_one_is_switched_off() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let ada = signed_in(&scene, &connection, "ada", ADA).await;
    slapd.add(&format!(
        "dn: uid=ada2,ou=people,dc=example,dc=test\nobjectClass: inetOrgPerson\nuid: ada2\ncn: Ada Lovelace\nsn: Lovelace\n\
         mail: ada@example.test\nuserPassword: {ADA}\n"
    ));
    assert_eq!(signed_in(&scene, &connection, "ada2", ADA).await["principalId"], ada["principalId"]);
    for (uid, ended, status) in [("ada", 0, "active"), ("ada2", 1, "deprovisioned")] {
        slapd.modify(&format!(
            "dn: uid={uid},ou=people,dc=example,dc=test\nchangetype: modify\nadd: objectClass\n\
             objectClass: shadowAccount\n-\nadd: shadowExpire\nshadowExpire: 1\n"
        ));
        for round in [ended, 0] {
            let report = sync(&scene, &connection).await;
            assert_eq!(report["ended"], round, "{uid}: {report}");
            assert_eq!(member(&scene, &ada).await["status"], status, "{uid}");
        }
    }
}

#[tokio::test]
async fn another_attribute_of_the_subject_ends_nobodys_access() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let ada = signed_in(&scene, &connection, "ada", ADA).await;
    let change = json!({"id": connection, "profile": {"mapping": {"subject": "uid"}}});
    scene.authd.operate("connection.set_ldap", change).await;
    let report = sync(&scene, &connection).await;
    assert_eq!(report["ended"], 0, "{report}");
    assert_eq!(member(&scene, &ada).await["status"], "active");
}

#[tokio::test]
async fn who_is_switched_off_is_out_whatever_else_their_entry_says() {
    let slapd = slapd!();
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let people = [("ada", ADA, "ada@elsewhere.test"), ("b(ob)*", "bob-sécret", "ada@example.test")];
    for (name, password, mail) in people {
        let person = signed_in(&scene, &connection, name, password).await;
        // An address of a domain that nobody has proved; then one that is another member's.
        slapd.modify(&format!(
            "dn: uid={name},ou=people,dc=example,dc=test\nchangetype: modify\nreplace: mail\nmail: {mail}\n-\n\
             add: objectClass\nobjectClass: shadowAccount\n-\nadd: shadowExpire\nshadowExpire: 1\n"
        ));
        let report = sync(&scene, &connection).await;
        assert_eq!((&report["ended"], &report["skipped"]), (&json!(1), &json!(0)), "{mail}: {report}");
        assert_eq!(member(&scene, &person).await["status"], "deprovisioned", "{mail}");
    }
}

#[tokio::test]
async fn that_all_of_a_few_are_gone_is_not_believed_either() {
    let slapd = slapd!();
    let mut ldif = "dn: ou=others,dc=example,dc=test\nobjectClass: organizationalUnit\nou: others\n\n".to_owned();
    for n in 0..4 {
        ldif.push_str(&format!(
            "dn: uid=o{n},ou=others,dc=example,dc=test\nobjectClass: inetOrgPerson\nuid: o{n}\ncn: O{n}\nsn: O\n\n"
        ));
    }
    slapd.add(&ldif);
    let scene = Scene::new().await;
    let connection = scene.connect(real(&slapd, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let ada = signed_in(&scene, &connection, "ada", ADA).await;
    signed_in(&scene, &connection, "b(ob)*", "bob-sécret").await;
    let base = json!({"id": connection, "users": {"base": "ou=others,dc=example,dc=test"}});
    scene.authd.operate("connection.set_ldap", base).await;
    let app = &scene.authd.app;
    let cx = app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
    let refused = app.perform(&cx, "connection.sync", json!({"id": connection})).await.unwrap_err();
    assert_eq!(refused.code(), "sync_refused");
    assert_eq!(member(&scene, &ada).await["status"], "active");
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

const SECRET: &str = "one-for-all";

fn named(id: u32, dn: &str, n: usize) -> Vec<u8> {
    let (uid, mail, uuid) = (format!("p{n}"), format!("p{n}@example.test"), format!("00000000-0000-0000-0000-{n:012}"));
    let attributes: [(&str, &[u8]); 4] =
        [("uid", uid.as_bytes()), ("cn", b"P"), ("mail", mail.as_bytes()), ("entryUUID", uuid.as_bytes())];
    entry(id, dn, &attributes)
}

fn person(id: u32, n: usize) -> Vec<u8> {
    named(id, &format!("uid=p{n},{BASE}"), n)
}

/// Who is asked for by account, and binds; the list of all is `listed`'s.
fn company(question: &Question, listed: impl Fn(u32) -> Vec<u8>) -> Act {
    let id = question.id;
    Act::Say(match &question.asked {
        Asked::Bind { password, .. } => {
            let fits = password == SECRET || password == crate::world::directory::SERVICE.1;
            result(id, BIND, if fits { 0 } else { 49 }, "", "")
        }
        Asked::Search { filter, .. } => {
            let asked = filter.split("(uid=p").nth(1).and_then(|rest| rest.split(')').next()?.parse().ok());
            match asked {
                Some(n) => [person(id, n), result(id, DONE, 0, "", "")].concat(),
                None => listed(id),
            }
        }
        _ => return Act::Close,
    })
}

/// The end of a page, and where the next one begins.
fn page_end(id: u32, cookie: &[u8]) -> Vec<u8> {
    let done = [ber(10, &[0]), ber(4, b""), ber(4, b"")].concat();
    let value = ber(0x30, &[ber(2, &[0]), ber(4, cookie)].concat());
    let control = ber(0x30, &[ber(4, b"1.2.840.113556.1.4.319"), ber(4, &value)].concat());
    ber(0x30, &[ber(2, &id.to_be_bytes()), ber(DONE, &done), ber(0xa0, &control)].concat())
}

async fn company_of(
    people: &[usize],
    behaviour: impl Fn(&Question) -> Act + Send + Sync + 'static,
) -> (Scene, String, Vec<Value>) {
    let directory = Directory::start(behaviour).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    scene.owns(&connection, "example.test").await;
    let mut known = Vec::new();
    for n in people {
        known.push(signed_in(&scene, &connection, &format!("p{n}"), SECRET).await);
    }
    (scene, connection, known)
}

#[tokio::test]
async fn whom_a_directory_lists_beyond_what_is_read_is_not_gone() {
    // It knows no pages: all nine hundred come at once, and these two are the last.
    let list = |id: u32| [(0..900).flat_map(|n| person(id, n)).collect(), result(id, DONE, 0, "", "")].concat();
    let (scene, connection, known) = company_of(&[898, 899], move |question| company(question, list)).await;
    let report = sync(&scene, &connection).await;
    assert_eq!((&report["incomplete"], &report["ended"]), (&json!(true), &json!(0)), "{report}");
    for one in &known {
        assert_eq!(member(&scene, one).await["status"], "active");
    }
}

#[tokio::test]
async fn whoever_has_a_name_that_cannot_be_read_is_not_gone() {
    for strange in ["uid=<p1>,ou=people,dc=example,dc=test", "uid=p1,ou=former,dc=example,dc=test", "p1"] {
        let list = move |id: u32| [person(id, 0), named(id, strange, 1), result(id, DONE, 0, "", "")].concat();
        let (scene, connection, known) = company_of(&[0, 1], move |question| company(question, list)).await;
        let report = sync(&scene, &connection).await;
        assert_eq!((&report["incomplete"], &report["ended"]), (&json!(true), &json!(0)), "{strange}: {report}");
        assert_eq!(member(&scene, &known[1]).await["status"], "active", "{strange}");
    }
}

#[tokio::test]
async fn ldap_06_a_list_that_never_ends_is_left() {
    for circle in [true, false] {
        // The same page again and again, or nothing again and again; each with a way on.
        let list = move |id: u32| {
            let people = if circle { person(id, 0) } else { Vec::new() };
            [people, page_end(id, b"on")].concat()
        };
        let (scene, connection, known) = company_of(&[0, 1], move |question| company(question, list)).await;
        let app = &scene.authd.app;
        let cx = app.context(Caller::Operator { uid: 0 }, Origin::internal(scene.authd.env()));
        let asked = app.perform(&cx, "connection.sync", json!({"id": connection}));
        let refused = tokio::time::timeout(Duration::from_secs(30), asked).await.expect("it ends").unwrap_err();
        assert_eq!(refused.code(), "ldap_unavailable");
        for one in &known {
            assert_eq!(member(&scene, one).await["status"], "active");
        }
    }
}

#[tokio::test]
async fn one_directory_that_hangs_holds_up_no_other() {
    let list = |id: u32| [person(id, 0), page_end(id, b"")].concat();
    let scene = Scene::new().await;
    let hangs = Directory::start(|question: &Question| match &question.asked {
        Asked::Search { .. } => Act::Nothing,
        _ => company(question, |_| Vec::new()),
    })
    .await;
    let slow = scene.force(settings(&hangs, json!({"sync": {"enabled": true}}))).await;
    // Made after the other: its turn is later.
    let answers = Directory::start(move |question: &Question| company(question, list)).await;
    let quick = scene.connect(settings(&answers, json!({"sync": {"enabled": true}}))).await;
    scene.owns(&quick, "example.test").await;
    signed_in(&scene, &quick, "p0", SECRET).await;
    let leaver = signed_in(&scene, &quick, "p1", SECRET).await;
    let cx = scene.authd.app.context(Caller::System, Origin::internal(scene.authd.env()));
    let turn = sync_due(&cx);
    let watched = async {
        while member(&scene, &leaver).await["status"] == "active" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // The one that hangs is given up after ten seconds; the other need not wait for that.
    tokio::select! {
        _ = turn => panic!("both are done before the first was noticed"),
        () = watched => {}
        () = tokio::time::sleep(Duration::from_secs(9)) => panic!("{slow} holds up {quick}"),
    }
}
