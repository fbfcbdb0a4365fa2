//! One sign-in: find the entry, bind as it once on a connection of its own, read its groups.
//!
//! ```text
//!  searching connection ── find exactly one entry ──┐
//!                                                   ▼
//!  fresh connection ── ONE bind as that entry ── success? ──► searching connection ── groups
//! ```
//!
//! Whoever is not let in hears one sentence. Why, is for the trace.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::config::{Attribute, BindMode, Config};
use super::connect::{self, Passed};
use super::dn::{self, Dn};
use super::entry::Entry;
use super::filter;
use super::find::{find, read};
use super::name::Typed;
use super::pool::Directory;
use super::reason::{self, Reason};
use super::session::{Bound, Found, Session};
use super::trouble::{Step, Trouble};
use super::{Ldap, groups, own, person};
use crate::access::Context;
use crate::access::throttle::{Rule, Subject, Taken};
use crate::connection::protocol::{Answer, Authenticated, Checks, Credentials};
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};

/// A whole sign-in is over by then, so that the person has an answer within five seconds.
pub const BEAT: Duration = Duration::from_millis(4_500);

/// Why somebody is not let in.
pub enum Denied {
    /// The directory is in trouble.
    Trouble(Trouble),
    /// The person is not let in.
    Person(Step, Reason),
    /// Too many tries.
    Error(Error),
}

impl From<Trouble> for Denied {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

impl Denied {
    /// Notes it, and becomes what the person is told.
    fn told(self, checks: &mut Checks) -> Error {
        match self {
            Self::Trouble(trouble) => {
                checks.compare(trouble.step.name(), false, "success", &trouble.detail);
                if trouble.error.is(&codes::LDAP_REFERRAL) {
                    checks.compare("ldap_referral", false, "an answer", "another server was named; it was not asked");
                }
                *trouble.error
            }
            Self::Person(step, reason) => {
                checks.compare(step.name(), false, "success", reason.says);
                Error::new(&codes::INVALID_CREDENTIALS).because(reason.name)
            }
            Self::Error(error) => error,
        }
    }
}

/// Where a conversation stands, for when its time is over.
struct Stand(AtomicUsize);

const STEPS: [Step; 4] = [Step::ServiceBind, Step::Person, Step::Bind, Step::Groups];

impl Stand {
    fn at(&self, step: Step) {
        self.0.store(STEPS.iter().position(|known| *known == step).unwrap_or(0), Ordering::Relaxed);
    }

    fn step(&self) -> Step {
        STEPS.get(self.0.load(Ordering::Relaxed)).copied().unwrap_or(Step::ServiceBind)
    }
}

/// Who it is that knows this password. Errors: `invalid_credentials`, `ldap_unavailable`, `ldap_tls_required`,
/// `ldap_referral`, `rate_limited`.
pub async fn sign_in(cx: &Context, ldap: &Ldap, answer: &Answer, checks: &mut Checks) -> Result<Authenticated> {
    let given = answer.credentials.as_ref().ok_or_else(|| Error::new(&codes::INVALID_CREDENTIALS))?;
    let until = Instant::now() + BEAT;
    let stand = Stand(AtomicUsize::new(0));
    let (directory, tries) = (&ldap.directory(cx), &answer.tries);
    let talk = Talk { cx, ldap, config: &ldap.config, directory, tries, until, stand: &stand };
    let ended = timeout_at(until, talk.converse(given, checks)).await;
    if let Some(answered) = answered(&ended, &stand) {
        cx.env.outbound().heard(answered);
    }
    match ended {
        Ok(Ok(person)) => Ok(person),
        Ok(Err(denied)) => Err(talk.denied(denied, checks)),
        Err(_) => {
            // It may be the kept connection that leads nowhere any more: nobody else is to wait for it.
            directory.forget();
            Err(talk.denied(Denied::Trouble(Trouble::late(stand.step())), checks))
        }
    }
}

/// Whether the directory answers, as far as a sign-in tells: one word for the whole of it, or a directory whose searches work
/// and whose binds hang would be well again and again. What is the person's own matter (a wrong password, nobody) is an answer.
fn answered<T, E>(ended: &Result<Result<T, Denied>, E>, stand: &Stand) -> Option<bool> {
    match ended {
        Ok(Ok(_)) => Some(true),
        Ok(Err(Denied::Trouble(trouble))) => trouble.silent.then_some(false),
        // Where nothing was asked yet, nothing was answered.
        Ok(Err(Denied::Person(..))) => (stand.step() != Step::ServiceBind).then_some(true),
        Ok(Err(Denied::Error(_))) => None,
        Err(_) => Some(false),
    }
}

/// A conversation with one directory.
pub struct Talk<'a> {
    cx: &'a Context,
    ldap: &'a Ldap,
    config: &'a Config,
    directory: &'a Directory,
    tries: &'a Taken,
    until: Instant,
    stand: &'a Stand,
}

impl Talk<'_> {
    /// What the person is told. Where it is not the answer to the password, it was no try: an outage uses up nobody's.
    fn denied(&self, denied: Denied, checks: &mut Checks) -> Error {
        if let Denied::Trouble(trouble) = &denied
            && trouble.step != Step::Bind
        {
            self.tries.unused();
        }
        denied.told(checks)
    }

    async fn converse(&self, given: &Credentials, checks: &mut Checks) -> Result<Authenticated, Denied> {
        let forms = self.config.defaults().forms;
        let nobody = Denied::Person(Step::Person, reason::NOBODY);
        let Some(typed) = Typed::read(&given.username, forms) else { return Err(nobody) };
        let (entry, found) = match self.config.mode() {
            BindMode::Direct => {
                let (entry, session) = self.bind_first(&typed, &given.password, checks).await?;
                self.stand.at(Step::Groups);
                let found = groups::of(&session, self.config, &entry).await?;
                (entry, found)
            }
            BindMode::Service | BindMode::Anonymous => {
                let (entry, session) = self.search_first(&typed, checks).await?;
                self.may_try(&entry).await?;
                self.bind_as(&entry.dn, Some(&session), &given.password, checks).await?;
                let found = self.groups(session, &entry).await?;
                (entry, found)
            }
        };
        checks.pass(Step::Groups.name(), format!("{} groups", found.groups.len()));
        if found.cut {
            checks.compare("groups_cut", true, "all groups", "there are more, or deeper ones, than are read");
        }
        let told = groups::told(&found.groups, &self.ldap.mapped);
        let attribute = self.config.attribute(Attribute::Subject);
        let subject = entry.subject(attribute).ok_or_else(|| {
            let detail = format!("the entry has not exactly one value of `{attribute}` that the account could read");
            let error = Error::says(&codes::PROFILE_INVALID, "The directory does not say who this is for good.")
                .help("`profile.mapping.subject` names the attribute that never changes for a person.");
            Trouble { error: Box::new(error), ..Trouble::unavailable(Step::Person, detail) }
        })?;
        checks.pass("subject", &subject);
        Ok(Authenticated {
            subject,
            profile: person::profile(self.config, &entry, told, checks),
            auth_time: Some(self.cx.env.now()),
            acr: None,
            amr: vec!["pwd".to_owned()],
            upstream_session: None,
            upstream_subject: None,
            saml: None,
            scopes: groups::scopes(&self.ldap.scopes.0, &self.ldap.scopes.1, &found.groups),
            once: None,
            until: None,
        })
    }

    /// Finds the entry with the searching connection. One that was kept may lead nowhere any more, though nobody has ended it:
    /// it has a part of the time, and then a new one is asked. So has a server that others can stand in for.
    async fn search_first(&self, typed: &Typed<'_>, checks: &mut Checks) -> Result<(Entry, Arc<Session>), Denied> {
        let mut avoid: Vec<String> = Vec::new();
        let mut fresh = 0;
        loop {
            self.stand.at(Step::ServiceBind);
            let (session, kept) = self.service(&avoid).await?;
            self.stand.at(Step::Person);
            let first = avoid.is_empty();
            fresh += usize::from(!(kept && first));
            let last = fresh >= self.config.servers.urls.len();
            let until = if last { self.until } else { connect::share(self.until, 3) };
            let found = timeout_at(until, find(&session, self.config, typed)).await;
            let found = found.unwrap_or_else(|_| Err(Trouble::late(Step::Person)));
            if let Err(trouble) = &found
                && !trouble.is_no_such_entry()
            {
                // Nobody else is to hear it of the same connection.
                self.directory.discard(&session).await;
                if !last && (kept && first || trouble.is_of_the_server()) {
                    avoid.push(session.url.clone());
                    continue;
                }
            }
            checks.pass(Step::ServiceBind.name(), &session.url);
            let entry = self.admit(found?, checks)?;
            return Ok((entry, session));
        }
    }

    async fn service(&self, avoid: &[String]) -> Result<(Arc<Session>, bool), Trouble> {
        self.directory.service(self.cx, self.ldap.connection, self.config, avoid, self.until).await
    }

    /// The groups, of the searching connection; once more of a new one where that has ended meanwhile. The password was right,
    /// and is not asked about again.
    async fn groups(&self, session: Arc<Session>, entry: &Entry) -> Result<groups::Found, Trouble> {
        self.stand.at(Step::Groups);
        match groups::of(&session, self.config, entry).await {
            Err(trouble) if trouble.is_of_the_server() => {
                self.directory.discard(&session).await;
                let (session, _) = self.service(std::slice::from_ref(&session.url)).await?;
                groups::of(&session, self.config, entry).await
            }
            found => found,
        }
    }

    /// Exactly one, below the base, and not switched off.
    fn admit(&self, found: Found, checks: &mut Checks) -> Result<Entry, Denied> {
        if found.references > 0 {
            checks.compare(
                "ldap_referral",
                true,
                "none",
                format!("{} other servers; none was asked", found.references),
            );
        }
        if found.is_ambiguous() {
            return Err(Denied::Person(Step::Person, reason::SEVERAL));
        }
        let mut entries = found.entries;
        let entry = entries.pop().ok_or(Denied::Person(Step::Person, reason::NOBODY))?;
        self.below(&entry)?;
        checks.pass(Step::Person.name(), &entry.dn);
        if let Some(reason) = entry.ended(self.cx.env.now()) {
            return Err(Denied::Person(Step::Bind, reason));
        }
        Ok(entry)
    }

    fn below(&self, entry: &Entry) -> Result<(), Denied> {
        let base = self.config.users.base.as_deref().and_then(Dn::parse);
        let named = Dn::parse(&entry.dn).filter(|dn| !dn.is_root());
        match (named, base) {
            (Some(named), Some(base)) if named.is_within(&base) => Ok(()),
            _ => Err(Trouble::unavailable(Step::Person, "the server answered with an entry outside the base").into()),
        }
    }

    /// An account that goes by several names has the tries of one.
    async fn may_try(&self, entry: &Entry) -> Result<(), Denied> {
        let Some(account) = entry.text(self.config.attribute(Attribute::Username)) else { return Ok(()) };
        let account = Credentials::account(self.ldap.connection, &Credentials::counted(account));
        let tries = [(Rule::PasswordOfAccount, Subject::new().and(account))];
        self.tries.also(self.cx, &tries).await.map_err(Denied::Error)
    }

    /// The one bind of this sign-in, on a connection that nobody else has used or will.
    async fn bind_as(
        &self,
        name: &str,
        found_by: Option<&Session>,
        password: &Secret,
        checks: &mut Checks,
    ) -> Result<Session, Denied> {
        self.stand.at(Step::Bind);
        let trust = self.directory.trust(self.cx, self.config)?;
        let mut passed = Passed::new();
        let urls = connect::order(self.config, found_by.map_or("", |session| &session.url), &[]);
        let (env, until) = (&self.cx.env, self.until);
        let session = match found_by {
            Some(by) => {
                let mut session = connect::open(env, self.config, &trust, &urls, until, &mut passed).await?;
                session.asks_policy = by.asks_policy;
                session
            }
            None => connect::open_knowing(env, self.config, &trust, &urls, until, &mut passed).await?,
        };
        if let Some((step, how)) = passed.iter().find(|(step, _)| *step == Step::Tls) {
            checks.pass(step.name(), how);
        }
        match session.bind(Step::Bind, name, password).await? {
            Bound::Yes => {
                checks.state(Step::Bind.name(), true);
                Ok(session)
            }
            Bound::Barred(reason) => Err(Denied::Person(Step::Bind, reason)),
            Bound::No { code, text, reason } if reason::is_of_the_person(code) => {
                Err(Denied::Person(Step::Bind, reason.unwrap_or_else(|| reason::of_bind(code, &text))))
            }
            Bound::No { code, text, .. } => Err(Trouble::code(Step::Bind, code, &text).into()),
        }
    }

    /// Binds by a name that follows from what was typed, and reads the own entry then.
    async fn bind_first(
        &self,
        typed: &Typed<'_>,
        password: &Secret,
        checks: &mut Checks,
    ) -> Result<(Entry, Arc<Session>), Denied> {
        let template = self.config.bind.user_dn_template.as_deref().unwrap_or_default();
        let Some(name) = bind_name(template, typed.account()) else {
            return Err(Denied::Person(Step::Person, reason::NOBODY));
        };
        let session = Arc::new(self.bind_as(&name, None, password, checks).await?);
        self.stand.at(Step::Person);
        let by_dn = Dn::parse(&name).filter(|dn| name.contains('=') && !dn.is_root());
        let found = match &by_dn {
            Some(_) => read(&session, self.config, &name, typed.account()).await?,
            None => find(&session, self.config, typed).await?,
        };
        let entry = self.admit(found, checks)?;
        let own = match by_dn {
            Some(dn) => Dn::parse(&entry.dn) == Some(dn),
            // The name is none of an entry: then the directory says whose bind it was.
            None => own::is_own(&session, &name, &entry, self.config).await?,
        };
        checks.state("own_entry", own);
        if own {
            return Ok((entry, session));
        }
        Err(Trouble::unavailable(Step::Person, "the entry that was found is not the one that was bound").into())
    }
}

/// The name to bind by. What is typed goes in escaped where the template is a distinguished name; what is the whole already
/// (`ada@corp.example` for `{{username}}@corp.example`) stays as it is.
fn bind_name(template: &str, typed: &str) -> Option<String> {
    if template.contains('=') {
        return filter::name(template, typed, dn::escape);
    }
    if typed.chars().any(char::is_control) {
        return None;
    }
    let whole = template.split_once("{{").and_then(|(head, rest)| Some((head, rest.split_once("}}")?.1)));
    let lower = typed.to_lowercase();
    if whole.is_some_and(|(head, tail)| {
        typed.len() > head.len() + tail.len()
            && lower.starts_with(&head.to_lowercase())
            && lower.ends_with(&tail.to_lowercase())
    }) {
        return Some(typed.to_owned());
    }
    filter::name(template, typed, str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldap_03_what_is_typed_stays_within_the_template() {
        let template = "uid={{username}},ou=people,dc=x";
        let base = Dn::parse("ou=people,dc=x").unwrap();
        for typed in ["x,ou=admins", "x+cn=y", "#04", " a ", "a\\", "a\0b", "a=b", "\"a\"", "<a>;b", "é"] {
            let name = bind_name(template, typed).unwrap();
            let read = Dn::parse(&name).unwrap_or_else(|| panic!("{name}"));
            assert!(read.is_within(&base), "{name}");
            assert_eq!(read.to_string().matches("ou=").count(), 1, "{name}");
        }
        assert_eq!(bind_name(template, "x,ou=admins").unwrap(), "uid=x\\2cou\\3dadmins,ou=people,dc=x");
    }

    #[test]
    fn a_name_that_is_whole_already_stays_as_it_is() {
        let upn = "{{username}}@corp.example";
        assert_eq!(bind_name(upn, "ada").unwrap(), "ada@corp.example");
        assert_eq!(bind_name(upn, "Ada@Corp.example").unwrap(), "Ada@Corp.example");
        assert_eq!(bind_name("CORP\\{{username}}", "ada").unwrap(), "CORP\\ada");
        assert_eq!(bind_name(upn, "a\nb"), None);
    }
}
