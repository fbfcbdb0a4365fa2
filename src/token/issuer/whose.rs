//! Which trusted issuer a token is of, and whether it is for whom it should be.

use serde_json::Value;

use super::record::{TrustedIssuer, bare};
use super::step::{Step, shown, shown_value};
use super::walk::Walk;
use crate::error::{Result, codes};
use crate::store::Query;

impl Walk<'_> {
    /// Which issuer matches `iss`, and is the token for whom it should be?
    pub(super) async fn issuer_of(&mut self, iss: Option<String>) -> Result<TrustedIssuer> {
        let Some(iss) = iss.filter(|iss| !iss.is_empty() && iss.len() <= 512) else {
            let received = Some(shown_value(self.claims.get("iss")));
            let message = Some("The token does not say who made it.".to_owned());
            let setting = Some("iss".to_owned());
            return self.fail(
                &codes::TOKEN_CLAIMS,
                Step { name: "iss".to_owned(), message, received, setting, ..Step::default() },
            );
        };
        let found = TrustedIssuer::saying(&self.cx.store, &iss, self.organization).await?;
        if found.is_empty() {
            let step = self.unknown_issuer(&iss).await?;
            return self.fail(&codes::ISSUER_MISMATCH, step);
        }
        self.pass("iss", Some(shown(&iss)));
        let audiences = self.audiences();
        let fitting: Vec<&TrustedIssuer> = found
            .iter()
            .filter(|issuer| issuer.application_id.as_ref().is_none_or(|wanted| audiences.contains(wanted)))
            .collect();
        let Some(first) = fitting.first() else {
            let step = self.wrong_audience(&found);
            return self.fail(&codes::TOKEN_AUDIENCE, step);
        };
        // Two organizations may trust the same issuer for the same audience, one of them with keys of its own choice: who
        // is asked must then say which one is meant.
        if fitting.iter().any(|other| other.organization != first.organization) {
            let step = Step {
                name: "aud".to_owned(),
                message: Some("Several organizations trust this issuer for this audience.".to_owned()),
                setting: Some("organization".to_owned()),
                help: Some("Say which one is meant: `?organization=org_…`.".to_owned()),
                ..Step::default()
            };
            return self.fail(&codes::TOKEN_AUDIENCE, step);
        }
        let any = first.application_id.is_none();
        let told = any.then(|| "Any audience will do: the issuer has no `applicationID`.".to_owned());
        self.pass("aud", told.or_else(|| first.application_id.as_deref().map(shown)));
        Ok((*first).clone())
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
        let query = match self.organization {
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
