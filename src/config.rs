//! # config
