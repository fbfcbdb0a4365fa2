//! Who authd is to the identity provider, as it is written: names, addresses, and keys that people bring.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{Config, wrong};
use super::service::OwnKey;
use super::sp_key::SpKey;
use crate::access::Context;
use crate::connection::settings::set_text;
use crate::crypto::Secret;
use crate::error::Result;
use crate::id::ConnectionId;

/// Who authd is to the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SamlServiceSettings {
    /// The connection's entity id; the address of its metadata unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// Where the provider posts its answers, where an app receives them at an address of its own and hands them over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acs_url: Option<String>,
    /// Where logout messages go, where that is not authd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo_url: Option<String>,
    /// The certificate of a key of your own that signs, as PEM. The key before still opens what is encrypted to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_cert: Option<String>,
    /// That key: PKCS #8 as PEM, without a passphrase. It is sealed, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_key: Option<Secret>,
    /// The certificate that assertions are encrypted to, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt_cert: Option<String>,
    /// Its key, where that is another one: PKCS #8 as PEM. It is sealed, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encrypt_private_key: Option<Secret>,
}

impl SamlServiceSettings {
    /// Lays these settings over a configuration, and seals what is secret. Errors: `invalid_input`.
    pub(super) fn apply(self, cx: &Context, connection: ConnectionId, config: &mut Config) -> Result<()> {
        let kept = &mut config.service;
        if let Some(id) = self.entity_id {
            id.trim().clone_into(&mut kept.entity_id);
        }
        set_text(&mut kept.acs_url, self.acs_url);
        set_text(&mut kept.slo_url, self.slo_url);
        let full = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        match (full(self.signing_cert), &self.private_key) {
            (None, None) => {}
            (Some(certificate), Some(private)) => {
                let key = SpKey::from_text(private.expose(), &certificate)?;
                if kept.certificate != key.certificate() {
                    kept.replace(OwnKey::of(cx, connection, &key)?);
                }
            }
            // Another certificate for the key that is there.
            (Some(certificate), None) => {
                let key = kept.signer(cx, connection)?.with_certificate(&certificate)?;
                if kept.certificate != key.certificate() {
                    kept.replace(OwnKey::of(cx, connection, &key)?);
                }
            }
            (None, Some(_)) => {
                return Err(wrong("serviceProvider.privateKey", "its certificate is missing (`signingCert`)"));
            }
        }
        match (self.encrypt_cert, self.encrypt_private_key) {
            (None, None) => {}
            (Some(none), None) if none.trim().is_empty() => kept.encrypt_to(None),
            (Some(certificate), private) => {
                let key = match private {
                    Some(private) => SpKey::from_text(private.expose(), &certificate)?,
                    None => kept.signer(cx, connection)?.with_certificate(&certificate)?,
                };
                // Nothing can be encrypted to a key that only signs.
                key.decryption()?;
                if kept.encryption.as_ref().is_none_or(|own| own.certificate != key.certificate()) {
                    kept.encrypt_to(Some(OwnKey::of(cx, connection, &key)?));
                }
            }
            (None, Some(_)) => {
                return Err(wrong("serviceProvider.encryptPrivateKey", "its certificate is missing (`encryptCert`)"));
            }
        }
        Ok(())
    }
}
