//! From a connection to what speaks its protocol.

use std::sync::Arc;

use super::breaker::{Breakers, Guarded};
use super::oidc;
use super::protocol::Protocol;
use super::record::{Connection, ProtocolKind};
use super::settings;
use crate::access::Context;
use crate::error::{Error, Result, codes};

/// Makes protocols, and holds what they remember between requests (discovery documents, keys). Cheap to clone; one
/// for the process.
#[derive(Clone)]
pub struct Registry {
    oidc: Arc<oidc::Caches>,
    breakers: Arc<Breakers>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// With nothing remembered yet.
    pub fn new() -> Self {
        Self { oidc: Arc::new(oidc::Caches::new()), breakers: Arc::default() }
    }

    /// The protocol of a connection, whatever its status. Errors: `connection_not_ready`, naming what is missing.
    pub fn protocol(&self, _cx: &Context, connection: &Connection) -> Result<Box<dyn Protocol>> {
        match connection.protocol {
            ProtocolKind::Oidc => {
                settings::complete(connection)?;
                let config = connection.oidc.clone().ok_or_else(|| Error::new(&codes::CONNECTION_NOT_READY))?;
                let breaker = self.breakers.of(connection.id, &config);
                let protocol = Box::new(oidc::Oidc::new(connection.id, config, Arc::clone(&self.oidc)));
                Ok(Box::new(Guarded::new(protocol, breaker)))
            }
        }
    }
}
