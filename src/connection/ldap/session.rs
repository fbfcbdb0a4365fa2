//! One connection to a directory, behind the guard: binds and searches, nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ldap3::asn1::{PL, StructureTag};
use ldap3::controls::PagedResults;
use ldap3::{
    DerefAliases, Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchOptions, StdStream,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;

use super::ber;
use super::entry::Entry;
use super::guard::{self, Cut};
use super::password_policy;
use super::reason::Reason;
use super::trouble::{Step, Trouble};
use crate::crypto::Secret;

/// One operation takes no longer, whatever the whole may take.
const OPERATION: Duration = Duration::from_secs(10);
/// There are more than were asked for, or than the directory gives out.
const SIZE_LIMIT: u32 = 4;
/// RFC 2696.
const PAGED: &str = "1.2.840.113556.1.4.319";

/// One connection. It is closed when it is dropped.
pub struct Session {
    ldap: Ldap,
    cut: Cut,
    tasks: [AbortHandle; 2],
    /// Which server it is.
    pub url: String,
    /// Whether a bind asks what the password policy says.
    pub asks_policy: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

/// How a bind of a person ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Bound {
    /// Name and password are right.
    Yes,
    /// They are right, and the account may still not be used.
    Barred(Reason),
    /// The directory says no.
    No {
        /// The result code.
        code: u32,
        /// The directory's words.
        text: String,
        /// The reason, where it was ready to tell it.
        reason: Option<Reason>,
    },
}

/// What is searched.
pub struct Search<'a> {
    /// From where.
    pub base: &'a str,
    /// How deep.
    pub scope: Scope,
    /// For what.
    pub filter: &'a str,
    /// Which attributes are wanted.
    pub attributes: Vec<String>,
    /// So many entries are enough.
    pub limit: usize,
    /// A page of so many entries, behind this cookie.
    pub page: Option<(usize, Vec<u8>)>,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// The entries.
    pub entries: Vec<Entry>,
    /// How many other servers the directory named. None of them is ever asked.
    pub references: usize,
    /// How it ended.
    pub code: u32,
    /// The directory's words.
    pub text: String,
    /// Where the next page begins.
    pub cookie: Option<Vec<u8>>,
}

impl Found {
    /// Whether more than one entry fits. A directory that gives out no more than one says so by the code alone.
    pub fn is_ambiguous(&self) -> bool {
        self.entries.len() > 1 || self.code == SIZE_LIMIT
    }

    /// Whether there is more than was given.
    pub fn is_cut(&self) -> bool {
        self.code == SIZE_LIMIT
    }
}

impl Session {
    /// On a stream that is encrypted already, or need not be. To be called within a runtime.
    pub async fn over<S>(stream: S, url: &str) -> Result<Self, Trouble>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let broken = |error: std::io::Error| Trouble::unavailable(Step::Reach, error.to_string());
        let (library, ours) = UnixStream::pair().map_err(broken)?;
        let library = StdStream::Unix(library.into_std().map_err(broken)?);
        let settings = LdapConnSettings::new().set_std_stream(library);
        let made = LdapConnAsync::with_settings(settings, "ldapi:///").await;
        let (connection, ldap) = made.map_err(|error| Trouble::unavailable(Step::Reach, error.to_string()))?;
        let cut = Cut::default();
        let carried = tokio::spawn(guard::carry(stream, ours, Arc::clone(&cut)));
        let driven = tokio::spawn(async move {
            // What ends it, the guard knows better.
            let _ = connection.drive().await;
        });
        Ok(Self {
            ldap,
            cut,
            tasks: [carried.abort_handle(), driven.abort_handle()],
            url: url.to_owned(),
            asks_policy: true,
        })
    }

    /// Whether it can still be used.
    pub fn is_alive(&self) -> bool {
        self.cut.get().is_none() && !self.tasks.iter().any(AbortHandle::is_finished)
    }

    /// Whether the directory ended it.
    pub fn was_closed(&self) -> bool {
        self.cut.get() == Some(&ber::Fault::Closing)
    }

    fn failed(&self, step: Step, error: &LdapError) -> Trouble {
        match (self.cut.get(), error) {
            (Some(ber::Fault::Closing), _) => Trouble::silent(step, ber::Fault::Closing.says()),
            (Some(fault), _) => Trouble::unavailable(step, fault.says()),
            (None, LdapError::Timeout { .. }) => Trouble::late(step),
            (None, LdapError::FilterParsing) => Trouble::unavailable(step, "the filter cannot be read"),
            (None, _) => Trouble::silent(step, ber::Fault::Closing.says()),
        }
    }

    /// Binds once, as `name`. Whoever calls has seen to it that the password is one: a bind without a password is
    /// anonymous, and succeeds (RFC 4513 §5.1.2).
    pub async fn bind(&self, step: Step, name: &str, password: &Secret) -> Result<Bound, Trouble> {
        let mut ldap = self.ldap.clone();
        if self.asks_policy {
            ldap.with_controls(password_policy::question());
        }
        let answer = ldap.with_timeout(OPERATION).simple_bind(name, password.expose()).await;
        let LdapResult { rc, matched, text, refs, ctrls } = answer.map_err(|error| self.failed(step, &error))?;
        let word = password_policy::word(rc == 0, &ctrls);
        match rc {
            // RFC 4511 §4.1.9: these belong to a failure. Whoever sends them with a success is no directory.
            0 if !matched.is_empty() || !refs.is_empty() => {
                Err(Trouble::unavailable(step, "the server answered a bind with what is no success"))
            }
            0 => Ok(word.map_or(Bound::Yes, Bound::Barred)),
            10 => Err(Trouble::code(step, 10, &text)),
            code => Ok(Bound::No { code, text, reason: word }),
        }
    }

    /// Whose bind this is, as the directory says it (RFC 4532): `dn:…` or `u:…`. `None` where it does not know the question.
    pub async fn who(&self) -> Result<Option<String>, Trouble> {
        let mut ldap = self.ldap.clone();
        let asked = ldap.with_timeout(OPERATION).extended(ldap3::exop::WhoAmI).await;
        let ldap3::result::ExopResult(exop, result) = asked.map_err(|error| self.failed(Step::Person, &error))?;
        if result.rc != 0 {
            return Ok(None);
        }
        let unreadable = |_| Trouble::unavailable(Step::Person, "the directory does not say whose bind it was");
        String::from_utf8(exop.val.unwrap_or_default()).map(Some).map_err(unreadable)
    }

    /// Searches, and follows nobody who is named besides.
    pub async fn search(&self, step: Step, search: Search<'_>) -> Result<Found, Trouble> {
        let Search { base, scope, filter, attributes, limit, page } = search;
        let failed = |error: LdapError| self.failed(step, &error);
        let mut ldap = self.ldap.clone();
        let limit = limit.min(guard::MAX_ENTRIES);
        let sizelimit = if page.is_some() { 0 } else { i32::try_from(limit).unwrap_or(i32::MAX) };
        ldap.with_search_options(SearchOptions::new().deref(DerefAliases::Never).sizelimit(sizelimit));
        if let Some((size, cookie)) = page {
            ldap.with_controls(PagedResults { size: i32::try_from(size).unwrap_or(100), cookie });
        }
        let mut stream =
            ldap.with_timeout(OPERATION).streaming_search(base, scope, filter, attributes).await.map_err(failed)?;
        let mut found = Found::default();
        let mut left_out = false;
        while let Some(item) = stream.next().await.map_err(failed)? {
            if item.is_ref() {
                found.references += 1;
                continue;
            }
            match read(item.0).filter(|_| found.entries.len() < limit) {
                Some(entry) => found.entries.push(entry),
                None => left_out = true,
            }
        }
        let end = stream.finish().await;
        found.code = end.rc;
        found.text = end.text;
        for ldap3::controls::Control(_, control) in end.ctrls {
            if control.ctype == PAGED {
                let value = control.val.unwrap_or_default();
                found.cookie = ber::page_cookie(&value).map_err(|fault| Trouble::unavailable(step, fault.says()))?;
            }
        }
        if left_out && found.code == 0 {
            // Some servers know no pages and no limits: what was not read is not nothing.
            found.code = 4;
        }
        match found.code {
            0 | SIZE_LIMIT => Ok(found),
            code => Err(Trouble::code(step, code, &found.text)),
        }
    }
}

/// An entry of what was parsed. Its shape is known: the guard has looked at it. Names of attributes are compared in small
/// letters and without options (`memberOf;range=0-1499`).
fn read(tag: StructureTag) -> Option<Entry> {
    let mut parts = inside(tag)?.into_iter();
    let dn = String::from_utf8(bytes(parts.next()?)?).ok()?;
    let mut attributes: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    let mut partial = BTreeSet::new();
    for pair in inside(parts.next()?)? {
        let mut pair = inside(pair)?.into_iter();
        let name = String::from_utf8(bytes(pair.next()?)?).ok()?;
        let mut options = name.split(';');
        let name = options.next().unwrap_or_default().to_ascii_lowercase();
        // `memberOf;range=0-1499`; the last of them ends in a star.
        let range = |option: &str| option.to_ascii_lowercase().starts_with("range=") && !option.ends_with('*');
        if options.any(range) {
            partial.insert(name.clone());
        }
        let values = inside(pair.next()?)?.into_iter().filter_map(bytes);
        attributes.entry(name).or_default().extend(values);
    }
    Some(Entry { dn, attributes, partial })
}

fn inside(tag: StructureTag) -> Option<Vec<StructureTag>> {
    match tag.payload {
        PL::C(parts) => Some(parts),
        PL::P(_) => None,
    }
}

fn bytes(tag: StructureTag) -> Option<Vec<u8>> {
    match tag.payload {
        PL::P(bytes) => Some(bytes),
        PL::C(_) => None,
    }
}
