//! How a connection reaches its OpenID provider: what is kept, its defaults, and what can be told to be wrong
//! without asking anybody.

use std::collections::BTreeMap;

use minicbor::{Decode, Encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

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
        /// Which claim is which field. A name with dots is a claim of that name, or else a path into nested claims.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
        pub struct Mapping {
            $(#[doc = concat!("`", $claim, "` unless set.", $($more)?)] #[n($place)] pub $field: Option<String>,)*
        }

        impl Mapping {
            $(#[doc = concat!("The claim that is read for it; `", $claim, "` unless set.")]
            pub fn $field(&self) -> &str {
                self.$field.as_deref().unwrap_or($claim)
            })*

            fn all(&self) -> impl Iterator<Item = &str> {
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
const MAX_CLOCK_TOLERANCE: u64 = 300;
const MAX_TEXT: usize = 1024;
const MAX_ENTRIES: usize = 32;

/// Parameters of the authorization request that only the protocol sets: a fixed `nonce` or `state`, another
/// `redirect_uri` or `response_type` would undo what they protect.
pub(super) const RESERVED: &[&str] = &[
    "client_id",
    "client_secret",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "nonce",
    "redirect_uri",
    "request",
    "request_uri",
    "response_mode",
    "response_type",
    "scope",
    "state",
];

impl Config {
    /// What is wrong with it as it stands, whether complete or not. Nobody is asked.
    /// Errors: `invalid_input`, `issuer_multi_tenant`.
    pub fn check(&self) -> Result<()> {
        let Discovery { issuer, discovery_url, jwks_uri, audience } = &self.discovery;
        if let Some(issuer) = issuer {
            let url = web_address("discovery.issuer", issuer)?;
            // `|` stands between issuer and subject in the identity's key.
            if url.query().is_some() || issuer.len() > 512 || issuer.contains(['|', '\\']) {
                return Err(wrong(
                    "discovery.issuer",
                    "it is too long, has a query, or a character that no issuer has",
                ));
            }
            refuse_multi_tenant(issuer)?;
        }
        if let Some(address) = discovery_url {
            web_address("discovery.discoveryUrl", address)?;
            refuse_multi_tenant(address)?;
        }
        if let Some(address) = jwks_uri {
            web_address("discovery.jwksUri", address)?;
        }
        if let Some(audience) = audience {
            plain("discovery.audience", audience, 255)?;
        }
        if let Some(id) = &self.client.id {
            plain("client.id", id, 255)?;
        }
        self.check_request()?;
        if self.security.clock_tolerance_seconds.is_some_and(|seconds| seconds > MAX_CLOCK_TOLERANCE) {
            return Err(wrong("security.clockToleranceSeconds", "it is at most 300"));
        }
        if self.security.algorithms.as_ref().is_some_and(Vec::is_empty) {
            return Err(wrong("security.algorithms", "it is empty; leave it out for those of the provider"));
        }
        for claim in self.profile.mapping.all() {
            plain("profile.mapping", claim, 255)?;
        }
        if self.profile.extra_fields.len() > MAX_ENTRIES {
            return Err(wrong("profile.extraFields", "it has more than 32 entries"));
        }
        for text in self.profile.extra_fields.iter().flat_map(|(field, claim)| [field, claim]) {
            plain("profile.extraFields", text, 255)?;
        }
        Ok(())
    }

    fn check_request(&self) -> Result<()> {
        if self.request.scopes.len() > MAX_ENTRIES {
            return Err(wrong("request.scopes", "it has more than 32 entries"));
        }
        for scope in &self.request.scopes {
            // RFC 6749 §3.3
            let token = scope.bytes().all(|c| matches!(c, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
            if scope.is_empty() || scope.len() > 255 || !token {
                return Err(wrong("request.scopes", "one of them is not a scope"));
            }
        }
        if let Some(hint) = &self.request.login_hint {
            plain("request.loginHint", hint, MAX_TEXT)?;
        }
        if self.request.authorization_params.len() > MAX_ENTRIES {
            return Err(wrong("request.authorizationParams", "it has more than 32 entries"));
        }
        for (name, value) in &self.request.authorization_params {
            plain("request.authorizationParams", name, 255)?;
            if value.len() > MAX_TEXT || value.chars().any(char::is_control) {
                return Err(wrong("request.authorizationParams", "a value is too long or has control characters"));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(wrong("request.authorizationParams", &format!("`{name}` belongs to the protocol"))
                    .help(format!("These cannot be set: {}.", RESERVED.join(", "))));
            }
        }
        Ok(())
    }

    /// Whether it says enough to sign somebody in. Errors: `connection_not_ready`, naming what is missing.
    pub fn ready(&self) -> Result<()> {
        self.discovery.document()?;
        self.discovery.expected_issuer()?;
        if self.client.id.is_none() {
            return Err(not_ready("The connection has no client id."));
        }
        match (self.client.auth_method, &self.client.secret) {
            (Some(AuthMethod::PrivateKeyJwt), _) => {
                Err(not_ready("The authentication method `private_key_jwt` is not served yet.")
                    .help("Use `client_secret_basic` or `client_secret_post`."))
            }
            (None | Some(AuthMethod::ClientSecretPost | AuthMethod::ClientSecretBasic), None) => {
                Err(not_ready("The connection has no client secret.")
                    .help("Set it; for a public client set the authentication method to `none`."))
            }
            _ => Ok(()),
        }
    }

    /// The client id. Errors: `connection_not_ready`.
    pub fn client_id(&self) -> Result<&str> {
        self.client.id.as_deref().ok_or_else(|| not_ready("The connection has no client id."))
    }
}

pub(super) fn not_ready(message: &'static str) -> Error {
    Error::says(&codes::CONNECTION_NOT_READY, message)
}

fn wrong(field: &str, why: &str) -> Error {
    Error::says(&codes::INVALID_INPUT, format!("`{field}` cannot be used: {why}."))
}

fn plain(field: &str, text: &str, longest: usize) -> Result<()> {
    if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) || text.trim() != text {
        return Err(wrong(field, "it is empty, too long, or has spaces around it or control characters in it"));
    }
    Ok(())
}

/// An absolute http or https URL without user name, password and fragment. Whether it may be called, and whether
/// by plain http, the outbound rules say.
fn web_address(field: &str, text: &str) -> Result<Url> {
    plain(field, text, MAX_TEXT)?;
    let url = Url::parse(text).map_err(|_| wrong(field, "it is not an absolute URL"))?;
    let clean = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() || !clean {
        return Err(wrong(field, "it is not a web address of scheme, host and path"));
    }
    Ok(url)
}

/// Issuers that sign for everybody's tenant: whoever has any tenant there could come as anybody (nOAuth).
/// Errors: `issuer_multi_tenant`.
pub(super) fn refuse_multi_tenant(issuer: &str) -> Result<()> {
    const HOSTS: &[&str] = &[
        "login.microsoftonline.com",
        "login.microsoftonline.us",
        "login.microsoftonline.de",
        "login.partner.microsoftonline.cn",
        "login.chinacloudapi.cn",
        "login.microsoft.com",
        "login.windows.net",
        "sts.windows.net",
    ];
    let refuse = || Err(Error::new(&codes::ISSUER_MULTI_TENANT));
    // `{tenantid}` and the like, also percent-encoded.
    let lower = issuer.to_ascii_lowercase();
    if lower.contains('{') || lower.contains("%7b") {
        return refuse();
    }
    let Ok(url) = Url::parse(issuer) else { return Ok(()) };
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let shared = |segment: &str| {
        ["common", "organizations", "consumers"].iter().any(|tenant| segment.eq_ignore_ascii_case(tenant))
    };
    if HOSTS.contains(&host) && url.path_segments().is_some_and(|mut path| path.any(shared)) {
        return refuse();
    }
    Ok(())
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
    fn what_cannot_work_is_refused_without_asking() {
        let cases: &[fn(&mut Config)] = &[
            |c| c.discovery.issuer = Some("idp.example".into()),
            |c| c.discovery.issuer = Some("ftp://idp.example".into()),
            |c| c.discovery.issuer = Some("https://u:p@idp.example".into()),
            |c| c.discovery.issuer = Some("https://idp.example/?a".into()),
            |c| c.discovery.issuer = Some("https://idp.example/#a".into()),
            |c| c.discovery.issuer = Some("https://idp.example/a|b".into()),
            |c| c.discovery.discovery_url = Some("data:text/plain,x".into()),
            |c| c.discovery.jwks_uri = Some("file:///etc/passwd".into()),
            |c| c.discovery.audience = Some(String::new()),
            |c| c.client.id = Some(" x".into()),
            |c| c.request.scopes = vec!["open id".into()],
            |c| c.request.login_hint = Some("a\r\nb".into()),
            |c| c.security.clock_tolerance_seconds = Some(301),
            |c| c.security.algorithms = Some(vec![]),
            |c| c.profile.mapping.email = Some(String::new()),
        ];
        for (place, change) in cases.iter().enumerate() {
            let mut config = Config::default();
            change(&mut config);
            assert!(config.check().unwrap_err().is(&codes::INVALID_INPUT), "case {place}");
        }
        for name in RESERVED {
            let mut config = Config::default();
            config.request.authorization_params.insert((*name).to_owned(), "x".into());
            let error = config.check().unwrap_err();
            assert!(error.next_step().unwrap().contains("code_challenge"), "{name}");
        }
    }

    #[test]
    fn issuers_of_many_tenants_are_refused() {
        for issuer in [
            "https://login.microsoftonline.com/common/v2.0",
            "https://login.microsoftonline.com/common/",
            "https://LOGIN.microsoftonline.com/Organizations/v2.0",
            "https://login.microsoftonline.com/consumers/v2.0",
            "https://login.microsoftonline.us/organizations/v2.0",
            "https://login.microsoftonline.com/{tenantid}/v2.0",
            "https://sts.windows.net/%7Btenantid%7D/",
            "https://idp.example/{tenant}",
        ] {
            assert!(with(issuer).check().unwrap_err().is(&codes::ISSUER_MULTI_TENANT), "{issuer}");
            let mut config = Config::default();
            config.discovery.discovery_url = Some(format!("{issuer}/.well-known/openid-configuration"));
            assert!(config.check().unwrap_err().is(&codes::ISSUER_MULTI_TENANT), "{issuer}");
        }
        for issuer in [
            "https://login.microsoftonline.com/9122040d-6c67-4c5b-b112-36a304b66dad/v2.0",
            "https://idp.example/common",
            "https://accounts.google.com",
        ] {
            with(issuer).check().unwrap();
        }
    }

    #[test]
    fn ready_names_what_is_missing() {
        let lacks = |config: &Config, what: &str| {
            let error = config.ready().unwrap_err();
            assert!(error.is(&codes::CONNECTION_NOT_READY) && error.message().contains(what), "{error}");
        };
        lacks(&Config::default(), "issuer");
        let mut config = with("https://idp.example");
        lacks(&config, "client id");
        config.client.id = Some("x".into());
        for method in [None, Some(AuthMethod::ClientSecretPost), Some(AuthMethod::ClientSecretBasic)] {
            config.client.auth_method = method;
            lacks(&config, "secret");
        }
        config.client.auth_method = Some(AuthMethod::None);
        config.ready().unwrap();
        config.client.auth_method = Some(AuthMethod::PrivateKeyJwt);
        lacks(&config, "private_key_jwt");
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
