//! authd's own tokens: what is taken of them, and what they hang on.

use serde_json::Value;

use super::record::TrustedIssuer;
use super::step::{Step, code_of, shown, shown_value, signature_step};
use super::walk::{Accepted, Walk};
use crate::access::bearer::Holder;
use crate::crypto::jws;
use crate::directory::Organization;
use crate::error::{Error, Result, codes};
use crate::governance::admitted;
use crate::id::{AppId, OrganizationId};
use crate::token::verify::{OWN, unavailable};
use crate::token::{self, TokenGrant, Type, api_audience};

impl Walk<'_> {
    /// authd's own token: for its API, or for an app that an organization has registered like any other issuer's.
    pub(super) async fn own(&mut self, token: &str) -> Result<Accepted> {
        let own = self.cx.deployment.public_url.issuer().to_owned();
        self.pass("iss", Some(format!("{own} (authd itself)")));
        let aud = self.claims.get("aud").and_then(Value::as_str).unwrap_or_default().to_owned();
        let api = aud == api_audience(&self.cx.deployment.public_url);
        let organization = self
            .claims
            .get("org_id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse::<OrganizationId>().ok())
            .filter(|own| self.meant.alone().is_none_or(|wanted| wanted == *own));
        if !api {
            let found = TrustedIssuer::saying(&self.cx.store, &own, organization).await?;
            let found = found.into_iter().find(|issuer| {
                Some(issuer.organization) == organization && issuer.application_id.as_deref() == Some(&*aud)
            });
            match found {
                Some(issuer) => self.issuer = Some(issuer),
                None => {
                    let step = self.of_no_app(&aud);
                    return self.fail(&codes::TOKEN_AUDIENCE, step);
                }
            }
        }
        self.pass("aud", Some(shown(&aud)));
        let header = jws::header(token).unwrap_or_default();
        let kid = header.get("kid").and_then(Value::as_str).unwrap_or_default();
        let snapshot = self.keyring.knowing(self.cx, kid).await?;
        if let Err(fault) = snapshot.verifying.check(token, OWN) {
            let step = signature_step(fault, &header, None);
            return self.fail(code_of(fault), step);
        }
        self.pass("signature", None);
        self.subject()?;
        self.times()?;
        self.live(token, api, organization).await
    }

    fn of_no_app(&self, aud: &str) -> Step {
        let app = aud.parse::<AppId>().is_ok();
        Step {
            name: "aud".to_owned(),
            message: Some(if app {
                "The token is for an app, and authd's own issuer is not a trusted one for it.".to_owned()
            } else {
                "The token is not for authd's own API.".to_owned()
            }),
            setting: Some("applicationID".to_owned()),
            expected: Some(api_audience(&self.cx.deployment.public_url)),
            received: Some(shown_value(self.claims.get("aud"))),
            help: Some(if app {
                format!(
                    "`authd issuer create --kind oidc --domain {} --application-id {}` makes it one.",
                    self.cx.deployment.public_url.issuer(),
                    shown(aud)
                )
            } else {
                "`authd token issue` makes one that is.".to_owned()
            }),
            ..Step::default()
        }
    }

    /// Does what the token was given for still hold?
    async fn live(&mut self, token: &str, api: bool, organization: Option<OrganizationId>) -> Result<Accepted> {
        let standing = async {
            let checked = token::verify(self.cx, self.keyring, token).await?;
            let ours = if api { checked.grant.app.is_none() && checked.typ == Type::Access.name() } else { true };
            if !ours || organization != Some(checked.grant.organization) {
                return Err(Error::new(&codes::INVALID_TOKEN));
            }
            if api {
                token::verify_api(self.cx, self.keyring, token).await?;
            } else if let Some(user) = checked.grant.user {
                let TokenGrant { organization, epochs, .. } = &checked.grant;
                admitted(&self.cx.store, *organization, user, epochs.via())
                    .await
                    .map_err(|error| Holder::person(error, *organization, Some(user)))?;
            } else {
                Organization::open(&self.cx.store, checked.grant.organization).await?;
            }
            Ok(checked)
        };
        match standing.await {
            Ok(checked) => {
                self.pass("grant", None);
                Ok(Accepted::Own(checked))
            }
            Err(error) if unavailable(&error) => Err(error),
            Err(error) if error.is(&codes::SSO_REQUIRED) => {
                self.steps.push(Step {
                    name: "grant".to_owned(),
                    message: Some(error.message().to_owned()),
                    setting: Some("enforcement".to_owned()),
                    help: error.next_step().map(str::to_owned),
                    ..Step::default()
                });
                Err(error)
            }
            Err(_) => {
                let id_token = !self.claims.contains_key("grant");
                let (message, help) = if id_token {
                    ("It is an id token: it says who somebody is, and opens nothing.", "Send the access token.")
                } else {
                    (
                        "What it was given for has ended, or is not of this organization.",
                        "It was revoked, or the person's access has ended: sign in again.",
                    )
                };
                let step = Step {
                    name: "grant".to_owned(),
                    message: Some(message.to_owned()),
                    setting: Some("token".to_owned()),
                    help: Some(help.to_owned()),
                    ..Step::default()
                };
                self.fail(&codes::INVALID_TOKEN, step)
            }
        }
    }
}
