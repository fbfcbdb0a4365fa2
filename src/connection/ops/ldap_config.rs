//! The LDAP configuration of a connection.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::ldap::{
    self, LdapBindSettings, LdapFlat, LdapGroupSettings, LdapProfileSettings, LdapServerSettings, LdapSettings,
    LdapSyncSettings, LdapUserSettings, LdapView, Preset,
};
use super::super::record::{Connection, ProtocolKind, Status};
use super::super::settings;
use super::{Looked, event, look_into, must_answer, owner_of, speaks};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::store::{Batch, Stored};

/// Set how a connection speaks LDAP with its directory. What is absent stays as it was; an empty text takes a value away.
/// Another server, or a connection that is not encrypted any more, needs the password of authd's own account again: the one
/// that is kept goes to the directory it was given for.
///
/// The directory is asked at once. If it does not let authd in, a draft is changed, and an active connection is not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SetLdap {
    /// The connection.
    pub id: ConnectionId,
    /// Which product the directory is; it gives the defaults of filters and attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// The directory: `ldaps://dc1.corp.example`; several with blanks between, asked in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_url: Option<String>,
    /// The distinguished name of the account that authd searches with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_bind_dn: Option<String>,
    /// Its password. It is sealed, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_bind_password: Option<Secret>,
    /// Everybody who may sign in lies below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_search_base: Option<String>,
    /// Whom a typed name means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_search_filter: Option<String>,
    /// Only groups below it count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_group_search_base: Option<String>,
    /// The groups of an entry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_group_search_filter: Option<String>,
    /// Whether `ldap://` becomes encrypted by StartTLS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_tls_enabled: Option<bool>,
    /// Where the directory is, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<LdapServerSettings>,
    /// As whom authd searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<LdapBindSettings>,
    /// Where people are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<LdapUserSettings>,
    /// Where groups are, and what follows from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<LdapGroupSettings>,
    /// What the attributes mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<LdapProfileSettings>,
    /// Whether the directory is read on a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<LdapSyncSettings>,
    /// Set it on an active connection even if the directory does not answer now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreached: bool,
}

impl SetLdap {
    /// The configuration as it would be. Errors: `invalid_input`, `config_invalid`.
    fn config(&self, cx: &Context, connection: &Connection) -> Result<ldap::Config> {
        speaks(connection, ProtocolKind::Ldap)?;
        let flat = LdapFlat {
            preset: self.preset,
            url: self.ldap_url.clone(),
            bind_dn: self.ldap_bind_dn.clone(),
            bind_password: self.ldap_bind_password.clone(),
            search_base: self.ldap_search_base.clone(),
            search_filter: self.ldap_search_filter.clone(),
            group_search_base: self.ldap_group_search_base.clone(),
            group_search_filter: self.ldap_group_search_filter.clone(),
            tls_enabled: self.ldap_tls_enabled,
        };
        let nested = LdapSettings {
            preset: None,
            servers: self.servers.clone(),
            bind: self.bind.clone(),
            users: self.users.clone(),
            groups: self.groups.clone(),
            profile: self.profile.clone(),
            sync: self.sync.clone(),
        };
        let settings =
            flat.over(Some(nested)).ok_or_else(|| Error::says(&codes::INVALID_INPUT, "There is nothing to set."))?;
        let before = connection.ldap.clone().unwrap_or_default();
        let mut config = before.clone();
        settings.apply(cx, connection.id, &mut config)?;
        stays_with_its_directory(&before, &config)?;
        Ok(config)
    }
}

/// A password that is kept goes to the directory it was given for, and no less protected than it was: whoever may change the
/// address but does not know the password could otherwise have it sent to a server of their own. Errors: `config_invalid`.
fn stays_with_its_directory(before: &ldap::Config, after: &ldap::Config) -> Result<()> {
    // Sealing is never the same twice, so the same password given again is a new one here.
    let kept = after.bind.password.is_some() && after.bind.password == before.bind.password;
    let (old, new) = (&before.servers, &after.servers);
    let known = new.urls.iter().all(|url| old.urls.contains(url));
    let weaker = new.start_tls != Some(true) && old.start_tls == Some(true);
    if kept && (!known || weaker || new.ca_certificates != old.ca_certificates) {
        return Err(Error::says(
            &codes::CONFIG_INVALID,
            "The directory changes, and the password of authd's account was given for the one before: give it again.",
        )
        .help("Set `ldapBindPassword` together with the new address, authorities or encryption."));
    }
    Ok(())
}

#[async_trait]
impl Operation for SetLdap {
    type Seen = Looked;
    type Output = LdapView;
    const NAME: &'static str = "connection.set_ldap";
    const ACCESS: Access = Access::Grant(Grant::ConnectionProtocolManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/connections/{id}/ldap" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?;
        let config = self.config(cx, &connection)?;
        match config.ready() {
            Ok(()) => {
                let must = connection.status == Status::Active && !self.unreached;
                look_into(cx, &connection, &config, must).await
            }
            Err(_) => Ok(Looked::Nowhere),
        }
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        let config = self.config(cx, &connection)?;
        let view = LdapView::from(&config);
        connection.ldap = Some(config);
        connection.looked = seen.kept(cx);
        connection.updated_at = cx.env.now();
        if connection.status == Status::Active {
            settings::complete(&connection)?;
            if !self.unreached {
                must_answer(*seen)?;
            }
        }
        let urls = view.servers.urls.clone().unwrap_or_default();
        let noted = event(cx, EventKind::ConnectionLdapSet, &connection).with("urls", urls);
        batch.update(&connection, revision).log(noted);
        Ok(view)
    }
}

/// Show how a connection speaks LDAP, without the password.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetLdap {
    /// The connection.
    pub id: ConnectionId,
}

#[async_trait]
impl Operation for GetLdap {
    type Seen = ();
    type Output = LdapView;
    const NAME: &'static str = "connection.get_ldap";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{id}/ldap" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let connection = Connection::load(&cx.store, self.id).await?;
        Ok(LdapView::from(&connection.value.ldap.unwrap_or_default()))
    }
}
