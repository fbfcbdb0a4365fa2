//! The search for the entry that a typed name means. What was typed is a value of the filter, and stays one.

use ldap3::Scope;

use super::config::{Attribute, Config};
use super::dn::Dn;
use super::entry::Entry;
use super::filter::{self, Values};
use super::name::Typed;
use super::person;
use super::session::{Found, Search, Session};
use super::trouble::{Step, Trouble};

/// An account with the short name of its domain ([MS-ADTS] constructed attributes); read only where it is asked for by name.
/// Samba does not give it.
const PRINCIPAL: &str = "msDS-PrincipalName";
/// The same account may exist in so many domains of a forest.
const NAMESAKES: usize = 20;

/// The entries that a typed name means; two are as good as many.
pub async fn find(session: &Session, config: &Config, typed: &Typed<'_>) -> Result<Found, Trouble> {
    let mut found = meant(session, config, typed).await?;
    if let [entry] = found.entries.as_mut_slice()
        && entry.values(config.attribute(Attribute::Subject)).is_empty()
    {
        *entry = whole(session, config, entry).await?;
    }
    Ok(found)
}

/// An entry that does not say who it is, read once more with all that it has: some servers compare the names of attributes by
/// the letter.
async fn whole(session: &Session, config: &Config, entry: &Entry) -> Result<Entry, Trouble> {
    let mut attributes: Vec<String> = person::attributes(config).iter().map(|name| name.to_ascii_lowercase()).collect();
    attributes.extend(["*", "+"].map(str::to_owned));
    let filter = "(objectClass=*)";
    let search = Search { base: &entry.dn, scope: Scope::Base, filter, attributes, limit: 2, page: None };
    let mut found = match session.search(Step::Person, search).await {
        Ok(found) => found,
        Err(trouble) if trouble.is_of_the_server() => return Err(trouble),
        Err(_) => return Ok(entry.clone()),
    };
    let again = found.entries.pop().filter(|again| found.entries.is_empty() && again.dn == entry.dn);
    Ok(again.unwrap_or_else(|| entry.clone()))
}

async fn meant(session: &Session, config: &Config, typed: &Typed<'_>) -> Result<Found, Trouble> {
    let base = config.users.base.as_deref().unwrap_or_default();
    if let Typed::Dn(name) = typed {
        let found = by_dn(session, config, base, name).await?;
        if !found.entries.is_empty() || found.is_cut() {
            return Ok(found);
        }
        // An account or an address may look like one: `x=y`.
    }
    let (account, email) = (typed.account(), typed.account());
    let filter = filter::fill(config.filter(), &Values { username: account, email, dn: "" }).unwrap_or_default();
    let mut attributes = person::attributes(config);
    let mut limit = 2;
    if matches!(typed, Typed::Windows { .. }) {
        limit = NAMESAKES;
        if !attributes.iter().any(|name| name.eq_ignore_ascii_case(PRINCIPAL)) {
            attributes.push(PRINCIPAL.to_owned());
        }
    }
    let search = Search { base, scope: Scope::Subtree, filter: &filter, attributes, limit, page: None };
    match session.search(Step::Person, search).await {
        Err(trouble) if trouble.is_no_such_entry() => Err(Trouble { step: Step::Base, ..trouble }),
        Ok(mut found) => {
            if let Typed::Windows { domain, account } = typed {
                found.entries.retain(|entry| is_of(entry, domain, account));
            }
            Ok(found)
        }
        failed => failed,
    }
}

/// Whether an entry is that account of that domain, by its short name or as DNS has it, as far as the directory tells: one
/// that does not say its domain is told apart by the filter alone.
fn is_of(entry: &Entry, domain: &str, account: &str) -> bool {
    let Some((short, own)) = entry.text(PRINCIPAL).and_then(|own| own.split_once('\\')) else { return true };
    let lies = Dn::parse(&entry.dn).and_then(|dn| dn.domain());
    own.to_lowercase() == account.to_lowercase()
        && (short.eq_ignore_ascii_case(domain) || lies.is_some_and(|lies| lies.eq_ignore_ascii_case(domain)))
}

/// A distinguished name that was typed stands for the account of that entry: the filter must mean it by that account, or a
/// filter that leaves people out would leave out nobody who knows their own name.
async fn by_dn(session: &Session, config: &Config, base: &str, name: &str) -> Result<Found, Trouble> {
    let below = Dn::parse(base).is_some_and(|base| Dn::parse(name).is_some_and(|name| name.is_within(&base)));
    if !below {
        return Ok(Found::default());
    }
    let username = config.attribute(Attribute::Username);
    let attributes = vec![username.to_owned()];
    let search = Search { base: name, scope: Scope::Base, filter: "(objectClass=*)", attributes, limit: 2, page: None };
    let entry = match session.search(Step::Person, search).await {
        Ok(found) => found.entries.into_iter().next(),
        Err(trouble) if matches!(trouble.code, Some(32 | 34)) => None,
        Err(trouble) => return Err(trouble),
    };
    match entry.as_ref().and_then(|entry| entry.text(username)) {
        Some(account) => read(session, config, name, account).await,
        None => Ok(Found::default()),
    }
}

/// One entry by its name, if the filter means it by that account.
pub async fn read(session: &Session, config: &Config, name: &str, account: &str) -> Result<Found, Trouble> {
    let values = Values { username: account, email: account, dn: "" };
    let filter = filter::fill(config.filter(), &values).unwrap_or_default();
    let attributes = person::attributes(config);
    let search = Search { base: name, scope: Scope::Base, filter: &filter, attributes, limit: 2, page: None };
    match session.search(Step::Person, search).await {
        Err(trouble) if matches!(trouble.code, Some(32 | 34)) => Ok(Found::default()),
        found => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_part_of_a_name_where_the_directory_tells_it() {
        let mut entry = Entry { dn: "CN=Ada,DC=emea,DC=corp,DC=test".into(), ..Entry::default() };
        assert!(is_of(&entry, "WRONG", "ada"), "it is not told");
        entry.attributes.insert(PRINCIPAL.to_ascii_lowercase(), vec![b"EMEA\\Ada".to_vec()]);
        for (domain, account, own) in [
            ("EMEA", "Ada", true),
            ("emea", "ADA", true),
            ("EMEA.corp.test", "ada", true),
            ("corp.test", "ada", false),
            ("CORP", "ada", false),
            ("EMEA", "ada.l", false),
            ("EME", "A\\ada", false),
        ] {
            assert_eq!(is_of(&entry, domain, account), own, "{domain}, {account}");
        }
    }
}
