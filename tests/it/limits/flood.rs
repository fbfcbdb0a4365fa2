//! DOS-02: whoever asks for sign-ins without end does not fill the disk.

use std::path::Path;

use authd::env::Env;
use authd::store::{Options, Store};
use axum::http::StatusCode;
use serde_json::json;

use super::flood;
use crate::signin::Scene;
use crate::world::authd::Authd;

const GROWTH: u64 = 20 * 1024 * 1024;

struct OnDisk {
    scene: Scene,
    file: std::path::PathBuf,
    _home: tempfile::TempDir,
}

async fn on_disk() -> OnDisk {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("authd.redb");
    let env = Env::frozen();
    let store = Store::open(&file, env.clone(), Options::new([7; 32])).unwrap();
    OnDisk { scene: Scene::on(Authd::start_on(store, env).await).await, file, _home: home }
}

fn size(file: &Path) -> u64 {
    file.metadata().unwrap().len()
}

/// Sends the flood, a few at a time, and says by how much the file grew.
async fn sent(disk: &OnDisk, n: usize, addresses: u32, more: &[(&str, &str)], expected: StatusCode) -> u64 {
    let before = size(&disk.file);
    let address = disk.scene.authorize(more);
    let mut next = 0;
    while next < n {
        let some: Vec<_> = (next..n.min(next + 256))
            .map(|i| {
                let mut browser = disk.scene.authd.browser();
                let from = std::net::Ipv4Addr::from(0x0a00_0000 + i as u32 % addresses);
                browser.ip.set_ip(from.into());
                let address = address.clone();
                tokio::spawn(async move { browser.get(&address).await.status })
            })
            .collect();
        next += some.len();
        for one in some {
            let status = one.await.unwrap();
            assert!(status == expected || status == StatusCode::TOO_MANY_REQUESTS, "{status}");
        }
    }
    size(&disk.file).saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dos_02_a_flood_of_sign_ins_from_one_address_does_not_fill_the_disk() {
    let disk = on_disk().await;
    let organization = disk.scene.organization.clone();
    let n = flood(600);
    let page = sent(&disk, n, 1, &[], StatusCode::OK).await;
    let routed = sent(&disk, n, 1, &[("organization", &organization)], StatusCode::SEE_OTHER).await;
    let counts = disk.scene.authd.app.world.store.counts().await.unwrap();
    assert_eq!((counts["attempt"], counts.get("trace").copied().unwrap_or(0)), (100, 0));
    assert!(page < 2 * 1024 * 1024, "a page is written nowhere: {page}");
    assert!(page + routed < GROWTH, "{page} + {routed}");
    println!("{n} without and {n} with an organization: {page} and {routed} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dos_02_neither_does_one_from_many_addresses() {
    let disk = on_disk().await;
    let organization = disk.scene.organization.clone();
    let n = flood(1_200);
    // What the app asks for is kept until the browser is back.
    let wishes = "s".repeat(400);
    let more = [("organization", organization.as_str()), ("acr_values", &wishes)];
    let grown = sent(&disk, n, u32::MAX, &more, StatusCode::SEE_OTHER).await;
    let waiting = disk.scene.authd.app.world.store.counts().await.unwrap()["attempt"];
    assert!(grown < GROWTH, "{grown}");
    assert!(waiting < 50_000);
    println!("{n} from as many addresses: {grown} bytes, {waiting} wait");
    // Who comes now gets in.
    let mut browser = disk.scene.authd.browser();
    let landed = disk.scene.sign_in(&mut browser).await;
    assert!(landed.query("code").is_some());
}

/// The same for sign-ins that are refused: events and traces of them, from many addresses.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dos_02_refused_sign_ins_leave_no_more_than_their_share_of_traces() {
    let disk = on_disk().await;
    let n = flood(1_200).min(20_000);
    let lost = [("connection", "conn_01jzzzzzzzzzzzzzzzzzzzzzzz")];
    let (grown, told) = (sent(&disk, n, u32::MAX, &lost, StatusCode::NOT_FOUND).await, disk.scene.authd.events().await);
    let told = told.iter().filter(|event| event.kind.name() == "signin.refused").count();
    assert_eq!(told, 300, "of all strangers together");
    assert!(grown < GROWTH, "{grown}");
    let counts = disk.scene.authd.app.world.store.counts().await.unwrap();
    assert!(counts["refusals"] <= 301, "{}", counts["refusals"]);
    assert!(counts["trace"] <= 1_000, "{}", counts["trace"]);
    assert!(counts.get("attempt").is_none_or(|rows| *rows == 0));
    let status = disk.scene.authd.operate("connection.status", json!({"id": disk.scene.connection})).await;
    assert_eq!(status["ready"], true);
}
