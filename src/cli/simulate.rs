//! `authd simulate scim`: what a customer's directory will send, sent to one's own server before the customer does.

use std::fmt::Write as _;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::{HeaderValue, Method, header};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Value, json};
use url::Url;

use super::show::{Paint, Show};
use super::{OK, YOURS, alone, examples};
use crate::access::Catalogue;
use crate::config::{Config, Environment, Flags};
use crate::console::{self, Console, escaped};
use crate::env::{Env, Request};
use crate::error::{Error, Kind, Result, codes};
use crate::id::RequestId;
use crate::scim::simulate::{Answered, Mark, Sent, Step, Vendor, Walk, Wire, walk};

/// The token of a walk is good for so long, should nobody be left to revoke it.
const TOKEN_LIFE: &str = "10m";
/// So many characters of a body are shown; all of it is in the JSON.
const SHOWN: usize = 400;

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
                     cleared away in the end. The exit code is 1 when an answer is not what the directory needs.",
                )
                .arg(
                    Arg::new("as")
                        .long("as")
                        .value_name("DIRECTORY")
                        .required(true)
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
    let named = text("as");
    let vendor = Vendor::ALL.iter().copied().find(|vendor| vendor.name() == named);
    let vendor = vendor.ok_or_else(|| Error::bug("a directory that nobody knows"))?;
    let config = Config::load(environment, shared)?.as_served();
    let play = Play { config, catalogue, vendor, connection: text("connection"), keep: given.get_flag("keep") };
    let (walked, url) = alone(play.on(environment))?;
    if show.is_json() {
        let mut told = serde_json::to_value(&walked).map_err(Error::bug)?;
        told["connection"] = play.connection.as_str().into();
        told["url"] = url.as_str().into();
        told["kept"] = play.keep.into();
        show.document(&told)?;
    } else {
        show.line(&shown(&walked, &play, &url, show.paint()))?;
    }
    Ok(if walked.ok { OK } else { YOURS })
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
    async fn on(&self, environment: &Environment) -> Result<(Walk, String)> {
        let console = Console::open(&self.config, environment).await?;
        let done = match console {
            // What a directory would reach is the server; there is none.
            Console::Here(_) => {
                Err(Error::says(&codes::UPSTREAM_UNAVAILABLE, "No server runs on this data directory.")
                    .help("Start it: `authd serve`."))
            }
            Console::There(_) => self.by(&console).await,
        };
        console.close().await;
        done
    }

    async fn perform(&self, console: &Console, name: &str, input: Value) -> Result<Value> {
        let operation = self.catalogue.find(name).ok_or_else(|| Error::bug(format!("there is no {name}")))?;
        console.perform(operation, input).await
    }

    async fn by(&self, console: &Console) -> Result<(Walk, String)> {
        let about = self.perform(console, "connection.get", json!({"id": self.connection})).await?;
        let domains = self.perform(console, "domain.list", json!({"connection": self.connection})).await?;
        let proven = domains["domains"].as_array().into_iter().flatten().find(|domain| domain["verified"] == true);
        let domain = proven.and_then(|domain| domain["domain"].as_str()).unwrap_or("simulation.example").to_owned();
        let status = self.perform(console, "scim.status", json!({"connection": self.connection})).await?;
        let hard = status["deprovisionMode"] == "hard";
        let wish = json!({
            "connection": self.connection,
            "label": format!("authd simulate scim --as {}", self.vendor.name()),
            "expiresIn": TOKEN_LIFE,
        });
        let made = self.perform(console, "scim.token.create", wish).await?;
        let told = |name: &str| made[name].as_str().unwrap_or_default().to_owned();
        let walked = self.walk(&told("url"), &told("token"), domain, hard).await;
        self.perform(console, "scim.token.revoke", json!({"id": told("id")})).await?;
        let (walked, url) = walked?;
        if !self.keep {
            // Removed by their directory, they would stay as people who have left.
            for person in &walked.people {
                let wish = json!({"organization": about["organization"], "id": person});
                match self.perform(console, "user.delete", wish).await {
                    Err(error) if error.kind() != Kind::Missing => return Err(error),
                    _ => {}
                }
            }
        }
        Ok((walked, url))
    }

    /// By the public address, as a directory would; where that is not reached from here, by the listener itself.
    async fn walk(&self, url: &str, token: &str, domain: String, hard: bool) -> Result<(Walk, String)> {
        let public = Url::parse(url).map_err(Error::bug)?;
        let wire = Http::to(&self.config, &public, None, token)?;
        let id = RequestId::new(&wire.env).to_string().to_lowercase();
        let tag: String = id.chars().rev().take(6).collect();
        let mark = Mark { tag, domain, hard };
        match walk(&wire, self.vendor, &mark, self.keep).await {
            Ok(walked) => return Ok((walked, url.to_owned())),
            Err(_) if self.config.tls.is_none() => {}
            Err(error) => return Err(error),
        }
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
        match walk(&wire, self.vendor, &mark, self.keep).await {
            Ok(walked) => Ok((walked, local.to_string())),
            Err(error) => Err(Error::says(
                &codes::UPSTREAM_UNAVAILABLE,
                format!("Neither {public} nor {local} is reached from here."),
            )
            .because(error)),
        }
    }
}

/// The wire to the server's HTTP door.
struct Http {
    env: Env,
    base: String,
    host: Option<HeaderValue>,
    bearer: HeaderValue,
}

impl Http {
    /// To that address alone. Errors: `config_invalid`.
    fn to(config: &Config, at: &Url, host_of: Option<&Url>, token: &str) -> Result<Self> {
        let authority = |url: &Url| match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let mut config = config.clone();
        // Our own server may be on a private address: it, and nothing else, may be called.
        let port = at.port_or_known_default().unwrap_or_default();
        config.outbound.allow = vec![format!("{}:{port}", at.host_str().unwrap_or_default())];
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(Error::bug)?;
        let host = host_of.map(|url| HeaderValue::try_from(authority(url))).transpose().map_err(Error::bug)?;
        Ok(Self { env: console::env(&config)?, base: at.as_str().trim_end_matches('/').to_owned(), host, bearer })
    }
}

#[async_trait]
impl Wire for Http {
    async fn send(&self, sent: &Sent) -> Result<Answered> {
        let url = Url::parse(&format!("{}{}", self.base, sent.path)).map_err(Error::bug)?;
        let mut request = Request::get(url);
        request.method = Method::from_bytes(sent.method.as_bytes()).map_err(Error::bug)?;
        request.headers.insert(header::AUTHORIZATION, self.bearer.clone());
        request.headers.insert(header::ACCEPT, HeaderValue::from_static("application/scim+json"));
        if let Some(host) = &self.host {
            request.headers.insert(header::HOST, host.clone());
        }
        if let Some(body) = &sent.body {
            request.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/scim+json"));
            request.body = body.to_string().into_bytes();
        }
        request.timeout = Duration::from_secs(30);
        let begun = self.env.monotonic();
        let answer = self.env.outbound().send(request).await?;
        let took = self.env.monotonic().saturating_sub(begun);
        Ok(Answered {
            status: answer.status,
            body: serde_json::from_slice(&answer.body).unwrap_or_default(),
            millis: u64::try_from(took.as_millis()).ok(),
        })
    }
}

/// The walk, to be read.
fn shown(walked: &Walk, play: &Play<'_>, url: &str, paint: Paint) -> String {
    let mut out = String::new();
    let title = format!("{} provisions {}", play.vendor.title(), escaped(&play.connection));
    let _ = writeln!(out, "{} {}", paint.bold(&title), paint.dim(&format!("by {}", escaped(url))));
    let mut phase = None;
    for step in &walked.steps {
        if phase != Some(step.phase) {
            phase = Some(step.phase);
            let _ = writeln!(out, "\n{}", paint.bold(step.phase.name()));
        }
        one(&mut out, step, paint);
    }
    let failed = walked.steps.iter().filter(|step| !step.ok).count();
    let verdict = match failed {
        0 => paint.green(&format!("{} steps, all as {} needs them", walked.steps.len(), play.vendor.title())),
        _ => paint.red(&format!("{failed} of {} steps failed", walked.steps.len())),
    };
    let left = match (play.keep, walked.people.len()) {
        (true, people) => format!("{people} people stay: `authd user list` shows them."),
        (false, _) => "Everybody was cleared away.".to_owned(),
    };
    let _ = write!(out, "\n{verdict}. {left}");
    out
}

fn one(out: &mut String, step: &Step, paint: Paint) {
    let sign = if step.ok { paint.green("ok  ") } else { paint.red("FAIL") };
    let took = step.answer.millis.map(|millis| format!(" {millis} ms")).unwrap_or_default();
    let _ = writeln!(out, "  {sign} {}", step.about);
    let address = escaped(&decoded(&step.request.path));
    let status = step.answer.status.to_string();
    let status = if step.ok { paint.green(&status) } else { paint.red(&status) };
    let _ = writeln!(out, "       {} {address}  {} {status}{}", step.request.method, paint.dim("→"), paint.dim(&took));
    for (arrow, body) in [(">", step.request.body.as_ref()), ("<", Some(&step.answer.body))] {
        if let Some(body) = body.filter(|body| !body.is_null()) {
            let _ = writeln!(out, "       {}", paint.dim(&format!("{arrow} {}", shortened(body))));
        }
    }
    for problem in &step.problems {
        let _ = writeln!(out, "       {}", paint.red(&escaped(problem)));
    }
}

/// As people read it: what is percent-encoded in a query, plain.
fn decoded(path: &str) -> String {
    let Some((before, query)) = path.split_once('?') else { return path.to_owned() };
    let parts = url::form_urlencoded::parse(query.as_bytes());
    let parts: Vec<String> = parts.map(|(name, value)| format!("{name}={value}")).collect();
    format!("{before}?{}", parts.join("&"))
}

fn shortened(body: &Value) -> String {
    let text = body.to_string();
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    escaped(&short)
}
