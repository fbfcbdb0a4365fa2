//! What is in the test directory: the simulator's people, and the groups they are in.

use std::collections::{BTreeMap, BTreeSet};

use super::super::people::{PEOPLE, Person};

/// The top.
pub const BASE: &str = "dc=directory,dc=example";
/// People lie below it.
pub const PEOPLE_BASE: &str = "ou=people,dc=directory,dc=example";
/// Groups lie below it.
pub const GROUPS: &str = "ou=groups,dc=directory,dc=example";
/// The domain of everybody's address here: another than at the simulated OpenID provider, so that an address leads to one.
pub const DOMAIN: &str = "directory.example";

/// An entry: its name, and its attributes by name in small letters.
pub(super) struct Entry {
    pub dn: String,
    pub attributes: BTreeMap<String, (String, Vec<String>)>,
}

impl Entry {
    fn new(dn: String, pairs: &[(&str, &[&str])]) -> Self {
        let attributes = pairs
            .iter()
            .filter(|(_, values)| !values.is_empty())
            .map(|(name, values)| {
                let values = values.iter().map(|value| (*value).to_owned()).collect();
                (name.to_lowercase(), ((*name).to_owned(), values))
            })
            .collect();
        Self { dn, attributes }
    }

    pub fn values(&self, name: &str) -> &[String] {
        self.attributes.get(&name.to_lowercase()).map(|(_, values)| values.as_slice()).unwrap_or_default()
    }

    pub fn is_person(&self) -> bool {
        self.values("objectClass").iter().any(|class| class == "person")
    }

    /// RFC 4511 §4.5.1.2: the entry itself, those just below, or all below.
    pub fn is_in(&self, base: &str, scope: u8) -> bool {
        let (own, base) = (parts(&self.dn), parts(base));
        match scope {
            0 => own == base,
            1 => own.len() == base.len() + 1 && own.ends_with(&base),
            _ => own.ends_with(&base),
        }
    }
}

/// A name's parts as they are compared. The names here have no comma within a value.
fn parts(name: &str) -> Vec<String> {
    name.split(',').map(|part| part.trim().to_lowercase()).collect()
}

/// Whether two names are the same.
pub(super) fn same_name(one: &str, other: &str) -> bool {
    parts(one) == parts(other)
}

fn named(person: &Person) -> String {
    format!("uid={},{PEOPLE_BASE}", person.id)
}

fn group(name: &str) -> String {
    format!("cn={name},{GROUPS}")
}

/// Everything there is.
pub(super) fn all() -> Vec<Entry> {
    let mut entries = vec![
        Entry::new(BASE.to_owned(), &[("objectClass", &["domain"]), ("dc", &["directory"])]),
        Entry::new(PEOPLE_BASE.to_owned(), &[("objectClass", &["organizationalUnit"]), ("ou", &["people"])]),
        Entry::new(GROUPS.to_owned(), &[("objectClass", &["organizationalUnit"]), ("ou", &["groups"])]),
    ];
    let mut names = BTreeSet::new();
    for person in PEOPLE {
        names.extend(person.groups);
        let mail = format!("{}@{DOMAIN}", person.id);
        let groups: Vec<String> = person.groups.iter().map(|name| group(name)).collect();
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        entries.push(Entry::new(
            named(person),
            &[
                ("objectClass", &["top", "person", "inetOrgPerson"]),
                ("uid", &[person.id]),
                ("cn", &[&person.name()]),
                ("givenName", &[person.given_name]),
                ("sn", &[person.family_name]),
                ("mail", &[&mail]),
                ("entryUUID", &[&uuid(person)]),
                ("memberOf", &groups),
            ],
        ));
    }
    for name in names {
        let members: Vec<String> = PEOPLE.iter().filter(|person| person.groups.contains(&name)).map(named).collect();
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        let class: &[&str] = &["top", "groupOfNames"];
        entries.push(Entry::new(group(name), &[("objectClass", class), ("cn", &[name]), ("member", &members)]));
    }
    entries
}

/// The same at every start, as a directory's would be.
fn uuid(person: &Person) -> String {
    let digest = crate::crypto::sha256(&[b"the simulated directory", person.sub.as_bytes()]);
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let group = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", group(0, 8), group(8, 12), group(12, 16), group(16, 20), group(20, 32))
}
