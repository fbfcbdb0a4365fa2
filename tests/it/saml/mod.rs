//! The SAML service provider against an identity provider that does whatever it is told.

mod attributes;
mod command_line;
mod corpora;
mod encrypted;
mod explained;
mod flow;
mod genuine;
mod lean;
mod logout;
mod meant;
mod metadata;
mod mutation;
mod oracle;
mod own_keys;
mod parser;
mod refreshing;
mod requests;
mod scene;
mod sign_out;
mod signature;
mod simulated;
mod under_load;
mod vouched;
mod wrapping;
