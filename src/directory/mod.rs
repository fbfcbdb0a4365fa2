//! # directory

mod profile;

pub use profile::Profile;
