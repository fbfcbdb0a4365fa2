//! Tries that are under way: what is right leaves nothing, what is wrong counts, and what nobody ends counts, too.

use std::sync::Arc;

use authd::access::Context;
use authd::access::throttle::{self, Rule, Subject, Taken};
use authd::env::Env;
use authd::error::codes;
use authd::store::{Batch, Options, Store};

use super::throttle::from;
use crate::world::authd::Authd;

fn subject() -> Subject {
    Subject::new().and("alice")
}

fn most() -> u32 {
    Rule::PasswordOfAccount.most()
}

async fn take(cx: &Context) -> Option<Taken> {
    match throttle::take(cx, &[(Rule::PasswordOfAccount, subject())]).await {
        Ok(taken) => Some(taken),
        Err(error) => {
            assert!(error.is(&codes::RATE_LIMITED) && error.wait().is_some_and(|wait| !wait.is_zero()), "{error:?}");
            None
        }
    }
}

/// How many more may be looked at. Nothing is left behind.
async fn room(cx: &Context) -> u32 {
    let mut all = Vec::new();
    while let Some(taken) = take(cx).await {
        all.push(taken);
    }
    let room = u32::try_from(all.len()).unwrap();
    all.into_iter().for_each(Taken::give_back);
    room
}

async fn rows(authd: &Authd) -> u64 {
    authd.app.world.store.counts().await.unwrap().get("throttle").copied().unwrap_or(0)
}

#[tokio::test]
async fn r_16_what_is_under_way_counts_and_what_was_right_leaves_nothing() {
    let authd = Authd::start().await;
    let cx = from(&authd, "198.51.100.1");
    for _ in 0..3 {
        assert_eq!(room(&cx).await, most());
    }
    assert_eq!(rows(&authd).await, 0, "nothing was written");
    take(&cx).await.unwrap().spend().await.unwrap();
    let one = take(&cx).await.unwrap();
    assert_eq!(room(&cx).await, most() - 2, "one wrong, one under way");
    one.give_back();
    assert_eq!(room(&cx).await, most() - 1);
}

#[tokio::test]
async fn r_16_all_or_none_is_taken_and_the_same_once() {
    let authd = Authd::start().await;
    let cx = from(&authd, "198.51.100.1");
    let full = Subject::new().and("bob");
    for _ in 0..most() {
        throttle::take(&cx, &[(Rule::PasswordOfAccount, full.clone())]).await.unwrap().spend().await.unwrap();
    }
    let both = [(Rule::PasswordOfAccount, subject()), (Rule::PasswordOfAccount, full)];
    assert!(throttle::take(&cx, &both).await.is_err());
    assert_eq!(room(&cx).await, most(), "none of the two");
    let taken = take(&cx).await.unwrap();
    taken.also(&cx, &[(Rule::PasswordOfAccount, subject())]).await.unwrap();
    assert!(taken.also(&cx, &both).await.is_err(), "the other is still full");
    assert_eq!(room(&cx).await, most() - 1);
    taken.spend().await.unwrap();
    assert_eq!(room(&cx).await, most() - 1);
}

#[tokio::test]
async fn r_16_it_is_written_by_the_commit_that_tells_it_or_stays_under_way() {
    let authd = Authd::start().await;
    let cx = from(&authd, "198.51.100.1");
    let mut taken = take(&cx).await.unwrap();
    let mut batch = Batch::new();
    taken.count(&mut batch).await.unwrap();
    // A batch that somebody else was quicker than is made anew.
    let mut batch = Batch::new();
    taken.count(&mut batch).await.unwrap();
    authd.app.world.store.commit(batch).await.unwrap();
    taken.written();
    assert_eq!((room(&cx).await, rows(&authd).await), (most() - 1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_16_of_tries_at_the_same_time_each_wrong_one_counts_and_each_right_one_does_not() {
    let authd = Authd::start().await;
    let cx = from(&authd, "198.51.100.1");
    let looked_at = Arc::new(std::sync::atomic::AtomicU32::new(0));
    let all: Vec<_> = (0..200)
        .map(|n| {
            let (cx, looked_at) = (cx.clone(), Arc::clone(&looked_at));
            tokio::spawn(async move {
                let Some(taken) = take(&cx).await else { return };
                tokio::task::yield_now().await;
                if n % 3 == 0 {
                    taken.give_back();
                } else {
                    looked_at.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    taken.spend().await.unwrap();
                }
            })
        })
        .collect();
    for one in all {
        one.await.unwrap();
    }
    let wrong = looked_at.load(std::sync::atomic::Ordering::SeqCst);
    assert!(wrong <= most(), "{wrong} wrong ones were looked at");
    assert_eq!(room(&cx).await, most() - wrong, "neither one too many nor one too few is counted");
}

#[tokio::test]
async fn r_16_what_nobody_ends_counts_across_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("authd.redb");
    let env = Env::frozen();
    let open = || Store::open(&file, env.clone(), Options::new([7; 32])).unwrap();
    let before = Authd::start_on(open(), env.clone()).await;
    let cx = from(&before, "198.51.100.1");
    // As when whoever asked hangs up.
    drop(take(&cx).await.unwrap());
    assert_eq!(room(&cx).await, most() - 1, "at once");
    while rows(&before).await == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(room(&cx).await, most() - 1, "once, and not twice");
    take(&cx).await.unwrap().spend().await.unwrap();
    let under_way = take(&cx).await.unwrap();
    let deployment = (*before.app.world.deployment).clone();
    before.app.world.store.close().await;
    std::mem::forget(under_way);
    drop((before, cx));
    // A crash takes away what was under way, and nothing else.
    let Ok(store) = Store::open(&home.path().join("authd.redb"), env.clone(), Options::new([7; 32])) else {
        panic!("the file is still held");
    };
    let after = Authd::of(store, deployment, env).await;
    assert_eq!(room(&from(&after, "198.51.100.1")).await, most() - 2);
}

#[tokio::test]
async fn r_16_what_cannot_be_written_counts_until_its_window_is_over() {
    let authd = Authd::start().await;
    let cx = from(&authd, "198.51.100.1");
    let taken = take(&cx).await.unwrap();
    // Outside of a runtime nobody can write it.
    std::thread::spawn(move || drop(taken)).join().unwrap();
    assert_eq!((room(&cx).await, rows(&authd).await), (most() - 1, 0));
    authd.env().advance(Rule::PasswordOfAccount.window());
    assert_eq!(room(&cx).await, most() - 1);
    authd.env().advance(Rule::PasswordOfAccount.window() / 12);
    assert_eq!(room(&cx).await, most());
}
