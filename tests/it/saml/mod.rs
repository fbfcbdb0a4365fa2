//! The SAML service provider against an identity provider that does whatever it is told.

mod attributes;
mod corpora;
mod encrypted;
mod explained;
mod flow;
mod genuine;
mod logout;
mod meant;
mod metadata;
mod mutation;
mod oracle;
mod parser;
mod requests;
mod signature;
mod simulated;
mod wrapping;
