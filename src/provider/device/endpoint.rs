//! `POST /oauth2/device_authorization` (RFC 8628 §3.1): a device asks for a code that a person can type.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::record::{DeviceCode, GOOD_FOR, INTERVAL, Made};
use crate::access::throttle::{self, Rule, Subject};
use crate::access::{Context, refusal};
use crate::error::{Error, Result, codes};
use crate::event::{Actor, Event, EventKind};
use crate::http::{RequestInfo, reply};
use crate::provider::authorize;
use crate::provider::client::GrantType;
use crate::provider::client_auth::{self, Client};
use crate::provider::http::Door;
use crate::store::{Batch, Refused};

/// Codes are drawn by chance: two that are alike at the same time are drawn once more.
const RETRIES: usize = 3;

pub(in crate::provider) async fn post(State(door): State<Door>, info: RequestInfo, request: Request) -> Response {
    let cx = door.context(&info);
    let basic = request.headers().contains_key(header::AUTHORIZATION);
    match answer(&cx, &door, request).await.and_then(|codes| reply::json(StatusCode::OK, &codes)) {
        Ok(response) => response,
        Err(error) => reply::oauth_error(&error, info.id, basic),
    }
}

async fn answer(cx: &Context, door: &Door, request: Request) -> Result<Value> {
    let (client, parameters) = client_auth::calling(door, cx, request).await?;
    let app = &client.app;
    if !app.may_use(GrantType::DeviceCode) {
        let error = Error::says(&codes::UNAUTHORIZED_CLIENT, "The app may not sign people in on devices.")
            .help("`authd app update --grant-type` allows it.");
        return refused(cx, &client, error).await;
    }
    let scope = match authorize::scopes(app, parameters.get("scope").unwrap_or_default()) {
        Ok(scope) => scope,
        Err(error) => return refused(cx, &client, error).await,
    };
    // An app that keeps no secret is whoever says so: what strangers can make us keep is bounded.
    let named = Subject::new().and(app.id.bytes());
    let tries = [(Rule::DeviceFromAddress, named.clone().from(cx.origin.ip)), (Rule::Device, named)];
    let mut taken = throttle::take(cx, &tries).await?;
    let mut tries = 0;
    let Made { device_code, user_code, .. } = loop {
        let made = DeviceCode::make(cx, app, scope.clone()).await?;
        let mut batch = Batch::new();
        client.spend(cx, &mut batch).await?;
        batch.create(&made.record);
        // It counts in any case: it bounds what is made.
        taken.count(&mut batch).await?;
        match cx.store.commit(batch).await {
            Ok(_) => {
                taken.written();
                break made;
            }
            Err(refused) if (refused.is_race() || matches!(refused, Refused::Taken { .. })) && tries < RETRIES => {
                tries += 1
            }
            Err(refused) => return Err(refused.into()),
        }
    };
    let page = cx.deployment.public_url.at("/device");
    Ok(json!({
        "device_code": device_code.expose(),
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?user_code={user_code}"),
        "expires_in": GOOD_FOR.as_secs(),
        "interval": INTERVAL,
    }))
}

async fn refused(cx: &Context, client: &Client, error: Error) -> Result<Value> {
    let app = &client.app;
    let event = Event::new(&cx.env, EventKind::TokenRefused, &Actor::Anonymous, &cx.origin)
        .failed(error.code())
        .within(app.organization)
        .about("app", app.id)
        .with("reason", error.message().to_owned());
    let mut batch = Batch::new();
    client.spend(cx, &mut batch).await?;
    refusal::tell(cx, event, &mut batch).await?;
    cx.store.commit(batch).await?;
    Err(error)
}
