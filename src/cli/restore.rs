//! `authd restore FILE`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::show::Show;
use super::{alone, examples, passphrase};
use crate::app::Restore;
use crate::config::{Config, Environment};
use crate::console::{self, Socket};
use crate::error::{Error, Result, codes};

/// Nothing is said of what takes no longer than this.
const QUIET: Duration = Duration::from_secs(1);

/// The grammar.
pub fn command() -> Command {
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("restore")
        .about("Put everything back from a backup, while no server runs")
        .long_about(
            "Put everything back from a backup, while no server runs.\n\nThe master key is taken from the data directory or from \
             AUTHD_MASTER_KEY; where there is none, from the backup, with its passphrase. Everybody has to sign in again, unless \
             `--keep-sessions` is given: what was ended since the backup would otherwise be alive again.",
        )
        .override_usage("authd restore <FILE> [OPTIONS]")
        .arg(Arg::new("FILE").value_name("FILE").required(true).help("The backup"))
        .arg(passphrase::argument())
        .arg(switch("replace", "Replace the database that is there; it is kept beside under another name"))
        .arg(switch("keep-sessions", "Leave everybody signed in who was when the backup was taken"))
        .after_help(examples::RESTORE)
}

/// Does it. Errors: those of `Restore::perform`; `data_dir_in_use` while a server runs.
pub fn run(given: &ArgMatches, config: &Config, environment: &Environment, show: &Show) -> Result<()> {
    let file = given.get_one::<String>("FILE").map(PathBuf::from).ok_or_else(|| Error::bug("no file"))?;
    let restored = alone(async {
        if Socket::find(&config.data_dir).await?.is_some() {
            return Err(Error::says(
                &codes::DATA_DIR_IN_USE,
                format!("A server runs in {}.", config.data_dir.path().display()),
            )
            .help("Stop it first."));
        }
        let env = console::env(config)?;
        let began = env.monotonic();
        // A small one is there before anybody asks.
        let told = |read: u64, all: u64| {
            if env.monotonic().saturating_sub(began) >= QUIET {
                let percent = read.saturating_mul(100) / all.max(1);
                show.progress(&format!("{} of {} MiB read ({percent} %)", read >> 20, all >> 20));
            }
        };
        let restore = Restore {
            file: &file,
            config,
            environment,
            public_url: config.public_url_at(config.listen)?,
            replace: given.get_flag("replace"),
            keep_sessions: given.get_flag("keep-sessions"),
            told: &told,
            env: env.clone(),
        };
        let done = restore.perform(|| passphrase::known(given, environment, show)).await;
        show.progress("");
        done
    })?;
    let taken = restored.created_at;
    show.answer("restore", &serde_json::to_value(restored).map_err(Error::bug)?)?;
    show.note(&format!(
        "everything is as it was at {taken}: take away again the keys and roles that were taken away since"
    ));
    Ok(())
}
