//! # config

mod public_url;

pub use public_url::PublicUrl;
