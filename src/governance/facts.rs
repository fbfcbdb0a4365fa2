//! What the pipeline has to know of a source, gathered.

use super::record::policy_of;
use crate::access::Context;
use crate::connection::{Connection, domain};
use crate::directory::{EmailAddress, SourceFacts};
use crate::error::{Error, Result, codes};
use crate::id::OrganizationId;
use crate::policy::Protocol;

/// The facts of a connection, for somebody who arrives with that address. Errors: `profile_invalid`.
pub async fn facts_of(cx: &Context, connection: &Connection, email: Option<&str>) -> Result<SourceFacts> {
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
            crate::connection::ProtocolKind::Oidc => Protocol::Oidc,
        },
        jit: connection.jit,
        default_role: connection.default_role.clone(),
        domains,
        domain_owned_elsewhere,
        policy: policy_of(&cx.store, connection.organization).await?,
    })
}

/// The facts of an organization's administrators.
pub async fn facts_of_administrators(cx: &Context, organization: OrganizationId) -> Result<SourceFacts> {
    Ok(SourceFacts::of_administrators(organization, policy_of(&cx.store, organization).await?))
}
