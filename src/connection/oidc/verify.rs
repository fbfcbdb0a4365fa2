//! Every check of an id_token (OpenID Connect Core §3.1.3.7, RFC 8725). What is not checked here is not known.

use serde_json::{Map, Value};

use super::begin::Kept;
use super::config::Config;
use super::discovery::Metadata;
use super::{require, shown, shown_value};
use crate::connection::protocol::Checks;
use crate::crypto::jws::{self, Algorithm, Fault, Verified};
use crate::crypto::{base64url, same};
use crate::env::Timestamp;
use crate::error::{Code, Error, Result, codes};

/// 9999-12-31T23:59:59Z: a time beyond it is no time.
const LAST_SECOND: i64 = 253_402_300_799;
const LAST_MOMENT: f64 = 253_402_300_799.0;
const MAX_SUBJECT: usize = 255;

/// The algorithms that a token of this connection may have: those configured, or else those announced. The token's
/// own header is never asked.
pub(super) fn algorithms(config: &Config, metadata: &Metadata) -> Vec<Algorithm> {
    config.security.algorithms.clone().unwrap_or_else(|| metadata.algorithms.clone())
}

/// Notes what came of the signature. Errors: those of `KeySet::verify`, and of fetching the keys.
pub(super) fn signature(
    token: &str,
    allowed: &[Algorithm],
    verdict: Result<Result<Verified, Fault>>,
    checks: &mut Checks,
) -> Result<Verified> {
    let header = jws::header(token).unwrap_or_default();
    let names = allowed.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(" ");
    let alg = shown_value(header.get("alg"));
    let kid = shown_value(header.get("kid"));
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(error) => {
            checks.compare("jwks", false, "the provider's keys", error.code());
            return Err(error);
        }
    };
    match &verdict {
        Ok(_) => {
            checks.compare("alg", true, names, alg);
            checks.pass("kid", kid);
            checks.state("signature", true);
        }
        Err(Fault::Algorithm) => checks.compare("alg", false, names, alg),
        Err(Fault::Misfit) => checks.compare("alg", false, format!("that of the key {kid}"), alg),
        Err(Fault::Key | Fault::KeyName) => checks.compare("kid", false, "exactly one key of the provider", kid),
        Err(Fault::Critical) => checks.compare("crit", false, "(absent)", shown_value(header.get("crit"))),
        Err(Fault::Form(why)) => checks.compare("signature", false, "a compact JWS", why),
        Err(Fault::Signature) => checks.state("signature", false),
        Err(Fault::Payload) => checks.compare("payload", false, "a JSON object", "something else"),
    }
    if let Err(Fault::Form(jws::TOO_LONG)) = verdict {
        return Err(Error::says(&codes::TOKEN_SIGNATURE, "The provider's token is longer than 8 KiB.").help(
            "Mostly it is the groups: let the provider send those alone that are assigned to the app, or let it give them by user info.",
        ));
    }
    Ok(verdict?)
}

/// What every token of the provider is held against.
pub(super) struct Ground<'a> {
    pub config: &'a Config,
    pub metadata: &'a Metadata,
    pub now: Timestamp,
}

/// What an id_token is held against.
pub(super) struct Expected<'a> {
    pub ground: Ground<'a>,
    pub kept: &'a Kept,
    pub code: &'a str,
    pub access_token: Option<&'a str>,
}

/// What the token proves, besides the profile.
#[derive(Debug)]
pub(super) struct Evidence {
    pub sub: String,
    pub auth_time: Option<Timestamp>,
    pub acr: Option<String>,
    pub amr: Vec<String>,
    pub sid: Option<String>,
}

impl Expected<'_> {
    /// Errors: `token_claims`, `token_audience`, `token_expired`, `nonce_mismatch`, `token_binding`, `profile_invalid`.
    pub(super) fn check(&self, token: &Verified, checks: &mut Checks) -> Result<Evidence> {
        let claims = &token.claims;
        let ground = &self.ground;
        ground.kind(&token.header, &["jwt"], checks)?;
        ground.issuer(claims, checks)?;
        ground.audience(claims, checks)?;
        ground.times(claims, checks)?;
        let sub = ground.subject(claims, checks)?;
        self.nonce(claims, checks)?;
        binding("at_hash", claims, token.algorithm, self.access_token, checks)?;
        binding("c_hash", claims, token.algorithm, Some(self.code), checks)?;
        let auth_time = self.auth_time(claims, checks)?;
        let text = |name| text(claims, name);
        Ok(Evidence { sub, auth_time, acr: text("acr"), amr: methods(claims.get("amr")), sid: text("sid") })
    }

    fn nonce(&self, claims: &Map<String, Value>, checks: &mut Checks) -> Result<()> {
        let nonce = claims.get("nonce").and_then(Value::as_str).unwrap_or_default();
        let ours = same(nonce.as_bytes(), self.kept.nonce.as_bytes());
        match claims.get("nonce") {
            None => checks.compare("nonce", false, "that of this sign-in", "(absent)"),
            Some(_) => checks.state("nonce", ours),
        }
        if ours { Ok(()) } else { Err(Error::new(&codes::NONCE_MISMATCH)) }
    }

    /// When an age was asked for, or a fresh sign-in, the provider must have obeyed: an answer of a person's old
    /// session would otherwise pass for a new one.
    fn auth_time(&self, claims: &Map<String, Value>, checks: &mut Checks) -> Result<Option<Timestamp>> {
        let tolerance = std::time::Duration::from_secs(self.ground.config.security.tolerance());
        let at = moment("auth_time", claims, checks)?;
        let mut oldest = self.kept.max_age.map(|age| self.ground.now - std::time::Duration::from_secs(age) - tolerance);
        if self.kept.force && at.is_some() {
            let began = self.kept.began_at - tolerance;
            oldest = Some(oldest.map_or(began, |oldest| oldest.max(began)));
        }
        let latest = self.ground.now + tolerance;
        let Some(oldest) = oldest else {
            if let Some(at) = at {
                let fits = at <= latest;
                require(
                    checks,
                    "auth_time",
                    fits,
                    format!("until {}", self.ground.now),
                    at.to_string(),
                    &codes::TOKEN_CLAIMS,
                )?;
            }
            return Ok(at);
        };
        let Some(at) = at else {
            checks.compare("auth_time", false, format!("{oldest} or later"), "(absent)");
            return Err(Error::says(
                &codes::TOKEN_CLAIMS,
                "The provider does not say when the person signed in, and the app asks how long ago that was.",
            )
            .help("Have it send the claim `auth_time` (at Entra ID an optional claim), or let the app ask without `max_age`."));
        };
        let fits = at >= oldest && at <= latest;
        require(checks, "auth_time", fits, format!("{oldest} or later"), at.to_string(), &codes::TOKEN_CLAIMS)?;
        Ok(Some(at))
    }
}

/// A claim that is a short text without control characters; anything else is none.
pub(super) fn text(claims: &Map<String, Value>, name: &str) -> Option<String> {
    let value = claims.get(name).and_then(Value::as_str);
    value.filter(|text| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control)).map(str::to_owned)
}

impl Ground<'_> {
    /// Another kind of token by the same key is not what it is taken for (RFC 8725 §3.11). `fitting` is in lower case; a
    /// token without a type may be of any.
    pub(super) fn kind(&self, header: &Map<String, Value>, fitting: &[&str], checks: &mut Checks) -> Result<()> {
        let typ = header.get("typ");
        let fits = match typ {
            None => true,
            Some(Value::String(typ)) => {
                let typ = typ.to_ascii_lowercase();
                fitting.contains(&typ.strip_prefix("application/").unwrap_or(&typ))
            }
            Some(_) => false,
        };
        require(checks, "typ", fits, fitting.join(" "), shown_value(typ), &codes::TOKEN_CLAIMS)
    }

    pub(super) fn issuer(&self, claims: &Map<String, Value>, checks: &mut Checks) -> Result<()> {
        let (iss, issuer) = (claims.get("iss"), self.metadata.issuer.as_str());
        let same = iss.and_then(Value::as_str) == Some(issuer);
        require(checks, "iss", same, issuer, shown_value(iss), &codes::TOKEN_CLAIMS)
    }

    pub(super) fn audience(&self, claims: &Map<String, Value>, checks: &mut Checks) -> Result<()> {
        let client = self.config.client_id()?;
        let wanted = self.config.discovery.audience.as_deref().unwrap_or(client);
        let aud = claims.get("aud");
        let audiences: Vec<&str> = match aud {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let whole = aud.and_then(Value::as_array).is_none_or(|list| list.len() == audiences.len());
        let ours = whole && audiences.contains(&wanted);
        require(checks, "aud", ours, wanted, shown_value(aud), &codes::TOKEN_AUDIENCE)?;
        // A token for several must say for whom it was made; a token that says so must say us.
        let azp = present(claims, "azp");
        if azp.is_some() || audiences.len() > 1 {
            let ours = azp.and_then(Value::as_str) == Some(client);
            require(checks, "azp", ours, client, shown_value(azp), &codes::TOKEN_AUDIENCE)?;
        }
        Ok(())
    }

    pub(super) fn times(&self, claims: &Map<String, Value>, checks: &mut Checks) -> Result<()> {
        let tolerance = std::time::Duration::from_secs(self.config.security.tolerance());
        let exp = time("exp", claims, checks)?.ok_or_else(|| no_time("exp", claims.get("exp"), checks))?;
        let holds = self.now < exp + tolerance;
        require(checks, "exp", holds, format!("after {}", self.now), exp.to_string(), &codes::TOKEN_EXPIRED)?;
        let iat = time("iat", claims, checks)?.ok_or_else(|| no_time("iat", claims.get("iat"), checks))?;
        let holds = iat <= self.now + tolerance;
        require(checks, "iat", holds, format!("until {}", self.now), iat.to_string(), &codes::TOKEN_CLAIMS)?;
        if let Some(nbf) = time("nbf", claims, checks)? {
            let holds = nbf <= self.now + tolerance;
            require(checks, "nbf", holds, format!("until {}", self.now), nbf.to_string(), &codes::TOKEN_EXPIRED)?;
        }
        Ok(())
    }

    pub(super) fn subject(&self, claims: &Map<String, Value>, checks: &mut Checks) -> Result<String> {
        let sub = claims.get("sub");
        let text = sub.and_then(Value::as_str).filter(|sub| (1..=MAX_SUBJECT).contains(&sub.len()));
        require(checks, "sub", text.is_some(), "a text of 1 to 255 bytes", shown_value(sub), &codes::TOKEN_CLAIMS)?;
        let text = text.unwrap_or_default();
        if text.chars().any(char::is_control) {
            checks.compare("sub", false, "no control characters", shown(text));
            return Err(Error::new(&codes::PROFILE_INVALID));
        }
        Ok(text.to_owned())
    }
}

/// A claim that may be absent; `null` is how some providers say so.
pub(super) fn present<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).filter(|value| !value.is_null())
}

/// `exp`, `iat`, `nbf`: a whole number of seconds. Libraries round a fraction in two ways, and a token must not be
/// valid for one and expired for another. `None` when it is absent. Errors: `token_claims` for anything else.
fn time(name: &str, claims: &Map<String, Value>, checks: &mut Checks) -> Result<Option<Timestamp>> {
    let Some(value) = present(claims, name) else { return Ok(None) };
    let seconds = value.as_i64().filter(|seconds| (0..=LAST_SECOND).contains(seconds));
    seconds.map(|seconds| Some(Timestamp::from_seconds(seconds))).ok_or_else(|| no_time(name, Some(value), checks))
}

/// `auth_time`: a number of seconds, whole or not; several providers take it from a finer clock. `None` when it is
/// absent. Errors: `token_claims` for anything else.
fn moment(name: &str, claims: &Map<String, Value>, checks: &mut Checks) -> Result<Option<Timestamp>> {
    let Some(value) = present(claims, name) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LAST_MOMENT).contains(seconds));
    #[expect(clippy::cast_possible_truncation, reason = "it is within the years 1970 to 9999")]
    let millis = seconds.map(|seconds| (seconds * 1000.0) as i64);
    millis.map(|millis| Some(Timestamp::from_millis(millis))).ok_or_else(|| no_time(name, Some(value), checks))
}

fn no_time(name: &str, value: Option<&Value>, checks: &mut Checks) -> Error {
    checks.compare(name, false, "a number of seconds", shown_value(value));
    Error::new(&codes::TOKEN_CLAIMS)
}

/// `at_hash` and `c_hash`: where they stand, they are the left half of the hash (OpenID Connect Core §3.1.3.6).
fn binding(
    name: &str,
    claims: &Map<String, Value>,
    algorithm: Algorithm,
    bound: Option<&str>,
    checks: &mut Checks,
) -> Result<()> {
    const CODE: &Code = &codes::TOKEN_BINDING;
    let (Some(value), Some(bound)) = (present(claims, name), bound) else { return Ok(()) };
    let hash = algorithm.hash(bound.as_bytes());
    let half = base64url(&hash[..hash.len() / 2]);
    let fits = value.as_str().is_some_and(|text| same(text.as_bytes(), half.as_bytes()));
    checks.state(name, fits);
    if fits { Ok(()) } else { Err(Error::new(CODE)) }
}

/// The methods that the provider states (RFC 8176), bounded; what is none is left out.
fn methods(amr: Option<&Value>) -> Vec<String> {
    let list: Vec<&str> = match amr {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one],
        _ => Vec::new(),
    };
    let fits = |text: &&&str| (1..=64).contains(&text.len()) && !text.chars().any(char::is_control);
    list.iter().filter(fits).take(16).map(|text| (*text).to_owned()).collect()
}
