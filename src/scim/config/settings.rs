//! The settings of provisioning as they are written and as they are shown.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Place;
use super::rules::path;
use crate::access::Context;
use crate::connection::{MappedField, ScimConfig, Status};
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId, ScimConfigId};
use crate::policy::DeprovisionMode;
use crate::scim::http::BODY;

/// A request of fewer bytes is one that every directory sends.
const LEAST: u32 = 1_024;
/// So many attributes may be kept besides.
const MOST_EXTRA: usize = 50;

/// How much a directory may send.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScimSecuritySettings {
    /// The most bytes of a request, from 1024 to 1048576; the latter unless set. 0 takes the value away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_request_size: Option<u32>,
}

/// What a directory's attributes mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScimProfileSettings {
    /// Which attribute stands for what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<ScimMappingSettings>,
    /// Attributes that are kept besides, by the names they get: `{"department": "urn:…:2.0:User:department"}`. All of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_fields: Option<BTreeMap<String, String>>,
}

/// Which attribute stands for what: a name (`userName`), a part of one (`name.givenName`), the preferred one of several
/// (`emails.primary`), chosen ones (`emails[type eq "work"].value`), an extension's (`urn:…:2.0:User:department`). An
/// empty text brings the usual one back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScimMappingSettings {
    /// The provider's own word for the person, so that their first sign-in through the connection is known to be theirs;
    /// by their address, unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The directory's own id of the person; `externalId` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The e-mail address; `emails.primary` unless set, and `userName` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// First name; `name.givenName` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    /// Last name; `name.familyName` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    /// The name to show; `displayName` unless set, and `name.formatted` where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The phone number; kept as `phone` besides the profile, where it is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<String>,
    /// Whether the person may come in; `active` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// An attribute of the person that names their groups; unless set, groups are resources of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<String>,
    /// The directory's roles of the person; `roles` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub roles: Option<String>,
}

/// Every field of a mapping with its usual attribute; none has, what is not read unless it is set.
const USUAL: &[(MappedField, Option<&str>)] = &[
    (MappedField::Subject, None),
    (MappedField::ExternalId, Some("externalId")),
    (MappedField::Email, Some("emails.primary")),
    (MappedField::FirstName, Some("name.givenName")),
    (MappedField::LastName, Some("name.familyName")),
    (MappedField::Name, Some("displayName")),
    (MappedField::Phone, None),
    (MappedField::Active, Some("active")),
    (MappedField::Groups, Some("groups")),
    (MappedField::Roles, Some("roles")),
];

fn usual(field: MappedField) -> Option<&'static str> {
    USUAL.iter().find(|(known, _)| *known == field).and_then(|(_, path)| *path)
}

impl ScimMappingSettings {
    fn each(&self) -> [(MappedField, &Option<String>); 10] {
        [
            (MappedField::Subject, &self.subject),
            (MappedField::ExternalId, &self.external_id),
            (MappedField::Email, &self.email),
            (MappedField::FirstName, &self.first_name),
            (MappedField::LastName, &self.last_name),
            (MappedField::Name, &self.name),
            (MappedField::Phone, &self.phone),
            (MappedField::Active, &self.active),
            (MappedField::Groups, &self.groups),
            (MappedField::Roles, &self.roles),
        ]
    }

    /// As it holds, what is usual included.
    fn of(config: Option<&ScimConfig>) -> Self {
        let set = |field: MappedField| {
            let own = config.and_then(|config| config.mapping.get(&field).cloned());
            own.or_else(|| usual(field).map(str::to_owned))
        };
        Self {
            subject: set(MappedField::Subject),
            external_id: set(MappedField::ExternalId),
            email: set(MappedField::Email),
            first_name: set(MappedField::FirstName),
            last_name: set(MappedField::LastName),
            name: set(MappedField::Name),
            phone: set(MappedField::Phone),
            active: set(MappedField::Active),
            groups: set(MappedField::Groups),
            roles: set(MappedField::Roles),
        }
    }
}

impl ScimSecuritySettings {
    /// Errors: `config_invalid`.
    pub(super) fn apply(&self, config: &mut ScimConfig) -> Result<()> {
        let most = u32::try_from(BODY).unwrap_or(u32::MAX);
        match self.max_request_size {
            None => {}
            Some(0) => config.max_request_size = None,
            Some(size) if (LEAST..=most).contains(&size) => config.max_request_size = Some(size),
            Some(_) => {
                return Err(Error::says(
                    &codes::CONFIG_INVALID,
                    format!("`security.maxRequestSize` is from {LEAST} to {most} bytes."),
                ));
            }
        }
        Ok(())
    }
}

impl ScimProfileSettings {
    /// Errors: `config_invalid`.
    pub(super) fn apply(&self, config: &mut ScimConfig) -> Result<()> {
        for (field, text) in self.mapping.iter().flat_map(ScimMappingSettings::each) {
            let Some(text) = text.as_deref().map(str::trim) else { continue };
            if text.is_empty() || usual(field).is_some_and(|usual| usual.eq_ignore_ascii_case(text)) {
                config.mapping.remove(&field);
                continue;
            }
            path(text)?;
            config.mapping.insert(field, text.to_owned());
        }
        let Some(extra) = &self.extra_fields else { return Ok(()) };
        let word = |name: &str| {
            (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        };
        if extra.len() > MOST_EXTRA || !extra.keys().all(|name| word(name)) {
            return Err(Error::says(
                &codes::CONFIG_INVALID,
                format!(
                    "`profile.extraFields` has at most {MOST_EXTRA} names, of 1 to 64 letters, digits, `_`, `-` and `.`."
                ),
            ));
        }
        for text in extra.values() {
            path(text)?;
        }
        config.extra_fields.clone_from(extra);
        Ok(())
    }
}

/// Provisioning of a directory as it is set.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScimView {
    /// Whose directory it is; absent for the organization's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<ConnectionId>,
    /// The organization.
    pub organization_id: OrganizationId,
    /// Whether anything was set, or a token was made.
    pub configured: bool,
    /// The id of the settings, once there are any.
    pub config_id: Option<ScimConfigId>,
    /// Whether the directory is listened to.
    pub status: Status,
    /// The path that stands before `/Users`.
    pub base_path: String,
    /// What the directory is to call: the address before `/Users`.
    pub url: String,
    /// How much it may send.
    pub security: ScimSecuritySettings,
    /// What its attributes mean, what is usual included.
    pub profile: ScimProfileSettings,
    /// What its word that somebody has left does; absent, where the organization's policy decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deprovision_mode: Option<DeprovisionMode>,
}

impl ScimView {
    pub(super) fn of(cx: &Context, place: &Place, config: Option<&ScimConfig>) -> Self {
        let most = config.and_then(|config| config.max_request_size);
        Self {
            connection_id: place.connection_id(),
            organization_id: place.organization,
            configured: config.is_some(),
            config_id: config.map(|config| config.id),
            status: config.map_or(Status::Active, |config| config.status),
            base_path: place.path(cx),
            url: place.url(cx),
            security: ScimSecuritySettings { max_request_size: most.or_else(|| u32::try_from(BODY).ok()) },
            profile: ScimProfileSettings {
                mapping: Some(ScimMappingSettings::of(config)),
                extra_fields: Some(config.map(|config| config.extra_fields.clone()).unwrap_or_default()),
            },
            deprovision_mode: config.and_then(ScimConfig::deprovision_mode),
        }
    }
}
