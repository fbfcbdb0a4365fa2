//! The SAML configuration as it is written and as it is shown. The connection's own key never comes out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::{Config, Pinned, wrong};
use super::service::metadata_url;
use super::service_settings::SamlServiceSettings;
use super::view::pem;
use super::{Certificate, Found};
use crate::access::Context;
use crate::connection::settings::{mapping_settings, set_text};
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// How to speak SAML with an identity provider. Every field is optional: what is absent stays as it was (or at its
/// default), and an empty text takes a value away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SamlSettings {
    /// Who the identity provider is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<SamlMetadataSettings>,
    /// What is asked of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<SamlRequestSettings>,
    /// How strictly its answers are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<SamlSecuritySettings>,
    /// Who authd is to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_provider: Option<SamlServiceSettings>,
    /// What its attributes mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<SamlProfileSettings>,
}

/// Who the identity provider is: metadata from its address, metadata as text, or the three facts that people copy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SamlMetadataSettings {
    /// Where the provider's metadata is. It is read at once, and again by itself: as often as it says, every six hours if it
    /// says nothing, and when a signature fits none of its certificates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The provider's metadata itself, as XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub xml: Option<String>,
    /// The provider's entity id: of a list of providers, which it is; without metadata, what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<String>,
    /// Where people are sent to sign in, where there is no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sso_url: Option<String>,
    /// The provider's signing certificates as PEM, one after the other, where there is no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// Certificates as PEM: one of them must have signed the metadata itself. Unless set, metadata is believed for the
    /// https address that it comes from; over plain http it is never believed without (but for this machine's own).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_certificate: Option<String>,
    /// Whether a certificate that is new in the metadata counts only once somebody has approved it
    /// (`connection.approve_saml`); no unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_approval: Option<bool>,
}

/// What is asked of the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SamlRequestSettings {
    /// Whether requests are signed. Unless set, if the provider's metadata asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_authn_requests: Option<bool>,
    /// The form of NameID that is wished for; the provider's own choice unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_id_format: Option<String>,
    /// Whether people must sign in anew every time; no unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_authn: Option<bool>,
    /// The authentication contexts of which one is required; none unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authn_context_class_refs: Option<Vec<String>>,
}

/// How strictly answers are read. A signature of the provider's must always cover the assertion, and nothing weaker than
/// SHA-256 is ever accepted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SamlSecuritySettings {
    /// The assertion itself must be signed; no unless set: a signed response is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_signed_assertions: Option<bool>,
    /// The response itself must be signed; no unless set: a signed assertion is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_signed_responses: Option<bool>,
    /// The assertion must be encrypted; no unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_encrypted_assertions: Option<bool>,
    /// Answers must say from when until when they hold. It is always `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_timestamps: Option<bool>,
    /// How far the provider's clock may be off, in seconds, at most 300; 120 unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_seconds: Option<u64>,
    /// What is done with weak algorithms. It is always `reject`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weak_algorithm_handling: Option<String>,
    /// Whether a sign-in may begin at the identity provider; no unless set. Anybody there can then sign somebody in here
    /// as themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_idp_initiated: Option<bool>,
    /// Where such a sign-in ends: an https address; the person's own page unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp_initiated_target: Option<String>,
    /// The longest metadata that is read, in bytes; 1 MiB unless set, at most 8 MiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_metadata_size: Option<u64>,
    /// The longest answer that is read, in bytes; 256 KiB unless set, and at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_response_size: Option<u64>,
}

/// What the attributes mean.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SamlProfileSettings {
    /// The attribute of each field, by its name or its friendly name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<SamlMappingSettings>,
    /// Attributes that are kept besides: our name for each, and the attribute it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_fields: Option<BTreeMap<String, String>>,
}

mapping_settings! {
    /// The attribute of each field. What is unset is found by the names that providers usually give it.
    SamlMappingSettings of Config {
        /// What tells people apart; the NameID unless set. It must never change for a person.
        subject,
        /// The e-mail address.
        email,
        /// The name to show.
        name,
        /// First name.
        first_name,
        /// Last name.
        last_name,
        /// An https address of a picture.
        image,
        /// Groups; every value counts.
        groups,
        /// Roles, in the provider's own words; every value counts.
        roles,
    }
}

/// The fields of a configuration that nearly everybody sets, flat, as flags.
#[derive(Clone, Debug, Default)]
pub(in crate::connection) struct SamlFlat {
    pub metadata_url: Option<String>,
    pub metadata_xml: Option<String>,
    pub idp_entity_id: Option<String>,
    pub idp_sso_url: Option<String>,
    pub idp_certificate: Option<String>,
    pub sp_entity_id: Option<String>,
    pub sp_acs_url: Option<String>,
    pub sp_signing_cert: Option<String>,
    pub sp_private_key: Option<Secret>,
}

impl SamlFlat {
    /// The settings with the flat fields laid over them; nothing when nothing was given.
    pub fn over(self, settings: Option<SamlSettings>) -> Option<SamlSettings> {
        let Self { metadata_url, metadata_xml, idp_entity_id, idp_sso_url, idp_certificate, .. } = self;
        let Self { sp_entity_id, sp_acs_url, sp_signing_cert, sp_private_key, .. } = self;
        let mut all = settings.unwrap_or_default();
        let given = [&metadata_url, &metadata_xml, &idp_entity_id, &idp_sso_url, &idp_certificate];
        if given.iter().any(|field| field.is_some()) {
            let metadata = all.metadata.get_or_insert_default();
            metadata.url = metadata_url.or(metadata.url.take());
            metadata.xml = metadata_xml.or(metadata.xml.take());
            metadata.entity_id = idp_entity_id.or(metadata.entity_id.take());
            metadata.sso_url = idp_sso_url.or(metadata.sso_url.take());
            metadata.certificate = idp_certificate.or(metadata.certificate.take());
        }
        let given = [&sp_entity_id, &sp_acs_url, &sp_signing_cert];
        if given.iter().any(|field| field.is_some()) || sp_private_key.is_some() {
            let service = all.service_provider.get_or_insert_default();
            service.entity_id = sp_entity_id.or(service.entity_id.take());
            service.acs_url = sp_acs_url.or(service.acs_url.take());
            service.signing_cert = sp_signing_cert.or(service.signing_cert.take());
            service.private_key = sp_private_key.or(service.private_key.take());
        }
        (all != SamlSettings::default()).then_some(all)
    }
}

impl SamlSettings {
    /// Lays these settings over a configuration, with what was found outside: metadata at its address, a key.
    /// Errors: `invalid_input`, `metadata_invalid`, `saml_doctype`, `saml_no_signing_cert`.
    pub(in crate::connection) fn apply(
        self,
        cx: &Context,
        connection: ConnectionId,
        config: &mut Config,
        found: &Found,
    ) -> Result<()> {
        if let Some(request) = self.request {
            config.request.sign = request.sign_authn_requests.or(config.request.sign);
            set_text(&mut config.request.name_id_format, request.name_id_format);
            config.request.force_authn = request.force_authn.or(config.request.force_authn);
            if let Some(classes) = request.authn_context_class_refs {
                config.request.class_refs = classes;
            }
        }
        if let Some(security) = self.security {
            security.apply(config)?;
        }
        if let Some(service) = self.service_provider {
            service.apply(cx, connection, config)?;
        }
        if let Some(profile) = self.profile {
            if let Some(mapping) = profile.mapping {
                mapping.apply(config);
            }
            if let Some(extra) = profile.extra_fields {
                config.profile.extra_fields = extra;
            }
        }
        if config.service.entity_id.is_empty() {
            config.service.entity_id = metadata_url(&cx.deployment.public_url, connection);
        }
        if let Some(metadata) = self.metadata {
            metadata.apply(cx, config)?;
        }
        config.check()?;
        found.apply(cx, connection, config)
    }
}

impl SamlMetadataSettings {
    fn apply(self, cx: &Context, config: &mut Config) -> Result<()> {
        if let Some(text) = &self.signing_certificate {
            let signers = pinned(text)?;
            if signers != config.metadata_signers && config.metadata_url.is_some() {
                // What was learnt without that signature says nothing under it.
                config.idp = None;
            }
            config.metadata_signers = signers;
        }
        config.approve = self.require_approval.or(config.approve);
        let full = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
        let ways = [full(&self.url), full(&self.xml), full(&self.sso_url) || full(&self.certificate)];
        if ways.iter().filter(|way| **way).count() > 1 {
            return Err(wrong(
                "metadata",
                "give the metadata's address, or its text, or sign-in address and certificates: one of the three",
            ));
        }
        let (before, id) = (config.metadata_url.clone(), config.idp_entity_id.clone());
        set_text(&mut config.metadata_url, self.url.clone());
        set_text(&mut config.idp_entity_id, self.entity_id);
        if config.metadata_url != before || config.idp_entity_id != id {
            // What was learnt of another provider says nothing about this one.
            if config.metadata_url.is_some() {
                config.idp = None;
            }
        }
        let renamed = config.metadata_url.is_none() && config.idp_entity_id != id && config.idp.is_some();
        let now = cx.env.now();
        if let Some(xml) = self.xml.filter(|xml| !xml.trim().is_empty()) {
            config.metadata_url = None;
            if xml.len() > config.security.metadata_size() {
                return Err(Error::says(&codes::TOO_LARGE, "The metadata is longer than the connection reads."));
            }
            let read = config.read_metadata(&xml, now)?;
            config.idp = Some(super::config::Idp::of(&read, now));
        } else if full(&self.sso_url) || full(&self.certificate) || renamed {
            config.metadata_url = None;
            let (sso, certificate) = (self.sso_url.unwrap_or_default(), self.certificate);
            let known = config.idp.as_ref();
            let sso = match sso.trim() {
                "" => known.and_then(|idp| idp.sign_in()).map(|at| at.location.clone()).unwrap_or_default(),
                text => text.to_owned(),
            };
            let certificate = certificate.unwrap_or_else(|| {
                known.map(|idp| idp.read_certificates().iter().map(pem).collect()).unwrap_or_default()
            });
            let id = config.idp_entity_id.clone().or_else(|| known.map(|idp| idp.entity_id.clone()));
            let read = super::IdpMetadata::from_fields(&id.unwrap_or_default(), &sso, &certificate)?;
            config.idp = Some(super::config::Idp::of(&read, now));
        }
        Ok(())
    }
}

/// Certificates that people gave, at least one where there is any text. Errors: `invalid_input`.
fn pinned(text: &str) -> Result<Vec<Pinned>> {
    let parts = text.split_inclusive("-----END CERTIFICATE-----").filter(|part| !part.trim().is_empty());
    let read = parts.map(|part| Certificate::from_text(part).filter(|certificate| certificate.usable));
    let all: Option<Vec<Pinned>> = read.map(|read| read.map(|certificate| Pinned(certificate.der))).collect();
    all.filter(|all| all.len() <= 8).ok_or_else(|| {
        wrong("metadata.signingCertificate", "it is no certificate of RSA with 2048 bits or more, or of ECDSA")
    })
}

impl SamlSecuritySettings {
    fn apply(self, config: &mut Config) -> Result<()> {
        if self.require_timestamps == Some(false) {
            return Err(wrong("security.requireTimestamps", "an answer without times is never accepted"));
        }
        if self.weak_algorithm_handling.as_deref().is_some_and(|text| text != "reject") {
            return Err(wrong("security.weakAlgorithmHandling", "it is `reject`"));
        }
        let kept = &mut config.security;
        kept.signed_assertions = self.require_signed_assertions.or(kept.signed_assertions);
        kept.signed_responses = self.require_signed_responses.or(kept.signed_responses);
        kept.encrypted_assertions = self.require_encrypted_assertions.or(kept.encrypted_assertions);
        kept.clock_skew = self.clock_skew_seconds.or(kept.clock_skew);
        kept.idp_initiated = self.allow_idp_initiated.or(kept.idp_initiated);
        set_text(&mut kept.idp_initiated_target, self.idp_initiated_target);
        kept.max_metadata = self.max_metadata_size.or(kept.max_metadata);
        kept.max_response = self.max_response_size.or(kept.max_response);
        Ok(())
    }
}
