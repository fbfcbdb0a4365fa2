//! A directory of a hundred thousand: what its questions read. `AUTHD_SCALE=full` makes it that big; otherwise it is a
//! fraction of that: a debug build is slow.

#![allow(clippy::disallowed_methods, reason = "what is measured here is the machine's own time")]

use std::time::{Duration, Instant};

use authd::access::Caller;
use authd::directory::{Membership, ScimKind, ScimResource, Source, User};
use authd::event::{EventKind, Origin};
use authd::store::Batch;
use serde_json::json;

use super::*;
use crate::world::authd::Authd;

/// Fills the organization's own directory, as the pipeline would have.
async fn fill(authd: &Authd, organization: OrganizationId, size: usize) {
    let (world, now) = (&authd.app.world, authd.env().now());
    let cx = authd.app.context(Caller::System, Origin::internal(authd.env()));
    for chunk in (0..size).collect::<Vec<_>>().chunks(1_000) {
        let mut batch = Batch::new();
        for n in chunk {
            let user = User { id: UserId::new(authd.env()), created_at: now, disabled_at: None };
            let name = format!("person{n}@crowd.test");
            let mut member = Membership::new(organization, user.id, now);
            member.email = Some(name.clone());
            let row = ScimResource {
                directory: Source::own_directory(organization),
                organization,
                kind: ScimKind::User,
                id: user.id.bytes(),
                name: name.clone(),
                external_id: Some(format!("E{n}")),
                body: json!({"userName": name, "externalId": format!("E{n}"), "title": format!("T{}", n % 100),
                    "name": {"givenName": "Per", "familyName": format!("Son{n}")}, "emails": [{"value": name, "primary": true}]})
                .to_string(),
                version: 1,
                created_at: now,
                updated_at: now,
                deleted_at: None,
            };
            batch.create(&user).create(&member).create(&row);
        }
        batch.log(cx.event(EventKind::UserCreated).within(organization));
        world.store.commit(batch).await.unwrap();
        authd.env().advance(Duration::from_millis(1));
    }
}

/// The resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_question_of_a_great_directory_reads_little_more_than_it_answers() {
    let full = std::env::var("AUTHD_SCALE").is_ok_and(|scale| scale == "full");
    let size = if full { 100_000 } else { 4_000 };
    let folder = tempfile::TempDir::new().unwrap();
    let authd = Authd::start_at(&folder.path().join("authd.redb")).await;
    let organization = authd.operate("organization.create", json!({"name": "Crowd"})).await["id"].clone();
    let made = authd.operate("scim.token.create", json!({"organization": organization})).await;
    let own = Directory {
        router: authd.router.clone(),
        token: made["token"].as_str().unwrap().to_owned(),
        id: String::new(),
        base: "/scim/v2".to_owned(),
    };
    fill(&authd, organization.as_str().unwrap().parse().unwrap(), size).await;
    let store = &authd.app.world.store;
    let last = size - 1;
    let before = resident();
    // What is asked, how many are answered, how many rows that may read, and how long it may take where nothing slows
    // it down.
    for (query, answered, most, millis) in [
        (format!("filter={}", encoded(&format!("userName eq \"PERSON{last}@crowd.test\""))), 1, 5, 5),
        (format!("filter={}", encoded(&format!("externalId eq \"E{last}\""))), 1, 5, 5),
        (format!("filter={}", encoded("userName eq \"nobody\"")), 0, 5, 5),
        ("count=200".to_owned(), 200, 401, 20),
        (format!("count=200&startIndex={}", size - 300), 200, 401, 20),
        ("count=200&cursor=".to_owned(), 200, 401, 20),
        ("count=0".to_owned(), 0, 1, 20),
        (format!("count=10&startIndex={}", size + 1), 0, 1, 20),
        (format!("filter={}&count=10", encoded("title eq \"T7\"")), 10, size as u64 * 2 + 100, 20_000),
        ("sortBy=name.familyName&count=10".to_owned(), 10, size as u64 * 2 + 100, 20_000),
    ] {
        own.get(&format!("/Users?{query}")).await;
        let read = store.rows_listed();
        let begun = Instant::now();
        let page = own.get(&format!("/Users?{query}")).await;
        let (took, read) = (begun.elapsed(), store.rows_listed() - read);
        eprintln!("{took:>12?} {read:>6} rows  {query}");
        assert_eq!(page.resources().len(), answered, "{query}");
        assert!(read <= most, "{query} read {read} rows");
        assert!(cfg!(debug_assertions) || took < Duration::from_millis(millis), "{query} took {took:?}");
    }
    let total = own.get("/Users?count=0").await.body["totalResults"].clone();
    assert_eq!(total, size);
    let grown = resident().saturating_sub(before);
    eprintln!("memory grew by {grown} KiB");
    // The page cache of the store is 32 MiB, and fills while lists are walked.
    assert!(grown < 64 * 1024, "memory grew by {grown} KiB");
}
