//! The LDAP configuration as it is written and as it is shown. The password goes in and never comes out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{Attribute, BindMode, Config, GroupMode, Preset, secret_place};
use super::is_no_password;
use crate::access::Context;
use crate::connection::settings::{mapping_settings, set_text};
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// How to speak LDAP with a directory. Every field is optional: what is absent stays as it was (or at the preset's
/// default), and an empty text takes a value away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LdapSettings {
    /// Which product the directory is; it gives the defaults of filters and attributes. `openldap` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// Where the directory is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<LdapServerSettings>,
    /// As whom authd searches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind: Option<LdapBindSettings>,
    /// Where people are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub users: Option<LdapUserSettings>,
    /// Where groups are. What follows from them stands on the connection: `groupMapping`, `scopeMapping`, `defaultScopes`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<LdapGroupSettings>,
    /// What the attributes mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<LdapProfileSettings>,
    /// Whether the directory is read on a schedule, so that who leaves it loses access here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<LdapSyncSettings>,
}

/// Where the directory is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LdapServerSettings {
    /// `ldaps://host` or `ldap://host`, asked in this order: the next one when one does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub urls: Option<Vec<String>>,
    /// Whether `ldap://` becomes encrypted by StartTLS before anything else is said. It always does, unless the server is
    /// on this machine; there, only if this is `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_tls: Option<bool>,
    /// The only authorities whose certificates are believed, in PEM form, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_certificates: Option<String>,
}

/// As whom authd searches.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LdapBindSettings {
    /// `service` (an account of authd's own), `anonymous`, or `direct` (no search: the name follows from what is typed).
    /// Unless set, it follows from what else is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<BindMode>,
    /// The distinguished name of authd's own account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dn: Option<String>,
    /// Its password. It is sealed, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The name that a person binds by: `uid={{username}},ou=people,dc=example,dc=com` or `{{username}}@corp.example`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_dn_template: Option<String>,
}

/// Where people are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LdapUserSettings {
    /// Everybody who may sign in lies below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Whom a typed name means, with `{{username}}` and `{{email}}` in the places of what is typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
}

/// Where groups are, and what follows from them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LdapGroupSettings {
    /// `memberOf` (an attribute of the person's entry), `search`, or `none`. `search` where a base is set, unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<GroupMode>,
    /// Only groups below it count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// The groups of an entry, with `{{dn}}` or `{{username}}`; `(member={{dn}})` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Whether groups of groups count, at most ten levels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nested: Option<bool>,
    /// The attribute that a group is called by; `cn` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_attribute: Option<String>,
}

/// What the attributes mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LdapProfileSettings {
    /// The attribute of each field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<LdapMappingSettings>,
    /// Attributes that are kept besides: our name for each, and the attribute it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_fields: Option<BTreeMap<String, String>>,
    /// Whether the directory vouches for the addresses in it: yes unless set. Say `false` where people write their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
}

mapping_settings! {
    /// The attribute of each field.
    LdapMappingSettings of Config {
        /// Who it is for good: `entryUUID`, `objectGUID`, `ipaUniqueID`. Never the name of the entry.
        subject,
        /// The account's name.
        username,
        /// The e-mail address.
        email,
        /// The name to show.
        name,
        /// First name.
        given_name,
        /// Last name.
        family_name,
        /// An https address of a picture.
        image,
        /// The groups that the directory keeps in a person's entry.
        groups,
        /// Roles, in the directory's own words.
        roles,
    }
}

/// Whether the directory is read on a schedule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LdapSyncSettings {
    /// Whether it is; no unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Minutes between two readings, from 5 to 10080; 60 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_minutes: Option<u32>,
    /// Whether people become known who have never signed in; no unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub everybody: Option<bool>,
}

/// The most common settings, beside each other.
#[derive(Clone, Debug, Default)]
pub(in crate::connection) struct LdapFlat {
    pub preset: Option<Preset>,
    pub url: Option<String>,
    pub bind_dn: Option<String>,
    pub bind_password: Option<Secret>,
    pub search_base: Option<String>,
    pub search_filter: Option<String>,
    pub group_search_base: Option<String>,
    pub group_search_filter: Option<String>,
    pub tls_enabled: Option<bool>,
}

impl LdapFlat {
    /// The settings with the flat fields laid over them; nothing when nothing was given. Several URLs stand in one text with
    /// blanks or commas between.
    pub fn over(self, settings: Option<LdapSettings>) -> Option<LdapSettings> {
        let mut all = settings.unwrap_or_default();
        all.preset = self.preset.or(all.preset);
        if self.url.is_some() || self.tls_enabled.is_some() {
            let servers = all.servers.get_or_insert_default();
            if let Some(text) = self.url {
                let urls = text.split([' ', ',']).filter(|url| !url.is_empty()).map(str::to_owned).collect();
                servers.urls = Some(urls);
            }
            servers.start_tls = self.tls_enabled.or(servers.start_tls);
        }
        if self.bind_dn.is_some() || self.bind_password.is_some() {
            let bind = all.bind.get_or_insert_default();
            bind.dn = self.bind_dn.or(bind.dn.take());
            bind.password = self.bind_password.or(bind.password.take());
        }
        if self.search_base.is_some() || self.search_filter.is_some() {
            let users = all.users.get_or_insert_default();
            users.base = self.search_base.or(users.base.take());
            users.filter = self.search_filter.or(users.filter.take());
        }
        if self.group_search_base.is_some() || self.group_search_filter.is_some() {
            let groups = all.groups.get_or_insert_default();
            groups.base = self.group_search_base.or(groups.base.take());
            groups.filter = self.group_search_filter.or(groups.filter.take());
        }
        (all != LdapSettings::default()).then_some(all)
    }
}

impl LdapSettings {
    /// Lays these settings over a configuration. The password is sealed for the connection.
    /// Errors: `invalid_input`, `config_invalid`, naming the field.
    pub(in crate::connection) fn apply(
        self,
        cx: &Context,
        connection: ConnectionId,
        config: &mut Config,
    ) -> Result<()> {
        config.preset = self.preset.or(config.preset);
        if let Some(servers) = self.servers {
            if let Some(urls) = servers.urls {
                config.servers.urls = urls.into_iter().map(|url| url.trim().to_owned()).collect();
            }
            config.servers.start_tls = servers.start_tls.or(config.servers.start_tls);
            set_text(&mut config.servers.ca_certificates, servers.ca_certificates);
        }
        if let Some(bind) = self.bind {
            config.bind.mode = bind.mode.or(config.bind.mode);
            set_text(&mut config.bind.dn, bind.dn);
            set_text(&mut config.bind.user_dn_template, bind.user_dn_template);
            if let Some(password) = bind.password {
                config.bind.password = sealed(cx, connection, &password)?;
            }
        }
        if let Some(users) = self.users {
            set_text(&mut config.users.base, users.base);
            set_text(&mut config.users.filter, users.filter);
        }
        if let Some(groups) = self.groups {
            config.groups.mode = groups.mode.or(config.groups.mode);
            set_text(&mut config.groups.base, groups.base);
            set_text(&mut config.groups.filter, groups.filter);
            config.groups.nested = groups.nested.or(config.groups.nested);
            set_text(&mut config.groups.name_attribute, groups.name_attribute);
        }
        if let Some(profile) = self.profile {
            if let Some(mapping) = profile.mapping {
                mapping.apply(config);
            }
            if let Some(extra) = profile.extra_fields {
                config.profile.extra_fields = extra;
            }
            config.profile.email_verified = profile.email_verified.or(config.profile.email_verified);
        }
        if let Some(sync) = self.sync {
            config.sync.enabled = sync.enabled.or(config.sync.enabled);
            config.sync.every_minutes = sync.every_minutes.or(config.sync.every_minutes);
            config.sync.everybody = sync.everybody.or(config.sync.everybody);
        }
        config.check()?;
        // Only when it is set: nobody is kept out by what was kept before this was known to be wrong.
        if config.mode() == BindMode::Direct && config.sync.enabled == Some(true) {
            return Err(Error::says(
                &codes::CONFIG_INVALID,
                "A directory is read on a schedule with an account of authd's own, and `bind.mode=direct` has none.",
            )
            .help("Set `sync.enabled` to `false`; or `bind.mode` to `service`, with `bind.dn` and `bind.password`."));
        }
        Ok(())
    }
}

fn sealed(cx: &Context, connection: ConnectionId, password: &Secret) -> Result<Option<crate::crypto::Sealed>> {
    let text = password.expose();
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > super::MAX_PASSWORD || is_no_password(text) {
        return Err(Error::says(
            &codes::INVALID_INPUT,
            "`bind.password` has at most 1,024 bytes, more than blanks, and no NUL.",
        ));
    }
    cx.deployment.master_key.seal(&cx.env, &secret_place(connection), text.as_bytes()).map(Some)
}

/// The LDAP configuration as it is shown: with the defaults that hold, and without the password.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LdapView {
    /// Which product the directory is.
    pub preset: Preset,
    /// Where the directory is.
    pub servers: LdapServerSettings,
    /// As whom authd searches.
    pub bind: LdapBindView,
    /// Whether the password of authd's own account is kept.
    pub has_bind_password: bool,
    /// Where people are.
    pub users: LdapUserSettings,
    /// Where groups are, and what follows from them.
    pub groups: LdapGroupSettings,
    /// What the attributes mean.
    pub profile: LdapProfileSettings,
    /// Whether the directory is read on a schedule.
    pub sync: LdapSyncSettings,
}

/// As whom authd searches, without the password.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LdapBindView {
    /// How a person is found.
    pub mode: BindMode,
    /// authd's own account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dn: Option<String>,
    /// The name that a person binds by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_dn_template: Option<String>,
}

impl From<&Config> for LdapView {
    fn from(config: &Config) -> Self {
        let attribute = |field: Attribute| Some(config.attribute(field).to_owned());
        Self {
            preset: config.preset.unwrap_or_default(),
            servers: LdapServerSettings {
                urls: Some(config.servers.urls.clone()),
                start_tls: config.servers.start_tls,
                ca_certificates: config.servers.ca_certificates.clone(),
            },
            bind: LdapBindView {
                mode: config.mode(),
                dn: config.bind.dn.clone(),
                user_dn_template: config.bind.user_dn_template.clone(),
            },
            has_bind_password: config.bind.password.is_some(),
            users: LdapUserSettings { base: config.users.base.clone(), filter: Some(config.filter().to_owned()) },
            groups: LdapGroupSettings {
                mode: Some(config.group_mode()),
                base: config.groups.base.clone(),
                filter: Some(config.group_filter().to_owned()),
                nested: Some(config.nested()),
                name_attribute: Some(config.group_name().to_owned()),
            },
            profile: LdapProfileSettings {
                mapping: Some(LdapMappingSettings {
                    subject: attribute(Attribute::Subject),
                    username: attribute(Attribute::Username),
                    email: attribute(Attribute::Email),
                    name: attribute(Attribute::Name),
                    given_name: attribute(Attribute::GivenName),
                    family_name: attribute(Attribute::FamilyName),
                    groups: attribute(Attribute::Groups),
                    ..LdapMappingSettings::of(config)
                }),
                extra_fields: Some(config.profile.extra_fields.clone()),
                email_verified: Some(config.profile.email_verified.unwrap_or(true)),
            },
            sync: LdapSyncSettings {
                enabled: Some(config.sync.enabled.unwrap_or(false)),
                every_minutes: Some(config.sync.every_minutes.unwrap_or(60)),
                everybody: Some(config.sync.everybody.unwrap_or(false)),
            },
        }
    }
}
