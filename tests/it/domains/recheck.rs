//! A proof has to stay in DNS: what is asked, what is told, when it is lost, and what never loses it.

use std::time::Duration;

use authd::access::Caller;
use authd::connection::domain;
use serde_json::json;

use super::{DAY, HOUR, Scene, record, text};

#[tokio::test]
async fn a_proof_is_asked_for_every_week_and_nothing_is_told_while_it_stands() {
    let scene = Scene::new().await;
    let (connection, _) = scene.proved(&scene.acme, "a.example").await;
    let (events, asked) = (scene.events().await.len(), scene.zone.asked());
    assert_eq!(scene.chore().await, 0, "just proved");
    scene.live(28 * DAY).await;
    assert!((4..=5).contains(&(scene.zone.asked() - asked)), "{}", scene.zone.asked() - asked);
    assert_eq!(scene.events().await.len(), events);
    let view = scene.view(&connection, "a.example").await;
    assert_eq!(view["verified"], true);
    assert_ne!(view["lastCheckedAt"], view["verifiedAt"]);
}

#[tokio::test]
async fn a_record_that_stays_away_is_told_every_day_and_lost_after_14() {
    let scene = Scene::new().await;
    let (connection, value) = scene.proved(&scene.acme, "a.example").await;
    let late = scene.connect(&scene.other, &["a.example"]).await;
    let events = scene.events().await.len();
    scene.zone.remove(&record("a.example"));
    scene.live(7 * DAY).await;
    let told = scene.told(events).await;
    assert_eq!((told.len(), told[0].0.as_str(), &told[0].1["dns"]), (1, "recheck_failed", &json!("missing")));
    let view = scene.view(&connection, "a.example").await;
    assert_eq!((&view["verified"], &view["losesAt"]), (&json!(true), &told[0].1["losesAt"]));
    assert!(view["failingSince"].is_string() && view["lastCheckedAt"].is_string(), "{view}");
    let status = scene.operate("domain.status", json!({"connection": connection})).await;
    let step = status["nextSteps"][0].as_str().unwrap();
    assert!(step.contains(&value) && step.contains(view["losesAt"].as_str().unwrap()), "{step}");
    assert_eq!(status["warnings"].as_array().unwrap().len(), 1, "{status}");
    assert!(scene.routed("a.example").await.is_some(), "it routes through the grace");

    scene.live(13 * DAY).await;
    assert!(scene.routed("a.example").await.is_some());
    scene.live(DAY + HOUR).await;
    let told = scene.told(events).await;
    let kinds: Vec<&str> = told.iter().map(|(kind, _)| kind.as_str()).collect();
    let failed = ["recheck_failed"; 14];
    let expected = [&failed[..8], &["loss_near"], &failed[..6], &["loss_near", "lost"]].concat();
    assert_eq!(kinds, expected);
    assert_eq!((&told[8].1["days"], &told[15].1["days"]), (&json!(7), &json!(1)));

    assert_eq!(scene.routed("a.example").await, None);
    assert!(domain::owned_by(&scene.app.world.store, connection.parse().unwrap()).await.unwrap().is_empty());
    let view = scene.view(&connection, "a.example").await;
    assert_eq!((&view["verified"], &view["isPrimary"]), (&json!(false), &json!(true)));
    assert!(view["challenge"].is_object() && view.get("failingSince").is_none() && view.get("losesAt").is_none());
    // Whoever proves it now has it; the old record proves nothing any more.
    scene.zone.set(&record("a.example"), &[&value]);
    assert_eq!(
        scene.refused("domain.verify", json!({"connection": connection, "domain": "a.example"})).await,
        "domain_not_proved"
    );
    scene.publish(&late, "a.example").await;
    scene.operate("domain.verify", json!({"connection": late, "domain": "a.example"})).await;
    assert_eq!(scene.routed("a.example").await, Some(late));
    let event = scene.events().await.into_iter().find(|e| e.kind.name() == "connection.domain.lost").unwrap();
    assert_eq!((event.actor_type.as_str(), event.organization_id.unwrap().to_string()), ("system", scene.acme.clone()));
}

#[tokio::test]
async fn a_record_that_comes_back_in_time_clears_everything() {
    let scene = Scene::new().await;
    let (connection, value) = scene.proved(&scene.acme, "a.example").await;
    let events = scene.events().await.len();
    scene.zone.set(&record("a.example"), &["something else"]);
    scene.live(19 * DAY).await;
    assert_eq!(scene.told(events).await[0].1["dns"], "different");
    scene.zone.set(&record("a.example"), &[&value, "something else"]);
    scene.live(DAY).await;
    assert_eq!(scene.told(events).await.last().unwrap().0, "recovered");
    let view = scene.view(&connection, "a.example").await;
    assert!(view.get("failingSince").is_none() && view.get("losesAt").is_none(), "{view}");
    // A later absence has the whole grace again.
    scene.zone.remove(&record("a.example"));
    // The look that finds it gone is drawn by lot within a day, and the one before it was up to a day ago.
    scene.live(18 * DAY).await;
    assert!(scene.routed("a.example").await.is_some());
    scene.live(4 * DAY).await;
    assert_eq!(scene.routed("a.example").await, None);
}

#[tokio::test]
async fn r_09_an_outage_of_dns_loses_nothing_however_long_it_is() {
    let scene = Scene::new().await;
    let (connection, _) = scene.proved(&scene.acme, "a.example").await;
    let events = scene.events().await.len();
    scene.zone.down(true);
    scene.live_in(6 * HOUR, 60 * DAY).await;
    assert_eq!(scene.told(events).await, []);
    let this = json!({"connection": connection, "domain": "a.example"});
    let answer = scene.operate("domain.recheck", this.clone()).await;
    assert_eq!((&answer["look"], &answer["domain"]["verified"]), (&json!("unreachable"), &json!(true)));
    assert!(answer["message"].as_str().unwrap().contains("changes nothing"));
    assert_eq!(answer["domain"]["lastCheckedAt"], "2026-01-01T00:00:00.000Z", "that was the last answer");
    scene.zone.down(false);
    scene.live(2 * HOUR).await;
    assert_ne!(
        scene.view(&connection, "a.example").await["lastCheckedAt"],
        "2026-01-01T00:00:00.000Z",
        "soon after it"
    );
    assert_eq!(scene.told(events).await, []);

    // Nor does the time of an outage count for one that was failing before.
    scene.zone.remove(&record("a.example"));
    scene.live(17 * DAY).await;
    scene.zone.down(true);
    scene.live_in(6 * HOUR, 60 * DAY).await;
    assert!(scene.routed("a.example").await.is_some());
    scene.zone.down(false);
    scene.live(2 * DAY).await;
    assert!(scene.routed("a.example").await.is_some());
    scene.live(5 * DAY).await;
    assert_eq!(scene.routed("a.example").await, None, "what is left of the grace is over");
}

#[tokio::test]
async fn a_restart_in_the_middle_forgets_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("authd.redb");
    let scene = Scene::in_file(&path).await;
    let (connection, _) = scene.proved(&scene.acme, "a.example").await;
    let scene = scene.restart(&path).await;
    assert_eq!(scene.chore().await, 0, "when it is due stands in the store");
    scene.zone.remove(&record("a.example"));
    scene.live(8 * DAY).await;
    let before = scene.view(&connection, "a.example").await;
    assert!(before["failingSince"].is_string());
    let scene = scene.restart(&path).await;
    assert_eq!(scene.view(&connection, "a.example").await, before);
    // Stopped over the end: the first look after the start finds it lost.
    scene.live(12 * DAY).await;
    assert!(scene.routed("a.example").await.is_some());
    let scene = scene.restart(&path).await;
    scene.env.advance(3 * DAY);
    scene.chore().await;
    assert_eq!(scene.routed("a.example").await, None);
}

#[tokio::test]
async fn r_07_no_jump_of_the_clock_loses_a_domain_that_dns_still_proves() {
    let scene = Scene::new().await;
    let (connection, _) = scene.proved(&scene.acme, "a.example").await;
    let events = scene.events().await.len();
    for days in [1, -1, 3_650, -3_650, -1, 30, -30, 14, -14, 3_650, 3_650, -7_300] {
        scene.jump(days);
        scene.chore().await;
        scene.live(DAY).await;
        assert_eq!(scene.routed("a.example").await.as_deref(), Some(connection.as_str()), "{days}");
    }
    assert_eq!(scene.told(events).await, []);
    // It is still asked for afterwards, and a real absence still ends it.
    scene.zone.remove(&record("a.example"));
    scene.live(8 * DAY).await;
    assert!(scene.view(&connection, "a.example").await["failingSince"].is_string());
    scene.live(14 * DAY).await;
    assert_eq!(scene.routed("a.example").await, None);
}

#[tokio::test]
async fn r_07_a_clock_that_went_ahead_and_back_leaves_the_grace_as_it_is() {
    let scene = Scene::new().await;
    let (connection, _) = scene.proved(&scene.acme, "a.example").await;
    scene.zone.remove(&record("a.example"));
    scene.jump(3_650);
    scene.chore().await;
    scene.jump(-3_650);
    scene.live(DAY).await;
    let view = scene.view(&connection, "a.example").await;
    assert_eq!(view["verified"], true);
    assert!(view["losesAt"].as_str().unwrap().starts_with("2026-01-1"), "{view}");
    scene.live(14 * DAY).await;
    assert_eq!(scene.routed("a.example").await, None);
}

#[tokio::test]
async fn a_thousand_domains_are_not_asked_for_at_once() {
    let scene = Scene::new().await;
    let fifty = async |n: usize| {
        let names: Vec<String> = (0..50).map(|m| format!("d{m}.c{n}.example")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let connection = scene.connect(&scene.acme, &names).await;
        let status = scene.operate("domain.status", json!({"connection": connection})).await;
        for challenge in status["pendingChallenges"].as_array().unwrap() {
            scene.zone.set(&text(challenge, "recordName"), &[&text(challenge, "recordValue")]);
            scene.operate("domain.verify", json!({"connection": connection, "domain": challenge["domain"]})).await;
        }
    };
    futures_util::future::join_all((0..20).map(fifty)).await;
    scene.env.advance(6 * DAY);
    assert_eq!(scene.chore().await, 0);
    // Proved in the same moment, they are due over a day.
    let mut most = 0;
    let mut all = 0;
    for _ in 0..24 {
        scene.env.advance(HOUR);
        let mut hour = 0;
        loop {
            let some = scene.chore().await;
            hour += some;
            if some < 64 {
                break;
            }
        }
        most = most.max(hour);
        all += hour;
    }
    assert_eq!(all, 1_000);
    assert!(most < 100, "{most} in one hour");
    // All due after a long stop: a round asks for no more than it is told to, a few at a time.
    scene.env.advance(30 * DAY);
    let (before, _) = (scene.zone.asked(), scene.zone.busiest());
    assert_eq!(domain::recheck_due(&scene.context(Caller::System), 100).await.unwrap(), 100);
    assert_eq!(scene.zone.asked() - before, 100);
    let busiest = scene.zone.busiest();
    assert!((2..=8).contains(&busiest), "{busiest}");
}

#[tokio::test]
async fn only_proofs_by_dns_of_connections_that_are_there_are_asked_for() {
    let scene = Scene::new().await;
    let vouched = scene.connect(&scene.acme, &["v.example", "claimed.example"]).await;
    scene.operate("domain.verify", json!({"connection": vouched, "domain": "v.example", "force": true})).await;
    let (gone, _) = scene.proved(&scene.acme, "gone.example").await;
    scene.operate("connection.delete", json!({"id": gone})).await;
    let asked = scene.zone.asked();
    scene.live(20 * DAY).await;
    assert_eq!(scene.zone.asked(), asked);
    assert_eq!(scene.view(&vouched, "v.example").await["verified"], true);
    let answer = scene.operate("domain.recheck", json!({"connection": vouched, "domain": "v.example"})).await;
    assert_eq!((answer.get("look"), &answer["domain"]["verified"]), (None, &json!(true)));
    let claimed = json!({"connection": vouched, "domain": "claimed.example"});
    assert_eq!(scene.refused("domain.recheck", claimed).await, "domain_not_proved");
    assert_eq!(scene.zone.asked(), asked);
    // Restored, it is looked at.
    scene.operate("connection.restore", json!({"id": gone})).await;
    assert_eq!(scene.chore().await, 1);
    assert!(scene.routed("gone.example").await.is_some());
}

#[tokio::test]
async fn asking_now_follows_the_same_rule_and_is_told_once_a_day() {
    let scene = Scene::new().await;
    let (connection, value) = scene.proved(&scene.acme, "a.example").await;
    let this = json!({"connection": connection, "domain": "a.example"});
    let events = scene.events().await.len();
    scene.zone.remove(&record("a.example"));
    let first = scene.operate("domain.recheck", this.clone()).await;
    assert_eq!(first["connectionId"], json!(connection));
    assert_eq!((&first["look"], &first["domain"]["losesAt"]), (&json!("missing"), &json!("2026-01-15T00:00:00.000Z")));
    for _ in 0..5 {
        scene.env.advance(Duration::from_secs(60));
        assert_eq!(
            scene.operate("domain.recheck", this.clone()).await["domain"]["losesAt"],
            first["domain"]["losesAt"]
        );
    }
    assert_eq!(scene.told(events).await.len(), 1);
    scene.zone.set(&record("a.example"), &[&value]);
    let again = scene.operate("domain.recheck", this.clone()).await;
    assert_eq!((&again["look"], again["domain"].get("losesAt")), (&json!("proved"), None));
    assert_eq!(scene.told(events).await.last().unwrap().0, "recovered");
    scene.zone.remove(&record("a.example"));
    scene.operate("domain.recheck", this.clone()).await;
    scene.env.advance(14 * DAY);
    let last = scene.operate("domain.recheck", this).await;
    assert_eq!(last["domain"]["verified"], false);
    assert!(last["message"].as_str().unwrap().contains("is lost"), "{last}");
    assert_eq!(scene.routed("a.example").await, None);
}

#[tokio::test]
async fn one_of_two_connections_that_loses_its_proof_leaves_the_other_its_own() {
    let scene = Scene::new().await;
    let (first, _) = scene.proved(&scene.acme, "a.example").await;
    let (second, value) = scene.proved(&scene.acme, "a.example").await;
    scene.zone.set(&record("a.example"), &[&value]);
    scene.live(22 * DAY).await;
    assert_eq!(scene.view(&first, "a.example").await["verified"], false);
    assert_eq!(scene.routed("a.example").await, Some(second));
}
