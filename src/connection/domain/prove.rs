//! Proving domains: the challenge, and the look into DNS that answers it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::report::Finding;
use super::super::view::{DomainView, RecordView};
use super::check::{DomainCheck, Look, Sight, look};
use super::claim::{Challenge, Domain, Proof};
use super::event;
use super::ops::{claim, owner, touch};
use super::owner::{free_for, take};
use crate::access::throttle::{self, Rule, Subject};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::store::{Batch, Revision, Stored};

/// Ask for a new challenge for a domain: the TXT record that proves it. The one before it is no good any more. A domain
/// that is verified stays so; its proof is renewed when the new challenge is answered.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestVerification {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain.
    pub domain: String,
}

/// A challenge that was asked for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RequestedVerification {
    /// The connection.
    pub connection_id: ConnectionId,
    /// The domain: IDNA in ASCII, lower case.
    pub domain: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// From when on it cannot be answered.
    pub expires_at: Timestamp,
    /// What to set in DNS.
    pub challenge: RecordView,
}

#[async_trait]
impl Operation for RequestVerification {
    type Seen = ();
    type Output = RequestedVerification;
    const NAME: &'static str = "domain.request";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{connection}/domains/{domain}/request" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut claim, revision } = claim(cx, self.connection, &self.domain).await?;
        let challenge = Challenge::new(&cx.env);
        claim.challenge = Some(challenge.clone());
        batch.update(&claim, revision).log(event(cx, EventKind::DomainVerificationRequested, &claim));
        Ok(RequestedVerification {
            connection_id: self.connection,
            requested_at: challenge.requested_at,
            expires_at: challenge.expires_at,
            challenge: RecordView::of(&claim.name, &challenge.value),
            domain: claim.name,
        })
    }
}

/// Takes a look that somebody asked for: each asks name servers that somebody else pays for. Errors: `rate_limited`.
pub(super) async fn bounded(cx: &Context, connection: ConnectionId) -> Result<()> {
    throttle::take(cx, &[(Rule::DomainProof, Subject::new().and(connection.bytes()))]).await?.spend().await
}

/// What DNS said of which record.
#[derive(Debug, Default)]
pub struct Shown(Option<(String, Sight)>);

impl Shown {
    /// Asks for the answer to the open challenge, or else for the record that has to stay.
    async fn see(cx: &Context, connection: ConnectionId, domain: &str) -> Result<Self> {
        let claim = claim(cx, connection, domain).await?;
        let open = claim.open(cx.env.now()).map(|challenge| challenge.value.as_str());
        let Some(value) = open.or_else(|| claim.kept_record()) else { return Ok(Self::default()) };
        bounded(cx, connection).await?;
        Ok(Self(Some((value.to_owned(), look(&cx.env, &claim.name, value).await))))
    }

    /// What DNS said of this record, if it was this one that was asked for.
    fn of(&self, value: Option<&str>) -> Option<&Sight> {
        self.0.as_ref().filter(|(asked, _)| value == Some(asked)).map(|(_, sight)| sight)
    }
}

/// Writes into the batch that the claim is proved. Errors: `domain_taken`.
async fn prove(cx: &Context, claim: &mut Domain, revision: Revision, proof: Proof, batch: &mut Batch) -> Result<()> {
    take(&cx.store, &claim.name, claim.organization, claim.connection, batch).await?;
    touch(cx, claim.connection, batch).await?;
    claim.prove(&cx.env, proof);
    if proof == Proof::Dns {
        batch.put(&DomainCheck::proved(&cx.env, claim));
    }
    let by = match proof {
        Proof::Dns => "dns",
        Proof::Vouched => "vouched",
    };
    batch.update(claim, revision).log(event(cx, EventKind::DomainVerified, claim).with("by", by));
    Ok(())
}

/// Writes into the batch that somebody vouches for a claim that is made with it. Errors: `domain_taken`.
pub(crate) async fn vouch(cx: &Context, claim: &mut Domain, batch: &mut Batch) -> Result<()> {
    take(&cx.store, &claim.name, claim.organization, claim.connection, batch).await?;
    claim.prove(&cx.env, Proof::Vouched);
    batch.log(event(cx, EventKind::DomainVerified, claim).with("by", "vouched"));
    Ok(())
}

/// Prove a domain by its TXT record in DNS, or vouch for it with `force`. From then on people are routed by it, and
/// e-mail addresses in it are believed. A domain has at most one owner in the deployment. The record has to stay in
/// DNS: it is asked for every week.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerifyDomain {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain.
    pub domain: String,
    /// Vouch for it without a proof by DNS. It takes the grant `connection.domain.trust`, and is audited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

#[async_trait]
impl Operation for VerifyDomain {
    type Seen = Shown;
    type Output = DomainView;
    const NAME: &'static str = "domain.verify";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{connection}/domains/{domain}/verify" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        if self.force {
            return Ok(Shown::default());
        }
        Shown::see(cx, self.connection, &self.domain).await
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut claim, revision } = claim(cx, self.connection, &self.domain).await?;
        if self.force && !cx.caller.holds(Grant::ConnectionDomainTrust, claim.organization) {
            let grant = Grant::ConnectionDomainTrust;
            return Err(Error::new(&codes::MISSING_GRANT).help(format!(
                "Vouching for a domain takes the grant `{grant}`. Without it, prove the domain by DNS."
            )));
        }
        let open = claim.open(cx.env.now()).cloned();
        match open {
            // There is nothing that could be proved anew.
            _ if claim.verified_at.is_some() && (self.force || open.is_none()) => {}
            _ if self.force => prove(cx, &mut claim, revision, Proof::Vouched, batch).await?,
            None => {
                return Err(Error::says(&codes::DOMAIN_NOT_PROVED, "The challenge has expired.")
                    .help("`authd domain request` makes a new one."));
            }
            Some(challenge) => {
                shown(&claim.name, &challenge, seen.of(Some(&challenge.value)))?;
                prove(cx, &mut claim, revision, Proof::Dns, batch).await?;
            }
        }
        // A proof of now has not been looked at again.
        if batch.is_empty() { super::view(cx, &claim).await } else { Ok(DomainView::from(&claim)) }
    }
}

/// Whether DNS answers the challenge. Errors: `domain_not_proved`, `upstream_unavailable`.
fn shown(name: &str, challenge: &Challenge, sight: Option<&Sight>) -> Result<()> {
    let record = Challenge::record_name(name);
    let unproved = |why: String| {
        Error::says(&codes::DOMAIN_NOT_PROVED, why)
            .help(format!("Set the TXT record `{record}` to `{}`, then try again.", challenge.value))
    };
    match sight.map(|sight| sight.look) {
        Some(Look::Proved) => Ok(()),
        Some(Look::Missing) => Err(unproved(format!("DNS has no TXT record `{record}` yet."))),
        Some(Look::Different) => Err(unproved(format!("The TXT record `{record}` says something else."))),
        Some(Look::Unreachable) => Err(unreachable(&record)),
        // The challenge was renewed while the one before was looked for.
        None => Err(Error::new(&codes::DOMAIN_NOT_PROVED)),
    }
}

fn unreachable(record: &str) -> Error {
    Error::says(&codes::UPSTREAM_UNAVAILABLE, format!("No name server gave an answer about `{record}`."))
        .help("Try again in a moment. If it stays, look at the name servers of this machine and of the domain.")
}

/// Prove a domain by its TXT record in DNS, and get a report of what was seen, whether it is proved or not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConfirmDomain {
    /// The connection.
    pub connection: ConnectionId,
    /// The domain.
    pub domain: String,
}

/// What was seen of a proof.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Confirmation {
    /// Everything holds.
    pub ok: bool,
    /// The connection.
    pub connection_id: ConnectionId,
    /// The domain: IDNA in ASCII, lower case.
    pub domain: String,
    /// One row a check: `verification_requested`, `challenge_active`, `dns_record_present`, `dns_record_matches`,
    /// `domain_verified`.
    pub checks: Vec<Finding>,
}

#[async_trait]
impl Operation for ConfirmDomain {
    type Seen = Shown;
    type Output = Confirmation;
    const NAME: &'static str = "domain.confirm";
    const ACCESS: Access = Access::Grant(Grant::ConnectionDomainManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{connection}/domains/{domain}/confirm" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner(cx, self.connection).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        Shown::see(cx, self.connection, &self.domain).await
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut claim, revision } = claim(cx, self.connection, &self.domain).await?;
        let open = claim.open(cx.env.now()).cloned();
        let expected = open.as_ref().map(|challenge| challenge.value.as_str()).or_else(|| claim.kept_record());
        let sight = seen.of(expected);
        let mut checks = examined(&claim, open.as_ref(), expected, sight);
        let answered = open.is_some() && sight.is_some_and(|sight| sight.look == Look::Proved);
        let mut taken = None;
        if answered {
            match free_for(&cx.store, &claim.name, claim.organization).await {
                Ok(_) => prove(cx, &mut claim, revision, Proof::Dns, batch).await?,
                Err(error) if error.is(&codes::DOMAIN_TAKEN) => taken = Some(error.message().to_owned()),
                Err(error) => return Err(error),
            }
        }
        let message = match (claim.verified_at, claim.proof) {
            (Some(at), Some(Proof::Vouched)) => format!("Vouched for since {at}."),
            (Some(at), _) => format!("Proved by DNS since {at}. The record has to stay there."),
            (None, _) => taken.unwrap_or_else(|| "It is a claim, not yet proved.".to_owned()),
        };
        checks.push(finding("domain_verified", claim.verified_at.is_some(), message));
        Ok(Confirmation {
            ok: checks.iter().all(|check| check.ok),
            connection_id: self.connection,
            domain: claim.name,
            checks,
        })
    }
}

fn finding(name: &str, ok: bool, message: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), ok, message: Some(message.into()) }
}

/// The checks before the last one.
fn examined(claim: &Domain, open: Option<&Challenge>, expected: Option<&str>, sight: Option<&Sight>) -> Vec<Finding> {
    let verified = claim.verified_at.is_some();
    let record = Challenge::record_name(&claim.name);
    let requested = claim.challenge.as_ref().map_or_else(
        || finding("verification_requested", verified, if verified { "Answered." } else { "`authd domain request`." }),
        |challenge| finding("verification_requested", true, format!("Asked for at {}.", challenge.requested_at)),
    );
    let active = match (open, &claim.challenge) {
        (Some(challenge), _) => {
            finding("challenge_active", true, format!("It can be answered until {}.", challenge.expires_at))
        }
        (None, _) if verified => finding("challenge_active", true, "Answered."),
        (None, Some(old)) => finding(
            "challenge_active",
            false,
            format!("It expired at {}. `authd domain request` makes a new one.", old.expires_at),
        ),
        (None, None) => finding("challenge_active", false, "There is none. `authd domain request` makes one."),
    };
    let (present, matches) = match (expected, sight) {
        (None, _) if verified => {
            let message = "Somebody vouched for it: DNS is not asked.";
            (finding("dns_record_present", true, message), finding("dns_record_matches", true, message))
        }
        (None, _) => {
            let message = "DNS was not asked: there is no challenge to answer.";
            (finding("dns_record_present", false, message), finding("dns_record_matches", false, message))
        }
        // The challenge was renewed while the one before was looked for.
        (Some(_), None) => {
            let message = "DNS was asked for the challenge before. Try again.";
            (finding("dns_record_present", false, message), finding("dns_record_matches", false, message))
        }
        (Some(value), Some(sight)) => seen(&record, value, sight),
    };
    vec![requested, active, present, matches]
}

/// What DNS says, as two checks.
fn seen(record: &str, value: &str, sight: &Sight) -> (Finding, Finding) {
    let (present, said) = match sight.look {
        Look::Proved | Look::Different => (true, format!("`{record}` says {}.", quoted(&sight.texts))),
        Look::Missing => (false, format!("DNS has no TXT record `{record}`.")),
        Look::Unreachable => {
            let why = sight.trouble.as_ref().map_or("", Error::message);
            (false, format!("No name server gave an answer about `{record}`. {why}").trim_end().to_owned())
        }
    };
    let matches = sight.look == Look::Proved;
    let wanted = if matches { format!("It says `{value}`.") } else { format!("It has to say `{value}`.") };
    (finding("dns_record_present", present, said), finding("dns_record_matches", matches, wanted))
}

/// Strangers' texts, shortened, without control characters.
fn quoted(texts: &[String]) -> String {
    let short = |text: &String| {
        let plain: String = text.chars().filter(|c| !c.is_control()).take(100).collect();
        format!("`{plain}`")
    };
    let mut shown: Vec<String> = texts.iter().take(5).map(short).collect();
    if texts.len() > shown.len() {
        shown.push(format!("and {} more", texts.len() - shown.len()));
    }
    shown.join(", ")
}
