//! # http — what every HTTP door shares, inward and outward
//!
//! *Owns* the one outbound client (`fetch`), the one resolver (`dns`), and what every answer and every request
//! has in common: request ids, limits, guards, cookies, error answers.
//! *Gives* `Fetch` and `SystemDns` to `Env`; `Door` and small functions to whoever mounts routes.
//! *Needs* errors, `Env`, ids, the public URL, `event::Origin`. *Never* knows a route, a record or a rule of the product.

pub mod address;
pub mod callback;
mod class;
pub mod cookie;
pub mod dns;
pub mod door;
pub mod extract;
pub mod fetch;
pub mod guard;
pub mod headers;
pub mod limits;
pub mod outbound;
pub mod page;
pub mod reply;
pub mod request;

pub use cookie::Cookies;
pub use dns::SystemDns;
pub use door::Door;
pub use fetch::Fetch;
pub use guard::Site;
pub use outbound::{OutboundEntry, OutboundRules};
pub use request::{Peer, RequestInfo};
