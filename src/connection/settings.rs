//! The OpenID Connect configuration as it is written and as it is shown. Secrets go in and never come out.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::oidc::{self, AuthMethod, Config};
use super::record::{Connection, ProtocolKind};
use crate::access::Context;
use crate::crypto::Secret;
use crate::crypto::jws::Algorithm;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// How to speak OpenID Connect with a provider. Every field is optional: what is absent stays as it was (or at its
/// default), and an empty text takes a value away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OidcSettings {
    /// Who the provider is, and where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery: Option<DiscoverySettings>,
    /// Who authd is to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<ClientSettings>,
    /// What authd asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestSettings>,
    /// How strictly answers are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<SecuritySettings>,
    /// Where a person's fields are found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileSettings>,
}

/// Who the provider is, and where it says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DiscoverySettings {
    /// The provider's issuer, exactly as its tokens say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The discovery document, where it is not at `<issuer>/.well-known/openid-configuration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discovery_url: Option<String>,
    /// The provider's keys, where they are not those that discovery names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_uri: Option<String>,
    /// The audience of its tokens, where that is not the client id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
}

/// Who authd is to the provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientSettings {
    /// The client id that the provider gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The client secret that the provider gave. Never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// How authd shows the secret to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
}

/// What authd asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestSettings {
    /// The scopes; `openid profile email` unless given. `openid` is always asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// A fixed `login_hint` for the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// More parameters of the authorization request, for providers that want them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization_params: Option<BTreeMap<String, String>>,
}

/// How strictly answers are read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SecuritySettings {
    /// How far the provider's clock may be off, in seconds, at most 300.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_tolerance_seconds: Option<u64>,
    /// Whether the issuer of every token must be exactly the one configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict_issuer: Option<bool>,
    /// The signature algorithms that tokens may have, where those that the provider announces are too many. An empty
    /// list takes the limit away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithms: Option<Vec<Algorithm>>,
}

/// Where a person's fields are found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProfileSettings {
    /// The claim of each field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mapping: Option<MappingSettings>,
    /// Claims that are kept besides: our name for each, and the claim it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra_fields: Option<BTreeMap<String, String>>,
}

/// Which of the other side's names is which field, as settings, over a configuration whose mapping has fields of these names.
macro_rules! mapping_settings {
    ($(#[doc = $about:literal])* $name:ident of $config:ty { $($(#[doc = $doc:literal])* $field:ident,)* }) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            $($(#[doc = $doc])* #[serde(default, skip_serializing_if = "Option::is_none")] pub $field: Option<String>,)*
        }

        impl $name {
            fn apply(self, config: &mut $config) {
                $(set_text(&mut config.profile.mapping.$field, self.$field);)*
            }

            pub(in crate::connection) fn of(config: &$config) -> Self {
                Self { $($field: config.profile.mapping.$field.clone(),)* }
            }
        }
    };
}
pub(super) use mapping_settings;

mapping_settings! {
    /// The claim of each field; dots go into objects (`address.country`).
    MappingSettings of Config {
        /// What tells people apart; `sub` unless set. It must never change for a person.
        subject,
        /// `email` unless set.
        email,
        /// `email_verified` unless set.
        email_verified,
        /// `name` unless set.
        name,
        /// `given_name` unless set.
        given_name,
        /// `family_name` unless set.
        family_name,
        /// `picture` unless set.
        image,
        /// `groups` unless set.
        groups,
        /// `roles` unless set.
        roles,
    }
}

/// The fields of a configuration that nearly everybody sets, flat, as flags.
#[derive(Clone, Debug, Default)]
pub(super) struct Flat {
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub auth_method: Option<AuthMethod>,
    pub scopes: Option<Vec<String>>,
}

impl Flat {
    /// The settings with the flat fields laid over them; nothing when nothing was given.
    pub(super) fn over(self, settings: Option<OidcSettings>) -> Option<OidcSettings> {
        let Self { issuer, client_id, client_secret, auth_method, scopes } = self;
        let mut all = settings.unwrap_or_default();
        if issuer.is_some() {
            all.discovery.get_or_insert_default().issuer = issuer;
        }
        if client_id.is_some() || client_secret.is_some() || auth_method.is_some() {
            let client = all.client.get_or_insert_default();
            client.id = client_id.or(client.id.take());
            client.secret = client_secret.or(client.secret.take());
            client.auth_method = auth_method.or(client.auth_method.take());
        }
        if scopes.is_some() {
            all.request.get_or_insert_default().scopes = scopes;
        }
        (all != OidcSettings::default()).then_some(all)
    }
}

impl OidcSettings {
    /// Lays these settings over a configuration. The secret is sealed for the connection.
    /// Errors: `invalid_input`, naming the field.
    pub(super) fn apply(self, cx: &Context, connection: ConnectionId, config: &mut Config) -> Result<()> {
        if let Some(discovery) = self.discovery {
            set_text(&mut config.discovery.issuer, discovery.issuer);
            set_text(&mut config.discovery.discovery_url, discovery.discovery_url);
            set_text(&mut config.discovery.jwks_uri, discovery.jwks_uri);
            set_text(&mut config.discovery.audience, discovery.audience);
        }
        if let Some(client) = self.client {
            set_text(&mut config.client.id, client.id);
            if let Some(secret) = client.secret {
                if secret.expose().len() > 4_096 || secret.expose().chars().any(char::is_control) {
                    return Err(Error::says(
                        &codes::INVALID_INPUT,
                        "The client secret has at most 4,096 bytes, and no control characters.",
                    ));
                }
                config.client.secret = if secret.expose().is_empty() {
                    None
                } else {
                    let place = oidc::secret_place(connection);
                    Some(cx.deployment.master_key.seal(&cx.env, &place, secret.expose().as_bytes())?)
                };
            }
            config.client.auth_method = client.auth_method.or(config.client.auth_method);
        }
        if let Some(request) = self.request {
            if let Some(scopes) = request.scopes {
                config.request.scopes = scope_list(&scopes);
            }
            set_text(&mut config.request.login_hint, request.login_hint);
            if let Some(parameters) = request.authorization_params {
                config.request.authorization_params = parameters;
            }
        }
        if let Some(security) = self.security {
            config.security.clock_tolerance_seconds =
                security.clock_tolerance_seconds.or(config.security.clock_tolerance_seconds);
            config.security.strict_issuer = security.strict_issuer.or(config.security.strict_issuer);
            if let Some(algorithms) = security.algorithms {
                config.security.algorithms = (!algorithms.is_empty()).then_some(algorithms);
            }
        }
        if let Some(profile) = self.profile {
            if let Some(mapping) = profile.mapping {
                mapping.apply(config);
            }
            if let Some(extra) = profile.extra_fields {
                config.profile.extra_fields = extra;
            }
        }
        config.check()
    }
}

/// Absent leaves, empty clears, text sets. What the text may be, `Config::check` says.
pub(super) fn set_text(place: &mut Option<String>, text: Option<String>) {
    if let Some(text) = text {
        let text = text.trim();
        *place = (!text.is_empty()).then(|| text.to_owned());
    }
}

/// Scopes as a list, or as OAuth writes them: in one text with spaces (RFC 6749 §3.3).
fn scope_list(given: &[String]) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for scope in given.iter().flat_map(|text| text.split_ascii_whitespace()) {
        if !scopes.iter().any(|known| known == scope) {
            scopes.push(scope.to_owned());
        }
    }
    scopes
}

/// Whether everything is set that a sign-in needs. Pure; nothing is asked of the provider.
/// Errors: `connection_not_ready`, naming what is missing.
pub(super) fn complete(connection: &Connection) -> Result<()> {
    let lacks = |says: &'static str, help: &'static str| Error::says(&codes::CONNECTION_NOT_READY, says).help(help);
    match connection.protocol {
        ProtocolKind::Oidc => {
            let nothing = || {
                lacks("The connection has no issuer and no client id.", "Set them with `authd connection set-oidc`.")
            };
            connection.oidc.as_ref().ok_or_else(nothing)?.ready()
        }
        ProtocolKind::Saml => {
            let nothing = || lacks("The connection has no metadata.", "Give it with `authd connection set-saml`.");
            connection.saml.as_ref().ok_or_else(nothing)?.ready()
        }
        ProtocolKind::Ldap => {
            let nothing = || lacks("The connection has no directory.", "Name it with `authd connection set-ldap`.");
            connection.ldap.as_ref().ok_or_else(nothing)?.ready()
        }
    }
}

/// The OpenID Connect configuration as it is shown: without the secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OidcView {
    /// Who the provider is, and where it says so.
    pub discovery: DiscoverySettings,
    /// Who authd is to the provider.
    pub client: ClientView,
    /// Whether a client secret is kept.
    pub has_client_secret: bool,
    /// What authd asks for.
    pub request: RequestSettings,
    /// How strictly answers are read.
    pub security: SecuritySettings,
    /// Where a person's fields are found.
    pub profile: ProfileSettings,
}

/// Who authd is to the provider, without the secret.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClientView {
    /// The client id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// How authd shows the secret to the provider.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
}

impl From<&Config> for OidcView {
    fn from(config: &Config) -> Self {
        Self {
            discovery: DiscoverySettings {
                issuer: config.discovery.issuer.clone(),
                discovery_url: config.discovery.discovery_url.clone(),
                jwks_uri: config.discovery.jwks_uri.clone(),
                audience: config.discovery.audience.clone(),
            },
            client: ClientView { id: config.client.id.clone(), auth_method: config.client.auth_method },
            has_client_secret: config.client.secret.is_some(),
            request: RequestSettings {
                scopes: Some(config.request.scope().split(' ').map(str::to_owned).collect()),
                login_hint: config.request.login_hint.clone(),
                authorization_params: Some(config.request.authorization_params.clone()),
            },
            security: SecuritySettings {
                clock_tolerance_seconds: config.security.clock_tolerance_seconds,
                strict_issuer: config.security.strict_issuer,
                algorithms: config.security.algorithms.clone(),
            },
            profile: ProfileSettings {
                mapping: Some(MappingSettings::of(config)),
                extra_fields: Some(config.profile.extra_fields.clone()),
            },
        }
    }
}
