//! # crypto
