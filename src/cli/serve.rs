//! `authd serve`: everything in its order, then the line that says it runs.

use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::json;

use super::show::Show;
use super::{demo, examples, logging};
use crate::app::{App, Settings};
use crate::config::{self, Config, Environment, Flags, KEYS, PublicUrl, Shape};
use crate::console;
use crate::env::Env;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::jobs;
use crate::outbox;
use crate::server::listen::{self, Limits, Listener, Shutdown, Tls};
use crate::server::{self, Server};
use crate::shipping::{self, Shipping};

/// How long the database may be held by somebody who is about to let it go.
const PATIENCE: Duration = Duration::from_secs(2);

/// The grammar: every key of the configuration is a flag.
pub fn command() -> Command {
    let mut command = Command::new("serve")
        .about("Run authd")
        .long_about("Run authd.\n\nWithout any flag it keeps its data in ./authd-data and serves http://127.0.0.1:8080 to this machine.")
        .after_help(examples::SERVE);
    for key in KEYS.iter().filter(|key| key.name != "data_dir") {
        let mut help = key.about.to_owned();
        if !key.default.is_empty() {
            help.push_str(&format!(" [default: {}]", key.default));
        }
        help.push_str(&format!(" [env: {}]", key.variable()));
        let arg = Arg::new(key.name).long(key.flag()).value_name(key.value).help(help);
        command = command.arg(if key.shape == Shape::Many { arg.action(ArgAction::Append) } else { arg });
    }
    command.arg(
        Arg::new("demo")
            .long("demo")
            .action(ArgAction::SetTrue)
            .help("Add a sample organization, a test identity provider and a sample app, and say what to click"),
    )
}

/// Runs until it is told to stop. Errors: those of the configuration; `data_dir_in_use`, `listen_failed`, and of the store.
pub fn run(given: &ArgMatches, shared: &Flags, environment: &Environment, show: &Show) -> Result<()> {
    let values = KEYS.iter().filter(|key| key.name != "data_dir").filter_map(|key| {
        let texts: Vec<String> = given.get_many::<String>(key.name)?.cloned().collect();
        Some((key.name, texts))
    });
    let flags = Flags { values: values.collect(), ..shared.clone() };
    let config = Config::load(environment, &flags)?;
    let demo = given.get_flag("demo");
    if demo {
        demo::on_loopback(&config)?;
    }
    let _logging = logging::start(&config.log, show.is_terminal() && !show.is_json(), show.error_colors())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Blocking work is the store's reads and a few files; each idle thread costs memory.
        .max_blocking_threads(16)
        .thread_keep_alive(Duration::from_secs(5))
        .build()
        .map_err(Error::bug)?;
    runtime.block_on(async {
        let mut config = config;
        // What the demo's identity provider is called by must be known before the outbound rules are made.
        let places = if demo { Some(demo::Places::take(&mut config)?) } else { None };
        let env = console::env(&config)?;
        let begun = env.monotonic();
        Start { config: &config, environment, show, shutdown: Shutdown::on_signals(config.tls.is_some())?, env, begun }
            .serve(places)
            .await
    })
}

/// What every step of a start needs.
struct Start<'a> {
    config: &'a Config,
    environment: &'a Environment,
    show: &'a Show,
    shutdown: Shutdown,
    env: Env,
    begun: Duration,
}

impl Start<'_> {
    /// Opens the store, serves on it, and closes it whatever happened in between.
    async fn serve(&self, demo: Option<demo::Places>) -> Result<()> {
        let config = self.config;
        config.data_dir.create()?;
        let tls = config.tls.as_ref().map(|tls| Tls::load(&tls.cert, &tls.key)).transpose()?;
        if let Some(tls) = &tls {
            tls.tell(&self.env);
        }
        // A free port is only known once it is bound, and the public URL follows from it. A given one is bound after the
        // store was opened: of two servers on one directory, the second one's trouble is the directory, not the port.
        let early = (config.listen.port() == 0).then(|| Listener::tcp(config.listen, tls.clone())).transpose()?;
        let at = early.as_ref().and_then(Listener::address).unwrap_or(config.listen);
        let app = self.open(config.public_url_at(at)?).await?;
        let outcome = match early.map_or_else(|| Listener::tcp(config.listen, tls), Ok) {
            Ok(listener) => self.on(&app, listener, demo).await,
            Err(error) => Err(error),
        };
        app.world.store.close().await;
        outcome
    }

    /// A verb that works on the database itself, or the server before this one, may hold it for a moment longer. A
    /// server that answers will not go away. Errors: as `App::open`.
    async fn open(&self, public_url: PublicUrl) -> Result<App> {
        let deadline = self.env.monotonic() + PATIENCE;
        loop {
            let settings = Settings {
                config: self.config.clone(),
                public_url: public_url.clone(),
                master_key: config::master_key(&self.env, self.environment, &self.config.data_dir)?,
                env: self.env.clone(),
            };
            match App::open(settings).await {
                Err(error) if error.is(&codes::DATA_DIR_IN_USE) && self.env.monotonic() < deadline => {
                    if console::Socket::find(&self.config.data_dir).await?.is_some() {
                        return Err(error);
                    }
                    tokio::time::sleep(Duration::from_millis(40)).await;
                }
                opened => return opened,
            }
        }
    }

    /// The listener of `metrics.listen`; beyond loopback with TLS where the public address has it. Errors: `listen_failed`,
    /// `config_invalid`.
    fn measured(&self) -> Result<Option<Listener>> {
        let Some(at) = self.config.metrics.listen else { return Ok(None) };
        let tls = self.config.tls.as_ref().filter(|_| !at.ip().is_loopback());
        let tls = tls.map(|tls| Tls::load(&tls.cert, &tls.key)).transpose()?;
        Listener::tcp(at, tls).map(Some)
    }

    async fn on(&self, app: &App, listener: Listener, demo: Option<demo::Places>) -> Result<()> {
        let Self { config, environment, show, shutdown, .. } = self;
        let world = &app.world;
        let at = listener.address().unwrap_or(config.listen);
        let socket = config.data_dir.place_socket(environment)?;
        let control = Listener::control(&socket, server::strangers(world.clone()))?;
        let shipping = Shipping::new(&config.ship, world)?;
        let measured = self.measured()?;
        let server = Server::new(app, config, &[at]);
        let metrics = server.metrics;
        let limits = Limits { proxies: config.trusted_proxies.clone(), ..Limits::default() };
        let mut serving = vec![
            tokio::spawn(listen::serve(listener, server.public, limits.clone(), shutdown.clone())),
            tokio::spawn(listen::serve(control, server.control, limits.clone(), shutdown.clone())),
        ];
        if let Some(listener) = measured {
            serving.push(tokio::spawn(listen::serve(listener, server.measured, limits, shutdown.clone())));
        }
        let counting = {
            let stop = shutdown.clone();
            tokio::spawn(async move { metrics.follow(async move { stop.begun().await }).await })
        };
        let ships = {
            let stop = shutdown.clone();
            tokio::spawn(shipping::run(shipping, world.clone(), async move { stop.begun().await }))
        };
        let chores = {
            let stop = shutdown.clone();
            tokio::spawn(jobs::run(world.clone(), Shipping::names(&config.ship), async move { stop.begun().await }))
        };
        let calls = {
            let stop = shutdown.clone();
            tokio::spawn(outbox::run(app.outbox.clone(), world.clone(), async move { stop.begun().await }))
        };
        let ms = u64::try_from(self.env.monotonic().saturating_sub(self.begun).as_millis()).unwrap_or(u64::MAX);
        server::note(world, EventKind::ServerStarted).await?;
        if let Err(error) = config.note_run(&world.deployment.public_url) {
            tracing::warn!(code = error.code(), "{}", error.log_line());
        }
        let demo = match demo {
            Some(places) => match demo::start(app, config, places, shutdown).await {
                // Told to stop before everything was set up: the next start goes on with it.
                Err(error) if shutdown.is_begun() => {
                    tracing::warn!(code = error.code(), "{}", error.log_line());
                    None
                }
                started => Some(started?),
            },
            None => {
                demo::warn_of_remains(app, config, show).await;
                None
            }
        };
        let told = tell(app, config, show, at, &socket, ms).and_then(|()| match &demo {
            Some(demo) => demo.tell(show),
            None => Ok(()),
        });
        // It runs, whether somebody hears of it or not.
        if let Err(error) = told {
            tracing::warn!(code = error.code(), "{}", error.log_line());
        }
        for task in serving {
            task.await.map_err(Error::bug)?;
        }
        let _ = chores.await;
        let _ = calls.await;
        let _ = counting.await;
        let _ = ships.await;
        // The last thing that is written: whoever reads the log knows that it ended in order.
        server::note(world, EventKind::ServerStopped)
            .await
            .or_else(|error| if error.is(&codes::SHUTTING_DOWN) { Ok(()) } else { Err(error) })?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The line that says it runs. For a person: where, and how to go on. Errors: those of `Show::line`.
fn tell(
    app: &App,
    config: &Config,
    show: &Show,
    at: std::net::SocketAddr,
    socket: &std::path::Path,
    ms: u64,
) -> Result<()> {
    let url = app.world.deployment.public_url.issuer();
    let given = config.data_dir.path();
    let absolute = |path: &std::path::Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (dir, socket) = (absolute(given), absolute(socket));
    let version = env!("CARGO_PKG_VERSION");
    if show.is_json() || !show.is_terminal() {
        return show.document(&json!({
            "event": "ready", "url": url, "listen": at.to_string(), "dataDir": dir, "socket": socket,
            "pid": std::process::id(), "readyMs": ms, "version": version,
        }));
    }
    let paint = show.paint();
    let flag = if given == std::path::Path::new("authd-data") {
        String::new()
    } else {
        format!(" --data-dir {}", given.display())
    };
    show.line(&format!(
        "\n  {} {}\n\n  {}  {}\n  {}  {}\n  {}  {}\n\n  {}\n    {}\n    {}\n    {}\n",
        paint.bold(&format!("authd {version}")),
        paint.dim(&format!("ready in {ms} ms")),
        paint.dim("address"),
        paint.cyan(url),
        paint.dim("data   "),
        dir.display(),
        paint.dim("socket "),
        socket.display(),
        paint.dim("in another terminal:"),
        paint.cyan(&format!("authd{flag} org create --name Acme")),
        paint.cyan(&format!("authd{flag} connection create --help")),
        paint.cyan(&format!("authd{flag} tui")),
    ))
}
