//! What can be told to be wrong with a configuration without asking anybody.

use url::Url;

use super::config::{AuthMethod, Config, Discovery, MAX_CLOCK_TOLERANCE, not_ready};
use crate::error::{Error, Result, codes};

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
pub(super) fn web_address(field: &str, text: &str) -> Result<Url> {
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
pub fn refuse_multi_tenant(issuer: &str) -> Result<()> {
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
}
