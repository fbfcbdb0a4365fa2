//! The grant `refresh_token` (RFC 6749 §6).

use serde_json::Value;

use super::give::{Authorization, SignIn, give};
use crate::access::Context;
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::provider::client::App;
use crate::provider::mapped::{self, Arrived, Moment};
use crate::provider::parameters::Parameters;
use crate::provider::refresh::{self, Turn};
use crate::store::{Batch, Key, Stored};
use crate::token::{Keyring, TokenGrant};

/// Adds to the batch what the refresh token gives: fresh tokens and its one successor.
pub(super) async fn exchange(
    cx: &Context,
    keyring: &Keyring,
    app: &App,
    parameters: &Parameters,
    batch: &mut Batch,
) -> Result<Value> {
    let presented = parameters
        .get("refresh_token")
        .ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "The parameter `refresh_token` is missing."))?;
    // A scope that is refused must not turn the token: its successor would reach nobody.
    if let Some((family, generation)) = refresh::known(cx, presented).await?
        && family.app == app.id
        && family.takes(cx, generation).await?
    {
        narrowed(&family.scope, parameters.get("scope"))?;
    }
    let Turn { family, member, successor, rotated } = refresh::turn(cx, app, presented, batch).await?;
    let scope = narrowed(&family.scope, parameters.get("scope"))?;
    let who = Arrived { organization: family.organization, user: family.user, session: family.session };
    let scope = mapped::scope(cx, app, &who, scope, Moment::Again).await?;
    let authorization = Authorization {
        grant: family.grant,
        member,
        scope,
        sign_in: SignIn {
            session: family.session,
            at: family.auth_time,
            acr: family.acr.clone(),
            amr: family.amr.clone(),
        },
        nonce: None,
        claims: family.claims.id_token.clone(),
        ends_at: Some(family.expires_at),
    };
    let mut given = give(cx, keyring, app, &authorization).await?;
    // The handle lives as long as the longest token that names it.
    let key = Key::from_bytes(family.grant.bytes());
    let kept: Option<Stored<TokenGrant>> = cx.store.get(key).await?;
    match kept {
        Some(Stored { value, revision }) if value.expires_at < given.expires_at => {
            batch.update(&TokenGrant { expires_at: given.expires_at, ..value }, revision);
        }
        Some(_) => {}
        // The last access token expired before the refresh token was used.
        None => {
            batch.create(&family.handle(given.expires_at, cx.env.now()));
        }
    }
    let event = Event::new(&cx.env, EventKind::RefreshExchanged, &Actor::App(app.id), &cx.origin)
        .within(family.organization)
        .about("grant", family.grant)
        .and("app", app.id)
        .and("user", family.user)
        .and("session", family.session)
        .with("rotated", rotated);
    batch.log(event);
    given.answer["refresh_token"] = successor.expose().into();
    Ok(given.answer)
}

/// What is asked for, if it is not more than what was granted. Errors: `invalid_scope`.
fn narrowed(granted: &[String], asked: Option<&str>) -> Result<Vec<String>> {
    let Some(asked) = asked else { return Ok(granted.to_vec()) };
    let asked: Vec<&str> = asked.split(' ').filter(|word| !word.is_empty()).collect();
    if asked.iter().any(|word| !granted.iter().any(|scope| scope == word)) {
        return Err(Error::says(&codes::INVALID_SCOPE, "The scope is more than what was granted."));
    }
    // In the order of the grant, each once.
    Ok(granted.iter().filter(|scope| asked.contains(&scope.as_str())).cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_never_grows() {
        let granted = ["openid", "email", "offline_access"].map(str::to_owned);
        assert_eq!(narrowed(&granted, None).unwrap(), granted);
        assert_eq!(narrowed(&granted, Some("email openid email")).unwrap(), ["openid", "email"]);
        for more in ["profile", "openid profile", "OPENID", "open"] {
            assert!(narrowed(&granted, Some(more)).unwrap_err().is(&codes::INVALID_SCOPE), "{more}");
        }
    }
}
