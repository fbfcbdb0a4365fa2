//! What a directory's resource says of a person, by the directory's own mapping or by the usual one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::connection::{MappedField, ScimConfig, Status};
use crate::directory::{EmailAddress, Field};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::policy::DeprovisionMode;
use crate::scim::filter::{self, Parser, Target};
use crate::scim::place::get;
use crate::scim::schema::{ResourceKind, truth};

/// A kept value has at most so many bytes, as those of sign-ins.
const LONGEST: usize = 1_024;

/// How a directory may speak, ready to be gone by.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    paths: BTreeMap<MappedField, Target>,
    extra: BTreeMap<String, Target>,
    /// The most bytes of a request, where the directory has a bound of its own.
    pub most_bytes: Option<usize>,
    /// What becomes of leavers, where it is not left to the policy.
    pub deprovision: Option<DeprovisionMode>,
    /// What was said before this was read by another mapping.
    pub mapped_at: Option<Timestamp>,
    is_off: bool,
}

/// The attribute that a text names, of people. Errors: `config_invalid`.
pub(super) fn path(text: &str) -> Result<Target> {
    let read = || {
        filter::scan(text)?;
        let mut target = Parser::new(ResourceKind::User, text).path()?;
        if target.place.attribute.is_none() {
            return Err(Error::new(&codes::INVALID_PATH));
        }
        // `emails.primary` is how the preferred one of several is named, not whether it is.
        let several = target.place.known.is_some_and(|known| known.many);
        if several && target.place.sub.as_deref() == Some("primary") {
            (target.place.sub, target.place.known_sub) = (None, None);
        }
        Ok(target)
    };
    read().map_err(|error: Error| {
        let shown: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
        Error::says(&codes::CONFIG_INVALID, format!("`{shown}` names no attribute of a person."))
            .help("Such as `userName`, `emails.primary`, `name.givenName`, `emails[type eq \"work\"].value`, `urn:…:2.0:User:department`.")
            .because(error)
    })
}

impl Rules {
    /// From what is kept. Errors: `storage_corrupt`.
    pub fn of(config: Option<&ScimConfig>) -> Result<Self> {
        let Some(config) = config else { return Ok(Self::default()) };
        let kept = |text: &String| path(text).map_err(|error| Error::new(&codes::STORAGE_CORRUPT).because(error));
        let mut rules = Self {
            most_bytes: config.max_request_size.map(|most| usize::try_from(most).unwrap_or(usize::MAX)),
            deprovision: config.deprovision_mode(),
            mapped_at: Some(config.mapped_at),
            is_off: config.status != Status::Active,
            ..Self::default()
        };
        for (field, text) in &config.mapping {
            rules.paths.insert(*field, kept(text)?);
        }
        for (name, text) in &config.extra_fields {
            rules.extra.insert(name.clone(), kept(text)?);
        }
        Ok(rules)
    }

    /// Whether the directory is listened to. Errors: `scim_disabled`.
    pub fn listens(&self) -> Result<()> {
        if self.is_off { Err(Error::new(&codes::SCIM_DISABLED)) } else { Ok(()) }
    }

    /// The fields of a profile that follow from what is said of a person.
    pub fn profile(&self, said: &Map<String, Value>) -> Vec<(Field, Option<String>)> {
        let usual = |attribute: &str, sub: Option<&str>| -> Option<String> {
            let value = get(said, attribute)?;
            owned(match sub {
                None => value.as_str(),
                Some(sub) => get(value.as_object()?, sub)?.as_str(),
            })
        };
        let one = |field: MappedField, otherwise: &dyn Fn() -> Option<String>| match self.paths.get(&field) {
            Some(path) => texts(path, said).into_iter().find_map(|text| owned(Some(text))),
            None => otherwise(),
        };
        vec![
            (Field::Email, self.address(said)),
            (
                Field::Name,
                one(MappedField::Name, &|| usual("displayName", None).or_else(|| usual("name", Some("formatted")))),
            ),
            (Field::GivenName, one(MappedField::FirstName, &|| usual("name", Some("givenName")))),
            (Field::FamilyName, one(MappedField::LastName, &|| usual("name", Some("familyName")))),
            (Field::Image, picture(said)),
        ]
    }

    /// The person's one address: of the e-mail addresses the preferred one that is one, or else the user name; with a
    /// mapping, what is mapped and nothing else.
    fn address(&self, said: &Map<String, Value>) -> Option<String> {
        let all = match self.paths.get(&MappedField::Email) {
            Some(path) => texts(path, said),
            None => {
                let mut all = preferred(said, "emails");
                all.extend(get(said, "userName").and_then(Value::as_str));
                all
            }
        };
        all.into_iter().find(|text| EmailAddress::parse(text).is_ok()).map(str::to_owned)
    }

    /// The directory's own id of the person.
    pub fn external_id(&self, said: &Map<String, Value>) -> Option<String> {
        match self.paths.get(&MappedField::ExternalId) {
            Some(path) => texts(path, said).into_iter().find_map(|text| owned(Some(text))),
            None => get(said, "externalId").and_then(Value::as_str).map(str::to_owned),
        }
    }

    /// The provider's own word for the person, where the mapping names it.
    pub fn subject(&self, said: &Map<String, Value>) -> Option<String> {
        let path = self.paths.get(&MappedField::Subject)?;
        texts(path, said).into_iter().find_map(|text| owned(Some(text)))
    }

    /// The person's roles at the source; by themselves they are no roles of authd.
    pub fn roles(&self, said: &Map<String, Value>) -> Vec<String> {
        let found = match self.paths.get(&MappedField::Roles) {
            Some(path) => texts(path, said),
            None => preferred(said, "roles"),
        };
        found.into_iter().map(str::to_owned).collect()
    }

    /// The person's groups, where an attribute of the person names them; none where the directory's groups are resources.
    pub fn groups(&self, said: &Map<String, Value>) -> Option<Vec<String>> {
        let path = self.paths.get(&MappedField::Groups)?;
        Some(texts(path, said).into_iter().map(str::to_owned).collect())
    }

    /// Whether another attribute than `active` says who may come in.
    pub fn maps_active(&self) -> bool {
        self.paths.contains_key(&MappedField::Active)
    }

    /// What that attribute says.
    pub fn active(&self, said: &Map<String, Value>) -> Option<bool> {
        let path = self.paths.get(&MappedField::Active)?;
        values(path, said).into_iter().find_map(|value| match value {
            Value::Bool(is) => Some(*is),
            Value::String(text) => truth(text),
            _ => None,
        })
    }

    /// What is kept besides; none where nothing is.
    pub fn extra(&self, said: &Map<String, Value>) -> Option<Map<String, Value>> {
        let phone = self.paths.get(&MappedField::Phone);
        if self.extra.is_empty() && phone.is_none() {
            return None;
        }
        let mut extra = Map::new();
        for (name, path) in self.extra.iter().chain(phone.map(|path| (&*PHONE, path))) {
            let mut found: Vec<Value> = values(path, said).into_iter().cloned().collect();
            let value = match found.len() {
                0 => continue,
                1 => found.swap_remove(0),
                _ if path.place.known.is_some_and(|known| known.many) && name == &*PHONE => found.swap_remove(0),
                _ => Value::Array(found),
            };
            if value.to_string().len() <= LONGEST {
                extra.insert(name.clone(), value);
            }
        }
        Some(extra)
    }
}

/// Under which name a phone number is kept.
static PHONE: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| "phone".to_owned());

fn owned(text: Option<&str>) -> Option<String> {
    text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The values of an attribute, the primary ones first, then those for work.
fn ordered(found: Option<&Value>) -> Vec<&Value> {
    let mut items: Vec<&Value> = match found {
        None => Vec::new(),
        Some(Value::Array(items)) => items.iter().collect(),
        Some(single) => vec![single],
    };
    items.sort_by_key(|item| {
        let of = |name: &str| item.as_object().and_then(|fields| get(fields, name));
        let work = of("type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("work"));
        (of("primary") != Some(&Value::Bool(true)), !work)
    });
    items
}

/// What stands at a path: of a complex value its `value`.
fn values<'v>(path: &Target, said: &'v Map<String, Value>) -> Vec<&'v Value> {
    let chosen = |item: &&Value| match &path.select {
        None => true,
        Some(select) => item.as_object().is_some_and(|fields| select.matches(fields)),
    };
    let sub = path.place.sub.as_deref().unwrap_or("value");
    let inner = |item: &'v Value| match item {
        Value::Object(fields) => get(fields, sub),
        plain if path.place.sub.is_none() => Some(plain),
        _ => None,
    };
    ordered(path.place.value(said)).into_iter().filter(chosen).filter_map(inner).collect()
}

fn texts<'v>(path: &Target, said: &'v Map<String, Value>) -> Vec<&'v str> {
    values(path, said).into_iter().filter_map(Value::as_str).collect()
}

/// The values of an attribute with several, the primary ones first, then those for work.
fn preferred<'v>(said: &'v Map<String, Value>, name: &str) -> Vec<&'v str> {
    let value = |item: &'v Value| get(item.as_object()?, "value")?.as_str();
    ordered(get(said, name)).into_iter().filter_map(value).collect()
}

fn picture(said: &Map<String, Value>) -> Option<String> {
    let fits = |text: &&str| text.len() <= 2_000 && url::Url::parse(text).is_ok_and(|url| url.scheme() == "https");
    preferred(said, "photos").into_iter().find(fits).map(str::to_owned)
}
