//! How a connection reaches its OpenID provider: what is kept, and its defaults.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

use super::check::web_address;
use crate::crypto::Sealed;
use crate::crypto::jws::Algorithm;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// The place that the client secret of a connection is sealed for.
pub fn secret_place(connection: ConnectionId) -> String {
    format!("connection/{connection}/oidc/client_secret")
}

/// The OpenID Connect half of a connection, as it is kept. What is unset has the default that its reader names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Config {
    /// Which provider.
    #[n(0)]
    pub discovery: Discovery,
    /// As whom authd comes.
    #[n(1)]
    pub client: Client,
    /// What is asked for.
    #[n(2)]
    pub request: RequestConfig,
    /// How strict it is looked at.
    #[n(3)]
    pub security: Security,
    /// What the claims mean.
    #[n(4)]
    pub profile: ProfileConfig,
}

/// Which provider.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Discovery {
    /// The provider's issuer, exactly as its tokens say it. The discovery document is looked for below it.
    #[n(0)]
    pub issuer: Option<String>,
    /// Where the discovery document is, if not at the issuer's `/.well-known/openid-configuration`.
    #[n(1)]
    pub discovery_url: Option<String>,
    /// Where the keys are, if not where the discovery document says.
    #[n(2)]
    pub jwks_uri: Option<String>,
    /// The audience that tokens must be for, if it is not the client id.
    #[n(3)]
    pub audience: Option<String>,
}

/// As whom authd comes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Client {
    /// The client id that the provider gave.
    #[n(0)]
    pub id: Option<String>,
    /// The client secret, sealed for `secret_place`. Only a public client (`AuthMethod::None`) has none.
    #[n(1)]
    pub secret: Option<Sealed>,
    /// How authd authenticates. Unset: by what the provider says it takes.
    #[n(2)]
    pub auth_method: Option<AuthMethod>,
}

/// How authd authenticates at the token endpoint (OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum AuthMethod {
    /// The secret in the body.
    #[n(0)]
    ClientSecretPost,
    /// The secret in the `Authorization` header.
    #[n(1)]
    ClientSecretBasic,
    /// A signed assertion. Not served yet.
    #[n(2)]
    PrivateKeyJwt,
    /// A public client, by PKCE alone.
    #[n(3)]
    None,
}

impl AuthMethod {
    /// As discovery documents name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ClientSecretPost => "client_secret_post",
            Self::ClientSecretBasic => "client_secret_basic",
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct RequestConfig {
    /// Empty: `openid profile email`. `openid` is always asked for.
    #[n(0)]
    pub scopes: Vec<String>,
    /// A fixed text in place of the address that the person gave.
    #[n(1)]
    pub login_hint: Option<String>,
    /// Further parameters of the authorization request. None of the protocol's own.
    #[n(2)]
    pub authorization_params: BTreeMap<String, String>,
}

impl RequestConfig {
    /// The scopes as one text (RFC 6749 §3.3), with `openid`.
    pub fn scope(&self) -> String {
        if self.scopes.is_empty() {
            return "openid profile email".to_owned();
        }
        let openid = (!self.scopes.iter().any(|scope| scope == "openid")).then_some("openid");
        openid.into_iter().chain(self.scopes.iter().map(String::as_str)).collect::<Vec<_>>().join(" ")
    }
}

/// How strict it is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Security {
    /// How far the provider's clock may be off, in seconds: 60 unless set, at most 300.
    #[n(0)]
    pub clock_tolerance_seconds: Option<u64>,
    /// Whether the discovery document must name the issuer exactly as configured (unless set: yes); `false`
    /// tolerates one trailing slash. Tokens must say exactly what the document says, always.
    #[n(1)]
    pub strict_issuer: Option<bool>,
    /// The signature algorithms that tokens may have. Unset: those that the provider announces.
    #[n(2)]
    pub algorithms: Option<Vec<Algorithm>>,
}

impl Security {
    /// How far the provider's clock may be off, in seconds.
    pub fn tolerance(&self) -> u64 {
        self.clock_tolerance_seconds.unwrap_or(60).min(MAX_CLOCK_TOLERANCE)
    }

    /// Whether the discovery document must name the issuer exactly as configured.
    pub fn strict(&self) -> bool {
        self.strict_issuer.unwrap_or(true)
    }
}

/// What the claims mean.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ProfileConfig {
    /// Which claim is which field.
    #[n(0)]
    pub mapping: Mapping,
    /// Claims to keep besides: our name for each, and the claim it comes from.
    #[n(1)]
    pub extra_fields: BTreeMap<String, String>,
}

macro_rules! mapping {
    ($($place:literal $field:ident = $claim:literal $(, $more:literal)?;)*) => {
        /// Which claim is which field. A name with dots is a claim of that name, or else a path into nested claims
        /// (`emails.0`: the first of a list).
        #[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
        pub struct Mapping {
            $(#[doc = concat!("`", $claim, "` unless set.", $($more)?)] #[n($place)] pub $field: Option<String>,)*
        }

        impl Mapping {
            $(#[doc = concat!("The claim that is read for it; `", $claim, "` unless set.")]
            pub fn $field(&self) -> &str {
                self.$field.as_deref().unwrap_or($claim)
            })*

            pub(super) fn all(&self) -> impl Iterator<Item = &str> {
                [$(self.$field()),*].into_iter()
            }
        }
    };
}

mapping! {
    0 subject = "sub", " Another one must never change for a person, and never be given to somebody else.";
    1 email = "email";
    2 email_verified = "email_verified", " It counts only as the JSON value `true`.";
    3 name = "name";
    4 given_name = "given_name";
    5 family_name = "family_name";
    6 image = "picture";
    7 groups = "groups", " A list of texts, or one text.";
    8 roles = "roles", " A list of texts, or one text.";
}

impl Discovery {
    /// Where the discovery document is. Errors: `connection_not_ready`, `invalid_input`.
    pub fn document(&self) -> Result<Url> {
        match (&self.discovery_url, &self.issuer) {
            (Some(url), _) => web_address("discovery.discoveryUrl", url),
            (None, Some(issuer)) => {
                web_address("discovery.issuer", &format!("{}{WELL_KNOWN}", issuer.trim_end_matches('/')))
            }
            (None, None) => Err(not_ready("The connection has no issuer.")),
        }
    }

    /// The issuer that the document must name. With a discovery URL alone it is that URL without the well-known
    /// path (OpenID Connect Discovery §4.3). Errors: `connection_not_ready`.
    pub fn expected_issuer(&self) -> Result<&str> {
        match (&self.issuer, &self.discovery_url) {
            (Some(issuer), _) => Ok(issuer),
            (None, Some(url)) => url.strip_suffix(WELL_KNOWN).ok_or_else(|| {
                not_ready("The discovery URL does not tell the issuer.").help("Set `discovery.issuer` as well.")
            }),
            (None, None) => Err(not_ready("The connection has no issuer.")),
        }
    }
}

const WELL_KNOWN: &str = "/.well-known/openid-configuration";
pub(super) const MAX_CLOCK_TOLERANCE: u64 = 300;

impl Config {
    /// The client id. Errors: `connection_not_ready`.
    pub fn client_id(&self) -> Result<&str> {
        self.client.id.as_deref().ok_or_else(|| not_ready("The connection has no client id."))
    }
}

pub(super) fn not_ready(message: &'static str) -> Error {
    Error::says(&codes::CONNECTION_NOT_READY, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(issuer: &str) -> Config {
        let mut config = Config::default();
        config.discovery.issuer = Some(issuer.to_owned());
        config
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let config = Config::default();
        config.check().unwrap();
        assert_eq!(config.request.scope(), "openid profile email");
        assert_eq!(config.security.tolerance(), 60);
        assert!(config.security.strict());
        assert_eq!(config.profile.mapping.image(), "picture");
        assert_eq!(config.profile.mapping.all().collect::<Vec<_>>()[..2], ["sub", "email"]);
        let bytes = minicbor::to_vec(&config).unwrap();
        assert_eq!(minicbor::decode::<Config>(&bytes).unwrap(), config);
    }

    #[test]
    fn openid_is_always_asked_for() {
        let scopes = |list: &[&str]| RequestConfig {
            scopes: list.iter().map(|scope| (*scope).to_owned()).collect(),
            ..RequestConfig::default()
        };
        assert_eq!(scopes(&["email"]).scope(), "openid email");
        assert_eq!(scopes(&["email", "openid"]).scope(), "email openid");
    }

    #[test]
    fn the_issuer_is_told_by_either_setting() {
        let slash = with("https://idp.example/t/").discovery;
        assert_eq!(slash.document().unwrap().as_str(), "https://idp.example/t/.well-known/openid-configuration");
        assert_eq!(slash.expected_issuer().unwrap(), "https://idp.example/t/");
        let of = |url: &str| Discovery { discovery_url: Some(url.to_owned()), ..Discovery::default() };
        let url = of("https://idp.example/t/.well-known/openid-configuration");
        assert_eq!(url.expected_issuer().unwrap(), "https://idp.example/t");
        assert!(of("https://idp.example/meta").expected_issuer().is_err());
    }
}
