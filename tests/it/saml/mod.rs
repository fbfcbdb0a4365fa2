//! The SAML service provider against an identity provider that does whatever it is told.

mod encrypted;
mod genuine;
mod meant;
mod parser;
mod signature;
mod wrapping;
