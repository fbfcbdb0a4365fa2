//! The demo's third way in: the test identity provider once more, by SAML, with a connection and a domain of its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::setup::Hands;
use crate::connection::simulator::Simulator;
use crate::connection::simulator::saml::SamlClient;
use crate::error::Result;

const CONNECTION: &str = "SAML test provider";
pub(super) const SLUG: &str = "demo-saml";
/// The domain that its people's addresses are of.
pub(super) const DOMAIN: &str = "saml.example";

/// Connects it. Its key is new at every start. Errors: those of the operations.
pub(super) async fn set_up(hands: &Hands<'_>, organization: &Value, simulator: &Simulator) -> Result<()> {
    let metadata = simulator.saml_metadata()?;
    let ours = |it: &Value| it["slug"] == SLUG;
    let found = hands.find("connection.list", json!({"organization": organization}), ours).await?;
    let id = match found {
        Some(found) => {
            hands.perform("connection.set_saml", json!({"id": found["id"], "metadataXml": metadata})).await?;
            if found["status"] != "active" {
                hands.perform("connection.activate", json!({"id": found["id"]})).await?;
            }
            found["id"].clone()
        }
        None => {
            // One that was deleted keeps its short name for 30 days; then this one goes without.
            let deleted = json!({"organization": organization, "deleted": true});
            let taken = hands.find("connection.list", deleted, ours).await?.is_some();
            let mut create = json!({
                "organization": organization, "protocol": "saml", "name": CONNECTION, "metadataXml": metadata,
                "activate": true,
            });
            if !taken {
                create["slug"] = SLUG.into();
            }
            hands.perform("connection.create", create).await?["id"].clone()
        }
    };
    let service = hands.perform("connection.get_saml", json!({"id": id})).await?["serviceProvider"].take();
    let text = |name: &str| service[name].as_str().unwrap_or_default().to_owned();
    let certificate: String = text("certificate").lines().filter(|line| !line.starts_with('-')).collect();
    simulator.register_saml(SamlClient {
        entity_id: text("entityId"),
        acs_url: text("acsUrl"),
        certificate: STANDARD.decode(certificate).ok(),
        name: "authd".to_owned(),
        domain: Some(DOMAIN.to_owned()),
    });
    hands.own(&id, &[DOMAIN]).await
}
