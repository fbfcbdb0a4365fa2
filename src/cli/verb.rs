//! One verb: its flags from the operation's form, and the operation's input from its flags.

use std::io::{IsTerminal as _, Read as _};

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value};

use super::args::Flag;
use super::examples;
use super::show::Show;
use crate::access::{AnyOperation, Field, Fill, Form, Method};
use crate::config::Environment;
use crate::crypto::json;
use crate::error::{Error, Result, codes};

/// A file on the command line is read up to here; the server takes 64 KiB.
const FILE: u64 = 1 << 20;

/// The verb of an operation.
pub fn command(operation: &dyn AnyOperation, path: &[String]) -> Command {
    let form = Form::of(operation);
    let (first, rest) = form.about.split_once("\n\n").unwrap_or((&form.about, ""));
    let first = first.replace('\n', " ");
    let mut command =
        Command::new(path.last().cloned().unwrap_or_default()).about(first.trim_end_matches('.').to_owned());
    if !rest.is_empty() {
        command = command.long_about(format!("{first}\n\n{}", unwrapped(rest)));
    }
    let body = matches!(operation.route().method, Method::Post | Method::Patch);
    let mut nested = false;
    let mut usage = format!("authd {}", path.join(" "));
    for flag in Flag::of(operation) {
        nested |= flag.field.fill() == Fill::Nested;
        if flag.positional {
            usage.push_str(&format!(" <{}>", flag.value_name()));
        } else if flag.field.required {
            usage.push_str(&format!(" --{} <{}>", flag.name, flag.value_name()));
        }
        command = command.args(arguments(&flag, body));
    }
    command = command.override_usage(format!("{usage} [OPTIONS]"));
    if body {
        command = command.arg(
            Arg::new("file")
                .long("file")
                .value_name("FILE")
                .help("Take the fields from a JSON file, or from standard input with `-`")
                .hide(!nested),
        );
        command = command.arg(
            Arg::new("set")
                .long("set")
                .value_name("FIELD=VALUE")
                .action(ArgAction::Append)
                .help("Set a field within a field: `--set a.b=value`")
                .hide(!nested),
        );
    }
    let mut after = examples::of(operation.name()).map(|text| format!("Examples:\n{text}")).unwrap_or_default();
    let method = match operation.route().method {
        Method::Get => "GET",
        Method::Post => "POST",
        Method::Patch => "PATCH",
        Method::Delete => "DELETE",
    };
    if !after.is_empty() {
        after.push_str("\n\n");
    }
    after.push_str(&format!("By HTTP: {method} {}", operation.route().path));
    command.after_help(after)
}

/// Lines of one paragraph are one line for the terminal to break.
fn unwrapped(text: &str) -> String {
    text.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join("\n\n")
}

fn arguments(flag: &Flag, body: bool) -> Vec<Arg> {
    let field = &flag.field;
    let fill = field.fill();
    let id = field.name.clone();
    let help = help(flag);
    let mut arg =
        Arg::new(id.clone()).long(flag.name.clone()).aliases(flag.aliases.clone()).value_name(flag.value_name());
    let mut out = Vec::new();
    match fill {
        Fill::Switch => {
            // `--jit` and `--jit=false`: unset is a third thing.
            arg = arg
                .value_name("true|false")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true")
                .value_parser(["true", "false"])
                .hide_possible_values(true);
        }
        Fill::Many => {
            arg = arg.action(ArgAction::Append);
            if field.splits() {
                arg = arg.value_delimiter(',');
            }
        }
        Fill::Secret => {
            out.push(
                Arg::new(format!("{id}-file"))
                    .long(format!("{}-file", flag.name))
                    .value_name("FILE")
                    .help(format!("The same from a file, or from standard input with `-` [env: {}]", flag.variable()))
                    .conflicts_with(id.clone()),
            );
        }
        Fill::Nested => {
            arg = arg.value_name("JSON|FILE").hide_short_help(!field.required && field.extension("x-file").is_none())
        }
        // Text that people have in a file: `--metadata-file`.
        Fill::One => {
            if let Some(name) = field.extension("x-text-file") {
                out.push(
                    Arg::new(format!("{id}-file"))
                        .long(name.to_owned())
                        .value_name("FILE")
                        .help("The same from a file, or from standard input with `-`")
                        .conflicts_with(id.clone()),
                );
            }
        }
    }
    let choices = field.choices();
    if !choices.is_empty() && matches!(fill, Fill::One | Fill::Many) {
        arg = arg.value_parser(PossibleValuesParser::new(choices)).ignore_case(false);
    }
    if flag.positional {
        let alone = format!("{id}-alone");
        arg = arg.hide(true).help(help.clone());
        out.push(
            Arg::new(alone.clone())
                .value_name(flag.value_name())
                .help(help)
                .index(1)
                .required_unless_present_any(if fill == Fill::Secret {
                    vec![id.clone(), format!("{id}-file")]
                } else {
                    vec![id.clone()]
                })
                .conflicts_with(id),
        );
    } else {
        arg = arg.help(help);
        if field.required && matches!(fill, Fill::One | Fill::Many) {
            arg = if body { arg.required_unless_present_any(["file", "set"]) } else { arg.required(true) };
        }
    }
    out.insert(0, arg);
    out
}

fn help(flag: &Flag) -> String {
    let about = flag.field.about.split("\n\n").next().unwrap_or_default().replace('\n', " ");
    let mut text = about.trim_end_matches('.').to_owned();
    if text.is_empty() {
        text = format!("The {}", flag.name.replace('-', " "));
    }
    match flag.field.fill() {
        Fill::Many if flag.field.splits() => text.push_str(" (repeat it, or separate by commas)"),
        Fill::Many => text.push_str(" (repeat it for several)"),
        Fill::Nested => text.push_str(" (JSON, or a file with it; or `--set`)"),
        _ => {}
    }
    text
}

/// The operation's input. What stands closer to the verb wins: `--file`, then `--set`, then the field's own flag.
/// Errors: `invalid_input`, `unknown_field`.
pub fn input(
    operation: &dyn AnyOperation,
    given: &ArgMatches,
    environment: &Environment,
    show: &Show,
) -> Result<Value> {
    let form = Form::of(operation);
    let flags = Flag::of(operation);
    let mut input = Map::new();
    if let Some(path) = given_text(given, "file") {
        merge_file(&mut input, &path)?;
    }
    for assignment in given.try_get_many::<String>("set").ok().flatten().into_iter().flatten() {
        set(&mut input, &form, assignment)?;
    }
    for flag in &flags {
        let name = flag.field.name.as_str();
        let texts: Vec<String> = given
            .get_many::<String>(name)
            .or_else(|| flag.positional.then(|| given.get_many::<String>(&format!("{name}-alone"))).flatten())
            .map(|texts| texts.cloned().collect())
            .unwrap_or_default();
        if flag.field.fill() == Fill::Secret {
            if let Some(secret) = secret(flag, texts.into_iter().next(), given, environment, show)? {
                input.insert(name.to_owned(), Value::String(secret));
            }
        } else if let Some(path) = named_file(flag, &texts) {
            input.insert(name.to_owned(), Value::String(read(path)?));
        } else if !texts.is_empty() {
            let value = nested(flag, &texts)?.map_or_else(|| flag.field.read(&texts), Ok).map_err(|error| {
                let help = error.next_step().unwrap_or_default().to_owned();
                Error::says(&codes::INVALID_INPUT, format!("`--{}` cannot be read: `{}`.", flag.name, texts.join(",")))
                    .help(help)
            })?;
            input.insert(name.to_owned(), value);
        } else if flag.field.extension("x-text-file").is_some()
            && let Some(path) = given_text(given, &format!("{name}-file"))
        {
            input.insert(name.to_owned(), Value::String(read(&path)?));
        }
        if flag.field.required && !input.contains_key(name) {
            return Err(Error::says(&codes::INVALID_INPUT, format!("`--{}` is missing.", flag.name))
                .help(format!("It is: {}", flag.field.about.replace('\n', " "))));
        }
    }
    Ok(Value::Object(input))
}

/// The file that a text of people's files is named by: `authd explain saml answer.txt`, and `-`.
fn named_file<'t>(flag: &Flag, texts: &'t [String]) -> Option<&'t str> {
    let text = texts.first().filter(|_| flag.positional && flag.field.extension("x-text-file").is_some())?;
    (text == "-" || std::path::Path::new(text).is_file()).then_some(text)
}

fn given_text(given: &ArgMatches, name: &str) -> Option<String> {
    given.try_get_one::<String>(name).ok().flatten().cloned()
}

/// From the flag, the file or the environment, in this order.
fn secret(
    flag: &Flag,
    plain: Option<String>,
    given: &ArgMatches,
    environment: &Environment,
    show: &Show,
) -> Result<Option<String>> {
    if flag.positional && plain.as_deref() == Some("-") {
        return read_secret("-").map(Some);
    }
    if let Some(text) = plain {
        // A script knows what it does; a person may not know that everybody on the machine can read this.
        if std::io::stdin().is_terminal() {
            show.warning(
                &format!(
                    "`--{}` can be seen by other users of this machine, and stays in the shell's history",
                    flag.name
                ),
                &format!("use `--{0}-file FILE`, `--{0}-file -` or {1}", flag.name, flag.variable()),
            );
        }
        return Ok(Some(text));
    }
    if let Some(path) = given_text(given, &format!("{}-file", flag.field.name)) {
        return read_secret(&path).map(Some);
    }
    Ok(environment.get(&flag.variable()).map(str::to_owned))
}

/// A secret from a file, or from standard input with `-`. Errors: `invalid_input`.
pub fn read_secret(path: &str) -> Result<String> {
    let text = read(path)?;
    // Editors and `echo` end a file with a line break that is no part of the secret.
    Ok(text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line)).to_owned())
}

fn read(path: &str) -> Result<String> {
    let mut text = String::new();
    let read = if path == "-" {
        std::io::stdin().lock().take(FILE + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(FILE + 1).read_to_string(&mut text))
    };
    match read {
        Ok(_) if text.len() as u64 > FILE => Err(Error::new(&codes::TOO_LARGE)),
        Ok(_) => Ok(text),
        Err(e) => {
            let why = match e.kind() {
                std::io::ErrorKind::InvalidData => "it is no text in UTF-8".to_owned(),
                other => other.to_string(),
            };
            Err(Error::says(&codes::INVALID_INPUT, format!("`{path}` cannot be read: {why}.")).because(e))
        }
    }
}

fn merge_file(input: &mut Map<String, Value>, path: &str) -> Result<()> {
    let text = read(path)?;
    match json::value(text.as_bytes()) {
        Ok(Value::Object(object)) => {
            input.extend(object);
            Ok(())
        }
        Ok(_) => Err(Error::says(&codes::INVALID_INPUT, format!("`{path}` is not a JSON object."))),
        Err(e) => Err(Error::says(
            &codes::INVALID_INPUT,
            format!("`{path}` is not JSON (line {}, column {}).", e.line(), e.column()),
        )),
    }
}

/// A field with fields of its own may come from a file: its name, or `-` for standard input, in place of the JSON.
fn nested(flag: &Flag, texts: &[String]) -> Result<Option<Value>> {
    match texts {
        [path] if flag.field.fill() == Fill::Nested && !path.trim_start().starts_with(['{', '[']) => {
            let mut inner = Map::new();
            merge_file(&mut inner, path)?;
            Ok(Some(Value::Object(inner)))
        }
        _ => Ok(None),
    }
}

/// `a.b=v`: the field within the field.
fn set(input: &mut Map<String, Value>, form: &Form, assignment: &str) -> Result<()> {
    let wrong = || {
        Error::says(&codes::INVALID_INPUT, format!("`--set {assignment}` cannot be read."))
            .help("It has the form `--set a.b=value`.")
    };
    let (path, text) = assignment.split_once('=').ok_or_else(wrong)?;
    let mut names: Vec<&str> = path.split('.').collect();
    // A field whose own fields are what the verb is about may be left out: `--set provisioning.jit.mode=off`.
    let root = form.fields.iter().find(|field| field.extension("x-set") == Some("root"));
    if let Some(root) = root.filter(|root| names[0] != root.name && form.field(names[0]).is_none()) {
        names.insert(0, &root.name);
    }
    let (first, within) = names.split_first().ok_or_else(wrong)?;
    let field = form.field(first).ok_or_else(|| form.unknown(first))?;
    let (within, value) = match field.extension("x-set") {
        // What there is, the operation says, by the whole path.
        Some(_) => (field.steps(within), loose(field, within, text)),
        None => (field.steps(within), field.read_at(within, text)?),
    };
    let names: Vec<&str> = [*first].into_iter().chain(within.iter().map(String::as_str)).collect();
    let mut here = input;
    for name in &names[..names.len() - 1] {
        let inner = here.entry((*name).to_owned()).or_insert_with(|| Value::Object(Map::new()));
        here = inner.as_object_mut().ok_or_else(wrong)?;
    }
    if let Some(last) = names.last() {
        here.insert((*last).to_owned(), value);
    }
    Ok(())
}

/// `null` is null, what the schema can read is read, a list or an object is JSON, and anything else goes as it is.
fn loose(field: &Field, within: &[&str], text: &str) -> Value {
    if text == "null" {
        return Value::Null;
    }
    let json = || text.starts_with(['[', '{']).then(|| serde_json::from_str(text).ok()).flatten();
    let read = field.read_at(within, text).ok().or_else(json);
    read.unwrap_or_else(|| Value::String(text.to_owned()))
}
