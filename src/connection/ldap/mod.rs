//! # connection::ldap — a directory that people sign in to by name and password
//!
//! *Owns* the conversation with a directory: the way to it, the search for an entry, the one bind as it, its groups, and
//! what its attributes mean.
//! *Gives* `Ldap` (a `Protocol`) for a connection's `Config`; `examine` and `validate` to whoever sets one up; `Reading`
//! to the synchronization.
//! *Needs* `Env`'s resolver and outgoing connections, the master key, `ldap3` behind a guard. *Never* keeps, shows or logs a
//! password; never sends one without encryption that holds (but on this machine); never tries one twice; never follows a
//! directory to another server.
//!
//! The subject of a person is `<attribute>|<value>`, of an attribute that never changes: `entryuuid|6ba7…`.
//!
//! ```text
//!  Env ► connect (DNS, TCP, TLS) ► guard (ber: length, depth, shape; what was asked) ► ldap3 ► session ► sign_in, read
//! ```

mod ber;
mod check;
mod config;
mod connect;
mod dn;
mod entry;
mod filter;
mod find;
mod given;
mod groups;
mod guard;
mod name;
mod own;
mod password_policy;
mod pause;
mod person;
mod pinned;
mod pool;
mod preset;
mod read;
mod reason;
mod report;
mod session;
mod settings;
mod sign_in;
mod tls;
mod trouble;
mod url;

use std::sync::Arc;

use async_trait::async_trait;

pub use config::{
    Attribute, Bind, BindMode, Config, GroupMode, Groups, Mapping, Preset, ProfileConfig, Servers, SyncConfig, Users,
    secret_place,
};
pub use given::read_entry;
pub use pool::Directories;
pub use read::{Listed, Page, Reading};
pub use report::{FoundGroup, FoundPerson, examine, reach, validate};
pub(super) use settings::LdapFlat;
pub use settings::{
    LdapBindSettings, LdapBindView, LdapGroupSettings, LdapMappingSettings, LdapProfileSettings, LdapServerSettings,
    LdapSettings, LdapSyncSettings, LdapUserSettings, LdapView,
};
pub use trouble::Trouble;

use super::protocol::{Answer, Authenticated, Begin, BeginRequest, Checks, Protocol};
use super::record::{Connection, ScopeMapping};
use super::report::Report;
use crate::access::Context;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// The longest password that is sent.
const MAX_PASSWORD: usize = 1024;

/// The client of one connection's directory.
#[derive(Clone)]
pub struct Ldap {
    connection: ConnectionId,
    config: Arc<Config>,
    /// Names of groups that somebody has mapped to something.
    mapped: Vec<String>,
    /// What follows from groups, and from none of them.
    scopes: (ScopeMapping, Vec<String>),
    directories: Arc<Directories>,
}

impl Ldap {
    /// For a connection with that configuration; what is kept of its directory is in `directories`.
    pub fn new(connection: &Connection, config: Config, directories: Arc<Directories>) -> Self {
        let mapped = groups_mapped(connection);
        let scopes = (
            connection.scope_mapping.clone().unwrap_or_default(),
            connection.default_scopes.clone().unwrap_or_default(),
        );
        Self { connection: connection.id, config: Arc::new(config), mapped, scopes, directories }
    }

    fn directory(&self, cx: &Context) -> Arc<pool::Directory> {
        self.directories.of(cx, self.connection, &self.config)
    }
}

/// The groups that a connection maps to roles or scopes, by name or by distinguished name.
fn groups_mapped(connection: &Connection) -> Vec<String> {
    let roles = connection.group_mapping.iter().flat_map(|mapping| mapping.keys());
    let scopes = connection.scope_mapping.iter().flat_map(|mapping| mapping.keys());
    roles.chain(scopes).cloned().collect()
}

/// Whether a text is no password: with one that is empty, a bind is anonymous and succeeds (RFC 4513 §5.1.2); blanks are
/// trimmed by some directories, and a NUL ends the text for others.
fn is_no_password(text: &str) -> bool {
    text.contains('\0') || text.chars().all(|c| c.is_whitespace() || c.is_control())
}

#[async_trait]
impl Protocol for Ldap {
    async fn begin(&self, _: &Context, request: &BeginRequest) -> Result<Begin> {
        self.config.check()?;
        self.config.ready()?;
        Ok(Begin::Credentials { username: request.login_hint.clone() })
    }

    fn screen(&self, answer: &Answer, checks: &mut Checks) -> Result<()> {
        let given = answer.credentials.as_ref();
        let fits = given.is_some_and(|given| {
            let password = given.password.expose();
            !given.username.trim().is_empty() && !is_no_password(password) && password.len() <= MAX_PASSWORD
        });
        checks.state("credentials", fits);
        if fits { Ok(()) } else { Err(Error::new(&codes::INVALID_CREDENTIALS)) }
    }

    async fn complete(&self, cx: &Context, answer: &Answer, _: &[u8], checks: &mut Checks) -> Result<Authenticated> {
        self.config.check()?;
        self.config.ready()?;
        // Whoever calls may not have asked: without a password that is one, nothing is ever sent.
        self.screen(answer, checks)?;
        sign_in::sign_in(cx, self, answer, checks).await
    }

    async fn test(&self, cx: &Context) -> Report {
        report::examine(cx, self, None).await.0
    }
}
