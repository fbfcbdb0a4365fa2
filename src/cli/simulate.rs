//! `authd simulate scim`: what a customer's directory will send, sent to one's own server before the customer does.

mod shown;
mod wire;

use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};
use url::Url;

use self::shown::shown;
use self::wire::Http;
use super::show::Show;
use super::{OK, YOURS, alone, examples};
use crate::access::Catalogue;
use crate::config::{Config, Environment, Flags};
use crate::console::Console;
use crate::error::{Error, Kind, Result, codes};
use crate::id::RequestId;
use crate::scim::simulate::{Cleared, GROUPS, Mark, PEOPLE, Vendor, Walk, clear, walk};

/// The token of a walk is good for so long, should nobody be left to revoke it.
const TOKEN_LIFE: &str = "10m";
/// What the token is called by which a walk's traces are cleared away.
const SWEEPS: &str = "authd simulate scim --clear";
/// How often that is tried while the server is away, and how long is waited in between.
const SWEEP_TRIES: usize = 5;
const SWEEP_PAUSE: Duration = Duration::from_secs(1);

/// The grammar.
pub fn command() -> Command {
    let names = Vendor::ALL.iter().map(|vendor| vendor.name());
    Command::new("simulate")
        .about("Play a customer's systems against one's own server")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("scim")
                .about("Provision people and a group as Okta, Entra or Google does, and show every request")
                .long_about(
                    "Provision people and a group as Okta, Entra or Google does, and show every request.\n\nA joiner, a \
                     mover, a member of a group and a leaver go through a connection of the running server, by HTTP, with a \
                     token of ten minutes that is made for it and revoked. Their names begin with `authd-simulation-`; they are \
                     cleared away in the end, also when the server falls silent on the way and comes back. Where it does \
                     not, what may be left is told, and `--clear` removes it later. The exit code is 1 when an answer is not \
                     what the directory needs, or when something was left.",
                )
                .arg(
                    Arg::new("as")
                        .long("as")
                        .value_name("DIRECTORY")
                        .required_unless_present("clear")
                        .value_parser(PossibleValuesParser::new(names))
                        .help("Whose habits it has"),
                )
                .arg(
                    Arg::new("connection")
                        .long("connection")
                        .value_name("CONNECTION")
                        .required(true)
                        .help("The connection whose directory it plays"),
                )
                .arg(
                    Arg::new("keep")
                        .long("keep")
                        .action(ArgAction::SetTrue)
                        .help("Leave the people where the walk leaves them, to look at them"),
                )
                .arg(
                    Arg::new("clear")
                        .long("clear")
                        .action(ArgAction::SetTrue)
                        .conflicts_with_all(["as", "keep"])
                        .help("Only clear away the people and groups that earlier walks have left in the connection"),
                )
                .after_help(examples::SIMULATE_SCIM),
        )
}

/// Walks, and shows it. Errors: those of the operations; `upstream_unavailable` where the server does not answer by HTTP.
pub fn run(
    given: &ArgMatches,
    shared: &Flags,
    environment: &Environment,
    catalogue: &Catalogue,
    show: &Show,
) -> Result<u8> {
    let Some(("scim", given)) = given.subcommand() else { return Err(Error::bug("nothing to simulate")) };
    let text = |name: &str| given.get_one::<String>(name).cloned().unwrap_or_default();
    let config = Config::load(environment, shared)?.as_served();
    let mut play =
        Play { config, catalogue, vendor: Vendor::Okta, connection: text("connection"), keep: given.get_flag("keep") };
    if given.get_flag("clear") {
        let cleared = alone(play.on(environment, Play::clear))?;
        if show.is_json() {
            show.document(&serde_json::to_value(&cleared).map_err(Error::bug)?)?;
        } else {
            let (people, groups) = (cleared.people.len(), cleared.groups.len());
            show.line(&format!(
                "Cleared away: {}, {}.",
                of(people, "person", "people"),
                of(groups, "group", "groups")
            ))?;
        }
        return Ok(OK);
    }
    let named = text("as");
    let vendor = Vendor::ALL.iter().copied().find(|vendor| vendor.name() == named);
    play.vendor = vendor.ok_or_else(|| Error::bug("a directory that nobody knows"))?;
    let played = alone(play.on(environment, Play::by))?;
    let left = played.left.as_ref().map(|why| play.left(&played.walk, why));
    if show.is_json() {
        let mut told = serde_json::to_value(&played.walk).map_err(Error::bug)?;
        told["connection"] = play.connection.as_str().into();
        told["url"] = played.url.as_str().into();
        told["kept"] = play.keep.into();
        told["cleared"] = (!play.keep && left.is_none()).into();
        if let Some(left) = &left {
            told["left"] = left.as_str().into();
        }
        show.document(&told)?;
    } else {
        show.line(&shown(&played, &play, left.as_deref(), show.paint()))?;
    }
    Ok(if played.walk.ok && left.is_none() { OK } else { YOURS })
}

fn of(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A walk, by which address, and why what it made could not be cleared away.
struct Played {
    walk: Walk,
    url: String,
    tag: String,
    left: Option<Error>,
}

/// What is to be played.
struct Play<'a> {
    config: Config,
    catalogue: &'a Catalogue,
    vendor: Vendor,
    connection: String,
    keep: bool,
}

impl Play<'_> {
    async fn on<'p, T>(
        &'p self,
        environment: &Environment,
        play: impl AsyncFnOnce(&'p Self, &Console) -> Result<T>,
    ) -> Result<T> {
        let console = Console::open(&self.config, environment).await?;
        let done = match console {
            // What a directory would reach is the server; there is none.
            Console::Here(_) => {
                Err(Error::says(&codes::UPSTREAM_UNAVAILABLE, "No server runs on this data directory.")
                    .help("Start it: `authd serve`."))
            }
            Console::There(_) => play(self, &console).await,
        };
        console.close().await;
        done
    }

    async fn perform(&self, console: &Console, name: &str, input: Value) -> Result<Value> {
        let operation = self.catalogue.find(name).ok_or_else(|| Error::bug(format!("there is no {name}")))?;
        console.perform(operation, input).await
    }

    /// Does something with a token of the connection's that is made for it, and revokes the token.
    async fn with_token<T>(
        &self,
        console: &Console,
        label: &str,
        act: impl AsyncFnOnce(&str, &str) -> Result<T>,
    ) -> Result<T> {
        let wish = json!({"connection": self.connection, "label": label, "expiresIn": TOKEN_LIFE});
        let made = self.perform(console, "scim.token.create", wish).await?;
        let told = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        let done = act(&told("url"), &told("token")).await;
        // A server that is away revokes nothing: then the token ends by itself.
        let revoked = self.perform(console, "scim.token.revoke", json!({"id": told("id")})).await;
        match revoked {
            Err(error) if done.is_ok() && error.kind() != Kind::Unavailable => Err(error),
            _ => done,
        }
    }

    async fn by(&self, console: &Console) -> Result<Played> {
        let about = self.perform(console, "connection.get", json!({"id": self.connection})).await?;
        let domains = self.perform(console, "domain.list", json!({"connection": self.connection})).await?;
        let proven = domains["domains"].as_array().into_iter().flatten().find(|domain| domain["verified"] == true);
        let domain = proven.and_then(|domain| domain["domain"].as_str()).unwrap_or("simulation.example").to_owned();
        let status = self.perform(console, "scim.status", json!({"connection": self.connection})).await?;
        let hard = status["deprovisionMode"] == "hard";
        let label = format!("authd simulate scim --as {}", self.vendor.name());
        let mut played =
            self.with_token(console, &label, async |url, token| self.walk(url, token, domain, hard).await).await?;
        if !self.keep {
            played.left = self.sweep(console, &about["organization"], &played).await.err();
        }
        Ok(played)
    }

    /// Clears away what the walk has left. Errors: as `forget`, where the server stays away.
    async fn sweep(&self, console: &Console, organization: &Value, played: &Played) -> Result<()> {
        if played.walk.broken.is_none() {
            return self.forget(console, organization, &played.walk.people, &played.tag).await;
        }
        let mut tries = 1;
        loop {
            let cleared = self
                .with_token(console, SWEEPS, async |url, token| {
                    let wire = self.reached(url, token).await?;
                    clear(&wire, Some(&played.tag)).await
                })
                .await;
            let swept = match cleared {
                Ok(cleared) => {
                    let people: Vec<String> = played.walk.people.iter().chain(&cleared.people).cloned().collect();
                    self.forget(console, organization, &people, &played.tag).await
                }
                Err(error) => Err(error),
            };
            if swept.is_ok() || tries == SWEEP_TRIES {
                return swept;
            }
            tries += 1;
            // It may be on its way back.
            tokio::time::sleep(SWEEP_PAUSE).await;
        }
    }

    async fn clear(&self, console: &Console) -> Result<Cleared> {
        let about = self.perform(console, "connection.get", json!({"id": self.connection})).await?;
        let mut cleared = self
            .with_token(console, SWEEPS, async |url, token| {
                let wire = self.reached(url, token).await?;
                clear(&wire, None).await
            })
            .await?;
        let known = self.known(console, &about["organization"], "").await?;
        cleared.people.extend(known.into_iter().filter(|id| !cleared.people.contains(id)).collect::<Vec<_>>());
        self.forget(console, &about["organization"], &cleared.people, "").await?;
        Ok(cleared)
    }

    /// Removed by their directory, they would stay as people who have left: so they are deleted, too. Errors: those of
    /// the operations.
    async fn forget(&self, console: &Console, organization: &Value, people: &[String], tag: &str) -> Result<()> {
        let mut all = people.to_vec();
        all.extend(self.known(console, organization, tag).await?);
        for person in all {
            match self.perform(console, "user.delete", json!({"organization": organization, "id": person})).await {
                Err(error) if error.kind() != Kind::Missing => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Who is there with a name that only a walk gives, in whatever state: people of this connection.
    async fn known(&self, console: &Console, organization: &Value, tag: &str) -> Result<Vec<String>> {
        let begins = format!("{PEOPLE}{tag}");
        let mut wish =
            json!({"organization": organization, "connection": self.connection, "search": begins, "limit": 1_000});
        let mut found = Vec::new();
        loop {
            let page = self.perform(console, "user.list", wish.clone()).await?;
            let items = page["items"].as_array().into_iter().flatten();
            let ours = items.filter(|item| item["email"].as_str().is_some_and(|email| email.starts_with(&begins)));
            found.extend(ours.filter_map(|item| item["id"].as_str().map(str::to_owned)));
            match page.get("next") {
                Some(next) => wish["cursor"] = next.clone(),
                None => return Ok(found),
            }
        }
    }

    /// What may be left, and how it goes.
    fn left(&self, walk: &Walk, why: &Error) -> String {
        let (people, groups) = (of(walk.people.len(), "person", "people"), of(walk.groups.len(), "group", "groups"));
        format!(
            "{people} and {groups} may be left, whose names begin with `{PEOPLE}`, those of groups with `{}`: {} When the server \
             answers again: `authd simulate scim --clear --connection {}`. The token of the walk ends by itself within ten \
             minutes.",
            GROUPS.trim_end(),
            why.message(),
            self.connection,
        )
    }

    /// By the public address, as a directory would; where that is not reached from here, by the listener itself.
    async fn walk(&self, url: &str, token: &str, domain: String, hard: bool) -> Result<Played> {
        let wire = self.reached(url, token).await?;
        let id = RequestId::new(&wire.env).to_string().to_lowercase();
        let tag: String = id.chars().rev().take(6).collect();
        let mark = Mark { tag: tag.clone(), domain, hard };
        let walk = walk(&wire, self.vendor, &mark, self.keep).await?;
        Ok(Played { walk, url: wire.base, tag, left: None })
    }

    /// The way on which the server is reached. Errors: `upstream_unavailable`.
    async fn reached(&self, url: &str, token: &str) -> Result<Http> {
        let public = Url::parse(url).map_err(Error::bug)?;
        let wire = Http::to(&self.config, &public, None, token)?;
        let first = match wire.answers().await {
            Ok(()) => return Ok(wire),
            Err(error) if self.config.tls.is_some() => return Err(error),
            Err(error) => error,
        };
        let mut local = public.clone();
        let listen = self.config.listen;
        let host = if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
        let moved = local.set_scheme("http").is_ok()
            && local.set_host(Some(&host)).is_ok()
            && local.set_port(Some(listen.port())).is_ok();
        if !moved {
            return Err(Error::bug("an address that is none"));
        }
        let wire = Http::to(&self.config, &local, Some(&public), token)?;
        match wire.answers().await {
            Ok(()) => Ok(wire),
            Err(_) => Err(Error::says(
                &codes::UPSTREAM_UNAVAILABLE,
                format!("Neither {public} nor {local} is reached from here."),
            )
            .because(first)),
        }
    }
}
