//! R-08 of a directory: one that takes connections and says nothing is left alone after a while; nobody's own mistake counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use super::{Scene, settings};
use crate::world::directory::{Act, Asked, Directory, PASSWORD, Question, SERVICE, behave};

/// A directory whose searches work, and whose binds of people end in silence while it is ill.
async fn moody() -> (Directory, Arc<AtomicBool>) {
    let ill = Arc::new(AtomicBool::new(true));
    let state = Arc::clone(&ill);
    let directory = Directory::start(move |question: &Question| match &question.asked {
        Asked::Bind { name, .. } if name != SERVICE.0 && state.load(Ordering::SeqCst) => Act::Close,
        _ => behave(question),
    })
    .await;
    (directory, ill)
}

fn people(directory: &Directory) -> usize {
    directory.binds().iter().filter(|(_, name, _)| name != SERVICE.0).count()
}

#[tokio::test]
async fn r_08_a_directory_that_does_not_answer_binds_is_left_alone_after_five() {
    let scene = Scene::new().await;
    let (directory, ill) = moody().await;
    let connection = scene.connect(settings(&directory, json!({}))).await;
    for _ in 0..8 {
        let refused = scene.sign_in(&connection, "ada", PASSWORD).await;
        assert!(refused.status.is_server_error(), "{refused:?}");
    }
    assert_eq!(people(&directory), 5, "the searches in between are no reason to go on");
    ill.store(false, Ordering::SeqCst);
    assert!(scene.sign_in(&connection, "ada", PASSWORD).await.status.is_server_error(), "for 30 seconds");
    scene.authd.env().advance(Duration::from_secs(61));
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn r_08_what_people_do_wrong_never_counts_against_their_directory() {
    let scene = Scene::new().await;
    let (directory, ill) = moody().await;
    ill.store(false, Ordering::SeqCst);
    let connection = scene.connect(settings(&directory, json!({}))).await;
    for round in 0..4 {
        for (name, password) in [("ada", "wrong"), ("nobody", PASSWORD), ("", "x"), ("ada", ""), ("a\u{7}", "x")] {
            let refused = scene.sign_in(&connection, name, password).await;
            assert!(refused.status.is_client_error(), "{round} {name}: {refused:?}");
        }
        scene.authd.env().advance(Duration::from_secs(61));
    }
    assert_eq!(scene.sign_in(&connection, "ada", PASSWORD).await.status, StatusCode::SEE_OTHER);
    // Nor does it make an ill directory well: four of five, then a mistake that asks nobody, then the fifth.
    ill.store(true, Ordering::SeqCst);
    for _ in 0..4 {
        assert!(scene.sign_in(&connection, "ada", PASSWORD).await.status.is_server_error());
    }
    scene.sign_in(&connection, "ada", "").await;
    assert!(scene.sign_in(&connection, "ada", PASSWORD).await.status.is_server_error());
    let before = people(&directory);
    assert!(scene.sign_in(&connection, "ada", PASSWORD).await.status.is_server_error());
    assert_eq!(people(&directory), before, "open");
}

#[tokio::test]
async fn r_08_the_second_server_is_asked_again_though_the_first_stays_away() {
    let scene = Scene::new().await;
    let (directory, ill) = moody().await;
    let nobody = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("ldap://{}", listener.local_addr().unwrap())
    };
    let urls = json!({"servers": {"urls": [nobody, directory.url()]}});
    let connection = scene.connect(settings(&directory, urls)).await;
    for _ in 0..8 {
        assert!(scene.sign_in(&connection, "ada", PASSWORD).await.status.is_server_error());
    }
    assert_eq!(people(&directory), 5, "one sign-in is one failure, however many servers it tried");
    ill.store(false, Ordering::SeqCst);
    scene.authd.env().advance(Duration::from_secs(61));
    let landed = scene.sign_in(&connection, "ada", PASSWORD).await;
    assert_eq!(landed.status, StatusCode::SEE_OTHER, "{}", landed.body);
}
