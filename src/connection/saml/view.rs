//! The SAML configuration as it is shown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Certificate;
use super::config::Config;
use super::service::metadata_url;
use super::settings::{SamlMappingSettings, SamlProfileSettings, SamlRequestSettings, SamlSecuritySettings};
use crate::access::Context;
use crate::env::Timestamp;
use crate::id::ConnectionId;

/// The SAML configuration as it is shown: with the defaults that hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlView {
    /// Who the identity provider is, once that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity_provider: Option<SamlProviderView>,
    /// Where its metadata is read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<String>,
    /// Whether a certificate that is new in it has to be approved.
    #[serde(default)]
    pub require_approval: bool,
    /// The certificates of which one must have signed the metadata, if it has to be signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metadata_signing_certificates: Vec<SamlCertificateView>,
    /// What is asked of it.
    pub request: SamlRequestSettings,
    /// How strictly its answers are read.
    pub security: SamlSecuritySettings,
    /// Who authd is to it: what its administrator has to know.
    pub service_provider: SamlServiceView,
    /// What its attributes mean.
    pub profile: SamlProfileSettings,
}

/// What is known of an identity provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlProviderView {
    /// Its name for itself.
    pub entity_id: String,
    /// Where people are sent to sign in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sso_url: Option<String>,
    /// How: `HTTP-Redirect` or `HTTP-POST`.
    pub binding: String,
    /// Where logout messages go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slo_url: Option<String>,
    /// Whether it takes signed requests only.
    pub want_authn_requests_signed: bool,
    /// The certificates whose keys its signatures are checked with, and no others.
    pub certificates: Vec<SamlCertificateView>,
    /// Certificates that are new in the metadata and wait for approval (`connection.approve_saml`). Nothing is checked
    /// with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending_certificates: Vec<SamlCertificateView>,
    /// Until when the metadata holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// When this was read.
    pub learnt_at: Timestamp,
}

/// A certificate.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlCertificateView {
    /// SHA-256 of it.
    pub thumbprint: String,
    /// Whom it names.
    pub subject: String,
    /// What kind of key it holds.
    pub key: String,
    /// From when on.
    pub not_before: Timestamp,
    /// Until when. Past it the key still counts: people are warned, not locked out.
    pub not_after: Timestamp,
    /// The certificate itself.
    #[serde(default)]
    pub pem: String,
}

/// Who authd is to the identity provider. None of these addresses changes by itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SamlServiceView {
    /// The connection's entity id: the audience of assertions.
    pub entity_id: String,
    /// Where answers are posted: the reply address.
    pub acs_url: String,
    /// Where the connection's own metadata is.
    pub metadata_url: String,
    /// Where logout messages go.
    pub slo_url: String,
    /// The certificate of the key that signs, as PEM; assertions are encrypted to it, too, unless there is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The certificate that assertions are encrypted to, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_certificate: Option<String>,
    /// The certificate of the key that signs next (`connection.rotate_saml_key`): give it to the provider before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_certificate: Option<String>,
    /// Certificates of keys that were replaced: what is encrypted to them is still opened.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_certificates: Vec<SamlCertificateView>,
}

impl SamlView {
    /// Of a connection's configuration.
    pub(in crate::connection) fn of(cx: &Context, connection: ConnectionId, config: &Config) -> Self {
        let url = &cx.deployment.public_url;
        let (security, service) = (&config.security, &config.service);
        let want = security.want();
        let size = |size: usize| u64::try_from(size).ok();
        let own = (!service.certificate.is_empty()).then(|| armour(&service.certificate));
        Self {
            identity_provider: config.idp.as_ref().map(|idp| SamlProviderView {
                entity_id: idp.entity_id.clone(),
                sso_url: idp.sign_in().map(|at| at.location.clone()),
                binding: if idp.sign_in().is_some_and(|at| at.post) { "HTTP-POST" } else { "HTTP-Redirect" }.to_owned(),
                slo_url: idp.logout(false).map(|at| at.location.clone()),
                want_authn_requests_signed: idp.wants_signed,
                certificates: views(idp.keys()),
                pending_certificates: views(idp.pending.iter().map(|pinned| pinned.0.clone())),
                valid_until: idp.valid_until,
                learnt_at: idp.learnt_at,
            }),
            metadata_url: config.metadata_url.clone(),
            require_approval: config.approve.unwrap_or(false),
            metadata_signing_certificates: views(config.metadata_signers.iter().map(|pinned| pinned.0.clone())),
            request: SamlRequestSettings {
                sign_authn_requests: Some(config.signs()),
                name_id_format: config.request.name_id_format.clone(),
                force_authn: Some(config.request.force_authn.unwrap_or(false)),
                authn_context_class_refs: Some(config.request.class_refs.clone()),
            },
            security: SamlSecuritySettings {
                require_signed_assertions: Some(want.assertion_signed),
                require_signed_responses: Some(want.response_signed),
                require_encrypted_assertions: Some(want.encrypted),
                require_timestamps: Some(true),
                clock_skew_seconds: Some(security.skew().as_secs()),
                weak_algorithm_handling: Some("reject".to_owned()),
                allow_idp_initiated: Some(security.idp_initiated.unwrap_or(false)),
                idp_initiated_target: security.idp_initiated_target.clone(),
                max_metadata_size: size(security.metadata_size()),
                max_response_size: size(security.response_size()),
            },
            service_provider: SamlServiceView {
                entity_id: match service.entity_id.as_str() {
                    "" => metadata_url(url, connection),
                    id => id.to_owned(),
                },
                acs_url: service.acs_at(url, connection),
                metadata_url: metadata_url(url, connection),
                slo_url: service.slo_at(url, connection),
                certificate: own,
                encryption_certificate: service.encryption.as_ref().map(|own| armour(&own.certificate)),
                next_certificate: service.next.as_ref().map(|own| armour(&own.certificate)),
                earlier_certificates: views(service.earlier.iter().map(|own| own.certificate.clone())),
            },
            profile: SamlProfileSettings {
                mapping: Some(SamlMappingSettings::of(config)),
                extra_fields: Some(config.profile.extra_fields.clone()),
            },
        }
    }
}

/// Certificates as they are shown, without what cannot be read.
pub(super) fn views(all: impl IntoIterator<Item = Vec<u8>>) -> Vec<SamlCertificateView> {
    all.into_iter().filter_map(|der| Certificate::read(&der)).map(SamlCertificateView::from).collect()
}

impl From<Certificate> for SamlCertificateView {
    fn from(certificate: Certificate) -> Self {
        let pem = pem(&certificate);
        let Certificate { thumbprint, subject, key, not_before, not_after, .. } = certificate;
        let subject = crate::connection::protocol::shown(&subject);
        Self { thumbprint, subject, key, not_before, not_after, pem }
    }
}

pub(super) fn pem(certificate: &Certificate) -> String {
    armour(&certificate.der)
}

/// A certificate as people paste it.
fn armour(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = String::from("-----BEGIN CERTIFICATE-----\n");
    let mut rest = text.as_str();
    while let Some((line, after)) = rest.split_at_checked(64) {
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    if !rest.is_empty() {
        out.push_str(rest);
        out.push('\n');
    }
    out.push_str("-----END CERTIFICATE-----\n");
    out
}
