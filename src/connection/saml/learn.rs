//! What changes when metadata is read again, and what of it has to be approved first.

use super::certificate::thumbprint;
use super::config::{Address, Config, Idp, Pinned};
use super::metadata::{IdpMetadata, unusable};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::Event;

impl Config {
    /// Takes over what the metadata of the provider says now. Where new certificates have to be approved, they wait.
    /// Errors: `metadata_invalid` where it is of another provider all of a sudden.
    pub(super) fn learn(&mut self, metadata: &IdpMetadata, now: Timestamp) -> Result<()> {
        let mut idp = Idp::of(metadata, now);
        if let Some(before) = &self.idp {
            if before.entity_id != idp.entity_id {
                return Err(unusable("The metadata at its address is of another identity provider now.").help(
                    "If that is meant, set the address again: `authd connection set-saml --metadata-url … --idp-entity-id …`.",
                ));
            }
            if self.approve == Some(true) {
                idp.hold_back(before);
            }
        }
        self.idp = Some(idp);
        Ok(())
    }

    /// Counts certificates that waited. Errors: `invalid_input` for one that does not wait.
    pub(in crate::connection) fn approve(&mut self, thumbprints: &[String]) -> Result<()> {
        let unknown = |given: &str| {
            let says = format!("No certificate `{}` waits for approval.", super::shown(given));
            Error::says(&codes::INVALID_INPUT, says).help("`authd connection get-saml` shows those that do.")
        };
        let idp = self.idp.as_mut().ok_or_else(|| unknown("(none)"))?;
        for given in thumbprints {
            let plain: String = given.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
            let named = |pinned: &Pinned| thumbprint(&pinned.0).eq_ignore_ascii_case(&plain);
            let at = idp.pending.iter().position(named).ok_or_else(|| unknown(given))?;
            let approved = idp.pending.remove(at);
            idp.certificates.push(approved);
        }
        Ok(())
    }

    /// Whether what is known of the provider still counts. Metadata that is read from an address counts until the date in
    /// it (metadata §2.3.2): a provider that withdraws a key relies on that. What somebody pasted is told, and goes on.
    /// Errors: `connection_not_ready`.
    pub(super) fn holds(&self, now: Timestamp) -> Result<()> {
        let end = self.idp.as_ref().and_then(|idp| idp.valid_until).filter(|_| self.metadata_url.is_some());
        match end {
            Some(end) if end <= now => Err(Error::says(
                &codes::CONNECTION_NOT_READY,
                "The metadata of the identity provider is past its own date, and its address gives no newer.",
            )
            .help("`authd connection refresh-saml` says why.")),
            _ => Ok(()),
        }
    }
}

impl Idp {
    /// Of the certificates, those that counted before go on to; the others wait. If none of the old ones is left, they
    /// go on until somebody has approved: nobody could sign in otherwise, and nobody new can be vouched for.
    fn hold_back(&mut self, before: &Self) {
        let (known, new): (Vec<Pinned>, Vec<Pinned>) =
            std::mem::take(&mut self.certificates).into_iter().partition(|pinned| before.certificates.contains(pinned));
        self.certificates = if known.is_empty() { before.certificates.clone() } else { known };
        self.pending = new;
    }

    fn addresses(&self) -> Vec<String> {
        let line = |what: &str, at: &Address| {
            let answers = at.response_location.as_ref().map(|to| format!(" ({to})")).unwrap_or_default();
            format!("{what} {} {}{answers}", if at.post { "HTTP-POST" } else { "HTTP-Redirect" }, at.location)
        };
        let sso = self.sso.iter().map(|at| line("sso", at));
        sso.chain(self.slo.iter().map(|at| line("slo", at))).collect()
    }
}

/// What is otherwise than before.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Certificates that count now, by thumbprint.
    added: Vec<String>,
    /// Certificates that count no longer.
    removed: Vec<String>,
    /// Certificates that wait for approval since now.
    pending: Vec<String>,
    addresses_added: Vec<String>,
    addresses_removed: Vec<String>,
    /// What else is another.
    changed: Vec<&'static str>,
}

impl Difference {
    /// Between what was known and what is.
    pub fn between(before: Option<&Idp>, after: Option<&Idp>) -> Self {
        let prints = |all: &[Pinned]| all.iter().map(|pinned| thumbprint(&pinned.0)).collect::<Vec<String>>();
        let certificates = |idp: Option<&Idp>| idp.map(|idp| prints(&idp.certificates)).unwrap_or_default();
        let pending = |idp: Option<&Idp>| idp.map(|idp| prints(&idp.pending)).unwrap_or_default();
        let addresses = |idp: Option<&Idp>| idp.map(Idp::addresses).unwrap_or_default();
        let mut changed = Vec::new();
        let mut note = |name, same: bool| {
            if !same {
                changed.push(name);
            }
        };
        note("wantAuthnRequestsSigned", before.map(|idp| idp.wants_signed) == after.map(|idp| idp.wants_signed));
        note("validUntil", before.map(|idp| idp.valid_until) == after.map(|idp| idp.valid_until));
        note("cacheDuration", before.map(|idp| idp.cache_seconds) == after.map(|idp| idp.cache_seconds));
        Self {
            added: less(certificates(after), &certificates(before)),
            removed: less(certificates(before), &certificates(after)),
            pending: less(pending(after), &pending(before)),
            addresses_added: less(addresses(after), &addresses(before)),
            addresses_removed: less(addresses(before), &addresses(after)),
            changed,
        }
    }

    /// Whether nothing is.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Says it in an event.
    pub fn tell(self, event: Event) -> Event {
        let event = event.with("certificates_added", self.added).with("certificates_removed", self.removed);
        let lists = [
            ("certificates_pending", self.pending),
            ("endpoints_added", self.addresses_added),
            ("endpoints_removed", self.addresses_removed),
            ("changed", self.changed.into_iter().map(str::to_owned).collect()),
        ];
        lists.into_iter().filter(|(_, list)| !list.is_empty()).fold(event, |event, (name, list)| event.with(name, list))
    }
}

fn less(all: Vec<String>, but: &[String]) -> Vec<String> {
    all.into_iter().filter(|one| !but.contains(one)).collect()
}
