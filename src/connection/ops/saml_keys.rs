//! Certificates of a SAML connection on both sides: those of the provider that have to be approved, and a change of ours.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::record::{Connection, ProtocolKind};
use super::super::saml::{self, Found, SamlView};
use super::{event, owner_of, speaks};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::store::{Batch, Stored};

/// Approve certificates that are new in the metadata of a connection's identity provider: from now on its signatures are
/// checked with them, too. Compare them with the provider's administrator on another way before.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApproveSaml {
    /// The connection.
    pub id: ConnectionId,
    /// The certificates, by the thumbprints (SHA-256) that `connection.get_saml` shows.
    #[schemars(extend("x-flag" = "certificate"))]
    pub certificates: Vec<String>,
}

#[async_trait]
impl Operation for ApproveSaml {
    type Seen = ();
    type Output = SamlView;
    const NAME: &'static str = "connection.approve_saml";
    const ACCESS: Access = Access::Grant(Grant::ConnectionProtocolManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/saml/approve" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        speaks(&connection, ProtocolKind::Saml)?;
        let mut config = connection.saml.take().unwrap_or_default();
        if self.certificates.is_empty() {
            return Err(Error::says(&codes::INVALID_INPUT, "There is no certificate to approve.")
                .help("Name those that `authd connection get-saml` shows as pending."));
        }
        let before = config.idp.clone();
        config.approve(&self.certificates)?;
        let difference = saml::Difference::between(before.as_ref(), config.idp.as_ref());
        let view = SamlView::of(cx, self.id, &config);
        connection.saml = Some(config);
        connection.updated_at = cx.env.now();
        let event = event(cx, EventKind::ConnectionSamlApproved, &connection);
        batch.update(&connection, revision).log(difference.tell(event));
        // What the metadata has no more went on only until now.
        saml::soon(cx, self.id, batch).await?;
        Ok(view)
    }
}

/// A step in the change of a connection's own key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyStep {
    /// A new key is made. It is shown in the connection's metadata and opens what is encrypted to it; the one before signs.
    Prepare,
    /// The new key signs. The one before still opens, and is still shown.
    Activate,
    /// Keys that were replaced are forgotten.
    Retire,
}

/// Change the key of a SAML connection without a gap, in three steps: `prepare` makes the next key and shows it beside the
/// one that signs; once the provider knows it, `activate` lets it sign; once nothing is encrypted to the old one, `retire`
/// forgets that.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RotateSamlKey {
    /// The connection.
    pub id: ConnectionId,
    /// The step.
    pub step: KeyStep,
}

#[async_trait]
impl Operation for RotateSamlKey {
    type Seen = Found;
    type Output = SamlView;
    const NAME: &'static str = "connection.rotate_saml_key";
    const ACCESS: Access = Access::Grant(Grant::ConnectionProtocolManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/saml/key" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?.value;
        speaks(&connection, ProtocolKind::Saml)?;
        match self.step {
            KeyStep::Prepare => Found::key(cx).await,
            KeyStep::Activate | KeyStep::Retire => Ok(Found::default()),
        }
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        let mut config = connection.saml.take().unwrap_or_default();
        let step = match self.step {
            KeyStep::Prepare => {
                seen.prepare(cx, self.id, &mut config)?;
                "prepare"
            }
            KeyStep::Activate => {
                config.service.hand_over()?;
                "activate"
            }
            KeyStep::Retire => {
                config.service.earlier.clear();
                "retire"
            }
        };
        let view = SamlView::of(cx, self.id, &config);
        let shown: Vec<String> = config.service.signing().iter().map(|der| saml::thumbprint(der)).collect();
        connection.saml = Some(config);
        connection.updated_at = cx.env.now();
        let event = event(cx, EventKind::ConnectionSamlKeyRotated, &connection);
        batch.update(&connection, revision).log(event.with("step", step).with("certificates", shown));
        Ok(view)
    }
}
