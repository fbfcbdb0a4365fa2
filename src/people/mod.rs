//! # people — the operations on people: who is known, what they may, and how their access ends
//!
//! *Owns* the operations on members and identities, the end of all sessions of somebody, and the reading of directories
//! on a schedule. *Gives* them to the catalogue, `sync_due` to the chores.
//! *Needs* the pipeline of the directory, the policy of the organization, connections to name.
//! *Never* writes a membership itself: every one of them makes a `Proposal`, of an administrator's or of a directory's.
//!
//! They stand here, and not in the directory, because they name connections and policies, which stand to its right.

mod create;
mod identity;
mod member;
mod sessions;
mod standing;
mod sync;
mod target;
mod update;

pub use create::CreateUser;
pub use identity::{IdentityView, LinkIdentity, ListIdentities, UnlinkIdentity};
pub use member::{RemoveMember, SetMemberRole};
pub use sessions::{RevokeSessions, RevokedSessions};
pub use standing::{DeleteUser, DeletedUser, ReactivateUser, SuspendUser};
pub use sync::{DirectorySync, SyncConnection, SyncReport, sync_due};
pub use update::UpdateUser;

use crate::access::Catalogue;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue
        .with::<CreateUser>()
        .with::<UpdateUser>()
        .with::<SuspendUser>()
        .with::<ReactivateUser>()
        .with::<DeleteUser>()
        .with::<SetMemberRole>()
        .with::<RemoveMember>()
        .with::<RevokeSessions>()
        .with::<ListIdentities>()
        .with::<LinkIdentity>()
        .with::<UnlinkIdentity>()
        .with::<SyncConnection>()
}
