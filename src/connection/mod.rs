//! # connection
