//! # access
