//! The master key is rotated under people who sign in.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;

use super::Scene;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adm_04_the_master_key_rotates_under_sign_ins_and_none_fails() {
    let scene = Scene::new().await;
    // Those are with the provider while the key changes; each comes back afterwards, with what was sealed before.
    let mut away = Vec::new();
    for _ in 0..20 {
        let mut browser = scene.authd.browser();
        let left = scene.leave(&mut browser).await;
        away.push((browser, left));
    }
    let mut asked = scene.authd.browser();
    let page = asked.get(&scene.authorize(&[])).await;

    let (over, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let walks = async || {
        while !over.load(Ordering::Relaxed) {
            let landed = scene.sign_in(&mut scene.authd.browser()).await;
            let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
            assert!(tokens["id_token"].is_string(), "{tokens}");
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    let turns = async {
        let mut seen = vec![scene.authd.app.world.deployment.master_key.fingerprint()];
        for _ in 0..3 {
            let before = count.load(Ordering::Relaxed);
            let rotated = scene.authd.operate("master_key.rotate", json!({})).await;
            assert_eq!(rotated["previous"].as_str(), seen.last().map(String::as_str));
            seen.push(rotated["fingerprint"].as_str().unwrap().to_owned());
            assert!(count.load(Ordering::Relaxed) > before, "people signed in meanwhile");
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(turns, walks(), walks(), walks(), walks());

    for (mut browser, left) in away {
        let landed = browser.get(&scene.back(&left)).await;
        assert!(landed.query("code").is_some(), "{landed:?}");
    }
    let left = asked.post("/signin", &[("attempt", &page.field("attempt")), ("email", "alice@corp.example")]).await;
    assert!(left.location().as_str().starts_with(&scene.op.issuer), "a page of before still works: {left:?}");
}
