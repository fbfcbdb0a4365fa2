//! Files of earlier versions, as those versions wrote them.
//!
//! `fixtures/schema-1.redb.gz` was made by the first version: two organizations, five people who signed in through a
//! connection with the default role `admin`, a connection with a secret, apps, an API key, domains.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use authd::access::{Caller, Deployment, Role};
use authd::app::{App, Restore, Settings};
use authd::config::{Config, Environment, Flags, PublicUrl};
use authd::connection::Connection;
use authd::crypto::MasterKey;
use authd::directory::{EmailAddress, Membership};
use authd::env::{Env, Timestamp};
use authd::event::{Event, EventKind, Origin};
use authd::session::Session;
use authd::store::{Query, Store};
use authd::token::ApiKey;
use serde_json::json;
use tempfile::TempDir;

use super::Wound;

const FILE: &[u8] = include_bytes!("fixtures/schema-1.redb.gz");
const KEY: &str = include_str!("fixtures/schema-1.master.key");
const COUNTS: &str = include_str!("fixtures/schema-1.counts.json");
/// A cookie of Ada's, and a key, as that version gave them out.
const COOKIE: &str = "yB5h7_okq54he8X8qf6RmwJFTUdbVKhnH3t4IfgXl1w";
const API_KEY: &str = "ak_U051OusXwGqqIj8ff47gFkeW_uARsZZJCn4wnQuuQd0";
const SECRET: &str = "S3cret-of-schema-1";

fn fixture() -> TempDir {
    let folder = TempDir::new().unwrap();
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(FILE).read_to_end(&mut bytes).unwrap();
    std::fs::write(folder.path().join("authd.redb"), bytes).unwrap();
    folder
}

/// A minute after the file was written: what was signed in then still is.
fn world() -> Env {
    let at: Timestamp = "2026-11-21T15:06:30Z".parse().unwrap();
    Env::frozen().with_clock(Arc::new(Wound(AtomicI64::new(at.millis()))))
}

fn config(folder: &TempDir) -> Config {
    let data = folder.path().to_str().unwrap().to_owned();
    Config::load(&Environment::default(), &Flags { data_dir: Some(data), ..Flags::default() }).unwrap()
}

async fn open(folder: &TempDir) -> App {
    let config = config(folder);
    let public_url = PublicUrl::parse("http://127.0.0.1:18411").unwrap();
    let settings = Settings { config, public_url, master_key: MasterKey::parse(KEY).unwrap(), env: world() };
    App::open(settings).await.unwrap()
}

#[tokio::test]
async fn r_13_a_file_of_the_first_version_is_brought_forward_with_all_that_is_in_it() {
    let folder = fixture();
    let before = std::fs::read(folder.path().join("authd.redb")).unwrap();
    let app = open(&folder).await;
    let store = &app.world.store;
    let upgraded = store.upgraded().unwrap();
    // Memberships and apps.
    assert_eq!((upgraded.from, upgraded.to, upgraded.rows), (1, 2, 5 + 2));

    let cx = app.context(Caller::System, Origin::internal(&app.world.env));
    let counts = app.perform(&cx, "counts.show", json!({})).await.unwrap();
    let mut then: serde_json::Value = serde_json::from_str(COUNTS).unwrap();
    // The note of the upgrade itself, and the stop of the version before.
    then["events"] = counts["events"].clone();
    for (name, count) in then.as_object().unwrap() {
        assert_eq!(&counts[name], count, "{name}");
    }

    let members = store.page::<Membership>(Query::all()).await.unwrap().items;
    assert_eq!(members.len(), 5);
    for member in &members {
        assert_eq!(member.roles, [Role::Admin.into()].into());
        let email = EmailAddress::parse(member.email.as_deref().unwrap()).unwrap();
        let found = Membership::by_email(store, member.organization, &email).await.unwrap().unwrap();
        assert_eq!((found.user, found.revision), (member.user, member.revision));
    }
    let now = app.world.env.now();
    let session = Session::of_cookie(store, now, COOKIE).await.unwrap().expect("who was signed in still is");
    assert!(members.iter().any(|member| member.user == session.user));
    assert!(ApiKey::authenticate(&cx, API_KEY).await.is_ok());
    let connections = store.page::<Connection>(Query::all()).await.unwrap().items;
    let acme = connections.iter().find(|connection| connection.name == "Okta").unwrap();
    let sealed = acme.oidc.as_ref().unwrap().client.secret.clone().unwrap();
    let place = format!("connection/{}/oidc/client_secret", acme.id);
    assert_eq!(app.world.deployment.master_key.open_secret(&place, &sealed).unwrap().expose(), SECRET);

    // Rows of every kind that is listed can be read.
    let organizations = app.perform(&cx, "organization.list", json!({})).await.unwrap();
    for organization in organizations["items"].as_array().unwrap() {
        for list in ["connection.list", "app.list", "session.list", "user.list", "api_key.list"] {
            let this = json!({"organization": organization["id"]});
            app.perform(&cx, list, this).await.unwrap_or_else(|error| panic!("{list}: {error:?}"));
        }
    }
    for connection in &connections {
        app.perform(&cx, "domain.list", json!({"connection": connection.id})).await.unwrap();
    }

    let report = store.verify_log().await.unwrap();
    assert_eq!(report.broken, None);
    let last = store.tail(store.log_seq() - 1, 1, None).await.unwrap();
    assert_eq!(Event::read(&last[0]).unwrap().kind, EventKind::StoreUpgraded);

    let kept = upgraded.before.clone().unwrap();
    assert!(std::fs::read(&kept).unwrap() == before);
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o600);
    let events = store.log_seq();
    store.close().await;
    drop(app);
    let app = open(&folder).await;
    assert_eq!(app.world.store.upgraded(), None);
    assert_eq!(app.world.store.log_seq(), events, "the second start has nothing to do");
    app.world.store.close().await;
}

#[tokio::test]
async fn what_was_signed_in_ends_with_a_restore_unless_it_is_kept() {
    let folder = fixture();
    let app = open(&folder).await;
    let file = folder.path().join("b");
    let cx = app.context(Caller::Operator { uid: 0 }, Origin::internal(&app.world.env));
    let made = app.perform(&cx, "backup.create", json!({"path": file})).await.unwrap();
    let logged = app.world.store.tail(made["logSeq"].as_u64().unwrap(), 10, None).await.unwrap();
    let event = Event::read(&logged[0]).unwrap();
    assert_eq!((event.kind, &event.data["bytes"]), (EventKind::BackupCreated, &made["bytes"]));
    assert!(!serde_json::to_string(&event).unwrap().contains(file.to_str().unwrap()));
    app.world.store.close().await;
    for keep_sessions in [false, true] {
        let bare = TempDir::new().unwrap();
        std::fs::write(bare.path().join("master.key"), KEY).unwrap();
        std::fs::set_permissions(bare.path().join("master.key"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = config(&bare);
        let restore = Restore {
            file: &file,
            config: &config,
            environment: &Environment::default(),
            public_url: PublicUrl::parse("http://127.0.0.1:18411").unwrap(),
            replace: false,
            keep_sessions,
            told: &|_, _| {},
            env: world(),
        };
        let restored = restore.perform(|| panic!("the key is there")).await.unwrap();
        assert_eq!(restored.organizations_ended, (!keep_sessions).then_some(2));
        let app = open(&bare).await;
        let store = &app.world.store;
        let session = Session::of_cookie(store, app.world.env.now(), COOKIE).await.unwrap();
        assert_eq!(session.is_some(), keep_sessions);
        let logged = store.tail(restored.log_seq, 10, None).await.unwrap();
        assert_eq!(Event::read(&logged[0]).unwrap().kind, EventKind::BackupRestored);
        assert_eq!(store.verify_log().await.unwrap().broken, None);
        app.world.store.close().await;
    }
}

#[tokio::test]
async fn going_back_is_putting_the_copy_in_its_place() {
    let folder = fixture();
    let path = folder.path().join("authd.redb");
    for _ in 0..2 {
        let app = open(&folder).await;
        let kept = app.world.store.upgraded().unwrap().before.clone().unwrap();
        app.world.store.close().await;
        std::fs::rename(kept, &path).unwrap();
    }
}

#[tokio::test]
async fn the_key_of_another_database_upgrades_and_then_opens_nothing() {
    let folder = fixture();
    let env = world();
    let store = Store::open(&folder.path().join("authd.redb"), env.clone(), super::options()).unwrap();
    let public_url = PublicUrl::parse("http://127.0.0.1:18411").unwrap();
    let deployment = Deployment { public_url, master_key: MasterKey::generate(&env), rotate_every: None };
    let refused = App::on(store, deployment, env).await.err().unwrap();
    assert!(refused.is(&authd::error::codes::MASTER_KEY_WRONG));
}
