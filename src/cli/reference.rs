//! The reference pages: generated here, kept in `docs/reference`, compared by a test.

use std::fmt::Write as _;

use clap::Command;

use super::command::Tree;
use crate::access::Catalogue;
use crate::error::{Kind, codes};
use crate::event::EventKind;

/// Every verb with its help.
pub fn cli(catalogue: &Catalogue) -> String {
    let mut out = "# The command line\n\nGenerated from the program; `authd VERB --help` says the same.\n".to_owned();
    let root = Tree::of(catalogue).command(false);
    let shared = "`--data-dir DIR`, `--config FILE`, `--json`, `--no-color`, `-q` can stand before and after every verb. \
                  The exit code is 0 when it worked, 1 when the caller can do something about it, 2 when the fault is authd's or \
                  the world's. Errors go to standard error; with `--json` as `{\"code\", \"detail\", \"help\"}`.";
    let _ = writeln!(out, "\n{shared}");
    walk(&root, "authd", &mut out);
    out
}

fn walk(command: &Command, path: &str, out: &mut String) {
    if !command.has_subcommands() {
        let mut command = command.clone().bin_name(path).term_width(100).disable_help_flag(true);
        let help = command.render_long_help().to_string();
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        let _ = write!(out, "\n## {path}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    }
    for below in command.get_subcommands() {
        walk(below, &format!("{path} {}", below.get_name()), out);
    }
}

/// Every error code.
pub fn errors() -> String {
    let mut out = "# Error codes\n\nGenerated from the program. A code never changes its meaning. At `/v1` it is `code` of the \
                   problem document (RFC 9457), at the command line it stands in brackets.\n\n| code | kind | message | next step |\n|---|---|---|---|\n"
        .to_owned();
    for code in codes::ALL {
        let kind = match code.kind {
            Kind::Invalid => "invalid",
            Kind::Unauthenticated => "unauthenticated",
            Kind::Forbidden => "forbidden",
            Kind::Missing => "missing",
            Kind::Conflict => "conflict",
            Kind::Stale => "stale",
            Kind::TooLarge => "too large",
            Kind::TooMany => "too many",
            Kind::Upstream => "upstream",
            Kind::Unavailable => "unavailable",
            Kind::Bug => "bug",
        };
        let _ = writeln!(out, "| `{}` | {kind} | {} | {} |", code.name, code.message, code.help);
    }
    out
}

/// Every kind of event.
pub fn events() -> String {
    let mut out = "# Events\n\nGenerated from the program. Every change writes its event in the same transaction.\n\n| kind | what happened |\n|---|---|\n".to_owned();
    for kind in EventKind::ALL {
        let _ = writeln!(out, "| `{}` | {} |", kind.name(), kind.about());
    }
    out
}
