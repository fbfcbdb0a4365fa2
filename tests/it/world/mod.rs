//! Counterparts of authd that misbehave on demand.

pub mod op;
