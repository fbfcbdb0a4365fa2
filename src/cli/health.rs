//! `authd health`: how the running server is, and why.

use std::fmt::Write as _;

use clap::Command;
use serde_json::{Value, json};

use super::show::Show;
use super::{OK, YOURS, alone, examples};
use crate::config::{Config, Environment, Flags};
use crate::console::{Socket, escaped};
use crate::error::{Error, Result, codes};

/// The verb.
pub fn command() -> Command {
    Command::new("health")
        .about("Ask the running server how it is, and why")
        .long_about(
            "Ask the running server how it is, and why: the checks of /readyz with their reasons, which the public address \
             does not tell. The exit code is 1 when a check is not well.",
        )
        .after_help(examples::HEALTH)
}

/// Asks, and shows the answer. Errors: those of the configuration; `not_found` where no server runs; those of the socket.
pub fn run(shared: &Flags, environment: &Environment, show: &Show) -> Result<u8> {
    let config = Config::load(environment, shared)?;
    let told = alone(async {
        let socket = Socket::find(&config.data_dir).await?.ok_or_else(|| {
            let place = config.data_dir.path().display();
            Error::says(&codes::NOT_FOUND, format!("No server runs on {place}."))
                .help("`authd doctor` looks without one.")
        })?;
        socket.health().await
    })?;
    if show.is_json() {
        show.document(&told)?;
    } else {
        show.line(&text(&told))?;
    }
    Ok(if told["status"] == json!("ok") { OK } else { YOURS })
}

/// One line a check.
fn text(told: &Value) -> String {
    let word = |value: &Value| escaped(value.as_str().unwrap_or_default());
    let mut out = String::new();
    for check in told["checks"].as_array().into_iter().flatten() {
        let name = word(&check["name"]);
        // Writing into a text has no failure.
        let _ = match check["ok"] == json!(true) {
            true => writeln!(out, "  ok    {name}"),
            false => writeln!(out, "  FAIL  {name}: {} [{}]", word(&check["message"]), word(&check["code"])),
        };
    }
    let _ = write!(out, "{}", word(&told["status"]));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_a_line() {
        let told = json!({"status": "degraded", "checks": [
            {"name": "storage", "ok": true},
            {"name": "disk", "ok": false, "code": "disk_low", "message": "Only 3 MiB\u{1b}[0m are free."},
        ]});
        assert_eq!(text(&told).lines().count(), 3);
        assert!(text(&told).contains("FAIL  disk: Only 3 MiB") && !text(&told).contains('\u{1b}'));
    }
}
