//! Directories that mean harm to the process, and to passwords on the way.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Scene, failed, settings};
use crate::world::certificates::{Authority, Signed};
use crate::world::directory::{
    ADA, Act, Asked, BIND, DONE, Directory, EXTENDED, PASSWORD, Question, SERVICE, ada, behave, ber, entry, message,
    result,
};

fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1024
}

/// So many levels, each with the next one in it.
fn nested(levels: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(levels as usize * 6);
    for level in 0..levels {
        out.extend([0x30, 0x84]);
        out.extend(((levels - level - 1) * 6).to_be_bytes());
    }
    out
}

type Mode = (&'static str, fn(&Question) -> Act);

/// What is done in place of an answer to the search, or to the person's bind.
const MODES: &[Mode] = &[
    ("deep", |_| Act::Say(nested(130_000))),
    ("deep within an entry", |q| {
        let deep = nested(1_000);
        Act::Say(message(q.id, 0x64, &[ber(4, ADA.as_bytes()), ber(0x30, &deep)].concat()))
    }),
    ("huge length", |_| Act::Flood([&[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff][..], &[0; 64 * 1024]].concat())),
    ("slow drip", |q| Act::Drip([ada(q.id), result(q.id, DONE, 0, "", "")].concat())),
    ("a million entries", |q| Act::Flood(ada(q.id).repeat(100))),
    ("entries of many small values", |q| {
        let values = ber(0x31, &[4, 0].repeat(400_000));
        let pair = ber(0x30, &[ber(4, b"cn"), values].concat());
        Act::Flood(message(q.id, 0x64, &[ber(4, ADA.as_bytes()), ber(0x30, &pair)].concat()))
    }),
    ("early close", |_| Act::Close),
    ("closed within a message", |_| Act::Say(vec![0x30, 0x20, 2, 1])),
    ("wrong number", |q| Act::Say([ada(q.id + 7), result(q.id + 7, DONE, 0, "", "")].concat())),
    ("an answer to a bind", |q| Act::Say(result(q.id, BIND, 0, "", ""))),
    ("an operation that is none", |q| Act::Say(message(q.id, 0x7e, b""))),
    ("no BER", |_| Act::Say(b"HTTP/1.1 200 OK\r\n\r\n".to_vec())),
    ("indefinite length", |_| Act::Say(vec![0x30, 0x80, 0, 0])),
    ("an empty message", |_| Act::Say(vec![0x30, 0])),
    ("a result without its parts", |q| Act::Say(message(q.id, DONE, b""))),
    ("names that are no text", |q| Act::Say(message(q.id, 0x64, &[ber(4, &[0xff, 0xfe]), ber(0x30, b"")].concat()))),
    ("controls that are none", |q| {
        let number = ber(2, &q.id.to_be_bytes());
        let done = ber(DONE, &[ber(10, &[0]), ber(4, b""), ber(4, b"")].concat());
        Act::Say(ber(0x30, &[number, done, ber(0xa0, &ber(4, b"x"))].concat()))
    }),
    ("notice of disconnection", |_| Act::Say(result(0, EXTENDED, 52, "", "going away"))),
    ("silence", |_| Act::Nothing),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldap_06_t_11_a_hostile_directory_harms_nobody_but_itself() {
    let scene = Scene::new().await;
    // Once, so that what is made at first use does not count.
    let good = Directory::start(behave).await;
    let good = scene.connect(settings(&good, json!({}))).await;
    assert_eq!(scene.sign_in(&good, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    for (name, mode) in MODES {
        let directory = Directory::start(move |question: &Question| match &question.asked {
            Asked::Search { .. } => mode(question),
            _ => behave(question),
        })
        .await;
        let connection = scene.connect(settings(&directory, json!({}))).await;
        let before = resident();
        let reply =
            scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", PASSWORD).await;
        let grown = resident().saturating_sub(before);
        assert!(grown < 16 * 1024 * 1024, "{name}: {grown} bytes more");
        let why = failed(&scene.trace(&reply).await);
        assert!(why["received"].is_string(), "{name}: {why}");
        assert!(directory.binds().iter().all(|(_, who, _)| who == SERVICE.0), "{name}: nobody was bound");
        assert_eq!(scene.sign_in(&good, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER, "{name}: others sign in");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ldap_06_a_bind_that_is_no_success_is_none() {
    let scene = Scene::new().await;
    let modes: Vec<Mode> = vec![
        ("success with a matched name", |q| Act::Say(result(q.id, BIND, 0, ADA, ""))),
        ("success of a search", |q| Act::Say(result(q.id, DONE, 0, "", ""))),
        ("an entry", |q| Act::Say(ada(q.id))),
        ("success of another bind", |q| Act::Say(result(q.id + 1, BIND, 0, "", ""))),
        ("success before it was asked", |q| {
            Act::Say([result(q.id + 1, BIND, 0, "", ""), result(q.id, BIND, 49, "", "")].concat())
        }),
        ("a code of five bytes", |q| {
            Act::Say(message(q.id, BIND, &[ber(10, &[1, 0, 0, 0, 0]), ber(4, b""), ber(4, b"")].concat()))
        }),
        ("a code that is none", |q| Act::Say(message(q.id, BIND, &[ber(10, b""), ber(4, b""), ber(4, b"")].concat()))),
        ("busy", |q| Act::Say(result(q.id, BIND, 51, "", ""))),
        ("silence", |_| Act::Nothing),
        ("close", |_| Act::Close),
    ];
    for (name, mode) in modes {
        let directory = Directory::start(move |question: &Question| match &question.asked {
            Asked::Bind { name, .. } if name == ADA => mode(question),
            _ => behave(question),
        })
        .await;
        let connection = scene.connect(settings(&directory, json!({}))).await;
        scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", PASSWORD).await;
        let tries = directory.binds().iter().filter(|(_, who, _)| who == ADA).count();
        assert_eq!(tries, 1, "{name}: one bind, and never again");
    }
}

/// StartTLS that is served as asked.
fn starts_tls(authority: &Authority, names: &[&str], until: i32) -> impl Fn(&Question) -> Act + Send + Sync + use<> {
    let signed = Arc::new(authority.sign(names, until));
    move |question: &Question| match &question.asked {
        Asked::Extended { oid } if oid == "1.3.6.1.4.1.1466.20037" => {
            Act::Encrypt(result(question.id, EXTENDED, 0, "", ""), Arc::clone(&signed))
        }
        _ => behave(question),
    }
}

fn encrypted(directory: &Directory, authority: &Authority) -> Value {
    settings(directory, json!({"servers": {"startTls": true, "caCertificates": authority.pem}}))
}

#[tokio::test]
async fn ldap_04_nothing_is_bound_without_encryption_that_holds() {
    let (ours, foreign) = (Authority::new("Ours"), Authority::new("Foreign"));
    let scene = Scene::new().await;
    let good = Directory::start(starts_tls(&ours, &["127.0.0.1"], 2099)).await;
    let connection = scene.connect(encrypted(&good, &ours)).await;
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert!(!good.heard(PASSWORD.as_bytes()) && !good.heard(SERVICE.1.as_bytes()));

    let stripped = Directory::start(|question: &Question| match &question.asked {
        Asked::Extended { .. } => Act::Say(result(question.id, EXTENDED, 2, "", "unsupported")),
        _ => behave(question),
    })
    .await;
    let signed = Arc::new(ours.sign(&["127.0.0.1"], 2099));
    let injected = Directory::start(move |question: &Question| match &question.asked {
        Asked::Extended { .. } => {
            // A success of the bind that is to come, slipped in before the encryption.
            let words = [result(question.id, EXTENDED, 0, "", ""), result(1, BIND, 0, "", "")].concat();
            Act::Encrypt(words, Arc::clone(&signed))
        }
        _ => behave(question),
    })
    .await;
    let closes = Directory::start(|question: &Question| match &question.asked {
        Asked::Extended { .. } => Act::Close,
        _ => behave(question),
    })
    .await;
    let plain = Directory::start(|question: &Question| match &question.asked {
        // It says yes, and goes on in plain text.
        Asked::Extended { .. } => Act::Say(result(question.id, EXTENDED, 0, "", "")),
        _ => behave(question),
    })
    .await;
    let expired = Directory::start(starts_tls(&ours, &["127.0.0.1"], 2020)).await;
    let other_host = Directory::start(starts_tls(&ours, &["dc1.elsewhere.example", "127.0.0.2"], 2099)).await;
    let unknown = Directory::start(starts_tls(&foreign, &["127.0.0.1"], 2099)).await;
    for (name, directory, why) in [
        ("stripped", &stripped, "does not start TLS"),
        ("injected", &injected, "before the encryption began"),
        ("closes", &closes, "instead of starting TLS"),
        ("plain", &plain, ""),
        ("expired", &expired, "expired"),
        ("another host", &other_host, "another name"),
        ("a foreign authority", &unknown, "signed by nobody who is trusted"),
    ] {
        let connection = scene.force(encrypted(directory, &ours)).await;
        let reply = scene.rejects(
            StatusCode::SERVICE_UNAVAILABLE,
            if name == "plain" { "ldap_" } else { "ldap_tls_required" },
            &connection,
            "ada",
            PASSWORD,
        );
        let reply = if name == "plain" { scene.sign_in(&connection, "ada", PASSWORD).await } else { reply.await };
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE, "{name}: {}", reply.body);
        let failed = failed(&scene.trace(&reply).await);
        assert_eq!(failed["name"], "tls_verified", "{name}: {failed}");
        assert!(failed["received"].as_str().unwrap().contains(why), "{name}: {failed}");
        assert!(directory.binds().is_empty(), "{name}: {:?}", directory.binds());
        assert!(!directory.heard(PASSWORD.as_bytes()) && !directory.heard(SERVICE.1.as_bytes()), "{name}");
    }
}

#[tokio::test]
async fn ldap_04_ldaps_shows_a_certificate_that_holds_or_hears_nothing() {
    let (ours, foreign) = (Authority::new("Ours"), Authority::new("Foreign"));
    let scene = Scene::new().await;
    let wish = |directory: &Directory| {
        settings(directory, json!({"servers": {"urls": [directory.ldaps()], "caCertificates": ours.pem}}))
    };
    let good = Directory::start_tls(ours.sign(&["127.0.0.1"], 2099), behave).await;
    let connection = scene.connect(wish(&good)).await;
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    for (name, directory) in [
        ("expired", Directory::start_tls(ours.sign(&["127.0.0.1"], 2020), behave).await),
        ("another host", Directory::start_tls(ours.sign(&["localhost"], 2099), behave).await),
        ("foreign", Directory::start_tls(foreign.sign(&["127.0.0.1"], 2099), behave).await),
        ("no TLS at all", Directory::start(behave).await),
    ] {
        let connection = scene.force(wish(&directory)).await;
        scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_tls_required", &connection, "ada", PASSWORD).await;
        assert!(directory.questions().is_empty(), "{name}");
    }
    // Without a named authority, a made-up one is nobody.
    let unpinned = settings(&good, json!({"servers": {"urls": [good.ldaps()]}}));
    let asked = good.questions().len();
    let connection = scene.force(unpinned).await;
    scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_tls_required", &connection, "ada", PASSWORD).await;
    assert_eq!(good.questions().len(), asked);
}

#[tokio::test]
async fn ldap_04_a_certificate_that_signed_itself_is_the_servers_own_when_it_was_named() {
    let scene = Scene::new().await;
    let wish = |directory: &Directory, named: &str| {
        settings(directory, json!({"servers": {"urls": [directory.ldaps()], "caCertificates": named}}))
    };
    let own = Authority::alone(&["127.0.0.1"], 2099);
    let named = own.certificate.clone();
    let good = Directory::start_tls(own, behave).await;
    let connection = scene.connect(wish(&good, &named)).await;
    for _ in 0..2 {
        assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    }

    let other_host = Authority::alone(&["localhost", "127.0.0.2"], 2099);
    let expired = Authority::alone(&["127.0.0.1"], 2020);
    let another = Authority::alone(&["127.0.0.1"], 2099);
    // Anybody can show a certificate; its key is what the server alone has.
    let copied = Signed { certificate: named.clone(), key: Authority::alone(&["127.0.0.1"], 2099).key };
    for (name, believed, shown, why) in [
        ("another host", other_host.certificate.clone(), other_host, "another name"),
        ("expired", expired.certificate.clone(), expired, "expired"),
        ("another one", named.clone(), another, "an authority's certificate as its own"),
        ("without its key", named, copied, "not valid"),
    ] {
        let directory = Directory::start_tls(shown, behave).await;
        let connection = scene.force(wish(&directory, &believed)).await;
        let reply =
            scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_tls_required", &connection, "ada", PASSWORD).await;
        let failed = failed(&scene.trace(&reply).await);
        assert_eq!(failed["name"], "tls_verified", "{name}: {failed}");
        assert!(failed["received"].as_str().unwrap().contains(why), "{name}: {failed}");
        assert!(directory.questions().is_empty(), "{name}");
    }
    // Where none is named, it is nobody's.
    let asked = good.questions().len();
    let connection = scene.force(settings(&good, json!({"servers": {"urls": [good.ldaps()]}}))).await;
    scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_tls_required", &connection, "ada", PASSWORD).await;
    assert_eq!(good.questions().len(), asked);
}

#[tokio::test]
async fn a_server_that_does_not_answer_gives_way_to_the_next() {
    let scene = Scene::new().await;
    let silent = Directory::start(|_| Act::Nothing).await;
    let good = Directory::start(behave).await;
    let nobody = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("ldap://{}", listener.local_addr().unwrap())
    };
    let connection = scene.connect(settings(&good, json!({"servers": {"urls": [nobody, good.url()]}}))).await;
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);

    // One that connects and says nothing uses up its share of the time only where encryption is asked for; here it is the
    // bind that ends in time.
    let connection = scene.force(settings(&silent, json!({}))).await;
    scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", PASSWORD).await;
}

#[tokio::test]
async fn a_kept_connection_that_has_ended_is_replaced_unseen() {
    let scene = Scene::new().await;
    let closing = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let flag = Arc::clone(&closing);
    let directory = Directory::start(move |question: &Question| match &question.asked {
        // Ends the first time it is asked after the flag was raised.
        Asked::Search { .. } if flag.swap(false, std::sync::atomic::Ordering::SeqCst) => Act::Close,
        _ => behave(question),
    })
    .await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    let service = || directory.binds().iter().filter(|(_, name, _)| name == SERVICE.0).count();
    let before = service();
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(service(), before, "the searching connection is kept");
    closing.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(service(), before + 1);
    scene.authd.env().advance(Duration::from_secs(61));
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(service(), before + 2, "one that was not used for a minute is closed");
}

#[tokio::test]
async fn a_group_search_that_fails_takes_no_roles_away() {
    let scene = Scene::new().await;
    let directory = Directory::start(|question: &Question| match &question.asked {
        Asked::Search { base, .. } if base.starts_with("ou=groups") => {
            Act::Say(result(question.id, DONE, 51, "", "busy"))
        }
        _ => behave(question),
    })
    .await;
    let more = json!({"groups": {"mode": "search", "base": "ou=groups,dc=example,dc=test"}});
    let connection = scene.connect(settings(&directory, more)).await;
    let reply = scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", PASSWORD).await;
    assert_eq!(failed(&scene.trace(&reply).await)["name"], "group_search_works");
    let _ = entry(1, ADA, &[]);
}
