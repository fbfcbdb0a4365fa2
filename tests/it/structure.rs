//! The shape of the source: the order of imports, one commit a request, one face a module.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use authd::event::EventKind;

/// Left to right: a module imports only from those before it.
const ORDER: &[&str] = &[
    "error",
    "env",
    "id",
    "crypto",
    "config",
    "store",
    "event",
    "http",
    "access",
    "audit",
    "policy",
    "session",
    "directory",
    "connection",
    "governance",
    "people",
    "outbox",
    "webhook",
    "token",
    "provider",
    "signin",
    "scim",
    "shipping",
    "care",
    "app",
    "compat",
    "console",
    "jobs",
    "server",
    "tui",
    "cli",
];

/// Who may commit, and why. A helper adds to a batch; a flow or an operation writes it, once.
const COMMITS: &[(&str, &str)] = &[
    ("access/operation.rs", "every operation, and its refusal"),
    ("access/refusal.rs", "the count of a flood that has ended"),
    ("audit/retention.rs", "that the log is pruned, before it is"),
    ("jobs/ended.rs", "what an ended organization leaves, in chunks"),
    (
        "connection/saml/tend.rs",
        "what metadata says that is read again by itself, and that it is about to be asked for",
    ),
    ("care/", "the rotation of the master key, and the erasing of a person: each chunk, and its end"),
    ("access/throttle.rs", "a count from before the clock was set back"),
    ("access/throttle/", "a try that counts whatever comes of it, and one that nobody else ends"),
    ("access/bearer.rs", "the refusal of a bearer, and its count"),
    ("app.rs", "what a first start needs"),
    ("outbox/", "the cursor with its calls, and how each call ended"),
    ("people/sync.rs", "each person whom a directory speaks of, and the end of the reading"),
    ("provider/client_auth.rs", "the refusal of an app, and the one use of what it proved itself by"),
    ("provider/device/endpoint.rs", "a device code, or the refusal of one"),
    ("provider/identity.rs", "the person whom a trusted issuer's token makes known"),
    ("provider/pushed.rs", "a pushed request, and its one use before the sign-in begins"),
    ("provider/revoke.rs", "the return of a token"),
    ("provider/token_endpoint/mod.rs", "what a code or a refresh token is exchanged for"),
    ("app/restore.rs", "the end of what was signed in when the backup was taken"),
    ("scim/", "each write of a directory, one commit; each refusal"),
    ("server/health.rs", "the probe of /readyz"),
    ("server/router.rs", "the server's own start and stop"),
    ("shipping/", "the cursor of a target, after it has taken a piece"),
    ("signin/", "claim and finish of a sign-in, its refusals, its sign-out"),
    ("store/", "the store itself"),
    ("webhook/inbound/", "what a message of another service changes; each refusal"),
    ("token/last_used.rs", "when a bearer was last used, beside the request"),
    ("token/keyring.rs", "the first signing keys"),
    ("token/rotation.rs", "the steps of signing keys that the clock brings"),
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every source file: its path below `src`, and its text.
fn files() -> Vec<(String, String)> {
    fn walk(dir: &Path, root: &Path, out: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, root, out);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                out.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut out = Vec::new();
    walk(&source(), &source(), &mut out);
    out.sort();
    assert!(out.len() > 50, "the walk finds the source");
    out
}

/// The module of a file: the first part of its path.
fn module(file: &str) -> Option<&str> {
    let first = file.split('/').next()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(name, "lib" | "main")).then_some(name)
}

/// The code alone: comments, strings and letters become blanks, so that braces and names in them do not count.
fn code(text: &str) -> String {
    let bytes: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let starts = |at: usize, with: &str| with.chars().enumerate().all(|(i, c)| bytes.get(at + i) == Some(&c));
    while at < bytes.len() {
        if starts(at, "//") {
            while at < bytes.len() && bytes[at] != '\n' {
                at += 1;
            }
        } else if starts(at, "/*") {
            while at < bytes.len() && !starts(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if bytes[at] == 'r' && (starts(at, "r\"") || starts(at, "r#\"") || starts(at, "r##\"")) {
            let hashes = bytes[at + 1..].iter().take_while(|c| **c == '#').count();
            let end = format!("\"{}", "#".repeat(hashes));
            at += hashes + 2;
            while at < bytes.len() && !starts(at, &end) {
                at += 1;
            }
            at += hashes + 1;
            out.push('_');
        } else if bytes[at] == '"' {
            at += 1;
            while at < bytes.len() && bytes[at] != '"' {
                at += if bytes[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
            out.push('_');
        } else if bytes[at] == '\'' && (bytes.get(at + 2) == Some(&'\'') || bytes.get(at + 1) == Some(&'\\')) {
            at += 2;
            while at < bytes.len() && bytes[at] != '\'' {
                at += 1;
            }
            at += 1;
            out.push('_');
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    out
}

/// The modules that a file names, by `crate::x`, by `crate::{x, y::z}`, or by climbing to the root with `super`.
fn named(file: &str, code: &str) -> BTreeSet<String> {
    let depth = file.split('/').count() - usize::from(file.ends_with("/mod.rs"));
    let mut names = BTreeSet::new();
    let word = |c: char| c.is_alphanumeric() || c == '_';
    for root in ["crate".to_owned(), vec!["super"; depth].join("::")] {
        for (at, _) in code.match_indices(&format!("{root}::")) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|c| word(c) || c == ':' || c == '$') {
                continue;
            }
            let rest = code[at + root.len() + 2..].trim_start();
            if let Some(tree) = rest.strip_prefix('{') {
                // The first word of each branch of the outermost level.
                let (mut level, mut branch, mut first) = (0, String::new(), true);
                for c in tree.chars() {
                    match c {
                        '{' => level += 1,
                        '}' if level == 0 => break,
                        '}' => level -= 1,
                        ',' if level == 0 => {
                            names.insert(std::mem::take(&mut branch));
                            first = true;
                        }
                        c if level == 0 && first && word(c) => branch.push(c),
                        c if level == 0 && !c.is_whitespace() => first = false,
                        _ => {}
                    }
                }
                names.insert(branch);
            } else {
                names.insert(rest.chars().take_while(|c| word(*c)).collect());
            }
        }
    }
    names
}

#[test]
fn the_walk_over_imports_sees_every_form() {
    let text = r##"
        use crate::error::{Error, codes}; // crate::cli
        use crate::{env::Env, store::{Batch, cli}, http};
        fn f() { let _ = "crate::tui"; let _ = r#"crate::tui"#; let c = '"'; crate::access::perform(); $crate::cli; }
        mod x { use super::super::session; }
    "##;
    let names = named("signin/finish.rs", &code(text));
    let expected = ["access", "env", "error", "http", "session", "store"];
    assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_file_imports_only_from_modules_to_its_left() {
    let place = |name: &str| ORDER.iter().position(|known| *known == name);
    let mut wrong = Vec::new();
    for (file, text) in files() {
        let Some(own) = module(&file) else { continue };
        let Some(here) = place(own) else {
            wrong.push(format!("{file}: the module `{own}` has no place in the order"));
            continue;
        };
        for name in named(&file, &code(&text)) {
            match place(&name) {
                Some(there) if there > here => wrong.push(format!("{file}: `{own}` comes before `{name}`")),
                _ => {}
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn the_map_names_every_module() {
    let map = std::fs::read_to_string(source().join("lib.rs")).unwrap();
    for name in ORDER {
        assert!(map.contains(&format!("pub mod {name};")), "{name}");
    }
    assert_eq!(map.matches("pub mod ").count(), ORDER.len());
}

/// What stands before the tests at the foot of a file.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// A file of tests beside the module it tests.
fn is_test(file: &str) -> bool {
    file.ends_with("tests.rs") || file.contains("/tests/")
}

#[test]
fn only_flows_and_operations_commit() {
    let mut wrong = Vec::new();
    let mut used = BTreeSet::new();
    for (file, text) in files() {
        if is_test(&file) || !code(without_tests(&text)).contains(".commit(") {
            continue;
        }
        match COMMITS
            .iter()
            .find(|(allowed, _)| file == *allowed || (allowed.ends_with('/') && file.starts_with(allowed)))
        {
            Some((allowed, _)) => drop(used.insert(*allowed)),
            None => wrong.push(file),
        }
    }
    assert!(wrong.is_empty(), "these commit, and are not in the list: {wrong:?}");
    // The list only ever shrinks by itself: what no longer commits leaves it.
    let idle: Vec<_> = COMMITS.iter().map(|(allowed, _)| *allowed).filter(|allowed| !used.contains(allowed)).collect();
    assert!(idle.is_empty(), "these are in the list, and commit nothing: {idle:?}");
}

#[test]
fn every_module_has_a_placard() {
    let mut wrong = Vec::new();
    for (file, text) in files() {
        let face = file.ends_with("/mod.rs") || (!file.contains('/') && !matches!(&*file, "lib.rs" | "main.rs"));
        let placard: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        let missing: Vec<_> =
            ["*Owns*", "*Gives*", "*Needs*", "*Never*"].into_iter().filter(|word| !placard.contains(word)).collect();
        let face = face && !file.ends_with("tests/mod.rs");
        if face && !missing.is_empty() {
            wrong.push(format!("{file}: {missing:?}"));
        }
        if !face && placard.is_empty() && !is_test(&file) {
            wrong.push(format!("{file}: does not say what it is about"));
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn no_file_is_a_drawer() {
    for (file, text) in files() {
        for part in file.trim_end_matches(".rs").split('/') {
            let drawer = matches!(part, "utils" | "util" | "common" | "helpers" | "helper" | "misc" | "shared");
            assert!(!drawer, "{file}: name it after what it does");
        }
        if is_test(&file) {
            continue;
        }
        let lines = without_tests(&text).lines().count();
        assert!(lines <= 450, "{file} has {lines} lines before its tests: split it");
    }
}

#[test]
fn only_one_place_prints_and_one_asks_the_environment() {
    for (file, text) in files() {
        if is_test(&file) {
            continue;
        }
        let code = code(without_tests(&text));
        assert!(!code.contains("println!"), "{file}: print through `cli::show`");
        let output = code.contains("stdout()") || code.contains("stderr()");
        assert!(
            !output || matches!(&*file, "cli/show/mod.rs") || file.starts_with("tui/"),
            "{file}: print through `cli::show`"
        );
        let environment = code.contains("env::var") && !code.contains("env::vars_os");
        assert!(!environment, "{file}: the environment is read in `config`");
    }
}

/// Names of events that clients of other servers know, for what authd does. They are never renamed.
const KNOWN_EVENTS: &[&str] = &[
    "user.created",
    "user.updated",
    "session.signed_in",
    "session.signed_out",
    "session.invalidated",
    "session.refresh_exchanged",
    "session.refresh_reuse_detected",
    "account.linked",
    "account.unlinked",
    "api_key.created",
    "api_key.revoked",
    "oauth.client.created",
    "oauth.client.revoked",
    "oauth.code.created",
    "oauth.token.created",
    "oauth.token.exchanged",
    "oauth.refresh.reuse_detected",
    "oauth.refresh.revoked",
    "connection.created",
    "connection.updated",
    "connection.removed",
    "connection.login.succeeded",
    "connection.login.failed",
    "connection.domain.verification_requested",
    "connection.domain.verified",
    "connection.policy.updated",
    "connection.oidc.set",
    "connection.saml.set",
    "connection.saml.refreshed",
    "connection.scim.set",
    "connection.scim.read",
    "connection.scim.user.provisioned",
    "connection.scim.user.updated",
    "connection.scim.user.deactivated",
    "connection.scim.user.reactivated",
    "connection.scim.group.provisioned",
    "connection.scim.group.updated",
    "connection.scim.group.deactivated",
    "connection.scim.group.reactivated",
    "webhook.endpoint.created",
    "webhook.endpoint.disabled",
    "webhook.delivery.created",
    "webhook.delivery.attempted",
    "webhook.delivery.succeeded",
    "webhook.delivery.failed",
];

/// The kinds of events that code makes use of, and not merely asks for or compares with.
fn told(code: &str) -> BTreeSet<String> {
    let mut told = BTreeSet::new();
    for (at, name) in code.match_indices("EventKind::") {
        let rest = &code[at + name.len()..];
        let kind: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
        let (before, behind) = (code[..at].trim_end(), rest[kind.len()..].trim_start());
        let compared = before.ends_with("==") || before.ends_with("!=");
        let pattern = behind.starts_with("=>") || behind.starts_with("==") || behind.starts_with("!=");
        let one_of_many = behind.starts_with('|') || before.ends_with('|') && !before.ends_with("||");
        if !(compared || pattern || one_of_many) {
            told.insert(kind);
        }
    }
    told
}

#[test]
fn every_kind_of_event_is_told_somewhere() {
    let text = "if kind == EventKind::A { log(EventKind::B) } match k { EventKind::C | EventKind::D => EventKind::E }";
    assert_eq!(told(text).into_iter().collect::<Vec<_>>(), ["B", "E"]);
    let mut all = BTreeSet::new();
    for (file, text) in files() {
        if file != "event/kind.rs" && !is_test(&file) {
            all.extend(told(&code(without_tests(&text))));
        }
    }
    let silent: Vec<_> = EventKind::ALL.iter().filter(|kind| !all.contains(&format!("{kind:?}"))).collect();
    assert!(silent.is_empty(), "nobody tells {silent:?}");
    for name in KNOWN_EVENTS {
        assert!(EventKind::ALL.iter().any(|kind| kind.name() == *name), "{name} has gone");
    }
}
