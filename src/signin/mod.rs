//! # signin
