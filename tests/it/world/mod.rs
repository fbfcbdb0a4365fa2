//! Counterparts of authd that misbehave on demand, and authd itself in this process.

pub mod authd;
pub mod crowd;
pub mod op;
pub mod saml;
pub mod zone;
