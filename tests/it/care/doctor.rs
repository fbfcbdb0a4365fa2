//! The doctor, from the outside.
