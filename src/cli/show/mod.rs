//! # show — the only printer
//!
//! *Owns* standard output and standard error: answers, errors, warnings, in text or JSON, with or without colour.
//! *Gives* `Show`. *Needs* errors. *Never* lets a control character of somebody else's text reach the terminal.
//!
//! Standard output has the answer and nothing else; with `--json` it is one JSON document. Everything that is said
//! about the answer goes to standard error.

mod policy;
mod text;

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

use clap::builder::StyledStr;
use serde_json::{Value, json};

pub use text::Paint;

use crate::config::Environment;
use crate::console::escaped;
use crate::error::{Error, Kind, Result, codes};

/// How to print.
#[derive(Clone, Debug)]
pub struct Show {
    json: bool,
    quiet: bool,
    out: Paint,
    err: Paint,
    terminal: bool,
}

/// Where the log goes: standard error, unbuffered, or standard output. Its lock is held for a line only.
pub fn log_sink(to_stdout: bool) -> Box<dyn std::io::Write> {
    if to_stdout { Box::new(std::io::stdout()) } else { Box::new(std::io::stderr()) }
}

impl Show {
    /// What can be known before the arguments are parsed: so that a misuse, too, is printed as it was asked for.
    pub fn of(args: &[OsString], environment: &Environment) -> Self {
        let has = |flag: &str| args.iter().skip(1).any(|arg| arg == flag);
        let plain =
            has("--no-color") || environment.get("NO_COLOR").is_some() || environment.get("TERM") == Some("dumb");
        Self {
            json: has("--json"),
            quiet: has("--quiet") || has("-q"),
            out: Paint { color: !plain && std::io::stdout().is_terminal() },
            err: Paint { color: !plain && std::io::stderr().is_terminal() },
            terminal: std::io::stdout().is_terminal(),
        }
    }

    /// As the parsed arguments say.
    #[must_use]
    pub fn told(mut self, json: bool, quiet: bool, plain: bool) -> Self {
        self.json = json;
        self.quiet = quiet;
        self.out.color &= !plain;
        self.err.color &= !plain;
        self
    }

    /// Whether JSON was asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person reads standard output.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The colours of standard output.
    pub fn paint(&self) -> Paint {
        self.out
    }

    /// Whether standard output has colours.
    pub fn colors(&self) -> bool {
        self.out.color
    }

    /// Whether standard error has colours.
    pub fn error_colors(&self) -> bool {
        self.err.color
    }

    /// The answer of an operation. Errors: `storage_error` when it cannot be written.
    pub fn answer(&self, operation: &str, value: &Value) -> Result<()> {
        if self.json {
            self.document(value)?;
        } else if self.quiet {
            let ids = text::ids(value);
            if !ids.is_empty() {
                self.line(&ids)?;
            }
        } else {
            let width = if self.terminal {
                // Some terminals do not know their size, and say 0.
                crossterm::terminal::size().map_or(100, |(columns, _)| if columns == 0 { 100 } else { columns.into() })
            } else {
                usize::MAX
            };
            let told = match operation {
                "policy.explain" => policy::explanation(value, self.out),
                // As it is, so that it can be written to its file.
                "app.convex_config" => value["content"].as_str().unwrap_or_default().trim_end().to_owned(),
                "policy.update" | "policy.reset" => policy::update(value, self.out),
                _ => text::answer(value, self.out, width),
            };
            self.line(&told)?;
            if let Some(cursor) = value.get("next").and_then(Value::as_str) {
                self.note(&format!("there is more: --cursor {}", escaped(cursor)));
            }
            if matches!(operation, "api_key.create" | "scim.token.create")
                || ((operation.starts_with("webhook.") || operation.starts_with("inbound."))
                    && value.get("secret").is_some_and(Value::is_string))
                || (operation == "scim.set" && value.get("token").is_some_and(Value::is_string))
                || value.get("clientSecret").is_some_and(Value::is_string)
            {
                self.note("keep the secret now: it is not shown again");
            }
            if operation == "app.convex_config" {
                for warning in value["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    self.note(&escaped(warning));
                }
            }
            if operation == "master_key.rotate" {
                self.note(
                    "copy the new key to where you keep it, and make a new backup: older ones take the key of before",
                );
            }
        }
        Ok(())
    }

    /// One JSON document on standard output; on a terminal with line breaks. Errors: as `line`.
    pub fn document(&self, value: &Value) -> Result<()> {
        let text = if self.terminal { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
        self.line(&text.unwrap_or_default())
    }

    /// Lines on standard output. Errors: `storage_error` when they cannot be written.
    pub fn line(&self, text: &str) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // A reader that went away (`| head`) wants no more.
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                let message = format!("The answer cannot be written to standard output: {}.", error.kind());
                Err(Error::says(&codes::STORAGE_ERROR, message)
                    .help("What was asked for is done; only its answer is lost.")
                    .because(error))
            }
            _ => Ok(()),
        }
    }

    /// Text on standard output, as it is, with the ends of its lines. Errors: as `line`.
    pub fn text(&self, text: &str) -> Result<()> {
        match text.strip_suffix('\n') {
            Some(text) => self.line(text),
            None if text.is_empty() => Ok(()),
            None => self.line(text),
        }
    }

    /// Help, as it is.
    pub fn page(&self, text: &StyledStr) {
        let text = if self.out.color { text.ansi().to_string() } else { text.to_string() };
        let _ = write!(std::io::stdout().lock(), "{text}");
    }

    /// What went wrong, and what to do.
    pub fn error(&self, error: &Error) {
        if self.json {
            let mut problem = json!({"code": error.code(), "detail": error.message()});
            if let (Some(help), Some(problem)) = (error.next_step(), problem.as_object_mut()) {
                problem.insert("help".to_owned(), help.into());
            }
            self.aside(&problem.to_string());
            return;
        }
        let (message, paint) = (escaped(error.message()), self.err);
        self.aside(&format!("{} {message} {}", paint.red("error:"), paint.dim(&format!("[{}]", error.code()))));
        if let Some(help) = error.next_step() {
            self.aside(&format!("{} {}", paint.cyan("help:"), escaped(help)));
        }
        // Whose fault it is not should see what only the log has elsewhere: there is no log here.
        if error.kind() == Kind::Bug {
            self.aside(&paint.dim(&escaped(&error.log_line())));
        }
    }

    /// The arguments were not understood. `meant` is what was probably meant.
    pub fn misuse(&self, text: &StyledStr, meant: Option<&str>) {
        let plain = text.to_string();
        let help = meant.map(|meant| format!("did you mean `{}`?", escaped(meant))).or_else(|| {
            plain.lines().find_map(|line| line.strip_prefix("  tip: ")).map(|tip| escaped(tip).replace('\'', "`"))
        });
        if self.json {
            // The first paragraph: for missing arguments their names stand on lines of their own.
            let lines = plain.lines().map(str::trim).take_while(|line| !line.is_empty());
            let detail = lines.collect::<Vec<_>>().join(" ");
            let mut problem = json!({"code": "invalid_input", "detail": detail.trim_start_matches("error: ")});
            if let (Some(help), Some(problem)) = (help, problem.as_object_mut()) {
                problem.insert("help".to_owned(), help.into());
            }
            return self.aside(&problem.to_string());
        }
        let shown = if self.err.color { text.ansi().to_string() } else { plain.clone() };
        // Line by line the same as the plain one: there the tips are found.
        let mut help = help.map(|help| format!("{} {help}", self.err.cyan("help:")));
        let mut lines: Vec<String> = Vec::new();
        for (line, plain) in shown.lines().zip(plain.lines()) {
            match plain.starts_with("  tip: ") {
                true => lines.extend(help.take()),
                false => lines.push(line.to_owned()),
            }
        }
        lines.extend(help);
        self.aside(lines.join("\n").trim_end());
    }

    /// Something the caller should know though it works.
    pub fn warning(&self, text: &str, help: &str) {
        if !self.quiet && !self.json {
            self.aside(&format!("{} {}", self.err.yellow("warning:"), escaped(text)));
            self.aside(&format!("{} {}", self.err.cyan("help:"), escaped(help)));
        }
    }

    /// It takes its time. Only a person at a terminal is told, on one line that goes away again.
    pub fn waits(&self, seconds: u64) {
        if self.tells_progress() {
            let _ = write!(std::io::stderr().lock(), "\r{}", self.err.dim(&format!("working … {seconds} s")));
        }
    }

    /// It is done, after so many seconds that were told.
    pub fn waited(&self, seconds: u64) {
        if seconds > 0 && self.tells_progress() {
            let _ = write!(std::io::stderr().lock(), "\r\u{1b}[2K");
        }
    }

    fn tells_progress(&self) -> bool {
        !self.quiet && !self.json && self.err.color && std::io::stderr().is_terminal()
    }

    /// Something beside the answer.
    pub fn note(&self, text: &str) {
        if !self.quiet && !self.json {
            self.aside(&format!("{} {text}", self.err.cyan("note:")));
        }
    }

    /// How far it is, on one line that the next one overwrites; an empty text takes it away. For people only.
    pub fn progress(&self, text: &str) {
        if self.quiet || self.json || !std::io::stderr().is_terminal() {
            return;
        }
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "\r{text}\u{1b}[K").and_then(|()| err.flush());
    }

    /// A question on the terminal, without the end of a line.
    pub fn prompt(&self, text: &str) {
        let mut err = std::io::stderr().lock();
        let _ = write!(err, "{text}").and_then(|()| err.flush());
    }

    fn aside(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}
