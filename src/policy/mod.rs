//! # policy
