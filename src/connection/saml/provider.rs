//! A connection that speaks SAML: what it sends, what it keeps until the answer, and whom an answer names.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use minicbor::{Decode, Encode};

use super::config::{Config, Idp, acs_url, key_place, metadata_url, slo_url};
use super::held::Held;
use super::logout::{LogoutExpect, LogoutMessage, LogoutRequest};
use super::names::SUCCESS;
use super::peek::peek;
use super::request::{
    AuthnRequest, Form, LogoutAnswer, Message, authn_request, logout_response, new_id, post_form, redirect_url,
};
use super::response::read;
use super::sp_key::SpKey;
use super::sp_metadata::{SpMetadata, write};
use super::{person, read_post, read_redirect, report};
use crate::access::Context;
use crate::connection::protocol::{
    Answer, Authenticated, Begin, BeginRequest, Checks, Protocol, SignedOut, open_kept, seal_kept,
};
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

/// How an answer to the provider's own message goes out.
pub enum Answered {
    /// By this address.
    Redirect(String),
    /// By this form.
    Form(Form),
    /// Not at all: the provider names no address for it.
    Nowhere,
}

/// The service provider of one connection.
#[derive(Clone)]
pub struct Saml {
    connection: ConnectionId,
    config: Arc<Config>,
}

impl Saml {
    /// For a connection. Errors: `not_found` for one that speaks something else.
    pub fn of(connection: &Connection) -> Result<Self> {
        let config = connection.saml.clone().ok_or_else(|| Error::new(&codes::NOT_FOUND))?;
        Ok(Self { connection: connection.id, config: Arc::new(config) })
    }

    fn key(&self, cx: &Context) -> Result<SpKey> {
        let service = &self.config.service;
        let sealed = service.key.as_ref().ok_or_else(|| {
            Error::says(&codes::CONNECTION_NOT_READY, "The connection has no key of its own yet.")
                .help("`authd connection set-saml` makes one.")
        })?;
        let pkcs8 = cx.deployment.master_key.open(&key_place(self.connection), sealed)?;
        SpKey::from_parts(&pkcs8, &service.certificate)
    }

    fn entity_id(&self, cx: &Context) -> String {
        match self.config.service.entity_id.as_str() {
            "" => metadata_url(&cx.deployment.public_url, self.connection),
            id => id.to_owned(),
        }
    }

    /// The connection's own metadata, for the administrator of the identity provider; signed where that is asked for, or
    /// requests are. Errors: `connection_not_ready`.
    pub fn metadata(&self, cx: &Context, signed: bool) -> Result<String> {
        let url = &cx.deployment.public_url;
        let key = self.key(cx)?;
        let certificate: [&[u8]; 1] = [key.certificate()];
        let format: Vec<&str> = self.config.request.name_id_format.iter().map(String::as_str).collect();
        let (acs, slo) = (acs_url(url, self.connection), slo_url(url, self.connection));
        let metadata = SpMetadata {
            entity_id: &self.entity_id(cx),
            acs_url: &acs,
            slo_url: Some(&slo),
            signing: &certificate,
            encryption: &certificate,
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
            acs_url: acs_url(&cx.deployment.public_url, self.connection),
            now: cx.env.now(),
            skew: self.config.security.skew(),
            want: self.config.security.want(),
            decryption: vec![self.key(cx)?.decryption()?],
            requested_acr: self.config.request.class_refs.clone(),
            max_size: self.config.security.response_size(),
        })
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Reads a logout message: `query` as it came, or the posted text. Errors: those of the reader; `saml_structure` for an
    /// answer, for nothing was asked.
    pub fn logout(&self, cx: &Context, message: Incoming<'_>, checks: &mut Checks) -> Result<LogoutRequest> {
        let idp = self.config.provider()?;
        let expect = LogoutExpect {
            idp_entity_id: &idp.entity_id,
            certificates: &idp.keys(),
            slo_url: &slo_url(&cx.deployment.public_url, self.connection),
            now: cx.env.now(),
            skew: self.config.security.skew(),
            algorithms: &[],
            request_id: None,
        };
        let read = match message {
            Incoming::Query(query) => read_redirect(query, &expect, checks)?,
            Incoming::Posted(text) => read_post(text, &expect, checks)?,
        };
        match read {
            LogoutMessage::Request(request) => Ok(request),
            LogoutMessage::Response(_) => Err(Error::new(&codes::SAML_IN_RESPONSE_TO)),
        }
    }

    /// The words that a logout request stands for: one a session that it names, or one for all of the person's.
    pub fn words(&self, request: &LogoutRequest) -> Result<Vec<SignedOut>> {
        let idp = self.config.provider()?;
        let word = |session: Option<String>| SignedOut {
            id: request.id.clone(),
            until: request.not_on_or_after + self.config.security.skew(),
            subject: Some(person::named(&request.name_id, &idp.entity_id)),
            session,
        };
        Ok(match request.session_indexes.as_slice() {
            [] => vec![word(None)],
            indexes => indexes.iter().cloned().map(Some).map(word).collect(),
        })
    }

    /// The answer to a logout request, signed, by the binding that it came by.
    pub fn logged_out(
        &self,
        cx: &Context,
        request: &LogoutRequest,
        post: bool,
        relay_state: Option<&str>,
    ) -> Result<Answered> {
        let idp = self.config.provider()?;
        let Some(at) = idp.logout(post) else { return Ok(Answered::Nowhere) };
        let location = at.response_location.as_ref().unwrap_or(&at.location);
        let xml = logout_response(&LogoutAnswer {
            id: &new_id(&cx.env),
            sp_entity_id: &self.entity_id(cx),
            destination: location,
            now: cx.env.now(),
            in_response_to: &request.id,
            status: SUCCESS,
            message: None,
        })?;
        let key = self.key(cx)?;
        // What is too long for a relay state is not the provider's own: it is left behind.
        let relay_state = relay_state.filter(|state| state.len() <= 80);
        Ok(match at.post {
            true => Answered::Form(post_form(location, Message::Response, &xml, relay_state, Some(&key))?),
            false => Answered::Redirect(redirect_url(location, Message::Response, &xml, relay_state, Some(&key))?),
        })
    }

    fn ask(&self, cx: &Context, idp: &Idp, request: &BeginRequest) -> Result<Begin> {
        let at = idp.sign_in().ok_or_else(|| Error::new(&codes::CONNECTION_NOT_READY))?;
        let force = request.force || self.config.request.force_authn.unwrap_or(false);
        let id = new_id(&cx.env);
        let xml = authn_request(&AuthnRequest {
            id: &id,
            sp_entity_id: &self.entity_id(cx),
            acs_url: &acs_url(&cx.deployment.public_url, self.connection),
            destination: &at.location,
            now: cx.env.now(),
            name_id_format: self.config.request.name_id_format.as_deref(),
            // SAML has no other way to let somebody choose.
            force_authn: force || request.choose,
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

/// A logout message as it came.
#[derive(Clone, Copy, Debug)]
pub enum Incoming<'a> {
    /// The whole query, not decoded.
    Query(&'a str),
    /// The value of the form's field.
    Posted(&'a str),
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
        report::test(cx, &self.config).await
    }
}
