//! # config — how a directory may speak, and what its words mean
//!
//! *Owns* the settings of provisioning on top of the kept `ScimConfig`: their form, their defaults, what they read from a
//! resource; the reports on how far provisioning is set up.
//! *Gives* `Rules` to whoever speaks for a directory, and the operations on settings and reports.
//! *Needs* places and filters, tokens, the organization's policy. *Never* writes about a person: what a mapping finds, goes
//! into a proposal like any other word.

mod ops;
mod report;
mod rules;
mod settings;

pub use ops::{GetScim, ScimWasSet, SetScim};
pub use report::{ReadScimStatus, ReadStatus, ScimCapabilities, ScimStatusReport, ScimValidation, ValidateScim};
pub use rules::Rules;
pub use settings::{ScimMappingSettings, ScimProfileSettings, ScimSecuritySettings, ScimView};

use crate::access::{Context, Owner};
use crate::connection::Connection;
use crate::directory::Source;
use crate::error::{Error, Result, codes};
use crate::id::{ConnectionId, OrganizationId};

/// Whose directory is meant: a connection's, or without one the organization's own.
#[derive(Clone, Debug)]
struct Place {
    organization: OrganizationId,
    connection: Option<Connection>,
    directory: ConnectionId,
}

impl Place {
    /// Errors: `not_found` for a connection that is not there, or not in the organization that is named.
    async fn find(
        cx: &Context,
        organization: Option<OrganizationId>,
        connection: Option<ConnectionId>,
    ) -> Result<Self> {
        let Some(id) = connection else {
            let organization = cx.organization(organization)?;
            return Ok(Self { organization, connection: None, directory: Source::own_directory(organization) });
        };
        let found = Connection::load(&cx.store, id).await?.value;
        match organization {
            // A connection of another organization does not exist in this one.
            Some(named) if named != found.organization => Err(Error::new(&codes::NOT_FOUND)),
            _ => Ok(Self { organization: found.organization, directory: found.id, connection: Some(found) }),
        }
    }

    async fn owner(
        cx: &Context,
        organization: Option<OrganizationId>,
        connection: Option<ConnectionId>,
    ) -> Result<Owner> {
        Ok(Owner::Organization(Self::find(cx, organization, connection).await?.organization))
    }

    fn connection_id(&self) -> Option<ConnectionId> {
        self.connection.as_ref().map(|connection| connection.id)
    }

    /// The address before `/Users`.
    fn url(&self, cx: &Context) -> String {
        let id = self.connection_id().map(|id| id.to_string());
        super::speaker::base(cx, id.as_deref())
    }

    /// The path of that address.
    fn path(&self, cx: &Context) -> String {
        let url = self.url(cx);
        url::Url::parse(&url).map_or_else(|_| url.clone(), |url| url.path().to_owned())
    }
}
