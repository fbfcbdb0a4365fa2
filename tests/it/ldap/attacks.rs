//! What is tried with names and passwords.

use std::sync::Arc;
use std::time::Duration;

use authd::event::EventKind;
use authd::store::{Batch, Options, Store};
use axum::http::StatusCode;
use rand::Rng as _;
use serde_json::json;

use super::{Scene, failed, settings, text};
use crate::world::authd::Authd;
use crate::world::directory::{
    ADA, Act, Asked, BASE, BIND, DONE, Directory, PASSWORD, Question, SERVICE, ada, behave, ber, entry, escaped,
    reference, result,
};

/// Passwords that are none: nothing, blanks of every kind, NULs.
fn blanks() -> Vec<String> {
    let mut rng = rand::rng();
    let kinds = [' ', '\t', '\n', '\u{a0}', '\u{2003}', '\u{3000}', '\0', '\u{1}'];
    let mut all: Vec<String> = vec![String::new(), " ".into(), "\0".into(), "\0secret".into(), format!("{PASSWORD}\0")];
    all.extend(
        (0..10).map(|_| (0..rng.random_range(1..20)).map(|_| kinds[rng.random_range(0..kinds.len())]).collect()),
    );
    all
}

#[tokio::test]
async fn ldap_01_what_is_no_password_is_refused_and_not_a_packet_is_sent() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let (connections, questions) = (directory.connections(), directory.questions().len());
    for password in blanks() {
        for name in ["ada", SERVICE.0, "nobody"] {
            scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, name, &password).await;
            scene.authd.env().advance(Duration::from_secs(61));
            let (status, body) = scene.relay(&connection, name, &password).await;
            assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_credentials")));
        }
    }
    assert_eq!(directory.connections(), connections, "not even a connection");
    assert_eq!(directory.questions().len(), questions);
    let landed = scene.sign_in(&connection, "ada", PASSWORD).await;
    assert_eq!(landed.status, StatusCode::SEE_OTHER, "the right one still works: {}", landed.body);
}

#[tokio::test]
async fn ldap_02_whatever_is_typed_reaches_the_directory_as_one_value() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let more = json!({"users": {"filter": "(&(objectClass=person)(|(uid={{username}})(mail={{email}})))"}});
    let connection = scene.connect(settings(&directory, more)).await;
    let mut typed: Vec<String> = [
        "*",
        "*)(uid=*",
        "*)(|(uid=*",
        "ada)(uid=*",
        "ada)(|(objectClass=*",
        "*))%00",
        "*()|&'",
        "admin*",
        "a\\",
        "\\2a",
        "(uid=ada)",
        "*)(mail=*))(|(mail=*",
        "x' or name()='username' or 'x'='y",
        "ada\u{0}",
        "ada\u{0})(x=",
        "é*",
        "山(田)",
        "!",
        "&",
        "|",
        "{{username}}",
        "{{email}}",
        "{{dn}}",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut rng = rand::rng();
    let letters: Vec<char> = "*()\\&|!=~<>:,+\"#; \0abcé山".chars().collect();
    typed.extend((0..40).map(|_| {
        let inner: String = (0..rng.random_range(1..24)).map(|_| letters[rng.random_range(0..letters.len())]).collect();
        // With a star before it, it is no distinguished name, which would be looked up as one.
        format!("x*{inner}x")
    }));
    for name in typed {
        scene.authd.env().advance(Duration::from_secs(61));
        let before = directory.filters().len();
        let (status, body) = scene.relay(&connection, &name, PASSWORD).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (StatusCode::UNAUTHORIZED, Some("invalid_credentials")),
            "{name:?}"
        );
        let seen = directory.filters().split_off(before);
        let value = escaped(name.as_bytes());
        assert_eq!(seen, [format!("(&(objectClass=person)(|(uid={value})(mail={value})))")], "{name:?}");
    }
    assert!(directory.binds().iter().all(|(_, name, _)| name == SERVICE.0), "nobody was found, so nobody was bound");
}

#[tokio::test]
async fn ldap_02_a_name_with_an_equals_sign_is_an_account_like_any() {
    for (typed, rdn) in [("x=y", "uid=x\\3dy"), ("ada=corp@example.test", "mail=ada\\3dcorp@example.test")] {
        let dn = format!("{rdn},{BASE}");
        let directory = Directory::start(move |question: &Question| {
            let id = question.id;
            let means = format!("={})", escaped(typed.as_bytes()));
            Act::Say(match &question.asked {
                Asked::Search { filter, .. } if filter.contains(&means) => {
                    let found = entry(id, &dn, &[("uid", typed.as_bytes()), ("entryUUID", b"1")]);
                    [found, result(id, DONE, 0, "", "")].concat()
                }
                Asked::Bind { name, password } if *name == dn => {
                    result(id, BIND, if password == PASSWORD { 0 } else { 49 }, "", "")
                }
                _ => return behave(question),
            })
        })
        .await;
        let scene = Scene::new().await;
        let connection = scene.connect(settings(&directory, json!({}))).await;
        let (status, body) = scene.relay(&connection, typed, PASSWORD).await;
        assert_eq!(status, StatusCode::OK, "{typed}: {body}");
        assert_eq!(scene.relay(&connection, typed, "wrong").await.0, StatusCode::UNAUTHORIZED, "{typed}");
    }

    // Whatever else reads as a name of an entry is one value, and the name of what lies elsewhere finds nothing.
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let mut typed: Vec<String> = [
        "uid=ada,ou=admins,dc=example,dc=test",
        "uid=ada,ou=people,dc=example,dc=test,dc=evil",
        "uid=ada\\,ou=people\\,dc=example\\,dc=test",
        SERVICE.0,
        "dc=example,dc=test",
        "uid=ada",
        "uid=*",
        "uid=ada)(uid=*",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut rng = rand::rng();
    let letters: Vec<char> = "=,+;#*()&|\\2ab @".chars().collect();
    typed.extend((0..40).map(|_| {
        let inner: String = (0..rng.random_range(1..24)).map(|_| letters[rng.random_range(0..letters.len())]).collect();
        format!("x={inner}x")
    }));
    for name in typed {
        scene.authd.env().advance(Duration::from_secs(61));
        let before = directory.filters().len();
        assert_eq!(scene.relay(&connection, &name, PASSWORD).await.0, StatusCode::UNAUTHORIZED, "{name:?}");
        let value = escaped(name.as_bytes());
        let seen = directory.filters().split_off(before);
        assert_eq!(seen, [format!("(|(uid={value})(mail={value}))")], "{name:?}");
    }
    assert!(directory.binds().iter().all(|(_, name, _)| name == SERVICE.0), "nobody was found, so nobody was bound");
}

#[tokio::test]
async fn ldap_02_two_entries_are_nobody() {
    let other = "uid=ada2,ou=people,dc=example,dc=test";
    let directory = Directory::start(move |question: &Question| match &question.asked {
        Asked::Search { .. } => {
            let id = question.id;
            Act::Say([ada(id), entry(id, other, &[("uid", b"ada")]), result(id, DONE, 0, "", "")].concat())
        }
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let reply = scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, "ada", PASSWORD).await;
    assert!(failed(&scene.trace(&reply).await)["received"].as_str().unwrap().contains("more than one"));
    assert!(directory.binds().iter().all(|(_, name, _)| name != ADA));
}

#[tokio::test]
async fn ldap_02_a_second_entry_that_the_directory_does_not_give_out_is_not_forgotten() {
    // One whose size limit is one entry: it gives the first, and says by the code that there are more (RFC 4511 §4.5.1.5).
    let directory = Directory::start(|question| match &question.asked {
        Asked::Search { filter, .. } if filter.contains("=ada)") => {
            Act::Say([ada(question.id), result(question.id, DONE, 4, "", "")].concat())
        }
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let reply = scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, "ada", PASSWORD).await;
    assert_eq!(failed(&scene.trace(&reply).await)["received"], "more than one entry fits the filter");
    assert!(directory.binds().iter().all(|(_, who, _)| who == SERVICE.0), "nobody was bound");
    let found = scene.authd.operate("connection.test", json!({"id": connection, "username": "ada"})).await;
    assert_eq!(found["ok"], false, "{found}");
}

#[tokio::test]
async fn the_word_of_a_password_policy_is_told_and_heard() {
    let policy = |question: &Question, code: u8, error: u8| {
        let word = ber(0x30, &ber(0x81, &[error]));
        let control = ber(0x30, &[ber(4, b"1.3.6.1.4.1.42.2.27.8.5.1"), ber(4, &word)].concat());
        let bound = ber(BIND, &[ber(10, &[code]), ber(4, b""), ber(4, b"")].concat());
        let number = ber(2, &question.id.to_be_bytes());
        Act::Say(ber(0x30, &[number, bound, ber(0xa0, &control)].concat()))
    };
    for (code, error, says) in [
        (49, 0, "the password has expired"),
        (49, 1, "the account is locked"),
        (0, 2, "the password must be changed first"),
        (49, 7, "the password is not right"),
        // The 389 directory, after too many tries.
        (19, 7, "the account is locked"),
    ] {
        let directory = Directory::start(move |question| match &question.asked {
            Asked::Bind { name, .. } if name == ADA => policy(question, code, error),
            _ => behave(question),
        })
        .await;
        let scene = Scene::new().await;
        let connection = scene.connect(settings(&directory, json!({}))).await;
        let reply = scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, "ada", PASSWORD).await;
        assert_eq!(failed(&scene.trace(&reply).await)["received"], says);
    }
    // The account that searches is held to it as well, and who set it up is told.
    let directory = Directory::start(move |question| match &question.asked {
        Asked::Bind { .. } => policy(question, 0, 2),
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.force(settings(&directory, json!({}))).await;
    scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", PASSWORD).await;
    let found = scene.authd.operate("connection.test", json!({"id": connection})).await;
    let check = found["checks"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(check, json!({"name": "service_bind", "ok": false, "message": "the password must be changed first"}));
}

#[tokio::test]
async fn the_page_and_the_trace_say_the_same() {
    let directory = Directory::start(|question| match &question.asked {
        Asked::Search { .. } => {
            let nameless = entry(question.id, ADA, &[("uid", b"ada")]);
            Act::Say([nameless, result(question.id, DONE, 0, "", "")].concat())
        }
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let reply = scene.sign_in(&connection, "ada", PASSWORD).await;
    let trace = scene.trace(&reply).await;
    let says = "The directory does not say who this is for good.";
    assert!(reply.body.contains(says), "{}", reply.body);
    assert_eq!((&trace["errorCode"], &trace["message"]), (&json!("profile_invalid"), &json!(says)));
    assert!(trace["help"].as_str().unwrap().contains("profile.mapping.subject"));
}

#[tokio::test]
async fn ldap_03_no_typed_name_leaves_the_template() {
    let directory = Directory::start(|question: &Question| match &question.asked {
        // Whoever it is, it is let in: only what authd sends stands between.
        Asked::Bind { .. } => Act::Say(result(question.id, BIND, 49, "", "")),
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let more = json!({"bind": {"mode": "direct", "dn": "", "password": "",
        "userDnTemplate": "uid={{username}},ou=people,dc=example,dc=test"}});
    let connection = scene.connect(settings(&directory, more)).await;
    for name in
        ["x,ou=admins", "x+cn=admin", "#04024869", "\"x\"", "x\\", "x;ou=admins", "<x>", "x=y", "x\0y", "x\\,ou=admins"]
    {
        scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, name, PASSWORD).await;
        let bound = directory.binds().pop().unwrap().1;
        let rdn = bound.strip_suffix(",ou=people,dc=example,dc=test").unwrap_or_else(|| panic!("{bound}"));
        let value = rdn.strip_prefix("uid=").unwrap();
        for special in [',', '+', ';', '"', '<', '>', '=', '\0'] {
            assert!(!value.contains(special), "{bound}");
        }
        assert!(!value.starts_with(['#', ' ']) && !value.ends_with(' '), "{bound}");
    }
}

#[tokio::test]
async fn ldap_03_an_entry_outside_the_base_is_not_bound() {
    for outside in [
        "uid=ada,ou=admins,dc=example,dc=test",
        "uid=ada\\,ou=people\\,dc=example\\,dc=test",
        "dc=test",
        "",
        "no name at all",
    ] {
        let directory = Directory::start(move |question: &Question| match &question.asked {
            Asked::Search { .. } => {
                let found = entry(question.id, outside, &[("uid", b"ada"), ("entryUUID", b"x")]);
                Act::Say([found, result(question.id, DONE, 0, "", "")].concat())
            }
            Asked::Bind { .. } => Act::Say(result(question.id, BIND, 0, "", "")),
            _ => behave(question),
        })
        .await;
        let scene = Scene::new().await;
        let connection = scene.connect(settings(&directory, json!({}))).await;
        scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", PASSWORD).await;
        assert!(directory.binds().iter().all(|(_, name, _)| name == SERVICE.0), "{outside}");
    }
}

#[tokio::test]
async fn ldap_05_no_other_server_is_asked_or_told_a_password() {
    let elsewhere = Directory::start(behave).await;
    let url = format!("{}/{ADA}", elsewhere.url());
    let refer = |id: u32, op: u8, url: &str| {
        use crate::world::directory::{ber, message};
        let parts = [ber(10, &[10]), ber(4, b""), ber(4, b""), ber(0xa3, &ber(4, url.as_bytes()))].concat();
        message(id, op, &parts)
    };
    // The bind is referred, the search is, and an entry beside others is.
    for (mode, status, code) in [
        ("bind", StatusCode::SERVICE_UNAVAILABLE, "ldap_referral"),
        ("search", StatusCode::SERVICE_UNAVAILABLE, "ldap_referral"),
        ("reference", StatusCode::UNAUTHORIZED, "invalid_credentials"),
    ] {
        let url = url.clone();
        let directory = Directory::start(move |question: &Question| match (&question.asked, mode) {
            (Asked::Bind { name, .. }, "bind") if name == ADA => Act::Say(refer(question.id, BIND, &url)),
            (Asked::Search { .. }, "search") => Act::Say(refer(question.id, DONE, &url)),
            (Asked::Search { .. }, "reference") => {
                Act::Say([reference(question.id, &url), result(question.id, DONE, 0, "", "")].concat())
            }
            _ => behave(question),
        })
        .await;
        let scene = Scene::new().await;
        let connection = scene.connect(settings(&directory, json!({}))).await;
        let reply = scene.rejects(status, code, &connection, "ada", PASSWORD).await;
        let trace = scene.trace(&reply).await.to_string();
        assert!(trace.contains("ldap_referral"), "{mode}: {trace}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn ldap_05_references_beside_the_entry_are_left_alone() {
    let elsewhere = Directory::start(behave).await;
    let url = elsewhere.url();
    let directory = Directory::start(move |question: &Question| match &question.asked {
        Asked::Search { .. } => {
            let id = question.id;
            Act::Say([reference(id, &url), ada(id), reference(id, &url), result(id, DONE, 0, "", "")].concat())
        }
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let landed = scene.sign_in(&connection, "ada", PASSWORD).await;
    assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.body);
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn ldap_07_only_the_persons_own_bind_on_a_connection_of_its_own_counts() {
    // The account that searches is let in, and so is whoever brings no name or no password; the person never is.
    let directory = Directory::start(|question: &Question| match &question.asked {
        Asked::Bind { name, password } => {
            let good = (name == SERVICE.0 && password == SERVICE.1) || name.is_empty() || password.is_empty();
            Act::Say(result(question.id, BIND, if good { 0 } else { 49 }, "", ""))
        }
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, "ada", SERVICE.1).await;

    let directory = Directory::start(behave).await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    for _ in 0..3 {
        let landed = scene.sign_in(&connection, "ada", PASSWORD).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.body);
        scene.rejects(StatusCode::UNAUTHORIZED, "invalid_credentials", &connection, "ada", "wrong").await;
    }
    let binds = directory.binds();
    let own: Vec<usize> = binds.iter().filter(|(_, name, _)| name == ADA).map(|(connection, ..)| *connection).collect();
    assert_eq!(own.len(), 6);
    for connection in own {
        assert_eq!(binds.iter().filter(|(other, ..)| *other == connection).count(), 1, "nobody else was on it");
        let asked = directory.questions().into_iter().filter(|question| question.connection == connection).count();
        assert_eq!(asked, 1, "and nothing else was asked on it");
    }
}

#[tokio::test]
async fn ldap_09_a_try_is_one_bind_and_tries_are_few() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let tries = |directory: &Directory| directory.binds().iter().filter(|(_, name, _)| name == ADA).count();
    // Under whatever name, it is the same account.
    let names = ["ada", "ADA", " ada ", "ada@example.test", ADA];
    let mut answers = Vec::new();
    for round in 0..20 {
        let before = tries(&directory);
        let reply = scene.sign_in(&connection, names[round % names.len()], &format!("wrong-{round}")).await;
        answers.push((reply.status, tries(&directory) - before));
    }
    let refused: Vec<_> = answers.iter().filter(|(status, _)| *status == StatusCode::UNAUTHORIZED).collect();
    assert!(refused.iter().all(|(_, binds)| *binds == 1), "{answers:?}");
    assert!(refused.len() <= 10, "{answers:?}");
    assert!(tries(&directory) <= 10);
    let rest = answers.iter().filter(|(status, _)| *status == StatusCode::TOO_MANY_REQUESTS);
    assert!(rest.clone().all(|(_, binds)| *binds == 0) && rest.count() >= 10, "{answers:?}");
    let late = scene.sign_in(&connection, "ada", PASSWORD).await;
    assert_eq!(late.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(late.headers.contains_key("retry-after"));
    scene.authd.env().advance(Duration::from_secs(66));
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldap_09_of_tries_at_the_same_time_no_more_are_bound() {
    let directory = Directory::start(behave).await;
    let scene = Arc::new(Scene::new().await);
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let names = ["ada", "ADA", " ada ", "ada@example.test", ADA];
    let tries: Vec<_> = (0..60)
        .map(|n| {
            let (scene, connection) = (Arc::clone(&scene), connection.clone());
            tokio::spawn(async move {
                let wrong = format!("wrong-{n}");
                match n % 2 {
                    0 => scene.relay(&connection, names[n / 2 % names.len()], &wrong).await.0,
                    _ => scene.sign_in(&connection, names[n / 2 % names.len()], &wrong).await.status,
                }
            })
        })
        .collect();
    let mut bound = 0;
    for one in tries {
        match one.await.unwrap() {
            StatusCode::UNAUTHORIZED => bound += 1,
            status => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS),
        }
    }
    let binds = directory.binds().iter().filter(|(_, name, _)| name == ADA).count();
    assert_eq!((binds, bound), (10, 10), "by whatever door and name");
    let (status, _) = scene.relay(&connection, "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "each of them counts");
    scene.authd.env().advance(Duration::from_secs(66));
    assert_eq!(scene.relay(&connection, "ada", PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test]
async fn ldap_09_who_hangs_up_before_the_answer_has_used_up_a_try() {
    let directory = Directory::start(|question| match &question.asked {
        Asked::Bind { name, .. } if name == ADA => Act::Nothing,
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let binds = || directory.binds().iter().filter(|(_, name, _)| name == ADA).count();
    for n in 1..=10 {
        let asked = async {
            while binds() < n {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            (status, body) = scene.relay(&connection, "ada", "guess") => panic!("{status}: {body}"),
            () = asked => {}
        }
    }
    let (status, _) = scene.relay(&connection, "ada", "guess").await;
    assert_eq!((status, binds()), (StatusCode::TOO_MANY_REQUESTS, 10));
}

#[tokio::test]
async fn ldap_09_what_was_tried_is_known_after_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("authd.redb");
    let directory = Directory::start(behave).await;
    let scene = Scene::on(Authd::start_at(&file).await).await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    for n in 0..10 {
        assert_eq!(scene.relay(&connection, "ada", &format!("wrong-{n}")).await.0, StatusCode::UNAUTHORIZED);
    }
    let Scene { authd, organization, app, secret, key } = scene;
    let (deployment, env) = ((*authd.app.world.deployment).clone(), authd.env().clone());
    authd.app.world.store.close().await;
    drop(authd);
    let store = Store::open(&file, env.clone(), Options::new([7; 32])).unwrap();
    let authd = Authd::of(store, deployment, env).await;
    let scene = Scene { authd, organization, app, secret, key };
    let binds = directory.binds().len();
    assert_eq!(scene.relay(&connection, "ada", PASSWORD).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(directory.binds().len(), binds);
}

#[tokio::test]
async fn a_sign_in_commits_once_whether_it_is_right_or_wrong() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    scene.relay(&connection, "ada", PASSWORD).await;
    let store = &scene.authd.app.world.store;
    // What is not written tells the number of the last commit.
    let commits = async || store.commit(Batch::new()).await.unwrap().0;
    for (name, password, expected) in [
        ("ada", PASSWORD, StatusCode::OK),
        ("ada@example.test", PASSWORD, StatusCode::OK),
        ("ada", "wrong", StatusCode::UNAUTHORIZED),
        ("nobody", "wrong", StatusCode::UNAUTHORIZED),
        ("ada", "", StatusCode::UNAUTHORIZED),
    ] {
        let before = commits().await;
        assert_eq!(scene.relay(&connection, name, password).await.0, expected);
        assert_eq!(commits().await, before + 1, "{name}, {password}");
    }
    assert_eq!(store.counts().await.unwrap().get("throttle"), Some(&2), "of `ada` and `nobody`, who were wrong");
}

#[tokio::test]
async fn dos_02_wrong_passwords_that_one_key_hands_over_are_each_explained_until_they_are_a_flood() {
    // Whoever is looked for is there, and nobody's password is right.
    let directory = Directory::start(|question: &Question| match &question.asked {
        Asked::Search { filter, .. } if filter.contains("(uid=") => {
            let uid = filter.split("(uid=").nth(1).and_then(|rest| rest.split(')').next()).unwrap_or_default();
            let dn = format!("uid={uid},{BASE}");
            let found = entry(question.id, &dn, &[("uid", uid.as_bytes()), ("entryUUID", uid.as_bytes())]);
            Act::Say([found, result(question.id, DONE, 0, "", "")].concat())
        }
        _ => behave(question),
    })
    .await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let wish = json!({"organization": scene.organization, "name": "another app", "grants": ["*"]});
    let created = scene.authd.operate("api_key.create", wish).await;
    let (other, id) = (text(&created, "key"), text(&created, "id"));
    let before = scene.authd.events().await.len();
    let wrong = async |key: &str, person: String| {
        let (status, body) = scene.relay_as(key, &connection, &person, "wrong").await;
        assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_credentials")), "{body}");
        body["requestId"].clone()
    };
    // All from the app's one address, within a minute.
    for n in 0..15 {
        let request = wrong(&other, format!("person{n}")).await;
        let trace = scene.authd.operate("signin.explain", json!({"id": request})).await;
        assert_eq!(trace["errorCode"], "invalid_credentials", "{n}: {trace}");
        assert_eq!(failed(&trace)["received"], "the password is not right", "{n}: {trace}");
    }
    let told = scene.authd.events().await.split_off(before);
    assert_eq!(told.len(), 15);
    assert!(told.iter().all(|event| event.kind == EventKind::ConnectionLoginFailed));

    for n in 15..115 {
        wrong(&other, format!("person{n}")).await;
    }
    assert_eq!(scene.authd.events().await.len(), before + 60);
    // Another key at the same address has a count of its own.
    wrong(&scene.key, "person115".to_owned()).await;
    assert_eq!(scene.authd.events().await.len(), before + 61);

    scene.authd.env().advance(Duration::from_secs(60));
    wrong(&other, "person116".to_owned()).await;
    let told = scene.authd.events().await.split_off(before + 61);
    assert_eq!(told.len(), 2, "{told:?}");
    let flood = told.iter().find(|event| event.kind == EventKind::RefusalsCounted).unwrap();
    assert_eq!(flood.data["refusalsNotTold"], 55);
    assert_eq!(flood.subject.as_ref().map(|subject| subject.id.as_str()), Some(id.as_str()));
}

#[tokio::test]
async fn ldap_09_whoever_is_right_is_never_locked_out() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    for round in 0..40 {
        let name = ["ada", "ada@example.test", ADA][round % 3];
        let (status, body) = scene.relay(&connection, name, PASSWORD).await;
        assert_eq!(status, StatusCode::OK, "{round}: {body}");
    }
}

#[tokio::test]
async fn ldap_09_authds_own_account_is_not_locked_by_trying_a_wrong_password_for_ever() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.force(settings(&directory, json!({"bind": {"password": "out of date"}}))).await;
    let before = directory.binds().len();
    for _ in 0..10 {
        let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
        assert_eq!((status, body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("ldap_unavailable")));
    }
    assert_eq!(directory.binds().len() - before, 1);
    scene.authd.env().advance(Duration::from_secs(31));
    scene.relay(&connection, "bob", PASSWORD).await;
    assert_eq!(directory.binds().len() - before, 2);
    // While nobody mends it, the tries become rare.
    for (tries, seconds) in [60, 120, 240, 480, 900, 900].into_iter().enumerate() {
        scene.authd.env().advance(Duration::from_secs(seconds - 1));
        scene.relay(&connection, "bob", PASSWORD).await;
        assert_eq!(directory.binds().len() - before, tries + 2, "too early: {seconds}");
        scene.authd.env().advance(Duration::from_secs(2));
        scene.relay(&connection, "bob", PASSWORD).await;
        assert_eq!(directory.binds().len() - before, tries + 3, "after {seconds}");
    }
    // Mended, it is tried at once.
    let mended = json!({"id": connection, "ldapBindPassword": SERVICE.1});
    scene.authd.operate("connection.set_ldap", mended).await;
    assert_eq!(scene.relay(&connection, "ada", PASSWORD).await.0, StatusCode::OK);
}

#[tokio::test]
async fn ldap_10_nothing_of_a_password_is_kept() {
    let long = "a.name.that.is.much.longer.than.fifty.two.letters.and.seventy.two.bytes.for.good.measure";
    let secret = "p4ssw0rd-that-must-not-be-found-anywhere";
    let answer = move |question: &Question| {
        let id = question.id;
        let dn = format!("uid={long},ou=people,dc=example,dc=test");
        Act::Say(match &question.asked {
            Asked::Bind { name, password } => {
                let right = (name == SERVICE.0 && password == SERVICE.1) || (*name == dn && password == secret);
                result(id, BIND, if right { 0 } else { 49 }, "", "")
            }
            Asked::Search { .. } => {
                let found = entry(id, &dn, &[("uid", long.as_bytes()), ("entryUUID", b"1")]);
                [found, result(id, DONE, 0, "", "")].concat()
            }
            _ => return behave(question),
        })
    };
    let directory = Directory::start(answer).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("authd.redb");
    let scene = Scene::on(Authd::start_at(&file).await).await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let binds = || directory.binds().iter().filter(|(_, name, _)| name.starts_with("uid=")).count();
    for round in 0..3 {
        let landed = scene.sign_in(&connection, long, secret).await;
        assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.body);
        // One letter less, one more, another at the end: each is asked for anew, and refused.
        for wrong in [&secret[..secret.len() - 1], &format!("{secret}x"), &secret.replace("anywhere", "anywherf")] {
            let (status, body) = scene.relay(&connection, long, wrong).await;
            assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("invalid_credentials")));
        }
        assert_eq!(binds(), (round + 1) * 4, "every try is the directory's to decide");
        scene.authd.env().advance(Duration::from_secs(66));
    }
    let events = serde_json::to_string(&scene.authd.events().await).unwrap();
    assert!(!events.contains(secret) && !events.contains(SERVICE.1));
    drop(scene);
    let bytes = std::fs::read(&file).unwrap();
    for hidden in [secret.as_bytes(), SERVICE.1.as_bytes()] {
        assert!(!bytes.windows(hidden.len()).any(|window| window == hidden), "in the file");
    }
}

#[tokio::test]
async fn nothing_of_a_connection_shows_its_password() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    for operation in
        ["connection.get", "connection.get_ldap", "connection.status", "connection.test", "connection.validate"]
    {
        let shown = scene.authd.operate(operation, json!({"id": connection})).await.to_string();
        assert!(!shown.contains(SERVICE.1), "{operation}: {shown}");
    }
    let shown = scene.authd.operate("connection.get_ldap", json!({"id": connection})).await;
    assert_eq!(shown["hasBindPassword"], true);
}

#[tokio::test]
async fn a_kept_password_goes_to_no_other_server() {
    let (ours, theirs) = (Directory::start(behave).await, Directory::start(behave).await);
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&ours, json!({}))).await;
    let app = &scene.authd.app;
    let cx = app.context(authd::access::Caller::Operator { uid: 0 }, authd::event::Origin::internal(scene.authd.env()));
    for change in [
        json!({"servers": {"urls": [theirs.url()]}}),
        json!({"ldapUrl": theirs.url()}),
        json!({"servers": {"urls": [ours.url(), theirs.url()]}}),
    ] {
        let mut wish = json!({"id": connection});
        super::merge(&mut wish, change);
        let refused = app.perform(&cx, "connection.set_ldap", wish).await.unwrap_err();
        assert_eq!(refused.code(), "config_invalid");
    }
    assert_eq!(theirs.connections(), 0);
    let wish = json!({"id": connection, "ldapUrl": theirs.url(), "ldapBindPassword": SERVICE.1});
    scene.authd.operate("connection.set_ldap", wish).await;
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_form_of_another_browser_or_connection_signs_nobody_in() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let before = directory.questions().len();
    let mut browser = scene.authd.browser();
    let ticket = scene.page(&mut browser, &connection).await.field("attempt");
    let fields = [("attempt", ticket.as_str()), ("username", "ada"), ("password", PASSWORD)];
    let foreign = scene.authd.browser().post("/signin/password", &fields).await;
    assert_eq!(foreign.status, StatusCode::BAD_REQUEST, "{}", foreign.body);
    let cross = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let refused = browser.clone().send(axum::http::Method::POST, "/signin/password", &cross, Some(&fields)).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    // The ticket of the page for the address is none for a password.
    let address = browser.get(&scene.authorize(&[])).await.field("attempt");
    let fields = [("attempt", address.as_str()), ("username", "ada"), ("password", PASSWORD)];
    assert_eq!(browser.post("/signin/password", &fields).await.status, StatusCode::FORBIDDEN);
    assert_eq!(directory.questions().len(), before);
    scene.authd.operate("connection.disable", json!({"id": connection})).await;
    let fields = [("attempt", ticket.as_str()), ("username", "ada"), ("password", PASSWORD)];
    let disabled = browser.post("/signin/password", &fields).await;
    assert!(disabled.body.contains("connection_disabled"), "{}", disabled.body);
    assert_eq!(directory.questions().len(), before);
}

#[tokio::test]
async fn what_an_app_hands_over_takes_a_key_of_its_organization() {
    let directory = Directory::start(behave).await;
    let scene = Scene::new().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    for field in ["sessionId", "name", "sub", "principalId", "developerId", "connectionId", "expiresAt"] {
        assert!(body[field].is_string(), "{field}: {body}");
    }
    assert_eq!((&body["provisioned"], &body["developerId"]), (&json!(true), &json!(scene.organization)));
    assert_eq!(scene.relay(&connection, "ada", PASSWORD).await.1["provisioned"], false);
    let listed = scene.authd.operate("session.list", json!({"organization": scene.organization})).await;
    assert!(listed.to_string().contains(body["sessionId"].as_str().unwrap()));

    let before = directory.questions().len();
    let other = super::text(&scene.authd.operate("organization.create", json!({"name": "Other"})).await, "id");
    let make = async |organization: &str, grants: serde_json::Value| {
        let wish = json!({"organization": organization, "name": "k", "grants": grants});
        super::text(&scene.authd.operate("api_key.create", wish).await, "key")
    };
    for (key, status) in [
        ("ak_made-up".to_owned(), StatusCode::UNAUTHORIZED),
        (make(&other, json!(["*"])).await, StatusCode::NOT_FOUND),
        (make(&scene.organization, json!(["connection.read"])).await, StatusCode::FORBIDDEN),
    ] {
        assert_eq!(scene.relay_as(&key, &connection, "ada", PASSWORD).await.0, status);
    }
    assert_eq!(directory.questions().len(), before, "nothing was asked");
}
