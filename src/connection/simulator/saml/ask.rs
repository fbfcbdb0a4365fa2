//! A request, as it came by a redirect or in a form.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::Simulator;
use super::SamlClient;
use crate::error::{Error, Result, codes};
use crate::http::extract::Params;

/// Nothing longer is read.
const MOST: u64 = 64 * 1024;

/// A request that may be answered.
pub(super) struct Asked {
    pub client: SamlClient,
    pub id: String,
    pub relay_state: Option<String>,
}

fn wrong(why: &'static str) -> Error {
    Error::says(&codes::INVALID_REQUEST, why)
}

impl Simulator {
    /// Errors: `invalid_request`; nothing is sent to an address that is not registered.
    pub(super) fn saml_asked(&self, parameters: &Params) -> Result<Asked> {
        let message = read(parameters.need("SAMLRequest")?)?;
        let document = uppsala::parse(&message).map_err(|_| wrong("The request is no XML."))?;
        let root = document.document_element().ok_or_else(|| wrong("The request is empty."))?;
        let attribute = |name: &str| document.get_attribute(root, name).unwrap_or_default().to_owned();
        let issuer = document.get_elements_by_tag_name("Issuer").first().copied();
        let issuer = issuer.map(|issuer| document.text_content_deep(issuer)).unwrap_or_default();
        let client = self.saml_client(issuer.trim()).ok_or_else(|| wrong("This service is not registered here."))?;
        if attribute("AssertionConsumerServiceURL") != client.acs_url {
            return Err(wrong("This address for answers is not registered for the service."));
        }
        let id = attribute("ID");
        if id.is_empty() || attribute("Destination") != self.0.issuer.at("/saml/sso") {
            return Err(wrong("The request has no ID, or is for another provider."));
        }
        Ok(Asked { client, id, relay_state: parameters.one("RelayState")?.map(str::to_owned) })
    }
}

/// By a redirect it is compressed (bindings §3.4.4.1), in a form it is not.
fn read(text: &str) -> Result<String> {
    let bytes = STANDARD.decode(text).map_err(|_| wrong("The request is no base64."))?;
    if bytes.first() == Some(&b'<') {
        return String::from_utf8(bytes).map_err(|_| wrong("The request is no UTF-8."));
    }
    let mut out = String::new();
    let inflated = flate2::read::DeflateDecoder::new(&bytes[..]).take(MOST).read_to_string(&mut out);
    inflated.map(|_| out).map_err(|_| wrong("The request cannot be inflated."))
}
