//! How a connection speaks SAML: what is kept. What is unset has its default.

use std::collections::BTreeMap;
use std::time::Duration;

use minicbor::{Decode, Encode};

use super::metadata::{Endpoint, IdpMetadata};
use super::names::{POST, REDIRECT};
use super::response::{MAX_SKEW, Want};
use super::service::Service;
use super::{Certificate, MAX_MESSAGE};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// How far the clocks may be apart, unless set.
const SKEW: u64 = 120;
/// The longest metadata that is read, unless set; lists of providers are longer than one provider.
const METADATA: u64 = 1024 * 1024;
/// The longest metadata that is ever read.
pub(super) const MOST_METADATA: u64 = 8 * 1024 * 1024;
const MAX_ENTRIES: usize = 32;

/// The SAML half of a connection, as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Config {
    /// Where the metadata of the identity provider is, if it is read from there.
    #[n(0)]
    pub metadata_url: Option<String>,
    /// Which provider of a list it is.
    #[n(1)]
    pub idp_entity_id: Option<String>,
    /// What is known of the identity provider.
    #[n(2)]
    pub idp: Option<Idp>,
    /// What is asked of it.
    #[n(3)]
    pub request: RequestConfig,
    /// How strictly its answers are read.
    #[n(4)]
    pub security: Security,
    /// Who authd is to it.
    #[n(5)]
    pub service: Service,
    /// What its attributes mean.
    #[n(6)]
    pub profile: ProfileConfig,
    /// The certificates that the metadata itself has to be signed with, if it has to be.
    #[n(7)]
    #[cbor(default)]
    pub metadata_signers: Vec<Pinned>,
    /// A new certificate in the metadata counts only once somebody has approved it.
    #[n(8)]
    pub approve: Option<bool>,
}

/// What is known of an identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Idp {
    /// Its name for itself.
    #[n(0)]
    pub entity_id: String,
    /// Where people are sent.
    #[n(1)]
    pub sso: Vec<Address>,
    /// Where logout messages go.
    #[n(2)]
    pub slo: Vec<Address>,
    /// The certificates that are pinned, DER.
    #[n(3)]
    pub certificates: Vec<Pinned>,
    /// Whether it takes signed requests only.
    #[n(4)]
    pub wants_signed: bool,
    /// Until when the metadata holds.
    #[n(5)]
    pub valid_until: Option<Timestamp>,
    /// When this was learnt.
    #[n(6)]
    pub learnt_at: Timestamp,
    /// How often it wants its metadata to be read, in seconds.
    #[n(7)]
    pub cache_seconds: Option<u64>,
    /// Certificates that the metadata has and nobody has approved. Nothing is checked with them.
    #[n(8)]
    #[cbor(default)]
    pub pending: Vec<Pinned>,
}

/// A pinned certificate.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub struct Pinned(#[cbor(n(0), with = "minicbor::bytes")] pub Vec<u8>);

impl std::fmt::Debug for Pinned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pinned({})", super::thumbprint(&self.0))
    }
}

/// Where the identity provider takes messages.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Address {
    /// By a form of the browser's, not by a redirect.
    #[n(0)]
    pub post: bool,
    /// Where.
    #[n(1)]
    pub location: String,
    /// Where answers go, if elsewhere.
    #[n(2)]
    pub response_location: Option<String>,
}

/// What is asked of the identity provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct RequestConfig {
    /// Whether requests are signed. Unset: if the provider wants it.
    #[n(0)]
    pub sign: Option<bool>,
    /// The form of NameID that is wished for.
    #[n(1)]
    pub name_id_format: Option<String>,
    /// Whether people must sign in anew every time.
    #[n(2)]
    pub force_authn: Option<bool>,
    /// One of these contexts is required.
    #[n(3)]
    pub class_refs: Vec<String>,
}

/// How strictly answers are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Security {
    /// The assertion itself must be signed.
    #[n(0)]
    pub signed_assertions: Option<bool>,
    /// The response itself must be signed.
    #[n(1)]
    pub signed_responses: Option<bool>,
    /// The assertion must be encrypted.
    #[n(2)]
    pub encrypted_assertions: Option<bool>,
    /// How far the clocks may be apart, in seconds.
    #[n(3)]
    pub clock_skew: Option<u64>,
    /// Whether a sign-in may begin at the identity provider.
    #[n(4)]
    pub idp_initiated: Option<bool>,
    /// Where such a sign-in ends.
    #[n(5)]
    pub idp_initiated_target: Option<String>,
    /// The longest metadata that is read, in bytes.
    #[n(6)]
    pub max_metadata: Option<u64>,
    /// The longest answer that is read, in bytes.
    #[n(7)]
    pub max_response: Option<u64>,
}

/// What the attributes mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ProfileConfig {
    /// Which attribute is which field; unset, those that the field knows by their usual names.
    #[n(0)]
    pub mapping: Mapping,
    /// Attributes to keep besides: our name for each, and the attribute it comes from.
    #[n(1)]
    pub extra_fields: BTreeMap<String, String>,
}

/// Which attribute is which field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Mapping {
    /// Who it is for good; the NameID unless set.
    #[n(0)]
    pub subject: Option<String>,
    /// The e-mail address.
    #[n(1)]
    pub email: Option<String>,
    /// The name to show.
    #[n(2)]
    pub name: Option<String>,
    /// First name.
    #[n(3)]
    pub first_name: Option<String>,
    /// Last name.
    #[n(4)]
    pub last_name: Option<String>,
    /// An https address of a picture.
    #[n(5)]
    pub image: Option<String>,
    /// Groups.
    #[n(6)]
    pub groups: Option<String>,
    /// Roles, in the provider's own words.
    #[n(7)]
    pub roles: Option<String>,
}

impl Idp {
    /// From metadata.
    pub(super) fn of(metadata: &IdpMetadata, now: Timestamp) -> Self {
        let addresses = |endpoints: &[Endpoint]| endpoints.iter().map(Address::of).collect();
        let usable = metadata.certificates.iter().filter(|certificate| certificate.usable);
        Self {
            entity_id: metadata.entity_id.clone(),
            sso: addresses(&metadata.sso),
            slo: addresses(&metadata.slo),
            certificates: usable.map(|certificate| Pinned(certificate.der.clone())).collect(),
            wants_signed: metadata.want_authn_requests_signed,
            valid_until: metadata.valid_until,
            learnt_at: now,
            cache_seconds: metadata.cache_duration.map(|every| every.as_secs()),
            pending: Vec::new(),
        }
    }

    /// The pinned certificates, DER.
    pub fn keys(&self) -> Vec<Vec<u8>> {
        self.certificates.iter().map(|pinned| pinned.0.clone()).collect()
    }

    /// The pinned certificates, as people see them.
    pub fn read_certificates(&self) -> Vec<Certificate> {
        self.certificates.iter().filter_map(|pinned| Certificate::read(&pinned.0)).collect()
    }

    /// Where people are sent: by a redirect, if the provider takes that.
    pub fn sign_in(&self) -> Option<&Address> {
        self.sso.iter().find(|address| !address.post).or_else(|| self.sso.first())
    }

    /// Where logout messages go: by that binding, or by the other.
    pub fn logout(&self, post: bool) -> Option<&Address> {
        self.slo.iter().find(|address| address.post == post).or_else(|| self.slo.first())
    }
}

impl Address {
    fn of(endpoint: &Endpoint) -> Self {
        Self {
            post: endpoint.binding == POST,
            location: endpoint.location.clone(),
            response_location: endpoint.response_location.clone(),
        }
    }

    /// The binding, as SAML names it.
    pub fn binding(&self) -> &'static str {
        if self.post { POST } else { REDIRECT }
    }
}

impl Security {
    /// How far the clocks may be apart.
    pub fn skew(&self) -> Duration {
        Duration::from_secs(self.clock_skew.unwrap_or(SKEW))
    }

    /// The longest metadata that is read.
    pub fn metadata_size(&self) -> usize {
        usize::try_from(self.max_metadata.unwrap_or(METADATA)).unwrap_or(usize::MAX)
    }

    /// The longest answer that is read.
    pub fn response_size(&self) -> usize {
        self.max_response.and_then(|size| usize::try_from(size).ok()).unwrap_or(MAX_MESSAGE).min(MAX_MESSAGE)
    }

    /// What is asked for beyond the rule that one signature covers the assertion.
    pub fn want(&self) -> Want {
        Want {
            response_signed: self.signed_responses.unwrap_or(false),
            assertion_signed: self.signed_assertions.unwrap_or(false),
            encrypted: self.encrypted_assertions.unwrap_or(false),
        }
    }
}

impl Config {
    /// Whether requests are signed.
    pub fn signs(&self) -> bool {
        self.request.sign.unwrap_or_else(|| self.idp.as_ref().is_some_and(|idp| idp.wants_signed))
    }

    /// The identity provider, with a certificate that its signatures can be checked with.
    /// Errors: `connection_not_ready`, `saml_no_signing_cert`.
    pub fn provider(&self) -> Result<&Idp> {
        let idp = self.idp.as_ref().ok_or_else(|| {
            let says = match self.metadata_url {
                Some(_) => "The metadata of the identity provider has not been read yet.",
                None => "The connection has no metadata of an identity provider.",
            };
            Error::says(&codes::CONNECTION_NOT_READY, says).help(
                "Give it with `authd connection set-saml`, or read it again with `authd connection refresh-saml`.",
            )
        })?;
        if idp.certificates.is_empty() {
            return Err(Error::new(&codes::SAML_NO_SIGNING_CERT));
        }
        Ok(idp)
    }

    /// Whether everything is set that a sign-in needs. Errors: those of `provider`; `connection_not_ready`.
    pub fn ready(&self) -> Result<()> {
        let idp = self.provider()?;
        if idp.sign_in().is_none() || self.service.key.is_none() {
            return Err(Error::says(
                &codes::CONNECTION_NOT_READY,
                "The connection has no sign-in address, or no key of its own.",
            )
            .help("Set it with `authd connection set-saml`."));
        }
        Ok(())
    }

    /// Whether the settings can be used. Errors: `invalid_input`, naming the field.
    pub fn check(&self) -> Result<()> {
        for (field, text) in [
            ("metadata.url", &self.metadata_url),
            ("metadata.entityId", &self.idp_entity_id),
            ("request.nameIdFormat", &self.request.name_id_format),
            ("security.idpInitiatedTarget", &self.security.idp_initiated_target),
        ] {
            plain(field, text.as_deref())?;
        }
        for (field, address) in
            [("serviceProvider.acsUrl", &self.service.acs_url), ("serviceProvider.sloUrl", &self.service.slo_url)]
        {
            if address.as_deref().is_some_and(|text| !is_address(text)) {
                return Err(wrong(field, "it is an absolute https address (http on loopback)"));
            }
        }
        if let Some(Ok(address)) = self.metadata_url.as_deref().map(url::Url::parse) {
            self.believes(&address)?;
        }
        plain("serviceProvider.entityId", Some(self.service.entity_id.as_str()))?;
        if self.service.entity_id.is_empty() {
            return Err(wrong("serviceProvider.entityId", "it is empty"));
        }
        if self.security.clock_skew.is_some_and(|seconds| seconds > MAX_SKEW.as_secs()) {
            return Err(wrong("security.clockSkewSeconds", "it is at most 300"));
        }
        if self.security.max_metadata.is_some_and(|size| !(1..=MOST_METADATA).contains(&size)) {
            return Err(wrong("security.maxMetadataSize", "it is 1 to 8388608"));
        }
        let most = u64::try_from(MAX_MESSAGE).unwrap_or(u64::MAX);
        if self.security.max_response.is_some_and(|size| !(1..=most).contains(&size)) {
            return Err(wrong("security.maxResponseSize", "it is 1 to 262144"));
        }
        if let Some(target) = &self.security.idp_initiated_target {
            let url = url::Url::parse(target).ok();
            let fits = url.is_some_and(|url| url.scheme() == "https" && url.has_host() && url.username().is_empty());
            if !fits {
                return Err(wrong("security.idpInitiatedTarget", "it is an https address"));
            }
        }
        if self.request.class_refs.len() > MAX_ENTRIES || self.profile.extra_fields.len() > MAX_ENTRIES {
            return Err(wrong("request.authnContextClassRefs or profile.extraFields", "it has more than 32 entries"));
        }
        for text in &self.request.class_refs {
            plain("request.authnContextClassRefs", Some(text))?;
        }
        for text in self.profile.extra_fields.iter().flat_map(|(field, name)| [field, name]) {
            plain("profile.extraFields", Some(text))?;
        }
        let map = &self.profile.mapping;
        for text in
            [&map.subject, &map.email, &map.name, &map.first_name, &map.last_name, &map.image, &map.groups, &map.roles]
        {
            plain("profile.mapping", text.as_deref())?;
        }
        Ok(())
    }
}

/// Where something is posted, exactly as both sides write it.
fn is_address(text: &str) -> bool {
    let Ok(url) = url::Url::parse(text) else { return false };
    let local = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let scheme = url.scheme() == "https" || (url.scheme() == "http" && local);
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    scheme && plain && url.has_host() && text.len() <= 1024 && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn plain(field: &str, text: Option<&str>) -> Result<()> {
    match text {
        Some(text) if text.len() > 1024 || text.chars().any(char::is_control) => {
            Err(wrong(field, "it has at most 1,024 bytes, and no control characters"))
        }
        _ => Ok(()),
    }
}

pub(super) fn wrong(field: &str, why: &str) -> Error {
    Error::says(&codes::INVALID_INPUT, format!("`{field}` cannot be used: {why}."))
}
