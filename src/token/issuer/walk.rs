//! The walk over a token: one question after the other, until one is answered with no. What a door decides and what
//! `token.explain` tells are the same walk.

use serde_json::{Map, Value};

use super::keys::IssuerKeys;
use super::record::TrustedIssuer;
use super::step::{Step, code_of, shown, shown_value, signature_step};
use super::whose::{Candidate, Meant};
use crate::access::Context;
use crate::crypto::jws::{self, Fault, MAX_TOKEN};
use crate::crypto::{from_base64url, json};
use crate::directory::Organization;
use crate::env::Timestamp;
use crate::error::{Code, Error, Result, codes};
use crate::id::OrganizationId;
use crate::token::verify::unavailable;
use crate::token::{Checked, Keyring};

/// How far another's clock may run ahead, in seconds. An end is an end.
const AHEAD: i64 = 60;
/// 9999-12-31T23:59:59Z: a time beyond it is no time.
const LAST_SECOND: i64 = 253_402_300_799;
/// Kinds of tokens that speak for somebody (RFC 8725 §3.11): a logout token by the same key does not.
const KINDS: &[&str] = &["jwt", "at+jwt"];

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

/// Whose token it is: authd's own for its API, or one of a trusted issuer, of the organization that is meant.
/// Errors: `not_signed_in` for everything that is wrong with it, with the reason as its cause;
/// `upstream_unavailable` and the like when the issuer's keys cannot be had.
pub async fn verify_trusted(
    cx: &Context,
    keyring: &Keyring,
    keys: &IssuerKeys,
    meant: Meant,
    token: &str,
) -> Result<Accepted> {
    Walk { cx, keyring, keys, meant, steps: Vec::new(), claims: Map::new(), issuer: None }.all(token).await
}

pub(super) struct Walk<'a> {
    pub cx: &'a Context,
    pub keyring: &'a Keyring,
    pub keys: &'a IssuerKeys,
    pub meant: Meant,
    /// What was asked so far. Only the last one may have been answered with no.
    pub steps: Vec<Step>,
    /// What the token says, believed or not.
    pub claims: Map<String, Value>,
    /// Whose it would be.
    pub issuer: Option<TrustedIssuer>,
}

impl Walk<'_> {
    pub(super) fn pass(&mut self, name: &str, message: impl Into<Option<String>>) {
        self.steps.push(Step { name: name.to_owned(), ok: true, message: message.into(), ..Step::default() });
    }

    /// The answer is no, and that is the end of it.
    pub(super) fn fail<T>(&mut self, code: &'static Code, step: Step) -> Result<T> {
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
        let candidates = self.candidates(iss).await?;
        let (issuer, claims) = self.voucher(token, &header, candidates).await?;
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

    /// The first whose keys hold the signature. Nobody's setting stands between the bearer and another organization: keys
    /// that do not fit or cannot be had are an answer only where nobody else has one, and to whom they are asked by name.
    async fn voucher(
        &mut self,
        token: &str,
        header: &Map<String, Value>,
        candidates: Vec<Candidate>,
    ) -> Result<(TrustedIssuer, Map<String, Value>)> {
        let before = self.steps.clone();
        let mut first = None;
        for Candidate { issuer, meant } in candidates {
            self.steps.clone_from(&before);
            self.issuer = Some(issuer.clone());
            match self.vouched(token, header, &issuer).await {
                Ok(claims) => return Ok((issuer, claims)),
                Err(error) => {
                    let over = meant && !error.is(&codes::NOT_SIGNED_IN);
                    let steps = std::mem::take(&mut self.steps);
                    first.get_or_insert((error, steps, issuer));
                    if over {
                        break;
                    }
                }
            }
        }
        let (error, steps, issuer) = first.ok_or_else(|| Error::bug("a token without a candidate"))?;
        (self.steps, self.issuer) = (steps, Some(issuer));
        Err(error)
    }

    /// Is the token signed by the issuer, as the setting wants it?
    async fn vouched(
        &mut self,
        token: &str,
        header: &Map<String, Value>,
        issuer: &TrustedIssuer,
    ) -> Result<Map<String, Value>> {
        let any = issuer.application_id.is_none();
        let told = any.then(|| "Any audience will do: the issuer has no `applicationID`.".to_owned());
        self.pass("aud", told.or_else(|| issuer.application_id.as_deref().map(shown)));
        self.algorithm(header, issuer)?;
        self.signature(token, header, issuer).await
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
    pub(super) fn subject(&mut self) -> Result<()> {
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
    pub(super) fn times(&mut self) -> Result<()> {
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
}
