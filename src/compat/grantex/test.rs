//! A test of a connection.

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::http::Call;
use super::view;
use crate::compat::text;
use crate::error::Result;
use crate::id::ConnectionId;

/// 200 with what was found, or 422 with what failed.
pub(super) async fn test(call: &Call, id: ConnectionId) -> Result<(StatusCode, Value)> {
    let seen = call.perform("connection.test", json!({"id": id})).await?;
    let shown = view::connection(&call.perform("connection.get", json!({"id": id})).await?);
    let checks = seen["checks"].as_array().cloned().unwrap_or_default();
    let took = seen["latencyMs"].as_u64().unwrap_or(0);
    let protocol = text(&shown, "protocol");
    if let Some(failed) = checks.iter().find(|check| check["ok"] != true) {
        let (name, why) = (text(failed, "name"), text(failed, "message"));
        let error = if why.is_empty() { name.to_owned() } else { format!("{name}: {why}") };
        let body = json!({
            "success": false,
            "protocol": protocol,
            "message": format!("The {} connection cannot be used.", protocol.to_uppercase()),
            "error": error,
            "responseTime": took,
        });
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, body));
    }
    let told = |name: &str| checks.iter().find(|check| check["name"] == name).map(|check| text(check, "message"));
    let mut body = json!({"success": true, "protocol": protocol, "responseTime": took});
    let (message, more) = match protocol {
        "oidc" => {
            let found = &seen["provider"];
            let more = json!({
                "issuer": found["issuer"],
                "authorizationEndpoint": found["authorizationEndpoint"],
                "tokenEndpoint": found["tokenEndpoint"],
                "jwksUri": found["jwksUri"],
            });
            ("The provider answers, and its keys can be used.".to_owned(), more)
        }
        "saml" => {
            // The browser reaches the provider, not authd: that authd does not is told, and is no failure.
            let reach: Vec<&str> = ["idp_metadata_reachable", "idp_sso_url"].into_iter().filter_map(told).collect();
            let reach = reach.join(" ");
            let more = json!({"idpEntityId": shown["idpEntityId"], "idpSsoUrl": shown["idpSsoUrl"]});
            (
                format!("The configuration is complete, and its certificates can be used. {reach}")
                    .trim_end()
                    .to_owned(),
                more,
            )
        }
        _ => {
            let more = json!({
                "ldapUrl": shown["ldapUrl"],
                "ldapSearchBase": shown["ldapSearchBase"],
                "ldapTlsEnabled": shown["ldapTlsEnabled"],
            });
            ("The directory answers, and can be searched.".to_owned(), more)
        }
    };
    if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
        body.insert("message".to_owned(), message.into());
        body.extend(more);
    }
    Ok((StatusCode::OK, body))
}
