//! The demo's second way in: a test directory, with a connection and a domain of its own.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::setup::Hands;
use crate::connection::simulator::directory::{self, Directory};
use crate::crypto::Opaque;
use crate::error::{Error, Result, codes};

const CONNECTION: &str = "LDAP test directory";
pub(super) const SLUG: &str = "demo-directory";

/// Serves it, and connects it. Its account's password is new at every start. Errors: those of the operations.
pub(super) async fn set_up(hands: &Hands<'_>, organization: &Value, listener: std::net::TcpListener) -> Result<()> {
    let failed = |error: std::io::Error| Error::new(&codes::LISTEN_FAILED).because(error);
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = TcpListener::from_std(listener).map_err(failed)?;
    let url = format!("ldap://{}", listener.local_addr().map_err(failed)?);
    let secret = Opaque::new(&hands.cx.env, "sim_").text;
    tokio::spawn(Directory::new(secret.clone()).serve(listener));
    let settings = json!({
        "ldapUrl": url, "ldapBindDn": directory::SERVICE, "ldapBindPassword": secret,
        "ldapSearchBase": directory::PEOPLE_BASE, "ldapGroupSearchBase": directory::GROUPS,
    });
    let ours = |it: &Value| it["slug"] == SLUG;
    let found = hands.find("connection.list", json!({"organization": organization}), ours).await?;
    let with = |mut more: Value| {
        if let (Some(into), Some(settings)) = (more.as_object_mut(), settings.as_object()) {
            into.extend(settings.clone());
        }
        more
    };
    let id = match found {
        Some(found) => {
            hands.perform("connection.set_ldap", with(json!({"id": found["id"]}))).await?;
            if found["status"] != "active" {
                hands.perform("connection.activate", json!({"id": found["id"]})).await?;
            }
            found["id"].clone()
        }
        None => {
            // One that was deleted keeps its short name for 30 days; then this one goes without.
            let deleted = json!({"organization": organization, "deleted": true});
            let taken = hands.find("connection.list", deleted, ours).await?.is_some();
            let mut create = with(json!({
                "organization": organization, "protocol": "ldap", "name": CONNECTION, "activate": true,
            }));
            if !taken {
                create["slug"] = SLUG.into();
            }
            hands.perform("connection.create", create).await?["id"].clone()
        }
    };
    hands.own(&id, &[directory::DOMAIN]).await
}
