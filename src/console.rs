//! # console
