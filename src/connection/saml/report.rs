//! What a connection's identity provider looks like from here, without a person.

use url::Url;

use super::Certificate;
use super::aside::Observed;
use super::config::Config;
use super::look::Found;
use super::provider::Saml;
use crate::access::Context;
use crate::connection::record::Connection;
use crate::connection::report::{Finding, Report};
use crate::env::Request;
use crate::error::{Error, Result};
use crate::id::ConnectionId;

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, name: &str, ok: bool, message: Option<String>) {
        self.0.push(Finding { name: name.to_owned(), ok, message });
    }

    fn tried<T>(&mut self, name: &str, result: &Result<T>) {
        self.add(name, result.is_ok(), result.as_ref().err().map(sentence));
    }

    fn report(self, latency_ms: Option<u64>) -> Report {
        Report { ok: self.0.iter().all(|finding| finding.ok), checks: self.0, latency_ms }
    }
}

fn sentence(error: &Error) -> String {
    let help = error.next_step().map(|help| format!(" {help}")).unwrap_or_default();
    format!("{}: {}{help}", error.code(), error.message())
}

/// Whether a connection is set up so that somebody could sign in through it. Nothing is asked of the provider: the
/// browser reaches it, not authd.
pub fn validate(cx: &Context, connection: &Connection) -> Report {
    let mut findings = Findings::default();
    let nothing = Config::default();
    let config = connection.saml.as_ref().unwrap_or(&nothing);
    let (ok, message) = match connection.saml.as_ref().map(Config::check) {
        Some(Ok(())) => (true, None),
        Some(Err(error)) => (false, Some(sentence(&error))),
        None => (false, Some("The connection has no SAML configuration.".to_owned())),
    };
    findings.add("saml_configured", ok, message);
    let idp = config.idp.as_ref();
    let provider = config.provider();
    match idp.and_then(|idp| idp.valid_until) {
        Some(end) if provider.is_ok() => {
            let holds = end > cx.env.now();
            let message =
                if holds { format!("It holds until {end}.") } else { format!("It has not held since {end}.") };
            findings.add("idp_metadata_present", holds, Some(message));
        }
        _ => findings.tried("idp_metadata_present", &provider),
    }
    let message = match idp {
        Some(idp) => Some(idp.entity_id.clone()),
        None => Some("Not known while there is no metadata of the identity provider.".to_owned()),
    };
    findings.add("idp_entity_id", idp.is_some(), message);
    let own = Saml::of(connection).and_then(|saml| saml.metadata(cx, true));
    findings.tried("sp_metadata_generates", &own);
    let certificates = idp.is_some_and(|idp| !idp.certificates.is_empty());
    findings.add(
        "signed_assertions_compatible",
        certificates,
        (!certificates).then(|| "No certificate is pinned that a signature could be checked with.".to_owned()),
    );
    let refuses = config.request.sign == Some(false) && idp.is_some_and(|idp| idp.wants_signed);
    findings.add(
        "authn_request_signing_compatible",
        !refuses && (!config.signs() || config.service.key.is_some()),
        refuses.then(|| {
            "The identity provider takes signed requests only. Leave out `request.signAuthnRequests`.".to_owned()
        }),
    );
    let skew = config.security.skew().as_secs();
    findings.add("timestamp_validation_configured", true, Some(format!("Clocks may differ by {skew} seconds.")));
    findings.report(None)
}

/// Tries what can be tried without a person: the configuration, the certificates, the metadata at its address. That authd
/// does not reach the sign-in address itself is told, and is no failure.
pub(super) async fn test(cx: &Context, connection: ConnectionId, config: &Config) -> Report {
    let mut findings = Findings::default();
    let began = cx.env.monotonic();
    findings.tried("saml_configured", &config.check().and_then(|()| config.ready()));
    if config.metadata_url.is_some() {
        let found = Found::look(cx, config, true).await;
        let message = match &found {
            Ok(found) if found.unreachable => Some("The address of the metadata does not answer.".to_owned()),
            Ok(_) => None,
            Err(error) => Some(sentence(error)),
        };
        // That it does not answer now is told; a browser may reach what authd does not.
        findings.add("idp_metadata_reachable", found.is_ok(), message);
    }
    if let Some(idp) = &config.idp {
        findings.add("idp_entity_id", true, Some(idp.entity_id.clone()));
        for certificate in idp.read_certificates() {
            let ends = format!("{} ({}), {}", certificate.thumbprint, certificate.key, end(cx, &certificate));
            findings.add("idp_certificate", true, Some(ends));
        }
        for waits in &idp.pending {
            let waits = format!("{} waits for approval: `connection.approve_saml`.", super::thumbprint(&waits.0));
            findings.add("idp_certificate_pending", true, Some(waits));
        }
        if let Some(at) = idp.sign_in() {
            findings.add("idp_sso_url", true, Some(reach(cx, &at.location).await));
        }
    }
    if let Ok(Some(observed)) = Observed::load(&cx.store, connection).await {
        findings.add("clock_skew", true, Some(observed.sentence()));
        if observed.groups_left_out {
            let says = "At the last sign-in the provider left the groups out, because there are too many. Let it send only \
                        those that are assigned to the app.";
            findings.add("groups_complete", true, Some(says.to_owned()));
        }
    }
    let took = cx.env.monotonic().saturating_sub(began);
    findings.report(Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)))
}

/// Until when a certificate is good, and how long that is yet. Past it the key still counts.
fn end(cx: &Context, certificate: &Certificate) -> String {
    let (now, end) = (cx.env.now(), certificate.not_after);
    let days = end.since(now).as_secs() / 86_400;
    match end <= now {
        true => format!("ended at {end}; its key still counts, let the provider change it"),
        false => format!("until {end}, {days} days from now"),
    }
}

async fn reach(cx: &Context, address: &str) -> String {
    let answer = async {
        let url = Url::parse(address).map_err(Error::bug)?;
        cx.env.outbound().permits(&url)?;
        cx.env.outbound().send(Request::get(url)).await
    };
    match answer.await {
        Ok(answer) => format!("{address} answers authd with {}.", answer.status),
        Err(error) => format!("authd does not reach {address} ({}); only the person's browser has to.", error.code()),
    }
}
