//! Single logout of one connection: the provider's orders and answers, and ours.

use super::aside::Named;
use super::logout::{LogoutExpect, LogoutMessage, LogoutRequest};
use super::names::SUCCESS;
use super::provider::Saml;
use super::request::{
    Form, LogoutAnswer, LogoutOut, Message, logout_request, logout_response, new_id, post_form, redirect_url,
};
use super::{person, read_post, read_redirect};
use crate::access::Context;
use crate::connection::protocol::{Checks, SignedOut};
use crate::error::Result;

/// How a message of ours goes out.
pub enum Answered {
    /// By this address.
    Redirect(String),
    /// By this form.
    Form(Form),
    /// Not at all: the provider names no address for it.
    Nowhere,
}

/// A logout message as it came.
#[derive(Clone, Copy, Debug)]
pub enum Incoming<'a> {
    /// The whole query, not decoded.
    Query(&'a str),
    /// The value of the form's field.
    Posted(&'a str),
}

impl Saml {
    /// Reads a logout message: `query` as it came, or the posted text. `asked` is the request of ours that an answer must
    /// be to. Errors: those of the reader; `saml_in_response_to` for an answer where nothing was asked.
    pub fn logout(
        &self,
        cx: &Context,
        message: Incoming<'_>,
        asked: Option<&str>,
        checks: &mut Checks,
    ) -> Result<LogoutMessage> {
        self.config.holds(cx.env.now())?;
        let idp = self.config.provider()?;
        let expect = LogoutExpect {
            idp_entity_id: &idp.entity_id,
            certificates: &idp.keys(),
            slo_url: &self.slo_url(cx),
            now: cx.env.now(),
            skew: self.config.security.skew(),
            algorithms: &[],
            request_id: asked,
        };
        match message {
            Incoming::Query(query) => read_redirect(query, &expect, checks),
            Incoming::Posted(text) => read_post(text, &expect, checks),
        }
    }

    /// Whether the provider can be asked to end a session of its own: it names an address for that, and we have a key.
    pub fn ends_sessions(&self) -> bool {
        let reaches = self.config.idp.as_ref().is_some_and(|idp| idp.logout(false).is_some());
        reaches && self.config.service.key.is_some()
    }

    /// The order to end the session of that name, signed. `id` is from `new_id`; the provider's answer names it.
    /// Errors: those of `provider`.
    pub fn end_session(&self, cx: &Context, id: &str, named: &Named) -> Result<Answered> {
        let Some(at) = self.config.provider()?.logout(false) else { return Ok(Answered::Nowhere) };
        let indexes: Vec<String> = named.session_index.iter().cloned().collect();
        let xml = logout_request(&LogoutOut {
            id,
            sp_entity_id: &self.entity_id(cx),
            destination: &at.location,
            now: cx.env.now(),
            name_id: &named.name_id(),
            session_indexes: &indexes,
        })?;
        // Some providers hand back an answer only with a relay state, and it says nothing that the answer does not.
        self.send(cx, at.post, &at.location, Message::Request, &xml, Some(id))
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
        // What is too long for a relay state is not the provider's own: it is left behind.
        let relay_state = relay_state.filter(|state| state.len() <= 80);
        self.send(cx, at.post, location, Message::Response, &xml, relay_state)
    }

    fn send(
        &self,
        cx: &Context,
        post: bool,
        location: &str,
        message: Message,
        xml: &str,
        relay_state: Option<&str>,
    ) -> Result<Answered> {
        let key = self.key(cx)?;
        Ok(match post {
            true => Answered::Form(post_form(location, message, xml, relay_state, Some(&key))?),
            false => Answered::Redirect(redirect_url(location, message, xml, relay_state, Some(&key))?),
        })
    }
}
