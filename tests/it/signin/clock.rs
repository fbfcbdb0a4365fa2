//! The clock jumps, far ahead and back again, while people are signed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use authd::env::{Clock, Env, Timestamp};
use axum::http::StatusCode;

use super::{Scene, claims, text};
use crate::world::authd::{Authd, Browser};

/// A wall clock that can be set, beside one that only goes on.
struct Set {
    wall: AtomicI64,
    elapsed: AtomicU64,
}

impl Clock for Set {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.wall.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.elapsed.load(Ordering::SeqCst))
    }
    fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap();
        self.wall.fetch_add(i64::try_from(millis).unwrap(), Ordering::SeqCst);
        self.elapsed.fetch_add(millis, Ordering::SeqCst);
    }
}

/// Everything that a sign-in leaves in somebody's hands.
struct Held {
    browser: Browser,
    access: String,
    code: String,
    /// With the provider, and not back.
    away: (Browser, String),
    /// The form of the sign-in page.
    form: (Browser, String),
}

impl Held {
    async fn of(scene: &Scene) -> Self {
        let mut browser = scene.authd.browser();
        let landed = scene.sign_in(&mut browser).await;
        let tokens = scene.redeem(&landed.query("code").unwrap()).await.json();
        let code = browser.get(&scene.authorize(&[])).await.query("code").unwrap();
        let mut other = scene.authd.browser();
        let back = scene.back(&scene.leave(&mut other).await);
        let mut third = scene.authd.browser();
        let page = third.get(&scene.authorize(&[])).await;
        let form = page.field("attempt");
        Self { browser, access: text(&tokens, "access_token"), code, away: (other, back), form: (third, form) }
    }

    /// None of it is worth anything.
    async fn proves_worthless(mut self, scene: &Scene, when: &str) {
        assert_eq!(scene.userinfo(&self.access).await.status, StatusCode::UNAUTHORIZED, "{when}: access token");
        assert_eq!(scene.redeem(&self.code).await.json()["error"], "invalid_grant", "{when}: code");
        let silent = self.browser.get(&scene.authorize(&[("prompt", "none")])).await;
        assert_eq!(silent.query("error").as_deref(), Some("login_required"), "{when}: session");
        let (mut browser, back) = self.away;
        let landed = browser.get(&back).await;
        assert!(landed.status.is_client_error(), "{when}: attempt: {landed:?}");
        let (mut browser, form) = self.form;
        let sent = browser.post("/signin", &[("attempt", &form), ("email", "alice@corp.example")]).await;
        assert!(sent.status.is_client_error(), "{when}: ticket: {sent:?}");
    }
}

#[tokio::test]
async fn r_07_nothing_outlives_its_end_when_the_clock_jumps_ahead_and_back() {
    const HOUR: i64 = 3_600_000;
    for jump in [9 * HOUR, 24 * HOUR, 10 * 365 * 24 * HOUR] {
        let start = 1_767_225_600_000;
        let clock = Arc::new(Set { wall: AtomicI64::new(start), elapsed: AtomicU64::new(0) });
        let scene =
            Scene::within(Authd::start_in(Env::frozen().with_clock(clock.clone())).await, &["corp.example"]).await;
        let before = Held::of(&scene).await;

        clock.wall.fetch_add(jump, Ordering::SeqCst);
        before.proves_worthless(&scene, "ahead").await;
        let ahead = Held::of(&scene).await;
        let issued = claims(&ahead.access)["iat"].as_i64().unwrap();
        assert!(issued <= (start + jump) / 1000 + 60, "nothing is issued in the future");

        clock.wall.store(start + 60_000, Ordering::SeqCst);
        ahead.proves_worthless(&scene, "back").await;
        // Whoever comes now gets in, and stays in until the end of a session and no longer.
        let mut now = Held::of(&scene).await;
        assert_eq!(scene.userinfo(&now.access).await.status, StatusCode::OK);
        let again = now.browser.get(&scene.authorize(&[("prompt", "none")])).await;
        assert!(again.query("code").is_some(), "{again:?}");
        scene.authd.env().advance(Duration::from_secs(8 * 3600 + 1));
        now.proves_worthless(&scene, "in the end").await;

        // The log is whole, and never older than it was.
        let report = scene.authd.app.world.store.verify_log().await.unwrap();
        assert!(report.broken.is_none(), "{report:?}");
        let rows = scene.authd.app.world.store.tail(0, 1_000, None).await.unwrap();
        assert!(rows.windows(2).all(|pair| pair[0].row.at <= pair[1].row.at && pair[0].row.seq < pair[1].row.seq));
    }
}
