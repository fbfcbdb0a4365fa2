//! # connection — upstream identity providers: connections, domains, protocols
//!
//! *Owns* `Connection`, `Domain` (a claim) and `DomainOwner` (at most one a name in the deployment), the protocols
//! behind the trait `Protocol`, where single sign-on is enforced, and the operations on all of them.
//! *Gives* `Registry::protocol` and `domain::owner_of` to a sign-in; reports to people.
//! *Needs* access, sessions' epochs, organizations. *Never* makes a person or a session: it says who the provider
//! vouches for, and the directory decides.

mod breaker;
pub mod domain;
pub mod enforcement;
mod last_sign_in;
pub mod ldap;
pub mod oidc;
mod ops;
pub mod protocol;
mod provisioning;
mod record;
mod registry;
pub mod report;
pub mod saml;
mod scopes;
mod settings;
pub mod simulator;
mod view;

pub use domain::{Domain, DomainOwner};
pub use enforcement::Enforcement;
pub use last_sign_in::LastSignIn;
pub use ops::{
    ActivateConnection, ApproveSaml, ConnectionStatus, ConnectionTest, CreateConnection, CreatedConnection,
    DeleteConnection, DisableConnection, GetConnection, GetLdap, GetOidc, GetSaml, KeyStep, ListConnections,
    RefreshSaml, RestoreConnection, RotateSamlKey, ScimStatus, SetLdap, SetOidc, SetSaml, TestConnection,
    UpdateConnection, ValidateConnection, Validation, status_of,
};
pub use provisioning::{MappedField, ScimConfig};
pub use record::{Connection, LastLook, Mapping, ProtocolKind, ScopeMapping, Status, TOMBSTONE, callback_url};
pub use registry::Registry;
pub use scopes::{mapped_scopes, scopes_of};
pub use settings::{
    ClientSettings, ClientView, DiscoverySettings, MappingSettings, OidcSettings, OidcView, ProfileSettings,
    RequestSettings, SecuritySettings,
};
pub use view::{ChallengeView, ConnectionView, DomainView, RecordView};

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    let catalogue = catalogue
        .with::<CreateConnection>()
        .with::<ListConnections>()
        .with::<GetConnection>()
        .with::<UpdateConnection>()
        .with::<SetOidc>()
        .with::<GetOidc>()
        .with::<SetLdap>()
        .with::<GetLdap>()
        .with::<SetSaml>()
        .with::<GetSaml>()
        .with::<RefreshSaml>()
        .with::<ApproveSaml>()
        .with::<RotateSamlKey>()
        .with::<ActivateConnection>()
        .with::<DisableConnection>()
        .with::<DeleteConnection>()
        .with::<RestoreConnection>()
        .with::<ValidateConnection>()
        .with::<TestConnection>();
    domain::catalogue(catalogue)
}
