//! # connection::simulator — a test identity provider
//!
//! *Owns* a whole OpenID provider and SAML identity provider with named people and faults that can be chosen for each sign-in.
//! *Gives* `Simulator::router` for a listener on loopback; to `serve --demo`, to tests, to a developer's machine.
//! *Needs* what every HTTP door shares. *Never* runs unless asked for, never off loopback, never keeps anything: keys,
//! codes and tokens are made at the start and gone at the end. It shares no code with the relying party that it
//! tests, so that a mistake of one is not hidden by the same mistake of the other.
//!
//! ```text
//!  GET /authorize ──► page: choose a fault, click a person ──► POST /authorize ──► 303 callback?code&state&iss
//!                                                                                     │
//!  GET /.well-known/openid-configuration, /jwks        POST /token ◄──────────────────┘      GET /userinfo
//! ```

mod authorize;
pub mod directory;
mod door;
mod fault;
mod issue;
mod keys;
mod people;
pub mod saml;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use url::{Host, Url};

pub use fault::Fault;
pub use people::{PEOPLE, Person};

use crate::config::PublicUrl;
use crate::crypto::Secret;
use crate::env::{Env, Timestamp};
use crate::error::{Error, Result, codes};
use keys::SigningKey;

/// How many codes and tokens are remembered at a time.
const MOST: usize = 1_000;
/// How long a code can be redeemed.
const CODE_LIFE: Duration = Duration::from_secs(60);
/// How long a token is good.
const TOKEN_LIFE: Duration = Duration::from_secs(300);

/// Who may ask the simulator: what its administrator would have registered.
#[derive(Clone, Debug)]
pub struct Client {
    /// The client id.
    pub id: String,
    /// The client secret.
    pub secret: Secret,
    /// As the page calls it.
    pub name: String,
    /// Where it may be returned to, exactly.
    pub redirect_uris: Vec<String>,
}

/// What a code or a token stands for.
#[derive(Clone, Debug)]
struct Grant {
    value: String,
    client: String,
    redirect_uri: String,
    challenge: String,
    nonce: Option<String>,
    person: &'static Person,
    fault: Option<Fault>,
    acr: Option<String>,
    signed_in_at: Timestamp,
    expires_at: Timestamp,
}

struct Inner {
    env: Env,
    issuer: PublicUrl,
    clients: Mutex<Vec<Client>>,
    /// Published; the first one signs.
    keys: Mutex<Vec<Arc<SigningKey>>>,
    codes: Mutex<VecDeque<Grant>>,
    tokens: Mutex<VecDeque<Grant>>,
    saml: saml::State,
}

/// The test identity provider. Cheap to clone.
#[derive(Clone)]
pub struct Simulator(Arc<Inner>);

/// A panic while a lock was held is told where it happened; what the lock guards are plain lists.
fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(list: &Mutex<VecDeque<Grant>>, grant: Grant) {
    let mut list = lock(list);
    if list.len() >= MOST {
        list.pop_front();
    }
    list.push_back(grant);
}

impl Simulator {
    /// With fresh keys. `issuer` is where its listener is: http on a loopback address, and no other.
    /// Errors: `config_invalid`.
    pub fn new(env: Env, issuer: &str) -> Result<Self> {
        let refuse = || Error::says(&codes::CONFIG_INVALID, "The test identity provider runs on loopback only.");
        let url = Url::parse(issuer).map_err(|_| refuse())?;
        let loopback = match url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if !loopback || url.scheme() != "http" {
            return Err(refuse());
        }
        let key = Arc::new(SigningKey::generate(&env)?);
        Ok(Self(Arc::new(Inner {
            env,
            issuer: PublicUrl::parse(issuer)?,
            clients: Mutex::default(),
            keys: Mutex::new(vec![key]),
            codes: Mutex::default(),
            tokens: Mutex::default(),
            saml: saml::State::default(),
        })))
    }

    /// The issuer, exactly as its tokens say it.
    pub fn issuer(&self) -> &str {
        self.0.issuer.issuer()
    }

    /// Registers a client; one of the same id is replaced.
    pub fn register(&self, client: Client) {
        let mut clients = lock(&self.0.clients);
        clients.retain(|known| known.id != client.id);
        clients.push(client);
    }

    fn client(&self, id: &str) -> Option<Client> {
        lock(&self.0.clients).iter().find(|client| client.id == id).cloned()
    }

    fn key(&self) -> Result<Arc<SigningKey>> {
        lock(&self.0.keys).first().cloned().ok_or_else(|| Error::bug("the simulator has no key"))
    }

    /// One more key, published from now on. It signs one token: were it to sign all of them, every sign-in of the
    /// next half minute would show this fault.
    fn rotate(&self) -> Result<Arc<SigningKey>> {
        let key = Arc::new(SigningKey::generate(&self.0.env)?);
        let mut keys = lock(&self.0.keys);
        if keys.len() >= 8 {
            keys.remove(1);
        }
        keys.push(Arc::clone(&key));
        Ok(key)
    }
}
