//! Which trusted issuer a token is of, and whether it is for whom it should be.

use serde_json::Value;

use super::record::{TrustedIssuer, bare};
use super::step::{Step, shown, shown_value};
use super::walk::Walk;
use crate::directory::{Identity, IdentitySource, Organization};
use crate::env::Timestamp;
use crate::error::{Result, codes};
use crate::governance::admitted;
use crate::id::OrganizationId;
use crate::policy::Via;
use crate::store::Query;
use crate::token::verify::unavailable;

/// Which organization's trust is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meant {
    /// That of this one and of no other.
    Alone(OrganizationId),
    /// That of this one, if it has any in the token: what the bearer asks for belongs to it.
    Rather(OrganizationId),
    /// Whoever's the bearer is.
    Any,
}

impl Meant {
    /// The only one that is asked, if there is one.
    pub(super) fn alone(self) -> Option<OrganizationId> {
        match self {
            Self::Alone(organization) => Some(organization),
            Self::Rather(_) | Self::Any => None,
        }
    }
}

impl From<Option<OrganizationId>> for Meant {
    fn from(named: Option<OrganizationId>) -> Self {
        named.map_or(Self::Any, Self::Alone)
    }
}

/// A trusted issuer whose token it may be.
#[derive(Debug)]
pub(super) struct Candidate {
    pub issuer: TrustedIssuer,
    /// Its organization is the one that is meant.
    pub meant: bool,
}

/// What somebody is to an organization, by what a token says that nobody has verified yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Meant,
    Member,
    KeptOut,
    Stranger,
    Closed,
}

impl Walk<'_> {
    /// Which issuers match `iss`, and is the token for whom one of them wants it? Whose it is probably stands first.
    pub(super) async fn candidates(&mut self, iss: Option<String>) -> Result<Vec<Candidate>> {
        let Some(iss) = iss.filter(|iss| !iss.is_empty() && iss.len() <= 512) else {
            let received = Some(shown_value(self.claims.get("iss")));
            let message = Some("The token does not say who made it.".to_owned());
            let setting = Some("iss".to_owned());
            return self.fail(
                &codes::TOKEN_CLAIMS,
                Step { name: "iss".to_owned(), message, received, setting, ..Step::default() },
            );
        };
        let found = TrustedIssuer::saying(&self.cx.store, &iss, self.meant.alone()).await?;
        if found.is_empty() {
            let step = self.unknown_issuer(&iss).await?;
            return self.fail(&codes::ISSUER_MISMATCH, step);
        }
        self.pass("iss", Some(shown(&iss)));
        let audiences = self.audiences();
        let fits =
            |issuer: &TrustedIssuer| issuer.application_id.as_ref().is_none_or(|wanted| audiences.contains(wanted));
        if !found.iter().any(fits) {
            let step = self.wrong_audience(&found);
            return self.fail(&codes::TOKEN_AUDIENCE, step);
        }
        // Of one organization the first alone decides.
        let mut each: Vec<TrustedIssuer> = Vec::new();
        for issuer in found.into_iter().filter(fits) {
            if each.iter().all(|other| other.organization != issuer.organization) {
                each.push(issuer);
            }
        }
        let mut ranked = Vec::new();
        let several = each.len() > 1;
        for issuer in each {
            let rank = if several { self.rank(&iss, &issuer).await? } else { (Standing::Meant, issuer.created_at) };
            ranked.push((rank, issuer));
        }
        ranked.sort_by_key(|(rank, issuer)| (*rank, issuer.id));
        let candidate = |((standing, _), issuer)| Candidate { issuer, meant: standing == Standing::Meant };
        Ok(ranked.into_iter().map(candidate).collect())
    }

    /// How near the bearer is to an organization, and since when. Nothing of it is believed before the organization's own
    /// keys hold the token: it is the order in which they are asked, and the first that can answer does. So whoever comes
    /// later with the same trust, changes nothing for those who were known or trusted before.
    async fn rank(&self, iss: &str, issuer: &TrustedIssuer) -> Result<(Standing, Timestamp)> {
        if self.meant == Meant::Rather(issuer.organization) {
            return Ok((Standing::Meant, issuer.created_at));
        }
        let subject = self.claims.get("sub").and_then(Value::as_str).unwrap_or_default();
        let key = Identity::key_of(IdentitySource::Issuer(issuer.id), &format!("{iss}|{subject}"));
        if let Some(known) = self.cx.store.get::<Identity>(key).await? {
            return match admitted(&self.cx.store, known.organization, known.user, Via::Token).await {
                Ok(_) => Ok((Standing::Member, known.created_at)),
                Err(error) if unavailable(&error) => Err(error),
                Err(_) => Ok((Standing::KeptOut, known.created_at)),
            };
        }
        match Organization::open(&self.cx.store, issuer.organization).await {
            Ok(_) => Ok((Standing::Stranger, issuer.created_at)),
            Err(error) if unavailable(&error) => Err(error),
            Err(_) => Ok((Standing::Closed, issuer.created_at)),
        }
    }

    /// `aud`: one text, or a list of nothing but texts.
    fn audiences(&self) -> Vec<String> {
        match self.claims.get("aud") {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(list)) => {
                let texts: Vec<String> = list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                if texts.len() == list.len() { texts } else { Vec::new() }
            }
            _ => Vec::new(),
        }
    }

    /// Nobody is trusted who says that. The one that was probably meant differs by what people get wrong.
    async fn unknown_issuer(&self, iss: &str) -> Result<Step> {
        let query = match self.meant.alone() {
            Some(organization) => Query::by("organization", organization.bytes()),
            None => Query::all(),
        };
        let alike = |text: &str| {
            let text = text.trim().to_ascii_lowercase();
            let text = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(&text);
            bare(text).trim_start_matches("www.").to_owned()
        };
        let wanted = alike(iss);
        let all = self.cx.store.page::<TrustedIssuer>(query.limit(1_000)).await?;
        let near = all.items.iter().find(|issuer| alike(&issuer.issuer) == wanted);
        let near_own = alike(self.cx.deployment.public_url.issuer()) == wanted;
        let (setting, message, help, expected) = match near {
            _ if near_own => (
                "publicUrl".to_owned(),
                "It is nearly authd's own issuer, but not exactly.".to_owned(),
                "The token was made while authd had another public URL: sign in again.".to_owned(),
                Some(self.cx.deployment.public_url.issuer().to_owned()),
            ),
            Some(issuer) => (
                issuer.naming().to_owned(),
                format!("It is nearly that of {}, but every letter counts.", issuer.id),
                format!("Set `{}` of {} to exactly what the token says.", issuer.naming(), issuer.id),
                Some(issuer.iss().to_owned()),
            ),
            None => (
                "issuer".to_owned(),
                "No trusted issuer says that.".to_owned(),
                "`authd issuer create` makes it one; `authd issuer list` shows those there are.".to_owned(),
                None,
            ),
        };
        Ok(Step {
            name: "iss".to_owned(),
            message: Some(message),
            setting: Some(setting),
            expected,
            received: Some(shown(iss)),
            help: Some(help),
            ..Step::default()
        })
    }

    fn wrong_audience(&self, found: &[TrustedIssuer]) -> Step {
        let wanted: Vec<String> =
            found.iter().filter_map(|issuer| issuer.application_id.as_deref().map(shown)).collect();
        Step {
            name: "aud".to_owned(),
            message: Some("The token is for somebody else.".to_owned()),
            setting: Some("applicationID".to_owned()),
            expected: Some(wanted.join(" or ")),
            received: Some(shown_value(self.claims.get("aud"))),
            help: Some(match found {
                [one] => format!("Set `applicationID` of {} to what the token says, if it is meant.", one.id),
                _ => "Make the issuer a trusted one for this audience, too, if it is meant.".to_owned(),
            }),
            ..Step::default()
        }
    }
}
