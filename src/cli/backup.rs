//! `authd backup FILE`, and `authd backup verify FILE`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};

use super::show::Show;
use super::{alone, examples, passphrase};
use crate::access::Catalogue;
use crate::config::{Config, Environment, kept_master_key};
use crate::console::{Console, Socket};
use crate::error::{Error, Result, codes};
use crate::store::backup::inspect;

/// A backup that is taken quickly says nothing while it is taken.
const QUIET: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(250);

/// The grammar.
pub fn command() -> Command {
    Command::new("backup")
        .about("Write everything into one file, while the server runs")
        .long_about(
            "Write everything into one file, while the server runs.\n\nThe file has mode 0600, and appears when it is complete. \
             Secrets in it stay sealed under the master key, which is not in the file: keep `master.key` elsewhere, or put the key \
             into the file under a passphrase with `--with-key`. `authd restore FILE` puts it back.",
        )
        .override_usage("authd backup <FILE> [OPTIONS]\n       authd backup verify <FILE>")
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .arg(Arg::new("FILE").value_name("FILE").required(true).help("The file to write"))
        .arg(
            Arg::new("with-key")
                .long("with-key")
                .action(ArgAction::SetTrue)
                .help("Put the master key into the file, under a passphrase"),
        )
        .arg(passphrase::argument().requires("with-key"))
        .arg(
            Arg::new("force")
                .long("force")
                .action(ArgAction::SetTrue)
                .help("Replace an older backup of that name"),
        )
        .subcommand(
            Command::new("verify")
                .about("Read a backup, and tell whether it is whole and what is in it")
                .arg(Arg::new("FILE").value_name("FILE").required(true).help("The backup"))
                .after_help(examples::BACKUP_VERIFY),
        )
        .after_help(examples::BACKUP)
}

/// Takes one, or reads one. Errors: those of `backup.create` and of `inspect`.
pub fn run(given: &ArgMatches, config: &Config, environment: &Environment, show: &Show) -> Result<()> {
    let named = |given: &ArgMatches| given.get_one::<String>("FILE").map(PathBuf::from);
    match given.subcommand() {
        Some((_, below)) => verify(&named(below).ok_or_else(|| Error::bug("no file"))?, config, environment, show),
        None => take(&named(given).ok_or_else(|| Error::bug("no file"))?, given, config, environment, show),
    }
}

fn take(file: &Path, given: &ArgMatches, config: &Config, environment: &Environment, show: &Show) -> Result<()> {
    let target = std::path::absolute(file)
        .map_err(|e| Error::says(&codes::INVALID_INPUT, "The file needs a name.").because(e))?;
    let path =
        target.to_str().ok_or_else(|| Error::says(&codes::INVALID_INPUT, "The name of the file is not UTF-8."))?;
    let mut input = json!({"path": path, "replace": given.get_flag("force")});
    if given.get_flag("with-key") {
        let passphrase = passphrase::new(given, environment, show)?;
        input["passphrase"] = Value::String(passphrase.expose().to_owned());
    }
    let catalogue: Catalogue = crate::app::catalogue();
    let operation = catalogue.find("backup.create").ok_or_else(|| Error::bug("no operation for backups"))?;
    let answer = alone(async {
        // Looking makes nothing: a mistyped directory must not become a new, empty authd.
        if Socket::find(&config.data_dir).await?.is_none() && !config.data_dir.database().exists() {
            return Err(Error::says(
                &codes::NOT_FOUND,
                format!("There is no authd in {}.", config.data_dir.path().display()),
            )
            .help("Name its data directory: `--data-dir DIR`."));
        }
        let console = Console::open(config, environment).await?;
        let answer = watched(console.perform_at_length(operation, input), &target, show).await;
        console.close().await;
        answer
    })?;
    show.answer(operation.name(), &answer)?;
    let key = answer["masterKey"].as_str().unwrap_or_default();
    if answer["withKey"] == false {
        show.note(&format!(
            "a restore needs the master key {key}, which is not in the file: keep `master.key` elsewhere"
        ));
    } else {
        show.note("the file opens with its passphrase alone: keep the two apart");
    }
    Ok(())
}

/// Tells a person how far it is, by what lies there under the partial name.
async fn watched(task: impl Future<Output = Result<Value>>, target: &Path, show: &Show) -> Result<Value> {
    tokio::pin!(task);
    if let Ok(done) = tokio::time::timeout(QUIET, &mut task).await {
        return done;
    }
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = target.with_file_name(name);
    loop {
        let bytes = std::fs::metadata(&partial).map_or(0, |facts| facts.len());
        show.progress(&format!("{} MiB written", bytes >> 20));
        if let Ok(done) = tokio::time::timeout(TICK, &mut task).await {
            show.progress("");
            return done;
        }
    }
}

fn verify(file: &Path, config: &Config, environment: &Environment, show: &Show) -> Result<()> {
    // A key that cannot be read is no reason not to look: the seal is then not held against anything.
    let key = kept_master_key(environment, &config.data_dir).ok().flatten();
    let contents = inspect(file, key.as_ref())?;
    let header = &contents.header;
    if contents.authentic == Some(false) {
        return Err(Error::says(
            &codes::BACKUP_INVALID,
            "The backup is whole, but was changed by somebody who does not have the master key.",
        )
        .help("Take another one."));
    }
    let digest: String = contents.digest.iter().map(|byte| format!("{byte:02x}")).collect();
    show.answer(
        "backup.verify",
        &json!({
            "file": file.display().to_string(),
            "whole": true,
            "sealHolds": contents.authentic,
            "bytes": contents.bytes,
            "digest": digest,
            "createdAt": header.created_at,
            "authd": header.authd,
            "schema": header.schema,
            "logSeq": header.log_seq,
            "masterKey": header.fingerprint,
            "withKey": header.key.is_some(),
            "rows": contents.rows,
        }),
    )
}
