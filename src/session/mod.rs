//! # session
