//! The provider's addresses. `/oauth2/authorize` is not among them: a sign-in begins there.

use axum::Router;
use axum::body::Bytes;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

use super::client_assertion::AppKeys;
use super::{cors, device, discovery, identity, introspect, pushed, revoke, token_endpoint, userinfo};
use crate::access::{Caller, Context, World};
use crate::event::Origin;
use crate::http::{RequestInfo, limits};
use crate::token::{IssuerKeys, Keyring};

/// What a handler needs.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) world: World,
    pub(super) keyring: Keyring,
    pub(super) discovery: Bytes,
    pub(super) machines: token_endpoint::Machines,
    pub(super) app_keys: AppKeys,
    pub(super) issuers: IssuerKeys,
}

impl Door {
    /// The context of a request whose sender has not said yet who it is.
    pub(super) fn context(&self, info: &RequestInfo) -> Context {
        let origin = Origin { request: info.id, ip: info.ip, user_agent: info.user_agent.clone() };
        self.world.context(Caller::Anonymous, origin)
    }
}

/// The routes, relative to the issuer's path; `http::Door::guard` stands before them.
pub fn http(world: World, keyring: Keyring) -> Router {
    let document = discovery::document(&world.deployment.public_url).to_string();
    let door = Door {
        world,
        keyring,
        discovery: document.into(),
        machines: token_endpoint::Machines::default(),
        app_keys: AppKeys::default(),
        issuers: IssuerKeys::default(),
    };
    let public = Router::new()
        .route("/.well-known/openid-configuration", get(discovery::discovery).options(cors::bare))
        .route("/.well-known/oauth-authorization-server", get(discovery::discovery).options(cors::bare))
        .route("/.well-known/jwks.json", get(discovery::jwks).options(cors::bare))
        .route_layer(from_fn(cors::everybody));
    let called = Router::new()
        .route("/oauth2/token", post(token_endpoint::post).options(cors::bare))
        .route("/oauth2/par", post(pushed::post).options(cors::bare))
        .route("/oauth2/revoke", post(revoke::post).options(cors::bare))
        .route("/userinfo", get(userinfo::answer).post(userinfo::answer).options(cors::bare))
        .route("/v1/identity", get(identity::answer).options(cors::bare))
        .route_layer(from_fn_with_state(limits::AUTH_BODY, limits::body))
        .route_layer(from_fn_with_state(door.world.store.clone(), cors::apps));
    // Servers and devices ask this; no page of another origin does.
    let asked = Router::new()
        .route("/oauth2/introspect", post(introspect::post))
        .route("/oauth2/device_authorization", post(device::post))
        .route_layer(from_fn_with_state(limits::AUTH_BODY, limits::body));
    public.merge(called).merge(asked).with_state(door)
}
