//! Where a sign-in would go, for a client that asks beforehand; and `GET /signin?connection=…`, where it begins then.

use axum::http::HeaderMap;
use axum::response::Response;

use super::attempt::Intent;
use super::authorize;
use super::http::Signin;
use super::route::{Routed, Wish, route};
use crate::access::Context;
use crate::access::throttle::{self, Rule};
use crate::connection::saml::Saml;
use crate::connection::{Connection, ProtocolKind, callback_url, saml};
use crate::error::{Error, Result, codes};
use crate::event::{Event, EventKind};
use crate::http::extract::Params;
use crate::id::{ConnectionId, OrganizationId};
use crate::provider::{self, Reach};
use crate::session::{self, Scope, Session};
use crate::store::Batch;
use crate::token::TokenGrant;

/// How often an end is written again when something was changed in between.
const RETRIES: usize = 3;

/// What is known of where somebody wants to sign in.
#[derive(Clone, Debug, Default)]
pub struct Seeking {
    /// The connection itself.
    pub connection: Option<ConnectionId>,
    /// An address.
    pub email: Option<String>,
    /// The domain of one.
    pub domain: Option<String>,
    /// Where the sign-in shall end.
    pub redirect_to: Option<String>,
}

/// A connection that serves.
#[derive(Clone, Debug)]
pub struct Discovered {
    /// The connection.
    pub connection: ConnectionId,
    /// What it speaks.
    pub protocol: ProtocolKind,
    /// The path where the provider's answer lands, relative to the public URL.
    callback: String,
}

/// Finds the connection. Errors: `no_connection`, `connection_disabled`, `connection_not_ready`, `organization_disabled`,
/// `invalid_input` for an end that is not registered, `rate_limited`.
pub async fn discover(signin: &Signin, cx: &Context, seeking: &Seeking) -> Result<Option<Discovered>> {
    let id = seeking.connection.map(|id| id.to_string());
    let searches = id.is_none();
    let wish = Wish {
        connection: id.as_deref(),
        organization: None,
        email: seeking.email.as_deref(),
        domain: seeking.domain.as_deref(),
    };
    if searches {
        throttle::check(cx, Rule::EmailRoute, throttle::address(cx)).await?;
    }
    let found = match route(cx, &Reach::All, &wish).await {
        Ok(Routed::To(connection)) => connection,
        Ok(Routed::Nowhere { .. }) => {
            // A failed guess at which domains are served here.
            let mut batch = Batch::new();
            throttle::count(cx, Rule::EmailRoute, throttle::address(cx), &mut batch).await?;
            cx.store.commit(batch).await?;
            return Ok(None);
        }
        Ok(Routed::Ask | Routed::Choose(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    if let Some(to) = &seeking.redirect_to {
        registered_end(cx, found.organization, to).await?;
    }
    let url = &signin.world.deployment.public_url;
    let callback = match found.protocol {
        ProtocolKind::Oidc => callback_url(url, found.id),
        ProtocolKind::Saml => saml::acs_url(url, found.id),
        ProtocolKind::Ldap => url.at("/signin/password"),
    };
    let callback = callback.strip_prefix(url.issuer()).unwrap_or(&callback).to_owned();
    Ok(Some(Discovered { connection: found.id, protocol: found.protocol, callback }))
}

/// A path of the client's own, or the address of a page of a registered app: nothing else is led to.
async fn registered_end(cx: &Context, organization: OrganizationId, to: &str) -> Result<()> {
    if own_path(to) || provider::is_origin_of_app(cx, organization, to).await? {
        return Ok(());
    }
    Err(Error::says(&codes::INVALID_INPUT, "`redirectTo` is not an address of a registered app.")
        .help("Register its origin: `authd app update --origin`."))
}

/// A path on the caller's own site, which authd does not lead to by itself.
fn own_path(to: &str) -> bool {
    to.starts_with('/') && !to.starts_with("//") && !to.contains('\\') && !to.chars().any(char::is_control)
}

impl Discovered {
    /// The path where the sign-in begins, relative to the public URL.
    pub fn begin_path(&self, redirect_to: Option<&str>, login_hint: Option<&str>) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("connection", &self.connection.to_string());
        for (name, value) in [("login_hint", login_hint), ("redirect_to", redirect_to.filter(|to| !own_path(to)))] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        format!("/signin?{}", query.finish())
    }

    /// The path where the provider's answer lands.
    pub fn callback_path(&self) -> &str {
        &self.callback
    }
}

/// `GET /signin?connection=…`: begins a sign-in through that connection, which ends where a registered app is, or on the
/// person's own page.
pub(super) async fn begin(signin: &Signin, cx: &Context, headers: &HeaderMap, params: &Params) -> Result<Response> {
    let named = params.need("connection")?;
    let to = params.one("redirect_to")?;
    let intent = match (to, named.parse::<ConnectionId>()) {
        (Some(to), Ok(id)) if !own_path(to) => {
            let connection = Connection::load(&cx.store, id).await?;
            registered_end(cx, connection.organization, to).await?;
            Intent::Landing(Some(to.to_owned()))
        }
        _ => Intent::Account,
    };
    let wish = Wish { connection: Some(named), email: params.one("login_hint")?, ..Wish::default() };
    authorize::go(signin, cx, headers, intent, &wish).await
}

/// A connection's own SAML metadata, for whoever sets up the identity provider. Errors: `not_found`,
/// `connection_not_ready`.
pub async fn saml_metadata(cx: &Context, id: ConnectionId, signed: bool) -> Result<String> {
    let connection = Connection::load(&cx.store, id).await?;
    Saml::of(&connection)?.metadata(cx, signed)
}

/// Ends what a token speaks for: the session that it came from, or the token alone.
pub async fn sign_out(cx: &Context, held: &TokenGrant) -> Result<()> {
    let mut tries = 0;
    loop {
        let mut batch = Batch::new();
        let event = |kind| {
            let event: Event = cx.event(kind).within(held.organization);
            match held.user {
                Some(user) => event.and("user", user),
                None => event,
            }
        };
        match held.session {
            Some(session) => {
                Session::end(&cx.store, session, cx.env.now(), &mut batch).await?;
                batch.log(event(EventKind::SessionSignedOut).about("session", session));
            }
            None => {
                session::bump(&cx.store, Scope::Grant(held.id), &mut batch).await?;
                batch.log(event(EventKind::GrantRevoked).about("grant", held.id));
            }
        }
        match cx.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(refused) if refused.is_race() && tries < RETRIES => tries += 1,
            Err(refused) => return Err(refused.into()),
        }
    }
}
