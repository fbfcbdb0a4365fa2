//! # simulator::saml — the simulator as a SAML 2.0 identity provider
//!
//! *Owns* the SAML half: services that may ask, keys with certificates, messages as text.
//! *Gives* routes to `Simulator::router`, `Simulator::register_saml`.
//! *Needs* the simulator's people and environment. *Never* parses what comes back, and shares no code with the service
//! provider that it tests: it writes canonical form at once instead of making it, and signs and encrypts by itself.
//!
//! ```text
//!  GET /saml/sso?SAMLRequest ──► page: choose a fault, click a person ──► POST /saml/sso ──► form ──► POST acs
//!  POST /saml/sso (SAMLRequest) ─┘                                          GET /saml/metadata
//! ```

mod answer;
mod ask;
mod door;
mod fault;
mod key;

use std::sync::{Arc, Mutex};

pub(super) use door::routes;
pub use fault::AnswerFault;

use super::{Simulator, lock};
use crate::error::Result;
use key::SigningKey;

/// Who may ask the simulator by SAML: what its administrator would have registered.
#[derive(Clone, Debug)]
pub struct SamlClient {
    /// The service's entity id.
    pub entity_id: String,
    /// Where its answers are posted, exactly.
    pub acs_url: String,
    /// The certificate that assertions are encrypted to, DER.
    pub certificate: Option<Vec<u8>>,
    /// As the page calls it.
    pub name: String,
    /// The domain that the addresses of `demo.example` are of in its answers, if another.
    pub domain: Option<String>,
}

impl SamlClient {
    /// An address, as this service is told it.
    fn address(&self, email: &str) -> String {
        match (&self.domain, email.strip_suffix("@demo.example")) {
            (Some(domain), Some(local)) => format!("{local}@{domain}"),
            _ => email.to_owned(),
        }
    }
}

/// What was posted last: to be posted once more.
#[derive(Clone)]
struct Posted {
    service: String,
    answer: String,
    relay_state: Option<String>,
}

/// What the SAML half keeps.
#[derive(Default)]
pub(super) struct State {
    clients: Mutex<Vec<SamlClient>>,
    /// Published, in their order; the newest signs.
    keys: Mutex<Vec<Arc<SigningKey>>>,
    last: Mutex<Option<Posted>>,
}

impl Simulator {
    /// Its entity id as a SAML identity provider.
    pub fn saml_entity_id(&self) -> String {
        self.0.issuer.at("/saml")
    }

    /// Where its metadata is.
    pub fn saml_metadata_url(&self) -> String {
        self.0.issuer.at("/saml/metadata")
    }

    /// Registers a service; one of the same entity id is replaced.
    pub fn register_saml(&self, client: SamlClient) {
        let mut clients = lock(&self.0.saml.clients);
        clients.retain(|known| known.entity_id != client.entity_id);
        clients.push(client);
    }

    fn saml_client(&self, entity_id: &str) -> Option<SamlClient> {
        lock(&self.0.saml.clients).iter().find(|client| client.entity_id == entity_id).cloned()
    }

    /// The published keys, of which there is at least one. The first is made when it is first asked for: most of those who
    /// run the simulator never speak SAML.
    fn saml_keys(&self) -> Result<Vec<Arc<SigningKey>>> {
        let mut keys = lock(&self.0.saml.keys);
        if keys.is_empty() {
            keys.push(Arc::new(SigningKey::generate()?));
        }
        Ok(keys.clone())
    }

    /// One more published key, which signs from now on.
    fn rotate_saml(&self) -> Result<Arc<SigningKey>> {
        let key = Arc::new(SigningKey::generate()?);
        let mut keys = lock(&self.0.saml.keys);
        if keys.len() >= 4 {
            keys.remove(0);
        }
        keys.push(Arc::clone(&key));
        Ok(key)
    }
}
