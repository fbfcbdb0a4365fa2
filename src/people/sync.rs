//! Reading the people of a directory, so that whoever leaves it loses access here. What is read becomes proposals of that
//! directory, one person at a time, through the one pipeline.
//!
//! A directory that suddenly knows nobody, or lacks many, is more often a wrong filter than an empty company: then nobody's
//! access ends, unless somebody insists.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::connection::ldap::{Attribute, Listed, Reading};
use crate::connection::{Connection, ProtocolKind};
use crate::crypto::sha256;
use crate::directory::{
    EmailAddress, Field, Fields, Identity, IdentitySource, Membership, PersonProposal, Source, Status,
    provision_person, weigh,
};
use crate::env::Timestamp;
use crate::error::{Error, Kind, Result, codes};
use crate::event::EventKind;
use crate::governance::facts_of;
use crate::id::{ConnectionId, UserId};
use crate::store::{Batch, Key, Life, Query, Record};

/// Between two readings, unless the connection says otherwise.
const EVERY: u32 = 60;
/// So many may go at once, however few there are …
const FEW: usize = 5;
/// … and of many, one in so many.
const SHARE: usize = 4;
/// How often a person is worked out again when somebody changed them at the same moment.
const RETRIES: usize = 3;
/// So many pages may bring nobody new: some are empty by chance, a directory that goes in circles never ends.
const IDLE_PAGES: usize = 100;
/// More people than this are not read: no organization here has them, and each is remembered until the end.
const MOST: usize = 500_000;
/// So many directories are read at the same time: one that hangs holds up nobody else's.
const AT_ONCE: usize = 8;
/// One reading, whatever the directory does.
const PATIENCE: Duration = Duration::from_secs(3600);

/// When a connection's directory was read last.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
pub struct DirectorySync {
    /// The connection.
    #[n(0)]
    pub connection: ConnectionId,
    /// When a reading began.
    #[n(1)]
    pub started_at: Timestamp,
    /// When it ended; not yet, or not at all where authd was stopped.
    #[n(2)]
    pub ended_at: Option<Timestamp>,
    /// Why it failed, if it did: a stable code.
    #[n(3)]
    pub code: Option<String>,
}

impl Record for DirectorySync {
    const KIND: &'static str = "directory_sync";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Self::key_of(self.connection)
    }
}

impl DirectorySync {
    fn key_of(connection: ConnectionId) -> Key {
        Key::from_bytes(connection.bytes())
    }
}

/// Read the people of a connection's directory now, and take over what has changed: names, addresses, groups; the access of
/// whoever is disabled there or gone from it ends.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SyncConnection {
    /// The connection.
    pub id: ConnectionId,
    /// Tell what would be done, and do nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Believe the directory however many are gone from it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

/// What a reading came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncReport {
    /// People whom the directory listed.
    pub seen: usize,
    /// People who became known.
    pub created: usize,
    /// People of whom something changed.
    pub updated: usize,
    /// People whose access ended.
    pub ended: usize,
    /// People who were left as they are, because a rule stands against the change.
    pub skipped: usize,
    /// The directory did not tell everybody, so nobody was taken to be gone.
    pub incomplete: bool,
}

#[async_trait]
impl Operation for SyncConnection {
    type Seen = SyncReport;
    type Output = SyncReport;
    const NAME: &'static str = "connection.sync";
    const ACCESS: Access = Access::Grant(Grant::ScimManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/sync" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        Ok(Owner::Organization(Connection::load(&cx.store, self.id).await?.organization))
    }

    /// Each person is a commit of their own, so that a directory of thousands holds nobody up.
    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?.value;
        run(cx, &connection, Wish { dry: self.dry_run, force: self.force }).await
    }

    async fn apply(&self, _: &Context, seen: &Self::Seen, _: &mut Batch) -> Result<Self::Output> {
        Ok(seen.clone())
    }
}

/// Reads every directory that is due; how many there were.
pub async fn sync_due(cx: &Context) -> Result<usize> {
    let mut due = Vec::new();
    let mut cursor = None;
    loop {
        let page = cx.store.page::<Connection>(Query::all().limit(1_000).after(cursor)).await?;
        for connection in page.items {
            if is_due(cx, &connection).await? {
                due.push(connection.value);
            }
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let count = due.len();
    futures_util::stream::iter(due)
        .for_each_concurrent(AT_ONCE, |connection| async move {
            if let Err(error) = run(cx, &connection, Wish::default()).await {
                let id = connection.id;
                tracing::warn!(connection = %id, code = error.code(), "a directory was not read: {}", error.log_line());
            }
        })
        .await;
    Ok(count)
}

async fn is_due(cx: &Context, connection: &Connection) -> Result<bool> {
    let sync = connection.ldap.as_ref().map(|config| &config.sync);
    let Some(sync) = sync.filter(|sync| sync.enabled == Some(true) && connection.usable().is_ok()) else {
        return Ok(false);
    };
    let every = Duration::from_secs(u64::from(sync.every_minutes.unwrap_or(EVERY)) * 60);
    let last = cx.store.get::<DirectorySync>(DirectorySync::key_of(connection.id)).await?;
    // A clock that was set back does not put it off for ever.
    Ok(last.is_none_or(|last| last.started_at + every <= cx.env.now() || last.started_at > cx.env.now()))
}

#[derive(Clone, Copy, Default)]
struct Wish {
    dry: bool,
    force: bool,
}

/// One reading from begin to end. Errors: `invalid_input`, those of the directory, `sync_refused`.
async fn run(cx: &Context, connection: &Connection, wish: Wish) -> Result<SyncReport> {
    if connection.protocol != ProtocolKind::Ldap {
        return Err(Error::says(&codes::INVALID_INPUT, "Only a directory can be read.")
            .help("This connection does not speak LDAP."));
    }
    let mut sync = DirectorySync { connection: connection.id, started_at: cx.env.now(), ended_at: None, code: None };
    if !wish.dry {
        let mut batch = Batch::new();
        batch.put(&sync);
        cx.store.commit(batch).await?;
    }
    let began = sync.started_at;
    let mut reader = Reader {
        cx,
        connection,
        wish,
        began,
        report: SyncReport::default(),
        seen: HashSet::new(),
        present: HashSet::new(),
        doubtful: BTreeSet::new(),
    };
    let done = match tokio::time::timeout(PATIENCE, reader.read()).await {
        Ok(done) => done,
        Err(_) => Err(Error::says(&codes::LDAP_UNAVAILABLE, "The reading of the directory took too long.")),
    };
    let report = reader.report;
    if !wish.dry {
        sync.ended_at = Some(cx.env.now());
        sync.code = done.as_ref().err().map(|error| error.code().to_owned());
        let event = match &done {
            Ok(()) => cx.event(EventKind::ConnectionSynced),
            Err(error) => cx.event(EventKind::ConnectionSyncFailed).failed(error.code()),
        };
        let event = event.within(connection.organization).about("connection", connection.id);
        let event = event.with("seen", report.seen).with("created", report.created).with("updated", report.updated);
        let mut batch = Batch::new();
        let event = event.with("ended", report.ended).with("skipped", report.skipped);
        batch.put(&sync).log(event.with("incomplete", report.incomplete));
        cx.store.commit(batch).await?;
    }
    done.map(|()| report)
}

struct Reader<'a> {
    cx: &'a Context,
    connection: &'a Connection,
    wish: Wish,
    /// When the reading began.
    began: Timestamp,
    report: SyncReport,
    /// Digests of the subjects that were listed.
    seen: HashSet<[u8; 32]>,
    /// People of whom an entry that may be used was listed.
    present: HashSet<UserId>,
    /// People of whom an entry was switched off, and who have another one.
    doubtful: BTreeSet<UserId>,
}

fn mark(subject: &str) -> [u8; 32] {
    sha256(&[b"authd sync 1", subject.as_bytes()])
}

impl Reader<'_> {
    async fn read(&mut self) -> Result<()> {
        let everybody = self.connection.ldap.as_ref().is_some_and(|config| config.sync.everybody == Some(true));
        let mut reading = Reading::open(self.cx, self.connection).await?;
        let mut idle = 0;
        loop {
            let page = reading.page(self.cx).await?;
            self.report.incomplete |= page.cut;
            let known = self.seen.len();
            for listed in &page.people {
                self.report.seen += 1;
                // An entry that does not say who it is may be anybody's: then nobody can be told to be gone.
                let Some(subject) = &listed.subject else {
                    self.report.incomplete = true;
                    continue;
                };
                self.seen.insert(mark(subject));
                let known = self
                    .cx
                    .store
                    .get::<Identity>(Identity::key_of(IdentitySource::Connection(self.connection.id), subject))
                    .await?;
                // Nobody becomes known by having left already.
                if known.is_none() && (!everybody || !listed.active) {
                    continue;
                }
                match &known {
                    Some(known) if listed.active => drop(self.present.insert(known.user)),
                    Some(known) => {
                        self.switched_off(known).await?;
                        continue;
                    }
                    None => {}
                }
                let groups = reading.groups(listed).await?;
                let proposal = self.of(listed, subject, groups);
                self.propose(proposal).await?;
            }
            if !page.more {
                break;
            }
            idle = if self.seen.len() > known { 0 } else { idle + 1 };
            if idle > IDLE_PAGES || self.report.seen > MOST {
                return Err(Error::says(&codes::LDAP_UNAVAILABLE, "The directory's list of people does not end."));
            }
        }
        for user in std::mem::take(&mut self.doubtful) {
            if !self.present.contains(&user) {
                self.propose(self.end(user)).await?;
            }
        }
        if self.report.incomplete { Ok(()) } else { self.leavers().await }
    }

    /// The access of whoever is switched off ends at once: nothing else of the entry counts, nor stands against it, be it an
    /// address that is another's by now or groups that cannot be read. Only where the person goes by another entry as well, it
    /// is the whole reading that tells.
    async fn switched_off(&mut self, known: &Identity) -> Result<()> {
        let own = Query::by("user", known.user.bytes()).limit(1_000);
        let own = self.cx.store.page::<Identity>(own).await?;
        if own.items.iter().any(|other| other.source == known.source && other.subject != known.subject) {
            self.doubtful.insert(known.user);
            return Ok(());
        }
        self.propose(self.end(known.user)).await
    }

    fn of(&self, listed: &Listed, subject: &str, groups: Vec<String>) -> PersonProposal {
        let profile = &listed.profile;
        let mut fields = Fields::none();
        for (field, value) in [
            (Field::Email, &profile.email),
            (Field::Name, &profile.name),
            (Field::GivenName, &profile.given_name),
            (Field::FamilyName, &profile.family_name),
            (Field::Image, &profile.image),
        ] {
            // What an account may not read looks like what is not there: nothing is emptied.
            if let Some(value) = value {
                fields = fields.set(field, value);
            }
        }
        PersonProposal {
            subject: Some(subject.to_owned()),
            fields,
            email_verified: profile.email_verified,
            extra: (!profile.extra.is_empty()).then(|| profile.extra.clone()),
            groups: Some(groups),
            roles: Some(profile.roles.clone()),
            active: Some(listed.active),
            ..PersonProposal::of(Source::Sync(self.connection.id))
        }
    }

    /// That somebody's access ends, and nothing else.
    fn end(&self, user: UserId) -> PersonProposal {
        let source = Source::Sync(self.connection.id);
        PersonProposal { user: Some(user), active: Some(false), ..PersonProposal::of(source) }
    }

    /// Whether an identity is one that the reading says nothing about: of an attribute that told people apart before, or of
    /// somebody who came while it was read.
    fn is_beyond(&self, identity: &Identity) -> bool {
        let attribute = self.connection.ldap.as_ref().map(|config| config.attribute(Attribute::Subject));
        let own = format!("{}|", attribute.unwrap_or_default().to_ascii_lowercase());
        !identity.subject.starts_with(&own) || identity.created_at > self.began
    }

    /// Whoever signed in through the connection and is not listed any more. Somebody whose entry was made anew has two
    /// identities, and one of them is enough.
    async fn leavers(&mut self) -> Result<()> {
        let mut people: BTreeMap<UserId, bool> = BTreeMap::new();
        let mut cursor = None;
        loop {
            let prefix = Identity::key_of(IdentitySource::Connection(self.connection.id), "");
            let query = Query::all().prefix(prefix.as_bytes()).limit(1_000).after(cursor);
            let page = self.cx.store.page::<Identity>(query).await?;
            for identity in &page.items {
                let stays = self.seen.contains(&mark(&identity.subject)) || self.is_beyond(identity);
                *people.entry(identity.user).or_default() |= stays;
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        let (mut gone, mut active) = (Vec::new(), 0_usize);
        for (user, stays) in people {
            let key = Membership::key_of(self.connection.organization, user);
            let member = self.cx.store.get::<Membership>(key).await?;
            if member.is_some_and(|member| member.status == Status::Active) {
                active += 1;
                gone.extend((!stays).then_some(user));
            }
        }
        // All of several at once is another base, however few they are, and whoever else is listed there.
        let all = active > 1 && gone.len() == active;
        let few = gone.len() <= FEW.max(active / SHARE) && !all;
        let believable = gone.is_empty() || (few && self.report.seen > 0);
        if !believable && !self.wish.force {
            let says = format!(
                "{} of {active} people are missing from the directory, so nobody's access was ended.",
                gone.len()
            );
            return Err(Error::says(&codes::SYNC_REFUSED, says));
        }
        for user in gone {
            self.propose(self.end(user)).await?;
        }
        Ok(())
    }

    /// Takes one person over: one commit, and none where nothing changes.
    async fn propose(&mut self, proposal: PersonProposal) -> Result<()> {
        let mut tries = 0;
        loop {
            match self.one(&proposal).await {
                Err(error) if error.is(&codes::STALE) && tries < RETRIES => tries += 1,
                // A rule stands against it: an administrator's word, another's address, the last owner. Of this person alone.
                Err(error) if is_of_the_person(&error) => {
                    self.report.skipped += 1;
                    return Ok(());
                }
                done => return done,
            }
        }
    }

    async fn one(&mut self, proposal: &PersonProposal) -> Result<()> {
        let email = proposal.fields.value(Field::Email).filter(|email| EmailAddress::parse(email).is_ok());
        let facts = facts_of(self.cx, self.connection, email).await?;
        let plan = weigh(self.cx, proposal, &facts).await?.plan?;
        let created = plan.before.is_none();
        let changes = created || plan.links || plan.deletes() || plan.before.as_ref() != Some(&plan.after);
        if !changes {
            return Ok(());
        }
        let ends = plan.ends;
        if !self.wish.dry {
            let mut batch = Batch::new();
            provision_person(self.cx, proposal.clone(), &facts, &mut batch).await?;
            self.cx.store.commit(batch).await?;
        }
        match (created, ends) {
            (true, _) => self.report.created += 1,
            (_, true) => self.report.ended += 1,
            _ => self.report.updated += 1,
        }
        Ok(())
    }
}

fn is_of_the_person(error: &Error) -> bool {
    matches!(error.kind(), Kind::Invalid | Kind::Forbidden | Kind::Conflict | Kind::Missing)
}
