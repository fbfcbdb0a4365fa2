//! # cli::demo — what `authd serve --demo` sets up
//!
//! *Owns* the demo: an organization with connections to the test identity provider and the test directory, and a sample
//! app with its page.
//! *Gives* `Places` (listeners on loopback, taken before the outbound rules are made) and `start`.
//! *Needs* the app and its operations, as any operator would use them. *Never* touches the store itself, and never
//! opens anything off loopback. A restart finds what an earlier one made: the same organization, connection and app,
//! on the same ports while they are free.

mod directory;
mod saml;
mod sample;
mod setup;
mod verify;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::show::Show;
use crate::app::App;
use crate::config::Config;
use crate::connection::simulator::{PEOPLE, Person, Simulator, directory as simulated};
use crate::error::{Error, Result, codes};
use crate::server::listen::{self, Limits, Listener, Shutdown};

/// Where the ports are kept, in the data directory.
const FILE: &str = "demo.json";

/// The ports of the last start, so that a bookmark and the people's identities survive a restart.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Ports {
    simulator: u16,
    app: u16,
    directory: u16,
}

/// Where they run: bound, and not yet served.
pub struct Places {
    simulator: Listener,
    app: Listener,
    directory: std::net::TcpListener,
    ports: Ports,
    file: PathBuf,
}

impl Places {
    /// Takes three loopback ports: those of the last start, or the three above authd's own, or any. Those of
    /// the test identity provider and the test directory are allowed to be called, by this process alone. Errors: `listen_failed`.
    pub fn take(config: &mut Config) -> Result<Self> {
        let file = config.data_dir.path().join(FILE);
        let last: Ports =
            std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let above = |by: u16| match config.listen.port() {
            0 => 0,
            port => port.checked_add(by).unwrap_or(0),
        };
        let app = bind(&[last.app, above(1)])?;
        let simulator = bind(&[last.simulator, above(2)])?;
        let directory = bind_plain(&[last.directory, above(3)])?;
        let at = directory.local_addr().map_err(|error| Error::new(&codes::LISTEN_FAILED).because(error))?.port();
        let ports = Ports { simulator: port(&simulator)?, app: port(&app)?, directory: at };
        for port in [ports.simulator, ports.directory] {
            config.outbound.allow.push(format!("127.0.0.1:{port}"));
        }
        Ok(Self { simulator, app, directory, ports, file })
    }
}

fn bind(wanted: &[u16]) -> Result<Listener> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let free = wanted.iter().filter(|port| **port != 0).find_map(|port| Listener::tcp(at(*port), None).ok());
    free.map_or_else(|| Listener::tcp(at(0), None), Ok)
}

fn bind_plain(wanted: &[u16]) -> Result<std::net::TcpListener> {
    let at = |port| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let free = wanted.iter().filter(|port| **port != 0).find_map(|port| at(*port).ok());
    free.map_or_else(|| at(0), Ok).map_err(|error| Error::new(&codes::LISTEN_FAILED).because(error))
}

fn port(listener: &Listener) -> Result<u16> {
    listener.address().map(|at| at.port()).ok_or_else(|| Error::new(&codes::LISTEN_FAILED))
}

/// The demo lets anybody in who can reach it, so nobody but this machine may. Errors: `config_invalid`.
pub fn on_loopback(config: &Config) -> Result<()> {
    let reached = config.public_url.as_ref().filter(|url| !url.is_loopback());
    let what = match reached {
        Some(url) => format!("the public URL is {url}"),
        None if !config.listen.ip().is_loopback() => format!("it would listen on {}", config.listen),
        None => return Ok(()),
    };
    Err(Error::says(
        &codes::CONFIG_INVALID,
        format!("The demo lets anybody in, so it runs on loopback addresses only; {what}."),
    )
    .help("Leave out `--demo`, or listen on 127.0.0.1 without a public URL."))
}

/// A data directory that a demo ran in still has its connection. Without the demo nobody answers for it, and the place
/// that it points to is anybody's on this machine: whoever runs authd should know.
pub async fn warn_of_remains(app: &App, config: &Config, show: &Show) {
    if !config.data_dir.path().join(FILE).exists() {
        return;
    }
    match setup::remains(app).await {
        Ok(None) => {}
        Ok(Some(connection)) => {
            let text = format!("the connection {connection} of an earlier `authd serve --demo` is still active");
            let help = format!("`authd connection disable {connection}` switches it off");
            if show.is_terminal() && !show.is_json() {
                show.warning(&text, &help);
            } else {
                tracing::warn!(connection, help, "{text}");
            }
        }
        Err(error) => tracing::warn!(code = error.code(), "{}", error.log_line()),
    }
}

/// What runs, and what to click.
pub struct Demo {
    app_url: String,
    simulator_url: String,
    organization: String,
}

/// Sets everything up, serves both, and says what to click. authd itself must be listening already.
/// Errors: those of the operations, of the outbound rules.
pub async fn start(app: &App, config: &Config, places: Places, shutdown: &Shutdown) -> Result<Demo> {
    let Places { simulator: simulator_place, app: app_place, directory, ports, file } = places;
    let at = |port: u16| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let simulator_url = format!("http://127.0.0.1:{}", ports.simulator);
    let app_url = format!("http://127.0.0.1:{}", ports.app);
    let simulator = Simulator::new(app.world.env.clone(), &simulator_url)?;
    // A connection is switched on only when its provider answers, so this one answers first.
    let router = simulator.router(at(ports.simulator));
    tokio::spawn(listen::serve(simulator_place, router, Limits::default(), shutdown.clone()));
    let made = setup::everything(app, &simulator, directory, &app_url).await?;
    let sample = sample::Sample::new(app, config, made, &app_url)?;
    tokio::spawn(listen::serve(app_place, sample.router(at(ports.app))?, Limits::default(), shutdown.clone()));
    // Without the file the next start takes other ports; nothing else depends on it.
    if let Err(error) =
        serde_json::to_vec(&ports).map_err(std::io::Error::from).and_then(|text| std::fs::write(&file, text))
    {
        tracing::warn!(%error, "the demo's ports could not be kept");
    }
    Ok(Demo { app_url, simulator_url, organization: setup::ORGANIZATION.to_owned() })
}

impl Demo {
    /// Says what to click: to a person in words, to a machine in one line.
    /// Errors: those of `Show::line`.
    pub fn tell(&self, show: &Show) -> Result<()> {
        if show.is_json() || !show.is_terminal() {
            return show.document(&self.document());
        }
        let paint = show.paint();
        let who = |person: &Person| format!("{:<26} {}", person.email, paint.dim(&person.name()));
        let people: Vec<String> = PEOPLE.iter().map(who).collect();
        show.line(&format!(
            "  {}\n\n  1. Open {}\n  2. Click {}, and enter {}\n  3. At the test identity provider, click {}\n  4. The app shows its token, verified and decoded\n\n  {}\n    {}\n\n  {}\n    {:<26} {}\n    {:<26} {}\n",
            paint.bold("The demo is ready"),
            paint.cyan(&self.app_url),
            paint.bold("Sign in"),
            paint.cyan(try_email()),
            paint.bold("Ada Lovelace"),
            paint.dim("who one can be there, and which fault to simulate, is chosen on its page:"),
            people.join("\n    "),
            paint.dim("or with a password at the test directory, or by SAML:"),
            format!("ada@{}", simulated::DOMAIN),
            paint.dim(&format!("password: {}; `locked`, `expired`, `slow` show what goes wrong", simulated::PASSWORD)),
            format!("ada@{}", saml::DOMAIN),
            paint.dim("the same people, and faults of SAML answers"),
        ))
    }

    fn document(&self) -> Value {
        let people: Vec<Value> =
            PEOPLE.iter().map(|person| json!({"name": person.name(), "email": person.email})).collect();
        json!({"event": "demo", "appUrl": self.app_url, "simulatorUrl": self.simulator_url,
               "organization": self.organization, "tryEmail": try_email(), "people": people,
               "directory": {"tryEmail": format!("ada@{}", simulated::DOMAIN), "password": simulated::PASSWORD},
               "saml": {"tryEmail": format!("ada@{}", saml::DOMAIN)}})
    }
}

/// An address that leads to the test identity provider.
fn try_email() -> &'static str {
    PEOPLE.first().map_or("", |person| person.email)
}
