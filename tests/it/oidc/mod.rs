//! authd as a relying party, against a provider that misbehaves. One test an id of the security catalogue.

mod claims;
mod discovery;
mod flow;
mod keys;
mod signature;
mod wycheproof;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use authd::access::{Caller, Context, Deployment, World};
use authd::config::PublicUrl;
use authd::connection::oidc::{Caches, Config, Oidc, secret_place};
use authd::connection::protocol::{Answer, Authenticated, Begin, BeginRequest, Checks, Protocol as _};
use authd::crypto::MasterKey;
use authd::env::{Env, NoDns, Outbound};
use authd::error::{Error, Result};
use authd::event::Origin;
use authd::http::{Fetch, OutboundRules};
use authd::id::{ConnectionId, RequestId};
use authd::store::Store;

use crate::world::op::{CLIENT_ID, CLIENT_SECRET, MockOp};

/// An outbound client that may call the given places, and nothing else that is private.
pub fn outbound(allow: &[&str]) -> Arc<dyn Outbound> {
    Arc::new(Fetch::new(OutboundRules::parse(allow).unwrap(), Arc::new(NoDns), &[] as &[&str]).unwrap())
}

pub fn context(env: &Env) -> Context {
    let deployment = Deployment {
        public_url: PublicUrl::parse("https://id.example.com").unwrap(),
        master_key: MasterKey::generate(env),
        rotate_every: None,
    };
    let world =
        World { env: env.clone(), store: Store::in_memory(env.clone()).unwrap(), deployment: Arc::new(deployment) };
    world.context(Caller::System, Origin { request: RequestId::new(env), ip: None, user_agent: None })
}

/// A connection to one provider.
pub struct Scene {
    pub op: MockOp,
    pub cx: Context,
    pub connection: ConnectionId,
    pub config: Config,
    pub oidc: Oidc,
}

/// A sign-in that was begun.
pub struct Begun {
    pub url: String,
    pub kept: Vec<u8>,
    pub state: String,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::over(MockOp::start().await, change)
    }

    fn over(op: MockOp, change: impl FnOnce(&mut Config)) -> Self {
        let env = Env::frozen().with_outbound(outbound(&[&op.authority()]));
        op.follow(&env);
        let cx = context(&env);
        let connection = ConnectionId::new(&env);
        let mut config = Config::default();
        config.discovery.issuer = Some(op.issuer.clone());
        config.client.id = Some(CLIENT_ID.to_owned());
        let sealed = cx.deployment.master_key.seal(&env, &secret_place(connection), CLIENT_SECRET.as_bytes()).unwrap();
        config.client.secret = Some(sealed);
        change(&mut config);
        let oidc = Oidc::new(connection, config.clone(), Arc::new(Caches::new()));
        Self { op, cx, connection, config, oidc }
    }

    /// Reaches the provider without sockets.
    pub async fn direct() -> Self {
        let mut scene = Self::new().await;
        scene.cx.env = scene.cx.env.clone().with_outbound(scene.op.direct());
        scene
    }

    /// The same connection after a restart: nothing is known of the provider.
    pub fn restart(&mut self) {
        self.oidc = Oidc::new(self.connection, self.config.clone(), Arc::new(Caches::new()));
    }

    pub fn advance(&self, seconds: u64) {
        self.cx.env.advance(Duration::from_secs(seconds));
    }

    pub async fn begin(&self) -> Begun {
        self.begin_with(BeginRequest::default()).await.unwrap()
    }

    pub async fn begin_with(&self, mut request: BeginRequest) -> Result<Begun> {
        request.state = authd::crypto::base64url(&self.cx.env.random::<32>());
        let state = request.state.clone();
        let Begin::Redirect { url, kept } = self.oidc.begin(&self.cx, &request).await? else { panic!("no redirect") };
        Ok(Begun { url, kept, state })
    }

    /// Screens and completes, as the sign-in flow does.
    pub async fn finish(&self, parameters: BTreeMap<String, String>, kept: &[u8]) -> (Result<Authenticated>, Checks) {
        let mut checks = Checks::new();
        let answer = Answer { parameters, ..Answer::default() };
        if let Err(error) = self.oidc.screen(&answer, &mut checks) {
            return (Err(error), checks);
        }
        let outcome = self.oidc.complete(&self.cx, &answer, kept, &mut checks).await;
        (outcome, checks)
    }

    /// A whole sign-in.
    pub async fn sign_in(&self) -> Result<Authenticated> {
        let begun = self.begin().await;
        self.finish(self.op.approve(&begun.url), &begun.kept).await.0
    }

    /// A whole sign-in that must be refused with `code`.
    pub async fn refused(&self, code: &str, what: &str) -> Error {
        let begun = self.begin().await;
        let (outcome, checks) = self.finish(self.op.approve(&begun.url), &begun.kept).await;
        let error = outcome.expect_err(what);
        assert_eq!(error.code(), code, "{what}: {error:?}");
        assert_eq!(checks.rows().last().map(|row| row.ok), Some(false), "{what}: the failing check is the last");
        error
    }
}

pub fn query(url: &str) -> BTreeMap<String, String> {
    let pairs: Vec<(String, String)> = url::Url::parse(url).unwrap().query_pairs().into_owned().collect();
    let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(map.len(), pairs.len(), "no parameter stands twice: {url}");
    map
}
