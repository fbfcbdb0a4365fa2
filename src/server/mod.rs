//! # server
