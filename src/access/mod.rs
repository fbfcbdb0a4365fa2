//! # access — grants, roles, callers, and the shape of an operation
//!
//! *Owns* the closed list of grants, the roles, throttles, `Caller`, `Context`, `Operation`, `Catalogue`.
//! *Gives* every door one way to act: an operation, performed by `app` for a caller.
//! *Needs* the store and events. *Never* knows what any single operation does.

pub mod bearer;
mod caller;
mod canary;
mod context;
mod counts;
mod form;
mod grant;
mod operation;
pub mod refusal;
mod role;
pub mod throttle;
mod timings;

pub use caller::Caller;
pub use canary::{Canary, check_master_key};
pub use context::{Context, Deployment, World};
pub use counts::ShowCounts;
pub use form::{Field, Fill, Form};
pub use grant::{Grant, Grants};
pub use operation::{
    Access, AnyOperation, Catalogue, Method, Operation, Owner, Pages, Paging, Performed, Route, perform,
};
pub use role::{CustomRole, Role, RoleName, give, grants_of_role, grants_of_roles, may_give};
pub use timings::ShowTimings;

/// Adds the operations of this module.
pub fn catalogue(catalogue: Catalogue) -> Catalogue {
    catalogue.with::<ShowCounts>().with::<ShowTimings>()
}
