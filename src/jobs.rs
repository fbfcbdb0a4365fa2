//! # jobs
