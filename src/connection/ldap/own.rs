//! Whether the entry that was found belongs to whoever was bound by a name that is none of an entry (`ada@corp.example`).
//!
//! Two things tell it. Active Directory, of Microsoft or of Samba, shows each connection the security identifiers that its
//! bind stands for ([MS-ADTS] `tokenGroups` of the root); an entry has one of its own, which nobody else in a forest has. And
//! the authorization identity (RFC 4532), which has the account's name, and at best the short name of its domain. Samba knows
//! only the first, other directories only the second.

use ldap3::Scope;

use super::config::{Attribute, Config};
use super::dn::Dn;
use super::entry::Entry;
use super::session::{Search, Session};
use super::trouble::{Step, Trouble};

/// What an entry is recognized by among the identifiers of a token.
pub const IDENTIFIER: &str = "objectSid";
const TOKEN: &str = "tokenGroups";

/// Asks, over the connection that was bound. Whoever says nothing of it vouches for nobody.
pub async fn is_own(session: &Session, bound: &str, entry: &Entry, config: &Config) -> Result<bool, Trouble> {
    let token = in_token(session, entry).await?;
    if token == Some(false) {
        return Ok(false);
    }
    let who = session.who().await?;
    match (token, who) {
        // The identifier names the domain, too; the account must be the one that the directory says.
        (Some(_), Some(who)) => Ok(is_said_by(&who, None, entry, config)),
        (Some(_), None) => Ok(true),
        (None, Some(who)) => Ok(is_said_by(&who, Some(bound), entry, config)),
        (None, None) => Err(Trouble::unavailable(Step::Person, "the directory does not say whose bind it was")),
    }
}

/// Whether the entry's identifier is one of those that the bind stands for. `None` where either is not told.
async fn in_token(session: &Session, entry: &Entry) -> Result<Option<bool>, Trouble> {
    let [own] = entry.values(IDENTIFIER) else { return Ok(None) };
    let search = Search {
        base: "",
        scope: Scope::Base,
        filter: "(objectClass=*)",
        attributes: vec![TOKEN.to_owned()],
        limit: 1,
        page: None,
    };
    let root = match session.search(Step::Person, search).await {
        Ok(found) => found.entries.into_iter().next(),
        // It answers, and does not want to say.
        Err(trouble) if trouble.code.is_some() => None,
        Err(trouble) => return Err(trouble),
    };
    let held = root.as_ref().map(|root| root.values(TOKEN)).unwrap_or_default();
    Ok((!held.is_empty()).then(|| held.contains(own)))
}

/// Whether an authorization identity (RFC 4513 §5.2.1.8) of whoever was bound by that name is that of the entry. The same
/// account may exist in each domain of a forest, so the domain has to fit as well, unless it is known.
fn is_said_by(who: &str, bound: Option<&str>, entry: &Entry, config: &Config) -> bool {
    if let Some(name) = who.strip_prefix("dn:") {
        let (said, found) = (Dn::parse(name), Dn::parse(&entry.dn));
        return said.is_some_and(|said| !said.is_root() && Some(said) == found);
    }
    let Some(name) = who.strip_prefix("u:") else { return false };
    let (domain, account) = name.split_once('\\').map_or((None, name), |(domain, account)| (Some(domain), account));
    if let (Some(domain), Some(bound)) = (domain, bound)
        && !is_of_domain(domain, bound, entry)
    {
        return false;
    }
    let username = config.attribute(Attribute::Username);
    ["userPrincipalName", username]
        .iter()
        .any(|attribute| entry.text(attribute).is_some_and(|own| own.to_lowercase() == account.to_lowercase()))
}

/// Whether who was bound by that name, and is of that domain, can be the entry: by the domain's short name where the name has
/// one; by a principal name that is the entry's own, or one of the domain that the entry lies in.
fn is_of_domain(domain: &str, bound: &str, entry: &Entry) -> bool {
    if let Some((asked, _)) = bound.split_once('\\') {
        return asked.eq_ignore_ascii_case(domain);
    }
    let Some((_, suffix)) = bound.rsplit_once('@') else { return true };
    let own = entry.text("userPrincipalName").is_some_and(|own| own.to_lowercase() == bound.to_lowercase());
    own || Dn::parse(&entry.dn).and_then(|dn| dn.domain()).is_some_and(|lies| lies == suffix.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::config::Preset;
    use super::*;

    #[test]
    fn ldap_07_an_entry_is_ones_own_when_the_directory_says_so() {
        let mut entry = Entry { dn: "CN=Ada,DC=x".into(), ..Entry::default() };
        entry.attributes.insert("samaccountname".into(), vec![b"ada".to_vec()]);
        entry.attributes.insert("userprincipalname".into(), vec![b"ada.l@corp.example".to_vec()]);
        let config = Config { preset: Some(Preset::ActiveDirectory), ..Config::default() };
        for (who, own) in [
            ("u:CORP\\ada", true),
            ("u:CORP\\ADA", true),
            ("u:ada.l@corp.example", true),
            ("dn:cn=ada,dc=x", true),
            ("u:CORP\\bob", false),
            ("dn:cn=bob,dc=x", false),
            ("dn:", false),
            ("", false),
        ] {
            assert_eq!(is_said_by(who, Some("ada"), &entry, &config), own, "{who}");
        }
    }

    #[test]
    fn ldap_07_the_same_account_of_another_domain_is_somebody_else() {
        let mut entry = Entry { dn: "CN=Ada,OU=Staff,DC=corp,DC=example".into(), ..Entry::default() };
        entry.attributes.insert("samaccountname".into(), vec![b"ada".to_vec()]);
        entry.attributes.insert("userprincipalname".into(), vec![b"ada.l@people.example".to_vec()]);
        let config = Config { preset: Some(Preset::ActiveDirectory), ..Config::default() };
        for (bound, who, own) in [
            ("CORP\\ada", "u:CORP\\ada", true),
            ("corp\\ada", "u:CORP\\ada", true),
            ("CORP\\ada", "u:OTHER\\ada", false),
            ("ada@corp.example", "u:CORP\\ada", true),
            ("Ada@Corp.Example", "u:CORP\\ada", true),
            ("ada.l@people.example", "u:CORP\\ada", true),
            // Whoever has this name at another domain, it is not Ada.
            ("ada@people.example", "u:OTHER\\ada", false),
            ("ada@other.example", "u:OTHER\\ada", false),
        ] {
            assert_eq!(is_said_by(who, Some(bound), &entry, &config), own, "{bound}: {who}");
        }
    }
}
