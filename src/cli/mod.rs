//! # cli — verbs
//!
//! *Owns* the command line: its grammar (made from the catalogue of operations), its help, its exit codes.
//! *Gives* `run` to `main`. *Needs* everything.
//! *Never* knows what an operation does: a new one is a new verb by itself. Only `show` prints.

mod args;
mod audit;
mod backup;
mod command;
mod demo;
mod doctor;
mod examples;
mod health;
mod logging;
mod missing;
mod passphrase;
pub mod reference;
mod restore;
mod serve;
mod show;
mod simulate;
mod tui;
mod verb;

use std::ffi::OsString;

use clap::ArgMatches;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::app;
use crate::config::{Config, Environment, Flags};
use crate::console::Console;
use crate::error::{Error, Kind, Result, codes};
use show::Show;

/// It worked.
pub const OK: u8 = 0;
/// It did not, and the caller can do something about it.
pub const YOURS: u8 = 1;
/// It did not, and it is authd's fault, or the world's.
pub const OURS: u8 = 2;

/// Runs the command line; the answer is the exit code.
pub fn run(args: Vec<OsString>, environment: &Environment) -> u8 {
    let catalogue = app::catalogue();
    let show = Show::of(&args, environment);
    let tree = command::Tree::of(&catalogue);
    let matches = match tree.command(show.colors()).try_get_matches_from(args) {
        Ok(matches) => matches,
        Err(error) => return usage(&show, &error),
    };
    let show = show.told(matches.get_flag("json"), matches.get_flag("quiet"), matches.get_flag("no-color"));
    match act(&tree, &matches, environment, &show) {
        Ok(code) => code,
        Err(error) => {
            show.error(&error);
            exit_code(&error)
        }
    }
}

fn exit_code(error: &Error) -> u8 {
    match error.kind() {
        Kind::Bug | Kind::Unavailable | Kind::Upstream => OURS,
        _ => YOURS,
    }
}

/// Help that was asked for is an answer; anything else is the caller's mistake.
fn usage(show: &Show, error: &clap::Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            show.page(&error.render());
            OK
        }
        _ => {
            show.misuse(&error.render(), meant(error).as_deref());
            YOURS
        }
    }
}

/// The flag, verb or value that was probably meant.
fn meant(error: &clap::Error) -> Option<String> {
    let suggestions = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    suggestions.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(one) => Some(one.clone()),
        ContextValue::Strings(several) => several.first().cloned(),
        _ => None,
    })
}

/// The exit code, when it worked.
fn act(tree: &command::Tree<'_>, matches: &ArgMatches, environment: &Environment, show: &Show) -> Result<u8> {
    let shared = Flags {
        data_dir: matches.get_one::<String>("data-dir").cloned(),
        config: matches.get_one::<String>("config").cloned(),
        values: Vec::new(),
    };
    match matches.subcommand() {
        Some(("serve", given)) => serve::run(given, &shared, environment, show).map(|()| OK),
        Some(("doctor", _)) => doctor::run(&shared, environment, tree.catalogue(), show),
        Some(("health", _)) => health::run(&shared, environment, show),
        Some(("backup", given)) => {
            let config = Config::load(environment, &shared)?;
            backup::run(given, &config, environment, show).map(|()| OK)
        }
        Some(("restore", given)) => {
            let config = Config::load(environment, &shared)?;
            restore::run(given, &config, environment, show).map(|()| OK)
        }
        Some(("simulate", given)) => simulate::run(given, &shared, environment, tree.catalogue(), show),
        Some(("tui", given)) => {
            let config = Config::load(environment, &shared)?;
            tui::run(given, &config, environment, tree.catalogue(), show).map(|()| OK)
        }
        _ => {
            let (path, given) = deepest(matches);
            let operation = tree.operation(&path).ok_or_else(|| Error::bug(format!("no verb `{}`", path.join(" "))))?;
            let input = verb::input(operation, given, environment, show)?;
            let config = Config::load(environment, &shared)?;
            let looks = matches!(operation.name(), "token.explain" | "saml.explain");
            let reads = looks || operation.route().method == crate::access::Method::Get;
            // Looking makes nothing: a mistyped directory must not become a new, empty authd.
            if reads && !config.data_dir.path().exists() {
                return Err(Error::says(
                    &codes::NOT_FOUND,
                    format!("There is no authd in {}.", config.data_dir.path().display()),
                )
                .help("Name its data directory: `--data-dir DIR`; `authd serve` makes one."));
            }
            let answer = alone(async {
                let console = Console::open(&config, environment).await?;
                let answer = match operation.name() {
                    "audit.verify" => audit::verify(&console, operation, input.clone(), show).await,
                    "audit.export" => {
                        audit::export(&console, operation, input.clone(), show).await.map(|()| serde_json::Value::Null)
                    }
                    _ => patiently(show, console.perform(operation, input.clone())).await,
                };
                console.close().await;
                answer
            })
            .map_err(|error| missing::named(error, tree, &path, &input))?;
            if operation.name() == "audit.export" {
                return Ok(OK);
            }
            show.answer(operation.name(), &answer)?;
            // The report is the answer; that it is a bad one, a script learns by the exit code.
            let judges = [
                "connection.validate",
                "connection.test",
                "domain.confirm",
                "policy.validate",
                "scim.validate",
                "issuer.validate",
                "token.explain",
                "saml.explain",
                "audit.verify",
            ];
            let judges = judges.contains(&operation.name());
            Ok(if judges && answer["ok"] == false { YOURS } else { OK })
        }
    }
}

/// Tells a person who waits for more than a second that it goes on.
async fn patiently<T>(show: &Show, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    for seconds in 1_u64.. {
        tokio::select! {
            done = &mut work => {
                show.waited(seconds - 1);
                return done;
            }
            () = tokio::time::sleep(std::time::Duration::from_secs(1)) => show.waits(seconds),
        }
    }
    work.await
}

/// The verb that was chosen, and what was given to it.
fn deepest(matches: &ArgMatches) -> (Vec<String>, &ArgMatches) {
    let (mut path, mut here) = (Vec::new(), matches);
    while let Some((name, below)) = here.subcommand() {
        path.push(name.to_owned());
        here = below;
    }
    (path, here)
}

/// Runs a short task to its end on this thread.
fn alone<T>(task: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::bug)?;
    runtime.block_on(task)
}
