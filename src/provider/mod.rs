//! # provider
