//! # app — every module, built once
//!
//! *Owns* the one place where modules are put together: the world, the registry of protocols, the catalogue.
//! *Gives* `App::open`, `App::perform`, and who a bearer is.
//! *Needs* everything below. *Never* has a rule of its own.

use std::sync::Arc;

use serde_json::Value;

use crate::access::{self, Caller, Catalogue, Context, Deployment, World};
use crate::audit;
use crate::care;
use crate::config::{Config, PublicUrl};
use crate::connection::{self, Registry};
use crate::crypto::MasterKey;
use crate::directory::{self, Membership};
use crate::env::Env;
use crate::error::{Error, Result, codes};
use crate::event::{EventKind, Origin};
use crate::governance;
use crate::outbox::Outbox;
use crate::people;
use crate::provider::{self, backchannel::BackchannelLogout};
use crate::scim;
use crate::session;
use crate::signin;
use crate::store::{Batch, Options, Reencode, Store};
use crate::token::{self, Keyring};
use crate::webhook::{self, Webhooks};

mod backup;
mod restore;

pub use backup::CreateBackup;
pub use restore::{Restore, Restored};

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
    /// What has to go out.
    pub outbox: Outbox,
    /// Every operation there is.
    pub catalogue: Arc<Catalogue>,
}

/// Every operation there is.
pub fn catalogue() -> Catalogue {
    let mut catalogue = Catalogue::new();
    for module in [
        access::catalogue,
        audit::catalogue,
        session::catalogue,
        directory::catalogue,
        connection::catalogue,
        governance::catalogue,
        people::catalogue,
        webhook::catalogue,
        token::catalogue,
        provider::catalogue,
        signin::catalogue,
        scim::catalogue,
        care::catalogue,
    ] {
        catalogue = module(catalogue);
    }
    catalogue.with::<CreateBackup>()
}

/// The kinds whose rows an upgrade of the database writes anew: those that are encoded or found otherwise than in an
/// earlier layout.
fn reencoded() -> Vec<Reencode> {
    vec![Reencode::of::<Membership>(), Reencode::of::<provider::App>()]
}

/// How the store of this configuration is opened.
fn options(config: &Config, master_key: &MasterKey) -> Options {
    Options {
        cache_bytes: config.store.cache_bytes,
        reencode: reencoded(),
        ..Options::new(*master_key.derive("checkpoint"))
    }
}

impl App {
    /// Opens the store, and makes what a first start needs.
    /// Errors: `data_dir_in_use`, `storage_corrupt`, `storage_newer`, `storage_full`, `storage_error`, `master_key_wrong`.
    pub async fn open(settings: Settings) -> Result<Self> {
        let Settings { config, public_url, master_key, env } = settings;
        let store = Store::open(&config.data_dir.database(), env.clone(), options(&config, &master_key))?;
        let rotate_every = config.keys.rotate_every;
        Self::on(store, Deployment { public_url, master_key, rotate_every }, env).await
    }

    /// On a store that is open already. Errors: as `open`.
    pub async fn on(store: Store, deployment: Deployment, env: Env) -> Result<Self> {
        let mut batch = Batch::new();
        let seed = access::check_master_key(&env, &store, &deployment, &mut batch).await?;
        let world = World { env, store, deployment: Arc::new(deployment) };
        let cx = world.context(Caller::System, Origin::internal(&world.env));
        if let Some(upgraded) = world.store.upgraded() {
            let event = cx.event(EventKind::StoreUpgraded).with("from", upgraded.from).with("to", upgraded.to);
            batch.log(event.with("rows", upgraded.rows));
        }
        if !batch.is_empty() {
            world.store.commit(batch).await?;
        }
        world.store.sign_checkpoints_with(&seed)?;
        care::finish_rotation(&cx).await;
        let keyring = Keyring::new();
        keyring.ensure(&cx).await?;
        let outbox = Outbox::new(vec![Box::new(BackchannelLogout::new(keyring.clone())), Box::new(Webhooks)]);
        Ok(Self { world, registry: Registry::new(), keyring, outbox, catalogue: Arc::new(catalogue()) })
    }

    /// The context of one request.
    pub fn context(&self, caller: Caller, origin: Origin) -> Context {
        self.world.context(caller, origin)
    }

    /// Performs an operation by name. Errors: `not_found` for an unknown name, and those of the operation.
    pub async fn perform(&self, cx: &Context, name: &str, input: Value) -> Result<Value> {
        let operation = self.catalogue.find(name).ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        let performed = operation.perform(cx, input).await;
        if operation.name().starts_with(token::KEY_OPERATIONS) {
            // What was done to the keys holds from the next request on.
            self.keyring.forget();
        }
        performed
    }

    /// Who a bearer is: the holder of an API key, or of an access token for authd's own API. One that holds always opens;
    /// one that is refused is an event. Errors: `not_signed_in`, `sso_required`; `rate_limited` instead where too many came
    /// from one address that open nothing.
    pub async fn authenticate(&self, bearer: &str, origin: Origin) -> Result<Caller> {
        let cx = self.context(Caller::Anonymous, origin);
        let known = token::authenticate(&cx, &self.keyring, bearer).await;
        if let Err(error) = &known
            && (error.is(&codes::NOT_SIGNED_IN) || error.is(&codes::SSO_REQUIRED))
        {
            access::bearer::refused(&cx, error).await?;
        }
        known
    }
}
