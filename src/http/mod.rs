//! # http
