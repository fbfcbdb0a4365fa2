//! What a connection gets from outside before it is written: the provider's metadata at its address, and a key of its own.

use axum::http::header;
use url::Url;
use zeroize::Zeroizing;

use super::config::{Config, Pinned};
use super::metadata::IdpMetadata;
use super::service::{OwnKey, key_place};
use super::sp_key::SpKey;
use crate::access::Context;
use crate::env::Request;
use crate::error::{Error, Kind, Result, codes};
use crate::id::ConnectionId;

/// What was found.
#[derive(Default)]
pub struct Found {
    metadata: Option<(Wanted, IdpMetadata)>,
    key: Option<NewKey>,
    /// The address of the metadata did not answer.
    pub unreachable: bool,
}

/// What metadata was read for: where from, whose, and by whom it has to be signed.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    address: Option<String>,
    entity_id: Option<String>,
    signers: Vec<Pinned>,
}

impl Wanted {
    fn by(config: &Config) -> Self {
        Self {
            address: config.metadata_url.clone(),
            entity_id: config.idp_entity_id.clone(),
            signers: config.metadata_signers.clone(),
        }
    }
}

struct NewKey {
    pkcs8: Zeroizing<Vec<u8>>,
    certificate: Vec<u8>,
}

impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Found").field("metadata", &self.metadata).field("unreachable", &self.unreachable).finish()
    }
}

impl Found {
    /// Looks for what a configuration lacks; `anew` reads metadata that is known already once more.
    /// Errors: `metadata_invalid`, `saml_doctype`, `saml_no_signing_cert`, `url_not_allowed`, `outbound_not_allowed`.
    pub async fn look(cx: &Context, config: &Config, anew: bool) -> Result<Self> {
        let mut found = Self::default();
        if let Some(url) = config.metadata_url.as_ref().filter(|_| anew || config.idp.is_none()) {
            match fetch(cx, config, url).await {
                Ok(metadata) => found.metadata = Some((Wanted::by(config), metadata)),
                Err(error) if error.is(&codes::UPSTREAM_UNAVAILABLE) => found.unreachable = true,
                Err(error) if error.kind() == Kind::Upstream => {
                    return Err(Error::new(&codes::METADATA_INVALID).because(error));
                }
                Err(error) => return Err(error),
            }
        }
        if config.service.key.is_none() {
            found.key = Some(made(cx).await?);
        }
        Ok(found)
    }

    /// A new key, and nothing else.
    pub async fn key(cx: &Context) -> Result<Self> {
        Ok(Self { key: Some(made(cx).await?), ..Self::default() })
    }

    /// Makes the new key the one that will sign next.
    pub(in crate::connection) fn prepare(
        &self,
        cx: &Context,
        connection: ConnectionId,
        config: &mut Config,
    ) -> Result<()> {
        if config.service.next.is_some() {
            return Err(Error::says(&codes::INVALID_INPUT, "There is a next key already.")
                .help("`--step activate` lets it sign."));
        }
        if let Some(key) = &self.key {
            let key = SpKey::from_parts(&key.pkcs8, &key.certificate)?;
            config.service.next = Some(OwnKey::of(cx, connection, &key)?);
        }
        Ok(())
    }

    /// Whether the metadata was read.
    pub fn read(&self) -> bool {
        self.metadata.is_some()
    }

    /// Adds what was found to a configuration that still asks for it.
    pub(super) fn apply(&self, cx: &Context, connection: ConnectionId, config: &mut Config) -> Result<()> {
        if let Some((wanted, metadata)) = &self.metadata
            && *wanted == Wanted::by(config)
        {
            config.learn(metadata, cx.env.now())?;
        }
        if let Some(key) = self.key.as_ref().filter(|_| config.service.key.is_none()) {
            let sealed = cx.deployment.master_key.seal(&cx.env, &key_place(connection), &key.pkcs8)?;
            config.service.key = Some(sealed);
            config.service.certificate.clone_from(&key.certificate);
        }
        Ok(())
    }

    /// The same for a configuration that nothing else changes.
    pub(in crate::connection) fn refresh(
        &self,
        cx: &Context,
        connection: ConnectionId,
        config: &mut Config,
    ) -> Result<()> {
        self.apply(cx, connection, config)
    }
}

async fn made(cx: &Context) -> Result<NewKey> {
    let env = cx.env.clone();
    // A key takes a good part of a second to make.
    let key = tokio::task::spawn_blocking(move || SpKey::generate(&env, "authd")).await.map_err(Error::bug)??;
    Ok(NewKey { pkcs8: Zeroizing::new(key.pkcs8().to_vec()), certificate: key.certificate().to_vec() })
}

/// Reads the metadata at its address, within the connection's limit.
async fn fetch(cx: &Context, config: &Config, address: &str) -> Result<IdpMetadata> {
    let invalid = |why: &str| {
        Error::says(&codes::METADATA_INVALID, format!("The metadata of the identity provider cannot be used: {why}."))
    };
    let url = Url::parse(address).map_err(|_| invalid("its address is not a URL"))?;
    config.believes(&url)?;
    cx.env.outbound().permits(&url)?;
    let longest = config.security.metadata_size();
    let mut request =
        Request::get(url).header(header::ACCEPT, "application/samlmetadata+xml, application/xml, text/xml, */*;q=0.1");
    request.max_bytes = longest;
    let answer = cx.env.outbound().send(request).await.map_err(|error| {
        if error.is(&codes::UPSTREAM_TOO_LARGE) {
            invalid("it is longer than this connection reads").because(error)
        } else {
            error
        }
    })?;
    match answer.status {
        200 => {}
        429 | 500..=599 => {
            return Err(
                Error::new(&codes::UPSTREAM_UNAVAILABLE).because(format!("the metadata answers {}", answer.status))
            );
        }
        300..=399 => return Err(invalid("its address redirects elsewhere; use the final address")),
        status => return Err(invalid(&format!("its address answers with status {status}"))),
    }
    if answer.body.len() > longest {
        return Err(invalid("it is longer than this connection reads"));
    }
    let text = String::from_utf8(answer.body).map_err(|_| invalid("it is not UTF-8"))?;
    config.read_metadata(&text, cx.env.now())
}
