//! A passphrase: from a file, from the environment, or asked for on the terminal without showing it.

use std::io::IsTerminal as _;

use clap::{Arg, ArgMatches};
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use zeroize::Zeroizing;

use super::show::Show;
use super::verb;
use crate::config::Environment;
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};

const VARIABLE: &str = "AUTHD_PASSPHRASE";

/// `--passphrase-file`.
pub fn argument() -> Arg {
    Arg::new("passphrase-file")
        .long("passphrase-file")
        .value_name("FILE")
        .help(format!("Take the passphrase from a file, or from standard input with `-` [env: {VARIABLE}]"))
}

/// One that is chosen now: whoever types it, types it twice. Errors: `invalid_input`.
pub fn new(given: &ArgMatches, environment: &Environment, show: &Show) -> Result<Secret> {
    if let Some(passphrase) = told(given, environment)? {
        return Ok(passphrase);
    }
    let first = ask(show, "Passphrase: ")?;
    if first != ask(show, "Again: ")? {
        return Err(Error::says(&codes::INVALID_INPUT, "The two passphrases differ."));
    }
    Ok(first)
}

/// One that was chosen before. Errors: `invalid_input`.
pub fn known(given: &ArgMatches, environment: &Environment, show: &Show) -> Result<Secret> {
    told(given, environment)?.map_or_else(|| ask(show, "Passphrase of the backup: "), Ok)
}

fn told(given: &ArgMatches, environment: &Environment) -> Result<Option<Secret>> {
    match given.get_one::<String>("passphrase-file") {
        Some(path) => verb::read_secret(path).map(|text| Some(Secret::new(text))),
        None => Ok(environment.get(VARIABLE).map(Secret::new)),
    }
}

fn ask(show: &Show, prompt: &str) -> Result<Secret> {
    if !std::io::stdin().is_terminal() {
        return Err(Error::says(&codes::INVALID_INPUT, "The passphrase is missing.")
            .help(format!("Give it with `--passphrase-file FILE`, `--passphrase-file -` or {VARIABLE}.")));
    }
    show.prompt(prompt);
    enable_raw_mode().map_err(Error::bug)?;
    let typed = typed();
    let _ = disable_raw_mode();
    show.prompt("\n");
    typed
}

/// A line of keys. Every way out of it passes `disable_raw_mode`.
fn typed() -> Result<Secret> {
    let mut line = Zeroizing::new(String::new());
    loop {
        let Event::Key(key) = read().map_err(Error::bug)? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Enter => return Ok(Secret::new(line.as_str())),
            KeyCode::Char('c' | 'd') if control => {
                return Err(Error::says(&codes::INVALID_INPUT, "No passphrase was given."));
            }
            KeyCode::Char('u') if control => line.clear(),
            KeyCode::Backspace => drop(line.pop()),
            KeyCode::Char(letter) => line.push(letter),
            _ => {}
        }
    }
}
