//! The grant `urn:ietf:params:oauth:grant-type:device_code` (RFC 8628 §3.4).

use serde_json::Value;

use super::code::redeemed;
use crate::access::Context;
use crate::error::{Error, Result, codes};
use crate::provider::client::App;
use crate::provider::device;
use crate::provider::parameters::Parameters;
use crate::store::Batch;
use crate::token::Keyring;

/// Adds to the batch what the device code gives, or that the device has asked.
pub(super) async fn exchange(
    cx: &Context,
    keyring: &Keyring,
    app: &App,
    parameters: &Parameters,
    batch: &mut Batch,
) -> Result<Value> {
    let presented = parameters
        .get("device_code")
        .ok_or_else(|| Error::says(&codes::INVALID_REQUEST, "The parameter `device_code` is missing."))?;
    let code = device::present(cx, app, presented, batch).await?;
    redeemed(cx, keyring, app, &code, batch).await
}
