//! # enforcement — who has to come in through a connection, and the one check of it
//!
//! *Owns* the operations on it, its dry run, and `admitted`: the check that every way in calls.
//! *Gives* the member who may be here now, in the way they came.
//! *Needs* the row that connections keep, the pure rules, members and their identities.
//! *Never* ends a session: what was opened in another way is refused at its next use.

mod check;
mod effect;
mod ops;

pub use check::{admitted, admitted_stranger, obeys};
pub use effect::{EnforcementEffect, LockedOut};
pub use ops::{ConnectionSays, EnforcementUpdate, EnforcementView, GetEnforcement, SetEnforcement};
