//! # app — every module, built once
//!
//! *Owns* the one place where modules are put together: the world, the registry of protocols, the catalogue.
//! *Gives* `App::open`, `App::perform`, and who a bearer is.
//! *Needs* everything below. *Never* has a rule of its own.

use std::sync::Arc;

use serde_json::Value;

use crate::access::throttle::{self, Rule};
use crate::access::{self, ApiKey, Caller, Catalogue, Context, Deployment, World};
use crate::config::{Config, PublicUrl};
use crate::connection::{self, Registry};
use crate::crypto::MasterKey;
use crate::directory::{self, Organization};
use crate::env::Env;
use crate::error::{Error, Result, codes};
use crate::event::Origin;
use crate::people;
use crate::provider;
use crate::session;
use crate::signin;
use crate::store::{Batch, Options, Store};
use crate::token::{self, Keyring};

/// What an app is opened with.
pub struct Settings {
    /// What was decided at start-up.
    pub config: Config,
    /// The base of every link, and the issuer.
    pub public_url: PublicUrl,
    /// Opens what is sealed.
    pub master_key: MasterKey,
    /// The world.
    pub env: Env,
}

/// authd on an open store. Cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The world.
    pub world: World,
    /// The upstream protocols, with what they remember between requests.
    pub registry: Registry,
    /// The signing keys, unsealed.
    pub keyring: Keyring,
    /// Every operation there is.
    pub catalogue: Arc<Catalogue>,
}

/// Every operation there is.
pub fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for module in [
        access::catalogue,
        session::catalogue,
        directory::catalogue,
        connection::catalogue,
        people::catalogue,
        token::catalogue,
        provider::catalogue,
        signin::catalogue,
    ] {
        catalogue = module(catalogue);
    }
    catalogue
}

impl App {
    /// Opens the store, and makes what a first start needs.
    /// Errors: `data_dir_in_use`, `storage_corrupt`, `storage_newer`, `storage_full`, `storage_error`, `master_key_wrong`.
    pub async fn open(settings: Settings) -> Result<Self> {
        let Settings { config, public_url, master_key, env } = settings;
        let options =
            Options { cache_bytes: config.store.cache_bytes, checkpoint_seed: *master_key.derive("checkpoint") };
        let store = Store::open(&config.data_dir.database(), env.clone(), options)?;
        Self::on(store, Deployment { public_url, master_key }, env).await
    }

    /// On a store that is open already. Errors: as `open`.
    pub async fn on(store: Store, deployment: Deployment, env: Env) -> Result<Self> {
        let mut batch = Batch::new();
        access::check_master_key(&env, &store, &deployment, &mut batch).await?;
        if !batch.is_empty() {
            store.commit(batch).await?;
        }
        let world = World { env, store, deployment: Arc::new(deployment) };
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        let keyring = Keyring::new();
        keyring.ensure(&cx).await?;
        Ok(Self { world, registry: Registry::new(), keyring, catalogue: Arc::new(catalogue()) })
    }

    /// The context of one request.
    pub fn context(&self, caller: Caller, origin: Origin) -> Context {
        self.world.context(caller, origin)
    }

    /// Performs an operation by name. Errors: `not_found` for an unknown name, and those of the operation.
    pub async fn perform(&self, cx: &Context, name: &str, input: Value) -> Result<Value> {
        let operation = self.catalogue.find(name).ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        operation.perform(cx, input).await
    }

    /// Who a bearer is: the holder of an API key, or of an access token for authd's own API. Errors: `not_signed_in`;
    /// `rate_limited` instead where too many came from one address that open nothing. One that holds always opens.
    pub async fn authenticate(&self, bearer: &str, origin: Origin) -> Result<Caller> {
        let known = self.known(bearer, origin.clone()).await;
        if let Err(error) = &known
            && error.is(&codes::NOT_SIGNED_IN)
        {
            let cx = self.context(Caller::Anonymous, origin);
            throttle::check(&cx, Rule::Bearer, throttle::address(&cx)).await?;
            let mut batch = Batch::new();
            throttle::count(&cx, Rule::Bearer, throttle::address(&cx), &mut batch).await?;
            self.world.store.commit(batch).await?;
        }
        known
    }

    async fn known(&self, bearer: &str, origin: Origin) -> Result<Caller> {
        if ApiKey::looks_like(bearer) {
            let caller = ApiKey::authenticate(&self.world.store, self.world.env.now(), bearer).await?;
            if let Some(organization) = caller.organization() {
                Organization::open(&self.world.store, organization)
                    .await
                    .map_err(|error| Error::new(&codes::NOT_SIGNED_IN).because(error))?;
            }
            return Ok(caller);
        }
        token::verify_api(&self.context(Caller::Anonymous, origin), &self.keyring, bearer).await
    }
}
