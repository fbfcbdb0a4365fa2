//! # app
