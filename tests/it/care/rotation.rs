//! The master key changes: while people sign in, across a crash at every step, and nothing is left under the old one.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use authd::access::{Caller, Context, Deployment};
use authd::app::{App, Settings};
use authd::care::{rotation, sealed};
use authd::config::{self, Config, Environment, Flags};
use authd::connection::{Connection, ProtocolKind, Status, oidc};
use authd::crypto::{Home, MasterKey};
use authd::env::Env;
use authd::event::{Event, EventKind, Origin};
use authd::id::{ConnectionId, OrganizationId};
use authd::store::{Batch, Query};
use serde_json::json;

const SECRET: &str = "p1anted-client-secret";

fn operator(app: &App) -> Context {
    app.context(Caller::Operator { uid: 0 }, Origin::internal(&app.world.env))
}

/// As a start does it.
async fn open(dir: &Path, env: &Env, environment: &Environment) -> authd::error::Result<App> {
    let flags = Flags { data_dir: Some(dir.display().to_string()), ..Flags::default() };
    let config = Config::load(environment, &flags).unwrap();
    let master_key = config::master_key(env, environment, &config.data_dir)?;
    let public_url = config.public_url_at(config.listen).unwrap();
    App::open(Settings { config, public_url, master_key, env: env.clone() }).await
}

async fn start(dir: &Path, env: &Env) -> App {
    open(dir, env, &Environment::default()).await.unwrap()
}

/// So many connections, each with a secret.
async fn connections(app: &App, count: usize) {
    let cx = operator(app);
    for n in 0..count {
        let id = ConnectionId::new(&cx.env);
        let mut config = oidc::Config::default();
        let plain = format!("{SECRET} {n}");
        let sealed = cx.deployment.master_key.seal(&cx.env, &oidc::secret_place(id), plain.as_bytes()).unwrap();
        config.client.secret = Some(sealed);
        let now = cx.env.now();
        let connection = Connection {
            id,
            organization: OrganizationId::new(&cx.env),
            name: format!("C{n}"),
            slug: None,
            protocol: ProtocolKind::Oidc,
            status: Status::Draft,
            jit: None,
            default_role: None,
            oidc: Some(config),
            created_at: now,
            updated_at: now,
            deleted_at: None,
            looked: None,
            ldap: None,
            saml: None,
            enforce: None,
            callback_urls: Vec::new(),
            group_mapping: None,
            role_mapping: None,
            scope_mapping: None,
            default_scopes: None,
        };
        let mut batch = Batch::new();
        batch.create(&connection).log(cx.event(EventKind::ConnectionCreated));
        app.world.store.commit(batch).await.unwrap();
    }
}

/// The secrets of all connections, by their names.
async fn secrets(app: &App) -> BTreeMap<String, String> {
    let page = app.world.store.page::<Connection>(Query::all().limit(1_000)).await.unwrap();
    let open = |connection: &Connection| {
        let sealed = connection.oidc.as_ref().unwrap().client.secret.as_ref().unwrap();
        let place = oidc::secret_place(connection.id);
        app.world.deployment.master_key.open_secret(&place, sealed).unwrap().expose().to_owned()
    };
    page.items.iter().map(|stored| (stored.name.clone(), open(&stored.value))).collect()
}

/// Of everything that is sealed: how much opens with `key` alone, and how much does not.
async fn opened_by(app: &App, key: &MasterKey) -> (u64, u64) {
    let alone = MasterKey::generate(&app.world.env).at(Home::Memory, std::slice::from_ref(key));
    let deployment =
        Deployment { public_url: app.world.deployment.public_url.clone(), master_key: alone, rotate_every: None };
    let cx = Context { deployment: Arc::new(deployment), ..operator(app) };
    let mut counts = (0, 0);
    for kind in sealed() {
        let mut after = None;
        loop {
            let done = kind.reseal(&cx, after).await.unwrap();
            counts = (counts.0 + done.resealed + done.missed, counts.1 + done.unreadable);
            after = done.next;
            if after.is_none() {
                break;
            }
        }
    }
    counts
}

async fn events(app: &App, kind: EventKind) -> Vec<Event> {
    let mut all = Vec::new();
    let mut after = 0;
    loop {
        let rows = app.world.store.tail(after, 1_000, None).await.unwrap();
        let Some(last) = rows.last() else { return all };
        after = last.row.seq;
        all.extend(rows.iter().filter(|row| row.row.kind == kind.name()).map(|row| Event::read(row).unwrap()));
    }
}

fn keys_in(dir: &Path) -> Vec<MasterKey> {
    let text = std::fs::read_to_string(dir.join("master.key")).unwrap();
    text.lines().map(|line| MasterKey::parse(line).unwrap()).collect()
}

/// Everything that must hold once a rotation has ended, by whoever ended it.
async fn is_done(dir: &Path, env: &Env, app: App, old: &MasterKey, expected: &BTreeMap<String, String>) {
    let key = app.world.deployment.master_key.clone();
    assert_ne!(key.fingerprint(), old.fingerprint());
    assert_eq!(secrets(&app).await, *expected);
    let told = events(&app, EventKind::MasterKeyRotated).await;
    assert_eq!(told.len(), 1, "told once: {told:?}");
    assert_eq!(told[0].data["from"], old.fingerprint());
    assert_eq!(told[0].data["to"], key.fingerprint());
    let row = serde_json::to_string(&told).unwrap();
    assert!(!row.contains(old.encoded().expose()) && !row.contains(key.encoded().expose()));
    let report = app.world.store.verify_log().await.unwrap();
    assert!(report.broken.is_none() && report.checkpoints > 0, "{report:?}");
    app.world.store.close().await;
    drop(app);

    let kept = keys_in(dir);
    assert_eq!(kept.len(), 1, "the old key is gone from the file");
    assert_eq!(kept[0].fingerprint(), key.fingerprint());
    let names: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_str().unwrap().contains(".new")), "nothing is left aside: {names:?}");

    let given: Environment = [("AUTHD_MASTER_KEY".to_owned(), old.encoded().expose().to_owned())].into_iter().collect();
    let refused = open(dir, env, &given).await.err().expect("the old key alone opens nothing");
    assert_eq!(refused.code(), "master_key_wrong");

    let app = start(dir, env).await;
    assert_eq!(secrets(&app).await, *expected);
    let report = app.world.store.verify_log().await.unwrap();
    assert!(report.broken.is_none(), "{report:?}");
    let (old_opens, rest) = opened_by(&app, old).await;
    assert!(old_opens == 0 && rest > expected.len() as u64, "{old_opens} of {rest} open with the old key");
    assert_eq!(events(&app, EventKind::MasterKeyRotated).await.len(), 1);
    app.world.store.close().await;
}

#[tokio::test]
async fn adm_04_a_crash_at_any_step_of_a_rotation_loses_nothing_and_is_gone_on_from() {
    // More than one chunk, so that a crash can be between two.
    const CONNECTIONS: usize = 230;
    for crash_after in ["begin", "turn", "a chunk", "reseal", "conclude"] {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::frozen();
        let app = start(dir.path(), &env).await;
        connections(&app, CONNECTIONS).await;
        assert!(app.world.store.checkpoint().await.unwrap().is_some());
        let expected = secrets(&app).await;
        let old = keys_in(dir.path()).remove(0);

        let cx = operator(&app);
        let next = rotation::begin(&cx).unwrap();
        assert_eq!(keys_in(dir.path()).len(), 2, "both keys are kept before anything is sealed under the new one");
        if crash_after != "begin" {
            rotation::turn(&cx, &next);
        }
        if crash_after == "a chunk" {
            let chunk = sealed().remove(0).reseal(&cx, None).await.unwrap();
            assert!(chunk.next.is_some() && chunk.resealed > 0, "{chunk:?}");
        }
        if matches!(crash_after, "reseal" | "conclude") {
            let records = rotation::walk(&cx).await.unwrap().0;
            assert!(records >= CONNECTIONS as u64, "{records}");
            if crash_after == "conclude" {
                // The event is written, and the old key still in the file.
                let both = std::fs::read(dir.path().join("master.key")).unwrap();
                rotation::conclude(&cx, records).await.unwrap();
                std::fs::write(dir.path().join("master.key"), both).unwrap();
            }
        }
        assert_eq!(secrets(&app).await, expected, "{crash_after}: everything opens meanwhile");
        app.world.store.close().await;
        drop((app, cx));

        let again = start(dir.path(), &env).await;
        assert_eq!(again.world.deployment.master_key.fingerprint(), next.fingerprint(), "{crash_after}");
        is_done(dir.path(), &env, again, &old, &expected).await;
    }
}

#[tokio::test]
async fn a_whole_rotation_and_another_after_it() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::frozen();
    let app = start(dir.path(), &env).await;
    connections(&app, 3).await;
    app.world.store.checkpoint().await.unwrap();
    let expected = secrets(&app).await;
    let old = keys_in(dir.path()).remove(0);
    let cx = operator(&app);
    let shown = app.perform(&cx, "master_key.show", json!({})).await.unwrap();
    assert_eq!(shown["fingerprint"], old.fingerprint());
    assert_eq!((&shown["source"], &shown["unfinished"], &shown["ageDays"]), (&json!("file"), &json!(false), &json!(0)));
    assert!(!shown.to_string().contains(old.encoded().expose()));

    let rotated = app.perform(&cx, "master_key.rotate", json!({})).await.unwrap();
    assert_eq!(rotated["previous"], old.fingerprint());
    assert_eq!(rotated["records"], 5, "three connections and the first two signing keys");
    let shown = app.perform(&cx, "master_key.show", json!({})).await.unwrap();
    assert_eq!(shown["fingerprint"], rotated["fingerprint"]);
    assert_eq!(shown["previous"], json!([old.fingerprint()]), "it still opens what is out there");
    is_done(dir.path(), &env, app, &old, &expected).await;

    let app = start(dir.path(), &env).await;
    let again = app.perform(&operator(&app), "master_key.rotate", json!({})).await.unwrap();
    assert_eq!(again["previous"], rotated["fingerprint"]);
    assert_eq!(secrets(&app).await, expected);
    let report = app.world.store.verify_log().await.unwrap();
    assert!(report.broken.is_none() && report.checkpoints > 0, "{report:?}");
}

#[tokio::test]
async fn a_key_from_the_environment_is_changed_there_and_the_start_does_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let env = Env::frozen();
    let (old, new) = (MasterKey::generate(&env), MasterKey::generate(&env));
    let given = |pairs: &[(&str, &MasterKey)]| -> Environment {
        pairs.iter().map(|(name, key)| ((*name).to_owned(), key.encoded().expose().to_owned())).collect()
    };
    let app = open(dir.path(), &env, &given(&[("AUTHD_MASTER_KEY", &old)])).await.unwrap();
    connections(&app, 3).await;
    let expected = secrets(&app).await;
    let refused = app.perform(&operator(&app), "master_key.rotate", json!({})).await.unwrap_err();
    assert_eq!(refused.code(), "master_key_from_environment");
    assert!(refused.next_step().unwrap().contains("AUTHD_MASTER_KEY_PREVIOUS"));
    app.world.store.close().await;
    drop(app);

    let alone = open(dir.path(), &env, &given(&[("AUTHD_MASTER_KEY", &new)])).await.err().unwrap();
    assert_eq!(alone.code(), "master_key_wrong");
    let both = given(&[("AUTHD_MASTER_KEY", &new), ("AUTHD_MASTER_KEY_PREVIOUS", &old)]);
    for _ in 0..2 {
        let app = open(dir.path(), &env, &both).await.unwrap();
        assert_eq!(secrets(&app).await, expected);
        assert_eq!(events(&app, EventKind::MasterKeyRotated).await.len(), 1, "the second start has nothing to do");
        app.world.store.close().await;
    }
    let app = open(dir.path(), &env, &given(&[("AUTHD_MASTER_KEY", &new)])).await.unwrap();
    assert_eq!(secrets(&app).await, expected);
    assert_eq!(opened_by(&app, &old).await.0, 0);
    assert!(!dir.path().join("master.key").exists(), "nothing of it is written down");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_leaves_everything_as_it_was() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let (dir, mounted) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let env = Env::frozen();
    let app = start(dir.path(), &env).await;
    app.world.store.close().await;
    drop(app);
    // A secret that is mounted somewhere else: the link stays, and what is behind it changes.
    let (link, real) = (dir.path().join("master.key"), mounted.path().join("key"));
    std::fs::rename(&link, &real).unwrap();
    symlink(&real, &link).unwrap();
    let app = start(dir.path(), &env).await;
    let before = app.world.deployment.master_key.fingerprint();
    app.perform(&operator(&app), "master_key.rotate", json!({})).await.unwrap();
    let after = app.world.deployment.master_key.fingerprint();
    assert!(link.is_symlink());
    assert_eq!(keys_in(dir.path())[0].fingerprint(), after);
    assert_ne!(before, after);
    let mode = std::fs::metadata(&real).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    std::fs::remove_file(&real).unwrap();
    let refused = app.perform(&operator(&app), "master_key.rotate", json!({})).await.unwrap_err();
    assert_eq!(refused.code(), "master_key_invalid");
    assert_eq!(app.world.deployment.master_key.fingerprint(), after, "nothing has turned");
    let (_, rest) = opened_by(&app, &MasterKey::generate(&env)).await;
    assert!(rest > 0);
}

/// Where a sealed value is kept: in which kind of record; or why it is in none.
const PLACES: &[(&str, &str)] = &[
    ("access/canary.rs", "the master key's own row, which goes last"),
    ("connection/ldap/config.rs", "connection"),
    ("connection/ldap/settings.rs", "connection"),
    ("connection/oidc/config.rs", "connection"),
    ("connection/protocol.rs", "attempt"),
    ("connection/record.rs", "connection"),
    ("connection/saml/look.rs", "connection"),
    ("connection/saml/service.rs", "connection"),
    ("connection/settings.rs", "connection"),
    ("provider/refresh.rs", "refresh_family"),
    ("signin/attempt.rs", "attempt"),
    ("signin/ticket.rs", "with the browser, for an hour; the older key opens it while the process lives"),
    ("token/signing_key.rs", "signing_key"),
    ("webhook/endpoint.rs", "webhook_endpoint"),
    ("webhook/inbound/endpoint.rs", "webhook_inbound"),
    ("webhook/secret.rs", "webhook_endpoint"),
];

#[test]
fn every_place_that_seals_is_known_to_the_rotation() {
    fn walk(dir: &Path, see: &mut impl FnMut(&Path, &str)) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, see);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                see(&path, &std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let kinds: Vec<&str> = sealed().iter().map(|kind| kind.kind()).collect();
    let mut wrong = Vec::new();
    let mut seen = Vec::new();
    walk(&root, &mut |path, text| {
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let code: String = text
            .split("#[cfg(test)]\nmod ")
            .next()
            .unwrap()
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"))
            .collect::<Vec<_>>()
            .join("\n");
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let names_sealed = code.split(|c| !word(c)).any(|name| matches!(name, "Sealed" | "Sealing"));
        let seals = code.contains(".seal(") && code.contains("master_key");
        if file.starts_with("crypto/") || file.starts_with("care/") || !(names_sealed || seals) {
            return;
        }
        match PLACES.iter().find(|(known, _)| *known == file) {
            // A name is a kind that is walked over; a reason has spaces.
            Some((_, place)) if place.contains(' ') || kinds.contains(place) => seen.push(file),
            Some((_, place)) => wrong.push(format!("{file}: `{place}` is not in the list of `care::sealed`")),
            None => wrong.push(format!("{file}: seals something that a rotation does not know of")),
        }
    });
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    let idle: Vec<_> = PLACES.iter().filter(|(file, _)| !seen.iter().any(|known| known == file)).collect();
    assert!(idle.is_empty(), "these seal nothing: {idle:?}");
    // Each kind of the list is the place of something.
    assert!(kinds.iter().all(|kind| PLACES.iter().any(|(_, place)| place == kind)), "{kinds:?}");
}
