//! # doctor — is this deployment well, and what to do where it is not
//!
//! *Owns* every check of `authd doctor`: each gathers facts, and a pure function judges them.
//! *Gives* the verb. *Needs* the configuration, the files, and what the running authd tells (`doctor.examine`).
//! *Never* changes anything, and never stops at the first trouble: what cannot be looked at is a finding, too.

mod certificate;
mod files;
mod finding;
mod inside;
mod outside;
mod settings;

use clap::Command;
use serde_json::json;

use self::finding::Finding;
use super::show::Show;
use super::{OK, YOURS, alone};
use crate::access::Catalogue;
use crate::care::examine::Examined;
use crate::config::{Config, DataDir, Environment, Flags};
use crate::console::{self, Console};
use crate::error::{Error, Result, codes};

/// How authd is called about one data directory.
pub struct Place(String);

impl Place {
    fn of(data_dir: &DataDir) -> Self {
        let path = data_dir.path();
        let usual = path == std::path::Path::new("authd-data");
        Self(if usual { "authd".to_owned() } else { format!("authd --data-dir {}", path.display()) })
    }

    /// The command line of a verb.
    fn say(&self, verb: &str) -> String {
        format!("{} {verb}", self.0)
    }
}

/// The verb.
pub fn command() -> Command {
    Command::new("doctor")
        .about("Check this deployment, and say what to do where it is not well")
        .long_about(
            "Check this deployment, and say what to do where it is not well: files and who may read them, the master \
             key, disk, clock, DNS, TLS, addresses, what authd may call, what expires, backups.\n\nIt changes nothing. \
             A running server is asked about itself; without one the database is looked into here. The exit code is 1 \
             when a check fails.",
        )
        .after_help(super::examples::DOCTOR)
}

/// Looks at everything, and shows what was found. Errors: those of `Show`.
pub fn run(shared: &Flags, environment: &Environment, catalogue: &Catalogue, show: &Show) -> Result<u8> {
    let findings = alone(async { Ok(look(shared, environment, catalogue).await) })?;
    if show.is_json() {
        show.document(&finding::document(&findings))?;
    } else {
        show.line(&finding::text(&findings, show.paint(), is_unicode(environment)))?;
    }
    let failed = findings.iter().any(|finding| finding.level == finding::Level::Fail);
    Ok(if failed { YOURS } else { OK })
}

/// The first of these that is set says it (POSIX, XBD 8.2).
fn is_unicode(environment: &Environment) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| environment.get(name)).unwrap_or_default();
    let locale = locale.to_ascii_lowercase();
    locale.contains("utf-8") || locale.contains("utf8")
}

async fn look(shared: &Flags, environment: &Environment, catalogue: &Catalogue) -> Vec<Finding> {
    let from_environment = environment.get("AUTHD_MASTER_KEY").is_some();
    let config = match Config::load(environment, shared) {
        Ok(config) => config.as_served(),
        Err(error) => {
            let data_dir = Config::data_dir_of(environment, shared);
            let mut findings = files::look(&data_dir, None, from_environment);
            let remedy = error.next_step().unwrap_or("correct what is named there").to_owned();
            findings.push(Finding::fail("config", error.message(), remedy));
            return findings;
        }
    };
    let place = Place::of(&config.data_dir);
    let mut findings = vec![match &config.file {
        Some(file) => Finding::ok("config", format!("{} can be read.", file.display())),
        None => Finding::ok("config", "There is no configuration file: defaults, the environment and flags count."),
    }];
    // Before the database is opened: what is left over may be cleaned up by that.
    findings.extend(files::look(&config.data_dir, config.file.as_deref(), from_environment));
    let seen = match examined(&config, environment, catalogue).await {
        Ok(seen) => seen,
        Err(error) => {
            findings.push(unopened(&place, &error));
            None
        }
    };
    match config.public_url_at(config.listen) {
        Err(error) => findings.push(Finding::fail("public_url", error.message(), "public_url = \"https://…\"")),
        Ok(public) => {
            findings.extend(settings::judge(&config, &public));
            match console::env(&config) {
                Err(error) => {
                    findings.push(Finding::fail("outbound", error.message(), "correct `outbound` in the configuration"))
                }
                Ok(env) => {
                    if let (Some(tls), Ok(url)) = (&config.tls, url::Url::parse(public.issuer())) {
                        findings.extend(certificate::look(tls, url.host_str().unwrap_or_default(), env.now()));
                    }
                    let issuers = seen.as_ref().map(|seen| seen.issuers.as_slice()).unwrap_or_default();
                    let newest = seen.as_ref().and_then(|seen| seen.newest_event_at);
                    findings.extend(outside::look(&env, &config, &public, issuers, newest).await);
                }
            }
        }
    }
    findings.extend(seen.iter().flat_map(|seen| inside::judge(&place, seen)));
    if let Ok(Some(socket)) = console::Socket::find(&config.data_dir).await
        && let Ok(told) = socket.health().await
    {
        findings.extend(inside::running(&place, &told));
    }
    findings
}

/// What authd knows of itself; `None` where there is no database yet. Errors: those of opening it.
async fn examined(config: &Config, environment: &Environment, catalogue: &Catalogue) -> Result<Option<Examined>> {
    // Looking makes nothing: neither a directory nor a database.
    if !config.data_dir.database().exists() {
        let path = config.data_dir.path().display();
        return Err(Error::says(&codes::NOT_FOUND, format!("There is no database in {path}."))
            .help(format!("authd --data-dir {path} serve")));
    }
    let operation = catalogue.find("doctor.examine").ok_or_else(|| Error::bug("there is no doctor.examine"))?;
    let console = Console::open(config, environment).await?;
    let answer = console.perform(operation, json!({})).await;
    console.close().await;
    serde_json::from_value(answer?).map(Some).map_err(Error::bug)
}

/// Why the database could not be looked into.
fn unopened(place: &Place, error: &Error) -> Finding {
    let name = match error.code() {
        "master_key_wrong" | "master_key_invalid" => "master_key",
        "operator_only" => "socket",
        _ => "database",
    };
    let remedy = match error.next_step() {
        Some(step) => step.to_owned(),
        None => place.say("serve"),
    };
    Finding::fail(name, error.message(), remedy)
}
