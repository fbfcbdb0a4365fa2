//! # console — the app here, or the running server over its socket
//!
//! *Owns* the choice between the two, the client of the control socket, and how foreign text is shown in a terminal.
//! *Gives* `Console::perform`, `Line` and `escaped` to the command line and the terminal.
//! *Needs* the app, the configuration. *Never* goes through the outbound client: the socket is our own.
//!
//! A database is open in one process at a time. So whoever wants to act asks the running server; when nobody
//! listens on the socket, it opens the database itself.

mod escape;
mod remote;
mod request;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

pub use escape::{escaped, is_command};
pub use remote::Remote;
pub use request::Request;
pub use socket::Socket;

use crate::access::{AnyOperation, Caller};
use crate::app::{App, Settings};
use crate::config::{self, Config, Environment};
use crate::env::{Clock as _, Dns, Env, SystemClock, SystemRng};
use crate::error::{Error, Result, codes};
use crate::event::Origin;
use crate::http::{Fetch, OutboundRules, SystemDns};

/// How long a server may take from locking its database to answering on its socket.
const STARTING: Duration = Duration::from_secs(2);

/// What the command line and the terminal hold.
pub enum Console {
    /// No server runs: the database is open in this process.
    Here(Box<App>),
    /// A server runs.
    There(Socket),
}

impl Console {
    /// Finds the running server, or opens the database. Errors: `data_dir_in_use` when somebody holds the database and
    /// does not answer; those of `App::open`.
    pub async fn open(config: &Config, environment: &Environment) -> Result<Self> {
        let clock = SystemClock::new();
        let deadline = clock.monotonic() + STARTING;
        loop {
            if let Some(socket) = Socket::find(&config.data_dir).await? {
                return Ok(Self::There(socket));
            }
            match open_here(config, environment).await {
                Ok(app) => return Ok(Self::Here(Box::new(app))),
                // A server that is starting has the database before it has its socket; one that stops, the other way round.
                Err(error) if error.is(&codes::DATA_DIR_IN_USE) && clock.monotonic() < deadline => {
                    tokio::time::sleep(Duration::from_millis(40)).await;
                }
                Err(error) if error.is(&codes::DATA_DIR_IN_USE) => {
                    return Err(Error::says(
                        &codes::DATA_DIR_IN_USE,
                        format!(
                            "Another process holds the database in {} and does not answer.",
                            config.data_dir.path().display()
                        ),
                    )
                    .help("If it is a server of yours, stop it; if it is another command, wait for it.")
                    .because(error));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Performs an operation as the operator. Errors: those of the operation; `unavailable` ones of the socket.
    pub async fn perform(&self, operation: &dyn AnyOperation, input: Value) -> Result<Value> {
        self.act(operation, input, false).await
    }

    /// The same, for one that may take hours. Errors: as `perform`.
    pub async fn perform_at_length(&self, operation: &dyn AnyOperation, input: Value) -> Result<Value> {
        self.act(operation, input, true).await
    }

    async fn act(&self, operation: &dyn AnyOperation, input: Value, at_length: bool) -> Result<Value> {
        match self {
            Self::Here(app) => {
                let origin = Origin::internal(&app.world.env);
                let cx = app.context(Caller::Operator { uid: config::own_uid() }, origin);
                app.perform(&cx, operation.name(), input).await
            }
            Self::There(socket) => {
                let Request { method, target, body } = Request::of(operation.route(), input)?;
                if at_length {
                    socket.ask_at_length(method, &target, body).await
                } else {
                    socket.ask(method, &target, body).await
                }
            }
        }
    }

    /// Ends it in order: what is written is on the disk.
    pub async fn close(self) {
        if let Self::Here(app) = self {
            app.world.store.close().await;
        }
    }
}

/// A server that answers: on this machine, or elsewhere.
#[derive(Clone)]
pub enum Line {
    /// By its control socket, as the operator.
    Socket(Socket),
    /// By its public address, with an API key.
    Remote(Box<Remote>),
}

impl Line {
    /// One request and its answer. Errors: the server's own, by their codes; `shutting_down` when it does not answer.
    pub async fn ask(&self, request: Request) -> Result<Value> {
        match self {
            Self::Socket(socket) => socket.ask(request.method, &request.target, request.body).await,
            Self::Remote(remote) => remote.ask(request).await,
        }
    }
}

/// The world as it is: the machine's clock and randomness, its name servers, and the one outbound client.
/// Errors: `config_invalid`.
pub fn env(config: &Config) -> Result<Env> {
    let dns: Arc<dyn Dns> = Arc::new(SystemDns::new());
    let rules = OutboundRules::parse(&config.outbound.allow)?;
    let fetch = Fetch::new(rules, Arc::clone(&dns), config.outbound.ca_file.as_slice())?;
    Ok(Env::new(Arc::new(SystemClock::new()), Arc::new(SystemRng), Arc::new(fetch), dns))
}

async fn open_here(config: &Config, environment: &Environment) -> Result<App> {
    let config = &config.clone().or_as_last_run();
    let env = env(config)?;
    config.data_dir.create()?;
    let master_key = config::master_key(&env, environment, &config.data_dir)?;
    let public_url = config.public_url_at(config.listen)?;
    App::open(Settings { config: config.clone(), public_url, master_key, env }).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_operation_becomes_a_request_by_its_route() {
        let catalogue = crate::app::catalogue();
        let request = |name: &str, input: Value| Request::of(catalogue.find(name).unwrap().route(), input);
        let created = request("api_key.create", json!({"name": "ci", "grants": ["*"]})).unwrap();
        assert_eq!((created.method, created.target.as_str()), ("POST", "/v1/api-keys"));
        assert_eq!(created.body, Some(json!({"name": "ci", "grants": ["*"]})));
        let listed = request("api_key.list", json!({"limit": 3, "cursor": "a b&c"})).unwrap();
        assert_eq!((listed.method, listed.target.as_str()), ("GET", "/v1/api-keys?limit=3&cursor=a+b%26c"));
        let revoked = request("api_key.revoke", json!({"id": "key_/../x"})).unwrap();
        assert_eq!((revoked.method, revoked.target.as_str()), ("DELETE", "/v1/api-keys/key_%2F..%2Fx"));
        assert_eq!(request("api_key.revoke", json!({})).err().unwrap().code(), "invalid_input");
    }
}
