//! # webhook::inbound — another service tells authd of people
//!
//! *Owns* the addresses that other services send to, with their secrets; the check of a message; what a message about
//! a person in the shape of Clerk's means. *Gives* the operations on these addresses, and `POST /webhooks/inbound/{id}`.
//! *Needs* the pipeline of the directory. *Never* reads a message before its signature holds, and owns no rule about
//! people: a message becomes a `Proposal`.
//!
//! ```text
//!  headers ─► bytes (bounded) ─► signature over the bytes, time ─► has it come before? ─► JSON ─► newer than known?
//!                │ 401, counted by address                           │ 200, no effect               │
//!                                                                                                   ▼
//!                                   one commit {id of the message, what is known of the person, the pipeline's changes}
//! ```

mod clerk;
mod door;
mod endpoint;
mod heard;
mod ops;
mod receive;
mod signed;

pub use door::http;
pub use endpoint::Inbound;
pub use heard::{Heard, KnownPerson};
pub use ops::{CreateInbound, CreatedInbound, DeleteInbound, GetInbound, InboundView, ListInbound, RotateInbound};
