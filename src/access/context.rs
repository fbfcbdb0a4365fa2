//! What an operation or a flow is given: who asks, and the world.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Caller;
use crate::config::PublicUrl;
use crate::crypto::MasterKey;
use crate::env::Env;
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind, Origin};
use crate::id::OrganizationId;
use crate::store::Store;

/// What is the same for every request of this process.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The base of every link, and the issuer.
    pub public_url: PublicUrl,
    /// Opens what is sealed.
    pub master_key: MasterKey,
    /// How long a signing key signs before it hands over by itself; never without.
    pub rotate_every: Option<Duration>,
}

/// What every door holds: the world, before anybody has asked. Cheap to clone.
#[derive(Clone)]
pub struct World {
    /// Clock, randomness, outbound HTTP, DNS.
    pub env: Env,
    /// What is kept.
    pub store: Store,
    /// What is the same for everybody.
    pub deployment: Arc<Deployment>,
}

impl World {
    /// The context of one request.
    pub fn context(&self, caller: Caller, origin: Origin) -> Context {
        Context {
            caller,
            origin,
            env: self.env.clone(),
            store: self.store.clone(),
            deployment: Arc::clone(&self.deployment),
        }
    }
}

/// Who asks, from where, and the world to answer from. Cheap to clone.
#[derive(Clone)]
pub struct Context {
    /// Who asks.
    pub caller: Caller,
    /// From where.
    pub origin: Origin,
    /// Clock, randomness, outbound HTTP, DNS.
    pub env: Env,
    /// What is kept.
    pub store: Store,
    /// What is the same for everybody.
    pub deployment: Arc<Deployment>,
}

impl Context {
    /// An event of now by this caller.
    pub fn event(&self, kind: EventKind) -> Event {
        Event::new(&self.env, kind, &self.caller.actor(), &self.origin)
    }

    /// The organization that a list is narrowed to: the one named, or else the caller's own; all of them for the operator.
    pub fn narrowed(&self, named: Option<OrganizationId>) -> Option<OrganizationId> {
        named.or_else(|| self.caller.organization())
    }

    /// The organization that is meant: the one named, or else the caller's own.
    /// Errors: `invalid_input` when neither is there.
    pub fn organization(&self, named: Option<OrganizationId>) -> Result<OrganizationId> {
        named.or_else(|| self.caller.organization()).ok_or_else(|| {
            Error::says(&codes::INVALID_INPUT, "The organization is missing.")
                .help("Name it: `--org org_…` (`organization` in JSON).")
        })
    }
}
