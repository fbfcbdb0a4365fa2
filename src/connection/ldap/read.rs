//! Reading everybody: page by page (RFC 2696), for the synchronization.

use std::sync::Arc;
use std::time::Duration;

use ldap3::Scope;
use tokio::time::{Instant, timeout_at};

use super::config::{Attribute, BindMode, Config};
use super::connect::Passed;
use super::dn::Dn;
use super::session::{Search, Session};
use super::trouble::{Step, Trouble};
use super::{Ldap, filter, groups, person};
use crate::access::Context;
use crate::connection::protocol::Checks;
use crate::connection::record::Connection;
use crate::directory::Profile;
use crate::error::{Error, Result, codes};

/// Entries of one page: all of it must fit in what is read of one answer, and an entry may name a thousand groups.
const PAGE: usize = 40;
/// Entries that are read of a directory that knows no pages.
const UNPAGED: usize = 800;
/// One page with its groups is read by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Somebody whom the directory knows.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Who it is for good; `None`, where the entry does not say it.
    pub subject: Option<String>,
    /// What the entry says of them; their groups are told by `Reading::groups`.
    pub profile: Profile,
    /// Whether the account may be used.
    pub active: bool,
    /// The entry, for `Reading::groups`.
    entry: super::entry::Entry,
}

/// A page of people.
#[derive(Debug, Default)]
pub struct Page {
    /// Who is on it.
    pub people: Vec<Listed>,
    /// There is another one.
    pub more: bool,
    /// The directory would not tell everybody: who is not listed need not have left.
    pub cut: bool,
}

/// A reading of a directory.
pub struct Reading {
    session: Session,
    config: Arc<Config>,
    mapped: Vec<String>,
    cookie: Vec<u8>,
}

impl Reading {
    /// Opens it, as authd's own account. Errors: `connection_not_ready`, `ldap_unavailable`, `ldap_tls_required`.
    pub async fn open(cx: &Context, connection: &Connection) -> Result<Self> {
        let config = connection.ldap.clone().ok_or_else(|| Error::new(&codes::CONNECTION_NOT_READY))?;
        config.check()?;
        config.ready()?;
        if config.mode() == BindMode::Direct {
            return Err(Error::says(
                &codes::CONNECTION_NOT_READY,
                "A directory is read with an account of authd's own.",
            )
            .help("Set `bind.mode` to `service`, with `bind.dn` and `bind.password`."));
        }
        let ldap = Ldap::new(connection, config, Arc::default());
        let until = Instant::now() + PATIENCE;
        let directory = ldap.directory(cx);
        let mut passed = Passed::new();
        let opened = directory.fresh(cx, ldap.connection, &ldap.config, &[], until, &mut passed);
        let session = timeout_at(until, opened).await.unwrap_or_else(|_| Err(Trouble::late(Step::ServiceBind)));
        let session = session.map_err(told)?;
        Ok(Self { session, config: ldap.config, mapped: ldap.mapped, cookie: Vec::new() })
    }

    /// The next page. Errors: `ldap_unavailable`, `ldap_referral`.
    pub async fn page(&mut self, cx: &Context) -> Result<Page> {
        let base = self.config.users.base.clone().unwrap_or_default();
        let any = filter::anybody(self.config.filter()).unwrap_or_default();
        let search = Search {
            base: &base,
            scope: Scope::Subtree,
            filter: &any,
            attributes: person::attributes(&self.config),
            limit: UNPAGED,
            page: Some((PAGE, std::mem::take(&mut self.cookie))),
        };
        let asked = self.session.search(Step::Person, search);
        let found = timeout_at(Instant::now() + PATIENCE, asked).await;
        let found = found.unwrap_or_else(|_| Err(Trouble::late(Step::Person))).map_err(told)?;
        let within = Dn::parse(&base);
        let below = |dn: &str| Dn::parse(dn).zip(within.as_ref()).is_some_and(|(dn, base)| dn.is_within(base));
        // Whoever has a name that cannot be read, or one of elsewhere, is there and not counted: then nobody is told to be gone.
        let strange = found.entries.iter().any(|entry| !below(&entry.dn));
        let attribute = self.config.attribute(Attribute::Subject);
        let now = cx.env.now();
        let cut = found.is_cut();
        let people = found.entries.into_iter().filter(|entry| below(&entry.dn)).map(|entry| Listed {
            subject: entry.subject(attribute),
            profile: person::profile(&self.config, &entry, Vec::new(), &mut Checks::new()),
            active: entry.ended(now).is_none(),
            entry,
        });
        let people = people.collect();
        let more = found.cookie.is_some();
        self.cookie = found.cookie.unwrap_or_default();
        Ok(Page { people, more, cut: cut || strange })
    }

    /// The groups of somebody, as a sign-in tells them. Errors: `ldap_unavailable`.
    pub async fn groups(&self, listed: &Listed) -> Result<Vec<String>> {
        let asked = groups::of(&self.session, &self.config, &listed.entry);
        let found = timeout_at(Instant::now() + PATIENCE, asked).await;
        let found = found.unwrap_or_else(|_| Err(Trouble::late(Step::Groups))).map_err(told)?;
        let told = groups::told(&found.groups, &self.mapped);
        Ok(person::profile(&self.config, &listed.entry, told, &mut Checks::new()).groups)
    }
}

/// Whoever reads a directory looks after it: they are told the step.
fn told(trouble: Trouble) -> Error {
    let says = format!("The directory could not be read: {} ({}).", trouble.detail, trouble.step.name());
    (*trouble.error).saying(says)
}
