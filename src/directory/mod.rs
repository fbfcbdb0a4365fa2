//! # directory
