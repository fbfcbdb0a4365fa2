//! Metadata that has to be signed itself, by a key that somebody pinned for it: a federation's list, mostly.
//!
//! As with messages, what is read is what was signed: one signature, of the element on top, and the canonical bytes that
//! it covers are parsed anew.

use url::Url;

use super::config::{Config, wrong};
use super::limits::METADATA;
use super::metadata::{self, IdpMetadata, unusable};
use super::names::{DSIG, SIGNATURES};
use super::tree::{Tree, trim};
use super::verify::{self, Keys};
use super::{refuse, screen};
use crate::connection::protocol::Checks;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::http::callback::loopback;

/// Canonical form writes the name of a namespace out wherever it is used; a longer one costs more than it can be worth.
const MAX_NAMESPACE: usize = 256;

impl Config {
    /// Whether what an address gives can be the provider's word. Its keys are what every answer is checked with, and over
    /// plain http anybody on the way writes them anew: that the host may be called says nothing of who answers. So it is
    /// https, or this machine, or signed by a key that was pinned beforehand (metadata §5). Errors: `invalid_input`.
    pub(super) fn believes(&self, address: &Url) -> Result<()> {
        if address.scheme() == "https" || loopback(address) || !self.metadata_signers.is_empty() {
            return Ok(());
        }
        Err(wrong("metadata.url", "over plain http, anybody on the way could put their own keys into the metadata").help(
            "Use its https address; or pin the certificate that the metadata is signed with (`metadata.signingCertificate`); or \
             give the metadata itself (`--metadata-file`).",
        ))
    }

    /// Reads the metadata of the connection's provider, signed if it has to be. Errors: those of `metadata::read`;
    /// `saml_signature_missing`, `saml_signature_invalid` and the like where it has to be signed and is not.
    pub(super) fn read_metadata(&self, xml: &str, now: Timestamp) -> Result<IdpMetadata> {
        let entity_id = self.idp_entity_id.as_deref();
        if self.metadata_signers.is_empty() {
            return metadata::read(xml, entity_id, now);
        }
        let signers: Vec<Vec<u8>> = self.metadata_signers.iter().map(|signer| signer.0.clone()).collect();
        metadata::read(&vouched(xml, &signers)?, entity_id, now)
    }
}

/// The bytes that one of those keys has signed.
fn vouched(xml: &str, signers: &[Vec<u8>]) -> Result<String> {
    let mut checks = Checks::new();
    let text = trim(xml.strip_prefix('\u{feff}').unwrap_or(xml));
    let tree = Tree::parse(text, &METADATA, &mut checks).map_err(|error| match error.is(&codes::SAML_DOCTYPE) {
        true => error,
        false => unusable("The metadata is no well-formed XML.").because(error),
    })?;
    let top = tree.root(&mut checks)?;
    screen::orders(top, &mut checks)?;
    screen::identities(top, top, None, &mut checks).map_err(|error| match top.attribute("ID") {
        None => Error::new(&codes::SAML_SIGNATURE_MISSING).because(error),
        Some(_) => error,
    })?;
    if top.within().any(|node| node.namespace().len() > MAX_NAMESPACE) {
        return Err(refuse(&mut checks, "limits", "namespaces with short names", "long ones"));
    }
    let signatures = top.within().filter(|node| node.is(DSIG, "Signature")).count();
    let Some(found) = top.one(DSIG, "Signature", &mut checks)? else {
        return Err(Error::says(
            &codes::SAML_SIGNATURE_MISSING,
            "The metadata is not signed, as this connection asks.",
        ));
    };
    if signatures != 1 {
        return Err(refuse(&mut checks, "structure", "one signature, of everything", signatures));
    }
    let signature = screen::signature(found, top, SIGNATURES, &mut checks)?;
    let keys = Keys::pinned(signers, &mut checks)?;
    let signed = verify::verify(&tree, &[("signature", &signature)], &keys, &mut checks)
        .map_err(|error| error.saying("The signature of the metadata holds with none of the certificates for it."))?;
    let octets = signed.into_iter().next().map(|signed| signed.octets);
    octets.ok_or_else(|| Error::new(&codes::SAML_SIGNATURE_INVALID))
}
