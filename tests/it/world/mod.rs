//! Counterparts of authd that misbehave on demand, and authd itself in this process.

pub mod authd;
pub mod certificates;
pub mod crowd;
pub mod directory;
pub mod op;
pub mod saml;
pub mod slapd;
pub mod zone;
