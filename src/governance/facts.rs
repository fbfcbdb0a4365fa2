//! What the pipeline is told about a connection: its own settings over the organization's policy over the defaults.
//!
//! ```text
//!  connection (jit, default role, mappings) ─► beats ─► policy of the organization ─► beats ─► defaults
//! ```

use serde::Serialize;
use serde_json::{Value, json};

use super::record::policy_of;
use crate::access::Context;
use crate::connection::{Connection, ProtocolKind, domain};
use crate::directory::{EmailAddress, SourceFacts};
use crate::error::{Error, Result, codes};
use crate::id::OrganizationId;
use crate::policy::{GroupsMode, JitMode, Policy, Protocol, RolesMode};
use crate::store::Query;

/// The policy as it holds for people of one connection: what the connection sets is in the policy's place.
pub fn effective(policy: &Policy, connection: &Connection) -> Policy {
    let mut policy = policy.clone();
    let rules = &mut policy.provisioning;
    if let Some(role) = &connection.default_role {
        rules.jit.default_role_ids = vec![role.clone()];
    }
    if let Some(mapping) = &connection.group_mapping {
        rules.groups.mode = GroupsMode::Sync;
        rules.groups.mapping.clone_from(mapping);
    }
    if let Some(mapping) = &connection.role_mapping {
        rules.roles.mode = RolesMode::Map;
        rules.roles.mapping.clone_from(mapping);
    }
    policy
}

/// The facts of a connection, for somebody who arrives with that address, under the organization's policy of now.
/// Errors: `profile_invalid` for an address that cannot be one.
pub async fn facts_of(cx: &Context, connection: &Connection, email: Option<&str>) -> Result<SourceFacts> {
    let policy = policy_of(&cx.store, connection.organization).await?;
    facts_under(cx, connection, email, &policy).await
}

/// The same under a policy that is only thought of.
pub(super) async fn facts_under(
    cx: &Context,
    connection: &Connection,
    email: Option<&str>,
    policy: &Policy,
) -> Result<SourceFacts> {
    let owned = domain::owned_by(&cx.store, connection.id).await?;
    let domains: Vec<String> = owned.into_iter().map(|domain| domain.name).collect();
    let mut domain_owned_elsewhere = false;
    if let Some(email) = email {
        let address = EmailAddress::parse(email).map_err(|error| Error::new(&codes::PROFILE_INVALID).because(error))?;
        if !domains.contains(&address.domain) {
            domain_owned_elsewhere = domain::owner_of(&cx.store, &address.domain).await?.is_some();
        }
    }
    Ok(SourceFacts {
        organization: connection.organization,
        protocol: match connection.protocol {
            ProtocolKind::Oidc => Protocol::Oidc,
            // One rule for both: the policy knows `oidc`, and everything else that a company runs itself.
            ProtocolKind::Saml | ProtocolKind::Ldap => Protocol::Saml,
        },
        jit: connection.jit,
        default_role: connection.default_role.clone(),
        domains,
        domain_owned_elsewhere,
        policy: effective(policy, connection),
    })
}

/// The facts of a trusted issuer whose people are kept. It has proven no domain, so it takes nobody over by an address.
/// Errors: `profile_invalid` for an address that cannot be one.
pub async fn facts_of_issuer(cx: &Context, organization: OrganizationId, email: Option<&str>) -> Result<SourceFacts> {
    let mut facts = facts_of_administrators(cx, organization).await?;
    facts.jit = Some(true);
    if let Some(email) = email {
        let address = EmailAddress::parse(email).map_err(|error| Error::new(&codes::PROFILE_INVALID).because(error))?;
        facts.domain_owned_elsewhere = domain::owner_of(&cx.store, &address.domain).await?.is_some();
    }
    Ok(facts)
}

/// The facts of a directory that belongs to the organization and to no connection: it speaks for every domain that the
/// organization has proven. Errors: `profile_invalid` for an address that cannot be one.
pub async fn facts_of_own_directory(
    cx: &Context,
    organization: OrganizationId,
    email: Option<&str>,
) -> Result<SourceFacts> {
    let mut facts = facts_of_administrators(cx, organization).await?;
    let mut cursor = None;
    loop {
        let query = Query::by("organization", organization.bytes()).limit(1_000).after(cursor);
        let page = cx.store.page::<Connection>(query).await?;
        for connection in page.items {
            let owned = domain::owned_by(&cx.store, connection.id).await?;
            facts.domains.extend(owned.into_iter().map(|domain| domain.name));
        }
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    if let Some(email) = email {
        let address = EmailAddress::parse(email).map_err(|error| Error::new(&codes::PROFILE_INVALID).because(error))?;
        if !facts.domains.contains(&address.domain) {
            facts.domain_owned_elsewhere = domain::owner_of(&cx.store, &address.domain).await?.is_some();
        }
    }
    Ok(facts)
}

/// The facts of an organization's administrators.
pub async fn facts_of_administrators(cx: &Context, organization: OrganizationId) -> Result<SourceFacts> {
    Ok(SourceFacts::of_administrators(organization, policy_of(&cx.store, organization).await?))
}

/// Who has the last word about a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SetBy {
    /// The connection itself.
    Connection,
    /// The organization's policy.
    Policy,
    /// Nobody: it is the default.
    Default,
}

/// A setting as it holds for people of one connection.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// Its path in the policy.
    pub name: String,
    /// What it is.
    pub value: Value,
    /// Where it comes from.
    pub set_by: SetBy,
}

/// The settings that a sign-in through the connection goes by, and where each comes from.
pub fn settings(policy: &Policy, connection: &Connection) -> Result<Vec<Setting>> {
    let value = |policy: &Policy| serde_json::to_value(policy).map_err(Error::bug);
    let (kept, default) = (value(policy)?, value(&Policy::default())?);
    let holds = value(&effective(policy, connection))?;
    let own = |path: &str| match path {
        "provisioning.jit.mode" => connection.jit.is_some(),
        "provisioning.jit.defaultRoleIds" => connection.default_role.is_some(),
        "provisioning.groups.mode" | "provisioning.groups.mapping" => connection.group_mapping.is_some(),
        "provisioning.roles.mode" | "provisioning.roles.mapping" => connection.role_mapping.is_some(),
        _ => false,
    };
    let setting = |path: &&str| {
        let pointer = format!("/{}", path.replace('.', "/"));
        let at = |value: &Value| value.pointer(&pointer).cloned().unwrap_or_default();
        let set_by = match (own(path), at(&kept) == at(&default)) {
            (true, _) => SetBy::Connection,
            (false, false) => SetBy::Policy,
            (false, true) => SetBy::Default,
        };
        let value = match (*path, connection.jit) {
            ("provisioning.jit.mode", Some(true)) => json!(JitMode::CreateUserAndMembership),
            ("provisioning.jit.mode", Some(false)) => json!(JitMode::Off),
            _ => at(&holds),
        };
        Setting { name: (*path).to_owned(), value, set_by }
    };
    Ok(WEIGHED.iter().map(setting).collect())
}

/// What a sign-in is weighed by, in the order in which it matters.
const WEIGHED: &[&str] = &[
    "identity.accountLinking.oidc",
    "provisioning.user.createOnSignIn",
    "provisioning.jit.mode",
    "provisioning.jit.defaultRoleIds",
    "provisioning.groups.mode",
    "provisioning.groups.mapping",
    "provisioning.roles.mode",
    "provisioning.roles.mapping",
    "provisioning.user.updateProfileOnLogin",
    "provisioning.user.authority",
];
