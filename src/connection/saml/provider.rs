//! A connection that speaks SAML: what it sends, what it keeps until the answer, and whom an answer names.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use minicbor::{Decode, Encode};

use super::config::{Config, Idp};
use super::held::Held;
use super::peek::peek;
use super::request::{AuthnRequest, Form, Message, authn_request, new_id, post_form, redirect_url};
use super::response::read;
use super::service::metadata_url;
use super::sp_key::SpKey;
use super::sp_metadata::{SpMetadata, write};
use super::{person, report};
use crate::access::Context;
use crate::connection::protocol::{Answer, Authenticated, Begin, BeginRequest, Checks, Protocol, open_kept, seal_kept};
use crate::connection::record::Connection;
use crate::connection::report::Report;
use crate::crypto::{same, sha256};
use crate::env::Timestamp;
use crate::error::{Error, Result, codes};
use crate::id::ConnectionId;

/// The parameter that carries an answer.
const ANSWER: &str = "SAMLResponse";

/// What the answer is held against.
#[derive(Encode, Decode)]
struct Kept {
    #[cbor(n(0), with = "minicbor::bytes")]
    state: [u8; 32],
    #[n(1)]
    request_id: String,
    #[n(2)]
    began_at: Timestamp,
    #[n(3)]
    max_age: Option<u64>,
    /// The person had to sign in again.
    #[n(4)]
    force: bool,
}

fn digest(state: &str) -> [u8; 32] {
    sha256(&[b"authd saml relay state 1", state.as_bytes()])
}

/// The service provider of one connection.
#[derive(Clone)]
pub struct Saml {
    pub(super) connection: ConnectionId,
    pub(super) config: Arc<Config>,
}

impl Saml {
    /// For a connection. Errors: `not_found` for one that speaks something else.
    pub fn of(connection: &Connection) -> Result<Self> {
        let config = connection.saml.clone().ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        Ok(Self { connection: connection.id, config: Arc::new(config) })
    }

    pub(super) fn key(&self, cx: &Context) -> Result<SpKey> {
        self.config.service.signer(cx, self.connection)
    }

    fn acs_url(&self, cx: &Context) -> String {
        self.config.service.acs_at(&cx.deployment.public_url, self.connection)
    }

    pub(super) fn slo_url(&self, cx: &Context) -> String {
        self.config.service.slo_at(&cx.deployment.public_url, self.connection)
    }

    pub(super) fn entity_id(&self, cx: &Context) -> String {
        match self.config.service.entity_id.as_str() {
            "" => metadata_url(&cx.deployment.public_url, self.connection),
            id => id.to_owned(),
        }
    }

    /// The connection's own metadata, for the administrator of the identity provider; signed where that is asked for, or
    /// requests are. Errors: `connection_not_ready`.
    pub fn metadata(&self, cx: &Context, signed: bool) -> Result<String> {
        let key = self.key(cx)?;
        let (signing, encryption) = (self.config.service.signing(), self.config.service.encryption());
        let format: Vec<&str> = self.config.request.name_id_format.iter().map(String::as_str).collect();
        let metadata = SpMetadata {
            entity_id: &self.entity_id(cx),
            acs_url: &self.acs_url(cx),
            slo_url: Some(&self.slo_url(cx)),
            signing: &signing.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            encryption: &encryption.iter().map(Vec::as_slice).collect::<Vec<_>>(),
            requests_signed: self.config.signs(),
            want_assertions_signed: self.config.security.want().assertion_signed,
            name_id_formats: &format,
        };
        let id = new_id(&cx.env);
        write(&metadata, (signed || self.config.signs()).then_some((&key, id.as_str())))
    }

    /// Whether a sign-in may begin at the identity provider.
    pub fn takes_unasked(&self) -> bool {
        self.config.security.idp_initiated.unwrap_or(false)
    }

    /// Where such a sign-in ends; the person's own page where nothing is said.
    pub fn lands_at(&self) -> Option<String> {
        self.config.security.idp_initiated_target.clone()
    }

    /// Reads an answer that belongs to no sign-in of ours. `asked` is the request that it says to answer, for a message
    /// whose assertion may have been used: then it is verified against its own word, so that the refusal can be told apart.
    /// Errors: those of `read`; `saml_nameid`, `profile_invalid`, `email_domain_not_owned`.
    pub fn unasked(
        &self,
        cx: &Context,
        answer: &Answer,
        asked: Option<&str>,
        checks: &mut Checks,
    ) -> Result<Authenticated> {
        self.read(cx, answer, asked, None, checks)
    }

    /// The request that an answer says to answer, on nobody's word. Errors: those of `peek`.
    pub fn asked(answer: &Answer) -> Result<Option<String>> {
        Ok(peek(given(answer)?)?.in_response_to)
    }

    fn read(
        &self,
        cx: &Context,
        answer: &Answer,
        request_id: Option<&str>,
        max_age: Option<Duration>,
        checks: &mut Checks,
    ) -> Result<Authenticated> {
        self.config.holds(cx.env.now())?;
        let text = given(answer)?;
        let held = self.held(cx)?;
        let expect = held.expect(request_id, max_age);
        let verified = read(text, &expect, checks)?;
        person::person(&self.config, &verified, checks)
    }

    /// What answers are held against now.
    pub(super) fn held(&self, cx: &Context) -> Result<Held> {
        let idp = self.config.provider()?;
        Ok(Held {
            idp_entity_id: idp.entity_id.clone(),
            certificates: idp.keys(),
            sp_entity_id: self.entity_id(cx),
            acs_url: self.acs_url(cx),
            now: cx.env.now(),
            skew: self.config.security.skew(),
            want: self.config.security.want(),
            decryption: self.config.service.decryption(cx, self.connection)?,
            requested_acr: self.config.request.class_refs.clone(),
            max_size: self.config.security.response_size(),
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    fn ask(&self, cx: &Context, idp: &Idp, request: &BeginRequest) -> Result<Begin> {
        let at = idp.sign_in().ok_or_else(|| Error::new(&codes::CONNECTION_NOT_READY))?;
        let force = request.force || self.config.request.force_authn.unwrap_or(false);
        let id = new_id(&cx.env);
        let xml = authn_request(&AuthnRequest {
            id: &id,
            sp_entity_id: &self.entity_id(cx),
            acs_url: &self.acs_url(cx),
            destination: &at.location,
            now: cx.env.now(),
            name_id_format: self.config.request.name_id_format.as_deref(),
            // SAML has no other way to let somebody choose, and none to name an age: without this, whoever is signed in there
            // for longer would come back too old again and again.
            force_authn: force || request.choose || request.max_age.is_some(),
            is_passive: false,
            class_refs: &self.config.request.class_refs,
        })?;
        let kept = Kept {
            state: digest(&request.state),
            request_id: id,
            began_at: cx.env.now(),
            max_age: request.max_age,
            force,
        };
        let kept = seal_kept(cx, self.connection, &kept)?;
        let key = if self.config.signs() { Some(self.key(cx)?) } else { None };
        let relay_state = Some(request.state.as_str());
        Ok(match at.post {
            false => {
                let url = redirect_url(&at.location, Message::Request, &xml, relay_state, key.as_ref())?;
                Begin::Redirect { url, kept }
            }
            true => {
                let Form { action, fields } =
                    post_form(&at.location, Message::Request, &xml, relay_state, key.as_ref())?;
                Begin::Form { action, fields, kept }
            }
        })
    }
}

fn given(answer: &Answer) -> Result<&str> {
    let text = answer.parameters.get(ANSWER).filter(|text| !text.is_empty());
    text.map(String::as_str).ok_or_else(|| Error::says(&codes::SAML_STRUCTURE, "There is no SAML answer in the form."))
}

#[async_trait]
impl Protocol for Saml {
    async fn begin(&self, cx: &Context, request: &BeginRequest) -> Result<Begin> {
        self.config.check()?;
        self.config.ready()?;
        self.config.holds(cx.env.now())?;
        self.ask(cx, self.config.provider()?, request)
    }

    fn screen(&self, answer: &Answer, checks: &mut Checks) -> Result<()> {
        let there = given(answer);
        checks.state("answer", there.is_ok());
        there.map(drop)
    }

    async fn complete(&self, cx: &Context, answer: &Answer, kept: &[u8], checks: &mut Checks) -> Result<Authenticated> {
        let kept: Kept = open_kept(cx, self.connection, kept)?;
        let relayed = answer.parameters.get("RelayState").is_some_and(|state| same(&kept.state, &digest(state)));
        checks.state("relay_state", relayed);
        if !relayed {
            return Err(Error::new(&codes::SAML_IN_RESPONSE_TO));
        }
        let asked = kept.max_age.map(Duration::from_secs);
        // Whoever had to sign in again has done so since.
        let since = kept.force.then(|| cx.env.now().since(kept.began_at));
        let max_age = match (asked, since) {
            (Some(asked), Some(since)) => Some(asked.min(since)),
            (asked, since) => asked.or(since),
        };
        self.read(cx, answer, Some(&kept.request_id), max_age, checks)
    }

    async fn test(&self, cx: &Context) -> Report {
        report::test(cx, self.connection, &self.config).await
    }
}
