//! `authd tui`: which server, with which colours.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::show::Show;
use super::{examples, verb};
use crate::access::Catalogue;
use crate::config::{Config, Environment};
use crate::console::{Line, Remote, Socket};
use crate::error::{Error, Result, codes};
use crate::tui::theme::{Look, THEMES, Theme};
use crate::tui::{self, Options};

const URL: &str = "AUTHD_URL";
const KEY: &str = "AUTHD_API_KEY";
const THEME: &str = "AUTHD_THEME";

/// The grammar.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("tui")
        .about("The dashboard in the terminal: watch and steer a running server")
        .long_about(
            "The dashboard in the terminal: watch and steer a running server.\n\nIt speaks to the server by the control \
             socket in its data directory, which works when names, certificates and sign-ins do not; or, with `--url`, to \
             a server elsewhere with an API key. Whatever is done in it is an operation, and stands in the audit log.\n\n\
             `?` shows every key, `:` every operation, `q` leaves.",
        )
        .arg(
            Arg::new("url")
                .long("url")
                .value_name("URL")
                .help(format!("A server elsewhere: its public URL [env: {URL}]")),
        )
        .arg(Arg::new("api-key-file").long("api-key-file").value_name("FILE").help(format!(
            "The API key for `--url`, in a file, or on standard input with `-` [env: {KEY}]"
        )))
        .arg(flag("read-only", "Change nothing, whatever is pressed"))
        .arg(
            Arg::new("theme")
                .long("theme")
                .value_name("NAME")
                .value_parser(PossibleValuesParser::new(THEMES.iter().map(|theme| theme.name)))
                .help(format!("The colours [default: dark; none with NO_COLOR] [env: {THEME}]")),
        )
        .arg(flag("ascii", "Draw frames and signs with ASCII alone"))
        .after_help(examples::TUI)
}

/// Shows it. Errors: `not_found` when no server runs; `invalid_input` when there is no terminal, or no key.
pub fn run(
    given: &ArgMatches,
    config: &Config,
    environment: &Environment,
    catalogue: &Catalogue,
    show: &Show,
) -> Result<()> {
    let line = line(given, config, environment)?;
    if !show.is_terminal() {
        return Err(Error::says(&codes::INVALID_INPUT, "There is no terminal to draw on.")
            .help("`authd counts --json` and `authd session list --json` are for scripts."));
    }
    let options = Options { look: look(given, environment, show)?, read_only: given.get_flag("read-only") };
    tui::run(line, catalogue, options)
}

fn line(given: &ArgMatches, config: &Config, environment: &Environment) -> Result<Line> {
    let url = given.get_one::<String>("url").map(String::as_str).or_else(|| environment.get(URL));
    let Some(url) = url else {
        let dir = config.data_dir.path().display();
        let socket = super::alone(Socket::find(&config.data_dir))?;
        return socket.map(Line::Socket).ok_or_else(|| {
            Error::says(&codes::NOT_FOUND, format!("No server runs in {dir}."))
                .help(format!("Start one: `authd serve --data-dir {dir}`; or name one elsewhere: `--url`."))
        });
    };
    let key = match given.get_one::<String>("api-key-file") {
        Some(path) => Some(verb::read_secret(path)?),
        None => environment.get(KEY).map(str::to_owned),
    };
    let key = key.ok_or_else(|| {
        Error::says(&codes::INVALID_INPUT, "The API key is missing.")
            .help(format!("Give it with `--api-key-file FILE` or {KEY}; `authd api-key create` makes one."))
    })?;
    Ok(Line::Remote(Box::new(Remote::at(url, &key, config.outbound.ca_file.as_slice())?)))
}

fn look(given: &ArgMatches, environment: &Environment, show: &Show) -> Result<Look> {
    let named = given.get_one::<String>("theme").map(String::as_str).or_else(|| environment.get(THEME));
    let theme = match named {
        Some(name) => Theme::named(name).ok_or_else(|| {
            let all: Vec<_> = THEMES.iter().map(|theme| theme.name).collect();
            Error::says(&codes::INVALID_INPUT, format!("There is no theme of that name; there are {}.", all.join(", ")))
        })?,
        None => Theme::named(if show.colors() { "dark" } else { "none" }).ok_or_else(|| Error::bug("no theme"))?,
    };
    let deep = environment.get("COLORTERM").is_some_and(|depth| depth.contains("truecolor") || depth.contains("24bit"));
    let spoken = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| environment.get(name));
    // A terminal without a locale is taken for a modern one; one that names another is believed.
    let foreign = spoken
        .is_some_and(|name| !matches!(name, "C" | "POSIX") && !name.to_lowercase().replace('-', "").contains("utf8"));
    Ok(Look { theme, deep, unicode: !given.get_flag("ascii") && !foreign && environment.get("TERM") != Some("linux") })
}
