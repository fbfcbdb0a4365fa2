//! Trying a directory step by step, so that whoever sets one up learns which step fails, and who somebody is there.

use ldap3::Scope;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};

use super::config::{Attribute, BindMode, Config, GroupMode};
use super::connect::Passed;
use super::dn::Dn;
use super::entry::Entry;
use super::find::find;
use super::name::Typed;
use super::session::{Search, Session};
use super::sign_in::BEAT;
use super::trouble::{Step, Trouble};
use super::{Ldap, filter, groups, person};
use crate::access::{Context, RoleName};
use crate::connection::protocol::Checks;
use crate::connection::record::Connection;
use crate::connection::report::{Finding, Report};
use crate::error::Result;

/// Somebody who was found, and what a sign-in of theirs would bring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundPerson {
    /// The name of the entry.
    pub dn: String,
    /// Who it is for good; absent, where the entry does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The account's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The e-mail address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Their groups that count, nested ones included.
    pub groups: Vec<FoundGroup>,
    /// The groups as apps and mappings know them.
    pub told: Vec<String>,
    /// The roles that follow by the connection's own mapping; absent, where the organization's policy decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<RoleName>>,
    /// The scopes that follow.
    pub scopes: Vec<String>,
    /// Why the account may not sign in, where the entry says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A group of somebody who was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FoundGroup {
    /// Its name.
    pub name: String,
    /// Its distinguished name, in the one spelling that mappings are compared by.
    pub dn: String,
}

fn held(step: Step, message: impl Into<String>) -> Finding {
    Finding { name: step.name().to_owned(), ok: true, message: Some(message.into()) }
}

fn failed(trouble: &Trouble) -> Finding {
    Finding { name: trouble.step.name().to_owned(), ok: false, message: Some(trouble.detail.clone()) }
}

/// Tries each step, and finds somebody by name where one is given. Nobody signs in.
pub async fn examine(cx: &Context, ldap: &Ldap, username: Option<&str>) -> (Report, Option<FoundPerson>) {
    let began = cx.env.monotonic();
    let mut look = Look { cx, ldap, config: &ldap.config, checks: Vec::new(), person: None };
    let until = Instant::now() + BEAT * 2;
    if let Err(trouble) = look.at(username, until).await {
        look.checks.push(failed(&trouble));
    }
    let took = cx.env.monotonic().saturating_sub(began);
    let ok = look.checks.iter().all(|check| check.ok);
    let latency_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    (Report { ok, checks: look.checks, latency_ms }, look.person)
}

/// Whether the directory lets authd in. Errors: the step that fails.
pub async fn reach(cx: &Context, connection: &Connection, config: &Config) -> Result<(), Trouble> {
    let ldap = Ldap::new(connection, config.clone(), std::sync::Arc::default());
    let mut look = Look { cx, ldap: &ldap, config, checks: Vec::new(), person: None };
    look.connect(Instant::now() + BEAT).await.map(drop)
}

/// The steps that every validation tells of, in order, whether or not it came to them.
const TOLD: &[Step] = &[Step::Reach, Step::Tls, Step::ServiceBind, Step::Base, Step::Person, Step::Groups];

/// Everything about a configuration, the directory's word included.
pub async fn validate(cx: &Context, connection: &Connection) -> Report {
    let config = connection.ldap.as_ref();
    let wrong = config.map(|config| config.check().and_then(|()| config.ready()).err());
    let complete = matches!(wrong, Some(None));
    let message = match wrong {
        Some(wrong) => wrong.map(|error| error.message().to_owned()),
        None => Some("The connection has no LDAP configuration.".to_owned()),
    };
    let configured = config.is_some();
    let nothing = (!configured).then(|| "Set it with `authd connection set-ldap`.".to_owned());
    let mut checks = vec![
        Finding { name: "ldap_configured".to_owned(), ok: configured, message: nothing },
        Finding { name: "settings_complete".to_owned(), ok: complete, message },
    ];
    let mut latency_ms = None;
    if let (true, Some(config)) = (complete, config) {
        let ldap = Ldap::new(connection, config.clone(), std::sync::Arc::default());
        let (report, _) = examine(cx, &ldap, None).await;
        latency_ms = report.latency_ms;
        checks.extend(report.checks);
    }
    let ok = checks.iter().all(|check| check.ok);
    for step in TOLD {
        if !checks.iter().any(|check| check.name == step.name()) {
            let why = if ok { "not needed by these settings" } else { "not looked at: an earlier check failed" };
            checks.push(Finding { name: step.name().to_owned(), ok, message: Some(why.to_owned()) });
        }
    }
    Report { ok, checks, latency_ms }
}

struct Look<'a> {
    cx: &'a Context,
    ldap: &'a Ldap,
    config: &'a Config,
    checks: Vec<Finding>,
    person: Option<FoundPerson>,
}

impl Look<'_> {
    async fn connect(&mut self, until: Instant) -> Result<Session, Trouble> {
        let mut passed = Passed::new();
        let directory = self.ldap.directory(self.cx);
        let opened = directory.fresh(self.cx, self.ldap.connection, self.config, &[], until, &mut passed);
        let opened = timeout_at(until, opened).await;
        self.checks.extend(passed.into_iter().map(|(step, how)| held(step, how)));
        opened.unwrap_or_else(|_| Err(Trouble::late(Step::ServiceBind)))
    }

    async fn at(&mut self, username: Option<&str>, until: Instant) -> Result<(), Trouble> {
        let session = self.connect(until).await?;
        if self.config.mode() == BindMode::Direct {
            self.checks.push(held(Step::Base, "not looked at: the directory is read by the person alone"));
            if username.is_some() {
                return Err(Trouble::unavailable(
                    Step::Person,
                    "the name was not looked at: with `bind.mode=direct` only the person's own bind reads the directory, so a name can be tried only by signing in; leave it out to test the rest",
                ));
            }
            return Ok(());
        }
        let rest = async {
            self.base(&session).await?;
            let entry = self.people(&session, username).await?;
            self.groups(&session, entry.as_ref(), username.is_some()).await
        };
        timeout_at(until, rest).await.unwrap_or_else(|_| Err(Trouble::late(Step::Person)))
    }

    async fn base(&mut self, session: &Session) -> Result<(), Trouble> {
        let base = self.config.users.base.as_deref().unwrap_or_default();
        let attributes = vec!["1.1".to_owned()];
        let search = Search { base, scope: Scope::Base, filter: "(objectClass=*)", attributes, limit: 1, page: None };
        let found = session.search(Step::Base, search).await?;
        if found.entries.is_empty() {
            return Err(Trouble::unavailable(
                Step::Base,
                format!("`{base}` is not there, or the account may not see it"),
            ));
        }
        self.checks.push(held(Step::Base, base));
        Ok(())
    }

    /// Somebody at all, or the one who was named.
    async fn people(&mut self, session: &Session, username: Option<&str>) -> Result<Option<Entry>, Trouble> {
        let base = self.config.users.base.as_deref().unwrap_or_default();
        let attributes = person::attributes(self.config);
        let found = match username {
            None => {
                let any = filter::anybody(self.config.filter()).unwrap_or_default();
                let search = Search { base, scope: Scope::Subtree, filter: &any, attributes, limit: 1, page: None };
                session.search(Step::Person, search).await?
            }
            Some(text) => {
                let typed = Typed::read(text, self.config.defaults().forms)
                    .ok_or_else(|| Trouble::unavailable(Step::Person, "that is no name"))?;
                find(session, self.config, &typed).await?
            }
        };
        let ambiguous = found.is_ambiguous();
        let Some(entry) = found.entries.into_iter().next() else {
            let detail = match username {
                Some(_) => "no entry fits the filter for this name".to_owned(),
                None => format!("nobody below `{base}` fits the filter"),
            };
            return Err(Trouble::unavailable(Step::Person, detail));
        };
        if username.is_some() && ambiguous {
            return Err(Trouble::unavailable(Step::Person, "more than one entry fits the filter for this name"));
        }
        let below = Dn::parse(base).zip(Dn::parse(&entry.dn)).is_some_and(|(base, name)| name.is_within(&base));
        if !below {
            return Err(Trouble::unavailable(Step::Person, "the server answered with an entry outside the base"));
        }
        self.checks.push(held(Step::Person, &entry.dn));
        let attribute = self.config.attribute(Attribute::Subject);
        let subject = entry.subject(attribute);
        self.checks.push(Finding {
            name: "subject_present".to_owned(),
            ok: subject.is_some(),
            message: subject.or_else(|| Some(format!(
                    "the entry has not exactly one value of `{attribute}`; `profile.mapping.subject` names another attribute that never changes for a person"
                ))),
        });
        Ok(Some(entry))
    }

    async fn groups(&mut self, session: &Session, entry: Option<&Entry>, named: bool) -> Result<(), Trouble> {
        let Some(entry) = entry else { return Ok(()) };
        let found = groups::of(session, self.config, entry).await?;
        let mut how = match self.config.group_mode() {
            GroupMode::None => "groups are not looked for".to_owned(),
            GroupMode::MemberOf => {
                format!("{} groups by `{}`", found.groups.len(), self.config.attribute(Attribute::Groups))
            }
            GroupMode::Search if found.groups.is_empty() => {
                let filter = self.config.group_filter();
                format!(
                    "0 groups by search for `{filter}`; `groups.filter` names others: `(uniqueMember={{{{dn}}}})`, `(memberUid={{{{username}}}})`"
                )
            }
            GroupMode::Search => format!("{} groups by search", found.groups.len()),
        };
        if found.cut {
            how.push_str("; there are more, or deeper ones, than the directory gives out or authd reads");
        }
        self.checks.push(held(Step::Groups, how));
        if named {
            self.person = Some(self.told(entry, &found.groups));
        }
        Ok(())
    }

    fn told(&self, entry: &Entry, found: &[groups::Group]) -> FoundPerson {
        let told = groups::told(found, &self.ldap.mapped);
        let profile = person::profile(self.config, entry, told.clone(), &mut Checks::new());
        let username = entry.text(self.config.attribute(Attribute::Username));
        FoundPerson {
            dn: entry.dn.chars().filter(|c| !person::steers(*c)).collect(),
            subject: entry.subject(self.config.attribute(Attribute::Subject)),
            username: username.map(|text| text.chars().filter(|c| !person::steers(*c)).collect()),
            email: profile.email,
            name: profile.name,
            groups: found
                .iter()
                .map(|group| FoundGroup { name: group.name.clone(), dn: group.dn.to_string() })
                .collect(),
            told,
            roles: None,
            scopes: groups::scopes(&self.ldap.scopes.0, &self.ldap.scopes.1, found),
            refused: entry.ended(self.cx.env.now()).map(|reason| reason.says.to_owned()),
        }
    }
}

impl FoundPerson {
    /// With the roles that the connection's own mapping gives.
    #[must_use]
    pub fn mapped(mut self, connection: &Connection) -> Self {
        self.roles = connection.group_mapping.as_ref().map(|mapping| {
            let mut roles: Vec<RoleName> = Vec::new();
            for role in self.told.iter().filter_map(|name| mapping.get(name)).flatten() {
                if !roles.contains(role) {
                    roles.push(role.clone());
                }
            }
            roles
        });
        self
    }
}
