//! Creating a connection.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::super::domain::{self, Domain};
use super::super::ldap::{self, LdapFlat, LdapSettings, Preset};
use super::super::oidc::{self, AuthMethod};
use super::super::record::{Connection, ProtocolKind, ScopeMapping, Status};
use super::super::saml::{self, Found, SamlFlat, SamlSettings};
use super::super::settings::{self, Flat, OidcSettings};
use super::super::view::{ConnectionView, DomainView};
use super::{
    Looked, callbacks, enforcing, entity_id_is_free, event, look_through, must_answer, name_of, saml_config,
    scopes_are_words, slug_is_free, slug_of,
};
use crate::access::{Access, Context, Grant, Method, Operation, Owner, RoleName, Route, may_give};
use crate::crypto::Secret;
use crate::directory::Organization;
use crate::error::{Error, Result, codes};
use crate::event::EventKind;
use crate::id::{ConnectionId, OrganizationId};
use crate::store::Batch;

/// Create a connection: a way for an organization's people to sign in through their own identity provider.
///
/// It is a draft unless `activate` is given: nobody signs in through it yet. The provider's discovery document is
/// read at once. If it cannot be used, nothing is saved; if the provider does not answer, a draft is saved that is
/// not ready. Register the answer's `callbackUrl` at the provider.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
// Metadata of a provider has often more than 64 KiB, and is read up to 1 MiB; as JSON it is longer.
#[schemars(extend("x-max-body" = 2_097_152))]
pub struct CreateConnection {
    /// The organization whose people sign in through it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<OrganizationId>,
    /// An id of your own (`conn_…`), where it has to be known beforehand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ConnectionId>,
    /// What the provider speaks.
    pub protocol: ProtocolKind,
    /// What people call it: `Acme Okta`.
    pub name: String,
    /// A short name for links, unique within the organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<String>,
    /// The provider's issuer, exactly as its tokens say it: `https://acme.okta.com`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The client id that the provider gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The client secret that the provider gave. It is sealed, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    /// How authd shows the secret to the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<AuthMethod>,
    /// What authd asks for; `openid profile email` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "scope"))]
    pub scopes: Option<Vec<String>>,
    /// The directory: `ldaps://dc1.corp.example`; several with blanks between, asked in this order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_url: Option<String>,
    /// Which product the directory is; it gives the defaults of filters and attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_preset: Option<Preset>,
    /// The distinguished name of the account that authd searches the directory with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_bind_dn: Option<String>,
    /// Its password. It is sealed, and never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_bind_password: Option<Secret>,
    /// Everybody who may sign in lies below it: `ou=people,dc=corp,dc=example`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_search_base: Option<String>,
    /// Whom a typed name means, with `{{username}}` and `{{email}}` in the places of what is typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_search_filter: Option<String>,
    /// Only groups below it count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_group_search_base: Option<String>,
    /// The groups of an entry; `(member={{dn}})` unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_group_search_filter: Option<String>,
    /// Whether `ldap://` becomes encrypted by StartTLS. It always does, unless the server is on this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap_tls_enabled: Option<bool>,
    /// Where the metadata of a SAML identity provider is. It is read at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata_url: Option<String>,
    /// The metadata of a SAML identity provider itself, as XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-text-file" = "metadata-file"))]
    pub metadata_xml: Option<String>,
    /// The entity id of a SAML identity provider: of a list of providers, which it is; without metadata, what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp_entity_id: Option<String>,
    /// Where a SAML identity provider signs people in, where there is no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idp_sso_url: Option<String>,
    /// The signing certificates of a SAML identity provider as PEM, one after the other, where there is no metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-text-file" = "idp-certificate-file"))]
    pub idp_certificate: Option<String>,
    /// The connection's own SAML entity id; the address of its metadata unless set.
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
    /// Domains of the organization's e-mail addresses. They are claimed only; `authd domain verify` proves them.
    #[serde(default, alias = "domain", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "domain"))]
    pub domains: Vec<String>,
    /// Switch it on at once. The provider must answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub activate: bool,
    /// Make it switched off, instead of a draft: nobody signs in through it until it is switched on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disabled: bool,
    /// Whether a person is added by signing in; unset, the organization's policy decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jit: Option<bool>,
    /// The role of a person who is added by signing in; unset, the policy decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_role: Option<RoleName>,
    /// Whether its people have to come through it; unset, what holds for the organization decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enforce: Option<bool>,
    /// The provider's groups, and the scopes of apps that follow from each. A scope that stands here is given by its
    /// group alone, and never to an app that does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_mapping: Option<ScopeMapping>,
    /// The scopes of apps that follow where none of those groups is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-flag" = "default-scope"))]
    pub default_scopes: Option<Vec<String>>,
    /// Addresses of apps that the provider may answer to in the place of authd's own; the app hands the answer over with an
    /// API key. Register them at the provider, too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("x-flag" = "callback-url"))]
    pub callback_urls: Vec<String>,
    /// Vouch for the domains, without a proof by DNS. It takes the grant `connection.domain.trust`, and is audited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vouch: bool,
    /// Switch it on even if the provider does not answer now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unreached: bool,
    /// Switch it on before it is configured: nobody can sign in through it until it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unconfigured: bool,
    /// The whole OpenID Connect configuration, where the fields above are not enough. Those win over it.
    #[serde(default, alias = "config", skip_serializing_if = "Option::is_none")]
    pub oidc: Option<OidcSettings>,
    /// The whole LDAP configuration, where the fields above are not enough. Those win over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ldap: Option<LdapSettings>,
    /// The whole SAML configuration, where the fields above are not enough. Those win over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saml: Option<SamlSettings>,
}

/// A new connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CreatedConnection {
    #[serde(flatten)]
    #[expect(missing_docs, reason = "flattened: its own fields have the texts")]
    pub connection: ConnectionView,
    /// Whether it could be switched on now.
    pub ready: bool,
    /// What stands in the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A list, or its only item. A list is read item by item, so that a refusal tells the place of what does not fit.
fn one_or_many<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    struct Form;

    impl<'de> Visitor<'de> for Form {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a domain, or a list of domains")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<String>, E> {
            Ok(vec![text.to_owned()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<String>, A::Error> {
            let mut texts = Vec::new();
            while let Some(text) = items.next_element()? {
                texts.push(text);
            }
            Ok(texts)
        }
    }
    d.deserialize_any(Form)
}

fn foreign() -> Error {
    Error::says(&codes::INVALID_INPUT, "Settings of another protocol than the connection's were given.")
        .help("Name the protocol that the provider speaks: `protocol`.")
}

/// What was seen outside.
#[derive(Default)]
pub struct SeenOutside {
    looked: Looked,
    found: Found,
}

impl CreateConnection {
    /// Where it begins its life. Errors: `invalid_input`.
    fn status(&self) -> Result<Status> {
        match (self.activate, self.disabled) {
            (true, true) => Err(Error::says(&codes::INVALID_INPUT, "A new connection cannot be on and off at once.")
                .help("Give `activate`, or `disabled`, or none of them for a draft.")),
            (true, false) => Ok(Status::Active),
            (false, true) => Ok(Status::Disabled),
            (false, false) => Ok(Status::Draft),
        }
    }

    /// How to speak LDAP, where anything of it was given. Errors: `invalid_input`, `config_invalid`.
    fn directory(&self, cx: &Context, id: ConnectionId) -> Result<Option<ldap::Config>> {
        let flat = LdapFlat {
            preset: self.ldap_preset,
            url: self.ldap_url.clone(),
            bind_dn: self.ldap_bind_dn.clone(),
            bind_password: self.ldap_bind_password.clone(),
            search_base: self.ldap_search_base.clone(),
            search_filter: self.ldap_search_filter.clone(),
            group_search_base: self.ldap_group_search_base.clone(),
            group_search_filter: self.ldap_group_search_filter.clone(),
            tls_enabled: self.ldap_tls_enabled,
        };
        let Some(settings) = flat.over(self.ldap.clone()) else { return Ok(None) };
        let mut config = ldap::Config::default();
        settings.apply(cx, id, &mut config)?;
        Ok(Some(config))
    }

    /// How to speak SAML: always, where the connection does, for its key and its addresses are there from the start.
    /// Errors: those of `SamlSettings::apply`; `invalid_input` for settings of a connection that does not.
    fn provider(&self, cx: &Context, id: ConnectionId, found: &Found) -> Result<Option<saml::Config>> {
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
        let settings = flat.over(self.saml.clone());
        match (self.protocol, settings) {
            (ProtocolKind::Saml, settings) => {
                let mut config = saml::Config::default();
                settings.unwrap_or_default().apply(cx, id, &mut config, found)?;
                Ok(Some(config))
            }
            (_, Some(_)) => Err(foreign()),
            (_, None) => Ok(None),
        }
    }

    /// The connection as it would be, with the names it claims.
    /// Errors: `grant_exceeds_caller`, `invalid_input`, `domain_invalid`.
    async fn draft(
        &self,
        cx: &Context,
        organization: OrganizationId,
        found: &Found,
    ) -> Result<(Connection, Vec<String>)> {
        if let Some(role) = &self.default_role {
            may_give(cx, organization, role).await?;
        }
        scopes_are_words(self.scope_mapping.as_ref(), self.default_scopes.as_deref())?;
        let id = self.id.unwrap_or_else(|| ConnectionId::new(&cx.env));
        let flat = Flat {
            issuer: self.issuer.clone(),
            client_id: self.client_id.clone(),
            client_secret: self.client_secret.clone(),
            auth_method: self.auth_method,
            scopes: self.scopes.clone(),
        };
        let oidc = match flat.over(self.oidc.clone()) {
            None => None,
            Some(settings) => {
                let mut config = oidc::Config::default();
                settings.apply(cx, id, &mut config)?;
                Some(config)
            }
        };
        let ldap = self.directory(cx, id)?;
        let saml = self.provider(cx, id, found)?;
        let others = match self.protocol {
            ProtocolKind::Oidc => ldap.is_some(),
            ProtocolKind::Saml => oidc.is_some() || ldap.is_some(),
            ProtocolKind::Ldap => oidc.is_some(),
        };
        if others {
            return Err(foreign());
        }
        if self.domains.len() > domain::MOST {
            return Err(Error::says(&codes::TOO_LARGE, format!("A connection has at most {} domains.", domain::MOST)));
        }
        let names = domain::claimable_all(self.domains.iter().map(String::as_str))?;
        let now = cx.env.now();
        let connection = Connection {
            id,
            organization,
            name: name_of(&self.name)?,
            slug: self.slug.as_deref().map(slug_of).transpose()?,
            protocol: self.protocol,
            status: self.status()?,
            jit: self.jit,
            default_role: self.default_role.clone(),
            group_mapping: None,
            role_mapping: None,
            scope_mapping: self.scope_mapping.clone(),
            default_scopes: self.default_scopes.clone(),
            oidc,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            looked: None,
            ldap,
            saml,
            enforce: self.enforce,
            callback_urls: callbacks(&self.callback_urls)?,
        };
        Ok((connection, names))
    }
}

#[async_trait]
impl Operation for CreateConnection {
    type Seen = SeenOutside;
    type Output = CreatedConnection;
    const NAME: &'static str = "connection.create";
    const ACCESS: Access = Access::Grant(Grant::ConnectionCreate);
    const ROUTE: Route = Route { method: Method::Post, path: "/v1/connections" };

    async fn owner(&self, cx: &Context) -> Result<Owner> {
        cx.organization(self.organization).map(Owner::Organization)
    }

    async fn look(&self, cx: &Context) -> Result<Self::Seen> {
        // Everything that can be refused without the network is refused before it.
        let organization = cx.organization(self.organization)?;
        let (mut connection, _) = self.draft(cx, organization, &Found::default()).await?;
        let mut found = Found::default();
        if let Some(config) = &connection.saml {
            entity_id_is_free(cx, &connection).await?;
            found = Found::look(cx, config, false).await?;
            connection = self.draft(cx, organization, &found).await?.0;
            if self.activate && !self.unconfigured && found.unreachable {
                must_answer(Looked::Unreachable)?;
            }
        }
        if self.activate && !self.unconfigured {
            settings::complete(&connection)?;
        }
        let must = self.activate && !self.unreached && !self.unconfigured;
        let looked = look_through(cx, &connection, must).await?;
        if must {
            must_answer(looked)?;
        }
        Ok(SeenOutside { looked, found })
    }

    async fn apply(&self, cx: &Context, seen: &Self::Seen, batch: &mut Batch) -> Result<Self::Output> {
        let organization = cx.organization(self.organization)?;
        Organization::load(&cx.store, organization).await?;
        if self.vouch && !cx.caller.holds(Grant::ConnectionDomainTrust, organization) {
            let grant = Grant::ConnectionDomainTrust;
            return Err(
                Error::new(&codes::MISSING_GRANT).help(format!("Vouching for a domain takes the grant `{grant}`."))
            );
        }
        let (mut connection, names) = self.draft(cx, organization, &seen.found).await?;
        connection.looked = match connection.protocol {
            ProtocolKind::Saml => saml_config::looked(&seen.found, &connection).kept(cx),
            ProtocolKind::Oidc | ProtocolKind::Ldap => seen.looked.kept(cx),
        };
        entity_id_is_free(cx, &connection).await?;
        slug_is_free(cx, &connection).await?;
        if self.id.is_some() && cx.store.get::<Connection>(Connection::key_of(connection.id)).await?.is_some() {
            return Err(Error::says(&codes::TAKEN, "There is a connection with this id already."));
        }
        batch.create(&connection).log(
            event(cx, EventKind::ConnectionCreated, &connection)
                .with("name", connection.name.clone())
                .with("protocol", connection.protocol.name())
                .with("status", connection.status.name()),
        );
        if connection.oidc.is_some() {
            batch.log(event(cx, EventKind::ConnectionOidcSet, &connection));
        }
        if connection.ldap.is_some() {
            batch.log(event(cx, EventKind::ConnectionLdapSet, &connection));
        }
        if connection.saml.is_some() {
            batch.log(event(cx, EventKind::ConnectionSamlSet, &connection));
        }
        let mut domains = Vec::new();
        for name in names {
            // A claim is free: whether somebody else has proven the name is said to whoever proves it, to nobody else.
            let mut claim = Domain::claim(&cx.env, &connection, name, domains.is_empty());
            let claimed = domain::event(cx, EventKind::DomainClaimed, &claim);
            batch.log(claimed);
            if self.vouch {
                domain::vouch(cx, &mut claim, batch).await?;
            }
            batch.create(&claim);
            domains.push(DomainView::from(&claim));
        }
        let mut warnings = Vec::new();
        warnings.extend(enforcing(cx, &connection, batch).await?);
        if let Err(error) = settings::complete(&connection) {
            warnings.push(error.message().to_owned());
        }
        if !connection.answers() {
            warnings.push("The provider did not answer; the connection was saved and is not ready.".to_owned());
        }
        let ready = settings::complete(&connection).is_ok() && connection.answers();
        Ok(CreatedConnection { connection: ConnectionView::with(cx, &connection, domains).await?, ready, warnings })
    }
}
