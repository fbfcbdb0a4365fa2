//! Servers and connections that are not well: another one is asked, and nobody pays for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use super::{Scene, settings};
use crate::world::directory::{
    ADA, Act, Asked, BIND, DONE, Directory, PASSWORD, Question, SERVICE, ada, behave, entry, result,
};

/// How a server is ill.
#[derive(Clone, Copy, Debug)]
enum Ill {
    /// It ends everything of the kind with that code.
    Says(u8),
    Hangs,
    Closes,
}

impl Ill {
    fn act(self, question: &Question, op: u8) -> Act {
        match self {
            Self::Says(code) => Act::Say(result(question.id, op, code, "", "not now")),
            Self::Hangs => Act::Nothing,
            Self::Closes => Act::Close,
        }
    }
}

fn binds_of(directory: &Directory, name: &str) -> usize {
    directory.binds().iter().filter(|(_, bound, _)| bound == name).count()
}

#[tokio::test]
async fn a_server_that_is_not_well_gives_way_to_the_next_by_whatever_step() {
    for (step, ill) in [
        ("bind", Ill::Says(51)),
        ("bind", Ill::Says(52)),
        ("bind", Ill::Says(1)),
        ("bind", Ill::Hangs),
        ("bind", Ill::Closes),
        ("search", Ill::Says(52)),
        ("search", Ill::Hangs),
        ("search", Ill::Closes),
    ] {
        let scene = Scene::new().await;
        let first = Directory::start(move |question: &Question| match (&question.asked, step) {
            (Asked::Bind { .. }, "bind") => ill.act(question, BIND),
            (Asked::Search { .. }, "search") => ill.act(question, DONE),
            _ => behave(question),
        })
        .await;
        let second = Directory::start(behave).await;
        let servers = json!({"servers": {"urls": [first.url(), second.url()]}});
        let connection = scene.force(settings(&second, servers)).await;
        for _ in 0..2 {
            let landed = scene.sign_in(&connection, "ada", PASSWORD).await;
            assert_eq!(landed.status, StatusCode::SEE_OTHER, "{step} {ill:?}: {}", landed.body);
        }
        assert_eq!(binds_of(&first, ADA) + binds_of(&second, ADA), 2, "{step} {ill:?}: one bind a sign-in");
    }
}

#[tokio::test]
async fn what_is_wrong_with_our_own_account_is_asked_of_one_server_only() {
    let scene = Scene::new().await;
    let refuses = |question: &Question| match &question.asked {
        Asked::Bind { .. } => Act::Say(result(question.id, BIND, 49, "", "")),
        _ => behave(question),
    };
    let (first, second) = (Directory::start(refuses).await, Directory::start(refuses).await);
    let connection = scene.force(settings(&first, json!({"servers": {"urls": [first.url(), second.url()]}}))).await;
    let binds = || (binds_of(&first, SERVICE.0), binds_of(&second, SERVICE.0));
    let before = binds();
    scene.rejects(StatusCode::SERVICE_UNAVAILABLE, "ldap_unavailable", &connection, "ada", PASSWORD).await;
    assert_eq!(binds(), (before.0 + 1, 0), "each counts toward a lockout");
}

#[tokio::test]
async fn a_kept_connection_that_leads_nowhere_any_more_is_replaced() {
    for ill in [Ill::Hangs, Ill::Closes, Ill::Says(1), Ill::Says(50), Ill::Says(51), Ill::Says(52), Ill::Says(53)] {
        let scene = Scene::new().await;
        // Connections up to this one are lost.
        let lost = Arc::new(AtomicUsize::new(0));
        let last = Arc::clone(&lost);
        let directory = Directory::start(move |question: &Question| match &question.asked {
            Asked::Search { .. } if question.connection <= last.load(Ordering::SeqCst) => ill.act(question, DONE),
            _ => behave(question),
        })
        .await;
        let connection = scene.connect(settings(&directory, json!({}))).await;
        assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
        lost.store(directory.connections(), Ordering::SeqCst);
        let before = binds_of(&directory, SERVICE.0);
        for _ in 0..2 {
            let landed = scene.sign_in(&connection, "ada", PASSWORD).await;
            assert_eq!(landed.status, StatusCode::SEE_OTHER, "{ill:?}: {}", landed.body);
        }
        assert_eq!(binds_of(&directory, SERVICE.0), before + 1, "{ill:?}: a new one, which is kept again");
    }
}

#[tokio::test]
async fn a_searching_connection_that_ends_after_the_persons_bind_is_replaced_for_the_groups() {
    let scene = Scene::new().await;
    let ends = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&ends);
    let directory = Directory::start(move |question: &Question| match &question.asked {
        Asked::Search { base, .. } if base.starts_with("ou=groups") => {
            if flag.swap(false, Ordering::SeqCst) {
                return Act::Close;
            }
            let group = entry(question.id, "cn=staff,ou=groups,dc=example,dc=test", &[("cn", b"staff")]);
            Act::Say([group, result(question.id, DONE, 0, "", "")].concat())
        }
        _ => behave(question),
    })
    .await;
    let groups = json!({"groups": {"mode": "search", "base": "ou=groups,dc=example,dc=test", "nested": false}});
    let connection = scene.force(settings(&directory, groups)).await;
    let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
    assert_eq!((status, &body["groups"]), (StatusCode::OK, &json!(["staff"])), "{body}");
    assert!(!ends.load(Ordering::SeqCst));
    assert_eq!(binds_of(&directory, ADA), 1, "the password is asked about once");
}

#[tokio::test]
async fn a_server_that_cannot_read_a_control_is_not_sent_one() {
    const POLICY: &[u8] = b"1.3.6.1.4.1.42.2.27.8.5.1";
    // What the directory says at its root, and whether its binds then come with the question for the password policy.
    let roots: [(&str, u8, &[&[u8]], bool); 4] = [
        ("there is no root", 32, &[], false),
        ("it knows paging", 0, &[b"1.2.840.113556.1.4.319"], false),
        ("it knows the policy", 0, &[b"1.2.840.113556.1.4.319", POLICY], true),
        ("it keeps that to itself", 0, &[], true),
    ];
    for direct in [false, true] {
        for (told, code, known, asked) in roots {
            let scene = Scene::new().await;
            let directory = Directory::start(move |question: &Question| match &question.asked {
                Asked::Bind { .. } if question.controls && !asked => Act::Close,
                Asked::Search { base, .. } if base.is_empty() => {
                    let known: Vec<(&str, &[u8])> = known.iter().map(|oid| ("supportedControl", *oid)).collect();
                    let root = if known.is_empty() { Vec::new() } else { entry(question.id, "", &known) };
                    Act::Say([root, result(question.id, DONE, code, "", "")].concat())
                }
                _ => behave(question),
            })
            .await;
            let bind = json!({"mode": "direct", "dn": "", "password": "",
                "userDnTemplate": "uid={{username}},ou=people,dc=example,dc=test"});
            let more = if direct { json!({"bind": bind}) } else { json!({}) };
            let connection = scene.connect(settings(&directory, more)).await;
            let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
            assert_eq!(status, StatusCode::OK, "{told}: {body}");
            let own = directory
                .questions()
                .into_iter()
                .find(|asked| matches!(&asked.asked, Asked::Bind { name, .. } if name == ADA));
            assert_eq!(own.unwrap().controls, asked, "{told}, direct: {direct}");
        }
    }
}

#[tokio::test]
async fn an_outage_uses_up_nobodys_tries() {
    let scene = Scene::new().await;
    let ill = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&ill);
    let directory = Directory::start(move |question: &Question| match &question.asked {
        _ if flag.load(Ordering::SeqCst) => Act::Close,
        _ => behave(question),
    })
    .await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    ill.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        assert_eq!(scene.relay(&connection, "ada", PASSWORD).await.0, StatusCode::SERVICE_UNAVAILABLE);
    }
    ill.store(false, Ordering::SeqCst);
    scene.authd.env().advance(Duration::from_secs(61));
    assert_eq!(scene.relay(&connection, "ada", PASSWORD).await.0, StatusCode::OK);
    // A wrong password counts as ever.
    let mut last = StatusCode::OK;
    for n in 0..20 {
        last = scene.relay(&connection, "ada", &format!("wrong-{n}")).await.0;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_server_that_takes_names_of_attributes_by_the_letter_still_says_who_it_is() {
    let scene = Scene::new().await;
    let directory = Directory::start(|question: &Question| match &question.asked {
        // By the names that it was asked for, it finds too little; all of an entry it gives when all is asked for.
        Asked::Search { filter, .. } if filter.contains("uid=ada") => {
            let found = entry(question.id, ADA, &[("uid", b"ada"), ("mail", b"ada@example.test")]);
            Act::Say([found, result(question.id, DONE, 0, "", "")].concat())
        }
        Asked::Search { base, .. } if base == ADA => {
            Act::Say([ada(question.id), result(question.id, DONE, 0, "", "")].concat())
        }
        _ => behave(question),
    })
    .await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    let (status, body) = scene.relay(&connection, "ada", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert!(body["sub"].as_str().unwrap().starts_with("entryuuid|"), "{body}");
}
