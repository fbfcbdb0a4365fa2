//! An organization of a hundred thousand: what its lists cost, and how fast it is ended. `AUTHD_SCALE=full` makes it
//! that big; otherwise it is a fraction of that: a debug build is slow.

#![allow(clippy::disallowed_methods, reason = "what is measured here is the machine's own time")]

use std::time::{Duration, Instant};

use authd::access::Deployment;
use authd::app::App;
use authd::config::PublicUrl;
use authd::crypto::MasterKey;
use authd::env::Env;
use authd::event::Origin;
use authd::id::{OrganizationId, UserId};
use authd::session::{Epochs, NewSession, Scope, Session};
use authd::store::{Batch, Options, Store};
use serde_json::{Value, json};

use crate::world::crowd::Crowd;

fn full() -> bool {
    std::env::var("AUTHD_SCALE").is_ok_and(|scale| scale == "full")
}

struct Place {
    app: App,
    organization: OrganizationId,
    folder: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let env = Env::frozen();
        let store = Store::open(&folder.path().join("authd.redb"), env.clone(), Options::new([7; 32])).unwrap();
        let deployment = Deployment {
            public_url: PublicUrl::parse("https://id.example.test").unwrap(),
            master_key: MasterKey::generate(&env),
            rotate_every: None,
        };
        let app = App::on(store, deployment, env).await.unwrap();
        let place = Self { app, organization: "org_00000000000000000000000000".parse().unwrap(), folder };
        let made = place.operate("organization.create", json!({"name": "Crowd"})).await;
        Self { organization: made["id"].as_str().unwrap().parse().unwrap(), ..place }
    }

    fn origin(&self) -> Origin {
        Origin::internal(&self.app.world.env)
    }

    async fn operate(&self, name: &str, input: Value) -> Value {
        let cx = self.app.context(authd::access::Caller::Operator { uid: 0 }, self.origin());
        self.app.perform(&cx, name, input).await.unwrap_or_else(|error| panic!("{name}: {error:?}"))
    }
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_a_great_organization_reads_little_more_than_it_shows() {
    let size = if full() { 100_000 } else { 6_000 };
    let place = Place::new().await;
    let world = &place.app.world;
    let crowd = Crowd::new(world, place.organization, size);
    let begun = Instant::now();
    crowd.arrive(world).await;
    eprintln!("{size} members in {:?}", begun.elapsed());

    // How many rows one page may read: what it shows and one more, where indexes alone decide. What is rare is read
    // wholly to be sorted, and up to 3,000 rows count as rare.
    const RARE: u64 = 3_000;
    let cases = [
        (json!({}), 100, 101),
        (json!({"limit": 1000}), 1000, 1_001),
        (json!({"sort": "name"}), 100, 101),
        (json!({"sort": "email", "order": "desc"}), 100, 101),
        (json!({"sort": "updated", "order": "desc"}), 100, 101),
        (json!({"search": "person4711@crowd.test"}), 1, 1),
        (json!({"search": "hopper"}), 100, 101),
        // Of two words, those who have the rarer one are read.
        (json!({"search": "ada lovelace"}), size / 2_000, if full() { RARE } else { 400 }),
        (json!({"search": "lo ad", "limit": 3}), 3, if full() { RARE } else { 400 }),
        (json!({"search": "p"}), 100, 101),
        (json!({"search": "person1", "sort": "name"}), 100, RARE),
        (json!({"search": "nobody"}), 0, 0),
        (json!({"status": "suspended", "limit": 10}), 10, 11),
        (json!({"status": "suspended", "sort": "name", "limit": 10}), 10, 200),
        (json!({"status": "active"}), 100, 101),
        (json!({"role": "admin", "limit": 2}), 2, 3),
        (json!({"role": "viewer", "status": "suspended", "limit": 10}), 10, 11),
        (json!({"role": "viewer", "sort": "name"}), 100, RARE),
        (json!({"connection": crowd.connections[1], "limit": 5}), 5, 6),
        (json!({"connection": crowd.connections[0], "search": "grace", "sort": "created"}), 100, RARE),
        (json!({"role": "owner"}), 0, 0),
    ];
    let before = resident();
    for (mut input, shown, most) in cases {
        let label = input.to_string();
        input["organization"] = json!(place.organization);
        let read = world.store.rows_listed();
        let begun = Instant::now();
        let page = place.operate("user.list", input).await;
        let took = begun.elapsed();
        let read = world.store.rows_listed() - read;
        eprintln!("{took:>12?} {read:>5} rows  {label}");
        assert_eq!(page["items"].as_array().unwrap().len(), shown as usize, "{label}");
        assert!(read <= most, "{label} read {read} rows");
    }
    // Through the whole list, sorted and filtered: nothing gathers.
    let mut input = json!({"organization": place.organization, "sort": "name", "status": "active", "limit": 500});
    let mut seen = 0;
    loop {
        let page = place.operate("user.list", input.clone()).await;
        seen += page["items"].as_array().unwrap().len();
        match page.get("next") {
            Some(next) => input["cursor"] = next.clone(),
            None => break,
        }
    }
    assert_eq!(seen as u32, size - size / 500);
    let grown = resident().saturating_sub(before);
    eprintln!("memory grew by {grown} KiB");
    // The page cache of the store is 32 MiB, and fills while lists are walked.
    assert!(grown < 64 * 1024, "memory grew by {grown} KiB");
}

/// One small commit, whatever was open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_with_a_hundred_thousand_sessions_ends_with_one_small_commit() {
    let size: u32 = if full() { 100_000 } else { 2_000 };
    let place = Place::new().await;
    let world = &place.app.world;
    let org = place.organization;
    let cx = place.app.context(authd::access::Caller::System, place.origin());
    let mut cookies = Vec::new();
    let open = async |user: UserId, batch: &mut Batch| {
        let under = Epochs::capture(&world.store, &[Scope::Organization(org)]).await.unwrap();
        let new = NewSession {
            organization: org,
            user,
            connection: None,
            under,
            auth_time: world.env.now(),
            acr: None,
            amr: Vec::new(),
            upstream_session: None,
            upstream_subject: None,
            break_glass: None,
            handed: false,
            email: Some("ada@crowd.test".to_owned()),
            until: None,
        };
        Session::open(&cx, new, batch).await.unwrap()
    };
    for first in (0..size).step_by(2_500) {
        let mut batch = Batch::new();
        for n in first..size.min(first + 2_500) {
            let opened = open(UserId::new(&world.env), &mut batch).await;
            if n % (size / 20) == 0 {
                cookies.push(opened.cookie);
            }
        }
        world.store.commit(batch).await.unwrap();
    }
    let key = place.operate("api_key.create", json!({"organization": org, "name": "k", "grants": ["*"]})).await;
    let key = key["key"].as_str().unwrap().to_owned();
    let token = place.operate("token.issue", json!({"organization": org, "role": "admin"})).await;
    let token = token["access_token"].as_str().unwrap().to_owned();
    let alive = async |cookie: &str| Session::of_cookie(&world.store, world.env.now(), cookie).await.unwrap().is_some();
    for cookie in &cookies {
        assert!(alive(cookie.expose()).await);
    }
    for bearer in [&key, &token] {
        place.app.authenticate(bearer, place.origin()).await.unwrap();
    }

    let rows = world.store.log_seq();
    let begun = Instant::now();
    place.operate("organization.disable", json!({"id": org})).await;
    let took = begun.elapsed();
    eprintln!("an organization with {size} sessions ended in {took:?}");
    assert_eq!(world.store.log_seq() - rows, 1, "one commit with one event");
    for cookie in &cookies {
        assert!(!alive(cookie.expose()).await);
    }
    for bearer in [&key, &token] {
        assert!(place.app.authenticate(bearer, place.origin()).await.is_err());
    }
    // Ten times the aim, so that a busy machine is no failure; the full run is held to it.
    let most = Duration::from_millis(if full() { 50 } else { 500 });
    assert!(took <= most, "{took:?}");

    // Among all that ended, the few that live are listed at once.
    place.operate("organization.enable", json!({"id": org})).await;
    let mut batch = Batch::new();
    for _ in 0..3 {
        open(UserId::new(&world.env), &mut batch).await;
    }
    world.store.commit(batch).await.unwrap();
    let read = world.store.rows_listed();
    let begun = Instant::now();
    let live = place.operate("session.list", json!({"organization": org})).await;
    eprintln!("the 3 that live among them are listed in {:?}", begun.elapsed());
    assert_eq!((live["items"].as_array().unwrap().len(), live.get("next")), (3, None));
    assert!(world.store.rows_listed() - read <= 4);
    let all = place.operate("session.list", json!({"organization": org, "all": true, "limit": 10})).await;
    assert_eq!(all["items"].as_array().unwrap().len(), 10);

    // Deleting it is as quick.
    let begun = Instant::now();
    place.operate("organization.delete", json!({"id": org, "confirm": "Crowd"})).await;
    eprintln!("deleted in {:?}", begun.elapsed());
}

/// A log of a million rows is walked piece by piece, as the command does, and the one row that was changed is named.
#[tokio::test]
async fn adm_09_a_long_log_is_verified_in_pieces_with_what_a_bar_needs() {
    use authd::event::EventKind;
    let rows: u64 = if full() { 1_000_000 } else { 100_000 };
    let place = Place::new().await;
    let store = &place.app.world.store;
    let cx = place.app.context(authd::access::Caller::System, place.origin());
    while store.log_seq() < rows {
        let mut batch = Batch::new();
        for _ in 0..1_000 {
            let event = cx.event(EventKind::SigninRefused).within(place.organization);
            batch.log(event.failed("person_disabled").with("email", "somebody@example.test"));
        }
        store.commit(batch).await.unwrap();
        if store.log_seq() % 10_000 < 1_000 {
            store.checkpoint().await.unwrap();
        }
    }
    let erased = cx.event(EventKind::AuditErased).within(place.organization);
    store.commit(Batch::new().log_erasing(erased, vec![17, 18, rows / 2]).clone()).await.unwrap();
    let (begin, before) = (Instant::now(), resident());
    let mut highest = before;
    let (mut done, mut erased, mut checkpoints, mut steps) = (0, 0, 0, 0);
    let mut input = json!({"most": 20_000});
    loop {
        let piece = place.operate("audit.verify", input.clone()).await;
        assert_eq!(piece["ok"], true, "{piece}");
        let before = done;
        done += piece["rows"].as_u64().unwrap();
        erased += piece["erased"].as_u64().unwrap();
        checkpoints += piece["checkpoints"].as_u64().unwrap();
        steps += 1;
        highest = highest.max(resident());
        assert!(done > before && done <= piece["of"].as_u64().unwrap(), "a bar only grows, and ends");
        match piece.get("next") {
            Some(next) => input["after"] = next.clone(),
            None => break,
        }
    }
    let took = begin.elapsed();
    assert_eq!((done, erased), (store.log_seq(), 3));
    assert!(checkpoints >= 9 && steps >= 5);
    let grown = highest.saturating_sub(before);
    println!(
        "{done} rows, {checkpoints} checkpoints, {steps} pieces in {took:?}, {highest} KiB resident, {grown} KiB of it for this"
    );
    assert!(grown < 64 * 1024, "the walk keeps a piece of the log in memory, not the log");

    // Near its end one detail is taken away by hand.
    let (world, path) = (&place.app.world, place.folder.path().join("authd.redb"));
    let missing = rows - 10;
    store.close().await;
    {
        const DETAIL: redb::TableDefinition<u64, &[u8]> = redb::TableDefinition::new("detail");
        let database = redb::Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction.open_table(DETAIL).unwrap().remove(missing).unwrap();
        transaction.commit().unwrap();
    }
    let store = Store::open(&path, world.env.clone(), Options::new([7; 32])).unwrap();
    let app = App::on(store, (*world.deployment).clone(), world.env.clone()).await.unwrap();
    let place = Place { app, ..place };
    let mut input = json!({"most": 20_000});
    let found = loop {
        let piece = place.operate("audit.verify", input.clone()).await;
        match piece.get("next") {
            Some(next) if piece["ok"] == true => input["after"] = next.clone(),
            _ => break piece,
        }
    };
    assert_eq!((&found["ok"], &found["brokenAt"]), (&json!(false), &json!(missing)), "{found}");
    assert!(took < Duration::from_secs(600), "{took:?}");
}
