//! From a connection to what speaks its protocol.

use std::sync::Arc;

use super::breaker::{Breakers, Guarded};
use super::protocol::Protocol;
use super::record::{Connection, ProtocolKind};
use super::settings;
use super::{ldap, oidc, saml};
use crate::access::Context;
use crate::error::{Error, Result, codes};

/// Makes protocols, and holds what they remember between requests (discovery documents, keys). Cheap to clone; one
/// for the process.
#[derive(Clone)]
pub struct Registry {
    oidc: Arc<oidc::Caches>,
    ldap: Arc<ldap::Directories>,
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
        Self { oidc: Arc::new(oidc::Caches::new()), ldap: Arc::default(), breakers: Arc::default() }
    }

    /// The protocol of a connection, whatever its status. Errors: `connection_not_ready`, naming what is missing.
    pub fn protocol(&self, _cx: &Context, connection: &Connection) -> Result<Box<dyn Protocol>> {
        settings::complete(connection)?;
        match connection.protocol {
            ProtocolKind::Oidc => {
                let config = connection.oidc.clone().ok_or_else(|| Error::new(&codes::CONNECTION_NOT_READY))?;
                let breaker = self.breakers.of(connection.id, &config);
                let protocol = Box::new(oidc::Oidc::new(connection.id, config, Arc::clone(&self.oidc)));
                Ok(Box::new(Guarded::new(protocol, breaker, connection.protocol.name())))
            }
            // No breaker: nothing is asked of the provider on the way, the browser goes there.
            ProtocolKind::Saml => Ok(Box::new(saml::Saml::of(connection)?)),
            ProtocolKind::Ldap => {
                let config = connection.ldap.clone().ok_or_else(|| Error::new(&codes::CONNECTION_NOT_READY))?;
                let breaker = self.breakers.of(connection.id, &config);
                let protocol = Box::new(ldap::Ldap::new(connection, config, Arc::clone(&self.ldap)));
                Ok(Box::new(Guarded::new(protocol, breaker, connection.protocol.name())))
            }
        }
    }
}
