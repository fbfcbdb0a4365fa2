//! What happens is told to a team's own servers: signed, in order, at least once, to nobody else.

mod endpoints;
mod inbound;
mod long;
pub mod secrets;
mod sending;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use authd::access::Deployment;
use authd::config::PublicUrl;
use authd::crypto::MasterKey;
use authd::env::{Env, Outbound, Request, Response};
use authd::error::{Error, Result, codes};
use authd::store::Store;
use serde_json::{Value, json};

use crate::world::authd::Authd;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Heard {
    pub host: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn kind(&self) -> String {
        self.json()["type"].as_str().unwrap().to_owned()
    }

    /// What the library of Standard Webhooks says to it.
    pub fn verifies(&self, secret: &str) -> bool {
        self.verifies_as(secret, &self.body)
    }

    /// The library's own signature is one of those that came. Its `verify` asks the clock of the machine.
    pub fn verifies_as(&self, secret: &str, body: &[u8]) -> bool {
        let webhook = standardwebhooks::Webhook::new(secret).unwrap();
        let seconds = self.headers["webhook-timestamp"].parse().unwrap();
        let signature = webhook.sign(&self.headers["webhook-id"], seconds, body).unwrap();
        self.headers["webhook-signature"].split(' ').any(|given| given == signature)
    }
}

/// Receivers by host, that answer as they are told.
#[derive(Default)]
pub struct Receivers {
    answers: Mutex<BTreeMap<String, Option<u16>>>,
    heard: Mutex<Vec<Heard>>,
    /// The header that is in every answer.
    header: Mutex<Option<(&'static str, String)>>,
}

#[async_trait]
impl Outbound for Receivers {
    async fn send(&self, request: Request) -> Result<Response> {
        let host = request.url.host_str().unwrap().to_owned();
        let headers =
            request.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()));
        self.heard.lock().unwrap().push(Heard {
            host: host.clone(),
            headers: headers.collect(),
            body: request.body.clone(),
        });
        match self.answers.lock().unwrap().get(&host).copied().unwrap_or(Some(204)) {
            Some(status) => {
                let mut headers = axum::http::HeaderMap::new();
                if let Some((name, value)) = &*self.header.lock().unwrap() {
                    headers.insert(*name, value.parse().unwrap());
                }
                Ok(Response { status, headers, body: b"noted".to_vec() })
            }
            None => Err(Error::new(&codes::UPSTREAM_UNAVAILABLE)),
        }
    }
    fn permits(&self, url: &url::Url) -> Result<()> {
        match url.host_str() {
            Some("169.254.169.254" | "localhost") => Err(Error::new(&codes::OUTBOUND_NOT_ALLOWED)),
            _ => Ok(()),
        }
    }
}

pub struct Scene {
    pub authd: Authd,
    pub receivers: Arc<Receivers>,
    pub acme: String,
}

impl Scene {
    pub async fn new() -> Self {
        let receivers = Arc::new(Receivers::default());
        let env = Env::frozen().with_outbound(receivers.clone());
        let store = Store::in_memory(env.clone()).unwrap();
        let deployment = Deployment {
            public_url: PublicUrl::parse("http://127.0.0.1:8080").unwrap(),
            master_key: MasterKey::generate(&env),
            rotate_every: None,
        };
        let authd = Authd::of(store, deployment, env).await;
        let acme = authd.operate("organization.create", json!({"name": "Acme"})).await;
        let scene = Self { authd, receivers, acme: acme["id"].as_str().unwrap().to_owned() };
        scene.turn().await;
        scene
    }

    /// Sends what is due; answers how many calls were tried.
    pub async fn turn(&self) -> usize {
        self.authd.app.outbox.turn(&self.authd.app.world).await.unwrap()
    }

    /// An endpoint at that host, and its secret.
    pub async fn endpoint(&self, host: &str, more: Value) -> (String, String) {
        let mut input = json!({"organization": self.acme, "url": format!("https://{host}/hooks")});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.authd.operate("webhook.create", input).await;
        (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap_or_default().to_owned())
    }

    /// A person; one event, at least.
    pub async fn somebody(&self, name: &str) -> String {
        let input = json!({"organization": self.acme, "email": format!("{name}@acme.test")});
        self.authd.operate("user.create", input).await["id"].as_str().unwrap().to_owned()
    }

    pub fn answers(&self, host: &str, status: Option<u16>) {
        self.receivers.answers.lock().unwrap().insert(host.to_owned(), status);
    }

    /// What stands in the head of every answer from now on.
    pub fn answers_with(&self, name: &'static str, value: &str) {
        *self.receivers.header.lock().unwrap() = Some((name, value.to_owned()));
    }

    pub fn heard(&self, host: &str) -> Vec<Heard> {
        self.receivers.heard.lock().unwrap().iter().filter(|heard| heard.host == host).cloned().collect()
    }

    pub fn forget(&self) {
        self.receivers.heard.lock().unwrap().clear();
    }
}
