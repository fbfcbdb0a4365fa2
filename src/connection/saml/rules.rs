//! Whom an answer is for, what it answers, when it holds, and how the person signed in.

use std::time::Duration;

use super::assertion::{Conditions, Confirmation};
use super::response::{Expect, MAX_AGE, MAX_SKEW, Vouched};
use super::tree::Node;
use super::{NameId, Verified, refuse, require, shown};
use crate::connection::protocol::Checks;
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};

/// An answer, or the assertion in it, is from the connection's provider. Errors: `saml_issuer`.
pub(super) fn from_provider(issuer: Option<&str>, expect: &Expect<'_>, checks: &mut Checks) -> Result<()> {
    let fits = issuer == Some(expect.idp_entity_id);
    require(checks, "issuer", fits, expect.idp_entity_id, issuer.unwrap_or("(none)"), &codes::SAML_ISSUER)
}

/// The rules about whom, what for and when.
pub(super) struct Rules<'a, 'c> {
    expect: &'a Expect<'a>,
    checks: &'c mut Checks,
    now: Timestamp,
    skew: Duration,
}

impl<'a, 'c> Rules<'a, 'c> {
    /// For what is expected; every check is noted.
    pub fn new(expect: &'a Expect<'a>, checks: &'c mut Checks) -> Self {
        Self { expect, checks, now: expect.now, skew: expect.skew.min(MAX_SKEW) }
    }

    /// Applies all of them to a vouched assertion, and to the outside of the message around it. The outside can only
    /// refuse, unless it is signed itself.
    pub fn apply(mut self, root: Node<'_>, vouched: Vouched) -> Result<Verified> {
        let Vouched { statement, response_signed, thumbprint } = vouched;
        let versions = [root.attribute("Version").unwrap_or_default(), &statement.version];
        if versions != ["2.0", "2.0"] {
            return Err(refuse(self.checks, "version", "2.0", shown(&versions.join(" "))));
        }
        from_provider(statement.issuer.as_deref(), self.expect, self.checks)?;
        let conditions = self.audience(statement.conditions)?;
        let bearer = self.recipient(&statement.confirmations)?;
        self.destination(root.attribute("Destination"), response_signed)?;
        self.answers(root.attribute("InResponseTo"), bearer.in_response_to.as_deref(), response_signed)?;
        let sent = root.moment("IssueInstant", self.checks)?;
        self.issued(sent)?;
        // The one that is signed.
        let made = self.issued(statement.issue_instant)?;
        let not_on_or_after = self.valid(&conditions, bearer)?;
        self.name_id(&statement.name_id)?;

        let Some(first) = statement.authn.first() else {
            self.checks.compare("authn_statement", false, "an AuthnStatement", "none");
            return Err(Error::new(&codes::SAML_AUTHN));
        };
        let session_end = statement.authn.iter().filter_map(|authn| authn.session_not_on_or_after).min();
        if let Some(end) = session_end {
            self.before("session_not_on_or_after", end)?;
        }
        let auth_instant = self.authenticated(first.instant)?;
        let acr = first.class.clone();
        self.context(acr.as_deref())?;
        let observed_skew = made.millis().saturating_sub(self.now.millis());
        self.checks.pass("clock_skew_ms", observed_skew);
        Ok(Verified {
            assertion_id: statement.id,
            issuer: self.expect.idp_entity_id.to_owned(),
            name_id: statement.name_id,
            session_index: first.session_index.clone(),
            attributes: statement.attributes,
            auth_instant,
            session_not_on_or_after: session_end,
            acr,
            not_on_or_after,
            in_response_to: self.expect.request_id.map(str::to_owned),
            certificate_thumbprint: thumbprint,
            observed_skew,
        })
    }

    /// Every restriction names us, and there is one.
    fn audience(&mut self, conditions: Option<Conditions>) -> Result<Conditions> {
        let ours = self.expect.sp_entity_id;
        let Some(conditions) = conditions else {
            self.checks.compare("audience", false, ours, "no Conditions");
            return Err(Error::new(&codes::SAML_AUDIENCE));
        };
        let names_us = |audiences: &Vec<String>| audiences.iter().any(|audience| audience == ours);
        let fits = !conditions.audiences.is_empty() && conditions.audiences.iter().all(names_us);
        let named = conditions.audiences.concat();
        let received = if named.is_empty() { "(none)".to_owned() } else { named.join(" ") };
        require(self.checks, "audience", fits, ours, received, &codes::SAML_AUDIENCE)?;
        Ok(conditions)
    }

    /// One confirmation by bearing is for this address. Of several, the first that is counts.
    fn recipient<'s>(&mut self, confirmations: &'s [Confirmation]) -> Result<&'s Confirmation> {
        let ours = self.expect.acs_url;
        let found = confirmations.iter().find(|confirmation| confirmation.recipient.as_deref() == Some(ours));
        let received = confirmations.first().and_then(|confirmation| confirmation.recipient.as_deref());
        let received = if found.is_some() { Some(ours) } else { received };
        let code = &codes::SAML_RECIPIENT;
        require(self.checks, "recipient", found.is_some(), ours, received.unwrap_or("(none)"), code)?;
        found.ok_or_else(|| Error::new(code))
    }

    /// A signed Response says whither it goes; an unsigned one may, and then it must be here.
    fn destination(&mut self, destination: Option<&str>, response_signed: bool) -> Result<()> {
        let ours = self.expect.acs_url;
        let fits = destination.map_or(!response_signed, |destination| destination == ours);
        require(self.checks, "destination", fits, ours, destination.unwrap_or("(none)"), &codes::SAML_DESTINATION)
    }

    /// It answers the request that was sent, and says so where it is signed; or no request at all.
    fn answers(&mut self, shell: Option<&str>, inside: Option<&str>, response_signed: bool) -> Result<()> {
        const NAME: &str = "in_response_to";
        let said = [shell, inside];
        let Some(request) = self.expect.request_id else {
            let said = said.into_iter().flatten().next();
            let code = &codes::SAML_IN_RESPONSE_TO;
            return require(self.checks, NAME, said.is_none(), "(none)", said.unwrap_or("(none)"), code);
        };
        if let Some(other) = said.into_iter().flatten().find(|said| *said != request) {
            return require(self.checks, NAME, false, request, other, &codes::SAML_IN_RESPONSE_TO);
        }
        // Outside of a signature anybody could have written it around an assertion that nobody asked for.
        let on_record = inside.is_some() || (response_signed && shell.is_some());
        let received = if on_record { request } else { "(none that is signed)" };
        require(self.checks, NAME, on_record, request, received, &codes::SAML_UNSOLICITED)
    }

    /// Just made: not ahead of our clock, and not long ago.
    fn issued(&mut self, at: Option<Timestamp>) -> Result<Timestamp> {
        let at = at.ok_or_else(|| refuse(self.checks, "issue_instant", "a moment", "(none)"))?;
        self.after("issue_instant", at)?;
        let oldest = self.now - MAX_AGE - self.skew;
        let expected = format!("{oldest} or later");
        require(self.checks, "issue_instant_age", at >= oldest, expected, at.to_string(), &codes::SAML_EXPIRED)?;
        Ok(at)
    }

    /// Within the time of its conditions and of its confirmation. Gives the moment from which on it is refused anyway.
    fn valid(&mut self, conditions: &Conditions, bearer: &Confirmation) -> Result<Timestamp> {
        if let Some(from) = conditions.not_before {
            self.after("not_before", from)?;
        }
        let end = self.end("not_on_or_after", conditions.not_on_or_after)?;
        // A bearer's confirmation has no beginning (profiles §4.1.4.2).
        if let Some(from) = bearer.not_before {
            let code = &codes::SAML_NOT_YET_VALID;
            require(self.checks, "confirmation_not_before", false, "(none)", from.to_string(), code)?;
        }
        let confirmed = self.end("confirmation_not_on_or_after", bearer.not_on_or_after)?;
        Ok(end.min(confirmed))
    }

    fn end(&mut self, name: &str, end: Option<Timestamp>) -> Result<Timestamp> {
        let Some(end) = end else {
            self.checks.compare(name, false, format!("later than {}", self.now), "(none)");
            return Err(Error::new(&codes::SAML_EXPIRED));
        };
        self.before(name, end)?;
        Ok(end)
    }

    /// The end has not come, even on a clock that runs behind ours.
    fn before(&mut self, name: &str, end: Timestamp) -> Result<()> {
        let fits = self.now < end + self.skew;
        let expected = format!("later than {}", self.now - self.skew);
        require(self.checks, name, fits, expected, end.to_string(), &codes::SAML_EXPIRED)
    }

    /// The beginning has come, even on a clock that runs ahead of ours.
    fn after(&mut self, name: &str, start: Timestamp) -> Result<()> {
        let latest = self.now + self.skew;
        let code = &codes::SAML_NOT_YET_VALID;
        require(self.checks, name, start <= latest, format!("{latest} or earlier"), start.to_string(), code)
    }

    /// A qualifier that names another service is a name for use there.
    fn name_id(&mut self, name_id: &NameId) -> Result<()> {
        let ours = self.expect.sp_entity_id;
        let Some(qualifier) = name_id.sp_name_qualifier.as_deref() else { return Ok(()) };
        require(self.checks, "sp_name_qualifier", qualifier == ours, ours, qualifier, &codes::SAML_NAMEID)
    }

    fn authenticated(&mut self, instant: Option<Timestamp>) -> Result<Timestamp> {
        let at = instant.ok_or_else(|| refuse(self.checks, "auth_instant", "a moment", "(none)"))?;
        self.after("auth_instant", at)?;
        if let Some(longest) = self.expect.max_age {
            let oldest = self.now - longest - self.skew;
            let expected = format!("{oldest} or later");
            require(self.checks, "max_age", at >= oldest, expected, at.to_string(), &codes::SAML_AUTHN)?;
        }
        Ok(at)
    }

    fn context(&mut self, class: Option<&str>) -> Result<()> {
        let asked = self.expect.requested_acr;
        if asked.is_empty() {
            return Ok(());
        }
        let fits = class.is_some_and(|class| asked.iter().any(|asked| asked == class));
        require(self.checks, "authn_context", fits, asked.join(" "), class.unwrap_or("(none)"), &codes::SAML_AUTHN)
    }
}
