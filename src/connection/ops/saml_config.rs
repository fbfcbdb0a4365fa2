//! The SAML configuration of a connection.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::domain::{WantedDomain, WantedList};
use super::super::record::{Connection, ProtocolKind, Status};
use super::super::saml::{
    self, Found, SamlFlat, SamlMetadataSettings, SamlProfileSettings, SamlRequestSettings, SamlSecuritySettings,
    SamlServiceSettings, SamlSettings, SamlView,
};
use super::super::settings;
use super::{Looked, entity_id_is_free, event, owner_of, speaks};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, Route};
use crate::crypto::Secret;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::ConnectionId;
use crate::store::{Batch, Stored};

/// Set how a connection speaks SAML with its identity provider. What is absent stays as it was; an empty text takes a
/// value away. Metadata at an address is read at once. If it cannot be used, nothing is changed; if its address does not
/// answer, a draft is changed that is not ready, and an active connection is not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// Metadata of a provider has often more than 64 KiB, and is read up to 1 MiB; as JSON it is longer.
#[schemars(extend("x-max-body" = 2_097_152))]
pub struct SetSaml {
    /// The connection.
    pub id: ConnectionId,
    /// Where the provider's metadata is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<String>,
    /// The provider's metadata itself, as XML.
    #[serde(default, alias = "idpMetadata", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-text-file" = "metadata-file"))]
    pub metadata_xml: Option<String>,
    /// The provider's entity id: of a list of providers, which it is; without metadata, what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp_entity_id: Option<String>,
    /// Where people are sent to sign in, where there is no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp_sso_url: Option<String>,
    /// The provider's signing certificates as PEM, one after the other, where there is no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-text-file" = "idp-certificate-file"))]
    pub idp_certificate: Option<String>,
    /// The connection's entity id; the address of its metadata unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sp_entity_id: Option<String>,
    /// Where the SAML provider posts its answers, where an app receives them at an address of its own and hands them over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sp_acs_url: Option<String>,
    /// The certificate of a key of your own that signs SAML messages, as PEM. The connection has a key without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-text-file" = "sp-signing-cert-file"))]
    pub sp_signing_cert: Option<String>,
    /// That key: PKCS #8 as PEM, without a passphrase. It is sealed, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sp_private_key: Option<Secret>,
    /// Who the identity provider is, in full.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<SamlMetadataSettings>,
    /// What is asked of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<SamlRequestSettings>,
    /// How strictly its answers are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security: Option<SamlSecuritySettings>,
    /// Who authd is to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_provider: Option<SamlServiceSettings>,
    /// What its attributes mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<SamlProfileSettings>,
    /// All domains of the connection from now on, as `domain.set` has them. It takes the grant
    /// `connection.domain.manage`, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "domain"))]
    pub domains: Option<Vec<WantedDomain>>,
}

impl SetSaml {
    /// The configuration as it would be. Errors: those of `SamlSettings::apply`.
    fn config(&self, cx: &Context, connection: &Connection, found: &Found) -> Result<saml::Config> {
        speaks(connection, ProtocolKind::Saml)?;
        let flat = SamlFlat {
            metadata_url: self.metadata_url.clone(),
            metadata_xml: self.metadata_xml.clone(),
            idp_entity_id: self.idp_entity_id.clone(),
            idp_sso_url: self.idp_sso_url.clone(),
            idp_certificate: self.idp_certificate.clone(),
            sp_entity_id: self.sp_entity_id.clone(),
            sp_acs_url: self.sp_acs_url.clone(),
            sp_signing_cert: self.sp_signing_cert.clone(),
            sp_private_key: self.sp_private_key.clone(),
        };
        let nested = SamlSettings {
            metadata: self.metadata.clone(),
            request: self.request.clone(),
            security: self.security.clone(),
            service_provider: self.service_provider.clone(),
            profile: self.profile.clone(),
        };
        let mut config = connection.saml.clone().unwrap_or_default();
        match flat.over(Some(nested)) {
            Some(settings) => settings.apply(cx, connection.id, &mut config, found)?,
            None if self.domains.is_some() => {}
            None => return Err(Error::says(&codes::INVALID_INPUT, "There is nothing to set.")),
        }
        Ok(config)
    }

    /// The domains that the connection shall have, if any are named.
    /// Errors: `missing_grant`, those of `WantedList::of`.
    fn wanted(&self, cx: &Context, connection: &Connection) -> Result<Option<WantedList>> {
        let Some(domains) = &self.domains else { return Ok(None) };
        let grant = Grant::ConnectionDomainManage;
        if !cx.caller.holds(grant, connection.organization) {
            return Err(Error::new(&codes::MISSING_GRANT).help(format!("Setting domains takes the grant `{grant}`.")));
        }
        WantedList::of(domains).map(Some)
    }
}

#[async_trait]
impl Operation for SetSaml {
    type Seen = Found;
    type Output = SamlView;
    const NAME: &'static str = "connection.set_saml";
    const ACCESS: Access = Access::Grant(Grant::ConnectionProtocolManage);
    const ROUTE: Route = Route { method: Method::Patch, path: "/v1/connections/{id}/saml" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?;
        self.wanted(cx, &connection)?;
        let config = self.config(cx, &connection, &Found::default())?;
        Found::look(cx, &config, false).await
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        // Seam: another provider makes other people of the same names. Once identities can be moved, a change of the
        // provider or of the subject on a connection that has identities asks for that first.
        let config = self.config(cx, &connection, seen)?;
        let view = SamlView::of(cx, connection.id, &config);
        connection.saml = Some(config);
        entity_id_is_free(cx, &connection).await?;
        connection.looked = looked(seen, &connection).kept(cx);
        connection.updated_at = cx.env.now();
        if connection.status == Status::Active {
            settings::complete(&connection)?;
        }
        let mut noted = event(cx, EventKind::ConnectionSamlSet, &connection);
        if let Some(idp) = &view.identity_provider {
            noted = noted.with("idp_entity_id", idp.entity_id.clone());
            let thumbprints: Vec<String> = idp.certificates.iter().map(|one| one.thumbprint.clone()).collect();
            noted = noted.with("certificates", thumbprints);
        }
        if let Some(wanted) = self.wanted(cx, &connection)? {
            wanted.settle(cx, &connection, batch).await?;
        }
        batch.update(&connection, revision).log(noted);
        Ok(view)
    }
}

/// What is kept of the look at the provider: a connection whose provider is known is reached by the browser.
pub(super) fn looked(found: &Found, connection: &Connection) -> Looked {
    match connection.saml.as_ref().is_some_and(|config| config.idp.is_some()) {
        true => Looked::Reached,
        false if found.unreachable => Looked::Unreachable,
        false => Looked::Nowhere,
    }
}

/// Show how a connection speaks SAML: what it knows of its identity provider, and what the provider's administrator has to
/// know of it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GetSaml {
    /// The connection.
    pub id: ConnectionId,
}

#[async_trait]
impl Operation for GetSaml {
    type Seen = ();
    type Output = SamlView;
    const NAME: &'static str = "connection.get_saml";
    const ACCESS: Access = Access::Grant(Grant::ConnectionRead);
    const ROUTE: Route = Route { method: Method::Get, path: "/v1/connections/{id}/saml" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn apply(&self, cx: &Context, (): &(), _: &mut Batch) -> Result<Self::Output> {
        let connection = Connection::load(&cx.store, self.id).await?.value;
        Ok(SamlView::of(cx, connection.id, &connection.saml.unwrap_or_default()))
    }
}

/// Read the metadata of a connection's identity provider again, at its address. What has changed is recorded.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefreshSaml {
    /// The connection.
    pub id: ConnectionId,
}

#[async_trait]
impl Operation for RefreshSaml {
    type Seen = Found;
    type Output = SamlView;
    const NAME: &'static str = "connection.refresh_saml";
    const ACCESS: Access = Access::Grant(Grant::ConnectionProtocolManage);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections/{id}/saml/refresh" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        owner_of(cx, self.id).await
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        let connection = Connection::load(&cx.store, self.id).await?.value;
        speaks(&connection, ProtocolKind::Saml)?;
        let config = connection.saml.unwrap_or_default();
        if config.metadata_url.is_none() {
            return Err(Error::says(&codes::INVALID_INPUT, "The connection has no address to read metadata from.")
                .help("Set one with `authd connection set-saml --metadata-url`, or give new metadata as text."));
        }
        let found = Found::look(cx, &config, true).await?;
        if found.unreachable {
            return Err(Error::says(&codes::UPSTREAM_UNAVAILABLE, "The address of the metadata does not answer."));
        }
        Ok(found)
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let Stored { value: mut connection, revision } = Connection::load(&cx.store, self.id).await?;
        let mut config = connection.saml.take().unwrap_or_default();
        let before = config.idp.clone();
        seen.refresh(cx, self.id, &mut config)?;
        let difference = saml::Difference::between(before.as_ref(), config.idp.as_ref());
        let view = SamlView::of(cx, self.id, &config);
        connection.saml = Some(config);
        connection.looked = looked(seen, &connection).kept(cx);
        connection.updated_at = cx.env.now();
        let event = event(cx, EventKind::ConnectionSamlRefreshed, &connection);
        batch.update(&connection, revision).log(difference.tell(event));
        Ok(view)
    }
}
