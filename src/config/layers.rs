//! The three layers, merged: file, environment, flags; each value remembers where it came from.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::data_dir::DataDir;
use super::environment::Environment;
use super::key::{self, KEYS, Shape};
use super::plain;
use crate::error::{Error, Result, codes};

/// No configuration is longer; a device or a log that was named by mistake is.
const LONGEST_FILE: u64 = 1 << 20;

/// The data directory unless another is named.
pub(super) const DATA_DIR: &str = "authd-data";

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf, &'static str),
    Variable(String),
    Flag(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path, key) => write!(f, "`{key}` in {}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "`--{name}`"),
        }
    }
}

/// A value with its source.
#[derive(Clone, Debug)]
pub struct Given {
    /// As it was written.
    pub value: String,
    source: Source,
}

impl Given {
    /// `config_invalid` that names the source.
    pub(super) fn wrong(&self, why: String) -> Error {
        Error::says(&codes::CONFIG_INVALID, format!("{}: {}.", self.source, why.trim_end_matches('.')))
    }

    /// The value, short enough for a message.
    pub(super) fn shown(&self) -> String {
        self.value.chars().filter(|c| !c.is_control()).take(80).collect()
    }

    /// The value as a path; in the file, relative ones are relative to the file.
    pub(super) fn path(&self) -> PathBuf {
        match &self.source {
            Source::File(file, _) => file.parent().unwrap_or(Path::new(".")).join(&self.value),
            _ => PathBuf::from(&self.value),
        }
    }
}

/// What was given on the command line.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--data-dir`.
    pub data_dir: Option<String>,
    /// `--config`.
    pub config: Option<String>,
    /// Any other key, by its name.
    pub values: Vec<(&'static str, Vec<String>)>,
}

/// The layers, merged.
pub(super) struct Layers {
    values: BTreeMap<&'static str, Vec<Given>>,
    pub data_dir: DataDir,
    pub file: Option<PathBuf>,
}

impl Layers {
    pub fn read(environment: &Environment, flags: &Flags) -> Result<Self> {
        known_variables(environment)?;
        let named = flags.config.as_deref().or_else(|| environment.get("AUTHD_CONFIG")).map(PathBuf::from);
        let given_dir = flags
            .data_dir
            .as_ref()
            .map(|dir| Given { value: dir.clone(), source: Source::Flag("data-dir".into()) })
            .or_else(|| {
                let source = Source::Variable("AUTHD_DATA_DIR".into());
                environment.get("AUTHD_DATA_DIR").map(|dir| Given { value: dir.to_owned(), source })
            });
        let mut values = BTreeMap::new();
        if let Some(path) = &named {
            read_file(path, &mut values)?;
        }
        // The data directory can only be named by a file that was itself named: the other one lies in it.
        let data_dir = given_dir.or_else(|| values.remove("data_dir").and_then(|mut given: Vec<Given>| given.pop()));
        let data_dir = DataDir::new(data_dir.map_or_else(|| PathBuf::from(DATA_DIR), |given| given.path()));
        let file = match named {
            Some(path) => Some(path),
            None if data_dir.config_file().exists() => {
                read_file(&data_dir.config_file(), &mut values)?;
                if let Some(given) = values.get("data_dir").and_then(|given| given.first()) {
                    return Err(
                        given.wrong("the file lies in the data directory, so it cannot name another one".to_owned())
                    );
                }
                Some(data_dir.config_file())
            }
            None => None,
        };
        for key in KEYS {
            let variable = key.variable();
            if let Some(text) = environment.get(&variable) {
                let parts: Vec<&str> = match key.shape {
                    Shape::One => vec![text],
                    Shape::Many => split(text),
                };
                let source = Source::Variable(variable);
                values.insert(
                    key.name,
                    parts.iter().map(|p| Given { value: (*p).to_owned(), source: source.clone() }).collect(),
                );
            }
        }
        for (name, given) in &flags.values {
            let Some(key) = key::find(name) else { continue };
            let source = Source::Flag(key.flag());
            let parts = given.iter().flat_map(|text| match key.shape {
                Shape::One => vec![text.as_str()],
                Shape::Many => split(text),
            });
            values.insert(key.name, parts.map(|p| Given { value: p.to_owned(), source: source.clone() }).collect());
        }
        Ok(Self { values, data_dir, file })
    }

    pub fn text(&self, name: &str) -> Option<Given> {
        debug_assert!(key::find(name).is_some(), "{name} is not in the list of keys");
        self.values.get(name).and_then(|given| given.last()).cloned()
    }

    pub fn list(&self, name: &str) -> Vec<Given> {
        debug_assert!(key::find(name).is_some(), "{name} is not in the list of keys");
        self.values.get(name).cloned().unwrap_or_default()
    }
}

fn split(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect()
}

fn read_file(path: &Path, values: &mut BTreeMap<&'static str, Vec<Given>>) -> Result<()> {
    let wrong = |why: String| {
        Error::says(&codes::CONFIG_INVALID, format!("{}: {}.", path.display(), why.trim_end_matches('.')))
    };
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_FILE + 1).read_to_string(&mut text));
    read.map_err(|e| wrong(plain(&e)).because(e))?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(wrong("it is larger than 1 MiB".to_owned()));
    }
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| {
        let line = e.span().map_or(1, |span| text[..span.start.min(text.len())].lines().count().max(1));
        wrong(format!("line {line}: {}", e.message().lines().next().unwrap_or("not TOML")))
    })?;
    walk(path, "", &table, values)
}

fn walk(path: &Path, above: &str, table: &toml::Table, values: &mut BTreeMap<&'static str, Vec<Given>>) -> Result<()> {
    for (name, value) in table {
        let full = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        let is_table = KEYS.iter().any(|key| key.name.strip_prefix(full.as_str()).is_some_and(|r| r.starts_with('.')));
        if is_table && let toml::Value::Table(below) = value {
            walk(path, &full, below, values)?;
            continue;
        }
        let key = key::find(&full).ok_or_else(|| unknown(&format!("`{full}` in {}", path.display()), &full))?;
        let source = Source::File(path.to_owned(), key.name);
        let given = |value: &toml::Value| {
            let value = match value {
                toml::Value::String(text) => text.clone(),
                toml::Value::Integer(number) => number.to_string(),
                _ => return Err(Error::says(&codes::CONFIG_INVALID, format!("{source}: it takes a text."))),
            };
            Ok(Given { value, source: source.clone() })
        };
        let list = match (value, key.shape) {
            (toml::Value::Array(items), Shape::Many) => items.iter().map(given).collect::<Result<Vec<_>>>()?,
            (toml::Value::Array(_), Shape::One) => {
                return Err(Error::says(&codes::CONFIG_INVALID, format!("{source}: it takes one value, not a list.")));
            }
            (value, _) => vec![given(value)?],
        };
        values.insert(key.name, list);
    }
    Ok(())
}

fn unknown(place: &str, name: &str) -> Error {
    let error = Error::says(&codes::CONFIG_UNKNOWN_KEY, format!("{place}: there is no such key."));
    match key::meant(name, KEYS.iter().map(|key| key.name)) {
        Some(meant) => error.help(format!("Did you mean `{meant}`?")),
        None => {
            error.help(format!("The keys are: {}.", KEYS.iter().map(|key| key.name).collect::<Vec<_>>().join(", ")))
        }
    }
}

/// Variables that other software sets for a service called authd (`AUTHD_PORT`, `AUTHD_SERVICE_HOST`) are none of
/// ours and must not hurt; so only a name that nearly is one of ours is refused.
fn known_variables(environment: &Environment) -> Result<()> {
    let ours: Vec<String> = KEYS.iter().map(key::Key::variable).collect();
    for name in environment.names() {
        if ours.iter().any(|known| known == name) {
            continue;
        }
        let near = ours.iter().find(|known| strsim::damerau_levenshtein(name, known) <= 2);
        if let Some(near) = near {
            return Err(Error::says(&codes::CONFIG_UNKNOWN_KEY, format!("{name}: there is no such variable."))
                .help(format!("Did you mean `{near}`?")));
        }
    }
    Ok(())
}
