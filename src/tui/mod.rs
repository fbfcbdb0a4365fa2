//! # tui
