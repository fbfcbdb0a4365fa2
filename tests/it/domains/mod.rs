//! Domains: who proves one, what DNS has to keep saying, and what follows when it does not.

mod lists;
mod proof;
mod recheck;
mod rule;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use authd::access::{Caller, Context, Deployment};
use authd::app::App;
use authd::config::PublicUrl;
use authd::connection::domain;
use authd::crypto::MasterKey;
use authd::env::{Clock, Env, Timestamp};
use authd::error::{Result, codes};
use authd::event::{Event, Origin};
use authd::store::{Options, Store};
use serde_json::{Value, json};

use crate::world::zone::Zone;

const DAY: Duration = Duration::from_secs(86_400);
const HOUR: Duration = Duration::from_secs(3_600);

/// A wall clock that goes where it is sent, back too.
struct WallClock(AtomicI64);

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
    fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

/// authd with two organizations, and name servers.
struct Scene {
    app: App,
    env: Env,
    zone: Arc<Zone>,
    clock: Arc<WallClock>,
    acme: String,
    other: String,
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

fn record(domain: &str) -> String {
    format!("_authd-verification.{domain}")
}

impl Scene {
    async fn new() -> Self {
        Self::on(Store::in_memory).await
    }

    async fn on(open: impl FnOnce(Env) -> Result<Store>) -> Self {
        let (zone, clock) = (Arc::new(Zone::default()), Arc::new(WallClock(AtomicI64::new(1_767_225_600_000))));
        let env = Env::frozen().with_dns(zone.clone()).with_clock(clock.clone());
        let deployment = Deployment {
            public_url: PublicUrl::parse("https://id.example.com").unwrap(),
            master_key: MasterKey::generate(&env),
            rotate_every: None,
        };
        let app = App::on(open(env.clone()).unwrap(), deployment, env.clone()).await.unwrap();
        let mut scene = Self { app, env, zone, clock, acme: String::new(), other: String::new() };
        scene.acme = text(&scene.operate("organization.create", json!({"name": "Acme"})).await, "id");
        scene.other = text(&scene.operate("organization.create", json!({"name": "Other"})).await, "id");
        scene
    }

    /// In a file, to be opened again.
    async fn in_file(path: &std::path::Path) -> Self {
        let path = path.to_owned();
        Self::on(move |env| Store::open(&path, env, Options::new([7; 32]))).await
    }

    /// The same authd, stopped and started.
    async fn restart(self, path: &std::path::Path) -> Self {
        let deployment = Deployment::clone(&self.app.world.deployment);
        self.app.world.store.close().await;
        let Self { app, env, zone, clock, acme, other } = self;
        drop(app);
        let store = Store::open(path, env.clone(), Options::new([7; 32])).unwrap();
        let app = App::on(store, deployment, env.clone()).await.unwrap();
        Self { app, env, zone, clock, acme, other }
    }

    fn context(&self, caller: Caller) -> Context {
        self.app.context(caller, Origin::internal(&self.env))
    }

    async fn call(&self, name: &str, input: Value) -> Result<Value> {
        self.app.perform(&self.context(Caller::Operator { uid: 0 }), name, input).await
    }

    async fn operate(&self, name: &str, input: Value) -> Value {
        self.call(name, input.clone()).await.unwrap_or_else(|error| panic!("{name} {input}: {error:?}"))
    }

    async fn refused(&self, name: &str, input: Value) -> &'static str {
        let error = self.call(name, input).await.unwrap_err();
        codes::ALL.iter().find(|code| error.is(code)).unwrap().name
    }

    async fn connect(&self, organization: &str, domains: &[&str]) -> String {
        let wish = json!({"organization": organization, "protocol": "oidc", "name": "IdP", "domains": domains});
        text(&self.operate("connection.create", wish).await, "id")
    }

    /// Puts the record of the open challenge into DNS.
    async fn publish(&self, connection: &str, domain: &str) -> String {
        let asked = self.operate("domain.request", json!({"connection": connection, "domain": domain})).await;
        let value = text(&asked["challenge"], "recordValue");
        self.zone.set(&text(&asked["challenge"], "recordName"), &["v=spf1 -all", &value]);
        value
    }

    /// A connection with the domain proved by DNS, and the record's text.
    async fn proved(&self, organization: &str, domain: &str) -> (String, String) {
        let connection = self.connect(organization, &[domain]).await;
        let value = self.publish(&connection, domain).await;
        self.operate("domain.verify", json!({"connection": connection, "domain": domain})).await;
        (connection, value)
    }

    async fn view(&self, connection: &str, name: &str) -> Value {
        let list = self.operate("domain.list", json!({"connection": connection})).await;
        let found = list["domains"].as_array().unwrap().iter().find(|domain| domain["domain"] == name).cloned();
        found.unwrap_or_else(|| panic!("no {name} in {list}"))
    }

    /// One round of the chore.
    async fn chore(&self) -> usize {
        domain::recheck_due(&self.context(Caller::System), 64).await.unwrap()
    }

    /// The chore, every hour for so long.
    async fn live(&self, by: Duration) {
        self.live_in(HOUR, by).await;
    }

    /// The chore, now and then for so long.
    async fn live_in(&self, steps: Duration, by: Duration) {
        for _ in 0..by.as_secs() / steps.as_secs() {
            self.env.advance(steps);
            self.chore().await;
        }
    }

    fn jump(&self, days: i64) {
        self.clock.0.fetch_add(days * 86_400_000, Ordering::SeqCst);
    }

    /// The connection that people of the domain are routed to.
    async fn routed(&self, name: &str) -> Option<String> {
        let owner = domain::owner_of(&self.app.world.store, name).await.unwrap();
        owner.map(|domain| domain.connection.to_string())
    }

    async fn events(&self) -> Vec<Event> {
        let (mut after, mut events) = (0, Vec::new());
        loop {
            let rows = self.app.world.store.tail(after, 1_000, None).await.unwrap();
            let Some(last) = rows.last() else { return events };
            after = last.row.seq;
            events.extend(rows.iter().map(|row| Event::read(row).unwrap()));
        }
    }

    /// What was told about proofs, in order, since the event of that number.
    async fn told(&self, since: usize) -> Vec<(String, Value)> {
        let kinds = ["recheck_failed", "recovered", "loss_near", "lost"];
        let events = self.events().await.split_off(since);
        let named = events.into_iter().filter_map(|event| {
            let kind = event.kind.name().strip_prefix("connection.domain.")?.to_owned();
            kinds.contains(&kind.as_str()).then(|| (kind, json!(event.data)))
        });
        named.collect()
    }
}
