//! What a connection's provider looks like from here, without a person.

use super::caches::Entry;
use super::config::{AuthMethod, Config};
use super::discovery::{self, Metadata};
use super::{exchange, keys};
use crate::access::Context;
use crate::connection::Connection;
use crate::connection::report::{Finding, Report};
use crate::error::{Error, codes};

/// Findings in their order.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, name: &str, ok: bool, message: Option<String>) {
        self.0.push(Finding { name: name.to_owned(), ok, message });
    }

    fn holds(&mut self, name: &str, ok: bool, otherwise: &str) {
        self.add(name, ok, (!ok).then(|| otherwise.to_owned()));
    }

    fn tried<T>(&mut self, name: &str, result: &Result<T, Error>) {
        self.add(name, result.is_ok(), result.as_ref().err().map(sentence));
        // The one obstacle that the operator alone can take away has a row of its own.
        if let Err(error) = result
            && error.is(&codes::OUTBOUND_NOT_ALLOWED)
        {
            self.add("outbound_not_allowed", false, Some(sentence(error)));
        }
    }

    fn report(self, latency_ms: Option<u64>) -> Report {
        Report { ok: self.0.iter().all(|finding| finding.ok), checks: self.0, latency_ms }
    }
}

fn sentence(error: &Error) -> String {
    let help = error.next_step().map(|help| format!(" {help}")).unwrap_or_default();
    format!("{}: {}{help}", error.code(), error.message())
}

/// Whether a connection is set up so that somebody could sign in through it. Asks the provider for its discovery
/// document, past the caches.
pub async fn validate(cx: &Context, connection: &Connection) -> Report {
    let config = connection.oidc.as_ref();
    let mut findings = Findings::default();
    let verdict = config.map(Config::check);
    findings.add(
        "oidc_configured",
        matches!(verdict, Some(Ok(()))),
        match &verdict {
            Some(Err(error)) => Some(sentence(error)),
            Some(Ok(())) => None,
            None => Some("The connection has no OpenID Connect configuration.".to_owned()),
        },
    );
    let nothing = Config::default();
    let config = config.unwrap_or(&nothing);
    findings.holds("client_id_present", config.client.id.is_some(), "Set the client id that the provider gave.");
    // A public client has none.
    let secret = config.client.secret.is_some() || config.client.auth_method == Some(AuthMethod::None);
    findings.holds("client_secret_stored", secret, "Set the client secret that the provider gave.");
    let addressed = config.discovery.issuer.is_some() || config.discovery.discovery_url.is_some();
    findings.holds("issuer_or_discovery_url_present", addressed, "Set the provider's issuer.");
    let found = discovery::discover(cx, config).await;
    findings.tried("discovery_reachable", &found);
    let metadata = found.ok();
    let method = metadata.as_ref().map(|metadata| method_supported(config, metadata));
    let (ok, message) = method.unwrap_or_else(|| (false, unknown()));
    findings.add("token_endpoint_auth_method_supported", ok, message);
    let keys = metadata.is_some() || config.discovery.jwks_uri.is_some();
    findings.add("jwks_uri_present", keys, if keys { None } else { unknown() });
    let audience = config.discovery.audience.as_ref().or(config.client.id.as_ref());
    let fits = audience.is_some_and(|text| !text.is_empty() && !text.chars().any(|c| c.is_control()));
    findings.holds("audience_valid", fits, "Tokens must be for the client id, or for the audience that is set.");
    findings.report(None)
}

#[expect(clippy::unnecessary_wraps, reason = "it stands where a finding may have no message")]
fn unknown() -> Option<String> {
    Some("Not known while discovery does not work.".to_owned())
}

fn method_supported(config: &Config, metadata: &Metadata) -> (bool, Option<String>) {
    let method = match exchange::method(config, metadata) {
        Ok(method) => method,
        Err(error) => return (false, Some(sentence(&error))),
    };
    if method == AuthMethod::PrivateKeyJwt {
        return (false, Some("authd does not serve `private_key_jwt` yet.".to_owned()));
    }
    match &metadata.auth_methods {
        // Absent means `client_secret_basic` (OpenID Connect Discovery §3), and many that say nothing take both.
        None => (true, None),
        // Public clients are often taken without being announced.
        Some(_) if method == AuthMethod::None => (true, None),
        Some(taken) if taken.iter().any(|name| name == method.name()) => (true, None),
        Some(taken) => {
            let list = taken.iter().map(|name| super::shown(name)).collect::<Vec<_>>().join(", ");
            (false, Some(format!("The provider takes {list}; `{}` is not among them.", method.name())))
        }
    }
}

/// Tries the provider: discovery and keys, both past the caches, and how long they took.
pub(super) async fn test(cx: &Context, config: &Config, entry: &Entry) -> Report {
    let mut findings = Findings::default();
    let began = cx.env.monotonic();
    findings.tried("oidc_configured", &config.ready());
    let found = discovery::discover(cx, config).await;
    findings.tried("discovery_reachable", &found);
    if let Ok(metadata) = found {
        let set = keys::fetch(&cx.env, &metadata.jwks_uri).await;
        findings.tried("jwks_reachable", &set);
        if let Ok(set) = set {
            findings.holds("signing_key_present", !set.is_empty(), "The provider publishes no key that authd can use.");
        }
        entry.learn(&cx.env, metadata);
    }
    let took = cx.env.monotonic().saturating_sub(began);
    findings.report(Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)))
}
