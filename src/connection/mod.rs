//! # connection

pub mod protocol;
pub mod report;
