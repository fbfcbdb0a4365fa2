//! # token
