//! The groups of a person: those the directory keeps in their entry, or those that name them; and the groups of these,
//! without going in circles.

use std::collections::BTreeSet;

use ldap3::Scope;

use super::config::{Attribute, Config, GroupMode};
use super::dn::Dn;
use super::entry::Entry;
use super::filter::{self, Values};
use super::session::{Search, Session};
use super::trouble::{Step, Trouble};
use crate::connection::ScopeMapping;

/// Groups of groups of groups: so far, and no further.
pub const MAX_LEVELS: usize = 10;
/// More groups are not looked into.
const MAX_GROUPS: usize = 1_000;
/// So many groups are asked about in one search.
const AT_ONCE: usize = 20;
/// So many searches are made for one person.
const MAX_SEARCHES: usize = 60;

/// A group that a person is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Which one it is.
    pub dn: Dn,
    /// Its name, in the directory's own words.
    pub name: String,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// The groups, the person's own first.
    pub groups: Vec<Group>,
    /// There are more, or deeper ones, than are looked at.
    pub cut: bool,
}

struct Walk<'a> {
    session: &'a Session,
    config: &'a Config,
    /// Only groups below it count.
    within: Option<Dn>,
    seen: BTreeSet<Dn>,
    found: Found,
    searches: usize,
}

/// Below which name groups count.
pub fn within(config: &Config) -> Option<Dn> {
    if let Some(base) = &config.groups.base {
        return Dn::parse(base);
    }
    // Not named: then at least of the same tree as the people.
    let tree = config.users.base.as_deref().and_then(Dn::parse)?.tree();
    match config.defaults().groups_below {
        Some(place) => Dn::parse(&format!("{place},{tree}")),
        None => Some(tree),
    }
}

/// The groups of an entry.
pub async fn of(session: &Session, config: &Config, entry: &Entry) -> Result<Found, Trouble> {
    let within = within(config);
    let (seen, found) = (BTreeSet::new(), Found::default());
    let mut walk = Walk { session, config, within, seen, found, searches: 0 };
    match config.group_mode() {
        GroupMode::None => {}
        GroupMode::Search => walk.by_search(entry).await?,
        GroupMode::MemberOf => walk.by_attribute(entry).await?,
    }
    Ok(walk.found)
}

impl Walk<'_> {
    /// Notes a group; its name as the directory writes it, where it is new and counts.
    fn note(&mut self, dn: &str, name: Option<&str>) -> Option<String> {
        let read = Dn::parse(dn).filter(|read| !read.is_root())?;
        if !self.within.as_ref().is_some_and(|base| read.is_within(base)) || self.seen.contains(&read) {
            return None;
        }
        if self.found.groups.len() >= MAX_GROUPS {
            self.found.cut = true;
            return None;
        }
        let name = name.map(str::to_owned).or_else(|| Dn::first_written(dn))?;
        self.seen.insert(read.clone());
        self.found.groups.push(Group { dn: read, name });
        Some(dn.to_owned())
    }

    async fn ask(&mut self, base: &str, scope: Scope, filter: &str, attribute: &str) -> Result<Vec<Entry>, Trouble> {
        self.searches += 1;
        let search =
            Search { base, scope, filter, attributes: vec![attribute.to_owned()], limit: MAX_GROUPS, page: None };
        let found = self.session.search(Step::Groups, search).await?;
        self.found.cut |= found.is_cut();
        Ok(found.entries)
    }

    /// The groups that name one of these entries.
    async fn naming(&mut self, filter: &str, names: &[String], username: &str) -> Result<Vec<String>, Trouble> {
        let base = self.config.groups.base.clone().or_else(|| self.within.as_ref().map(Dn::to_string));
        let Some(base) = base else { return Ok(Vec::new()) };
        let called = self.config.group_name().to_owned();
        let mut fresh = Vec::new();
        for some in names.chunks(AT_ONCE) {
            if self.searches >= MAX_SEARCHES {
                self.found.cut = true;
                break;
            }
            let each = |dn: &String| filter::fill(filter, &Values { dn, username, email: "" }).unwrap_or_default();
            let any: String = some.iter().map(each).collect();
            let any = if some.len() == 1 { any } else { format!("(|{any})") };
            for group in self.ask(&base, Scope::Subtree, &any, &called).await? {
                fresh.extend(self.note(&group.dn, group.text(&called)));
            }
        }
        Ok(fresh)
    }

    async fn by_search(&mut self, entry: &Entry) -> Result<(), Trouble> {
        let username = entry.text(self.config.attribute(Attribute::Username)).unwrap_or_default().to_owned();
        let filter = self.config.group_filter().to_owned();
        let chain = self.config.defaults().in_chain.filter(|_| self.config.groups.filter.is_none());
        let nested = self.config.nested();
        if let (true, Some(chain)) = (nested, chain) {
            self.naming(chain, std::slice::from_ref(&entry.dn), &username).await?;
            return Ok(());
        }
        let mut fresh = self.naming(&filter, std::slice::from_ref(&entry.dn), &username).await?;
        let by_dn = filter::places(&filter).is_some_and(|places| places.contains(&"dn"));
        if nested && by_dn {
            // A group is named by its name alone: nobody's account is in the filter any more.
            for level in 1..=MAX_LEVELS {
                if fresh.is_empty() {
                    break;
                }
                if level == MAX_LEVELS {
                    self.found.cut = true;
                    break;
                }
                fresh = self.naming(&filter, &fresh, "").await?;
            }
        }
        Ok(())
    }

    async fn by_attribute(&mut self, entry: &Entry) -> Result<(), Trouble> {
        let attribute = self.config.attribute(Attribute::Groups).to_owned();
        self.found.cut |= entry.partial.contains(&attribute.to_ascii_lowercase());
        let mut fresh: Vec<String> = Vec::new();
        for dn in entry.texts(&attribute) {
            fresh.extend(self.note(dn, None));
        }
        // A group that does not count, being elsewhere, may be in one that does: a filter in chain sees through it.
        if !self.config.nested() || entry.values(&attribute).is_empty() {
            return Ok(());
        }
        if let Some(chain) = self.config.defaults().in_chain {
            self.naming(chain, std::slice::from_ref(&entry.dn), "").await?;
            return Ok(());
        }
        for level in 1..=MAX_LEVELS {
            if fresh.is_empty() {
                break;
            }
            if level == MAX_LEVELS {
                self.found.cut = true;
                break;
            }
            let mut next = Vec::new();
            for dn in fresh {
                if self.searches >= MAX_SEARCHES {
                    self.found.cut = true;
                    break;
                }
                let groups = match self.ask(&dn, Scope::Base, "(objectClass=*)", &attribute).await {
                    Ok(groups) => groups,
                    // It is named, and not there or not to be read: then it is in no other.
                    Err(trouble) if trouble.is_no_such_entry() => continue,
                    Err(trouble) => return Err(trouble),
                };
                for group in &groups {
                    self.found.cut |= group.partial.contains(&attribute.to_ascii_lowercase());
                    for dn in group.texts(&attribute) {
                        next.extend(self.note(dn, None));
                    }
                }
            }
            fresh = next;
        }
        Ok(())
    }
}

/// By what each group is told: its name; and, where somebody has mapped it by its distinguished name, that too, as it was
/// written there. The mapped ones first.
pub fn told(groups: &[Group], mapped: &[String]) -> Vec<String> {
    let named: Vec<(Dn, &String)> =
        mapped.iter().filter(|key| key.contains('=')).filter_map(|key| Some((Dn::parse(key)?, key))).collect();
    let (mut first, mut rest): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    for group in groups {
        // Two mappings may spell it in two ways.
        first.extend(named.iter().filter(|(dn, _)| *dn == group.dn).map(|(_, key)| (*key).clone()));
        let list = if mapped.contains(&group.name) { &mut first } else { &mut rest };
        list.push(group.name.clone());
    }
    let mut all = Vec::with_capacity(first.len() + rest.len());
    for name in first.into_iter().chain(rest) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

/// The scopes that a connection gives for groups: of all that match, or else the default ones.
pub fn scopes(mapping: &ScopeMapping, default: &[String], groups: &[Group]) -> Vec<String> {
    let mut matched = false;
    let mut scopes: Vec<String> = Vec::new();
    for (key, given) in mapping {
        let named = Dn::parse(key).filter(|_| key.contains('='));
        if groups.iter().any(|group| group.name == *key || named.as_ref() == Some(&group.dn)) {
            matched = true;
            scopes.extend(given.iter().cloned());
        }
    }
    if !matched {
        scopes.extend_from_slice(default);
    }
    let mut once = BTreeSet::new();
    scopes.retain(|scope| once.insert(scope.clone()));
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(dn: &str, name: &str) -> Group {
        Group { dn: Dn::parse(dn).unwrap(), name: name.into() }
    }

    #[test]
    fn ldap_08_a_group_is_mapped_by_what_its_name_means_and_not_by_how_it_is_written() {
        let groups = [group("cn=Admins,ou=groups,dc=x", "Admins"), group("cn=staff,ou=groups,dc=x", "staff")];
        let mapped = ["CN=admins, OU=Groups,DC=x", "cn=admins,ou=other,dc=x", "staff", "cn=ADMINS,ou=groups,dc=x"];
        let told = told(&groups, &mapped.map(str::to_owned));
        assert_eq!(told, ["CN=admins, OU=Groups,DC=x", "cn=ADMINS,ou=groups,dc=x", "staff", "Admins"]);
    }

    #[test]
    fn scopes_are_those_of_every_group_that_matches_or_the_default_ones() {
        let mapping = ScopeMapping::from([
            ("staff".to_owned(), vec!["read".to_owned(), "mail".to_owned()]),
            ("CN=Admins,OU=groups,DC=x".to_owned(), vec!["write".to_owned(), "read".to_owned()]),
        ]);
        let guest = ["guest".to_owned()];
        let both = [group("cn=admins,ou=groups,dc=x", "Admins"), group("cn=staff,ou=groups,dc=x", "staff")];
        assert_eq!(scopes(&mapping, &guest, &both), ["write", "read", "mail"]);
        assert_eq!(scopes(&mapping, &guest, &[group("cn=admins,ou=other,dc=x", "admins")]), ["guest"]);
    }
}
