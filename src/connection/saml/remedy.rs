//! Which setting would have an answer pass that was refused, and what comes after it.

use std::time::Duration;

use super::config::Config;
use super::explain::{BRIDGED, Outside, SamlFault, failed};
use super::held::Held;
use super::response::MAX_AGE;
use super::{decode, read};
use crate::connection::protocol::{Check, Checks};
use crate::env::Timestamp;
use crate::error::{Error, codes};

/// Whether the walk can go on as if the fault were mended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mended {
    Yes,
    No,
}

/// What is known besides the refusal.
pub(super) struct Standing<'a> {
    pub outside: &'a Outside,
    pub message: &'a str,
    pub asked: Option<&'a str>,
    /// The moment that was asked for.
    pub at: Option<Timestamp>,
}

/// Names the setting, and sets it for the rest of the walk.
pub(super) fn mend(
    fault: &mut SamlFault,
    rows: &[Check],
    error: &Error,
    held: &mut Held,
    config: &mut Config,
    standing: &Standing<'_>,
) -> Mended {
    let row = failed(rows, error);
    let received =
        row.and_then(|row| row.received.as_deref()).filter(|text| !text.is_empty() && !text.starts_with('('));
    let check = fault.check.clone();
    let mut name = |setting: &str, value: Option<&str>, help: String| {
        fault.setting = Some(setting.to_owned());
        fault.value = value.map(str::to_owned);
        fault.help = help;
    };
    let is = |code| error.is(code);
    if is(&codes::SAML_ISSUER) {
        let Some(theirs) = received else {
            name("identity provider", None, "Let the identity provider name itself as Issuer.".to_owned());
            return Mended::No;
        };
        let help = "If that is the right provider, give the connection its metadata: \
                    `authd connection set-saml --metadata-url` or `--metadata-file`."
            .to_owned();
        name("metadata.entityId", Some(theirs), help);
        theirs.clone_into(&mut held.idp_entity_id);
        return Mended::Yes;
    }
    if is(&codes::SAML_AUDIENCE) || check == "sp_name_qualifier" {
        let theirs = received.filter(|text| *text != "no Conditions").and_then(|text| text.split(' ').next());
        let help = format!(
            "Set the entity id of this service (audience) at the identity provider to `{}`, exactly; or make \
             `serviceProvider.entityId` of the connection what it is there.",
            held.sp_entity_id
        );
        name("serviceProvider.entityId", theirs, help);
        let Some(theirs) = theirs else { return Mended::No };
        theirs.clone_into(&mut held.sp_entity_id);
        return Mended::Yes;
    }
    if is(&codes::SAML_RECIPIENT) || is(&codes::SAML_DESTINATION) {
        let help = format!(
            "Set the reply address (ACS URL) at the identity provider to `{}`, exactly. The connection's own never changes.",
            held.acs_url
        );
        name("identity provider: ACS URL", Some(&held.acs_url.clone()), help);
        // Of an answer whose recipient is right, the destination alone is wrong.
        let Some(theirs) = received.filter(|_| check == "recipient") else { return Mended::No };
        theirs.clone_into(&mut held.acs_url);
        return Mended::Yes;
    }
    if is(&codes::SAML_EXPIRED) || is(&codes::SAML_NOT_YET_VALID) {
        return time(fault, received, held, standing);
    }
    if is(&codes::SAML_SIGNATURE_MISSING) {
        let want = &mut held.want;
        let (setting, asked) = match check.as_str() {
            "signature_response" => ("security.requireSignedResponses", &mut want.response_signed),
            "signature_assertion" => ("security.requireSignedAssertions", &mut want.assertion_signed),
            "certificates" => {
                let help = "Give the connection metadata with a signing certificate.".to_owned();
                name("metadata", None, help);
                return Mended::No;
            }
            _ => ("", &mut want.assertion_signed),
        };
        if setting.is_empty() || !*asked {
            let help = "Switch on the signature at the identity provider: over the assertion, the response, or both.";
            name("identity provider: signing", None, help.to_owned());
            return Mended::No;
        }
        *asked = false;
        name(setting, Some("false"), "Let the identity provider sign it, or ask for it no longer.".to_owned());
        return Mended::Yes;
    }
    if is(&codes::SAML_DECRYPT) {
        if check == "encryption" {
            held.want.encrypted = false;
            let help = "Let the identity provider encrypt to this connection's certificate, or ask for it no longer.";
            name("security.requireEncryptedAssertions", Some("false"), help.to_owned());
            return Mended::Yes;
        }
        let help = match check.as_str() {
            "decryption" => {
                "Give the identity provider the certificate of this connection (`authd connection get-saml`): it \
                             encrypts to another one."
            }
            _ => {
                "Let the identity provider encrypt with RSA-OAEP and AES-GCM; AES-CBC is read in a signed response alone."
            }
        };
        name("identity provider: encryption", None, help.to_owned());
        return Mended::No;
    }
    if is(&codes::SAML_SIGNATURE_INVALID) {
        return certificate(fault, held, config, standing);
    }
    if is(&codes::SAML_UNSOLICITED) && check == "idp_initiated" {
        let help = "Let people begin at the app; or allow that a sign-in begins at the identity provider, if you trust everybody \
                    there not to sign others in as themselves.";
        name("security.allowIdpInitiated", Some("true"), help.to_owned());
        config.security.idp_initiated = Some(true);
        return Mended::Yes;
    }
    if check == "authn_context" {
        let help = "Let the identity provider sign people in as the connection asks, or ask for what it states.";
        name("request.authnContextClassRefs", received, help.to_owned());
        held.requested_acr.clear();
        return Mended::Yes;
    }
    if is(&codes::TOO_LARGE) && held.max_size < decode::MAX_MESSAGE && standing.message.len() <= decode::MAX_MESSAGE {
        held.max_size = decode::MAX_MESSAGE;
        let size = standing.message.len().to_string();
        name("security.maxResponseSize", Some(&size), "Let the connection read longer answers.".to_owned());
        return Mended::Yes;
    }
    let setting = match (check.as_str(), error.code()) {
        (_, "saml_nameid" | "profile_invalid") => "profile.mapping.subject",
        (_, "email_domain_not_owned") => "profile.mapping.email",
        (_, "saml_algorithm" | "saml_reference") => "identity provider: signing",
        _ => return Mended::No,
    };
    fault.setting = Some(setting.to_owned());
    Mended::No
}

/// A moment that does not fit: by a little, clocks differ; by much, the answer is explained at another time than its own.
fn time(fault: &mut SamlFault, received: Option<&str>, held: &mut Held, standing: &Standing<'_>) -> Mended {
    let moment = received.and_then(|text| text.parse::<Timestamp>().ok());
    let Some(moment) = moment.filter(|_| fault.check != "confirmation_not_before") else {
        fault.setting = Some("identity provider: validity".to_owned());
        fault.help = "Let the identity provider say until when its assertions hold, in the conditions and for the bearer, and from \
                      when on in the conditions alone."
            .to_owned();
        return Mended::No;
    };
    let now = held.now;
    let apart = match fault.check.as_str() {
        "issue_instant_age" => now.since(moment + MAX_AGE),
        _ if moment > now => moment.since(now),
        // At its end it has ended.
        _ => now.since(moment) + Duration::from_secs(1),
    };
    let seconds = apart.as_secs() + u64::from(apart.subsec_nanos() > 0);
    if Duration::from_secs(seconds) <= BRIDGED {
        held.skew = Duration::from_secs(seconds);
        fault.setting = Some("security.clockSkewSeconds".to_owned());
        fault.value = Some(seconds.to_string());
        fault.help = "Compare the clocks of both machines; the setting allows for a difference of at most 300 seconds."
            .to_owned();
        return Mended::Yes;
    }
    match standing.outside.made.filter(|made| *made != now && standing.at.is_none()) {
        Some(made) => {
            fault.setting = Some("at".to_owned());
            fault.value = Some(made.to_string());
            fault.help = format!(
                "It was made at {made}. Explain it as of then: `--at {made}`. If people see this at once, the clocks of the \
                 machines are that far apart."
            );
            held.now = made;
            Mended::Yes
        }
        None => {
            fault.setting = Some("identity provider: clock".to_owned());
            fault.help =
                "Set the clocks of both machines by NTP, or let assertions hold longer at the identity provider."
                    .to_owned();
            Mended::No
        }
    }
}

/// A signature that no pinned key made: by a key that the message carries itself, the provider has a new one; else the
/// message is another than was signed.
fn certificate(fault: &mut SamlFault, held: &mut Held, config: &Config, standing: &Standing<'_>) -> Mended {
    let strange = |der: &Vec<u8>| !held.certificates.contains(der);
    let usable = standing.outside.certificates.iter().filter(|certificate| certificate.usable);
    let carried: Vec<Vec<u8>> = usable.map(|certificate| certificate.der.clone()).filter(strange).collect();
    let thumbprint = carried.first().map(|der| super::thumbprint(der)).unwrap_or_default();
    let pinned = std::mem::replace(&mut held.certificates, carried);
    // Nobody vouches for such a key, so nothing is opened on its word from here on (SAML-30).
    let own = std::mem::take(&mut held.decryption);
    let outcome = (!held.certificates.is_empty())
        .then(|| read(standing.message, &held.expect(standing.asked, None), &mut Checks::new()));
    let sealed = matches!(&outcome, Some(Err(error)) if error.is(&codes::SAML_DECRYPT));
    let holds = match &outcome {
        None => false,
        Some(Ok(_)) => true,
        Some(Err(error)) => !error.is(&codes::SAML_SIGNATURE_INVALID),
    };
    if holds {
        fault.value = Some(thumbprint);
        let (setting, how) = match &config.metadata_url {
            Some(_) => ("metadata.url", "read its metadata again: `authd connection refresh-saml`"),
            None => (
                "metadata.certificate",
                "give it to the connection: `authd connection set-saml --idp-certificate-file`",
            ),
        };
        fault.setting = Some(setting.to_owned());
        fault.help = format!(
            "It is signed with a certificate that the connection does not have. Compare its thumbprint with the one that the \
             provider's administrator names to you; if it is theirs, {how}. Anybody can put a certificate into a message."
        );
        return if sealed { Mended::No } else { Mended::Yes };
    }
    (held.certificates, held.decryption) = (pinned, own);
    fault.help = if standing.outside.spread {
        "It was changed after it was signed. Tools that show XML with line breaks do that: paste the value of `SAMLResponse` as it \
         was posted."
    } else {
        "It was changed after it was signed, or another key made the signature than that of any certificate known here. Paste the \
         value of `SAMLResponse` as it was posted; compare the certificates with the provider's."
    }
    .to_owned();
    Mended::No
}
