//! The grammar: one verb an operation, and the few that are none.

use clap::builder::Styles;
use clap::builder::styling::{AnsiColor, Style};
use clap::{Arg, ArgAction, ColorChoice, Command};

use super::{backup, doctor, examples, health, restore, serve, simulate, tui, verb};
use crate::access::{AnyOperation, Catalogue};

/// Where an operation stands besides, or instead of, `noun verb` by its name.
const PLACES: &[(&str, &[&[&str]])] = &[
    ("counts.show", &[&["counts"], &["admin", "counts"]]),
    ("timings.show", &[&["timings"], &["admin", "timings"]]),
    ("signin.explain", &[&["explain"], &["signin", "explain"]]),
    ("token.explain", &[&["explain", "token"], &["token", "explain"]]),
    ("saml.explain", &[&["explain", "saml"], &["saml", "explain"]]),
    ("scim.set", &[&["scim", "set"], &["connection", "set-scim"]]),
    ("scim.get", &[&["scim", "get"], &["connection", "get-scim"]]),
    ("scim.validate", &[&["scim", "validate"], &["connection", "validate-scim"]]),
    // `authd doctor` asks it, and looks around by itself.
    ("doctor.examine", &[]),
    ("break_glass.create", &[&["break-glass"], &["break-glass", "create"]]),
    // `authd backup FILE` is a verb of its own.
    ("backup.create", &[]),
];

/// What a noun is about.
const NOUNS: &[(&str, &str)] = &[
    ("org", "Organizations: the tenants"),
    ("user", "People"),
    ("member", "What people may in an organization"),
    ("identity", "By which identities people sign in"),
    ("group", "Groups that directories have made known"),
    ("connection", "Connections: how an organization's people sign in"),
    ("domain", "Domains of connections"),
    ("policy", "Policies of organizations: strangers, linking, profiles, roles by groups"),
    ("enforcement", "Who has to sign in through a connection, and who is exempt"),
    ("app", "Apps that sign people in through authd"),
    ("api-key", "API keys, of machines and of people"),
    ("role", "Roles of an organization's own"),
    ("issuer", "Trusted issuers: whose tokens are taken besides authd's own"),
    ("session", "Who is signed in"),
    ("consent", "What people let apps know and do"),
    ("key", "The keys that tokens are signed with"),
    ("audit", "The log of everything that happened"),
    ("webhook", "Servers of the team's that are told what happens"),
    ("inbound", "Other services that tell of people by webhook, such as Clerk"),
    ("delivery", "What was sent to webhooks, and how it was answered"),
    ("token", "Tokens for authd's own API"),
    ("expiry", "What ends one day: certificates, secrets, tokens, keys, proofs"),
    ("signin", "Sign-ins, looked at afterwards"),
    ("master-key", "The key that everything kept secret is sealed under"),
    ("saml", "Answers of SAML providers, looked at afterwards"),
    ("scim", "Provisioning by SCIM"),
    ("scim token", "Tokens by which directories speak"),
    ("admin", "The whole deployment"),
];

const ABOUT: &str = "Single sign-on for a small team: one binary, one machine";

const LONG_ABOUT: &str = "\
Single sign-on for a small team: one binary, one machine.

`authd serve` runs it, `authd tui` watches it, and the other verbs steer it: they talk to the running server by the \
control socket in its data directory, or open the database themselves when no server runs.";

/// The verbs, by their words.
pub struct Tree<'a> {
    catalogue: &'a Catalogue,
    verbs: Vec<(Vec<String>, &'a dyn AnyOperation)>,
}

impl<'a> Tree<'a> {
    /// One verb for each operation.
    pub fn of(catalogue: &'a Catalogue) -> Self {
        let verbs = catalogue
            .iter()
            .flat_map(|operation| paths(operation.name()).into_iter().map(move |path| (path, operation)));
        Self { catalogue, verbs: verbs.collect() }
    }

    /// What it was made from.
    pub fn catalogue(&self) -> &'a Catalogue {
        self.catalogue
    }

    /// The operation of a verb.
    pub fn operation(&self, path: &[String]) -> Option<&'a dyn AnyOperation> {
        self.verbs.iter().find(|(words, _)| words == path).map(|(_, operation)| *operation)
    }

    /// The whole grammar.
    pub fn command(&self, color: bool) -> Command {
        let mut command = Command::new("authd")
            .about(ABOUT)
            .long_about(LONG_ABOUT)
            .version(env!("CARGO_PKG_VERSION"))
            .styles(styles())
            .color(if color { ColorChoice::Auto } else { ColorChoice::Never })
            .subcommand_required(true)
            .arg_required_else_help(true)
            .disable_help_subcommand(true)
            .max_term_width(110)
            .after_help(examples::FIRST)
            .subcommand_value_name("VERB")
            .subcommand_help_heading("Verbs")
            .args(shared())
            .subcommand(serve::command())
            .subcommand(doctor::command())
            .subcommand(health::command())
            .subcommand(tui::command())
            .subcommand(backup::command())
            .subcommand(restore::command())
            .subcommand(simulate::command());
        for name in self.words_below(&[]) {
            command = command.subcommand(self.below(&[name]));
        }
        command
    }

    fn below(&self, path: &[&str]) -> Command {
        let owned: Vec<String> = path.iter().map(|word| (*word).to_owned()).collect();
        let name = owned.last().cloned().unwrap_or_default();
        let mut command = match self.operation(&owned) {
            Some(operation) => verb::command(operation, &owned),
            None => {
                let whole = owned.join(" ");
                let about = NOUNS.iter().find(|(noun, _)| *noun == whole).map_or("", |(_, about)| about);
                Command::new(name.clone()).about(about).subcommand_required(true).arg_required_else_help(true)
            }
        };
        if name == "org" {
            command = command.alias("organization");
        }
        if name.contains('-') {
            command = command.alias(name.replace('-', "_"));
        }
        if self.operation(&owned).is_some() && !self.words_below(path).is_empty() {
            // `authd explain token …` beside `authd explain req_…`.
            command = command.subcommand_negates_reqs(true);
        }
        for word in self.words_below(path) {
            let path: Vec<&str> = path.iter().copied().chain([word]).collect();
            command = command.subcommand(self.below(&path));
        }
        command
    }

    /// The next words after `path`, each once, in the order of the catalogue.
    fn words_below(&self, path: &[&str]) -> Vec<&str> {
        let mut words: Vec<&str> = Vec::new();
        for (verb, _) in &self.verbs {
            if verb.len() > path.len() && verb.iter().zip(path).all(|(a, b)| a == b) {
                let word = verb[path.len()].as_str();
                if !words.contains(&word) {
                    words.push(word);
                }
            }
        }
        words
    }
}

fn paths(name: &str) -> Vec<Vec<String>> {
    if let Some((_, paths)) = PLACES.iter().find(|(known, _)| *known == name) {
        return paths.iter().map(|path| path.iter().map(|word| (*word).to_owned()).collect()).collect();
    }
    vec![
        name.split('.')
            .map(|word| if word == "organization" { "org".to_owned() } else { word.replace('_', "-") })
            .collect(),
    ]
}

/// What every verb takes, before it and after it.
fn shared() -> [Arg; 5] {
    let text = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name(value)
            .help(help)
            .global(true)
            .help_heading("Everywhere")
            .display_order(900)
    };
    let switch = |name: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .help(help)
            .action(ArgAction::SetTrue)
            .global(true)
            .help_heading("Everywhere")
            .display_order(901)
    };
    [
        text("data-dir", "DIR", "Where authd keeps everything [default: ./authd-data] [env: AUTHD_DATA_DIR]"),
        text(
            "config",
            "FILE",
            "The configuration file [default: authd.toml in the data directory] [env: AUTHD_CONFIG]",
        ),
        switch("json", "Answer in JSON; errors, too"),
        switch("no-color", "No colours [env: NO_COLOR]"),
        switch("quiet", "Print only what a script needs: ids, one a line").short('q'),
    ]
}

fn styles() -> Styles {
    Styles::styled()
        .header(Style::new().bold())
        .usage(Style::new().bold())
        .literal(AnsiColor::Cyan.on_default())
        .placeholder(Style::new().dimmed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds_together() {
        let catalogue = crate::app::catalogue();
        Tree::of(&catalogue).command(false).debug_assert();
    }

    #[test]
    fn names_become_words() {
        assert_eq!(paths("organization.create"), [["org", "create"]]);
        assert_eq!(paths("api_key.create"), [["api-key", "create"]]);
        assert_eq!(paths("connection.set_oidc"), [["connection", "set-oidc"]]);
        assert_eq!(paths("counts.show").len(), 2);
    }

    #[test]
    fn every_verb_says_what_it_does() {
        fn walk(command: &Command) {
            assert!(command.get_about().is_some_and(|about| !about.to_string().is_empty()), "{}", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} of {}", argument.get_id(), command.get_name());
            }
            command.get_subcommands().for_each(walk);
        }
        let catalogue = crate::app::catalogue();
        walk(&Tree::of(&catalogue).command(false));
    }
}
