//! The walk over a token: one question after the other, until one is answered with no. What a door decides and what
//! `token.explain` tells are the same walk.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::keys::IssuerKeys;
use super::record::{TrustedIssuer, bare};
use crate::access::Context;
use crate::crypto::jws::{self, Fault, MAX_TOKEN};
use crate::crypto::{from_base64url, json};
use crate::directory::{Membership, Organization};
use crate::env::Timestamp;
use crate::error::{Code, Error, Result, codes};
use crate::id::{AppId, OrganizationId};
use crate::store::Query;
use crate::token::verify::{OWN, unavailable};
use crate::token::{self, Checked, Keyring, Type, api_audience};

/// How far another's clock may run ahead, in seconds. An end is an end.
const AHEAD: i64 = 60;
/// 9999-12-31T23:59:59Z: a time beyond it is no time.
const LAST_SECOND: i64 = 253_402_300_799;
/// Kinds of tokens that speak for somebody (RFC 8725 §3.11): a logout token by the same key does not.
const KINDS: &[&str] = &["jwt", "at+jwt"];

/// One question about a token, and its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// A stable name.
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The setting to look at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
    /// What would have held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What the token says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// Whose token it is, once every question was answered with yes.
#[derive(Debug)]
pub enum Accepted {
    /// authd's own, for its API or for an app that the organization has registered.
    Own(Checked),
    /// A trusted issuer's.
    Trusted {
        /// The issuer.
        issuer: TrustedIssuer,
        /// What the token says.
        claims: Map<String, Value>,
    },
}

/// Whose token it is: authd's own for its API, or one of a trusted issuer of `organization`, or of whichever it is where
/// none is named. Errors: `not_signed_in` for everything that is wrong with it, with the reason as its cause;
/// `upstream_unavailable` and the like when the issuer's keys cannot be had.
pub async fn verify_trusted(
    cx: &Context,
    keyring: &Keyring,
    keys: &IssuerKeys,
    organization: Option<OrganizationId>,
    token: &str,
) -> Result<Accepted> {
    Walk { cx, keyring, keys, organization, steps: Vec::new(), claims: Map::new(), issuer: None }.all(token).await
}

pub(super) struct Walk<'a> {
    pub cx: &'a Context,
    pub keyring: &'a Keyring,
    pub keys: &'a IssuerKeys,
    pub organization: Option<OrganizationId>,
    /// What was asked so far. Only the last one may have been answered with no.
    pub steps: Vec<Step>,
    /// What the token says, believed or not.
    pub claims: Map<String, Value>,
    /// Whose it would be.
    pub issuer: Option<TrustedIssuer>,
}

/// A text of a stranger, short enough to be shown.
fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn shown_value(value: Option<&Value>) -> String {
    match value {
        None => "(absent)".to_owned(),
        Some(Value::String(text)) => shown(text),
        Some(other) => shown(&other.to_string()),
    }
}

impl Walk<'_> {
    fn pass(&mut self, name: &str, message: impl Into<Option<String>>) {
        self.steps.push(Step { name: name.to_owned(), ok: true, message: message.into(), ..Step::default() });
    }

    /// The answer is no, and that is the end of it.
    fn fail<T>(&mut self, code: &'static Code, step: Step) -> Result<T> {
        let error = Error::new(&codes::NOT_SIGNED_IN).because(Error::new(code));
        self.steps.push(step);
        Err(error)
    }

    /// Asks everything.
    pub async fn all(&mut self, token: &str) -> Result<Accepted> {
        let header = self.form(token)?;
        self.header(&header)?;
        let iss = self.claims.get("iss").and_then(Value::as_str).map(str::to_owned);
        if iss.as_deref() == Some(self.cx.deployment.public_url.issuer()) {
            return self.own(token).await;
        }
        let issuer = self.issuer_of(iss).await?;
        self.issuer = Some(issuer.clone());
        self.algorithm(&header, &issuer)?;
        let claims = self.signature(token, &header, &issuer).await?;
        self.claims = claims.clone();
        self.subject()?;
        self.times()?;
        self.organization(issuer.organization).await?;
        Ok(Accepted::Trusted { issuer, claims })
    }

    /// Is it a JWT at all?
    fn form(&mut self, token: &str) -> Result<Map<String, Value>> {
        let no = |message: &str, help: &str| Step {
            name: "jwt".to_owned(),
            message: Some(message.to_owned()),
            setting: Some("token".to_owned()),
            help: (!help.is_empty()).then(|| help.to_owned()),
            ..Step::default()
        };
        let unlike = |prefix: &str| token.starts_with(prefix);
        let known = if token.is_empty() {
            Some(no("It is empty.", "The client sent no token: it is signed out, or has not fetched one yet."))
        } else if token.get(..7).is_some_and(|text| text.eq_ignore_ascii_case("bearer ")) {
            Some(no("It begins with `Bearer`.", "The word belongs into the header, before the token."))
        } else if ["ak_", "rt_", "cs_", "ac_"].into_iter().any(unlike) {
            Some(no("It is an API key, a refresh token, a client secret or a code of authd, and no JWT.", ""))
        } else if token.split('.').count() == 5 {
            Some(no("It is encrypted (JWE).", "Only signed tokens are read: switch the encryption off at the issuer."))
        } else if token.len() > MAX_TOKEN {
            Some(no("It is longer than 8 KiB.", "Have the issuer put less into it."))
        } else {
            None
        };
        if let Some(step) = known {
            return self.fail(&codes::TOKEN_SIGNATURE, step);
        }
        let read = jws::header(token).map_err(|fault| match fault {
            Fault::Form(why) => why,
            _ => "it cannot be read",
        });
        let payload = token.split('.').nth(1).and_then(from_base64url).and_then(|bytes| json::object(&bytes));
        match (read, payload) {
            (Ok(header), Some(claims)) => {
                self.claims = claims;
                self.pass("jwt", None);
                Ok(header)
            }
            (Err(why), _) => {
                let step =
                    no(&format!("It is not a JWT: {why}."), "An opaque access token is no JWT: ask for an id token.");
                self.fail(&codes::TOKEN_SIGNATURE, step)
            }
            (Ok(_), None) => {
                let step = no("Its claims are not a JSON object, or one of them stands twice.", "");
                self.fail(&codes::TOKEN_CLAIMS, step)
            }
        }
    }

    /// Are `typ`, `alg` and `kid` right?
    fn header(&mut self, header: &Map<String, Value>) -> Result<()> {
        let typ = header.get("typ");
        let fits = match typ {
            None => true,
            Some(value) => value.as_str().is_some_and(|text| {
                let text = text.to_ascii_lowercase();
                KINDS.contains(&text.strip_prefix("application/").unwrap_or(&text))
            }),
        };
        if !fits {
            let step = Step {
                name: "typ".to_owned(),
                message: Some("It is a token of another kind.".to_owned()),
                setting: Some("typ".to_owned()),
                expected: Some("JWT".to_owned()),
                received: Some(shown_value(typ)),
                ..Step::default()
            };
            return self.fail(&codes::TOKEN_CLAIMS, step);
        }
        let absent = typ.is_none().then(|| "Convex takes only tokens whose header says `typ: JWT`.".to_owned());
        self.pass("typ", absent.or_else(|| Some(shown_value(typ))));
        let alg = header.get("alg");
        if !matches!(alg.and_then(Value::as_str), Some("RS256" | "ES256")) {
            let step = Step {
                name: "alg".to_owned(),
                message: Some("Tokens are signed with RS256 or ES256.".to_owned()),
                setting: Some("algorithm".to_owned()),
                expected: Some("RS256 or ES256".to_owned()),
                received: Some(shown_value(alg)),
                help: Some("Choose one of the two at the issuer.".to_owned()),
                ..Step::default()
            };
            return self.fail(&codes::TOKEN_SIGNATURE, step);
        }
        self.pass("alg", Some(shown_value(alg)));
        let told = match header.get("kid") {
            Some(kid) => shown_value(Some(kid)),
            None => "There is none: it holds only while exactly one key of the issuer fits.".to_owned(),
        };
        self.pass("kid", Some(told));
        Ok(())
    }

    /// Which issuer matches `iss`, and is the token for whom it should be?
    async fn issuer_of(&mut self, iss: Option<String>) -> Result<TrustedIssuer> {
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

    /// Is the algorithm the one that the issuer is set to?
    fn algorithm(&mut self, header: &Map<String, Value>, issuer: &TrustedIssuer) -> Result<()> {
        let alg = header.get("alg").and_then(Value::as_str).unwrap_or_default();
        let allowed: Vec<&str> = issuer.algorithms().iter().map(|algorithm| algorithm.name()).collect();
        if allowed.contains(&alg) {
            return Ok(());
        }
        let step = Step {
            name: "alg".to_owned(),
            message: Some("The issuer is set to another algorithm.".to_owned()),
            setting: Some("algorithm".to_owned()),
            expected: Some(allowed.join(" or ")),
            received: Some(shown(alg)),
            help: Some(format!("Set `algorithm` of {} to what the issuer signs with.", issuer.id)),
            ..Step::default()
        };
        // The question was answered with yes before it was known who asks.
        self.steps.retain(|asked| asked.name != "alg");
        self.fail(&codes::TOKEN_SIGNATURE, step)
    }

    /// Does a key of the issuer hold the signature?
    async fn signature(
        &mut self,
        token: &str,
        header: &Map<String, Value>,
        issuer: &TrustedIssuer,
    ) -> Result<Map<String, Value>> {
        let setting = Some(issuer.keyed_by().to_owned());
        let verdict = match self.keys.check(&self.cx.env, issuer, token).await {
            Ok(verdict) => verdict,
            Err(error) => {
                self.steps.push(Step {
                    name: "keys".to_owned(),
                    message: Some(format!("The issuer's keys cannot be had: {}", error.message())),
                    setting,
                    received: Some(error.code().to_owned()),
                    help: error.next_step().map(str::to_owned),
                    ..Step::default()
                });
                return Err(error);
            }
        };
        let fault = match verdict {
            Ok(verified) => {
                self.pass("signature", None);
                return Ok(verified.claims);
            }
            Err(fault) => fault,
        };
        let step = signature_step(fault, header, setting);
        if step.name == "kid" {
            self.steps.retain(|asked| asked.name != "kid");
        }
        self.fail(code_of(fault), step)
    }

    /// Does it say whom it is about?
    fn subject(&mut self) -> Result<()> {
        let sub = self.claims.get("sub");
        let fits = sub
            .and_then(Value::as_str)
            .is_some_and(|sub| (1..=255).contains(&sub.len()) && !sub.chars().any(char::is_control));
        if fits {
            self.pass("sub", None);
            return Ok(());
        }
        let step = Step {
            name: "sub".to_owned(),
            message: Some("The token does not say whom it is about.".to_owned()),
            setting: Some("sub".to_owned()),
            expected: Some("a text of 1 to 255 bytes".to_owned()),
            received: Some(shown_value(sub)),
            ..Step::default()
        };
        self.fail(&codes::TOKEN_CLAIMS, step)
    }

    /// Is it valid now?
    fn times(&mut self) -> Result<()> {
        let now = self.cx.env.now().seconds();
        for (name, needed) in [("exp", true), ("iat", false), ("nbf", false)] {
            let value = self.claims.get(name).cloned();
            if value.is_none() && !needed {
                continue;
            }
            let step = |message: &str, code| {
                let step = Step {
                    name: name.to_owned(),
                    message: Some(message.to_owned()),
                    setting: Some(name.to_owned()),
                    ..Step::default()
                };
                (code, step)
            };
            let at = value.as_ref().and_then(Value::as_i64).filter(|at| (0..=LAST_SECOND).contains(at));
            let wrong = match (name, at) {
                (_, None) => Some(step("It is not a whole number of seconds.", &codes::TOKEN_CLAIMS)),
                ("exp", Some(at)) if at <= now => Some(step("The token has expired.", &codes::TOKEN_EXPIRED)),
                ("iat", Some(at)) if at > now + AHEAD => {
                    Some(step("The token comes from the future.", &codes::TOKEN_CLAIMS))
                }
                ("nbf", Some(at)) if at > now + AHEAD => {
                    Some(step("The token is not valid yet.", &codes::TOKEN_EXPIRED))
                }
                _ => None,
            };
            let written = |at: i64| Timestamp::from_seconds(at).to_string();
            match wrong {
                None => self.pass(name, at.map(written)),
                Some((code, step)) => {
                    let now = written(now);
                    let step = Step {
                        expected: Some(if name == "exp" { format!("after {now}") } else { format!("until {now}") }),
                        received: Some(at.map_or_else(|| shown_value(value.as_ref()), written)),
                        help: Some(
                            match name {
                                "exp" => {
                                    "Have the client fetch a fresh token; else compare the clocks of both machines."
                                }
                                _ => "Compare the clocks of both machines.",
                            }
                            .to_owned(),
                        ),
                        ..step
                    };
                    return self.fail(code, step);
                }
            }
        }
        Ok(())
    }

    /// May people of the organization come in?
    async fn organization(&mut self, organization: OrganizationId) -> Result<()> {
        match Organization::open(&self.cx.store, organization).await {
            Ok(_) => Ok(()),
            Err(error) if unavailable(&error) => Err(error),
            Err(error) => {
                let step = Step {
                    name: "organization".to_owned(),
                    message: Some(error.message().to_owned()),
                    setting: Some("organization".to_owned()),
                    received: Some(organization.to_string()),
                    ..Step::default()
                };
                self.fail(&codes::ORGANIZATION_DISABLED, step)
            }
        }
    }

    /// authd's own token: for its API, or for an app that an organization has registered like any other issuer's.
    async fn own(&mut self, token: &str) -> Result<Accepted> {
        let own = self.cx.deployment.public_url.issuer().to_owned();
        self.pass("iss", Some(format!("{own} (authd itself)")));
        let aud = self.claims.get("aud").and_then(Value::as_str).unwrap_or_default().to_owned();
        let api = aud == api_audience(&self.cx.deployment.public_url);
        let organization = self
            .claims
            .get("org_id")
            .and_then(Value::as_str)
            .and_then(|id| id.parse::<OrganizationId>().ok())
            .filter(|own| self.organization.is_none_or(|wanted| wanted == *own));
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
                Membership::active(&self.cx.store, checked.grant.organization, user).await?;
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

fn code_of(fault: Fault) -> &'static Code {
    match fault {
        Fault::Key | Fault::KeyName => &codes::TOKEN_KEY,
        Fault::Critical | Fault::Payload => &codes::TOKEN_CLAIMS,
        Fault::Form(_) | Fault::Algorithm | Fault::Misfit | Fault::Signature => &codes::TOKEN_SIGNATURE,
    }
}

/// Why no key of the issuer holds the token.
fn signature_step(fault: Fault, header: &Map<String, Value>, setting: Option<String>) -> Step {
    let kid = shown_value(header.get("kid"));
    let step = |name: &str, message: &str, help: &str| Step {
        name: name.to_owned(),
        message: Some(message.to_owned()),
        help: (!help.is_empty()).then(|| help.to_owned()),
        ..Step::default()
    };
    let step = match fault {
        Fault::Key if header.contains_key("kid") => Step {
            expected: Some("exactly one key of the issuer".to_owned()),
            received: Some(kid),
            ..step(
                "kid",
                "No key of the issuer goes by that name, or more than one does.",
                "The keys are those of another issuer, or were rotated: they are read again within 30 seconds.",
            )
        },
        Fault::Key => step(
            "kid",
            "The token does not name its key, and not exactly one of the issuer's fits.",
            "Have the issuer put `kid` into the header of its tokens and into its keys.",
        ),
        Fault::KeyName => step("kid", "The name of the key cannot be one.", ""),
        Fault::Misfit => Step {
            received: Some(shown_value(header.get("alg"))),
            ..step("alg", "The key of that name is not one for the algorithm of the token.", "")
        },
        Fault::Algorithm => {
            Step { received: Some(shown_value(header.get("alg"))), ..step("alg", "The algorithm is not accepted.", "") }
        }
        Fault::Critical => step("signature", "The header asks for an extension (`crit`); none is served.", ""),
        Fault::Form(_) | Fault::Payload => step("signature", "It can be read in two ways.", ""),
        Fault::Signature => step(
            "signature",
            "The signature does not hold: the token was changed, or another key signed it.",
            "Compare where the issuer publishes its keys with the setting.",
        ),
    };
    Step { setting: setting.or_else(|| Some("token".to_owned())), ..step }
}
